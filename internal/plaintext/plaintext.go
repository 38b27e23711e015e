// Package plaintext bounds texts that come from outside, and makes them fit for a line that a person reads.
package plaintext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cut is the text, at most so many bytes of it: whole characters, where it is valid UTF-8.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[:most]
	// The last character may have lost its end: at most three of its bytes are left.
	for i := 1; i < utf8.UTFMax && i <= most; i++ {
		if first := text[most-i]; utf8.RuneStart(first) {
			if !utf8.FullRuneInString(text[most-i:]) {
				return text[:most-i]
			}
			break
		}
	}
	return text
}

// Line is foreign text for a log line, an audit event or a page: one line, trimmed, at most so many bytes. What is no
// printable character becomes a blank, so that nobody can write lines of their own, or commands to a terminal.
func Line(text string, most int) string {
	return strings.TrimSpace(Cut(printable(text), most))
}

// Short is Line, with … behind what was cut: up to three bytes more.
func Short(text string, most int) string {
	if text = printable(text); len(text) <= most {
		return text
	}
	return strings.TrimSpace(Cut(text, most)) + "…"
}

func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c' || r == '\u200d': // joiners, which some languages spell names with
			return r
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, text))
}

// Quote is what somebody wrote, for the middle of a sentence about it: at most 60 characters, in quotes.
func Quote(text string) string { return fmt.Sprintf("%.60q", text) }
