package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListsWhatIsLeft(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pages.en.json", `{"login": "Sign in to {provider}", "@login": {"description": "A button."}, "out": "Sign out"}`)
	write("pages.es.json", `{"out": "Salir"}`)
	var out, errs strings.Builder
	err := run([]string{folder}, &out, &errs)
	want := folder + ", es: 1 of 2 texts need work\n  login (pages.en.json): missing\n    Sign in to {provider}\n" +
		"    note: A button.\n"
	if !errors.Is(err, errLeft) || out.String() != want {
		t.Errorf("%v\n%s%s", err, &out, &errs)
	}

	out.Reset()
	if err := run([]string{"-language", "de", folder}, &out, &errs); !errors.Is(err, errLeft) ||
		!strings.Contains(out.String(), "de: 2 of 2 texts need work") {
		t.Errorf("a new language: %v\n%s", err, &out)
	}

	write("pages.es.json", `{"login": "Iniciar sesión en {provider}", "out": "Salir"}`)
	out.Reset()
	if err := run([]string{folder}, &out, &errs); err != nil || !strings.Contains(out.String(), "es: 0 of 2") {
		t.Errorf("a whole one: %v\n%s", err, &out)
	}

	if err := run(nil, &out, &errs); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("no folder: %v", err)
	}
	if err := run([]string{t.TempDir()}, &out, &errs); err == nil || errors.Is(err, errLeft) {
		t.Errorf("an empty folder: %v", err)
	}
}
