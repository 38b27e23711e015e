package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// usualGroups finds groups of the usual kinds. In mode member_of an entry of any kind can be a group: one of another
// kind is read when the walk first meets it.
const usualGroups = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group)" +
	"(objectClass=groupOfMembers)(objectClass=groupOfEntries))"

// list reads all groups that a filter finds below the group base, for each those that it is in, if there is a use for
// them.
func (w *walk) list(ctx context.Context, filter string, parents bool) error {
	attributes := w.attributes()
	if parents {
		attributes = append(attributes, "memberOf")
	}
	err := w.conn.pages(ctx, w.d.o.GroupBaseDN, filter, attributes, func(found *ldap.Entry) error {
		i := w.add(found)
		if !parents {
			return nil
		}
		return w.join(ctx, i, found)
	})
	if err != nil {
		return fmt.Errorf("list the groups: %w", w.conn.searchFault(err, "group_base_dn", w.d.o.GroupBaseDN))
	}
	return nil
}

// attributes are what is read of each group that counts.
func (w *walk) attributes() []string {
	return w.d.groupAttributes()
}

// add takes a group that a search found into the graph.
func (w *walk) add(found *ldap.Entry) int32 {
	g, fault := w.d.group(found)
	if fault != nil {
		g.DN = found.DN
	}
	i := w.graph.add(g, fault)
	if s, ok := entrySID(found); ok && w.d.isAD {
		w.bySID[s] = i
	}
	return i
}

// join notes which groups a group is in.
func (w *walk) join(ctx context.Context, i int32, found *ldap.Entry) error {
	most := w.d.o.MaxGroups
	if w.d.o.GroupMode == modeAD {
		most = maxGroups // a sign-in does not read these lists, and no bound of its own holds
	}
	list, err := w.d.values(ctx, found, "memberOf", most)
	if errors.Is(err, errTooMany) {
		w.graph.nodes[i].fault = w.d.tooManyGroups()
		return nil
	}
	if err != nil {
		return unavailable("read which groups the group "+found.DN+" is in", err)
	}
	parents := w.nodes(list)
	w.graph.nodes[i].parents = parents // nodes may have moved the graph's
	return nil
}

// nodes are the nodes of the groups that a memberOf lists. In mode member_of only those below the group base are
// groups; in mode ad the server's chain goes through others too.
func (w *walk) nodes(list []string) []int32 {
	var nodes []int32
	for _, dn := range list {
		key := dnKey(dn)
		if w.d.o.GroupMode == modeAD || keyUnder(key, w.base) {
			nodes = append(nodes, w.graph.node(key, dn))
		}
	}
	return nodes
}

// readListed prepares mode member_of.
func (w *walk) readListed(ctx context.Context) error {
	w.graph.load = w.loadListed
	if err := w.list(ctx, usualGroups, w.d.o.Nested); err != nil {
		return err
	}
	return w.readGIDs(ctx)
}

