package saml

import (
	"cmp"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// What products write differently, though it means one thing, is read here and nowhere else: blanks around a value,
// the spelling of a boolean, an offset or a format. Taking it gives nobody anything: what a message may ask for is
// decided later, by its value. Signatures are checked over the octets that came, before any of this.

// blanks are the characters that XML counts as white space. Schema types other than string collapse them.
const blanks = " \t\r\n"

// ValueOf is an attribute of any type but xs:string, without the white space around it; "" where it is absent or empty.
func ValueOf(el *etree.Element, name string) string {
	v, _ := AttributeOf(el, name)
	return strings.Trim(v, blanks)
}

// BooleanOf reads an xs:boolean attribute in any letter case; ok is false where it is absent or empty.
func BooleanOf(el *etree.Element, name string) (value, ok bool, err error) {
	switch strings.ToLower(ValueOf(el, name)) {
	case "":
		return false, false, nil
	case "true", "1":
		return true, true, nil
	case "false", "0":
		return false, true, nil
	}
	return false, true, errors.New(name + " is neither true nor false")
}

// dateTime is an xs:dateTime, also with small letters, a blank for the T or before the offset, an offset without its
// colon or minutes, UTC for Z, and as Java prints a time: without seconds that are zero, and with a zone behind an
// offset.
var dateTime = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?:(:\d\d)([.,]\d{1,40})?)?` +
	`(?: ?(?:([Zz]|UTC|GMT)|([+-]\d\d)(?::?(\d\d))?)(?:\[[A-Za-z0-9/_+-]{1,40}\])?)?$`)

// DateTime reads an xs:dateTime. SAML's are in UTC (saml-core 1.3.3); an offset
// is understood nonetheless, and none at all means UTC.
func DateTime(s string) (time.Time, error) {
	s = strings.Trim(s, blanks)
	m := dateTime.FindStringSubmatch(s)
	if len(s) > 80 || m == nil {
		return time.Time{}, errors.New("IssueInstant is missing or no xs:dateTime")
	}
	offset := "Z"
	if hours, minutes := m[6], m[7]; hours != "" {
		offset = hours + ":" + minutes
		if minutes == "" {
			offset += "00"
		}
	}
	t, err := time.Parse(time.RFC3339Nano, m[1]+"T"+m[2]+cmp.Or(m[3], ":00")+strings.Replace(m[4], ",", ".", 1)+offset)
	if err != nil {
		return time.Time{}, errors.New("IssueInstant is missing or no xs:dateTime")
	}
	return t.UTC(), nil
}

// formats are the NameID formats by the last part of their URI in small letters. Products write each of them with the
// number of another version of SAML, too.
var formats = map[string]string{
	"unspecified":                FormatUnspecified,
	"emailaddress":               FormatEmail,
	"email":                      FormatEmail,
	"x509subjectname":            formatPrefix + "1.1:nameid-format:X509SubjectName",
	"windowsdomainqualifiedname": FormatWindowsDomain,
	"kerberos":                   formatPrefix + "2.0:nameid-format:kerberos",
	"entity":                     FormatEntity,
	"persistent":                 FormatPersistent,
	"transient":                  FormatTransient,
	"encrypted":                  FormatEncrypted,
}

const formatPrefix = "urn:oasis:names:tc:SAML:"

var knownFormat = regexp.MustCompile(`(?i)^urn:oasis:names:tc:SAML:(?:1\.0|1\.1|2\.0):nameid-format:([a-z0-9]+)$`)

// Format is the URI that SAML gives a NameID format (saml-core 8.3), for whichever URI products write for it. Any other
// text stays as it is, without the white space around it.
func Format(uri string) string {
	uri = strings.Trim(uri, blanks)
	if m := knownFormat.FindStringSubmatch(uri); m != nil {
		if known, ok := formats[strings.ToLower(m[1])]; ok {
			return known
		}
	}
	return uri
}

// FormatWord is what a format is called in a sentence: the last part of a known one's URI, else the URI.
func FormatWord(uri string) string {
	uri = Format(uri)
	if knownFormat.MatchString(uri) {
		return uri[strings.LastIndexByte(uri, ':')+1:]
	}
	return uri
}

// anyClass matches the class "unspecified", which no version of SAML has a single URI for.
var anyClass = regexp.MustCompile(`(?i)^urn:oasis:names:tc:SAML:(?:1\.0|1\.1|2\.0):(?:ac:classes|am):unspecified$`)

// classes are the authentication context classes that we can be asked for by a password, by their URI in small letters.
// SAML 1.1 has a URI of its own for a password.
var classes = map[string]string{
	strings.ToLower(ClassPassword):            ClassPassword,
	strings.ToLower(ClassPasswordProtected):   ClassPasswordProtected,
	"urn:oasis:names:tc:saml:1.0:am:password": ClassPassword,
}

// class is the URI of SAML 2.0 for a class, for whichever products write. Any other text stays as it is.
func class(uri string) string {
	if known, ok := classes[strings.ToLower(uri)]; ok {
		return known
	}
	return uri
}

// SameAddress tells whether two addresses are one by RFC 3986 (6.2.2.1, 6.2.3): letter case of scheme and host, and
// the scheme's own port, make no difference. Everything behind the host is compared byte for byte.
func SameAddress(a, b string) bool {
	return a == b || a != "" && b != "" && normalAddress(a) == normalAddress(b)
}

func normalAddress(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	u, err := url.Parse(scheme + "://" + rest[:end])
	if err != nil || u.User != nil || u.Host == "" {
		return address
	}
	scheme, host := strings.ToLower(scheme), strings.ToLower(u.Host)
	switch {
	case scheme == "https" && u.Port() == "443":
		host = strings.TrimSuffix(host, ":443")
	case scheme == "http" && u.Port() == "80":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host + rest[end:]
}
