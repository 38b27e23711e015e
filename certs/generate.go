package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxLife of a certificate: peers that check dates at all are known to choke on ends past 2049 (where X.509 changes the
// form of its times), so a mistyped unit is caught here and not at a peer.
const maxLife = 20 * 365 * 24 * time.Hour

// maxCommonName is ub-common-name of RFC 5280, appendix A.1.
const maxCommonName = 64

// Generate makes a key and a self-signed certificate for commonName, valid from an hour before now (for peers whose
// clock is behind) until now plus life. The empty Algorithm is RSA3072. A nil random means crypto/rand.
//
// random is for the certificate's serial number; the key itself is always drawn by Go's cryptographic source, which
// since Go 1.26 takes no other.
func Generate(a Algorithm, commonName string, life time.Duration, now time.Time, random io.Reader) (*Key, error) {
	// Checked before, too: a key takes a second to make.
	if err := checkCertificate(commonName, life); err != nil {
		return nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	signer, err := newSigner(a, random)
	if err != nil {
		return nil, err
	}
	return SelfSign(signer, commonName, life, now, random)
}

// SelfSign is Generate for a key that is there already, such as one that a token holds.
func SelfSign(signer crypto.Signer, commonName string, life time.Duration, now time.Time,
	random io.Reader) (*Key, error) {
	if err := checkCertificate(commonName, life); err != nil {
		return nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	// Not a certificate authority, and good for signatures alone: it can't be used to sign certificates or to serve TLS.
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.UTC().Add(-time.Hour),
		NotAfter:              now.UTC().Add(life),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(random, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make certificate for %q: %w", commonName, err)
	}
	return FromSigner(der, signer)
}

func checkCertificate(commonName string, life time.Duration) error {
	if err := checkCommonName(commonName); err != nil {
		return err
	}
	if life <= 0 || life > maxLife {
		return fmt.Errorf("life of the signing certificate is %s: want more than 0 and at most %d years", life,
			int(maxLife.Hours()/24/365))
	}
	return nil
}

func newSigner(a Algorithm, random io.Reader) (signer crypto.Signer, err error) {
	switch a {
	case RSA2048:
		signer, err = rsa.GenerateKey(random, 2048)
	case RSA3072, "":
		signer, err = rsa.GenerateKey(random, 3072)
	case P256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), random)
	case P384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), random)
	default:
		_, err = ParseAlgorithm(string(a))
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", a, err)
	}
	return signer, nil
}

// newSerial draws a positive serial number of at most 20 octets (RFC 5280, 4.1.2.2).
func newSerial(random io.Reader) (*big.Int, error) {
	octets := make([]byte, 16)
	if _, err := io.ReadFull(random, octets); err != nil {
		return nil, fmt.Errorf("draw serial number of the signing certificate: %w", err)
	}
	octets[0] = octets[0]&0x7f | 0x40 // never zero, never shorter
	return new(big.Int).SetBytes(octets), nil
}

func checkCommonName(name string) error {
	if name == "" {
		return errors.New("common name of the signing certificate is empty: give the entity id or the host name")
	}
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxCommonName {
		return fmt.Errorf("common name %.80q of the signing certificate: want at most %d characters of UTF-8",
			name, maxCommonName)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("common name %.80q of the signing certificate has a control character", name)
		}
	}
	return nil
}
