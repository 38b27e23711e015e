package provisioning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

// SelfService is what people get who order a client account for themselves.
type SelfService struct {
	// May tells whether somebody has the right to order. It is asked when they do, and again before the call.
	May func(ctx context.Context, p directory.Entry) (bool, error)

	Country string // of all client accounts
	Plan    string // that they get once they are there; "": as they are created
	// Organization is the attribute of the directory that the organization's name is filled in from; "": none.
	Organization string
	Limits       store.SelfOrderLimits
	Approval     time.Duration // for how long an order waits for an administrator; 0: none has to approve it
}

// SelfOrderInput is what somebody fills in who orders a client account.
type SelfOrderInput struct{ Organization, State, Mail, FirstName, LastName string }

// SelfOrderState is how somebody's order stands.
type SelfOrderState struct {
	Order   store.SelfOrder
	Request store.AccountRequest // zero before the order was approved
}

// SelfServiceCountry is the country of what people order; ok is false where nobody can order.
func (s *Service) SelfServiceCountry() (country string, approval bool, ok bool) {
	if s.self == nil {
		return "", false, false
	}
	return s.self.Country, s.self.Approval > 0, true
}

// DraftSelfOrder is the form of an order as far as it can be filled in from what is known of a person.
func (s *Service) DraftSelfOrder(p directory.Entry) SelfOrderInput {
	in := SelfOrderInput{Mail: p.Mail, FirstName: orderedName(p.FirstName), LastName: orderedName(p.LastName)}
	if values := p.Attributes[strings.ToLower(s.self.Organization)]; s.self.Organization != "" && len(values) > 0 {
		in.Organization = plaintext.Line(values[0], maxName)
	}
	return in
}

// SelfOrder returns a person's open order, or the last one that ended. ErrNotFound of the store: they never ordered.
func (s *Service) SelfOrder(ctx context.Context, person store.PersonID) (st SelfOrderState, err error) {
	if s.self == nil {
		return st, store.ErrNotFound
	}
	if st.Order, err = s.selfOrders.Newest(ctx, person); err != nil {
		return st, fmt.Errorf("look for the order of person %s: %w", person, err)
	}
	if st.Order.Request != 0 {
		if st.Request, err = s.accounts.AccountRequest(ctx, st.Order.Request); err != nil {
			return st, fmt.Errorf("look for the order of person %s: %w", person, err)
		}
	}
	return st, nil
}

// PlaceSelfOrder stores an order of a person for themselves. Nothing is sent: the worker does that, after an approval
// where one is needed. Where the person has an open order, that one is returned, whatever was filled in. Whether they
// may order is for the caller to check. epoch is that of their session.
//
// Faults of the input are joined *InputErrors. store.ErrLimit as a *store.LimitError. store.ErrRevoked: the session was
// ended meanwhile.
func (s *Service) PlaceSelfOrder(ctx context.Context, p directory.Entry, in SelfOrderInput, epoch int64, ref,
	address string) (SelfOrderState, error) {
	if s.self == nil {
		return SelfOrderState{}, errors.New("order a client account for oneself: it is switched off")
	}
	st, err := s.SelfOrder(ctx, store.PersonID(p.ID))
	switch {
	case err == nil && st.Order.Open():
		return st, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return st, err
	}
	o, err := s.selfOrder(ctx, p, in)
	if err != nil {
		return st, fmt.Errorf("order a client account for person %s: %w", p.ID, err)
	}
	o.Epoch = epoch
	// The list is read before a new account is in it, so that it can be told which one is new.
	s.knowAccounts(ctx)
	_, did, err := s.selfOrders.Place(ctx, o, s.self.Limits, store.Event{
		At: s.now(), Ref: ref, Actor: p.ID, Action: "self-order", Outcome: "ok", Address: address,
		Detail: store.DetailOf(map[string]any{"owner": p.ID}),
	})
	if err != nil {
		return st, fmt.Errorf("order a client account for person %s: %w", p.ID, err)
	}
	if did {
		s.log.Info("somebody has ordered a client account for themselves", "person", p.ID, "ref", ref)
	}
	return s.SelfOrder(ctx, store.PersonID(p.ID))
}

// selfOrder checks what was filled in, and makes the order of it.
func (s *Service) selfOrder(ctx context.Context, p directory.Entry, in SelfOrderInput) (o store.SelfOrder, err error) {
	var faults []error
	// What an administrator may leave out is asked of a person: the client account is known by it.
	for _, f := range []struct{ field, value string }{{"organization_name", in.Organization}, {"contact_email", in.Mail},
		{"first_name", in.FirstName}, {"last_name", in.LastName}} {
		if strings.TrimSpace(f.value) == "" {
			faults = append(faults, &InputError{Field: f.field, Fault: "is missing", Fix: "fill it in"})
		}
	}
	r, err := s.orderFor(ctx, p, AccountOrder{Fields: partnerapi.NewAccount{
		OrganizationName: store.TrimTyped(in.Organization), CountryCode: s.self.Country,
		StateCode: strings.ToUpper(store.TrimTyped(in.State)), ContactEmail: store.TrimTyped(in.Mail),
		FirstName: store.TrimTyped(in.FirstName), LastName: store.TrimTyped(in.LastName),
	}})
	if err := errors.Join(append(faults, err)...); err != nil {
		return o, err
	}
	o = store.SelfOrder{Person: r.Person, Login: plaintext.Line(cmp.Or(p.Login, p.ID), maxName), LoginName: r.LoginName,
		OrganizationName: r.OrganizationName, Body: r.Body, ExternalID: r.ExternalID, Plan: s.self.Plan}
	if s.self.Approval > 0 {
		o.ExpiresAt = s.now().Add(s.self.Approval)
	}
	return o, nil
}

