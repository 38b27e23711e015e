package mapping

import (
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// rule is a mapping made ready.
type rule struct {
	mapping store.Mapping
	dn      string  // normal form of GroupDN
	pattern Pattern // of the pattern kinds
	fault   string  // why the mapping can't be used; it never hits then
}

// newRule makes a stored mapping ready. It was checked when it was added; what does not pass now (an older or a newer
// program stored it, or a hand) is kept with its fault and never hits. Its account is the recorded one from here on.
func newRule(m store.Mapping, forms *store.AccountForms) rule {
	r := rule{mapping: m}
	if m.Account != "" {
		switch id, err := forms.Resolve(string(m.Account)); {
		case err == nil:
			r.mapping.Account = id
		case !errors.Is(err, store.ErrUnlistedAccount):
			r.fault = err.Error() // of two accounts that differ in case, nobody gets into the wrong one
		}
	}
	switch m.Kind {
	case store.GroupMapping:
		dn, err := directory.NormalDN(m.GroupDN)
		if err != nil && m.GroupID == "" {
			r.fault = fmt.Sprintf("group DN: %v", err)
		}
		r.dn = dn
	case store.PersonMapping:
		if m.Person == "" {
			r.fault = "it names no person"
		}
		r.mapping.Person = store.PersonID(directory.CanonicalID(string(m.Person)))
	case store.GroupPattern, store.AttributePattern:
		pattern, err := ParsePattern(m.Pattern)
		if err != nil {
			r.fault = err.Error()
		}
		r.pattern = pattern
		if _, claims := ParseClaimBase(m.GroupDN); m.Kind == store.GroupPattern && m.GroupDN != "" && !claims {
			if _, err := directory.NormalDN(m.GroupDN); err != nil {
				r.fault = fmt.Sprintf("group base: %v", err)
			}
		}
	default:
		r.fault = fmt.Sprintf("kind %.40q is not known to this program", m.Kind)
	}
	if r.fault != "" {
		return r
	}
	switch {
	case m.Account == "" && !r.pattern.HasAccount():
		r.fault = "it names no client account and captures none"
	case m.Role == "" && !r.pattern.HasRole():
		r.fault = "it names no role and captures none"
	case m.Role == store.Owner && m.Kind != store.PersonMapping:
		r.fault = "role owner can be given to one person only"
	}
	return r
}

// prefixes finds the patterns that a text may fit by the literal they begin with, so that thousands of patterns
// cost no more than a few.
type prefixes struct {
	rules   map[string][]int // literal start in lower case to positions of rules
	lengths []int            // of the literal starts that there are
}

func (p *prefixes) add(prefix string, position int) {
	if p.rules == nil {
		p.rules = map[string][]int{}
	}
	if !slices.Contains(p.lengths, len(prefix)) {
		p.lengths = append(p.lengths, len(prefix))
	}
	p.rules[prefix] = append(p.rules[prefix], position)
}

// collect puts the positions of the rules that text may fit into found.
func (p *prefixes) collect(text string, found map[int]bool) {
	for _, n := range p.lengths {
		if n <= len(text) {
			for _, i := range p.rules[lowerASCII(text[:n])] {
				found[i] = true
			}
		}
	}
}
