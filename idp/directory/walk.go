package directory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// WalkOptions are for Walk.
type WalkOptions struct {
	// Wanted says whether a group matters; people are given only such groups. It is asked once for each group below the
	// group base, with DN, ID and Name. nil: all matter.
	Wanted func(Group) bool
}

// Walked is what a walk has seen.
type Walked struct {
	People int // visited
	Groups int // below the group base, as far as they can have members
	Wanted int // of them, those that matter
	// entries that no sign-in could use either: no id, no login, an id that others have too, groups beyond the limits
	Skipped int
	Why     []string // for the first 20 of them: DN and fault
}

// maxWhy bounds Walked.Why.
const maxWhy = 20

// Walk visits everybody whom the login filter could find, each with account state and groups as Read would have them
// (Via included), as far as Wanted lets them; unlike Read, it gives the groups whatever the state. It streams: memory
// grows with the groups and with the memberships of those that matter, not with the number of people, except by 16
// bytes for each of them where the id attribute is one that the server does not keep unique. visit is called from one
// goroutine and may take its time; its error ends the walk and is returned as it is. The order is the server's.
//
// Every other error is an *Error. With one, what has been visited is not everybody: nobody may be taken for gone.
//
// Groups are read before people, so somebody who is moved meanwhile is seen as one of the two. max_depth and max_groups
// count all groups where the directory lists them with the person, and otherwise (group_mode search) those that matter
// and what is nested in them.
//
// A walk has no time limit of its own beside ctx; each of its searches has OpTimeout.
func (d *Directory) Walk(ctx context.Context, o WalkOptions, visit func(Entry) error) (Walked, error) {
	const op = "walk the directory"
	conn, err := d.connectWalk(ctx)
	if err != nil {
		return Walked{}, unavailable(op, err)
	}
	defer conn.close()
	w := &walk{d: d, conn: conn, graph: newGroupGraph(d, o.Wanted), base: dnKey(d.o.GroupBaseDN), bySID: map[sid]int32{}}
	if w.groupsOf, err = w.readGroups(ctx); err != nil {
		return w.seen(), unavailable(op, err)
	}
	if err := w.findShared(ctx); err != nil {
		return w.seen(), unavailable(op, err)
	}
	var stopped error
	err = conn.pages(ctx, d.o.BaseDN, d.person.present(), d.attributes, func(found *ldap.Entry) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := w.person(ctx, found)
		if err != nil {
			return err
		}
		if e.ID != "" {
			w.walked.People++
			stopped = visit(e)
		}
		return stopped
	})
	if stopped != nil {
		return w.seen(), stopped
	}
	if err != nil {
		return w.seen(), unavailable(op, conn.searchFault(err, "base_dn", d.o.BaseDN))
	}
	return w.seen(), nil
}

// walk is the state of one Walk.
type walk struct {
	d      *Directory
	conn   *walkConn
	graph  *groupGraph
	base   string           // dnKey of the group base
	shared map[walkKey]bool // ids that several entries have
	bySID  map[sid]int32    // of Active Directory: the node of a group, noNode for one that there is no use for
	byGID  map[string][]int32
	walked Walked
	// groupsOf gives the groups of a person that matter, by the configured mode.
	groupsOf func(context.Context, Entry, *ldap.Entry) ([]Group, error)
}

// walkKey stands for a DN, a login or an id in the maps of a walk: the start of its SHA-256, since names are long and a
// hash without a secret could be made to collide by whoever names things in the directory.
type walkKey [16]byte

func keyOf(text string) walkKey {
	sum := sha256.Sum256([]byte(text))
	return walkKey(sum[:])
}

// seen is what the walk has seen so far.
func (w *walk) seen() Walked {
	w.walked.Groups, w.walked.Wanted = w.graph.counts()
	return w.walked
}

// person makes the Entry of a person. One that no sign-in could use is counted, and comes back without an id.
func (w *walk) person(ctx context.Context, found *ldap.Entry) (Entry, error) {
	e, st, err := w.d.entry(found)
	if err == nil && w.shared[keyOf(e.ID)] {
		err = fmt.Errorf("several entries have the %s %s", w.d.o.IDAttribute, e.ID)
	}
	if err == nil {
		e.Problem = st.problem
		if e.Groups, err = w.groupsOf(ctx, e, found); err == nil {
			e.Groups = w.d.markPrimary(e.Groups, found)
			return e, nil
		}
		if typed, ok := errors.AsType[*Error](err); !ok || typed.Problem != BadData {
			return Entry{}, fmt.Errorf("read the groups of %q: %w", e.DN, err)
		}
	}
	if w.walked.Skipped++; len(w.walked.Why) < maxWhy {
		w.walked.Why = append(w.walked.Why, fmt.Sprintf("%s: %v", found.DN, err))
	}
	return Entry{}, nil
}

// uniqueIDs are attributes that servers make and keep unique by themselves.
var uniqueIDs = []string{"entryUUID", "objectGUID", "nsUniqueId", "ipaUniqueID", "GUID"}

// findShared finds the ids that several entries have. A reading by such an id is refused as ambiguous, so none of them
// can be used, and the first must be known before it is visited.
func (w *walk) findShared(ctx context.Context) error {
	o := &w.d.o
	if slices.ContainsFunc(uniqueIDs, func(name string) bool { return strings.EqualFold(name, o.IDAttribute) }) {
		return nil
	}
	var keys []walkKey
	err := w.conn.pages(ctx, o.BaseDN, w.d.person.present(), []string{o.IDAttribute}, func(found *ldap.Entry) error {
		for _, raw := range found.GetEqualFoldRawAttributeValues(o.IDAttribute) {
			if id, err := idText(o.IDAttribute, raw); err == nil {
				keys = append(keys, keyOf(id))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read everybody's %s: %w", o.IDAttribute, w.conn.searchFault(err, "base_dn", o.BaseDN))
	}
	slices.SortFunc(keys, compareKeys)
	w.shared = map[walkKey]bool{}
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			w.shared[keys[i]] = true
		}
	}
	return nil
}

// readGroups reads the groups in the way that the configured mode needs. What it returns gives a person's groups.
func (w *walk) readGroups(ctx context.Context) (func(context.Context, Entry, *ldap.Entry) ([]Group, error), error) {
	switch w.d.o.GroupMode {
	case modeMemberOf:
		return w.listed, w.readListed(ctx)
	case modeAD:
		if w.d.groups.followsChain() {
			return w.inChain, w.readChain(ctx)
		}
	case modeSearch:
		if ways, ok := w.d.groups.ways(); ok {
			m := newMembers(w, ways)
			if err := m.read(ctx); err != nil {
				return nil, err
			}
			return m.groupsOf, w.readGIDs(ctx)
		}
	}
	w.d.o.Logger.Warn("group_filter can't be turned round: the walk asks the directory for each person's groups, which "+
		"takes its time", "group_filter", w.d.o.GroupFilter)
	return w.asked, nil
}

// asked asks for one person's groups as a sign-in does.
func (w *walk) asked(ctx context.Context, e Entry, found *ldap.Entry) ([]Group, error) {
	ctx, cancel := w.d.bounded(ctx)
	defer cancel()
	all, err := w.d.groupsOf(ctx, e, found)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for _, g := range all {
		if w.graph.asked(g) {
			groups = append(groups, g)
		}
	}
	return groups, nil
}
