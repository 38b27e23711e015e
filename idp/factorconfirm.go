package idp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// DefaultConfirmAfter is FactorOptions.ConfirmAfter where it is zero.
const DefaultConfirmAfter = 24 * time.Hour

// A factor that the password alone has enrolled says no more than the password: whoever has stolen that can enrol one.
// It is good enough where a client account asks for a factor, since the first use decides there. The console takes
// confirmed factors alone: an invitation, or a factor that was confirmed itself, stands for them. A service provider
// that demands a second factor is told of one that is confirmed, or that is old enough, if its owner was shown in
// between that it was added.

// demanded tells whether the service provider asks for a second factor by its request.
func (p *IdP) demanded(f *flow) bool {
	return f.fromSP() && p.classes.needsSecond(f.data.Request.Classes)
}

// consoleDemands tells whether the sign-in leads to the console, and it takes confirmed factors alone. Where it only
// offers factors the password alone would do for somebody without one, and a factor of whatever kind does for the
// others.
func (p *IdP) consoleDemands(f *flow) bool {
	return f.data.Console != nil && p.o.SecondFactor.Console == mfa.Required
}

// enough tells whether a factor that is proved in this session is enough for the sign-in.
func (p *IdP) enough(f *flow, s store.Session, factor store.SecondFactor) bool {
	return f.target().enough(p, f, s, factor)
}

// confirmed tells whether an invitation or a confirmed factor stands for this one. Time never does. For the console it
// is not enough where a backup was restored since: see store.SecondFactor.OpensConsole.
func confirmed(factor store.SecondFactor) bool {
	return !factor.Foreign && !factor.ConfirmedAt.IsZero()
}

// attested tells whether service providers may be told of a factor that was proved after this login.
func (p *IdP) attested(factor store.SecondFactor, login time.Time) bool {
	return confirmed(factor) ||
		!factor.Foreign && !factor.NoticedAt.IsZero() && login.After(factor.NoticedAt) &&
			!login.Before(p.attestedFrom(factor))
}

// attestedFrom is when a factor is old enough. Nobody vouches for the age of one whose enrolment is not known: what
// counts is how long it was shown to its owner.
func (p *IdP) attestedFrom(factor store.SecondFactor) time.Time {
	since := factor.CreatedAt
	if factor.By == store.ByBefore {
		if since = factor.NoticedAt; since.IsZero() {
			since = p.o.Now()
		}
	}
	return since.Add(p.o.SecondFactor.ConfirmAfter)
}

// toldMethods are the methods of a session that a service provider is told of. A service provider that demands nothing
// may still look at the class: it is told of no factor that it would not have got by demanding one. Client accounts of
// Constant Contact have a policy of their own, for which the first use is enough.
func (p *IdP) toldMethods(o responseParams, s store.Session) []string {
	ownPolicy := o.sp.Kind == store.ConstantContact && !p.classes.needsSecond(o.asked)
	if ownPolicy || p.attested(s.Proved, s.AuthenticatedAt) {
		return s.Methods
	}
	return slices.DeleteFunc(slices.Clone(s.Methods), mfa.IsKind)
}

func (p *IdP) anyEnough(f *flow, s store.Session, records []store.SecondFactor) bool {
	return slices.ContainsFunc(records, func(r store.SecondFactor) bool { return p.enough(f, s, r) })
}

// confirming tells whether the person is to prove a factor together with an invitation, which confirms it: the console
// takes confirmed ones alone, and they have none.
func (p *IdP) confirming(f *flow, records []store.SecondFactor) bool {
	return p.consoleDemands(f) && len(records) > 0 && !slices.ContainsFunc(records, store.SecondFactor.OpensConsole)
}

// notYet answers a service provider that demands a second factor while none of the person's counts: a page that says
// from when on one does, and NoAuthnContext for the service provider.
func (p *IdP) notYet(ctx context.Context, f *flow, s store.Session, records []store.SecondFactor) (Page, error) {
	var from time.Time
	for _, r := range records {
		if at := p.attestedFrom(r); !r.Foreign && (from.IsZero() || at.Before(from)) {
			from = at
		}
	}
	r := refusal{session: &s, status: http.StatusForbidden, Why: Why{Reason: ReasonFactorNew,
		Cause: "the service provider demands a second factor, and the person's have been enrolled by the password alone a " +
			"short time ago",
		Fix: "it counts at a login after " + from.UTC().Format(time.RFC3339) +
			"; second_factor.confirm_after says how long that takes"}}
	wait := from.Sub(p.o.Now())
	if wait <= 0 {
		r.Why = Why{Reason: ReasonFactorLogin, Cause: "the service provider demands a second factor, and the person has not " +
			"logged in again since theirs was old enough and shown to them"}
		wait = 0
	}
	page, err := p.refuse(ctx, f, r)
	if shown, ok := page.(Refusal); ok {
		shown.Wait = wait
		page = shown
	}
	return page, err
}

