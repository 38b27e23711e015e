package idp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// Problems of a second factor, as pages tell them and audit events record them.
const (
	FactorWrong   = "second_factor_wrong"   // no such code, or not any more; or the passkey's answer does not hold
	FactorInvite  = "second_factor_invite"  // the invitation is not this one, or over
	FactorExpired = "second_factor_expired" // the page was open for too long, or was used before
	FactorMany    = "second_factor_many"    // the person has as many as anybody can have
	FactorLast    = "second_factor_last"    // the last one, of somebody of whom one is required
	// The factor is right, and the console takes confirmed ones alone.
	FactorUnconfirmed = "second_factor_unconfirmed"
)

// FactorOptions are the second factors' part of Options.
type FactorOptions struct {
	Console mfa.Policy // of the admin console
	People  mfa.Policy // of client accounts without a policy of their own, and of other service providers
	Class   string     // authentication context class of a sign-in with a second factor; "" is DefaultSecondFactorClass
	Issuer  string     // name of this sign-in in authenticator apps and passkeys, "ssobridge"
	// ConfirmAfter is the age from which a factor counts for service providers that demand one, if nobody else has
	// confirmed it: at a login after that, where the person was shown before that it was added. 24 h; it never counts for
	// the console.
	ConfirmAfter time.Duration
	// KeepOthers lets a person's other sessions go on when they add or remove a factor.
	KeepOthers bool
}

// AskFactor asks for a second factor.
type AskFactor struct {
	SignIn, Provider, Login string

	Code      bool         // the person has an authenticator app
	Passkey   string       // options for navigator.credentials.get, JSON; "": the person has no passkey
	Elsewhere bool         // the person has passkeys that belong to another host
	State     string       // to come back with the proof
	Added     []mfa.Factor // that were added before this login, and that nobody has confirmed
	Invited   bool         // takes an invitation's code as well, which confirms the factor
	Invite    string       // as typed
	Problem   string       // "" the first time
	CanCancel bool
}

func (AskFactor) page() {}

// WrongCodes tells somebody who has just proved a second factor that others tried wrong ones,
// in browsers other than this: whoever did knows the password. It is shown once.
type WrongCodes struct {
	SignIn, Provider string
	Count            int
	Last             time.Time
}

func (WrongCodes) page() {}

// FactorProof is what AskFactor's form sends.
type FactorProof struct {
	Code       string // of an authenticator app, or a recovery code
	Credential string // a passkey's answer, JSON
	Invite     string // an invitation's code
	State      string
}

// policy is what a client account asks for; "" is another service provider.
func (p *IdP) policy(c *config, account store.AccountID) mfa.Policy {
	if own, ok := c.factors[account]; ok {
		return own
	}
	return p.o.SecondFactor.People
}

// FactorPolicy tells what a client account asks for beside the password, and whether it
// has a policy of its own.
func (p *IdP) FactorPolicy(ctx context.Context, account store.AccountID) (policy mfa.Policy, own bool, err error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return "", false, err
	}
	_, own = c.factors[account]
	return cmp.Or(p.policy(c, account), mfa.Off), own, nil
}

// Factors are the second factors of people.
func (p *IdP) Factors() *mfa.Factors { return p.factors }

// factorsOn tells whether second factors are asked for anywhere.
func (p *IdP) factorsOn(c *config) bool {
	return p.peopleAsked(c) || p.o.SecondFactor.Console.Asks() && len(p.roles) > 0
}

// peopleAsked tells whether they are asked for at a client account or service provider.
func (p *IdP) peopleAsked(c *config) bool {
	if p.o.SecondFactor.People.Asks() {
		return true
	}
	for _, policy := range c.factors {
		if policy.Asks() {
			return true
		}
	}
	return false
}

// asked tells whether this person may be asked for one: where the console alone does, they
// are of use to those who may enter it.
func (p *IdP) asked(c *config, s store.Session) bool {
	if p.peopleAsked(c) {
		return true
	}
	e, ok := stored(s)
	return ok && p.o.SecondFactor.Console.Asks() && p.roles.of(c, e) != NoConsole
}

