package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// What a partner's page shows for a client account.
const (
	ButtonNone      = "none"            // there is neither a client account nor an order of one
	ButtonMaking    = "being_made"      // it is ordered
	ButtonOpen      = "open"            // people can be sent to it
	ButtonSuspended = "suspended"       // Constant Contact has closed it
	ButtonAttention = "needs_attention" // its order came to no client account, and somebody has to look
)

// Button is what to show, with the client account where there is one.
type Button struct {
	State   string
	Account store.AccountID
	Launch  string // where people are sent; "" unless it is open
}

// Button says what to show for a client account, by its id, by the partner's own id with which it was ordered, or by
// the id of a person who ordered it for themselves. What is outside the scope is as what is not there.
func (a ClientAccounts) Button(ctx context.Context, s Scope, text string, now time.Time) (Button, error) {
	id, err := a.Find(ctx, s, text, false)
	if err == nil {
		return a.buttonOf(ctx, s, id)
	}
	if _, refused := AsError(err); !refused {
		return Button{}, err
	}
	r, err := a.Store.Accounts().AccountRequestByPartner(ctx, store.TrimTyped(text))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a.buttonOfPerson(ctx, s, store.PersonID(store.TrimTyped(text)), now)
	case err != nil:
		return Button{}, fmt.Errorf("look for the order of a client account: %w", err)
	case r.Account == "" && s.whole() != nil, r.Account != "" && !s.Includes(r.Account):
		return Button{State: ButtonNone}, nil // an order without a client account is of none that the caller may see
	case r.State == store.RequestCreated:
		return a.buttonOf(ctx, s, r.Account)
	case OrderEnds(r, now):
		return Button{State: ButtonAttention}, nil
	}
	return Button{State: ButtonMaking, Account: r.Account}, nil
}

// buttonOfPerson is what to show a person who orders for themselves, by the id that they have in the directory. An
// order that came to nothing leaves them without one: they can order again.
func (a ClientAccounts) buttonOfPerson(ctx context.Context, s Scope, person store.PersonID,
	now time.Time) (Button, error) {
	if s.whole() != nil {
		return Button{State: ButtonNone}, nil
	}
	o, err := a.Store.SelfOrders().Newest(ctx, person)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Button{State: ButtonNone}, nil
	case err != nil:
		return Button{}, fmt.Errorf("look for the order of a person: %w", err)
	case o.State == store.SelfOrderWaiting:
		return Button{State: ButtonMaking}, nil
	case o.State == store.SelfOrderFailed:
		return Button{State: ButtonAttention}, nil
	case o.State != store.SelfOrderOrdered && o.State != store.SelfOrderCreated:
		return Button{State: ButtonNone}, nil
	}
	r, err := a.Store.Accounts().AccountRequest(ctx, o.Request)
	switch {
	case err != nil:
		return Button{}, fmt.Errorf("look for the order of a person: %w", err)
	case r.State == store.RequestCreated:
		return a.buttonOf(ctx, s, r.Account)
	case OrderEnds(r, now):
		return Button{State: ButtonAttention}, nil
	}
	return Button{State: ButtonMaking, Account: r.Account}, nil
}

func (a ClientAccounts) buttonOf(ctx context.Context, s Scope, id store.AccountID) (Button, error) {
	one, err := a.Get(ctx, s, id)
	if err != nil {
		return Button{}, err
	}
	if a.Provisioning.ClosedStatus(one.BillingStatus) {
		return Button{State: ButtonSuspended, Account: id}, nil
	}
	return Button{State: ButtonOpen, Account: id, Launch: one.Launch}, nil
}
