package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"ssobridge/internal/plaintext"
)

// PasswordRefusal says why the directory did not take a new password. The old one was right.
type PasswordRefusal string

// The refusals.
const (
	PasswordShort   PasswordRefusal = "password_short"
	PasswordUsed    PasswordRefusal = "password_used"   // it is the old one, or was used before
	PasswordYoung   PasswordRefusal = "password_young"  // the last change was too short a time ago
	PasswordSimple  PasswordRefusal = "password_simple" // its complexity, and whatever else a policy asks of it
	PasswordNotHere PasswordRefusal = "password_not_here"
)

// PasswordError is the error of a change that the directory, or this package, refused after the right old password.
type PasswordError struct {
	Refusal PasswordRefusal
	Said    string // by the directory, fit for a page; "" where it has only codes
	Err     error
}

func (e *PasswordError) Error() string {
	return fmt.Sprintf("change a password: %s: %v", e.Refusal, e.Err)
}
func (e *PasswordError) Unwrap() error { return e.Err }

var (
	errGoodPassword = errors.New("the password is still good, so it is not changed here")
	errSamePassword = errors.New("the new password is the old one")
	errPlainLDAP    = errors.New("passwords are changed over TLS only")
	errNoGrace      = errors.New("the directory lets nobody in whose password has expired, so they can't change it there; " +
		"a policy with grace logins would")
)

