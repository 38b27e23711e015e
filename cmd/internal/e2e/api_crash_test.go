package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A process that dies between a change and its answer leaves a key that is taken and a change that is done. The same
// request is answered with what was done, and nothing is done twice. REST-14
func TestAPIDoneBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	_, _ = w.tryCommand("users", "create", "alice", books)
	p := w.caller(t, allScopes())
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// dies leaves the last answer as a process that was killed before it: the change is stored, the answer is not.
	dies := func(until int64) {
		t.Helper()
		done, err := db.Exec("UPDATE api_answers SET status = 0, answer = x'', taken_until = $1 WHERE made <> ''", until)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			t.Fatalf("no change has noted that it is done: %d, %v", n, err)
		}
	}
	mappings := func() int {
		var all struct{ Items []struct{ ID int64 } }
		p.get("/mappings?limit=100", &all)
		return len(all.Items)
	}
	in := map[string]any{"person": "bob", "account": bakery, "role": "campaign_creator"}
	first := p.call(http.MethodPost, "/mappings", in, "Idempotency-Key", "m")
	p.into(first, http.StatusCreated, nil)
	before := mappings()
	dies(1 << 60)
	p.refused("while it may still be worked on", p.call(http.MethodPost, "/mappings", in, "Idempotency-Key", "m"), 409,
		"in_progress")
	dies(0)
	again := p.call(http.MethodPost, "/mappings", in, "Idempotency-Key", "m")
	if again.status != http.StatusCreated || string(again.body) != string(first.body) ||
		again.header.Get("ETag") != first.header.Get("ETag") || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("after the crash: %d %s, want %s", again.status, again.body, first.body)
	}
	if n := mappings(); n != before {
		t.Errorf("%d mappings, want %d", n, before)
	}
	p.refused("another request", p.call(http.MethodPost, "/mappings", map[string]any{"person": "zoe", "account": bakery,
		"role": "campaign_creator"}, "Idempotency-Key", "m"), 422, "key_reused")

	type creationPlan struct {
		ID    int64
		State string
	}
	plans := func() int {
		var all struct{ Items []creationPlan }
		p.get("/plans", &all)
		return len(all.Items)
	}
	made := p.call(http.MethodPost, "/plans", nil, "Idempotency-Key", "p")
	var begun, found creationPlan
	p.into(made, http.StatusAccepted, &begun)
	// Made to its end first: a plan that is being made refuses another one, which would hide that one is begun.
	if !eventually(func() bool {
		p.get(fmt.Sprintf("/plans/%d", begun.ID), &found)
		return found.State == "ready"
	}) {
		t.Fatalf("the plan is %s", found.State)
	}
	number := plans()
	dies(0)
	replayed := p.call(http.MethodPost, "/plans", nil, "Idempotency-Key", "p")
	p.into(replayed, http.StatusAccepted, &found)
	if found.ID != begun.ID || replayed.header.Get("Location") != made.header.Get("Location") || plans() != number {
		t.Errorf("after the crash plan %d at %s of %d, want plan %d of %d", found.ID, replayed.header.Get("Location"),
			plans(), begun.ID, number)
	}
	apply := fmt.Sprintf("/plans/%d/apply", begun.ID)
	p.into(p.call(http.MethodPost, apply, map[string]any{}, "Idempotency-Key", "a"), http.StatusAccepted, nil)
	if !eventually(func() bool {
		p.get(fmt.Sprintf("/plans/%d", begun.ID), &found)
		return found.State == "done"
	}) {
		t.Fatalf("the plan is %s", found.State)
	}
	dies(0)
	p.into(p.call(http.MethodPost, apply, map[string]any{}, "Idempotency-Key", "a"), http.StatusAccepted, &found)
	if found.ID != begun.ID || found.State != "done" {
		t.Errorf("applied before the crash: %+v", found)
	}

	suspend := "/accounts/" + books + "/users/alice/suspend"
	var user struct{ State string }
	p.into(p.call(http.MethodPost, suspend, nil, "Idempotency-Key", "s"), http.StatusOK, &user)
	dies(0)
	p.into(p.call(http.MethodPost, suspend, nil, "Idempotency-Key", "s"), http.StatusOK, &user)
	if user.State != "suspended" {
		t.Errorf("suspended before the crash: %+v", user)
	}
	p.refused("without the key", p.call(http.MethodPost, suspend, nil), http.StatusConflict, "conflict")

	p.into(p.call(http.MethodPost, "/notices", map[string]any{"name": "billing", "kind": "webhook",
		"url": "https://hooks.example.test/a", "classes": []string{"account.*"}}), http.StatusCreated, nil)
	for n := range 2 {
		if _, err := db.Exec(`
			INSERT INTO notice_deliveries (notice, subscription, state, tries, created_at, due_at, tried_at, message, answer)
			SELECT $1, id, 'dead', 9, 0, 0, 0, '', '' FROM notice_subscriptions`, 1<<40+n); err != nil {
			t.Fatal(err)
		}
	}
	const resend = "/notices/billing/resend"
	for range 2 {
		var sent struct{ Notices int }
		p.into(p.call(http.MethodPost, resend, map[string]any{"undelivered": true}, "Idempotency-Key", "r"), http.StatusOK,
			&sent)
		if sent.Notices != 2 {
			t.Errorf("%d notices are sent once more, want 2", sent.Notices)
		}
		dies(0)
	}

	// Who was forgotten can't be found a second time; the key says what was done.
	var users struct {
		Items []struct {
			Person string `json:"person_id"`
		}
	}
	p.get("/users?person=alice", &users)
	if len(users.Items) == 0 {
		t.Fatal("no user of alice")
	}
	known := users.Items[0]
	forget := map[string]any{"person_id": known.Person, "users_deleted": true}
	for range 2 {
		var gone struct {
			Person string `json:"person_id"`
		}
		p.into(p.call(http.MethodPost, "/people/alice/forget", forget, "Idempotency-Key", "f"), http.StatusOK, &gone)
		if gone.Person != known.Person || gone.Person == "" {
			t.Errorf("forgotten: %q, want %q", gone.Person, known.Person)
		}
		dies(0)
	}
	if n := len(strings.Split(strings.TrimSpace(w.command(t, "audit", "list", "--action", "forget-person", "--json")),
		"\n")); n != 1 {
		t.Errorf("forgotten %d times", n)
	}
}

// A token that is used from a network that is not its own leaves an event: the first at once, and no second one for the
// others of that hour.
func TestAPIFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	p := w.caller(t, "status:read", "--from", "192.0.2.0/24")
	reader := w.caller(t, "audit:read")
	for range 5 {
		p.refused("from elsewhere", p.call(http.MethodGet, "/status", nil), http.StatusForbidden, "network")
	}
	var events struct {
		Items []struct{ Action, Actor, Outcome, Subject string }
	}
	reader.get("/audit?action=token-refused", &events)
	if len(events.Items) != 1 || events.Items[0].Actor != "token:"+p.id || events.Items[0].Outcome != "refused" ||
		events.Items[0].Subject != p.id {
		t.Errorf("events: %+v", events)
	}
}
