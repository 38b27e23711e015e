package texts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Entry is one message of a file as it stands there.
type Entry struct {
	File, Key, Text string
	Description     string // for translators, "" for none
}

// Read returns the entries of a language's files in a folder, file by file in the order in which they stand there. A
// key stands once in all of them.
func Read(files fs.FS, lang string) ([]Entry, error) {
	names, err := fs.Glob(files, "*."+lang+".json")
	if err != nil {
		return nil, fmt.Errorf("texts: list the files of language %s: %w", lang, err)
	}
	var all []Entry
	seen := map[string]string{}
	for _, name := range names {
		entries, err := readFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("texts: read %s: %w", name, err)
		}
		for _, e := range entries {
			if other, twice := seen[e.Key]; twice {
				return nil, fmt.Errorf("texts: %s: %q stands in %s too", name, e.Key, other)
			}
			seen[e.Key] = name
		}
		all = append(all, entries...)
	}
	return all, nil
}

// Languages are those that files of a folder are named by, sorted.
func Languages(files fs.FS) ([]string, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, fmt.Errorf("texts: list the files of all languages: %w", err)
	}
	var all []string
	for _, name := range names {
		all = append(all, strings.TrimPrefix(path.Ext(strings.TrimSuffix(name, ".json")), "."))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// readFile reads token by token: encoding/json alone would let the last of two equal keys win.
func readFile(files fs.FS, name string) ([]Entry, error) {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says which file
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("want one JSON object")
	}
	var all []Entry
	notes := map[string]string{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
		key, _ := t.(string)
		if of, note := strings.CutPrefix(key, "@"); note {
			var n struct {
				Description string `json:"description"`
			}
			if err := d.Decode(&n); err != nil {
				return nil, fmt.Errorf("%q: want an object with a description: %w", key, err)
			}
			notes[of] = n.Description
			continue
		}
		e := Entry{File: name, Key: key}
		if err := d.Decode(&e.Text); err != nil {
			return nil, fmt.Errorf("%q: want a text: %w", key, err)
		}
		all = append(all, e)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	for i := range all {
		all[i].Description = notes[all[i].Key]
		delete(notes, all[i].Key)
	}
	for of := range notes {
		return nil, fmt.Errorf("%q describes no message of this file", "@"+of)
	}
	return all, nil
}
