package web_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// fakeIdP is an identity provider without SAML: it keeps pending sign-ins and
// sessions, and knows one person, "anna" with the password "right". Pages that it
// would not come to by itself are put into answer.
type fakeIdP struct {
	mu        sync.Mutex
	pending   map[string]*fakeSignIn
	sessions  map[string]string
	elsewhere map[string]bool      // sessions of the version before
	answer    *idp.Answer          // given to every step when set
	footprint func(*idp.Footprint) // what is learned of the request then
	err       error                // returned by every call when set
	panics    bool
	calls     []call
	progress  provisioning.Progress
	ready     bool
	services  []idp.Service
	running   string // id of a logout that stands still
	own       []idp.OwnSession
	ordered   provisioning.SelfOrderState
}

type fakeSignIn struct {
	browser  string
	account  store.AccountID
	finished bool
}

// call is one that idp got.
type call struct {
	name    string
	id      string
	visitor idp.Visitor
	launch  idp.LaunchRequest
	token   idp.TokenLaunch
	login   string
	account store.AccountID
	body    string
	way     string
	step    int
	reply   idp.OpenIDReply
	order   provisioning.SelfOrderInput
}

func newFakeIdP() *fakeIdP {
	return &fakeIdP{pending: map[string]*fakeSignIn{}, sessions: map[string]string{}}
}

// note records the call and gives what was put in for every call.
func (f *fakeIdP) note(ctx context.Context, c call) (idp.Answer, bool, error) {
	f.calls = append(f.calls, c)
	if f.panics {
		panic("broken on purpose")
	}
	if err := ctx.Err(); err != nil {
		return idp.Answer{}, true, err
	}
	if f.err != nil {
		return idp.Answer{}, true, f.err
	}
	if f.footprint != nil {
		f.footprint(idp.FootprintOf(ctx))
	}
	if f.answer != nil {
		return *f.answer, true, nil
	}
	return idp.Answer{}, false, nil
}

func (f *fakeIdP) begin(browser string, account store.AccountID) idp.Answer {
	id := "signin-" + string(rune('a'+len(f.pending)))
	f.pending[id] = &fakeSignIn{browser: browser, account: account}
	return idp.Answer{Page: idp.GoOn{SignIn: id}}
}

func (f *fakeIdP) SSO(ctx context.Context, r *http.Request, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, readErr := io.ReadAll(r.Body)
	if a, done, err := f.note(ctx, call{name: "SSO", visitor: v, body: string(body)}); done {
		return a, err
	}
	if readErr != nil {
		return idp.Answer{Page: idp.Refusal{Reason: idp.ReasonTooLarge, Status: http.StatusRequestEntityTooLarge}}, nil
	}
	return f.begin(v.Browser, ""), nil
}

func (f *fakeIdP) Launch(ctx context.Context, l idp.LaunchRequest, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "Launch", visitor: v, launch: l}); done {
		return a, err
	}
	if f.sessions[v.Session] != "" {
		return idp.Answer{Page: delivery()}, nil
	}
	return f.begin(v.Browser, store.AccountID(l.Account)), nil
}

func (f *fakeIdP) LaunchToken(ctx context.Context, l idp.TokenLaunch, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "LaunchToken", visitor: v, token: l}); done {
		return a, err
	}
	return f.begin(v.Browser, store.AccountID(l.Account)), nil
}

func (f *fakeIdP) LogoutToken(ctx context.Context, token string, v idp.Visitor) (int, *claims.Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, done, err := f.note(ctx, call{name: "LogoutToken", visitor: v, body: token}); done {
		return 0, nil, err
	}
	if token != "good" {
		return 0, &claims.Fault{Reason: claims.ReasonForm}, nil
	}
	return 1, nil, nil
}

func (f *fakeIdP) ConfirmLaunch(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "ConfirmLaunch", id: id, visitor: v}); done {
		return a, err
	}
	return idp.Answer{Page: delivery()}, nil
}

func (f *fakeIdP) Resume(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "Resume", id: id, visitor: v}); done {
		return a, err
	}
	p := f.pending[id]
	switch {
	case p == nil:
		return idp.Answer{Page: idp.Refusal{Reason: idp.ReasonUnknownSignIn, Status: http.StatusNotFound}}, nil
	case p.browser == "":
		p.browser = v.Browser
	case p.browser != v.Browser:
		return idp.Answer{Page: idp.Refusal{Reason: idp.ReasonOtherBrowser, Status: http.StatusForbidden}}, nil
	}
	switch {
	case p.finished:
		return idp.Answer{Page: idp.Finished{Again: "/launch"}}, nil
	case f.sessions[v.Session] == "":
		return idp.Answer{Page: idp.AskPassword{SignIn: id, Provider: "Constant Contact", CanCancel: true}}, nil
	case p.account == "":
		return idp.Answer{Page: idp.ChooseAccount{SignIn: id, Provider: "Constant Contact", Person: "anna",
			Choices: choices(2)}}, nil
	}
	p.finished = true
	return idp.Answer{Page: delivery()}, nil
}

