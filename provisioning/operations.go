package provisioning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/store"
)

// OperationRule allows calls on behalf of client accounts: a method and a path, in which * stands for one segment.
type OperationRule struct {
	Method string
	Path   string
}

// CallsAllowed tells whether any call on behalf of client accounts is allowed.
func (s *Service) CallsAllowed() bool { return len(s.operations) > 0 }

// ErrNotAllowed is that of a call on behalf of a client account that no rule allows.
var ErrNotAllowed = errors.New("not allowed")

var (
	operationPlaceholder = regexp.MustCompile(`\{[A-Za-z0-9_]+\}`)
	// operationPath has no escapes: what a server makes of them is not known, and a rule must not allow one path and
	// Constant Contact call another.
	operationPath  = regexp.MustCompile(`^(/[A-Za-z0-9_.~@+-]+)+$`)
	operationValue = regexp.MustCompile(`^[A-Za-z0-9_.~@+-]+$`)
	// operationHeaders are those that say nothing about who calls and what is done.
	operationHeaders = []string{"accept", "accept-language", "content-type", "if-match", "if-none-match"}
)

// CheckOperation finds what is wrong with a call in itself: joined *InputErrors.
func CheckOperation(o partnerapi.Operation) error {
	return errors.Join(fieldFaults(o.Validate(), "give a method and a path of the V3 API, such as GET /contacts")...)
}

// CallAccount makes an allowed V3 call on behalf of a client account. ErrNotAllowed: it is switched off, or no rule
// allows it. The audit event has method, path and a hash of the body.
//
// Rules are held against the path with its placeholders filled in. Whether a call that writes was meant is asked by who
// takes the order.
func (s *Service) CallAccount(ctx context.Context, id store.AccountID, o partnerapi.Operation,
	actor string) ([]byte, error) {
	if err := CheckOperation(o); err != nil {
		return nil, fmt.Errorf("call on behalf of client account %s: %w", id, err)
	}
	sum := sha256.Sum256([]byte(o.Payload))
	path, allowed := s.allowedPath(o)
	a := act{"account-call", "call", id, actor, map[string]any{"method": o.Method, "path": path,
		"body_sha256": hex.EncodeToString(sum[:]), "body_bytes": len(o.Payload)}}
	if !allowed {
		event := s.actEvent(a, a.action, nil)
		event.Outcome, event.Reason = "refused", "not_allowed"
		if err := s.audit.Add(ctx, event); err != nil {
			s.log.Error("a refused call on behalf of a client account could not be recorded", "account", id, "actor",
				actor, "error", err)
		}
		return nil, fmt.Errorf("call %s %s on behalf of client account %s: %w", o.Method, path, id, ErrNotAllowed)
	}
	var answer []byte
	err := s.audited(ctx, a, func(ctx context.Context) (err error) {
		answer, err = s.client.Operate(ctx, loopClass, string(id), o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("call %s %s on behalf of client account %s: %w", o.Method, path, id, err)
	}
	return answer, nil
}

// allowedPath fills in the placeholders of a call and tells whether a rule allows it. path is shown where it is not
// allowed, too.
func (s *Service) allowedPath(o partnerapi.Operation) (path string, allowed bool) {
	// What is compared with the rules is what is sent, to the byte.
	if path = plaintext.Short(o.URL, maxCell); path != o.URL {
		return path, false
	}
	for _, h := range o.Headers {
		if !slices.Contains(operationHeaders, strings.ToLower(h.Key)) {
			return path, false
		}
	}
	values := map[string]string{}
	for _, v := range o.Path {
		if _, twice := values[v.Key]; twice || !operationValue.MatchString(v.Value) {
			return path, false
		}
		values["{"+v.Key+"}"] = v.Value
	}
	filled := 0
	path = operationPlaceholder.ReplaceAllStringFunc(path, func(name string) string {
		value, there := values[name]
		if !there {
			return name
		}
		filled++
		return value
	})
	segments := strings.Split(path, "/")
	if filled < len(values) || !operationPath.MatchString(path) || slices.Contains(segments, ".") ||
		slices.Contains(segments, "..") {
		return path, false
	}
	return path, slices.ContainsFunc(s.operations, func(r OperationRule) bool {
		return r.Method == o.Method &&
			r.fits(segments)
	})
}

// fits compares segment by segment.
func (r OperationRule) fits(segments []string) bool {
	rule := strings.Split(r.Path, "/")
	return len(rule) == len(segments) && slices.EqualFunc(rule, segments, func(rule, segment string) bool {
		return rule == segment || rule == "*" && segment != ""
	})
}

// CheckUnsubscription finds what is wrong with addresses and source: joined *InputErrors.
func CheckUnsubscription(u partnerapi.Unsubscription) error {
	return errors.Join(fieldFaults(u.Validate(),
		fmt.Sprintf("give 1 to %d addresses, and who asked for it: Account, Contact or System",
			partnerapi.MaxUnsubscribed))...)
}

// Unsubscribe unsubscribes addresses in a client account, at most 500: more are refused and not split, since half of a
// list that went out could not be told from the other half by the number that comes back. Faults are *InputErrors. The
// audit has how many, and no address.
func (s *Service) Unsubscribe(ctx context.Context, id store.AccountID, u partnerapi.Unsubscription,
	actor string) (int, error) {
	if err := CheckUnsubscription(u); err != nil {
		return 0, fmt.Errorf("unsubscribe contacts in client account %s: %w", id, err)
	}
	detail := map[string]any{"addresses": len(u.EmailAddresses), "source": u.UpdateSource,
		"delete_contacts": u.DeleteContacts, "global": u.GlobalUnsubscribe}
	n := 0
	err := s.audited(ctx, act{"account-unsubscribe", "contacts", id, actor, detail},
		func(ctx context.Context) (err error) {
			n, err = s.client.UnsubscribeContacts(ctx, loopClass, string(id), u)
			return err
		})
	if err != nil {
		return 0, fmt.Errorf("unsubscribe contacts in client account %s: %w", id, err)
	}
	return n, nil
}
