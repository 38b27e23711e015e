package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// EnrolFactor shows how to enrol a second factor.
type EnrolFactor struct {
	SignIn, Provider, Login string

	Secret    string // for an authenticator app, to type
	Picture   string // the same to scan: a data: address of a PNG
	Address   string // the same to open in an app: an otpauth: address
	Passkey   string // options for navigator.credentials.create, JSON; "": no passkeys here
	State     string // to come back with the proof
	Invited   bool   // takes an invitation's code
	Invite    string // as typed
	Optional  bool   // may be put off
	Adding    bool   // to others that the person has
	Problem   string
	CanCancel bool
}

// RecoveryCodes shows new recovery codes, once.
type RecoveryCodes struct {
	SignIn string // to go on with; "": to the person's own page
	Codes  []string
}

func (EnrolFactor) page()   {}
func (RecoveryCodes) page() {}

// FactorEnrolment is what EnrolFactor's form sends.
type FactorEnrolment struct {
	Code       string // of the authenticator app
	Credential string // the new passkey, JSON
	Invite     string
	State      string
	Later      bool // put off
}

// invited tells whether somebody's first factor takes an invitation: with a role in a
// console that asks for factors, the password alone must not be enough to enrol one, or a
// stolen one were.
func (p *IdP) invited(c *config, s store.Session) bool {
	if p.o.SecondFactor.Console != mfa.Required {
		return false
	}
	e, ok := stored(s)
	return !ok || p.roles.of(c, e) != NoConsole
}

func (p *IdP) showEnrolment(f *flow, s store.Session, records []store.SecondFactor, optional bool, problem,
	invite string) (Page, error) {
	page := EnrolFactor{
		SignIn: f.in.ID, Provider: f.sp.name(), Login: s.Login, Optional: optional, Adding: len(records) > 0, Invite: invite,
		Invited: len(records) == 0 && p.invited(f.config, s), Problem: problem, CanCancel: f.fromSP(),
	}
	secret, err := mfa.NewSecret(p.o.Random, p.o.SecondFactor.Issuer, s.Login)
	if err != nil {
		return nil, err
	}
	page.Secret, page.Picture, page.Address = secret.Text, secret.Picture, secret.Address
	state := factorState{Person: s.Person, Session: s.TokenHash, Secret: secret.Text}
	if keys := p.passkeysAt(f.v); keys != nil {
		holder, _ := p.factors.Holder(keys, s.Person, s.Login, records)
		if page.Passkey, state.Ceremony, err = keys.Offer(holder); err != nil {
			return nil, err
		}
	}
	page.State, err = p.sealState(state)
	return page, err
}

// again shows an enrolment page once more, with the same secret: the app has it already.
func (p *IdP) again(f *flow, s store.Session, records []store.SecondFactor, optional bool, problem string,
	sent FactorEnrolment) (Page, error) {
	page, err := p.showEnrolment(f, s, records, optional, problem, unlessLonger(sent.Invite, mfa.MaxCode))
	if err != nil {
		return nil, err
	}
	state, cause := p.readState(s, sent.State)
	if cause != nil || state.Secret == "" {
		return page, nil
	}
	shown := page.(EnrolFactor)
	fresh, cause := p.readState(s, shown.State)
	if cause != nil {
		return nil, cause
	}
	fresh.Secret = state.Secret
	secret, err := mfa.Again(state.Secret, p.o.SecondFactor.Issuer, s.Login)
	if err != nil {
		return nil, err
	}
	shown.Secret, shown.Picture, shown.Address = state.Secret, secret.Picture, secret.Address
	shown.State, err = p.sealState(fresh)
	return shown, err
}

// unlessLonger is a text of a form that is shown again; "" where it is longer than what is asked for.
func unlessLonger(text string, most int) string {
	if len(text) > most {
		return ""
	}
	return text
}

// EnrolFactor adds a second factor that was shown to work, and goes on with a session
// that has it.
func (p *IdP) EnrolFactor(ctx context.Context, id string, sent FactorEnrolment, v Visitor) (a Answer, err error) {
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
	if !known || f.launching() || !p.opens(f, s) || f.fresh() && s.AuthenticatedAt.Before(f.in.CreatedAt) {
		return p.proceed(ctx, f)
	}
	// The directory first: what it says now decides what the person may do.
	s, problem, cause, err := p.readNow(ctx, s, v)
	if err != nil {
		return Answer{}, err
	} else if problem != "" {
		return p.cantChange(ctx, f, s, problem, cause)
	}
	traceOf(ctx).person(s.Person)
	records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
	if err != nil {
		return Answer{}, fmt.Errorf("second factors: %w", err)
	}
	policy := f.target().policy(p, f, f.in.Account)
	optional := policy == mfa.Offered && f.data.Own == nil
	switch {
	case f.data.Own == nil && !policy.Asks(), f.data.Own != nil && !p.asked(f.config, s),
		// Nobody asks this person for one: nothing is enrolled that could be asked for later.
		len(records) > 0 && (f.data.Own == nil || !secondFactor(s.Methods)):
		// Who has a factor proves it, and adds others from their own page alone.
		return p.proceed(ctx, f)
	case sent.Later && optional:
		event := p.event(f, "second-factor-later", s.Person)
		event.Outcome = "ok"
		if err := p.o.SecondFactors.Delay(ctx, s.Person, event); err != nil {
			return Answer{}, fmt.Errorf("put a second factor off: %w", err)
		}
		return Answer{Page: GoOn{SignIn: f.in.ID}}, nil
	}
	if page, err := p.guess(ctx, f, s); page != nil || err != nil {
		return Answer{Page: page}, err
	}
	began := traceOf(ctx).begin()
	done, failed, cause, err := p.enrol(ctx, f, s, records, sent)
	if err != nil {
		return Answer{}, err
	}
	traceOf(ctx).step(StepFactor, began, failed, "enrolled %s", done.method)
	if failed != "" {
		if err := p.failedFactor(ctx, f, s, failed, cause); err != nil {
			return Answer{}, err
		}
	}
	switch {
	case failed == reasonRevoked:
		return p.proceed(ctx, f) // to a login
	case failed == FactorExpired && p.loginTooOld(s):
		return p.askPassword(ctx, f, AskPassword{Login: s.Login})
	case failed != "":
		page, err := p.again(f, s, records, optional, failed, sent)
		return Answer{Page: page}, err
	}
	token, codes := done.token, done.codes
	if len(codes) == 0 {
		return Answer{Page: GoOn{SignIn: f.in.ID}, NewSession: token}, nil
	}
	return Answer{Page: RecoveryCodes{SignIn: f.in.ID, Codes: codes}, NewSession: token}, nil
}

