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

// xml is the Response that this page hands over, as it was sent.
func (p *page) xml() string {
	p.t.Helper()
	data, err := base64.StdEncoding.DecodeString(p.form("SAMLResponse").Fields.Get("SAMLResponse"))
	if err != nil {
		p.t.Fatalf("SAMLResponse: %v", err)
	}
	return string(data)
}

// Every kind of signature that we make is one to xmlsec1 and the strict sandbox, what we write keeps
// to the OASIS schemas, and a change is noticed (rows RSP-09, RSP-10, RSP-17, MD-02).
func TestInteropXMLSec(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"rsa-2048", "rsa-3072", "p-256", "p-384"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, setting{algorithm: algorithm})
			c := newClient(t)
			ours := certificate(t, w.command(t, "metadata"))
			handover := c.goOn(c.login(c.get(w.launch(club)), "bob", password))
			xml := handover.xml()
			mustVerify(t, xml, responseElement, local("Response"), ours, "Brandt", "Braxxx")
			mustVerify(t, xml, assertionElement, local("Response", "Assertion"), ours, "Brandt", "Braxxx")
			mustBeValid(t, xml)
			c.deliver(handover).status(http.StatusOK).says("Bob Brandt", club)

			// Signed in one place only.
			w.command(t, "sp", "set", w.providerID(), "sign=assertion")
			xml = c.get(w.launch(club)).xml()
			mustVerify(t, xml, assertionElement, local("Response", "Assertion"), ours, "Brandt", "Braxxx")
			mustBeValid(t, xml)
			w.command(t, "sp", "set", w.providerID(), "sign=response")
			xml = c.get(w.launch(club)).xml()
			mustVerify(t, xml, responseElement, local("Response"), ours, "Brandt", "Braxxx")
			mustBeValid(t, xml)

			// A status.
			r := newRequest(w)
			r.attributes = map[string]string{"IsPassive": "true"}
			stranger := newClient(t)
			xml = stranger.get(r.redirect(t, w, "")).xml()
			mustVerify(t, xml, responseElement, local("Response"), ours, "status:NoPassive", "status:Success")
			mustBeValid(t, xml)

			// Metadata, signed with a key of their own.
			w.command(t, "keys", "generate", "--use", "metadata", "--algorithm", algorithm)
			file := filepath.Join(t.TempDir(), "metadata.xml")
			w.command(t, "metadata", "download", "--signed", "--out", file)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			mustVerify(t, string(data), descriptorElement, local("EntityDescriptor"), signedWith(t, string(data)),
				"/saml/sso", "/saml/xxx")
			mustBeValid(t, string(data))
			mustBeValid(t, w.command(t, "metadata"))
		})
	}
}

// signedWith is the certificate in the KeyInfo of the root's signature. It is
// another than any key that metadata publish for signing.
func signedWith(t testing.TB, xml string) []byte {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml); err != nil {
		t.Fatal(err)
	}
	el := doc.FindElement("/EntityDescriptor/Signature/KeyInfo/X509Data/X509Certificate")
	if el == nil {
		t.Fatalf("the metadata is not signed:\n%s", xml)
	}
	text := el.Text()
	for _, published := range doc.FindElements("//KeyDescriptor//X509Certificate") {
		if published.Text() == text {
			t.Error("the metadata is signed with a key that signs Responses")
		}
	}
	block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\n" + strings.TrimSpace(text) +
		"\n-----END CERTIFICATE-----\n"))
	if block == nil {
		t.Fatal("the metadata's certificate can't be read")
	}
	return block.Bytes
}

