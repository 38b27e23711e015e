package idp_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// pendingLogin begins a sign-in that waits for a password.
func pendingLogin(t testing.TB, f *fixture, v idp.Visitor) string {
	t.Helper()
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	return begun(t, a, err).SignIn
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
				if form := must[idp.AskPassword](t, a, err); form.Problem != c.shown || form.Login != "alice" ||
					!same(form.SignIn, id) {
					t.Errorf("form %+v", form)
				}
			} else if r := must[idp.Refusal](t, a, err); r.Reason != c.reason || r.Status != c.status {
				t.Errorf("refusal %+v", r)
			}
			if e := f.events(t)[0]; c.problem == directory.Unavailable {
				// Nobody has shown a right password: it stands in the log alone.
				if e.Outcome == "refused" || !strings.Contains(f.log.String(), "reason="+idp.ReasonDirectoryDown) {
					t.Errorf("event %+v", e)
				}
			} else if e.Outcome != "refused" || e.Reason != string(c.problem) && e.Reason != c.reason ||
				e.Address != "192.0.2.1" {
				t.Errorf("event %+v", e)
			}
			if strings.Contains(f.log.String(), "correct horse") {
				t.Error("the log has the password")
			}
		})
	}
}

// REAL-35: an account that the directory calls closed before it looks at the password gets the page of a wrong one, and
// the try counts: the page must not say which accounts are closed. Log and audit have the reason.
func TestREAL35ClosedBeforeThePassword(t *testing.T) {
	guessed := newFixture(t, "rsa-2048", nil)
	for range 11 {
		v := visitor("b")
		if _, err := guessed.Login(context.Background(), pendingLogin(t, guessed, v), "alice", "wrong", v); err != nil {
			t.Fatal(err)
		}
	}
	_, wrong := guessed.directory.counts()
	for _, problem := range []directory.Problem{directory.Disabled, directory.Expired, directory.PasswordExpired,
		directory.MustChange, directory.NotNow, directory.NotHere} {
		f := newFixture(t, "rsa-2048", nil)
		f.directory.change("alice", func(p *person) { p.problem, p.unproved = problem, true })
		v := visitor("b")
		a, err := f.Login(context.Background(), pendingLogin(t, f, v), "alice", "correct horse", v)
		if form := must[idp.AskPassword](t, a, err); form.Problem != directory.BadCredentials || a.NewSession != "" {
			t.Errorf("%s: form %+v", problem, form)
		}
		if e := f.events(t)[0]; e.Outcome != "refused" || e.Reason != string(problem) {
			t.Errorf("%s: event %+v", problem, e)
		}
		if log := f.log.String(); !strings.Contains(log, "reason="+string(problem)) || strings.Contains(log,
			idp.ReasonDirectoryDown) {
			t.Errorf("%s: log %s", problem, log)
		}
		for range 10 {
			if _, err = f.Login(context.Background(), pendingLogin(t, f, v), "alice", "correct horse", v); err != nil {
				t.Fatal(err)
			}
		}
		if _, binds := f.directory.counts(); binds != wrong {
			t.Errorf("%s: %d tries reached the directory, want %d as of wrong passwords", problem, binds, wrong)
		}
	}
}

