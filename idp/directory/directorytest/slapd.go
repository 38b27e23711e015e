package directorytest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"ssobridge/idp/directory"
	"ssobridge/internal/testkind"
)

// SlapdOptions change what StartSlapdWith starts.
type SlapdOptions struct {
	Empty bool // only the suffix, the containers and the service account: no sample people and groups
	// so many more people, user00001 and so on, each in the group ctct-a07e1lxqqqo0-account_manager unless Groups is set;
	// for load
	People int
	Plain  bool // allow simple binds without TLS
	// Foreign adds attributes of other servers, in the class foreignEntry that any entry can take: nsAccountLock,
	// loginDisabled, krbPasswordExpiration, krbPrincipalExpiration, passwordExpirationTime, loginExpirationTime,
	// ipaUniqueID, nsUniqueId, GUID. Their numbers are made up.
	Foreign bool

	// Groups adds so many groups, team00001 and so on, in which the people of People are; see LoadGroup and LoadMembers.
	Groups          int
	MembersPerGroup int // people in each
	BigGroup        int // people in team00001 instead
	// so many groups in a row are a chain, each a member of the one before; the last two are members of each other
	NestDepth int
}

// Slapd is a running OpenLDAP server with a database of its own, reachable by ldaps:// and by ldap:// with StartTLS on
// 127.0.0.1. Its suffix is dc=example,dc=test, people are uid=LOGIN,ou=people, groups are groupOfNames at
// cn=NAME,ou=groups, and memberOf is kept by the memberof overlay. Binds without TLS are refused unless
// SlapdOptions.Plain was set.
type Slapd struct {
	BaseDN        string // dc=example,dc=test
	BindDN        string // the service account: may read everything but passwords
	BindPassword  string
	AdminDN       string // may write everything
	AdminPassword string

	proc  process
	pki   pki
	dir   string
	ldap  int
	ldaps int
}

// StartSlapd starts a slapd with the sample people and groups and stops it at the end of the test. It takes about a
// tenth of a second.
func StartSlapd(tb testing.TB) *Slapd {
	tb.Helper()
	return StartSlapdWith(tb, SlapdOptions{})
}

// StartSlapdWith is StartSlapd with options.
func StartSlapdWith(tb testing.TB, o SlapdOptions) *Slapd {
	tb.Helper()
	testkind.Starts(tb, "slapd")
	s, err := newSlapd(filepath.Join(tb.TempDir(), "slapd"), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Stop(tb) })
	return s
}

// URL is the ldaps:// URL.
func (s *Slapd) URL() string { return "ldaps://127.0.0.1:" + strconv.Itoa(s.ldaps) }

// PlainURL is the ldap:// URL, for StartTLS and for refusals.
func (s *Slapd) PlainURL() string { return "ldap://127.0.0.1:" + strconv.Itoa(s.ldap) }

// Address is host:port of the ldaps:// listener, for a proxy in front of it.
func (s *Slapd) Address() string { return "127.0.0.1:" + strconv.Itoa(s.ldaps) }

// CAFile is the file with the authority that signed the server's certificate. The certificate is good for 127.0.0.1,
// ::1 and localhost.
func (s *Slapd) CAFile() string { return s.pki.caFile }

// PersonDN is the DN of a sample person.
func (s *Slapd) PersonDN(login string) string {
	return "uid=" + ldap.EscapeDN(login) + ",ou=people," + s.BaseDN
}

// GroupDN is the DN of a sample group.
func (s *Slapd) GroupDN(cn string) string {
	return "cn=" + ldap.EscapeDN(cn) + ",ou=groups," + s.BaseDN
}

// Options are options that reach this server over ldaps:// by the openldap preset, as its service account.
func (s *Slapd) Options() directory.Options {
	return directory.Options{
		Preset:       "openldap",
		URLs:         []string{s.URL()},
		CAFile:       s.CAFile(),
		BindDN:       s.BindDN,
		BindPassword: s.BindPassword,
		BaseDN:       s.BaseDN,
	}
}

