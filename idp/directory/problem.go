package directory

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-ldap/ldap/v3"
)

// Problem says why somebody can't sign in, or why the directory could not answer.
type Problem string

// The problems. All but Unavailable concern the person; Unavailable never does, so it must not count as a failed login.
const (
	BadCredentials Problem = "bad_credentials" // wrong password or unknown login: never told apart to the person
	// shown like BadCredentials, since it is told without the right password; told apart in the log
	Locked          Problem = "locked"
	Disabled        Problem = "disabled"
	Expired         Problem = "expired" // the account
	PasswordExpired Problem = "password_expired"
	MustChange      Problem = "must_change"
	NotNow          Problem = "not_now"  // logon hours
	NotHere         Problem = "not_here" // workstation restriction
	// the search found several; told without the right password, so shown like BadCredentials
	Ambiguous Problem = "ambiguous"
	// what the directory holds can't be used: no immutable id, groups beyond the limits, no such group
	BadData Problem = "bad_data"

	// directory down, unreachable, not answering in time, or refusing our service account
	Unavailable Problem = "unavailable"
)

// ErrNotFound is in the chain of an Error about a person or a group that does not exist.
var ErrNotFound = errors.New("not in the directory")

// Error is every error of this package's requests.
type Error struct {
	Problem Problem
	Op      string // what was being done, to what; no password, no login of an unknown person
	// PersonID is the immutable id of the person whom the login named, "" if it named nobody. A directory takes many
	// spellings for one login (case, spaces, accents), so failures are best counted by it.
	PersonID string
	Err      error

	Try Try // of Bind: what is known of the password
	// of Bind: the answer got lost on a connection that had been idle, so another bind may do; it is another try
	Again bool
}

// Try says what an Error of Bind knows of the password. The zero value says nothing: it may have been judged.
type Try int

// The values of Try.
const (
	MaybeJudged Try = iota // judged and wrong, or nobody knows
	NotSent                // surely not judged
	Proved                 // the password is right, and something else stands in the way
)

func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Op, e.Problem, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// unavailable wraps whatever kept the directory from answering. An error that is typed already keeps its problem.
func unavailable(op string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Problem: e.Problem, Op: op, PersonID: e.PersonID, Err: err, Try: e.Try, Again: e.Again}
	}
	return &Error{Problem: Unavailable, Op: op, Err: err}
}

// resultCode is the server's result code in err. ok is false when the server gave none: then the network, the clock or
// the library failed.
func resultCode(err error) (code uint16, ok bool) {
	// The library's own codes start at 200.
	if e, is := errors.AsType[*ldap.Error](err); is && e.ResultCode < ldap.ErrorNetwork {
		return e.ResultCode, true
	}
	return 0, false
}

// hasCode tells whether the server answered with one of these codes.
func hasCode(err error, codes ...uint16) bool {
	code, ok := resultCode(err)
	return ok && slices.Contains(codes, code)
}
