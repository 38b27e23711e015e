package provisioning

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// The API of Constant Contact can't change a user. So a person whose name or mail address in the directory is another
// one than it was given becomes a manual task, at a sign-in or by a plan, and stops being one by itself when the
// directory has again what was given.

// changed compares what Constant Contact was given with the directory. ok is false where nothing can be said: the user
// was not created, or the person's data of today don't fit. now has what was given in each field that does not differ.
func (s *Service) changed(p directory.Entry, a Assignment, row store.SSOUser) (now store.UserData, ok bool) {
	if !usable(row) {
		return now, false
	}
	body, err := s.Body(p, a)
	if err != nil && a.Role == store.Owner {
		// The API makes no owners, which is no fault of the person's data.
		a.Role = store.AccountManager
		body, err = s.Body(p, a)
	}
	if err != nil {
		return now, false
	}
	return store.UserData{
		FirstName:    keptUnless(row.FirstName, body.FirstName, sameText),
		LastName:     keptUnless(row.LastName, body.LastName, sameText),
		ContactEmail: keptUnless(row.ContactEmail, body.ContactEmail, strings.EqualFold),
	}, true
}

// keptUnless is what was given unless now says something else. What an imported user left open is not known, so nothing
// differs from it.
func keptUnless(given, now string, same func(given, now string) bool) string {
	if given == "" || same(given, now) {
		return given
	}
	return now
}

// sameText: two ways to encode one letter are no change of a name.
func sameText(given, now string) bool { return norm.NFC.String(given) == norm.NFC.String(now) }

// noteChanged brings the manual task about a person's data up to date at a sign-in. It is a convenience: a sign-in that
// could not store it goes on.
func (s *Service) noteChanged(ctx context.Context, p directory.Entry, a Assignment, row store.SSOUser) {
	now, ok := s.changed(p, a, row)
	var err error
	switch {
	case !ok, now == row.Data() && row.Changed == nil, row.Changed != nil && now == row.Changed.Now:
		return // as mostly
	case now == row.Data():
		err = s.plans.DropChanged(ctx, []store.ManualTask{*row.Changed})
	default:
		err = s.plans.NoteChanged(ctx, []store.ChangedUser{changedUser(row, now)})
	}
	if err != nil {
		s.log.Warn("changed data of a person could not be stored, the next sign-in or plan does it", "person", row.Person,
			"account", row.Account, "error", err)
	}
}

func changedUser(row store.SSOUser, now store.UserData) store.ChangedUser {
	return store.ChangedUser{
		UserKey: store.UserKey{Person: row.Person, Account: row.Account}, Given: row.Data(), Now: now,
	}
}

// compareData notes, while a plan is made, whose data have changed.
func (d *planDraft) compareData(ctx context.Context, p directory.Entry, a Assignment, row store.SSOUser) error {
	if _, closed := d.s.shut(d.x, a.Account); closed {
		return nil // nothing can be changed there
	}
	now, ok := d.s.changed(p, a, row)
	if !ok || now == row.Data() {
		return nil
	}
	d.seen[d.seen.key(row.Person, row.Account)] = otherData
	d.dataChanged++
	if d.changes = append(d.changes, changedUser(row, now)); len(d.changes) < itemsAtOnce {
		return nil
	}
	return d.storeChanges(ctx)
}

func (d *planDraft) storeChanges(ctx context.Context) error {
	if err := d.s.plans.NoteChanged(ctx, d.changes); err != nil {
		return fmt.Errorf("store whose data have changed, %d users of plan %d: %w", len(d.changes), d.id, err)
	}
	clear(d.changes)
	d.changes = d.changes[:0]
	return nil
}

// dropChanges takes the tasks off the list whose person has again what was given, or no access any more: that is the
// task of a leaver.
func (d *planDraft) dropChanges(ctx context.Context) error {
	f := store.ManualTaskFilter{Kind: store.ItemData, Limit: 1000}
	for {
		open, err := d.s.plans.ManualTasks(ctx, f)
		if err != nil {
			return fmt.Errorf("read the tasks of changed data: %w", err)
		}
		var over []store.ManualTask
		for _, task := range open {
			// A sign-in may have read the directory later than the walk.
			if task.FoundAt.Before(d.began) && d.seen.dataSettled(task) {
				over = append(over, task)
			}
		}
		if err := d.s.plans.DropChanged(ctx, over); err != nil {
			return fmt.Errorf("drop %d tasks of changed data: %w", len(over), err)
		}
		if len(open) < f.Limit {
			return nil
		}
		f.After = open[len(open)-1]
	}
}

// dataSettled tells whether a walk leaves nothing to be changed by hand. Somebody who can't sign in at present was not
// compared: their task stays.
func (k seen) dataSettled(task store.ManualTask) bool {
	if compared, given := k[k.key(task.Person, task.Account)]; given {
		return compared != otherData
	}
	return k[k.key(task.Person, "")] != away
}
