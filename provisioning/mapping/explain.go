package mapping

import (
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Explain evaluates every mapping for a person and says of each whether and why it hits. A pattern that fits several
// groups or values gives a Hit for each. The order is that of the priorities.
func (x *Index) Explain(p directory.Entry) (all []Hit) {
	if p.Source != "" {
		return append(granted(p), x.explainClaims(p)...)
	}
	who := x.newSubject(p)
	for i := range x.rules {
		all = joined(all, x.explain(&x.rules[i], who))
	}
	return all
}

// explain is Explain for one mapping.
func (x *Index) explain(r *rule, who *subject) []Hit {
	if hits := x.try(r, who); len(hits) > 0 {
		return hits
	}
	return []Hit{{Mapping: r.mapping, Why: miss(r, who), Account: r.mapping.Account, Role: r.mapping.Role}}
}

// ExplainOff says of mappings that are off whether they would hit: a forgotten one is a common reason for missing
// access.
func (x *Index) ExplainOff(off []store.Mapping, p directory.Entry) (all []Hit) {
	y := x.With(off)
	if p.Source != "" {
		for _, h := range y.explainClaims(p) {
			h.Mapping.Off, h.Hit, h.Why = true, false, "it is switched off; "+h.Why
			all = append(all, h)
		}
		return all
	}
	who := y.newSubject(p)
	for i := range y.rules {
		for _, h := range y.explain(&y.rules[i], who) {
			h.Mapping.Off = true
			if h.Hit {
				h.Hit, h.Why = false, "it is switched off, else it would hit: "+h.Why
			} else {
				h.Why = "it is switched off; " + h.Why
			}
			all = append(all, h)
		}
	}
	return all
}

// miss says why a mapping does not concern a person.
func miss(r *rule, who *subject) string {
	m := r.mapping
	switch {
	case r.fault != "":
		return "the mapping can't be used: " + r.fault
	case OfSource(m) != "":
		return "is for people of source " + OfSource(m)
	case m.Kind == store.PersonMapping:
		return "names another person"
	case m.Kind == store.GroupMapping:
		if _, same := who.groupsByDN()[r.dn]; same && m.GroupID != "" {
			return "is in a group of this name, but not in the one that was mapped (its id differs): it was deleted and made " +
				"again; map it anew"
		}
		return "is not a member of the group"
	case m.Kind == store.GroupPattern:
		if m.GroupDN != "" {
			return "no group below " + m.GroupDN + " has a name that fits the pattern"
		}
		return "no group name fits the pattern"
	}
	if len(who.entry.Attributes[strings.ToLower(m.Attribute)]) == 0 {
		return "the person has no " + m.Attribute + ", or it is not among the attributes that are read"
	}
	return "no value of " + m.Attribute + " fits the pattern"
}
