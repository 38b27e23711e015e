package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// blanks are taken off both ends of each value but a secret: editors, shells and copying add them, and no value needs
// them there. An id with a blank behind it would be another id.
const blanks = " \t\r\n" + byteOrderMark

// typographic are the quotation marks that word processors put in the place of plain ones.
const typographic = "“”„‟‘’‚«»"

// forPeople are the keys whose values people read as text, with any character that their language has.
var forPeople = map[string]bool{
	"branding.name": true, "metadata.organization_name": true, "metadata.organization_display_name": true,
	"metadata.technical_contact_name": true, "metadata.support_contact_name": true,
}

// sourceLabel are such keys, too: what buttons call sources.
var sourceLabel = regexp.MustCompile(`^sources\.[^.]+\.label$`)

// oddText says what copying has left in a value that can't belong there: characters that nobody sees, quotation marks
// that nothing took off. Each would make it another value, such as an id that is never found.
func oddText(path, text string) (fault, fix string) {
	text = strings.Trim(text, blanks)
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch r, odd := oddRune(text); {
	case forPeople[path] || sourceLabel.MatchString(path) || text == "":
		return "", ""
	case odd:
		return "has " + runeName(r), `type the value anew; what belongs into a DN is written there like \C2\A0`
	case strings.ContainsRune(typographic, first) || strings.ContainsRune(typographic, last):
		return "has typographic quotation marks", "write it without quotation marks, or in plain ones"
	case len(text) > 1 && first == last && (first == '"' || first == '\'') && strings.Count(text, string(first)) == 2:
		return "has quotation marks in it", "write it without them: docker's --env-file, for example, does not take them off"
	}
	return "", ""
}

// Odd says what copying has left in a text that was meant as a value or an id; "" where that is nothing.
func Odd(text string) (fault, fix string) { return oddText("", text) }

// oddRune is the first character of a text that nobody sees and that is no space.
func oddRune(text string) (rune, bool) {
	for _, r := range text {
		if r != ' ' && unseen(r) {
			return r, true
		}
	}
	return 0, false
}

var (
	comment = regexp.MustCompile(`(^|\s)#.*`)
	opened  = regexp.MustCompile(`(?:^|[:\[,]|- )\s*(["'])`) // a value that begins with a quotation mark
)

// syntaxFix says what to correct in a file that is no YAML. The parser only knows where it could not go on; what nobody
// sees, and a quotation mark that is never closed, stand elsewhere.
func syntaxFix(text string) string {
	if strings.ContainsRune(text, 0) {
		return "save the file as text in UTF-8"
	}
	for i, line := range strings.Split(strings.TrimPrefix(text, byteOrderMark), "\n") {
		line = comment.ReplaceAllString(strings.TrimRight(line, "\r"), "")
		if r, odd := oddRune(strings.ReplaceAll(line, "\t", " ")); odd {
			return fmt.Sprintf("type line %d anew: it has %s", i+1, runeName(r))
		}
		if m := opened.FindStringSubmatch(line); m != nil && strings.Count(line, m[1])%2 == 1 {
			return fmt.Sprintf("close the quotation mark that line %d opens", i+1)
		}
	}
	return "correct the YAML there, or on the line before; keys are indented by spaces, never by tabs"
}
