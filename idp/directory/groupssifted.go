package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// bySecurityGroups keeps those groups of the rule in chain that security groups alone lead to, as they would in the
// person's token. Who may write an entry's permissions can deny the reading of its tokenGroups: that must not give more
// groups than the token has. direct are the groups that the person is directly in; found are the entries of groups, and
// index their places by DN.
func (d *Directory) bySecurityGroups(
	ctx context.Context, groups []Group, index map[string]int, found []*ldap.Entry, direct []string,
) ([]Group, error) {
	reached := make([]bool, len(groups))
	left := len(groups)
	seen := map[string]bool{}
	var inside []int // of groups, still to be followed
	var beyond []string
	come := func(list []string) {
		for _, dn := range list {
			key := dnKey(dn)
			if seen[key] {
				continue
			}
			seen[key] = true
			if i, ok := index[key]; ok {
				reached[i] = true
				left--
				inside = append(inside, i)
				continue
			}
			beyond = append(beyond, dn)
		}
	}
	come(direct)
	read := 0
	for left > 0 {
		switch {
		case len(inside) > 0: // the filter takes security groups alone, and these are known
			i := inside[0]
			inside = inside[1:]
			up, err := d.values(ctx, found[i], "memberOf", maxGroups)
			if err != nil && !errors.Is(err, errTooMany) {
				return nil, err
			}
			if err != nil {
				return nil, d.tooManyGroups()
			}
			come(up)
		case len(beyond) > 0: // outside the group base, or a distribution group
			dn := beyond[0]
			beyond = beyond[1:]
			if read++; read > d.o.MaxGroups {
				return nil, d.tooManyGroups()
			}
			up, err := d.securityParents(ctx, dn)
			if err != nil {
				return nil, err
			}
			come(up)
		default:
			left = 0
		}
	}
	kept := groups[:0]
	for i, g := range groups {
		if reached[i] {
			kept = append(kept, g)
		}
	}
	return kept, nil
}

// securityParents are the groups that a security group is directly in; none of any other group, and none of one whose
// kind can't be read.
func (d *Directory) securityParents(ctx context.Context, dn string) ([]string, error) {
	var list []string
	if known, ok := d.cache.parents(dn); ok {
		for _, g := range known {
			list = append(list, g.DN)
		}
		return list, nil
	}
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"memberOf", "groupType"}))
	if err != nil && !hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultReferral) {
		return nil, unavailable("read the group "+dn, err)
	}
	if len(found) == 1 && isSecurity(found[0]) {
		list, err = d.values(ctx, found[0], "memberOf", maxGroups)
		if errors.Is(err, errTooMany) {
			return nil, d.tooManyGroups()
		}
		if err != nil {
			return nil, fmt.Errorf("read the group %s: %w", dn, err)
		}
	}
	parents := make([]Group, 0, len(list))
	for _, up := range list {
		parents = append(parents, Group{DN: up})
	}
	d.cache.keepParents(dn, parents)
	return list, nil
}
