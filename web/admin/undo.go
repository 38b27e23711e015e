package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
)

// LastChange is the last change of a mapping; ok is false where it can't be undone (any more).
func (a Mappings) LastChange(ctx context.Context, s Scope, id int64) (c provisioning.LastChange, ok bool, err error) {
	c, ok, err = a.Rules.LastChange(ctx, id)
	if err == nil && c.State.ID != 0 { // also where it is too old: who made it is not for everybody
		err = s.mapping(c.State)
	}
	return c, ok && err == nil, err
}

// Undo makes a mapping what it was before its last change, which is the entry of its history. It is refused where
// another change came after, or ten minutes are over.
func (a Mappings) Undo(ctx context.Context, s Scope, id, entry int64, actor string) error {
	c, ok, err := a.LastChange(ctx, s, id)
	if err != nil {
		return refusal(err)
	}
	if !ok || c.ID != entry {
		return a.notUndone(ctx, id, entry)
	}
	edit, err := a.Rules.UndoMapping(ctx, c)
	if errors.Is(err, store.ErrConflict) {
		return changedMeanwhile(err, id)
	}
	e, err := a.drafted(s, id, edit, err)
	if err != nil {
		return err
	}
	return a.Save(ctx, s, e, actor)
}

// notUndone says why a change of a mapping can't be undone.
func (a Mappings) notUndone(ctx context.Context, id, entry int64) error {
	history, err := a.Rules.History(ctx, id, 0, 1)
	if err != nil {
		return err
	}
	if len(history) == 0 {
		return noMapping(store.ErrNotFound, id)
	}
	fault := undoOver
	if last := history[0]; last.ID != entry {
		fault = fmt.Sprintf("mapping %d was changed again (%s, by %s), so the change before it can't be undone", id,
			last.What, last.By)
	}
	return &Error{Kind: Changed, Fault: fault, Act: ShowMappingHistory, Err: store.ErrConflict}
}

const undoOver = "the change is more than ten minutes old, so it can't be undone any more"

// mostSuspended is how many users of a person Suspended looks at: each is a reading of the audit log.
const mostSuspended = 10

// Suspended are those of a person's users whose suspension can be undone: it is their last change, and less than ten
// minutes old. It looks at ten that may be of them.
func (u Users) Suspended(ctx context.Context, s Scope, person store.PersonID, users []store.SSOUser) (
	all []store.SSOUser, err error) {
	now, looked := u.Provisioning.Now(), 0
	for _, row := range users {
		if looked == mostSuspended {
			break
		}
		if row.State != store.Suspended || now.Sub(row.UpdatedAt) >= store.UndoFor || s.account(row.Account) != nil {
			continue
		}
		looked++
		last, err := u.Store.Audit().List(ctx, store.Filter{Subject: string(person), Action: "suspend-user",
			Account: row.Account, Since: row.UpdatedAt, Limit: 1})
		if err != nil {
			return nil, fmt.Errorf("look for the suspension of person %s: %w", person, err)
		}
		if len(last) == 1 && last[0].At.Equal(row.UpdatedAt) {
			all = append(all, row)
		}
	}
	return all, nil
}

// UndoSuspension has a user sign in again whose suspension at a time was a mistake. It is refused where the user was
// changed since, or ten minutes are over. Sessions that the suspension ended stay ended.
func (u Users) UndoSuspension(ctx context.Context, s Scope, k store.UserKey, at time.Time, actor string) error {
	if err := s.user(k); err != nil {
		return err
	}
	row, err := u.Store.Ledger().Get(ctx, k.Person, k.Account)
	if err != nil {
		return userError(err, k, "")
	}
	switch {
	case row.State != store.Suspended:
		return notInState(k, "is not suspended any more", store.ErrConflict)
	case !row.UpdatedAt.Equal(at):
		return notInState(k, "was changed after the suspension, so it can't be undone", store.ErrConflict)
	}
	can, err := u.Suspended(ctx, s, k.Person, []store.SSOUser{row})
	if err != nil {
		return err
	}
	if len(can) == 0 {
		return &Error{Kind: Changed, Fault: undoOver, Act: ShowUser, About: string(k.Person), Err: store.ErrConflict}
	}
	// Compared once more in the transaction that resumes.
	return userError(u.Provisioning.UndoSuspension(ctx, k, at, actor), k, "was changed at this moment")
}

