package saml

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
)

// Signer makes enveloped XML signatures with one key. It is safe for concurrent use.
type Signer struct {
	key    *certs.Key
	hash   crypto.Hash
	method string

	// The parts of a ds:Signature that are the same for all, in canonical form: around the URI of the reference, the
	// digest and the value of the signature.
	toURI, toDigest, toValue, end string
}

// The start of a ds:Signature. In canonical form a part that stands alone declares the prefix that around it is
// declared further up (xml-exc-c14n 3): SignedInfo is signed as one of the two and stands as the other.
const (
	signatureStart  = `<ds:Signature xmlns:ds="` + NSSignature + `"><ds:SignedInfo>`
	signedInfoStart = `<ds:SignedInfo xmlns:ds="` + NSSignature + `">`
	signedInfoEnd   = `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
)

// NewSigner prepares the signatures of a key.
func NewSigner(key *certs.Key) (*Signer, error) {
	s := &Signer{key: key, hash: crypto.SHA256}
	// Never SHA-1, whatever the key (row RSP-10).
	var digest string
	switch public := key.Signer.Public().(type) {
	case *rsa.PublicKey:
		s.method, digest = dsig.RSASHA256SignatureMethod, nsEncryption+"sha256"
	case *ecdsa.PublicKey:
		s.method, digest = dsig.ECDSASHA256SignatureMethod, nsEncryption+"sha256"
		if public.Curve.Params().BitSize > 256 {
			s.method, digest, s.hash = dsig.ECDSASHA384SignatureMethod,
				"http://www.w3.org/2001/04/xmldsig-more#sha384", crypto.SHA384
		}
	default:
		return nil, fmt.Errorf("signing key %s: no XML signature method for %T", key.ID, public)
	}
	// Exclusive canonicalization, so that the signed assertion stays valid wherever
	// an SP moves it (saml-core 5.4.3).
	s.toURI = `<ds:CanonicalizationMethod Algorithm="` + algExclusive + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + s.method + `"></ds:SignatureMethod><ds:Reference`
	s.toDigest = `><ds:Transforms><ds:Transform Algorithm="` + algEnveloped + `"></ds:Transform>` +
		`<ds:Transform Algorithm="` + algExclusive + `"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + digest + `"></ds:DigestMethod><ds:DigestValue>`
	s.toValue = signedInfoEnd + `<ds:SignatureValue>`
	s.end = `</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` +
		base64.StdEncoding.EncodeToString(key.Certificate.Raw) +
		`</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
	return s, nil
}

// KeyID names the key.
func (s *Signer) KeyID() string { return s.key.ID }

// Certificate is the key's.
func (s *Signer) Certificate() *x509.Certificate { return s.key.Certificate }

// sign puts a signature behind the Issuer of an element, which must have an ID (saml-core 5.4.2).
func (s *Signer) sign(ctx context.Context, w *written) error {
	signed, err := s.signature(ctx, w.head, w.id, w.head, w.rest)
	if err != nil {
		return fmt.Errorf("sign %s with key %s: %w", w.name, s.key.ID, err)
	}
	w.head = signed
	return nil
}

// signature adds the ds:Signature of an element whose canonical form has these parts.
func (s *Signer) signature(ctx context.Context, o octets, id string, parts ...octets) (octets, error) {
	if id == "" {
		return nil, errors.New("it has no ID") // a reference to "" would be to whatever document it ends up in
	}
	digest := s.hash.New()
	for _, part := range parts {
		digest.Write(part)
	}
	before := len(o)
	o.markup(signatureStart)
	o.markup(s.toURI)
	o.attribute("URI", "#"+id)
	o.markup(s.toDigest)
	o = base64.StdEncoding.AppendEncode(o, digest.Sum(nil))
	o.markup(s.toValue)

	// What is signed is SignedInfo alone, which declares the prefix itself then.
	digest.Reset()
	digest.Write([]byte(signedInfoStart))
	digest.Write(o[before+len(signatureStart) : len(o)-len("<ds:SignatureValue>")])
	value, err := s.raw(ctx, digest.Sum(nil))
	if err != nil {
		return nil, err
	}
	o = base64.StdEncoding.AppendEncode(o, value)
	o.markup(s.end)
	return o, nil
}

// SignElement makes the ds:Signature of a tree that has this ID.
func (s *Signer) SignElement(ctx context.Context, id string, el *etree.Element) (*etree.Element, error) {
	canonical, err := writeXML(el)
	if err != nil {
		return nil, err
	}
	signature, err := s.signature(ctx, nil, id, canonical)
	if err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(signature); err != nil {
		return nil, fmt.Errorf("read the signature that was made: %w", err)
	}
	return doc.Root(), nil
}

// raw makes the signature of a digest in the form that XML Signature wants.
func (s *Signer) raw(ctx context.Context, digest []byte) ([]byte, error) {
	value, err := certs.Sign(ctx, s.key.Signer, digest, s.hash)
	if err != nil {
		return nil, err
	}
	if public, ok := s.key.Signer.Public().(*ecdsa.PublicKey); ok {
		return plainECDSA(value, public)
	}
	return value, nil
}

// plainECDSA writes a signature as the two numbers r and s one after the other,
// each as long as the curve's order (xmldsig-core1 6.4.3). crypto.Signer gives
// ASN.1, which other software does not understand in a document.
func plainECDSA(der []byte, public *ecdsa.PublicKey) ([]byte, error) {
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) > 0 {
		return nil, errors.New("ECDSA signer gave no ASN.1 signature")
	}
	size := (public.Curve.Params().N.BitLen() + 7) / 8
	if pair.R.Sign() <= 0 || pair.S.Sign() <= 0 || pair.R.BitLen() > 8*size || pair.S.BitLen() > 8*size {
		return nil, errors.New("ECDSA signer gave numbers out of range")
	}
	out := make([]byte, 2*size)
	pair.R.FillBytes(out[:size])
	pair.S.FillBytes(out[size:])
	return out, nil
}
