package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

const wikiMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://wiki.example.test/saml">
  <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://wiki.example.test/acs" index="0"/>
  </SPSSODescriptor>
</EntityDescriptor>`

func TestConsoleProviders(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{set: map[string]string{"metadata.technical_contact_mail": "sso@example.test",
		"metadata.technical_contact_name": "Sam <SSO>"}})
	c := w.enter(t, consoleAdmin)
	const page, one = "/admin/providers/new", "/admin/providers/one?id=https%3A%2F%2Fwiki.example.test%2Fsaml"
	p := c.get(w.url + page)
	if p = c.submitForm(p, page, "pasted", "<html>"); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.Body, "&lt;html&gt;</textarea>") {
		t.Errorf("no metadata: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, page, "pasted", "", "address",
		"https://169.254.169.254/latest"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("an inner address: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, page, "pasted", wikiMetadata, "address", "", "name", `Wiki <b onclick="alert(1)">`)
	if p.Status != http.StatusOK || !strings.Contains(p.text(), "Read from the metadata") ||
		strings.Contains(w.command(t, "sp", "list"), "wiki.example.test") {
		t.Fatalf("the preview: %d\n%s", p.Status, p.text())
	}
	// What is saved is what was shown: with another name it is shown again.
	if p = c.submitForm(p, page, "name", "Wiki <i>"); !strings.Contains(p.text(), "Read from the metadata") {
		t.Fatalf("another name than was shown: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, page); !strings.Contains(p.text(), "Saved.") || !strings.Contains(p.text(), "Wiki <i>") ||
		strings.Contains(p.Body, "Wiki <i>") {
		t.Fatalf("saved: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, "/admin/providers/set", "key", "lifetime", "value",
		"2h"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="2h"`) {
		t.Errorf("a lifetime that is too long: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, "/admin/providers/set", "key", "enabled", "value", "false"); !strings.Contains(p.text(),
		"Wiki <i>") || !strings.Contains(w.command(t, "sp", "list"), "disabled") {
		t.Errorf("switched off: %d\n%s", p.Status, p.text())
	}
	b := w.console(t, consoleAdmin, "/admin/providers")
	b.inspect("providers")
	b.open(w.url + one)
	b.sees("Settings")
	b.inspect("providers-one")
	b.open(w.url + page)
	b.inspect("providers-new")
	b.open(w.url + "/admin/providers/metadata")
	b.sees("EntityDescriptor")
	b.inspect("providers-metadata")
	b.open(w.url + "/admin/providers/handover")
	b.sees("BEGIN CERTIFICATE", w.ownSite, "{external_id}", "Sam <SSO> <sso@example.test>")
	b.inspect("providers-handover")

	if p = c.submitForm(c.get(w.url+one), "/admin/providers/remove", "typed",
		"wiki"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), "Nothing was removed") {
		t.Errorf("another id typed: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, "/admin/providers/remove", "typed", "https://wiki.example.test/saml"); !strings.Contains(
		p.text(), "The service provider was removed.") {
		t.Errorf("removed: %d\n%s", p.Status, p.text())
	}
	if p = c.get(w.url + "/admin/providers/metadata.xml"); !strings.Contains(p.Body, "<EntityDescriptor") &&
		!strings.Contains(p.Body, "EntityDescriptor") {
		t.Errorf("our metadata: %d\n%s", p.Status, p.Body)
	}
}
