package idp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

const (
	aliceID   = store.PersonID("11111111-aaaa-4bbb-8ccc-000000000001")
	bobID     = store.PersonID("11111111-aaaa-4bbb-8ccc-000000000002")
	refedsMFA = idp.DefaultSecondFactorClass
	password  = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
)

func newFactorFixture(t *testing.T, o idp.FactorOptions) *fixture {
	t.Helper()
	return newFixture(t, "rsa-2048", func(all *idp.Options) {
		all.SecondFactor, all.Console = o, idp.ConsoleGroups{Admin: staffGroup}
	})
}

// codeOf is what an authenticator app with this secret shows now.
func codeOf(t testing.TB, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, now.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// traveller is a browser on the way to Constant Contact.
type traveller struct {
	*fixture
	t  *testing.T
	v  idp.Visitor
	id string // of the pending sign-in
}

// travel begins a sign-in and passes the password.
func (f *fixture) travel(t *testing.T, login, password string) *traveller {
	t.Helper()
	w := &traveller{fixture: f, t: t, v: visitor("browser of " + login)}
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, w.v)
	w.id = begun(t, a, err).SignIn
	w.login(login, password)
	return w
}

func (w *traveller) login(login, password string) {
	w.t.Helper()
	a, err := w.Login(context.Background(), w.id, login, password, w.v)
	must[idp.GoOn](w.t, a, err)
	w.v.Session = a.NewSession
}

func (w *traveller) resume() idp.Answer {
	w.t.Helper()
	a, err := w.fixture.resume(w.id, w.v)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *traveller) prove(p idp.FactorProof) idp.Answer {
	w.t.Helper()
	a, err := w.ProveFactor(context.Background(), w.id, p, w.v)
	if err != nil {
		w.t.Fatal(err)
	}
	if a.NewSession != "" {
		w.v.Session = a.NewSession
	}
	return a
}

func (w *traveller) enrol(e idp.FactorEnrolment) idp.Answer {
	w.t.Helper()
	a, err := w.EnrolFactor(context.Background(), w.id, e, w.v)
	if err != nil {
		w.t.Fatal(err)
	}
	if a.NewSession != "" {
		w.v.Session = a.NewSession
	}
	return a
}

// app enrols an authenticator app and returns its secret and the recovery codes.
func (w *traveller) app() (secret string, codes []string) {
	w.t.Helper()
	page := must[idp.EnrolFactor](w.t, w.resume(), nil)
	codes = must[idp.RecoveryCodes](w.t, w.enrol(idp.FactorEnrolment{Code: codeOf(w.t, page.Secret), State: page.State}),
		nil).Codes
	return page.Secret, codes
}

// attested makes an app that the password has enrolled one that service providers are told of: its owner is shown it at
// a login, and logs in again a day later.
func (f *fixture) attested(t *testing.T, login, password, secret string) *traveller {
	t.Helper()
	now.Advance(time.Minute)
	w := f.travel(t, login, password)
	ask := must[idp.AskFactor](t, w.resume(), nil)
	if len(ask.Added) != 1 || ask.Added[0].Kind != mfa.TOTP {
		t.Errorf("shown at the login: %+v", ask.Added)
	}
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	now.Advance(24 * time.Hour)
	w = f.travel(t, login, password)
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	return w
}

func classOf(t *testing.T, a idp.Answer) string {
	t.Helper()
	return find(t, root(t, must[idp.Deliver](t, a, nil)), "//AuthnContextClassRef").Text()
}

