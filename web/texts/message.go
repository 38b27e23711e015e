package texts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
)

// message is a text in the parts of which it is put together.
type message []part

// part is a literal text, or a place for a value.
type part struct {
	literal string
	key     string // of the value, "" for a literal
	kind    kind
	forms   map[plural.Form]message
	exact   map[string]message // by the digits of the value, which go before the forms
}

type kind int

const (
	plain kind = iota
	number
	counted
	hash // # within a form: the number that the form was chosen by
)

// maxNested bounds how deep forms stand in forms.
const maxNested = 3

// forms are CLDR's words for the forms of a plural.
var forms = map[string]plural.Form{
	"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many,
	"other": plural.Other,
}

// parser reads a message from left to right.
type parser struct {
	text string
	at   int
}

// parse reads a message, or says what is wrong with it.
func parse(text string) (message, error) {
	p := &parser{text: text}
	m, err := p.message("", 0)
	if err == nil && p.at < len(text) {
		err = errors.New("a closing brace without an opening one")
	}
	if err != nil {
		return nil, fmt.Errorf("at character %d: %w", p.at+1, err)
	}
	return m, nil
}

// message reads up to the end or an unpaired closing brace. of is the value that # stands for, "" outside of forms.
func (p *parser) message(of string, depth int) (message, error) {
	var m message
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			m = append(m, part{literal: literal.String()})
			literal.Reset()
		}
	}
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '}':
			flush()
			return m, nil
		case c == '{':
			flush()
			a, err := p.argument(depth)
			if err != nil {
				return nil, err
			}
			m = append(m, a)
		case c == '#' && of != "":
			flush()
			m = append(m, part{key: of, kind: hash})
			p.at++
		case c == '\'':
			if err := p.quoted(&literal); err != nil {
				return nil, err
			}
		default:
			literal.WriteByte(c)
			p.at++
		}
	}
	flush()
	return m, nil
}

// quoted reads from an apostrophe on. It quotes where a brace follows, is one apostrophe where two stand, and else is
// itself, as in "can't".
func (p *parser) quoted(to *strings.Builder) error {
	rest := p.text[p.at+1:]
	switch {
	case strings.HasPrefix(rest, "'"):
		to.WriteByte('\'')
		p.at += 2
	case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "}"):
		inner, _, closed := strings.Cut(rest, "'")
		if !closed {
			return errors.New("an apostrophe before a brace quotes, and its end is missing")
		}
		to.WriteString(inner)
		p.at += len(inner) + 2
	default:
		to.WriteByte('\'')
		p.at++
	}
	return nil
}

// argument reads from an opening brace to its closing one.
func (p *parser) argument(depth int) (part, error) {
	p.at++
	key := p.word(",}")
	if !isName(key) {
		return part{}, fmt.Errorf("%.40q is not the name of a value", key)
	}
	if p.take('}') {
		return part{key: key}, nil
	}
	if !p.take(',') {
		return part{}, fmt.Errorf("the brace of %q is not closed", key)
	}
	switch kind := p.word(",}"); {
	case kind == "number" && p.take('}'):
		return part{key: key, kind: number}, nil
	case kind == "plural" && p.take(','):
		if depth == maxNested {
			return part{}, errors.New("forms stand too deep in forms")
		}
		return p.plural(key, depth+1)
	default:
		return part{}, fmt.Errorf("{%s, %.40s}: want number or plural", key, kind)
	}
}

// plural reads the forms of a value.
func (p *parser) plural(key string, depth int) (part, error) {
	a := part{key: key, kind: counted, forms: map[plural.Form]message{}, exact: map[string]message{}}
	for {
		word := p.word("{}")
		if p.take('}') && word == "" {
			if a.forms[plural.Other] == nil {
				return part{}, fmt.Errorf("%q has no form other", key)
			}
			return a, nil
		}
		if !p.take('{') {
			return part{}, fmt.Errorf("the forms of %q are not closed", key)
		}
		m, err := p.message(key, depth)
		if err != nil {
			return part{}, err
		}
		if !p.take('}') {
			return part{}, fmt.Errorf("form %q of %q is not closed", word, key)
		}
		digits, isExact := strings.CutPrefix(word, "=")
		form, known := forms[word]
		switch {
		case isExact && a.exact[digits] == nil && isDigits(digits):
			a.exact[digits] = m
		case known && a.forms[form] == nil:
			a.forms[form] = append(message{}, m...) // not nil where it is empty
		default:
			return part{}, fmt.Errorf("%q is no plural form of CLDR, or stands twice", word)
		}
	}
}

// word reads up to one of the ends, without the spaces around it.
func (p *parser) word(ends string) string {
	from := p.at
	for p.at < len(p.text) && !strings.ContainsRune(ends, rune(p.text[p.at])) {
		p.at++
	}
	return strings.TrimSpace(p.text[from:p.at])
}

func (p *parser) take(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func isDigits(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}
