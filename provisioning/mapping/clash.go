package mapping

import (
	"fmt"
	"slices"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// ruleKey says what a mapping gives to whom, without its priority. byDN takes a group by its DN although its id is
// known.
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

// SameRule tells whether two mappings give the same to the same people.
func SameRule(a, b store.Mapping) bool { return ruleKey(a, false) == ruleKey(b, false) }

// Contradict tells whether two mappings of equal priority could give one person different roles in one client account;
// the store refuses such pairs by the same rule.
func Contradict(a, b store.Mapping) bool {
	return a.Priority == b.Priority &&
		(a.Account == b.Account || a.Account == "" || b.Account == "") &&
		(a.Role != b.Role || a.Role == "") &&
		(a.Kind != store.PersonMapping || b.Kind != store.PersonMapping || a.Person == b.Person)
}

// Identical tells whether the store takes two mappings for the same rule.
func Identical(a, b store.Mapping) bool {
	a.ID, a.Priority, a.CreatedAt, a.CreatedBy, a.AtSignIn = b.ID, b.Priority, b.CreatedAt, b.CreatedBy, b.AtSignIn
	return a == b
}

// Clashing are those of others that can't stand beside a mapping.
func Clashing(others []store.Mapping, m store.Mapping) []store.Mapping {
	return slices.DeleteFunc(slices.Clone(others), func(t store.Mapping) bool {
		return !Identical(t,
			m) && !Contradict(t, m)
	})
}

// Clash says why a mapping can't stand beside those that are taken; nil: it can.
func Clash(m store.Mapping, taken []store.Mapping) *InputError {
	for _, t := range taken {
		switch {
		case !Identical(t, m):
		case m.Role == store.Owner:
			return &InputError{
				Field: "external_id", Fault: fmt.Sprintf("mapping %d makes this person the owner of account %s already",
					t.ID, m.Account),
				Fix: "remove it first to tell another external_id or priority",
			}
		default:
			return &InputError{
				Field: "group", Fault: fmt.Sprintf("mapping %d says the same already", t.ID),
				Fix: "leave it, or remove it first to give it another priority",
			}
		}
	}
	for _, t := range taken {
		if t.Priority == m.Priority {
			return &InputError{
				Field: "priority",
				Fault: fmt.Sprintf("%d stands at mapping %d, and the two could give one person different roles in one client "+
					"account", m.Priority, t.ID),
				Fix: otherPriority,
			}
		}
	}
	return nil
}

const otherPriority = "give a lower number if this mapping shall win, a higher one if the other shall, or none for " +
	"the next free one"