func TestFactorRequired(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	w := f.travel(t, "bob", "battery staple")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	if page.Optional || page.Invited || !strings.HasPrefix(page.Picture, "data:image/png;base64,") || page.Passkey == "" {
		t.Errorf("enrolment %+v", page)
	}
	// A wrong code keeps the secret: the app has it.
	again := must[idp.EnrolFactor](t, w.enrol(idp.FactorEnrolment{Code: "000000", State: page.State}), nil)
	if again.Problem != idp.FactorWrong || again.Secret != page.Secret || again.Picture != page.Picture {
		t.Errorf("after a wrong code: %+v", again)
	}
	before := w.v
	codes := must[idp.RecoveryCodes](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: again.State}),
		nil).Codes
	if len(codes) != 10 {
		t.Errorf("recovery codes %q", codes)
	}
	if _, in, _ := f.SignedIn(ctx, before); in {
		t.Error("the session without the factor lives on")
	}
	if class := classOf(t, w.resume()); class != refedsMFA {
		t.Errorf("class %s", class)
	}

	// A launch with this session asks nothing more; a new login does.
	a, err := f.Launch(ctx, idp.LaunchRequest{}, w.v)
	if class := classOf(t, taken(t, a, err)); class != refedsMFA {
		t.Errorf("class %s", class)
	}
	w = f.travel(t, "bob", "battery staple")
	ask := must[idp.AskFactor](t, w.resume(), nil)
	if !ask.Code || ask.Passkey != "" || ask.Problem != "" {
		t.Errorf("asked %+v", ask)
	}
	// The code that enrolled it is used up; those of another time do not hold.
	for _, code := range []string{codeOf(t, page.Secret), "", "123", strings.Repeat("1", 100), "abcdef"} {
		if p := must[idp.AskFactor](t, w.prove(idp.FactorProof{Code: code}), nil); p.Problem != idp.FactorWrong {
			t.Errorf("code %q: %+v", code, p)
		}
	}
	now.Advance(16 * time.Minute) // the tries are over
	// With blanks, as apps show it.
	code := codeOf(t, page.Secret)
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: code[:3] + " " + code[3:]}), nil)
	if class := classOf(t, w.resume()); class != refedsMFA {
		t.Errorf("class %s", class)
	}
	// No code twice, by whoever: not even within its time.
	w = f.travel(t, "bob", "battery staple")
	must[idp.AskFactor](t, w.prove(idp.FactorProof{Code: code}), nil)
	for _, e := range f.events(t) {
		if strings.Contains(string(e.Detail)+e.Reason, page.Secret) || strings.Contains(string(e.Detail)+e.Reason, code) {
			t.Errorf("event with a secret: %+v", e)
		}
	}
	if strings.Contains(f.log.String(), page.Secret) || strings.Contains(f.log.String(), codes[0]) {
		t.Error("the log holds a secret")
	}
}

// taken hands an answer on that came without error.
func taken(t *testing.T, a idp.Answer, err error) idp.Answer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRecoveryCodes(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	_, codes := f.travel(t, "bob", "battery staple").app()
	typed := strings.ToLower(strings.ReplaceAll(codes[3], "-", " "))
	w := f.travel(t, "bob", "battery staple")
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: typed}), nil)
	must[idp.Deliver](t, w.resume(), nil)
	list, err := f.Factors().List(context.Background(), bobID)
	if err != nil || len(list) != 2 || list[1].Kind != mfa.RecoveryCode || list[1].Left != 9 {
		t.Errorf("factors %+v, %v", list, err)
	}
	w = f.travel(t, "bob", "battery staple")
	if p := must[idp.AskFactor](t, w.prove(idp.FactorProof{Code: codes[3]}), nil); p.Problem != idp.FactorWrong {
		t.Errorf("used twice: %+v", p)
	}
	// Nobody else's.
	g := f.travel(t, "alice", "correct horse")
	g.app()
	g = f.travel(t, "alice", "correct horse")
	must[idp.AskFactor](t, g.prove(idp.FactorProof{Code: codes[4]}), nil)
}

