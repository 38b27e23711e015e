package directorytest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"ssobridge/idp/directory"
	"ssobridge/internal/testkind"
)

// Samba is a running Active Directory domain controller (Samba) on a loopback address of its own, since its ports can't
// be chosen: 389 (StartTLS), 636 (ldaps), 3268 and 3269 (global catalog). Its domain is ad.example.test, NetBIOS name
// EXAMPLE.
//
// The sample people are at CN=FIRST LAST,OU=People with sAMAccountName LOGIN and userPrincipalName
// LOGIN@ad.example.test; the groups at CN=NAME,OU=Groups. A domain policy locks an account after ten wrong passwords,
// mallory's after three.
type Samba struct {
	BaseDN        string // DC=ad,DC=example,DC=test
	BindDN        string // the service account
	BindPassword  string
	AdminDN       string // the domain's administrator
	AdminPassword string
	Domain        string // EXAMPLE
	DNSDomain     string // ad.example.test

	proc    process
	pki     pki
	dir     string
	address string
}

// StartSamba provisions and starts a domain controller with the sample people and groups, and stops it at the end of
// the test. It needs root, and takes some seconds: see SharedSamba.
func StartSamba(tb testing.TB) *Samba {
	tb.Helper()
	testkind.Starts(tb, "samba")
	s, err := newSamba(filepath.Join(tb.TempDir(), "samba"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Stop(tb) })
	return s
}

// URL is the ldaps:// URL.
func (s *Samba) URL() string { return "ldaps://" + s.address }

// PlainURL is the ldap:// URL, for StartTLS.
func (s *Samba) PlainURL() string { return "ldap://" + s.address }

// CAFile is the file with the authority that signed the server's certificate. The certificate is good for the server's
// address, 127.0.0.1, localhost and dc1.ad.example.test.
func (s *Samba) CAFile() string { return s.pki.caFile }

// PersonDN is the DN of a sample person, as Samba spells it.
func (s *Samba) PersonDN(login string) string {
	for _, p := range People() {
		if p.Login == login {
			return "CN=" + ldap.EscapeDN(p.FirstName+" "+p.LastName) + ",OU=People," + s.BaseDN
		}
	}
	return "CN=" + ldap.EscapeDN(login) + ",OU=People," + s.BaseDN
}

// GroupDN is the DN of a sample group.
func (s *Samba) GroupDN(cn string) string {
	return "CN=" + ldap.EscapeDN(cn) + ",OU=Groups," + s.BaseDN
}

// Options are options that reach this server over ldaps:// by the active_directory preset, as its service account.
func (s *Samba) Options() directory.Options {
	return directory.Options{
		Preset:       "active_directory",
		URLs:         []string{s.URL()},
		CAFile:       s.CAFile(),
		BindDN:       s.BindDN,
		BindPassword: s.BindPassword,
		BaseDN:       s.BaseDN,
		Domain:       s.Domain,
	}
}

// RID is the last number of an entry's security identifier.
func (s *Samba) RID(tb testing.TB, dn string) uint32 {
	tb.Helper()
	rid, err := s.rid(dn)
	if err != nil {
		tb.Fatal(err)
	}
	return rid
}

func (s *Samba) rid(dn string) (uint32, error) {
	conn, err := dial(s.URL(), s.CAFile())
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(s.AdminDN, s.AdminPassword); err != nil {
		return 0, err
	}
	found, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 10, false,
		"(objectClass=*)", []string{"objectSid"}, nil))
	if err != nil || len(found.Entries) != 1 {
		return 0, fmt.Errorf("directorytest: read the objectSid of %s: %w", dn, err)
	}
	raw := found.Entries[0].GetRawAttributeValue("objectSid")
	if len(raw) < 12 {
		return 0, fmt.Errorf("directorytest: %s has an objectSid of %d bytes", dn, len(raw))
	}
	return binary.LittleEndian.Uint32(raw[len(raw)-4:]), nil
}

// TryApply is Apply for changes that the server may refuse.
func (s *Samba) TryApply(ldif string) error { return s.apply(ldif) }

// Apply changes the data of the running server as administrator. Records without changetype are added.
func (s *Samba) Apply(tb testing.TB, ldif string) {
	tb.Helper()
	if err := s.apply(ldif); err != nil {
		tb.Fatal(err)
	}
}

// Deny takes the right to read an attribute of an entry from everybody. The attribute is named by its schemaIDGUID.
func (s *Samba) Deny(tb testing.TB, dn, attribute string) {
	tb.Helper()
	tool, err := program("samba-tool", "samba")
	if err != nil {
		tb.Fatal(err)
	}
	err = run("", tool, "dsacl", "set", "-s", filepath.Join(s.dir, "smb.conf"), "-H",
		filepath.Join(s.dir, "private", "sam.ldb"),
		"--objectdn="+dn, "--sddl=(OD;;RP;"+attribute+";;WD)")
	if err != nil {
		tb.Fatal("deny the reading of an attribute: ", err)
	}
}

