package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

// CreateAccount stores the intention, makes the call, and stores its outcome; for a created account also the account,
// the owner's SSO user and the owner's mapping. The returned request tells the outcome by its State; the error is for
// what could not be found out or stored. A request that is wanted, unknown or sending (left by a crash) is sent again,
// with the very same body, by RetryAccount. ErrConflict of the store: an account with this login name was asked for
// before.
//
// It can be interrupted at any point: the account's id is stored as soon as it is known, and what is to be stored with
// it can be stored twice.
func (s *Service) CreateAccount(ctx context.Context, r store.AccountRequest,
	actor string) (store.AccountRequest, error) {
	r, err := s.StoreOrder(ctx, r, actor)
	if err != nil {
		return r, err
	}
	body, err := orderBody(r)
	if err != nil {
		return r, fmt.Errorf("create a client account: %w", err)
	}
	return s.sendAccount(ctx, r, body, actor)
}

// StoreOrder stores the intention alone: RetryAccount makes the call. ErrConflict of the store: an account with this
// login name was asked for before.
func (s *Service) StoreOrder(ctx context.Context, r store.AccountRequest, actor string) (store.AccountRequest, error) {
	if _, err := orderBody(r); err != nil {
		return r, fmt.Errorf("create a client account: %w", err)
	}
	s.knowAccounts(ctx)
	r.State, r.CreatedBy, r.Account = store.RequestWanted, actor, ""
	detail, _ := json.Marshal(map[string]string{"owner": string(r.Person)}) // strings always encode
	r, err := s.accounts.WantAccount(ctx, r, store.Event{
		At: s.now(), Actor: actor, Action: "account-create-wanted", Outcome: "ok", Detail: detail,
	})
	if errors.Is(err, store.ErrMovedAway) { // since the order was checked
		err = &InputError{Field: "owner", Fault: movedAway(""), Fix: "take somebody of the directory"}
	}
	if err != nil {
		return r, fmt.Errorf("create a client account: store the intention: %w", err)
	}
	return r, nil
}

type ofProgram struct{}

// ForProgram is a context for acts that a program has asked for: their calls leave the reserve of sign-ins alone.
func ForProgram(ctx context.Context) context.Context {
	return context.WithValue(ctx, ofProgram{}, true)
}

func ofAProgram(ctx context.Context) bool { return ctx.Value(ofProgram{}) != nil }

// classOf is the priority of the calls of an act. An administrator waits for it as a person does for a sign-in.
func classOf(ctx context.Context) string {
	if ofAProgram(ctx) {
		return partnerapi.PriorityPlan
	}
	return actClass
}

// knowAccounts sees to it that there is a list of the accounts before a new one: what was not in it can be told to be
// new. Without one, an admin has to say which account a request became.
func (s *Service) knowAccounts(ctx context.Context) {
	known, err := s.accounts.List(ctx)
	if err == nil && len(known) > 0 {
		return
	}
	if err := s.RefreshAccounts(ctx); err != nil {
		s.log.Warn("list of client accounts could not be read before a new one is created", "error", err)
	}
}

// RetryAccount sends a request again as it stands, or looks for its account in the list where it was accepted for later
// or is known to exist (409 after an unknown outcome). account, when not empty, says which one it became. A *InputError
// of field account asks for that.
func (s *Service) RetryAccount(ctx context.Context, id int64, account store.AccountID,
	actor string) (store.AccountRequest, error) {
	r, err := s.accounts.AccountRequest(ctx, id)
	if err == nil {
		r, err = s.retryAccount(ctx, r, account, actor)
	}
	if err != nil {
		return r, fmt.Errorf("go on with request %d for a client account: %w", id, err)
	}
	return r, nil
}

