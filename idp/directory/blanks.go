package directory

import (
	"strings"
	"unicode"
)

// trimInvisible takes away what nobody sees at the ends of a value that was copied from somewhere: spaces of any kind
// and line ends, no-break spaces among them, zero-width characters and byte order marks. Other control characters stay:
// nobody copies them by chance, and whoever shows or sends the value has to say so.
func trimInvisible(v string) string {
	return strings.TrimFunc(v, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Zs)
	})
}
