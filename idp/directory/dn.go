package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// maxDN bounds a DN that somebody hands in.
const maxDN = 4 << 10

// SameDN compares two DNs in their normal form. A malformed DN is like no other.
func SameDN(a, b string) bool {
	na, err := NormalDN(a)
	if err != nil {
		return false
	}
	nb, err := NormalDN(b)
	return err == nil && na == nb
}

// NormalDN returns the form by which DNs are compared without asking the directory: escapes are unified, the parts of a
// multi-valued RDN are sorted, and in the values of the attributes that name entries (foldedTypes) the case of ASCII
// letters and runs of U+0020 are folded. Nothing else is folded: no server may take two DNs for different that are one
// here, or whoever may create a group would choose which one it is taken for. Servers may take more for the same than
// we do; whoever needs that asks them (Group). The error names the fault. It is for comparing, not for sending: the
// directory's own spelling is kept elsewhere.
func NormalDN(dn string) (string, error) {
	if normal, ok := plainDN(dn); ok {
		return normal, nil
	}
	return normalDN(dn)
}

// foldedTypes are the attributes whose values every server compares without regard to ASCII case and to runs of spaces
// (caseIgnoreMatch and caseIgnoreIA5Match). Values of all others are compared byte for byte.
var foldedTypes = map[string]bool{
	"cn": true, "commonname": true, "2.5.4.3": true,
	"ou": true, "organizationalunitname": true, "2.5.4.11": true,
	"o": true, "organizationname": true, "2.5.4.10": true,
	"dc": true, "domaincomponent": true, "0.9.2342.19200300.100.1.25": true,
	"uid": true, "userid": true, "0.9.2342.19200300.100.1.1": true,
	"l": true, "st": true, "street": true, "c": true, "sn": true, "surname": true, "givenname": true, "mail": true,
}

// normalDN is NormalDN for any DN.
func normalDN(dn string) (string, error) {
	parsed, err := parseDN(dn)
	if err != nil {
		return "", err
	}
	if hasHexValue(dn) {
		// Servers differ in what #hex stands for, so it is the same as nothing.
		return "", fmt.Errorf("malformed DN %q: a value in the form #hex is not taken", dn)
	}
	rdns := make([]string, 0, len(parsed.RDNs))
	for _, rdn := range parsed.RDNs {
		parts := make([]string, 0, len(rdn.Attributes))
		for _, a := range rdn.Attributes {
			part, err := normalPart(a.Type, a.Value)
			if err != nil {
				return "", fmt.Errorf("malformed DN %q: %w", dn, err)
			}
			parts = append(parts, part)
		}
		slices.Sort(parts)
		rdns = append(rdns, strings.Join(parts, "+"))
	}
	normal := strings.Join(rdns, ",")
	if len(normal) > maxDN { // escapes can make it longer than what came
		return "", fmt.Errorf("malformed DN: longer than %d bytes", maxDN)
	}
	return normal, nil
}

