package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Algorithm of a signing key.
type Algorithm string

// The algorithms that Generate offers. A loaded RSA key of another size is named "rsa-BITS".
const (
	RSA2048 Algorithm = "rsa-2048"
	RSA3072 Algorithm = "rsa-3072" // the default for new keys
	P256    Algorithm = "p-256"
	P384    Algorithm = "p-384"
)

// Bounds for RSA keys. 2048 bits are the least that SAML peers still accept and that is held to be safe; a larger key
// than 8192 only makes each sign-in slower, by then by a large part of a second.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// ParseAlgorithm accepts the algorithms that Generate offers, by name. The empty text is the default, RSA3072.
func ParseAlgorithm(text string) (Algorithm, error) {
	switch a := Algorithm(text); a {
	case "":
		return RSA3072, nil
	case RSA2048, RSA3072, P256, P384:
		return a, nil
	}
	return "", fmt.Errorf("key algorithm %.40q: want rsa-3072, rsa-2048, p-256 or p-384", text)
}

// Key is a signing key with its self-signed certificate. It is read only and safe for concurrent use, as far as its
// Signer is.
type Key struct {
	ID          string // first 16 hex digits of the certificate's SHA-256
	Algorithm   Algorithm
	Certificate *x509.Certificate
	Signer      crypto.Signer `json:"-"` // may hold the private key
}

// Load puts a key together again from its certificate (DER) and its private key (PKCS #8, DER). They must belong
// together, and the key must be RSA with 2048 to 8192 bits or ECDSA on P-256 or P-384. The certificate's dates are not
// checked: in SAML it is a holder of the public key (see Warn for what to tell an admin).
func Load(certificate, pkcs8 []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		// The cause is left out: what it says about the bytes of a private key belongs in no log.
		return nil, errors.New("load signing key: the private key is not a PKCS #8 key")
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("load signing key: %T can't sign, want RSA or ECDSA", parsed)
	}
	return FromSigner(certificate, signer)
}

// FromSigner makes a Key of a certificate (DER) and any signer with its public key. The checks are those of Load.
func FromSigner(certificate []byte, signer crypto.Signer) (*Key, error) {
	cert, err := ParseHolder(certificate)
	if err != nil {
		return nil, fmt.Errorf("load signing key: parse certificate: %w", err)
	}
	if signer == nil {
		return nil, errors.New("load signing key: no signer given")
	}
	algorithm, err := algorithmOf(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("load signing key of certificate %q: %w", cert.Subject.CommonName, err)
	}
	key := &Key{ID: keyID(cert.Raw), Algorithm: algorithm, Certificate: cert, Signer: signer}
	if !key.Owns(cert) {
		// A mismatch would give signatures that no peer can verify.
		return nil, fmt.Errorf("load signing key %s: the private key does not belong to the certificate %q", key.ID,
			cert.Subject.CommonName)
	}
	return key, nil
}

// PKCS8 returns the private key in clear: seal it before it is kept anywhere. A key whose signer does not
// give its private key away returns an error.
func (k *Key) PKCS8() ([]byte, error) {
	switch k.Signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return nil, fmt.Errorf("encode signing key %s: its signer does not give the private key away", k.ID)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		return nil, fmt.Errorf("encode signing key %s: %w", k.ID, err)
	}
	return der, nil
}

// Owns tells whether cert holds this key's public key. A signing key must not be the server's TLS key as well (row
// KEY-02): whoever runs the front end would hold the power to sign people in.
func (k *Key) Owns(cert *x509.Certificate) bool {
	public, ok := k.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && cert != nil && public.Equal(cert.PublicKey)
}

// String names the key and shows nothing of it. It stands on the value, so that no way of printing reaches the Signer.
func (k Key) String() string { return fmt.Sprintf("signing key %s (%s, ***)", k.ID, k.Algorithm) }

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }

// LogValue names the key in a structured log.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", k.ID), slog.String("algorithm", string(k.Algorithm)))
}

// Fingerprint is the SHA-256 of a DER certificate as AA:BB:…, the form in which people compare certificates by phone.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

// HexFingerprint is the same in lower-case hex without colons, the form for files, settings and comparison.
func HexFingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func keyID(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:8])
}

// algorithmOf names the algorithm of a public key and refuses the weak and the unknown (row KEY-02).
func algorithmOf(public crypto.PublicKey) (Algorithm, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		bits := p.N.BitLen()
		if bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("RSA key of %d bits: want %d to %d", bits, minRSABits, maxRSABits)
		}
		return Algorithm(fmt.Sprintf("rsa-%d", bits)), nil
	case *ecdsa.PublicKey:
		switch p.Curve {
		case elliptic.P256():
			return P256, nil
		case elliptic.P384():
			return P384, nil
		}
		return "", fmt.Errorf("ECDSA key on %s: want P-256 or P-384", p.Curve.Params().Name)
	}
	return "", fmt.Errorf("key of type %T: want RSA or ECDSA", public)
}
