package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// The errors of the password policy control (draft-behera-ldap-password-policy 6.2) that name a state of the account.
const (
	policyPasswordExpired  = 0
	policyAccountLocked    = 1
	policyChangeAfterReset = 2
)

// adCodes are the codes that Active Directory writes as "data NNN" into the message of result 49. Up to the blank line they come
// without the right password.
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

// verdict is what the directory says to a bind. problem is "" only when it answered success to that very request and named no state
// that forbids the login; cause is what it said otherwise.
type verdict struct {
	problem Problem
	cause   error
	took    time.Duration // the one request, without getting a connection
}

// bind proves a password: a simple bind with the person's own DN, on a connection that is only ever bound as people. An error means
// that the directory could not judge.
func (d *Directory) bind(ctx context.Context, dn, password string) (verdict, error) {
	// Callers have checked both. Either one empty would make a bind that succeeds and proves nothing, so this is no place to trust
	// callers.
	if dn == "" || checkPassword(password) != nil {
		return verdict{problem: BadCredentials, cause: errPassword}, nil
	}
	var controls []ldap.Control
	if !d.isAD {
		controls = append(controls, ldap.NewControlBeheraPasswordPolicy())
	}
	var result *ldap.SimpleBindResult
	var took time.Duration
	err := d.binds.do(ctx, func(l *ldap.Conn) error {
		var err error
		start := d.o.Now()
		result, err = l.SimpleBind(ldap.NewSimpleBindRequest(dn, password, controls))
		took = d.o.Now().Sub(start)
		return err
	}, func(err error) bool {
		// After a refusal the connection's state is the server's guess; it goes. One whose password must be changed is restricted
		// by the server.
		return err == nil && policyProblem(result) == ""
	})
	if _, answered := resultCode(err); err != nil && !answered {
		return verdict{}, unavailable("bind as a person", err)
	}
	problem, cause := bindProblem(err, result)
	if problem == Unavailable {
		return verdict{}, unavailable("bind as a person", cause)
	}
	return verdict{problem, cause, took}, nil
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

// policyProblem reads the password policy control of an answer, "" if there is none or it names no state that forbids the login.
func policyProblem(result *ldap.SimpleBindResult) Problem {
	if result == nil {
		return ""
	}
	policy, ok := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
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

// unknownPerson stands for the DN of a login that nobody has. A bind with it costs the same way to the directory and back.
const unknownPerson = "cn=there is no such person"

// bindNobody spends the time that a wrong password would take, so that the time of an answer does not tell which logins exist.
// Connection, round trip and refusal are those of a real bind; what the directory spends on comparing a password hash is waited
// for, by the running mean of real binds.
func (d *Directory) bindNobody(ctx context.Context, password string) error {
	// Whatever the directory answers, nobody is signed in by it.
	v, err := d.bind(ctx, unknownPerson+","+d.o.BaseDN, password)
	if err != nil {
		return err
	}
	rest := d.pace.usual() - v.took
	if rest <= 0 {
		return nil
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return unavailable("bind as a person", context.Cause(ctx))
	}
}

// pace is the running mean of how long binds of people take.
type pace struct {
	mu   sync.Mutex
	mean time.Duration
}

// maxPace bounds what one slow answer can add.
const maxPace = 2 * time.Second

func (p *pace) record(d time.Duration) {
	d = min(max(d, 0), maxPace)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 {
		p.mean = d
		return
	}
	p.mean += (d - p.mean) / 8
}

func (p *pace) usual() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mean
}
