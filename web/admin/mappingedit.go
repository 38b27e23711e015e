package admin

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// MappingEdit is one change of one mapping. It is drafted, looked at by Effects, and stored by Save.
type MappingEdit struct {
	provisioning.MappingEdit

	ID   int64
	Seen string // names what was drafted: what is confirmed must be what was shown
}

// MappingChanges is what shall change in a mapping; nil: stays as it is. Who a mapping applies to can't be changed.
type MappingChanges struct {
	GroupBase *string // of a pattern of group names
	Account   *string
	Role      *string
	Priority  *int
	Create    *string
	Unlisted  bool // take a client account that no list knows
}

// Set drafts another account, role, priority, group base or time of creation.
func (a Mappings) Set(ctx context.Context, s Scope, id int64, c MappingChanges) (MappingEdit, error) {
	was, err := a.Get(ctx, s, id)
	if err != nil {
		return MappingEdit{}, err
	}
	spec := mapping.SpecOf(was)
	spec.Unchecked = true // it is as it was
	if c.Account != nil && *c.Account != spec.Account {
		spec.Account, spec.Unchecked = *c.Account, c.Unlisted
	}
	if c.Role != nil {
		spec.Role = *c.Role
	}
	if c.GroupBase != nil {
		if spec.GroupBase, err = a.otherBase(ctx, was, *c.GroupBase); err != nil {
			return MappingEdit{}, err
		}
	}
	if c.Create != nil {
		if spec.AtSignIn, err = atSignIn(*c.Create); err != nil {
			return MappingEdit{}, err
		}
	}
	spec.Priority = 0
	if c.Priority != nil {
		spec.Priority = *c.Priority
	}
	e, err := a.Rules.EditMapping(ctx, id, spec)
	return a.drafted(s, id, e, err)
}

// otherBase is the group base that a mapping shall have.
func (a Mappings) otherBase(ctx context.Context, was store.Mapping, written string) (string, error) {
	switch {
	case was.Kind != store.GroupPattern && written == "":
		return "", nil
	case was.Kind != store.GroupPattern:
		return "", &Error{
			Field: "group_base", Fault: "a group base is for patterns of group names only",
			Hint: "leave it out, or give a group pattern",
		}
	case written == was.GroupDN:
		return written, nil // as it is, also without one
	case written == "":
		return "", &Error{Field: "group_base", Fault: "a pattern of group names needs a group base", Act: GiveGroupBase}
	}
	return a.base(ctx, written)
}

// Switch drafts switching a mapping off or on.
func (a Mappings) Switch(ctx context.Context, s Scope, id int64, off bool) (MappingEdit, error) {
	e, err := a.Rules.SwitchMapping(ctx, id, off)
	return a.drafted(s, id, e, err)
}

// Exchange drafts that two mappings take each other's priority.
func (a Mappings) Exchange(ctx context.Context, s Scope, id, other int64) (MappingEdit, error) {
	e, err := a.Rules.ExchangeMappings(ctx, id, other)
	return a.drafted(s, id, e, err)
}

// Remove drafts the removal of a mapping.
func (a Mappings) Remove(ctx context.Context, s Scope, id int64) (MappingEdit, error) {
	e, err := a.Rules.DropMapping(ctx, id)
	return a.drafted(s, id, e, err)
}

// Return drafts the return of a mapping to an entry of its history, also of one that was removed.
func (a Mappings) Return(ctx context.Context, s Scope, entry int64) (MappingEdit, error) {
	e, err := a.Rules.ReturnMapping(ctx, entry)
	if errors.Is(err, store.ErrNotFound) {
		return MappingEdit{}, &Error{Kind: Missing, Field: "entry", Fault: fmt.Sprintf("there is no entry %d", entry),
			Act: ShowMappingHistory, Err: err}
	}
	return a.drafted(s, e.Now.ID, e, err)
}

// drafted is a draft that the caller may see. So is what is wrong with it, which says what other mappings give.
func (a Mappings) drafted(s Scope, id int64, e provisioning.MappingEdit, fault error) (MappingEdit, error) {
	touched := []store.Mapping{e.Was, e.Now}
	if e.Other != nil {
		touched = append(touched, *e.Other)
	}
	for _, m := range touched {
		if m.ID == 0 {
			continue // it was removed before, or goes
		}
		if err := s.mapping(m); err != nil {
			return MappingEdit{}, err
		}
	}
	if fault != nil {
		return MappingEdit{}, noMapping(fault, id)
	}
	var other store.Mapping
	if e.Other != nil {
		other = *e.Other
	}
	return MappingEdit{MappingEdit: e, ID: id, Seen: seenValues(e.Was, e.Now, other)}, nil
}

