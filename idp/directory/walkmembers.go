package directory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// members is who is directly in which group, for mode search: read from the groups that matter and those nested in
// them, so that people need not be asked for one by one.
type members struct {
	w     *walk
	ways  []way
	found []uint32 // for each node, by which ways the filter finds it (bit i: ways[i])
	kinds []way    // the ways whose value is a login, each kind of value once
	all   []membership
	// odd are the groups whose DN has letters beyond ASCII, by the coarse form. A member list may spell such a DN in
	// another way that the server takes for the same.
	odd map[walkKey]int32
	// primaries are the primary groups whose own groups are known; doubtful is one whose DN is spelled in different ways.
	primaries map[int32]bool
	doubtful  map[int32]bool
}

// membership says that whoever has a DN or a login is in a group.
type membership struct {
	who   walkKey
	group int32
	// exact is a part of the hash of the value as it is spelled, of a DN in its normal form: see groupsOf.
	exact uint32
}

func newMembers(w *walk, ways []way) *members {
	m := &members{w: w, ways: ways, odd: map[walkKey]int32{}, primaries: map[int32]bool{}, doubtful: map[int32]bool{}}
	for _, y := range ways {
		if !y.byDN && !slices.ContainsFunc(m.kinds, func(k way) bool { return k.of("\x00") == y.of("\x00") }) {
			m.kinds = append(m.kinds, y)
		}
	}
	return m
}

// read lists the groups and reads the members of those that matter, downwards through what is nested in them. A group
// is read once, so circles end.
func (m *members) read(ctx context.Context) error {
	g := m.w.graph
	for bit, y := range m.ways {
		err := m.w.conn.pages(ctx, m.w.d.o.GroupBaseDN, y.filter(), m.w.attributes(), func(found *ldap.Entry) error {
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
	for i := range g.nodes {
		if dn := g.nodes[i].group.DN; !isASCII(dn) {
			m.odd[keyOf(coarse(dn))] = int32(i)
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
	slices.SortFunc(m.all, func(a, b membership) int {
		return cmp.Or(compareKeys(a.who, b.who),
			cmp.Compare(a.group, b.group))
	})
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
			if err := m.take(ctx, i, y, a.Values); err != nil {
				return err
			}
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
func (m *members) take(ctx context.Context, i int32, y way, values []string) error {
	g := m.w.graph
	m.all = slices.Grow(m.all, len(values))
	for _, v := range values {
		if !y.byDN {
			key := keyOf(y.of("\x00") + "\x00" + coarse(v))
			m.all = append(m.all, membership{who: key, group: i, exact: exactly(v)})
			continue
		}
		m.all = append(m.all, membership{who: keyOf(coarse(v)), group: i, exact: exactly(dnKey(v))})
		child, isGroup, err := m.group(ctx, v)
		if err != nil {
			return err
		}
		if !isGroup || !m.w.d.o.Nested {
			continue
		}
		if n := &g.nodes[child]; !slices.Contains(n.parents, i) {
			n.parents = append(n.parents, i)
		}
		g.come(child, -1, 0)
	}
	return nil
}

// group is the group that a member list names. Where its DN only looks like a group's, the server says which entry it
// is.
func (m *members) group(ctx context.Context, dn string) (i int32, ok bool, err error) {
	if i, ok = m.w.graph.byDN[keyOf(dnKey(dn))]; ok || isASCII(dn) {
		return i, ok, nil
	}
	if _, like := m.odd[keyOf(coarse(dn))]; !like {
		return 0, false, nil
	}
	found, _, err := m.w.conn.search(ctx, m.w.d.request(dn, ldap.ScopeBaseObject, 1, "(objectClass=*)", []string{"1.1"}))
	if err != nil && !hasCode(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultReferral) {
		return 0, false, fmt.Errorf("read the group %q: %w", dn, err)
	}
	if len(found) != 1 {
		return 0, false, nil
	}
	i, ok = m.w.graph.byDN[keyOf(dnKey(found[0].DN))]
	return i, ok, nil
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// coarse is the form by which values made of a login or a DN are looked for. Two that differ in it are not equal by any
// usual rule of comparing; two that agree in it need not be equal by the server's.
func coarse(v string) string {
	if plain, ok := plainDN(v); ok {
		return plain // what the rest of this function would make of it
	}
	parsed, err := parseDN(v)
	if err != nil {
		return fold(strings.Join(strings.Fields(v), " "))
	}
	for _, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			a.Type, a.Value = fold(a.Type), fold(strings.Join(strings.Fields(a.Value), " "))
		}
	}
	return parsed.String()
}

// exactly stands for the value as it is spelled.
func exactly(v string) uint32 {
	key := keyOf(v)
	return uint32(key[0])<<24 | uint32(key[1])<<16 | uint32(key[2])<<8 | uint32(key[3])
}

// groupsOf gives a person's groups.
func (m *members) groupsOf(ctx context.Context, e Entry, found *ldap.Entry) ([]Group, error) {
	var direct []int32
	own := exactly(dnKey(e.DN))
	for _, is := range m.with(keyOf(coarse(e.DN))) {
		if is.exact != own {
			// Whether that is the same DN is up to the server's matching rules.
			return m.w.asked(ctx, e, found)
		}
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
	if s, ok := primarySID(found); ok && m.w.d.isAD {
		i, err := m.primary(ctx, s)
		if err != nil {
			return nil, err
		}
		if m.doubtful[i] {
			return m.w.asked(ctx, e, found)
		}
		if i != noNode {
			direct = append(direct, i)
		}
	}
	for _, i := range m.w.primaries(found) {
		if m.lead(i); m.doubtful[i] {
			return m.w.asked(ctx, e, found)
		}
		direct = append(direct, i)
	}
	return m.w.graph.climb(ctx, direct, m.w.d.o.Nested)
}

// primary is the node of a primary group. One that lists no members was not met when the groups were read: what it is
// in is known from the members of the others.
func (m *members) primary(ctx context.Context, s sid) (int32, error) {
	i, err := m.w.primary(ctx, s)
	if err == nil && i != noNode {
		m.lead(i)
	}
	return i, err
}

// lead notes which groups a primary group is in.
func (m *members) lead(i int32) {
	if m.primaries[i] {
		return
	}
	m.primaries[i] = true
	dn := m.w.graph.nodes[i].group.DN
	own := exactly(dnKey(dn))
	for _, is := range m.with(keyOf(coarse(dn))) {
		if is.exact != own {
			m.doubtful[i] = true
		}
		if n := &m.w.graph.nodes[i]; m.w.d.o.Nested && !slices.Contains(n.parents, is.group) {
			n.parents = append(n.parents, is.group)
		}
	}
}

// with are the memberships of one value.
func (m *members) with(who walkKey) []membership {
	from, _ := slices.BinarySearchFunc(m.all, who,
		func(is membership, who walkKey) int { return compareKeys(is.who, who) })
	to := from
	for to < len(m.all) && m.all[to].who == who {
		to++
	}
	return m.all[from:to]
}
