package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
		FirstName: text(found, d.o.FirstNameAttribute),
		LastName:  text(found, d.o.LastNameAttribute),
		Mail:      text(found, d.o.MailAttribute),
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
	st := accountState(found, now)
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
	return groups, nil
}
