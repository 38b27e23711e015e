package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testSourcePeople: what the last token of somebody said is kept, found by the beginnings of names, and forgotten when
// they have not come for as long as their source says.
func testSourcePeople(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db, ctx := open(t, o), t.Context()
	sessions := 0
	came := func(source, sub, first, last, mail, said string) store.PersonID {
		t.Helper()
		sessions++
		p := store.PersonID("source-" + source + "." + strings.ToLower(sub))
		must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash(fmt.Sprint("known ", sessions)), Person: p,
			Login: source + ":" + sub, Name: first + " " + last, EndsAt: o.Now().Add(time.Hour),
			SourcePerson: &store.SourcePerson{Person: p, Source: source, Login: source + ":" + sub,
				FirstName: first, LastName: last,
				Mail: mail, Claims: []byte(said)}}, nil))
		return p
	}
	people := db.SourcePeople()
	if _, err := people.Get(ctx, "source-portal.ana"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: %v, want ErrNotFound", err)
	}
	ana := came("portal", "Ana", "Ána", "Díaz", "Ana@Example.com", `{"groups":["a"]}`)
	got, err := people.Get(ctx, ana)
	if err != nil || got.Login != "portal:Ana" || got.Source != "portal" || string(got.Claims) != `{"groups":["a"]}` ||
		got.SeenAt.IsZero() {
		t.Errorf("after the first token: %+v, %v", got, err)
	}
	// The same again within the hour writes nothing; something else does at once.
	ahead.Store(int64(10 * time.Minute))
	came("portal", "Ana", "Ána", "Díaz", "Ana@Example.com", `{"groups":["a"]}`)
	if again, err := people.Get(ctx, ana); err != nil || !again.SeenAt.Equal(got.SeenAt) {
		t.Errorf("the same within the hour: seen %v, was %v, %v", again.SeenAt, got.SeenAt, err)
	}
	came("portal", "Ana", "Ána", "Díaz", "Ana@Example.com", `{"groups":["b"]}`)
	if again, err := people.Get(ctx, ana); err != nil || string(again.Claims) != `{"groups":["b"]}` ||
		!again.SeenAt.After(got.SeenAt) {
		t.Errorf("another token: %+v, %v", again, err)
	}
	// The first one after the tokens of the source were revoked does too.
	ahead.Store(int64(11 * time.Minute))
	must(t, db.Sources().Revoke(ctx, "portal", event("revoke")))
	before, err := people.Get(ctx, ana)
	must(t, err)
	ahead.Store(int64(12 * time.Minute))
	came("portal", "Ana", "Ána", "Díaz", "Ana@Example.com", `{"groups":["b"]}`)
	if after, err := people.Get(ctx, ana); err != nil || !after.SeenAt.After(before.SeenAt) {
		t.Errorf("the same after a revocation: seen %v, was %v, %v", after.SeenAt, before.SeenAt, err)
	}
	came("portal", "bob", "Bob", "Díazan", "bob@example.com", "{}")
	came("other", "Ana", "Anabel", "Stone", "stone@example.com", "{}")

	for text, want := range map[string]string{
		"án":                 "portal:Ana",
		"ana":                "other:Ana portal:Ana",
		"portal:an":          "portal:Ana",
		"PORTAL:AN":          "portal:Ana",
		"díaz":               "portal:Ana portal:bob",
		"díaz bo":            "portal:bob",
		"bo díaz":            "portal:bob",
		"ana@":               "portal:Ana",
		"stone ana":          "other:Ana",
		"nobody":             "",
		"%":                  "",
		"díaz nobody":        "",
		"portal:":            "",
		"\U0010FFFF":         "",
		"a_a":                "",
		"' OR 1=1 --":        "",
		"example.com":        "",
		"other:ana anabel s": "other:Ana",
	} {
		all, more, err := people.Search(ctx, strings.Fields(text), 10)
		var logins []string
		for _, p := range all {
			logins = append(logins, p.Login)
		}
		if strings.Join(logins, " ") != want || more || err != nil {
			t.Errorf("search %q: %q, more %v, %v, want %q", text, logins, more, err, want)
		}
	}
	if all, more, err := people.Search(ctx, []string{"ana"}, 1); len(all) != 1 || !more || err != nil {
		t.Errorf("one of two: %v, more %v, %v", all, more, err)
	}
	if _, _, err := people.Search(ctx, nil, 1); err == nil {
		t.Error("a search without words has no error")
	}
	for login, want := range map[string]int{"portal:ANA": 1, "portal:bob": 1, "portal:an": 0, "Ana": 1} {
		if all, err := people.ByLogin(ctx, "portal", login); len(all) != want || err != nil {
			t.Errorf("login %q: %v, %v, want %d", login, all, err, want)
		}
	}
	var walked []string
	for after := store.PersonID(""); ; {
		page, err := people.After(ctx, after, 2)
		must(t, err)
		for _, p := range page {
			walked, after = append(walked, p.Login), p.Person
		}
		if len(page) < 2 {
			break
		}
	}
	if fmt.Sprint(walked) != "[other:Ana portal:Ana portal:bob]" {
		t.Errorf("walked %v", walked)
	}

	for i := range 205 {
		came("portal", fmt.Sprint("many", i), "Many", "People", "", "{}")
	}
	if all, more, err := people.Search(ctx, []string{"many"}, 10); len(all) != 10 || !more || err != nil {
		t.Errorf("of many: %d, more %v, %v", len(all), more, err)
	}
	ahead.Store(int64(30 * 24 * time.Hour))
	came("portal", "bob", "Bob", "Díazan", "bob@example.com", "{}")
	keep := map[string]time.Duration{"portal": 29 * 24 * time.Hour}
	if n, err := people.Purge(ctx, keep, 90*24*time.Hour); n != 206 || err != nil {
		t.Errorf("purge: %d, %v, want 206: Bob came again, and the other source is kept for longer", n, err)
	}
	names, err := db.People().Called(ctx, []store.PersonID{ana, "source-portal.bob"})
	if err != nil || len(names) != 1 {
		t.Errorf("names after the purge: %v, %v, want Bob's alone", names, err)
	}
	ahead.Store(int64(91 * 24 * time.Hour))
	if n, err := people.Purge(ctx, nil, 90*24*time.Hour); n != 1 || err != nil {
		t.Errorf("purge of sources that are gone: %d, %v, want 1", n, err)
	}
	if n, err := people.Purge(ctx, keep, time.Hour); n != 1 || err != nil {
		t.Errorf("purge of the last: %d, %v, want 1", n, err)
	}
}

