package idp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Resume shows where a pending sign-in stands and goes on with it. It can be
// called any number of times: nothing of the way is kept but in the store.
func (p *IdP) Resume(ctx context.Context, id string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	return p.proceed(ctx, f)
}

// Choose takes the person's choice of a client account, as the form spells it, and goes on.
func (p *IdP) Choose(ctx context.Context, id, account string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	if f.chosen, err = f.config.account(account); err != nil {
		return Answer{}, fmt.Errorf("choose a client account: %w", err)
	}
	return p.proceed(ctx, f)
}

// steps are the way of a sign-in, in their order. A step that can't be passed returns its page, and the way ends there;
// the last one always has one. A page leads back to the begin of the way, never to another step: what was decided in
// another request is decided again.
var steps = []func(*IdP, context.Context, *flow) (Answer, error){
	(*IdP).checkLogin,
	(*IdP).readPerson,
	func(p *IdP, ctx context.Context, f *flow) (Answer, error) { return f.target().admit(ctx, p, f) },
	func(p *IdP, ctx context.Context, f *flow) (Answer, error) {
		page, err := f.target().factor(ctx, p, f)
		return Answer{Page: page}, err
	},
	func(p *IdP, ctx context.Context, f *flow) (Answer, error) { return f.target().deliver(ctx, p, f) },
}

// proceed goes the way of a sign-in as far as it leads.
func (p *IdP) proceed(ctx context.Context, f *flow) (Answer, error) {
	s, known, err := p.liveSession(ctx, f.v)
	if err != nil {
		return Answer{}, err
	}
	if f.launching() {
		return p.redeem(ctx, f, s, known)
	}
	return p.proceedIn(ctx, f, s, known)
}

// proceedIn is proceed in a session that was just read. Whether it has ended meanwhile shows when the Response is
// recorded.
func (p *IdP) proceedIn(ctx context.Context, f *flow, s store.Session, known bool) (Answer, error) {
	if !known {
		return p.loginNeeded(ctx, f)
	}
	traceOf(ctx).about(f)
	// The change counter came with the session: a configuration that was read before it, such as one that knows no policy
	// of a second factor yet, is not gone by.
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	if c != f.config {
		f.config = c
		if page, err := p.partner(ctx, f); page != nil || err != nil {
			return Answer{Page: page}, err
		}
	}
	if !p.opens(f, s) {
		return p.loginNeeded(ctx, f)
	}
	traceOf(ctx).person(s.Person)
	f.session = s
	if f.in.ID == "" {
		f.in.Session = s.TokenHash // counts as a sign-in of somebody known (row WEB-09)
	}
	for _, step := range steps {
		answer, err := step(p, ctx, f)
		if err != nil || answer.Page != nil {
			return answer, err
		}
	}
	return Answer{}, fmt.Errorf("sign-in to %s: no step had an answer", f.sp.EntityID)
}

// loginNeeded asks somebody for a login. Who came by a signed launch starts it again where they came from: this page
// knows no password of theirs.
func (p *IdP) loginNeeded(ctx context.Context, f *flow) (Answer, error) {
	if l := f.data.Launch; l != nil {
		again := slices.ContainsFunc(p.sources(ctx, f), func(s Source) bool { return s.Name == l.Source })
		if !again {
			return p.refuseLaunch(ctx, f, Why{Reason: ReasonLaunchLate,
				Cause: "the session that the launch began is over, or its source was disabled or its tokens revoked"})
		}
		// The source has a sign-in of its own, and the person goes there again.
		if f.data.Launch, f.changed = nil, true; !f.data.Sent {
			f.way = l.Source
		}
	}
	return p.askPassword(ctx, f, AskPassword{})
}

// checkLogin asks for a new login where that of the session is not good enough for the target.
func (p *IdP) checkLogin(ctx context.Context, f *flow) (Answer, error) {
	// Where the console has been left idle, only a new login, with the second factor that the console asks for, opens it
	// again: no other way through this sign-in makes the session's login younger.
	if f.fresh() && !f.freshLaunch(f.session) && f.session.AuthenticatedAt.Before(f.in.CreatedAt) || // row REQ-15
		f.target().closed(p, f.session) { // row ID-19
		return p.askPassword(ctx, f, AskPassword{Login: f.session.Login})
	}
	return Answer{}, nil
}

// readPerson takes what the directory says of the person now. Who may not sign in there any more has no session here.
func (p *IdP) readPerson(ctx context.Context, f *flow) (Answer, error) {
	s := f.session
	began := traceOf(ctx).begin()
	e, problem, cause, err := p.reading(ctx, s, f.v)
	if err != nil {
		return Answer{}, err
	}
	traceOf(ctx).read(began, e, string(problem))
	switch problem {
	case "":
		f.person = e
		return Answer{}, nil
	case directory.Unavailable: // row LDAP-09
		why := directoryDown(cause)
		why.Cause += "; the last reading of the person is too old to serve"
		page, err := p.refuse(ctx, f, refusal{session: &s, status: http.StatusServiceUnavailable, retry: true, err: cause,
			Why: why})
		return Answer{Page: page}, err
	}
	if err := p.endSession(ctx, s, string(problem), f.v); err != nil {
		return Answer{}, err
	}
	f.in.Session = nil
	if problem == passwordChanged {
		p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: string(problem)}) // the page of a login says nothing of it
		answer, err := p.askPassword(ctx, f, AskPassword{Login: s.Login})
		answer.EndSession = true
		return answer, err
	}
	page, err := p.refuse(ctx, f, refusal{session: &s, status: http.StatusForbidden, Why: Why{Reason: string(problem),
		Cause: TextOf(string(problem)).Cause + " The session that the person had was ended."}})
	return Answer{Page: page, EndSession: true}, err
}

