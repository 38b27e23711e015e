package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jimlambrt/gldap"

	"ssobridge/idp/directory"
)

const guidA = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"

// adPerson is an Active Directory entry with the given attributes beside the usual ones.
func adPerson(extra map[string][]string) map[string][]string {
	a := map[string][]string{"sAMAccountName": {"alice"}, "objectGUID": {guidA}, "userAccountControl": {"512"},
		"accountExpires": {"9223372036854775807"}, "pwdLastSet": {"133800000000000000"}}
	for k, v := range extra {
		a[k] = v
	}
	return a
}

// LDAP-08: every code that Active Directory gives after result 49, and codes of other servers.
func TestLDAP08BindCodes(t *testing.T) {
	f := startFake(t)
	f.person("CN=Alice,dc=fake", adPerson(nil))
	d := open(t, f.options("active_directory"))
	ad := func(code string) string {
		return "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data " + code + ", v4563"
	}
	cases := []struct {
		code int
		diag string
		want directory.Problem
	}{
		{49, ad("525"), directory.BadCredentials},
		{49, ad("52e"), directory.BadCredentials},
		{49, ad("775"), directory.Locked},
		{49, ad("530"), directory.NotNow},
		{49, ad("531"), directory.NotHere},
		{49, ad("532"), directory.PasswordExpired},
		{49, ad("533"), directory.Disabled},
		{49, ad("701"), directory.Expired},
		{49, ad("773"), directory.MustChange},
		{49, ad("999"), directory.BadCredentials},
		{49, "", directory.BadCredentials},
		{49, "the account is disabled", directory.BadCredentials}, // told by code, never by text
		{32, "", directory.BadCredentials},
		{48, "", directory.BadCredentials},
		{19, "", directory.Locked},
		{1, ad("533"), directory.Unavailable},
		{10, "", directory.Unavailable},
		{13, "", directory.Unavailable},
		{51, "", directory.Unavailable},
		{52, "", directory.Unavailable},
		{53, "", directory.Unavailable},
		{80, "", directory.Unavailable},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%d %s", c.code, c.diag), func(t *testing.T) {
			f.set(func() { f.code, f.diag = c.code, c.diag })
			_, err := d.Authenticate(t.Context(), "alice", "wrong")
			wantProblem(t, err, c.want)
		})
	}
}

// LDAP-09: a search that the server can't do is no failed login.
func TestLDAP09SearchErrors(t *testing.T) {
	f := startFake(t)
	f.person("CN=Alice,dc=fake", adPerson(nil))
	d := open(t, quick(f.options("active_directory"), nil))
	for _, code := range []int{gldap.ResultOperationsError, gldap.ResultTimeLimitExceeded, gldap.ResultReferral,
		gldap.ResultNoSuchObject, gldap.ResultInsufficientAccessRights, gldap.ResultBusy, gldap.ResultUnavailable,
		gldap.ResultOther} {
		f.set(func() { f.searchErr = code })
		_, err := d.Authenticate(t.Context(), "alice", "right")
		wantProblem(t, err, directory.Unavailable)
	}
	f.set(func() { f.searchErr = 0 })
	if _, err := d.Authenticate(t.Context(), "alice", "right"); err != nil {
		t.Error("after the faults:", err)
	}
}

