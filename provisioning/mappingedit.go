package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// MappingEdit is one change of one mapping that is there or was. It is looked at with
// PreviewMappings, and stored by SaveEdit.
type MappingEdit struct {
	Was    store.Mapping  // ID 0: it was removed before
	Now    store.Mapping  // ID 0: it goes
	Other  *store.Mapping // as it is, of an exchange: the mapping that gets Was's priority
	Change mapping.Change // what the switched-on mappings come to

	undo bool // it undoes another one, which its events say
}

var errOwnerEdit = &InputError{
	Field: "role", Fault: "an owner's mapping can't be changed",
	Fix: "remove it and add another one",
}

// AllMappings returns the mappings that are on and those that are off, in the order in
// which they count or would.
func (s *Service) AllMappings(ctx context.Context) ([]store.Mapping, error) {
	on, err := s.ListMappings(ctx)
	if err != nil {
		return nil, err
	}
	off, err := s.mappings.ListOff(ctx)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	all := slices.Concat(on, off)
	slices.SortStableFunc(all, func(a, b store.Mapping) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return int(a.ID - b.ID)
	})
	return all, nil
}

// Mapping returns one mapping, on or off. ErrNotFound of the store.
func (s *Service) Mapping(ctx context.Context, id int64) (store.Mapping, error) {
	return s.mappings.Get(ctx, id)
}

// EditMapping checks what a mapping would become, as AddMapping would check a new one.
// Without a priority it keeps its own. Faults are joined *InputErrors.
func (s *Service) EditMapping(ctx context.Context, id int64, spec mapping.Spec) (MappingEdit, error) {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return MappingEdit{}, fmt.Errorf("edit mapping: %w", err)
	}
	if was.Role == store.Owner {
		return MappingEdit{}, fmt.Errorf("edit mapping %d: %w", id, errOwnerEdit)
	}
	if spec.Priority == 0 {
		spec.Priority = was.Priority
	}
	m, faults := draft(spec)
	if m.Account != "" {
		known, err := s.knownAccount(ctx, m.Account, spec.Unchecked)
		if err != nil {
			faults = append(faults, err)
		}
		m.Account = known
	}
	if len(faults) > 0 {
		return MappingEdit{}, fmt.Errorf("edit mapping %d: %w", id, errors.Join(faults...))
	}
	m.ID, m.CreatedAt, m.CreatedBy, m.Off = was.ID, was.CreatedAt, was.CreatedBy, was.Off
	return s.edit(ctx, was, m)
}

// SwitchMapping drafts switching a mapping off or on.
func (s *Service) SwitchMapping(ctx context.Context, id int64, off bool) (MappingEdit, error) {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return MappingEdit{}, fmt.Errorf("switch mapping: %w", err)
	}
	m := was
	m.Off = off
	return s.edit(ctx, was, m)
}

// MoveMapping drafts another priority of a mapping.
func (s *Service) MoveMapping(ctx context.Context, id int64, priority int) (MappingEdit, error) {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return MappingEdit{}, fmt.Errorf("move mapping: %w", err)
	}
	if priority < 1 || priority > mapping.MaxPriority {
		return MappingEdit{}, fmt.Errorf("move mapping %d: %w", id, &InputError{
			Field: "priority", Fault: fmt.Sprintf("%d is out of range", priority),
			Fix: fmt.Sprintf("write 1 to %d", mapping.MaxPriority),
		})
	}
	m := was
	m.Priority = priority
	return s.edit(ctx, was, m)
}

// ExchangeMappings drafts that two mappings take each other's priority, in one step: one
// after the other they could clash on the way.
func (s *Service) ExchangeMappings(ctx context.Context, id, other int64) (MappingEdit, error) {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return MappingEdit{}, fmt.Errorf("exchange mappings: %w", err)
	}
	with, err := s.Mapping(ctx, other)
	switch {
	case errors.Is(err, store.ErrNotFound) || id == other:
		return MappingEdit{}, fmt.Errorf("exchange mapping %d: %w", id, &InputError{
			Field: "other", Fault: fmt.Sprintf("there is no other mapping %d", other),
			Fix: "write the number of another mapping",
		})
	case err != nil:
		return MappingEdit{}, fmt.Errorf("exchange mappings: %w", err)
	case was.Role == store.Owner || with.Role == store.Owner:
		return MappingEdit{}, fmt.Errorf("exchange mappings %d and %d: %w", id, other, errOwnerEdit)
	}
	e := MappingEdit{Was: was, Now: was, Other: &with}
	e.Now.Priority = with.Priority
	moved := with
	moved.Priority = was.Priority
	if was.Priority == with.Priority {
		return e, nil
	}
	others, err := s.others(ctx, id, other)
	if err != nil {
		return e, err
	}
	for _, pair := range [][2]store.Mapping{{was, e.Now}, {with, moved}} {
		if pair[0].Off {
			continue
		}
		e.Change.Remove, e.Change.Add = append(e.Change.Remove, pair[0]), append(e.Change.Add, pair[1])
		if clashing := mapping.Clashing(others, pair[1]); len(clashing) > 0 {
			return e, fmt.Errorf("exchange mappings %d and %d: %w", id, other, s.clash(ctx, pair[1], nil, clashing))
		}
	}
	return e, nil
}

// DropMapping drafts the removal of a mapping.
func (s *Service) DropMapping(ctx context.Context, id int64) (MappingEdit, error) {
	was, err := s.Mapping(ctx, id)
	if err != nil {
		return MappingEdit{}, fmt.Errorf("remove mapping: %w", err)
	}
	return s.edit(ctx, was, store.Mapping{})
}