// REAL-49: a directory that does not answer is fixed by the check, whatever is wrong with it: the log says so beside
// the fault, and the trace has the fault.
func TestREAL49TheCheckFixesADirectory(t *testing.T) {
	kept := &told{}
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Traces, o.HowTo = kept, func(act idp.Act, _ string) string { return "(" + string(act) + ")" }
	})
	f.directory.change("alice", func(p *person) { p.problem = directory.Unavailable })
	v := visitor("b")
	a, err := f.Login(context.Background(), pendingLogin(t, f, v), "alice", "correct horse", v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonDirectoryDown {
		t.Errorf("refusal %+v", r)
	}
	for _, want := range []string{`cause="The directory does not answer."`, `fix="Check host and port in urls`, "(run-check)"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, f.log.String())
		}
	}
	if s := step(t, kept.last(t), idp.StepDirectory); s.Detail != "login: the directory does not answer" ||
		s.Cause != "The directory does not answer." || s.Act != "run-check" {
		t.Errorf("traced %+v", s)
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
		"long login": {strings.Repeat("a", 257), "x"}, "long password": {"alice", strings.Repeat("x", 1025)},
		"no UTF-8": {"a\xff", "x"},
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

// TestLDAP10 covers the limits: by person, by known browser. ID-08: each try is taken before it is judged.
func TestLDAP10(t *testing.T) {
	ctx := context.Background()
	login := func(t *testing.T, f *fixture, v idp.Visitor, login, password string) idp.Page {
		t.Helper()
		a, err := f.Login(ctx, pendingLogin(t, f, v), login, password, v)
		if err != nil {
			t.Fatal(err)
		}
		f.Drain()
		return a.Page
	}
	fail := func(t *testing.T, f *fixture, v idp.Visitor, name string) idp.Page {
		t.Helper()
		return login(t, f, v, name, "wrong")
	}
	told := func(t *testing.T, p idp.Page) { // a known browser is told that tries are used up
		t.Helper()
		if r, ok := p.(idp.Refusal); !ok || r.Reason != idp.ReasonTooManyAttempts || r.Status != 429 {
			t.Errorf("page %T %+v, want a refusal", p, p)
		}
	}
	// Others get the answer to a wrong password and an unknown login, and nothing reaches the directory: it would count
	// there.
	refused := func(t *testing.T, f *fixture, v idp.Visitor, name, password string) {
		t.Helper()
		_, before := f.directory.counts()
		p := login(t, f, v, name, password)
		if form, ok := p.(idp.AskPassword); !ok || form.Problem != directory.BadCredentials {
			t.Errorf("page %T %+v, want the answer to a wrong password", p, p)
		}
		if _, after := f.directory.counts(); after != before {
			t.Error("a refused login reached the directory")
		}
		if !strings.Contains(f.log.String(), idp.ReasonTooManyAttempts) {
			t.Error("the log does not say that there were too many")
		}
	}

	t.Run("by person, however the login is spelt", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		f.directory.all["al"] = f.directory.all["alice"]
		v := visitor("outsider")
		for i, name := range []string{"ALICE", `EXAMPLE\alice`, "al"} {
			if _, ok := fail(t, f, v, name).(idp.AskPassword); !ok {
				t.Fatalf("refused at failure %d", i+1)
			}
		}
		if _, binds := f.directory.counts(); binds != 3 {
			t.Errorf("%d binds, want 3", binds)
		}
		for _, name := range []string{"alice", "ALICE", `EXAMPLE\alice`, "alice@partner.test", " alice", "al"} {
			refused(t, f, v, name, "wrong")
			refused(t, f, visitor("another outsider"), name, "wrong")
			refused(t, f, v, name, "correct horse") // also with the right password: it must not be found out
		}
		if _, ok := login(t, f, v, "bob", "battery staple").(idp.GoOn); !ok {
			t.Error("others are refused too")
		}
		now.Advance(16 * time.Minute)
		if _, ok := login(t, f, v, "alice", "correct horse").(idp.GoOn); !ok {
			t.Error("refused after the window")
		}
	})
	t.Run("an unknown login takes and stores nothing", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("outsider")
		for range 20 {
			if form, ok := fail(t, f, v, "nobody").(idp.AskPassword); !ok || form.Problem != directory.BadCredentials {
				t.Errorf("form %+v", form) // the same as for a login that exists
			}
		}
		if _, binds := f.directory.counts(); binds != 0 {
			t.Errorf("%d binds for nobody", binds)
		}
		all, err := f.db.Throttle().Counters(ctx, "", []store.Block{{Name: v.Address}})
		if err != nil || len(all) != 0 {
			t.Errorf("counted %+v, %v", all, err)
		}
	})
	t.Run("known browser", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		own := f.signIn(t, "alice", "correct horse")
		own.Session = ""
		for range 10 {
			fail(t, f, visitor("outsider"), "alice")
		}
		refused(t, f, visitor("outsider"), "alice", "correct horse")
		if _, ok := login(t, f, own, "alice", "correct horse").(idp.GoOn); !ok {
			t.Fatal("locked out by others") // the last two are reserved
		}
		for range 10 {
			fail(t, f, visitor("outsider"), "alice")
		}
		for range 2 {
			if _, ok := fail(t, f, own, "alice").(idp.AskPassword); !ok {
				t.Error("refused too early")
			}
		}
		_, before := f.directory.counts()
		told(t, fail(t, f, own, "alice")) // all together have one limit, below the directory's
		told(t, login(t, f, own, "alice", "correct horse"))
		if _, after := f.directory.counts(); after != before || after != 1+3+1+3+2 {
			t.Errorf("%d binds, want those that were taken", after)
		}
		// The browser is known for alice alone.
		for range 5 {
			fail(t, f, visitor("outsider"), "bob")
		}
		refused(t, f, own, "bob", "battery staple")
	})
	t.Run("success clears", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		for range 2 {
			fail(t, f, v, "alice")
		}
		f.signIn(t, "alice", "correct horse")
		for range 2 {
			fail(t, f, v, "alice")
		}
		if _, ok := login(t, f, v, "alice", "correct horse").(idp.GoOn); !ok {
			t.Error("old failures still count")
		}
	})
	t.Run("what is told after the right password gives the try back and no other", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		for range 2 {
			fail(t, f, v, "alice")
		}
		f.directory.change("alice", func(p *person) { p.problem = directory.PasswordExpired })
		for range 5 {
			if form, ok := login(t, f, v, "alice", "correct horse").(idp.AskPassword); !ok ||
				form.Problem != directory.PasswordExpired {
				t.Errorf("form %+v", form)
			}
		}
		fail(t, f, v, "alice")
		refused(t, f, v, "alice", "correct horse")
	})
	t.Run("directory down", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		down := func() {
			t.Helper()
			for range 10 {
				if r, ok := fail(t, f, v, "alice").(idp.Refusal); !ok || r.Reason != idp.ReasonDirectoryDown {
					t.Errorf("refusal %+v", r)
				}
			}
		}
		f.directory.setDown(true)
		down()
		f.directory.setDown(false)
		f.directory.change("alice", func(*person) { f.directory.unsent = true }) // the search works, and no bind can be sent
		down()
		f.directory.change("alice", func(*person) { f.directory.unsent = false })
		if _, ok := login(t, f, v, "alice", "correct horse").(idp.GoOn); !ok {
			t.Error("an outage counts as failed logins")
		}
	})
	t.Run("an answer that got lost may have been counted there", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		f.directory.change("alice", func(*person) { f.directory.lost = 1 })
		if _, ok := login(t, f, v, "alice", "correct horse").(idp.GoOn); !ok {
			t.Error("a connection that had been idle is no reason to fail")
		}
		if _, binds := f.directory.counts(); binds != 2 {
			t.Errorf("%d binds, want 2", binds)
		}
		f.directory.change("alice", func(*person) { f.directory.lost = 100 })
		for range 4 {
			fail(t, f, visitor("outsider"), "alice")
		}
		if _, binds := f.directory.counts(); binds != 2+3 {
			t.Errorf("%d binds, want two for each try but no more than three of a stranger's", binds)
		}
	})
}

