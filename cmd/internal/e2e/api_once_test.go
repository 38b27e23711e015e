package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// 50 creations at once with one key, by two replicas: one call to Constant Contact, one client account, one answer for
// all. REST-11
func TestAPICreatesOnce(t *testing.T) {
	t.Parallel()
	fresh := postgres(t)
	s := apiSetting().onPostgres(t, fresh)
	c := newCluster(t, s, 2)
	c.command(t, "accounts", "list", "--refresh")
	p := c.caller(t, allScopes())
	in := map[string]any{"owner": "alice", "organization_name": "Quayside Books", "country_code": "us",
		"state_code": "MA", "time_zone_id": "US/Eastern"}
	type operation struct {
		ID             int64
		State, Account string
		Done           bool
	}
	var draft operation
	p.into(p.call(http.MethodPost, "/accounts?dry_run=true", in, "Idempotency-Key", "k0"), http.StatusOK, &draft)
	before := len(c.sandbox.Accounts())

	var mu sync.Mutex
	answers, busy := map[string]int{}, 0
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			for range 100 {
				r, err := p.try(http.MethodPost, "/accounts", in, "Idempotency-Key", "k1", "Prefer", "wait=10")
				mu.Lock()
				switch {
				case err != nil:
					t.Error(err)
				case r.status == http.StatusConflict && r.header.Get("Retry-After") != "":
					busy++
					mu.Unlock()
					<-time.After(200 * time.Millisecond)
					continue
				case r.status == http.StatusAccepted:
					answers[string(r.body)]++
				default:
					t.Errorf("status %d: %s", r.status, r.body)
				}
				mu.Unlock()
				return
			}
		})
	}
	group.Wait()
	if len(answers) != 1 {
		t.Fatalf("%d different answers: %v", len(answers), answers)
	}
	var done operation
	for text, n := range answers {
		if n != 50 {
			t.Errorf("%d of 50 were answered; %d times one was being worked on", n, busy)
		}
		if err := json.Unmarshal([]byte(text), &done); err != nil {
			t.Fatal(err)
		}
	}
	if !eventually(func() bool {
		p.get(fmt.Sprintf("/operations/%d", done.ID), &done)
		return done.Done
	}) || done.State != "created" || done.Account == "" {
		t.Fatalf("operation: %+v", done)
	}
	if made := len(c.sandbox.Accounts()) - before; made != 1 {
		t.Errorf("%d client accounts were created, want 1", made)
	}
	p.refused("another body", p.call(http.MethodPost, "/accounts", map[string]any{"owner": "bob",
		"organization_name": "X", "country_code": "us", "state_code": "MA"}, "Idempotency-Key", "k1"), 422, "key_reused")
	again := p.call(http.MethodPost, "/accounts", in, "Idempotency-Key", "k1")
	if again.status != http.StatusAccepted || again.header.Get("Idempotency-Replayed") != "true" ||
		answers[string(again.body)] == 0 {
		t.Errorf("the same again: %d %v %s", again.status, again.header, again.body)
	}
	p.refused("the same without a key", p.call(http.MethodPost, "/accounts", in), 422, "invalid")
	other := c.caller(t, allScopes())
	p.refused("the same key of another token", other.call(http.MethodPost, "/accounts", in, "Idempotency-Key", "k1"), 422,
		"invalid")
	// A refusal is not kept: the same key is good for the request that was mended.
	bad := map[string]any{"owner": "nobody", "organization_name": "Y", "country_code": "us", "state_code": "MA"}
	p.refused("no such owner", p.call(http.MethodPost, "/accounts", bad, "Idempotency-Key", "k2"), 404, "not_found")
	bad["owner"] = "bob"
	p.into(p.call(http.MethodPost, "/accounts", bad, "Idempotency-Key", "k2", "Prefer", "wait=10"), 202, &done)
}
