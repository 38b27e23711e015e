// Package directorytest runs real directory servers for tests and benchmarks: OpenLDAP (slapd) and a Samba Active
// Directory domain controller, on loopback, with certificates of their own and sample people.
//
// It is for tests only and must never be linked into a program that people run. The servers are real, so a test that
// passes here has seen a real bind, a real TLS handshake and real result codes. A missing server is a failure that
// names the package to install, never a skip: a test that silently did not run proves nothing.
//
// One server for one test:
//
//	s := directorytest.StartSlapd(t)
//	d, err := directory.New(s.Options())
//
// One server for all tests of a package (Samba takes some seconds to start):
//
//	func TestMain(m *testing.M) { os.Exit(directorytest.Main(m)) }
//
//	func TestX(t *testing.T) { ad := directorytest.SharedSamba(t) … }
//
// The sample people are listed at [People]; all have the password [Password].
package directorytest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"ssobridge/internal/testkind"
)

// Password is the password of every sample person of both servers.
const Password = "Correct-horse-9!"

// Person is one of the sample people, as both servers know them.
type Person struct {
	Login     string // uid, sAMAccountName
	FirstName string
	LastName  string
	Mail      string
	State     string // what is special about the account, "" for nothing
}

// People are the sample people. Direct group memberships are listed at [Groups].
//
// The states mean, in words of the directory package: disabled → Disabled; password_expired → PasswordExpired;
// must_change → MustChange; expired → Expired; lockout → a password policy that locks after three wrong passwords.
// OpenLDAP answers a bind of a disabled or expired person with Locked, since it does so without the right password; a
// Read tells the state.
func People() []Person {
	return []Person{
		{Login: "alice", FirstName: "Alice", LastName: "Anders", Mail: "alice@example.test"},
		{Login: "bob", FirstName: "Bob", LastName: "Brandt", Mail: "bob@example.test"},
		{Login: "carol", FirstName: "Carol", LastName: "Castle", Mail: "carol@example.test"},
		{Login: "dave", FirstName: "Dave", LastName: "Disabled", Mail: "dave@example.test", State: "disabled"},
		{Login: "erin", FirstName: "Erin", LastName: "Expired", Mail: "erin@example.test", State: "password_expired"},
		{Login: "frank", FirstName: "Frank", LastName: "Fresh", Mail: "frank@example.test", State: "must_change"},
		{Login: "grace", FirstName: "Grace", LastName: "Gone", Mail: "grace@example.test", State: "expired"},
		{Login: "heidi", FirstName: "Heidi", LastName: "Nested", Mail: "heidi@example.test"},
		{Login: "mallory", FirstName: "Mallory", LastName: "Locked", Mail: "mallory@example.test", State: "lockout"},
		{Login: "eve", FirstName: "<b>Eve</b>", LastName: "<script>alert(1)</script> & Co", Mail: "eve@example.test"},
		{Login: "zoe", FirstName: "Zoë", LastName: "Żółć 山田", Mail: "zoe@example.test"},
	}
}

// Members says who is directly in a sample group.
type Members struct {
	Group  string   // cn
	People []string // logins
	Groups []string // cn of groups that are members of this group
}

// Groups are the sample groups.
//
//   - ctct-a07e1lxqqqo0-account_manager and ctct-a07e1lxqqqo1-campaign_creator name an account and a role, for mapping
//     patterns; alice is in both.
//   - staff ← sales ← emea is a chain (emea is a member of sales, sales of staff); heidi is in emea alone.
//   - ring-a, ring-b and ring-c are members of one another in a circle; bob is in ring-a.
//   - <i>Marketing</i> & Söhne has a name that must be escaped wherever it is shown.
//   - everybody has 2,000 members in slapd, most of whom do not exist. Alice and bob are in it. In Samba,
//     where members must exist, they are alone.
//
// Carol is in no group.
func Groups() []Members {
	return []Members{
		{Group: "ctct-a07e1lxqqqo0-account_manager", People: []string{"alice", "eve"}},
		{Group: "ctct-a07e1lxqqqo1-campaign_creator", People: []string{"alice", "zoe"}},
		{Group: "emea", People: []string{"heidi"}},
		{Group: "sales", Groups: []string{"emea"}, People: []string{"bob"}},
		{Group: "staff", Groups: []string{"sales"}},
		{Group: "ring-a", People: []string{"bob"}},
		{Group: "ring-b", Groups: []string{"ring-a"}},
		{Group: "ring-c", Groups: []string{"ring-b"}},
		{Group: "<i>Marketing</i> & Söhne", People: []string{"eve", "dave", "erin", "frank", "grace", "mallory"}},
		{Group: crowd, People: []string{"alice", "bob"}},
	}
}

// crowd is the group of 2,000 members.
const (
	crowd     = "everybody"
	crowdSize = 2000
)

// shared holds the servers that live as long as the test binary. It is package state on purpose: a test binary is one
// process, and a server for each test of a package would cost more than the tests.
var shared struct {
	sync.Mutex
	running  bool
	dir      string
	slapd    *Slapd
	samba    *Samba
	sambaErr error
	slapdErr error
}

// Main runs the tests of a package and then stops the shared servers. It returns the exit code.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "directorytest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "directorytest: make a temporary folder:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shared.Lock()
	shared.running, shared.dir = true, dir
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.slapd != nil {
		_ = shared.slapd.proc.stop()
	}
	if shared.samba != nil {
		_ = shared.samba.proc.stop()
	}
	return code
}

// SharedSlapd is one slapd with the sample data for all tests of this test binary. Tests must not change what others
// read in it; a test that does, or that stops the server, takes [StartSlapd]. It needs [Main].
func SharedSlapd(tb testing.TB) *Slapd {
	tb.Helper()
	testkind.Starts(tb, "slapd")
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		tb.Fatal("directorytest: SharedSlapd needs TestMain to call directorytest.Main, which stops the server")
	}
	if shared.slapd == nil && shared.slapdErr == nil {
		shared.slapd, shared.slapdErr = newSlapd(shared.dir+"/slapd", SlapdOptions{})
	}
	if shared.slapdErr != nil {
		tb.Fatal(shared.slapdErr)
	}
	return shared.slapd
}

// SharedSamba is one Samba domain controller with the sample data for all tests of this test binary. It needs [Main].
func SharedSamba(tb testing.TB) *Samba {
	tb.Helper()
	testkind.Starts(tb, "samba")
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		tb.Fatal("directorytest: SharedSamba needs TestMain to call directorytest.Main, which stops the server")
	}
	if shared.samba == nil && shared.sambaErr == nil {
		shared.samba, shared.sambaErr = newSamba(shared.dir + "/samba")
	}
	if shared.sambaErr != nil {
		tb.Fatal(shared.sambaErr)
	}
	return shared.samba
}
