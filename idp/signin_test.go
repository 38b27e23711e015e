package idp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// TestLaunchSelects covers WEB-04, REQ-20 and F "login CSRF": a link only ever
// selects from what is registered.
func TestLaunchSelects(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	off := plainSP()
	off.EntityID, off.Enabled = "https://off.test", false
	f.put(t, off)
	query := plainSP()
	query.EntityID, query.RelayStateIn, query.RelayStates = "https://query.test", "query",
		[]store.RelayState{{ID: "deep", Value: "https://x.test/?a=b&c"}}
	f.put(t, query)

	for _, c := range []struct {
		name   string
		launch idp.LaunchRequest
		action string
		field  string // "-": none
		reason string
		status int
	}{
		{name: "default", action: ctctACS, field: "https://login.ctct.test/login/idp-redirect"},
		{name: "account", launch: idp.LaunchRequest{Account: "a2"}, action: ctctACS,
			field: "https://login.ctct.test/login/idp-redirect"},
		{name: "another RelayState", launch: idp.LaunchRequest{EntityID: ctct, RelayState: "other"}, action: ctctACS,
			field: "a b&c=d"},
		{name: "none by default", launch: idp.LaunchRequest{EntityID: "https://query.test"}, action: plainACS, field: "-"},
		{name: "in the query", launch: idp.LaunchRequest{EntityID: "https://query.test", RelayState: "deep"},
			action: plainACS + "?RelayState=https%3A%2F%2Fx.test%2F%3Fa%3Db%26c", field: "-"},
		{name: "unknown RelayState", launch: idp.LaunchRequest{EntityID: ctct, RelayState: "https://evil.test"},
			reason: idp.ReasonUnknownRelayState, status: 400},
		{name: "unknown SP", launch: idp.LaunchRequest{EntityID: "https://evil.test"},
			reason: idp.ReasonUnknownProvider, status: 404},
		{name: "disabled SP", launch: idp.LaunchRequest{EntityID: "https://off.test"},
			reason: idp.ReasonProviderDisabled, status: 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := f.Launch(context.Background(), c.launch, v)
			if c.reason != "" {
				if r := must[idp.Refusal](t, a, err); r.Reason != c.reason || r.Status != c.status || r.CanCancel {
					t.Errorf("refusal %+v", r)
				}
				return
			}
			d := must[idp.Deliver](t, a, err)
			field := "-"
			if d.RelayState != nil {
				field = *d.RelayState
			}
			if d.Action != c.action || field != c.field {
				t.Errorf("to %s with %q, want %s with %q", d.Action, field, c.action, c.field)
			}
		})
	}

	second := constantContact()
	second.EntityID = "https://second.test"
	f.put(t, second)
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonChooseProvider {
		t.Errorf("refusal %+v", r)
	}
	for _, id := range []string{ctct, "https://second.test"} {
		sp := constantContact()
		sp.EntityID, sp.Enabled = id, false
		f.put(t, sp)
	}
	a, err = f.Launch(context.Background(), idp.LaunchRequest{}, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonNoProvider || r.Status != 404 {
		t.Errorf("refusal %+v", r)
	}
}