func (s *Service) retryAccount(ctx context.Context, r store.AccountRequest, account store.AccountID,
	actor string) (store.AccountRequest, error) {
	if r.State == store.RequestSending {
		if wait := r.UpdatedAt.Add(s.callLimit + settleLimit + leaseMargin).Sub(s.now()); wait > 0 {
			return r, &InputError{
				Field: "request", Fault: "is being sent at this moment, by another command or by one that was killed",
				Fix: fmt.Sprintf("try again in %s", wait.Round(time.Second)+time.Second),
			}
		}
		// Two callers can get past this at the same moment only if one is late by a whole call. Then the login name, which
		// can be there once, keeps the account single: the later call is told 409.
	}
	switch {
	case r.State == store.RequestCreated:
		return r, nil
	case r.Account != "" && (account == "" || account == r.Account):
		return s.finishAccount(ctx, r, actor)
	case r.ProvisionUUID != "" && r.Account != "":
		return r, &InputError{
			Field: "account", Fault: "Constant Contact said that it became " + string(r.Account),
			Fix: "name none, and go on",
		}
	case account != "":
		return s.nameAccount(ctx, r, account, actor)
	case r.State == store.RequestAccepted:
		return s.findAccount(ctx, r, actor)
	case r.State == store.RequestConflict || r.State == store.RequestRefused:
		return r, &InputError{
			Field: "request", Fault: "was refused: " + r.ErrorText,
			Fix: "correct it and order anew; if the account is there all the same, name it",
		}
	}
	body, err := orderBody(r)
	if err != nil {
		return r, err
	}
	if goes, err := s.mayStill(ctx, r); err != nil || !goes {
		return s.heldBack(ctx, r, err)
	}
	if r, err = s.sendAccount(ctx, r, body, actor); err != nil {
		if errors.Is(err, store.ErrRevoked) {
			return s.heldBack(ctx, r, s.stopSelf(ctx, r, "the person's access was revoked after they ordered"))
		}
		return r, err
	}
	if r.State == store.RequestAccepted && r.ErrorKey != "" {
		return s.findAccount(ctx, r, actor) // it exists already
	}
	return r, nil
}

// heldBack is a request that was not sent: one that was stopped, or, with an error, one that waits for a while.
func (s *Service) heldBack(ctx context.Context, r store.AccountRequest, err error) (store.AccountRequest, error) {
	if err == nil {
		return s.accounts.AccountRequest(ctx, r.ID)
	}
	waits := r
	waits.ErrorText = "not sent: it could not be looked up whether the person may still order"
	return r, errors.Join(err, s.accounts.SettleAccount(ctx, waits, r.State, store.Event{}))
}

// orderBody reads the body of a request and checks it once more: an order may have been changed since it was made.
func orderBody(r store.AccountRequest) (n partnerapi.NewAccount, err error) {
	if err := json.Unmarshal(r.Body, &n); err != nil {
		return n, fmt.Errorf("read the order of %s: %w", r.LoginName, err)
	}
	if err := errors.Join(fieldFaults(n.Validate(), "order anew")...); err != nil {
		return n, err
	}
	if r.Person == "" || n.LoginName != r.LoginName || n.ExternalID != r.ExternalID ||
		n.OrganizationName != r.OrganizationName {
		return n, &InputError{Field: "body", Fault: "says something else than the order", Fix: "order anew"}
	}
	return n, nil
}

// sendAccount makes the call for a request that is wanted, unknown or was left sending, and stores its outcome.
func (s *Service) sendAccount(ctx context.Context, r store.AccountRequest, body partnerapi.NewAccount,
	actor string) (store.AccountRequest, error) {
	before := r.State != store.RequestWanted // an earlier attempt may have arrived
	r.ErrorKey, r.ErrorText = "", ""
	if err := s.moveAccount(ctx, &r, store.RequestSending, store.Event{}); err != nil {
		return r, err
	}
	limited, cancel := context.WithTimeout(ctx, s.callLimit)
	created, callErr := s.client.CreateAccount(limited, classOf(ctx), body)
	cancel()

	// Constant Contact may have acted, so the outcome is stored also for an admin who has given up.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	to := accountOutcome(&r, created, callErr, before)
	said := map[string]any{"owner": r.Person}
	addRefusal(said, callErr)
	event := s.requestEvent(r, "account-create", actor)
	event.Outcome, event.Reason = outcomeOf(callErr)
	event.Detail, _ = json.Marshal(said) // strings and numbers always encode
	if err := s.moveAccount(ctx, &r, to, event); err != nil {
		return r, fmt.Errorf("its outcome (%s, account %s) could not be stored: %w", to, r.Account, err)
	}
	if r.Account != "" {
		return s.finishAccount(ctx, r, actor)
	}
	return r, nil
}

