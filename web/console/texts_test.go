package console

import (
	"io/fs"
	"strings"
	"testing"

	"ssobridge/internal/plainenglish"
)

// TestConsoleTextsFit: the brand's placeholders are filled in first, so that no text
// of the console may use them for something else.
func TestConsoleTextsFit(t *testing.T) {
	for key, text := range words {
		for _, taken := range []string{"{name}", "{product}", "{provider}"} {
			if strings.Contains(text, taken) {
				t.Errorf("%s uses %s", key, taken)
			}
		}
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
	for key, text := range words {
		check(key, text)
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
