package web

import (
	"embed"
	"fmt"
	"io/fs"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web/texts"
)

// Catalogue is every word that people read, in one language. {name} is the
// partner, {product} what people sign in to, {provider} the service provider.
//
// No text says how the bridge works inside, and none tells whether a login exists.
type Catalogue struct{ messages texts.Messages }

//go:embed locales
var localeFiles embed.FS

// locales are the files of the end-user pages, by language and area.
func locales() fs.FS {
	files, err := fs.Sub(localeFiles, "locales")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return files
}

// languages are those of the end-user pages. The first is what people get whose browser asks for none of them. One more
// is one more pair of files and one more word here.
var languages = []string{"en", "es", "fr-CA"}

// loadCatalogue reads one of them.
func loadCatalogue(lang string) (Catalogue, error) {
	m, err := texts.Load(locales(), lang)
	if err != nil {
		return Catalogue{}, fmt.Errorf("web: load the texts of language %s: %w", lang, err)
	}
	return Catalogue{m}, nil
}

// CatalogueWith is a catalogue of other messages, for pages that share no more than roles, durations and numbers with
// those of this package.
func CatalogueWith(own texts.Messages) (Catalogue, error) {
	c, err := loadCatalogue(own.Lang())
	return Catalogue{own.And(c.messages)}, err
}

// Lang is the language as HTML names it.
func (c Catalogue) Lang() string { return c.messages.Lang() }

// Has tells whether there is a text of that key.
func (c Catalogue) Has(key string) bool { return c.messages.Has(key) }

// Word returns a text of the pages with its placeholders filled.
func (c Catalogue) Word(key string, pairs ...any) (string, error) {
	text, ok := c.messages.Text(key, pairs...)
	if !ok {
		return "", fmt.Errorf("web: no text %q in language %s", key, c.Lang())
	}
	return text, nil
}

// text is Word of a key that a test has found to be there.
func (c Catalogue) text(key string, pairs ...any) string {
	text, _ := c.messages.Text(key, pairs...)
	return text
}

// firstOf is the first of the keys that has a text.
func (c Catalogue) firstOf(keys ...string) string {
	for _, key := range keys {
		if c.Has(key) {
			return key
		}
	}
	return keys[len(keys)-1]
}

// Duration is how long something takes or took, in words. They are rough on purpose: a text that changes each second
// would be read out each second.
func (c Catalogue) Duration(d time.Duration) string {
	whole := func(key string, unit time.Duration) string {
		return c.text(key, "count", int(d.Round(unit)/unit))
	}
	switch {
	case d < 10*time.Second:
		return c.text("duration.moment")
	case d < time.Minute:
		return c.text("duration.seconds")
	case d < time.Hour:
		return whole("duration.minutes", time.Minute)
	case d < 48*time.Hour:
		return whole("duration.hours", time.Hour)
	}
	return whole("duration.days", 24*time.Hour)
}

// Role is what people call a role at Constant Contact.
func (c Catalogue) Role(r store.Role) string {
	if key := "role." + string(r); c.Has(key) {
		return c.text(key)
	}
	return string(r)
}

// serviceState says how a logout stands at a service. One without a text is not sure.
func (c Catalogue) serviceState(word string) string {
	return c.text(c.firstOf("service."+word, "service.no_answer"))
}

// cause says what a person's new user waits for.
func (c Catalogue) cause(word string) string {
	return c.text(c.firstOf("cause."+word, "cause.working"))
}

// WithBrand fills in what is the same on every page, once.
func (c Catalogue) WithBrand(b Branding) Catalogue {
	return Catalogue{c.messages.With("name", b.Name, "product", b.ProductName)}
}

// explanation of a refusal: what it is, why, and what to do.
type explanation struct {
	Title, Text, Do string
	way
}

// reason explains a refusal. A word that has no text yet gets the general one: a
// page must come, whatever happened.
func (c Catalogue) reason(word string, pairs ...any) explanation {
	if !c.Has("reason." + word + ".title") {
		word = internal
	}
	said := func(part string) string { return c.text("reason."+word+"."+part, pairs...) }
	return explanation{said("title"), said("text"), said("do"), waysOut[word]}
}

// signOutText is the text of a refused message of single logout, whatever its fault. With a reason behind it, it is the
// one for that reason.
const signOutText = "signout"

// signOut explains why a message of single logout is refused. What is the same for a sign-in has no text of its own.
func (c Catalogue) signOut(word string, pairs ...any) explanation {
	if own := signOutText + "." + word; c.Has("reason." + own + ".title") {
		return c.reason(own, pairs...)
	}
	if idp.OfMessage(word) {
		return c.reason(signOutText, pairs...)
	}
	return c.reason(word, pairs...)
}

// providerTexts are the texts of refusals that stand for signed launches and OpenID providers alike, where a provider
// was to sign the person in: they know it by its name, and have come from no application.
var providerTexts = map[string]string{
	"launch_form": "unusable", "launch_header": "unusable", "launch_type": "unusable", "launch_issuer": "unusable",
	"launch_key": "unusable", "launch_algorithm": "unusable", "launch_signature": "unusable",
	"launch_audience": "unusable", "launch_claims": "unusable", "launch_lifetime": "unusable",
	"launch_future": "unusable", "launch_person": "unusable", "launch_request": "unusable",
	"launch_request_source": "unusable", "launch_request_browser": "unusable",
	"launch_expired": "over", "launch_used": "over", "launch_late": "over", "launch_request_used": "over",
	"launch_request_late": "over",
	"launch_source_off":   "off", "launch_keys_down": "off",
	"launch_factor":     "factor",
	"launch_signed_out": "signed_out",
}

// ofProvider explains a refusal of somebody whom an OpenID provider was to sign in.
func (c Catalogue) ofProvider(word string, pairs ...any) explanation {
	if own, there := providerTexts[word]; there {
		word = "provider." + own
	}
	return c.reason(word, pairs...)
}

// problem of a login, above the form.
type problem struct {
	Text   string
	Link   string
	Status int // 0: 422
}

func (c Catalogue) problem(word string, pairs ...any) problem {
	if !c.Has("problem." + word) {
		word = "bad_credentials"
	}
	p := problemWays[word]
	p.Text = c.text("problem."+word, pairs...)
	return p
}
