package idp

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// target is where a sign-in leads: a service provider, the admin console, the page on which people look after their
// own second factors, or that of their order. It is asked in the order of its methods; each page that it returns stands
// in the way.
type target interface {
	// fresh tells whether a login before this sign-in does not count.
	fresh(f *flow) bool
	// closed tells whether a session that is alive opens this target no more, until the next login.
	closed(p *IdP, s store.Session) bool
	// admit decides whether the person may pass, and into which client account.
	admit(ctx context.Context, p *IdP, f *flow) (Answer, error)
	// factor asks for a second factor where the policy says so and the session has none.
	factor(ctx context.Context, p *IdP, f *flow) (Page, error)
	// policy is what is asked for beside the password.
	policy(p *IdP, f *flow, account store.AccountID) mfa.Policy
	// enough tells whether a factor that was proved in this session satisfies the policy.
	enough(p *IdP, f *flow, s store.Session, factor store.SecondFactor) bool
	// describe names in a trace whose policy it is.
	describe(f *flow) string
	// deliver is the last step: its page hands the person over, or says what is still waited for.
	deliver(ctx context.Context, p *IdP, f *flow) (Answer, error)
	// restart is the path at which a sign-in that is used up begins again.
	restart(f *flow) string
}

// target is that of this sign-in.
func (f *flow) target() target {
	switch {
	case f.data.Console != nil:
		return consoleTarget{}
	case f.data.Own != nil:
		return accountTarget{}
	case f.data.Order != nil:
		return orderTarget{}
	}
	return providerTarget{}
}

// providerTarget is a service provider, Constant Contact among them: the gate decides who may pass.
type providerTarget struct{}

func (providerTarget) fresh(f *flow) bool { return f.fromSP() && f.data.Request.Force }

func (providerTarget) closed(*IdP, store.Session) bool { return false }

// admit puts the one question to the gate and acts on its answer.
func (providerTarget) admit(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	traceOf(ctx).step(StepGroups, traceOf(ctx).begin(), "", "%d groups", len(f.person.Groups))
	account := f.account()
	began := traceOf(ctx).begin()
	d, err := p.gate(f).Decide(ctx, f.question(f.person, account, p.o.Patience))
	traceOf(ctx).decided(began, d, err)
	if err != nil {
		if ctx.Err() != nil {
			return Answer{}, fmt.Errorf("ask the gate for %s: %w", f.sp.EntityID, err)
		}
		page, refused := p.refuse(ctx, f, refusal{session: &f.session, status: http.StatusServiceUnavailable, retry: true,
			err: err,
			Why: Why{Reason: ReasonUnavailable, Cause: "who may pass could not be decided: the database, or what it holds, " +
				"could not be read"}})
		return Answer{Page: page}, refused
	}
	f.decision = d
	switch d.Outcome {
	case provisioning.Granted, provisioning.Wait:
		return Answer{}, nil
	case provisioning.Denied:
		why, said := f.denied(d)
		page, err := p.refuse(ctx, f, refusal{session: &f.session, account: account, status: http.StatusForbidden, Why: why,
			said: said})
		if refused, ok := page.(Refusal); ok && p.offersOrder(f, d.Reason) {
			refused.Order = true
			page = refused
		}
		return Answer{Page: page}, err
	case provisioning.Choose:
		page, err := p.showChoice(ctx, f)
		return Answer{Page: page}, err
	}
	return Answer{}, fmt.Errorf("gate for %s: unknown outcome %q", f.sp.EntityID, d.Outcome)
}

// factor is asked for while the user at Constant Contact is being created, too: nobody waits twice. The policy is that
// of the account which the gate gives, whatever led to it.
func (providerTarget) factor(ctx context.Context, p *IdP, f *flow) (Page, error) {
	return p.stepUp(ctx, f, f.session, cmp.Or(f.decision.Assignment.Account, f.account()))
}

func (providerTarget) policy(p *IdP, f *flow, account store.AccountID) mfa.Policy {
	if p.demanded(f) {
		return mfa.Required // row REQ-18
	}
	return p.policy(f.config, account)
}

func (providerTarget) enough(p *IdP, f *flow, s store.Session, factor store.SecondFactor) bool {
	return !p.demanded(f) || p.attested(factor, s.AuthenticatedAt)
}

func (providerTarget) describe(f *flow) string {
	if f.fromSP() && len(f.data.Request.Classes) > 0 {
		return "by the request or the account"
	}
	return "for the account"
}

func (providerTarget) deliver(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	if f.decision.Outcome == provisioning.Wait {
		page, err := p.showWaiting(ctx, f)
		return Answer{Page: page}, err
	}
	page, err := p.deliver(ctx, f, f.session, f.person, f.decision)
	return Answer{Page: page}, err
}

// restart is made of what is left of a sign-in that is used up: its service provider and client account.
func (providerTarget) restart(f *flow) string {
	switch one, _ := f.config.constantContact(); {
	case f.sp == nil || f.sp == one && f.in.Account == "":
		return "/launch"
	case f.sp == one:
		return "/launch/" + url.PathEscape(string(f.in.Account))
	}
	return "/launch/sp?entity_id=" + url.QueryEscape(f.sp.EntityID)
}
