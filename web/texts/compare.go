package texts

import (
	"fmt"
	"slices"
	"strings"
)

// Values are the names of the values that a message has places for, each once, sorted. A place within a form of a
// plural counts like any other.
func Values(text string) ([]string, error) {
	m, err := parse(text)
	if err != nil {
		return nil, err
	}
	all := m.values(nil)
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (m message) values(all []string) []string {
	for _, p := range m {
		if p.key != "" {
			all = append(all, p.key)
		}
		for _, f := range p.forms {
			all = f.values(all)
		}
		for _, f := range p.exact {
			all = f.values(all)
		}
	}
	return all
}

// Difference is what a translation lacks, or has too much of.
type Difference struct {
	Entry        // of the original, or of the translation where the original has no such key
	Fault string // in words
}

// Compare holds a translation to its original: the same keys, in files of the same area, with the same values.
func Compare(original, translation []Entry) []Difference {
	var all []Difference
	byKey := map[string]Entry{}
	for _, e := range translation {
		byKey[e.Key] = e
	}
	for _, o := range original {
		t, ok := byKey[o.Key]
		delete(byKey, o.Key)
		switch {
		case !ok:
			all = append(all, Difference{o, "missing"})
		case strings.Trim(t.Text, " ") == "" && o.Text != "":
			all = append(all, Difference{o, "empty"})
		case area(t.File) != area(o.File):
			all = append(all, Difference{o, "stands in " + t.File})
		default:
			want, _ := Values(o.Text)
			if got, err := Values(t.Text); err != nil {
				all = append(all, Difference{o, err.Error()})
			} else if !slices.Equal(got, want) {
				all = append(all, Difference{o, fmt.Sprintf("has the values %q, want %q", got, want)})
			}
		}
	}
	for _, t := range translation {
		if _, left := byKey[t.Key]; left {
			all = append(all, Difference{t, "is not in the original"})
		}
	}
	return all
}

func area(file string) string {
	name, _, _ := strings.Cut(file, ".")
	return name
}

// Unused are the keys that no source of the program names. A key is named whole in quotation marks, or by its begin up
// to a dot, as in "act."+act and (printf "act.%s" .), or by both its begin and its end.
func Unused(entries []Entry, source string) []string {
	var all []string
	for _, e := range entries {
		if !named(e.Key, source) {
			all = append(all, e.Key)
		}
	}
	return all
}

func named(key, source string) bool {
	if strings.Contains(source, `"`+key+`"`) {
		return true
	}
	for i := range len(key) {
		if begin := key[:i+1]; key[i] == '.' &&
			(strings.Contains(source, `"`+begin+`"`) || strings.Contains(source, `"`+begin+`%s`)) {
			return true
		}
	}
	return false
}
