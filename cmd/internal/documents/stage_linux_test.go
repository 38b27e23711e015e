package documents_test

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"ssobridge/internal/testkind"
	"ssobridge/partnerapi/sandbox"
)

// What README and the pages call it.
const (
	account  = "a07e1lxqqqo0"
	entityID = "https://www.okta.com/saml2/service-provider/spabc"
	public   = "https://sso.example.com"
	password = "a sample password"
)

// dieWithTest ends a process with the test, whatever ended that.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// program is ssobridge, built once.
var program = sync.OnceValues(func() ([]byte, error) { return build("ssobridge") })

// build builds a program of ours.
func build(name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "documents-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, name), "./cmd/"+name)
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, name))
}

// unpacked puts what a release holds into /root/ssobridge, as somebody has it who unpacked the archive.
func (m *machine) unpacked(t *testing.T) {
	t.Helper()
	testkind.Starts(t, "the built program")
	built, err := program()
	if err != nil {
		t.Fatal(err)
	}
	m.must("mkdir -p /root/ssobridge && cd /root/ssobridge")
	m.write("/root/ssobridge/ssobridge", string(built))
	m.must("chmod 755 ssobridge")
	units, err := filepath.Glob(filepath.Join(root, "cmd/ssobridge/*.service"))
	if err != nil {
		t.Fatal(err)
	}
	timers, err := filepath.Glob(filepath.Join(root, "cmd/ssobridge/*.timer"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(units, timers...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m.write("/root/ssobridge/"+filepath.Base(name), string(text))
	}
}

// constantContact serves a sandbox under Constant Contact's own names.
func (m *machine) constantContact(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	const web = "https://identity.constantcontact.com"
	s, err := sandbox.New(sandbox.Options{
		PublicURL: web, EntityID: entityID, Audience: entityID, LandingURL: web + sandbox.LandingPath,
		ClientID: "0oa1partnerid", ClientSecret: "the partner's secret", APIKey: "the-api-key",
		ExternalProvider: "example_partner",
		Accounts:         sandbox.SampleAccounts(), IdPMetadataURL: public + "/saml/metadata", Transport: m.transport(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := s.NewServer()
	listener := tls.NewListener(m.listen("192.0.2.2:443"),
		m.pki.server(t, "identity.constantcontact.com", "api.cc.email", "authz.constantcontact.com"))
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close(); _ = server.Close(); <-done })
	return s
}

// people are who the directory has. Their passwords are password.
const people = `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example Marketing

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit

dn: ou=ctct,ou=groups,dc=example,dc=com
objectClass: organizationalUnit

dn: ou=services,dc=example,dc=com
objectClass: organizationalUnit

dn: cn=ssobridge,ou=services,dc=example,dc=com
objectClass: applicationProcess
objectClass: simpleSecurityObject
userPassword: the bind password

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
cn: Alice Anders
givenName: Alice
sn: Anders
mail: alice@example.com
userPassword: a sample password

dn: uid=bob,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
cn: Bob Brandt
givenName: Bob
sn: Brandt
mail: bob@example.com
userPassword: a sample password

dn: uid=mina,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
cn: Mina Moss
givenName: Mina
sn: Moss
mail: mina@example.com
userPassword: a sample password

dn: cn=marketing,ou=groups,dc=example,dc=com
objectClass: groupOfNames
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=staff,ou=groups,dc=example,dc=com
objectClass: groupOfNames
member: uid=alice,ou=people,dc=example,dc=com
member: uid=bob,ou=people,dc=example,dc=com

dn: cn=sso-viewers,ou=groups,dc=example,dc=com
objectClass: groupOfNames
member: uid=bob,ou=people,dc=example,dc=com

dn: cn=sso-operators,ou=groups,dc=example,dc=com
objectClass: groupOfNames
member: uid=bob,ou=people,dc=example,dc=com

dn: cn=sso-admins,ou=groups,dc=example,dc=com
objectClass: groupOfNames
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=ctct-a07e1lxqqqp1-campaign_creator,ou=ctct,ou=groups,dc=example,dc=com
objectClass: groupOfNames
member: uid=bob,ou=people,dc=example,dc=com
`

// named finds the name of an entry, which has to stand among its attributes too.
var named = regexp.MustCompile(`(?m)^dn: (\w+)=([^,]+),.*$`)

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
loglevel 0
pidfile /srv/ldap/slapd.pid
TLSCACertificateFile /srv/ldap/ca.crt
TLSCertificateFile /srv/ldap/tls.crt
TLSCertificateKeyFile /srv/ldap/tls.key
security simple_bind=128
database mdb
suffix "dc=example,dc=com"
directory /srv/ldap/data
dbnosync
index objectClass,uid,member,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
`

// directory starts slapd with the people, and leaves the secrets of partner and directory in /root/ssobridge, as
// somebody has them who was given them.
func (m *machine) directory(t *testing.T) {
	t.Helper()
	m.must("mkdir -p /srv/ldap/data")
	cert, key := m.pki.issue(t, "ldap1.example.com", "ldap2.example.com")
	for name, text := range map[string]string{"ca.crt": m.pki.pem, "tls.crt": cert, "tls.key": key,
		"people.ldif": named.ReplaceAllString(people, "$0\n$1: $2"),
		"slapd.conf":  slapdConf} {
		m.write("/srv/ldap/"+name, text)
	}
	m.must("slapadd -q -f /srv/ldap/slapd.conf -l /srv/ldap/people.ldif")
	m.must("slapd -f /srv/ldap/slapd.conf -h ldaps://127.0.0.3")
	for name, text := range map[string]string{"ldap-ca.crt": m.pki.pem, "bind_password": "the bind password",
		"partner_secret": "the partner's secret", "api_key": "the-api-key"} {
		m.write("/root/ssobridge/"+name, text+"\n")
	}
	m.certificate(t, "/root/ssobridge/", "sso.example.com")
}

// certificate leaves one for a host in a folder.
func (m *machine) certificate(t *testing.T, folder, host string) {
	t.Helper()
	cert, key := m.pki.issue(t, host)
	m.write(folder+"tls.crt", cert)
	m.write(folder+"tls.key", key)
}
