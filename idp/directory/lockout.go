package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// maxPolicies bounds how many password policies are looked at.
const maxPolicies = 200

// LockoutPolicy is when the directory locks accounts after wrong passwords.
type LockoutPolicy struct {
	DN        string        // the entry that says so
	Threshold int           // wrong passwords that lock an account; 0: none do
	Window    time.Duration // after which it forgets them; 0: only a right password makes it
	Duration  time.Duration // of a lock; 0: until somebody unlocks the account
}

// Lockout is what the directory says of the wrong passwords of one account.
type Lockout struct {
	Locked   bool
	Until    time.Time // of the lock; zero: until somebody unlocks the account, or it can't be told
	Failures int       // as the directory counts them now
	Counted  bool      // it shows them
	// Policy is the one that applies; nil: it can't be read.
	Policy *LockoutPolicy
}

// Left is how many more wrong passwords the directory takes before it locks the account, at most limit.
func (l Lockout) Left(limit int) int {
	switch {
	case l.Locked:
		return 0
	case l.Policy == nil: // as if it locked at the next one past the limit, which check demands
		return max(0, limit-l.Failures)
	case l.Policy.Threshold == 0:
		return limit
	}
	return min(limit, max(0, l.Policy.Threshold-1-l.Failures))
}

var (
	adLockoutAttributes = []string{"badPwdCount", "badPasswordTime", "lockoutTime", "msDS-User-Account-Control-Computed",
		"msDS-ResultantPSO"}
	openLDAPLockout       = []string{"pwdFailureTime", "pwdAccountLockedTime", "pwdPolicySubentry"}
	adDomainPolicy        = []string{"lockoutThreshold", "lockOutObservationWindow", "lockoutDuration"}
	adFinePolicy          = []string{"msDS-LockoutThreshold", "msDS-LockoutObservationWindow", "msDS-LockoutDuration"}
	openLDAPPolicy        = []string{"pwdLockout", "pwdMaxFailure", "pwdFailureCountInterval", "pwdLockoutDuration"}
	errNoPolicy           = errors.New("no entry with a password policy can be read")
	errNoDomain           = errors.New("the root of the domain can't be found")
	passwordSettingsPlace = "CN=Password Settings Container,CN=System,"
)

// Lockout reads the wrong passwords of a person, by immutable id. ErrNotFound is in the chain of the error where nobody
// has it.
func (d *Directory) Lockout(ctx context.Context, id string) (Lockout, error) {
	op := "read the lockout of " + id
	condition, err := idFilter(d.o.IDAttribute, canonicalID(d.o.IDAttribute, id))
	if err != nil {
		return Lockout{}, &Error{Problem: BadData, Op: "read a lockout", Err: err}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request(d.o.BaseDN, ldap.ScopeWholeSubtree, 2, condition,
		slices.Concat(adLockoutAttributes, openLDAPLockout)))
	switch {
	case err != nil:
		return Lockout{}, unavailable(op, err)
	case len(found) != 1:
		return Lockout{}, &Error{Problem: BadData, Op: op, Err: ErrNotFound}
	}
	if d.isAD {
		return d.adLockout(ctx, found[0]), nil
	}
	return d.openLDAPLockout(ctx, found[0]), nil
}

func (d *Directory) adLockout(ctx context.Context, e *ldap.Entry) (l Lockout) {
	now := d.o.Now()
	l.Policy = d.policyAt(ctx, e.GetEqualFoldAttributeValue("msDS-ResultantPSO"), adFinePolicy, adPolicy)
	if l.Policy == nil {
		if root, err := d.domainRoot(ctx); err == nil {
			l.Policy = d.policyAt(ctx, root, adDomainPolicy, adPolicy)
		}
	}
	l.Counted = e.GetEqualFoldAttributeValue("badPwdCount") != ""
	l.Failures = int(number(e, "badPwdCount"))
	// The count stands there until the next logon, and counts no more when the time after the last one is over.
	if last, ok := fileTime(number(e, "badPasswordTime")); ok && l.Policy != nil && l.Policy.Window > 0 &&
		now.Sub(last) > l.Policy.Window {
		l.Failures = 0
	}
	l.Locked = number(e, "msDS-User-Account-Control-Computed")&adLocked != 0
	if at, ok := fileTime(number(e, "lockoutTime")); ok && l.Locked && l.Policy != nil && l.Policy.Duration > 0 {
		l.Until = at.Add(l.Policy.Duration)
	}
	return l
}

func (d *Directory) openLDAPLockout(ctx context.Context, e *ldap.Entry) (l Lockout) {
	now := d.o.Now()
	dn := e.GetEqualFoldAttributeValue("pwdPolicySubentry")
	if dn == "" {
		dn = d.o.PasswordPolicyDN
	}
	l.Policy = d.policyAt(ctx, dn, openLDAPPolicy, openLDAPPolicyOf)
	// Who may not read the attribute sees none, as for somebody without failures: that the policy's entry can be read is
	// taken as the sign that this one can.
	l.Counted = l.Policy != nil
	for _, v := range e.GetEqualFoldAttributeValues("pwdFailureTime") {
		at, ok := generalizedTime(v)
		if !ok || l.Policy != nil && l.Policy.Window > 0 && now.Sub(at) > l.Policy.Window {
			continue
		}
		l.Failures, l.Counted = l.Failures+1, true
	}
	if lock := e.GetEqualFoldAttributeValue("pwdAccountLockedTime"); lock != "" {
		l.Locked = true
		if at, ok := generalizedTime(lock); ok && l.Policy != nil && l.Policy.Duration > 0 && at.Year() > 1 {
			l.Until = at.Add(l.Policy.Duration)
			l.Locked = now.Before(l.Until)
		}
	}
	return l
}

