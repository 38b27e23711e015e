package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// groupsOf reads a person's groups, direct and nested, in the configured way.
func (d *Directory) groupsOf(ctx context.Context, e Entry, found *ldap.Entry) ([]Group, error) {
	var direct []Group
	var err error
	switch d.o.GroupMode {
	case modeAD:
		if d.byToken {
			if groups, ok, err := d.groupsInToken(ctx, found); ok || err != nil {
				return groups, err
			}
			d.warnToken.Do(func() {
				d.o.Logger.Warn("the service account can't read tokenGroups: groups are searched by the matching rule in chain",
					"bind_dn", d.o.BindDN, "person", found.DN)
			})
		}
		return d.groupsInChain(ctx, e, found)
	case modeSearch:
		filter, ok, failed := d.personFilter(ctx, e, found)
		if !ok || failed != nil {
			return nil, failed
		}
		direct, err = d.searchGroups(ctx, filter)
	default:
		direct, err = d.listedGroups(ctx, found)
	}
	if err != nil || !d.o.Nested {
		return direct, err
	}
	return d.walk(ctx, direct)
}

// walk follows groups in groups upwards, breadth first, so that each group gets a shortest path. A group is visited
// once, so circles end.
func (d *Directory) walk(ctx context.Context, direct []Group) ([]Group, error) {
	groups := direct
	seen := make(map[string]bool, len(direct))
	for _, g := range direct {
		seen[dnKey(g.DN)] = true
	}
	for level, start := 1, 0; start < len(groups); level++ {
		end := len(groups)
		for _, member := range groups[start:end] {
			parents, err := d.parents(ctx, member)
			if err != nil {
				return nil, err
			}
			for _, g := range parents {
				key := dnKey(g.DN)
				if seen[key] {
					continue
				}
				if level >= d.o.MaxDepth {
					return nil, d.tooDeep(member.DN, g.DN)
				}
				seen[key] = true
				if d.o.GroupMode == modeMemberOf {
					if g, err = d.identity(ctx, g.DN); err != nil {
						return nil, err
					}
					if g.distribution {
						continue // nor does it lead on, as in a token
					}
				}
				g.Via = append(append([]string(nil), member.Via...), member.DN)
				if groups = append(groups, g); len(groups) > d.o.MaxGroups {
					return nil, d.tooManyGroups()
				}
			}
		}
		start = end
	}
	return groups, nil
}

