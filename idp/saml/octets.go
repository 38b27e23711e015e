package saml

import (
	"encoding/base64"
	"strings"
)

// octets is a message of ours while it is written: in exclusive canonical form without comments (xml-exc-c14n 3), which
// is what is signed and what leaves. Markup is written as it stands here, with namespaces declared where a prefix is
// used for the first time, and attributes in the order of their names; values go through text and attribute. A test
// compares what comes of it with the library that signatures are verified with.
type octets []byte

// markup adds constant parts of the document. Nothing that came from outside goes in here.
func (o *octets) markup(constant string) { *o = append(*o, constant...) }

// attribute adds an attribute with its value.
func (o *octets) attribute(name, value string) {
	*o = append(append(append(*o, ' '), name...), `="`...)
	o.escaped(value, true)
	*o = append(*o, '"')
}

// optional adds an attribute unless it has no value.
func (o *octets) optional(name, value string) {
	if value != "" {
		o.attribute(name, value)
	}
}

// text adds character data.
func (o *octets) text(value string) { o.escaped(value, false) }

// escaped adds a value as canonical XML writes it (xml-c14n 2.3): nothing in it can become markup.
func (o *octets) escaped(value string, inAttribute bool) {
	value = characters(value)
	written := 0
	for i := range len(value) {
		replacement := ""
		switch value[i] {
		case '&':
			replacement = "&amp;"
		case '<':
			replacement = "&lt;"
		case '\r':
			replacement = "&#xD;"
		case '>':
			if !inAttribute {
				replacement = "&gt;"
			}
		case '"':
			if inAttribute {
				replacement = "&quot;"
			}
		case '\t':
			if inAttribute {
				replacement = "&#x9;"
			}
		case '\n':
			if inAttribute {
				replacement = "&#xA;"
			}
		}
		if replacement != "" {
			*o = append(append(*o, value[written:i]...), replacement...)
			written = i + 1
		}
	}
	*o = append(*o, value[written:]...)
}

// written is an element of ours in two parts: up to and with its Issuer, and what follows. A signature stands between
// them, where the schema wants it (saml-core 5.4.1).
type written struct {
	name, id   string
	head, rest octets
}

// size is how many octets it has.
func (w *written) size() int { return len(w.head) + len(w.rest) }

// bytes puts it together.
func (w *written) bytes() []byte {
	return append(append(make([]byte, 0, w.size()), w.head...), w.rest...)
}

// base64 is the whole as a binding's form carries it.
func (w *written) base64() string {
	var b strings.Builder
	b.Grow(base64.StdEncoding.EncodedLen(w.size()))
	encoder := base64.NewEncoder(base64.StdEncoding, &b)
	for _, part := range []octets{w.head, w.rest} {
		_, _ = encoder.Write(part) // a strings.Builder takes everything
	}
	_ = encoder.Close()
	return b.String()
}

// characters puts U+FFFD in the place of what XML has no way to write (xml 2.2): a
// control character in a person's record must not make the document unreadable.
func characters(s string) string {
	for i := range len(s) {
		if s[i] >= ' ' && s[i] < 0x7f || s[i] == '\t' || s[i] == '\n' || s[i] == '\r' {
			continue
		}
		return strings.Map(func(r rune) rune {
			switch {
			case r == '\t', r == '\n', r == '\r', r >= ' ' && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
				return r
			}
			return '\ufffd'
		}, s)
	}
	return s
}
