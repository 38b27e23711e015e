package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"ssobridge/certs"
)

// REAL-27: a key of another identity provider, in each form, with its certificate byte for byte.
func TestReadKey(t *testing.T) {
	rsaKey, err := certs.Generate(certs.RSA2048, "old idp", 24*time.Hour, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, other := newCertificate(t, "old idp, on a curve"), newCertificate(t, "other")
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	pkcs8, err := rsaKey.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaKey.Signer.(*rsa.PrivateKey))
	sec1, err := x509.MarshalECPrivateKey(ecKey.Signer.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	cert, ecCert := block("CERTIFICATE", rsaKey.Certificate.Raw), block("CERTIFICATE", ecKey.Certificate.Raw)
	otherCert := block("CERTIFICATE", other.Certificate.Raw)
	sealed := func(e *pkcs12.Encoder, password string) []byte {
		data, err := e.Encode(rsaKey.Signer, rsaKey.Certificate, []*x509.Certificate{other.Certificate}, password)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	negative := negativeSerial(t, ecKey.Certificate.Raw)
	for _, c := range []struct {
		name       string
		passphrase string
		files      [][]byte
		want       []byte // the certificate
	}{
		{"PKCS #8 and its certificate in one file", "", [][]byte{join(block("PRIVATE KEY", pkcs8), cert)}, nil},
		{"the other way round", "", [][]byte{join(cert, block("PRIVATE KEY", pkcs8))}, nil},
		{"in two files", "", [][]byte{cert, block("PRIVATE KEY", pkcs8)}, nil},
		{"PKCS #1", "", [][]byte{block("RSA PRIVATE KEY", pkcs1), cert}, nil},
		{"SEC 1 behind its parameters", "", [][]byte{join(block("EC PARAMETERS", []byte{6, 0}),
			block("EC PRIVATE KEY", sec1)), ecCert}, ecKey.Certificate.Raw},
		{"with its chain", "", [][]byte{join(otherCert, cert), block("PRIVATE KEY", pkcs8)}, nil},
		{"the key twice", "", [][]byte{join(cert, block("PRIVATE KEY", pkcs8)), block("RSA PRIVATE KEY", pkcs1)}, nil},
		{"DER", "", [][]byte{rsaKey.Certificate.Raw, pkcs8}, nil},
		{"of Windows", "", [][]byte{append([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(join(cert, block("PRIVATE KEY", pkcs8)),
			[]byte("\n"), []byte("\r\n"))...)}, nil},
		{"PKCS #12", "changeit", [][]byte{sealed(pkcs12.Modern2023, "changeit")}, nil},
		{"PKCS #12 of older programs", "changeit", [][]byte{sealed(pkcs12.LegacyDES, "changeit")}, nil},
		{"PKCS #12 of the oldest", "changeit", [][]byte{sealed(pkcs12.LegacyRC2, "changeit")}, nil},
		{"PKCS #12 without a passphrase", "", [][]byte{sealed(pkcs12.Passwordless, "")}, nil},
		{"trusted, as OpenSSL has it", "", [][]byte{join(block("TRUSTED CERTIFICATE", append(bytes.Clone(
			rsaKey.Certificate.Raw), 0x30, 0x03, 0x0c, 0x01, 'x')), block("PRIVATE KEY", pkcs8))}, nil},
		{"a certificate that breaks X.509", "", [][]byte{block("CERTIFICATE", negative), block("EC PRIVATE KEY", sec1)},
			negative},
	} {
		want := c.want
		if want == nil {
			want = rsaKey.Certificate.Raw
		}
		key, err := certs.ReadKey(c.passphrase, c.files...)
		if err != nil || !bytes.Equal(key.Certificate.Raw, want) || !key.Owns(key.Certificate) {
			t.Errorf("%s: %v, %v", c.name, key, err)
		}
	}
	for _, c := range []struct {
		name, want string
		is         error
		passphrase string
		files      [][]byte
	}{
		{"nothing", "neither PEM nor PKCS #12", nil, "", [][]byte{nil}},
		{"a certificate alone", "no private key", nil, "", [][]byte{cert}},
		{"a key alone", "no certificate", nil, "", [][]byte{block("PRIVATE KEY", pkcs8)}},
		{"another's certificate", "does not belong to the private key", nil, "", [][]byte{otherCert,
			block("PRIVATE KEY", pkcs8)}},
		{"two others' certificates", "none of the 2 certificates", nil, "", [][]byte{join(otherCert, ecCert),
			block("PRIVATE KEY", pkcs8)}},
		{"two keys", "2 private keys", nil, "", [][]byte{cert, block("PRIVATE KEY", pkcs8), block("EC PRIVATE KEY", sec1)}},
		{"the wrong passphrase", "", certs.ErrPassphrase, "wrong", [][]byte{sealed(pkcs12.Modern2023, "changeit")}},
		{"no passphrase", "", certs.ErrPassphrase, "", [][]byte{sealed(pkcs12.LegacyDES, "changeit")}},
		{"encrypted PEM", "", certs.ErrEncryptedPEM, "", [][]byte{cert, block("ENCRYPTED PRIVATE KEY", pkcs8)}},
		{"encrypted PEM of old", "", certs.ErrEncryptedPEM, "", [][]byte{cert, pem.EncodeToMemory(&pem.Block{
			Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
			Bytes: pkcs1})}},
		{"broken PEM", "PEM form is broken", nil, "", [][]byte{[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n")}},
		{"no key in PEM", "PKCS #8, PKCS #1 or SEC 1", nil, "", [][]byte{cert, block("PRIVATE KEY", []byte{1, 2})}},
		{"a key that is too small", "RSA key of 1024 bits", nil, "", [][]byte{cert, block("PRIVATE KEY", small(t))}},
	} {
		key, err := certs.ReadKey(c.passphrase, c.files...)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, %v", c.name, key, err)
		}
	}
}

// small is a key that signs nothing any more, as old programs made them.
func small(t *testing.T) []byte {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(nil, 1024) //nolint:gosec // it has to be weak
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What would take hours to open is refused at once, wherever the count stands.
func TestReadKeyIterations(t *testing.T) {
	type salted struct {
		Salt       []byte
		Iterations int64
	}
	for name, count := range map[string]int64{"billions": 1 << 31, "more than fit": 1 << 40} {
		inner, err := asn1.Marshal(salted{[]byte("salt"), count})
		if err != nil {
			t.Fatal(err)
		}
		for where, v := range map[string]any{
			"MAC": struct {
				Version int
				Safe    struct{ Type asn1.ObjectIdentifier }
				MAC     salted
			}{3, struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
				salted{[]byte("s"), count}},
			"content": struct {
				Version int
				Content []byte
			}{3, inner},
		} {
			der, err := asn1.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := certs.ReadKey("changeit", der); !errors.Is(err, certs.ErrIterations) {
				t.Errorf("%s in %s: %v, want ErrIterations", name, where, err)
			}
		}
	}
}
