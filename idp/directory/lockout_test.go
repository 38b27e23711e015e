package directory_test

import (
	"errors"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// ID-21: what OpenLDAP says of wrong passwords, and of the policy that applies.
func TestID21OpenLDAPLockout(t *testing.T) {
	s := directorytest.StartSlapd(t)
	o := s.Options()
	o.PasswordPolicyDN = "cn=default,ou=policies," + s.BaseDN
	d := open(t, o)
	lockout := func(login string) directory.Lockout {
		t.Helper()
		f, err := d.Lookup(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		l, err := d.Lockout(t.Context(), f.Entry.ID)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := lockout("carol"); l.Locked || l.Failures != 0 || !l.Counted || l.Policy == nil || l.Policy.Threshold != 20 ||
		l.Left(5) != 5 {
		t.Errorf("carol: %+v, %+v", l, l.Policy)
	}
	for range 2 {
		_, err := d.Authenticate(t.Context(), "mallory", "wrong")
		wantProblem(t, err, directory.BadCredentials)
	}
	if l := lockout("mallory"); l.Locked || l.Failures != 2 || l.Policy == nil || l.Policy.Threshold != 3 ||
		l.Left(5) != 0 {
		t.Errorf("mallory after two: %+v, %+v", l, l.Policy)
	}
	if _, err := d.Authenticate(t.Context(), "mallory", "wrong"); err == nil {
		t.Error("in")
	}
	l := lockout("mallory")
	if wait := time.Until(l.Until); !l.Locked || wait < 10*time.Minute || wait > 16*time.Minute || l.Left(5) != 0 {
		t.Errorf("mallory after three: %+v", l)
	}
	if l := lockout("dave"); !l.Locked || !l.Until.IsZero() {
		t.Errorf("dave, who is closed for good: %+v", l)
	}
	policies, err := d.LockoutPolicies(t.Context())
	if err != nil || len(policies) != 3 {
		t.Fatalf("got %+v, %v, want three policies", policies, err)
	}
	least := policies[0].Threshold
	for _, p := range policies {
		least = min(least, p.Threshold)
	}
	if least != 3 {
		t.Errorf("the strictest locks at %d, want 3", least)
	}
	if _, err := d.Lockout(t.Context(), "00000000-0000-0000-0000-000000000001"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := d.Lockout(t.Context(), "*"); err == nil {
		t.Error("a filter was taken for an id")
	}
}

// ID-21: what Active Directory says: the domain's policy, a fine-grained one, the count and the lock.
func TestID21ActiveDirectoryLockout(t *testing.T) {
	s := directorytest.SharedSamba(t)
	d := open(t, s.Options())
	o := s.Options()
	o.BindDN, o.BindPassword = s.AdminDN, s.AdminPassword // by default only administrators see fine-grained policies
	admin := open(t, o)
	lockout := func(d *directory.Directory, login string) directory.Lockout {
		t.Helper()
		f, err := d.Lookup(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		l, err := d.Lockout(t.Context(), f.Entry.ID)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	_, err := d.Authenticate(t.Context(), "zoe", "wrong")
	wantProblem(t, err, directory.BadCredentials)
	if l := lockout(d, "zoe"); l.Locked || l.Failures != 1 || !l.Counted || l.Policy == nil || l.Policy.Threshold != 10 ||
		l.Policy.Window != 30*time.Minute || l.Left(9) != 8 {
		t.Errorf("zoe: %+v, %+v", l, l.Policy)
	}
	for range 4 {
		_, _ = d.Authenticate(t.Context(), "mallory", "wrong")
	}
	l := lockout(admin, "mallory")
	if !l.Locked || l.Policy == nil || l.Policy.Threshold != 3 || l.Left(5) != 0 || time.Until(l.Until) < 10*time.Minute {
		t.Errorf("mallory: %+v, %+v", l, l.Policy)
	}
	policies, err := admin.LockoutPolicies(t.Context())
	if err != nil || len(policies) != 2 || policies[0].Threshold != 10 || policies[1].Threshold != 3 {
		t.Errorf("got %+v, %v, want the domain's and the strict one", policies, err)
	}
	if policies, err := d.LockoutPolicies(t.Context()); err != nil || len(policies) == 0 || policies[0].Threshold != 10 {
		t.Errorf("the service account sees %+v, %v", policies, err)
	}
}
