package idp_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// makeAdmin gives a person the role admin in the directory.
func (f *fixture) makeAdmin(login string) {
	f.directory.change(login, func(p *person) {
		p.entry.Groups = []directory.Group{staffEntry}
	})
}

// toAccountPage begins the way to the own page without a session.
func (f *fixture) toAccountPage(t *testing.T, change idp.FactorChange) *traveller {
	t.Helper()
	w := &traveller{fixture: f, t: t, v: visitor("own page")}
	a, err := f.ChangeOwnFactors(context.Background(), change, w.v)
	w.id = begun(t, a, err).SignIn
	return w
}

// toConsole begins a sign-in to the console and passes the password.
func (f *fixture) toConsole(t *testing.T, browser, login, password string) *traveller {
	t.Helper()
	w := &traveller{fixture: f, t: t, v: visitor(browser)}
	a, err := f.EnterConsole(context.Background(), "/admin/", false, w.v)
	w.id = begun(t, a, err).SignIn
	w.login(login, password)
	return w
}

// inConsole tells whether a browser is let into the console.
func (w *traveller) inConsole() bool {
	w.t.Helper()
	_, in, err := w.Administrator(context.Background(), w.v)
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// ID-06: the way to the own page that began without a session enrols nothing for somebody whom no policy asks.
func TestAccountPageBegunWithoutASession(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required})
	w := f.toAccountPage(t, idp.FactorChange{Add: true})
	w.login("bob", "battery staple")
	if p := must[idp.Refusal](t, w.resume(), nil); p.Reason != idp.ReasonNoFactors {
		t.Errorf("refused for %s", p.Reason)
	}
	// Nor by a form that no page showed.
	must[idp.Refusal](t, w.enrol(idp.FactorEnrolment{Code: "000000", State: "x"}), nil)
	if list, err := f.Factors().List(context.Background(), bobID); len(list) != 0 || err != nil {
		t.Errorf("factors %+v, %v", list, err)
	}

	// Where a policy asks, the page of somebody who lost their role meanwhile stores nothing.
	f.makeAdmin("bob")
	code := f.invite(t, bobID)
	w = f.toAccountPage(t, idp.FactorChange{Add: true})
	w.login("bob", "battery staple")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	f.directory.change("bob", func(p *person) { p.entry.Groups = nil })
	now.Advance(61 * time.Second)
	w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State, Invite: code})
	if list, err := f.Factors().List(context.Background(), bobID); len(list) != 0 || err != nil {
		t.Errorf("factors of somebody without a role: %+v, %v", list, err)
	}
}

func (f *fixture) invite(t *testing.T, person store.PersonID) string {
	t.Helper()
	code, _, err := f.Invite(context.Background(), person, false, store.Event{At: now.Now(), Actor: "admin:test"})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// ID-06: a factor is added and removed by a login of the last ten minutes, however the way began, and by what the
// directory says now.
func TestFactorsChangeByAYoungLogin(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Offered})
	w := f.toAccountPage(t, idp.FactorChange{Add: true})
	w.login("bob", "battery staple")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	now.Advance(9 * time.Minute)
	// The directory is down: its last reading is good for sign-ins, and not for this.
	f.directory.setDown(true)
	if p := must[idp.Refusal](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}),
		nil); p.Reason != idp.ReasonDirectoryDown {
		t.Errorf("refused for %s", p.Reason)
	}
	f.directory.setDown(false)
	now.Advance(2 * time.Minute)
	must[idp.AskPassword](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
	must[idp.AskPassword](t, w.resume(), nil)
	w.login("bob", "battery staple")
	secret, _ := w.app()
	must[idp.AccountPage](t, w.resume(), nil)
	list, err := f.Factors().List(ctx, bobID)
	if err != nil || len(list) != 2 {
		t.Fatalf("factors %+v, %v", list, err)
	}
	now.Advance(11 * time.Minute)
	a, err := f.ChangeOwnFactors(ctx, idp.FactorChange{Remove: list[0].ID}, w.v)
	begun(t, a, err) // a login comes first
	if list, err := f.Factors().List(ctx, bobID); err != nil || len(list) != 2 {
		t.Errorf("removed by an old login: %+v, %v", list, err)
	}
	// On the way to a service as well: a browser that was left open enrols nothing.
	now.Advance(10 * time.Minute)
	g := newFactorFixture(t, idp.FactorOptions{People: mfa.Off})
	v := g.signIn(t, "alice", "correct horse")
	if err := g.Factors().SetPolicy(ctx, "a1", mfa.Required, store.Event{At: now.Now(), Actor: "admin:test"}); err != nil {
		t.Fatal(err)
	}
	now.Advance(11 * time.Minute)
	a, err = g.Launch(ctx, idp.LaunchRequest{Account: "a1"}, v)
	on := must[idp.GoOn](t, a, err)
	a, err = g.Resume(ctx, on.SignIn, v)
	must[idp.AskPassword](t, a, err)
	_ = secret
}

