package mapping

import (
	"errors"
	"fmt"
	"slices"

	"ssobridge/store"
)

const (
	// MaxSet is how many mappings a set may have.
	MaxSet = 20_000

	maxSetFaults = 100 // that are reported at once
)

// Change is the difference between the stored mappings and a wanted set, or one edit. Keep, and those of Remove that
// are on, are all that are on now; among Add and Remove are such that are off.
type Change struct {
	Add    []store.Mapping
	Remove []store.Mapping
	Keep   []store.Mapping
	Owners []Owner // of those in Add that are owners
}

// Owner is the account owner whom a new mapping of a set tells: the user at Constant Contact has ExternalID.
type Owner struct {
	Person     store.PersonID
	Account    store.AccountID
	ExternalID string
}

// OwnersID is the external_id of the user that is given with a mapping of Add; "" where that is no owner's.
func (c Change) OwnersID(m store.Mapping) string {
	for _, o := range c.Owners {
		if m.Role == store.Owner && o.Person == m.Person && o.Account == m.Account {
			return o.ExternalID
		}
	}
	return ""
}

// Empty tells whether nothing would change.
func (c Change) Empty() bool { return len(c.Add) == 0 && len(c.Remove) == 0 }

// SwitchedOn are those of the mappings that are on.
func SwitchedOn(all []store.Mapping) []store.Mapping {
	return slices.DeleteFunc(slices.Clone(all), func(m store.Mapping) bool { return m.Off })
}

// SameState tells whether two sets are the same mappings in the same state. The DN of a group may differ: it is noted
// when it is renamed.
func SameState(a, b []store.Mapping) bool {
	if len(a) != len(b) {
		return false
	}
	states := make(map[int64]store.Mapping, len(a))
	for _, m := range a {
		states[m.ID] = m
	}
	for _, m := range b {
		was, is := states[m.ID]
		if was.Kind == store.GroupMapping {
			was.GroupDN = m.GroupDN
		}
		was.CreatedAt = m.CreatedAt
		if !is || was != m {
			return false
		}
		delete(states, m.ID)
	}
	return true
}

// Set is a wanted set of mappings while it is checked.
type Set struct {
	Drafts []store.Mapping // in the order of the input
	faulty []bool          // those of Drafts that are not to be looked at any further
	faults []error
	more   int   // faults beyond those
	lines  []int // of the file that the set was read from; 0: of none
}

// NewSet makes room for a set of n mappings.
func NewSet(n int) *Set {
	return &Set{Drafts: make([]store.Mapping, n), faulty: make([]bool, n), lines: make([]int, n)}
}

// Place names a mapping of a set by its position, from 1, and by its line where it was read from a file.
func Place(position, line int) string {
	if line > 0 {
		return fmt.Sprintf("line %d, mapping %d", line, position)
	}
	return fmt.Sprintf("mapping %d", position)
}

// nameOf is the Place of the mapping at a position from 1.
func (set *Set) nameOf(position int) string { return Place(position, set.lines[position-1]) }

// Put notes the draft of the mapping at position i, which stands on a line of a file (0: none), with its faults.
func (set *Set) Put(i, line int, m store.Mapping, faults ...error) {
	set.Drafts[i], set.lines[i] = m, line
	for _, fault := range faults {
		set.Fault(i, fault)
	}
}

// Faulty tells whether a fault was noted of the mapping at position i.
func (set *Set) Faulty(i int) bool { return set.faulty[i] }

// Compare finds how the set differs from the stored mappings, those that are on and those that are off. The faults of
// the set are returned joined, each a *InputError whose Field begins with its Place; after 100 of them the last
// one says how many more there are.
func (set *Set) Compare(stored, off []store.Mapping) (Change, error) {
	c := set.compare(stored)
	set.compareOff(&c, off)
	if set.more > 0 {
		set.faults = append(set.faults, moreFaults(set.more))
	}
	if len(set.faults) > 0 {
		return Change{}, errors.Join(set.faults...)
	}
	return c, nil
}

// Fault notes what is wrong with the mapping at position i.
func (set *Set) Fault(i int, err error) {
	set.faulty[i] = true
	if len(set.faults) == maxSetFaults {
		set.more++
		return
	}
	where := Place(i+1, set.lines[i]) + ": "
	if e, ok := errors.AsType[*InputError](err); ok {
		set.faults = append(set.faults, &InputError{where + e.Field, e.Fault, e.Fix})
		return
	}
	set.faults = append(set.faults, fmt.Errorf("%s%w", where, err))
}