// Of guesses that come together no more are looked at than there may be, and no login of
// the person is counted for them.
func TestFactorGuesses(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	secret, _ := f.travel(t, "bob", "battery staple").app()
	now.Advance(time.Minute)
	w := f.travel(t, "bob", "battery staple")
	w.resume()
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		looked int
	)
	for i := range 20 {
		wait.Go(func() {
			a, err := f.ProveFactor(context.Background(), w.id, idp.FactorProof{Code: fmt.Sprintf("x%05d", i)}, w.v)
			if err != nil {
				t.Error(err)
				return
			}
			if _, asked := a.Page.(idp.AskFactor); asked {
				mu.Lock()
				looked++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if looked != 5 {
		t.Errorf("%d guesses were looked at, want 5", looked)
	}
	if p := must[idp.Refusal](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}),
		nil); p.Reason != idp.ReasonTooManyAttempts {
		t.Errorf("refused for %s", p.Reason)
	}
	now.Advance(16 * time.Minute)
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
}

func TestFactorOffered(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Offered})
	w := f.travel(t, "bob", "battery staple")
	if p := must[idp.EnrolFactor](t, w.resume(), nil); !p.Optional {
		t.Errorf("offered as %+v", p)
	}
	must[idp.GoOn](t, w.enrol(idp.FactorEnrolment{Later: true}), nil)
	if class := classOf(t, w.resume()); class != password {
		t.Errorf("class %s", class)
	}
	w = f.travel(t, "bob", "battery staple")
	must[idp.Deliver](t, w.resume(), nil) // not offered again so soon
	now.Advance(31 * 24 * time.Hour)
	w = f.travel(t, "bob", "battery staple")
	secret, _ := w.app()
	now.Advance(time.Minute)
	w = f.travel(t, "bob", "battery staple")
	must[idp.AskFactor](t, w.resume(), nil) // who has one is asked
	if p := must[idp.AskFactor](t, w.enrol(idp.FactorEnrolment{Later: true}), nil); p.Problem != "" {
		t.Errorf("put off by somebody who has one: %+v", p)
	}
	must[idp.GoOn](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	must[idp.Deliver](t, w.resume(), nil)
}

func TestFactorPolicyOfAccounts(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	event := store.Event{At: now.Now(), Actor: "admin:test"}
	launch := func() idp.Answer {
		v := visitor("bob's")
		a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
		on := begun(t, a, err)
		a, err = f.Login(ctx, on.SignIn, "bob", "battery staple", v)
		must[idp.GoOn](t, a, err)
		v.Session = a.NewSession
		a, err = f.Resume(ctx, on.SignIn, v)
		return taken(t, a, err)
	}
	must[idp.EnrolFactor](t, launch(), nil)
	account := f.gate.questions()[0].Account
	if account == "" {
		account = granted(f.gate.questions()[0]).Assignment.Account
	}
	if err := f.Factors().SetPolicy(ctx, account, mfa.Off, event); err != nil {
		t.Fatal(err)
	}
	must[idp.Deliver](t, launch(), nil)
	if policy, own, err := f.FactorPolicy(ctx, account); policy != mfa.Off || !own || err != nil {
		t.Errorf("policy %s, own %t, %v", policy, own, err)
	}
	if err := f.Factors().SetPolicy(ctx, account, "", event); err != nil {
		t.Fatal(err)
	}
	must[idp.EnrolFactor](t, launch(), nil)
	// A word of a later version lets nobody through.
	if err := f.db.SecondFactors().SetPolicy(ctx, account, "certificate", event); err != nil {
		t.Fatal(err)
	}
	must[idp.EnrolFactor](t, launch(), nil)
}