// ChangePassword changes a password that has expired, or that its person must change, as that person: old and new go in
// one change, and the directory itself judges both. It is never a reset, which would need no old password and pass by
// policies. A password of anybody else, one whose account has another problem too, and one that is still good are left
// alone: then the answer is that of Bind.
//
// The error is a *PasswordError for a new password that is refused, or an *Error. A wrong old password is
// BadCredentials, and may have been counted by the directory, as with Bind. slow is that of Bind.
func (d *Directory) ChangePassword(ctx context.Context, f Found, old, fresh string, slow bool) error {
	op := "change the password of " + f.Entry.DN
	if checkPassword(old) != nil || f.found == nil {
		return &Error{Problem: BadCredentials, Op: op, Err: errPassword, Try: NotSent}
	}
	// A password in clear on the wire is one that somebody else has: the new one would be known before it is used.
	for _, s := range d.servers {
		if s.tls == nil {
			return &PasswordError{Refusal: PasswordNotHere, Err: errPlainLDAP}
		}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	// What else the entry says (disabled, past its end) forbids the login whatever the password is.
	if p := f.state.problem; p != "" && !ends(p) {
		_, err := d.Bind(ctx, f, old, slow)
		return err
	}
	done, err := d.share(ctx, slow)
	if err != nil {
		return &Error{Problem: Unavailable, Op: op, PersonID: f.Entry.ID, Err: err, Try: NotSent}
	}
	defer done()
	if d.isAD {
		err = d.changeUnicodePwd(ctx, f.found.DN, old, fresh)
	} else {
		err = d.changeAsPerson(ctx, f.found.DN, old, fresh, f.state.problem)
	}
	if refused := (*PasswordError)(nil); err == nil || errors.As(err, &refused) {
		return err
	}
	return withPerson(unavailable(op, err), f.Entry.ID)
}

// judgeFresh refuses what no directory need be asked about. The old password was proved before.
func judgeFresh(old, fresh string) error {
	switch {
	case fresh == old:
		return &PasswordError{Refusal: PasswordUsed, Err: errSamePassword}
	case checkPassword(fresh) != nil || !utf8.ValidString(fresh):
		return &PasswordError{Refusal: PasswordSimple, Err: errPassword}
	}
	return nil
}

// refusedBind is the answer where the old password did not lead to a state that a change ends.
func refusedBind(v verdict, op string) error {
	e := &Error{Problem: cmp.Or(v.problem, BadCredentials), Op: op, Err: v.cause}
	if v.proved {
		e.Try = Proved
	}
	return e
}

// changeAsPerson binds as the person, and changes the password on that connection by RFC 3062. A server that demands a
// new password lets in for this alone (draft-behera-ldap-password-policy 8.1). closed is what the entry says.
func (d *Directory) changeAsPerson(ctx context.Context, dn, old, fresh string, closed Problem) error {
	const op = "change a password"
	var result *ldap.SimpleBindResult
	var bound, refused error
	sent, ended := false, false
	again, err := d.binds.once(ctx, func(l *ldap.Conn) error {
		sent = true
		request := ldap.NewSimpleBindRequest(dn, old, []ldap.Control{ldap.NewControlBeheraPasswordPolicy()})
		if result, bound = l.SimpleBind(request); bound != nil {
			return bound
		}
		if ended = closed != "" || ends(policyProblem(result)); !ended {
			return nil
		}
		if refused = judgeFresh(old, fresh); refused != nil {
			return nil
		}
		// No identity: that of the connection, so that nobody else's password can be meant.
		_, refused = l.PasswordModify(ldap.NewPasswordModifyRequest("", old, fresh))
		if _, answered := resultCode(refused); refused != nil && !answered {
			return refused
		}
		return nil
	}, func(error) bool { return false })
	if _, answered := resultCode(err); err != nil && !answered {
		e := &Error{Problem: Unavailable, Op: op, Err: err, Again: again && bound != nil}
		if !sent {
			e.Try = NotSent
		}
		return e
	}
	if bound != nil {
		problem, cause := d.bindProblem(bound, result, "")
		if problem == PasswordExpired && !d.judgesAccountFirst(bound) {
			return &PasswordError{Refusal: PasswordNotHere, Err: fmt.Errorf("%w: %w", errNoGrace, cause)}
		}
		return refusedBind(verdict{problem: problem, cause: cause, proved: problem != BadCredentials && problem != Locked &&
			problem != Unavailable && !d.judgesAccountFirst(bound)}, op)
	}
	if !ended {
		return refusedBind(verdict{problem: policyProblem(result), cause: errGoodPassword, proved: true}, op)
	}
	if refused != nil {
		return passwordError(refused)
	}
	return nil
}

// ends tells whether a change of the password ends a problem.
func ends(p Problem) bool { return p == PasswordExpired || p == MustChange }

// changeUnicodePwd deletes the old password and adds the new one in one modification, which Active Directory takes for
// a change by the person: it checks the old one, and the domain's policy, whoever sends it (MS-ADTS 3.1.1.3.1.5.2).
// People whose password has expired can't bind, so the service account's connection carries it; with a replace, which
// would be a reset, it would need a right that it should not have.
func (d *Directory) changeUnicodePwd(ctx context.Context, dn, old, fresh string) error {
	// First as every login: a password that is good, or an account with another problem, is not changed.
	v, err := d.bind(ctx, dn, old, "")
	if err != nil {
		return err
	}
	if !v.proved || !ends(v.problem) {
		v.cause = orGood(v.cause)
		return refusedBind(v, "change a password")
	}
	if err := judgeFresh(old, fresh); err != nil {
		return err
	}
	request := ldap.NewModifyRequest(dn, nil)
	request.Delete("unicodePwd", []string{unicodePassword(old)})
	request.Add("unicodePwd", []string{unicodePassword(fresh)})
	// Once: what got lost may have been done, and the old password would be a wrong one then.
	_, err = d.searches.once(ctx, func(l *ldap.Conn) error { return l.Modify(request) }, nil)
	if _, answered := resultCode(err); err == nil || !answered {
		return err
	}
	return passwordError(err)
}

// unicodePassword is a password as Active Directory takes it: in quotes, UTF-16 little-endian.
func unicodePassword(password string) string {
	units := utf16.Encode([]rune(`"` + password + `"`))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// maxSaid is how much of a directory's words a page shows.
const maxSaid = 200

// passwordError reads the answer to a change whose old password was right.
func passwordError(err error) error {
	if refused := (*PasswordError)(nil); errors.As(err, &refused) {
		return refused
	}
	e := &PasswordError{Refusal: PasswordSimple, Err: err}
	said := ""
	if answer, ok := errors.AsType[*ldap.Error](err); ok && answer.Err != nil {
		said = plaintext.Line(answer.Err.Error(), maxSaid)
	}
	low := strings.ToLower(said)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(low, w) {
				return true
			}
		}
		return false
	}
	switch {
	case !hasCode(err, ldap.LDAPResultConstraintViolation, ldap.LDAPResultInvalidAttributeSyntax) &&
		!has("0000052d"): // Active Directory's code for its policy, with other results too
		e.Refusal = PasswordNotHere // rights, an operation that is not known, and whatever is no word about the password
		return e
	case has("too short", "at least", "minimum length"):
		e.Refusal = PasswordShort
	case has("history", "reuse", "already used", "previous"):
		e.Refusal = PasswordUsed
	case has("too young", "too soon", "too recent"):
		e.Refusal = PasswordYoung
	}
	// Words are shown, codes are for the log: Active Directory begins with a number, and has no words for people.
	if first, _, found := strings.Cut(said, ":"); !found || !isHex(first) {
		e.Said = said
	}
	return e
}

func isHex(text string) bool {
	return len(text) == 8 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// orGood is the cause of a refusal; without one the password was still good.
func orGood(cause error) error {
	if cause == nil {
		return errGoodPassword
	}
	return cause
}