// stepUp asks for a second factor where the sign-in needs one that the session does not
// have. It returns no page where nothing stands in the way.
func (p *IdP) stepUp(ctx context.Context, f *flow, s store.Session, account store.AccountID) (Page, error) {
	policy := f.target().policy(p, f, account)
	if !policy.Asks() {
		return p.notice(ctx, f, s)
	}
	if launchedBy(s) != "" {
		if p.factorAtSource(s) {
			traceOf(ctx).step(StepFactor, traceOf(ctx).begin(), "", "%s, %s: proved at source %s", f.target().describe(f),
				policy, launchedBy(s))
			return nil, nil
		}
		return p.launchFactor(ctx, f, s, account, policy)
	}
	proved := secondFactor(s.Methods)
	if proved && p.enough(f, s, s.Proved) {
		traceOf(ctx).step(StepFactor, traceOf(ctx).begin(), "", "%s, %s: proved by %s", f.target().describe(f), policy,
			s.Methods[len(s.Methods)-1])
		return p.notice(ctx, f, s)
	}
	began := traceOf(ctx).begin()
	records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
	if err != nil {
		return nil, fmt.Errorf("second factors: %w", err)
	}
	if len(records) == 0 && policy == mfa.Offered {
		due, err := p.offerDue(ctx, f, s)
		if err != nil {
			return nil, err
		}
		if !due {
			traceOf(ctx).step(StepFactor, began, "", "%s, %s: the person has none", f.target().describe(f), policy)
			return nil, nil
		}
	}
	late := p.demanded(f) && len(records) > 0 && !p.anyEnough(f, s, records)
	switch {
	case late && f.passive():
		return p.notYet(ctx, f, s, records)
	case f.passive(): // a visible page (row REQ-16)
		return p.answerStatus(ctx, f, ReasonPassive, s.Person)
	}
	if page, err := p.ensureStored(ctx, f); page != nil || err != nil {
		return page, err
	}
	// The pages below show it together with what they ask for.
	if err := p.noticed(ctx, f, s, records); err != nil {
		return nil, err
	}
	if late {
		return p.notYet(ctx, f, s, records)
	}
	if page, err := p.saveProgress(ctx, f, account, "", s.TokenHash); page != nil || err != nil {
		return page, err
	}
	switch {
	case len(records) > 0:
		problem := ""
		if proved {
			problem = FactorUnconfirmed
			p.refusedWith(ctx, "second factor refused", f.v, f.sp.EntityID, Why{Reason: problem})
		}
		traceOf(ctx).step(StepFactor, began, "", "%s, %s: the person is asked for it", f.target().describe(f), policy)
		return p.showFactor(f, s, records, problem, "")
	case p.loginTooOld(s):
		// What enrols one is a password of a moment ago, and not a browser that was left open.
		traceOf(ctx).step(StepFactor, began, "", "%s, %s: the person has none, and logs in again to enrol one",
			f.target().describe(f), policy)
		return AskPassword{SignIn: f.at(), Provider: f.sp.name(), Login: s.Login, CanCancel: f.fromSP()}, nil
	}
	traceOf(ctx).step(StepFactor, began, "", "%s, %s: the person has none and is shown how to enrol one",
		f.target().describe(f), policy)
	return p.showEnrolment(f, s, records, policy == mfa.Offered, "", "")
}

// launchFactor refuses a signed launch where a second factor is asked for and its source is not trusted with one: its
// session proves and enrols none here, since a partner's signing key would do for the first of two factors, and to add
// the other one.
func (p *IdP) launchFactor(ctx context.Context, f *flow, s store.Session, account store.AccountID,
	policy mfa.Policy) (Page, error) {
	if policy == mfa.Offered {
		records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
		if err != nil {
			return nil, fmt.Errorf("second factors: %w", err)
		}
		if len(records) == 0 {
			return nil, nil
		}
	}
	page, err := p.refuse(ctx, f, refusal{session: &s, account: account, status: http.StatusForbidden,
		Why: Why{Reason: ReasonLaunchFactor}})
	return p.naming(page, launchedBy(s)), err
}

// offerDue tells whether somebody without a second factor is to be offered one: right
// after a login, and not soon again after they put it off.
func (p *IdP) offerDue(ctx context.Context, f *flow, s store.Session) (bool, error) {
	if f.passive() || f.in.ID == "" || s.AuthenticatedAt.Before(f.in.CreatedAt) {
		return false, nil
	}
	at, err := p.o.SecondFactors.Delayed(ctx, s.Person)
	if err != nil {
		return false, fmt.Errorf("second factors: %w", err)
	}
	return p.o.Now().Sub(at) > offerAgain, nil
}

