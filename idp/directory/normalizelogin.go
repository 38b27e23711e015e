package directory

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// NormalizeLogin brings the spellings that a directory may take for one login to one
// form: case, accents, spaces, invisible characters, EXAMPLE\alice,
// alice@example.com. Two people whose logins differ in the domain alone share a
// count; that costs them little, since a browser they used has its own.
func NormalizeLogin(login string) string {
	if _, name, ok := strings.Cut(login, `\`); ok && name != "" {
		login = name
	}
	if name, _, ok := strings.Cut(login, "@"); ok && name != "" {
		login = name
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Cf, unicode.Cc) || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(login))
}
