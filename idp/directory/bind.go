package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// The errors of the password policy control (draft-behera-ldap-password-policy 6.2) that name a state of the account.
const (
	policyPasswordExpired  = 0
	policyAccountLocked    = 1
	policyChangeAfterReset = 2
)

// adCodes are the codes that Active Directory writes as "data NNN" into the message of result 49. Up to the blank line
// they come without the right password.
var adCodes = map[string]Problem{
	"525": BadCredentials, // no such user
	"52e": BadCredentials,
	"775": Locked,

	"530": NotNow,
	"531": NotHere,
	"532": PasswordExpired,
	"533": Disabled,
	"701": Expired,
	"773": MustChange,
}

// verdict is what the directory says to a bind. problem is "" only when it answered success to that very request and
// named no state that forbids the login; cause is what it said otherwise.
type verdict struct {
	problem Problem
	cause   error
}

// bind proves a password: a simple bind with the person's own DN, on a connection that is only ever bound as people. An
// error means that the directory could not judge, or that its answer got lost; it says which.
func (d *Directory) bind(ctx context.Context, dn, password string) (verdict, error) {
	// Callers have checked both. Either one empty would make a bind that succeeds and proves nothing, so this is no place
	// to trust callers.
	if dn == "" || checkPassword(password) != nil {
		return verdict{problem: BadCredentials, cause: errPassword}, nil
	}
	var controls []ldap.Control
	if !d.isAD {
		controls = append(controls, ldap.NewControlBeheraPasswordPolicy())
	}
	var result *ldap.SimpleBindResult
	const op = "bind as a person"
	sent := false
	// Once: a request whose answer got lost may have been judged and counted, so sending it again is the caller's
	// business, who counts as well.
	again, err := d.binds.once(ctx, func(l *ldap.Conn) error {
		var err error
		sent = true
		result, err = l.SimpleBind(ldap.NewSimpleBindRequest(dn, password, controls))
		return err
	}, func(err error) bool {
		// After a refusal the connection's state is the server's guess; it goes. One whose password must be changed is
		// restricted by the server.
		return err == nil && policyProblem(result) == ""
	})
	if _, answered := resultCode(err); err != nil && !answered {
		e := &Error{Problem: Unavailable, Op: op, Err: err, Again: again}
		if !sent {
			e.Try = NotSent
		}
		return verdict{}, e
	}
	problem, cause := bindProblem(err, result)
	if problem == Unavailable {
		e := &Error{Problem: Unavailable, Op: op, Err: cause}
		// These refuse the request before the password is looked at; after any other answer it may have been.
		if hasCode(cause, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultUnwillingToPerform,
			ldap.LDAPResultConfidentialityRequired,
			ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultAuthMethodNotSupported, ldap.LDAPResultInvalidDNSyntax) {
			e.Try = NotSent
		}
		return verdict{}, e
	}
	return verdict{problem, cause}, nil
}

// bindProblem reads the answer to a bind.
func bindProblem(err error, result *ldap.SimpleBindResult) (Problem, error) {
	policy := policyProblem(result)
	if err == nil {
		if policy != "" {
			return policy, fmt.Errorf("the password policy says %s", policy)
		}
		return "", nil
	}
	switch {
	case hasCode(err, ldap.LDAPResultInvalidCredentials):
		if policy != "" {
			return policy, fmt.Errorf("the password policy says %s: %w", policy, err)
		}
		return adProblem(err), err
	case hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication):
		// The entry went away since it was found, or has no password.
		return BadCredentials, err
	case hasCode(err, ldap.LDAPResultConstraintViolation):
		// 389 Directory Server counts wrong passwords and says so with this code.
		return Locked, err
	}
	// Busy, unwilling, encryption demanded and whatever else: the server did not judge the password.
	return Unavailable, err
}

// policyProblem reads the password policy control of an answer, "" if there is none or it names no state that forbids
// the login.
func policyProblem(result *ldap.SimpleBindResult) Problem {
	if result == nil {
		return ""
	}
	policy, ok := ldap.FindControl(result.Controls,
		ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if !ok {
		return ""
	}
	switch policy.Error {
	case policyPasswordExpired:
		return PasswordExpired
	case policyAccountLocked:
		return Locked
	case policyChangeAfterReset:
		return MustChange
	}
	return ""
}

// adProblem reads Active Directory's code. Its text is fixed but for the code, which is hexadecimal: "…, comment:
// AcceptSecurityContext error, data 52e, v4563".
func adProblem(err error) Problem {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || e.Err == nil {
		return BadCredentials
	}
	_, after, found := strings.Cut(e.Err.Error(), ", data ")
	if !found {
		return BadCredentials
	}
	code, _, _ := strings.Cut(after, ",")
	if p, known := adCodes[strings.ToLower(strings.TrimSpace(code))]; known {
		return p
	}
	return BadCredentials
}
