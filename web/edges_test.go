package web_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// tokensOf are the colours of a stylesheet by their names, in the light and the dark scheme.
func tokensOf(t *testing.T, file string) (light, dark map[string]string) {
	t.Helper()
	css, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	first, rest, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark) {\n  :root {")
	second, _, closed := strings.Cut(rest, "\n  }")
	if !found || !closed {
		t.Fatalf("%s has no tokens of the dark scheme", file)
	}
	light, dark = map[string]string{}, map[string]string{}
	for text, into := range map[string]map[string]string{first: light, second: dark} {
		for _, m := range token.FindAllStringSubmatch(text, -1) {
			into[m[1]] = m[2]
		}
	}
	return light, dark
}

// What can be pressed or typed into has an edge, and a chart has bars, that stand out 3 to 1 from each ground that they
// are on (WCAG 2.2, 1.4.11).
func TestEdgesStandOut(t *testing.T) {
	for file, pairs := range map[string]map[string][]string{
		"assets/console.css": {
			"edge": {"page", "panel", "sunk", "field", "ok-ground", "warn-ground", "bad-ground"}, "bad-mark": {"panel", "page"},
			"one": {"panel"}, "two": {"panel"}, "three": {"panel"}, "four": {"panel"},
		},
		"assets/app.css": {"edge": {"page", "card", "field", "tint", "bad-ground"}},
	} {
		light, dark := tokensOf(t, file)
		for scheme, tokens := range map[string]map[string]string{"light": light, "dark": dark} {
			for front, grounds := range pairs {
				for _, ground := range grounds {
					if tokens[front] == "" || tokens[ground] == "" {
						t.Fatalf("%s, %s: no token %s or %s", file, scheme, front, ground)
					}
					if got := contrast(t, tokens[front], tokens[ground]); got < 3 {
						t.Errorf("%s, %s: --%s on --%s is %.2f to 1", file, scheme, front, ground, got)
					}
				}
			}
		}
	}
}
