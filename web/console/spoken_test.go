package console

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ssobridge/idp"
)

func spanish(t *testing.T) *spoken {
	t.Helper()
	s, err := loadSpoken("es")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestReasonsAreTranslated walks all reasons that a reference can carry: cause and fix of each have a text in each
// language, and no translation is of a reason that there is none of (row WEB-11).
func TestReasonsAreTranslated(t *testing.T) {
	general := idp.TextOf("no such reason")
	for _, lang := range languages[1:] {
		s, err := loadSpoken(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range idp.ReasonWords() {
			text := idp.TextOf(reason)
			if text == general && reason != "" {
				continue
			}
			for _, said := range []string{text.Cause, text.Fix} {
				if _, known := s.whole[plainly(said)]; !known {
					t.Errorf("%s: %s says %q in English", lang, reason, said)
				}
			}
		}
		keys, err := readSpoken("reasons", lang)
		if err != nil {
			t.Fatal(err)
		}
		for key := range keys {
			if reason, part, _ := strings.Cut(key, "."); idp.TextOf(reason) == general || part != "cause" && part != "fix" {
				t.Errorf("%s: %q is no part of a reason", lang, key)
			}
		}
	}
}

// spokenRooms are the packages whose faults, causes, fixes and findings the console shows, each with the least number
// of sentences that are found in its source.
var spokenRooms = map[string]int{
	"../admin": 300, "../../idp": 60, "../../idp/directory": 10, "../../provisioning": 100,
	"../../provisioning/mapping": 20, "../../idp/saml": 40,
}

// TestWhatGoSaysIsTranslated walks the source of the rooms whose words pages show: each fault, hint, cause, fix and
// finding that they make has a text in each language.
func TestWhatGoSaysIsTranslated(t *testing.T) {
	var sentences []string
	for dir, least := range spokenRooms {
		found := sentencesOf(t, dir)
		if len(found) < least {
			t.Fatalf("%d sentences are found in %s", len(found), dir)
		}
		sentences = append(sentences, found...)
	}
	for _, lang := range languages[1:] {
		s, err := loadSpoken(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, english := range sentences {
			// A value that nobody translates stands where one would be.
			if text := strings.ReplaceAll(english, "%s", "ΩΩ"); s.say(text) == text {
				t.Errorf("%s: %q is in English", lang, english)
			}
		}
	}
}

// TestTranslationsHaveTheValues: each value of a sentence stands in its translation once or more, and no other.
func TestTranslationsHaveTheValues(t *testing.T) {
	place := regexp.MustCompile(`%(\d)\b`) // and not the escape %2B
	for _, lang := range languages[1:] {
		sentences, err := readSpoken("sentences", lang)
		if err != nil {
			t.Fatal(err)
		}
		for english, text := range sentences {
			want := strings.Count(english, "%s")
			var got []string
			for _, m := range place.FindAllStringSubmatch(text, -1) {
				got = append(got, m[1])
			}
			slices.Sort(got)
			if got = slices.Compact(got); len(got) != want || want > 0 && got[want-1] != strconv.Itoa(want) {
				t.Errorf("%s: %q has the values %v, want %d", lang, english, got, want)
			}
		}
	}
}

// TestSpokenSentences: values are kept, what belongs together is said together, and what nobody knows stays.
func TestSpokenSentences(t *testing.T) {
	s := spanish(t)
	for english, want := range map[string]string{
		"The directory did not answer.":                      "El directorio no respondió.",
		"the directory did not answer":                       "el directorio no respondió",
		"It is paused since 2026-11-30 10:00 UTC":            "Está en pausa desde 2026-11-30 10:00 UTC",
		"100 or more users are in conflict with another one": "100 o más usuarios están en conflicto con otro",
		"there is no mapping 12":                             "no hay ninguna asignación 12",
		"there is no key \"a\": choose signing or metadata":  "no hay ninguna clave \"a\": elija signing o metadata",
		"No mapping applies to the person. The directory returned 3 groups.": "Ninguna asignación se aplica a la persona. " +
			"El directorio devolvió 3 grupos.",
		"mapping 3 is blue, and group x is":   "mapping 3 is blue, and group x is",
		"Service provider https://a.example/": "Proveedor de servicios https://a.example/",
		"error 49, data 52e":                  "error 49, data 52e",
		"":                                    "",
		strings.Repeat("renew it; ", 1000):    strings.Repeat("renew it; ", 1000),
	} {
		if got := s.say(english); got != want {
			t.Errorf("%.80q is %.200q, want %.200q", english, got, want)
		}
	}
	var none *spoken
	if got := none.say("the directory did not answer"); got != "the directory did not answer" {
		t.Errorf("English says %q", got)
	}
}

// sentencesOf are the texts that a package puts into fields for people, each value in them as %s.
func sentencesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	x := extractor{constants: map[string]ast.Expr{}}
	var trees []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
		for _, d := range tree.Decls {
			x.note(d)
		}
	}
	for _, tree := range trees {
		ast.Inspect(tree, x.look)
	}
	slices.Sort(x.found)
	return slices.Compact(x.found)
}

// extractor finds sentences in the source of a package.
type extractor struct {
	constants map[string]ast.Expr
	found     []string
}

// note keeps the constants of a declaration.
func (x *extractor) note(d ast.Decl) {
	if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
		for _, spec := range g.Specs {
			for i, name := range spec.(*ast.ValueSpec).Names {
				if values := spec.(*ast.ValueSpec).Values; i < len(values) {
					x.constants[name.Name] = values[i]
				}
			}
		}
	}
}

// shownFields are the fields whose texts pages show.
var shownFields = []string{"Fault", "Hint", "Detail", "Cause", "Fix", "Gives", "Risk"}

func (x *extractor) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && slices.Contains(shownFields, key.Name) {
			x.add(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if field, ok := left.(*ast.SelectorExpr); ok && i < len(n.Rhs) && slices.Contains(shownFields, field.Sel.Name) {
				x.add(n.Rhs[i])
			}
		}
	case *ast.CallExpr: // cause and fix of a message that can't be read
		name := ""
		switch f := n.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		if name == "BadRequest" {
			for _, a := range n.Args {
				x.add(a)
			}
		}
	}
	return true
}

var (
	formatVerb = regexp.MustCompile(`%[-+# 0-9.]*[a-z]`)
	letters    = regexp.MustCompile(`[a-zA-Z]`)
)

func (x *extractor) add(e ast.Expr) {
	text := formatVerb.ReplaceAllString(x.text(e), "%s")
	words := strings.ReplaceAll(text, "%s", "")
	// A word alone is no sentence.
	if len(letters.FindAllString(words, -1)) > 3 && strings.Contains(strings.TrimSpace(words), " ") {
		x.found = append(x.found, text)
	}
}

// text is what an expression says; %s for what is known when it runs.
func (x *extractor) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value)
			return strings.ReplaceAll(text, "%%", "%")
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return x.text(e.X) + x.text(e.Y)
		}
	case *ast.ParenExpr:
		return x.text(e.X)
	case *ast.Ident:
		if value, ok := x.constants[e.Name]; ok {
			return x.text(value)
		}
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" && len(e.Args) > 0 {
			return x.text(e.Args[0])
		}
	}
	return "%s"
}
