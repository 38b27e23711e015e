package texts_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"ssobridge/web/texts"
)

// folder is a folder of one file for each name and content.
func folder(pairs ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		files[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return files
}

// one loads a single message under the key "m".
func one(t *testing.T, lang, thousands, message string) texts.Messages {
	t.Helper()
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(message)
	m, err := texts.Load(folder("a."+lang+".json", `{"m": "`+quoted+`", "number.thousands": "`+thousands+`"}`), lang)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMessages(t *testing.T) {
	values := []any{"calls", 1234, "one", 1, "none", 0, "big", int64(1_000_000), "name", "{one, plural, other {x}} <b>"}
	for _, c := range []struct{ lang, thousands, message, want string }{
		{"en", ",", "plain", "plain"},
		{"en", ",", "", ""},
		{"en", ",", "{calls, plural, one {# call takes} other {# calls take}} a while", "1,234 calls take a while"},
		{"en", ",", "{one, plural, one {# call takes} other {# calls take}} a while", "1 call takes a while"},
		{"en", ",", "{none,plural,one{# call}other{# calls}}", "0 calls"},
		{"en", ",", "{none, plural, =0 {no call} one {# call} other {# calls}}", "no call"},
		{"en", ",", "{calls, number} of {big, number}", "1,234 of 1,000,000"},
		{"en", ",", "plan {calls}", "plan 1234"},
		{"en", ",", "{later} and {name}", "{later} and {one, plural, other {x}} <b>"},
		{"en", ",", "{one, plural, one {a call of {calls, number}} other {calls}}", "a call of 1,234"},
		{"en", ",", "can't, won''t, '{account}-{role}' #", "can't, won't, {account}-{role} #"},
		{"es", ".", "{calls, plural, one {# cuenta} other {# cuentas}}", "1.234 cuentas"},
		// CLDR: French counts 0 as one.
		{"fr-CA", "\u00a0", "{none, plural, one {# compte} other {# comptes}}", "0 compte"},
		{"fr-CA", "\u00a0", "{calls, plural, one {# compte} other {# comptes}}", "1\u00a0234 comptes"},
		{"pl", " ", "{n, plural, one {# plik} few {# pliki} many {# plików} other {# pliku}}", "{n}"},
		{"pl", " ", "{calls, plural, one {# plik} few {# pliki} many {# plików} other {# pliku}}", "1 234 pliki"},
	} {
		m := one(t, c.lang, c.thousands, c.message)
		if got, known := m.Text("m", values...); !known || got != c.want {
			t.Errorf("%s %q becomes %q, want %q", c.lang, c.message, got, c.want)
		}
	}
	m := one(t, "en", ",", "{name} has {one, plural, one {# call at {name}} other {# calls}}")
	if got, _ := m.With("name", "Example").Text("m", "one", 1); got != "Example has 1 call at Example" {
		t.Errorf("with a value for good: %q", got)
	}
	if _, known := m.Text("other"); known {
		t.Error("a message that is not there is known")
	}
}

func TestFaultsOfMessages(t *testing.T) {
	for message, want := range map[string]string{
		"{":                               "not the name of a value",
		"{}":                              "not the name of a value",
		"{Name}":                          "not the name of a value",
		"a}":                              "closing brace",
		"{name":                           "not closed",
		"{name, date}":                    "want number or plural",
		"{n, plural, one {x}}":            "no form other",
		"{n, plural, some {x} other {y}}": "no plural form of CLDR",
		"{n, plural, other {x} other {}}": "stands twice",
		"{n, plural, =x {x} other {y}}":   "no plural form of CLDR",
		"{n, plural, other {x":            "not closed",
		"{n, plural, one":                 "not closed",
		"'{never ends}":                   "its end is missing",
		strings.Repeat("{n, plural, other {", 9) + strings.Repeat("}}", 9): "too deep",
	} {
		_, err := texts.Load(folder("a.en.json", `{"m": "`+message+`"}`), "en")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `a.en.json: "m"`) {
			t.Errorf("%q: %v, want %q", message, err, want)
		}
	}
}

func TestFiles(t *testing.T) {
	entries, err := texts.Read(folder("b.en.json", `{"z": "1", "@z": {"description": "a number"}, "a": "2"}`,
		"a.en.json", `{"y": "3"}`, "a.es.json", `{"y": "4"}`), "en")
	want := []texts.Entry{{File: "a.en.json", Key: "y", Text: "3"},
		{File: "b.en.json", Key: "z", Text: "1", Description: "a number"}, {File: "b.en.json", Key: "a", Text: "2"}}
	if diff := cmp.Diff(want, entries); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for content, want := range map[string]string{
		`[]`:                                   "want one JSON object",
		``:                                     "want one JSON object",
		`{"a": 1}`:                             "want a text",
		`{"a": "x", "a": "y"}`:                 `"a" stands in`,
		`{"a": "x"`:                            "at byte",
		`{"@a": {"description": "x"}}`:         "describes no message",
		`{"a": "x", "@a": "no object"}`:        "want an object",
		`{"a": {"b": "not flat"}}`:             "want a text",
		`{"a": "x", "@a": {"description": 1}}`: "want an object",
	} {
		if _, err := texts.Read(folder("a.en.json", content), "en"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content, err, want)
		}
	}
	if _, err := texts.Read(folder("a.en.json", `{"a": "x"}`, "b.en.json", `{"a": "y"}`), "en"); err == nil {
		t.Error("one key in two files is taken")
	}
}

