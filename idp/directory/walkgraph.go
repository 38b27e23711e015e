package directory

import (
	"bytes"
	"context"
	"slices"
)

// groupGraph is what a walk knows of groups: which there are, which of them matter, and which is in which.
type groupGraph struct {
	d     *Directory
	wants func(Group) bool
	nodes []groupNode
	byDN  map[walkKey]int32 // by dnKey
	// load fills a node that nothing has filled yet; nil: there are none such.
	load func(ctx context.Context, i int32) error

	// What climb needs for one person, kept for the next.
	round int32
	queue []int32
}

// groupNode is one group. parents are those that it is directly in, as the directory orders them.
type groupNode struct {
	group   Group // of one that does not matter, the DN alone
	parents []int32
	fault   error // why nobody in it can sign in
	known   bool  // it was read
	counts  bool  // below the group base, and found by the group filter where there is one
	wanted  bool

	// round is the last climb that came here; from is by which node, -1 for none; depth counts the nodes before it.
	round, from, depth int32
}

func newGroupGraph(d *Directory, wanted func(Group) bool) *groupGraph {
	if wanted == nil {
		wanted = func(Group) bool { return true }
	}
	return &groupGraph{d: d, wants: wanted, byDN: map[walkKey]int32{}}
}

func compareKeys(a, b walkKey) int { return bytes.Compare(a[:], b[:]) }

// node is the node of the group with this DN, a new one if there is none. key is its dnKey.
func (g *groupGraph) node(key, dn string) int32 {
	i, ok := g.byDN[keyOf(key)]
	if !ok {
		i = int32(len(g.nodes))
		g.byDN[keyOf(key)] = i
		g.nodes = append(g.nodes, groupNode{group: Group{DN: dn}})
	}
	return i
}

// add takes in a group that a sign-in would find, or could not use: fault says why.
func (g *groupGraph) add(group Group, fault error) int32 {
	i := g.node(dnKey(group.DN), group.DN)
	g.fill(i, group, fault)
	return i
}

// fill fills the node of such a group.
func (g *groupGraph) fill(i int32, group Group, fault error) {
	n := &g.nodes[i]
	if n.counts {
		return
	}
	n.known, n.counts, n.fault = true, true, fault
	n.wanted = fault == nil && !group.distribution && g.wants(group)
	if n.group = group; !n.wanted {
		n.group = Group{DN: group.DN, distribution: group.distribution}
	}
}

// asked tells whether a group matters that was found by asking for one person's.
func (g *groupGraph) asked(group Group) bool {
	return g.nodes[g.add(Group{ID: group.ID, DN: group.DN, Name: group.Name}, nil)].wanted
}

// counts are how many groups there are and how many of them matter.
func (g *groupGraph) counts() (all, wanted int) {
	for i := range g.nodes {
		if g.nodes[i].counts {
			all++
		}
		if g.nodes[i].wanted {
			wanted++
		}
	}
	return all, wanted
}

// begin starts a climb. Nobody has been anywhere yet.
func (g *groupGraph) begin() {
	g.round++
	g.queue = g.queue[:0]
}

// come puts a node into the queue, unless the climb was there before.
func (g *groupGraph) come(i, from, depth int32) bool {
	n := &g.nodes[i]
	if n.round == g.round {
		return false
	}
	n.round, n.from, n.depth = g.round, from, depth
	g.queue = append(g.queue, i)
	return true
}

// climb follows groups in groups upwards as a sign-in does, and gives those that matter. direct are the groups that the
// person is directly in.
func (g *groupGraph) climb(ctx context.Context, direct []int32, nested bool) ([]Group, error) {
	g.begin()
	for _, i := range direct {
		g.come(i, -1, 0)
	}
	if len(g.queue) > g.d.o.MaxGroups {
		return nil, g.d.tooManyGroups()
	}
	var groups []Group
	for at := 0; at < len(g.queue); at++ {
		i := g.queue[at]
		if err := g.ready(ctx, i); err != nil {
			return nil, err
		}
		if g.nodes[i].group.distribution {
			continue
		}
		if g.nodes[i].wanted {
			groups = append(groups, g.found(i))
		}
		if !nested {
			continue
		}
		depth := g.nodes[i].depth + 1
		for _, up := range g.nodes[i].parents {
			if !g.come(up, i, depth) {
				continue
			}
			if int(depth) >= g.d.o.MaxDepth {
				return nil, g.d.tooDeep(g.nodes[i].group.DN, g.nodes[up].group.DN)
			}
			if len(g.queue) > g.d.o.MaxGroups {
				return nil, g.d.tooManyGroups()
			}
		}
	}
	return groups, nil
}

// ready sees to it that a node is read. Its error can be the node's fault.
func (g *groupGraph) ready(ctx context.Context, i int32) error {
	if !g.nodes[i].known {
		if err := g.load(ctx, i); err != nil {
			return err
		}
	}
	return g.nodes[i].fault
}

// chain follows groups in groups as Active Directory does by its rule in chain: through whatever groups there are, to
// those that count. The paths lead through groups that count, as those of a sign-in do.
func (g *groupGraph) chain(ctx context.Context, direct []int32) ([]Group, error) {
	g.begin()
	for _, all := range []bool{false, true} {
		for _, i := range direct {
			if all || g.nodes[i].counts {
				g.come(i, -1, 0)
			}
		}
		for at := 0; at < len(g.queue); at++ {
			i := g.queue[at]
			if err := g.ready(ctx, i); err != nil {
				return nil, err
			}
			for _, up := range g.nodes[i].parents {
				switch {
				case all:
					g.come(up, -1, 0)
				case g.nodes[up].counts:
					g.come(up, i, 0)
				}
			}
		}
	}
	var groups []Group
	count := 0
	for _, i := range g.queue {
		if g.nodes[i].counts {
			count++
		}
		if g.nodes[i].wanted {
			groups = append(groups, g.found(i))
		}
	}
	if count > g.d.o.MaxGroups {
		return nil, g.d.tooManyGroups()
	}
	return groups, nil
}

// found is the group with the path by which the present climb came to it.
func (g *groupGraph) found(i int32) Group {
	group := g.nodes[i].group
	for from := g.nodes[i].from; from >= 0; from = g.nodes[from].from {
		group.Via = append(group.Via, g.nodes[from].group.DN)
	}
	slices.Reverse(group.Via)
	return group
}
