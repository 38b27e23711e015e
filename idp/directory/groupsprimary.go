package directory

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A primary group lists nobody whose primary group it is: the person's entry names it, on Active Directory by
// primaryGroupID and elsewhere by gidNumber (RFC 2307 5.2). They are members all the same.

// primaryGID is the number of a person's primary group where there is one POSIX group for it.
func primaryGID(person *ldap.Entry) (gid string, ok bool) {
	values := stateValues(person, "gidNumber")
	if len(values) != 1 {
		return "", false
	}
	n, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil {
		return "", false
	}
	return strconv.FormatUint(n, 10), true // digits alone: nothing that changes a filter
}

func isPosixGroup(class string) bool { return strings.EqualFold(class, "posixGroup") }

// posixGroups is the condition on the POSIX groups with this number, "*" for any.
func posixGroups(gid string) string { return "(&(objectClass=posixGroup)(gidNumber=" + gid + "))" }

// gidFilter finds the groups with this number that count by the configured way of finding groups. ok is false where
// there is none: a filter of the operator's own that lists members in another way.
func (d *Directory) gidFilter(gid string) (filter string, ok bool) {
	if d.isAD {
		return "", false
	}
	if d.groups == nil {
		return posixGroups(gid), true
	}
	return d.groups.insteadOfMember(posixGroups(gid))
}

// gidGroups are the groups with this number in mode member_of, which has nothing else to search for.
func (d *Directory) gidGroups(ctx context.Context, gid string) ([]Group, error) {
	if groups, ok := d.cache.byGID(gid); ok {
		return slices.Clone(groups), nil
	}
	filter, ok := d.gidFilter(gid)
	if !ok {
		return nil, nil
	}
	groups, err := d.searchGroups(ctx, filter)
	if err != nil {
		return nil, err
	}
	d.cache.keepGID(gid, slices.Clone(groups))
	return groups, nil
}

// markPrimary says which of a person's groups is a primary one.
func (d *Directory) markPrimary(groups []Group, person *ldap.Entry) []Group {
	number := ""
	if s, ok := primarySID(person); ok && d.isAD {
		number = string(s)
	} else if gid, ok := primaryGID(person); ok && !d.isAD {
		number = gid
	}
	for i := range groups {
		g := &groups[i]
		if number != "" && g.number == number && len(g.Via) == 0 {
			g.Primary = true
		}
		g.number = ""
	}
	return groups
}

// groupNumber is by what people name a group as their primary one, "" for nothing.
func (d *Directory) groupNumber(e *ldap.Entry) string {
	if d.isAD {
		s, _ := entrySID(e)
		return string(s)
	}
	gid, _ := primaryGID(e)
	return gid
}

// PrimaryMembers counts the people whose primary group this is, at most limit; more says that there are others.
func (d *Directory) PrimaryMembers(ctx context.Context, dn string, limit int) (count int, more bool, err error) {
	const op = "count the members of a primary group"
	if _, err := parseDN(dn); err != nil {
		return 0, false, &Error{Problem: BadData, Op: op, Err: err}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"objectSid", "gidNumber", "objectClass"}))
	if len(found) == 0 && (err == nil || hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultReferral)) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, unavailable(op, err)
	}
	members, more, err := d.primaryMembers(ctx, found[0], limit)
	if err != nil {
		return 0, false, unavailable(op, err)
	}
	return len(members), more, nil
}

// primaryMembers finds people whose primary group this is, at most limit; more says that there are others. Only those
// that could sign in are looked for.
func (d *Directory) primaryMembers(ctx context.Context, group *ldap.Entry, limit int) (members []Member, more bool,
	err error) {
	own, isSID := entrySID(group)
	gid, isGID := primaryGID(group)
	var condition string
	switch {
	case d.isAD && isSID:
		condition = "(primaryGroupID=" + strconv.FormatUint(uint64(own.last()), 10) + ")"
	case !d.isAD && isGID && slices.ContainsFunc(group.GetEqualFoldAttributeValues("objectClass"), isPosixGroup):
		condition = "(gidNumber=" + gid + ")"
	default:
		return nil, false, nil
	}
	found, more, err := d.some(ctx, d.o.BaseDN, "(&"+d.person.present()+condition+")",
		[]string{"objectSid", "primaryGroupID"}, limit)
	for _, e := range found {
		// The number alone may be that of a group of another domain.
		if s, ok := primarySID(e); !d.isAD || ok && s == own {
			members = append(members, Member{DN: e.DN, Name: rdnValue(e.DN, "")})
		}
	}
	return members, more, err
}