// ID-07: a factor that the password alone enrolled opens no console after a promotion, by no passing of time, and an
// invitation confirms it.
func TestPromotionAfterAPasswordOnlyEnrolment(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required, People: mfa.Required})
	secret, _ := f.travel(t, "bob", "battery staple").app()
	f.makeAdmin("bob")
	for _, wait := range []time.Duration{time.Minute, 25 * time.Hour, 100 * 24 * time.Hour} {
		now.Advance(wait)
		w := f.toConsole(t, "console", "bob", "battery staple")
		ask := must[idp.AskFactor](t, w.resume(), nil)
		if !ask.Invited || ask.Problem != "" {
			t.Fatalf("asked %+v", ask)
		}
		for _, invite := range []string{"", "WRONG"} {
			p := must[idp.AskFactor](t, w.prove(idp.FactorProof{Code: codeOf(t, secret), Invite: invite}), nil)
			if p.Problem != idp.FactorInvite || w.inConsole() {
				t.Errorf("after %s with the invitation %q: %q, in %t", wait, invite, p.Problem, w.inConsole())
			}
		}
	}
	// A session in which it was proved on another way is none for the console either.
	now.Advance(16 * time.Minute)
	w := f.travel(t, "bob", "battery staple")
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	must[idp.Deliver](t, w.resume(), nil)
	if w.inConsole() {
		t.Error("in by a factor that nobody confirmed")
	}
	a, err := f.EnterConsole(context.Background(), "/admin/", false, w.v)
	w.id = begun(t, a, err).SignIn
	if ask := must[idp.AskFactor](t, w.resume(), nil); !ask.Invited {
		t.Errorf("asked %+v", ask)
	}
	// Nor does one that it enrols.
	own := &traveller{fixture: f, t: t, v: w.v}
	a, err = f.ChangeOwnFactors(context.Background(), idp.FactorChange{Add: true}, own.v)
	own.id = begun(t, a, err).SignIn
	page := must[idp.EnrolFactor](t, own.resume(), nil)
	must[idp.GoOn](t, own.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
	if own.inConsole() {
		t.Error("in by a factor that an unconfirmed one enrolled")
	}
	// The invitation confirms the one that is proved with it.
	now.Advance(time.Minute)
	code := f.invite(t, bobID)
	w = f.toConsole(t, "console", "bob", "battery staple")
	must[idp.AskFactor](t, w.resume(), nil)
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret), Invite: code}), nil)
	must[idp.Entered](t, w.resume(), nil)
	if !w.inConsole() {
		t.Error("not in by the confirmed factor")
	}
	// The other one stays what it is, and is told from the confirmed one.
	now.Advance(time.Minute)
	w = f.toConsole(t, "console", "bob", "battery staple")
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, page.Secret)}), nil)
	if ask := must[idp.AskFactor](t, w.resume(), nil); ask.Problem != idp.FactorUnconfirmed || ask.Invited ||
		w.inConsole() {
		t.Errorf("by the other factor: %+v", ask)
	}
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	must[idp.Entered](t, w.resume(), nil)
	if e := count(f.events(t), "second-factor-confirm", "ok"); e != 1 {
		t.Errorf("%d events of a confirmation, want one", e)
	}
}

