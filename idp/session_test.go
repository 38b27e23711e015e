package idp_test

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
)

// TestLDAP11: a live session is not a licence.
func TestLDAP11(t *testing.T) {
	ctx := context.Background()
	launch := func(t *testing.T, f *fixture, v idp.Visitor) idp.Answer {
		t.Helper()
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	t.Run("fresh readings are kept", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := f.signIn(t, "alice", "correct horse")
		now.Advance(time.Minute)
		must[idp.Deliver](t, launch(t, f, v), nil)
		if reads, _ := f.directory.counts(); reads != 0 {
			t.Errorf("%d reads within a minute", reads)
		}
		now.Advance(time.Second)
		must[idp.Deliver](t, launch(t, f, v), nil)
		must[idp.Deliver](t, launch(t, f, v), nil)
		if reads, _ := f.directory.counts(); reads != 1 {
			t.Errorf("%d reads, want one for the next minute", reads)
		}
	})
	t.Run("groups are read again", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := f.signIn(t, "alice", "correct horse")
		must[idp.Deliver](t, launch(t, f, v), nil)
		f.directory.change("alice", func(p *person) { p.entry.Groups = nil })
		now.Advance(61 * time.Second)
		if r := must[idp.Refusal](t, launch(t, f, v), nil); r.Reason != "not_in_group" {
			t.Errorf("refusal %+v", r)
		}
		if _, ok, err := f.SignedIn(ctx, v); !ok || err != nil {
			t.Error("the session was ended: only the mapping is gone")
		}
	})
	for _, problem := range []directory.Problem{directory.Disabled, directory.Expired, directory.Locked} {
		t.Run(string(problem), func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			v := f.signIn(t, "alice", "correct horse")
			f.directory.change("alice", func(p *person) { p.problem = problem })
			now.Advance(61 * time.Second)
			a := launch(t, f, v)
			if r := must[idp.Refusal](t, a, nil); r.Reason != string(problem) || r.Status != 403 || !a.EndSession {
				t.Errorf("answer %+v", a)
			}
			if _, ok, err := f.SignedIn(ctx, v); ok || err != nil {
				t.Error("the session lives on")
			}
			f.directory.change("alice", func(p *person) { p.problem = "" })
			begun(t, launch(t, f, v), nil) // asked for the password again
		})
	}
	t.Run("person gone", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := f.signIn(t, "alice", "correct horse")
		f.directory.change("alice", func(p *person) { p.entry.ID = "another" })
		now.Advance(61 * time.Second)
		if a := launch(t, f, v); must[idp.Refusal](t, a, nil).Reason != "disabled" || !a.EndSession {
			t.Errorf("answer %+v", a)
		}
	})
	t.Run("directory down", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := f.signIn(t, "alice", "correct horse")
		f.directory.setDown(true)
		now.Advance(15 * time.Minute)
		must[idp.Deliver](t, launch(t, f, v), nil) // an old reading serves
		now.Advance(time.Second)
		if r := must[idp.Refusal](t, launch(t, f, v), nil); r.Reason != idp.ReasonDirectoryDown ||
			r.Status != 503 || !r.Retry {
			t.Errorf("refusal %+v", r)
		}
		if _, ok, err := f.SignedIn(ctx, v); !ok || err != nil {
			t.Error("the session was ended")
		}
		f.directory.setDown(false)
		must[idp.Deliver](t, launch(t, f, v), nil)
	})
	t.Run("stale readings off", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.ReadingStale = 0 })
		v := f.signIn(t, "alice", "correct horse")
		f.directory.setDown(true)
		must[idp.Deliver](t, launch(t, f, v), nil)
		now.Advance(61 * time.Second)
		if r := must[idp.Refusal](t, launch(t, f, v), nil); r.Reason != idp.ReasonDirectoryDown {
			t.Errorf("refusal %+v", r)
		}
	})
	for name, before := range map[string]time.Time{
		"password changed, earlier change known":     start.Add(-time.Hour),
		"password changed, none known":               {},
		"password changed, directory's clock behind": start.Add(-24 * time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.directory.change("alice", func(p *person) { p.entry.PasswordChanged = before })
			v := f.signIn(t, "alice", "correct horse")
			now.Advance(61 * time.Second)
			must[idp.Deliver](t, launch(t, f, v), nil)
			changed := now.Now()
			if name == "password changed, directory's clock behind" {
				changed = start.Add(-time.Minute)
			}
			f.directory.change("alice", func(p *person) { p.entry.PasswordChanged = changed })
			now.Advance(61 * time.Second)
			a := launch(t, f, v)
			begun(t, a, nil)
			if _, ok, err := f.SignedIn(ctx, v); ok || err != nil || !a.EndSession {
				t.Error("the session lives on")
			}
		})
	}
	t.Run("in the middle of a sign-in", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := f.signIn(t, "alice", "correct horse")
		f.directory.change("alice", func(p *person) { p.entry.PasswordChanged = now.Now().Add(time.Second) })
		now.Advance(61 * time.Second)
		a, err := f.Resume(ctx, f.request(t, newRequest(plain), v), v)
		if form := must[idp.AskPassword](t, a, err); form.Login != "alice" || !a.EndSession {
			t.Errorf("answer %+v", a)
		}
	})
}

