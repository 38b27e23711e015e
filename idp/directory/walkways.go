package directory

import (
	"encoding/hex"
	"slices"
	"strings"
)

// way is one of the ways in which a group filter makes somebody a member: an attribute of the group has a value made of
// the person's DN or login, and the group meets the other conditions.
type way struct {
	attribute string
	others    string    // the other conditions, as filters in a row; "" for none
	value     *template // the leaf: its value is made of fixed text and placeholders
	byDN      bool      // the value is the member's DN, which groups have too; otherwise it is made of a login
}

// maxWays bounds what a filter may come to.
const maxWays = 16

// ways turns a group filter round: whoever meets one of the ways is in the group. ok is false for a filter that can't
// be turned: it has a placeholder in a negation, in a comparison other than equality or beside a star, two values of
// the person in one condition, or parts that need no value of the person.
func (t *template) ways() (ways []way, ok bool) {
	for _, c := range t.split() {
		if c.value == nil {
			return nil, false
		}
		ways = append(ways, c)
	}
	return ways, len(ways) > 0
}

// split writes the filter as ORs of ANDs. A filter that can't be written so is nil; a part that needs nothing of the
// person has no value.
func (t *template) split() []way {
	switch {
	case !t.uses(holdDN) && !t.uses(holdLogin):
		return []way{{others: t.present()}}
	case t.op == 0:
		return t.splitLeaf()
	case t.op == '|':
		var all []way
		for _, c := range t.children {
			part := c.split()
			if part == nil || len(all)+len(part) > maxWays {
				return nil
			}
			all = append(all, part...)
		}
		return all
	case t.op == '&':
		all := []way{{}}
		for _, c := range t.children {
			part := c.split()
			if part == nil || len(all)*len(part) > maxWays {
				return nil
			}
			var joined []way
			for _, a := range all {
				for _, b := range part {
					if a.value != nil && b.value != nil {
						return nil
					}
					both := a
					if b.value != nil {
						both = b
					}
					both.others = a.others + b.others
					joined = append(joined, both)
				}
			}
			all = joined
		}
		return all
	}
	return nil
}

// splitLeaf is split for a condition on the person's DN or login.
func (t *template) splitLeaf() []way {
	attribute := strings.TrimSuffix(t.left, "=")
	if strings.ContainsAny(attribute, "<>~:") || strings.Contains(strings.Join(t.literals, ""), "*") {
		return nil
	}
	w := way{attribute: attribute, value: t, byDN: t.exactly(holdDN)}
	if !w.byDN && slices.Contains(t.holds, holdDN) {
		return nil
	}
	return []way{w}
}

// exactly tells whether the value of a leaf is this placeholder and nothing else.
func (t *template) exactly(hold string) bool {
	return len(t.holds) == 1 && t.holds[0] == hold && t.literals[0] == "" && t.literals[1] == ""
}

// filter finds the groups that can have members in this way.
func (w way) filter() string {
	filter := "(" + w.attribute + "=*)"
	if w.others != "" {
		filter = "(&" + w.others + filter + ")"
	}
	return filter
}

// of is the value by which the person with this login is a member.
func (w way) of(login string) string {
	var b strings.Builder
	for i, literal := range w.value.literals {
		b.WriteString(unescapeFilter(literal))
		if i < len(w.value.holds) {
			b.WriteString(login)
		}
	}
	return b.String()
}

// unescapeFilter reads the escapes of an assertion value (RFC 4515 3). The library has compiled the filter, so each is
// whole.
func unescapeFilter(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
