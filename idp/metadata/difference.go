package metadata

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// Difference is one thing that two records of a service provider have not in
// common, for people to read.
type Difference struct {
	Field    string // such as acs or certificate
	Was, Is  string // "": there was, or is, none
	Approval bool   // whether a refresh may not take it by itself
}

// String is the difference as one line.
func (d Difference) String() string {
	switch {
	case d.Was == "":
		return "+ " + d.Field + " " + d.Is
	case d.Is == "":
		return "- " + d.Field + " " + d.Was
	}
	return "~ " + d.Field + " " + d.Was + " → " + d.Is
}

// Differences compares two records by what metadata can change. Keys and
// addresses need an admin's approval when a refresh finds them (row MD-05), and so
// does a service provider that no longer promises to sign: whoever can put a
// document in the place of the real one could send themselves people's sign-ins.
func Differences(was, is store.ServiceProvider) []Difference {
	var all []Difference
	compare := func(field string, approval bool, before, after []string) {
		for _, v := range before {
			if !slices.Contains(after, v) {
				all = append(all, Difference{Field: field, Was: v, Approval: approval})
			}
		}
		for _, v := range after {
			if !slices.Contains(before, v) {
				all = append(all, Difference{Field: field, Is: v, Approval: approval})
			}
		}
	}
	if was.Name != is.Name {
		all = append(all, Difference{Field: "name", Was: was.Name, Is: is.Name})
	}
	compare("acs", true, consumerLines(was), consumerLines(is))
	// Without marks the order decides, and no line above would tell.
	before, _ := DefaultACS(was.ACS)
	after, _ := DefaultACS(is.ACS)
	if before.URL != after.URL {
		all = append(all, Difference{Field: "default acs", Was: before.URL, Is: after.URL, Approval: true})
	}
	compare("certificate", true, certificateLines(was.Certificates), certificateLines(is.Certificates))
	compare("encryption_key", true, encryptionLines(was), encryptionLines(is))
	compare("logout", true, logoutLines(was), logoutLines(is))
	for _, a := range []struct{ field, was, is string }{
		{"form_action", was.FormAction, is.FormAction}, {"recipient", was.Recipient, is.Recipient},
		{"destination", was.Destination, is.Destination},
	} {
		if a.was != a.is {
			all = append(all, Difference{Field: a.field, Was: a.was, Is: a.is, Approval: true})
		}
	}
	if was.AuthnRequestsSigned != is.AuthnRequestsSigned {
		all = append(all, Difference{
			Field: "authn_requests_signed", Was: fmt.Sprint(was.AuthnRequestsSigned), Is: fmt.Sprint(is.AuthnRequestsSigned),
			Approval: was.AuthnRequestsSigned,
		})
	}
	return all
}

// needApproval tells whether a refresh has to wait for an admin.
func needApproval(all []Difference) bool {
	return slices.ContainsFunc(all, func(d Difference) bool { return d.Approval })
}

func consumerLines(sp store.ServiceProvider) []string {
	var all []string
	for _, e := range sp.ACS {
		line := fmt.Sprintf("%s (%s, index %d", e.URL, shortBinding(e.Binding), e.Index)
		if e.IsDefault != nil {
			line += fmt.Sprintf(", default %t", *e.IsDefault)
		}
		all = append(all, line+")")
	}
	return all
}

func logoutLines(sp store.ServiceProvider) []string {
	var all []string
	for _, l := range sp.Logout {
		line := l.URL + " (" + shortBinding(l.Binding) + ")"
		if l.ResponseURL != "" {
			line += ", responses to " + l.ResponseURL
		}
		all = append(all, line)
	}
	return all
}

func certificateLines(all [][]byte) []string {
	var lines []string
	for _, der := range all {
		lines = append(lines, CertificateLine(der))
	}
	return lines
}

func encryptionLines(sp store.ServiceProvider) []string {
	var lines []string
	for _, k := range sp.EncryptionKeys {
		line := CertificateLine(k.Certificate)
		if len(k.Methods) > 0 {
			line += ", takes " + strings.Join(k.Methods, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// CertificateLine is a certificate as one line: whose, of which key, until when,
// and the fingerprint to compare.
func CertificateLine(der []byte) string {
	c, err := certs.ParseHolder(der)
	if err != nil {
		return "can't be read, sha256 " + certs.HexFingerprint(der)
	}
	return fmt.Sprintf("%.80q, %s, until %s, sha256 %s", holder(c), c.PublicKeyAlgorithm,
		c.NotAfter.UTC().Format(time.DateOnly), certs.HexFingerprint(der))
}

// holder is whose a certificate says that it is.
func holder(c *x509.Certificate) string { return cmp.Or(c.Subject.CommonName, c.Subject.String()) }

func shortBinding(binding string) string { return strings.TrimPrefix(binding, saml.BindingPrefix) }

// sameMetadata tells whether two documents are the same but for white space at their ends.
func sameMetadata(a, b []byte) bool { return bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b)) }