// askPassword asks who somebody is, by the login form or at a source, if a page may be shown at all.
func (p *IdP) askPassword(ctx context.Context, f *flow, form AskPassword) (Answer, error) {
	sources, password := p.sources(ctx, f), p.byPassword(ctx, f)
	if form.Problem == "" && !form.Change {
		if s, ok := p.atOnce(f, sources, password); ok {
			return p.leave(ctx, f, s)
		}
	}
	if f.passive() {
		page, err := p.answerStatus(ctx, f, ReasonPassive, "")
		return Answer{Page: page}, err
	}
	if !password && len(sources) == 0 {
		return p.noWayIn(ctx, f)
	}
	// What stood in the way before, such as a directory that was down, does no more.
	if f.in.ID == "" && !p.older(ctx) {
		// Nobody has shown who they are: nothing is stored, whatever number of such pages anybody asks for.
		f.because("")
		if _, err := p.seal(f); err != nil {
			return Answer{}, err
		}
		if len(sources) > 0 {
			// The page has links to the sources, which can't carry a long sign-in.
			page, err := p.keepable(ctx, f)
			if err != nil {
				return Answer{}, err
			}
			switch refused, no := page.(Refusal); {
			case no && refused.Reason == ReasonTooManySignIns && password:
				// Strangers can fill that bound. The form needs nothing stored, and stays.
				sources = nil
			case page != nil:
				return Answer{Page: page}, nil
			}
		}
	} else {
		page, err := p.ensureStored(ctx, f)
		if page != nil || err != nil {
			return Answer{Page: page}, err
		}
		if page, err := p.saveProgress(ctx, f, f.in.Account, "", nil); page != nil || err != nil {
			return Answer{Page: page}, err
		}
	}
	form.SignIn, form.Provider, form.CanCancel = f.at(), f.sp.name(), f.fromSP()
	form.NoPassword = !password
	for _, s := range sources {
		form.ByDomain = form.ByDomain || len(s.Domains) > 0
		form.Sources = append(form.Sources, WayIn{Source: s.Name, Label: s.label()})
	}
	return Answer{Page: form}, nil
}

// showChoice is the page on which the person chooses among several client accounts.
func (p *IdP) showChoice(ctx context.Context, f *flow) (Page, error) {
	if f.passive() { // a visible page (row REQ-16)
		return p.answerStatus(ctx, f, ReasonPassive, f.session.Person)
	}
	if page, err := p.ensureStored(ctx, f); page != nil || err != nil {
		return page, err
	}
	if page, err := p.saveProgress(ctx, f, f.in.Account, "", f.session.TokenHash); page != nil || err != nil {
		return page, err
	}
	return ChooseAccount{SignIn: f.in.ID, Provider: f.sp.name(), Person: personName(f.person),
		Choices: f.decision.Choices, CanCancel: f.fromSP()}, nil
}

// showWaiting is the page that waits until the person's user at Constant Contact is there.
func (p *IdP) showWaiting(ctx context.Context, f *flow) (Page, error) {
	if f.passive() { // a visible page (row REQ-16)
		return p.answerStatus(ctx, f, ReasonPassive, f.session.Person)
	}
	account := f.account()
	if f.in.ID == "" {
		f.in.Account = f.decision.Assignment.Account // the person goes on waiting for this one
	}
	if page, err := p.ensureStored(ctx, f); page != nil || err != nil {
		return page, err
	}
	if page, err := p.saveProgress(ctx, f, account, ReasonWaiting, f.session.TokenHash); page != nil || err != nil {
		return page, err
	}
	p.waits(ctx, f, f.waiting())
	return Waiting{SignIn: f.in.ID, Provider: f.sp.name(), Account: f.decision.Assignment,
		Progress: f.decision.Progress, CanCancel: f.fromSP()}, nil
}

// gate is who decides about the service provider of a sign-in.
func (p *IdP) gate(f *flow) Gate {
	if f.sp.Kind == store.ConstantContact {
		return p.o.Gate
	}
	return groupGate{f.config, p.o.Beyond}
}

func (f *flow) question(e directory.Entry, account store.AccountID, patience time.Duration) provisioning.Question {
	return provisioning.Question{
		Person: e, Account: account, MayCreate: !f.fromSP() || !f.data.Request.NoCreate, Groups: f.sp.Groups,
		Ref: f.v.Ref, Address: f.v.Address, Patience: patience,
	}
}

