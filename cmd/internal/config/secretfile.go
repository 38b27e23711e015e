package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byteOrderMark is what some editors begin a text with. It is never part of a secret.
const byteOrderMark = "\ufeff"

// withoutLineEnds takes off what editors, echo and copying add to a secret and what is never part of one: a byte order
// mark in front, line ends behind.
func withoutLineEnds(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, byteOrderMark), "\r\n")
}

// secretText is the secret in a file, or what is wrong with the file. What can't be seen and may or may not belong to
// the secret is a fault: a server that refuses a password never says why. No message holds anything of the secret.
func secretText(data []byte, key string) (text, fault, fix string) {
	take := "take it away; a secret that is like this comes in " + variable(key) + " as it stands"
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "", "is UTF-16 text", "save it as UTF-8"
	case bytes.IndexByte(data, 0) >= 0:
		return "", "holds zero bytes: it is UTF-16 text without a mark, or no text", "save it as UTF-8"
	}
	if text = withoutLineEnds(string(data)); key == "secret_key" || key == "secret_keys" || key == "store.dsn" {
		text = strings.TrimSpace(text) // of these no blank is a part
	}
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch {
	case text == "":
		return "", "is empty", "write the secret into it"
	case strings.ContainsAny(text, "\r\n"):
		lines := len(strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }))
		return "", fmt.Sprintf("has %d lines", max(lines, 2)),
			"write the secret into it as one line of plain text"
	case unseen(first):
		return "", "begins with " + runeName(first), take
	case unseen(last):
		return "", "ends with " + runeName(last), take
	}
	return text, "", ""
}

// unseen tells whether nobody sees a character at an end of a text.
func unseen(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func runeName(r rune) string {
	switch r {
	case ' ':
		return "a blank"
	case '\t':
		return "a tab"
	case '\u00a0':
		return "a no-break space (U+00A0)"
	}
	return fmt.Sprintf("a character that can't be seen (U+%04X)", r)
}