// ReturnMapping drafts the return to an entry of a mapping's history: the mapping
// becomes what it was then, also when it was removed since.
func (s *Service) ReturnMapping(ctx context.Context, version int64) (MappingEdit, error) {
	v, err := s.mappings.Version(ctx, version)
	if err != nil {
		return MappingEdit{}, fmt.Errorf("return to entry %d: %w", version, err)
	}
	was, err := s.Mapping(ctx, v.State.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return MappingEdit{}, fmt.Errorf("return to entry %d: %w", version, err)
	}
	m := v.State
	if was.ID != 0 {
		m.CreatedAt, m.CreatedBy = was.CreatedAt, was.CreatedBy
	}
	return s.edit(ctx, was, m)
}

// History tells what a mapping was, the newest first; all mappings for 0. before is the entry
// after which a page begins, 0 for the first page.
func (s *Service) History(ctx context.Context, id, before int64, limit int) ([]store.MappingVersion, error) {
	list, err := s.mappings.History(ctx, id, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read the history of mapping %d: %w", id, err)
	}
	return list, nil
}

// edit works out what one change comes to, and refuses what the store would refuse.
func (s *Service) edit(ctx context.Context, was, now store.Mapping) (MappingEdit, error) {
	e := MappingEdit{Was: was, Now: now}
	if was.Role == store.Owner || now.Role == store.Owner {
		if now.ID != 0 {
			return e, fmt.Errorf("edit mapping %d: %w", was.ID, errOwnerEdit)
		}
	}
	switch {
	case was == now: // nothing would change
		return e, nil
	case was.ID != 0 && !was.Off:
		e.Change.Remove = []store.Mapping{was}
	}
	if now.ID == 0 || now.Off {
		return e, nil
	}
	e.Change.Add = []store.Mapping{now}
	others, err := s.others(ctx, was.ID)
	if err != nil {
		return e, err
	}
	if clashing := mapping.Clashing(others, now); len(clashing) > 0 {
		return e, fmt.Errorf("edit mapping %d: %w", now.ID, s.clash(ctx, now, nil, clashing))
	}
	return e, nil
}

// others are the mappings that are on, but for those that are being changed. They are those of the index, which is read
// anew only after a change: an edit reads the one row that it is about.
func (s *Service) others(ctx context.Context, changed ...int64) ([]store.Mapping, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	rest := make([]store.Mapping, 0, x.Len())
	for m := range x.Mappings() {
		if !slices.Contains(changed, m.ID) {
			rest = append(rest, m)
		}
	}
	return rest, nil
}

// SaveEdit stores an edit. ErrConflict of the store: the mapping was changed since it
// was drafted, or another one that it clashes with came. ErrNotFound: it is gone.
func (s *Service) SaveEdit(ctx context.Context, e MappingEdit, actor string) error {
	about := func(ev store.Event, m store.Mapping) store.Event {
		ev.Subject = fmt.Sprintf("mapping %d", m.ID)
		if e.undo {
			return undone(ev)
		}
		return ev
	}
	event := func(action string, m store.Mapping) store.Event { return about(s.mappingEvent(action, actor, m), m) }
	change := func(was, m store.Mapping) store.Event {
		return about(s.mappingChange("mapping-set", actor, was, m), m)
	}
	var err error
	switch {
	case e.Was == e.Now:
		return nil
	case e.Other != nil:
		moved := *e.Other
		moved.Priority = e.Was.Priority
		err = s.mappings.Exchange(ctx, e.Was, *e.Other, change(e.Was, e.Now), change(*e.Other, moved))
	case e.Now.ID == 0:
		err = s.mappings.Remove(ctx, e.Was, event("mapping-remove", e.Was))
	case e.Was.ID == 0:
		err = s.mappings.Return(ctx, e.Now, event("mapping-return", e.Now))
	case onlySwitched(e.Was, e.Now):
		action := "mapping-on"
		if e.Now.Off {
			action = "mapping-off"
		}
		err = s.mappings.Switch(ctx, e.Was, event(action, e.Now))
	default:
		err = s.mappings.Set(ctx, e.Was, e.Now, change(e.Was, e.Now))
	}
	if err != nil {
		return fmt.Errorf("save mapping %d: %w", max(e.Was.ID, e.Now.ID), err)
	}
	return nil
}

// AcceptGroup makes a mapping one for another group, which has the DN of the one that was mapped. ErrConflict of the
// store: the mapping was changed since it was read.
func (s *Service) AcceptGroup(ctx context.Context, was store.Mapping, g directory.Group, actor string) error {
	if was.Kind != store.GroupMapping || g.ID == "" {
		return fmt.Errorf("accept the group of mapping %d: %w", was.ID, &InputError{
			Field: "group", Fault: "it has no id, or the mapping is not for one group",
			Fix: "add a mapping for the group",
		})
	}
	m := was
	m.GroupID, m.GroupDN = g.ID, g.DN
	event := s.mappingEvent("mapping-accept-group", actor, m)
	event.Subject = fmt.Sprintf("mapping %d", m.ID)
	event.Reason = "before: " + was.GroupID
	if err := s.mappings.Set(ctx, was, m, event); err != nil {
		return fmt.Errorf("accept the group of mapping %d: %w", m.ID, err)
	}
	return nil
}

func onlySwitched(a, b store.Mapping) bool {
	if a.Off == b.Off {
		return false
	}
	a.Off = b.Off
	return a == b
}