// enrolled is a new factor.
type enrolled struct {
	method string
	codes  []string // new recovery codes, where the person had none
	token  string   // of the session in which it was proved
}

// enrol checks the proof of a new factor and stores it, with recovery codes where the
// person has none, and with the session in which it was proved.
func (p *IdP) enrol(ctx context.Context, f *flow, s store.Session, records []store.SecondFactor,
	sent FactorEnrolment) (done enrolled, problem string, cause, err error) {
	fail := func(problem, why string) (enrolled, string, error, error) {
		return done, problem, errors.New(why), nil
	}
	state, cause := p.readState(s, sent.State)
	if cause != nil {
		return done, FactorExpired, cause, nil
	}
	if p.loginTooOld(s) {
		return fail(FactorExpired, "the login is too old to add a factor by")
	}
	id, err := p.token()
	if err != nil {
		return done, "", nil, err
	}
	r := store.SecondFactor{ID: id, Person: s.Person, Kind: mfa.TOTP, UsedAt: p.o.Now()}
	var proof mfa.Proof
	switch {
	case sent.Credential != "":
		done.method, r.Kind = mfa.Passkey, mfa.Passkey
		keys := p.passkeysAt(f.v)
		if keys == nil || state.Ceremony == nil || len(sent.Credential) > mfa.MaxCredential {
			return fail(FactorWrong, "no passkey was offered")
		}
		holder, _ := p.factors.Holder(keys, s.Person, s.Login, records)
		var refused error
		if proof, refused = keys.CheckNew(holder, *state.Ceremony, sent.Credential); refused != nil {
			return done, FactorWrong, refused, nil
		}
	default:
		done.method = mfa.TOTP
		var right bool
		if proof, right, err = mfa.CheckNewCode(state.Secret, sent.Code, p.o.Now()); err != nil {
			return done, "", nil, err
		}
		if !right {
			return fail(FactorWrong, "the code is not that of the new secret: the clock of the device or of this machine may "+
				"be wrong")
		}
	}
	if first, err := p.o.Forms.Use(ctx, state.ID); err != nil {
		return done, "", nil, fmt.Errorf("second factor: %w", err)
	} else if !first {
		return fail(FactorExpired, "the page was used before")
	}
	if err := p.factors.Seal(&r, proof); err != nil {
		return done, "", nil, err
	}
	next, token, err := p.nextSession(s, done.method)
	if err != nil {
		return done, "", nil, err
	}
	e := store.Enrolment{Act: p.act(f, s), Factors: []store.SecondFactor{r}, By: store.ByPassword,
		First: len(records) == 0, Session: &next}
	if p.demanded(f) {
		e.By = store.ByDemand
	}
	if e.First && p.invited(f.config, s) {
		hashes := p.factors.InviteHashes(s.Person, sent.Invite)
		e.Invite, e.Former = hashes[0], hashes[1:]
	}
	var codes []string
	if !slices.ContainsFunc(records, func(r store.SecondFactor) bool { return r.Kind == mfa.RecoveryCode }) {
		if id, err = p.token(); err != nil {
			return done, "", nil, err
		}
		var recovery store.SecondFactor
		if recovery, codes, err = p.factors.NewRecoveryCodes(s.Person, id); err != nil {
			return done, "", nil, err
		}
		e.Factors = append(e.Factors, recovery)
	}
	event := p.event(f, "second-factor-enrol", s.Person)
	event.Outcome, event.Reason = "ok", done.method
	proved := event
	proved.Action = "second-factor"
	err = p.o.SecondFactors.Enrol(ctx, s.Person, e, event, proved)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fail(FactorInvite, "the invitation is not this one, was used, or is over: the person has to be "+
			"invited again")
	case errors.Is(err, store.ErrConflict):
		return fail(FactorExpired, "another factor was enrolled meanwhile")
	case errors.Is(err, store.ErrLimit):
		return fail(FactorMany, "the person has as many factors as anybody can have")
	case errors.Is(err, store.ErrStale):
		return fail(FactorExpired, "login, directory reading or configuration are not those any more by which this was "+
			"decided")
	case errors.Is(err, store.ErrRevoked):
		return done, reasonRevoked, err, nil
	case err != nil:
		return done, "", nil, fmt.Errorf("enrol a second factor: %w", err)
	}
	done.codes, done.token = codes, token
	return done, "", nil, nil
}
