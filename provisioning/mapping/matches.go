package mapping

import (
	"strings"
	"sync"
)

const (
	knownTexts = 1000 // of one pattern
	knownBytes = 128  // of one text; longer ones are tried each time
)

// matches remembers what texts gave. The same groups come with each sign-in, and two regular expressions for each take
// longer than to look it up. It is bounded: past that it begins anew.
type matches struct {
	mu  sync.RWMutex
	all map[string]match
}

type match struct {
	captures Captures
	err      error
}

// of is what a text gives, which try tells where it is not known.
func (m *matches) of(text string, try func(string) (Captures, error)) (Captures, error) {
	if len(text) > knownBytes {
		return try(text)
	}
	m.mu.RLock()
	known, ok := m.all[text]
	m.mu.RUnlock()
	if ok {
		return known.captures, known.err
	}
	text = strings.Clone(text) // it may be a part of something larger
	known.captures, known.err = try(text)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= knownTexts {
		m.all = map[string]match{}
	}
	m.all[text] = known
	return known.captures, known.err
}
