package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The console is in the language that the browser asks for, or that was chosen in it (row WEB-11).
func TestConsoleLanguage(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	c := w.enter(t, consoleViewer)
	in := func(p *page) string {
		t.Helper()
		_, rest, _ := strings.Cut(p.Body, `<html lang="`)
		lang, _, _ := strings.Cut(rest, `"`)
		return lang
	}
	for _, asked := range []struct{ header, lang, says string }{
		{"", "en", "Mappings"}, {"es-MX,es;q=0.9,en;q=0.5", "es", "Asignaciones"}, {"fr-CA", "en", "Mappings"},
		{"de, es;q=0.3", "es", "Asignaciones"},
	} {
		c.language = asked.header
		if p := c.get(w.url + "/admin/mappings"); in(p) != asked.lang || !strings.Contains(p.text(), asked.says) {
			t.Errorf("asked for %q: language %q\n%s", asked.header, in(p), p.text())
		}
	}

	// What was chosen comes first, and leads back to the page.
	c.language = "en"
	p := c.get(w.url + "/admin/people?find=zoe")
	p = c.submitForm(p, "/admin/language", "language", "es")
	if in(p) != "es" || p.URL.RequestURI() != "/admin/people?find=zoe" {
		t.Errorf("chosen: language %q, %s", in(p), p.URL)
	}
	p.says("Personas", "Cerrar sesión")
	for _, back := range []string{"https://evil.example/", "//evil.example/admin/", "/logout", "/admin/\\evil.example",
		""} {
		q := c.submitForm(c.get(w.url+"/admin/people"), "/admin/language", "language", "en", "back", back)
		if own, err := url.Parse(w.url); err != nil || q.URL.Host != own.Host || !strings.HasPrefix(q.URL.Path, "/admin/") {
			t.Errorf("led to %s by %q", q.URL, back)
		}
	}
	if q := c.submitForm(c.get(w.url+"/admin/people"), "/admin/language", "language",
		"../de"); q.Status != http.StatusNotFound {
		t.Errorf("a language that is none: %d", q.Status)
	}

	// What Go says is in that language too: what a setting means, why somebody is refused, what is wrong with a form.
	operator := w.enter(t, consoleAdmin)
	operator.language = "es"
	operator.get(w.url+"/admin/settings").says("Dónde se busca a las personas", "Esquema, host y puerto")
	keys := operator.get(w.url + "/admin/keys")
	operator.submitForm(keys, "/admin/keys/generate", "algorithm", "p-999").says("no hay ningún tipo de clave")

	b := w.console(t, consoleAdmin, "/admin/mappings")
	b.sees("Español")
	b.press("Español")
	b.sees("Asignaciones", "Añadir una asignación")
	b.inspect("mappings-es")
	for _, area := range []string{"", "trace", "people", "accounts", "provisioning", "providers", "keys", "tokens",
		"notices", "audit", "settings", "setup", "search?q=zoe"} {
		b.open(w.url + "/admin/" + area)
		b.sees("Cerrar sesión")
	}
	b.inspect("settings-es")
}