// Who has a role in the console enrols the first factor by invitation alone, on whatever way.
func TestFactorInvitation(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required, People: mfa.Required})
	enter := func(v idp.Visitor) (*traveller, idp.Answer) {
		a, err := f.EnterConsole(ctx, "/admin/", false, v)
		on := begun(t, a, err)
		w := &traveller{fixture: f, t: t, v: v, id: on.SignIn}
		w.login("alice", "correct horse")
		return w, w.resume()
	}
	code, _, err := f.Invite(ctx, aliceID, false, store.Event{At: now.Now(), Actor: "admin:test"})
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(25 * time.Hour) // too late
	w, a := enter(visitor("console"))
	page := must[idp.EnrolFactor](t, a, nil)
	if !page.Invited {
		t.Error("no invitation is asked for")
	}
	for _, invite := range []string{"", "WRONG", code} {
		page = must[idp.EnrolFactor](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State,
			Invite: invite}), nil)
		if page.Problem != idp.FactorInvite || page.Invite != invite {
			t.Errorf("with the invitation %q: %q, %q", invite, page.Problem, page.Invite)
		}
	}
	if _, in, _ := f.Administrator(ctx, w.v); in {
		t.Error("in by a password alone")
	}
	// The way to a service is no way around it.
	x := f.travel(t, "alice", "correct horse")
	page = must[idp.EnrolFactor](t, x.resume(), nil)
	page = must[idp.EnrolFactor](t, x.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
	if page.Problem != idp.FactorInvite {
		t.Errorf("on the way to a service: %+v", page.Problem)
	}
	now.Advance(16 * time.Minute)

	if code, _, err = f.Invite(ctx, aliceID, false, store.Event{At: now.Now(), Actor: "admin:test"}); err != nil {
		t.Fatal(err)
	}
	w, a = enter(visitor("console"))
	page = must[idp.EnrolFactor](t, a, nil)
	must[idp.RecoveryCodes](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State,
		Invite: strings.ToLower(code)}), nil)
	must[idp.Entered](t, w.resume(), nil)
	who, in, err := f.Administrator(ctx, w.v)
	if !in || err != nil || who.Role != idp.Admin {
		t.Errorf("administrator %+v, %t, %v", who, in, err)
	}
	if _, _, err := f.Invite(ctx, aliceID, false, store.Event{At: now.Now()}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("invited with a factor: %v", err)
	}
	// Invited anew: the factors and the sessions are gone.
	if _, _, err := f.Invite(ctx, aliceID, true, store.Event{At: now.Now(), Actor: "admin:test"}); err != nil {
		t.Fatal(err)
	}
	if _, in, _ := f.Administrator(ctx, w.v); in {
		t.Error("the session outlived its factor")
	}
}

// ID-24: whoever has no role in the console is not invited, by the directory's word at this moment.
func TestInviteTakesARole(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required})
	invite := func(again bool) error {
		_, _, err := f.Invite(ctx, bobID, again, store.Event{At: now.Now(), Actor: "admin:test"})
		return err
	}
	if err := invite(false); !errors.Is(err, idp.ErrNoConsoleRole) {
		t.Fatalf("without a role: %v", err)
	}
	f.makeAdmin("bob")
	if err := invite(false); err != nil {
		t.Fatalf("with a role: %v", err)
	}
	f.directory.change("bob", func(p *person) { p.entry.Groups = nil })
	w := f.travel(t, "bob", "battery staple")
	if err := invite(true); !errors.Is(err, idp.ErrNoConsoleRole) {
		t.Errorf("after the role was taken away: %v", err)
	}
	must[idp.Deliver](t, w.resume(), nil) // what is refused removes no factor and ends no session
	f.makeAdmin("bob")
	f.directory.setDown(true)
	if err := invite(false); err == nil || errors.Is(err, idp.ErrNoConsoleRole) {
		t.Errorf("with the directory down: %v", err)
	}
	refused, err := f.db.Audit().List(ctx, store.Filter{Action: "second-factor-invite", Outcome: "refused"})
	if err != nil || len(refused) != 2 || refused[0].Reason != idp.ReasonNoConsole || refused[0].Actor != "admin:test" ||
		refused[0].Subject != string(bobID) {
		t.Errorf("events %+v, %v", refused, err)
	}
}

