// Package plainenglish finds the words of this project's early days in what people read. It serves tests.
package plainenglish

import "regexp"

// dialect are those words; each has a word of the field in its place. None may come back into what people read.
var dialect = regexp.MustCompile(`(?i)\b(told|tell of|mends?|hold no more|would hold|needs? a hand|wants? a hand|` +
	`seals?|sealed|spares?|lanes?|bites?|figures|in order|not in order|held against|for whom|on whom|let go on|` +
	`readings?|as it was|taken as there|said yes|held back)\b`)

// flag is an option of a command: whoever reads a page has buttons.
var flag = regexp.MustCompile(`(?:^|\s)--[a-z]`)

// markup is what a template has beside words: actions, comments, tags with their attributes.
var markup = regexp.MustCompile(`(?s)\{\{.*?\}\}|<!--.*?-->|<[^>]*>`)

// Fault is the word or flag that a text of a page must not have, "" for none. The words of CamelCase or dotted keys are
// not looked at.
func Fault(text string) string {
	if found := dialect.FindString(text); found != "" {
		return found
	}
	return flag.FindString(text)
}

// Words of a template: what is left without its markup.
func Words(template string) string { return markup.ReplaceAllString(template, " ") }
