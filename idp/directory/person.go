package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// Sources names the directory attribute behind each field of an Entry that templates know.
func (d *Directory) Sources() map[string]string {
	return map[string]string{
		"person_id": d.o.IDAttribute, "login": d.o.LoginAttribute, "mail": d.o.MailAttribute,
		"first_name": d.o.FirstNameAttribute, "last_name": d.o.LastNameAttribute,
	}
}

// entry makes an Entry, without groups, of what a search found.
func (d *Directory) entry(found *ldap.Entry) (Entry, state, error) {
	const op = "read a person's entry"
	now := d.o.Now()
	e := Entry{
		DN:        found.DN,
		FirstName: name(found, d.o.FirstNameAttribute),
		LastName:  name(found, d.o.LastNameAttribute),
		Mail:      mail(found, d.o.MailAttribute),
		ReadAt:    now,
	}
	bad := func(err error) error {
		return &Error{Problem: BadData, Op: op, Err: fmt.Errorf("entry %q: %w", found.DN, err)}
	}
	if found.DN == "" {
		return Entry{}, state{}, bad(fmt.Errorf("it has no DN"))
	}
	ids := found.GetEqualFoldRawAttributeValues(d.o.IDAttribute)
	if len(ids) != 1 {
		return Entry{}, state{}, bad(fmt.Errorf("%d values of %s: %w", len(ids), d.o.IDAttribute, errNoID))
	}
	var err error
	if e.ID, err = idText(d.o.IDAttribute, ids[0]); err != nil {
		return Entry{}, state{}, bad(fmt.Errorf("%s: %w", d.o.IDAttribute, err))
	}
	if e.Login = d.storedLogin(found); e.Login == "" {
		return Entry{}, state{}, bad(fmt.Errorf("no usable value of %s", d.o.LoginAttribute))
	}
	for _, name := range d.o.ExtraAttributes {
		if values := texts(found.GetEqualFoldRawAttributeValues(name)); len(values) > 0 {
			if e.Attributes == nil {
				e.Attributes = map[string][]string{}
			}
			e.Attributes[strings.ToLower(name)] = values
		}
	}
	st := d.accountState(found, now)
	e.PasswordChanged = st.passwordChanged
	return e, st, nil
}

// storedLogin is the login as the directory stores it. Of several values the one in the entry's name counts: it is the
// one that does not change with the order in which a server answers.
func (d *Directory) storedLogin(found *ldap.Entry) string {
	var usable []string
	for _, v := range texts(found.GetEqualFoldRawAttributeValues(d.o.LoginAttribute)) {
		if checkLogin(v) == nil {
			usable = append(usable, v)
		}
	}
	if len(usable) == 0 {
		return ""
	}
	if len(usable) > 1 {
		named := rdnValue(found.DN, d.o.LoginAttribute)
		for _, v := range usable {
			if strings.EqualFold(v, named) {
				return v
			}
		}
		slices.Sort(usable)
	}
	return usable[0]
}

// text is the first usable value of an attribute, "" if there is none.
func text(e *ldap.Entry, attribute string) string {
	if values := texts(e.GetEqualFoldRawAttributeValues(attribute)); len(values) > 0 {
		return values[0]
	}
	return ""
}

// name is the first value of an attribute that shows anything, without the blanks around it. Where there is none, it is
// that of a language (givenName;lang-es, RFC 3866): the first in the order of the languages' names, whatever order a
// server answers in. That is for names that people read alone: nobody is known, and nothing decided, by such a value.
func name(e *ldap.Entry, attribute string) string {
	if v := shown(e, attribute); v != "" {
		return v
	}
	var tagged []string
	for _, a := range e.Attributes {
		if base, option, found := strings.Cut(strings.ToLower(a.Name), ";"); found &&
			base == strings.ToLower(attribute) && strings.HasPrefix(option, "lang-") {
			tagged = append(tagged, a.Name)
		}
	}
	slices.SortFunc(tagged, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	for _, of := range tagged {
		if v := shown(e, of); v != "" {
			return v
		}
	}
	return ""
}

// shown is the first value that shows anything, without the blanks around it.
func shown(e *ldap.Entry, attribute string) string {
	for _, v := range texts(e.GetEqualFoldRawAttributeValues(attribute)) {
		if v = trimInvisible(v); v != "" {
			return v
		}
	}
	return ""
}

// mail is the first value of an attribute that is a mail address, without the blanks around it. If none is one, it is
// the first that shows anything: whoever uses it says what is wrong with it.
func mail(e *ldap.Entry, attribute string) string {
	for _, v := range texts(e.GetEqualFoldRawAttributeValues(attribute)) {
		if v = trimInvisible(v); isMail(v) {
			return v
		}
	}
	return shown(e, attribute)
}

// isMail tells whether a value is a mail address that a provider can be expected to take: one at sign with something on
// both sides, no blanks or other invisible characters, and a domain of names with dots between them.
func isMail(v string) bool {
	local, domain, ok := strings.Cut(v, "@")
	if !ok || local == "" || len(v) > maxMail || strings.ContainsAny(v, `<>()[],;:"\`) ||
		strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(v, "..") ||
		strings.ContainsFunc(v, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Cc)
		}) {
		return false
	}
	labels := strings.Split(domain, ".")
	return !strings.Contains(domain, "@") && len(labels) > 1 && !slices.ContainsFunc(labels, func(label string) bool {
		return label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-")
	})
}

// maxMail bounds a mail address (RFC 5321 4.5.3.1.3, less the angle brackets).
const maxMail = 254

// texts are the values that are text of bounded length, at most maxValues.
func texts(raw [][]byte) []string {
	var values []string
	for _, v := range raw {
		if len(v) == 0 || len(v) > maxValueSize || !utf8.Valid(v) || slices.Contains(v, 0) {
			continue
		}
		if len(values) == maxValues {
			break
		}
		values = append(values, string(v))
	}
	return values
}

// personGroups are the groups of a person whose entry has just been found.
func (d *Directory) personGroups(ctx context.Context, e Entry, found *ldap.Entry) ([]Group, error) {
	op := "read the groups of " + e.DN
	groups, err := d.groupsOf(ctx, e, found)
	if err != nil {
		return nil, unavailable(op, err)
	}
	return d.markPrimary(groups, found), nil
}