// A state of one page holds for its session, for a while and for once.
func TestFactorState(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	w := f.travel(t, "bob", "battery staple")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	x := f.travel(t, "alice", "correct horse")
	for name, state := range map[string]string{"another session's": page.State, "none": "", "no base64": "<>",
		"not sealed": "AAAA"} {
		if p := must[idp.EnrolFactor](t, x.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: state}),
			nil); p.Problem != idp.FactorExpired || p.Secret == page.Secret {
			t.Errorf("%s: %q", name, p.Problem)
		}
	}
	now.Advance(31 * time.Minute)
	must[idp.AskPassword](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
	w.login("bob", "battery staple") // the page was that of the session before
	if p := must[idp.EnrolFactor](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}),
		nil); p.Problem != idp.FactorExpired {
		t.Errorf("after half an hour: %q", p.Problem)
	}
}

// Nobody gains a factor by writing into the database.
func TestFactorCopied(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	secret, _ := f.travel(t, "bob", "battery staple").app()
	f.exec(t, `
		INSERT INTO second_factors (id, person_id, kind, sealed, version, created_at, used_at, enrolled_by, confirmed_at, noticed_at, epoch, mac)
		SELECT 'copied', ?, kind, sealed, version, created_at, used_at, enrolled_by, confirmed_at, noticed_at, epoch, mac
		  FROM second_factors WHERE person_id = ? AND kind = ?`, string(aliceID), string(bobID), mfa.TOTP)
	now.Advance(time.Minute)
	w := f.travel(t, "alice", "correct horse")
	if p := must[idp.AskFactor](t, w.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil); p.Problem != idp.FactorWrong {
		t.Errorf("a copied factor: %+v", p)
	}
	if list, err := f.Factors().List(ctx, aliceID); err != nil || len(list) != 1 || !list[0].Damaged {
		t.Errorf("list %+v, %v", list, err)
	}
}

// REQ-18 with second factors.
func TestREQ18SecondFactor(t *testing.T) {
	asking := func(comparison, class string) authnRequest {
		r := newRequest(ctct)
		r.inner = `<samlp:RequestedAuthnContext Comparison="` + comparison + `"><saml:AuthnContextClassRef>` + class +
			`</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`
		return r
	}
	f := newFactorFixture(t, idp.FactorOptions{})
	a, err := f.SSO(context.Background(), byRedirect(t, asking("exact", refedsMFA).xml()), visitor("b"))
	if _, second := status(t, must[idp.Deliver](t, a, err)); second != "NoAuthnContext" {
		t.Errorf("without second factors: status %s", second)
	}

	f = newFactorFixture(t, idp.FactorOptions{People: mfa.Offered})
	// The request asks for one: nobody can put it off.
	w := &traveller{fixture: f, t: t, v: visitor("browser of bob")}
	w.id = f.request(t, asking("minimum", refedsMFA), w.v)
	w.login("bob", "battery staple")
	if p := must[idp.EnrolFactor](t, w.resume(), nil); p.Optional {
		t.Error("a requested factor is optional")
	}
	must[idp.EnrolFactor](t, w.enrol(idp.FactorEnrolment{Later: true}), nil)
	secret, _ := w.app()
	if p := must[idp.Refusal](t, w.resume(), nil); p.Reason != idp.ReasonFactorNew ||
		p.Wait != 24*time.Hour || !p.CanCancel {
		t.Errorf("with a factor of a moment ago: %+v", p)
	}
	w = f.attested(t, "bob", "battery staple", secret)
	for _, c := range []struct{ comparison, class, want string }{
		{"exact", password, password}, // the SP takes this one alone, and it was done
		{"exact", refedsMFA, refedsMFA},
		{"minimum", password, refedsMFA},
		{"maximum", password, password},
		{"better", password, refedsMFA},
	} {
		w.id = f.request(t, asking(c.comparison, c.class), w.v)
		if class := classOf(t, w.resume()); class != c.want {
			t.Errorf("%s %s: got %s, want %s", c.comparison, c.class, class, c.want)
		}
	}
	// Where no page may be shown, a session without the factor is not enough.
	v := f.signIn(t, "alice", "correct horse")
	r := asking("exact", refedsMFA)
	r.attributes = `IsPassive="true"`
	id := f.request(t, r, v)
	a, err = f.Resume(context.Background(), id, v)
	if _, second := status(t, must[idp.Deliver](t, a, err)); second != "NoPassive" {
		t.Errorf("passive: status %s", second)
	}
}