func count(all []store.Event, action, outcome string) (n int) {
	for _, e := range all {
		if e.Action == action && e.Outcome == outcome {
			n++
		}
	}
	return n
}

// ID-07: a factor from before the upgrade is not known to be confirmed, and neither is one whose row somebody changed.
func TestFactorOfUnknownOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		change  string
		foreign bool
	}{
		"before the upgrade": {`UPDATE second_factors SET enrolled_by = '', confirmed_at = 0, epoch = 0, mac = x''`,
			false},
		"its MAC removed":       {`UPDATE second_factors SET mac = x''`, false},
		"confirmed by a writer": {`UPDATE second_factors SET confirmed_at = confirmed_at + 1`, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required, People: mfa.Required})
			code := f.invite(t, aliceID)
			w := f.toConsole(t, "console", "alice", "correct horse")
			page := must[idp.EnrolFactor](t, w.resume(), nil)
			must[idp.RecoveryCodes](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State,
				Invite: code}), nil)
			if !w.inConsole() {
				t.Fatal("not in by an invited factor")
			}
			f.exec(t, c.change)
			if w.inConsole() {
				t.Error("still in")
			}
			now.Advance(time.Minute)
			list, err := f.Factors().List(context.Background(), aliceID)
			if err != nil || list[0].Confirmed || list[0].Damaged != c.foreign || list[0].By != store.ByBefore {
				t.Errorf("factors %+v, %v", list, err)
			}
			w = f.toConsole(t, "console", "alice", "correct horse")
			code = f.invite(t, aliceID)
			must[idp.AskFactor](t, w.resume(), nil)
			a := w.prove(idp.FactorProof{Code: codeOf(t, page.Secret), Invite: code})
			if c.foreign {
				if p := must[idp.AskFactor](t, a, nil); p.Problem != idp.FactorWrong {
					t.Errorf("a changed factor proves: %+v", p)
				}
				return
			}
			must[idp.GoOn](t, a, nil)
			must[idp.Entered](t, w.resume(), nil)
		})
	}
}

// ID-07: a service provider that demands a second factor is told of one that the password enrolled after a day, at a
// login after another one at which the person was shown that it was added.
func TestDemandedFactorIsConfirmedByTime(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Offered, ConfirmAfter: 24 * time.Hour})
	demand := func(w *traveller, passive bool) {
		t.Helper()
		r := newRequest(plain)
		r.inner = `<samlp:RequestedAuthnContext Comparison="exact"><saml:AuthnContextClassRef>` + refedsMFA +
			`</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`
		if passive {
			r.attributes = `IsPassive="true"`
		}
		w.id = f.request(t, r, w.v)
	}
	login := func() *traveller {
		t.Helper()
		w := &traveller{fixture: f, t: t, v: visitor("alice's")}
		demand(w, false)
		w.login("alice", "correct horse")
		return w
	}
	w := login()
	secret, _ := w.app()
	refused := func(w *traveller, reason string) idp.Refusal {
		t.Helper()
		p := must[idp.Refusal](t, w.resume(), nil)
		if p.Reason != reason {
			t.Errorf("refused for %s, want %s", p.Reason, reason)
		}
		return p
	}
	// A second later: a page that says when, NoAuthnContext for the service provider, and no class anywhere else.
	now.Advance(time.Second)
	if p := refused(w, idp.ReasonFactorNew); p.Wait != 24*time.Hour-time.Second {
		t.Errorf("wait %s", p.Wait)
	}
	a, err := f.Cancel(ctx, w.id, w.v)
	if _, second := status(t, must[idp.Deliver](t, a, err)); second != "NoAuthnContext" {
		t.Errorf("status %s, want NoAuthnContext", second)
	}
	demand(w, true)
	if _, second := status(t, must[idp.Deliver](t, w.resume(), nil)); second != "NoAuthnContext" {
		t.Errorf("passive: status %s, want NoAuthnContext", second)
	}
	w.id = f.request(t, newRequest(plain), w.v)
	if class := classOf(t, w.resume()); class != password {
		t.Errorf("class %s where none is demanded", class)
	}
	// Time alone does not do it: nobody was shown it at a login.
	now.Advance(48 * time.Hour)
	w = login()
	refused(w, idp.ReasonFactorLogin)
	// This login has shown it; the next one counts.
	now.Advance(time.Minute)
	w = login()
	must[idp.AskFactor](t, w.resume(), nil)
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	if class := classOf(t, w.resume()); class != refedsMFA {
		t.Errorf("class %s", class)
	}
	if n := count(f.events(t), "second-factor-notice", "ok"); n != 1 {
		t.Errorf("%d notices, want one", n)
	}
}

