package directory

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// maxDN bounds a DN that somebody hands in.
const maxDN = 4 << 10

// SameDN compares two DNs normalised, case-insensitively. A malformed DN is like no other.
func SameDN(a, b string) bool {
	na, err := NormalDN(a)
	if err != nil {
		return false
	}
	nb, err := NormalDN(b)
	return err == nil && na == nb
}

// NormalDN returns the form by which DNs are compared and indexed: spaces and escapes unified, upper and lower case folded, the
// parts of a multi-valued RDN sorted (RFC 4514, RFC 4518 2.6.1). The error names the fault. It is for comparing, not for sending:
// the directory's own spelling is kept elsewhere.
func NormalDN(dn string) (string, error) {
	if normal, ok := plainDN(dn); ok {
		return normal, nil
	}
	return normalDN(dn)
}

// normalDN is NormalDN for any DN.
func normalDN(dn string) (string, error) {
	parsed, err := parseDN(dn)
	if err != nil {
		return "", err
	}
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			if !utf8.ValidString(a.Type) || !utf8.ValidString(a.Value) {
				// Folding would make all broken characters one, and two DNs the same.
				return "", fmt.Errorf("malformed DN %q: it is not UTF-8", dn)
			}
			a.Type = fold(a.Type)
			a.Value = fold(strings.Join(strings.Fields(a.Value), " "))
		}
	}
	normal := parsed.String()
	if len(normal) > maxDN { // escapes can make it longer than what came
		return "", fmt.Errorf("malformed DN: longer than %d bytes", maxDN)
	}
	return normal, nil
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
	return malformedKey + fold(dn)
}

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

// rdnValue is a value of the attribute in the leftmost part of the DN, "" if it has none. An empty name takes the first attribute
// there.
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

// fold maps letters that differ only in case to one of them, so that two strings are equal under strings.EqualFold exactly when
// their folds are equal.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}
