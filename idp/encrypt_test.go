package idp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"hash"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"ssobridge/idp"
	"ssobridge/store"
)

// Algorithms of XML Encryption.
const (
	aes128GCM = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
	aes256GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
	aes128CBC = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
	aes256CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
	tripleDES = "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"
	oaepSHA1  = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	oaep11    = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
	rsa15     = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
)

// spKey is the key of a service provider for encryption.
func spKey(t testing.TB) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key := readKey(t, "sp-rsa-2048")
	return key.Signer.(*rsa.PrivateKey), key.Certificate.Raw
}

// decrypt opens the saml:EncryptedAssertion of a Response with nothing but
// the standard library, by the letter of XML Encryption, and returns the
// assertion as it was written.
func decrypt(response *etree.Element, key *rsa.PrivateKey) (assertion []byte, content, transport string, err error) {
	data := response.FindElement("./EncryptedAssertion/EncryptedData")
	if data == nil {
		return nil, "", "", errors.New("no EncryptedData")
	}
	value := func(parent *etree.Element, path string) []byte {
		el := parent.FindElement(path)
		if el == nil {
			return nil
		}
		b, _ := base64.StdEncoding.DecodeString(el.Text())
		return b
	}
	method := data.FindElement("./KeyInfo/EncryptedKey/EncryptionMethod")
	if method == nil {
		return nil, "", "", errors.New("no EncryptedKey with its method")
	}
	content = data.FindElement("./EncryptionMethod").SelectAttrValue("Algorithm", "")
	transport = method.SelectAttrValue("Algorithm", "")
	var h hash.Hash
	digest, mgf := method.FindElement("./DigestMethod").SelectAttrValue("Algorithm", ""), method.FindElement("./MGF")
	switch {
	case transport == oaepSHA1 && digest == "http://www.w3.org/2000/09/xmldsig#sha1" && mgf == nil:
		h = sha1.New()
	case transport == oaep11 && digest == "http://www.w3.org/2001/04/xmlenc#sha256" && mgf != nil &&
		mgf.SelectAttrValue("Algorithm", "") == "http://www.w3.org/2009/xmlenc11#mgf1sha256":
		h = sha256.New()
	default:
		return nil, content, transport, errors.New("parameters of the key transport")
	}
	secret, err := rsa.DecryptOAEP(h, nil, key, value(data, "./KeyInfo/EncryptedKey/CipherData/CipherValue"), nil)
	if err != nil {
		return nil, content, transport, err
	}
	sealed := value(data, "./CipherData/CipherValue")
	if len(sealed) < 32 {
		return nil, content, transport, errors.New("no ciphertext")
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, content, transport, err
	}
	if want := map[string]int{aes128GCM: 16, aes256GCM: 32, aes128CBC: 16, aes256CBC: 32}[content]; want != len(secret) {
		return nil, content, transport, errors.New("length of the key")
	}
	if strings.HasSuffix(content, "-cbc") {
		out := make([]byte, len(sealed)-16)
		cipher.NewCBCDecrypter(block, sealed[:16]).CryptBlocks(out, sealed[16:])
		return out[:len(out)-int(out[len(out)-1])], content, transport, nil
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, content, transport, err
	}
	assertion, err = gcm.Open(nil, sealed[:12], sealed[12:], nil)
	return assertion, content, transport, err
}

// encrypted is the Wiki with encryption.
func encrypted(t testing.TB, mode string, methods ...string) store.ServiceProvider {
	_, der := spKey(t)
	sp := plainSP()
	sp.Encryption = mode
	sp.EncryptionKeys = []store.EncryptionKey{{Certificate: der, Methods: methods}}
	return sp
}

