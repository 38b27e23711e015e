package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/mfa"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// DefaultFactor is the word for a client account without a policy of its own for second factors.
const DefaultFactor = "default"

// FactorPolicies are the words that SetFactor takes.
func FactorPolicies() []string {
	return []string{DefaultFactor, string(mfa.Off), string(mfa.Offered), string(mfa.Required)}
}

// PlanTypes are the plans that a client account can be changed to.
func PlanTypes() []string { return slices.Clone(provisioning.PlanTypes) }

// CancelReasons are the published ids of reasons for a cancellation.
func CancelReasons() []int { return slices.Clone(provisioning.CancelReasons) }

// UpdateSources say who asked to be unsubscribed.
func UpdateSources() []string { return slices.Clone(provisioning.UpdateSources) }

// SetFactor says what is asked for beside the password at a client account, from the next sign-in on: one of
// FactorPolicies. It returns what holds then.
func (a ClientAccounts) SetFactor(ctx context.Context, s Scope, id store.AccountID, word string,
	e store.Event) (mfa.Policy, error) {
	if err := s.account(id); err != nil {
		return "", err
	}
	var policy mfa.Policy // of its own; none for the default
	if word != DefaultFactor {
		var err error
		if policy, err = mfa.ParsePolicy(word); err != nil {
			return "", &Error{Field: "policy", Fault: plaintext.Quote(word) + " is no policy for second factors",
				Hint: "take one of " + strings.Join(FactorPolicies(), ", "), Err: err}
		}
	}
	if err := a.IdP.Factors().SetPolicy(ctx, id, policy, e); err != nil {
		return "", fmt.Errorf("set the second factor: %w", err)
	}
	now, _, err := a.Factor(ctx, s, id)
	return now, err
}

// ReadPlan reads plan and billing status of a client account from Constant Contact, and stores them. It takes one call.
func (a ClientAccounts) ReadPlan(ctx context.Context, s Scope, id store.AccountID, actor string) (partnerapi.Plan,
	error) {
	if err := s.account(id); err != nil {
		return partnerapi.Plan{}, err
	}
	plan, err := a.Provisioning.AccountPlan(ctx, id, actor)
	return plan, partnerRefusal(id, err)
}

// PlanInput is another plan for a client account.
type PlanInput struct {
	Plan       string // one of PlanTypes
	BillingDay int    // of the month, 1 to 31; 0: none. It counts only when leaving a trial
}

// SetPlan changes the plan, and returns what Constant Contact says then.
func (a ClientAccounts) SetPlan(ctx context.Context, s Scope, id store.AccountID, in PlanInput,
	actor string) (partnerapi.Plan, error) {
	if err := s.account(id); err != nil {
		return partnerapi.Plan{}, err
	}
	plan, err := a.Provisioning.SetAccountPlan(ctx, id,
		partnerapi.PlanChange{PlanType: in.Plan, BillingDayOfMonth: in.BillingDay}, actor)
	return plan, renamed(partnerRefusal(id, err), map[string]string{"plan_type": "plan",
		"billing_day_of_month": "billing_day"})
}

// CancelInput is the cancellation of a client account.
type CancelInput struct {
	Typed    string    // the account's id once more: a cancellation can't be taken back
	ReasonID int       // one of CancelReasons; 0: none
	At       time.Time // when it takes effect; zero: now
}

// Cancel cancels a client account: nobody can sign in to it any more. It returns when it takes effect; zero is now.
func (a ClientAccounts) Cancel(ctx context.Context, s Scope, id store.AccountID, in CancelInput,
	actor string) (time.Time, error) {
	if err := s.account(id); err != nil {
		return time.Time{}, err
	}
	switch {
	case in.Typed != string(id):
		return time.Time{}, &Error{Field: "typed", Act: ConfirmByID, About: string(id),
			Fault: "not confirmed by the id of the client account, nothing was cancelled"}
	case in.ReasonID != 0 && !slices.Contains(provisioning.CancelReasons, in.ReasonID):
		return time.Time{}, &Error{Field: "reason_id", Fault: fmt.Sprintf("%d is no published reason", in.ReasonID),
			Hint: "take one of " + strings.Trim(strings.ReplaceAll(fmt.Sprint(provisioning.CancelReasons), " ", ", "), "[]")}
	}
	done, err := a.Provisioning.CancelAccount(ctx, id, partnerapi.Cancellation{ReasonID: in.ReasonID,
		EffectiveDate: in.At}, actor)
	return done.EffectiveDate, partnerRefusal(id, err)
}

// UnsubscribeInput is who gets no more mail from a client account.
type UnsubscribeInput struct {
	Addresses []string // 1 to 500
	Source    string   // one of UpdateSources
	Reason    string
}

// Check finds what is wrong with it before anybody is asked to confirm.
func (in UnsubscribeInput) Check() error {
	return in.refused(provisioning.CheckUnsubscription(in.body()))
}