// xmlsec1 decrypts what we encrypt, finds the assertion's signature good, and the
// schemas hold for the encrypted form (rows RSP-11 and RSP-12).
func TestInteropXMLSecDecrypts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	c.goOn(c.login(c.get(w.launch(club)), "bob", password))
	ours := certificate(t, w.command(t, "metadata"))
	pair := newKeyPair(t)
	private := writeFile(t, "private.pem", []byte(pair.private))
	public := writeFile(t, "public.pem", []byte(pair.public))
	w.command(t, "sp", "set", w.providerID(), "encryption=required", "encryption_keys="+public)
	for _, k := range []struct {
		content, transport string
		settings           []string
	}{
		{"aes128-gcm", "rsa-oaep-mgf1p", []string{"encryption_methods="}},
		{"aes256-gcm", "rsa-oaep-mgf1p", []string{"encryption_methods=aes256-gcm"}},
		{"aes128-cbc", "rsa-oaep-mgf1p", []string{"allow_cbc=true", "encryption_methods=aes128-cbc"}},
		{"aes256-cbc", "rsa-oaep-mgf1p", []string{"encryption_methods=aes256-cbc"}},
		{"aes256-gcm", "rsa-oaep", []string{"allow_cbc=false", "encryption_methods=aes256-gcm",
			"encryption_methods+=rsa-oaep"}},
	} {
		t.Run(k.content+" "+k.transport, func(t *testing.T) {
			w.command(t, append([]string{"sp", "set", w.providerID()}, k.settings...)...)
			p := c.get(w.launch(club)).status(http.StatusOK)
			xml := p.xml()
			if strings.Contains(xml, "Brandt") {
				t.Fatal("the assertion stands in clear")
			}
			data := p.response().FindElement("//EncryptedData")
			for path, want := range map[string]string{"./EncryptionMethod": k.content,
				"./KeyInfo/EncryptedKey/EncryptionMethod": k.transport} {
				if got := data.FindElement(path).SelectAttrValue("Algorithm", ""); !strings.HasSuffix(got, "#"+want) {
					t.Errorf("%s %s, want %s", path, got, want)
				}
			}
			mustBeValid(t, xml)
			value := data.FindElement("./CipherData/CipherValue").Text()
			mustVerify(t, xml, responseElement, local("Response"), ours, value[:8], "AAAAAAAA")
			if k.transport == "rsa-oaep" {
				// This xmlsec1 knows that OAEP from release 1.3 on; OpenSSL opens the key.
				wrapped, err := base64.StdEncoding.DecodeString(
					data.FindElement("./KeyInfo/EncryptedKey/CipherData/CipherValue").Text())
				if err != nil {
					t.Fatal(err)
				}
				out, err := runTool(t, nil, "openssl", "pkeyutl", "-decrypt", "-inkey", private, "-in",
					writeFile(t, "wrapped", wrapped),
					"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256")
				if err != nil || len(out) != 32 {
					t.Errorf("openssl: %d bytes, %v", len(out), err)
				}
				return
			}
			opened := filepath.Join(t.TempDir(), "opened.xml")
			args := []string{"--decrypt", "--privkey-pem", private, "--node-xpath", local("Response", "EncryptedAssertion",
				"EncryptedData"),
				"--output", opened, writeFile(t, "encrypted.xml", []byte(xml))}
			if out, err := runTool(t, nil, "xmlsec1", args...); err != nil {
				t.Fatalf("xmlsec1 does not decrypt: %v\n%s", err, out)
			}
			plain, err := os.ReadFile(opened)
			if err != nil {
				t.Fatal(err)
			}
			mustVerify(t, string(plain), assertionElement, local("Response", "EncryptedAssertion", "Assertion"), ours,
				"Brandt", "Braxxx")
			stranger := newKeyPair(t)
			args[2] = writeFile(t, "stranger.pem", []byte(stranger.private))
			if _, err := runTool(t, nil, "xmlsec1", args...); err == nil {
				t.Error("xmlsec1 decrypts with another key")
			}
		})
	}
}

// Encryption required, against a service provider that takes nothing in clear: people get in once its key is on
// record, nobody does before, and nothing is ever sent in clear (row RSP-12).
func TestEncryptionRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{sandbox: sandbox.Options{Encryption: sandbox.EncryptionRequired}})
	c := newClient(t)
	handover := c.goOn(c.login(c.get(w.launch(club)), "bob", password))
	c.deliver(handover).status(http.StatusForbidden).says("not encrypted")

	w.command(t, "sp", "set", w.providerID(), "encryption=required")
	p := c.get(w.launch(club)).status(http.StatusInternalServerError).says("Your sign-in can't be protected",
		"Nothing was sent", "Reference")
	if p.delivers() {
		t.Error("a Response leaves without a key to encrypt it for")
	}
	w.logs(t, reference(t, p))
	w.logs(t, "no_encryption_key")
	w.logs(t, "Import the service provider's metadata with an RSA key for encryption")
	if out, err := w.tryCommand("preview", "--user", "bob", "--sp", w.providerID()); err == nil || !strings.Contains(out,
		"the record holds no key for encryption") {
		t.Errorf("preview: %v\n%s", err, out)
	}

	// The metadata brings the key and its algorithms; the settings stay.
	metadata, err := w.sandbox.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	w.command(t, "sp", "add", writeFile(t, "sandbox.xml", metadata), "--replace", "--yes")
	handover = c.get(w.launch(club)).status(http.StatusOK)
	if strings.Contains(handover.xml(), "Brandt") {
		t.Error("the assertion stands in clear")
	}
	c.deliver(handover).status(http.StatusOK).says("Bob Brandt", club)
	logins := w.sandbox.Logins()
	if last := logins[len(logins)-1]; last.Encrypted != "http://www.w3.org/2009/xmlenc11#aes256-gcm" {
		t.Errorf("encrypted by %q, want what the metadata prefers", last.Encrypted)
	}
	// A status carries nothing of a person, and is not encrypted.
	r := newRequest(w)
	r.attributes = map[string]string{"IsPassive": "true"}
	newClient(t).get(r.redirect(t, w, "")).wantStatus(w, "Responder", "NoPassive")
}
