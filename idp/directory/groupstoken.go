package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

const (
	// maxToken bounds the groups of a token. Active Directory lets nobody log on with more than about a thousand.
	maxToken = 10_000
	// sidBatch is how many identifiers one search asks for.
	sidBatch = 100
)

// tokenGroup is what is known of a group by its identifier. here: it is below the group base and one that counts.
type tokenGroup struct {
	group    Group
	memberOf []string // as far as one answer has it; for the path that is shown, never for a decision
	here     bool
}

// groupsInToken reads the security groups that Active Directory itself would put into the person's token: nested ones
// and the primary group included, and nothing by way of a distribution group. One read gives their identifiers, and one
// more those of them that no reading of the last minute has met. ok is false where the service account may not read
// tokenGroups.
func (d *Directory) groupsInToken(ctx context.Context, person *ldap.Entry) (groups []Group, ok bool, err error) {
	token, err := d.token(ctx, person.DN)
	if err != nil || token == nil {
		return nil, false, err
	}
	known, err := d.groupsBySID(ctx, token)
	if err != nil {
		return nil, false, err
	}
	index := make(map[string]int, len(known))
	var memberOf [][]string
	for _, s := range token {
		g := known[s]
		if !g.here { // of another domain, outside the group base, or not for the service account to see
			continue
		}
		index[dnKey(g.group.DN)] = len(groups)
		groups, memberOf = append(groups, g.group), append(memberOf, g.memberOf)
	}
	if len(groups) > d.o.MaxGroups {
		return nil, false, d.tooManyGroups()
	}
	direct, err := d.values(ctx, person, "memberOf", d.o.MaxGroups)
	if err != nil && !errors.Is(err, errTooMany) {
		return nil, false, err
	}
	if s, has := primarySID(person); has && known[s].here {
		direct = append(slices.Clone(direct), known[s].group.DN)
	}
	tracePaths(groups, index, direct, func(i int) []string { return memberOf[i] })
	return groups, true, nil
}

// token reads tokenGroups, which the server makes for a read of one entry only (MS-ADTS 3.1.1.4.5.19). Everybody has a
// primary group, so none at all means that it can't be read.
func (d *Directory) token(ctx context.Context, dn string) ([]sid, error) {
	const attribute = "tokenGroups"
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{attribute}))
	switch {
	case hasCode(err, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform,
		ldap.LDAPResultNoSuchAttribute,
		ldap.LDAPResultUndefinedAttributeType):
		return nil, nil
	case err != nil:
		return nil, unavailable("read the token of "+dn, err)
	case len(found) != 1:
		return nil, unavailable("read the token of "+dn, ErrNotFound)
	}
	values, err := d.values(ctx, found[0], attribute, maxToken)
	if errors.Is(err, errTooMany) || err == nil && len(values) > maxToken {
		return nil, d.tooManyGroups()
	}
	if err != nil {
		return nil, err
	}
	var token []sid
	for _, v := range values {
		s, ok := readSID([]byte(v))
		if !ok {
			return nil, &Error{Problem: BadData, Op: "read the token of " + dn,
				Err: fmt.Errorf("a value of %d bytes is no security identifier", len(v))}
		}
		token = append(token, s)
	}
	return token, nil
}

// groupsBySID gives what is known of groups, from the cache or read in batches. What is not found is kept too: the
// identifiers of another domain come with every token.
func (d *Directory) groupsBySID(ctx context.Context, all []sid) (map[sid]tokenGroup, error) {
	known := make(map[sid]tokenGroup, len(all))
	var missing []sid
	for _, s := range all {
		if g, ok := d.cache.token(s); ok {
			known[s] = g
		} else {
			missing = append(missing, s)
		}
	}
	for batch := range slices.Chunk(missing, sidBatch) {
		var conditions strings.Builder
		for _, s := range batch {
			conditions.WriteString(s.filter())
		}
		filter, ok := d.groupFilter("(|" + conditions.String() + ")")
		if !ok {
			return known, nil
		}
		found, err := d.searchAll(ctx, d.o.GroupBaseDN, filter, append(d.groupAttributes(), "memberOf"), len(batch))
		if errors.Is(err, errTooMany) {
			return nil, &Error{Problem: BadData, Op: "read groups by identifier",
				Err: errors.New("several groups have the same objectSid")}
		}
		if err != nil {
			return nil, d.groupSearchError(err)
		}
		for _, e := range found {
			s, ok := entrySID(e)
			if !ok || !slices.Contains(batch, s) {
				continue
			}
			g, err := d.group(e)
			if err != nil {
				return nil, err
			}
			known[s] = tokenGroup{g, e.GetEqualFoldAttributeValues("memberOf"), !g.distribution}
		}
		for _, s := range batch {
			d.cache.keepToken(s, known[s])
		}
	}
	return known, nil
}

// groupFilter finds the groups that count and meet a condition, which stands in the place of the one on the person.
func (d *Directory) groupFilter(condition string) (filter string, ok bool) {
	if d.groups == nil {
		return "(&(objectCategory=group)" + condition + ")", true
	}
	return d.groups.instead(condition)
}

// primaryDN is the DN of a person's primary group, wherever it is; "" if they have none that can be read.
func (d *Directory) primaryDN(ctx context.Context, s sid) (string, error) {
	if g, ok := d.cache.primary(s); ok {
		return g, nil
	}
	found, err := d.search(ctx, d.request(s.dn(), ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{"1.1"}))
	if err != nil && !hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultReferral,
		ldap.LDAPResultInvalidDNSyntax) {
		return "", unavailable("read the primary group "+s.String(), err)
	}
	dn := ""
	if len(found) == 1 {
		dn = found[0].DN
	}
	d.cache.keepPrimary(s, dn)
	return dn, nil
}

// personFilter finds the groups that a person is in: by DN and login, and by the primary group, which no group lists.
func (d *Directory) personFilter(ctx context.Context, e Entry, person *ldap.Entry) (filter string, ok bool, err error) {
	filter, ok = d.groups.fill(map[string]string{holdDN: e.DN, holdLogin: e.Login})
	s, has := primarySID(person)
	if gid, posix := primaryGID(person); ok && posix && !d.isAD {
		if primary, ok := d.gidFilter(gid); ok {
			filter = "(|" + filter + primary + ")"
		}
	}
	if !ok || !d.isAD || !has {
		return filter, ok, nil
	}
	all := filter
	if primary, ok := d.groups.instead(s.filter()); ok {
		all += primary
	}
	if d.o.GroupMode == modeAD { // what the primary group is in; in the other modes the walk goes there
		dn, err := d.primaryDN(ctx, s)
		if err != nil {
			return "", false, err
		}
		if nested, ok := d.groups.fill(map[string]string{holdDN: dn}); ok && dn != "" {
			all += nested
		}
	}
	if all == filter {
		return filter, true, nil
	}
	return "(|" + all + ")", true, nil
}