// TestFreshSignIn goes the whole way: launch, login page, wrong password, right
// one, Response; then back and reload (SP-07).
func TestFreshSignIn(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	v := visitor("b")
	a, err := f.Launch(ctx, idp.LaunchRequest{Account: "a7"}, v)
	id := begun(t, a, err).SignIn
	for range 2 { // shown as often as one likes
		a, err = f.Resume(ctx, id, v)
		if form := must[idp.AskPassword](t, a, err); form.SignIn != id || form.Provider != "Constant Contact" ||
			form.Problem != "" || form.CanCancel || form.Login != "" {
			t.Errorf("form %+v", form)
		}
	}
	a, err = f.Login(ctx, id, "alice", "wrong", v)
	if form := must[idp.AskPassword](t, a, err); form.Problem != directory.BadCredentials || form.Login != "alice" ||
		a.NewSession != "" {
		t.Errorf("form %+v", form)
	}
	a, err = f.Login(ctx, id, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	if len(a.NewSession) != 43 {
		t.Errorf("session token %q", a.NewSession)
	}
	v.Session = a.NewSession
	if login, ok, err := f.SignedIn(ctx, v); login != "alice" || !ok || err != nil {
		t.Errorf("signed in as %q, %v, %v", login, ok, err)
	}
	now.Advance(20 * time.Minute) // a slow person, past every window of the request's
	a, err = f.Resume(ctx, id, v)
	if got := find(t, root(t, must[idp.Deliver](t, a, err)), "//NameID").Text(); !strings.HasSuffix(got, ".a7") {
		t.Errorf("NameID %s", got)
	}
	for _, again := range []func() (idp.Answer, error){
		func() (idp.Answer, error) { return f.Resume(ctx, id, v) },
		func() (idp.Answer, error) { return f.Login(ctx, id, "alice", "correct horse", v) },
		func() (idp.Answer, error) { return f.Choose(ctx, id, "a1", v) },
		func() (idp.Answer, error) { return f.Cancel(ctx, id, v) },
	} {
		a, err = again()
		if p := must[idp.Finished](t, a, err); p.Again != "/launch/a7" {
			t.Errorf("again at %s", p.Again)
		}
	}
	if q := f.gate.questions(); len(q) != 1 || q[0].Account != "a7" || !q[0].MayCreate || q[0].Patience != time.Second ||
		q[0].Ref != "REF1" || q[0].Person.Login != "alice" {
		t.Errorf("the gate was asked %+v", q)
	}
	// Past its time the sign-in is unknown.
	now.Advance(time.Hour)
	a, err = f.Resume(ctx, id, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownSignIn || r.Status != 404 {
		t.Errorf("refusal %+v", r)
	}
	var actions []string
	for _, e := range f.events(t) {
		actions = append([]string{e.Action + ":" + e.Outcome}, actions...)
	}
	if got := strings.Join(actions[4:], " "); got != "login:refused login:ok sign-in:ok" {
		t.Errorf("audit: %s", got)
	}
}

// TestOneResponse: two tabs, one Response (SP-07).
func TestOneResponse(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	id := f.request(t, newRequest(plain), v)
	var mu sync.Mutex
	pages := map[string]int{}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			a, err := f.Resume(context.Background(), id, v)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pages[fmt.Sprintf("%T", a.Page)]++
		})
	}
	group.Wait()
	if pages["idp.Deliver"] != 1 || pages["idp.Finished"] != 7 {
		t.Errorf("pages %v", pages)
	}
}