// Beyond gives the groups that a person would be in beside those of the reading if groups in groups were followed,
// which the configuration says not to do; none where they are, and on Active Directory, which always does. It is for
// people who look into a refusal, never for a decision.
func (d *Directory) Beyond(ctx context.Context, e Entry) ([]Group, error) {
	if d.o.Nested || d.o.GroupMode == modeAD || len(e.Groups) == 0 {
		return nil, nil
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	all, err := d.walk(ctx, slices.Clone(e.Groups))
	if err != nil {
		return nil, unavailable("look for groups in groups", err)
	}
	beyond := slices.Clone(all[len(e.Groups):])
	for i := range beyond {
		beyond[i].number = ""
	}
	return beyond, nil
}

// tooDeep refuses for the same reason as tooManyGroups.
func (d *Directory) tooDeep(member, group string) error {
	return &Error{Problem: BadData, Op: "walk the nested groups",
		Err: fmt.Errorf("groups are nested deeper than max_depth (%d): %q is in %q", d.o.MaxDepth, member, group)}
}

// tooManyGroups refuses instead of cutting: a person with some of their groups would get the wrong roles.
func (d *Directory) tooManyGroups() error {
	return &Error{Problem: BadData, Op: "read the groups",
		Err: fmt.Errorf("the person is in more than max_groups (%d) groups", d.o.MaxGroups)}
}

// parents are the groups that a group is directly in.
func (d *Directory) parents(ctx context.Context, g Group) ([]Group, error) {
	if parents, ok := d.cache.parents(g.DN); ok {
		return parents, nil
	}
	if d.o.GroupMode == modeMemberOf {
		_, parents, err := d.readGroup(ctx, g.DN, true)
		return parents, err
	}
	// Without a login: what names its members by login has no groups among them.
	filter, ok := d.groups.fill(map[string]string{holdDN: g.DN})
	if !ok {
		return nil, nil
	}
	parents, err := d.searchGroups(ctx, filter)
	if err != nil {
		return nil, err
	}
	d.cache.keepParents(g.DN, parents)
	return parents, nil
}

// searchGroups finds groups below the group base.
func (d *Directory) searchGroups(ctx context.Context, filter string) ([]Group, error) {
	found, err := d.searchAll(ctx, d.o.GroupBaseDN, filter, d.groupAttributes(), d.o.MaxGroups)
	if errors.Is(err, errTooMany) {
		return nil, d.tooManyGroups()
	}
	if err != nil {
		return nil, d.groupSearchError(err)
	}
	groups := make([]Group, 0, len(found))
	for _, e := range found {
		g, err := d.group(e)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func (d *Directory) groupSearchError(err error) error {
	switch {
	case hasCode(err, ldap.LDAPResultNoSuchObject):
		err = &baseError{"group_base_dn", d.o.GroupBaseDN, err}
	case hasCode(err, ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultAdminLimitExceeded,
		ldap.LDAPResultTimeLimitExceeded):
		err = fmt.Errorf("the server's limit for the service account is too low for this search: %w", err)
	}
	return unavailable("search groups", err)
}

// listedGroups are the groups that the person's memberOf lists, as far as they are below the group base.
func (d *Directory) listedGroups(ctx context.Context, found *ldap.Entry) ([]Group, error) {
	list, err := d.values(ctx, found, "memberOf", d.o.MaxGroups)
	if errors.Is(err, errTooMany) || err == nil && len(list) > d.o.MaxGroups {
		return nil, d.tooManyGroups()
	}
	if err != nil {
		return nil, err
	}
	groups, err := d.identified(ctx, list)
	if gid, has := primaryGID(found); err == nil && has && !d.isAD {
		return d.withGID(ctx, groups, gid)
	}
	s, has := primarySID(found)
	if err != nil || !d.isAD || !has {
		return groups, err
	}
	known, err := d.groupsBySID(ctx, []sid{s})
	if err != nil || !known[s].here {
		return groups, err
	}
	return append(groups, known[s].group), nil
}

// withGID adds the groups with a person's number to those that memberOf lists.
func (d *Directory) withGID(ctx context.Context, groups []Group, gid string) ([]Group, error) {
	primary, err := d.gidGroups(ctx, gid)
	if err != nil {
		return nil, err
	}
	for _, g := range primary {
		if !slices.ContainsFunc(groups, func(have Group) bool { return dnKey(have.DN) == dnKey(g.DN) }) {
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// identified makes groups of DNs: each with id and name, from the cache or read. It leaves out those that are not below
// the group base.
func (d *Directory) identified(ctx context.Context, list []string) ([]Group, error) {
	groups := make([]Group, 0, len(list))
	for _, dn := range list {
		if !under(dn, d.o.GroupBaseDN) {
			continue
		}
		g, err := d.identity(ctx, dn)
		if err != nil {
			return nil, err
		}
		if g.distribution {
			continue
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// identity is the group with this DN, with id and name.
func (d *Directory) identity(ctx context.Context, dn string) (Group, error) {
	if g, ok := d.cache.group(dn); ok {
		return g, nil
	}
	g, _, err := d.readGroup(ctx, dn, d.o.Nested)
	return g, err
}

// readGroup reads one group by its DN into the cache, in mode member_of with the groups that it is in if up says so. A
// group that can't be read stays in the list with what its DN tells: the person's own entry says that they are in it.
func (d *Directory) readGroup(ctx context.Context, dn string, up bool) (Group, []Group, error) {
	attributes := d.groupAttributes()
	if d.o.GroupMode == modeMemberOf {
		attributes = append(attributes, "memberOf")
	}
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", attributes))
	if err != nil && !hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultReferral) {
		return Group{}, nil, unavailable("read the group "+dn, err)
	}
	if len(found) == 0 {
		g := Group{DN: dn, Name: rdnValue(dn, ""), distribution: d.securityOnly()}
		d.cache.keepGroup(g)
		d.cache.keepParents(dn, nil)
		return g, nil, nil
	}
	g, err := d.group(found[0])
	if err != nil {
		return Group{}, nil, err
	}
	d.cache.keepGroup(g)
	if d.o.GroupMode != modeMemberOf || !up {
		return g, nil, nil
	}
	list, err := d.values(ctx, found[0], "memberOf", d.o.MaxGroups)
	if errors.Is(err, errTooMany) {
		return Group{}, nil, d.tooManyGroups()
	}
	if err != nil {
		return Group{}, nil, err
	}
	// Their ids and names are filled in when the walk gets to them, so that one reading stays one reading.
	parents := make([]Group, 0, len(list))
	for _, p := range list {
		if under(p, d.o.GroupBaseDN) {
			parents = append(parents, Group{DN: p})
		}
	}
	d.cache.keepParents(dn, parents)
	return g, parents, nil
}

// groupsInChain lets Active Directory follow the nesting: one search finds all groups. The paths come from the memberOf
// of what it found. It is for group filters of one's own, distribution groups included, and where tokenGroups can't be
// read. Unlike a token, the rule goes on through distribution groups, so where these count nowhere, what it reached by
// way of one is taken out again.
func (d *Directory) groupsInChain(ctx context.Context, e Entry, person *ldap.Entry) ([]Group, error) {
	filter, ok, err := d.personFilter(ctx, e, person)
	if !ok || err != nil {
		return nil, err
	}
	found, err := d.searchAll(ctx, d.o.GroupBaseDN, filter, append(d.groupAttributes(), "memberOf"), d.o.MaxGroups)
	if errors.Is(err, errTooMany) {
		return nil, d.tooManyGroups()
	}
	if err != nil {
		return nil, d.groupSearchError(err)
	}
	groups := make([]Group, 0, len(found))
	index := make(map[string]int, len(found))
	for _, entry := range found {
		g, err := d.group(entry)
		if err != nil {
			return nil, err
		}
		index[dnKey(g.DN)] = len(groups)
		groups = append(groups, g)
	}
	most := d.o.MaxGroups
	if d.sifts {
		most = maxGroups // the list decides, and not the paths alone
	}
	listed, err := d.values(ctx, person, "memberOf", most)
	switch {
	case errors.Is(err, errTooMany) && d.sifts:
		return nil, d.tooManyGroups()
	case err != nil && !errors.Is(err, errTooMany):
		return nil, err
	}
	if s, has := primarySID(person); has {
		dn, err := d.primaryDN(ctx, s) // from the cache: personFilter has asked
		if err != nil {
			return nil, err
		}
		listed = append(slices.Clone(listed), dn)
	}
	tracePaths(groups, index, listed, func(i int) []string { return found[i].GetEqualFoldAttributeValues("memberOf") })
	if d.sifts {
		return d.bySecurityGroups(ctx, groups, index, found, listed)
	}
	return groups, nil
}

// tracePaths fills Via: breadth first from the direct groups along the memberOf of each. A group that is not reached,
// because a memberOf could not be read whole, keeps an empty path; it is a group of the person all the same.
func tracePaths(groups []Group, index map[string]int, direct []string, memberOf func(int) []string) {
	reached := make([]bool, len(groups))
	var queue []int
	visit := func(dn string, via []string) {
		if i, ok := index[dnKey(dn)]; ok && !reached[i] {
			reached[i], groups[i].Via = true, via
			queue = append(queue, i)
		}
	}
	for _, dn := range direct {
		visit(dn, nil)
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		via := append(append([]string(nil), groups[i].Via...), groups[i].DN)
		for _, dn := range memberOf(i) {
			visit(dn, via)
		}
	}
}

// groupAttributes are what is read of a group.
func (d *Directory) groupAttributes() []string {
	number := "gidNumber"
	if d.isAD {
		number = "objectSid"
	}
	if d.securityOnly() {
		return []string{d.o.GroupIDAttribute, d.o.GroupNameAttribute, number, "groupType"}
	}
	return []string{d.o.GroupIDAttribute, d.o.GroupNameAttribute, number}
}

// securityOnly tells whether memberOf, which lists groups of any kind, must be sifted. The other modes have it in their
// filter.
func (d *Directory) securityOnly() bool {
	return d.isAD && d.o.GroupMode == modeMemberOf && !d.o.DistributionGroups
}

// group makes a Group of an entry. A group without an id is one that mappings know by DN only; an id that is there and
// can't be used is a fault.
func (d *Directory) group(e *ldap.Entry) (Group, error) {
	g := Group{DN: e.DN, Name: text(e, d.o.GroupNameAttribute), number: d.groupNumber(e)}
	if g.Name == "" {
		g.Name = rdnValue(e.DN, "")
	}
	if ids := e.GetEqualFoldRawAttributeValues(d.o.GroupIDAttribute); len(ids) > 0 {
		id, err := idText(d.o.GroupIDAttribute, ids[0])
		if err != nil {
			return Group{}, &Error{Problem: BadData, Op: "read the group " + e.DN, Err: err}
		}
		g.ID = id
	}
	if d.securityOnly() {
		g.distribution = !isSecurity(e)
	}
	return g, nil
}

// isSecurity tells whether an entry is a security group. The bit that marks them makes the number negative. Without a
// readable type it is none.
func isSecurity(e *ldap.Entry) bool {
	return strings.HasPrefix(e.GetEqualFoldAttributeValue("groupType"), "-")
}

// personClasses mark an entry that is a person, by whatever DN somebody asks for it.
var personClasses = []string{"person", "inetOrgPerson", "posixAccount"}

// Group reads a group by DN. A malformed DN, one that is not there (ErrNotFound in the chain), one that is a person
// and, where security groups alone count, a distribution group, and one that is not below the group base are each an
// Error with Problem BadData.
func (d *Directory) Group(ctx context.Context, dn string) (Group, error) {
	const op = "read a group by DN"
	if _, err := parseDN(dn); err != nil {
		return Group{}, &Error{Problem: BadData, Op: op, Err: err}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", append(d.groupAttributes(),
		"objectClass", "groupType")))
	if len(found) == 0 && (err == nil || hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultReferral)) {
		return Group{}, &Error{Problem: BadData, Op: op, Err: fmt.Errorf("%q: %w", dn, ErrNotFound)}
	}
	if hasCode(err, ldap.LDAPResultInvalidDNSyntax) {
		return Group{}, &Error{Problem: BadData, Op: op,
			Err: fmt.Errorf("the directory does not take %q for a DN: %w", dn, err)}
	}
	if err != nil {
		return Group{}, unavailable(op, err)
	}
	for _, class := range found[0].GetEqualFoldAttributeValues("objectClass") {
		for _, person := range personClasses {
			if strings.EqualFold(class, person) {
				return Group{}, &Error{Problem: BadData, Op: op, Err: fmt.Errorf("%q is a person, not a group", dn)}
			}
		}
	}
	// Otherwise a mapping for it would be taken, and give nobody anything.
	if d.refuses() && !isSecurity(found[0]) {
		return Group{}, &Error{Problem: BadData, Op: op,
			Err: fmt.Errorf("%q is not a security group, and others give nobody access", dn)}
	}
	g, err := d.given(found[0])
	if err == nil && !under(g.DN, d.o.GroupBaseDN) {
		err = d.outside(ctx, g)
	}
	return g, err
}

// outside refuses a group that is not below the group base: nobody is in it for a sign-in. Whether it is below is the
// server's to say, where the group has an id to ask by.
func (d *Directory) outside(ctx context.Context, g Group) error {
	if g.ID != "" {
		if _, err := d.GroupByID(ctx, g.ID); !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return &Error{Problem: BadData, Op: "read a group by DN",
		Err: fmt.Errorf("%q is not below group_base_dn %q, and groups elsewhere give nobody access", g.DN, d.o.GroupBaseDN)}
}

// given is group for callers.
func (d *Directory) given(e *ldap.Entry) (Group, error) {
	g, err := d.group(e)
	g.number = ""
	return g, err
}

// refuses tells whether distribution groups count nowhere. A group filter of one's own decides that by itself.
func (d *Directory) refuses() bool {
	return d.isAD && !d.o.DistributionGroups && (d.o.GroupMode == modeMemberOf || strings.HasPrefix(d.o.GroupFilter,
		"(&(objectCategory=group)"+securityGroup))
}

// GroupByID finds a group below the group base by its immutable id, wherever it is now: it shows the present DN of a
// renamed one. One that is not there is an Error with Problem BadData and ErrNotFound in its chain.
func (d *Directory) GroupByID(ctx context.Context, id string) (Group, error) {
	const op = "read a group by id"
	condition, err := idFilter(d.o.GroupIDAttribute, canonicalID(d.o.GroupIDAttribute, id))
	if err != nil {
		return Group{}, &Error{Problem: BadData, Op: op, Err: err}
	}
	ctx, cancel := d.bounded(ctx)
	defer cancel()
	found, err := d.search(ctx, d.request(d.o.GroupBaseDN, ldap.ScopeWholeSubtree, 2, condition,
		d.groupAttributes()))
	switch {
	case len(found) > 1:
		return Group{}, &Error{Problem: Ambiguous, Op: op, Err: fmt.Errorf("several groups have the id %s", id)}
	case err != nil:
		return Group{}, d.groupSearchError(err)
	case len(found) == 0:
		return Group{}, &Error{Problem: BadData, Op: op, Err: fmt.Errorf("group %s: %w", id, ErrNotFound)}
	}
	return d.given(found[0])
}