// TestRSP12 covers RSP-12 and RSP-11: which algorithms are taken, that the
// assertion stands on its own after decryption with its signature, and that the
// Response's signature is over what is sent.
func TestRSP12(t *testing.T) {
	key, _ := spKey(t)
	signing := readKey(t, "rsa-2048").Certificate
	for _, c := range []struct {
		name               string
		methods            []string
		cbc                bool
		content, transport string
	}{
		{"nothing named", nil, false, aes128GCM, oaepSHA1},
		{"as named", []string{aes256GCM, oaep11}, false, aes256GCM, oaep11},
		{"in its order", []string{oaep11, aes256GCM, aes128GCM, oaepSHA1}, false, aes256GCM, oaep11},
		{"in its other order", []string{aes128GCM, oaepSHA1, aes256GCM, oaep11}, false, aes128GCM, oaepSHA1},
		{"what is known of it", []string{"urn:unknown", tripleDES, aes256GCM, rsa15, oaepSHA1}, false, aes256GCM, oaepSHA1},
		{"content alone", []string{aes256GCM}, false, aes256GCM, oaepSHA1},
		{"transport alone", []string{oaep11}, false, aes128GCM, oaep11},
		{"GCM behind CBC", []string{aes256CBC, aes128CBC, aes128GCM}, false, aes128GCM, oaepSHA1},
		{"GCM before allowed CBC", []string{aes256CBC, aes256GCM}, true, aes256GCM, oaepSHA1},
		{"allowed CBC", []string{tripleDES, aes256CBC, aes128CBC}, true, aes256CBC, oaepSHA1},
		{"allowed CBC 128", []string{aes128CBC}, true, aes128CBC, oaepSHA1},
		{"CBC allowed, nothing named", nil, true, aes128GCM, oaepSHA1},
	} {
		for _, mode := range []string{"if-published", "required"} {
			t.Run(c.name+"/"+mode, func(t *testing.T) {
				f := newFixture(t, "rsa-2048", nil)
				sp := encrypted(t, mode, c.methods...)
				sp.AllowCBC = c.cbc
				if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
					t.Errorf("faults: %v", faults)
				}
				f.put(t, sp)
				v := f.signIn(t, "alice", "correct horse")
				a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
				d := must[idp.Deliver](t, a, err)
				if text := string(decode(t, d)); strings.Contains(text, "alice") || strings.Contains(text, "<saml:Assertion") {
					t.Fatal("the assertion stands in clear in the Response")
				}
				if err := checkSignature(root(t, d), signing); err != nil {
					t.Errorf("signature of the Response (RSP-11): %v", err)
				}
				plainText, content, transport, err := decrypt(root(t, d), key)
				if err != nil {
					t.Fatal(err)
				}
				if content != c.content || transport != c.transport {
					t.Errorf("by %s and %s, want %s and %s", content, transport, c.content, c.transport)
				}
				assertion := parse(t, plainText) // it declares its own namespaces, or this fails below
				if assertion.NamespaceURI() != "urn:oasis:names:tc:SAML:2.0:assertion" {
					t.Errorf("decrypted is a %s of %q", assertion.Tag, assertion.NamespaceURI())
				}
				if err := checkSignature(assertion, signing); err != nil {
					t.Errorf("signature of the decrypted assertion: %v", err)
				}
				if got := find(t, assertion, "./Subject/NameID").Text(); got != "11111111-aaaa-4bbb-8ccc-000000000001" {
					t.Errorf("NameID %q", got)
				}
				if content == aes128GCM && transport == oaepSHA1 { // what crewjam's service provider can read
					reader := peer(t, f, plain, plainACS)
					reader.Key, reader.Certificate = key, readKey(t, "sp-rsa-2048").Certificate
					accept(t, reader, d)
				}
			})
		}
	}
}

// TestRSP12Fresh: each Response has a key, a nonce and a wrapped key of its own.
func TestRSP12Fresh(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	f.put(t, encrypted(t, "required"))
	v := f.signIn(t, "alice", "correct horse")
	seen := map[string]bool{}
	for range 3 {
		a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
		for _, el := range root(t, must[idp.Deliver](t, a, err)).FindElements("//CipherValue") {
			text := el.Text()
			if seen[text] || seen[text[:16]] {
				t.Error("a wrapped key, or a nonce, is there twice")
			}
			seen[text], seen[text[:16]] = true, true // 96 bits are 16 characters
		}
	}
}

