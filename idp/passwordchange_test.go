package idp_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// changeable is a fixture in which Alice's password has expired, and changes are on.
func changeable(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Passwords = o.Directory.(*people)
		o.LoginFailures = 5
	})
	f.directory.change("alice", func(p *person) { p.problem = directory.PasswordExpired })
	return f
}

const freshPassword = "battery staple 1"

func change(old, fresh, again string) idp.PasswordChange {
	return idp.PasswordChange{Login: "alice", Old: old, New: fresh, Again: again}
}

// An expired password is changed on the way of a sign-in, which goes on with the new one; other sessions are over.
func TestChangeOfAnExpiredPassword(t *testing.T) {
	f, ctx, v := changeable(t), context.Background(), visitor("b")

	f.directory.change("alice", func(p *person) { p.problem = "" })
	other := visitor("other")
	a, err := f.Login(ctx, pendingLogin(t, f, other), "alice", "correct horse", other)
	must[idp.GoOn](t, a, err)
	other.Session = a.NewSession
	f.directory.change("alice", func(p *person) { p.problem = directory.PasswordExpired })

	id := pendingLogin(t, f, v)
	a, err = f.Login(ctx, id, "alice", "correct horse", v)
	if form := must[idp.AskPassword](t, a, err); !form.Change || form.Problem != directory.PasswordExpired {
		t.Fatalf("form %+v", form)
	}
	for name, c := range map[string]struct {
		sent    idp.PasswordChange
		change  bool
		problem directory.Problem
		said    string
	}{
		"wrong old password": {change("wrong", freshPassword, freshPassword), false, directory.BadCredentials, ""},
		"typed in two ways":  {change("correct horse", freshPassword, "x"), true, idp.PasswordDiffers, ""},
		"too short":          {change("correct horse", "short", "short"), true, "password_short", "Too short"},
		"nobody": {idp.PasswordChange{Login: "nobody", Old: "x", New: freshPassword, Again: freshPassword}, false,
			directory.BadCredentials, ""},
		"nothing": {idp.PasswordChange{Login: "alice"}, false, directory.BadCredentials, ""},
	} {
		a, err := f.ChangePassword(ctx, id, c.sent, v)
		form := must[idp.AskPassword](t, a, err)
		if form.Change != c.change || form.Problem != c.problem || form.Said != c.said || a.NewSession != "" {
			t.Errorf("%s: form %+v", name, form)
		}
	}

	a, err = f.ChangePassword(ctx, id, change("correct horse", freshPassword, freshPassword), v)
	must[idp.GoOn](t, a, err)
	if a.NewSession == "" {
		t.Fatal("the sign-in does not go on")
	}
	if _, in, err := f.SignedIn(ctx, other); err != nil || in {
		t.Errorf("the other session is still there: %v", err)
	}
	var seen []string
	for _, e := range f.events(t) {
		if e.Action == "password-change" || e.Action == "session-end" {
			seen = append(seen, e.Action+" "+e.Outcome+" "+e.Reason)
		}
	}
	slices.Sort(seen)
	want := "password-change ok |password-change refused password_short|session-end ok password_changed"
	if got := strings.Join(seen, "|"); got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	for _, secret := range []string{"correct horse", freshPassword} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log has the password %q", secret)
		}
	}
}

// Wrong old passwords are tries like any other: the limit holds for both forms together, and past it the right one
// changes nothing.
func TestChangesOfAPasswordAreCounted(t *testing.T) {
	f, ctx, v := changeable(t), context.Background(), visitor("b")
	id := pendingLogin(t, f, v)
	for range 6 {
		if _, err := f.ChangePassword(ctx, id, change("wrong", freshPassword, freshPassword), v); err != nil {
			t.Fatal(err)
		}
	}
	f.Drain()
	a, err := f.ChangePassword(ctx, id, change("correct horse", freshPassword, freshPassword), v)
	if form := must[idp.AskPassword](t, a, err); a.NewSession != "" || form.Change {
		t.Errorf("past the limit: %+v", form)
	}
	if _, binds := f.directory.counts(); binds > 3 {
		t.Errorf("%d passwords were judged, want 3 for a browser that is not known", binds)
	}
}

// Tries of an address past its limit have no more of the directory's connections by this form than by that of a login.
func TestChangesOfAPasswordWaitTheirTurn(t *testing.T) {
	f, ctx, v := changeable(t), context.Background(), visitor("b")
	for i := range 300 {
		_, _, err := f.db.Throttle().Take(ctx, store.TakeTry{Person: fmt.Sprint("other", i), Limit: 5, Window: time.Hour,
			Blocks: []store.Block{{Name: "192.0.2.1", Limit: 300}}, BlockWindow: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := f.ChangePassword(ctx, pendingLogin(t, f, v), change("wrong", freshPassword, freshPassword), v)
	must[idp.AskPassword](t, a, err)
	f.Drain()
	if f.directory.slow != 1 {
		t.Errorf("%d binds in the share of slow ones, want 1", f.directory.slow)
	}
}

// Where changes are off nothing offers them, and nothing does them.
func TestChangeOfAPasswordIsOff(t *testing.T) {
	f, ctx, v := newFixture(t, "rsa-2048", nil), context.Background(), visitor("b")
	f.directory.change("alice", func(p *person) { p.problem = directory.PasswordExpired })
	id := pendingLogin(t, f, v)
	a, err := f.Login(ctx, id, "alice", "correct horse", v)
	if form := must[idp.AskPassword](t, a, err); form.Change {
		t.Errorf("form %+v", form)
	}
	a, err = f.ChangePassword(ctx, id, change("correct horse", freshPassword, freshPassword), v)
	if form := must[idp.AskPassword](t, a, err); form.Change || a.NewSession != "" {
		t.Errorf("form %+v", form)
	}
	if _, binds := f.directory.counts(); binds != 1 {
		t.Errorf("%d binds", binds)
	}
}

// Whoever knew the old password is out as soon as it is changed, also where the sign-in does not go on with the new
// one: another server of the directory may not have it yet.
func TestChangeOfAPasswordEndsSessionsByItself(t *testing.T) {
	f, ctx, v := changeable(t), context.Background(), visitor("b")
	f.directory.change("alice", func(p *person) { p.problem = "" })
	other := f.signIn(t, "alice", "correct horse")
	f.directory.change("alice", func(p *person) { p.problem, p.lags = directory.PasswordExpired, true })
	a, err := f.ChangePassword(ctx, pendingLogin(t, f, v), change("correct horse", freshPassword, freshPassword), v)
	if form := must[idp.AskPassword](t, a, err); a.NewSession != "" || form.Problem != directory.BadCredentials {
		t.Fatalf("form %+v", form)
	}
	if _, in, err := f.SignedIn(ctx, other); err != nil || in {
		t.Errorf("the other session is still there: %v", err)
	}
}

// A person who closes the page while the directory changes the password leaves no change without a record.
func TestChangeOfAPasswordIsRecordedWithoutItsPerson(t *testing.T) {
	f, v := changeable(t), visitor("b")
	ctx, leave := context.WithCancel(context.Background())
	f.directory.change("alice", func(p *person) { p.changing = leave })
	id := pendingLogin(t, f, v)
	if a, err := f.ChangePassword(ctx, id, change("correct horse", freshPassword, freshPassword), v); err == nil {
		t.Errorf("answer %+v, though nobody waits for it", a)
	}
	if !slices.ContainsFunc(f.events(t), func(e store.Event) bool {
		return e.Action == "password-change" && e.Outcome == "ok"
	}) {
		t.Error("the change is not recorded")
	}
}