// TestID08AtOnce: fifty wrong passwords at once, by all spellings and from many addresses, reach the directory no more
// often than the limit says; six tabs with the right password all get in.
func TestID08AtOnce(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	f.directory.all["al"] = f.directory.all["alice"]
	start := func(n int, login, password func(i int) string, v func(i int) idp.Visitor) (in int) {
		var wait sync.WaitGroup
		var got atomic.Int64
		for i := range n {
			id := pendingLogin(t, f, v(i))
			wait.Go(func() {
				a, err := f.Login(ctx, id, login(i), password(i), v(i))
				if err != nil {
					t.Error(err)
				}
				if a.NewSession != "" {
					got.Add(1)
				}
			})
		}
		wait.Wait()
		f.Drain()
		return int(got.Load())
	}
	spellings := []string{"alice", "ALICE", "al", `EXAMPLE\alice`, "alice@partner.test"}
	of := func(text string) func(int) string { return func(int) string { return text } }
	from := func(i int) idp.Visitor {
		v := visitor(fmt.Sprint("browser ", i))
		v.Address = fmt.Sprint("192.0.2.", i+1)
		return v
	}
	if in := start(50, func(i int) string { return spellings[i%len(spellings)] }, of("wrong"), from); in != 0 {
		t.Errorf("%d are in with a wrong password", in)
	}
	if _, binds := f.directory.counts(); binds != 3 {
		t.Errorf("%d wrong passwords reached the directory, want 3", binds)
	}
	now.Advance(16 * time.Minute)
	if in := start(6, of("alice"), of("correct horse"), func(int) idp.Visitor { return visitor("tabs") }); in != 6 {
		t.Errorf("%d of six tabs are in", in)
	}
	// The right one among wrong ones gets in too, and those still count.
	in := start(3, of("alice"), func(i int) string { return []string{"wrong", "correct horse", "wrong"}[i] }, from)
	if in != 1 {
		t.Errorf("%d are in, want the one with the right password", in)
	}
}

// TestID13Turns: an address past its limit has its tries go one at a time, in the share of binds that is theirs. Nobody
// is refused for it, and others don't wait.
func TestID13Turns(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	// The failures of other people at the same address.
	for i := range 300 {
		_, _, err := f.db.Throttle().Take(ctx, store.TakeTry{
			Person: fmt.Sprint("other", i), Limit: 5, Window: time.Hour, Blocks: []store.Block{{Name: "192.0.2.1", Limit: 300}},
			BlockWindow: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := visitor("elsewhere")
	elsewhere.Address = "192.0.2.2"
	login := func(v idp.Visitor, name, password string) idp.Answer {
		t.Helper()
		a, err := f.Login(ctx, pendingLogin(t, f, v), name, password, v)
		if err != nil {
			t.Fatal(err)
		}
		f.Drain()
		return a
	}
	if a := login(elsewhere, "bob", "battery staple"); a.NewSession == "" {
		t.Errorf("another address is held up: %+v", a.Page)
	}
	if f.directory.slow != 0 {
		t.Error("a bind of another address takes the share of slow ones")
	}
	if a := login(visitor("office"), "alice", "correct horse"); a.NewSession == "" {
		t.Errorf("refused for the address: %+v", a.Page)
	}
	if f.directory.slow != 1 {
		t.Errorf("%d binds in the share of slow ones, want 1", f.directory.slow)
	}
	all, err := f.db.Throttle().Counters(ctx, "", []store.Block{{Name: "192.0.2.1"}})
	if err != nil || len(all) != 1 || all[0].Taken != 300 {
		t.Errorf("the address after a success: %+v, %v, want its failures and no more", all, err)
	}
}
