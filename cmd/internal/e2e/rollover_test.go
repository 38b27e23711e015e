package e2e_test

import (
	"encoding/pem"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// certificateOf is the certificate of a key, DER, as an admin exports it.
func (w *world) certificateOf(key string) []byte {
	w.t.Helper()
	text := w.command(w.t, "keys", "export", key)
	block, _ := pem.Decode([]byte(text[strings.Index(text, "-----BEGIN"):]))
	if block == nil {
		w.t.Fatalf("keys export %s gave no certificate:\n%s", key, text)
	}
	return block.Bytes
}

// loads has the service provider hold these certificates and no others.
func (w *world) loads(certificates ...[]byte) {
	w.t.Helper()
	if err := w.sandbox.Trust(w.ownSite, certificates, w.url+"/saml/sso", w.url+"/saml/sso"); err != nil {
		w.t.Fatal(err)
	}
}

var keyID = regexp.MustCompile(`\b[0-9a-f]{16}\b`)

// newKey makes a key and publishes it, and returns it with the one before.
func (w *world) newKey() (before, after string) {
	w.t.Helper()
	before = keyID.FindString(w.command(w.t, "keys", "list"))
	after = keyID.FindString(w.command(w.t, "keys", "generate", "--algorithm", "rsa-2048"))
	w.command(w.t, "keys", "publish", after)
	return before, after
}

// KEY-01: the steps of a roll-over as docs/keys.md lists them, on a program that
// runs, towards a service provider that verifies: it knows only the old certificate, then both,
// then only the new one.
func TestKEY01RollOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(club)), "bob", password))).says("Bob Brandt")
	signsIn := func() {
		t.Helper()
		c.deliver(c.get(w.launch(club)).status(http.StatusOK)).says("Bob Brandt")
	}
	before, after := w.newKey()
	signsIn()
	w.command(t, "sp", "set", w.providerID(), "holds_certificates=two")
	w.loads(w.certificateOf(before), w.certificateOf(after))
	signsIn()
	w.command(t, "keys", "promote", "--sp", w.providerID(), "--confirmed-by", "Kim Lee", after)
	signsIn()
	w.loads(w.certificateOf(after)) // and it does sign with the new one
	signsIn()
	w.command(t, "keys", "rollback", "--sp", w.providerID())
	if p := c.get(w.launch(club)); !p.delivers() {
		t.Fatalf("no Response after the step back:\n%s", p.text())
	} else if got := c.submit(p, "SAMLResponse"); strings.Contains(got.text(), "Bob Brandt") {
		t.Errorf("the step back did not take effect: the service provider, which holds the new certificate alone, "+
			"accepts:\n%s", got.text())
	}
	w.command(t, "keys", "promote", "--sp", w.providerID(), "--confirmed-by", "Kim Lee", after)
	w.command(t, "keys", "retire", before, "--yes")
	signsIn()
	if text := w.command(t, "metadata"); strings.Count(text, "<ds:X509Certificate>") != 1 {
		t.Errorf("the retired certificate is still in the metadata:\n%s", text)
	}
	if out, err := w.tryCommand("keys", "retire", after, "--yes"); err == nil {
		t.Errorf("the key that signs was retired:\n%s", out)
	}
}

// KEY-01: a service provider that holds one certificate changes it a little after us. The
// person waits on a page with a countdown, in a real browser, and lands signed in.
func TestBrowserKEY01SwitchAtAgreedTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{set: map[string]string{"keys.switch_before": "1m", "keys.switch_after": "6s"}})
	w.command(t, "sp", "set", w.providerID(), "holds_certificates=one")
	b := newBrowser(t)
	b.open(w.launch(club))
	b.login("bob", password)
	b.sees("Bob Brandt", club)

	before, after := w.newKey()
	w.loads(w.certificateOf(before))
	began := time.Now()
	if out, err := w.tryCommand("keys", "promote", "--sp", w.providerID(), "--confirmed-by", "Kim Lee",
		after); err == nil {
		t.Fatalf("switched without an agreed time:\n%s", out)
	}
	// The time is still to come when the command has it, however long a command takes here.
	at := time.Now().Add(min(4*time.Second+4*time.Since(began), 50*time.Second))
	w.command(t, "keys", "promote", "--sp", w.providerID(), "--at", at.Format(time.RFC3339Nano), after)
	b.open(w.launch(club))
	b.sees("One moment, please", "0:")
	b.shot("switching")
	b.phone()
	b.dark()
	b.shot("switching-phone-dark")
	if !within(time.Minute, func() bool { return !time.Now().Before(at) }) {
		t.Fatal("the time of the switch did not come")
	}
	w.loads(w.certificateOf(after))
	b.sees("Bob Brandt", club)
}
