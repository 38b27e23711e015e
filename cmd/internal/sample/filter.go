package sample

import (
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// matcher decides whether an entry fits a filter.
type matcher func(*entry) bool

// compile reads a filter's text by go-ldap's own parser, so that what is matched is
// what a real server would be sent.
func compile(filter string) (matcher, error) {
	packet, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil, fmt.Errorf("read the filter: %w", err)
	}
	return match(packet, 0)
}

// match turns one node of a compiled filter (RFC 4511 4.5.1.7) into a matcher.
func match(p *ber.Packet, depth int) (matcher, error) {
	if depth > 20 {
		return nil, fmt.Errorf("the filter is nested deeper than 20")
	}
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr:
		var parts []matcher
		for _, child := range p.Children {
			m, err := match(child, depth+1)
			if err != nil {
				return nil, err
			}
			parts = append(parts, m)
		}
		and := p.Tag == ldap.FilterAnd
		return func(e *entry) bool {
			for _, m := range parts {
				if m(e) != and {
					return !and
				}
			}
			return and
		}, nil
	case ldap.FilterNot:
		m, err := match(p.Children[0], depth+1)
		if err != nil {
			return nil, err
		}
		return func(e *entry) bool { return !m(e) }, nil
	case ldap.FilterPresent:
		name := strings.ToLower(text(p))
		return func(e *entry) bool { return len(e.attributes[name]) > 0 }, nil
	case ldap.FilterEqualityMatch:
		name, want := strings.ToLower(text(p.Children[0])), text(p.Children[1])
		return func(e *entry) bool {
			for _, v := range e.attributes[name] {
				if strings.EqualFold(v, want) {
					return true
				}
			}
			return false
		}, nil
	case ldap.FilterSubstrings:
		return substrings(p), nil
	}
	return nil, fmt.Errorf("the sample directory does not know filters of kind %d", p.Tag)
}

func substrings(p *ber.Packet) matcher {
	name := strings.ToLower(text(p.Children[0]))
	return func(e *entry) bool {
	values:
		for _, v := range e.attributes[name] {
			rest := strings.ToLower(v)
			for _, part := range p.Children[1].Children {
				want := strings.ToLower(text(part))
				at := strings.Index(rest, want)
				switch {
				case at < 0,
					part.Tag == ldap.FilterSubstringsInitial && at != 0,
					part.Tag == ldap.FilterSubstringsFinal && !strings.HasSuffix(rest, want):
					continue values
				}
				rest = rest[at+len(want):]
			}
			return true
		}
		return false
	}
}

// text is the string of a primitive packet, however the parser kept it.
func text(p *ber.Packet) string {
	if s, ok := p.Value.(string); ok {
		return s
	}
	return p.Data.String()
}
