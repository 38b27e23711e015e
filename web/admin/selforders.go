package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// SelfOrders is what can be done with client accounts that people order for themselves. Whoever may not see all client
// accounts can do nothing with them: an order is of none yet.
type SelfOrders struct {
	Store        *store.DB
	Provisioning *provisioning.Service
	Accounts     ClientAccounts
	Now          func() time.Time
}

// SelfOrder is an order, with its request once there is one.
type SelfOrder struct {
	store.SelfOrder
	Request store.AccountRequest
}

// maxSelfOrders is how many orders a list has at most.
const maxSelfOrders = 100

// maxRefusal bounds why an order is refused, in characters.
const maxRefusal = 300

// Waiting lists the orders that wait for approval, those first whose time ends first, at most 100.
func (a SelfOrders) Waiting(ctx context.Context, s Scope) ([]SelfOrder, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	all, err := a.Store.SelfOrders().Waiting(ctx, maxSelfOrders)
	if err != nil {
		return nil, fmt.Errorf("list orders that wait for approval: %w", err)
	}
	list := make([]SelfOrder, 0, len(all))
	for _, o := range all {
		list = append(list, SelfOrder{SelfOrder: o})
	}
	return list, nil
}

// List lists orders, the newest first: those before a number (0: from the newest), at most limit (1 to 100).
func (a SelfOrders) List(ctx context.Context, s Scope, before int64, limit int) ([]SelfOrder, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	all, err := a.Store.SelfOrders().List(ctx, before, min(max(limit, 1), maxSelfOrders+1))
	if err != nil {
		return nil, fmt.Errorf("list orders of people: %w", err)
	}
	list := make([]SelfOrder, 0, len(all))
	for _, o := range all {
		one, err := a.whole(ctx, o)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// Get reads one.
func (a SelfOrders) Get(ctx context.Context, s Scope, id int64) (SelfOrder, error) {
	if err := s.whole(); err != nil {
		return SelfOrder{}, err
	}
	o, err := a.Store.SelfOrders().Get(ctx, id)
	if err != nil {
		return SelfOrder{}, selfOrderError(id, err)
	}
	return a.whole(ctx, o)
}

func (a SelfOrders) whole(ctx context.Context, o store.SelfOrder) (SelfOrder, error) {
	one := SelfOrder{SelfOrder: o}
	if o.Request == 0 {
		return one, nil
	}
	var err error
	if one.Request, err = a.Store.Accounts().AccountRequest(ctx, o.Request); err != nil {
		return one, fmt.Errorf("read the request of order %d: %w", o.ID, err)
	}
	return one, nil
}

// Approve has an order sent that waits for it. Whether its person may still order is looked at before the call.
func (a SelfOrders) Approve(ctx context.Context, s Scope, id int64, actor string) (SelfOrder, error) {
	if err := s.whole(); err != nil {
		return SelfOrder{}, err
	}
	o, err := a.Provisioning.ApproveSelfOrder(ctx, id, actor)
	if err != nil {
		return SelfOrder{SelfOrder: o}, selfOrderError(id, err)
	}
	return a.whole(ctx, o)
}

// Refuse ends an order that waits for approval. Why is for administrators: the person is told that it was refused.
func (a SelfOrders) Refuse(ctx context.Context, s Scope, id int64, why, actor string) (SelfOrder, error) {
	if err := s.whole(); err != nil {
		return SelfOrder{}, err
	}
	if len([]rune(why)) > maxRefusal {
		return SelfOrder{}, &Error{Field: "reason", Fault: fmt.Sprintf("is longer than %d characters", maxRefusal),
			Hint: "shorten it"}
	}
	o, err := a.Store.SelfOrders().Refuse(ctx, id, plaintext.Line(why, maxRefusal), store.Event{At: a.Now(),
		Actor: actor, Action: "self-order-refuse", Outcome: "ok"})
	if err != nil {
		return SelfOrder{SelfOrder: o}, selfOrderError(id, err)
	}
	return SelfOrder{SelfOrder: o}, nil
}

func selfOrderError(id int64, err error) error {
	about := strconv.FormatInt(id, 10)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &Error{Kind: Missing, Field: "id", Fault: fmt.Sprintf("there is no order %d", id), Act: ListSelfOrders,
			Err: err}
	case errors.Is(err, store.ErrExpired):
		return &Error{Kind: Changed, Field: "id", About: about, Err: err,
			Fault: fmt.Sprintf("order %d has expired: it was not approved in time", id), Hint: "the person can order again"}
	case errors.Is(err, store.ErrRevoked):
		return &Error{Kind: Changed, Field: "id", About: about, Err: err,
			Fault: fmt.Sprintf("order %d was stopped: the person's access was revoked after they ordered", id),
			Hint:  "the person can order again"}
	case errors.Is(err, store.ErrConflict):
		return &Error{Kind: Changed, Field: "id", About: about, Act: ListSelfOrders, Err: err,
			Fault: fmt.Sprintf("order %d does not wait for approval any more, or its login name was ordered meanwhile", id)}
	}
	return refusal(err)
}

// SelfOrderState says in one sentence how an order stands, without its full stop.
func SelfOrderState(o SelfOrder) string {
	text := map[string]string{
		store.SelfOrderWaiting: "waits for approval",
		store.SelfOrderCreated: "is created",
		store.SelfOrderRefused: "was refused by an administrator",
		store.SelfOrderExpired: "was not approved in time",
		store.SelfOrderStopped: "was stopped before it was sent",
		store.SelfOrderFailed:  "was not taken by Constant Contact",
	}[o.State]
	switch {
	case o.State == store.SelfOrderOrdered:
		text = OrderState(o.Request)
	case o.State == store.SelfOrderFailed && o.Request.ErrorKey == OrderExpired:
		text = OrderState(o.Request) // it was never sent
	case o.State == store.SelfOrderCreated && o.PlanState == store.PlanWanted:
		text += ", and its plan is being set"
	case o.State == store.SelfOrderCreated && o.PlanState == store.PlanFailed:
		text += ", but its plan could not be set"
	}
	return text
}

// Send ends orders that nobody has approved, makes the calls of those that are to be sent, and sets plans, as far as
// each is due. It does nothing where nothing is.
func (a SelfOrders) Send(ctx context.Context, now time.Time) error {
	var faults []error
	due, err := a.Store.SelfOrders().AnyDue(ctx)
	if err != nil {
		return fmt.Errorf("look for orders of people: %w", err)
	}
	if due {
		if _, err := a.Store.SelfOrders().Expire(ctx); err != nil {
			faults = append(faults, fmt.Errorf("end orders that nobody has approved: %w", err))
		}
		faults = append(faults, a.Provisioning.SetSelfPlans(ctx, a.Store.SelfOrders()))
	}
	_, err = a.Accounts.sendOrders(ctx, store.SelfOrderPrefix, now)
	return errors.Join(append(faults, err)...)
}

// selfOrders says which orders of people wait for approval, since when, and when the first of them ends.
func (s Status) selfOrders(ctx context.Context) []Finding {
	const name = "orders of people"
	all, err := s.Store.SelfOrders().Waiting(ctx, maxSelfOrders)
	if err != nil {
		return []Finding{found(name, err)}
	}
	if len(all) == 0 {
		return nil
	}
	oldest, first := all[0].CreatedAt, all[0].ExpiresAt
	for _, o := range all {
		if o.CreatedAt.Before(oldest) {
			oldest = o.CreatedAt
		}
	}
	f := Finding{Name: name, Level: Warning, Act: ListSelfOrders, Detail: fmt.Sprintf(
		"1 order waits for approval since %s, and ends on %s", plaintext.Minute(oldest),
		plaintext.Minute(first))}
	if len(all) > 1 {
		f.Detail = fmt.Sprintf("%d orders wait for approval, the oldest since %s; the next one ends on %s", len(all),
			plaintext.Minute(oldest), plaintext.Minute(first))
	}
	return []Finding{f}
}
