package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // the digest that rsa-oaep-mgf1p is defined with; see transports
	_ "crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"

	"ssobridge/certs"
)

// Values of Encryption.Mode. The empty one means off.
const (
	EncryptionOff         = "off"
	EncryptionIfPublished = "if-published"
	EncryptionRequired    = "required"
)

const (
	nsEncryption   = "http://www.w3.org/2001/04/xmlenc#"
	nsEncryption11 = "http://www.w3.org/2009/xmlenc11#"
)

// Bounds of an RSA key for which is encrypted, in bits. Larger ones would let
// one record slow every sign-in of its service provider.
const (
	leastEncryptionBits = 2048
	mostEncryptionBits  = 8192
)

// contentCipher is a block encryption for assertions.
type contentCipher struct {
	algorithm string
	size      int // of the key, in bytes
	cbc       bool
}

// keyTransport is a way to send a content key.
//
// RSA 1.5 is not among them and never offered: its padding lets whoever may ask
// the service provider to decrypt find out what others were sent.
type keyTransport struct {
	algorithm string
	hash      crypto.Hash // of OAEP and of its mask generation
	digest    string      // its name in ds:DigestMethod
	mgf       string      // its name in xenc11:MGF; "": the algorithm says it
}

var (
	contentCiphers = []contentCipher{
		{nsEncryption11 + "aes128-gcm", 16, false},
		{nsEncryption11 + "aes256-gcm", 32, false},
		{nsEncryption + "aes128-cbc", 16, true},
		{nsEncryption + "aes256-cbc", 32, true},
	}
	// SHA-1 inside OAEP needs no collision resistance, and it is what everybody
	// who knows rsa-oaep-mgf1p knows; that algorithm's mask generation is defined
	// with it (xmlenc-core1 5.5.2).
	transports = []keyTransport{
		{nsEncryption + "rsa-oaep-mgf1p", crypto.SHA1, NSSignature + "sha1", ""},
		{nsEncryption11 + "rsa-oaep", crypto.SHA256, nsEncryption + "sha256", nsEncryption11 + "mgf1sha256"},
	}
)

// EncryptionAlgorithms are those that can be used, for contents first, then for keys.
func EncryptionAlgorithms() []string {
	var all []string
	for _, c := range contentCiphers {
		all = append(all, c.algorithm)
	}
	for _, t := range transports {
		all = append(all, t.algorithm)
	}
	return all
}

// Recipient is a key of a service provider with the algorithms that are used
// towards it.
type Recipient struct {
	certificate *x509.Certificate
	public      *rsa.PublicKey
	content     contentCipher
	transport   keyTransport
}

// ReadEncryptionKey reads the key of a certificate. The certificate is only a holder
// of its key: dates and chain are ignored (saml-metadata 2.4.1.1, erratum E62).
func ReadEncryptionKey(der []byte) (*x509.Certificate, error) {
	certificate, err := certs.ParseHolder(der)
	if err != nil {
		return nil, fmt.Errorf("its certificate can't be read: %w", err)
	}
	public, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("its key is for %s, and keys are sent by RSA-OAEP", certificate.PublicKeyAlgorithm)
	}
	if n := public.N.BitLen(); n < leastEncryptionBits || n > mostEncryptionBits {
		return nil, fmt.Errorf("its RSA key has %d bits, %d to %d are taken", n, leastEncryptionBits, mostEncryptionBits)
	}
	return certificate, nil
}

// newRecipient settles the algorithms for one key. methods are those that the
// metadata names, in its order of preference (saml-metadata 2.4.1.1); an empty
// list, or one that names none of a kind, leaves the choice to us. CBC comes
// after every GCM, whatever the order: preferring what protects less is no
// preference to honour.
func newRecipient(der []byte, methods []string, cbc bool) (Recipient, error) {
	certificate, err := ReadEncryptionKey(der)
	if err != nil {
		return Recipient{}, err
	}
	r := Recipient{certificate: certificate, public: certificate.PublicKey.(*rsa.PublicKey)}
	var contentNamed, transportNamed bool
	for _, m := range methods {
		if isKeyTransport(m) {
			transportNamed = true
			for _, t := range transports {
				if r.transport.algorithm == "" && t.algorithm == m {
					r.transport = t
				}
			}
			continue
		}
		contentNamed = true
		for _, c := range contentCiphers {
			if c.algorithm == m && (!c.cbc || cbc) && (r.content.algorithm == "" || r.content.cbc && !c.cbc) {
				r.content = c
			}
		}
	}
	if !contentNamed {
		r.content = contentCiphers[0]
	}
	if !transportNamed {
		r.transport = transports[0]
	}
	switch {
	case r.content.algorithm == "" && !cbc:
		return Recipient{}, errors.New("its metadata names no AES-GCM for it, and CBC is not allowed")
	case r.content.algorithm == "":
		return Recipient{}, errors.New("its metadata names neither AES-GCM nor AES-CBC for it")
	case r.transport.algorithm == "":
		return Recipient{}, errors.New("its metadata names no RSA-OAEP for it, and RSA 1.5 is never used")
	}
	return r, nil
}

// isKeyTransport tells the algorithms that carry a key from those that encrypt
// content; md:EncryptionMethod mixes them.
func isKeyTransport(algorithm string) bool {
	switch algorithm {
	case nsEncryption + "rsa-oaep-mgf1p", nsEncryption11 + "rsa-oaep", nsEncryption + "rsa-1_5",
		nsEncryption11 + "ECDH-ES", nsEncryption + "dh", nsEncryption11 + "dh-es",
		nsEncryption + "kw-aes128", nsEncryption + "kw-aes192", nsEncryption + "kw-aes256", nsEncryption + "kw-tripledes":
		return true
	}
	return false
}

