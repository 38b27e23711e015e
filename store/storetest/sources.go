package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// launched is a session that a token of a source begins.
func launched(n int, token string, issued time.Time) store.Session {
	return store.Session{
		TokenHash: hash(fmt.Sprint("launched ", n)), Person: "source-portal.a", Login: "portal:a", Browser: hash("browser"),
		AuthenticatedAt: issued, Methods: []string{"launch:portal"}, Reading: []byte("{}"), ReadAt: issued,
		EndsAt: issued.Add(time.Hour),
		Uses:   &store.UsedToken{Source: "portal", Token: hash(token), IssuedAt: issued, EndsAt: issued.Add(2 * time.Minute)},
	}
}

// testSources: of many who use one token at once, one gets a session; disabled and revoked sources begin none.
func testSources(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db, other := open(t, o), open(t, o) // two replicas
	ctx, issued := t.Context(), time.Now()
	var (
		wait        sync.WaitGroup
		first, used atomic.Int64
	)
	for i := range 12 {
		on := db
		if i%2 == 1 {
			on = other
		}
		wait.Go(func() {
			switch err := on.Sessions().Create(ctx, launched(i, "one", issued), nil); {
			case err == nil:
				first.Add(1)
			case errors.Is(err, store.ErrTokenUsed):
				used.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if first.Load() != 1 || used.Load() != 11 {
		t.Errorf("%d got a session and %d were refused, want 1 and 11", first.Load(), used.Load())
	}
	if all, err := db.Sessions().OfPerson(ctx, "source-portal.a", 0); err != nil || len(all) != 1 {
		t.Errorf("sessions: %v, %v, want one", all, err)
	}
	same := launched(20, "one", issued)
	same.Uses.Source = "other"
	if err := db.Sessions().Create(ctx, same, nil); err != nil {
		t.Errorf("the same jti of another source: %v", err)
	}
	// A request is answered once, whatever token answers it, and another source's of that name is another.
	answer := launched(30, "five", issued)
	answer.Uses.Request, answer.Uses.RequestEndsAt = hash("request"), issued.Add(10*time.Minute)
	must(t, db.Sessions().Create(ctx, answer, nil))
	second := launched(31, "six", issued)
	second.Uses.Request, second.Uses.RequestEndsAt = hash("request"), issued.Add(10*time.Minute)
	if err := other.Sessions().Create(ctx, second, nil); !errors.Is(err, store.ErrRequestUsed) {
		t.Errorf("a request that was answered: %v, want ErrRequestUsed", err)
	}
	second.Uses.Request = hash("another request")
	must(t, other.Sessions().Create(ctx, second, nil)) // its token was not used up by what was refused
	if all, err := db.Sources().List(ctx); err != nil || len(all) != 0 {
		t.Errorf("states: %v, %v", all, err)
	}

	must(t, db.Sources().SetEnabled(ctx, "portal", false, event("source-disable")))
	if err := other.Sessions().Create(ctx, launched(21, "two", issued), nil); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("of a disabled source: %v, want ErrRevoked", err)
	}
	must(t, db.Sources().SetEnabled(ctx, "portal", true, event("source-enable")))
	if err := other.Sessions().Create(ctx, launched(22, "two", issued), nil); err != nil {
		t.Errorf("the token that was refused is not used up: %v", err)
	}
	ahead.Store(int64(time.Second))
	before, err := db.Changes(ctx)
	must(t, err)
	must(t, db.Sources().Revoke(ctx, "portal", event("source-revoke")))
	if after, err := other.Changes(store.NewReading(ctx)); err != nil || after == before {
		t.Errorf("the change counter stands still: %d, %v", after, err)
	}
	if err := other.Sessions().Create(ctx, launched(23, "three", issued), nil); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("a token from before the revocation: %v, want ErrRevoked", err)
	}
	if err := other.Sessions().Create(ctx, launched(24, "three", issued.Add(time.Minute)), nil); err != nil {
		t.Errorf("a token from after it: %v", err)
	}
	all, err := other.Sources().List(ctx)
	if err != nil || len(all) != 1 || all[0].Name != "portal" || !all[0].DisabledAt.IsZero() || all[0].RevokedAt.IsZero() {
		t.Errorf("states: %+v, %v", all, err)
	}
	if n, err := db.Sources().Purge(ctx); n != 0 || err != nil {
		t.Errorf("purge at once: %d, %v, want 0", n, err)
	}
	ahead.Store(int64(4 * time.Minute))
	if n, err := db.Sources().Purge(ctx); n != 6 || err != nil {
		t.Errorf("purge later: %d, %v, want 6", n, err)
	}
	if err := db.Sessions().Create(ctx, launched(25, "four", issued.Add(4*time.Minute)), nil); err != nil {
		t.Errorf("a token after the purge: %v", err)
	}
	settlesSources(t, db, fresh)
}

// settlesSources: a source that was disabled and revoked is both after a restore of a copy from before (ID-16).
func settlesSources(t *testing.T, db *store.DB, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	must(t, db.Sources().SetEnabled(ctx, "portal", false, event("source-disable")))
	words, err := db.Revocations().After(ctx, 0, 1000)
	must(t, err)
	copied := open(t, fresh(t))
	done, err := copied.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Codes: "spare",
		Spend: func(f store.SecondFactor, _ func(string) bool) (store.SecondFactor, bool, bool) {
			return f, false, true
		},
		Event: event("settle")})
	if err != nil || done.Sources < 2 {
		t.Errorf("settled %d words of sources, %v, want two or more", done.Sources, err)
	}
	all, err := copied.Sources().List(ctx)
	if err != nil || len(all) != 1 || all[0].Name != "portal" || all[0].DisabledAt.IsZero() || all[0].RevokedAt.IsZero() {
		t.Errorf("after it: %+v, %v", all, err)
	}
}

