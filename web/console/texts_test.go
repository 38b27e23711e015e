package console

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"ssobridge/internal/plainenglish"
	"ssobridge/web/texts"
)

func entries(t *testing.T) []texts.Entry {
	t.Helper()
	all, err := texts.Read(locales(), "en")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestConsoleTextsFit: they load, and the brand's placeholders are filled in first, so that no text of the console may
// use them for something else.
func TestConsoleTextsFit(t *testing.T) {
	if _, err := loadCatalogue("en"); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries(t) {
		for _, taken := range []string{"{name}", "{product}", "{provider}"} {
			if strings.Contains(e.Text, taken) {
				t.Errorf("%s uses %s", e.Key, taken)
			}
		}
	}
}

// TestConsoleLanguagesSayTheSame compares each language with English: the same keys in files of the same area, the same
// placeholders, and nothing left untranslated (row WEB-11).
func TestConsoleLanguagesSayTheSame(t *testing.T) {
	if found, err := texts.Languages(locales()); err != nil || len(found) != len(languages) {
		t.Errorf("files of the languages %v, pages in %v: %v", found, languages, err)
	}
	english := map[string]string{}
	for _, e := range entries(t) {
		english[e.Key] = e.Text
	}
	for _, lang := range languages[1:] {
		if _, err := loadCatalogue(lang); err != nil {
			t.Error(err)
		}
		own, err := texts.Read(locales(), lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range texts.Compare(entries(t), own) {
			t.Errorf("%s: %q %s", lang, d.Key, d.Fault)
		}
		for _, e := range own {
			if english[e.Key] == e.Text && len(e.Text) > 12 && e.Text != "Constant Contact" && wordy(e.Text) {
				t.Errorf("%s: %q says %q, as in English", lang, e.Key, e.Text)
			}
		}
	}
}

// wordy tells whether a text says something beside its placeholders.
func wordy(text string) bool {
	for {
		before, rest, found := strings.Cut(text, "{")
		if strings.ContainsFunc(before, unicode.IsLetter) {
			return true
		}
		if !found {
			return false
		}
		_, text, _ = strings.Cut(rest, "}")
	}
}

// TestEveryConsoleTextIsUsed: what nobody shows need not be translated.
func TestEveryConsoleTextIsUsed(t *testing.T) {
	var source strings.Builder
	for _, glob := range []string{"templates/*.html", "templates/*/*.html", "*.go"} {
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
	for _, key := range texts.Unused(entries(t), source.String()) {
		t.Errorf("text %q is used nowhere", key)
	}
}

// TestPlainEnglish: every text and template of the console uses the words of the field, and names no flag of a command.
func TestPlainEnglish(t *testing.T) {
	check := func(where, text string) {
		t.Helper()
		if found := plainenglish.Fault(text); found != "" {
			t.Errorf("%s says %q: %s", where, found, text)
		}
	}
	for _, e := range entries(t) {
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