// normalPart is the normal form of one attribute and its value. Every byte that separates parts is written as \xx, so a
// comma in it always begins another part.
func normalPart(name, value string) (string, error) {
	name = lowerASCII(name)
	for i := range len(name) {
		if c := name[i]; !typeByte(c) && (c < 'a' || c > 'z') {
			return "", fmt.Errorf("%q is no attribute name", name)
		}
	}
	if !utf8.ValidString(value) {
		return "", errors.New("it is not UTF-8")
	}
	if foldedTypes[name] {
		value = foldASCII(value)
	}
	var b strings.Builder
	b.WriteString(name + "=")
	for i := range len(value) {
		c := value[i]
		inside := c == ' ' && i > 0 && i < len(value)-1
		if inside || 'a' <= c && c <= 'z' || plainByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%02x`, c)
		}
	}
	return b.String(), nil
}

// foldASCII writes ASCII letters in capitals and runs of U+0020 as one, without those at either end. Spaces alone are
// one.
func foldASCII(value string) string {
	out := make([]byte, 0, len(value))
	for i := range len(value) {
		c := value[i]
		if c == ' ' && (len(out) == 0 || out[len(out)-1] == ' ') {
			continue
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		out = append(out, c)
	}
	out = bytes.TrimSuffix(out, []byte(" "))
	if len(out) == 0 && value != "" {
		return " "
	}
	return string(out)
}

func lowerASCII(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// hasHexValue tells whether a value begins with an unescaped #.
func hasHexValue(dn string) bool {
	inValue := false
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',', ';', '+':
			inValue = false
		case '=':
			if !inValue && strings.HasPrefix(strings.TrimLeft(dn[i+1:], " "), "#") {
				return true
			}
			inValue = true
		}
	}
	return false
}

// parseDN parses a non-empty DN of bounded length.
func parseDN(dn string) (*ldap.DN, error) {
	switch {
	case strings.TrimSpace(dn) == "":
		return nil, errors.New("malformed DN: it is empty")
	case len(dn) > maxDN:
		return nil, fmt.Errorf("malformed DN: longer than %d bytes", maxDN)
	}
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return nil, fmt.Errorf("malformed DN %q: %w", dn, err)
	}
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			if a.Type == "" {
				return nil, fmt.Errorf("malformed DN %q: a part has no attribute name", dn)
			}
		}
	}
	return parsed, nil
}

// malformedKey begins the keys of DNs that do not parse.
const malformedKey = "malformed:"

// dnKey is NormalDN for DNs that a directory gave: one that does not parse is a key of its own.
func dnKey(dn string) string {
	if key, err := NormalDN(dn); err == nil {
		return key
	}
	return malformedKey + dn
}

// Under tells whether dn is base or below it, by their normal forms. The two must be spelled by the directory: see
// NormalDN.
func Under(dn, base string) bool { return under(dn, base) }

// under tells whether dn is base or below it.
func under(dn, base string) bool {
	b, err := NormalDN(base)
	if err != nil {
		return false
	}
	n, err := NormalDN(dn)
	if err != nil {
		return false
	}
	return keyUnder(n, b)
}

// keyUnder reports whether the normalised DN or dnKey is the normalised base or below it.
func keyUnder(key, base string) bool {
	if key == base {
		return true
	}
	head, ok := strings.CutSuffix(key, ","+base)
	if !ok || strings.HasPrefix(key, malformedKey) {
		return false
	}
	// An escaped comma is part of a value. Without this check, whoever may name a group "x,2.5.4.10=example"
	// (cn=x\,2.5.4.10=example) would place it below the base 2.5.4.10=example, wherever the group really is.
	// A backslash is itself escaped by one, so the comma separates exactly after an even number of them.
	escapes := len(head) - len(strings.TrimRight(head, `\`))
	return escapes%2 == 0
}

// rdnValue is a value of the attribute in the leftmost part of the DN, "" if it has none. An empty name takes the first
// attribute there.
func rdnValue(dn, attribute string) string {
	parsed, err := parseDN(dn)
	if err != nil || len(parsed.RDNs) == 0 {
		return ""
	}
	for _, a := range parsed.RDNs[0].Attributes {
		if attribute == "" || strings.EqualFold(a.Type, attribute) {
			return a.Value
		}
	}
	return ""
}

// domainOf is the DNS name that the dc parts of a DN spell: dc=ad,dc=example,dc=test is ad.example.test.
func domainOf(dn string) string {
	parsed, err := parseDN(dn)
	if err != nil {
		return ""
	}
	var labels []string
	for _, rdn := range parsed.RDNs {
		if a := rdn.Attributes[0]; strings.EqualFold(a.Type, "dc") {
			labels = append(labels, a.Value)
		}
	}
	return strings.Join(labels, ".")
}

// fold maps letters that differ only in case to one of them, so that two strings are equal under strings.EqualFold
// exactly when their folds are equal.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}
