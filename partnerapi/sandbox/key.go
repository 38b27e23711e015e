package sandbox

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// signingKey is the service provider's own, for the messages that it signs. Get it by s.signing(),
// which makes it at the first call.
type signingKey struct {
	key         *rsa.PrivateKey
	certificate []byte // DER
}

func (s *Sandbox) newSigningKey() (*signingKey, error) {
	key, err := rsa.GenerateKey(s.o.Random, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a key for signing: %w", err)
	}
	now := s.o.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "sandbox signing"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	certificate, err := x509.CreateCertificate(s.o.Random, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for signing: %w", err)
	}
	return &signingKey{key, certificate}, nil
}

// describe adds the md:KeyDescriptor (saml-metadata 2.4.1.1).
func (k *signingKey) describe(role *etree.Element) {
	d := role.CreateElement("md:KeyDescriptor")
	d.CreateAttr("use", "signing")
	info := d.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", signatureNS)
	info.CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(
		k.certificate))
}

// enveloped signs a message for HTTP-POST: the signature stands behind its Issuer, which is
// its first child (saml-core 5.4).
func (k *signingKey) enveloped(e *etree.Element) error {
	c, err := dsig.NewSigningContext(k.key, [][]byte{k.certificate})
	if err != nil {
		return err
	}
	c.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := c.SetSignatureMethod(dsig.RSASHA256SignatureMethod); err != nil {
		return err
	}
	signature, err := c.ConstructSignature(e, true)
	if err != nil {
		return err
	}
	e.InsertChildAt(1, signature)
	return nil
}

// query carries a message for HTTP-Redirect, signed over the query (saml-bindings 3.4.4.1). parameter
// is SAMLRequest or SAMLResponse; a relayState of nil is left out.
func (k *signingKey) query(parameter string, message []byte, relayState *string) (string, error) {
	packed, err := deflate(message)
	if err != nil {
		return "", err
	}
	text := parameter + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed))
	if relayState != nil {
		text += "&RelayState=" + url.QueryEscape(*relayState)
	}
	text += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
	sum := sha256.Sum256([]byte(text))
	value, err := rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(value)), nil
}

func deflate(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
}
