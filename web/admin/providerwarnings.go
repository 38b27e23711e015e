package admin

import (
	"fmt"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/store"
)

// soonEnded is how near the end of metadata is when it can only be a mistake: tools write two days.
const soonEnded = 14 * 24 * time.Hour

// warnings say what of an import will fail, or is less safe than it could be. Nothing of it stops the import.
func (p Providers) warnings(im Import, n NewProvider) (all []Finding) {
	sp := im.Record
	warn := func(act Act, format string, args ...any) {
		all = append(all, Finding{Name: "service provider " + sp.EntityID, Level: Warning, Act: act, About: sp.EntityID,
			Detail: fmt.Sprintf(format, args...)})
	}
	if s := sp.Source; s != nil && s.URL == "" && !s.ValidUntil.IsZero() {
		left := s.ValidUntil.Sub(p.Now())
		if left < soonEnded {
			warn(IgnoreEnd, "its metadata ends on %s, in %s, and nobody can sign in there after that: a document that was given "+
				"once is not read again", s.ValidUntil.UTC().Format(time.RFC3339), inDays(left))
		}
	}
	if sp.AuthnRequestsSigned && len(sp.Certificates) == 0 {
		warn(AddCertificate, "it says that it signs its requests, and no certificate is on record to check them with, so every "+
			"request of its is refused")
	}
	if !idp.Encrypts(sp) {
		switch gcm, cbc := idp.CanEncrypt(sp); {
		case gcm:
			warn(StartEncryption, "it can decrypt assertions, and encryption is off")
		case cbc:
			warn(AllowCBC, "it can decrypt assertions by CBC alone, which has no integrity of its own (allow_cbc); encryption is "+
				"off")
		}
	}
	if missing := unreleased(sp, im.Said.Requested); len(missing) > 0 && !n.ReleaseRequested {
		warn(ReleaseRequested, "it requires attributes that are not released: %s", strings.Join(missing, ", "))
	}
	return all
}

func inDays(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// unreleased are the attributes that are required and not released.
func unreleased(sp store.ServiceProvider, requested []metadata.RequestedAttribute) (missing []string) {
	for _, r := range requested {
		if r.Required && !releases(sp, r) {
			missing = append(missing, strings.TrimSpace(r.Name+" "+r.FriendlyName))
		}
	}
	return missing
}

func releases(sp store.ServiceProvider, r metadata.RequestedAttribute) bool {
	for _, a := range sp.Attributes {
		if a.Name == r.Name {
			return true
		}
	}
	return false
}

// knownAttributes say what fills an attribute by the names under which products ask for it: the object identifier, the
// claim of Active Directory Federation Services, and the plain name in small letters. Where directories differ there is
// none: what an identifier means is for an admin to say.
var knownAttributes = func() map[string]string {
	all := map[string]string{}
	for value, names := range map[string][]string{
		"{mail}": {"0.9.2342.19200300.100.1.3", "mail", "email", "emailaddress", "e-mail",
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"},
		"{first_name}": {"2.5.4.42", "givenname", "firstname", "first_name",
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"},
		"{last_name}": {"2.5.4.4", "sn", "surname", "lastname", "last_name",
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"},
		"{first_name} {last_name}": {"2.16.840.1.113730.3.1.241", "displayname", "2.5.4.3", "cn", "commonname",
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"},
		"{login}":                   {"0.9.2342.19200300.100.1.1", "uid", "username"},
		"attr:telephoneNumber":      {"2.5.4.20", "telephonenumber"},
		"attr:title":                {"2.5.4.12", "title"},
		"attr:o":                    {"2.5.4.10", "o", "organizationname"},
		"attr:ou":                   {"2.5.4.11", "ou", "organizationalunitname"},
		"attr:employeeNumber":       {"2.16.840.1.113730.3.1.3", "employeenumber"},
		"attr:preferredLanguage":    {"2.16.840.1.113730.3.1.39", "preferredlanguage"},
		"attr:memberOf":             {"1.2.840.113556.1.2.102", "memberof"},
		"attr:eduPersonAffiliation": {"1.3.6.1.4.1.5923.1.1.1.1", "edupersonaffiliation"},
	} {
		for _, name := range names {
			all[name] = value
		}
	}
	return all
}()

// release puts the attributes that metadata asks for into a record, under the names by which it asks. What is not known
// is named in the notes. Nothing is taken away, and what an admin has set stays.
func release(sp *store.ServiceProvider, requested []metadata.RequestedAttribute) (notes []string) {
	for _, r := range requested {
		if releases(*sp, r) {
			continue
		}
		value := knownAttributes[strings.ToLower(strings.TrimPrefix(r.Name, "urn:oid:"))]
		if value == "" {
			notes = append(notes, fmt.Sprintf("the attribute %s is asked for, and what fills it is not known: it is not released",
				strings.TrimSpace(r.Name+" "+r.FriendlyName)))
			continue
		}
		a := PlainAttribute(r.Name, value)
		a.FriendlyName = r.FriendlyName
		if strings.HasPrefix(r.Name, "urn:oid:") || strings.HasPrefix(r.Name, "http") {
			a.NameFormat = formatURI
		}
		if r.NameFormat != "" {
			a.NameFormat = r.NameFormat
		}
		sp.Attributes = append(sp.Attributes, a)
	}
	return notes
}