// readGIDs reads which groups are primary ones by a number. It comes after the other lists: what they know of a group
// stays.
func (w *walk) readGIDs(ctx context.Context) error {
	filter, ok := w.d.gidFilter("*")
	if !ok {
		return nil
	}
	w.byGID = map[string][]int32{}
	err := w.conn.pages(ctx, w.d.o.GroupBaseDN, filter, w.attributes(), func(found *ldap.Entry) error {
		if gid, ok := primaryGID(found); ok {
			w.byGID[gid] = append(w.byGID[gid], w.add(found))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the POSIX groups: %w", w.conn.searchFault(err, "group_base_dn", w.d.o.GroupBaseDN))
	}
	return nil
}

// primaries are the nodes of a person's groups by number.
func (w *walk) primaries(person *ldap.Entry) []int32 {
	if gid, ok := primaryGID(person); ok {
		return w.byGID[gid]
	}
	return nil
}

// loadListed reads a group that is none of the usual ones, as a sign-in does.
func (w *walk) loadListed(ctx context.Context, i int32) error {
	ctx, cancel := w.d.bounded(ctx)
	defer cancel()
	g, parents, err := w.d.readGroup(ctx, w.graph.nodes[i].group.DN, w.d.o.Nested)
	if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Problem != BadData) {
		return err
	}
	if err != nil {
		g.DN = w.graph.nodes[i].group.DN
	}
	w.graph.fill(i, g, err)
	var list []string
	for _, p := range parents {
		list = append(list, p.DN)
	}
	up := w.nodes(list)
	w.graph.nodes[i].parents = up
	return nil
}

// listed are the groups that a person's memberOf lists, and those that these are in.
func (w *walk) listed(ctx context.Context, _ Entry, found *ldap.Entry) ([]Group, error) {
	list, err := w.d.values(ctx, found, "memberOf", w.d.o.MaxGroups)
	if errors.Is(err, errTooMany) || err == nil && len(list) > w.d.o.MaxGroups {
		return nil, w.d.tooManyGroups()
	}
	if err != nil {
		return nil, err
	}
	direct := append(w.nodes(list), w.primaries(found)...)
	if s, ok := primarySID(found); ok {
		if i, ok := w.bySID[s]; ok { // the list of the usual groups has each of Active Directory's below the base
			direct = append(direct, i)
		}
	}
	return w.graph.climb(ctx, direct, w.d.o.Nested)
}

// followsChain tells whether the filter is Active Directory's rule in chain for the person's DN, with other conditions
// on the group at most. Then its results follow from the memberOf of people and groups.
func (t *template) followsChain() bool {
	if t.op == '&' {
		chains := 0
		for _, c := range t.children {
			if c.uses(holdDN) || c.uses(holdLogin) {
				if chains++; !c.followsChain() {
					return false
				}
			}
		}
		return chains == 1
	}
	return t.op == 0 && strings.EqualFold(t.left, "member:"+inChain+":=") && t.exactly(holdDN)
}

// readChain prepares mode ad: what the group filter can find are the groups that count.
func (w *walk) readChain(ctx context.Context) error {
	w.graph.load = w.loadChain
	return w.list(ctx, w.d.groups.present(), true)
}

// loadChain reads which groups a group is in that the filter does not find, or that is not below the group base: the
// chain goes through it all the same.
func (w *walk) loadChain(ctx context.Context, i int32) error {
	ctx, cancel := w.d.bounded(ctx)
	defer cancel()
	dn := w.graph.nodes[i].group.DN
	w.graph.nodes[i].known = true
	found, err := w.d.search(ctx, w.d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)",
		[]string{"memberOf", "groupType"}))
	if err != nil && !hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultReferral) {
		return unavailable("read the group "+dn, err)
	}
	if len(found) == 0 || w.d.sifts && !isSecurity(found[0]) {
		return nil
	}
	return w.join(ctx, i, found[0])
}

// inChain are the groups that the server would find in chain, or in the person's token.
func (w *walk) inChain(ctx context.Context, e Entry, found *ldap.Entry) ([]Group, error) {
	list, err := w.d.values(ctx, found, "memberOf", w.d.o.MaxGroups)
	if errors.Is(err, errTooMany) {
		return w.asked(ctx, e, found) // not all of them need be groups that count
	}
	if err != nil {
		return nil, err
	}
	direct := w.nodes(list)
	if s, ok := primarySID(found); ok {
		i, err := w.primary(ctx, s)
		if err != nil {
			return nil, err
		}
		if i != noNode {
			direct = append(direct, i)
		}
	}
	return w.graph.chain(ctx, direct)
}

// noNode stands for a primary group that nobody is in by any rule of ours: it can't be read, or does not count and
// leads nowhere.
const noNode int32 = -1

// primary is the node of a primary group. The lists of groups have those alone that list members, and it may list none;
// so each is looked for once.
func (w *walk) primary(ctx context.Context, s sid) (int32, error) {
	if i, ok := w.bySID[s]; ok {
		return i, nil
	}
	ctx, cancel := w.d.bounded(ctx)
	defer cancel()
	w.bySID[s] = noNode
	if filter, ok := w.d.groupFilter(s.filter()); ok {
		found, err := w.d.search(ctx, w.d.request(w.d.o.GroupBaseDN, ldap.ScopeWholeSubtree, 2, filter,
			append(w.attributes(), "memberOf")))
		if err != nil {
			return noNode, w.d.groupSearchError(err)
		}
		if len(found) == 1 {
			i := w.add(found[0])
			if w.d.o.GroupMode == modeAD {
				return i, w.join(ctx, i, found[0])
			}
			return i, nil
		}
	}
	if w.d.o.GroupMode != modeAD {
		return noNode, nil
	}
	dn, err := w.d.primaryDN(ctx, s)
	if err != nil {
		return noNode, err
	}
	if dn != "" {
		w.bySID[s] = w.graph.node(dnKey(dn), dn) // the chain goes through it
	}
	return w.bySID[s], nil
}