// ID-07: whoever has the password alone does not confirm by time what they have enrolled, in whatever browser they are
// shown it. In the one that the person has used for longest it counts.
func TestThiefConfirmsNothingByTime(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Offered, ConfirmAfter: 24 * time.Hour})
	login := func(browser string) *traveller {
		t.Helper()
		now.Advance(time.Minute)
		w := &traveller{fixture: f, t: t, v: visitor(browser)}
		r := newRequest(plain)
		r.inner = `<samlp:RequestedAuthnContext Comparison="exact"><saml:AuthnContextClassRef>` + refedsMFA +
			`</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`
		w.id = f.request(t, r, w.v)
		w.login("alice", "correct horse")
		return w
	}
	login("owner's") // long before
	secret, _ := login("thief's").app()
	for range 3 {
		now.Advance(25 * time.Hour)
		for _, browser := range []string{"thief's", "thief's second"} {
			if p := must[idp.Refusal](t, login(browser).resume(), nil); p.Reason != idp.ReasonFactorLogin {
				t.Errorf("in %s browser: refused for %s", browser, p.Reason)
			}
		}
	}
	reasons := map[string]int{}
	for _, e := range f.events(t) {
		if e.Action == "second-factor-notice" {
			reasons[e.Reason]++
		}
	}
	if reasons["another_browser"] != 6 || reasons[""] != 0 {
		t.Errorf("notices by reason %v, want six in another browser", reasons)
	}
	// The owner is shown it, and leaves it: it may be theirs.
	must[idp.Refusal](t, login("owner's").resume(), nil)
	w := login("owner's second")
	must[idp.AskFactor](t, w.resume(), nil)
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	if class := classOf(t, w.resume()); class != refedsMFA {
		t.Errorf("class %s", class)
	}
}

// ID-07: the owner is shown at each login which factors were added, also where no factor is asked for.
func TestNoticeOfAddedFactors(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{})
	event := store.Event{At: now.Now(), Actor: "admin:test"}
	if err := f.Factors().SetPolicy(ctx, "a1", mfa.Required, event); err != nil {
		t.Fatal(err)
	}
	f.travel(t, "bob", "battery staple").app() // by whoever has the password
	for range 2 {
		now.Advance(time.Minute)
		w := &traveller{fixture: f, t: t, v: visitor("owner's")}
		a, err := f.Launch(ctx, idp.LaunchRequest{Account: "a2"}, w.v)
		w.id = begun(t, a, err).SignIn
		w.login("bob", "battery staple")
		p := must[idp.FactorNotice](t, w.resume(), nil)
		if len(p.Factors) != 1 || p.Factors[0].Kind != mfa.TOTP || p.Factors[0].Added.IsZero() {
			t.Errorf("notice %+v", p)
		}
		w.id = p.SignIn                       // by which it is stored now
		must[idp.Deliver](t, w.resume(), nil) // once for each sign-in
		a, err = f.Launch(ctx, idp.LaunchRequest{Account: "a2"}, w.v)
		must[idp.Deliver](t, a, err) // and not without a login
	}
}

