package e2e_test

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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
	if p = c.submitForm(p, "/admin/providers/set", "lifetime",
		"2h"); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="2h"`) {
		t.Errorf("a lifetime that is too long: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, "/admin/providers/set", "lifetime", "2m", "enabled", "", "groups",
		"cn=ring-a,ou=groups,dc=example,dc=test"); !strings.Contains(p.text(),
		"Wiki <i>") || !strings.Contains(w.command(t, "sp", "list"), "disabled") {
		t.Errorf("switched off: %d\n%s", p.Status, p.text())
	}
	// Undone by one click; not over another change.
	stale := p
	if p = c.submitForm(p, "/admin/providers/undo"); !strings.Contains(p.text(), "Undone.") ||
		strings.Contains(w.command(t, "sp", "list"), "disabled") {
		t.Errorf("undone: %d\n%s", p.Status, p.text())
	}
	c.submitForm(stale, "/admin/providers/undo", "once", "another").status(http.StatusConflict).says("was changed again")
	importsAsTheCommandDoes(t, c, w)
	comparesSides(t, c, w)
	b := w.console(t, consoleAdmin, "/admin/providers")
	b.inspect("providers")
	b.open(w.url + one)
	b.sees("Settings")
	b.inspect("providers-one")
	b.open(w.url + page)
	b.inspect("providers-new")
	b.open(w.url + "/admin/providers/new?id=https%3A%2F%2Fwiki.example.test%2Fsaml")
	b.sees("Import new metadata")
	b.do("paste", chromedp.SetValue(chromedp.CSS(`textarea[name="pasted"]`), otherWiki(t)))
	b.press("Review")
	b.sees("Fingerprint (SHA-256)")
	b.inspect("providers-sides")
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
	p.says("was removed", "Undo")
	b.open(w.url + "/admin/providers")
	b.inspect("providers-undo")
	if p = c.submitForm(p, "/admin/providers/undo"); !strings.Contains(p.text(), "Undone.") ||
		!strings.Contains(w.command(t, "sp", "list"), "wiki.example.test") {
		t.Errorf("the removal is not undone: %d\n%s", p.Status, p.text())
	}
	c.submitForm(c.get(w.url+one), "/admin/providers/remove", "typed", "https://wiki.example.test/saml").
		says("The service provider was removed.")
	if p = c.get(w.url + "/admin/providers/metadata.xml"); !strings.Contains(p.Body, "<EntityDescriptor") &&
		!strings.Contains(p.Body, "EntityDescriptor") {
		t.Errorf("our metadata: %d\n%s", p.Status, p.Body)
	}
}

// importsAsTheCommandDoes: warnings, any setting, what metadata asks for, and none at all, as sp add has them (REAL-24
// to REAL-26).
func importsAsTheCommandDoes(t *testing.T, c *client, w *world) {
	t.Helper()
	const page = "/admin/providers/new"
	asking := strings.NewReplacer("wiki.example.test", "lab.example.test", "<SPSSODescriptor",
		`<SPSSODescriptor AuthnRequestsSigned="true" validUntil="2020-01-01T00:00:00Z"`, "</SPSSODescriptor>",
		`<AttributeConsumingService index="0"><RequestedAttribute Name="mail" isRequired="true"/></AttributeConsumingService>`+
			"</SPSSODescriptor>").Replace(wikiMetadata)
	p := c.get(w.url + page)
	if p = c.submitForm(p, page, "pasted", asking); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.text(), "was valid until") {
		t.Errorf("an end that is past: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, page, "ignore_end", "1", "settings", "name=Lab\nno setting")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), "is not KEY=VALUE") {
		t.Errorf("a line that is no setting: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, page, "ignore_end", "1", "settings", "name=Lab\nholds_certificates=one")
	if text := p.text(); p.Status != http.StatusOK || !strings.Contains(text, "no certificate is on record") ||
		!strings.Contains(text, "attributes that are not released: mail") || !strings.Contains(text, "Tick that they are") {
		t.Fatalf("the warnings: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(p, page, "ignore_end", "1", "release", "1")
	if !strings.Contains(p.text(), "mail = {mail}") || strings.Contains(p.text(), "not released") {
		t.Fatalf("what it asks for: %d\n%s", p.Status, p.text())
	}
	if p = c.submitForm(p, page); !strings.Contains(p.text(), "Saved.") {
		t.Fatalf("saved: %d\n%s", p.Status, p.text())
	}
	shown := w.command(t, "sp", "show", "https://lab.example.test/saml")
	for _, want := range []string{"Lab", "ignore_valid_until", "mail={mail}"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in:\n%s", want, shown)
		}
	}
	p = c.submitForm(c.get(w.url+page), page, "acs", "https://crm.example.test/acs")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), "the entity ID is missing") {
		t.Errorf("an address without a name: %d\n%s", p.Status, p.text())
	}
	p = c.submitForm(c.submitForm(p, page, "entity_id", "crm"), page)
	if !strings.Contains(p.text(), "Saved.") || !strings.Contains(w.command(t, "sp", "list"), "https://crm.example.test/acs") {
		t.Errorf("without metadata: %d\n%s", p.Status, p.text())
	}
	for _, id := range []string{"crm", "https://lab.example.test/saml"} {
		w.command(t, "sp", "remove", id)
	}
}

// otherWiki is what the wiki's metadata says after a move: another address, a second one, and a certificate.
func otherWiki(t *testing.T) string {
	t.Helper()
	certificate := endsIn(t, 300*24*time.Hour)
	block, _ := pem.Decode(certificate)
	if block == nil {
		t.Fatal("no certificate")
	}
	return strings.NewReplacer("wiki.example.test/acs", "wiki.example.test/new/acs", "<AssertionConsumerService",
		`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>`+
			base64.StdEncoding.EncodeToString(block.Bytes)+
			`</X509Certificate></X509Data></KeyInfo></KeyDescriptor><AssertionConsumerService`).Replace(wikiMetadata)
}

// comparesSides: new metadata of a registered service provider stands beside what is registered, and is taken as it was
// shown: not after somebody else has changed the record, and not of another service provider.
func comparesSides(t *testing.T, c *client, w *world) {
	t.Helper()
	const wiki, page = "https://wiki.example.test/saml", "/admin/providers/new"
	opened := c.get(w.url+page+"?id="+"https%3A%2F%2Fwiki.example.test%2Fsaml").says("Import new metadata", wiki)
	if strings.Contains(opened.text(), "Register Constant Contact") {
		t.Error("the form of new metadata offers to register Constant Contact")
	}
	p := c.submitForm(opened, page, "pasted", strings.ReplaceAll(wikiMetadata, "wiki.example", "evil.example"))
	if p.Status != http.StatusUnprocessableEntity {
		t.Errorf("metadata of another service provider: %d\n%s", p.Status, p.text())
	}
	shown := c.submitForm(p, page, "pasted", otherWiki(t)).says("Responses go to (ACS)",
		"Removed https://wiki.example.test/acs",
		"Added https://wiki.example.test/new/acs", "Added sp", "Fingerprint (SHA-256)",
		"Approve changes")
	if strings.Contains(w.command(t, "sp", "show", wiki), "new/acs") {
		t.Error("saved before it was seen")
	}
	w.command(t, "sp", "set", wiki, "acs=https://wiki.example.test/third")
	p = c.submitForm(shown, page).says("Removed https://wiki.example.test/third")
	if strings.Contains(w.command(t, "sp", "show", wiki), "new/acs") {
		t.Error("saved over what was not shown")
	}
	c.submitForm(p, page).says("Saved.")
	if out := w.command(t, "sp", "show", wiki); !strings.Contains(out, "new/acs") {
		t.Errorf("not saved:\n%s", out)
	}
	// Back to what the rest of the test knows.
	opened = c.get(opened.URL.String())
	back := c.submitForm(opened, page, "pasted", wikiMetadata).says("Removed https://wiki.example.test/new/acs")
	c.submitForm(back, page).says("Saved.")
}