// moveAccount stores a request in a new state.
func (s *Service) moveAccount(ctx context.Context, r *store.AccountRequest, to string, e store.Event) error {
	moved := *r
	moved.State = to
	if err := s.accounts.SettleAccount(ctx, moved, r.State, e); err != nil {
		return fmt.Errorf("store request %d as %s: %w", r.ID, to, err)
	}
	*r = moved
	return nil
}

func (s *Service) requestEvent(r store.AccountRequest, action, actor string) store.Event {
	return store.Event{At: s.now(), Actor: actor, Action: action, Subject: r.Name(), Account: r.Account, Outcome: "ok"}
}

// accountOutcome is the state after a call. A created account is only accepted until all that goes with it is stored.
func accountOutcome(r *store.AccountRequest, created partnerapi.CreatedAccount, err error, before bool) string {
	var e *partnerapi.Error
	if err != nil && !errors.As(err, &e) {
		e = &partnerapi.Error{Kind: partnerapi.Unknown, Err: err}
	}
	if e == nil {
		r.ProvisionUUID = plaintext.Line(created.ProvisionUUID, maxName)
		id, err := store.ParseAccountID(created.EncodedAccountID)
		if err != nil {
			r.ErrorText = "created, but its id has a form that is not known; find it in the list of client accounts, and " +
				"say which"
			return store.RequestAccepted
		}
		r.Account = id
		return store.RequestAccepted
	}
	r.ErrorKey = e.Key
	if e.NotProcessed {
		// What reads answers can refuse one, by the same status, after the account was created. To say that nothing was
		// would have it ordered twice, and paid twice; so it is looked for in the list.
		r.ErrorText = "something between us and Constant Contact refused the call, most likely before it got there, or its " +
			"answer; look at the proxy or firewall on the way out" + said(e)
		return store.RequestUnknown
	}
	switch e.Kind {
	case partnerapi.Accepted:
		r.ErrorKey, r.ErrorText = "", "Constant Contact creates it later; the list of client accounts will show it"
		return store.RequestAccepted
	case partnerapi.Conflict:
		if before {
			r.ErrorKey, r.ErrorText = orWord(e.Key), "exists already, most likely by an earlier attempt; where the list of "+
				"client accounts does not show it, the login name is somebody else's: order anew with another one"+said(e)
			return store.RequestAccepted
		}
		r.ErrorText = "login name, e-mail address or external_id belong to another Constant Contact user" + said(e)
		return store.RequestConflict
	case partnerapi.BadRequest, partnerapi.NotFound, partnerapi.Forbidden:
		r.ErrorText = "Constant Contact does not take this order"
		if e.Kind == partnerapi.Forbidden {
			r.ErrorText = "Constant Contact forbids the partner to create client accounts"
		}
		r.ErrorText += said(e)
		if !before {
			return store.RequestRefused
		}
		r.ErrorText += "; an earlier attempt may have been taken"
		return store.RequestUnknown
	case partnerapi.Unauthorized, partnerapi.QuotaExceeded, partnerapi.Throttled, partnerapi.NotSent:
		r.ErrorText = "nothing was sent or taken: " + string(e.Kind) + said(e)
		if !before {
			return store.RequestWanted
		}
		r.ErrorText += "; an earlier attempt may have been taken"
		return store.RequestUnknown
	}
	r.ErrorText = "no clear answer, it may have been created" + said(e)
	return store.RequestUnknown
}

func orWord(key string) string {
	if key == "" {
		return "conflict"
	}
	return key
}
