package directory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// members is who is directly in which group, for mode search: read from the groups that matter and those nested in them, so that people need
// not be asked for one by one.
type members struct {
	w     *walk
	ways  []way
	found []uint32 // for each node, by which ways the filter finds it (bit i: ways[i])
	kinds []way    // the ways whose value is a login, each kind of value once
	all   []membership
}

// membership says that whoever has a DN or a login is in a group.
type membership struct {
	who   walkKey
	group int32
	// exact is a part of the hash of the value as it is spelled, for a value made of a login: see groupsOf.
	exact uint32
}

func newMembers(w *walk, ways []way) *members {
	m := &members{w: w, ways: ways}
	for _, y := range ways {
		if !y.byDN && !slices.ContainsFunc(m.kinds, func(k way) bool { return k.of("\x00") == y.of("\x00") }) {
			m.kinds = append(m.kinds, y)
		}
	}
	return m
}

// read lists the groups and reads the members of those that matter, downwards through what is nested in them. A group is read once, so
// circles end.
func (m *members) read(ctx context.Context) error {
	g := m.w.graph
	for bit, y := range m.ways {
		err := m.w.conn.pages(ctx, m.w.d.o.GroupBaseDN, y.filter(), m.w.d.groupAttributes(), func(found *ldap.Entry) error {
			i := m.w.add(found)
			for int(i) >= len(m.found) {
				m.found = append(m.found, 0)
			}
			m.found[i] |= 1 << bit
			return nil
		})
		if err != nil {
			return fmt.Errorf("list the groups: %w", m.w.conn.searchFault(err, "group_base_dn", m.w.d.o.GroupBaseDN))
		}
	}
	g.begin()
	for i := range g.nodes {
		// Who is in a group that can't be used can't sign in, so it matters too.
		if n := &g.nodes[i]; n.wanted || n.fault != nil {
			g.come(int32(i), -1, 0)
		}
	}
	for at := 0; at < len(g.queue); at++ {
		i := g.queue[at]
		for bit, y := range m.ways {
			if m.found[i]&(1<<bit) == 0 {
				continue
			}
			if err := m.readGroup(ctx, i, y); err != nil {
				return fmt.Errorf("read the members of the group %q: %w", g.nodes[i].group.DN, err)
			}
		}
	}
	for i := range g.nodes {
		slices.Sort(g.nodes[i].parents)
	}
	slices.SortFunc(m.all, func(a, b membership) int { return cmp.Or(compareKeys(a.who, b.who), cmp.Compare(a.group, b.group)) })
	return nil
}

// readGroup reads who is in a group in one way. Active Directory gives long lists in parts, see values.
func (m *members) readGroup(ctx context.Context, i int32, y way) error {
	d := m.w.d
	dn, attribute := m.w.graph.nodes[i].group.DN, y.attribute
	for last, parts := -1, 0; parts < maxRanges; parts++ {
		found, _, err := m.w.conn.search(ctx, d.request(dn, ldap.ScopeBaseObject, 0, y.filter(), []string{attribute}))
		if hasCode(err, ldap.LDAPResultNoSuchObject) || err == nil && len(found) == 0 && last < 0 {
			return nil // it went away, or has no members any more
		}
		if err != nil {
			return m.w.conn.searchFault(err, "group_base_dn", d.o.GroupBaseDN)
		}
		if len(found) != 1 {
			return fmt.Errorf("it changed after value %d", last)
		}
		// Whatever the server calls it: nothing but this attribute, or a part of it, was asked for.
		for _, a := range found[0].Attributes {
			m.take(i, y, a.Values)
		}
		values, end := rangePart(found[0], y.attribute)
		if values == nil || end < 0 {
			return nil
		}
		if end <= last {
			return fmt.Errorf("the server does not go on after value %d", last)
		}
		last = end
		attribute = y.attribute + ";range=" + strconv.Itoa(last+1) + "-*"
	}
	return fmt.Errorf("the server gave its members in more than %d parts", maxRanges)
}

// take notes the members of a group. A group among them is read in its turn.
func (m *members) take(i int32, y way, values []string) {
	g := m.w.graph
	m.all = slices.Grow(m.all, len(values))
	for _, v := range values {
		if !y.byDN {
			key := keyOf(y.of("\x00") + "\x00" + coarse(v))
			m.all = append(m.all, membership{who: key, group: i, exact: exactly(v)})
			continue
		}
		key := keyOf(dnKey(v))
		m.all = append(m.all, membership{who: key, group: i})
		child, isGroup := g.byDN[key]
		if !isGroup || !m.w.d.o.Nested {
			continue
		}
		if n := &g.nodes[child]; !slices.Contains(n.parents, i) {
			n.parents = append(n.parents, i)
		}
		g.come(child, -1, 0)
	}
}

// coarse is the form by which values made of a login are looked for. Two that differ in it are not equal by any usual rule of comparing.
func coarse(v string) string {
	if dn, err := NormalDN(v); err == nil {
		return dn
	}
	return fold(strings.Join(strings.Fields(v), " "))
}

// exactly stands for the value as it is spelled.
func exactly(v string) uint32 {
	key := keyOf(v)
	return uint32(key[0])<<24 | uint32(key[1])<<16 | uint32(key[2])<<8 | uint32(key[3])
}

// groupsOf gives a person's groups.
func (m *members) groupsOf(ctx context.Context, e Entry, found *ldap.Entry) ([]Group, error) {
	var direct []int32
	for _, is := range m.with(keyOf(dnKey(e.DN))) {
		direct = append(direct, is.group)
	}
	for _, kind := range m.kinds {
		value := kind.of(e.Login)
		for _, is := range m.with(keyOf(kind.of("\x00") + "\x00" + coarse(value))) {
			if is.exact != exactly(value) {
				// Whether case and spaces count is up to the attribute's own rule, which the server knows.
				return m.w.asked(ctx, e, found)
			}
			direct = append(direct, is.group)
		}
	}
	slices.Sort(direct)
	return m.w.graph.climb(ctx, direct, m.w.d.o.Nested)
}

// with are the memberships of one value.
func (m *members) with(who walkKey) []membership {
	from, _ := slices.BinarySearchFunc(m.all, who, func(is membership, who walkKey) int { return compareKeys(is.who, who) })
	to := from
	for to < len(m.all) && m.all[to].who == who {
		to++
	}
	return m.all[from:to]
}
