package directory

import (
	"cmp"
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

// eDirectoryCodes are the codes that eDirectory writes in parentheses into the message of a refused bind. None says
// that the password was right: it looks at the account first.
var eDirectoryCodes = map[string]Problem{
	"-197": Locked, // by its detection of intruders
	"-217": NotNow, // more logins at once than are allowed
	"-218": NotNow,
	"-219": NotHere,
	"-220": Disabled, // or expired: it does not tell them apart
	"-222": PasswordExpired,
	"-223": PasswordExpired,
	"-601": BadCredentials,
	"-669": BadCredentials,
}

// verdict is what the directory says to a bind. problem is "" only when it answered success to that very request and
// named no state that forbids the login; cause is what it said otherwise.
type verdict struct {
	problem Problem
	cause   error
	proved  bool // it was only said after the right password (row LDAP-08)
}

// bind proves a password: a simple bind with the person's own DN, on a connection that is only ever bound as people. An
// error means that the directory could not judge, or that its answer got lost; it says which. closed is what the entry
// says that forbids the login, "" for nothing.
func (d *Directory) bind(ctx context.Context, dn, password string, closed Problem) (verdict, error) {
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
	problem, cause := d.bindProblem(err, result, closed)
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
	return verdict{problem: problem, cause: cause, proved: problem != BadCredentials && problem != Locked &&
		!d.judgesAccountFirst(err)}, nil
}

// judgesAccountFirst tells whether a refusal of a bind may have come without a look at the password. What it says of
// the account must not be shown to who asks, and the try counts as a wrong one.
func (d *Directory) judgesAccountFirst(err error) bool {
	return err != nil && (d.o.Preset == presetEDirectory || !hasCode(err, ldap.LDAPResultInvalidCredentials))
}

// bindProblem reads the answer to a bind.
func (d *Directory) bindProblem(err error, result *ldap.SimpleBindResult, closed Problem) (Problem, error) {
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
		if d.o.Preset == presetEDirectory {
			return eDirectoryProblem(err), err
		}
		return adProblem(err), err
	case hasCode(err, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultInsufficientAccessRights) &&
		(closed != "" || d.o.refusesClosed()):
		// 389 Directory Server, FreeIPA and eDirectory look at the account before the password. Elsewhere this is said of
		// the request or of the server itself, unless the entry says that it is of the account.
		if d.o.Preset == presetEDirectory && closed == "" {
			return eDirectoryProblem(err), err
		}
		return cmp.Or(closed, Disabled), err
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
		// The older control of Netscape's servers and their heirs, which says with success that nothing but a change of the
		// password is allowed.
		if ldap.FindControl(result.Controls, ldap.ControlTypeVChuPasswordMustChange) != nil {
			return MustChange
		}
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

// eDirectoryProblem reads eDirectory's code: "NDS error: log account expired (-220)".
func eDirectoryProblem(err error) Problem {
	code := uint16(0)
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.Err != nil {
		code = e.ResultCode
		_, after, _ := strings.Cut(e.Err.Error(), "(-")
		number, _, _ := strings.Cut(after, ")")
		if p, known := eDirectoryCodes["-"+number]; known {
			return p
		}
	}
	if code == ldap.LDAPResultInvalidCredentials {
		return BadCredentials
	}
	return Disabled
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
