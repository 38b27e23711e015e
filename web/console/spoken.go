package console

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

// spokenFiles are translations of what Go says: faults, findings, reasons and the meaning of settings. English stands
// in Go alone, where commands, log and REST API say it too, and traces keep it.
//
//go:embed spoken
var spokenFiles embed.FS

// spoken translates sentences that Go has made. A nil one leaves everything in English.
type spoken struct {
	whole    map[string]string // without full stop, with a small first letter
	patterns []spokenPattern   // the most particular first
	settings map[string]string // meanings, by the key of the setting
}

// spokenPattern is a sentence with values in it.
type spokenPattern struct {
	english *regexp.Regexp
	text    string // with %1 to %9 for the values
	weight  int    // letters that are no value
}

// Bounds of what is translated: a sentence of Go is short, and its values are translated too.
const (
	spokenLength = 2000
	spokenDepth  = 4
)

// named are patterns of a kind of thing and its id. They must not take a whole sentence that begins with it.
var named = regexp.MustCompile(`^(service provider|source|mapping|group) %s$`)

// loadSpoken reads what there is in one language; nil for the language that Go speaks.
func loadSpoken(lang string) (*spoken, error) {
	if lang == languages[0] {
		return nil, nil //nolint:nilnil // nothing has to be translated
	}
	s := &spoken{whole: map[string]string{}}
	reasons, err := readSpoken("reasons", lang)
	if err != nil {
		return nil, err
	}
	sentences, err := readSpoken("sentences", lang)
	if err != nil {
		return nil, err
	}
	if s.settings, err = readSpoken("settings", lang); err != nil {
		return nil, err
	}
	for key, text := range reasons {
		reason, part, _ := strings.Cut(key, ".")
		english := idp.TextOf(reason)
		s.whole[plainly(map[string]string{"cause": english.Cause, "fix": english.Fix}[part])] = plainly(text)
	}
	for english, text := range sentences {
		s.add(plainly(english), plainly(text))
	}
	slices.SortFunc(s.patterns, func(a, b spokenPattern) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.english.String(), b.english.String()))
	})
	return s, nil
}

func readSpoken(name, lang string) (m map[string]string, err error) {
	raw, err := fs.ReadFile(spokenFiles, "spoken/"+name+"."+lang+".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none of that name
	}
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return nil, fmt.Errorf("load the translations of %s: %w", name, err)
	}
	return m, nil
}

// add puts a sentence into the table it belongs to.
func (s *spoken) add(english, text string) {
	if !strings.Contains(english, "%s") {
		s.whole[english] = text
		return
	}
	value := "(.*?)"
	if named.MatchString(english) {
		value = `(\S*)`
	}
	expression := strings.ReplaceAll(regexp.QuoteMeta(english), "%s", value)
	s.patterns = append(s.patterns, spokenPattern{
		regexp.MustCompile("(?s)^" + expression + "$"), text, len(strings.ReplaceAll(english, "%s", "")),
	})
}

// say is a text of Go in this language. What nobody has translated stays in English: a page must say what is wrong.
func (s *spoken) say(text string) string {
	if s == nil || text == "" || len(text) > spokenLength {
		return text
	}
	said, _ := s.translate(text, 0)
	return said
}

// translate says also whether anything was translated.
func (s *spoken) translate(text string, depth int) (string, bool) {
	plain := plainly(text)
	if plain == "" || depth > spokenDepth {
		return text, false
	}
	if said, known := s.whole[plain]; known {
		return likeWritten(text, said), true
	}
	for _, p := range s.patterns {
		if found := p.english.FindStringSubmatch(plain); found != nil {
			return likeWritten(text, p.fill(found[1:], func(value string) string {
				said, _ := s.translate(value, depth+1)
				return said
			})), true
		}
	}
	// Several sentences, or a sentence with its hint: each is translated by itself.
	for _, between := range []string{"\n", ". ", "; ", ": ", ", "} {
		for at := 0; ; {
			i := strings.Index(text[at:], between)
			if i < 0 {
				break
			}
			at += i
			first, known := s.translate(text[:at], depth+1)
			rest, also := s.translate(text[at+len(between):], depth+1)
			if known || also {
				return first + between + rest, true
			}
			at += len(between)
		}
	}
	return text, false
}

// fill puts values into the text of a pattern.
func (p spokenPattern) fill(values []string, each func(string) string) string {
	pairs := make([]string, 0, 2*len(values))
	for i, v := range values {
		pairs = append(pairs, fmt.Sprintf("%%%d", i+1), each(v))
	}
	return strings.NewReplacer(pairs...).Replace(p.text)
}

// plainly is a text without its full stop and the capital at its begin: Go says the same within a sentence and as one.
func plainly(text string) string {
	text = strings.TrimSuffix(text, ".")
	first, size := utf8.DecodeRuneInString(text)
	second, _ := utf8.DecodeRuneInString(text[size:])
	if strings.ToUpper(string(second)) == string(second) && strings.ToLower(string(second)) != string(second) {
		return text // an abbreviation
	}
	return strings.ToLower(string(first)) + text[size:]
}

// likeWritten gives a translation the capital and the full stop of what it translates.
func likeWritten(text, said string) string {
	if first, _ := utf8.DecodeRuneInString(text); strings.ToUpper(string(first)) == string(first) {
		said = upper(said)
	}
	if strings.HasSuffix(text, ".") && !strings.HasSuffix(said, ".") && !strings.HasSuffix(said, "?") {
		said += "."
	}
	return said
}

// meaning is what a setting is for.
func (s *spoken) meaning(key, english string) string {
	if s == nil {
		return english
	}
	return cmp.Or(s.settings[key], english)
}

// said is a text that Go has made, in the reader's language.
func (r *request) said(text string) string { return r.k.spoken.say(text) }

// Untranslated are settings whose meaning a language of the console lacks, as LANGUAGE KEY, for tests.
func Untranslated(settings []admin.Setting) (all []string) {
	for _, lang := range languages {
		s, err := loadSpoken(lang)
		if err != nil {
			return []string{err.Error()}
		}
		for _, one := range settings {
			if s != nil && one.Meaning != "" && s.settings[one.Key] == "" {
				all = append(all, lang+" "+one.Key)
			}
		}
	}
	return all
}
