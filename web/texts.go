package web

import (
	"fmt"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// Catalogue is every word that people read, in one language. {name} is the
// partner, {product} what people sign in to, {provider} the service provider;
// texts.go explains no others where they are not obvious from the text.
//
// No text says how the bridge works inside, and none tells whether a login exists.
type Catalogue struct {
	lang     string
	words    map[string]string
	reasons  map[string]explanation
	problems map[string]problem
	causes   map[string]string
	services map[string]string // states of a service in a single logout
	roles    map[store.Role]string
	duration func(time.Duration) string

	thousands string // what stands between thousands
}

// Links that a text can offer.
const (
	linkHelp   = "help"
	linkForgot = "forgot"
)

// explanation of a refusal: what it is, why, and what to do.
type explanation struct {
	Title, Text, Do string
	Link            string
	Start           bool // a new sign-in by /launch is the way out
}

// problem of a login, above the form.
type problem struct {
	Text   string
	Link   string
	Status int // 0: 422
}

// EnglishWith is the English catalogue with other words, for pages that have none of the rest.
func EnglishWith(words map[string]string) Catalogue {
	return Catalogue{lang: english.lang, thousands: english.thousands, roles: english.roles, duration: english.duration,
		words: words}
}

// Has tells whether there is a text of that key.
func (c Catalogue) Has(key string) bool { return c.words[key] != "" }

// Duration is how long something takes or took, in words.
func (c Catalogue) Duration(d time.Duration) string { return c.duration(d) }

// reason explains a refusal. A word that has no text yet gets the general one: a
// page must come, whatever happened.
func (c Catalogue) reason(word string) explanation {
	if e, ok := c.reasons[word]; ok {
		return e
	}
	return c.reasons[internal]
}

// signOutText is the text of a refused message of single logout, whatever its fault. With a reason behind it, it is the
// one for that reason.
const signOutText = "signout"

// signOut explains why a message of single logout is refused. What is the same for a sign-in has no text of its own.
func (c Catalogue) signOut(word string) explanation {
	if e, ok := c.reasons[signOutText+" "+word]; ok {
		return e
	}
	if idp.OfMessage(word) {
		return c.reasons[signOutText]
	}
	return c.reason(word)
}

func (c Catalogue) problem(word string) problem {
	if p, ok := c.problems[word]; ok {
		return p
	}
	return c.problems["bad_credentials"]
}

// Role is what people call a role at Constant Contact.
func (c Catalogue) Role(r store.Role) string {
	if t, ok := c.roles[r]; ok {
		return t
	}
	return string(r)
}

// serviceState says how a logout stands at a service. One without a text is not sure.
func (c Catalogue) serviceState(word string) string {
	if t, ok := c.services[word]; ok {
		return t
	}
	return c.services["no_answer"]
}

// Word returns a text of the pages with its placeholders filled.
func (c Catalogue) Word(key string, pairs ...any) (string, error) {
	text, ok := c.words[key]
	if !ok {
		return "", fmt.Errorf("web: no text %q in language %s", key, c.lang)
	}
	return c.fill(text, pairs...), nil
}

// fill puts values in the place of {keys}, in one pass: braces in a value stay as they are. {key:one|other} is a number
// with the noun that goes with it ("1 call", "2,000 calls"), {key:} a number alone; both have their thousands apart, as
// ids, which are {key}, have not. A key without a value stays for a later call. Escaping is the template's work.
func (c Catalogue) fill(text string, pairs ...any) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		inner, after, closed := strings.Cut(rest, "}")
		key, nouns, counted := strings.Cut(inner, ":")
		value, known := valueOf(key, pairs)
		switch {
		case !closed || !known:
			b.WriteString("{")
			text = rest
			continue
		case counted:
			one, noun, _ := strings.Cut(nouns, "|")
			if value == "1" {
				noun = one
			}
			b.WriteString(strings.TrimSuffix(c.grouped(value)+" "+noun, " "))
		default:
			b.WriteString(value)
		}
		text = after
	}
}

// valueOf finds a key among pairs of keys and values.
func valueOf(key string, pairs []any) (text string, known bool) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == key {
			return fmt.Sprint(pairs[i+1]), true
		}
	}
	return "", false
}

// grouped writes a whole number, not below zero, with its thousands apart: 1,234,567.
func (c Catalogue) grouped(digits string) string {
	text := ""
	for ; len(digits) > 3; digits = digits[:len(digits)-3] {
		text = c.thousands + digits[len(digits)-3:] + text
	}
	return digits + text
}

// WithBrand fills in what is the same on every page, once.
func (c Catalogue) WithBrand(b Branding) Catalogue {
	fill := func(text string) string { return c.fill(text, "name", b.Name, "product", b.ProductName) }
	d := Catalogue{
		lang: c.lang, services: c.services, roles: c.roles, duration: c.duration, thousands: c.thousands,
		words: map[string]string{}, reasons: map[string]explanation{}, problems: map[string]problem{},
		causes: map[string]string{},
	}
	for k, t := range c.words {
		d.words[k] = fill(t)
	}
	for k, e := range c.reasons {
		d.reasons[k] = explanation{Title: fill(e.Title), Text: fill(e.Text), Do: fill(e.Do), Link: e.Link, Start: e.Start}
	}
	for k, p := range c.problems {
		d.problems[k] = problem{Text: fill(p.Text), Link: p.Link, Status: p.Status}
	}
	for k, t := range c.causes {
		d.causes[k] = fill(t)
	}
	return d
}