// selfOffAfter is how old an order is that a replica without self-service stops.
const selfOffAfter = time.Hour

// mayStill stops an order that somebody made for themselves and may not make any more. It is asked at the moment of the
// act. go is true where the call can be made. An error says that it can't be told, and nothing is sent.
func (s *Service) mayStill(ctx context.Context, r store.AccountRequest) (goes bool, err error) {
	person, own := strings.CutPrefix(r.CreatedBy, store.SelfOrderPrefix)
	if !own || r.State != store.RequestWanted {
		return true, nil // what was sent once may have arrived: only asking again tells
	}
	if s.self == nil {
		// While replicas are restarted one after the other, another one may have it switched on: that one sends it.
		if s.now().Sub(r.CreatedAt) < selfOffAfter {
			return false, nil
		}
		return false, s.stopSelf(ctx, r, "self-service was switched off")
	}
	p, err := s.people.Read(ctx, person)
	if err != nil {
		return false, fmt.Errorf("read person %s, who ordered it: %w", person, err)
	}
	switch may, err := s.self.May(ctx, p); {
	case err != nil:
		return false, fmt.Errorf("look whether person %s may order: %w", person, err)
	case p.Problem != "":
		return false, s.stopSelf(ctx, r, "the person can't sign in any more: "+string(p.Problem))
	case !may:
		return false, s.stopSelf(ctx, r, "the person has lost the right to order")
	}
	return true, nil
}

// stopSelf ends an order, and tells by no error that it did.
func (s *Service) stopSelf(ctx context.Context, r store.AccountRequest, why string) error {
	o, err := s.selfOrders.ByRequest(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("stop request %d: %w", r.ID, err)
	}
	did, err := s.selfOrders.Stop(ctx, o.ID, why, store.Event{At: s.now(), Actor: "worker", Action: "self-order-stop",
		Outcome: "ok", Reason: store.SelfOrderStopped, Detail: store.DetailOf(map[string]any{"why": why, "owner": r.Person})})
	if err != nil {
		return fmt.Errorf("stop request %d: %w", r.ID, err)
	}
	if did {
		s.log.Warn("an order that somebody made for themselves was stopped before it was sent", "request", r.ID, "why", why)
	}
	return nil
}

// ApproveSelfOrder approves an order that waits, which is sent from then on. Where self-service is switched off nothing
// is sent, so that nothing is approved: an *InputError says so. Other errors are those of the store's Approve.
func (s *Service) ApproveSelfOrder(ctx context.Context, id int64, actor string) (store.SelfOrder, error) {
	if s.self == nil {
		if o, err := s.selfOrders.Get(ctx, id); err != nil {
			return o, fmt.Errorf("approve order %d: %w", id, err)
		}
		return store.SelfOrder{}, fmt.Errorf("approve order %d: %w", id, &InputError{Field: "id",
			Fault: "can't be approved: self_service is switched off", Fix: "switch it on again, or refuse the order"})
	}
	s.knowAccounts(ctx)
	o, err := s.selfOrders.Approve(ctx, id, store.Event{At: s.now(), Actor: actor, Action: "self-order-approve",
		Outcome: "ok"})
	if err != nil {
		return o, fmt.Errorf("approve order %d: %w", id, err)
	}
	return o, nil
}

// When the plan of a client account that somebody ordered is tried again, and for how long.
const (
	planPause = 5 * time.Minute
	planLife  = 24 * time.Hour
)

// SetSelfPlans gives client accounts that people have ordered their plans, as far as that is due. To set a plan twice
// changes nothing, so that what has no clear answer is tried again.
func (s *Service) SetSelfPlans(ctx context.Context, orders *store.SelfOrders) error {
	due, err := orders.PlansDue(ctx, 20)
	if err != nil {
		return fmt.Errorf("set plans: %w", err)
	}
	var faults []error
	for _, o := range due {
		if err := s.setSelfPlan(ctx, orders, o); err != nil {
			faults = append(faults, fmt.Errorf("set the plan of order %d: %w", o.ID, err))
		}
	}
	return errors.Join(faults...)
}

func (s *Service) setSelfPlan(ctx context.Context, orders *store.SelfOrders, o store.SelfOrder) error {
	mine, err := orders.TakePlan(ctx, o.ID, s.now().Add(planPause))
	if err != nil || !mine {
		return err
	}
	r, err := s.accounts.AccountRequest(ctx, o.Request)
	if err != nil {
		return err
	}
	_, err = s.SetAccountPlan(ctx, r.Account, partnerapi.PlanChange{PlanType: o.Plan}, store.SelfOrderActor(o.Person))
	var input *InputError
	switch kind := partnerapi.KindOf(err); {
	case err == nil:
		return orders.EndPlan(ctx, o.ID, store.PlanSet)
	case errors.As(err, &input), kind == partnerapi.BadRequest, kind == partnerapi.Forbidden,
		s.now().Sub(r.UpdatedAt) > planLife:
		return errors.Join(err, orders.EndPlan(ctx, o.ID, store.PlanFailed))
	}
	return err
}