// LDAP-08, LDAP-11: the account's state as Active Directory's attributes tell it, with the right password and without
// any.
func TestLDAP11ActiveDirectoryState(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	fileTime := func(t time.Time) string {
		return strconv.FormatInt((t.Unix()+11_644_473_600)*10_000_000, 10)
	}
	cases := []struct {
		name  string
		extra map[string][]string
		want  directory.Problem
	}{
		{"normal", nil, ""},
		{"disabled", map[string][]string{"userAccountControl": {"514"}}, directory.Disabled},
		{"account expired", map[string][]string{"accountExpires": {fileTime(now.Add(-time.Minute))}}, directory.Expired},
		{"account expires now", map[string][]string{"accountExpires": {fileTime(now)}}, directory.Expired},
		{"account expires later", map[string][]string{"accountExpires": {fileTime(now.Add(time.Minute))}}, ""},
		{"account never expires, by zero", map[string][]string{"accountExpires": {"0"}}, ""},
		{"must change", map[string][]string{"pwdLastSet": {"0"}}, directory.MustChange},
		{"must change, also shown as expired", map[string][]string{"pwdLastSet": {"0"},
			"msDS-User-Account-Control-Computed": {"8388608"}}, directory.MustChange},
		{"no need to change", map[string][]string{"pwdLastSet": {"0"}, "userAccountControl": {"66048"}}, ""},
		{"password expired", map[string][]string{"msDS-User-Account-Control-Computed": {"8388608"}},
			directory.PasswordExpired},
		{"locked is passing", map[string][]string{"msDS-User-Account-Control-Computed": {"16"},
			"lockoutTime": {"133800000000000000"}}, ""},
		{"disabled and expired", map[string][]string{"userAccountControl": {"514"}, "accountExpires": {"1"}},
			directory.Disabled},
		{"no state shown", map[string][]string{"userAccountControl": nil, "accountExpires": nil, "pwdLastSet": nil}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := startFake(t)
			f.person("CN=Alice,dc=fake", adPerson(c.extra))
			o := f.options("active_directory")
			o.Now = func() time.Time { return now }
			d := open(t, o)
			_, err := d.Authenticate(t.Context(), "alice", "right")
			wantProblem(t, err, c.want)
			e, err := d.Read(t.Context(), "04030201-0605-0807-090a-0b0c0d0e0f10")
			if err != nil || e.Problem != c.want {
				t.Errorf("Read: got %q, %v; want %q", e.Problem, err, c.want)
			}
			if e.ID != "04030201-0605-0807-090a-0b0c0d0e0f10" {
				t.Errorf("got id %q: the first three fields of an objectGUID are little-endian", e.ID)
			}
			// A wrong password learns nothing of the state.
			_, err = d.Authenticate(t.Context(), "alice", "wrong")
			wantProblem(t, err, directory.BadCredentials)
		})
	}
}

// LDAP-07: an attribute that the server answers in parts is read to its end.
func TestLDAP07RangedValues(t *testing.T) {
	f := startFake(t)
	group := func(i int) string { return fmt.Sprintf("cn=g%d,dc=fake", i) }
	f.person("CN=Alice,dc=fake", adPerson(map[string][]string{
		"memberOf;range=0-1": {group(0), group(1)},
		"memberOf;range=2-3": {group(2), group(3)},
		"memberOf;range=4-*": {group(4), group(5), group(6)},
	}))
	for i := range 5 {
		f.group(group(i), "-2147483646") // a global security group
	}
	f.group(group(5), "2") // a distribution group; and the last one can't be read, so that nobody knows its kind
	o := f.options("active_directory")
	e, err := open(t, o).Authenticate(t.Context(), "alice", "right")
	if err != nil {
		t.Fatal(err)
	}
	wantGroups(t, e.Groups, "g0", "g1", "g2", "g3", "g4")
	o.MaxGroups = 3
	_, err = open(t, o).Authenticate(t.Context(), "alice", "right")
	wantProblem(t, err, directory.BadData)

	// A server that stops in the middle gives an error, not some of the groups.
	f.set(func() { delete(f.people[0].attributes, "memberOf;range=4-*") })
	_, err = open(t, f.options("active_directory")).Authenticate(t.Context(), "alice", "right")
	wantProblem(t, err, directory.Unavailable)
}