// compare finds what is stored already, and gives the rest their priorities.
func (set *Set) compare(stored []store.Mapping) (c Change) {
	known := map[string]int{} // rules to positions in stored; by the group's DN too, since a set may not know its id
	for i, m := range slices.Backward(stored) {
		known[ruleKey(m, false)] = i
		known[ruleKey(m, true)] = i
	}
	named := make([]int, len(stored)) // by which mapping of the set, from 1
	var add, last []int
	for i := range set.Drafts {
		m := &set.Drafts[i]
		if set.faulty[i] || m.Off {
			continue
		}
		at, found := known[ruleKey(*m, m.GroupID == "")]
		switch {
		case found && named[at] != 0:
			set.Fault(i, &InputError{"group", fmt.Sprintf("%s of the set says the same already", set.nameOf(named[at])),
				"leave one of them out"})
		case found && (m.Priority == 0 || m.Priority == stored[at].Priority) && m.AtSignIn == stored[at].AtSignIn:
			named[at] = i + 1
		case !found && m.Priority == 0:
			last = append(last, i)
		default:
			if found {
				if m.Priority == 0 {
					m.Priority = stored[at].Priority
				}
				// Another priority, or created at another time: what is stored is not named, so it goes. The id that is known of
				// its group stays.
				m.GroupID, m.GroupDN = stored[at].GroupID, stored[at].GroupDN
			}
			add = append(add, i)
		}
	}
	for i, m := range stored {
		if named[i] != 0 || m.Role == store.Owner && m.Kind == store.PersonMapping {
			c.Keep = append(c.Keep, m)
		} else {
			c.Remove = append(c.Remove, m)
		}
	}
	set.place(&c, named, add, last, stored)
	return c
}

// compareOff adds what a set means for mappings that are off: some come, some change, and some go that the set has on.
func (set *Set) compareOff(c *Change, off []store.Mapping) {
	named := map[string]int{} // rules of the set, by position from 1
	for i, m := range set.Drafts {
		if set.faulty[i] {
			continue
		}
		key := ruleKey(m, m.GroupID == "")
		if before := named[key]; before != 0 && (m.Off || set.Drafts[before-1].Off) {
			set.Fault(i, &InputError{"group", fmt.Sprintf("%s of the set says the same already", set.nameOf(before)),
				"leave one of them out"})
			continue
		}
		named[key] = i + 1
	}
	highest := LastPriority(slices.Concat(c.Keep, SwitchedOn(c.Add), off))
	for i, m := range set.Drafts {
		if set.faulty[i] {
			continue
		}
		at := slices.IndexFunc(off, func(t store.Mapping) bool {
			return ruleKey(t, m.GroupID == "") == ruleKey(m,
				m.GroupID == "")
		})
		same := at >= 0 && m.Off && (m.Priority == 0 || m.Priority == off[at].Priority) && m.AtSignIn == off[at].AtSignIn
		if at >= 0 && !same {
			c.Remove = append(c.Remove, off[at])
		}
		if !m.Off || same {
			continue
		}
		if m.Priority == 0 {
			free, err := NextPriority(highest)
			if err != nil {
				set.Fault(i, err)
				continue
			}
			m.Priority, highest = free, free
		}
		c.Add = append(c.Add, m)
	}
}

// place puts the mappings at add, which have priorities, and then those at last, which get theirs, among those that
// stay.
func (set *Set) place(c *Change, named, add, last []int, stored []store.Mapping) {
	at := map[int][]placed{} // by priority
	rules := map[string]int{}
	for i, m := range stored {
		if named[i] != 0 {
			at[m.Priority] = append(at[m.Priority], placed{m, set.nameOf(named[i]) + " of the set"})
			rules[ruleKey(m, false)] = named[i]
		} else if m.Role == store.Owner && m.Kind == store.PersonMapping {
			at[m.Priority] = append(at[m.Priority], placed{m, fmt.Sprintf("mapping %d, which tells an owner and is kept", m.ID)})
		}
	}
	highest := LastPriority(c.Keep)
	for _, i := range slices.Concat(add, last) {
		m := set.Drafts[i]
		if before := rules[ruleKey(m, false)]; before != 0 {
			set.Fault(i, &InputError{"group", fmt.Sprintf("%s of the set says the same already", set.nameOf(before)),
				"leave one of them out"})
			continue
		}
		rules[ruleKey(m, false)] = i + 1
		if m.Priority == 0 {
			free, err := NextPriority(highest)
			if err != nil {
				set.Fault(i, err)
				continue
			}
			m.Priority = free
		}
		if k := slices.IndexFunc(at[m.Priority], func(p placed) bool { return Contradict(p.mapping, m) }); k >= 0 {
			where := at[m.Priority][k].where
			set.Fault(i, &InputError{"priority", fmt.Sprintf("%d stands at %s, and the two could give one person different "+
				"roles in one client account", m.Priority, where),
				otherPriority})
			continue
		}
		at[m.Priority] = append(at[m.Priority], placed{m, set.nameOf(i+1) + " of the set"})
		highest = max(highest, m.Priority)
		c.Add = append(c.Add, m)
	}
}

// placed is a mapping of the new set, and what to call it.
type placed struct {
	mapping store.Mapping
	where   string
}
