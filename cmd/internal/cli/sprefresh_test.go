package cli_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestSPRefreshAndApprove registers a service provider by its address, then follows
// a change of its keys and addresses as an admin does: seen as a diff, taken after a
// yes (MD-05).
func TestSPRefreshAndApprove(t *testing.T) {
	const id = "https://wiki.example.com/saml"
	describe := func(acs, name string) string {
		return `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + id +
			`" cacheDuration="PT1H">
  <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + acs + `" index="0"/>
  </md:SPSSODescriptor>
  <md:Organization><md:OrganizationName xml:lang="en">w</md:OrganizationName><md:OrganizationDisplayName xml:lang="en">` + name + `</md:OrganizationDisplayName><md:OrganizationURL xml:lang="en">https://wiki.example.com/</md:OrganizationURL></md:Organization>
</md:EntityDescriptor>`
	}
	var text atomic.Value
	text.Store(describe("https://wiki.example.com/acs", "Wiki"))
	publisher := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text.Load().(string)))
	}))
	t.Cleanup(publisher.Close)
	folder := initFolder(t, "metadata.allow_internal=true", "metadata.allow_loopback_http=true")
	environ := []string{"SSOBRIDGE_CONFIG=" + filepath.Join(folder, "ssobridge.yaml")}
	run := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := command(t, environ, args...)
		if got != code {
			t.Fatalf("%s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
		}
		return stdout, stderr
	}
	says := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in:\n%s", want, text)
			}
		}
	}
	out, errs := run(2, "sp", "add", publisher.URL)
	says(out, "read again from", "not checked: no trust key")
	says(errs, "it was not confirmed")
	run(0, "sp", "add", publisher.URL, "--yes", "--every", "2h")
	out, _ = run(0, "sp", "refresh", id)
	says(out, id+": as before", "next at")

	text.Store(describe("https://wiki.example.com/acs", "Wissen"))
	out, _ = run(0, "sp", "refresh", "--all")
	says(out, "taken:", "~ name Wiki → Wissen")

	text.Store(describe("https://new.example.com/acs", "Wissen"))
	out, _ = run(0, "sp", "refresh", id)
	says(out, "wait for ssobridge sp approve", "- acs https://wiki.example.com/acs", "+ acs https://new.example.com/acs")
	out, _ = run(0, "sp", "refresh", id, "--json")
	says(out, `"result":"waiting"`, `{"field":"acs","is":"https://new.example.com/acs `)
	out, _ = run(0, "sp", "list")
	says(out, "approval needed", "https://wiki.example.com/acs")
	out, _ = run(0, "sp", "show", id)
	says(out, "wait for approval since", "+ acs https://new.example.com/acs", publisher.URL)
	out, errs = run(2, "sp", "approve", id)
	says(out, "+ acs https://new.example.com/acs")
	says(errs, "it was not confirmed")
	out, _ = run(0, "sp", "approve", id, "--yes", "--json")
	says(out, `"approved": [`, `"is": "https://new.example.com/acs `)
	out, _ = run(0, "sp", "show", id)
	says(out, "https://new.example.com/acs")
	if strings.Contains(out, "approval") {
		t.Errorf("something still waits:\n%s", out)
	}
	_, errs = run(2, "sp", "approve", id, "--yes")
	says(errs, "nothing waits")

	// A failure says so, and what is known stays.
	text.Store("<html/>")
	out, _ = run(1, "sp", "refresh", id)
	says(out, "the last good copy stays in use", `root element is "html"`)
	out, errs = run(1, "sp", "refresh", id, "--json")
	says(out, `"result":"failed"`)
	says(errs, `{"error":{"fault":"1 of 1 could not be refreshed"}}`)
	out, _ = run(0, "sp", "list")
	says(out, "refresh fails", "https://new.example.com/acs")

	// An address inside is not asked unless that is allowed.
	closed := append(environ, "SSOBRIDGE_METADATA_ALLOW_INTERNAL=false")
	if code, out, _ := command(t, closed, "sp", "refresh", id); code != 1 || !strings.Contains(out,
		"metadata.allow_internal is off") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