func TestOwnFactors(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{})
	a, err := f.OwnFactors(ctx, visitor("b"))
	if p := must[idp.Refusal](t, a, err); p.Reason != idp.ReasonNoFactors {
		t.Errorf("refused for %s", p.Reason)
	}

	// Where the console alone asks, there is something to look after for those who may enter it.
	f = newFactorFixture(t, idp.FactorOptions{Console: mfa.Required})
	for login, want := range map[string]bool{"alice": true, "bob": false} {
		v := f.signIn(t, login, map[string]string{"alice": "correct horse", "bob": "battery staple"}[login])
		if on, err := f.FactorsOn(ctx, v); on != want || err != nil {
			t.Errorf("%s: factors %t, %v", login, on, err)
		}
		a, err := f.OwnFactors(ctx, v)
		if _, refused := a.Page.(idp.Refusal); refused == want || err != nil {
			t.Errorf("%s: %T, %v", login, a.Page, err)
		}
	}

	f = newFactorFixture(t, idp.FactorOptions{People: mfa.Offered, Console: mfa.Required})
	own := func(w *traveller, change idp.FactorChange) idp.Answer {
		t.Helper()
		a, err := f.ChangeOwnFactors(ctx, change, w.v)
		if on, ok := a.Page.(idp.GoOn); ok {
			w.id = on.SignIn
		}
		return taken(t, a, err)
	}
	// Nobody signed in logs in first.
	w := &traveller{fixture: f, t: t, v: visitor("own")}
	w.id = begun(t, own(w, idp.FactorChange{}), nil).SignIn
	must[idp.AskPassword](t, w.resume(), nil)
	w.login("bob", "battery staple")
	must[idp.AccountPage](t, w.resume(), nil)
	if p := must[idp.OwnFactors](t, own(w, idp.FactorChange{}), nil); len(p.Factors) != 0 || p.Login != "bob" {
		t.Errorf("own factors %+v", p)
	}
	begun(t, own(w, idp.FactorChange{Add: true}), nil)
	secret, old := w.app()
	must[idp.AccountPage](t, w.resume(), nil)
	p := must[idp.OwnFactors](t, own(w, idp.FactorChange{}), nil)
	if len(p.Factors) != 2 {
		t.Fatalf("own factors %+v", p)
	}
	// Another one, which shows no new recovery codes.
	now.Advance(time.Second)
	begun(t, own(w, idp.FactorChange{Add: true}), nil)
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	if !page.Adding {
		t.Errorf("adding %+v", page)
	}
	must[idp.GoOn](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State}), nil)
	must[idp.AccountPage](t, w.resume(), nil)

	// With the password alone, whoever has a factor gets to nothing here.
	now.Advance(time.Minute)
	x := f.travel(t, "bob", "battery staple")
	for _, change := range []idp.FactorChange{{}, {Remove: p.Factors[0].ID}, {Renew: true}, {Add: true}} {
		begun(t, own(x, change), nil)
		must[idp.AskFactor](t, x.resume(), nil)
	}
	must[idp.AskFactor](t, x.enrol(idp.FactorEnrolment{Code: codeOf(t, secret)}), nil)
	if list, err := f.Factors().List(ctx, bobID); err != nil || len(list) != 3 {
		t.Fatalf("factors %+v, %v", list, err)
	}

	// New recovery codes end the old ones; a login that is not young comes first.
	renewed := must[idp.RecoveryCodes](t, own(w, idp.FactorChange{Renew: true}), nil)
	if len(renewed.Codes) != 10 || renewed.Codes[0] == old[0] {
		t.Errorf("renewed %q", renewed.Codes)
	}
	must[idp.AskFactor](t, x.prove(idp.FactorProof{Code: old[0]}), nil)
	must[idp.GoOn](t, x.prove(idp.FactorProof{Code: renewed.Codes[0]}), nil)
	must[idp.AccountPage](t, own(w, idp.FactorChange{Remove: p.Factors[0].ID}), nil)
	must[idp.AccountPage](t, own(w, idp.FactorChange{Remove: "another's"}), nil)
	// A removal ends the other sessions.
	if _, in, err := f.SignedIn(ctx, x.v); in || err != nil {
		t.Errorf("another session after a removal: %t, %v", in, err)
	}
	x = f.travel(t, "bob", "battery staple")
	must[idp.GoOn](t, x.prove(idp.FactorProof{Code: renewed.Codes[1]}), nil)
	// Somebody switched off in the directory changes nothing any more.
	f.directory.change("bob", func(p *person) { p.problem = directory.Disabled })
	now.Advance(61 * time.Second)
	if p := must[idp.Refusal](t, own(x, idp.FactorChange{Renew: true}), nil); p.Reason != string(directory.Disabled) {
		t.Errorf("switched off: refused for %s", p.Reason)
	}
	f.directory.change("bob", func(p *person) { p.problem = "" })
	now.Advance(11 * time.Minute)
	w.id = begun(t, own(w, idp.FactorChange{Renew: true}), nil).SignIn
	must[idp.AskPassword](t, w.resume(), nil)
}