// LDAP-04: people are bound on connections of their own, and a connection is not used again after a refused bind.
func TestLDAP04TwoPools(t *testing.T) {
	f := startFake(t)
	f.person("CN=Alice,dc=fake", adPerson(nil))
	d := open(t, f.options("active_directory"))
	for _, password := range []string{"right", "right", "wrong", "right", "wrong", "wrong"} {
		_, _ = d.Authenticate(t.Context(), "alice", password)
		_, _ = d.Authenticate(t.Context(), "nobody", password)
	}
	service, refused := map[int]bool{}, map[int]bool{}
	for _, b := range f.bindsOf(fakeService) {
		service[b.conn] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(service) != 1 {
		t.Errorf("got %d service connections, want 1 that is used again", len(service))
	}
	reused := 0
	for i, b := range f.binds {
		if b.dn == fakeService {
			continue
		}
		if service[b.conn] {
			t.Errorf("%q was bound on a connection of the service account", b.dn)
		}
		if refused[b.conn] {
			t.Error("a connection was used again after a refused bind")
		}
		refused[b.conn] = !b.ok
		if slices.ContainsFunc(f.binds[:i], func(x fakeBind) bool { return x.conn == b.conn }) {
			reused++
		}
	}
	if reused == 0 {
		t.Error("no connection was used again after a bind that succeeded")
	}
	for _, s := range f.searches {
		if !service[s.conn] {
			t.Errorf("a search ran on a connection of a person: %+v", s)
		}
	}
}

// ID-08: no bind is made for a login that names nobody, or several people: none may ever count at somebody else's
// entry.
func TestID08NobodyIsBoundForAnUnknownLogin(t *testing.T) {
	f := startFake(t)
	f.person("CN=Alice,dc=fake", adPerson(nil))
	d := open(t, f.options("active_directory"))
	for _, password := range []string{"wrong", "right"} { // even the right password of somebody else signs nobody in
		_, err := d.Authenticate(t.Context(), "nobody", password)
		wantProblem(t, err, directory.BadCredentials)
	}
	f.person("CN=Alice Too,dc=fake", adPerson(nil))
	_, err := d.Authenticate(t.Context(), "alice", "right")
	wantProblem(t, err, directory.Ambiguous)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.binds {
		if b.dn != fakeService {
			t.Errorf("got the bind %+v, want none but the service account's", b)
		}
	}
}

// ID-08: what an error says of the password: whether the try that was taken for it may be given back. A bind whose
// answer got lost is not sent again unasked, since it may have been counted.
func TestID08WhatIsKnownOfATry(t *testing.T) {
	f := startFake(t)
	f.person("CN=Alice,dc=fake", adPerson(nil))
	o := f.options("active_directory")
	o.OpTimeout = 200 * time.Millisecond
	d := open(t, o)
	alice, err := d.Lookup(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if alice.Person() == "" || alice.Person() != alice.Entry.ID {
		t.Errorf("found %q, want the immutable id", alice.Person())
	}
	try := func(name, password string, change func(), want directory.Try, problem directory.Problem, binds int) {
		t.Helper()
		f.set(change)
		before := len(f.bindsOf("CN=Alice,dc=fake"))
		_, err := d.Bind(t.Context(), alice, password, true)
		var failed *directory.Error
		if !errors.As(err, &failed) || failed.Try != want || failed.Problem != problem {
			t.Errorf("%s: got %v, %+v, want problem %s and try %d", name, err, failed, problem, want)
		}
		if n := len(f.bindsOf("CN=Alice,dc=fake")) - before; n != binds {
			t.Errorf("%s: %d binds, want %d", name, n, binds)
		}
	}
	try("wrong", "wrong", func() {}, directory.MaybeJudged, directory.BadCredentials, 1)
	try("empty", "", func() {}, directory.NotSent, directory.BadCredentials, 0)
	try("disabled", "wrong", func() {
		f.diag = "80090308: LdapErr: DSID-0C090, comment: AcceptSecurityContext error, data 533, v4563"
	},
		directory.Proved, directory.Disabled, 1)
	try("busy", "wrong", func() { f.code, f.diag = gldap.ResultBusy, "" }, directory.NotSent, directory.Unavailable, 2)
	try("an answer that nobody expects", "wrong", func() { f.code = gldap.ResultOther }, directory.MaybeJudged,
		directory.Unavailable, 1)
	try("no answer in time", "wrong", func() { f.code, f.slow = gldap.ResultInvalidCredentials, time.Second },
		directory.MaybeJudged, directory.Unavailable, 1)
	gone, stop := context.WithCancel(t.Context())
	stop()
	var failed *directory.Error
	if _, err := d.Bind(gone, alice, "wrong", false); !errors.As(err, &failed) || failed.Try != directory.NotSent {
		t.Errorf("whoever gave up before: %v, want that nothing was sent", err)
	}
	if _, err := d.Bind(t.Context(), directory.Found{}, "right", false); err == nil {
		t.Error("nobody was signed in")
	}
}

func TestFewRoundTrips(t *testing.T) {
	f := startFake(t)
	f.person("CN=Alice,dc=fake", adPerson(map[string][]string{"memberOf": {"cn=staff,dc=fake"}}))
	d := open(t, f.options("active_directory"))
	for range 3 {
		if _, err := d.Authenticate(t.Context(), "alice", "right"); err != nil {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// One search for each person and one for the group, whose name is kept; a bind for each and one of the service
	// account.
	if len(f.searches) != 4 || len(f.binds) != 4 {
		t.Errorf("got %d searches and %d binds for three sign-ins, want 4 and 4", len(f.searches), len(f.binds))
	}
}
