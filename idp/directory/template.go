package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// The placeholders of the configured filters.
const (
	holdLogin = "{login}"
	holdDN    = "{dn}"
)

// Bounds of a configured filter.
const (
	maxFilter      = 8 << 10
	maxFilterDepth = 20
)

// template is a configured filter (RFC 4515), parsed once. Values from outside enter it only as the assertion value of
// a leaf and only escaped, so whatever they hold, the filter keeps the structure that the operator wrote.
type template struct {
	op       byte // '&', '|', '!', or 0 for a leaf
	children []*template
	left     string   // leaf: attribute and operator, "uid=", "member:1.2.840.113556.1.4.1941:="
	literals []string // leaf: the value's fixed pieces, one more than holds
	holds    []string // leaf: the placeholders between them
}

// parseTemplate parses a filter. allowed are the placeholders that may stand in it.
func parseTemplate(text string, allowed ...string) (*template, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxFilter {
		return nil, fmt.Errorf("longer than %d bytes", maxFilter)
	}
	t, rest, err := parseNode(text, allowed, 0)
	if err != nil {
		return nil, err
	}
	if rest != "" {
		return nil, fmt.Errorf("something follows the filter: %q", rest)
	}
	// The library has the last word on everything that the parser above does not look at: attribute names, operators,
	// escapes.
	filled, _ := t.fill(map[string]string{holdLogin: "x", holdDN: "x"})
	if _, err := ldap.CompileFilter(filled); err != nil {
		return nil, err
	}
	if _, err := ldap.CompileFilter(t.present()); err != nil {
		return nil, err
	}
	return t, nil
}

func parseNode(text string, allowed []string, depth int) (*template, string, error) {
	if depth > maxFilterDepth {
		return nil, "", fmt.Errorf("nested deeper than %d", maxFilterDepth)
	}
	if !strings.HasPrefix(text, "(") {
		return nil, "", fmt.Errorf("no opening parenthesis before %q", text)
	}
	text = text[1:]
	if text == "" {
		return nil, "", errors.New("it ends after an opening parenthesis")
	}
	if op := text[0]; op == '&' || op == '|' || op == '!' {
		return parseSet(op, text[1:], allowed, depth)
	}
	leaf, rest, closed := strings.Cut(text, ")")
	if !closed {
		return nil, "", fmt.Errorf("no closing parenthesis after %q", leaf)
	}
	if strings.Contains(leaf, "(") {
		return nil, "", fmt.Errorf("a parenthesis inside a value: write \\28 in %q", leaf)
	}
	t, err := parseLeaf(leaf, allowed)
	return t, rest, err
}

func parseSet(op byte, text string, allowed []string, depth int) (*template, string, error) {
	t := &template{op: op}
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if rest, closed := strings.CutPrefix(text, ")"); closed {
			if len(t.children) == 0 || op == '!' && len(t.children) > 1 {
				return nil, "", fmt.Errorf("%q with %d parts", op, len(t.children))
			}
			return t, rest, nil
		}
		child, rest, err := parseNode(text, allowed, depth+1)
		if err != nil {
			return nil, "", err
		}
		t.children, text = append(t.children, child), rest
	}
}

func parseLeaf(leaf string, allowed []string) (*template, error) {
	name, value, ok := strings.Cut(leaf, "=")
	if !ok {
		return nil, fmt.Errorf("no = in %q", leaf)
	}
	if strings.ContainsAny(name, "{}") {
		return nil, fmt.Errorf("a placeholder may stand only on the right of =, not in %q", name)
	}
	t := &template{left: name + "="}
	literal := ""
	for value != "" {
		before, after, open := strings.Cut(value, "{")
		literal += before
		if !open {
			break
		}
		inside, rest, closed := strings.Cut(after, "}")
		hold := "{" + inside + "}"
		if !closed || !slices.Contains(allowed, hold) {
			return nil, fmt.Errorf("unknown placeholder %q; known here: %s; a brace itself is written \\7b", hold,
				strings.Join(allowed, ", "))
		}
		t.literals, t.holds = append(t.literals, literal), append(t.holds, hold)
		literal, value = "", rest
	}
	t.literals = append(t.literals, literal)
	return t, nil
}