// TestConcurrentReadings: requests of one session at the same time share what
// the directory says, and it is stored for those that follow.
func TestConcurrentReadings(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	now.Advance(2 * time.Minute)
	launch := func() {
		a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
		if _, ok := a.Page.(idp.Deliver); !ok || err != nil {
			t.Errorf("%T, %v", a.Page, err)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(launch)
	}
	group.Wait()
	before, _ := f.directory.counts()
	launch()
	if after, _ := f.directory.counts(); before == 0 || after != before {
		t.Errorf("%d reads, then %d: want some and no more", before, after)
	}
}

// TestSessionLimits: idle and absolute end, logout, and tokens that are stored
// as hashes alone (WEB-02).
func TestSessionLimits(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.SessionIdle, o.SessionLife = 30*time.Minute, 2*time.Hour })
	signedIn := func(v idp.Visitor) bool {
		t.Helper()
		_, ok, err := f.SignedIn(ctx, v)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	v := f.signIn(t, "alice", "correct horse")
	if v.Session == "" || !signedIn(v) {
		t.Fatal("no session")
	}
	for range 5 { // used, it lives on
		now.Advance(20 * time.Minute)
		a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
		must[idp.Deliver](t, a, err)
	}
	now.Advance(21 * time.Minute)
	if signedIn(v) {
		t.Error("lives past its absolute end")
	}
	v = f.signIn(t, "alice", "correct horse")
	now.Advance(31 * time.Minute)
	if signedIn(v) {
		t.Error("lives though idle")
	}
	v = f.signIn(t, "alice", "correct horse")
	for _, token := range []string{v.Session + "x", v.Session[:42], "", "x"} {
		w := v
		w.Session = token
		if signedIn(w) {
			t.Errorf("token %q opens the session", token)
		}
	}
	if _, err := f.db.Sessions().Get(ctx, []byte(v.Session), 0); err == nil {
		t.Error("the token itself is stored")
	}
	sum := sha256.Sum256([]byte(v.Session))
	if s, err := f.db.Sessions().Get(ctx, sum[:], 0); err != nil || len(s.Methods) != 1 || s.Methods[0] != "password" {
		t.Errorf("session %+v, %v", s, err)
	}
	a, err := f.Logout(ctx, v)
	must[idp.SignedOut](t, a, err)
	if !a.EndSession || signedIn(v) {
		t.Error("the session outlives the logout (SLO-04)")
	}
	if e := f.events(t)[0]; e.Action != "logout" || e.Actor == "" {
		t.Errorf("event %+v", e)
	}
	a, err = f.Logout(ctx, v) // once more, and by nobody
	must[idp.SignedOut](t, a, err)
}

// TestSessionEndsDuringSignIn: a session that an admin ends while the gate
// decides gets no Response.
func TestSessionEndsDuringSignIn(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	f.gate.set(func(q provisioning.Question) (provisioning.Decision, error) {
		if _, err := f.db.Sessions().EndPerson(ctx, "11111111-aaaa-4bbb-8ccc-000000000001"); err != nil {
			t.Error(err)
		}
		return granted(q), nil
	})
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownSignIn {
		t.Errorf("refusal %+v", r)
	}
}
