package sandbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what rsa-oaep-mgf1p is defined with
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"time"

	"github.com/beevik/etree"
	xrv "github.com/mattermost/xml-roundtrip-validator"
)

// Encryption says whether the service provider publishes a key for encryption.
type Encryption string

// The ways with encryption.
const (
	EncryptionOff      Encryption = "off"      // no key, so an encrypted assertion can't be read
	EncryptionTaken    Encryption = "taken"    // a key in the metadata; assertions may be encrypted
	EncryptionRequired Encryption = "required" // a key in the metadata; assertions in clear are refused
)

const (
	encryptionNS   = "http://www.w3.org/2001/04/xmlenc#"
	encryption11NS = "http://www.w3.org/2009/xmlenc11#"
)

// encryptionMethods stand in the metadata, in this order of preference.
var encryptionMethods = []string{
	encryption11NS + "aes256-gcm", encryption11NS + "aes128-gcm", encryption11NS + "rsa-oaep", encryptionNS +
		"rsa-oaep-mgf1p",
}

// decrypter is the service provider's key for encryption.
type decrypter struct {
	key         *rsa.PrivateKey
	certificate []byte // DER
}

func (s *Sandbox) newDecrypter() (*decrypter, error) {
	key, err := rsa.GenerateKey(s.o.Random, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a key for encryption: %w", err)
	}
	now := s.o.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "sandbox encryption"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	certificate, err := x509.CreateCertificate(s.o.Random, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for encryption: %w", err)
	}
	return &decrypter{key, certificate}, nil
}

// describe adds the md:KeyDescriptor (saml-metadata 2.4.1.1). It does nothing without a key.
func (d *decrypter) describe(role *etree.Element) {
	if d == nil {
		return
	}
	k := role.CreateElement("md:KeyDescriptor")
	k.CreateAttr("use", "encryption")
	info := k.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", signatureNS)
	info.CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(
		d.certificate))
	for _, m := range encryptionMethods {
		k.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", m)
	}
}

// open replaces the saml:EncryptedAssertion below a Response, if there is one, by the assertion. It returns
// the algorithm of the content, "" where nothing was encrypted.
func (s *Sandbox) open(root *etree.Element) (algorithm string, _ *Refusal) {
	for _, child := range root.ChildElements() {
		if child.Tag != "EncryptedAssertion" || child.NamespaceURI() != assertionNS {
			continue
		}
		algorithm, assertion, err := s.decrypter.decrypt(child)
		if err != nil {
			return "", refuse("encryption", "the assertion can't be decrypted: %v", err)
		}
		at := child.Index()
		root.RemoveChildAt(at)
		root.InsertChildAt(at, assertion)
		return algorithm, nil
	}
	if s.o.Encryption == EncryptionRequired && root.FindElement("./Assertion") != nil {
		return "", refuse("encryption", "the assertion is not encrypted, and this service provider wants it to be")
	}
	return "", nil
}

// decrypt opens one saml:EncryptedAssertion. It takes what the metadata names and nothing else: neither CBC nor RSA
// 1.5.
func (d *decrypter) decrypt(e *etree.Element) (algorithm string, assertion *etree.Element, err error) {
	data := e.FindElement("./EncryptedData")
	if data == nil {
		return "", nil, errors.New("there is no xenc:EncryptedData")
	}
	key, err := d.contentKey(data)
	if err != nil {
		return "", nil, err
	}
	method := data.FindElement("./EncryptionMethod")
	if method == nil {
		return "", nil, errors.New("the xenc:EncryptedData has no method")
	}
	algorithm = method.SelectAttrValue("Algorithm", "")
	sizes := map[string]int{encryption11NS + "aes128-gcm": 16, encryption11NS + "aes256-gcm": 32}
	if want, ok := sizes[algorithm]; !ok || want != len(key) {
		return algorithm, nil, fmt.Errorf("the content is encrypted by %q with a key of %d bytes", algorithm, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return algorithm, nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return algorithm, nil, err
	}
	sealed, err := cipherValue(data)
	if err != nil {
		return algorithm, nil, err
	}
	if len(sealed) < gcm.NonceSize() {
		return algorithm, nil, errors.New("the content is too short")
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], nil)
	if err != nil {
		return algorithm, nil, err
	}
	doc := etree.NewDocument()
	if err := errors.Join(xrv.Validate(bytes.NewReader(plain)), doc.ReadFromBytes(plain)); err != nil {
		return algorithm, nil, fmt.Errorf("what was encrypted is no XML: %w", err)
	}
	root := doc.Root()
	if root == nil || root.Tag != "Assertion" || root.NamespaceURI() != assertionNS {
		return algorithm, nil, errors.New("what was encrypted is no saml:Assertion that declares its own namespace")
	}
	return algorithm, root, nil
}

// contentKey opens the one xenc:EncryptedKey.
func (d *decrypter) contentKey(data *etree.Element) ([]byte, error) {
	keys := data.FindElements("./KeyInfo/EncryptedKey")
	if len(keys) != 1 {
		return nil, fmt.Errorf("%d xenc:EncryptedKey elements, want one", len(keys))
	}
	method := keys[0].FindElement("./EncryptionMethod")
	if method == nil {
		return nil, errors.New("the xenc:EncryptedKey has no method")
	}
	parameter := func(path, otherwise string) string {
		if el := method.FindElement(path); el != nil {
			return el.SelectAttrValue("Algorithm", "")
		}
		return otherwise
	}
	var h hash.Hash
	switch algorithm, digest := method.SelectAttrValue("Algorithm", ""), parameter("./DigestMethod", signatureNS+"sha1"); {
	case algorithm == encryptionNS+"rsa-oaep-mgf1p" && digest == signatureNS+"sha1":
		h = sha1.New() //nolint:gosec // see the import
	case algorithm == encryption11NS+"rsa-oaep" && digest == encryptionNS+"sha256" && parameter("./MGF",
		"") == encryption11NS+"mgf1sha256":
		h = sha256.New()
	default:
		return nil, fmt.Errorf("the key is encrypted by %q with the digest %q", algorithm, digest)
	}
	wrapped, err := cipherValue(keys[0])
	if err != nil {
		return nil, err
	}
	return rsa.DecryptOAEP(h, nil, d.key, wrapped, nil)
}

func cipherValue(e *etree.Element) ([]byte, error) {
	value := e.FindElement("./CipherData/CipherValue")
	if value == nil {
		return nil, errors.New("there is no xenc:CipherValue")
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value.Text()), ""))
}
