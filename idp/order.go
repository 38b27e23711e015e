package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// orderID stands in the place of the service provider where people order a client account for themselves. No entityID
// holds a blank.
const orderID = "own order"

// Orders keeps what people order for themselves; *provisioning.Service is it.
type Orders interface {
	DraftSelfOrder(p directory.Entry) provisioning.SelfOrderInput
	SelfOrder(ctx context.Context, person store.PersonID) (provisioning.SelfOrderState, error)
	PlaceSelfOrder(ctx context.Context, p directory.Entry, in provisioning.SelfOrderInput, epoch int64, ref,
		address string) (provisioning.SelfOrderState, error)
	SelfServiceCountry() (country string, approval, ok bool)
}

// SelfService says who may order a client account for themselves: the members of any of the groups, direct or nested,
// and whoever has any of the values. With neither, everybody may who can sign in.
type SelfService struct {
	Orders Orders // nil: nobody may
	Groups []string
	Values []AttributeValue
	Again  bool // somebody who has a client account of their own may order another one
}

// AttributeValue is a value of an attribute of the directory. Both are compared without regard to the case of letters,
// as directories compare most attributes.
type AttributeValue struct{ Name, Value string }

// pendingOrder is a pending sign-in that leads to the page of an order.
type pendingOrder struct {
	Follow int64 `json:"follow,omitempty"` // the order whose end the page waits for
}

// OrderForm asks for what is needed to order a client account.
type OrderForm struct {
	Login    string
	Input    provisioning.SelfOrderInput
	Country  string
	Approval bool            // an administrator has to approve it
	Faults   map[string]bool // fields of the order that were refused
	Problem  string          // one of the OrderProblem constants, "" for none
}

// Problems of an order as a whole.
const (
	OrderProblemDay   = "day"   // no more is ordered today
	OrderProblemOwn   = "own"   // the person has one
	OrderProblemTaken = "taken" // it was ordered for them by an administrator
)

// OrderStands shows how an order stands.
type OrderStands struct {
	Login string
	State provisioning.SelfOrderState
}

// OrderReady is no page of its own: it leads to the client account that was ordered.
type OrderReady struct{ Account store.AccountID }

// OrderPage is no page of its own: it leads to the page of the person's order, Follow.
type OrderPage struct{ Follow int64 }

func (OrderForm) page()   {}
func (OrderStands) page() {}
func (OrderReady) page()  {}
func (OrderPage) page()   {}

// MayOrder tells whether somebody may order a client account for themselves.
func (p *IdP) MayOrder(ctx context.Context, e directory.Entry) (bool, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return false, err
	}
	return p.mayOrder(c, e), nil
}

func (p *IdP) mayOrder(c *config, e directory.Entry) bool {
	s := p.o.SelfService
	if s.Orders == nil || e.ID == "" || e.Problem != "" || e.Source != "" {
		return false // people of other sources can't be owners
	}
	if len(s.Groups) == 0 && len(s.Values) == 0 {
		return true
	}
	if _, in := c.groupOf(e, s.Groups); in {
		return true
	}
	return slices.ContainsFunc(s.Values, func(v AttributeValue) bool {
		return slices.ContainsFunc(e.Attributes[strings.ToLower(v.Name)], func(has string) bool {
			return strings.EqualFold(has, v.Value)
		})
	})
}

// Order shows the visitor the form of an order, or how their order stands. follow is the order whose end a page has
// waited for, 0 for none.
func (p *IdP) Order(ctx context.Context, follow int64, v Visitor) (Answer, error) {
	return p.order(ctx, follow, nil, v)
}

// PlaceOrder orders a client account for the visitor.
func (p *IdP) PlaceOrder(ctx context.Context, in provisioning.SelfOrderInput, v Visitor) (Answer, error) {
	return p.order(ctx, 0, &in, v)
}

func (p *IdP) order(ctx context.Context, follow int64, in *provisioning.SelfOrderInput, v Visitor) (a Answer,
	err error) {
	ctx, end := p.traced(ctx, v, "own order")
	defer func() { end(&a, &err) }()
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	f := &flow{config: c, sp: p.orderPage, v: v, placed: in}
	f.in.EntityID = orderID
	f.in.Address = addressBlock(v.Address)
	f.in.Browser = hash(v.Browser)
	f.in.CreatedAt = p.o.Now()
	f.data = pending{Order: &pendingOrder{Follow: follow}}
	return p.proceed(ctx, f)
}

// OrderProgress tells how the order of the visitor stands, for the page that waits. ready means that Order would show
// another page. It reads no directory and stores nothing.
func (p *IdP) OrderProgress(ctx context.Context, follow int64, v Visitor) (st provisioning.SelfOrderState, ready bool,
	err error) {
	s, known, err := p.liveSession(ctx, v)
	if err != nil || !known || p.o.SelfService.Orders == nil {
		return st, err == nil, err
	}
	st, err = p.o.SelfService.Orders.SelfOrder(ctx, s.Person)
	if errors.Is(err, store.ErrNotFound) {
		return st, true, nil
	}
	if err != nil {
		return st, false, fmt.Errorf("progress of an order: %w", err)
	}
	return st, st.Order.ID != follow || !st.Order.Open(), nil
}

// place stores the order of a form, and leads to its page.
func (p *IdP) place(ctx context.Context, f *flow) (Answer, error) {
	st, err := p.o.SelfService.Orders.PlaceSelfOrder(ctx, f.person, *f.placed, f.session.Epoch, f.v.Ref, f.v.Address)
	switch {
	case err == nil:
		return Answer{Page: OrderPage{Follow: st.Order.ID}}, nil
	case errors.Is(err, store.ErrRevoked):
		return p.proceed(ctx, f) // the session was ended meanwhile: the way begins with a login again
	}
	form := p.orderForm(f, *f.placed)
	var limit *store.LimitError
	switch {
	case errors.As(err, &limit) && limit.Own:
		form.Problem = OrderProblemOwn
	case errors.As(err, &limit):
		form.Problem = OrderProblemDay
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrMovedAway):
		form.Problem = OrderProblemTaken
	default:
		if form.Faults = inputFaults(err); len(form.Faults) == 0 {
			return Answer{}, fmt.Errorf("order a client account: %w", err)
		}
	}
	return Answer{Page: form}, nil
}

func (p *IdP) orderForm(f *flow, in provisioning.SelfOrderInput) OrderForm {
	country, approval, _ := p.o.SelfService.Orders.SelfServiceCountry()
	return OrderForm{Login: f.session.Login, Input: in, Country: country, Approval: approval}
}

// inputFaults are the fields of the faults in an error; none where it is another error too.
func inputFaults(err error) map[string]bool {
	switch e := err.(type) { //nolint:errorlint // walks the tree by itself, to find all of them
	case *provisioning.InputError:
		return map[string]bool{e.Field: true}
	case interface{ Unwrap() []error }:
		all := map[string]bool{}
		for _, part := range e.Unwrap() {
			one := inputFaults(part)
			if len(one) == 0 {
				return nil
			}
			for field := range one {
				all[field] = true
			}
		}
		return all
	}
	if under := errors.Unwrap(err); under != nil {
		return inputFaults(under)
	}
	return nil
}
