package directorytest

import (
	"crypto/sha1" // #nosec G505 -- slapd's {SSHA} scheme; the passwords are samples
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// applyLDIF feeds a change to a running server by ldapmodify.
func applyLDIF(ldif, dir, url, caFile, dn, password string) error {
	ldapmodify, err := program("ldapmodify", "ldap-utils")
	if err != nil {
		return err
	}
	env, err := program("env", "coreutils")
	if err != nil {
		return err
	}
	// The password goes by a file, so that it does not stand in the process list.
	pw := filepath.Join(dir, "admin.pw")
	if err := os.WriteFile(pw, []byte(password), 0o600); err != nil {
		return err
	}
	return run(ldif, env, "LDAPTLS_CACERT="+caFile, "LDAPTLS_REQCERT=demand", "LDAPCONF=/dev/null", ldapmodify, "-a", "-x",
		"-H", url, "-D", dn, "-y", pw)
}

// record writes one LDIF record. Values that LDIF does not take as they are go in base64.
func record(b *strings.Builder, dn string, pairs ...string) {
	writePair(b, "dn", dn)
	for i := 0; i+1 < len(pairs); i += 2 {
		writePair(b, pairs[i], pairs[i+1])
	}
	b.WriteByte('\n')
}

func writePair(b *strings.Builder, name, value string) {
	safe := value != "" && !strings.ContainsAny(value[:1], " :<") && value[len(value)-1] != ' '
	for _, c := range []byte(value) {
		safe = safe && c >= 0x20 && c < 0x7f
	}
	if safe {
		fmt.Fprintf(b, "%s: %s\n", name, value)
		return
	}
	fmt.Fprintf(b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
}

// ssha is a password in slapd's {SSHA} form.
func ssha(password string) string {
	salt := "directorytest"
	sum := sha1.Sum([]byte(password + salt)) // #nosec G401 -- see the import
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

// peopleLDIF is what slapadd loads: containers, policies, the service account, the people.
func (s *Slapd) peopleLDIF(o SlapdOptions) string {
	var b strings.Builder
	record(&b, s.BaseDN, "objectClass", "dcObject", "objectClass", "organization", "dc", "example", "o", "Example")
	for _, ou := range []string{"people", "groups", "services", "policies"} {
		record(&b, "ou="+ou+","+s.BaseDN, "objectClass", "organizationalUnit", "ou", ou)
	}
	policy := func(cn string, pairs ...string) {
		record(&b, "cn="+cn+",ou=policies,"+s.BaseDN, append([]string{"objectClass", "device", "objectClass",
			"pwdPolicy", "cn", cn,
			"pwdAttribute", "userPassword", "pwdLockout", "TRUE", "pwdLockoutDuration", "900", "pwdFailureCountInterval", "900",
			"pwdMustChange", "TRUE"}, pairs...)...)
	}
	policy("default", "pwdMaxFailure", "20")
	policy("expiring", "pwdMaxFailure", "20", "pwdMaxAge", "86400")
	policy("strict", "pwdMaxFailure", "3")
	record(&b, s.BindDN, "objectClass", "applicationProcess", "objectClass", "simpleSecurityObject", "cn", "reader",
		"userPassword", ssha(s.BindPassword))
	if !o.Empty {
		for _, p := range People() {
			s.person(&b, p)
		}
	}
	return b.String()
}

// person writes the record of somebody, with more attributes if need be.
func (s *Slapd) person(b *strings.Builder, p Person, more ...string) {
	pairs := []string{"objectClass", "inetOrgPerson", "uid", p.Login, "givenName", p.FirstName, "sn", p.LastName,
		"cn", p.FirstName + " " + p.LastName, "mail", p.Mail, "userPassword", ssha(Password)}
	switch p.State {
	case "disabled":
		pairs = append(pairs, "pwdAccountLockedTime", "000001010000Z", "pwdChangedTime", "20240102030405Z")
	case "password_expired":
		pairs = append(pairs, "pwdPolicySubentry", "cn=expiring,ou=policies,"+s.BaseDN, "pwdChangedTime", "20240102030405Z")
	case "must_change":
		pairs = append(pairs, "pwdReset", "TRUE", "pwdChangedTime", "20240102030405Z")
	case "lockout":
		pairs = append(pairs, "pwdPolicySubentry", "cn=strict,ou=policies,"+s.BaseDN, "pwdChangedTime", "20240102030405Z")
	case "expired":
		pairs = append(pairs, "pwdEndTime", "20250101000000Z", "pwdChangedTime", "20240102030405Z")
	default:
		pairs = append(pairs, "pwdChangedTime", "20240102030405Z")
	}
	record(b, s.PersonDN(p.Login), append(pairs, more...)...)
}

// groupsLDIF is what is added to the running server.
func (s *Slapd) groupsLDIF(o SlapdOptions) string {
	var b strings.Builder
	groups := Groups()
	if o.Empty {
		groups = groups[:1]
		groups[0].People = nil
	}
	for i, g := range groups {
		pairs := []string{"objectClass", "groupOfNames", "cn", g.Group}
		for _, login := range g.People {
			pairs = append(pairs, "member", s.PersonDN(login))
		}
		for _, cn := range g.Groups {
			pairs = append(pairs, "member", s.GroupDN(cn))
		}
		if i == 0 {
			for n := range o.inFirstGroup() {
				pairs = append(pairs, "member", s.PersonDN(LoadLogin(n)))
			}
			if o.Empty && o.inFirstGroup() == 0 {
				pairs = append(pairs, "member", s.BindDN) // groupOfNames must have a member
			}
		}
		if g.Group == crowd {
			for n := len(g.People); n < crowdSize; n++ {
				pairs = append(pairs, "member", s.PersonDN(fmt.Sprintf("nobody%04d", n)))
			}
		}
		record(&b, s.GroupDN(g.Group), pairs...)
	}
	if !o.Empty {
		// The circle closes: ring-c is a member of ring-a.
		record(&b, s.GroupDN("ring-a"), "changetype", "modify", "add", "member", "member", s.GroupDN("ring-c"))
	}
	return b.String()
}
