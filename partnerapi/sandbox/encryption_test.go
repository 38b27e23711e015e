package sandbox_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"testing"
	"time"

	"github.com/beevik/etree"

	"ssobridge/partnerapi/sandbox"
)

const (
	xenc   = "http://www.w3.org/2001/04/xmlenc#"
	xenc11 = "http://www.w3.org/2009/xmlenc11#"
)

// sealing is how a test encrypts; the zero value is what everybody reads.
type sealing struct {
	content, transport, digest, mgf string
	size                            int
	key                             *rsa.PublicKey
	plain                           func([]byte) []byte // changes what is encrypted
	spoil                           func(wrapped, content []byte)
}

// encrypt puts the saml:EncryptedAssertion in the place of the assertion.
func (o sealing) encrypt(t testing.TB, assertion *etree.Element) *etree.Element {
	t.Helper()
	if o.content == "" {
		o.content = xenc11 + "aes128-gcm"
	}
	if o.transport == "" {
		o.transport = xenc + "rsa-oaep-mgf1p"
	}
	if o.size == 0 {
		o.size = 16
	}
	doc := etree.NewDocument()
	doc.SetRoot(assertion.Copy())
	plain, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	if o.plain != nil {
		plain = o.plain(plain)
	}
	key, nonce := make([]byte, o.size), make([]byte, 12)
	_, _ = rand.Read(key)
	_, _ = rand.Read(nonce)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	content := gcm.Seal(nonce, nonce, plain, nil)
	h := sha1.New()
	if o.digest == xenc+"sha256" {
		h = sha256.New()
	}
	wrapped, err := rsa.EncryptOAEP(h, rand.Reader, o.key, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.spoil != nil {
		o.spoil(wrapped, content)
	}

	root := etree.NewElement("saml:EncryptedAssertion")
	root.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	data := root.CreateElement("e:EncryptedData")
	data.CreateAttr("xmlns:e", xenc)
	data.CreateElement("e:EncryptionMethod").CreateAttr("Algorithm", o.content)
	info := data.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
	k := info.CreateElement("e:EncryptedKey")
	m := k.CreateElement("e:EncryptionMethod")
	m.CreateAttr("Algorithm", o.transport)
	if o.digest != "" {
		m.CreateElement("ds:DigestMethod").CreateAttr("Algorithm", o.digest)
	}
	if o.mgf != "" {
		mgf := m.CreateElement("f:MGF")
		mgf.CreateAttr("xmlns:f", xenc11)
		mgf.CreateAttr("Algorithm", o.mgf)
	}
	for el, value := range map[*etree.Element][]byte{k: wrapped, data: content} {
		el.CreateElement("e:CipherData").CreateElement("e:CipherValue").SetText(base64.StdEncoding.EncodeToString(value))
	}
	return root
}

// publishedKey is the key for encryption that stands in the sandbox's metadata.
func publishedKey(t testing.TB, s *sandbox.Sandbox) *rsa.PublicKey {
	t.Helper()
	data, err := s.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	el := doc.FindElement("//KeyDescriptor[@use='encryption']/KeyInfo/X509Data/X509Certificate")
	if el == nil {
		t.Fatalf("no key for encryption in %s", data)
	}
	der, err := base64.StdEncoding.DecodeString(el.Text())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.PublicKey.(*rsa.PublicKey)
}

// sealEncrypted is seal with the assertion encrypted between the two signatures (saml-core 6.2).
func (m *message) sealEncrypted(t testing.TB, o sealing) string {
	t.Helper()
	inner := m.assertion
	assertion := inner.Element()
	if !m.plainAs {
		assertion = m.signer.sign(t, assertion)
	}
	m.assertion = nil
	before := m.before
	m.before = func(response, _ *etree.Element) {
		response.AddChild(o.encrypt(t, assertion))
		if before != nil {
			before(response, assertion)
		}
	}
	return m.seal(t)
}

// RSP-12 from the reader's side: assertions are read that are encrypted by what the metadata names.
func TestEncryptedAssertion(t *testing.T) {
	s := start(t, func(o *sandbox.Options) {
		o.Encryption = sandbox.EncryptionRequired
		o.Users = []sandbox.User{{Account: "a07e1lxqqqo0", ExternalID: "zoe-1",
			ExternalProvider: sandbox.DefaultExternalProvider, LoginName: "zoe"}}
	})
	p := trusted(t, s)
	key := publishedKey(t, s)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mgf, sha256Digest := xenc11+"mgf1sha256", xenc+"sha256"
	for _, c := range []struct {
		name, want string // want: the reason of the refusal, "" where it is taken
		o          sealing
		change     func(*message)
	}{
		{"as everybody", "", sealing{}, nil},
		{"256 bits", "", sealing{content: xenc11 + "aes256-gcm", size: 32}, nil},
		{"SHA-1 named", "", sealing{digest: "http://www.w3.org/2000/09/xmldsig#sha1"}, nil},
		{"OAEP with SHA-256", "", sealing{transport: xenc11 + "rsa-oaep", digest: sha256Digest, mgf: mgf}, nil},
		{"assertion unsigned inside", "", sealing{}, func(m *message) { m.plainAs = true }},
		{"OAEP with SHA-256 and another mask", "encryption", sealing{transport: xenc11 + "rsa-oaep",
			digest: sha256Digest}, nil},
		{"old OAEP with SHA-256", "encryption", sealing{digest: sha256Digest}, nil},
		{"RSA 1.5", "encryption", sealing{transport: xenc + "rsa-1_5"}, nil},
		{"CBC", "encryption", sealing{content: xenc + "aes128-cbc"}, nil},
		{"length of the key", "encryption", sealing{content: xenc11 + "aes256-gcm"}, nil},
		{"another's key", "encryption", sealing{key: &stranger.PublicKey}, nil},
		{"content changed", "encryption", sealing{spoil: func(_, content []byte) { content[20] ^= 1 }}, nil},
		{"key changed", "encryption", sealing{spoil: func(wrapped, _ []byte) { wrapped[5] ^= 1 }}, nil},
		{"no XML", "encryption", sealing{plain: func([]byte) []byte { return []byte("hello") }}, nil},
		{"no assertion", "encryption", sealing{plain: func([]byte) []byte { return []byte("<a/>") }}, nil},
		{"namespace from outside", "encryption", sealing{plain: func([]byte) []byte { return []byte("<saml:Assertion/>") }},
			nil},
		{"Response unsigned", "unsigned", sealing{}, func(m *message) { m.plainResponse = true }},
		{"beside one in clear", "malformed", sealing{}, func(m *message) {
			m.before = func(response, assertion *etree.Element) { response.AddChild(assertion.Copy()) }
		}},
		{"changed after signing", "signature", sealing{}, func(m *message) {
			m.after = func(response *etree.Element) {
				value := response.FindElement("./EncryptedAssertion/EncryptedData/CipherData/CipherValue")
				value.SetText("AAAA" + value.Text()[4:])
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := p.response(s, "zoe-1", time.Now())
			if c.change != nil {
				c.change(m)
			}
			if c.o.key == nil {
				c.o.key = key
			}
			logins := len(s.Logins())
			_, page := deliver(t, browser(t), s.ACS(), m.sealEncrypted(t, c.o), nil)
			if c.want != "" {
				if got := element(t, page, "reason"); got != c.want {
					t.Errorf("refused by %s, want %s: %s", got, c.want, page)
				}
				return
			}
			all := s.Logins()
			if len(all) != logins+1 {
				t.Fatalf("not taken: %+v", s.Refusals())
			}
			if login := all[logins]; login.Encrypted == "" || login.NameID != "zoe-1" ||
				login.Attributes["email"][0] != "<b>&zoe@example.test" {
				t.Errorf("login %+v", login)
			}
		})
	}
	t.Run("in clear", func(t *testing.T) {
		if _, page := deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil); element(t, page,
			"reason") != "encryption" {
			t.Errorf("taken: %s", page)
		}
	})
	t.Run("replayed", func(t *testing.T) {
		sealed := p.response(s, "zoe-1", time.Now()).sealEncrypted(t, sealing{key: key})
		deliver(t, browser(t), s.ACS(), sealed, nil)
		if _, page := deliver(t, browser(t), s.ACS(), sealed, nil); element(t, page, "reason") != "replayed" {
			t.Errorf("taken twice: %s", page)
		}
	})
}

// Taken: in clear as well. Off: no key is published. Anything else is no option.
func TestEncryptionOption(t *testing.T) {
	s := start(t, func(o *sandbox.Options) {
		o.Encryption = sandbox.EncryptionTaken
		o.Users = []sandbox.User{{Account: "a07e1lxqqqo0", ExternalID: "zoe-1",
			ExternalProvider: sandbox.DefaultExternalProvider, LoginName: "zoe"}}
	})
	p := trusted(t, s)
	deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil)
	deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).sealEncrypted(t, sealing{key: publishedKey(t, s)}),
		nil)
	if logins := s.Logins(); len(logins) != 2 || logins[0].Encrypted != "" || logins[1].Encrypted != xenc11+"aes128-gcm" {
		t.Errorf("logins %+v, refusals %+v", logins, s.Refusals())
	}
	if _, err := sandbox.New(sandbox.Options{PublicURL: "http://127.0.0.1:1", Encryption: "maybe"}); err == nil {
		t.Error("an unknown option is taken")
	}
}

