package e2e_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A roll-over by the console alone, with a sign-in at each step.
func TestConsoleKeys(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	c := w.enter(t, consoleAdmin)
	signsIn := func(step string) {
		t.Helper()
		d := newClient(t)
		if p := d.deliver(d.goOn(d.login(d.get(w.launch(club)), "bob", password))); !strings.Contains(p.text(),
			"Bob Brandt") {
			t.Fatalf("%s, bob sees: %s", step, p.text())
		}
	}
	signsIn("before")
	w.command(t, "sp", "set", w.providerID(), "holds_certificates=two")
	p := c.get(w.url + "/admin/keys")
	old := regexp.MustCompile(`/admin/keys/([0-9a-f]+)/certificate`).FindStringSubmatch(p.Body)[1]
	if p = c.submitForm(p, "/admin/keys/generate", "algorithm", "rot13"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a kind of key that is none: %d", p.Status)
	}
	p = c.submitForm(p, "/admin/keys/generate", "algorithm", "rsa-2048")
	if !strings.Contains(p.text(), "The key was generated. Next: publish it.") {
		t.Fatalf("generate: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, "/admin/keys/publish")
	if !strings.Contains(p.text(), "Next: hand it over") {
		t.Fatalf("publish: %d\n%s", p.Status, p.text())
	}
	signsIn("published")
	if p = c.submitForm(p, "/admin/keys/promote"); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.text(), "Enter who confirmed") {
		t.Errorf("nobody confirmed: %d\n%s", p.Status, p.text())
	}
	b := w.console(t, consoleAdmin, "/admin/keys")
	b.sees("You are here")
	b.inspect("keys")

	// Constant Contact loads it, and says so.
	if err := w.sandbox.TrustMetadata([]byte(w.command(t, "metadata"))); err != nil {
		t.Fatal(err)
	}
	p = c.submitForm(p, "/admin/keys/promote", "confirmed_by", "Kim <Lee>, support")
	if !strings.Contains(p.text(), "The table below shows the key in use at each service provider") ||
		!strings.Contains(p.text(), "Kim <Lee>, support") {
		t.Fatalf("promote: %d\n%s", p.Status, p.text())
	}
	signsIn("promoted")
	if p = c.submitForm(p, "/admin/keys/retire", "typed", "something else"); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.text(), "Nothing was retired") {
		t.Errorf("another id typed: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, "/admin/keys/retire", "typed", old); !strings.Contains(p.text(), "The key is retired") {
		t.Fatalf("retire: %d\n%s", p.Status, p.text())
	}
	signsIn("retired")
	if p = c.get(w.url + "/admin/keys/" + old + "/certificate.pem"); !strings.HasPrefix(p.Body,
		"-----BEGIN CERTIFICATE-----") {
		t.Errorf("the certificate: %d\n%s", p.Status, p.Body)
	}
}
