package web

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/internal/plainenglish"
	"ssobridge/web/texts"
)

// TestLanguagesSayTheSame compares each language with the first: the same keys, the
// same placeholders, and nothing left untranslated.
func TestLanguagesSayTheSame(t *testing.T) {
	if found, err := texts.Languages(locales()); err != nil || len(found) != len(languages) {
		t.Errorf("files of the languages %v, pages in %v: %v", found, languages, err)
	}
	first := entries(t, languages[0])
	english := loaded(t, languages[0])
	for _, lang := range languages[1:] {
		own := entries(t, lang)
		for _, d := range texts.Compare(first, own) {
			t.Errorf("%s: %q %s", lang, d.Key, d.Fault)
		}
		for _, e := range own {
			i := slices.IndexFunc(first, func(o texts.Entry) bool { return o.Key == e.Key })
			if i >= 0 && first[i].Text == e.Text && len(e.Text) > 12 {
				t.Errorf("%s: %q says %q, as in %s", lang, e.Key, e.Text, languages[0])
			}
		}
		c := loaded(t, lang)
		for _, d := range []time.Duration{time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour,
			5 * time.Hour, 72 * time.Hour} {
			if c.Duration(d) == "" || c.Duration(d) == english.Duration(d) {
				t.Errorf("%s: %s is %q", lang, d, c.Duration(d))
			}
		}
	}
}

func entries(t *testing.T, lang string) []texts.Entry {
	t.Helper()
	all, err := texts.Read(locales(), lang)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func loaded(t *testing.T, lang string) Catalogue {
	t.Helper()
	c, err := loadCatalogue(lang)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryTextIsUsed: what nobody shows need not be translated. Refusals and problems come from idp by their reason,
// whose texts another test looks for.
func TestEveryTextIsUsed(t *testing.T) {
	var source strings.Builder
	for _, glob := range []string{"templates/*.html", "*.go", "texts/*.go"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(f, "_test.go") {
				source.Write(b)
			}
		}
	}
	for _, key := range texts.Unused(entries(t, languages[0]), source.String()) {
		t.Errorf("text %q is used nowhere", key)
	}
}

// TestEveryReasonHasItsWholeText: a refusal has a title, what happened and what to do, and a way out names a reason
// that has a text.
func TestEveryReasonHasItsWholeText(t *testing.T) {
	c := loaded(t, languages[0])
	for _, key := range c.messages.Keys() {
		reason, isReason := strings.CutPrefix(key, "reason.")
		if !isReason {
			continue
		}
		reason = reason[:strings.LastIndexByte(reason, '.')]
		if e := c.reason(reason); e.Title == "" || e.Text == "" || e.Do == "" {
			t.Errorf("%s has not all of its texts: %+v", reason, e)
		}
	}
	for reason := range waysOut {
		if !c.Has("reason." + reason + ".title") {
			t.Errorf("there is a way out of %q, and no text", reason)
		}
	}
	for word := range problemWays {
		if !c.Has("problem." + word) {
			t.Errorf("there is a way out of the problem %q, and no text", word)
		}
	}
}

func TestDurations(t *testing.T) {
	c := loaded(t, "en")
	for d, want := range map[time.Duration]string{
		0: "a few seconds", 59 * time.Second: "less than a minute", time.Minute: "about a minute",
		89 * time.Second: "about a minute", 90 * time.Second: "about 2 minutes", 59 * time.Minute: "about 59 minutes",
		time.Hour: "about an hour", 90 * time.Minute: "about 2 hours", 47 * time.Hour: "about 47 hours",
		48 * time.Hour: "about 2 days",
	} {
		if got := c.Duration(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
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
	for _, e := range entries(t, "en") {
		check(e.Key, e.Text)
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

// TestWrongPasswordAndLockedReadTheSame: the page must not tell which logins exist (row LDAP-08).
func TestWrongPasswordAndLockedReadTheSame(t *testing.T) {
	for _, lang := range languages {
		c := loaded(t, lang)
		if wrong, locked := c.problem("bad_credentials"), c.problem("locked"); wrong != locked {
			t.Errorf("%s: %+v and %+v", lang, wrong, locked)
		}
	}
}