// TryApply is Apply for changes that the server may refuse.
func (s *Slapd) TryApply(ldif string) error { return s.apply(ldif) }

// Apply changes the data of the running server as administrator. Records without changetype are added.
func (s *Slapd) Apply(tb testing.TB, ldif string) {
	tb.Helper()
	if err := s.apply(ldif); err != nil {
		tb.Fatal(err)
	}
}

// Stop stops the server; the data stays.
func (s *Slapd) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.proc.stop(); err != nil {
		tb.Fatal(err)
	}
}

// Start starts a stopped server again, at the same ports with the same data.
func (s *Slapd) Start(tb testing.TB) {
	tb.Helper()
	if err := s.proc.start(); err != nil {
		tb.Fatal(err)
	}
}

// Restart stops and starts the server.
func (s *Slapd) Restart(tb testing.TB) {
	tb.Helper()
	s.Stop(tb)
	s.Start(tb)
}

// Freeze halts the server without closing anything: it takes connections (the kernel does) and answers nothing. Thaw
// lets it go on.
func (s *Slapd) Freeze(tb testing.TB) {
	tb.Helper()
	if err := s.proc.freeze(); err != nil {
		tb.Fatal("freeze slapd:", err)
	}
}

// Thaw ends Freeze.
func (s *Slapd) Thaw(tb testing.TB) {
	tb.Helper()
	if err := s.proc.thaw(); err != nil {
		tb.Fatal("thaw slapd:", err)
	}
}

