package idp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ssobridge/idp/mfa"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// orderTarget is the page on which people order a client account for themselves.
type orderTarget struct{}

func (orderTarget) fresh(*flow) bool { return false }

func (orderTarget) closed(*IdP, store.Session) bool { return false }

// admit lets people pass who may order, and those whose order is on its way or has become a client account.
func (orderTarget) admit(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	if p.o.SelfService.Orders == nil {
		return p.refuseOrder(ctx, f, "self_service is off")
	}
	st, err := p.o.SelfService.Orders.SelfOrder(ctx, f.session.Person)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Answer{}, fmt.Errorf("look for the person's order: %w", err)
	}
	f.ordered = st
	follows := st.Order.ID != 0 && st.Order.ID == f.data.Order.Follow // whose end is shown, whatever they may do by now
	if follows || st.Order.Open() || st.Order.State == store.SelfOrderCreated || p.mayOrder(f.config, f.person) {
		return Answer{}, nil
	}
	return p.refuseOrder(ctx, f, fmt.Sprintf("the person is in %d groups; neither these nor their attributes are among "+
		"those of self_service", len(f.person.Groups)))
}

func (p *IdP) refuseOrder(ctx context.Context, f *flow, cause string) (Answer, error) {
	page, err := p.refuse(ctx, f, refusal{session: &f.session, status: http.StatusForbidden,
		Why: Why{Reason: ReasonMayNotOrder, Cause: cause}})
	return Answer{Page: page}, err
}

func (orderTarget) factor(ctx context.Context, p *IdP, f *flow) (Page, error) {
	return p.stepUp(ctx, f, f.session, "")
}

func (orderTarget) policy(p *IdP, f *flow, account store.AccountID) mfa.Policy {
	return p.policy(f.config, account)
}

func (orderTarget) enough(*IdP, *flow, store.Session, store.SecondFactor) bool { return true }

func (orderTarget) describe(*flow) string { return "for the person's own order" }

func (orderTarget) deliver(ctx context.Context, p *IdP, f *flow) (Answer, error) {
	if f.in.ID != "" { // it began with a login: its address shows the page
		err := p.o.SignIns.Finish(ctx, store.Issue{SignIn: f.in.ID})
		if err != nil && !errors.Is(err, store.ErrFinished) && !errors.Is(err, store.ErrNotFound) {
			return Answer{}, fmt.Errorf("finish the way to the own order: %w", err)
		}
		return Answer{Page: OrderPage{Follow: f.data.Order.Follow}}, nil
	}
	st := f.ordered
	switch {
	case f.placed != nil && !p.mayOrder(f.config, f.person):
		if st.Order.Open() { // by the time that another one was stored it might have ended
			return Answer{Page: OrderPage{Follow: st.Order.ID}}, nil
		}
		return p.refuseOrder(ctx, f, "the person may not order another client account")
	case f.placed != nil:
		return p.place(ctx, f)
	case st.Order.Open():
		return Answer{Page: OrderStands{Login: f.session.Login, State: st}}, nil
	case st.Order.State == store.SelfOrderCreated && (st.Order.ID == f.data.Order.Follow || !p.o.SelfService.Again):
		return Answer{Page: OrderReady{Account: st.Request.Account}}, nil
	case st.Order.ID != 0 && st.Order.ID == f.data.Order.Follow:
		return Answer{Page: OrderStands{Login: f.session.Login, State: st}}, nil
	case !p.mayOrder(f.config, f.person):
		return p.refuseOrder(ctx, f, "the person may not order another client account")
	}
	return Answer{Page: p.orderForm(f, p.o.SelfService.Orders.DraftSelfOrder(f.person))}, nil
}

func (orderTarget) restart(*flow) string { return "/order" }

// offersOrder tells whether a refusal leads on to an order.
func (p *IdP) offersOrder(f *flow, reason provisioning.Reason) bool {
	return reason == provisioning.NoAssignment && f.sp.Kind == store.ConstantContact && p.mayOrder(f.config, f.person)
}
