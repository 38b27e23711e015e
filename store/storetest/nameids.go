package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// testNameIDs: a NameID is one person's, whoever asks at the same moment, and what the version before issued is taken
// over (row ID-05).
func testNameIDs(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	var mu sync.Mutex
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	advance := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	db, raw := open(t, o), rawDB(t, o)
	s := db.NameIDs()
	session := func(mark string, p store.PersonID) {
		t.Helper()
		must(t, db.Sessions().Create(ctx, store.Session{
			TokenHash: hash(mark), Person: p, Browser: hash("browser " + mark), AuthenticatedAt: o.Now(),
			EndsAt: o.Now().Add(240 * time.Hour),
			Proof:  store.Proof{Person: p, Browser: hash("browser " + mark)},
		}, nil))
	}
	issue := func(name, mark string, p store.PersonID) error {
		return db.SignIns().Finish(ctx, store.Issue{
			Participation: &store.Participation{TokenHash: hash(mark), EntityID: "sp", NameID: name, SessionIndex: "1"},
			NameID:        &store.NameID{Name: hash(name), Owner: hash("owner " + string(p)), Person: p, EntityID: "sp"},
			Events:        []store.Event{event("sign-in")},
		})
	}
	count := func(query string, args ...any) (n int) {
		t.Helper()
		must(t, raw.QueryRow(query, args...).Scan(&n))
		return n
	}
	session("s1", "p1")
	session("s2", "p2")
	if _, err := s.Get(ctx, hash("n1")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that nobody got: %v", err)
	}
	must(t, issue("n1", "s1", "p1"))
	first, err := s.Get(ctx, hash("n1"))
	must(t, err)
	if first.Person != "p1" || first.EntityID != "sp" || !first.FirstAt.Equal(o.Now()) || !first.LastAt.Equal(o.Now()) {
		t.Errorf("issued: %+v", first)
	}
	events := count(`SELECT COUNT(*) FROM audit_events`)
	if err := issue("n1", "s2", "p2"); !errors.Is(err, store.ErrNameIDTaken) {
		t.Errorf("another person: %v, want ErrNameIDTaken", err)
	}
	if n := count(`SELECT COUNT(*) FROM participations WHERE name_id = 'n1'`); n != 1 ||
		count(`SELECT COUNT(*) FROM audit_events`) != events {
		t.Errorf("what was refused left something: %d participations", n)
	}
	advance(23 * time.Hour)
	must(t, issue("n1", "s1", "p1"))
	if n, err := s.Get(ctx, hash("n1")); err != nil || !n.LastAt.Equal(first.LastAt) {
		t.Errorf("within a day: %+v, %v", n, err)
	}
	advance(2 * time.Hour)
	must(t, issue("n1", "s1", "p1"))
	if n, err := s.Get(ctx, hash("n1")); err != nil || !n.LastAt.Equal(o.Now()) || !n.FirstAt.Equal(first.FirstAt) {
		t.Errorf("a day later: %+v, %v", n, err)
	}

	// Of many at once one person gets it.
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		p, mark := store.PersonID("p1"), "s1"
		if i%2 == 1 {
			p, mark = "p2", "s2"
		}
		wg.Go(func() { results[i] = issue("n2", mark, p) })
	}
	wg.Wait()
	owner, err := s.Get(ctx, hash("n2"))
	must(t, err)
	for i, err := range results {
		p := store.PersonID("p1")
		if i%2 == 1 {
			p = "p2"
		}
		if (err == nil) != (p == owner.Person) || err != nil && !errors.Is(err, store.ErrNameIDTaken) {
			t.Errorf("%s at once with others, and %s has it: %v", p, owner.Person, err)
		}
	}

	must(t, s.Release(ctx, first, event("release")))
	if err := s.Release(ctx, first, event("release")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("released twice: %v", err)
	}
	must(t, issue("n1", "s2", "p2"))
	if err := s.Release(ctx, first, event("release")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("released, and another's by now: %v", err)
	}

	// The version before writes its participations without a word of it.
	insert := `INSERT INTO participations (token_hash, entity_id, name_id, session_index, name_id_format, issued_at) VALUES ($1, 'sp', $2, '2', 'f', $3)`
	for i, p := range []struct{ mark, name string }{{"s2", "old"}, {"s1", "old"}, {"s1", "transient"}} {
		_, err := raw.Exec(insert, hash(p.mark), p.name, o.Now().Add(time.Duration(i)*time.Second).UnixMicro())
		must(t, err)
	}
	var clashes []store.PersonID
	of := func(b store.IssuedBefore) (store.NameID, bool) {
		return store.NameID{Name: hash(b.NameID), Owner: hash("owner " + string(b.Person)), Person: b.Person,
			EntityID: b.EntityID}, b.NameID != "transient"
	}
	for _, want := range []int{2, 1, 0} {
		n, err := s.TakeOver(ctx, 2, of, func(b store.IssuedBefore) { clashes = append(clashes, b.Person) })
		if n != want || err != nil {
			t.Fatalf("taken over %d, %v; want %d", n, err, want)
		}
	}
	if n, err := s.Get(ctx, hash("old")); err != nil || n.Person != "p2" || len(clashes) != 1 || clashes[0] != "p1" {
		t.Errorf("taken over: %+v, %v, clashes %v; the first keeps it", n, err, clashes)
	}
	if _, err := s.Get(ctx, hash("transient")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a transient one was noted: %v", err)
	}

	// One key, whoever is first.
	if _, err := s.Key(ctx, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no key: %v", err)
	}
	for _, proposed := range []string{"one", "two"} {
		if sealed, err := s.Key(ctx, []byte(proposed)); err != nil || string(sealed) != "one" {
			t.Errorf("key %q, %v", sealed, err)
		}
	}
	if err := s.SealKey(ctx, []byte("two"), []byte("three"), event("rotate")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("sealed anew over another one: %v", err)
	}
	must(t, s.SealKey(ctx, []byte("one"), []byte("three"), event("rotate")))
	must(t, s.ReleaseAll(ctx, event("release")))
	if n := count(`SELECT (SELECT COUNT(*) FROM name_ids) + (SELECT COUNT(*) FROM name_id_key)`); n != 0 {
		t.Errorf("%d rows after all were released", n)
	}
}