// newSlapd makes a server in dir and starts it. Another process may take the ports between choosing and listening, so
// it tries again with others.
func newSlapd(dir string, o SlapdOptions) (*Slapd, error) {
	var errs []error
	for try := range 3 {
		s, err := trySlapd(filepath.Join(dir, strconv.Itoa(try)), o)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("directorytest: start slapd: %w", errors.Join(errs...))
}

func trySlapd(dir string, o SlapdOptions) (*Slapd, error) {
	slapd, err := program("slapd", "slapd")
	if err != nil {
		return nil, err
	}
	slapadd, err := program("slapadd", "slapd")
	if err != nil {
		return nil, err
	}
	s := &Slapd{
		BaseDN:        "dc=example,dc=test",
		BindDN:        "cn=reader,ou=services,dc=example,dc=test",
		BindPassword:  "Reader-secret-1",
		AdminDN:       "cn=admin,dc=example,dc=test",
		AdminPassword: "Admin-secret-1",
		dir:           dir,
	}
	if s.pki, err = newPKI(filepath.Join(dir, "pki"), []string{"localhost"}, "127.0.0.1", "::1"); err != nil {
		return nil, err
	}
	if s.ldap, err = freePort("127.0.0.1"); err != nil {
		return nil, err
	}
	if s.ldaps, err = freePort("127.0.0.1"); err != nil {
		return nil, err
	}
	config, err := s.config(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(conf, []byte(config), 0o600); err != nil {
		return nil, err
	}
	// People are loaded off line: fast, and the only way to give them password times of the past.
	if err := runFed(s.loadLDIF(o), slapadd, "-q", "-f", conf); err != nil {
		return nil, fmt.Errorf("load the people: %w", err)
	}
	s.proc.argv = []string{slapd, "-d", "0", "-f", conf, "-h", s.PlainURL() + "/ " + s.URL() + "/"}
	s.proc.ready = s.ready
	if err := s.proc.start(); err != nil {
		return nil, err
	}
	// Groups are added to the running server, so that the memberof overlay sees them.
	if err := s.apply(s.groupsLDIF(o)); err != nil {
		_ = s.proc.stop()
		return nil, fmt.Errorf("load the groups: %w", err)
	}
	return s, nil
}

// config is the slapd.conf.
func (s *Slapd) config(o SlapdOptions) (string, error) {
	schemas, err := folder("core.schema", "/etc/ldap/schema", "/etc/openldap/schema", "/usr/local/etc/openldap/schema")
	if err != nil {
		return "", err
	}
	modules, err := folder("back_mdb.so", "/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap",
		"/usr/local/libexec/openldap")
	if err != nil {
		return "", err
	}
	schema := ""
	if o.Foreign {
		schema = foreignSchema()
	}
	security := "security simple_bind=128"
	if o.Plain {
		security = ""
	}
	return strings.NewReplacer("SCHEMAS", schemas, "MODULES", modules, "DIR", s.dir, "CAFILE", s.pki.caFile, "CERTFILE",
		s.pki.certFile,
		"KEYFILE", s.pki.keyFile, "SECURITY", security, "FOREIGN", schema,
		"SUFFIX", s.BaseDN, "ADMINDN", s.AdminDN, "ADMINPW", s.AdminPassword,
		"READER", s.BindDN,
	).Replace(`include SCHEMAS/core.schema
include SCHEMAS/cosine.schema
include SCHEMAS/nis.schema
include SCHEMAS/inetorgperson.schema
FOREIGNmodulepath MODULES
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile DIR/slapd.pid
argsfile DIR/slapd.args
TLSCACertificateFile CAFILE
TLSCertificateFile CERTFILE
TLSCertificateKeyFile KEYFILE
TLSProtocolMin 3.3
sortvals member uniqueMember memberUid
SECURITY
database mdb
maxsize 4294967296
suffix "SUFFIX"
rootdn "ADMINDN"
rootpw ADMINPW
directory DIR/data
dbnosync
limits dn.exact=READER size.prtotal=unlimited size=unlimited
index objectClass,uid,member,uniqueMember,memberUid,entryUUID,gidNumber eq
overlay memberof
memberof-memberof-ad memberOf
overlay ppolicy
ppolicy_default "cn=default,ou=policies,SUFFIX"
ppolicy_use_lockout
ppolicy_hash_cleartext
access to attrs=userPassword by anonymous auth by self =xw by * none
access to * by users read by * none
`), nil
}

// foreignSchema imitates what 389 Directory Server, FreeIPA and eDirectory keep of an account.
func foreignSchema() string {
	const text, boolean, at, octets = "caseIgnoreMatch 15", "booleanMatch 7", "generalizedTimeMatch 24",
		"octetStringMatch 40"
	var schema strings.Builder
	var names []string
	for i, a := range [][2]string{{"nsAccountLock", text}, {"loginDisabled", boolean}, {"krbPasswordExpiration", at},
		{"krbPrincipalExpiration", at}, {"passwordExpirationTime", at}, {"loginExpirationTime", at}, {"ipaUniqueID", text},
		{"nsUniqueId", text}, {"GUID", octets}} {
		rule, syntax, _ := strings.Cut(a[1], " ")
		fmt.Fprintf(&schema, "attributetype ( 1.3.6.1.4.1.99999.1.%d NAME '%s' EQUALITY %s\n  "+
			"SYNTAX 1.3.6.1.4.1.1466.115.121.1.%s SINGLE-VALUE )\n", i+1, a[0], rule, syntax)
		names = append(names, a[0])
	}
	fmt.Fprintf(&schema, "objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'foreignEntry' SUP top AUXILIARY\n  MAY ( %s ) )\n",
		strings.Join(names, " $ "))
	return schema.String()
}

// ready connects by TLS and binds as the service account.
func (s *Slapd) ready() error {
	return tryBind(s.URL(), s.CAFile(), s.BindDN, s.BindPassword)
}

func (s *Slapd) apply(ldif string) error {
	return applyLDIF(ldif, s.dir, s.URL(), s.CAFile(), s.AdminDN, s.AdminPassword)
}

// tryBind makes one TLS connection and binds.
func tryBind(url, caFile, dn, password string) error {
	conn, err := dial(url, caFile)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.Bind(dn, password)
}

func dial(url, caFile string) (*ldap.Conn, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := ldap.DialURL(url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(20 * time.Second)
	return conn, nil
}

// folder is the first folder that has the file.
func folder(file string, dirs ...string) (string, error) {
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, file)); err == nil {
			return d, nil
		}
	}
	return "", fmt.Errorf("directorytest: %s is in none of %s: apt-get install slapd", file, strings.Join(dirs, ", "))
}