func personName(e directory.Entry) string {
	switch {
	case e.FirstName != "" && e.LastName != "":
		return e.FirstName + " " + e.LastName
	case e.FirstName != "" || e.LastName != "":
		return e.FirstName + e.LastName
	}
	return e.Login
}

// Progress is Resume without its effects, for the waiting page: ready means that
// Resume would show another page than Waiting. It waits for nothing, reads no
// directory and stores nothing.
func (p *IdP) Progress(ctx context.Context, id string, v Visitor) (pr provisioning.Progress, ready bool, err error) {
	f, _, err := p.resume(ctx, id, v, false)
	if f == nil {
		return pr, err == nil, err
	}
	s, known, err := p.liveSession(ctx, v)
	if err != nil || !known || len(f.in.Browser) == 0 || !p.opens(f, s) {
		return pr, err == nil, err
	}
	e, ok := stored(s)
	if !ok {
		return pr, true, nil
	}
	d, err := p.gate(f).Decide(ctx, f.question(e, f.in.Account, 0))
	if err != nil {
		return pr, false, fmt.Errorf("ask the gate for %s: %w", f.sp.EntityID, err)
	}
	if d.Outcome == provisioning.Granted {
		if since, until, waits := p.switching(f.config.keyring, f.sp.EntityID, p.o.Now()); waits {
			return provisioning.Progress{Cause: CauseKeySwitch, Since: since, NextTry: until}, false, nil
		}
	}
	return d.Progress, d.Outcome != provisioning.Wait, nil
}

// Cancel is the person's way back to the service provider: it answers the
// request by the status of what stood in the way (table C). A launch came from
// nowhere, so there is nothing to go back to, and its page is shown again.
func (p *IdP) Cancel(ctx context.Context, id string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	if !f.fromSP() {
		return p.proceed(ctx, f)
	}
	var person store.PersonID
	if s, known, err := p.liveSession(ctx, v); err != nil {
		return Answer{}, err
	} else if known {
		person = s.Person
	}
	reason := f.data.Reason
	if reason == "" {
		reason = ReasonCancelled
	}
	traceOf(ctx).cancel()
	page, err = p.answerStatus(ctx, f, reason, person)
	return Answer{Page: page}, err
}

// refusal is why a sign-in of a person does not go on.
type refusal struct {
	Why

	session *store.Session // nil: nobody is signed in
	account store.AccountID
	status  int
	retry   bool
	err     error  // the chain behind it, for the log alone; nil: none
	said    string // what Constant Contact said in its own words, for the log alone
}

// refuse shows our own page about a person's sign-in, and remembers the reason
// for Cancel. Where no page may be shown, the SP is told at once.
func (p *IdP) refuse(ctx context.Context, f *flow, r refusal) (Page, error) {
	var more []slog.Attr
	if r.err != nil {
		more = append(more, slog.Any("error", r.err))
	}
	if r.said != "" {
		more = append(more, slog.String("said", r.said))
	}
	p.logRefusal(ctx, f.v, f.sp.EntityID, r.Why, more...)
	var person store.PersonID
	var session []byte
	if r.session != nil {
		person, session = r.session.Person, r.session.TokenHash
	}
	if f.passive() {
		return p.answerStatus(ctx, f, r.Reason, person)
	}
	event := p.event(f, "refusal", person)
	event.Account, event.Outcome, event.Reason = r.account, "refused", r.Reason
	switch {
	case f.in.ID == "":
		if page, err := p.refuseStarted(ctx, f, r, event); page != nil || err != nil {
			return page, err
		}
	case r.session == nil && f.data.Reason == r.Reason:
		// Nobody is signed in and the reason is known: a reload adds nothing, least of
		// all audit rows.
	default:
		instead, err := p.saveProgress(ctx, f, f.in.Account, r.Reason, session, event)
		if instead != nil || err != nil {
			return instead, err
		}
	}
	return Refusal{SignIn: f.at(), Provider: f.sp.name(), Reason: r.Reason, Status: r.status, CanCancel: f.fromSP(),
		Retry: r.retry}, nil
}

// refuseStarted remembers the reason in a sign-in that is not stored. It returns the page to show instead, nil to go
// on.
func (p *IdP) refuseStarted(ctx context.Context, f *flow, r refusal, event store.Event) (Page, error) {
	switch {
	case r.session == nil:
		// Only what is known of somebody is recorded: strangers could fill the audit with the rest, and the log has it.
		f.because(r.Reason)
		_, err := p.seal(f)
		return nil, err
	case f.fromSP():
		f.because(r.Reason)
		f.in.Session = r.session.TokenHash
		return p.begin(ctx, f, event)
	}
	if err := p.o.Audit.Add(ctx, event); err != nil {
		return nil, fmt.Errorf("record refusal: %w", err)
	}
	return nil, nil
}

// event starts an audit event about this sign-in.
func (p *IdP) event(f *flow, action string, person store.PersonID) store.Event {
	return store.Event{
		At: p.o.Now(), Ref: f.v.Ref, Actor: string(person), Action: action, Subject: string(person),
		SP: f.sp.EntityID, Address: f.v.Address,
	}
}