// ID-06: of two removals at once that would take the last two factors of an administrator, one is done.
func TestParallelRemovals(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required, KeepOthers: true})
	code := f.invite(t, aliceID)
	w := f.toConsole(t, "console", "alice", "correct horse")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	must[idp.RecoveryCodes](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State, Invite: code}),
		nil)
	now.Advance(time.Second)
	a, err := f.ChangeOwnFactors(ctx, idp.FactorChange{Add: true}, w.v)
	w.id = begun(t, a, err).SignIn
	page = must[idp.EnrolFactor](t, w.resume(), nil)
	must[idp.GoOn](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
	list, err := f.Factors().List(ctx, aliceID)
	if err != nil || len(list) != 3 {
		t.Fatalf("factors %+v, %v", list, err)
	}
	var (
		wait    sync.WaitGroup
		removed atomic.Int64
	)
	for _, one := range list[:2] {
		wait.Go(func() {
			a, err := f.ChangeOwnFactors(ctx, idp.FactorChange{Remove: one.ID}, w.v)
			if err != nil {
				t.Error(err)
			}
			if _, done := a.Page.(idp.AccountPage); done {
				removed.Add(1)
			}
		})
	}
	wait.Wait()
	left, err := f.Factors().List(ctx, aliceID)
	if err != nil || len(left) != 2 || removed.Load() != 1 {
		t.Errorf("%d removed, left %+v, %v; want one factor and the recovery codes", removed.Load(), left, err)
	}
}

// ID-06: what was begun before the end of all sessions stores neither a session nor a factor, and what was begun before
// a suspension or a reset neither.
func TestProofUnderWayAndTheEndOfAllSessions(t *testing.T) {
	ctx := context.Background()
	event := store.Event{Actor: "admin:test", Action: "x"}
	for name, revoke := range map[string]func(*fixture) error{
		"end of all sessions": func(f *fixture) error { _, err := f.db.Sessions().EndPerson(ctx, bobID, event); return err },
		"suspension": func(f *fixture) error {
			u := store.SSOUser{Person: bobID, Account: "a1", ExternalID: "x", Role: store.AccountManager}
			if _, _, err := f.db.Ledger().Enqueue(ctx, u, event); err != nil {
				return err
			}
			return f.db.Ledger().Suspend(ctx, store.UserKey{Person: bobID, Account: "a1"}, event)
		},
		"another session's end": func(f *fixture) error {
			all, err := f.db.Sessions().OfPerson(ctx, bobID, 0)
			for _, s := range all {
				if err == nil {
					err = f.db.Sessions().End(ctx, s.TokenHash)
				}
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
			// An enrolment whose page is open.
			w := f.travel(t, "bob", "battery staple")
			page := must[idp.EnrolFactor](t, w.resume(), nil)
			if err := revoke(f); err != nil {
				t.Fatal(err)
			}
			must[idp.AskPassword](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
			if list, err := f.Factors().List(ctx, bobID); err != nil || len(list) != 0 {
				t.Errorf("enrolled %+v, %v", list, err)
			}
			// A proof that is between its check and its storing.
			w = f.travel(t, "bob", "battery staple")
			secret, _ := w.app()
			now.Advance(time.Minute)
			w = f.travel(t, "bob", "battery staple")
			must[idp.AskFactor](t, w.resume(), nil)
			f.between(func() { _ = f.end(ctx, bobID) })
			a := w.prove(idp.FactorProof{Code: codeOf(t, secret)})
			must[idp.AskPassword](t, a, nil)
			if all, err := f.db.Sessions().OfPerson(ctx, bobID, 0); a.NewSession != "" || len(all) != 0 || err != nil {
				t.Errorf("sessions %v, %v", all, err)
			}
		})
	}
}

// between has something done while the next randomness is drawn: after a proof was checked, and before it is stored.
func (f *fixture) between(do func()) { f.random.set(do) }

func (f *fixture) end(ctx context.Context, person store.PersonID) error {
	_, err := f.db.Sessions().EndPerson(ctx, person)
	return err
}
