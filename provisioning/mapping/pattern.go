package mapping

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"ssobridge/store"
)

const (
	maxPattern = 256  // characters of a pattern
	maxMatched = 1024 // bytes of a text that a pattern is tried on; a longer one does not match
)

// Pattern is a mapping pattern over group names or the values of a directory attribute. It is made of literals,
// {account} (1 to 64 ASCII letters and digits), {role} (account_manager or campaign_creator, a hyphen may stand for the
// underscore) and * (anything, also nothing). It must fit the whole text; literals and roles are compared without
// regard to case. The role owner can't be captured: a pattern speaks of many people, and an owner is always told for
// one.
//
// The zero Pattern matches nothing. A Pattern is safe for concurrent use.
type Pattern struct {
	text    string
	account bool
	role    bool
	prefix  string         // literal start in ASCII lower case, to dismiss most texts cheaply
	first   *regexp.Regexp // prefers the leftmost, shortest captures
	last    *regexp.Regexp // prefers the rightmost, longest captures
	known   *matches       // what texts gave before
}

// Captures is what a text gave.
type Captures struct {
	Account string     // as it stands in the text; "" without {account}
	Role    store.Role // "" without {role}
}

// ErrAmbiguous is returned by Match for a text that a pattern fits in two ways with different captures. Access is not
// given by guess, so it counts as no match.
var ErrAmbiguous = errors.New("fits in more than one way, the captures can't be told apart")

// ErrNoMatch is returned by Match for a text that does not fit.
var ErrNoMatch = errors.New("does not fit the pattern")

// piece of a pattern: a literal, or one of "{account}", "{role}", "*".
type piece struct {
	literal string
	special string
}

// ParsePattern checks a mapping pattern and compiles it. The error says what is wrong with which part.
func ParsePattern(text string) (Pattern, error) {
	pieces, err := splitPattern(text)
	if err != nil {
		return Pattern{}, err
	}
	p := Pattern{text: text, known: &matches{}}
	// (?s): a line break in a directory value is a character like others. RE2 runs in linear time, so no
	// pattern of an admin and no group name can stall a sign-in.
	first, last := strings.Builder{}, strings.Builder{}
	both := func(s string) { first.WriteString(s); last.WriteString(s) }
	both(`(?s)\A`)
	for i, part := range pieces {
		switch part.special {
		case "":
			if i == 0 {
				p.prefix = asciiPrefix(part.literal)
			}
			both(`(?i:` + regexp.QuoteMeta(part.literal) + `)`)
		case "*":
			first.WriteString(`.*?`)
			last.WriteString(`.*`)
		case "{account}":
			p.account = true
			// Without the i flag: case folding would let the Kelvin sign pass as a k.
			first.WriteString(`(?P<account>[A-Za-z0-9]{1,64}?)`)
			last.WriteString(`(?P<account>[A-Za-z0-9]{1,64})`)
		case "{role}":
			p.role = true
			both(`(?P<role>(?i:account[_-]manager|campaign[_-]creator))`)
		}
	}
	both(`\z`)
	if p.first, err = regexp.Compile(first.String()); err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", text, err)
	}
	if p.last, err = regexp.Compile(last.String()); err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", text, err)
	}
	return p, nil
}

