package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// LastChange is the last change of a mapping, and how it is undone.
type LastChange struct {
	store.MappingVersion

	before int64 // the entry of the history that it was before; 0: it was not there
	with   int64 // the mapping with which it exchanged its priority; 0: none
}

// LastChange returns the last change of a mapping if it can be undone. ok is false where it is more than ten minutes
// old, or about an owner, or where nobody knows what the mapping was before.
func (s *Service) LastChange(ctx context.Context, id int64) (c LastChange, ok bool, err error) {
	history, err := s.History(ctx, id, 0, 2)
	if err != nil || len(history) == 0 {
		return c, false, err
	}
	c.MappingVersion = history[0]
	if c.State.Role == store.Owner || s.now().Sub(c.At) >= store.UndoFor {
		return c, false, nil
	}
	if c.What == store.MappingAdded {
		return c, true, nil
	}
	if len(history) < 2 {
		return c, false, nil
	}
	c.before = history[1].ID
	if c.What == store.MappingChanged {
		c.with, err = s.exchangedWith(ctx, c.MappingVersion, history[1])
	}
	return c, true, err
}

// exchangedWith is the mapping that got the priority of another one by the same change; 0: none did. Both entries of an
// exchange stand side by side in the history of all.
func (s *Service) exchangedWith(ctx context.Context, change, before store.MappingVersion) (int64, error) {
	for _, entry := range []int64{change.ID - 1, change.ID + 1} {
		v, err := s.mappings.Version(ctx, entry)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look for the other mapping of an exchange: %w", err)
		}
		if v.What != store.MappingChanged || v.State.ID == change.State.ID || !v.At.Equal(change.At) ||
			v.State.Priority != before.State.Priority {
			continue
		}
		last, err := s.History(ctx, v.State.ID, 0, 1)
		if err != nil {
			return 0, err
		}
		if last[0].ID == v.ID {
			return v.State.ID, nil
		}
	}
	return 0, nil
}

// UndoMapping drafts that a mapping becomes what it was before its last change. ErrConflict of the store: it is not as
// that change has left it.
func (s *Service) UndoMapping(ctx context.Context, c LastChange) (e MappingEdit, err error) {
	id := c.State.ID
	switch {
	case c.before == 0:
		e, err = s.DropMapping(ctx, id)
	case c.with != 0:
		e, err = s.ExchangeMappings(ctx, id, c.with)
	default:
		e, err = s.ReturnMapping(ctx, c.before)
	}
	if err != nil {
		return e, fmt.Errorf("undo the last change of mapping %d: %w", id, err)
	}
	left := c.State
	if c.What == store.MappingRemoved {
		left = store.Mapping{}
	}
	// A group that was renamed, and when the mapping was added, are no change of an administrator's.
	was := e.Was
	was.CreatedAt, was.CreatedBy = left.CreatedAt, left.CreatedBy
	if was.Kind == store.GroupMapping {
		was.GroupDN = left.GroupDN
	}
	if was != left {
		return e, fmt.Errorf("undo the last change of mapping %d: %w", id, store.ErrConflict)
	}
	e.undo = true
	return e, nil
}

// undone marks the event of a change that undoes another one.
func undone(e store.Event) store.Event {
	detail := map[string]any{}
	if len(e.Detail) > 0 {
		_ = json.Unmarshal(e.Detail, &detail) // made here
	}
	detail["undo"] = true
	e.Detail = store.DetailOf(detail)
	return e
}

// UndoSuspension has a user sign in again whose suspension at a time was a mistake. ErrConflict of the store: the user
// is not suspended, was changed since, or that was more than ten minutes ago.
func (s *Service) UndoSuspension(ctx context.Context, k store.UserKey, at time.Time, actor string) error {
	if err := s.ledger.UndoSuspension(ctx, k, at, undone(s.userEvent("resume-user", k, actor))); err != nil {
		return fmt.Errorf("undo the suspension of person %s in account %s: %w", k.Person, k.Account, err)
	}
	s.poke()
	return nil
}
