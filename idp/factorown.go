package idp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// ownID stands in the place of the service provider where people look after their own
// factors. No entityID holds a blank.
const ownID = "own factors"

// pendingOwn is a pending sign-in that leads to the person's own page.
type pendingOwn struct {
	Fresh bool `json:"fresh,omitempty"` // the login must be younger than the sign-in
	Add   bool `json:"add,omitempty"`   // to enrol another factor
}

// OwnFactors is the page on which people look after their second factors.
type OwnFactors struct {
	Login   string
	Factors []mfa.Factor
	Problem string
}

// AccountPage is no page of its own: a 303 to the person's own page.
type AccountPage struct{}

func (OwnFactors) page()  {}
func (AccountPage) page() {}

// FactorChange is what OwnFactors' forms send.
type FactorChange struct {
	Remove string // id of one of the person's factors
	Renew  bool   // new recovery codes in place of the old
	Add    bool   // another factor
}

// FactorsOn tells whether the visitor may be asked for a second factor somewhere, and so
// has some to look after.
func (p *IdP) FactorsOn(ctx context.Context, v Visitor) (bool, error) {
	s, known, err := p.session(ctx, v)
	if err != nil || !known {
		return false, err
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return false, err
	}
	return p.asked(c, s), nil
}

// OwnFactors shows the visitor's own factors. Who has not logged in within the last minutes
// does so first, with a factor if they have one: a browser left open must not be enough
// to change how its owner is known.
func (p *IdP) OwnFactors(ctx context.Context, v Visitor) (Answer, error) {
	return p.own(ctx, v, FactorChange{})
}

// ChangeOwnFactors changes the visitor's own factors.
func (p *IdP) ChangeOwnFactors(ctx context.Context, change FactorChange, v Visitor) (Answer, error) {
	return p.own(ctx, v, change)
}

func (p *IdP) own(ctx context.Context, v Visitor, change FactorChange) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "own factors")
	defer func() { end(&a, &err) }()
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	s, known, err := p.session(ctx, v)
	if err != nil {
		return Answer{}, err
	}
	if !p.factorsOn(c) || known && !p.asked(c, s) {
		return Answer{Page: Refusal{Reason: ReasonNoFactors, Status: http.StatusNotFound}}, nil
	}
	f := &flow{config: c, sp: p.ownPage, v: v}
	f.in.EntityID = ownID
	f.in.Address = addressBlock(v.Address)
	f.in.Browser = hash(v.Browser)
	f.in.CreatedAt = p.o.Now()
	f.data = pending{Own: &pendingOwn{Add: change.Add}}
	f.data.Own.Fresh = known && p.o.Now().Sub(s.AuthenticatedAt) >= consoleFresh
	if !known || f.data.Own.Fresh || change.Add {
		return p.proceed(ctx, f)
	}
	s, problem, cause, err := p.readNow(ctx, s, v)
	if err != nil {
		return Answer{}, err
	} else if problem != "" {
		return p.cantChange(ctx, f, s, problem, cause)
	}
	if !p.asked(c, s) { // as the directory says it now
		return Answer{Page: Refusal{Reason: ReasonNoFactors, Status: http.StatusNotFound}}, nil
	}
	records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
	if err != nil {
		return Answer{}, fmt.Errorf("second factors: %w", err)
	}
	if len(records) > 0 && !secondFactor(s.Methods) {
		return p.proceed(ctx, f)
	}
	page, err := p.changeOwn(ctx, f, s, records, change)
	return Answer{Page: page}, err
}

// changeOwn does a change by somebody who has proved who they are.
func (p *IdP) changeOwn(ctx context.Context, f *flow, s store.Session, records []store.SecondFactor,
	change FactorChange) (Page, error) {
	page := OwnFactors{Login: s.Login}
	switch {
	case change.Remove != "":
		i := slices.IndexFunc(records, func(r store.SecondFactor) bool {
			return r.ID == change.Remove &&
				r.Kind != mfa.RecoveryCode
		})
		if i < 0 {
			return AccountPage{}, nil // gone already, which is what was asked for
		}
		event := p.event(f, "second-factor-remove", s.Person)
		event.Outcome, event.Reason = "ok", records[i].Kind
		// Without an invitation there would be no way to another: somebody with a role keeps one. The store counts, in the
		// transaction that removes.
		err := p.o.SecondFactors.Remove(ctx, s.Person, store.Removal{Act: p.act(f, s), ID: change.Remove,
			Alone: mfa.RecoveryCode, Keep: p.invited(f.config, s)}, event)
		switch {
		case errors.Is(err, store.ErrLast):
			page.Problem = FactorLast
			if err := p.failedFactor(ctx, f, s, FactorLast, err); err != nil {
				return nil, err
			}
		case errors.Is(err, store.ErrStale), errors.Is(err, store.ErrRevoked):
			page.Problem = FactorExpired
			if err := p.failedFactor(ctx, f, s, FactorExpired, err); err != nil {
				return nil, err
			}
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return nil, fmt.Errorf("remove an own second factor: %w", err)
		default:
			return AccountPage{}, nil
		}
	case change.Renew && len(records) > 0:
		id, err := p.token()
		if err != nil {
			return nil, err
		}
		recovery, codes, err := p.factors.NewRecoveryCodes(s.Person, id)
		if err != nil {
			return nil, err
		}
		event := p.event(f, "second-factor-enrol", s.Person)
		event.Outcome, event.Reason = "ok", mfa.RecoveryCode
		act := p.act(f, s)
		act.KeepOthers = true // the person has as many factors as before, and another list of codes
		err = p.o.SecondFactors.Enrol(ctx, s.Person, store.Enrolment{
			Act: act, Factors: []store.SecondFactor{recovery}, By: store.ByPassword, Replaces: mfa.RecoveryCode,
		}, event)
		switch {
		case err == nil:
			return RecoveryCodes{Codes: codes}, nil
		case !errors.Is(err, store.ErrStale) && !errors.Is(err, store.ErrRevoked):
			return nil, fmt.Errorf("renew recovery codes: %w", err)
		}
		page.Problem = FactorExpired
		if err := p.failedFactor(ctx, f, s, FactorExpired, err); err != nil {
			return nil, err
		}
	}
	var err error
	page.Factors, err = p.factors.List(ctx, s.Person)
	return page, err
}