// The last factor of somebody of whom the console asks one stays: there is no way to the
// next without an invitation.
func TestLastFactor(t *testing.T) {
	ctx := context.Background()
	f := newFactorFixture(t, idp.FactorOptions{Console: mfa.Required})
	code, _, err := f.Invite(ctx, aliceID, false, store.Event{At: now.Now(), Actor: "admin:test"})
	if err != nil {
		t.Fatal(err)
	}
	w := &traveller{fixture: f, t: t, v: visitor("own")}
	a, err := f.ChangeOwnFactors(ctx, idp.FactorChange{Add: true}, w.v)
	w.id = begun(t, a, err).SignIn
	w.login("alice", "correct horse")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	must[idp.RecoveryCodes](t, w.enrol(idp.FactorEnrolment{Code: codeOf(t, page.Secret), State: page.State, Invite: code}),
		nil)
	a, err = f.OwnFactors(ctx, w.v)
	p := must[idp.OwnFactors](t, a, err)
	a, err = f.ChangeOwnFactors(ctx, idp.FactorChange{Remove: p.Factors[0].ID}, w.v)
	if p := must[idp.OwnFactors](t, a, err); p.Problem != idp.FactorLast || len(p.Factors) != 2 {
		t.Errorf("removed the last: %+v", p)
	}
}

// A passkey's answer that no authenticator gave is refused, and none but of the page that asked.
func TestPasskeyRefusals(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	w := f.travel(t, "bob", "battery staple")
	page := must[idp.EnrolFactor](t, w.resume(), nil)
	var options struct {
		RP   struct{ ID string }
		User struct{ Name string }
	}
	if err := json.Unmarshal([]byte(page.Passkey), &options); err != nil || options.RP.ID != "sso.partner.test" ||
		options.User.Name != "bob" {
		t.Errorf("options %+v, %v", options, err)
	}
	for _, credential := range []string{"{}", "no JSON",
		`{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`,
		strings.Repeat("x", 20<<10)} {
		p := must[idp.EnrolFactor](t, w.enrol(idp.FactorEnrolment{Credential: credential, State: page.State}), nil)
		if p.Problem != idp.FactorWrong {
			t.Errorf("%.30s: %q", credential, p.Problem)
		}
		page = p
	}
	now.Advance(16 * time.Minute)
	w = f.travel(t, "bob", "battery staple")
	w.app()
	w = f.travel(t, "bob", "battery staple")
	ask := must[idp.AskFactor](t, w.resume(), nil)
	if p := must[idp.AskFactor](t, w.prove(idp.FactorProof{Credential: "{}", State: ask.State}),
		nil); p.Problem != idp.FactorWrong {
		t.Errorf("a passkey of somebody who has none: %q", p.Problem)
	}
	if p := must[idp.AskFactor](t, w.prove(idp.FactorProof{Credential: "{}", State: ask.State}),
		nil); p.Problem != idp.FactorExpired {
		t.Errorf("the same state again: %q", p.Problem)
	}
}

