package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

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

// Program says under which key a program orders, so that what it asks for again is found. "": under none.
func (o Order) Program(key string) Order {
	o.request.Key = key
	return o
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
		return done, orderedBefore(o.request, err)
	}
	if err != nil {
		return done, refusal(err)
	}
	return done, orderError(done)
}

func orderedBefore(r store.AccountRequest, err error) error {
	return &Error{Kind: Changed, Field: "login_name", Act: ListAccounts, Err: err,
		Fault: fmt.Sprintf("a client account with the login name %s was ordered before", r.LoginName),
		Hint:  "take another login name for another account"}
}

// Ordered is the order that a program has made under a key since a time; ok is false for none.
func (a ClientAccounts) Ordered(ctx context.Context, s Scope, key string, since time.Time) (r store.AccountRequest,
	ok bool, err error) {
	if err := s.whole(); err != nil {
		return r, false, err
	}
	r, err = a.Store.Accounts().AccountRequestByKey(ctx, key, since)
	if errors.Is(err, store.ErrNotFound) {
		return r, false, nil
	}
	return r, err == nil, err
}

// Enqueue stores an order, and leaves the call to SendOrders, which every running bridge does all the time.
func (a ClientAccounts) Enqueue(ctx context.Context, s Scope, o Order, actor string) (store.AccountRequest, error) {
	if err := s.whole(); err != nil {
		return store.AccountRequest{}, err
	}
	r, err := a.Provisioning.StoreOrder(provisioning.ForProgram(ctx), o.request, actor)
	if errors.Is(err, store.ErrConflict) {
		return r, orderedBefore(o.request, err)
	}
	return r, refusal(err)
}

// Operation reads one order, also one that came to a client account.
func (a ClientAccounts) Operation(ctx context.Context, s Scope, id int64) (store.AccountRequest, error) {
	if err := s.whole(); err != nil {
		return store.AccountRequest{}, err
	}
	r, err := a.Store.Accounts().AccountRequest(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return r, &Error{Kind: Missing, Field: "id", Fault: fmt.Sprintf("there is no request %d", id), Act: ListAccounts,
			Err: err}
	}
	return r, err
}

// When SendOrders goes on with an order that did not come to its end.
const (
	orderPause   = 30 * time.Second // after a call that did not go out
	orderDoubt   = 5 * time.Minute  // after one without a clear answer, and until an accepted account is listed
	orderLife    = 24 * time.Hour   // then an administrator has to look
	orderSending = 3 * time.Minute  // longer than any call: its process is dead
)

// OrderExpired is the ErrorKey of an order that was never sent within a day.
const OrderExpired = "expired"

// OrderEnds tells whether nothing happens to an order by itself any more: it came to its end, good or bad, or its
// outcome is open for so long that an administrator has to look.
func OrderEnds(r store.AccountRequest, now time.Time) bool {
	switch r.State {
	case store.RequestCreated, store.RequestConflict, store.RequestRefused:
		return true
	case store.RequestUnknown, store.RequestAccepted:
		return now.Sub(r.CreatedAt) > orderLife // also one whose owner could not be mapped until then
	}
	return false
}

// endOrder ends an order that is too old to be sent. Where it may have been sent nobody says that nothing was created.
func (a ClientAccounts) endOrder(ctx context.Context, r store.AccountRequest, now time.Time) error {
	ended := r
	switch r.State {
	case store.RequestWanted:
		ended.State, ended.ErrorKey = store.RequestRefused, OrderExpired
		ended.ErrorText = "it could not be sent within a day, and nothing was created"
		if r.ErrorText != "" {
			ended.ErrorText += "; the last try: " + r.ErrorText
		}
	default: // sending: its process died
		ended.State, ended.ErrorText = store.RequestUnknown, "no clear answer within a day, it may have been created"
	}
	e := store.Event{At: now, Actor: r.CreatedBy, Action: "account-create", Subject: r.Name(), Outcome: "refused",
		Reason: OrderExpired}
	if err := a.Store.Accounts().SettleAccount(ctx, ended, r.State, e); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("end request %d, which is a day old: %w", r.ID, err)
	}
	return nil
}

