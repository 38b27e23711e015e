package e2e_test

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"ssobridge/partnerapi/sandbox"
)

// signingCertificate writes the sandbox's certificate into a file, as a support engineer sends it.
func signingCertificate(t testing.TB, box *sandbox.Sandbox) string {
	t.Helper()
	data, err := box.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(doc.FindElement("//KeyDescriptor[@use='signing']//X509Certificate").Text())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sp.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Requests that the SP signs are checked, in both bindings (rows REQ-09 to REQ-13).
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{sandbox: sandbox.Options{SignRequests: sandbox.SigningAsked}})
	start := func(query string) *page {
		c := newClient(t)
		p := c.get(w.sandbox.URL() + "/sso/start?" + query)
		if strings.HasPrefix(query, "binding=post") {
			p = c.submit(p, "SAMLRequest")
		}
		if p.Status != http.StatusOK {
			return p
		}
		return c.deliver(c.goOn(c.login(p, "bob", password)))
	}
	// Signed, and nobody gave us the key: a refusal that says so, under its reference.
	refused := start("binding=redirect&sign=1").status(http.StatusBadRequest)
	refused.says("signature", "Reference")
	w.logs(t, reference(t, refused))
	w.logs(t, "no_signing_certificate")

	w.command(t, "sp", "set", w.providerID(), "certificates="+signingCertificate(t, w.sandbox),
		"request_signatures=required")
	for _, binding := range []string{"redirect", "post"} {
		start("binding="+binding+"&sign=1&relay_state=a+b%2Fc").says("Bob Brandt", club)
		refused := start("binding=" + binding).status(http.StatusBadRequest)
		refused.says("not signed", "Reference")
		w.logs(t, reference(t, refused))
	}
	w.logs(t, "unsigned_request")
}
