package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// textsOf reads catalogues of the console by a pattern of their files.
func textsOf(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "web", "console", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	all := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

// englishTexts are the sentences of three words or more that the console has in English, in small letters, of those
// that Spanish says otherwise. Sentences with values are left out.
func englishTexts(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	add := func(english, spanish string) {
		english = strings.ToLower(strings.TrimSuffix(english, "."))
		if english != strings.ToLower(spanish) && !strings.ContainsAny(english, "{%") && strings.Count(english, " ") > 1 {
			all[english] = true
		}
	}
	spanish := textsOf(t, "locales/*.es.json")
	for key, english := range textsOf(t, "locales/*.en.json") {
		add(english, spanish[key])
	}
	for english, said := range textsOf(t, "spoken/sentences.es.json") {
		add(english, said)
	}
	if len(all) < 500 {
		t.Fatalf("%d sentences in English", len(all))
	}
	return all
}

// englishWords begin or join sentences of the program in English, and no text of a directory or of Spanish.
var englishWords = regexp.MustCompile(`(?i)\b(the|which|there is|there are|has been|can't|was not|is not)\b`)

var quoted = regexp.MustCompile(`«[^»]*»`)

// english are the texts of a page that are in English: one that a catalogue has so, or one with words of English alone.
// What stands in code is as a program writes it.
func english(t *testing.T, body string, known map[string]bool) (found []string) {
	t.Helper()
	page, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && slices.Contains([]string{"code", "pre", "script", "style", "textarea"}, n.Data) {
			return
		}
		// What is quoted, as the heading of a document, is as it is there.
		if text := strings.TrimSpace(quoted.ReplaceAllString(n.Data, "")); n.Type == html.TextNode &&
			(known[strings.ToLower(strings.TrimSuffix(text, "."))] || englishWords.MatchString(text)) {
			found = append(found, text)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(page)
	return found
}

var consoleLinks = regexp.MustCompile(`href="(/admin/[^"#]*)"`)

// TestConsoleSpanish walks the console in Spanish by its links, with people who were let in, refused and misled before:
// no page says anything in English (row WEB-11).
func TestConsoleSpanish(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	for login, account := range map[string]string{"bob": club, "carol": club, "nobody-of-that-name": club} {
		c := newClient(t)
		c.login(c.get(w.launch(account)), login, password)
	}
	wrong := newClient(t)
	wrong.login(wrong.get(w.launch(club)), "eve", "wrong")
	newClient(t).get(w.url + "/saml/sso?SAMLRequest=x")
	known := englishTexts(t)
	c := w.enter(t, consoleAdmin)
	c.language = "es"
	seen, todo := map[string]bool{}, []string{"/admin/", "/admin/people?find=bob", "/admin/people?find=zzz",
		"/admin/search?q=bob", "/admin/setup", "/admin/trace/refusals", "/admin/providers/new",
		"/admin/trace?outcome=refused"}
	kinds := map[string]int{} // of one kind of page a few are enough
	kind := regexp.MustCompile(`[0-9A-Z]{6,}|[0-9a-f-]{12,}|[0-9]+|\?.*`)
	for pages := 0; len(todo) > 0 && pages < 120; {
		path := todo[0]
		todo = todo[1:]
		of := kind.ReplaceAllString(path, "*")
		if seen[path] || kinds[of] >= 6 || strings.HasPrefix(path, "/admin/fresh") ||
			strings.HasPrefix(path, "/admin/settings/branding/") || strings.HasPrefix(path, "/admin/providers/handover") {
			// A login, pages for other people, and the sheet for Constant Contact's engineers, who read English.
			continue
		}
		seen[path] = true
		p := c.get(w.url + path)
		if !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			continue
		}
		kinds[of]++
		pages++
		for _, text := range english(t, p.Body, known) {
			t.Errorf("%s: %.200q", path, text)
		}
		for _, link := range consoleLinks.FindAllStringSubmatch(p.Body, -1) {
			todo = append(todo, html.UnescapeString(link[1]))
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d pages were walked", len(seen))
	}
}