// inTurn orders requests so that of each program one comes, then of each the second: many orders of one program keep
// those of another waiting for one call at most.
func inTurn(all []store.AccountRequest) []store.AccountRequest {
	rank, of := map[int64]int{}, map[string]int{}
	for _, r := range all {
		rank[r.ID] = of[r.CreatedBy]
		of[r.CreatedBy]++
	}
	slices.SortStableFunc(all, func(a, b store.AccountRequest) int { return cmp.Compare(rank[a.ID], rank[b.ID]) })
	return all
}

// SendOrders makes the calls of the orders that programs have stored, and goes on with those whose outcome is open.
// The state of an order is changed before its call, so that of two replicas one makes it. The error joins those of the
// orders; each is in the order too.
func (a ClientAccounts) SendOrders(ctx context.Context, now time.Time) (sent int, err error) {
	return a.sendOrders(provisioning.ForProgram(ctx), TokenActor(""), now)
}

// sendOrders is SendOrders for the orders of actors whose names begin with a prefix.
func (a ClientAccounts) sendOrders(ctx context.Context, prefix string, now time.Time) (sent int, err error) {
	var faults []error
	for after := int64(0); ; {
		open, err := a.Store.Accounts().OpenOrders(ctx, prefix, now.Add(-orderLife), after, sendBatch)
		if err != nil {
			return sent, errors.Join(append(faults, fmt.Errorf("list the orders to be sent: %w", err))...)
		}
		for _, r := range open {
			after = max(after, r.ID)
		}
		n, err := a.sendSome(ctx, inTurn(open), now)
		sent += n
		faults = append(faults, err)
		if len(open) < sendBatch || ctx.Err() != nil {
			return sent, errors.Join(faults...)
		}
	}
}

// sendBatch is how many orders are looked at together.
const sendBatch = 500

// orderWait is how long an order is left alone after it was last looked at.
func orderWait(r store.AccountRequest, now time.Time) time.Duration {
	switch {
	case r.State == store.RequestWanted && r.ErrorText == "":
		return 0
	case r.State == store.RequestWanted:
		return orderPause
	case r.State == store.RequestSending:
		return orderSending
	case r.State == store.RequestAccepted && r.Account != "":
		// All that is left is to store what goes with it: soon, and ever more rarely where that does not succeed.
		return min(now.Sub(r.CreatedAt)/10, orderDoubt)
	}
	return orderDoubt
}

func (a ClientAccounts) sendSome(ctx context.Context, open []store.AccountRequest, now time.Time) (sent int,
	err error) {
	var faults []error
	for _, r := range open {
		if now.Sub(r.CreatedAt) > orderLife {
			if r.State == store.RequestWanted || r.State == store.RequestSending && now.Sub(r.UpdatedAt) >= orderSending {
				faults = append(faults, a.endOrder(ctx, r, now))
			}
			continue
		}
		if now.Sub(r.UpdatedAt) < orderWait(r, now) {
			continue
		}
		if r.State == store.RequestAccepted {
			// Looking changes nothing of it where there is nothing new, and may read the list of client accounts, a call for
			// each 50 of them: without this it would be read all the time, by every replica.
			mine, err := a.Store.Accounts().LookAgain(ctx, r)
			if err != nil {
				faults = append(faults, fmt.Errorf("look at request %d: %w", r.ID, err))
			}
			if !mine {
				continue
			}
		}
		_, err := a.Provisioning.RetryAccount(ctx, r.ID, "", r.CreatedBy)
		switch {
		case errors.Is(err, store.ErrConflict): // another replica was faster
		case err != nil:
			faults = append(faults, err)
		default:
			sent++
		}
	}
	return sent, errors.Join(faults...)
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
	switch {
	case !known:
		return r.State
	case r.State == store.RequestRefused && r.ErrorKey == OrderExpired:
		return "was not sent within a day: nothing was created"
	}
	return text
}
