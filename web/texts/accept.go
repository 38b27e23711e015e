package texts

import (
	"sync"

	"golang.org/x/text/language"
)

// maxAcceptLanguage bounds what is read of a browser's preference: browsers send a few dozen bytes.
const maxAcceptLanguage = 512

// Bounds of the preferences whose language is remembered: strangers can send any number of them, of any length.
const (
	rememberedWishes = 256
	rememberedLength = 128
)

// Chooser finds the language that suits a browser best among those that there are. It is safe for concurrent use.
type Chooser struct {
	langs   []string
	matcher language.Matcher

	mu    sync.RWMutex
	known map[string]int // most browsers have one of a few preferences
}

// NewChooser chooses among languages, of which the first is for browsers that prefer none of them. It panics on a tag
// that is none: the tags are names of files in the program.
func NewChooser(langs []string) *Chooser {
	tags := make([]language.Tag, len(langs))
	for i, l := range langs {
		tags[i] = language.MustParse(l)
	}
	return &Chooser{langs: langs, matcher: language.NewMatcher(tags), known: map[string]int{}}
}

// Named is the place of a language, where there is one of exactly that tag.
func (c *Chooser) Named(lang string) (int, bool) {
	for i, l := range c.langs {
		if l == lang {
			return i, true
		}
	}
	return 0, false
}

// Accept is the place of the language that a header Accept-Language prefers (RFC 9110 section 12.5.4). What can't be
// read prefers none.
func (c *Chooser) Accept(header string) int {
	if header == "" || len(header) > maxAcceptLanguage {
		return 0
	}
	c.mu.RLock()
	i, known := c.known[header]
	c.mu.RUnlock()
	if known {
		return i
	}
	i = c.match(header)
	if len(header) <= rememberedLength {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.known) >= rememberedWishes {
			clear(c.known) // the usual ones are soon there again
		}
		c.known[header] = i
	}
	return i
}

func (c *Chooser) match(header string) int {
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return 0
	}
	_, i, sure := c.matcher.Match(tags...)
	if sure == language.No {
		return 0
	}
	return i
}
