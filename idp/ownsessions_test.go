package idp_test

import (
	"context"
	"testing"
	"time"

	"ssobridge/idp"
)

// second signs a person in with another browser.
func (f *fixture) second(t *testing.T, login, password string) idp.Visitor {
	t.Helper()
	v := visitor("second browser of " + login)
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	on := begun(t, a, err)
	a, err = f.Login(context.Background(), on.SignIn, login, password, v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	return v
}

// TestOwnSessions: people see and end their own sessions, and nobody else's.
func TestOwnSessions(t *testing.T) {
	ctx := context.Background()
	begin := func(t *testing.T) (f *fixture, first, second, stranger idp.Visitor) {
		t.Helper()
		f = newFixture(t, "rsa-2048", nil)
		first = f.signIn(t, "alice", "correct horse")
		now.Advance(10 * time.Minute)
		return f, first, f.second(t, "alice", "correct horse"), f.signIn(t, "bob", "battery staple")
	}
	list := func(t *testing.T, f *fixture, v idp.Visitor) []idp.OwnSession {
		t.Helper()
		all, err := f.OwnSessions(ctx, v)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	other := func(t *testing.T, f *fixture, v idp.Visitor) string {
		t.Helper()
		for _, s := range list(t, f, v) {
			if !s.Here {
				return s.ID
			}
		}
		t.Fatal("there is no other session")
		return ""
	}
	t.Run("listed", func(t *testing.T) {
		f, first, second, _ := begin(t)
		all := list(t, f, second)
		if len(all) != 2 || !all[0].Here || all[1].Here || all[0].Since.Sub(all[1].Since) != 10*time.Minute {
			t.Errorf("sessions %+v, want this one and the one ten minutes before", all)
		}
		for _, s := range all {
			if s.ID == first.Session || s.ID == second.Session || s.ID == "" {
				t.Error("the id on the page is a token")
			}
		}
	})
	t.Run("another one ended", func(t *testing.T) {
		f, first, second, stranger := begin(t)
		if here, err := f.EndOwnSession(ctx, other(t, f, second), second); here || err != nil {
			t.Errorf("here %v, %v", here, err)
		}
		if f.live(t, first) || !f.live(t, second) || !f.live(t, stranger) {
			t.Error("want the first one ended and no other")
		}
		events := f.events(t)
		if last := events[0]; last.Action != "session-end" || last.Reason != "own_choice" || last.Actor != last.Subject {
			t.Errorf("event %+v", last)
		}
	})
	t.Run("this one ended", func(t *testing.T) {
		f, first, second, _ := begin(t)
		if here, err := f.EndOwnSession(ctx, other(t, f, second), first); !here || err != nil {
			t.Errorf("here %v, %v", here, err)
		}
		if f.live(t, first) || !f.live(t, second) {
			t.Error("want the first one ended")
		}
	})
	t.Run("all others ended", func(t *testing.T) {
		f, first, second, stranger := begin(t)
		if err := f.EndOtherSessions(ctx, first); err != nil {
			t.Fatal(err)
		}
		if !f.live(t, first) || f.live(t, second) || !f.live(t, stranger) {
			t.Error("want the second one ended and no other")
		}
	})
	t.Run("nobody else's", func(t *testing.T) {
		f, first, second, stranger := begin(t)
		id := other(t, f, second)
		for _, v := range []idp.Visitor{stranger, visitor("nobody")} {
			if here, err := f.EndOwnSession(ctx, id, v); here || err != nil {
				t.Errorf("here %v, %v", here, err)
			}
		}
		for _, id := range []string{"", "x", second.Session} {
			if here, err := f.EndOwnSession(ctx, id, first); here || err != nil {
				t.Errorf("id %q: here %v, %v", id, here, err)
			}
		}
		if all := list(t, f, visitor("nobody")); len(all) != 0 {
			t.Errorf("nobody sees %+v", all)
		}
		if err := f.EndOtherSessions(ctx, visitor("nobody")); err != nil {
			t.Error(err)
		}
		if !f.live(t, first) || !f.live(t, second) || !f.live(t, stranger) {
			t.Error("somebody else's session was ended")
		}
	})
}
