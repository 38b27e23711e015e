package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
)

// negativeSerial is a certificate with another serial number: negative, which Go's own reader refuses.
func negativeSerial(t *testing.T, der []byte) []byte {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(der)
	changed[bytes.Index(der, serial)+2] |= 0x80
	if _, err := x509.ParseCertificate(changed); err == nil {
		t.Fatal("Go's own reader takes a negative serial number")
	}
	return changed
}

func newCertificate(t *testing.T, name string) *certs.Key {
	t.Helper()
	k, err := certs.Generate(certs.P256, name, 24*time.Hour, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// REAL-21: a certificate is a holder of its key, so what it says beside the key may be at fault.
func TestParseHolder(t *testing.T) {
	k := newCertificate(t, "sp")
	negative := negativeSerial(t, k.Certificate.Raw)
	c, err := certs.ParseHolder(negative)
	if err != nil || !k.Owns(c) || !bytes.Equal(c.Raw, negative) || c.SerialNumber.Sign() >= 0 ||
		!c.NotAfter.Equal(k.Certificate.NotAfter) || c.Subject.CommonName != "sp" || c.IsCA {
		t.Fatalf("a negative serial number: %+v, %v", c, err)
	}
	if certs.Flaw(negative) == nil || certs.Flaw(k.Certificate.Raw) != nil {
		t.Error("the flaw is not told from none")
	}
	// The extensions are broken: the key is before them.
	broken := bytes.Clone(k.Certificate.Raw)
	usage := []byte{0x06, 0x03, 0x55, 0x1d, 0x0f}
	copy(broken[bytes.Index(broken, usage):], []byte{0x06, 0x03, 0x55, 0x1d, 0x13}) // named basicConstraints
	if c, err := certs.ParseHolder(broken); err != nil || !k.Owns(c) || c.Subject.CommonName != "sp" ||
		!c.NotAfter.Equal(k.Certificate.NotAfter) {
		t.Errorf("broken extensions: %+v, %v", c, err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "a number": {2, 1, 1}, "cut off": k.Certificate.Raw[:200],
		"something behind": append(bytes.Clone(k.Certificate.Raw), 0, 0, 0), "empty": {0x30, 0}, "no key": {0x30, 2, 0x30, 0},
	} {
		if c, err := certs.ParseHolder(bad); err == nil {
			t.Errorf("%s is taken: %+v", name, c)
		}
	}
}

// REAL-22: a key that came without a certificate is held by one, always the same.
func TestKeyHolder(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.KeyHolder(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	again, err := certs.KeyHolder(&private.PublicKey)
	if err != nil || !bytes.Equal(der, again) {
		t.Errorf("another one for the same key: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil || !private.PublicKey.Equal(c.PublicKey) || c.NotAfter.Year() != 9999 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := certs.KeyHolder("no key"); err == nil {
		t.Error("a text is taken for a key")
	}
}

// REAL-21: one certificate or several, in each form in which products write them.
func TestReadHolders(t *testing.T) {
	one, two := newCertificate(t, "one").Certificate, newCertificate(t, "two, with a longer name").Certificate
	pemOf := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	b64 := base64.StdEncoding.EncodeToString
	flat := func(c *x509.Certificate) string { return strings.ReplaceAll(pemOf(c), "\n", "") }
	for _, c := range []struct {
		name, text string
		n          int
	}{
		{"base64", b64(one.Raw), 1},
		{"in lines", strings.Join(strings.SplitAfter(b64(one.Raw), "A"), "\r\n\t "), 1},
		{"without padding", strings.TrimRight(b64(two.Raw), "="), 1},
		{"of the other alphabet", base64.URLEncoding.EncodeToString(one.Raw), 1},
		{"with blanks of a page", b64(one.Raw)[:40] + "\u00a0\u200b" + b64(one.Raw)[40:], 1},
		{"with line ends of JSON", strings.Join(strings.SplitAfter(b64(one.Raw), "A"), `\r\n`), 1},
		{"PEM with line ends of JSON", strings.ReplaceAll(pemOf(one), "\n", `\n`), 1},
		{"PEM", pemOf(one), 1},
		{"PEM of Windows", strings.ReplaceAll(pemOf(one), "\n", "\r\n"), 1},
		{"PEM in one line", flat(one), 1},
		{"PEM with text around", "subject=CN=one\n" + pemOf(one) + "that was it", 1},
		{"PEM without its end", strings.Replace(pemOf(one), "-----END CERTIFICATE-----", "", 1), 1},
		{"trusted", strings.ReplaceAll(pemOf(one), "CERTIFICATE", "TRUSTED CERTIFICATE"), 1},
		{"PEM encoded once more", b64([]byte(pemOf(one))), 1},
		{"two PEM", pemOf(one) + pemOf(two), 2},
		{"two PEM in one line", flat(one) + flat(two), 2},
		{"two in one base64", b64(append(bytes.Clone(one.Raw), two.Raw...)), 2},
		{"two base64, each with its padding", b64(one.Raw) + "\n" + b64(two.Raw), 2},
	} {
		all, err := certs.ReadHolders(c.text)
		if err != nil || len(all) != c.n {
			t.Errorf("%s: %d certificates, %v, want %d", c.name, len(all), err, c.n)
			continue
		}
		if first := all[0]; !first.Equal(one) && !(c.n == 1 && first.Equal(two)) {
			t.Errorf("%s: the first is %v", c.name, first.Subject)
		}
		if c.n == 2 && !all[1].Equal(two) {
			t.Errorf("%s: the second is %v", c.name, all[1].Subject)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "blanks": " \n", "armour alone": "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
		"words": "to be given later", "padding alone": "====", "something behind it": b64(append(bytes.Clone(one.Raw), 1, 2)),
		"a request": strings.ReplaceAll(pemOf(one), "CERTIFICATE", "CERTIFICATE REQUEST"),
		"a key":     strings.ReplaceAll(pemOf(one), "CERTIFICATE", "PUBLIC KEY"),
	} {
		if all, err := certs.ReadHolders(text); err == nil {
			t.Errorf("%s: taken as %d certificates", name, len(all))
		}
	}
	for _, kind := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"} {
		text := pemOf(one) + strings.ReplaceAll(pemOf(two), "CERTIFICATE", kind)
		for _, text := range []string{text, b64([]byte(text))} {
			if _, err := certs.ReadHolders(text); !errors.Is(err, certs.ErrPrivateKey) {
				t.Errorf("%s beside a certificate: %v", kind, err)
			}
		}
	}
}
