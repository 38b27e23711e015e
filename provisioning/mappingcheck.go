package provisioning

import (
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// mappingSet is a wanted set while it is checked.
type mappingSet struct {
	drafts []store.Mapping
	faulty []bool // those of drafts that are not to be looked at any further
	faults []error
}

// fault notes what is wrong with the mapping at position i.
func (set *mappingSet) fault(i int, err error) {
	set.faulty[i] = true
	if len(set.faults) == maxSetFaults {
		return
	}
	where := fmt.Sprintf("mapping %d: ", i+1)
	if e, ok := errors.AsType[*FieldError](err); ok {
		set.faults = append(set.faults, &FieldError{where + e.Field, e.Fault, e.Mend})
		return
	}
	set.faults = append(set.faults, fmt.Errorf("%s%w", where, err))
}

// compare finds what is stored already, and gives the rest their priorities.
func (set *mappingSet) compare(stored []store.Mapping) (c MappingChange) {
	known := map[string]int{} // rules to positions in stored; by the group's DN too, since a set may not know its id
	for i, m := range slices.Backward(stored) {
		known[ruleKey(m, false)] = i
		known[ruleKey(m, true)] = i
	}
	named := make([]int, len(stored)) // by which mapping of the set, from 1
	var add, last []int
	for i := range set.drafts {
		m := &set.drafts[i]
		if set.faulty[i] || m.Off {
			continue
		}
		at, found := known[ruleKey(*m, m.GroupID == "")]
		switch {
		case found && named[at] != 0:
			set.fault(i, &FieldError{"group", fmt.Sprintf("mapping %d of the set says the same already", named[at]), "leave one of them out"})
		case found && (m.Priority == 0 || m.Priority == stored[at].Priority) && m.AtSignIn == stored[at].AtSignIn:
			named[at] = i + 1
		case !found && m.Priority == 0:
			last = append(last, i)
		default:
			if found {
				if m.Priority == 0 {
					m.Priority = stored[at].Priority
				}
				// Another priority, or created at another time: what is stored is not named, so it goes. The id that is known of its group stays.
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
func (set *mappingSet) compareOff(c *MappingChange, off []store.Mapping) {
	named := map[string]int{} // rules of the set, by position from 1
	for i, m := range set.drafts {
		if set.faulty[i] {
			continue
		}
		key := ruleKey(m, m.GroupID == "")
		if before := named[key]; before != 0 && (m.Off || set.drafts[before-1].Off) {
			set.fault(i, &FieldError{"group", fmt.Sprintf("mapping %d of the set says the same already", before), "leave one of them out"})
			continue
		}
		named[key] = i + 1
	}
	highest := lastPriority(slices.Concat(c.Keep, switchedOn(c.Add), off))
	for i, m := range set.drafts {
		if set.faulty[i] {
			continue
		}
		at := slices.IndexFunc(off, func(t store.Mapping) bool { return ruleKey(t, m.GroupID == "") == ruleKey(m, m.GroupID == "") })
		same := at >= 0 && m.Off && (m.Priority == 0 || m.Priority == off[at].Priority) && m.AtSignIn == off[at].AtSignIn
		if at >= 0 && !same {
			c.Remove = append(c.Remove, off[at])
		}
		if !m.Off || same {
			continue
		}
		if m.Priority == 0 {
			free, err := nextPriority(highest)
			if err != nil {
				set.fault(i, err)
				continue
			}
			m.Priority, highest = free, free
		}
		c.Add = append(c.Add, m)
	}
}

// place puts the mappings at add, which have priorities, and then those at last, which get theirs, among those that stay.
func (set *mappingSet) place(c *MappingChange, named, add, last []int, stored []store.Mapping) {
	at := map[int][]placed{} // by priority
	rules := map[string]int{}
	for i, m := range stored {
		if named[i] != 0 {
			at[m.Priority] = append(at[m.Priority], placed{m, fmt.Sprintf("mapping %d of the set", named[i])})
			rules[ruleKey(m, false)] = named[i]
		} else if m.Role == store.Owner && m.Kind == store.PersonMapping {
			at[m.Priority] = append(at[m.Priority], placed{m, fmt.Sprintf("mapping %d, which tells an owner and is kept", m.ID)})
		}
	}
	highest := lastPriority(c.Keep)
	for _, i := range slices.Concat(add, last) {
		m := set.drafts[i]
		if before := rules[ruleKey(m, false)]; before != 0 {
			set.fault(i, &FieldError{"group", fmt.Sprintf("mapping %d of the set says the same already", before), "leave one of them out"})
			continue
		}
		rules[ruleKey(m, false)] = i + 1
		if m.Priority == 0 {
			free, err := nextPriority(highest)
			if err != nil {
				set.fault(i, err)
				continue
			}
			m.Priority = free
		}
		if k := slices.IndexFunc(at[m.Priority], func(p placed) bool { return contradict(p.mapping, m) }); k >= 0 {
			where := at[m.Priority][k].where
			set.fault(i, &FieldError{"priority", fmt.Sprintf("%d stands at %s, and the two could give one person different roles in one client account", m.Priority, where),
				"give a lower number if this mapping shall win, a higher one if the other shall, or none for the next free one"})
			continue
		}
		at[m.Priority] = append(at[m.Priority], placed{m, fmt.Sprintf("mapping %d of the set", i+1)})
		highest = max(highest, m.Priority)
		c.Add = append(c.Add, m)
	}
}

// placed is a mapping of the new set, and what to call it.
type placed struct {
	mapping store.Mapping
	where   string
}

// ruleKey says what a mapping gives to whom, without its priority. byDN takes a group by its DN although its id is known.
func ruleKey(m store.Mapping, byDN bool) string {
	group := "id " + m.GroupID
	if m.GroupID == "" || byDN {
		normal, err := directory.NormalDN(m.GroupDN)
		if err != nil {
			normal = m.GroupDN
		}
		group = "dn " + normal
	}
	return fmt.Sprintf("%q %q %q %q %q %q %q", m.Kind, group, m.Attribute, m.Pattern, m.Person, m.Account, m.Role)
}

// sameRule tells whether two mappings give the same to the same.
func sameRule(a, b store.Mapping) bool { return ruleKey(a, false) == ruleKey(b, false) }

// contradict tells whether two mappings of equal priority could give one person different roles in one client account; the store refuses
// such pairs by the same rule.
func contradict(a, b store.Mapping) bool {
	return a.Priority == b.Priority &&
		(a.Account == b.Account || a.Account == "" || b.Account == "") &&
		(a.Role != b.Role || a.Role == "") &&
		(a.Kind != store.PersonMapping || b.Kind != store.PersonMapping || a.Person == b.Person)
}
