package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ssobridge/store"
)

// testAccountReadings: what is read of one account, beside the list of all.
func testAccountReadings(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, raw := open(t, o), rawDB(t, o)
	s := db.Accounts()
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	get := func(id store.AccountID) store.Account {
		t.Helper()
		a, err := s.Get(ctx, id)
		must(t, err)
		return a
	}
	if _, err := s.Get(ctx, "a1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get none: %v, want ErrNotFound", err)
	}
	if any, err := s.Any(ctx); err != nil || any {
		t.Errorf("one was listed: %t, %v", any, err)
	}
	listed := store.Account{ID: "a1", Name: "One", BillingStatus: "Open", SeenAt: at}
	must(t, s.ReplaceAll(ctx, []store.Account{listed}, event("a")))
	if any, err := s.Any(ctx); err != nil || !any {
		t.Errorf("none was listed: %t, %v", any, err)
	}
	for _, c := range []struct {
		name  string
		put   store.Account
		want  store.Account
		moves bool
	}{
		{"the same", store.Account{ID: "a1", BillingStatus: "Open", PlanType: "GOLD", CheckedAt: at},
			store.Account{ID: "a1", Name: "One", BillingStatus: "Open", SeenAt: at, PlanType: "GOLD", CheckedAt: at}, false},
		{"another plan", store.Account{ID: "a1", BillingStatus: "Open", PlanType: "TRIAL", CheckedAt: at.Add(time.Second)},
			store.Account{ID: "a1", Name: "One", BillingStatus: "Open", SeenAt: at, PlanType: "TRIAL",
				CheckedAt: at.Add(time.Second)}, false},
		{"another status", store.Account{ID: "a1", BillingStatus: "Canceled", CheckedAt: at},
			store.Account{ID: "a1", Name: "One", BillingStatus: "Canceled", SeenAt: at, CheckedAt: at}, true},
		{"another name", store.Account{ID: "a1", Name: "Eins", BillingStatus: "Canceled", SeenAt: at.Add(time.Minute),
			CheckedAt: at},
			store.Account{ID: "a1", Name: "Eins", BillingStatus: "Canceled", SeenAt: at.Add(time.Minute), CheckedAt: at}, true},
		{"new", store.Account{ID: "a2", Name: "Two", CheckedAt: at}, store.Account{ID: "a2", Name: "Two",
			CheckedAt: at}, true},
	} {
		before, err := db.Changes(ctx)
		must(t, err)
		must(t, s.Put(ctx, c.put, event("put")))
		if diff := cmp.Diff(c.want, get(c.put.ID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if after, err := db.Changes(ctx); err != nil || (after > before) != c.moves {
			t.Errorf("%s: counter from %d to %d, %v, want it to move: %t", c.name, before, after, err, c.moves)
		}
	}
	must(t, s.Put(ctx, store.Account{ID: "a2", PlanType: "GOLD"}, event("put")))
	if a := get("a2"); time.Since(a.CheckedAt) > time.Minute || time.Since(a.CheckedAt) < -time.Minute {
		t.Errorf("checked at %v, want now", a.CheckedAt)
	}
	// The list knows nothing of plans, and takes nothing away.
	before := get("a2")
	must(t, s.ReplaceAll(ctx, []store.Account{{ID: "a2", Name: "Two", BillingStatus: "Open", SeenAt: at,
		PlanType: "BRONZE", CheckedAt: at}}, event("a")))
	want := before
	want.BillingStatus, want.SeenAt = "Open", at
	if diff := cmp.Diff(want, get("a2")); diff != "" {
		t.Errorf("after the list (-want +got):\n%s", diff)
	}
	if list, err := s.List(ctx); err != nil || len(list) != 2 || list[1] != want {
		t.Errorf("list %+v, %v", list, err)
	}
	if n := events(t, db, "put"); n != 6 {
		t.Errorf("%d events, want 6", n)
	}

	// Two who write at once: a cache that has seen the counter has seen the status.
	replicas := []*store.Accounts{s, open(t, o).Accounts()}
	for _, err := range all(20, func(i int) error {
		return replicas[i%2].Put(ctx, store.Account{ID: "a1", BillingStatus: []string{"Open", "Canceled"}[i/2%2]},
			event("many"))
	}) {
		must(t, err)
	}
	var changes int
	must(t, raw.QueryRow(`SELECT value FROM counters WHERE name = 'changes'`).Scan(&changes))
	last := get("a1").BillingStatus
	must(t, s.Put(ctx, store.Account{ID: "a1", BillingStatus: last}, event("many")))
	var after int
	must(t, raw.QueryRow(`SELECT value FROM counters WHERE name = 'changes'`).Scan(&after))
	if after != changes {
		t.Errorf("counter from %d to %d for the status that stands", changes, after)
	}
}

// testAccountRequests: the intention before the call, the outcome after it.
func testAccountRequests(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	s := db.Accounts()
	order := func(login string) store.AccountRequest {
		return store.AccountRequest{LoginName: login, OrganizationName: "Ümlaut & Co",
			Body:   json.RawMessage(`{"login_name":"` + login + `"}`),
			Person: "p1", ExternalID: "x-" + login, CreatedBy: "admin:x", State: store.RequestCreated, Account: "a9"}
	}
	r, err := s.WantAccount(ctx, order("first-login"), event("want"))
	must(t, err)
	want := order("first-login")
	want.ID, want.State, want.Account = r.ID, store.RequestWanted, ""
	if diff := cmp.Diff(want, r, cmpopts.IgnoreFields(store.AccountRequest{}, "CreatedAt", "UpdatedAt")); diff != "" ||
		r.ID == 0 || r.CreatedAt.IsZero() {
		t.Errorf("stored at %v (-want +got):\n%s", r.CreatedAt, diff)
	}
	if got, err := s.AccountRequest(ctx, r.ID); err != nil || cmp.Diff(r, got) != "" {
		t.Errorf("read back %+v, %v", got, err)
	}

	if _, err := s.WantAccount(ctx, order("first-login"), event("bad")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same login name: %v, want ErrConflict", err)
	}
	for name, change := range map[string]func(*store.AccountRequest){
		"no login name": func(r *store.AccountRequest) { r.LoginName = "" },
		"no body":       func(r *store.AccountRequest) { r.Body = nil },
		"no JSON":       func(r *store.AccountRequest) { r.Body = json.RawMessage(`{`) },
		"huge":          func(r *store.AccountRequest) { r.Body = json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`) },
	} {
		bad := order("other-login")
		change(&bad)
		if _, err := s.WantAccount(ctx, bad, event("bad")); err == nil {
			t.Errorf("%s: stored", name)
		}
	}

	settle := func(r store.AccountRequest, from, to string) error {
		r.State = to
		return s.SettleAccount(ctx, r, from, event("settle "+to))
	}
	must(t, settle(r, store.RequestWanted, store.RequestSending))
	if err := settle(r, store.RequestWanted, store.RequestRefused); !errors.Is(err, store.ErrConflict) {
		t.Errorf("settled from a state that has passed: %v, want ErrConflict", err)
	}
	if err := settle(store.AccountRequest{ID: 999}, store.RequestWanted, store.RequestSending); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("settled none: %v, want ErrNotFound", err)
	}
	if err := settle(r, store.RequestSending, "odd"); err == nil {
		t.Error("a state that is none was stored")
	}
	r.Account, r.ProvisionUUID, r.ErrorKey, r.ErrorText = "a7", "uuid", "key", "text"
	must(t, settle(r, store.RequestSending, store.RequestCreated))
	got, err := s.AccountRequest(ctx, r.ID)
	must(t, err)
	r.State = store.RequestCreated
	if diff := cmp.Diff(r, got, cmpopts.IgnoreFields(store.AccountRequest{}, "UpdatedAt")); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}

	// What was refused made nothing, and is asked for anew with fixed data; what may have made something is not.
	second, err := s.WantAccount(ctx, order("second-login"), event("want"))
	must(t, err)
	for _, state := range []string{store.RequestSending, store.RequestUnknown, store.RequestAccepted,
		store.RequestConflict, store.RequestRefused} {
		before, err := s.AccountRequest(ctx, second.ID)
		must(t, err)
		before.ErrorKey = "key"
		must(t, settle(before, before.State, state))
		fixed := order("second-login")
		fixed.Body = json.RawMessage(`{"state_code":"MA"}`)
		again, err := s.WantAccount(ctx, fixed, event("again"))
		if state != store.RequestRefused {
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("wanted again while %s: %v, want ErrConflict", state, err)
			}
			// Of two replicas that have read the same, one looks what became of it.
			read, err := s.AccountRequest(ctx, second.ID)
			must(t, err)
			if ok, err := s.LookAgain(ctx, read); err != nil || !ok {
				t.Errorf("the first look while %s: %v, %v", state, ok, err)
			}
			if ok, err := s.LookAgain(ctx, read); err != nil || ok {
				t.Errorf("the same look again while %s: %v, %v", state, ok, err)
			}
			continue
		}
		must(t, err)
		if again.ID != second.ID || again.State != store.RequestWanted || string(again.Body) != string(fixed.Body) ||
			again.ErrorKey != "" {
			t.Errorf("wanted again %+v", again)
		}
	}

	for _, c := range []struct {
		states []string
		limit  int
		want   []int64
	}{
		{nil, 10, []int64{second.ID, r.ID}}, {nil, 1, []int64{second.ID}},
		{[]string{store.RequestCreated, store.RequestAccepted}, 10, []int64{r.ID}}, {[]string{store.RequestUnknown}, 10, nil},
	} {
		list, err := s.AccountRequests(ctx, c.limit, c.states...)
		must(t, err)
		var ids []int64
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		if diff := cmp.Diff(c.want, ids); diff != "" {
			t.Errorf("%d of %v (-want +got):\n%s", c.limit, c.states, diff)
		}
	}
	for _, limit := range []int{0, 1001} {
		if _, err := s.AccountRequests(ctx, limit); err == nil {
			t.Errorf("limit %d was accepted", limit)
		}
	}
	if _, err := s.AccountRequest(ctx, 999); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get none: %v", err)
	}
	if want, again, bad := events(t, db, "want"), events(t, db, "again"), events(t, db, "bad"); want != 2 ||
		again != 1 || bad != 0 {
		t.Errorf("%d, %d and %d events, want 2, 1 and 0", want, again, bad)
	}

	// Of two programs that have read the same state, one goes on.
	replicas := []*store.Accounts{s, open(t, o).Accounts()}
	won := 0
	for _, err := range all(8, func(i int) error {
		r := second
		r.State = store.RequestSending
		return replicas[i%2].SettleAccount(ctx, r, store.RequestWanted, event("race"))
	}) {
		if err == nil {
			won++
		} else if !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d have sent it, want 1", won)
	}
}

// testHints: however many come, few readings follow.
func testHints(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const gap = time.Minute
	t.Run("coalesced", func(t *testing.T) {
		o := fresh(t)
		db, raw := open(t, o), rawDB(t, o)
		s := db.Accounts()
		must(t, s.ReplaceAll(ctx, []store.Account{{ID: "a1"}, {ID: "a2"}, {ID: "a3"}}, event("a")))
		hint := func(id store.AccountID, want bool) {
			t.Helper()
			if ok, err := s.AccountChanged(ctx, id, "tier.increase", gap); err != nil || ok != want {
				t.Errorf("hint about %s: %t, %v, want %t", id, ok, err, want)
			}
		}
		next := func(want store.AccountID, perDay int) {
			t.Helper()
			id, err := s.NextChanged(ctx, perDay)
			if want == "" {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("next: %q, %v, want ErrNotFound", id, err)
				}
				return
			}
			if err != nil || id != want {
				t.Errorf("next: %q, %v, want %s", id, err, want)
			}
		}
		// back makes it as if some time had passed since all that was noted.
		back := func(d time.Duration) {
			t.Helper()
			_, err := raw.Exec(`UPDATE account_hints SET hint_at = hint_at - $1, read_at = read_at - $1,
				due_at = CASE WHEN due_at > 0 THEN due_at - $1 ELSE 0 END`, d.Microseconds())
			must(t, err)
		}
		next("", 100)
		hint("unheard", false)
		hint("bad \x00 id", false)
		next("", 100)
		for range 5 {
			hint("a2", true)
		}
		back(time.Second)
		hint("a1", true)
		next("a2", 100)
		next("a1", 100)
		next("", 100)
		hint("a2", true) // so soon after the last reading: it waits
		hint("a2", true)
		next("", 100)
		back(gap)
		next("a2", 100)
		next("", 100)
		if _, err := s.AccountChanged(ctx, "a1", "x", -time.Second); err == nil {
			t.Error("a gap below 0 was accepted")
		}

		// Three readings were taken: the day has no fourth.
		var before time.Time
		hint("a3", true)
		next("", 3)
		next("", 0)
		_, err := raw.Exec(`UPDATE counters SET value = value - 1 WHERE name = 'hint_day'`)
		must(t, err)
		next("a3", 3)
		hint("a1", true)
		back(2 * gap)
		next("a1", 3)
		hint("a2", true)
		back(2 * gap)
		next("a2", 3)
		hint("a3", true)
		back(2 * gap)
		next("", 3)
		next("a3", 4)

		// A clock that was set back a year does not put a reading off by a year.
		hint("a3", true)
		_, err = raw.Exec(`UPDATE account_hints SET due_at = 0, read_at = read_at + $1 WHERE account = 'a3'`,
			(365 * 24 * time.Hour).Microseconds())
		must(t, err)
		before = time.Now()
		hint("a3", true)
		var due int64
		must(t, raw.QueryRow(`SELECT due_at FROM account_hints WHERE account = 'a3'`).Scan(&due))
		if wait := time.UnixMicro(due).Sub(before); wait < gap-5*time.Second || wait > gap+5*time.Second {
			t.Errorf("due in %v, want the gap", wait)
		}
	})
	t.Run("taken once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.Accounts{open(t, o).Accounts(), open(t, o).Accounts()}
		var accounts []store.Account
		for _, c := range "abcdefghijklmnopqrst" {
			accounts = append(accounts, store.Account{ID: store.AccountID(c)})
		}
		must(t, replicas[0].ReplaceAll(ctx, accounts, event("a")))
		for _, err := range all(len(accounts), func(i int) error {
			_, err := replicas[i%2].AccountChanged(ctx, accounts[i].ID, "x", gap)
			return err
		}) {
			must(t, err)
		}
		taken := make([]store.AccountID, len(accounts))
		const perDay = 12
		seen := map[store.AccountID]bool{}
		for _, err := range all(len(accounts), func(i int) (err error) {
			taken[i], err = replicas[i%2].NextChanged(ctx, perDay)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return err
		}) {
			must(t, err)
		}
		total := 0
		for _, id := range taken {
			if id == "" {
				continue
			}
			if total++; seen[id] {
				t.Errorf("%s was taken twice", id)
			}
			seen[id] = true
		}
		if total != perDay {
			t.Errorf("%d readings, want the day's %d", total, perDay)
		}
	})
}
