package idp_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// rawDB opens the fixture's database beside the store, as somebody does who can write into it.
func (f *fixture) rawDB(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+strings.TrimPrefix(f.dsn, "sqlite:")+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (f *fixture) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := f.rawDB(t).Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// signedInAs is whom the bridge takes a visitor for.
func (f *fixture) signedInAs(t testing.TB, v idp.Visitor) string {
	t.Helper()
	login, ok, err := f.SignedIn(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return ""
	}
	return login
}

// ID-17: whoever writes into the database gains no session by it, nor a longer, stronger or older one.
func TestSessionsAreVouchedFor(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Console = idp.ConsoleGroups{Admin: staff} })
	for name, statement := range map[string]string{
		"person":         `UPDATE sessions SET person_id = '` + string(bobID) + `'`,
		"login":          `UPDATE sessions SET login = 'bob'`,
		"browser":        `UPDATE sessions SET browser = x'00'`,
		"login time":     `UPDATE sessions SET authenticated_at = authenticated_at + 1`,
		"methods":        `UPDATE sessions SET methods = '["password","totp"]'`,
		"factor":         `UPDATE sessions SET factor = 'x'`,
		"end":            `UPDATE sessions SET ends_at = ends_at + 1`,
		"epoch":          `UPDATE sessions SET epoch = epoch + 1`,
		"token":          `UPDATE sessions SET token_hash = x'0102'`,
		"no MAC":         `UPDATE sessions SET mac = x''`,
		"wrong MAC":      `UPDATE sessions SET mac = zeroblob(36)`,
		"person's epoch": `INSERT INTO person_epochs SELECT person_id, 7 FROM sessions`,
	} {
		t.Run(name, func(t *testing.T) {
			v := f.signIn(t, "alice", "correct horse")
			if who := f.signedInAs(t, v); who != "alice" {
				t.Fatalf("signed in as %q", who)
			}
			f.exec(t, statement)
			if who := f.signedInAs(t, v); who != "" {
				t.Errorf("still signed in as %q", who)
			}
			if _, in, err := f.Administrator(context.Background(), v); in || err != nil {
				t.Errorf("in the console: %t, %v", in, err)
			}
			f.exec(t, `DELETE FROM sessions`)
			f.exec(t, `DELETE FROM person_epochs`)
		})
	}
	// A row of one's own, as complete as the attacker can make it.
	v := f.signIn(t, "bob", "battery staple")
	f.exec(t, `UPDATE sessions SET mac = (SELECT mac FROM sessions), person_id = ?, login = 'alice'`, string(aliceID))
	if who := f.signedInAs(t, v); who != "" {
		t.Errorf("a row of an attacker: signed in as %q", who)
	}
}

// ID-17: a reading that somebody has written gives no group; the directory is asked again.
func TestReadingIsVouchedFor(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Console = idp.ConsoleGroups{Admin: staff} })
	alice, bob := f.signIn(t, "alice", "correct horse"), f.signIn(t, "bob", "battery staple")
	if _, in, _ := f.Administrator(ctx, alice); !in {
		t.Fatal("alice is no administrator")
	}
	f.exec(t, `UPDATE sessions SET reading = (SELECT reading FROM sessions WHERE login = 'alice'),
	    reading_mac = (SELECT reading_mac FROM sessions WHERE login = 'alice') WHERE login = 'bob'`)
	before, _ := f.directory.counts()
	if _, in, err := f.Administrator(ctx, bob); in || err != nil {
		t.Errorf("bob by alice's reading: %t, %v", in, err)
	}
	if after, _ := f.directory.counts(); after != before+1 {
		t.Errorf("%d readings of the directory, want one", after-before)
	}
	if who := f.signedInAs(t, bob); who != "bob" {
		t.Errorf("signed in as %q: a replaced reading is no reason to sign out", who)
	}
	// With the directory down there is nothing to go by.
	f.exec(t, `UPDATE sessions SET read_at = read_at + 1`)
	f.directory.setDown(true)
	if _, in, err := f.Administrator(ctx, alice); in || err != nil {
		t.Errorf("by a foreign reading with the directory down: %t, %v", in, err)
	}
	f.directory.setDown(false)
	// Each new reading is vouched for as well.
	for range 3 {
		now.Advance(61 * time.Second)
		if _, in, err := f.Administrator(ctx, alice); !in || err != nil {
			t.Errorf("after a new reading: %t, %v", in, err)
		}
	}
}

// ID-17: rows that no program of ours wrote are one event a minute, however often they are read.
func TestForeignRowsAreOneEvent(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	f.exec(t, `UPDATE sessions SET login = 'bob'`)
	count := func() (n int, detail string) {
		for _, e := range f.events(t) {
			if e.Action == "foreign-rows" && e.Subject == "sessions" && e.Outcome == "refused" {
				n++
				detail = string(e.Detail)
			}
		}
		return n, detail
	}
	for range 50 {
		f.signedInAs(t, v)
	}
	if n, detail := count(); n != 1 || detail != `{"readings":1}` {
		t.Errorf("%d events, %s; want one", n, detail)
	}
	now.Advance(time.Minute)
	if _, err := f.db.Sessions().Purge(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n, _ := count(); n != 2 {
		t.Errorf("%d events a minute later, want the second with the rest", n)
	}
	if !strings.Contains(f.log.String(), "did not write are ignored") {
		t.Error("not in the log")
	}
}

// ID-06: the session cookie opens nothing in another browser than that of the login.
func TestSessionIsBoundToTheBrowser(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Console = idp.ConsoleGroups{Admin: staff} })
	v := f.signIn(t, "alice", "correct horse")
	for name, browser := range map[string]string{"another": "browser of a thief", "none": ""} {
		thief := v
		thief.Browser = browser
		if who := f.signedInAs(t, thief); who != "" {
			t.Errorf("%s browser: signed in as %q", name, who)
		}
		if _, in, err := f.Administrator(context.Background(), thief); in || err != nil {
			t.Errorf("%s browser: in the console: %t, %v", name, in, err)
		}
	}
	if who := f.signedInAs(t, v); who != "alice" {
		t.Errorf("the owner is signed in as %q", who)
	}
}

// ID-06: a login whose password was looked at before the person's sessions were ended stores nothing.
func TestLoginBegunBeforeTheEnd(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	v := visitor("b")
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	on := begun(t, a, err)
	f.directory.bound = func() { // the password was right, and the answer is on its way
		f.directory.bound = nil
		if _, err := f.db.Sessions().EndPerson(ctx, aliceID, store.Event{Actor: "admin:test",
			Action: "session-end"}); err != nil {
			t.Error(err)
		}
	}
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
	must[idp.AskPassword](t, a, err)
	if all, err := f.db.Sessions().OfPerson(ctx, aliceID, 0); a.NewSession != "" || len(all) != 0 || err != nil {
		t.Errorf("session %q, stored %v, %v", a.NewSession, all, err)
	}
	// The next login is one.
	a, err = f.Login(ctx, on.SignIn, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	if v.Session = a.NewSession; f.signedInAs(t, v) != "alice" {
		t.Error("not signed in after a new login")
	}
}
