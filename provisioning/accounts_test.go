package provisioning_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

func (w *world) listings() (n int) {
	for _, c := range w.sandbox.Calls() {
		if strings.HasSuffix(c.Path, "/partner/accounts") {
			n++
		}
	}
	return n
}

// The list is read when the worker starts, on demand, and never twice within a minute, also across restarts.
func TestRefreshAccounts(t *testing.T) {
	w := newWorld(t, settings{sandbox: sandbox.Options{Accounts: []sandbox.Account{
		{ID: "acc1", OrganizationName: "Name\x1b[31m \x00of one"}, {ID: "acc2", SiteOwnerName: "Owner of two"}, {ID: "acc3"},
		{ID: "odd_id"},
	}}})
	stop := w.run()
	w.until("the list is stored", func() bool {
		all, err := w.db.Accounts().List(t.Context())
		return err == nil &&
			len(all) > 0
	})
	stop()
	all, err := w.db.Accounts().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, a := range all {
		names[string(a.ID)] = a.Name
	}
	if len(names) != 3 || names["acc1"] != "Name [31m  of one" || names["acc2"] != "Owner of two" ||
		names["acc3"] != "acc3" {
		t.Errorf("accounts: got %q, want three with printable names", names)
	}

	w.Service = w.another(w.sandbox.TokenOptions())
	var callers sync.WaitGroup
	for range 5 {
		callers.Go(func() {
			if err := w.RefreshAccounts(t.Context()); err != nil {
				t.Errorf("RefreshAccounts: %v", err)
			}
		})
	}
	callers.Wait()
	if got := w.listings(); got != 1 {
		t.Errorf("lists read within a minute: got %d, want 1", got)
	}
	w.advance(2 * time.Minute)
	if err := w.RefreshAccounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.listings(); got != 2 {
		t.Errorf("lists read two minutes later: got %d, want 2", got)
	}
	if got := w.events("accounts-refresh"); len(got) != 2 || got[0].Actor != "worker" {
		t.Errorf("audit: got %+v", got)
	}
}

// A list that can't be read is an error for who asked, and nothing that the worker stops at.
func TestRefreshAccountsFails(t *testing.T) {
	w := newWorld(t, settings{})
	w.offline.Store(true)
	if err := w.RefreshAccounts(t.Context()); err == nil || !strings.Contains(err.Error(), "refresh client accounts") {
		t.Errorf("offline: got %v, want an error", err)
	}
	stop := w.run()
	stop()
	w.offline.Store(false)
	// A failed token request is remembered for a moment.
	w.until("it works online again", func() bool { return w.RefreshAccounts(t.Context()) == nil })
}