// TestRestart: a pending sign-in notices no restart and goes on at another replica.
func TestRestart(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := visitor("b")
	id := f.request(t, newRequest(plain), v)
	g, err := idp.New(idp.Options{
		EntityID: entityID, PublicURL: publicURL,
		SignIns: f.db.SignIns(), Sessions: f.db.Sessions(), Logouts: f.db.Logouts(), Providers: f.db.ServiceProviders(),
		Groups: f.db.NamedGroups(), Accounts: f.db.Accounts(), NameIDs: f.db.NameIDs(), Keys: f.db.Keys(),
		Throttle: f.db.Throttle(), Forms: f.db.Forms(), Captures: f.db.Captures(), SecondFactors: f.db.SecondFactors(),
		Audit: f.db.Audit(), Changes: f.db.Changes, Sealer: f.sealer,
		Directory: f.directory, Gate: f.gate, Now: now.Now, Random: &counting{}, Logger: discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.Login(context.Background(), id, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.Resume(context.Background(), id, v)
	must[idp.Deliver](t, a, err)
}

// TestBrowserBinding covers WEB-03 and who may go on with a sign-in.
func TestBrowserBinding(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	mine, other := visitor("mine"), visitor("other")
	refused := func(id string, v idp.Visitor) {
		t.Helper()
		for _, try := range []func() (idp.Answer, error){
			func() (idp.Answer, error) { return f.Resume(ctx, id, v) },
			func() (idp.Answer, error) { return f.Login(ctx, id, "alice", "correct horse", v) },
			func() (idp.Answer, error) { return f.Choose(ctx, id, "a1", v) },
			func() (idp.Answer, error) { return f.Cancel(ctx, id, v) },
		} {
			a, err := try()
			if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonOtherBrowser || r.Status != 403 || r.SignIn != "" {
				t.Errorf("refusal %+v", r)
			}
		}
		if _, ready, err := f.Progress(ctx, id, v); !ready || err != nil {
			t.Errorf("progress: %v, %v", ready, err)
		}
		a, err := f.Resume(ctx, id[:len(id)-1], v)
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownSignIn {
			t.Errorf("cut short: %+v", r)
		}
	}
	// A GET and a launch know their browser.
	id := f.request(t, newRequest(plain), mine)
	refused(id, other)
	refused(id, visitor(""))
	a, err := f.Resume(ctx, id, mine)
	must[idp.AskPassword](t, a, err)
	// A cross-site POST does not: it gets a cookie for itself, and whoever has none of it gets nothing.
	a, err = f.SSO(ctx, byPost(t, newRequest(plain).xml()), visitor(""))
	on := must[idp.GoOn](t, a, err)
	id = on.SignIn
	refused(id, mine)
	wrong := mine
	wrong.Own = "another sign-in's"
	refused(id, wrong)
	own := mine
	own.Own = on.Own
	a, err = f.Resume(ctx, id, own)
	page := must[idp.AskPassword](t, a, err)
	// From the first page on it is the browser's own cookie that counts.
	refused(page.SignIn, other)
	other.Own = on.Own
	refused(page.SignIn, other)
	other.Own = ""
	a, err = f.Resume(ctx, page.SignIn, mine)
	must[idp.AskPassword](t, a, err)
	// A session of one's own does not help with another's sign-in.
	session := f.signIn(t, "alice", "correct horse")
	refused(id, session)
	for _, id := range []string{"", "nonsense", strings.Repeat("x", 200), "a\x00b"} {
		a, err = f.Resume(ctx, id, mine)
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownSignIn {
			t.Errorf("refusal %+v", r)
		}
	}
}

// TestREQ15: ForceAuthn asks again, and the new login shows in the assertion.
func TestREQ15(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	v := f.signIn(t, "alice", "correct horse")
	now.Advance(time.Minute)
	r := newRequest(plain)
	r.attributes = `ForceAuthn="true"`
	id := f.request(t, r, v)
	a, err := f.Resume(ctx, id, v)
	if form := must[idp.AskPassword](t, a, err); form.Login != "alice" || !form.CanCancel {
		t.Errorf("form %+v", form)
	}
	now.Advance(time.Minute)
	a, err = f.Login(ctx, id, "alice", "correct horse", v)
	must[idp.GoOn](t, a, err)
	if a.NewSession == v.Session {
		t.Error("the session went on under its old token")
	}
	old := v
	v.Session = a.NewSession
	a, err = f.Resume(ctx, id, v)
	d := must[idp.Deliver](t, a, err)
	if got := find(t, root(t, d), "//AuthnStatement").SelectAttrValue("AuthnInstant",
		""); got != start.Add(2*time.Minute).Format(time.RFC3339) {
		t.Errorf("AuthnInstant %s", got)
	}
	if _, ok, err := f.SignedIn(ctx, old); ok || err != nil {
		t.Error("the replaced session lives on (WEB-02)")
	}
	// The next request with ForceAuthn asks once more.
	now.Advance(time.Second)
	r = newRequest(plain)
	r.attributes = `ForceAuthn="1"`
	a, err = f.Resume(ctx, f.request(t, r, v), v)
	must[idp.AskPassword](t, a, err)
}

// TestREQ16: IsPassive never shows a page.
func TestREQ16(t *testing.T) {
	wait := func(q provisioning.Question) (provisioning.Decision, error) {
		return provisioning.Decision{Outcome: provisioning.Wait, Assignment: granted(q).Assignment}, nil
	}
	for _, c := range []struct {
		name        string
		signedIn    bool
		prepare     func(*fixture)
		top, second string
	}{
		{"no session", false, nil, "Responder", "NoPassive"},
		{"session", true, nil, "", ""},
		{"choice", true, func(f *fixture) { f.gate.set(choose) }, "Responder", "NoPassive"},
		{"waiting", true, func(f *fixture) { f.gate.set(wait) }, "Responder", "NoPassive"},
		{"no assignment", true, func(f *fixture) { f.gate.set(denied(provisioning.NoAssignment)) }, "Responder",
			"RequestDenied"},
		{"gate down", true, func(f *fixture) {
			f.gate.set(func(provisioning.Question) (provisioning.Decision, error) {
				return provisioning.Decision{}, errors.New("disk full")
			})
		}, "Responder", ""},
		{"directory down", true, func(f *fixture) { f.directory.setDown(true); now.Advance(20 * time.Minute) },
			"Responder", ""},
		{"disabled", true, func(f *fixture) {
			f.directory.change("alice", func(p *person) { p.problem = directory.Disabled })
			now.Advance(2 * time.Minute)
		}, "Responder", "AuthnFailed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			v := visitor("b")
			if c.signedIn {
				v = f.signIn(t, "alice", "correct horse")
			}
			if c.prepare != nil {
				c.prepare(f)
			}
			r := newRequest(ctct)
			r.attributes = `IsPassive="true"`
			a, err := f.Resume(context.Background(), f.request(t, r, v), v)
			d := must[idp.Deliver](t, a, err)
			if c.top == "" {
				accept(t, peer(t, f, ctct, ctctACS), d, r.id)
				return
			}
			if top, second := status(t, d); top != c.top || second != c.second {
				t.Errorf("status %s/%s, want %s/%s", top, second, c.top, c.second)
			}
		})
	}
}

// TestREQ17: AllowCreate="false" reaches the gate, and so does its absence.
func TestREQ17(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	for policy, want := range map[string]bool{
		``: true, `<samlp:NameIDPolicy/>`: true, `<samlp:NameIDPolicy AllowCreate="true"/>`: true,
		`<samlp:NameIDPolicy AllowCreate="0"/>`: false,
	} {
		r := newRequest(ctct)
		r.inner = policy
		a, err := f.Resume(context.Background(), f.request(t, r, v), v)
		must[idp.Deliver](t, a, err)
		q := f.gate.questions()
		if got := q[len(q)-1].MayCreate; got != want {
			t.Errorf("%s: MayCreate %v", policy, got)
		}
	}
}

func choose(q provisioning.Question) (provisioning.Decision, error) {
	switch q.Account {
	case "":
		return provisioning.Decision{Outcome: provisioning.Choose, Choices: []provisioning.Assignment{
			{Account: "a1", Name: "One", Role: store.AccountManager}, {Account: "a2", Name: "Two", Role: store.CampaignCreator},
		}}, nil
	case "a1", "a2":
		return granted(q), nil
	}
	return provisioning.Decision{Outcome: provisioning.Denied, Reason: provisioning.NotThisAccount}, nil
}

// TestChoose lets a person with two client accounts choose.
func TestChoose(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	f.gate.set(choose)
	ctx := context.Background()
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	id := begun(t, a, err).SignIn
	a, err = f.Resume(ctx, id, v)
	page := must[idp.ChooseAccount](t, a, err)
	if page.SignIn != id || page.Person != "Alice Ångström" || len(page.Choices) != 2 || page.CanCancel {
		t.Errorf("page %+v", page)
	}
	// What is not offered is refused, and the page is there again.
	a, err = f.Choose(ctx, id, "a9", v)
	if r := must[idp.Refusal](t, a, err); r.Reason != "not_this_account" || r.SignIn != id {
		t.Errorf("refusal %+v", r)
	}
	a, err = f.Resume(ctx, id, v)
	must[idp.ChooseAccount](t, a, err)
	// Without the session a choice leads to the login page.
	a, err = f.Choose(ctx, id, "a2", visitor(v.Browser))
	must[idp.AskPassword](t, a, err)
	a, err = f.Choose(ctx, id, "a2", v)
	if got := find(t, root(t, must[idp.Deliver](t, a, err)), "//NameID").Text(); !strings.HasSuffix(got, ".a2") {
		t.Errorf("NameID %s", got)
	}
	// A deep link asks for no choice, and another account is one launch away.
	for _, account := range []store.AccountID{"a1", "a2"} {
		a, err = f.Launch(ctx, idp.LaunchRequest{Account: string(account)}, v)
		if got := find(t, root(t, must[idp.Deliver](t, a, err)), "//NameID").Text(); !strings.HasSuffix(got,
			"."+string(account)) {
			t.Errorf("NameID %s", got)
		}
	}
}

// TestWaiting goes on by itself when the user is there (API-04).
func TestWaiting(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	v := f.signIn(t, "alice", "correct horse")
	ready := false
	f.gate.set(func(q provisioning.Question) (provisioning.Decision, error) {
		if q.Account == "" {
			q.Account = "a5"
		}
		if ready {
			return granted(q), nil
		}
		return provisioning.Decision{
			Outcome: provisioning.Wait, Assignment: granted(q).Assignment,
			Progress: provisioning.Progress{State: store.Wanted, Place: 3, Cause: "queued"},
		}, nil
	})
	a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
	id := begun(t, a, err).SignIn
	a, err = f.Resume(ctx, id, v)
	page := must[idp.Waiting](t, a, err)
	if page.Account.Account != "a5" || page.Progress.Place != 3 || page.SignIn != id {
		t.Errorf("page %+v", page)
	}
	before := len(f.events(t))
	for range 3 {
		pr, done, err := f.Progress(ctx, id, v)
		if done || err != nil || pr.Place != 3 {
			t.Errorf("progress %+v, %v, %v", pr, done, err)
		}
	}
	if q := f.gate.questions(); q[len(q)-1].Patience != 0 || q[len(q)-1].Account != "a5" {
		t.Errorf("progress asked %+v", q[len(q)-1])
	}
	if len(f.events(t)) != before {
		t.Error("progress left audit events")
	}
	ready = true
	if _, done, err := f.Progress(ctx, id, v); !done || err != nil {
		t.Errorf("progress: %v, %v", done, err)
	}
	a, err = f.Resume(ctx, id, v)
	if got := find(t, root(t, must[idp.Deliver](t, a, err)), "//NameID").Text(); !strings.HasSuffix(got, ".a5") {
		t.Errorf("NameID %s", got)
	}
	if _, done, err := f.Progress(ctx, id, v); !done || err != nil {
		t.Errorf("progress of a finished sign-in: %v, %v", done, err)
	}
}

// TestCancel covers table C for what concerns the person: our page first, and
// the status when they go back.
func TestCancel(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name        string
		decide      func(provisioning.Question) (provisioning.Decision, error)
		reason      string
		status      int
		top, second string
	}{
		{"no assignment", denied(provisioning.NoAssignment), "no_assignment", 403, "Responder", "RequestDenied"},
		{"other account", denied(provisioning.NotThisAccount), "not_this_account", 403, "Responder", "RequestDenied"},
		{"held", denied(provisioning.HeldConflict), "held_conflict", 403, "Responder", "RequestDenied"},
		{"refused by partner", denied(provisioning.RefusedByPartner), "refused_by_partner", 403, "Responder",
			"RequestDenied"},
		{"account closed", denied(provisioning.AccountClosed), "account_closed", 403, "Responder", "RequestDenied"},
		{"user suspended", denied(provisioning.UserSuspended), "user_suspended", 403, "Responder", "RequestDenied"},
		{"owner unknown", denied(provisioning.OwnerUnknown), "owner_unknown", 403, "Responder", "RequestDenied"},
		{"may not create", denied(provisioning.MayNotCreate), "may_not_create", 403, "Requester", "InvalidNameIDPolicy"},
		{"gate down", func(provisioning.Question) (provisioning.Decision, error) {
			return provisioning.Decision{}, errors.New("disk full")
		}, idp.ReasonUnavailable, 503, "Responder", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.gate.set(c.decide)
			v := f.signIn(t, "alice", "correct horse")
			r := newRequest(ctct)
			id := f.request(t, r, v, "RelayState=keep")
			a, err := f.Resume(ctx, id, v)
			refusal := must[idp.Refusal](t, a, err)
			if refusal.Reason != c.reason || refusal.Status != c.status || !refusal.CanCancel || !same(refusal.SignIn, id) ||
				refusal.Provider != "Constant Contact" {
				t.Errorf("refusal %+v", refusal)
			}
			e := f.events(t)[0]
			if e.Action != "refusal" || e.Outcome != "refused" || e.Reason != c.reason || e.Actor == "" || e.SP != ctct {
				t.Errorf("event %+v", e)
			}
			if !strings.Contains(f.log.String(), "ref=REF1 reason="+c.reason) {
				t.Error("the log lacks the reason under the reference id")
			}
			a, err = f.Cancel(ctx, id, v)
			d := must[idp.Deliver](t, a, err)
			if top, second := status(t, d); top != c.top || second != c.second {
				t.Errorf("status %s/%s, want %s/%s", top, second, c.top, c.second)
			}
			if d.Action != ctctACS || d.RelayState == nil || *d.RelayState != "keep" {
				t.Errorf("delivered %s %v", d.Action, d.RelayState)
			}
			a, err = f.Resume(ctx, id, v)
			must[idp.Finished](t, a, err)
		})
	}

	t.Run("login page", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		id := f.request(t, newRequest(plain), v)
		a, err := f.Login(ctx, id, "alice", "wrong", v)
		if form := must[idp.AskPassword](t, a, err); !form.CanCancel {
			t.Error("no way back")
		}
		a, err = f.Cancel(ctx, id, v)
		if top, second := status(t, must[idp.Deliver](t, a, err)); top != "Responder" || second != "AuthnFailed" {
			t.Errorf("status %s/%s", top, second)
		}
	})
	t.Run("directory down, and up again", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		for _, up := range []bool{false, true} {
			f.directory.setDown(true)
			id := f.request(t, newRequest(plain), v)
			a, err := f.Login(ctx, id, "alice", "correct horse", v)
			r := must[idp.Refusal](t, a, err)
			if r.Reason != idp.ReasonDirectoryDown || r.Status != 503 || !r.CanCancel || !r.Retry || !same(r.SignIn, id) {
				t.Errorf("refusal %+v", r)
			}
			id = r.SignIn // the page's own, which has the reason
			want := ""
			if up {
				f.directory.setDown(false)
				a, err = f.Resume(ctx, id, v) // the login page again
				id = must[idp.AskPassword](t, a, err).SignIn
				want = "AuthnFailed"
			}
			a, err = f.Cancel(ctx, id, v)
			if top, second := status(t, must[idp.Deliver](t, a, err)); top != "Responder" || second != want {
				t.Errorf("status %s/%s, want Responder/%s", top, second, want)
			}
		}
	})
	t.Run("waiting", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		f.gate.set(func(q provisioning.Question) (provisioning.Decision, error) {
			return provisioning.Decision{Outcome: provisioning.Wait, Assignment: granted(q).Assignment}, nil
		})
		v := f.signIn(t, "alice", "correct horse")
		id := f.request(t, newRequest(ctct), v)
		a, err := f.resume(id, v)
		if page := must[idp.Waiting](t, a, err); !page.CanCancel {
			t.Error("no way back")
		}
		a, err = f.Cancel(ctx, id, v)
		if top, second := status(t, must[idp.Deliver](t, a, err)); top != "Responder" || second != "" {
			t.Errorf("status %s/%s", top, second)
		}
	})
	t.Run("launch", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		v := visitor("b")
		a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
		id := begun(t, a, err).SignIn
		a, err = f.Cancel(ctx, id, v)
		if !same(begun(t, a, err).SignIn, id) {
			t.Error("a launch was cancelled")
		}
		// A refused launch with a session has nothing to go back to either.
		f.gate.set(denied(provisioning.NoAssignment))
		v = f.signIn(t, "alice", "correct horse")
		a, err = f.Launch(ctx, idp.LaunchRequest{}, v)
		if r := must[idp.Refusal](t, a, err); r.CanCancel || r.SignIn != "" || r.Reason != "no_assignment" {
			t.Errorf("refusal %+v", r)
		}
		if e := f.events(t)[0]; e.Action != "refusal" || e.Reason != "no_assignment" {
			t.Errorf("event %+v", e)
		}
	})
}