func (f *fakeIdP) SignInAt(ctx context.Context, id, way string, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, _, err := f.note(ctx, call{name: "SignInAt", id: id, visitor: v, way: way})
	return a, err
}

func (f *fakeIdP) AnswerOpenID(ctx context.Context, r idp.OpenIDReply, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, _, err := f.note(ctx, call{name: "AnswerOpenID", way: r.Source, reply: r, visitor: v})
	return a, err
}

func (f *fakeIdP) LogoutOpenID(ctx context.Context, source, token string, v idp.Visitor) (*claims.Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "LogoutOpenID", way: source, body: token, visitor: v})
	if token == "bad" {
		return &claims.Fault{Reason: claims.ReasonForm}, err
	}
	return nil, err
}

func (f *fakeIdP) ChangePassword(ctx context.Context, id string, c idp.PasswordChange, v idp.Visitor) (idp.Answer,
	error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, _, err := f.note(ctx, call{name: "ChangePassword", id: id, visitor: v, login: c.Login})
	return a, err
}

func (f *fakeIdP) Login(ctx context.Context, id, login, password string, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "Login", id: id, visitor: v, login: login}); done {
		return a, err
	}
	if login != "anna" || password != "right" {
		return idp.Answer{Page: idp.AskPassword{SignIn: id, Provider: "Constant Contact", Login: login,
			Problem: "bad_credentials"}}, nil
	}
	session := "session-of-anna-" + v.Ref
	f.sessions[session] = login
	return idp.Answer{Page: idp.GoOn{SignIn: id}, NewSession: session}, nil
}

func (f *fakeIdP) Choose(ctx context.Context, id, a string, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if answer, done, err := f.note(ctx, call{name: "Choose", id: id, visitor: v, account: store.AccountID(a)}); done {
		return answer, err
	}
	if p := f.pending[id]; p != nil {
		p.account = store.AccountID(a)
	}
	return idp.Answer{Page: idp.GoOn{SignIn: id}}, nil
}

func (f *fakeIdP) Cancel(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "Cancel", id: id, visitor: v}); done {
		return a, err
	}
	return idp.Answer{Page: delivery()}, nil
}

func (f *fakeIdP) Progress(ctx context.Context, id string, v idp.Visitor) (provisioning.Progress, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "Progress", id: id, visitor: v})
	return f.progress, f.ready, err
}

func (f *fakeIdP) Logout(ctx context.Context, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "Logout", visitor: v}); done {
		return a, err
	}
	delete(f.sessions, v.Session)
	return idp.Answer{Page: idp.SignedOut{}, EndSession: true}, nil
}

func (f *fakeIdP) SLO(ctx context.Context, r *http.Request, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, readErr := io.ReadAll(r.Body)
	if a, done, err := f.note(ctx, call{name: "SLO", visitor: v, body: string(body)}); done {
		return a, err
	}
	if readErr != nil {
		return idp.Answer{Page: idp.Refusal{Reason: idp.ReasonTooLarge, Status: http.StatusRequestEntityTooLarge}}, nil
	}
	return idp.Answer{Page: idp.LogoutGoOn{Logout: "logout-a"}}, nil
}

func (f *fakeIdP) Services(ctx context.Context, v idp.Visitor) ([]idp.Service, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "Services", visitor: v})
	return f.services, err
}

func (f *fakeIdP) LogoutEverywhere(ctx context.Context, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: "LogoutEverywhere", visitor: v}); done {
		return a, err
	}
	delete(f.sessions, v.Session)
	return idp.Answer{Page: idp.LogoutGoOn{Logout: "logout-a"}, EndSession: true}, nil
}

func (f *fakeIdP) RunningLogout(ctx context.Context, v idp.Visitor) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "RunningLogout", visitor: v})
	return f.running, err
}

func (f *fakeIdP) LogoutPage(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error) {
	return f.logoutStep(ctx, "LogoutPage", id, 0, v)
}

func (f *fakeIdP) NextLogout(ctx context.Context, id string, past int, v idp.Visitor) (idp.Answer, error) {
	return f.logoutStep(ctx, "NextLogout", id, past, v)
}

func (f *fakeIdP) SkipLogout(ctx context.Context, id string, step int, v idp.Visitor) (idp.Answer, error) {
	return f.logoutStep(ctx, "SkipLogout", id, step, v)
}

func (f *fakeIdP) EndLogout(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error) {
	return f.logoutStep(ctx, "EndLogout", id, 0, v)
}

func (f *fakeIdP) logoutStep(ctx context.Context, name, id string, step int, v idp.Visitor) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, call{name: name, id: id, step: step, visitor: v}); done {
		return a, err
	}
	return idp.Answer{Page: idp.LogoutGoOn{Logout: id}}, nil
}

func (f *fakeIdP) SessionElsewhere(_ context.Context, v idp.Visitor) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.elsewhere[v.Session], nil
}

