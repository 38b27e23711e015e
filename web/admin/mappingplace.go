package admin

import (
	"context"
	"fmt"

	"ssobridge/store"
)

// placeStep is how far behind the last mapping one is put, so that others find room between them later.
const placeStep = 10

// Place drafts that a mapping takes the place of another one in the order in which they count: it gets a priority
// between that one and its neighbour, and no other mapping changes. From before, it counts right after the other one;
// from behind, right before it. Two neighbours without a free priority between exchange theirs.
func (a Mappings) Place(ctx context.Context, s Scope, id, other int64) (MappingEdit, error) {
	all, err := a.List(ctx, s)
	if err != nil {
		return MappingEdit{}, err
	}
	var was, at *store.Mapping
	for i := range all {
		switch m := &all[i]; {
		case m.Role == store.Owner: // it keeps its priority
		case m.ID == id:
			was = m
		case m.ID == other:
			at = m
		}
	}
	if was == nil || at == nil {
		return a.Exchange(ctx, s, id, other) // which says what is wrong
	}
	if was.Priority == at.Priority {
		return MappingEdit{}, &Error{Field: "other",
			Fault: fmt.Sprintf("mappings %d and %d have the same priority", id, other),
			Hint:  "give one of them another priority"}
	}
	down := was.Priority < at.Priority
	low, high := 0, at.Priority
	if down {
		low, high = at.Priority, at.Priority+2*placeStep
	}
	neighbours := true // nothing is between the two
	for _, m := range all {
		if m.ID == id || m.Role == store.Owner {
			continue
		}
		if down && m.Priority > low || !down && m.Priority < high && m.Priority > low {
			if down {
				high = min(high, m.Priority)
			} else {
				low = m.Priority
			}
		}
		between := m.Priority > min(was.Priority, at.Priority) && m.Priority < max(was.Priority, at.Priority)
		neighbours = neighbours && !between
	}
	free := low + (high-low)/2
	switch {
	case free > low:
		return a.Set(ctx, s, id, MappingChanges{Priority: &free})
	case neighbours:
		return a.Exchange(ctx, s, id, other)
	}
	return MappingEdit{}, &Error{Field: "other", Fault: fmt.Sprintf("no priority is free between %d and %d", low, high),
		Hint: "give one of these mappings another priority first"}
}
