package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
)

// signer makes enveloped XML signatures with one key. It is safe for concurrent use.
type signer struct {
	key     *certs.Key
	context *dsig.SigningContext
}

func newSigner(key *certs.Key) (*signer, error) {
	// Named here and not left to the library: its signing falls back to RSA-SHA1
	// elsewhere (row RSP-10).
	var method string
	var private crypto.Signer
	switch public := key.Signer.Public().(type) {
	case *rsa.PublicKey:
		method, private = dsig.RSASHA256SignatureMethod, key.Signer
	case *ecdsa.PublicKey:
		method = dsig.ECDSASHA256SignatureMethod
		if public.Curve.Params().BitSize > 256 {
			method = dsig.ECDSASHA384SignatureMethod
		}
		private = plainECDSA{key.Signer}
	default:
		return nil, fmt.Errorf("signing key %s: no XML signature method for %T", key.ID, public)
	}
	context, err := dsig.NewSigningContext(private, [][]byte{key.Certificate.Raw})
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", key.ID, err)
	}
	// Exclusive canonicalization, so that the signed assertion stays valid wherever
	// an SP moves it (saml-core 5.4.3).
	context.Canonicalizer = ownCanonical{}
	if err := context.SetSignatureMethod(method); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", key.ID, err)
	}
	return &signer{key: key, context: context}, nil
}

// sign signs el, which must have an ID and an Issuer as its first child, and
// puts the signature behind the Issuer, where the schema wants it (saml-core
// 5.4.1 and 5.4.2).
func (s *signer) sign(el *etree.Element) error {
	signature, err := s.context.ConstructSignature(el, true)
	if err != nil {
		return fmt.Errorf("sign %s with key %s: %w", el.Tag, s.key.ID, err)
	}
	el.InsertChildAt(1, signature)
	return nil
}

// plainECDSA writes a signature as the two numbers r and s one after the other,
// each as long as the curve's order (xmldsig-core1 6.4.3). crypto.Signer gives
// ASN.1, and goxmldsig would put that into the document, where other software
// does not understand it.
type plainECDSA struct{ crypto.Signer }

func (p plainECDSA) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	der, err := p.Signer.Sign(random, digest, opts)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) > 0 {
		return nil, errors.New("ECDSA signer gave no ASN.1 signature")
	}
	size := (p.Public().(*ecdsa.PublicKey).Curve.Params().N.BitLen() + 7) / 8
	if pair.R.Sign() <= 0 || pair.S.Sign() <= 0 || pair.R.BitLen() > 8*size || pair.S.BitLen() > 8*size {
		return nil, errors.New("ECDSA signer gave numbers out of range")
	}
	out := make([]byte, 2*size)
	pair.R.FillBytes(out[:size])
	pair.S.FillBytes(out[size:])
	return out, nil
}