func (in UnsubscribeInput) body() partnerapi.Unsubscription {
	return partnerapi.Unsubscription{EmailAddresses: in.Addresses, UpdateSource: in.Source, OptOutReason: in.Reason}
}

// refused names the fields as this input does.
func (UnsubscribeInput) refused(err error) error {
	return renamed(err, map[string]string{"email_addresses": "addresses", "update_source": "source"})
}

// Unsubscribe unsubscribes addresses in a client account, and returns how many.
func (a ClientAccounts) Unsubscribe(ctx context.Context, s Scope, id store.AccountID, in UnsubscribeInput,
	actor string) (int, error) {
	if err := s.account(id); err != nil {
		return 0, err
	}
	n, err := a.Provisioning.Unsubscribe(ctx, id, in.body(), actor)
	return n, in.refused(partnerRefusal(id, err))
}

// CallMethods are those of calls on behalf of client accounts; none where such calls are switched off.
func (a ClientAccounts) CallMethods() []string {
	if !a.Provisioning.CallsAllowed() {
		return nil
	}
	return slices.Clone(provisioning.OperationMethods)
}

// CallInput is a V3 call on behalf of a client account.
type CallInput struct {
	Method string
	Path   string   // such as /contacts
	Query  []string // each KEY=VALUE
	Body   string   // JSON; "": none
}

// Writes tells whether the call may change something, so that whoever wants it has to confirm it.
func (in CallInput) Writes() bool { return in.Method != "GET" }

func (in CallInput) operation() (partnerapi.Operation, error) {
	o := partnerapi.Operation{Method: in.Method, URL: in.Path, Payload: in.Body}
	for _, q := range in.Query {
		key, value, ok := strings.Cut(q, "=")
		if !ok || key == "" {
			return o, &Error{Field: "query", Fault: "query " + plaintext.Quote(q) + ": want KEY=VALUE",
				Hint: "write for example limit=10"}
		}
		o.Query = append(o.Query, partnerapi.Param{Key: key, Value: value})
	}
	return o, nil
}

// CheckCall refuses a call that is malformed, and any where calls are switched off, before anybody is asked to confirm
// it.
func (a ClientAccounts) CheckCall(s Scope, id store.AccountID, in CallInput) error {
	if err := s.account(id); err != nil {
		return err
	}
	o, err := in.operation()
	if err != nil {
		return err
	}
	if !a.Provisioning.CallsAllowed() {
		return callsOff()
	}
	return in.refused(provisioning.CheckOperation(o))
}

// Call makes a call on behalf of a client account, and returns the answer. The configuration lists which are allowed.
func (a ClientAccounts) Call(ctx context.Context, s Scope, id store.AccountID, in CallInput,
	actor string) ([]byte, error) {
	if err := s.account(id); err != nil {
		return nil, err
	}
	o, err := in.operation()
	if err != nil {
		return nil, err
	}
	answer, err := a.Provisioning.CallAccount(ctx, id, o, actor)
	if errors.Is(err, provisioning.ErrNotAllowed) {
		if !a.Provisioning.CallsAllowed() {
			return nil, callsOff()
		}
		return nil, &Error{Field: "path", Hint: "list method and path there", Err: err,
			Fault: fmt.Sprintf("not allowed: constant_contact.operations does not list %s %.200s", in.Method, in.Path)}
	}
	return answer, in.refused(partnerRefusal(id, err))
}

func callsOff() error {
	return &Error{Field: "path", Fault: "calls on behalf of client accounts are switched off",
		Hint: "list method and path in constant_contact.operations", Err: provisioning.ErrNotAllowed}
}

// refused names the fields as this input does. A header can't be given.
func (CallInput) refused(err error) error {
	return renamed(err, map[string]string{"account_operation_method": "method", "account_operation_url": "path",
		"account_operation_path": "path", "account_operation_payload": "body", "account_operation_query": "query"})
}

// renamed gives the fields of an Error the names of an input: Constant Contact calls some of them otherwise, and names
// some by their place. names are by the beginning of Constant Contact's.
func renamed(err error, names map[string]string) error {
	if err == nil {
		return nil
	}
	e, ok := AsError(err)
	if !ok {
		return err
	}
	for _, one := range append([]*Error{e}, e.Parts...) {
		for theirs, ours := range names {
			rest, found := strings.CutPrefix(one.Field, theirs)
			if !found {
				continue
			}
			one.Field = ours
			if in, ok := errors.AsType[*provisioning.InputError](one.Err); ok && len(one.Parts) == 0 {
				in = &provisioning.InputError{Field: ours + rest, Fault: in.Fault, Fix: in.Fix}
				one.Fault, one.Err = in.Error(), in
			}
			break
		}
	}
	return e
}
