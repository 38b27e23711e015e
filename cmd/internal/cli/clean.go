package cli

import (
	"fmt"
	"io"
	"sync"
	"unicode"
	"unicode/utf8"
)

// cleanWriter stands before the standard output and error of every command. Names of people, groups and accounts come
// from directories and from Constant Contact: one that holds an escape sequence would move the cursor, rewrite what was
// printed before, or have the terminal answer. What a terminal would take for a command is written as \uXXXX instead,
// which JSON reads as the same character.
type cleanWriter struct {
	to io.Writer

	mu   sync.Mutex
	part []byte // of a character whose rest comes with the next Write
}

func (c *cleanWriter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.part) == 0 && plain(p) { // as lines of the log nearly always are
		return c.to.Write(p)
	}
	text := append(c.part, p...)
	c.part = nil
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n <= 1 && !utf8.FullRune(text) {
			c.part = append([]byte(nil), text...)
			break
		}
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, "\uFFFD"...) // no character: a terminal may take it for a control of another encoding
		case r == '\n' || r == '\t' || !commands(r):
			out = append(out, text[:n]...)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[n:]
	}
	if _, err := c.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// plain tells whether a text is ASCII that no terminal takes for a command.
func plain(text []byte) bool {
	for _, b := range text {
		if (b < ' ' || b > '~') && b != '\n' && b != '\t' {
			return false
		}
	}
	return true
}

// Close writes the beginning of a character that never came to its end.
func (c *cleanWriter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.part) == 0 {
		return nil
	}
	c.part = nil
	_, err := c.to.Write([]byte("\uFFFD"))
	return err
}

// commands tells whether a terminal takes a character for a command, or shows what follows in another order than it
// stands: controls of both sets, and the marks of direction.
func commands(r rune) bool {
	return unicode.IsControl(r) || r == '\u061c' || r == '\u200e' || r == '\u200f' || r >= '\u202a' && r <= '\u202e' ||
		r >= '\u2066' && r <= '\u2069' ||
		r == '\u2028' || r == '\u2029'
}
