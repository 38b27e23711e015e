package partnerapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"ssobridge/internal/plaintext"
)

// call is one call to be made.
type call struct {
	op, class, method string
	what              string // op without the client account, where it has one
	url               *url.URL
	body              []byte   // JSON, nil for none
	want              int      // the one status that means success
	later             int      // the status that means "accepted for later"; 0: none does
	secrets           []string // of the body, which no error must tell though the answer may quote them
	aboutPerson       bool     // a verdict would be one on a person
}

// inAccount makes it a call that concerns a client account. The id is checked, since it becomes a part of the path.
func (c *Client) inAccount(k *call, account string, path ...string) error {
	k.what = k.op
	k.op += " " + plaintext.Line(account, 70)
	if !accountID.MatchString(account) {
		return &Error{Kind: BadRequest, Op: k.op, Err: &FieldError{"encoded_account_id", "want 1 to 64 letters and digits"}}
	}
	k.url = c.base.JoinPath(append([]string{"partner", "accounts", account}, path...)...)
	return nil
}

// operation is what is done, without whom it is done to.
func (k call) operation() string { return cmp.Or(k.what, k.op) }

// setBody gives it a body, unless invalid says what is wrong with that.
func (k *call) setBody(body any, invalid error) error {
	if invalid != nil {
		return &Error{Kind: BadRequest, Op: k.op, Err: invalid}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return &Error{Kind: NotSent, Op: k.op, Err: err}
	}
	k.body = b
	return nil
}

// ask makes a call and reads its answer into a value, which has to be an object of JSON, or a list for a slice. Fields
// that nobody here knows are left alone: Constant Contact adds some now and then.
func (c *Client) ask(ctx context.Context, k call, into any, begin byte) error {
	body, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	// null would decode into anything, and leave nothing there.
	if body = tidyJSON(body); len(body) == 0 || body[0] != begin {
		return k.unreadable(fmt.Errorf("it does not begin with %q", begin))
	}
	if err := json.Unmarshal(body, into); err != nil {
		// The decoder's own words can quote what it read.
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return k.unreadable(fmt.Errorf("%.80s has another type", plaintext.Line(wrong.Field, 80)))
		}
		return k.unreadable(errors.New("it is no JSON"))
	}
	return nil
}

// verdict tells whether an answer other than the wanted one is the API's own judgement of the call. Whatever stands
// between us and the API can answer in its place: a proxy, a portal, a firewall, a load balancer. What such a one says
// is said of no person and no account, so every answer that may be its own leaves the outcome open.
//
// The statuses are those that the partner endpoints publish. No other one judges what was asked for: 405, 413 or 415
// are said of a request as a whole, and ours is always the same.
func (k call) verdict(status int, f form) bool {
	// An empty body is within the published contract, and gateways send it as well. What is decided on a person needs
	// the API's word.
	empty := f == formEmpty && !k.aboutPerson
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return f == formOwn || f == formJSON || empty
	case http.StatusForbidden, http.StatusNotFound:
		// A framework says so of a path, a gateway of a key: for an admin that is an answer, for a person it is none.
		return f == formOwn || empty || f != formForeign && f != formEmpty && !k.aboutPerson
	case http.StatusUnauthorized, http.StatusConflict:
		return f != formForeign // no gateway knows of a conflict, and a token that is refused is no verdict on a person
	}
	return k.later != 0 && status == k.later && (f == formOwn || f == formJSON || f == formEmpty)
}

// refusedUnseen tells a status that refuses a request before anything is done with it (RFC 9110, RFC 6585, RFC 8470),
// of an answer that is not the API's own: a login of a proxy or of a portal, a firewall, a limit of a gateway. The
// API, whose published answers to a creation are 201, 400, 401, 403, 409 and 500, has not seen the request then.
//
// Left out is what can be said after the request was passed on: 303, which answers a POST that was done (RFC 9110
// 15.4.4), 304, 406, 408, 409, what has no meaning to rely on, and what a gateway says when its server gave no answer
// or a bad one (500, 502, 503, 504, 520).
func refusedUnseen(status int) bool {
	switch status {
	case http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusFound, http.StatusUseProxy,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusLengthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType,
		http.StatusExpectationFailed, http.StatusMisdirectedRequest, http.StatusUnprocessableEntity,
		http.StatusTooEarly, http.StatusUpgradeRequired, http.StatusPreconditionRequired,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return true
	}
	return false
}

// unreadable is the error for an answer of the wanted status that does not say what it should. Whatever was asked for
// may have been done.
func (k call) unreadable(err error) error {
	return &Error{Kind: Unknown, Op: k.op, Status: k.want, Err: fmt.Errorf("read the answer: %w", err)}
}

// untold is what an object lacks.
func untold(field string) error { return fmt.Errorf("it has no %s", field) }

const (
	jsonObject = '{'
	jsonList   = '['
)

// get is a call that reads.
func get(op, class string) call {
	return call{op: op, class: class, method: http.MethodGet, want: http.StatusOK}
}