// Save stores a change that was drafted.
func (a Mappings) Save(ctx context.Context, s Scope, e MappingEdit, actor string) error {
	if _, err := a.drafted(s, e.ID, e.MappingEdit, nil); err != nil {
		return err
	}
	return changedMeanwhile(a.Rules.SaveEdit(ctx, e.MappingEdit, actor), e.ID)
}

// changedMeanwhile turns a conflict of the store, where somebody else was faster.
func changedMeanwhile(err error, id int64) error {
	if errors.Is(err, store.ErrConflict) {
		return &Error{Kind: Changed, Fault: "somebody else has changed the mappings meanwhile, nothing was saved",
			Act: ListMappings, Err: err}
	}
	return noMapping(err, id)
}

// Replaced lists, by number, the mappings whose group's DN belongs to another group now: that one. It asks the
// directory once for each group.
func (a Mappings) Replaced(ctx context.Context, list []store.Mapping) (map[int64]directory.Group, error) {
	found := map[int64]directory.Group{}
	known := map[string]directory.Group{}
	for _, m := range list {
		if m.Kind != store.GroupMapping || m.GroupID == "" || mapping.OfSource(m) != "" {
			continue
		}
		g, seen := known[m.GroupDN]
		if !seen {
			var err error
			g, err = a.Directory.Group(ctx, m.GroupDN)
			problem, typed := errors.AsType[*directory.Error](err)
			switch {
			case typed && problem.Problem == directory.BadData:
				g = directory.Group{}
			case err != nil:
				return nil, lookup(err, "", "look up the groups of mappings", "")
			}
			known[m.GroupDN] = g
		}
		if g.ID != "" && g.ID != m.GroupID {
			found[m.ID] = g
		}
	}
	return found, nil
}

// OtherGroup is the group that has the DN of a mapping's group now and is another one, with what is known of both.
func (a Mappings) OtherGroup(ctx context.Context, s Scope, id int64) (store.Mapping, directory.GroupChange, error) {
	m, err := a.Get(ctx, s, id)
	if err != nil {
		return m, directory.GroupChange{}, err
	}
	now, err := a.otherGroup(ctx, m)
	if err != nil {
		return m, directory.GroupChange{}, err
	}
	return m, a.Directory.CompareGroups(ctx, m.GroupID, m.GroupDN, now), nil
}

func (a Mappings) otherGroup(ctx context.Context, m store.Mapping) (directory.Group, error) {
	if m.Kind != store.GroupMapping || mapping.OfSource(m) != "" {
		return directory.Group{}, &Error{Field: "id", Fault: fmt.Sprintf("mapping %d is not for one group", m.ID),
			Act: ListMappings}
	}
	now, err := a.Directory.Group(ctx, m.GroupDN)
	if err != nil {
		return now, lookup(err, "group", "find the group "+plaintext.Quote(m.GroupDN),
			"no group has this DN; add a mapping for the right one")
	}
	if now.ID == "" || now.ID == m.GroupID {
		return now, &Error{
			Kind: Changed, Fault: fmt.Sprintf("the DN of mapping %d belongs to the group that is mapped", m.ID),
			Hint: "there is nothing to accept",
		}
	}
	return now, nil
}

// AcceptGroup lets the group that has the DN of a mapping's group now take its place, if it still is the one with this
// id.
func (a Mappings) AcceptGroup(ctx context.Context, s Scope, id int64, group, actor string) error {
	m, err := a.Get(ctx, s, id)
	if err != nil {
		return err
	}
	// Asked again at this moment: the one who looked may have seen another group.
	now, err := a.otherGroup(ctx, m)
	if err != nil {
		return err
	}
	if now.ID != group {
		return &Error{
			Kind: Changed, Fault: fmt.Sprintf("the directory has changed meanwhile, and the group of mapping %d is another "+
				"one now", m.ID),
			Act: LookAgain, Err: idp.ErrGroupChanged,
		}
	}
	return changedMeanwhile(a.Rules.AcceptGroup(ctx, m, now, actor), m.ID)
}