// RSP-10 from the reader's side: ECDSA as the standard writes it is read, and Go's own form is not.
func TestECDSASignatures(t *testing.T) {
	for _, c := range []struct {
		name  string
		curve elliptic.Curve
		asn1  bool
	}{
		{"P-256", elliptic.P256(), false},
		{"P-384", elliptic.P384(), false},
		{"P-256 in ASN.1", elliptic.P256(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, func(o *sandbox.Options) {
				o.Users = []sandbox.User{{Account: "a07e1lxqqqo0", ExternalID: "zoe-1",
					ExternalProvider: sandbox.DefaultExternalProvider, LoginName: "zoe"}}
			})
			key, err := ecdsa.GenerateKey(c.curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			p := newProvider(t, key)
			p.asn1 = c.asn1
			if err := s.Trust(p.entityID, [][]byte{p.cert}, "", ""); err != nil {
				t.Fatal(err)
			}
			deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil)
			if got := len(s.Logins()) == 1; got == c.asn1 {
				t.Errorf("taken: %v; refusals %+v", got, s.Refusals())
			}
			// A single bit off is refused.
			m := p.response(s, "zoe-1", time.Now())
			m.after = func(response *etree.Element) {
				value := response.FindElement("./Signature/SignatureValue")
				raw, _ := base64.StdEncoding.DecodeString(value.Text())
				raw[10] ^= 1
				value.SetText(base64.StdEncoding.EncodeToString(raw))
			}
			if _, page := deliver(t, browser(t), s.ACS(), m.seal(t), nil); element(t, page, "reason") != "signature" {
				t.Errorf("a changed signature: %s", page)
			}
		})
	}
}
