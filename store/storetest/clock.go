package storetest

import (
	"testing"
	"time"

	"ssobridge/store"
)

// testClock: ID-30. The time that was last noted outlives the program, and can be set back.
func testClock(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	r, err := db.Clock().Read(ctx)
	must(t, err)
	if !r.Seen.IsZero() || !r.Accepted.IsZero() || time.Since(r.Database).Abs() > time.Minute {
		t.Errorf("%+v", r)
	}
	now := r.Database.UTC().Truncate(time.Microsecond)
	for _, at := range []time.Time{now.Add(time.Hour), now.Add(-time.Hour)} {
		must(t, db.Clock().Accept(ctx, at, event("noted")))
		must(t, db.Clock().Note(ctx, at.Add(time.Minute)))
		if r, err = open(t, o).Clock().Read(ctx); err != nil || !r.Seen.Equal(at.Add(time.Minute)) || !r.Accepted.Equal(at) {
			t.Errorf("noted is %+v, %v, want %v", r, err, at)
		}
	}
	testPutRight(t, fresh(t))
	if n := events(t, db, "noted"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// testPutRight: REAL-59. What a clock that ran ahead has left for later is due at once, and what was being done when
// its lease is longer than any is given; what waits by the right time goes on waiting.
func testPutRight(t *testing.T, o store.Options) {
	t.Helper()
	ctx, db := t.Context(), open(t, o)
	l, hour := db.Ledger(), time.Hour.Microseconds()
	keys := map[string]store.UserKey{}
	for _, p := range []string{"ahead", "dead", "alive", "waits"} {
		u := wanted(t, l, p, store.SignInPriority)
		keys[p] = keyOf(u)
	}
	exec := func(text string, args ...any) {
		t.Helper()
		_, err := rawDB(t, o).Exec(text, args...)
		must(t, err)
	}
	exec(`UPDATE sso_users SET due_at = due_at + $1, next_attempt = due_at + $1, updated_at = updated_at + $1,
		created_at = created_at + $1 WHERE person_id = $2`, hour, string(keys["ahead"].Person))
	exec(`UPDATE sso_users SET due_at = due_at + $1, next_attempt = due_at + $1 WHERE person_id = $2`, hour,
		string(keys["waits"].Person))
	exec(`UPDATE sso_users SET state = 'sending', due_at = updated_at + $1, lease_until = updated_at + $1
		WHERE person_id = $2`, hour, string(keys["dead"].Person))
	exec(`UPDATE sso_users SET state = 'sending', due_at = updated_at + $1, lease_until = updated_at + $1
		WHERE person_id = $2`, (15 * time.Second).Microseconds(), string(keys["alive"].Person))
	moved := func(leases bool, want int64) {
		t.Helper()
		if n, err := db.Clock().PutRight(ctx, time.Hour, 15*time.Second, leases); err != nil || n != want {
			t.Errorf("leases %t: %d rows moved, %v; want %d", leases, n, err, want)
		}
	}
	moved(false, 1)
	moved(false, 0)
	for name, ttl := range map[string]time.Duration{"of a dead one": 2 * time.Hour, "of a living one": time.Minute} {
		if ok, err := db.Leases().Take(ctx, name, "another", ttl); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	moved(true, 2)
	moved(true, 0)
	for name, free := range map[string]bool{"of a dead one": true, "of a living one": false} {
		if ok, err := db.Leases().Take(ctx, name, "me", time.Minute); err != nil || ok != free {
			t.Errorf("lease %s is free: %t, %v; want %t", name, ok, err, free)
		}
	}
	now := time.Now().Add(time.Second)
	for p, soon := range map[string]bool{"ahead": true, "waits": false} {
		if u, err := l.Get(ctx, keys[p].Person, keys[p].Account); err != nil || u.NextAttempt.Before(now) != soon ||
			u.CreatedAt.After(now) || u.UpdatedAt.After(now) {
			t.Errorf("%s: %+v, %v; want it due: %t", p, u, err, soon)
		}
	}
	for p, over := range map[string]bool{"dead": true, "alive": false} {
		if u, err := l.Get(ctx, keys[p].Person, keys[p].Account); err != nil || u.LeaseUntil.Before(now) != over {
			t.Errorf("%s: lease until %v, %v; want it over: %t", p, u.LeaseUntil, err, over)
		}
	}
	b := db.Budget(store.BudgetLimits{PerSecond: 4, PerDay: 100})
	if s, err := b.Status(ctx); err != nil || s.JumpedBy != time.Hour {
		t.Errorf("status %+v, %v, want a jump of an hour", s, err)
	}
	must(t, db.Clock().JumpedAhead(ctx, 2*time.Hour))
	if s, err := b.Status(ctx); err != nil || s.JumpedBy != -2*time.Hour || time.Since(s.JumpedAt) > time.Minute {
		t.Errorf("status %+v, %v, want a jump ahead", s, err)
	}
}
