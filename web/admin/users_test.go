package admin_test

import (
	"errors"
	"testing"
	"time"

	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// newUsers is what can be done with users over a world.
func newUsers(t *testing.T) (*world, admin.Users) {
	w := newWorld(t)
	return w, admin.Users{Store: w.db, Provisioning: w.rules, Directory: w.Directory}
}

// give maps a person to the account, and returns the person's key there.
func (w *world) give(t *testing.T, users admin.Users, login string) store.UserKey {
	t.Helper()
	_, err := w.Add(t.Context(), admin.Everything(), admin.MappingInput{Input: mapping.Input{Person: login,
		Account: string(harbour), Role: "account_manager"}, Unlisted: true}, "ann")
	if err != nil {
		t.Fatal(err)
	}
	key, err := users.Key(t.Context(), admin.Everything(), login, string(harbour))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A user is asked for, suspended, resumed and retried; what the state does not allow is refused, and nobody outside the
// scope is touched.
func TestUsers(t *testing.T) {
	w, users := newUsers(t)
	ctx, all, none := t.Context(), admin.Everything(), admin.Accounts("another")
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok", Ref: "REF", Address: "192.0.2.1"}
	key := w.give(t, users, "alice")

	refused(t, "a user who is not there, suspended", users.Suspend(ctx, all, key, "ann"), admin.Missing, "account",
		admin.ListUsers, "has no SSO user in account")
	refused(t, "an account that no mapping gives", users.Create(ctx, all, store.UserKey{Person: key.Person,
		Account: "a07e1lxqqqo9"}, event), admin.Denied, "", admin.ExplainLogin, "would be refused: not_this_account")
	if _, err := users.Key(ctx, all, "nobody", string(harbour)); !isMissing(err) {
		t.Errorf("nobody: %v", err)
	}
	_, err := users.Key(ctx, all, "alice", "no account!")
	refused(t, "what is no account", err, admin.Input, "account", admin.ListUsers, "")

	if err := users.Create(ctx, all, key, event); err != nil {
		t.Fatal(err)
	}
	rows, err := w.db.Ledger().Person(ctx, key.Person)
	if err != nil || len(rows) != 1 || rows[0].State != store.Wanted {
		t.Fatalf("asked for: %+v, %v", rows, err)
	}
	if events, err := w.db.Audit().List(ctx, store.Filter{Action: "provision-now"}); err != nil || len(events) != 1 ||
		events[0].Account != harbour || events[0].Actor != "ann" {
		t.Errorf("audit: %+v, %v", events, err)
	}
	for what, err := range map[string]error{
		"create": users.Create(ctx, none, key, event), "suspend": users.Suspend(ctx, none, key, "ann"),
		"again":  users.CreateAgain(ctx, none, key, event),
		"resume": users.Resume(ctx, none, key, "ann"), "retry": users.RetryOne(ctx, none, key, "ann"),
		"task":        users.TaskDone(ctx, none, key, store.ItemLeaver, "ann"),
		"confirm":     second(users.Confirm(ctx, none, []store.UserKey{key}, "ann")),
		"confirm all": second(users.Confirm(ctx, none, nil, "ann")),
		"retry all":   second(users.Retry(ctx, none, store.UserFilter{}, "ann")),
		"tasks":       second(users.Tasks(ctx, none, store.ManualTaskFilter{})),
		"forget":      second(users.Forget(ctx, none, key.Person, true, "ann")),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}

	refused(t, "resumed without suspension", users.Resume(ctx, all, key, "ann"), admin.Changed, "", admin.ShowUser,
		"is not suspended")
	if err := users.Suspend(ctx, all, key, "ann"); err != nil {
		t.Fatal(err)
	}
	refused(t, "suspended twice", users.Suspend(ctx, all, key, "ann"), admin.Changed, "", admin.ShowUser,
		"is suspended already")
	refused(t, "a suspended one, retried", users.RetryOne(ctx, all, key, "ann"), admin.Changed, "", admin.ShowUser,
		"does not wait for a retry")
	refused(t, "a suspended one, asked for", users.Create(ctx, all, key, event), admin.Denied, "", admin.ExplainLogin,
		"would be refused")
	if err := users.Resume(ctx, all, key, "ann"); err != nil {
		t.Fatal(err)
	}
	if err := users.RetryOne(ctx, all, key, "ann"); err != nil {
		t.Errorf("retried: %v", err)
	}
	_, err = users.Retry(ctx, all, store.UserFilter{States: []store.State{store.Assumed}}, "ann")
	refused(t, "all assumed ones, retried", err, admin.Input, "state", admin.NoAct, "says neither who nor where")
	refused(t, "a task that is not open", users.TaskDone(ctx, all, key, store.ItemLeaver, "ann"), admin.Missing, "kind",
		admin.ListTasks, "is open")
	refused(t, "a task of no kind", users.TaskDone(ctx, all, key, "other", "ann"), admin.Input, "kind", admin.NoAct,
		"is not known")
}

// A user whom an administrator asks for goes first of all that waits. One whom a program asks for stands behind
// sign-ins and leaves the calls alone that are kept for them, also when it is asked for again.
func TestUserOfAProgram(t *testing.T) {
	w, users := newUsers(t)
	ctx, all := t.Context(), admin.Everything()
	event := store.Event{At: time.Now(), Actor: "token:one", Outcome: "ok"}
	key := w.give(t, users, "alice")
	priority := func(want store.Priority) {
		t.Helper()
		rows, err := w.db.Ledger().Person(ctx, key.Person)
		if err != nil || len(rows) != 1 || rows[0].State != store.Wanted || rows[0].Priority != want {
			t.Errorf("%+v, %v, want it as %s", rows, err, want)
		}
	}
	for range 2 {
		if err := users.Create(provisioning.ForProgram(ctx), all, key, event); err != nil {
			t.Fatal(err)
		}
		priority(store.RetryPriority)
	}
	if err := users.Create(ctx, all, key, event); err != nil {
		t.Fatal(err)
	}
	priority(store.SignInPriority)
	// For whom somebody waits already stays first.
	if err := users.Create(provisioning.ForProgram(ctx), all, key, event); err != nil {
		t.Fatal(err)
	}
	priority(store.SignInPriority)
}

// Each thing that stands against forgetting somebody comes with what puts it away.
func TestForgetUser(t *testing.T) {
	w, users := newUsers(t)
	ctx, all := t.Context(), admin.Everything()
	key := w.give(t, users, "alice")
	told := []provisioning.KnownUser{{Person: string(key.Person), Account: string(harbour), ExternalID: "theirs"}}
	tellings, err := w.rules.PreviewAdoption(ctx, told)
	if err == nil {
		_, err = w.rules.AdoptUsers(ctx, tellings, "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = users.Forget(ctx, all, key.Person, false, "ann")
	e, ok := errors.AsType[*admin.Error](err)
	if !ok || len(e.Parts) != 2 || e.Parts[0].Act != admin.ConfirmDeleted || e.Parts[1].Act != admin.RemoveMapping ||
		e.Parts[1].About != "1" {
		t.Fatalf("got %+v, %v", e, err)
	}
	_, err = users.Forget(ctx, all, key.Person, true, "ann")
	refused(t, "one that a mapping names", err, admin.Input, "person", admin.RemoveMapping, "is named by mapping 1")
	edit, err := w.Remove(ctx, all, 1)
	if err == nil {
		err = w.Save(ctx, all, edit, "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	if done, err := users.Forget(ctx, all, key.Person, true, "ann"); err != nil || done.Users != 1 || !done.Known {
		t.Errorf("forgotten: %+v, %v", done, err)
	}
	_, err = users.Forget(ctx, all, key.Person, true, "ann")
	refused(t, "forgotten twice", err, admin.Missing, "person", admin.NamePersonByID, "nothing is kept of person")
}

func isMissing(err error) bool {
	e, ok := errors.AsType[*admin.Error](err)
	return ok && e.Kind == admin.Missing
}

// second is the error of a result.
func second[T any](_ T, err error) error { return err }