// EncryptionKey is a key of a service provider for encryption, with the algorithms that its metadata names for it.
type EncryptionKey struct {
	Certificate []byte
	Methods     []string
}

// Encryption is what a service provider's record says of the encryption of assertions.
type Encryption struct {
	Mode         string // one of the words below; "" is EncryptionOff
	Keys         []EncryptionKey
	AllowCBC     bool
	SignResponse bool // whether the Response around the assertion is signed, without which CBC is not used
}

// Recipient returns for whom assertions are encrypted (row RSP-12); nil: they go
// in clear, as the record wants. An error means that they would have to be
// encrypted and can't: then nothing is sent. A key that was published asks for
// encryption, so one that can't be used is no reason to send in clear either.
func (e Encryption) Recipient() (*Recipient, error) {
	switch e.Mode {
	case "", EncryptionOff:
		return nil, nil
	case EncryptionIfPublished:
		if len(e.Keys) == 0 {
			return nil, nil
		}
	case EncryptionRequired:
	default:
		return nil, fmt.Errorf("encryption %.40q is not known", e.Mode)
	}
	if len(e.Keys) == 0 {
		return nil, errors.New("the record holds no key for encryption")
	}
	var faults []error
	for i, k := range e.Keys {
		r, err := newRecipient(k.Certificate, k.Methods, e.AllowCBC)
		if err != nil {
			faults = append(faults, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		if r.content.cbc && !e.SignResponse {
			faults = append(faults, fmt.Errorf("key %d: CBC without a signature of the Response around it", i+1))
			continue
		}
		return &r, nil
	}
	return nil, errors.Join(faults...)
}

// Algorithms are those that are used towards the recipient: for the content and for its key.
func (r *Recipient) Algorithms() (content, key string) {
	return r.content.algorithm, r.transport.algorithm
}

// Certificate is the one whose key is used.
func (r *Recipient) Certificate() *x509.Certificate { return r.certificate }

// encrypt adds the saml:EncryptedAssertion (saml-core 2.3.4) of an assertion.
// random must be of cryptographic quality. The assertion has to declare every
// namespace that it uses itself: it is read alone after decryption.
func (r *Recipient) encrypt(to octets, plain []byte, random io.Reader) (octets, error) {
	// A fresh key for each assertion, so a nonce can't meet its like.
	key := make([]byte, r.content.size)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("read randomness for a content key: %w", err)
	}
	content, err := r.content.seal(key, plain, random)
	if err != nil {
		return nil, err
	}
	wrapped, err := rsa.EncryptOAEP(r.transport.hash.New(), random, r.public, key, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt a content key by %s: %w", r.transport.algorithm, err)
	}
	return r.write(to, wrapped, content), nil
}

// seal encrypts with a key that is used once. What comes out starts with the
// nonce or the initialization vector (xmlenc-core1 5.2).
func (c contentCipher) seal(key, plain []byte, random io.Reader) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt by %s: %w", c.algorithm, err)
	}
	if c.cbc {
		// The last byte tells how many were added; the others are free to choose
		// (xmlenc-core1 5.2.1).
		fill := block.BlockSize() - len(plain)%block.BlockSize()
		out := make([]byte, block.BlockSize()+len(plain)+fill)
		if _, err := io.ReadFull(random, out[:block.BlockSize()]); err != nil {
			return nil, fmt.Errorf("read randomness for an initialization vector: %w", err)
		}
		copy(out[block.BlockSize():], plain)
		out[len(out)-1] = byte(fill)
		cipher.NewCBCEncrypter(block, out[:block.BlockSize()]).CryptBlocks(out[block.BlockSize():], out[block.BlockSize():])
		return out, nil
	}
	// 96 bits of nonce before, 128 bits of tag behind (xmlenc-core1 5.2.4).
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypt by %s: %w", c.algorithm, err)
	}
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(plain)+gcm.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("read randomness for a nonce: %w", err)
	}
	return gcm.Seal(nonce, nonce, plain, nil), nil
}

// write adds the XML. The wrapped key stands inside the encrypted data,
// where every reader looks for the one key of one Recipient (saml-core 6.1,
// erratum E43), and names the certificate, so that a service provider with two
// keys takes the right one.
func (r *Recipient) write(to octets, wrapped, content []byte) octets {
	to = slices.Grow(to, 4<<10+base64.StdEncoding.EncodedLen(len(content)))
	to.markup("<saml:EncryptedAssertion" + declareAssertion + `><xenc:EncryptedData xmlns:xenc="` + nsEncryption +
		`" Type="` + nsEncryption + `Element"><xenc:EncryptionMethod`)
	to.attribute("Algorithm", r.content.algorithm)
	to.markup(`></xenc:EncryptionMethod><ds:KeyInfo xmlns:ds="` + NSSignature +
		`"><xenc:EncryptedKey><xenc:EncryptionMethod`)
	to.attribute("Algorithm", r.transport.algorithm)
	to.markup("><ds:DigestMethod")
	to.attribute("Algorithm", r.transport.digest)
	to.markup("></ds:DigestMethod>")
	if r.transport.mgf != "" {
		to.markup(`<xenc11:MGF xmlns:xenc11="` + nsEncryption11 + `"`)
		to.attribute("Algorithm", r.transport.mgf)
		to.markup("></xenc11:MGF>")
	}
	to.markup("</xenc:EncryptionMethod><ds:KeyInfo><ds:X509Data><ds:X509Certificate>")
	to = base64.StdEncoding.AppendEncode(to, r.certificate.Raw)
	to.markup("</ds:X509Certificate></ds:X509Data></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>")
	to = base64.StdEncoding.AppendEncode(to, wrapped)
	to.markup("</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>")
	to = base64.StdEncoding.AppendEncode(to, content)
	to.markup("</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>")
	return to
}