// uses tells whether the placeholder stands anywhere in the filter.
func (t *template) uses(hold string) bool {
	if slices.Contains(t.holds, hold) {
		return true
	}
	for _, c := range t.children {
		if c.uses(hold) {
			return true
		}
	}
	return false
}

// fill puts values into the filter, escaped (RFC 4515 3). A leaf whose placeholder has no value can't hold: it is left
// out of an OR and makes an AND, a NOT and itself impossible. ok is false when the whole filter is impossible; then
// there is nothing to search.
func (t *template) fill(values map[string]string) (filter string, ok bool) {
	if t.op == 0 {
		var b strings.Builder
		b.WriteString("(" + t.left + t.literals[0])
		for i, hold := range t.holds {
			value, known := values[hold]
			if !known {
				return "", false
			}
			b.WriteString(ldap.EscapeFilter(value) + t.literals[i+1])
		}
		b.WriteString(")")
		return b.String(), true
	}
	var parts []string
	for _, c := range t.children {
		part, ok := c.fill(values)
		if ok {
			parts = append(parts, part)
		} else if t.op != '|' {
			return "", false
		}
	}
	if len(parts) == 0 {
		return "", false
	}
	return "(" + string(t.op) + strings.Join(parts, "") + ")", true
}

// instead is the filter with a condition on the group in the place of the one that makes the person with a DN a member.
// ok is false where the filter has none, or needs something else of the person: a login, or not to be a member.
func (t *template) instead(condition string) (filter string, ok bool) {
	return t.replaced(condition, func(leaf *template) bool {
		// Of other attributes, such as managedBy, nobody is a member.
		return leaf.exactly(holdDN) && (strings.EqualFold(leaf.left, "member=") || strings.EqualFold(leaf.left,
			"member:"+inChain+":="))
	})
}

// insteadOfMember is instead for the ways in which groups outside of Active Directory list their members.
func (t *template) insteadOfMember(condition string) (filter string, ok bool) {
	return t.replaced(condition, func(leaf *template) bool {
		switch strings.ToLower(leaf.left) {
		case "member=", "uniquemember=":
			return leaf.exactly(holdDN)
		case "memberuid=":
			return leaf.exactly(holdLogin)
		}
		return false
	})
}

// replaced is the filter with a condition in the place of the leaves that list members.
func (t *template) replaced(condition string, lists func(*template) bool) (filter string, ok bool) {
	switch {
	case !t.uses(holdDN) && !t.uses(holdLogin):
		return t.present(), true
	case t.op == 0:
		return condition, lists(t)
	case t.op == '!':
		return "", false
	}
	var parts []string
	for _, c := range t.children {
		part, ok := c.replaced(condition, lists)
		if ok {
			parts = append(parts, part)
		} else if t.op == '&' {
			return "", false
		}
	}
	if len(parts) == 0 {
		return "", false
	}
	return "(" + string(t.op) + strings.Join(parts, "") + ")", true
}

// present is the filter with each placeholder standing for any value. It keeps the operator's other conditions (an
// object class, a department) when a person is looked up by id.
func (t *template) present() string {
	if t.op == 0 {
		if len(t.holds) == 0 {
			return "(" + t.left + t.literals[0] + ")"
		}
		attribute := strings.TrimRight(t.left, "=")
		if plain := strings.TrimRight(attribute, "<>~:"); plain != attribute {
			// Only an equality takes a star; for the other operators the attribute's presence is the nearest.
			attribute, _, _ = strings.Cut(plain, ":")
			if attribute == "" {
				attribute = "objectClass"
			}
			return "(" + attribute + "=*)"
		}
		value := strings.Join(t.literals, "*")
		for strings.Contains(value, "**") {
			value = strings.ReplaceAll(value, "**", "*")
		}
		return "(" + t.left + value + ")"
	}
	if t.op == '!' && (t.uses(holdLogin) || t.uses(holdDN)) {
		return "(objectClass=*)"
	}
	parts := make([]string, len(t.children))
	for i, c := range t.children {
		parts[i] = c.present()
	}
	return "(" + string(t.op) + strings.Join(parts, "") + ")"
}
