package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// maxOrders is how many open orders are listed.
const maxOrders = 100

// OrderInput is a client account that is wanted. Names and address of the owner come from the directory where they are
// left empty.
type OrderInput struct {
	Owner            string // login name in the directory; signs in by single sign-on, without a password
	OrganizationName string
	CountryCode      string
	StateCode        string
	LoginName        string // the owner's at Constant Contact; "": made up
	ExternalID       string // the owner's; "": made up
	ContactEmail     string
	ContactPhone     string
	TimeZoneID       string
	Website          string
	PartnerAccountID string
	Managed          bool // by the partner
}

func (in OrderInput) order() provisioning.AccountOrder {
	return provisioning.AccountOrder{
		Owner: in.Owner, ExternalID: in.ExternalID, LoginName: in.LoginName,
		Fields: partnerapi.NewAccount{
			OrganizationName: in.OrganizationName, CountryCode: in.CountryCode, StateCode: in.StateCode,
			ContactEmail: in.ContactEmail, ContactPhone: in.ContactPhone, TimeZoneID: in.TimeZoneID, Website: in.Website,
			PartnerAccountID: in.PartnerAccountID, ManagedSiteOwner: in.Managed,
		},
	}
}

// Order is what would be sent to create a client account.
type Order struct {
	Body json.RawMessage // indented, for people to read
	Seen string          // names what was shown: what is created must be what was shown

	request store.AccountRequest
}

// Prepare makes an order. Nothing is stored and nothing is sent. Whoever may not see all client accounts can't create
// one.
func (a ClientAccounts) Prepare(ctx context.Context, s Scope, in OrderInput) (Order, error) {
	if err := s.whole(); err != nil {
		return Order{}, err
	}
	request, err := a.Provisioning.OrderAccount(ctx, in.order())
	if err != nil {
		if directoryError(err) != nil {
			return Order{}, lookup(err, "owner", "find the owner "+plaintext.Quote(in.Owner),
				"write the login name as the person types it")
		}
		return Order{}, refusal(err)
	}
	var body bytes.Buffer
	if err := json.Indent(&body, request.Body, "", "  "); err != nil {
		return Order{}, fmt.Errorf("show the order: %w", err)
	}
	return Order{Body: body.Bytes(), Seen: seen(request.Body), request: request}, nil
}

// Create creates the client account of an order. The intention is stored before the call, so that it is never made
// twice. An order that has not come to its end is an Error that says what to do; the request comes with it.
func (a ClientAccounts) Create(ctx context.Context, s Scope, o Order, actor string) (store.AccountRequest, error) {
	if err := s.whole(); err != nil {
		return store.AccountRequest{}, err
	}
	done, err := a.Provisioning.CreateAccount(ctx, o.request, actor)
	if errors.Is(err, store.ErrConflict) {
		return done, &Error{Kind: Changed, Field: "login_name", Act: ListAccounts, Err: err,
			Fault: fmt.Sprintf("a client account with the login name %s was ordered before", o.request.LoginName),
			Hint:  "take another login name for another account"}
	}
	if err != nil {
		return done, refusal(err)
	}
	return done, orderError(done)
}

// Orders lists the orders that did not come to a client account, up to 100: those in these states, or all of them.
func (a ClientAccounts) Orders(ctx context.Context, s Scope, states ...string) ([]store.AccountRequest, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if len(states) == 0 {
		states = []string{store.RequestWanted, store.RequestSending, store.RequestUnknown, store.RequestAccepted,
			store.RequestConflict, store.RequestRefused}
	}
	open, err := a.Store.Accounts().AccountRequests(ctx, maxOrders, states...)
	if err != nil {
		return nil, fmt.Errorf("list the orders of client accounts: %w", err)
	}
	return open, nil
}

// Resume goes on with an order whose outcome is open. became says which client account it became, where the list does
// not show that; "": nobody says so. unlisted takes one that no list knows.
func (a ClientAccounts) Resume(ctx context.Context, s Scope, id int64, became string, unlisted bool,
	actor string) (store.AccountRequest, error) {
	if err := s.whole(); err != nil {
		return store.AccountRequest{}, err
	}
	var account store.AccountID
	if store.TrimTyped(became) != "" {
		var err error
		if account, err = a.Find(ctx, s, became, unlisted); err != nil {
			return store.AccountRequest{}, err
		}
	}
	done, err := a.Provisioning.RetryAccount(ctx, id, account, actor)
	if errors.Is(err, store.ErrNotFound) {
		return done, &Error{Kind: Missing, Field: "id", Fault: fmt.Sprintf("there is no request %d", id), Act: ListAccounts,
			Err: err}
	}
	if err != nil {
		e, ok := AsError(err)
		if !ok {
			return done, err
		}
		ended := done.State == store.RequestConflict || done.State == store.RequestRefused
		if e.Act == NoAct && (e.Field == "account" || ended) {
			e.Act, e.About = NameOrdered, strconv.FormatInt(id, 10)
		}
		return done, e
	}
	return done, orderError(done)
}

// orderError says of an order that was neither done nor accepted how it stands.
func orderError(r store.AccountRequest) error {
	about := strconv.FormatInt(r.ID, 10)
	said := r.ErrorText
	if r.ErrorKey != "" {
		said += " (" + r.ErrorKey + ")"
	}
	switch r.State {
	case store.RequestCreated, store.RequestAccepted:
		return nil
	case store.RequestConflict, store.RequestRefused:
		return &Error{Kind: Outside, About: about, Hint: "nothing was created: correct it and order anew",
			Fault: fmt.Sprintf("request %d was refused: %s", r.ID, said)}
	case store.RequestWanted:
		return &Error{Kind: Outside, About: about, Act: RetryRequest,
			Fault: fmt.Sprintf("request %d was not sent, and nothing was created: %s", r.ID, said)}
	}
	return &Error{Kind: Outside, About: about, Act: RetryRequest, Hint: "it may have been created",
		Fault: fmt.Sprintf("request %d has no clear answer: %s", r.ID, said)}
}

// OrderState says in one sentence how an order stands that came to no client account, without its full stop.
func OrderState(r store.AccountRequest) string {
	text, known := map[string]string{
		store.RequestWanted:   "waits to be sent",
		store.RequestSending:  "is being sent",
		store.RequestUnknown:  "has no clear answer: it may have been created",
		store.RequestAccepted: "was accepted: Constant Contact creates it later",
		store.RequestCreated:  "is created",
		store.RequestConflict: "was refused: somebody else has its data",
		store.RequestRefused:  "was refused",
	}[r.State]
	if !known {
		return r.State
	}
	return text
}
