package idp_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pendingLogin begins a sign-in that waits for a password.
func pendingLogin(t testing.TB, f *fixture, v idp.Visitor) string {
	t.Helper()
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	return must[idp.GoOn](t, a, err).SignIn
}

// TestLoginProblems: what the person may be told and what is counted (LDAP-08,
// LDAP-09).
func TestLoginProblems(t *testing.T) {
	for _, c := range []struct {
		problem directory.Problem
		shown   directory.Problem // "": a refusal
		reason  string
		status  int
	}{
		{directory.BadCredentials, directory.BadCredentials, "", 0},
		{directory.Locked, directory.BadCredentials, "", 0},
		{directory.Ambiguous, directory.BadCredentials, "", 0},
		{directory.Disabled, directory.Disabled, "", 0},
		{directory.Expired, directory.Expired, "", 0},
		{directory.PasswordExpired, directory.PasswordExpired, "", 0},
		{directory.MustChange, directory.MustChange, "", 0},
		{directory.NotNow, directory.NotNow, "", 0},
		{directory.NotHere, directory.NotHere, "", 0},
		{directory.BadData, "", "bad_data", 403},
		{directory.Unavailable, "", idp.ReasonDirectoryDown, 503},
	} {
		t.Run(string(c.problem), func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.directory.change("alice", func(p *person) { p.problem = c.problem })
			v := visitor("b")
			id := pendingLogin(t, f, v)
			a, err := f.Login(context.Background(), id, "alice", "correct horse", v)
			if a.NewSession != "" {
				t.Fatal("a session was begun")
			}
			if c.shown != "" {
				if form := must[idp.AskPassword](t, a, err); form.Problem != c.shown || form.Login != "alice" || form.SignIn != id {
					t.Errorf("form %+v", form)
				}
			} else if r := must[idp.Refusal](t, a, err); r.Reason != c.reason || r.Status != c.status {
				t.Errorf("refusal %+v", r)
			}
			if e := f.events(t)[0]; e.Outcome != "refused" || e.Reason != string(c.problem) && e.Reason != c.reason || e.Address != "192.0.2.1" {
				t.Errorf("event %+v", e)
			}
			if strings.Contains(f.log.String(), "correct horse") {
				t.Error("the log has the password")
			}
		})
	}
}

// TestLoginInput: what never reaches the directory, and an entry that says no
// without an error.
func TestLoginInput(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := visitor("b")
	id := pendingLogin(t, f, v)
	for name, c := range map[string][2]string{
		"no login": {"", "x"}, "no password": {"alice", ""}, "neither": {"", ""},
		"long login": {strings.Repeat("a", 257), "x"}, "long password": {"alice", strings.Repeat("x", 1025)}, "no UTF-8": {"a\xff", "x"},
	} {
		a, err := f.Login(context.Background(), id, c[0], c[1], v)
		if form := must[idp.AskPassword](t, a, err); form.Problem != directory.BadCredentials {
			t.Errorf("%s: form %+v", name, form)
		}
	}
	if _, binds := f.directory.counts(); binds != 0 {
		t.Errorf("%d of them reached the directory", binds)
	}
	f.directory.change("alice", func(p *person) { p.entry.Problem = directory.Disabled })
	a, err := f.Login(context.Background(), id, "alice", "correct horse", v)
	if form := must[idp.AskPassword](t, a, err); form.Problem != directory.Disabled {
		t.Errorf("form %+v", form)
	}
}

