package partnerapi

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FieldError names a field of a body and its fault.
type FieldError struct {
	Field string // as on the wire: "login_name"
	Fault string // "longer than 50 characters"
}

// Error is field and fault.
func (e *FieldError) Error() string { return e.Field + ": " + e.Fault }

var (
	// loginName is the alphabet published for the login_name of a new client account. That it holds for
	// SSO users as well is a guess, on the safe side. The least length published there (6) is not
	// asked for here: users/sso publishes none.
	loginName = regexp.MustCompile(`^[A-Za-z0-9_@.+-]+$`)
	// mailAddress is no full grammar of addresses, only what every deliverable one has.
	mailAddress = regexp.MustCompile(`^[^@\s<>,;:"()\[\]\\]+@[^@\s<>,;:"()\[\]\\.]+(\.[^@\s<>,;:"()\[\]\\.]+)+$`)
	// accountID keeps an id from being anything else in a URL's path. The form is not published.
	accountID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

const (
	noMailAddress = "is no e-mail address"
	noLoginName   = "has characters other than A-Z a-z 0-9 - _ @ . +"
)

// forbidden are the characters that no field may have: controls and line separators, which no name
// needs, and what XML 1.0 2.2 excludes, since the external_id becomes the NameID.
func forbidden(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFFFE' || r == '\uFFFF'
}

// textFault says what is wrong with a text that must be there, "" for nothing. An exact one is compared byte for byte
// somewhere, so it has no spaces around it. The bounds are in characters.
func textFault(value string, least, most int, exact bool) string {
	trimmed := strings.TrimSpace(value)
	switch {
	case trimmed == "":
		return "is empty"
	case !utf8.ValidString(value):
		return "is not valid UTF-8"
	case strings.ContainsFunc(value, forbidden):
		return "has a control character or another that must not be"
	case exact && trimmed != value:
		return "begins or ends with a space"
	case utf8.RuneCountInString(value) < least:
		return fmt.Sprintf("shorter than %d characters", least)
	case utf8.RuneCountInString(value) > most:
		return fmt.Sprintf("longer than %d characters", most)
	}
	return ""
}

// mailFault likewise of an e-mail address.
func mailFault(value string) string {
	fault := textFault(value, 1, MaxContactEmail, true)
	if fault == "" && !mailAddress.MatchString(value) {
		fault = noMailAddress
	}
	return fault
}

// faults gathers what is wrong with a body, so that somebody who fills in a form is told of everything at once.
type faults []error

// add notes a fault of a field; "" is none.
func (f *faults) add(field, fault string) {
	if fault != "" {
		*f = append(*f, &FieldError{field, fault})
	}
}

// optional checks a text that can be left out.
func (f *faults) optional(field, value string, least, most int, exact bool) {
	if value != "" {
		f.add(field, textFault(value, least, most, exact))
	}
}

// err joins them; nil when there are none.
func (f *faults) err() error { return errors.Join(*f...) }