func TestCompare(t *testing.T) {
	read := func(pairs ...string) []texts.Entry {
		t.Helper()
		all, err := texts.Read(folder(pairs...), "en")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	original := read("a.en.json", `{"same": "{x}", "missing": "m", "values": "{n, plural, one {{x}} other {#}}", "empty": "e"}`)
	translation := read("a.en.json", `{"same": "a {x}", "values": "{n, plural, other {#}}", "empty": " ", "extra": "x"}`)
	got := map[string]string{}
	for _, d := range texts.Compare(original, translation) {
		got[d.Key] = d.Fault
	}
	want := map[string]string{"missing": "missing", "values": `has the values ["n"], want ["n" "x"]`, "empty": "empty",
		"extra": "is not in the original"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnused(t *testing.T) {
	entries := []texts.Entry{{Key: "a.whole"}, {Key: "act.lift"}, {Key: "kind.app"}, {Key: "b.gone"}}
	got := texts.Unused(entries, `{{t "a.whole"}} {{t (printf "kind.%s" .Kind)}} text("act." + act)`)
	if diff := cmp.Diff([]string{"b.gone"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAccept(t *testing.T) {
	c := texts.NewChooser([]string{"en", "es", "fr-CA"})
	for header, want := range map[string]int{
		"": 0, "es": 1, "es-MX,es;q=0.9,en;q=0.8": 1, "fr": 2, "fr-FR,fr;q=0.9": 2, "fr-CA": 2, "en-CA,fr-CA;q=0.8": 0,
		"fi": 0, "*": 0, "es;q=0,en": 0, "es;q=0": 0, "<script>;;;q=x,,": 0, "es\xff": 0, strings.Repeat("es,", 400): 0,
		"de;q=0.9,es;q=0.8,en;q=0.7": 1, "pt-BR,fr-CA;q=0.5,es;q=0.1": 2,
	} {
		for range 2 { // the second time from memory
			if got := c.Accept(header); got != want {
				t.Errorf("%.40q: %d, want %d", header, got, want)
			}
		}
	}
	for i := range 2000 { // what strangers send is not kept without bound
		c.Accept("es;q=0." + strings.Repeat("1", i%100))
	}
	if i, ok := c.Named("fr-CA"); !ok || i != 2 {
		t.Errorf("fr-CA is %d", i)
	}
	if _, ok := c.Named("fr"); ok {
		t.Error("fr is one of the languages")
	}
}