// policyAt reads a policy, nil if it can't be read.
func (d *Directory) policyAt(ctx context.Context, dn string, attributes []string, read func(*ldap.Entry) (LockoutPolicy,
	bool)) *LockoutPolicy {
	if dn == "" {
		return nil
	}
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", attributes))
	if err != nil || len(found) != 1 {
		return nil
	}
	if policy, ok := read(found[0]); ok {
		return &policy
	}
	return nil
}

func adPolicy(e *ldap.Entry) (LockoutPolicy, bool) {
	first := func(names ...string) (string, int64) {
		for _, name := range names {
			if v := e.GetEqualFoldAttributeValue(name); v != "" {
				return v, number(e, name)
			}
		}
		return "", 0
	}
	text, threshold := first(adDomainPolicy[0], adFinePolicy[0])
	_, window := first(adDomainPolicy[1], adFinePolicy[1])
	_, duration := first(adDomainPolicy[2], adFinePolicy[2])
	return LockoutPolicy{DN: e.DN, Threshold: int(threshold), Window: adSpan(window), Duration: adSpan(duration)},
		text != ""
}

// adSpan is a time span of Active Directory: a negative number of 100 ns; the least number means for ever.
func adSpan(n int64) time.Duration {
	if n >= 0 || n == -1<<63 || n < -int64(1<<62)/100 {
		return 0
	}
	return time.Duration(-n) * 100
}

func openLDAPPolicyOf(e *ldap.Entry) (LockoutPolicy, bool) {
	seconds := func(name string) time.Duration {
		n, err := strconv.ParseInt(e.GetEqualFoldAttributeValue(name), 10, 32)
		if err != nil || n < 0 {
			return 0
		}
		return time.Duration(n) * time.Second
	}
	p := LockoutPolicy{DN: e.DN, Window: seconds("pwdFailureCountInterval"), Duration: seconds("pwdLockoutDuration")}
	if strings.EqualFold(e.GetEqualFoldAttributeValue("pwdLockout"), "TRUE") {
		p.Threshold = int(number(e, "pwdMaxFailure"))
	}
	return p, len(e.Attributes) > 0
}

// domainRoot is the DN of the Active Directory domain.
func (d *Directory) domainRoot(ctx context.Context) (string, error) {
	found, err := d.search(ctx, d.request("", ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"defaultNamingContext"}))
	if err != nil {
		return "", err
	}
	if len(found) != 1 || found[0].GetEqualFoldAttributeValue("defaultNamingContext") == "" {
		return "", errNoDomain
	}
	return found[0].GetEqualFoldAttributeValue("defaultNamingContext"), nil
}

// LockoutPolicies reads all password policies that may apply to somebody, as far as the service account may see them.
// An error says why none could be read.
func (d *Directory) LockoutPolicies(ctx context.Context) ([]LockoutPolicy, error) {
	const op = "read the password policies"
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	var all []LockoutPolicy
	if d.isAD {
		root, err := d.domainRoot(ctx)
		if err != nil {
			return nil, unavailable(op, err)
		}
		p := d.policyAt(ctx, root, adDomainPolicy, adPolicy)
		if p == nil {
			return nil, unavailable(op, fmt.Errorf("lockoutThreshold of %q can't be read", root))
		}
		all = append(all, *p)
		// Only administrators see them by default: without them there are none to compare.
		fine, err := d.searchAll(ctx, passwordSettingsPlace+root, "(objectClass=msDS-PasswordSettings)",
			adFinePolicy, maxPolicies)
		for _, e := range fine {
			if p, ok := adPolicy(e); ok && err == nil {
				all = append(all, p)
			}
		}
		return all, nil
	}
	if d.o.PasswordPolicyDN != "" {
		p := d.policyAt(ctx, d.o.PasswordPolicyDN, openLDAPPolicy, openLDAPPolicyOf)
		if p == nil {
			return nil, unavailable(op, fmt.Errorf("%q: %w", d.o.PasswordPolicyDN, errNoPolicy))
		}
		all = append(all, *p)
	}
	base := d.o.BaseDN
	if found, err := d.search(ctx, d.request("", ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"namingContexts"})); err == nil && len(found) == 1 {
		for _, context := range found[0].GetEqualFoldAttributeValues("namingContexts") {
			if under(d.o.BaseDN, context) {
				base = context
			}
		}
	}
	found, err := d.searchAll(ctx, base, "(objectClass=pwdPolicy)", openLDAPPolicy, maxPolicies)
	if err != nil && len(all) == 0 {
		return nil, unavailable(op, err)
	}
	for _, e := range found {
		if p, ok := openLDAPPolicyOf(e); ok && !slices.ContainsFunc(all,
			func(have LockoutPolicy) bool { return SameDN(have.DN, p.DN) }) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, &Error{Problem: BadData, Op: op, Err: errNoPolicy}
	}
	return all, nil
}
