package directory_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// wantRefusal tells whether a change was refused for this reason, without either password in the error.
func wantRefusal(t *testing.T, err error, want directory.PasswordRefusal, secrets ...string) {
	t.Helper()
	refused, ok := errors.AsType[*directory.PasswordError](err)
	if !ok || refused.Refusal != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, s := range secrets {
		if err != nil && strings.Contains(err.Error(), s) {
			t.Errorf("the error holds a password: %v", err)
		}
	}
}

// OpenLDAP: a password that must be changed is changed as the person; the old one is worth nothing after it.
func TestChangePasswordOnSlapd(t *testing.T) {
	s := directorytest.StartSlapd(t)
	s.Apply(t, "dn: cn=default,ou=policies,"+s.BaseDN+"\nchangetype: modify\nadd: pwdInHistory\npwdInHistory: 3\n-\n"+
		"add: pwdCheckQuality\npwdCheckQuality: 2\n-\nadd: pwdMinLength\npwdMinLength: 10\n-\n"+
		"replace: pwdMaxFailure\npwdMaxFailure: 50\n")
	d := open(t, s.Options())
	find := func(login string) directory.Found {
		t.Helper()
		f, err := d.Lookup(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const fresh = "a-new-Passw0rd-of-frank"
	frank := find("frank")

	wantProblem(t, d.ChangePassword(t.Context(), frank, "not-the-old-one", fresh, false), directory.BadCredentials)
	wantProblem(t, d.ChangePassword(t.Context(), frank, "", fresh, false), directory.BadCredentials)
	wantRefusal(t, d.ChangePassword(t.Context(), frank, directorytest.Password, directorytest.Password, false),
		directory.PasswordUsed, directorytest.Password)
	err := d.ChangePassword(t.Context(), frank, directorytest.Password, "short-1", false)
	wantRefusal(t, err, directory.PasswordSimple, "short-1", directorytest.Password)
	if refused, ok := errors.AsType[*directory.PasswordError](err); !ok || !strings.Contains(refused.Said, "quality") {
		t.Errorf("the directory's words are missing: %v", err)
	}
	wantRefusal(t, d.ChangePassword(t.Context(), frank, directorytest.Password, "", false), directory.PasswordSimple)
	_, err = d.Authenticate(t.Context(), "frank", directorytest.Password)
	wantProblem(t, err, directory.MustChange) // nothing has changed so far

	if err := d.ChangePassword(t.Context(), frank, directorytest.Password, fresh, false); err != nil {
		t.Fatal(err)
	}
	if e, err := d.Authenticate(t.Context(), "frank", fresh); err != nil || e.Login != "frank" {
		t.Errorf("the new password: %v", err)
	}
	_, err = d.Authenticate(t.Context(), "frank", directorytest.Password)
	wantProblem(t, err, directory.BadCredentials)

	// Without grace logins nobody gets in whose password has expired, so nobody can change it.
	wantRefusal(t, d.ChangePassword(t.Context(), find("erin"), directorytest.Password, fresh, false),
		directory.PasswordNotHere)
	wantProblem(t, d.ChangePassword(t.Context(), find("dave"), directorytest.Password, fresh, false), directory.Locked)
	// A password that is good is left alone.
	wantProblem(t, d.ChangePassword(t.Context(), find("alice"), directorytest.Password, fresh, false),
		directory.BadCredentials)
	if _, err := d.Authenticate(t.Context(), "alice", directorytest.Password); err != nil {
		t.Errorf("alice's password was changed: %v", err)
	}
}

// Over a connection in clear no password is changed, and none is sent.
func TestChangePasswordNeedsTLS(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	f, err := open(t, s.Options()).Lookup(t.Context(), "frank")
	if err != nil {
		t.Fatal(err)
	}
	o := s.Options()
	o.URLs, o.CAFile, o.Insecure = []string{s.PlainURL()}, "", true
	wantRefusal(t, open(t, o).ChangePassword(t.Context(), f, directorytest.Password, "another-Passw0rd-1", false),
		directory.PasswordNotHere)
}

// Active Directory: old and new in one modification. The domain's policy judges the new one.
func TestChangePasswordOnActiveDirectory(t *testing.T) {
	s := directorytest.StartSamba(t)
	d := open(t, s.Options())
	find := func(login string) directory.Found {
		t.Helper()
		f, err := d.Lookup(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const fresh = "A-new-Passw0rd-of-AD"
	for _, login := range []string{"frank", "erin"} { // must change, has expired
		f := find(login)
		wantProblem(t, d.ChangePassword(t.Context(), f, "not-the-old-One1", fresh, false), directory.BadCredentials)
		wantRefusal(t, d.ChangePassword(t.Context(), f, directorytest.Password, "Ab1", false), directory.PasswordShort, "Ab1")
		wantRefusal(t, d.ChangePassword(t.Context(), f, directorytest.Password, directorytest.Password, false),
			directory.PasswordUsed)
		if err := d.ChangePassword(t.Context(), f, directorytest.Password, fresh, false); err != nil {
			t.Errorf("%s: %v", login, err)
			continue
		}
		if e, err := d.Authenticate(t.Context(), login, fresh); err != nil || e.Login != login {
			t.Errorf("%s with the new password: %v", login, err)
		}
		// The old one may still bind for an hour: Active Directory allows that by default (OldPasswordAllowedPeriod).
	}
	// A password that is good, and a disabled account, are left alone.
	wantProblem(t, d.ChangePassword(t.Context(), find("alice"), directorytest.Password, fresh, false),
		directory.BadCredentials)
	if _, err := d.Authenticate(t.Context(), "alice", directorytest.Password); err != nil {
		t.Errorf("alice's password was changed: %v", err)
	}
	wantProblem(t, d.ChangePassword(t.Context(), find("dave"), directorytest.Password, fresh, false), directory.Disabled)
}