// REAL-50: log and trace of a refusal say that following groups in groups would have let the person in.
func TestREAL50PlainGateBeyond(t *testing.T) {
	ctx := context.Background()
	kept := &told{}
	var via []string
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Traces = kept
		o.Beyond = func(context.Context, directory.Entry) ([]directory.Group, error) {
			g := staffEntry
			g.Via = via
			return []directory.Group{g}, nil
		}
	})
	via = []string{"cn=inner,ou=groups,dc=partner,dc=test"}
	bob := f.signIn(t, "bob", "battery staple")
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, bob)
	if r := must[idp.Refusal](t, a, err); r.Reason != "not_in_group" {
		t.Errorf("refusal %+v", r)
	}
	const want = "through cn=inner,ou=groups,dc=partner,dc=test"
	if log := f.log.String(); !strings.Contains(log, want) || !strings.Contains(log, "Set directory.nested") {
		t.Errorf("log %s", log)
	}
	if s := step(t, kept.last(t), idp.StepMapping); !strings.Contains(s.Detail, want) {
		t.Errorf("traced %+v", s)
	}
}

// TestPlainGate: groups decide for plain service providers.
func TestPlainGate(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	alice, bob := f.signIn(t, "alice", "correct horse"), f.signIn(t, "bob", "battery staple")
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, alice)
	must[idp.Deliver](t, a, err)
	a, err = f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, bob)
	if r := must[idp.Refusal](t, a, err); r.Reason != "not_in_group" || r.Status != 403 {
		t.Errorf("refusal %+v", r)
	}
	for name, groups := range map[string][]string{"none": nil, "malformed": {"staff"},
		"other": {"cn=staff,dc=partner,dc=test"}} {
		sp := plainSP()
		sp.Groups = groups
		f.put(t, sp)
		a, err = f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, alice)
		if r := must[idp.Refusal](t, a, err); r.Reason != "not_in_group" {
			t.Errorf("%s: refusal %+v", name, r)
		}
	}
	if n := len(f.gate.questions()); n != 0 {
		t.Errorf("the gate of Constant Contact was asked %d times", n)
	}
}

