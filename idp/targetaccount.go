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

// accountTarget is the page on which people look after their own second factors, or the enrolment of another one.
type accountTarget struct{}

func (accountTarget) fresh(f *flow) bool { return f.data.Own.Fresh }

func (accountTarget) closed(*IdP, store.Session) bool { return false }

// admit asks the directory once more, for this moment: the way may have begun when it was not known who comes, and what
// they may do here is decided now.
func (accountTarget) admit(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	s, problem, cause, err := p.readNow(ctx, f.session, f.v)
	if err != nil {
		return Answer{}, err
	} else if problem != "" {
		return p.cantChange(ctx, f, s, problem, cause)
	}
	f.session = s
	if !p.asked(f.config, s) {
		page, err := p.refuse(ctx, f, refusal{session: &s, status: http.StatusNotFound, Why: Why{Reason: ReasonNoFactors}})
		return Answer{Page: page}, err
	}
	if p.loginTooOld(s) {
		return p.askPassword(ctx, f, AskPassword{Login: s.Login})
	}
	return Answer{}, nil
}

// factor asks for a second factor wherever the person has one, whatever the policy says. Who wants to add one is shown
// how to enrol it.
func (accountTarget) factor(ctx context.Context, p *IdP, f *flow) (Page, error) {
	records, err := p.o.SecondFactors.OfPerson(ctx, f.session.Person)
	if err != nil {
		return nil, fmt.Errorf("second factors: %w", err)
	}
	waits := len(records) > 0 && !secondFactor(f.session.Methods)
	if !waits && !f.data.Own.Add {
		return nil, nil
	}
	if page, err := p.ensureStored(ctx, f); page != nil || err != nil {
		return page, err
	}
	if waits {
		return p.showFactor(f, f.session, records, "", "")
	}
	// An enrolment that is done leads to the list and not to the next one.
	if slices.ContainsFunc(records, func(r store.SecondFactor) bool { return !r.CreatedAt.Before(f.in.CreatedAt) }) {
		return nil, nil
	}
	return p.showEnrolment(f, f.session, records, false, "", "")
}

func (accountTarget) policy(p *IdP, f *flow, account store.AccountID) mfa.Policy {
	return p.policy(f.config, account)
}

func (accountTarget) enough(*IdP, *flow, store.Session, store.SecondFactor) bool { return true }

func (accountTarget) describe(*flow) string { return "for the person's own page" }

func (accountTarget) deliver(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	if f.in.ID == "" {
		return Answer{Page: AccountPage{}}, nil
	}
	err := p.o.SignIns.Finish(ctx, store.Issue{SignIn: f.in.ID})
	if err != nil && !errors.Is(err, store.ErrFinished) && !errors.Is(err, store.ErrNotFound) {
		return Answer{}, fmt.Errorf("finish the way to the own page: %w", err)
	}
	return Answer{Page: AccountPage{}}, nil
}

func (accountTarget) restart(*flow) string { return "/factors" }
