package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// Killed at each step of the order of a client account: the order is there, its key finds it, and in the end there is
// one client account of it. REST-17
func TestAPIOrderKilledAtEachStep(t *testing.T) {
	t.Parallel()
	k := &killer{path: "/partner/accounts"}
	s := apiSetting()
	s.around = k.around
	s.sandbox.TokenLife = 2 * time.Second // so that an order begins with asking for a token
	w := newWorld(t, s)
	w.command(t, "accounts", "list", "--refresh")
	p := w.caller(t, allScopes())
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	type operation struct {
		ID      int64
		State   string
		Account string
		Done    bool
	}
	seen := map[string]bool{}
	for i, step := range []string{stepStored, stepArrived, stepActed, stepAnswered} {
		t.Run(step, func(t *testing.T) {
			<-time.After(s.sandbox.TokenLife)
			name, key := fmt.Sprintf("Killed Books %d", i), fmt.Sprintf("killed-%d", i)
			in := map[string]any{"owner": "alice", "organization_name": name, "country_code": "us", "state_code": "MA",
				"time_zone_id": "US/Eastern", "partner_account_id": key}
			fired := k.arm(step, func() { _ = w.cmd.Process.Kill() })
			// Its answer may be lost with the program; who has ordered asks again.
			_, _ = p.try(http.MethodPost, "/accounts", in, "Idempotency-Key", key)
			select {
			case <-fired:
			case <-time.After(patience):
				t.Fatal("no order came that far")
			}
			_ = w.cmd.Wait()
			w.cmd = nil
			// As if the time had passed after which a killed process surely sends nothing any more, and its key is free.
			if _, err := db.Exec("UPDATE account_requests SET updated_at = updated_at - $1 WHERE state <> 'created'",
				(10 * time.Minute).Microseconds()); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("UPDATE api_answers SET taken_until = 0 WHERE status = 0"); err != nil {
				t.Fatal(err)
			}
			w.start(t)
			var first, again operation
			p.into(p.call(http.MethodPost, "/accounts", in, "Idempotency-Key", key), http.StatusAccepted, &first)
			p.into(p.call(http.MethodPost, "/accounts", in, "Idempotency-Key", key), http.StatusAccepted, &again)
			if first.ID == 0 || again.ID != first.ID {
				t.Errorf("operations %d and %d under one key", first.ID, again.ID)
			}
			if !within(2*time.Minute, func() bool {
				p.get(fmt.Sprintf("/operations/%d", first.ID), &first)
				if first.Done {
					return true
				}
				_, err := db.Exec("UPDATE account_requests SET updated_at = updated_at - $1 WHERE state IN ('unknown', 'accepted')",
					(10 * time.Minute).Microseconds())
				return err != nil
			}) || first.State != "created" || first.Account == "" || seen[first.Account] {
				t.Fatalf("the order came to %+v", first)
			}
			seen[first.Account] = true
			if n := made(w.sandbox.Accounts(), name); n != 1 {
				t.Errorf("%d client accounts were created, want 1", n)
			}
			var button struct{ State, Account string }
			p.get("/accounts/"+key+"/button", &button)
			if button.State != "open" || button.Account != first.Account {
				t.Errorf("button %+v, want client account %s", button, first.Account)
			}
		})
	}
}

// made counts the client accounts of an organization.
func made(all []sandbox.Account, name string) (n int) {
	for _, a := range all {
		if a.OrganizationName == name {
			n++
		}
	}
	return n
}
