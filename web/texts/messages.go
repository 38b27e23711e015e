package texts

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// Messages are all messages of one language. They are safe for concurrent use: nothing changes them.
type Messages struct {
	lang      string
	tag       language.Tag
	thousands string
	byKey     map[string]message
}

// thousandsKey is the message that stands between thousands.
const thousandsKey = "number.thousands"

// Load reads all files of a language in a folder.
func Load(files fs.FS, lang string) (Messages, error) {
	tag, err := language.Parse(lang)
	if err != nil {
		return Messages{}, fmt.Errorf("texts: language %q: %w", lang, err)
	}
	entries, err := Read(files, lang)
	if err != nil {
		return Messages{}, err
	}
	m := Messages{lang: lang, tag: tag, byKey: make(map[string]message, len(entries))}
	for _, e := range entries {
		parsed, err := parse(e.Text)
		if err != nil {
			return Messages{}, fmt.Errorf("texts: %s: %q: %w", e.File, e.Key, err)
		}
		m.byKey[e.Key] = parsed
	}
	m.thousands, _ = m.Text(thousandsKey)
	return m, nil
}

// MustLoad is Load for files that are embedded in the program, which a test has read.
func MustLoad(files fs.FS, lang string) Messages {
	m, err := Load(files, lang)
	if err != nil {
		panic(err)
	}
	return m
}

// Lang is the language's tag, as in the attribute lang of HTML.
func (m Messages) Lang() string { return m.lang }

// Has tells whether there is a message of that key, empty ones apart.
func (m Messages) Has(key string) bool { return len(m.byKey[key]) > 0 }

// Keys of all messages, sorted.
func (m Messages) Keys() []string { return slices.Sorted(maps.Keys(m.byKey)) }

// Text is a message with its values: names and values in turn. A place without a value shows its name in braces.
func (m Messages) Text(key string, pairs ...any) (text string, known bool) {
	parts, known := m.byKey[key]
	if !known {
		return "", false
	}
	if len(parts) == 1 && parts[0].key == "" {
		return parts[0].literal, true
	}
	var b strings.Builder
	m.write(&b, parts, pairs)
	return b.String(), true
}

// With returns the same messages with values that each of them may use filled in for good.
func (m Messages) With(pairs ...any) Messages {
	filled := m
	filled.byKey = make(map[string]message, len(m.byKey))
	for key, parts := range m.byKey {
		filled.byKey[key] = fix(parts, pairs)
	}
	return filled
}

// And returns these messages and, for keys that they have not, others in the same language.
func (m Messages) And(others Messages) Messages {
	all := m
	all.byKey = maps.Clone(others.byKey)
	maps.Copy(all.byKey, m.byKey)
	if all.thousands == "" {
		all.thousands = others.thousands
	}
	return all
}

// fix puts values in the place of plain arguments, and joins what is literal then.
func fix(parts message, pairs []any) message {
	var fixed message
	for _, p := range parts {
		if value, known := valueOf(p.key, pairs); known && p.kind == plain {
			p = part{literal: value}
		}
		if p.kind == counted {
			p.forms, p.exact = fixAll(p.forms, pairs), fixAll(p.exact, pairs)
		}
		if last := len(fixed) - 1; last >= 0 && p.key == "" && fixed[last].key == "" {
			fixed[last].literal += p.literal
			continue
		}
		fixed = append(fixed, p)
	}
	return fixed
}

func fixAll[K comparable](all map[K]message, pairs []any) map[K]message {
	fixed := make(map[K]message, len(all))
	for k, m := range all {
		fixed[k] = fix(m, pairs)
	}
	return fixed
}

func (m Messages) write(b *strings.Builder, parts message, pairs []any) {
	for _, p := range parts {
		value, known := valueOf(p.key, pairs)
		switch {
		case p.key == "":
			b.WriteString(p.literal)
		case !known:
			b.WriteString("{" + p.key + "}")
		case p.kind == plain:
			b.WriteString(value)
		case p.kind == counted:
			m.write(b, m.form(p, value), pairs)
		default:
			b.WriteString(m.grouped(value))
		}
	}
}

// form is the form of a plural that goes with a number (CLDR's cardinal rules).
func (m Messages) form(p part, value string) message {
	if exact, ok := p.exact[value]; ok {
		return exact
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return p.forms[plural.Other]
	}
	// The rules look at no more of a whole number than its last digits, and x/text takes an int of at most that.
	if n > 10_000_000 {
		n = 10_000_000 + n%1_000_000
	}
	if f, ok := p.forms[plural.Cardinal.MatchPlural(m.tag, int(n), 0, 0, 0, 0)]; ok {
		return f
	}
	return p.forms[plural.Other]
}

// grouped writes a whole number, not below zero, with its thousands apart: 1,234,567.
func (m Messages) grouped(digits string) string {
	text := ""
	for ; len(digits) > 3; digits = digits[:len(digits)-3] {
		text = m.thousands + digits[len(digits)-3:] + text
	}
	return digits + text
}

// valueOf finds a key among pairs of keys and values.
func valueOf(key string, pairs []any) (text string, known bool) {
	for i := 0; key != "" && i+1 < len(pairs); i += 2 {
		if pairs[i] == key {
			return fmt.Sprint(pairs[i+1]), true
		}
	}
	return "", false
}
