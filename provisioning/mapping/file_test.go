package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/provisioning/mapping"
)

// REAL-69: each fault of a file of mappings names its line, all come together, and nothing of a file is left out or
// taken for an empty set in silence.
func TestReadFile(t *testing.T) {
	const one = "  - person: alice\n    account: a1\n    role: owner\n    external_id: x\n"
	many := "mappings:\n" + strings.Repeat("  - grupp: x\n", 130)
	for name, c := range map[string]struct {
		text string
		want []string // parts of the faults, in order; none: it is read
	}{
		"an owner":          {"mappings:\n" + one, nil},
		"with a mark":       {"\ufeffmappings:\n" + one, nil},
		"none at all":       {"mappings: []\n", nil},
		"an anchor":         {"mappings:\n  - &a {group: x, role: owner}\n  - <<: *a\n    account: a1\n", nil},
		"empty":             {"", []string{"no list of them"}},
		"commented out":     {"# mappings:\n", []string{"no list of them"}},
		"no list":           {"mappings:\n", []string{"line 1: it is no file of mappings: it has no list of them"}},
		"another kind":      {"- a\n", []string{"line 1: it is no file of mappings"}},
		"a mistyped top":    {"\nmaping: []\n", []string{"line 2: it is no file of mappings: field \"maping\" not found"}},
		"more at the top":   {"mappings: []\nrules: []\n", []string{"line 2: it is no file of mappings: field \"rules\""}},
		"twice at the top":  {"mappings: []\nmappings: []\n", []string{"line 2: mappings: stands twice"}},
		"a second document": {"mappings:\n" + one + "---\nmappings: []\n", []string{"a second document follows"}},
		"no YAML":           {"mappings:\n\t- x\n", []string{"it is no file of mappings: line 2"}},
		"no mapping":        {"mappings:\n" + one + "  - alice\n", []string{"line 6: this is no mapping"}},
		"a null":            {"mappings:\n" + one + "  -\n", []string{"line 6: this is no mapping"}},
		"a key twice":       {"mappings:\n  - role: x\n    role: y\n", []string{"line 3: mapping key \"role\" already"}},
		"faults here and there": {"mappings:\n  - grupp: x\n    priority: high\n" + one + "  - switched_off: perhaps\n",
			[]string{"line 2: field grupp not found", `line 3: "high" is not a whole number`,
				`line 8: "perhaps" is neither true nor false`}},
		"a number in quotes": {"mappings:\n  - role: owner\n    priority: '10'\n", nil},
		"a number too large": {"mappings:\n  - priority: 99999999999999999999\n", []string{"is not a whole number"}},
		"a list as text":     {"mappings:\n  - role: [owner]\n", []string{"line 2: a list is not a text"}},
		"another file": {"public_url: x\nlisten: y\ntls:\n  cert: z\n",
			[]string{"line 1: it is no file of mappings: field \"public_url\" not found"}},
		"very many": {many, append(strings.Split(strings.Repeat("field grupp not found,", 99)+"field grupp", ","),
			"and 30 more faults")},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := mapping.ReadFile([]byte(c.text))
			var faults []error
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				faults = joined.Unwrap()
			} else if err != nil {
				faults = []error{err}
			}
			if len(faults) != len(c.want) {
				t.Fatalf("got %d faults, want %d: %v", len(faults), len(c.want), err)
			}
			for i, want := range c.want {
				if _, ok := errors.AsType[*mapping.InputError](faults[i]); !ok || !strings.Contains(faults[i].Error(), want) {
					t.Errorf("fault %d: %v, want %q", i+1, faults[i], want)
				}
			}
			if want := strings.Contains(c.text, "external_id"); err == nil && want && (len(all) != 1 || all[0].Line != 2 ||
				all[0].ExternalID != "x") {
				t.Errorf("read %+v", all)
			}
		})
	}
}

// A priority in quotes is the number that stands there: YAML reads 010 as 8.
func TestReadFilePriorityInQuotes(t *testing.T) {
	for text, want := range map[string]int{`'10'`: 10, `"010"`: 10, `'-08'`: -8, "10": 10} {
		all, err := mapping.ReadFile([]byte("mappings:\n  - role: owner\n    priority: " + text + "\n"))
		if err != nil || len(all) != 1 || all[0].Priority != want {
			t.Errorf("%s: %+v, %v; want %d", text, all, err, want)
		}
	}
}
