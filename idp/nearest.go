package idp

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"ssobridge/store"
)

// NearestProvider is the registered service provider whose entityID somebody may have meant who wrote another one: it
// looks the same, or differs in a letter or two. ok is false where there is none, or more than one.
//
// It is for a "did you mean" to administrators alone. Nothing is ever looked up by what it returns: an entityID is the
// one that was registered, byte for byte (saml-core 1.3.2), and a request under any other is refused.
func NearestProvider(all []store.ServiceProvider, typed string) (entityID string, ok bool) {
	const far = 3 // letters
	if len(typed) > maxNearest {
		return "", false
	}
	nearest, want := far, lookOf(typed)
	for _, sp := range all {
		if len(sp.EntityID) > maxNearest {
			continue
		}
		switch d := distance(want, lookOf(sp.EntityID), far); {
		case d < nearest:
			nearest, entityID, ok = d, sp.EntityID, true
		case d == nearest:
			ok = false
		}
	}
	return entityID, ok
}

// maxNearest bounds what is compared, in bytes.
const maxNearest = 1024

// lookOf is about what a text looks like: without case, accents, spaces, invisible characters and a slash at its end.
func lookOf(text string) []rune {
	var look []rune
	for _, r := range norm.NFKD.String(strings.TrimRight(text, "/ \t\r\n")) {
		if !unicode.In(r, unicode.Mn, unicode.Cf, unicode.Cc) && !unicode.IsSpace(r) {
			look = append(look, unicode.ToLower(r))
		}
	}
	return look
}

// distance is how many letters have to be put in, taken out or replaced to make b of a; far where it is as many or
// more.
func distance(a, b []rune, far int) int {
	if len(a)-len(b) >= far || len(b)-len(a) >= far {
		return far
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := diagonal
			if x != y {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], far)
}
