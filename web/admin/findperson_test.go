package admin_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/idp/claims"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// TestSourceLoginInDirectory: a login of the directory that is written like one of a source hides nobody and is hidden
// by nobody: both are named, and each is found by id. A caller of some client accounts learns of nobody whom they may
// not see (ID-74).
func TestSourceLoginInDirectory(t *testing.T) {
	w, all := newSourceWorld(t), admin.Everything()
	ctx := t.Context()
	w.ldap.Apply(t, "dn: "+w.ldap.PersonDN("alice")+"\nchangetype: modify\nadd: uid\nuid: portal:ana\n")
	alice, err := w.people.Find(ctx, "portal:ana")
	if err != nil || alice.Source != "" {
		t.Fatalf("somebody of the directory: %+v, %v", alice, err)
	}
	ana := w.comes(t, "ana", "Ana", "Díaz", nil, claims.Grant{Account: string(harbour), Role: "account_manager"})
	two := w.comes(t, "Bea", "Bea", "One", nil, claims.Grant{Account: string(harbour), Role: "account_manager"})
	other := w.comes(t, "bea", "Bea", "Two", nil, claims.Grant{Account: "a07e1lxqqqo1", Role: "account_manager"})

	both := func(what string, err error) {
		t.Helper()
		e, ok := errors.AsType[*admin.Error](err)
		if !ok || !strings.Contains(e.Line(), alice.ID) || !strings.Contains(e.Line(), string(ana)) {
			t.Errorf("%s: %v, want both ids", what, err)
		}
	}
	_, err = w.people.Find(ctx, "portal:ana")
	both("explain", err)
	_, err = w.users.Find(ctx, "portal:ana")
	both("users", err)
	sessions := admin.Sessions{Store: w.db, Directory: w.people.Directory}
	_, err = sessions.Find(ctx, "portal:ana")
	both("sessions", err)
	for _, id := range []string{alice.ID, string(ana)} {
		if found, err := w.users.Find(ctx, id); string(found) != id || err != nil {
			t.Errorf("by id %s: %s, %v", id, found, err)
		}
		if e, err := w.people.Find(ctx, id); e.ID != id || err != nil {
			t.Errorf("by id %s: %+v, %v", id, e, err)
		}
		if found, err := sessions.Find(ctx, id); string(found) != id || err != nil {
			t.Errorf("session by id %s: %s, %v", id, found, err)
		}
	}
	// One whom the caller may see, of several.
	if e, err := w.people.FindIn(ctx, admin.Accounts(harbour), "portal:BEA"); err != nil || e.ID != string(two) {
		t.Errorf("one of the scope: %+v, %v, want %s", e, err, two)
	}
	if _, err = w.people.FindIn(ctx, admin.Accounts("a07e1lxqqqo9"), "portal:BEA"); err == nil ||
		strings.Contains(err.Error(), "source-portal") {
		t.Errorf("none of the scope: %v", err)
	}
	if _, err = w.people.FindIn(ctx, all, "portal:BEA"); err == nil || !strings.Contains(err.Error(), string(two)) ||
		!strings.Contains(err.Error(), string(other)) {
		t.Errorf("all: %v, want both", err)
	}
	row := store.SSOUser{Person: two, Account: harbour, ExternalID: "two", LoginName: "two-at-harbour",
		Role: store.AccountManager}
	if _, _, err := w.db.Ledger().Enqueue(ctx, row, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	k, err := w.users.Key(ctx, admin.Accounts(harbour), "portal:BEA", string(harbour))
	if err != nil || k.Person != two {
		t.Errorf("user of the scope: %+v, %v, want %s", k, err, two)
	}
	if _, err = w.users.Key(ctx, admin.Accounts("a07e1lxqqqo1"), "portal:BEA", "a07e1lxqqqo1"); err == nil ||
		strings.Contains(err.Error(), "source-portal") {
		t.Errorf("user of none of the scope: %v", err)
	}

	// With the directory down a login that both could have is not taken for one of them; the id is.
	w.ldap.Stop(t)
	if e, err := w.people.Find(ctx, "portal:ana"); err == nil {
		t.Errorf("with the directory down: %+v", e)
	}
	if e, err := w.people.Find(ctx, string(ana)); err != nil || e.ID != string(ana) {
		t.Errorf("by id with the directory down: %+v, %v", e, err)
	}
}