// FactorNotice tells a person at a login which second factors were added and are not confirmed yet. It leads on to the
// sign-in.
type FactorNotice struct {
	SignIn, Provider, Login string
	Factors                 []mfa.Factor
}

func (FactorNotice) page() {}

// unconfirmed are a person's factors that were added before this login, right after which they are shown. Recovery
// codes are made with the first of them.
func (p *IdP) unconfirmed(f *flow, s store.Session, records []store.SecondFactor) (all []mfa.Factor) {
	if f.in.ID == "" || s.AuthenticatedAt.Before(f.in.CreatedAt) {
		return nil // no login of this sign-in
	}
	for _, r := range records {
		if r.Kind != mfa.RecoveryCode && !r.Foreign && !p.attested(r, s.AuthenticatedAt) &&
			r.CreatedAt.Before(s.AuthenticatedAt) {
			all = append(all, mfa.Factor{ID: r.ID, Kind: r.Kind, Added: r.CreatedAt})
		}
	}
	return all
}

// noticed notes, once for each sign-in, that a page shows the person which factors were added. Whether that counts is
// the store's to say: it does in the browser that the person has used for longest.
func (p *IdP) noticed(ctx context.Context, f *flow, s store.Session, records []store.SecondFactor) error {
	all := p.unconfirmed(f, s, records)
	if len(all) == 0 || f.data.Noticed {
		return nil
	}
	var ids []string
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	event := p.event(f, "second-factor-notice", s.Person)
	event.Outcome = "ok"
	n := store.Notice{Person: s.Person, IDs: ids, Browser: s.Browser, Proved: p.attested(s.Proved, s.AuthenticatedAt)}
	if err := p.o.SecondFactors.Notice(ctx, n, event); err != nil {
		return fmt.Errorf("second factors: %w", err)
	}
	f.data.Noticed, f.changed = true, true
	return nil
}

// notice is a page of its own where the sign-in asks for no factor, or for none any more: so the person learns at each
// login of what was added. It returns no page where there is nothing to show.
func (p *IdP) notice(ctx context.Context, f *flow, s store.Session) (Page, error) {
	if f.in.ID == "" || f.data.Noticed || f.passive() || s.AuthenticatedAt.Before(f.in.CreatedAt) ||
		!p.factorsOn(f.config) {
		return nil, nil
	}
	records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
	if err != nil {
		return nil, fmt.Errorf("second factors: %w", err)
	}
	page := FactorNotice{SignIn: f.in.ID, Provider: f.sp.name(), Login: s.Login, Factors: p.unconfirmed(f, s, records)}
	if len(page.Factors) == 0 {
		return nil, nil
	}
	if err := p.noticed(ctx, f, s, records); err != nil {
		return nil, err
	}
	if instead, err := p.keep(ctx, f); instead != nil || err != nil {
		return instead, err
	}
	return page, nil
}

// loginTooOld tells whether the login is too old to change a factor by.
func (p *IdP) loginTooOld(s store.Session) bool {
	return p.o.Now().Sub(s.AuthenticatedAt) >= store.ActLogin
}

// readNow sees to it that the session has a directory reading that is young enough for a change of factors, whatever
// the settings allow elsewhere: with the directory down nothing is changed.
func (p *IdP) readNow(ctx context.Context, s store.Session, v Visitor) (_ store.Session, problem directory.Problem,
	cause, err error) {
	if p.o.Now().Sub(s.ReadAt) <= store.ActReading/2 {
		return s, "", nil, nil
	}
	old, _ := stored(s)
	e, problem, cause, err := p.directoryAgain(ctx, s, old, v)
	if err != nil || problem != "" {
		if cause != nil {
			p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "directory does not answer", slog.String("ref", v.Ref),
				slog.Any("cause", cause))
		}
		return s, problem, cause, err
	}
	s.ReadAt = e.ReadAt
	if s.Reading, err = encode(e); err != nil {
		return s, "", nil, err
	}
	return s, "", nil, nil
}

// cantChange answers somebody who may change no factor for what the directory says, or does not say.
func (p *IdP) cantChange(ctx context.Context, f *flow, s store.Session, problem directory.Problem,
	cause error) (Answer, error) {
	if problem != directory.Unavailable {
		return p.proceed(ctx, f) // which ends the session: it is no licence (row LDAP-11)
	}
	why := directoryDown(cause)
	why.Cause += "; a second factor is changed by a reading of this minute alone"
	page, err := p.refuse(ctx, f, refusal{session: &s, status: http.StatusServiceUnavailable, retry: true, err: cause,
		Why: why})
	return Answer{Page: page}, err
}

// act is what a change of the person's factors rests on.
func (p *IdP) act(f *flow, s store.Session) store.Act {
	return store.Act{Session: s.TokenHash, ReadAt: s.ReadAt, Changes: f.config.counter,
		KeepOthers: p.o.SecondFactor.KeepOthers}
}