// splitPattern takes a pattern apart and refuses what could never work or never be understood.
func splitPattern(text string) ([]piece, error) {
	switch {
	case text == "":
		return nil, errors.New("the pattern is empty")
	case !utf8.ValidString(text):
		return nil, errors.New("the pattern is not UTF-8 text")
	case utf8.RuneCountInString(text) > maxPattern:
		return nil, fmt.Errorf("the pattern has %d characters: want at most %d", utf8.RuneCountInString(text), maxPattern)
	case strings.IndexFunc(text, unicode.IsControl) >= 0:
		return nil, errors.New("the pattern has a control character")
	}
	var pieces []piece
	seen := map[string]bool{}
	for rest := text; rest != ""; {
		var part piece
		switch at := strings.IndexAny(rest, "{}*"); {
		case at < 0:
			part.literal, rest = rest, ""
		case at > 0:
			part.literal, rest = rest[:at], rest[at:]
		case rest[0] == '*':
			part.special, rest = "*", rest[1:]
		case rest[0] == '}':
			return nil, fmt.Errorf("pattern %q: a } without its {", text)
		default:
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return nil, fmt.Errorf("pattern %q: a { without its }", text)
			}
			part.special, rest = rest[:end+1], rest[end+1:]
			if part.special != "{account}" && part.special != "{role}" {
				return nil, fmt.Errorf("pattern %q: %s is not known, want {account} or {role}", text, part.special)
			}
			if seen[part.special] {
				return nil, fmt.Errorf("pattern %q: %s stands in it twice", text, part.special)
			}
			seen[part.special] = true
		}
		if n := len(pieces); n > 0 {
			before := pieces[n-1].special
			if before == "*" && part.special == "*" {
				continue // ** is *
			}
			if before == "*" && part.special == "{account}" || before == "{account}" && part.special == "*" {
				return nil, fmt.Errorf("pattern %q: {account} stands directly beside *, so where the account ends could not be "+
					"told; put a separator such as - between", text)
			}
		}
		pieces = append(pieces, part)
	}
	if len(pieces) == 1 && pieces[0].special == "*" {
		return nil, fmt.Errorf("pattern %q fits everything: name a part of the text", text)
	}
	return pieces, nil
}

// Match tells what a text gives. Its error is ErrNoMatch or ErrAmbiguous.
func (p Pattern) Match(text string) (Captures, error) {
	if p.first == nil || len(text) > maxMatched || !hasFoldedPrefix(text, p.prefix) {
		return Captures{}, ErrNoMatch
	}
	return p.known.of(text, p.try)
}

// try tells what a text gives that may fit.
func (p Pattern) try(text string) (Captures, error) {
	at := p.first.FindStringSubmatchIndex(text)
	if at == nil {
		return Captures{}, ErrNoMatch
	}
	// The two expressions fit the same texts and differ only in which way they prefer: earliest captures and latest. When
	// these are the same, there is no third.
	other := p.last.FindStringSubmatchIndex(text)
	var c Captures
	for i, name := range p.first.SubexpNames() {
		if name == "" {
			continue
		}
		if at[2*i] != other[2*i] || at[2*i+1] != other[2*i+1] {
			return Captures{}, ErrAmbiguous
		}
		value := text[at[2*i]:at[2*i+1]]
		if name == "account" {
			c.Account = value
		} else {
			c.Role = store.Role(strings.ReplaceAll(strings.ToLower(value), "-", "_"))
		}
	}
	return c, nil
}

// HasAccount tells whether the pattern captures the account.
func (p Pattern) HasAccount() bool { return p.account }

// HasRole tells whether the pattern captures the role.
func (p Pattern) HasRole() bool { return p.role }

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// asciiPrefix is the part of a literal up to its first byte beyond ASCII, in lower case.
func asciiPrefix(literal string) string {
	for i := 0; i < len(literal); i++ {
		if literal[i] >= utf8.RuneSelf {
			return lowerASCII(literal[:i])
		}
	}
	return lowerASCII(literal)
}

// lowerASCII puts ASCII letters into lower case and leaves all other bytes, so that the length stays.
func lowerASCII(text string) string {
	for i := 0; i < len(text); i++ {
		if 'A' <= text[i] && text[i] <= 'Z' {
			lower := []byte(text)
			for ; i < len(lower); i++ {
				if 'A' <= lower[i] && lower[i] <= 'Z' {
					lower[i] += 'a' - 'A'
				}
			}
			return string(lower)
		}
	}
	return text
}

// hasFoldedPrefix compares byte by byte with a prefix in ASCII lower case.
func hasFoldedPrefix(text, prefix string) bool {
	return len(text) >= len(prefix) && lowerASCII(text[:len(prefix)]) == prefix
}