// TestProviderRemoved: nothing is sent to a service provider that was removed
// or switched off while a sign-in was pending.
func TestProviderRemoved(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	one, two := f.request(t, newRequest(plain), v), f.request(t, newRequest(plain), v)
	sp := plainSP()
	sp.Enabled = false
	f.put(t, sp)
	a, err := f.Resume(ctx, one, v)
	if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonProviderDisabled || r.CanCancel {
		t.Errorf("refusal %+v", r)
	}
	if err := f.db.ServiceProviders().Remove(ctx, plain, store.Event{Action: "sp-remove"}); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() (idp.Answer, error){
		func() (idp.Answer, error) { return f.Resume(ctx, two, v) },
		func() (idp.Answer, error) { return f.Cancel(ctx, two, v) },
	} {
		a, err = do()
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonUnknownProvider {
			t.Errorf("refusal %+v", r)
		}
	}
	// An ACS that was taken off the record gets nothing any more.
	f.put(t, plainSP())
	r := newRequest(plain)
	r.attributes = `AssertionConsumerServiceURL="` + plainACS2 + `"`
	id := f.request(t, r, v)
	sp = plainSP()
	sp.ACS = sp.ACS[:1]
	f.put(t, sp)
	a, err = f.Resume(ctx, id, v)
	if err == nil {
		t.Fatalf("page %T for an ACS that is no longer registered", a.Page)
	}
	if !strings.Contains(err.Error(), "not registered") {
		t.Errorf("error %v", err)
	}
}