// Stop stops the server; the data stays.
func (s *Samba) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.proc.stop(); err != nil {
		tb.Fatal(err)
	}
}

// Start starts a stopped server again with the same data.
func (s *Samba) Start(tb testing.TB) {
	tb.Helper()
	if err := s.proc.start(); err != nil {
		tb.Fatal(err)
	}
}

// Password is the attribute line that sets a password: "unicodePwd:: …".
func (s *Samba) Password(password string) string {
	var b strings.Builder
	writePair(&b, "unicodePwd", unicodePwd(password))
	return b.String()
}

// newSamba makes a domain controller in dir and starts it.
func newSamba(dir string) (*Samba, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("directorytest: the Samba domain controller must be run as root: its ports are below 1024 " +
			"and it keeps owners in extended attributes")
	}
	samba, err := program("samba", "samba samba-ad-dc samba-ad-provision winbind samba-dsdb-modules samba-vfs-modules")
	if err != nil {
		return nil, err
	}
	tool, err := program("samba-tool", "samba samba-ad-dc samba-ad-provision winbind samba-dsdb-modules samba-vfs-modules")
	if err != nil {
		return nil, err
	}
	s := &Samba{
		BaseDN:        "DC=ad,DC=example,DC=test",
		BindDN:        "CN=reader,OU=Services,DC=ad,DC=example,DC=test",
		BindPassword:  "Reader-secret-1",
		AdminDN:       "CN=Administrator,CN=Users,DC=ad,DC=example,DC=test",
		AdminPassword: "Adm1n-Passw0rd!",
		Domain:        "EXAMPLE",
		DNSDomain:     "ad.example.test",
		dir:           dir,
	}
	if s.address, err = freeAddress(389, 636, 3268, 3269); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if s.pki, err = newPKI(filepath.Join(dir, "pki"), []string{"dc1.ad.example.test", "localhost"}, s.address,
		"127.0.0.1"); err != nil {
		return nil, err
	}
	err = run("", tool, "domain", "provision", "--targetdir="+dir, "--realm="+strings.ToUpper(s.DNSDomain), "--domain="+
		s.Domain, "--server-role=dc", "--dns-backend=NONE",
		"--host-name=dc1", "--host-ip="+s.address, "--adminpass="+s.AdminPassword, "--option=interfaces=lo",
		"--option=bind interfaces only=yes",
		"--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb")
	if err != nil {
		return nil, fmt.Errorf("directorytest: provision the domain: %w", err)
	}
	conf := filepath.Join(dir, "smb.conf")
	if err := os.WriteFile(conf, []byte(s.config()), 0o600); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "run", "ncalrpc"), 0o755); err != nil {
		return nil, err
	}
	s.proc.argv = []string{samba, "-i", "-M", "single", "-s", conf, "--debug-stdout"}
	s.proc.ready = func() error { return tryBind(s.URL(), s.CAFile(), s.AdminDN, s.AdminPassword) }
	if err := s.proc.start(); err != nil {
		return nil, fmt.Errorf("directorytest: %w", err)
	}
	if err := s.apply(s.sampleLDIF()); err != nil {
		_ = s.proc.stop()
		return nil, fmt.Errorf("directorytest: load the sample data: %w", err)
	}
	if err := s.agePasswords(tool, "erin"); err != nil {
		_ = s.proc.stop()
		return nil, fmt.Errorf("directorytest: let a password expire: %w", err)
	}
	return s, nil
}

// config is the smb.conf: LDAP alone, everything below dir.
func (s *Samba) config() string {
	return strings.NewReplacer("ADDRESS", s.address, "DIR", s.dir, "KEYFILE", s.pki.keyFile, "CERTFILE", s.pki.certFile,
		"CAFILE", s.pki.caFile,
		"REALM", strings.ToUpper(s.DNSDomain), "DOMAIN", s.Domain).Replace(`[global]
netbios name = DC1
realm = REALM
workgroup = DOMAIN
server role = active directory domain controller
interfaces = ADDRESS/8
bind interfaces only = yes
server services = ldap
ldap server require strong auth = no
private dir = DIR/private
state directory = DIR/state
cache directory = DIR/cache
lock directory = DIR
pid directory = DIR/run
ncalrpc dir = DIR/run/ncalrpc
binddns dir = DIR/bind-dns
log file = DIR/samba.log
tls keyfile = KEYFILE
tls certfile = CERTFILE
tls cafile = CAFILE
`)
}

func (s *Samba) apply(ldif string) error {
	return applyLDIF(ldif, s.dir, s.URL(), s.CAFile(), s.AdminDN, s.AdminPassword)
}