// LastChange is what a service provider was before its last change; ok is false where that can't be undone (any more).
func (p Providers) LastChange(ctx context.Context, scope Scope, entityID string) (u store.ProviderUndo, ok bool,
	err error) {
	if err := scope.whole(); err != nil {
		return u, false, err
	}
	u, err = p.Store.ServiceProviders().Former(ctx, entityID)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return u, false, nil
	}
	if err != nil {
		return u, false, fmt.Errorf("read what service provider %.300s was: %w", entityID, err)
	}
	return u, true, nil
}

// Removed lists the service providers whose removal can be undone, the last one first.
func (p Providers) Removed(ctx context.Context, scope Scope) ([]store.ProviderUndo, error) {
	if err := scope.whole(); err != nil {
		return nil, err
	}
	all, err := p.Store.ServiceProviders().Removed(ctx)
	if err != nil {
		return nil, fmt.Errorf("list removed service providers: %w", err)
	}
	return all, nil
}

// Undo makes a service provider what it was before its change at a time; the zero time stands for the last one. It is
// refused where it was changed since, or ten minutes are over.
func (p Providers) Undo(ctx context.Context, scope Scope, entityID string, changed time.Time, e store.Event) error {
	entityID = store.TrimTyped(entityID)
	u, ok, err := p.LastChange(ctx, scope, entityID)
	if err != nil {
		return err
	}
	if changed.IsZero() {
		changed = u.ChangedAt
	}
	if !ok || !u.ChangedAt.Equal(changed) {
		return p.notUndone(ctx, entityID, changed)
	}
	e.Action, e.Subject, e.SP = "sp-set", entityID, entityID
	detail := map[string]any{"undo": true}
	if u.Removed {
		e.Action = "sp-add"
	} else if last, err := p.lastEvent(ctx, entityID); err == nil {
		detail["undone"] = last.Action
		if settings, ok := settingsOf(last); ok {
			detail["settings"] = settings
		}
	}
	e.Detail = store.DetailOf(detail)
	err = p.Store.ServiceProviders().Undo(ctx, entityID, changed, e)
	switch {
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound): // changed at this moment
		return p.notUndone(ctx, entityID, changed)
	case err != nil:
		return fmt.Errorf("undo the change of service provider %.300s: %w", entityID, err)
	}
	return nil
}

// lastEvent is the last one that is about a service provider itself, not about a sign-in there.
func (p Providers) lastEvent(ctx context.Context, entityID string) (store.Event, error) {
	list, err := p.Store.Audit().List(ctx, store.Filter{Subject: entityID, Limit: 1})
	if err != nil {
		return store.Event{}, fmt.Errorf("read the last change of service provider %.300s: %w", entityID, err)
	}
	if len(list) == 0 {
		return store.Event{}, store.ErrNotFound
	}
	return list[0], nil
}

// settingsOf are the names of the settings that an event says were changed.
func settingsOf(e store.Event) (settings []string, ok bool) {
	var detail struct {
		Settings []string `json:"settings"`
	}
	err := json.Unmarshal(e.Detail, &detail)
	return detail.Settings, err == nil && len(detail.Settings) > 0
}

// notUndone says why a change of a service provider can't be undone.
func (p Providers) notUndone(ctx context.Context, entityID string, changed time.Time) error {
	e := &Error{Kind: Changed, Act: ShowProvider, About: entityID, Err: store.ErrConflict,
		Fault: "there is no change of this service provider within the last ten minutes that can be undone"}
	last, err := p.lastEvent(ctx, entityID)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case !changed.IsZero() && last.At.After(changed):
		e.Fault = fmt.Sprintf("the service provider was changed again (%s, by %s), so the change before it can't be undone",
			last.Action, last.Actor)
		if last.Actor == "" {
			e.Fault = fmt.Sprintf("the bridge itself has changed the service provider since (%s), so the change before it "+
				"can't be undone", last.Action)
		}
	case !changed.IsZero():
		e.Fault = undoOver
	}
	return e
}