// selfSigned makes a certificate for a key.
func selfSigned(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sp"},
		NotBefore: start.Add(-48 * time.Hour), NotAfter: start.Add(-24 * time.Hour), // expired: only a holder of its key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestRSP12Refused: where an assertion would have to be encrypted and can't be,
// nothing leaves, and least of all in clear.
func TestRSP12Refused(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small := smallRSA(t)
	_, good := spKey(t)
	for _, c := range []struct {
		name, log string
		storable  bool // CheckProvider lets the record pass: its key may come later
		change    func(*store.ServiceProvider)
	}{
		{"required without a key", "holds no key", true, func(sp *store.ServiceProvider) {
			sp.Encryption,
				sp.EncryptionKeys = "required", nil
		}},
		{"key on a curve", "RSA-OAEP", false,
			func(sp *store.ServiceProvider) { sp.EncryptionKeys[0].Certificate = selfSigned(t, curve) }},
		{"short key", "1024 bits", false,
			func(sp *store.ServiceProvider) { sp.EncryptionKeys[0].Certificate = selfSigned(t, small) }},
		{"no certificate", "can't be read", false,
			func(sp *store.ServiceProvider) { sp.EncryptionKeys[0].Certificate = []byte{1} }},
		{"RSA 1.5 alone", "RSA 1.5 is never used", false,
			func(sp *store.ServiceProvider) { sp.EncryptionKeys[0].Methods = []string{rsa15, aes128GCM} }},
		{"CBC without leave", "CBC is not allowed", false,
			func(sp *store.ServiceProvider) { sp.EncryptionKeys[0].Methods = []string{aes128CBC, aes256CBC} }},
		{"3DES with leave for CBC", "neither AES-GCM nor AES-CBC", false, func(sp *store.ServiceProvider) {
			sp.EncryptionKeys[0].Methods, sp.AllowCBC = []string{tripleDES}, true
		}},
		{"CBC under an unsigned Response", "without a signature of the Response", false, func(sp *store.ServiceProvider) {
			sp.EncryptionKeys[0].Methods, sp.AllowCBC, sp.SignResponse = []string{aes128CBC}, true, false
		}},
		{"unknown word", "not known", false, func(sp *store.ServiceProvider) { sp.Encryption = "maybe" }},
	} {
		for _, mode := range []string{"if-published", "required"} {
			t.Run(c.name+"/"+mode, func(t *testing.T) {
				f := newFixture(t, "rsa-2048", nil)
				v := f.signIn(t, "alice", "correct horse")
				sp := encrypted(t, mode)
				c.change(&sp)
				if faults := idp.CheckProvider(sp, false); (len(faults) == 0) != c.storable {
					t.Errorf("faults of the record: %v", faults)
				}
				f.put(t, sp)
				r := newRequest(plain)
				id := f.request(t, r, v)
				a, err := f.Resume(context.Background(), id, v)
				page := must[idp.Refusal](t, a, err)
				if page.Reason != idp.ReasonEncryption || page.Status != 500 || !page.CanCancel {
					t.Errorf("page %+v", page)
				}
				if log := f.log.String(); !strings.Contains(log, "no_encryption_key") || !strings.Contains(log, c.log) ||
					!strings.Contains(log, "Import the service provider's metadata") {
					t.Errorf("the log does not say %q and what would fix it:\n%s", c.log, log)
				}
				// The way back answers by a status, in clear and without an assertion.
				a, err = f.Cancel(context.Background(), id, v)
				d := must[idp.Deliver](t, a, err)
				if top, second := status(t, d); top != "Responder" || second != "" {
					t.Errorf("status %s %s", top, second)
				}
				if strings.Contains(string(decode(t, d)), "ssertion>") {
					t.Error("the status carries an assertion")
				}
			})
		}
	}
	t.Run("the second of two keys", func(t *testing.T) {
		f := newFixture(t, "rsa-2048", nil)
		sp := encrypted(t, "required")
		sp.EncryptionKeys = []store.EncryptionKey{{Certificate: selfSigned(t, curve)}, {Certificate: good}}
		if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
			t.Errorf("faults: %v", faults)
		}
		f.put(t, sp)
		v := f.signIn(t, "alice", "correct horse")
		a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
		key, _ := spKey(t)
		if _, _, _, err := decrypt(root(t, must[idp.Deliver](t, a, err)), key); err != nil {
			t.Error(err)
		}
	})
	t.Run("in clear where that is wanted", func(t *testing.T) {
		for _, change := range []func(*store.ServiceProvider){
			func(sp *store.ServiceProvider) { sp.Encryption = "" },
			func(sp *store.ServiceProvider) { sp.Encryption = "off" },
			func(sp *store.ServiceProvider) { sp.EncryptionKeys = nil },
		} {
			f := newFixture(t, "rsa-2048", nil)
			sp := encrypted(t, "if-published")
			change(&sp)
			f.put(t, sp)
			v := f.signIn(t, "alice", "correct horse")
			a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
			accept(t, peer(t, f, plain, plainACS), must[idp.Deliver](t, a, err))
		}
	})
}

// smallRSA is a key of 1024 bits, which Go makes only on request.
func smallRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// shortRandomness ends after so many bytes.
type shortRandomness struct{ left int }

func (s *shortRandomness) Read(b []byte) (int, error) {
	if s.left < len(b) {
		return 0, errors.New("no more randomness")
	}
	s.left -= len(b)
	return rand.Read(b)
}

// TestRSP12Randomness: it comes from the options, and without enough of it
// nothing is issued.
func TestRSP12Randomness(t *testing.T) {
	source := &shortRandomness{left: 1 << 20}
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Random = source })
	f.put(t, encrypted(t, "required"))
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	must[idp.Deliver](t, a, err)
	// The two IDs and the SessionIndex take 56 bytes; the key, the nonce and the
	// padding of OAEP want theirs after that.
	for _, left := range []int{56, 56 + 16, 56 + 16 + 12} {
		source.left = left
		if a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v); err == nil {
			t.Errorf("with %d bytes of randomness: page %T", left, a.Page)
		}
	}
}

// TestGoldenEncrypted compares the whole encrypted Response, and the assertion
// in it, under fixed randomness.
func TestGoldenEncrypted(t *testing.T) {
	key, _ := spKey(t)
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Random = &counting{} })
	f.put(t, encrypted(t, "required", aes256GCM, oaep11))
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	d := must[idp.Deliver](t, a, err)
	assertion, _, _, err := decrypt(root(t, d), key)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "encrypted.xml", decode(t, d))
	golden(t, "decrypted.xml", assertion)
	if !bytes.Contains(assertion, []byte("xmlns:saml=")) {
		t.Error("the assertion leaves its namespace to what was around it")
	}
}