// sampleLDIF is the sample data in the order that the server can take it.
func (s *Samba) sampleLDIF() string {
	var b strings.Builder
	// Sample passwords stay as they are; ten wrong ones lock an account.
	record(&b, s.BaseDN, "changetype", "modify", "replace", "lockoutThreshold", "lockoutThreshold", "10")
	for _, ou := range []string{"People", "Groups", "Services"} {
		record(&b, "OU="+ou+","+s.BaseDN, "objectClass", "organizationalUnit", "ou", ou)
	}
	const normal, disabled = "512", "514"
	record(&b, s.BindDN, "objectClass", "user", "cn", "reader", "sAMAccountName", "reader", "userAccountControl", normal,
		"unicodePwd", unicodePwd(s.BindPassword))
	for _, p := range People() {
		pairs := []string{"objectClass", "user", "sAMAccountName", p.Login, "userPrincipalName", p.Login + "@" + s.DNSDomain,
			"givenName", p.FirstName, "sn", p.LastName, "displayName", p.FirstName + " " + p.LastName, "mail", p.Mail,
			"unicodePwd", unicodePwd(Password)}
		control := normal
		switch p.State {
		case "disabled":
			control = disabled
		case "expired":
			pairs = append(pairs, "accountExpires", "133800000000000000") // 2024-12-29
		case "must_change":
			pairs = append(pairs, "pwdLastSet", "0")
		}
		record(&b, s.PersonDN(p.Login), append(pairs, "userAccountControl", control)...)
	}
	record(&b, "CN=strict,CN=Password Settings Container,CN=System,"+s.BaseDN, "objectClass", "msDS-PasswordSettings",
		"msDS-PasswordSettingsPrecedence", "10", "msDS-PasswordReversibleEncryptionEnabled", "FALSE",
		"msDS-PasswordHistoryLength", "0",
		"msDS-PasswordComplexityEnabled", "FALSE", "msDS-MinimumPasswordLength", "0", "msDS-MinimumPasswordAge", "0",
		"msDS-MaximumPasswordAge", "-9223372036854775808", "msDS-LockoutThreshold", "3", "msDS-LockoutObservationWindow",
		"-18000000000",
		"msDS-LockoutDuration", "-18000000000", "msDS-PSOAppliesTo", s.PersonDN("mallory"))
	for _, g := range Groups() {
		pairs := []string{"objectClass", "group", "sAMAccountName", strings.Trim(strings.NewReplacer("<", "", ">", "", "/",
			"").Replace(g.Group), " ")}
		for _, login := range g.People {
			pairs = append(pairs, "member", s.PersonDN(login))
		}
		for _, cn := range g.Groups {
			pairs = append(pairs, "member", s.GroupDN(cn))
		}
		record(&b, s.GroupDN(g.Group), pairs...)
	}
	record(&b, s.GroupDN("ring-a"), "changetype", "modify", "add", "member", "member", s.GroupDN("ring-c"))
	return b.String()
}

// agePasswords sets the password time of some people back, so that their passwords have expired. The server lets nobody
// write it, so it is changed in the database file of the domain.
func (s *Samba) agePasswords(tool string, logins ...string) error {
	// The Python that samba-tool runs on has Samba's database module; another one in the path may not.
	script, err := os.ReadFile(tool)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(script), "\n")
	python := strings.TrimSpace(strings.TrimPrefix(line, "#!"))
	file := filepath.Join(s.dir, "private", "sam.ldb.d", strings.ToUpper(s.BaseDN)+".ldb")
	return run(`
import ldb, sys
db = ldb.Ldb("tdb://" + sys.argv[1])
for login in sys.argv[2:]:
    found = db.search(scope=ldb.SCOPE_SUBTREE, expression="(sAMAccountName=%s)" % login, attrs=["pwdLastSet"])
    change = ldb.Message(found[0].dn)
    change["pwdLastSet"] = ldb.MessageElement("133484184000000000", ldb.FLAG_MOD_REPLACE, "pwdLastSet") # January 2024
    db.modify(change)
`, append([]string{python, "-", file}, logins...)...)
}

// unicodePwd is a password as Active Directory takes it: in quotes, UTF-16 little-endian.
func unicodePwd(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// freeAddress is a loopback address on which nobody listens at these ports.
func freeAddress(ports ...int) (string, error) {
	var last error
	for range 50 {
		address := fmt.Sprintf("127.%d.%d.%d", 20+rand.IntN(200), rand.IntN(256), 1+rand.IntN(254))
		if last = canListen(address, ports); last == nil {
			return address, nil
		}
	}
	return "", fmt.Errorf("directorytest: no loopback address with ports %v free: %w", ports, last)
}

func canListen(address string, ports []int) error {
	for _, port := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