// testSourceLogouts: a sign-out at a source ends the sessions that began under its names, and those that were to begin.
func testSourceLogouts(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	db, other := open(t, o), open(t, o) // two replicas
	ctx, issued := t.Context(), time.Now()
	const person = store.PersonID("source-portal.a")
	begins := func(on *store.DB, n int, mark int64, names ...string) error {
		s := launched(n, fmt.Sprint("token ", n), issued)
		s.TokenHash, s.Mark, s.Methods = hash(fmt.Sprint("named ", n)), mark, append([]string{"launch:portal"}, names...)
		for _, name := range names {
			s.Uses.Names = append(s.Uses.Names, hash(name))
		}
		return on.Sessions().Create(ctx, s, nil)
	}
	mark := func() int64 {
		t.Helper()
		m, err := db.Sessions().Mark(ctx)
		must(t, err)
		return m
	}
	out := func(on *store.DB, token string, names ...string) (int, error) {
		l := store.SourceLogout{Source: "portal", EndsAt: issued.Add(time.Hour), Uses: &store.UsedToken{Source: "portal",
			Token: hash(token), IssuedAt: issued, EndsAt: issued.Add(time.Hour)}}
		for _, name := range names {
			l.Names = append(l.Names, hash(name))
		}
		return on.Sources().SignOut(ctx, l, func(s store.Session) bool {
			return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(s.Methods, name) })
		}, func(store.Session) store.Event { return event("out") })
	}
	alive := func() int {
		t.Helper()
		all, err := db.Sessions().OfPerson(ctx, person, 0)
		must(t, err)
		return len(all)
	}
	before := mark()
	must(t, begins(db, 1, before, "sub", "sid 1"))
	must(t, begins(other, 2, before, "sub", "sid 2"))
	if n, err := out(other, "out 1", "sid 1"); n != 1 || err != nil || alive() != 1 {
		t.Errorf("by sid: %d, %v, %d left", n, err, alive())
	}
	if n, err := out(db, "out 1", "sid 2"); n != 0 || !errors.Is(err, store.ErrTokenUsed) || alive() != 1 {
		t.Errorf("the token again: %d, %v, %d left", n, err, alive())
	}
	for name, c := range map[string]struct {
		mark  int64
		names []string
		want  error
	}{
		"came before":        {before, []string{"sub", "sid 1"}, store.ErrSignedOut},
		"came after":         {mark(), []string{"sub", "sid 1"}, nil},
		"of another session": {before, []string{"sub", "sid 3"}, nil},
	} {
		if err := begins(db, 10+len(name), c.mark, c.names...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if n, err := out(db, "out 2", "sub"); n != 3 || err != nil || alive() != 0 {
		t.Errorf("by sub: %d, %v, %d left", n, err, alive())
	}
	if n, err := out(db, "out 3", "somebody else"); n != 0 || err != nil {
		t.Errorf("of nobody: %d, %v", n, err)
	}
	must(t, db.Sources().SetEnabled(ctx, "portal", false, event("off")))
	if _, err := out(db, "out 4", "sub"); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("of a disabled source: %v", err)
	}
	off := store.SourceLogout{Source: "portal", Names: [][]byte{hash("sub")}, EndsAt: issued.Add(time.Hour),
		Disabled: true, Uses: &store.UsedToken{Source: "portal", Token: hash("out 5"),
			IssuedAt: issued, EndsAt: issued.Add(time.Hour)}}
	for _, want := range []error{nil, store.ErrTokenUsed} { // it counts there too, and once
		all := func(store.Session) bool { return true }
		out := func(store.Session) store.Event { return event("out") }
		if _, err := db.Sources().SignOut(ctx, off, all, out); !errors.Is(err, want) {
			t.Errorf("where a disabled source signs out: %v, want %v", err, want)
		}
	}
	must(t, db.Sources().SetEnabled(ctx, "portal", true, event("on")))

	// At once, on two replicas: whoever came before has no session in the end, however they cross.
	for round := range 20 {
		at, sid := mark(), fmt.Sprint("round ", round)
		var wait sync.WaitGroup
		for i := range 4 {
			on := []*store.DB{db, other}[i%2]
			wait.Go(func() {
				if err := begins(on, 100+10*round+i, at, "sub", sid); err != nil && !errors.Is(err, store.ErrSignedOut) {
					t.Error(err)
				}
			})
		}
		wait.Go(func() {
			if _, err := out(other, sid, sid); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
		if n := alive(); n != 0 {
			t.Fatalf("round %d: %d sessions outlive the sign-out", round, n)
		}
	}
	if n, err := db.Sources().Purge(ctx); n != 0 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

// testSourceKeys: the youngest keys of a source are kept, for each replica, and nothing that nobody vouched for.
func testSourceKeys(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	db, other := open(t, o), open(t, o) // two replicas
	ctx, at := t.Context(), time.Now().Truncate(time.Microsecond)
	kept := func(want string, when time.Time) {
		t.Helper()
		content, fetched, err := other.SourceKeys().Load(ctx, "portal")
		if err != nil || string(content) != want || !fetched.Equal(when) {
			t.Errorf("got %q of %s, %v; want %q of %s", content, fetched, err, want, when)
		}
	}
	kept("", time.Time{})
	must(t, db.SourceKeys().Keep(ctx, "portal", []byte("one"), at.Add(-time.Hour)))
	kept("one", at.Add(-time.Hour))
	must(t, other.SourceKeys().Keep(ctx, "portal", []byte("three"), at))
	must(t, db.SourceKeys().Keep(ctx, "portal", []byte("two"), at.Add(-time.Minute)))
	must(t, db.SourceKeys().Keep(ctx, "other", []byte("four"), at))
	kept("three", at)
	raw := rawDB(t, o)
	for name, change := range map[string]string{
		"another content": `UPDATE source_keys SET content = (SELECT content FROM source_keys WHERE source = 'other') WHERE source = 'portal'`,
		"younger":         `UPDATE source_keys SET fetched_at = fetched_at + 1 WHERE source = 'portal'`,
		"another source's": `UPDATE source_keys SET mac = (SELECT mac FROM source_keys WHERE source = 'other'),
			content = (SELECT content FROM source_keys WHERE source = 'other') WHERE source = 'portal'`,
	} {
		at = at.Add(time.Second)
		must(t, db.SourceKeys().Keep(ctx, "portal", []byte(name), at))
		kept(name, at)
		if _, err := raw.Exec(change); err != nil {
			t.Fatal(err)
		}
		kept("", time.Time{})
	}
	// What a clock that ran ahead has kept is not believed, and gives way.
	must(t, db.SourceKeys().Keep(ctx, "portal", []byte("ahead"), at.Add(time.Hour)))
	kept("", time.Time{})
	must(t, db.SourceKeys().Keep(ctx, "portal", []byte("right"), at))
	kept("right", at)
}