// showFactor is the page that asks for one of the person's factors.
func (p *IdP) showFactor(f *flow, s store.Session, records []store.SecondFactor, problem, invite string) (Page, error) {
	page := AskFactor{
		SignIn: f.in.ID, Provider: f.sp.name(), Login: s.Login, Problem: problem, CanCancel: f.fromSP(),
		Invited: p.confirming(f, records), Invite: unlessLonger(invite, mfa.MaxCode), Added: p.unconfirmed(f, s, records),
	}
	if page.Invited && problem == FactorUnconfirmed {
		page.Problem = "" // there is no confirmed one to take in its place: the page says what is missing
	}
	page.Code = slices.ContainsFunc(records, func(r store.SecondFactor) bool { return r.Kind == mfa.TOTP })
	state := factorState{Person: s.Person, Session: s.TokenHash}
	keys := p.passkeysAt(f.v)
	holder, others := p.factors.Holder(keys, s.Person, s.Login, records)
	page.Elsewhere = others
	if keys != nil && !holder.Empty() {
		var err error
		if page.Passkey, state.Ceremony, err = keys.Ask(holder); err != nil {
			return nil, err
		}
	}
	var err error
	page.State, err = p.sealState(state)
	return page, err
}

// ProveFactor takes a second factor and goes on with a session that has it. A right proof
// gives a session with a new token, as a login does (row WEB-02).
func (p *IdP) ProveFactor(ctx context.Context, id string, proof FactorProof, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	s, known, err := p.session(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	if !known || f.launching() || secondFactor(s.Methods) && p.enough(f, s, s.Proved) {
		return p.proceed(ctx, f)
	}
	traceOf(ctx).person(s.Person)
	records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
	if err != nil {
		return Answer{}, fmt.Errorf("second factors: %w", err)
	}
	if len(records) == 0 {
		return p.proceed(ctx, f)
	}
	began := traceOf(ctx).begin()
	if page, err := p.guess(ctx, f, s); page != nil || err != nil {
		return Answer{Page: page}, err
	}
	// Looked up before: the proof forgets them, and its owner sees them now.
	wrong, err := p.o.Throttle.WrongCodes(ctx, s.Person, s.Browser)
	if err != nil {
		return Answer{}, fmt.Errorf("second factors: %w", err)
	}
	proved, problem, cause, err := p.prove(ctx, p.passkeysAt(v), s, records, proof)
	if err != nil {
		return Answer{}, err
	}
	method, token := proved.Kind, ""
	if problem == "" {
		token, problem, cause, err = p.upgradeSession(ctx, f, s, proved, p.confirming(f, records), proof.Invite)
		if err != nil {
			return Answer{}, err
		}
	}
	traceOf(ctx).step(StepFactor, began, problem, "%s", method)
	switch {
	case errors.Is(cause, store.ErrRevoked):
		// The session was ended while this was proved: the way begins with a login again.
		if err := p.failedFactor(ctx, f, s, reasonRevoked, cause); err != nil {
			return Answer{}, err
		}
		return p.proceed(ctx, f)
	case problem != "":
		if err := p.failedFactor(ctx, f, s, problem, cause); err != nil {
			return Answer{}, err
		}
		if err := p.noticed(ctx, f, s, records); err != nil {
			return Answer{}, err
		}
		if f.changed {
			if page, err := p.keep(ctx, f); page != nil || err != nil {
				return Answer{Page: page}, err
			}
		}
		page, err := p.showFactor(f, s, records, problem, proof.Invite)
		return Answer{Page: page}, err
	}
	if wrong.Count > 0 {
		return Answer{Page: WrongCodes{SignIn: f.in.ID, Provider: f.sp.name(), Count: wrong.Count, Last: wrong.Last},
			NewSession: token}, nil
	}
	return Answer{Page: GoOn{SignIn: f.in.ID}, NewSession: token}, nil
}

// guess counts a proof before it is looked at: of many that come at once, no more are
// looked at than there may be wrong ones (row LDAP-10). The count is the person's, and
// reaching it takes the right password; a browser in which they proved a factor before has
// one of its own (row ID-09).
func (p *IdP) guess(ctx context.Context, f *flow, s store.Session) (Page, error) {
	left, err := p.o.Throttle.TakeGuess(ctx, store.Guess{Person: s.Person, Browser: s.Browser, Limit: p.o.LoginFailures,
		Window: p.o.LoginWindow})
	if err != nil || left {
		return nil, err
	}
	p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: ReasonTooManyAttempts,
		Cause: fmt.Sprintf("%d wrong second factors were tried within %s, after the right password", p.o.LoginFailures,
			p.o.LoginWindow),
		Fix: "wait until sign_in.login_window is over, or lift the lockout; whoever tries knows the person's password"})
	return Refusal{
		SignIn: f.in.ID, Provider: f.sp.name(), Reason: ReasonTooManyAttempts, Status: http.StatusTooManyRequests,
		CanCancel: f.fromSP(), Retry: true, Wait: p.o.LoginWindow,
	}, nil
}

