package directory_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// oddNames are names that differ in what servers might fold: each is an entry of its own where the server lets it be.
var oddNames = []string{
	"sso-admins", "SSO Admins", "SSO  Admins", "sso-admins\u1680", "SSO\u00a0Admins", "SSO\u3000Admins", "sso\u00adadmins",
	"sso-admins\u200b",
	"\u212aing", "King", "Söhne", "SOHNE", "Sohne", "Straße", "STRASSE", "ﬁx", "fix", "Ⅳ", "IV", "i", "İ", "ı",
	"ſales", "sales",
	"a,b", "a+b", "a=b", "#a", " a", "a ", `a\b`, `"a"`, "a;b", "<a>", "a\tb", "a\u0301", "á", "ａ", "o=x,cn=y",
}

// spelled writes a DN's part in one of the ways in which it can be written, or in one that somebody might take for
// such.
func spelled(r *rand.Rand, attribute, value string) string {
	if r.IntN(4) == 0 {
		attribute = strings.ToUpper(attribute)
	}
	var b strings.Builder
	b.WriteString(attribute)
	if r.IntN(8) == 0 {
		b.WriteByte(' ')
	}
	b.WriteByte('=')
	if r.IntN(8) == 0 {
		b.WriteByte(' ')
	}
	at := 0
	for _, c := range value {
		text := string(c)
		switch r.IntN(24) {
		case 0:
			text = strings.ToUpper(text)
		case 1:
			text = strings.ToLower(text)
		case 2:
			text += " "
		case 3:
			if c == ' ' {
				text = []string{"\u00a0", "\u1680", "\t", "\u2003"}[r.IntN(4)]
			}
		}
		for _, c := range []byte(text) {
			switch {
			case r.IntN(12) == 0 || c < ' ':
				fmt.Fprintf(&b, `\%02x`, c)
			case strings.ContainsRune(`,+"\<>;=`, rune(c)), at == 0 && (c == '#' || c == ' '), c == ' ' && r.IntN(2) == 0:
				b.WriteString(`\` + string(rune(c)))
			default:
				b.WriteByte(c)
			}
			at++
		}
	}
	if strings.HasSuffix(b.String(), " ") && r.IntN(2) == 0 {
		return strings.TrimSuffix(b.String(), " ") + `\20`
	}
	return b.String()
}

// ID-03: what SameDN takes for one DN is one for real servers: both spellings read the same entry, or neither reads
// any. Samba does not take a space before the = at all; there, the two must not be two entries.
func TestID03SameDNReadsTheSameEntry(t *testing.T) {
	const pairs = 6000
	check := func(t *testing.T, o directory.Options, base string, attributes []string, strict bool) {
		d := open(t, o)
		read := func(dn string) string {
			g, err := d.Group(t.Context(), dn)
			switch {
			case errors.Is(err, directory.ErrNotFound), err != nil && problemOf(t, err) == directory.BadData:
				return ""
			case err != nil:
				t.Fatalf("%q: %v", dn, err)
			}
			return g.ID
		}
		r := rand.New(rand.NewPCG(7, 11))
		same, there := 0, 0
		for range pairs {
			name, attribute := oddNames[r.IntN(len(oddNames))], attributes[r.IntN(len(attributes))]
			other := name
			if r.IntN(6) == 0 {
				other = oddNames[r.IntN(len(oddNames))]
			}
			a, b := spelled(r, attribute, name)+","+base, spelled(r, attribute, other)+","+base
			if !directory.SameDN(a, b) {
				continue
			}
			same++
			idA, idB := read(a), read(b)
			if idA != idB && (strict || idA != "" && idB != "") {
				t.Errorf("%q and %q are one DN to us, and read the entries %q and %q", a, b, idA, idB)
			}
			if idA != "" {
				there++
			}
		}
		t.Logf("%d of %d pairs are the same DN, %d of them are there", same, pairs, there)
		if same < 500 || there < 200 {
			t.Errorf("too few pairs are the same (%d) or there (%d) to show anything", same, there)
		}
	}
	t.Run("OpenLDAP", func(t *testing.T) {
		s := directorytest.StartSlapd(t)
		base := "ou=odd,ou=groups," + s.BaseDN
		s.Apply(t, add(base, "objectClass: organizationalUnit", "ou: odd"))
		made := 0
		for _, name := range oddNames {
			made += tryAdd(s.TryApply, base, "cn", name, "objectClass: groupOfNames", "member: "+s.PersonDN("alice"))
			made += tryAdd(s.TryApply, base, "labeledURI", name, "objectClass: device", "objectClass: extensibleObject", "cn: x")
		}
		t.Logf("%d odd entries", made)
		check(t, s.Options(), base, []string{"cn", "commonName", "labeledURI", "2.5.4.3"}, true)
	})
	t.Run("Active Directory", func(t *testing.T) {
		s := directorytest.StartSamba(t)
		base := "OU=odd," + s.BaseDN
		s.Apply(t, add(base, "objectClass: organizationalUnit"))
		made := 0
		for i, name := range oddNames {
			made += tryAdd(s.TryApply, base, "cn", name, "objectClass: group", fmt.Sprintf("sAMAccountName: odd%d", i))
		}
		t.Logf("%d odd entries", made)
		check(t, s.Options(), base, []string{"cn", "CN", "2.5.4.3"}, false)
	})
}

// tryAdd adds an entry, unless the server takes its name for another one's or for none: 1 if it did.
func tryAdd(apply func(string) error, base, attribute, name string, lines ...string) int {
	var dn strings.Builder
	dn.WriteString(attribute + "=")
	for _, c := range []byte(name) {
		fmt.Fprintf(&dn, `\%02x`, c)
	}
	if apply(add(dn.String()+","+base,
		append(lines, attribute+":: "+base64.StdEncoding.EncodeToString([]byte(name)))...)) != nil {
		return 0
	}
	return 1
}
