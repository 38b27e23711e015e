package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
)

// ErrPrivateKey says that a private key stands where a certificate was expected. Whoever sent it has given it away.
var ErrPrivateKey = errors.New("it holds a private key")

// ParseHolder reads a certificate as SAML uses it: a holder of its public key, for which whoever registered it vouches
// (saml-metadata 2.4.1.1, erratum E62). It so takes certificates that break the rules of X.509 beside the key, such as
// one with a negative serial number: nothing but the key is relied upon. Raw is the certificate as given, to the byte.
// It is not for TLS.
func ParseHolder(der []byte) (*x509.Certificate, error) {
	strict, err := x509.ParseCertificate(der)
	if err == nil {
		return strict, nil
	}
	loose := looseCertificate(der)
	if loose == nil {
		return nil, err
	}
	return loose, nil
}

// Flaw says which rule of X.509 a certificate breaks that ParseHolder took; nil: none.
func Flaw(der []byte) error {
	_, err := x509.ParseCertificate(der)
	return err
}

// looseCertificate reads what stands before the extensions of a certificate, and all of it where only the serial number
// is at fault; nil where there is no key to be found.
func looseCertificate(der []byte) *x509.Certificate {
	outer, rest := asn1.RawValue{}, []byte(nil)
	var err error
	if rest, err = asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || outer.Tag != asn1.TagSequence {
		return nil
	}
	var tbs asn1.RawValue
	if _, err = asn1.Unmarshal(outer.Bytes, &tbs); err != nil || tbs.Tag != asn1.TagSequence {
		return nil
	}
	// serial, signature, issuer, validity, subject, key; before them a version, which old certificates leave out.
	var parts []asn1.RawValue
	for left := tbs.Bytes; len(left) > 0 && len(parts) < 7; {
		var part asn1.RawValue
		if left, err = asn1.Unmarshal(left, &part); err != nil {
			return nil
		}
		if len(parts) == 0 && part.Class == asn1.ClassContextSpecific && part.Tag == 0 {
			continue
		}
		parts = append(parts, part)
	}
	if len(parts) < 6 || parts[0].Tag != asn1.TagInteger || len(parts[0].Bytes) == 0 {
		return nil
	}
	if c := positiveSerial(der, parts[0]); c != nil {
		c.Raw, c.RawTBSCertificate = der, tbs.FullBytes
		return c
	}
	c := &x509.Certificate{Raw: der, RawTBSCertificate: tbs.FullBytes, RawIssuer: parts[2].FullBytes,
		RawSubject: parts[4].FullBytes, RawSubjectPublicKeyInfo: parts[5].FullBytes, SerialNumber: new(big.Int)}
	if c.PublicKey, err = x509.ParsePKIXPublicKey(parts[5].FullBytes); err != nil {
		return nil
	}
	// The rest is for people who look at it, and for expiry warnings: what can't be read is left empty.
	var validity struct{ NotBefore, NotAfter time.Time }
	if _, err := asn1.Unmarshal(parts[3].FullBytes, &validity); err == nil {
		c.NotBefore, c.NotAfter = validity.NotBefore, validity.NotAfter
	}
	for _, name := range []struct {
		raw []byte
		to  *pkix.Name
	}{{c.RawIssuer, &c.Issuer}, {c.RawSubject, &c.Subject}} {
		var rdn pkix.RDNSequence
		if _, err := asn1.Unmarshal(name.raw, &rdn); err == nil {
			name.to.FillFromRDNSequence(&rdn)
		}
	}
	return c
}

// positiveSerial reads a certificate whose serial number is negative, which RFC 5280 forbids and old tools write: with
// another number of the same length in a copy, since no signature over it is checked. nil: that was not the fault, or
// not the only one.
func positiveSerial(der []byte, serial asn1.RawValue) *x509.Certificate {
	if serial.Bytes[0]&0x80 == 0 {
		return nil
	}
	at := bytes.Index(der, serial.FullBytes) // the first INTEGER that can stand there: only the version is before it
	if at < 0 {
		return nil
	}
	copied := bytes.Clone(der)
	first := at + len(serial.FullBytes) - len(serial.Bytes)
	copied[first] = copied[first]&0x7f | 0x40 // positive, and never padded
	c, err := x509.ParseCertificate(copied)
	if err != nil {
		return nil
	}
	number := new(big.Int).SetBytes(serial.Bytes)
	c.SerialNumber = number.Sub(number, new(big.Int).Lsh(big.NewInt(1), uint(len(serial.Bytes))*8)) //nolint:gosec // a length
	return c
}