func (f *fakeIdP) SignedIn(ctx context.Context, v idp.Visitor) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, _, err := f.note(ctx, call{name: "SignedIn", visitor: v}); err != nil {
		return "", false, err
	}
	login := f.sessions[v.Session]
	if login != "" {
		idp.FootprintOf(ctx).Known()
	}
	return login, login != "", nil
}

func (f *fakeIdP) OwnSessions(ctx context.Context, v idp.Visitor) ([]idp.OwnSession, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "OwnSessions", visitor: v})
	return f.own, err
}

func (f *fakeIdP) EndOwnSession(ctx context.Context, id string, v idp.Visitor) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "EndOwnSession", id: id, visitor: v})
	return id == "here", err
}

func (f *fakeIdP) EndOtherSessions(ctx context.Context, v idp.Visitor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "EndOtherSessions", visitor: v})
	return err
}

func (f *fakeIdP) ProveFactor(ctx context.Context, id string, proof idp.FactorProof,
	v idp.Visitor) (idp.Answer, error) {
	return f.factor(ctx, call{name: "ProveFactor", id: id, visitor: v, body: proof.Code + "|" + proof.Credential +
		"|" + proof.State})
}

func (f *fakeIdP) EnrolFactor(ctx context.Context, id string, sent idp.FactorEnrolment,
	v idp.Visitor) (idp.Answer, error) {
	body := sent.Code + "|" + sent.Credential + "|" + sent.State + "|" + sent.Invite
	if sent.Later {
		body += "|later"
	}
	return f.factor(ctx, call{name: "EnrolFactor", id: id, visitor: v, body: body})
}

func (f *fakeIdP) OwnFactors(ctx context.Context, v idp.Visitor) (idp.Answer, error) {
	return f.factor(ctx, call{name: "OwnFactors", visitor: v})
}

func (f *fakeIdP) ChangeOwnFactors(ctx context.Context, change idp.FactorChange, v idp.Visitor) (idp.Answer, error) {
	body := change.Remove
	if change.Renew {
		body += "|renew"
	}
	if change.Add {
		body += "|add"
	}
	return f.factor(ctx, call{name: "ChangeOwnFactors", visitor: v, body: body})
}

func (f *fakeIdP) factor(ctx context.Context, c call) (idp.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, done, err := f.note(ctx, c); done {
		return a, err
	}
	return idp.Answer{Page: idp.AccountPage{}}, nil
}

func (f *fakeIdP) Order(ctx context.Context, follow int64, v idp.Visitor) (idp.Answer, error) {
	return f.factor(ctx, call{name: "Order", visitor: v, step: int(follow)})
}

func (f *fakeIdP) PlaceOrder(ctx context.Context, in provisioning.SelfOrderInput, v idp.Visitor) (idp.Answer, error) {
	return f.factor(ctx, call{name: "PlaceOrder", visitor: v, order: in})
}

func (f *fakeIdP) OrderProgress(_ context.Context, follow int64, _ idp.Visitor) (provisioning.SelfOrderState, bool,
	error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ordered, f.ordered.Order.ID == follow && !f.ordered.Order.Open(), nil
}

func (f *fakeIdP) FactorsOn(ctx context.Context, v idp.Visitor) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "FactorsOn", visitor: v})
	return true, err
}

func (f *fakeIdP) Metadata(ctx context.Context) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "Metadata"})
	return []byte("<EntityDescriptor/>"), err
}

func (f *fakeIdP) MetadataFor(ctx context.Context, entityID string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if entityID == "urn:nobody" {
		return nil, store.ErrNotFound
	}
	_, _, err := f.note(ctx, call{name: "MetadataFor", id: entityID})
	return []byte("<EntityDescriptor ID='for'/>"), err
}

func (f *fakeIdP) MetadataFile(ctx context.Context, entityID string, _ bool) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, err := f.note(ctx, call{name: "MetadataFile", id: entityID})
	return []byte("<EntityDescriptor ID='file'/>"), err
}

// last call that idp got.
func (f *fakeIdP) last(t testing.TB) call {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		t.Fatal("idp got no call")
	}
	return f.calls[len(f.calls)-1]
}

func (f *fakeIdP) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

func delivery() idp.Deliver {
	relay := "https://login.example/idp-redirect"
	return idp.Deliver{Action: "https://sp.example/acs?RelayState=a%2Fb", SAMLResponse: "PHNhbWw+", RelayState: &relay,
		Provider: "Constant Contact"}
}

func choices(n int) []provisioning.Assignment {
	all := make([]provisioning.Assignment, n)
	names := []string{"Harbour Bakery", "Northside Garden Club"}
	for i := range all {
		all[i] = provisioning.Assignment{
			Account: store.AccountID("a07e1lxqqq" + string(rune('a'+i/26)) + string(rune('a'+i%26))),
			Name:    names[i%2], Role: store.AccountManager,
		}
	}
	return all
}
