package web

import (
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/internal/plainenglish"
)

var placeholder = regexp.MustCompile(`\{[a-z]+[:}]`)

// TestLanguagesSayTheSame compares each language with the first: the same keys, the
// same placeholders, links and ways out, and nothing left untranslated.
func TestLanguagesSayTheSame(t *testing.T) {
	first := catalogues[0]
	for _, c := range catalogues[1:] {
		same := func(what, key, want, got string) {
			t.Helper()
			holes := func(text string) string {
				return strings.Join(slices.Sorted(slices.Values(placeholder.FindAllString(text, -1))), " ")
			}
			if got == "" || got == want && len(want) > 12 {
				t.Errorf("%s: %s %q says %q", c.lang, what, key, got)
			}
			if holes(want) != holes(got) {
				t.Errorf("%s: %s %q has the placeholders %q, want %q", c.lang, what, key, holes(got), holes(want))
			}
		}
		keys := func(what string, want, got []string) {
			t.Helper()
			for _, key := range want {
				if !slices.Contains(got, key) {
					t.Errorf("%s: no %s %q", c.lang, what, key)
				}
			}
			for _, key := range got {
				if !slices.Contains(want, key) {
					t.Errorf("%s: %s %q is not in %s", c.lang, what, key, first.lang)
				}
			}
		}
		keys("word", slices.Sorted(maps.Keys(first.words)), slices.Sorted(maps.Keys(c.words)))
		keys("reason", slices.Sorted(maps.Keys(first.reasons)), slices.Sorted(maps.Keys(c.reasons)))
		keys("problem", slices.Sorted(maps.Keys(first.problems)), slices.Sorted(maps.Keys(c.problems)))
		keys("cause", slices.Sorted(maps.Keys(first.causes)), slices.Sorted(maps.Keys(c.causes)))
		keys("service", slices.Sorted(maps.Keys(first.services)), slices.Sorted(maps.Keys(c.services)))
		if len(first.roles) != len(c.roles) {
			t.Errorf("%s: %d roles, want %d", c.lang, len(c.roles), len(first.roles))
		}
		for role, text := range first.roles {
			same("role", string(role), text, c.roles[role])
		}
		for key, text := range first.services {
			same("service", key, text, c.services[key])
		}
		for key, text := range first.words {
			same("word", key, text, c.words[key])
		}
		for key, text := range first.causes {
			same("cause", key, text, c.causes[key])
		}
		for key, e := range first.reasons {
			got := c.reasons[key]
			same("title of", key, e.Title, got.Title)
			same("text of", key, e.Text, got.Text)
			same("way out of", key, e.Do, got.Do)
			if e.Link != got.Link || e.Start != got.Start {
				t.Errorf("%s: reason %q leads elsewhere", c.lang, key)
			}
		}
		for key, p := range first.problems {
			same("problem", key, p.Text, c.problems[key].Text)
			if p.Link != c.problems[key].Link || p.Status != c.problems[key].Status {
				t.Errorf("%s: problem %q leads elsewhere", c.lang, key)
			}
		}
		for _, d := range []time.Duration{time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour,
			5 * time.Hour} {
			if c.duration(d) == "" || c.duration(d) == first.duration(d) {
				t.Errorf("%s: %s is %q", c.lang, d, c.duration(d))
			}
		}
	}
}

func TestNumbersAndNouns(t *testing.T) {
	for text, want := range map[string]string{
		"{calls:call takes|calls take} a while": "1,234 calls take a while",
		"{one:call takes|calls take} a while":   "1 call takes a while",
		"{none:call|calls}":                     "0 calls",
		"{calls:} of {big:}":                    "1,234 of 1,000,000",
		"plan {calls}":                          "plan 1234",
		"{later} and {name}":                    "{later} and {one:call|calls}",
		"{calls":                                "{calls",
	} {
		if got := english.fill(text, "calls", 1234, "one", 1, "none", 0, "big", int64(1_000_000), "name",
			"{one:call|calls}"); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := spanish.fill("{n:cuenta|cuentas}", "n", 3000); got != "3.000 cuentas" {
		t.Errorf("in Spanish %q", got)
	}
}

// TestPlainEnglish: rows of every catalogue and every template use the words of the field, and name no flag of a
// command: whoever reads a page has buttons. The console's are walked there.
func TestPlainEnglish(t *testing.T) {
	check := func(where, text string) {
		t.Helper()
		if found := plainenglish.Fault(text); found != "" {
			t.Errorf("%s says %q: %s", where, found, text)
		}
	}
	for key, text := range english.words {
		check(key, text)
	}
	for key, text := range english.causes {
		check(key, text)
	}
	for key, text := range english.services {
		check(key, text)
	}
	for key, e := range english.reasons {
		check(key, e.Title+" "+e.Text+" "+e.Do)
	}
	for key, p := range english.problems {
		check(key, p.Text)
	}
	err := fs.WalkDir(templateFiles, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		page, err := fs.ReadFile(templateFiles, path)
		check(path, plainenglish.Words(string(page)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
