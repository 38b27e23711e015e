package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Mappings name a group of a source's tokens by "claim:SOURCE:NAME", and the base of a pattern over such groups by
// "claim:SOURCE". These are the only forms, and none of them is a DN or an id of the directory: a token's group is
// never one of the directory, nor one of another source, whatever it is called.

const (
	claimPrefix   = "claim:"
	maxClaimGroup = 255 // bytes, as in a token
	maxSource     = 20
)

// ClaimGroup names a group of a source's tokens.
func ClaimGroup(source, name string) string { return claimPrefix + source + ":" + name }

// ParseClaimGroup takes the name of a group of a source's tokens apart; ok is false for every other text.
func ParseClaimGroup(text string) (source, name string, ok bool) {
	rest, ok := strings.CutPrefix(text, claimPrefix)
	if !ok {
		return "", "", false
	}
	source, name, ok = strings.Cut(rest, ":")
	return source, name, ok && sourceName(source) && name != "" && len(name) <= maxClaimGroup && utf8.ValidString(name) &&
		strings.TrimSpace(name) == name && !strings.ContainsFunc(name, unicode.IsControl)
}

// ParseClaimBase is the source whose groups a pattern is over; ok is false for a DN and every other text.
func ParseClaimBase(text string) (source string, ok bool) {
	source, ok = strings.CutPrefix(text, claimPrefix)
	return source, ok && sourceName(source)
}

func sourceName(s string) bool {
	return s != "" && len(s) <= maxSource && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// IsClaim tells whether a text that stands in the place of a DN is about a source's tokens, well written or not.
func IsClaim(text string) bool { return strings.HasPrefix(text, claimPrefix) }

// OfSource is the source whose people a mapping is about; "": the directory's.
func OfSource(m store.Mapping) string {
	switch m.Kind {
	case store.GroupMapping:
		if source, _, ok := ParseClaimGroup(m.GroupID); ok {
			return source
		}
	case store.GroupPattern:
		if source, ok := ParseClaimBase(m.GroupDN); ok {
			return source
		}
	}
	return ""
}

// Bounds tells whether a source may give a client account, in its recorded form, and a role. canonical brings an id of
// the source's list to that form.
type Bounds func(source, account, role string, canonical func(string) string) bool

// Bounded sets what sources may give. Without it mappings give their people nothing. It is called before the index is
// used.
func (x *Index) Bounded(b Bounds) *Index {
	x.bounds = b
	return x
}

// claimed are the hits of a source's person by mappings, within what the source may give.
func (x *Index) claimed(p directory.Entry) (all []Hit) {
	fitting := map[int]bool{}
	for _, g := range p.Groups {
		for _, i := range x.byGroupID[ClaimGroup(p.Source, g.Name)] {
			fitting[i] = true
		}
		if patterns := x.onClaims[p.Source]; patterns != nil {
			patterns.collect(g.Name, fitting)
		}
	}
	for i := range fitting {
		all = append(all, x.tryClaims(&x.rules[i], p)...)
	}
	return all
}

// tryClaims is try for somebody of a source.
func (x *Index) tryClaims(r *rule, p directory.Entry) (all []Hit) {
	m := r.mapping
	if r.fault != "" || p.Source == "" || OfSource(m) != p.Source {
		return nil
	}
	for _, g := range p.Groups {
		var h Hit
		if m.Kind == store.GroupMapping {
			if m.GroupID != ClaimGroup(p.Source, g.Name) {
				continue
			}
			h = Hit{Mapping: m, Hit: true, Why: "the token of source " + p.Source + " names the group", Account: m.Account,
				Role: m.Role}
		} else {
			var fits bool
			if h, fits = x.tryPattern(r, g.Name, "group"); !fits {
				continue
			}
		}
		h.Group = g
		canonical := func(id string) string { return string(x.forms.Stored(store.AccountID(id))) }
		// What a token can say is bounded by its source, by whichever way it gives it.
		if h.Hit && (x.bounds == nil || !x.bounds(p.Source, string(h.Account), string(h.Role), canonical)) {
			h.Hit = false
			h.Why += ", but it lies outside allow_accounts or allow_roles of source " + p.Source
		}
		all = append(all, h)
	}
	return all
}

// explainClaims says of each mapping of a source why it hits or not.
func (x *Index) explainClaims(p directory.Entry) (all []Hit) {
	for i := range x.rules {
		r := &x.rules[i]
		if OfSource(r.mapping) != p.Source {
			continue
		}
		hits := x.tryClaims(r, p)
		if len(hits) == 0 {
			why := "the token names no such group"
			if r.fault != "" {
				why = "the mapping can't be used: " + r.fault
			}
			hits = []Hit{{Mapping: r.mapping, Why: why, Account: r.mapping.Account, Role: r.mapping.Role}}
		}
		all = append(all, hits...)
	}
	return all
}
