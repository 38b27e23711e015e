package mapping

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// The default templates. Each gives for (person, client account) a value that nobody else has, save for the contact
// address.
const (
	DefaultExternalID   = "{person_id}.{account}"
	DefaultLoginName    = "sso-{key}"
	DefaultContactEmail = "{mail}"
)

const (
	maxTemplate = 512  // bytes of a template
	maxRendered = 4096 // bytes of what it gives; the fields have tighter limits of their own
	keyLength   = 20   // characters of {key}: 100 bits
)

// Template is text with placeholders: {person_id} {account} {key} {login} {mail} {first_name} {last_name} {external_id}
// {login_name} and {attr:NAME} (the first value of a directory attribute). {key} is 20 lower-case letters and digits
// derived from person and account. There is no escape: a brace can't stand in a template otherwise.
//
// The zero Template gives the empty text.
type Template struct {
	text  string
	parts []templatePart
}

type templatePart struct {
	literal     string
	placeholder string // without braces; "" for a literal
	attribute   string // of attr:NAME, in lower case
}

// Values for Render.
type Values struct {
	Person                directory.Entry
	Account               store.AccountID
	ExternalID, LoginName string
}

var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// Placeholders lists what a template may hold, for a hint.
const Placeholders = "{person_id}, {account}, {key}, {login}, {mail}, {first_name}, {last_name}, {external_id}, " +
	"{login_name} or {attr:NAME}"

// ParseTemplate checks a template. Its error says which part is wrong.
func ParseTemplate(text string) (Template, error) {
	switch {
	case len(text) > maxTemplate:
		return Template{}, fmt.Errorf("the template has %d bytes: want at most %d", len(text), maxTemplate)
	case !utf8.ValidString(text):
		return Template{}, errors.New("the template is not UTF-8 text")
	case strings.IndexFunc(text, unicode.IsControl) >= 0:
		return Template{}, errors.New("the template has a control character")
	}
	t := Template{text: text}
	for rest := text; rest != ""; {
		at := strings.IndexAny(rest, "{}")
		if at != 0 {
			if at < 0 {
				at = len(rest)
			}
			t.parts = append(t.parts, templatePart{literal: rest[:at]})
			rest = rest[at:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if rest[0] == '}' || end < 0 {
			return Template{}, fmt.Errorf("template %q: a brace without its other", text)
		}
		part, err := parsePlaceholder(rest[1:end])
		if err != nil {
			return Template{}, fmt.Errorf("template %q: %w", text, err)
		}
		t.parts = append(t.parts, part)
		rest = rest[end+1:]
	}
	return t, nil
}

func parsePlaceholder(name string) (templatePart, error) {
	switch name {
	case "person_id", "account", "key", "login", "mail", "first_name", "last_name", "external_id", "login_name":
		return templatePart{placeholder: name}, nil
	}
	if attribute, ok := strings.CutPrefix(name, "attr:"); ok {
		if !attributeName.MatchString(attribute) {
			return templatePart{}, fmt.Errorf("{%s}: want attr: with the name of a directory attribute behind it", name)
		}
		return templatePart{placeholder: name, attribute: strings.ToLower(attribute)}, nil
	}
	return templatePart{}, fmt.Errorf("{%s} is not known, want %s", name, Placeholders)
}

// Render fills the template in. It fails when a placeholder is empty for these values: half a name is worse than none.
// The error names the placeholder and no value.
func (t Template) Render(v Values) (string, error) {
	var out strings.Builder
	for _, part := range t.parts {
		if part.placeholder == "" {
			out.WriteString(part.literal)
			continue
		}
		value := v.of(part)
		if value == "" {
			return "", fmt.Errorf("{%s} is empty for this person", part.placeholder)
		}
		if out.Len()+len(value) > maxRendered {
			return "", fmt.Errorf("with {%s} it becomes longer than %d bytes", part.placeholder, maxRendered)
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

func (v Values) of(part templatePart) string {
	switch part.placeholder {
	case "person_id":
		return v.Person.ID
	case "account":
		return string(v.Account)
	case "key":
		return Key(store.PersonID(v.Person.ID), v.Account)
	case "login":
		return v.Person.Login
	case "mail":
		return v.Person.Mail
	case "first_name":
		return v.Person.FirstName
	case "last_name":
		return v.Person.LastName
	case "external_id":
		return v.ExternalID
	case "login_name":
		return v.LoginName
	}
	if values := v.Person.Attributes[part.attribute]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// String is the template as it was written.
func (t Template) String() string { return t.text }

// Uses tells whether a placeholder stands in the template; "attr" stands for any attribute.
func (t Template) Uses(names ...string) bool {
	for _, part := range t.parts {
		for _, name := range names {
			if part.placeholder == name || name == "attr" && part.attribute != "" {
				return true
			}
		}
	}
	return false
}

// CanBeUnique tells whether the template may give each (person, account) a value of its own. An attribute may hold
// one person's own number, so it is believed; the store refuses a value that stands at another person all the same.
func (t Template) CanBeUnique() bool {
	return t.Uses("key") || t.Uses("person_id", "login", "mail", "attr") && t.Uses("account")
}

// Key derives {key}. Both ids are preceded by their length, so that no two pairs run together into the same text. It
// must never change: an intention that was rendered before an upgrade is sent again as it stands, but templates of
// admins rely on the key being the same for the same pair.
func Key(person store.PersonID, account store.AccountID) string {
	if person == "" || account == "" {
		return ""
	}
	h := sha256.New()
	for _, id := range []string{string(person), string(account)} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(id)))
		h.Write(length[:])
		h.Write([]byte(id))
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)))[:keyLength]
}

// Attributes are the directory attributes that the template takes values from.
func (t Template) Attributes() (names []string) {
	for _, part := range t.parts {
		if part.attribute != "" {
			names = append(names, part.attribute)
		}
	}
	return names
}
