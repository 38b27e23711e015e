package files_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ssobridge/internal/files"
)

func TestPlaceNew(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	write := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	content := func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := write("first", "one")
	if err := files.PlaceNew(first, path); err != nil || content() != "one" {
		t.Fatalf("PlaceNew: %v, content %q", err, content())
	}
	if _, err := os.Lstat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the part still has its old name: %v", err)
	}
	second := write("second", "two")
	if err := files.PlaceNew(second, path); !errors.Is(err, fs.ErrExist) || content() != "one" {
		t.Errorf("PlaceNew over a file: %v, content %q; want ErrExist and the first", err, content())
	}
	if _, err := os.Lstat(second); err != nil {
		t.Errorf("a part that was refused is gone: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	if err := files.PlaceNew(second, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("PlaceNew over a dangling link: %v, want ErrExist", err)
	}
	if err := files.PlaceNew(filepath.Join(folder, "none"), filepath.Join(folder, "other")); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("PlaceNew of a missing file: %v, want ErrNotExist", err)
	}
}