// TestLDAP10 covers the limits: by login, by known browser, by address.
func TestLDAP10(t *testing.T) {
	ctx := context.Background()
	fail := func(t *testing.T, f *fixture, v idp.Visitor, login string) idp.Page {
		t.Helper()
		a, err := f.Login(ctx, pendingLogin(t, f, v), login, "wrong", v)
		if err != nil {
			t.Fatal(err)
		}
		return a.Page
	}
	refused := func(t *testing.T, p idp.Page) {
		t.Helper()
		if r, ok := p.(idp.Refusal); !ok || r.Reason != idp.ReasonTooManyAttempts || r.Status != 429 {
			t.Errorf("page %T %+v, want a refusal", p, p)
		}
	}

	t.Run("by login", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("outsider")
		for i, login := range []string{"alice", "ALICE", `EXAMPLE\alice`, "alice@partner.test", " alice"} {
			if _, ok := fail(t, f, v, login).(idp.AskPassword); !ok {
				t.Fatalf("refused at failure %d", i+1)
			}
		}
		_, before := f.directory.counts()
		refused(t, fail(t, f, v, "alice"))
		refused(t, fail(t, f, visitor("another outsider"), "Alice"))
		a, err := f.Login(ctx, pendingLogin(t, f, v), "alice", "correct horse", v)
		refused(t, must[idp.Refusal](t, a, err)) // also with the right password: it must not be found out
		if _, after := f.directory.counts(); after != before {
			t.Error("a refused login reached the directory: it would count there")
		}
		if _, ok := fail(t, f, v, "bob").(idp.AskPassword); !ok {
			t.Error("others are refused too")
		}
		now.Advance(16 * time.Minute)
		a, err = f.Login(ctx, pendingLogin(t, f, v), "alice", "correct horse", v)
		must[idp.GoOn](t, a, err)
	})
	t.Run("unknown login", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("outsider")
		for range 5 {
			if form, ok := fail(t, f, v, "nobody").(idp.AskPassword); !ok || form.Problem != directory.BadCredentials {
				t.Errorf("form %+v", form)
			}
		}
		refused(t, fail(t, f, v, "nobody")) // the same as for a login that exists
	})
	t.Run("known browser", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		own := f.signIn(t, "alice", "correct horse")
		own.Session = ""
		for range 5 {
			fail(t, f, visitor("outsider"), "alice")
		}
		refused(t, fail(t, f, visitor("outsider"), "alice"))
		a, err := f.Login(ctx, pendingLogin(t, f, own), "alice", "correct horse", own)
		must[idp.GoOn](t, a, err) // not locked out by others
		for range 5 {
			if _, ok := fail(t, f, own, "alice").(idp.AskPassword); !ok {
				t.Error("refused too early")
			}
		}
		refused(t, fail(t, f, own, "alice")) // and has a limit too
		// The browser is known for alice alone.
		for range 5 {
			fail(t, f, visitor("outsider"), "bob")
		}
		refused(t, fail(t, f, own, "bob"))
	})
	t.Run("by person", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		f.directory.all["mail-of-alice"] = f.directory.all["alice"]
		v := visitor("outsider")
		for range 5 {
			fail(t, f, v, "alice")
		}
		// Under a spelling that has no count, the right password looks like a wrong one.
		a, err := f.Login(ctx, pendingLogin(t, f, v), "mail-of-alice", "correct horse", v)
		if form := must[idp.AskPassword](t, a, err); form.Problem != directory.BadCredentials || a.NewSession != "" {
			t.Errorf("form %+v", form)
		}
	})
	t.Run("success clears", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		for range 4 {
			fail(t, f, v, "alice")
		}
		f.signIn(t, "alice", "correct horse")
		for range 4 {
			if _, ok := fail(t, f, v, "alice").(idp.AskPassword); !ok {
				t.Error("old failures still count")
			}
		}
	})
	t.Run("directory down", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		f.directory.setDown(true)
		for range 10 {
			if r, ok := fail(t, f, v, "alice").(idp.Refusal); !ok || r.Reason != idp.ReasonDirectoryDown {
				t.Errorf("refusal %+v", r)
			}
		}
		f.directory.setDown(false)
		a, err := f.Login(ctx, pendingLogin(t, f, v), "alice", "correct horse", v)
		must[idp.GoOn](t, a, err)
	})
	t.Run("by address", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		for i := range 40 { // past the free ones, each of another login
			f.directory.setDown(false)
			login := "nobody" + strings.Repeat("x", i)
			id := pendingLogin(t, f, v)
			// A request that is given up at once does not wait out its time.
			short, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
			began := time.Now()
			_, err := f.Login(short, id, login, "wrong", v)
			cancel()
			if took := time.Since(began); took > 2*time.Second {
				t.Fatalf("waited %s past its context", took)
			}
			if err != nil {
				if i < 10 {
					t.Fatalf("slowed at failure %d: %v", i, err)
				}
				return // slowed
			}
		}
		t.Error("forty failures of one address were not slowed")
	})
}
