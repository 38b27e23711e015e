package partnerapi

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what an error means for the caller: above all, whether the call may have been
// acted upon.
type Kind string

// The kinds. Only Unknown leaves open whether Constant Contact has acted, unless it is NotProcessed; after every other
// one but Accepted it surely has not.
const (
	NotSent       Kind = "not_sent"       // did not arrive: no slot, no token, no connection, ended before it was sent
	Throttled     Kind = "throttled"      // 429, of the API or of the token server: passes soon
	QuotaExceeded Kind = "quota_exceeded" // 429 quota_exceeded, or our own count says so: until 00:00 UTC
	Unauthorized  Kind = "unauthorized"   // 401 also with a fresh token, or the token server refuses our credentials
	Forbidden     Kind = "forbidden"      // 403
	BadRequest    Kind = "bad_request"    // 400, 422: not with these data
	NotFound      Kind = "not_found"      // 404: no such client account or topic, for us
	Conflict      Kind = "conflict"       // 409: exists already, or a name or mail belongs to somebody else
	Accepted      Kind = "accepted"       // 503 to the creation of a client account: it is created later
	// Unknown: time-out, broken connection, 5xx, and every answer that is not the API's own: may have acted
	Unknown Kind = "unknown"
)

// Error is every error of a call.
type Error struct {
	Kind    Kind
	Op      string        // what was being done to what: "create SSO user in account a07e1lxqqqo0"
	Status  int           // HTTP status; 0 without an answer
	Key     string        // error_key as sent, cut to 200 bytes, printable
	Message string        // error_message as sent, cut to 500 bytes, printable; several are joined by "; "
	Wait    time.Duration // how long until it can work; 0 where not known
	// NotProcessed, of Unknown: not the API answered, but something before it, with a status that refuses the request
	// before anything is done with it. Nothing was done; whether it is tried again is a question of what stands between.
	NotProcessed bool
	Err          error // the cause, where there is one
}

// Error tells operation, kind, status, key, message and cause, as far as there are any.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Op, e.Kind)
	switch {
	case e.Status != 0 && e.Key != "":
		fmt.Fprintf(&b, " (status %d, %s)", e.Status, e.Key)
	case e.Status != 0:
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf tells the kind of err, "" for nil. An error that is none of this package's is Unknown:
// who can't tell must not believe that nothing happened.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unknown
}