// Passkeys belong to the public URL's host as browsers write it; an address has none.
func TestPasskeyOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"https://SSO.Partner.test:443": "sso.partner.test", "https://sso.partner.test:8443": "sso.partner.test",
		"http://127.0.0.1:8080": "",
	} {
		f := newFixture(t, "rsa-2048", func(o *idp.Options) {
			o.PublicURL, o.SecondFactor = address, idp.FactorOptions{People: mfa.Required, Issuer: "Acme: Partners"}
		})
		w := f.travel(t, "bob", "battery staple")
		page := must[idp.EnrolFactor](t, w.resume(), nil)
		var options struct{ RP struct{ ID, Name string } }
		if page.Passkey != "" {
			if err := json.Unmarshal([]byte(page.Passkey), &options); err != nil {
				t.Fatal(err)
			}
		}
		if options.RP.ID != want || want != "" && options.RP.Name != "Acme: Partners" {
			t.Errorf("%s: passkeys of %+v, want of %q", address, options.RP, want)
		}
	}
}

// TestID09WrongCodes: who has the password and tries codes locks every browser that never proved one, and not the
// owner's, whose own guesses are counted apart. The owner is told once, at the next proof.
func TestID09WrongCodes(t *testing.T) {
	f := newFactorFixture(t, idp.FactorOptions{People: mfa.Required})
	secret, _ := f.travel(t, "bob", "battery staple").app()
	now.Advance(time.Minute)
	// nobody tried
	must[idp.GoOn](t, f.travel(t, "bob", "battery staple").prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	now.Advance(time.Minute)

	from := func(browser string) *traveller {
		w := &traveller{fixture: f, t: t, v: visitor(browser)}
		a, err := f.Launch(context.Background(), idp.LaunchRequest{}, w.v)
		w.id = begun(t, a, err).SignIn
		w.login("bob", "battery staple")
		return w
	}
	thief := from("thief")
	for range 5 {
		must[idp.AskFactor](t, thief.prove(idp.FactorProof{Code: "000000"}), nil)
	}
	must[idp.Refusal](t, thief.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil)
	must[idp.Refusal](t, from("another").prove(idp.FactorProof{Code: "000000"}), nil)

	owner := f.travel(t, "bob", "battery staple")
	must[idp.AskFactor](t, owner.prove(idp.FactorProof{Code: "000000"}), nil)
	if p := must[idp.WrongCodes](t, owner.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil); p.Count != 5 ||
		p.SignIn == "" || !p.Last.Equal(now.Now()) {
		t.Errorf("told %+v, want the five of another browser", p)
	}
	must[idp.Deliver](t, owner.resume(), nil)
	// the owner's proof gives others nothing
	must[idp.Refusal](t, from("another").prove(idp.FactorProof{Code: "000000"}), nil)
	now.Advance(time.Minute)
	owner = f.travel(t, "bob", "battery staple")
	must[idp.GoOn](t, owner.prove(idp.FactorProof{Code: codeOf(t, secret)}), nil) // told once
	// The owner's browser has a limit as well.
	owner = f.travel(t, "bob", "battery staple")
	for range 5 {
		must[idp.AskFactor](t, owner.prove(idp.FactorProof{Code: "000000"}), nil)
	}
	must[idp.Refusal](t, owner.prove(idp.FactorProof{Code: "000000"}), nil)
}