// KeyHolder makes a certificate that carries a key which came without one. It proves nothing, its signature is empty,
// and the same key gives the same bytes.
func KeyHolder(public crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	sum := sha256.Sum256(spki)
	sum[0] = sum[0]&0x7f | 0x40
	name := pkix.Name{CommonName: "key without certificate"}.ToRDNSequence()
	ecdsaWithSHA256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	type period struct{ NotBefore, NotAfter time.Time }
	type content struct {
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    pkix.RDNSequence
		Validity  period
		Subject   pkix.RDNSequence
		Key       asn1.RawValue
	}
	der, err := asn1.Marshal(struct {
		Content   content
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{content{new(big.Int).SetBytes(sum[:16]), ecdsaWithSHA256, name,
		period{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}, // no end
		name, asn1.RawValue{FullBytes: spki}}, ecdsaWithSHA256, asn1.BitString{}})
	if err != nil {
		return nil, fmt.Errorf("make a certificate for a public key: %w", err)
	}
	return der, nil
}

var (
	armour     = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END [A-Z0-9 ]+-----`)
	armourLine = regexp.MustCompile(`-----(BEGIN|END) [A-Z0-9 ]+-----`)
	padding    = regexp.MustCompile(`[^=]+={0,2}`)
)

// ReadHolders reads the certificates in a text, in whatever form people and products write them: base64 as in metadata,
// PEM with its line breaks or without them, several one after the other, with text around. ErrPrivateKey: it holds a
// private key.
func ReadHolders(text string) ([]*x509.Certificate, error) { return readHolders(text, true) }

func readHolders(text string, armoured bool) (all []*x509.Certificate, err error) {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, ErrPrivateKey
	}
	bodies := []string{text}
	if found := armour.FindAllStringSubmatch(text, -1); found != nil {
		bodies = nil
		for _, m := range found {
			if !strings.HasSuffix(m[1], "CERTIFICATE") { // also X509 CERTIFICATE and TRUSTED CERTIFICATE
				return nil, fmt.Errorf("it holds a %.40s", strings.ToLower(m[1]))
			}
			bodies = append(bodies, m[2])
		}
	}
	for _, body := range bodies {
		der, err := decodeBase64(armourLine.ReplaceAllString(body, ""))
		if err != nil {
			return nil, err
		}
		if armoured && bytes.HasPrefix(der, []byte("-----BEGIN ")) { // a whole PEM file, encoded once more
			inner, err := readHolders(string(der), false)
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
			continue
		}
		for len(der) > 0 {
			one, left := der, []byte(nil)
			var whole asn1.RawValue
			if rest, err := asn1.Unmarshal(der, &whole); err == nil && len(rest) > 0 && rest[0] == der[0] {
				one, left = whole.FullBytes, rest // several, one after the other
			}
			c, err := ParseHolder(one)
			if err != nil {
				if _, private := readPrivate(one); private == nil {
					return nil, ErrPrivateKey
				}
				return nil, err
			}
			all, der = append(all, c), left
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	return all, nil
}

// escapedEnds are line ends as JSON and variables write them, of which some products make their metadata.
var escapedEnds = strings.NewReplacer(`\r`, "", `\n`, "")

// decodeBase64 decodes base64 with white space anywhere, of either alphabet, with or without its padding; and several
// one after the other, each with its own padding.
func decodeBase64(text string) ([]byte, error) {
	text = escapedEnds.Replace(text)
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r <= ' ' || r == '\u00a0' || r == '\u200b' || r == '\ufeff' // blanks that a page or a file put in
	}), "")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	var all []byte
	if strings.HasPrefix(text, "=") {
		return nil, errors.New("it is not base64")
	}
	for _, part := range padding.FindAllString(text, -1) {
		der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(part, "="))
		if err != nil {
			return nil, errors.New("it is not base64")
		}
		all = append(all, der...)
	}
	return all, nil
}
