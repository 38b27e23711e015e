package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// The bounds of what is looked for by hand.
const (
	minLookup  = 2   // characters: one would find half the directory
	maxLookup  = 100 // characters
	maxWords   = 5
	maxMembers = 100_000
)

// ErrLookup says that a text is too short or too long to look for.
var ErrLookup = fmt.Errorf("want %d to %d characters, at most %d words", minLookup, maxLookup, maxWords)

// groupClasses mark an entry that is a group, in the directories that the presets know.
var groupClasses = []string{"groupOfNames", "groupOfUniqueNames", "posixGroup", "group", "groupOfMembers"}

// Person is somebody whom SearchPeople found.
type Person struct {
	ID, DN, Login, Name, Mail string
	// Source is the source that they come from, where they are nobody's of the directory; see Entry.
	Source string
}

// Member is a direct member of a group.
type Member struct {
	DN   string // "" where the group names a login
	Name string // the first part of the DN, or the login
}

// words splits what somebody looks for; each word must be the beginning of a name.
func words(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n < minLookup || n > maxLookup || !utf8.ValidString(text) ||
		strings.ContainsRune(text, 0) {
		return nil, ErrLookup
	}
	all := strings.Fields(text)
	if len(all) > maxWords {
		return nil, ErrLookup
	}
	return all, nil
}

// SearchPeople finds people of whom each word of a text begins the login, a name or
// the mail, for people who look into a case: at most limit of them, in the server's
// order. more tells that there are others. A text that can't be looked for is
// ErrLookup. Only people whom the login filter takes are found.
//
// A large directory needs an index for beginnings (in OpenLDAP: index uid,givenName,sn,mail sub).
func (d *Directory) SearchPeople(ctx context.Context, text string, limit int) (people []Person, more bool, err error) {
	if d.isAD {
		text = norm.NFC.String(text) // as a login
	}
	all, err := words(text)
	if err != nil {
		return nil, false, err
	}
	var filter strings.Builder
	filter.WriteString("(&")
	for _, word := range all {
		filter.WriteString("(|")
		for _, attribute := range []string{d.o.LoginAttribute, d.o.FirstNameAttribute, d.o.LastNameAttribute,
			d.o.MailAttribute} {
			// escaped: nothing that is typed is a filter
			filter.WriteString("(" + attribute + "=" + ldap.EscapeFilter(word) + "*)")
		}
		filter.WriteString(")")
	}
	filter.WriteString(d.person.present() + ")")
	found, more, err := d.some(ctx, d.o.BaseDN, filter.String(), d.attributes, limit)
	if err != nil {
		return nil, false, unavailable("search people", err)
	}
	for _, f := range found {
		e, _, err := d.entry(f)
		if err != nil {
			continue // an entry that nobody can sign in with
		}
		people = append(people, personOf(e))
	}
	return people, more, nil
}

func personOf(e Entry) Person {
	return Person{ID: e.ID, DN: e.DN, Login: e.Login, Name: strings.TrimSpace(e.FirstName + " " + e.LastName),
		Mail: e.Mail}
}

// anyGroup is the filter of all groups, in the directories that the presets know.
func anyGroup() string {
	var filter strings.Builder
	filter.WriteString("(|")
	for _, class := range groupClasses {
		filter.WriteString("(objectClass=" + class + ")")
	}
	filter.WriteString(")")
	return filter.String()
}

// SearchGroups finds groups below the group base whose name has a text in it, like
// SearchPeople.
func (d *Directory) SearchGroups(ctx context.Context, text string, limit int) (groups []Group, more bool, err error) {
	all, err := words(text)
	if err != nil {
		return nil, false, err
	}
	var filter strings.Builder
	filter.WriteString("(&")
	for _, word := range all {
		filter.WriteString("(" + d.o.GroupNameAttribute + "=*" + ldap.EscapeFilter(word) + "*)")
	}
	filter.WriteString(anyGroup() + ")")
	found, more, err := d.some(ctx, d.o.GroupBaseDN, filter.String(), d.groupAttributes(), limit)
	if err != nil {
		return nil, false, d.groupSearchError(err)
	}
	for _, f := range found {
		g, err := d.given(f)
		if err != nil {
			continue // its id can't be used, so no mapping can name it
		}
		groups = append(groups, g)
	}
	return groups, more, nil
}

// some runs a search that the server ends at limit entries.
func (d *Directory) some(ctx context.Context, base, filter string, attributes []string, limit int) (found []*ldap.Entry,
	more bool, err error) {
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err = d.search(ctx, d.request(base, ldap.ScopeWholeSubtree, limit+1, filter, attributes))
	if hasCode(err, ldap.LDAPResultSizeLimitExceeded) {
		err, more = nil, true
	}
	if len(found) > limit {
		found, more = found[:limit], true
	}
	return found, more, err
}

// Members lists the direct members of a group, at most limit; total is how many it
// has. Where it can't be told from the group (a directory that keeps members at the
// people alone) there are none. Members by the primary group are searched; of them at
// most limit and one more are counted.
func (d *Directory) Members(ctx context.Context, dn string, limit int) (members []Member, total int, err error) {
	const op = "read the members of a group"
	if _, err := parseDN(dn); err != nil {
		return nil, 0, &Error{Problem: BadData, Op: op, Err: err}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"member", "uniqueMember", "memberUid", "objectSid", "gidNumber", "objectClass"}))
	if len(found) == 0 && (err == nil || hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultReferral,
		ldap.LDAPResultInvalidDNSyntax)) {
		return nil, 0, &Error{Problem: BadData, Op: op, Err: fmt.Errorf("%q: %w", dn, ErrNotFound)}
	}
	if err != nil {
		return nil, 0, unavailable(op, err)
	}
	for _, attribute := range []string{"member", "uniqueMember", "memberUid"} {
		values, err := d.values(ctx, found[0], attribute, maxMembers)
		if err != nil && !errors.Is(err, errTooMany) {
			return nil, 0, unavailable(op, err)
		}
		for _, v := range values {
			if !utf8.ValidString(v) || v == "" {
				continue
			}
			total++
			m := Member{Name: v}
			if attribute != "memberUid" {
				m = Member{DN: v, Name: rdnValue(v, "")}
			}
			members = append(members, m)
		}
	}
	primary, more, err := d.primaryMembers(ctx, found[0], limit)
	if err != nil {
		return nil, 0, unavailable(op, err)
	}
	if members, total = append(members, primary...), total+len(primary); more {
		total++
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	if len(members) > limit {
		members = members[:limit]
	}
	return members, total, nil
}
