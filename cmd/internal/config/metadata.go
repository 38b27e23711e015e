package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp/metadata"
	"ssobridge/internal/plaintext"
)

// Metadata is about SAML metadata: ours, which everybody may read, and that
// of service providers.
type Metadata struct {
	// Who runs the bridge, for our metadata.
	// Default none: nothing is published.
	// Example: Example Marketing Ltd
	OrganizationName string `yaml:"organization_name"`

	// The name by which people know it.
	// Default: organization_name.
	// Example: Example Marketing
	OrganizationDisplayName string `yaml:"organization_display_name"`

	// Its web site.
	// Default: public_url.
	// Example: https://www.example.com
	OrganizationURL string `yaml:"organization_url"`

	// Whom the administrators of service providers write to. A role rather than a
	// person: it is published.
	// Default none.
	// Example: sso-admins@example.com
	TechnicalContactMail string `yaml:"technical_contact_mail"`

	// The name that goes with technical_contact_mail.
	// Default none.
	// Example: Identity team
	TechnicalContactName string `yaml:"technical_contact_name"`

	// Whom people are sent to for help.
	// Default none.
	// Example: helpdesk@example.com
	SupportContactMail string `yaml:"support_contact_mail"`

	// The name that goes with support_contact_mail.
	// Default none.
	// Example: Help desk
	SupportContactName string `yaml:"support_contact_name"`

	// Where service providers send people whose sign-in failed (errorURL): https.
	// Default: the bridge's own start page.
	// Example: https://help.example.com/sign-in
	ErrorURL string `yaml:"error_url"`

	// Domains that the values of scoped attributes may have behind their @, such as
	// eduPersonPrincipalName, subject-id and pairwise-id, at most 50: our metadata names
	// them (shibmd:Scope), and service providers of Shibboleth drop values of any other
	// domain. Name domains of your own alone, each in full: there are no patterns.
	// Default none: no scoped attribute is accepted there.
	// Example: [example.com, students.example.com]
	Scopes []string `yaml:"scopes"`

	// How long a copy of /saml/metadata may be used, 168h to 8760h; it moves on with
	// every hour. 0s: without end. The file for hand import (metadata download) never
	// has an end.
	// Default 0s.
	// Example: 336h
	ValidFor time.Duration `yaml:"valid_for"`

	// Let metadata of service providers be fetched from loopback and private
	// addresses. Off, no name and no redirect leads there.
	// Default false.
	// Example: true
	AllowInternal bool `yaml:"allow_internal"`

	// For development: take http addresses of service providers on loopback hosts,
	// such as the sandbox on this machine. Others must have https in any case.
	// Default false.
	// Example: true
	AllowLoopbackHTTP bool `yaml:"allow_loopback_http"`

	// How large a metadata document of a service provider may be, in MiB, 1 to 1024. It
	// is read as a stream, so the limit costs time and no memory: raise it for the file
	// of a large federation.
	// Default 64.
	// Example: 256
	MaxMiB int `yaml:"max_mib"`
}

const maxScopes = 50

// scopeForm is a domain of two labels at least: a scope such as "com" would be everybody's.
var scopeForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$`)

func checkMetadata(c *Config, f *faults) {
	m := &c.Metadata
	checkLink("metadata.organization_url", m.OrganizationURL, false, f)
	checkLink("metadata.error_url", m.ErrorURL, false, f)
	for _, t := range []struct{ key, value string }{
		{"metadata.organization_name", m.OrganizationName}, {"metadata.organization_display_name", m.OrganizationDisplayName},
		{"metadata.technical_contact_name", m.TechnicalContactName}, {"metadata.support_contact_name", m.SupportContactName},
	} {
		if utf8.RuneCountInString(t.value) > 200 || !utf8.ValidString(t.value) || strings.ContainsFunc(t.value,
			unicode.IsControl) {
			f.add(t.key, "is too long or has control characters", "write at most 200 printable characters")
		}
	}
	for _, t := range []struct{ key, value string }{
		{"metadata.technical_contact_mail", m.TechnicalContactMail}, {"metadata.support_contact_mail", m.SupportContactMail},
	} {
		if t.value == "" {
			continue
		}
		if a, err := mail.ParseAddress(t.value); err != nil || a.Address != t.value || len(t.value) > 254 ||
			url.PathEscape(t.value) != t.value {
			f.add(t.key, plaintext.Quote(t.value)+" is not an e-mail address", "write it without a name: sso-admins@example.com")
		}
	}
	if len(m.Scopes) > maxScopes {
		f.add("metadata.scopes", fmt.Sprintf("has %d domains", len(m.Scopes)), fmt.Sprintf("write at most %d", maxScopes))
	}
	for i, scope := range m.Scopes {
		switch {
		case len(scope) > 127 || !scopeForm.MatchString(scope):
			f.add("metadata.scopes", plaintext.Quote(scope)+" is not a domain in lower case",
				"write it in full and without the @, such as example.com; names with other letters in their xn-- form")
		case slices.Contains(m.Scopes[:i], scope):
			f.add("metadata.scopes", plaintext.Quote(scope)+" is there twice", "remove one of them")
		}
	}
	if m.OrganizationName == "" && (m.OrganizationDisplayName != "" || m.OrganizationURL != "") {
		f.add("metadata.organization_name", "is missing beside the other keys of the organization",
			"write it, or remove the others")
	}
	if m.MaxMiB < 1 || m.MaxMiB > 1024 {
		f.add("metadata.max_mib", fmt.Sprintf("is %d", m.MaxMiB), "write a number from 1 to 1024")
	}
	if m.ValidFor != 0 {
		// Service providers look at most once a day, and their copies outlast a long weekend.
		f.between("metadata.valid_for", m.ValidFor, 7*24*time.Hour, 365*24*time.Hour)
	}
}

// Published is what our metadata says about who runs the bridge.
func (c *Config) Published() metadata.Published {
	m := c.Metadata
	return metadata.Published{
		Organization: metadata.Organization{Name: m.OrganizationName, DisplayName: m.OrganizationDisplayName,
			URL: m.OrganizationURL},
		Technical: metadata.Contact{Name: m.TechnicalContactName, Mail: m.TechnicalContactMail},
		Support:   metadata.Contact{Name: m.SupportContactName, Mail: m.SupportContactMail},
		Scopes:    m.Scopes, ErrorURL: m.ErrorURL, ValidFor: m.ValidFor,
	}
}