// failedFactor records a wrong proof.
func (p *IdP) failedFactor(ctx context.Context, f *flow, s store.Session, problem string, cause error) error {
	w := Why{Reason: problem}
	if cause != nil && problem != reasonRevoked {
		w.Cause = TextOf(problem).Cause + " " + sentence(cause.Error())
	}
	p.refusedWith(ctx, "second factor refused", f.v, f.sp.EntityID, w)
	event := p.event(f, "second-factor", s.Person)
	event.Outcome, event.Reason = "refused", problem
	var err error
	if problem == FactorWrong {
		err = p.o.Throttle.WrongCode(ctx, s.Person, s.Browser, event) // the owner sees it at the next proof
	} else {
		err = p.o.Audit.Add(ctx, event)
	}
	if err != nil {
		return fmt.Errorf("record a second factor: %w", err)
	}
	return nil
}

// prove checks a proof against the person's factors. It returns the one that was proved, as it is to be kept, or a
// problem with its cause for the log. Nothing is stored but that a passkey's page was used.
func (p *IdP) prove(ctx context.Context, keys *mfa.Passkeys, s store.Session, records []store.SecondFactor,
	proof FactorProof) (proved store.SecondFactor, problem string, cause, err error) {
	if proof.Credential != "" {
		return p.provePasskey(ctx, keys, s, records, proof)
	}
	proved, cause, err = p.factors.CheckCode(s.Person, records, proof.Code, p.o.Now())
	if cause != nil {
		problem = FactorWrong
	}
	return proved, problem, cause, err
}

func (p *IdP) provePasskey(ctx context.Context, keys *mfa.Passkeys, s store.Session, records []store.SecondFactor,
	proof FactorProof) (proved store.SecondFactor, problem string, cause, err error) {
	state, problem, cause, err := p.openState(ctx, s, proof.State)
	if problem != "" || err != nil {
		return proved, problem, cause, err
	}
	if keys == nil || state.Ceremony == nil || len(proof.Credential) > mfa.MaxCredential {
		return proved, FactorWrong, errors.New("no passkey was asked for"), nil
	}
	holder, _ := p.factors.Holder(keys, s.Person, s.Login, records)
	if proved, cause, err = p.factors.CheckPasskey(keys, holder, *state.Ceremony, proof.Credential,
		records); cause != nil {
		problem = FactorWrong
	}
	return proved, problem, cause, err
}

// upgradeSession stores that a factor was proved, and gives the session's place to one with a new token in which it
// was. With confirm, an invitation has to stand for the factor. Of two who prove the same at once one has proved it.
func (p *IdP) upgradeSession(ctx context.Context, f *flow, s store.Session, proved store.SecondFactor, confirm bool,
	invite string) (token, problem string, cause, err error) {
	next, token, err := p.nextSession(s, proved.Kind)
	if err != nil {
		return "", "", nil, err
	}
	proof := store.ProvedFactor{Factor: proved, Session: next, Old: s.TokenHash}
	event := p.event(f, "second-factor", s.Person)
	event.Outcome, event.Reason = "ok", proved.Kind
	events := []store.Event{event}
	if confirm {
		hashes := p.factors.InviteHashes(s.Person, invite)
		proof.Invite, proof.Former = hashes[0], hashes[1:]
		event.Action = "second-factor-confirm"
		events = append(events, event)
	}
	err = p.o.SecondFactors.Prove(ctx, proof, events...)
	switch {
	case errors.Is(err, store.ErrConflict):
		return "", FactorWrong, errors.New("it was used by another request at the same time, or is gone"), nil
	case errors.Is(err, store.ErrNotFound):
		return "", FactorInvite, errors.New("the invitation is not this one, was used, or is over"), nil
	case errors.Is(err, store.ErrRevoked):
		return "", reasonRevoked, err, nil
	case err != nil:
		return "", "", nil, fmt.Errorf("store a proved second factor: %w", err)
	}
	return token, "", nil, nil
}

// nextSession is the session that follows s when a factor of this kind was proved.
func (p *IdP) nextSession(s store.Session, method string) (next store.Session, token string, err error) {
	if token, err = p.token(); err != nil {
		return s, "", err
	}
	base := slices.DeleteFunc(slices.Clone(s.Methods), mfa.IsKind)
	s.TokenHash, s.Methods, s.SeenAt = hash(token), append(base, method), p.o.Now()
	s.KnownAs, s.Proof = directory.NormalizeLogin(s.Login), store.Proof{Person: s.Person, Browser: s.Browser}
	return s, token, nil
}

const (
	stateContext = "second-factor-page"
	factorWindow = 30 * time.Minute    // how long a page to enrol or prove one may stay open
	offerAgain   = 30 * 24 * time.Hour // after who put it off is offered it again
)
