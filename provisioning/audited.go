package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"ssobridge/partnerapi"
	"ssobridge/store"
)

// Classes of the calls that an admin waits for.
//
// One act by hand at a time is as urgent as a sign-in and can't use up what is kept for them: a client account that
// must be cancelled today must not wait for 00:00 UTC because a plan has used the day's background calls. What is read,
// and what scripts do in a loop over thousands of accounts, could use it up, so it stands behind sign-ins and leaves
// the reserve alone.
const (
	actClass  = partnerapi.PrioritySignIn
	loopClass = partnerapi.PriorityRetry
)

// act is something that an admin does at Constant Contact that changes nothing in the store.
type act struct {
	action  string // of the audit event; the intention is recorded as action-wanted
	subject string
	account store.AccountID
	actor   string
	detail  map[string]any
}

// audited records what an admin is about to do, does it, and records how it ended. What can't be recorded is not done.
// The outcome is recorded even if the admin has given up meanwhile: Constant Contact may have acted.
func (s *Service) audited(ctx context.Context, a act, do func(ctx context.Context) error) error {
	if err := s.audit.Add(ctx, s.actEvent(a, a.action+"-wanted", nil)); err != nil {
		return fmt.Errorf("record the intention: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, s.callLimit)
	err := do(limited)
	cancel()
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if e := s.audit.Add(ctx, s.actEvent(a, a.action, err)); e != nil {
		// The intention stands in the audit; the admin sees the outcome.
		s.log.Error("outcome could not be recorded", "action", a.action, "subject", a.subject, "account", a.account, "actor",
			a.actor, "error", e)
	}
	return err
}

func (s *Service) actEvent(a act, action string, err error) store.Event {
	e := store.Event{At: s.now(), Actor: a.actor, Action: action, Subject: a.subject, Account: a.account}
	e.Outcome, e.Reason = outcomeOf(err)
	detail := make(map[string]any, len(a.detail)+2)
	maps.Copy(detail, a.detail)
	addRefusal(detail, err)
	if len(detail) > 0 {
		e.Detail, _ = json.Marshal(detail) // strings and numbers always encode
	}
	return e
}

// outcomeOf is the outcome of a call and its reason, as the audit has them.
func outcomeOf(err error) (outcome, reason string) {
	kind := partnerapi.KindOf(err)
	if notProcessed(err) {
		return "failed", reasonNotProcessed
	}
	switch kind {
	case "":
		return "ok", ""
	case partnerapi.Unknown:
		return "unknown", string(kind)
	case partnerapi.BadRequest, partnerapi.NotFound, partnerapi.Forbidden, partnerapi.Conflict, partnerapi.Unauthorized:
		return "refused", string(kind)
	case partnerapi.Accepted:
		return "ok", string(kind)
	}
	return "failed", string(kind)
}

// notProcessed tells an answer without which Constant Contact would not have seen the call either.
func notProcessed(err error) bool {
	e, ok := errors.AsType[*partnerapi.Error](err)
	return ok && e.NotProcessed
}

// addRefusal notes what Constant Contact said. It has no message from outside.
func addRefusal(detail map[string]any, err error) {
	var e *partnerapi.Error
	if !errors.As(err, &e) {
		return
	}
	if e.Status != 0 {
		detail["status"] = e.Status
	}
	if e.Key != "" {
		detail["error_key"] = e.Key
	}
}