// testSourcePeopleRace: on PostgreSQL somebody comes again while they are purged. They and their name stay.
func testSourcePeopleRace(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	if strings.HasPrefix(o.DSN, "sqlite:") {
		return // one writer at a time
	}
	db := open(t, o)
	ctx := t.Context()
	const ana = store.PersonID("source-portal.ana")
	must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash("ana"), Person: ana, Login: "portal:ana",
		EndsAt: time.Now().Add(time.Hour),
		SourcePerson: &store.SourcePerson{Person: ana, Source: "portal", Login: "portal:ana",
			Claims: []byte("{}")}}, nil))
	sql := rawDB(t, o)
	_, err := sql.Exec(`UPDATE source_people SET seen_at = 1`)
	must(t, err)
	tx, err := sql.Begin()
	must(t, err)
	defer tx.Rollback() //nolint:errcheck // committed below
	// As a session does: the name, which stays as it is, then what the token said.
	_, err = tx.Exec(`
		INSERT INTO people (person_id, login, name, seen_at) VALUES ($1, 'portal:ana', '', 1)
		ON CONFLICT (person_id) DO UPDATE SET name = excluded.name WHERE people.name <> excluded.name`, string(ana))
	must(t, err)
	type outcome struct {
		n   int
		err error
	}
	purged := make(chan outcome, 1)
	go func() {
		n, err := db.SourcePeople().Purge(ctx, nil, time.Hour)
		purged <- outcome{n, err}
	}()
	for waits := 0; waits == 0; time.Sleep(time.Millisecond) {
		must(t, sql.QueryRow(`
			SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits))
		if t.Context().Err() != nil {
			t.Fatal("the purge does not wait")
		}
	}
	_, err = tx.Exec(`UPDATE source_people SET seen_at = $1`, time.Now().UnixMicro())
	must(t, err)
	must(t, tx.Commit())
	if done := <-purged; done.n != 0 || done.err != nil {
		t.Errorf("purged %d, %v, want nobody", done.n, done.err)
	}
	if names, err := db.People().Called(ctx, []store.PersonID{ana}); err != nil || len(names) != 1 {
		t.Errorf("names: %v, %v, want Ana's", names, err)
	}
}
