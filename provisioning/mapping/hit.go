package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// subject is a person laid out for the rules.
type subject struct {
	index *Index
	entry directory.Entry
	byID  map[string]int // positions in entry.Groups
	byDN  map[string]int // by normal DN, made when first needed
}

func (x *Index) newSubject(p directory.Entry) *subject {
	who := &subject{index: x, entry: p, byID: make(map[string]int, len(p.Groups))}
	for i, g := range p.Groups {
		if g.ID != "" {
			who.byID[g.ID] = i
		}
	}
	return who
}

// groupsByDN normalises the DNs of all groups: it is asked for only where a mapping knows its group by DN alone.
func (who *subject) groupsByDN() map[string]int {
	if who.byDN == nil {
		who.byDN = make(map[string]int, len(who.entry.Groups))
		for i, g := range who.entry.Groups {
			if dn, ok := who.index.normalDN(g.DN); ok {
				who.byDN[dn] = i
			}
		}
	}
	return who.byDN
}

// Hits tries the mappings that may concern a person. The index only narrows down; whether a mapping hits is decided by
// try alone, for a sign-in and for Explain alike.
//
// Somebody whom the directory does not have gets what their source gives, and what mappings of that source's groups do
// within its bounds, and nothing else: all other mappings are about people and groups of the directory, and a source
// names its groups as it likes.
func (x *Index) Hits(p directory.Entry) []Hit {
	if p.Source != "" {
		return append(granted(p), x.claimed(p)...)
	}
	who := x.newSubject(p)
	var all []Hit
	try := func(positions []int) {
		for _, i := range positions {
			all = joined(all, x.try(&x.rules[i], who))
		}
	}
	try(x.byPerson[store.PersonID(who.entry.ID)])
	for id := range who.byID {
		try(x.byGroupID[id])
	}
	if len(x.byGroupDN) > 0 {
		for dn := range who.groupsByDN() {
			try(x.byGroupDN[dn])
		}
	}
	fitting := map[int]bool{}
	for _, g := range who.entry.Groups {
		x.onGroups.collect(g.Name, fitting)
	}
	for attribute, patterns := range x.onValues {
		for _, value := range who.entry.Attributes[attribute] {
			patterns.collect(value, fitting)
		}
	}
	for i := range fitting {
		all = joined(all, x.try(&x.rules[i], who))
	}
	return all
}

// joined is one list behind another. The hits of one mapping alone, which may be thousands, are not copied.
func joined(all, more []Hit) []Hit {
	if len(all) == 0 {
		return more
	}
	return append(all, more...)
}

// try holds one mapping against a person. It returns the hits and the near misses (a pattern fits, yet gives no known
// account); nothing where the mapping does not concern the person.
func (x *Index) try(r *rule, who *subject) []Hit {
	m := r.mapping
	if r.fault != "" || OfSource(m) != "" {
		return nil // nobody of the directory, whatever their groups are called
	}
	switch m.Kind {
	case store.PersonMapping:
		if who.entry.ID != "" && m.Person == store.PersonID(who.entry.ID) {
			return []Hit{{Mapping: m, Hit: true, Why: "names this person", Account: m.Account, Role: m.Role}}
		}
	case store.GroupMapping:
		// A mapping that knows its group's id never hits by DN: a group that was deleted and made again under the same name
		// is another group, whose members nobody has mapped.
		if m.GroupID != "" {
			if i, in := who.byID[m.GroupID]; in {
				return []Hit{groupHit(m, who.entry.Groups[i])}
			}
			return nil
		}
		if i, in := who.groupsByDN()[r.dn]; in {
			return []Hit{groupHit(m, who.entry.Groups[i])}
		}
	case store.GroupPattern:
		var all []Hit
		for i, g := range who.entry.Groups {
			if m.GroupDN != "" && !directory.Under(g.DN, m.GroupDN) {
				continue // whoever may create groups elsewhere chooses no client account
			}
			if h, fits := x.tryPattern(r, g.Name, "group"); fits {
				h.Group = g
				if len(all) == cap(all) {
					// Somebody may be in thousands of groups that fit: each copy of the list is a megabyte.
					all = slices.Grow(all, min(max(1, len(all)), len(who.entry.Groups)-i))
				}
				all = append(all, h)
			}
		}
		return all
	case store.AttributePattern:
		var all []Hit
		for _, value := range who.entry.Attributes[strings.ToLower(m.Attribute)] {
			if h, fits := x.tryPattern(r, value, m.Attribute); fits {
				all = append(all, h)
			}
		}
		return all
	}
	return nil
}

func groupHit(m store.Mapping, g directory.Group) Hit {
	why := "is a direct member of the group"
	if g.Primary {
		why = "has the group as primary group"
	}
	if len(g.Via) > 0 {
		why = "is a member of the group through " + strings.Join(g.Via, ", then ")
	}
	return Hit{Mapping: m, Hit: true, Why: why, Account: m.Account, Role: m.Role, Group: g}
}

// tryPattern tries a pattern on one text; what says whose text it is. fits is false where the text has nothing to do
// with the pattern.
func (x *Index) tryPattern(r *rule, text, what string) (h Hit, fits bool) {
	h = Hit{Mapping: r.mapping, Account: r.mapping.Account, Role: r.mapping.Role}
	c, err := r.pattern.Match(text)
	switch {
	case errors.Is(err, ErrNoMatch):
		return h, false
	case err != nil:
		h.Why = fmt.Sprintf("%s %.200q %v", what, text, err)
		return h, true
	}
	if h.Role == "" {
		h.Role = c.Role
	}
	if h.Account == "" {
		id, why, ok := x.resolve(c.Account)
		if !ok {
			h.Why = fmt.Sprintf("%s %.200q fits, but %s", what, text, why)
			return h, true
		}
		h.Account = id
	}
	h.Hit = true
	h.Why = what + " " + text + " fits"
	return h, true
}

// granted are the hits of somebody of a source.
func granted(p directory.Entry) []Hit {
	all := make([]Hit, 0, len(p.Grants))
	for _, g := range p.Grants {
		account, role := store.AccountID(g.Account), store.Role(g.Role)
		why := "source " + p.Source + " gives it"
		if g.Group != "" {
			why += " by group " + g.Group
		}
		all = append(all, Hit{Mapping: store.Mapping{Account: account, Role: role, AtSignIn: true}, Hit: true, Why: why,
			Account: account, Role: role, Group: directory.Group{Name: g.Group}})
	}
	return all
}
