package directory

import (
	"strings"
	"unicode"
)

// trimBlanks takes away what nobody sees at the ends of a value that was copied from somewhere: spaces of any kind,
// no-break ones among them, zero-width characters and byte order marks, and control characters.
func trimBlanks(v string) string {
	return strings.TrimFunc(v, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Cc, unicode.Zs)
	})
}
