package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func generate(t testing.TB, a certs.Algorithm) *certs.Key {
	t.Helper()
	k, err := certs.Generate(a, "https://bridge.example.test/saml", 365*24*time.Hour, noon, rand.Reader)
	if err != nil {
		t.Fatalf("Generate(%s): %v", a, err)
	}
	return k
}

// KEY-02: RSA 3072 for new keys, or P-256 and better; what was generated loads again and signs.
func TestKEY02GenerateAndLoad(t *testing.T) {
	cases := []struct{ ask, want certs.Algorithm }{
		{"", certs.RSA3072}, {certs.RSA2048, certs.RSA2048}, {certs.P256, certs.P256}, {certs.P384, certs.P384},
	}
	for _, c := range cases {
		t.Run(string(c.want), func(t *testing.T) {
			k := generate(t, c.ask)
			if k.Algorithm != c.want {
				t.Errorf("algorithm: got %s, want %s", k.Algorithm, c.want)
			}
			if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(k.ID) {
				t.Errorf("id: got %q, want 16 hex digits", k.ID)
			}
			if plain := strings.ToLower(strings.ReplaceAll(certs.Fingerprint(k.Certificate.Raw), ":", "")); !strings.HasPrefix(
				plain, k.ID) || len(plain) != 64 {
				t.Errorf("fingerprint %s does not start with id %s", plain, k.ID)
			}
			if got, want := k.Certificate.NotBefore, noon.Add(-time.Hour); !got.Equal(want) {
				t.Errorf("NotBefore: got %s, want %s", got, want)
			}
			if got, want := k.Certificate.NotAfter, noon.Add(365*24*time.Hour); !got.Equal(want) {
				t.Errorf("NotAfter: got %s, want %s", got, want)
			}
			if k.Certificate.IsCA || k.Certificate.KeyUsage != x509.KeyUsageDigitalSignature {
				t.Errorf("certificate may do more than sign: CA %t, usage %b", k.Certificate.IsCA, k.Certificate.KeyUsage)
			}
			if err := k.Certificate.CheckSignature(k.Certificate.SignatureAlgorithm, k.Certificate.RawTBSCertificate,
				k.Certificate.Signature); err != nil {
				t.Errorf("self-signature: %v", err)
			}

			pkcs8, err := k.PKCS8()
			if err != nil {
				t.Fatalf("PKCS8: %v", err)
			}
			again, err := certs.Load(k.Certificate.Raw, pkcs8)
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			if again.ID != k.ID || again.Algorithm != k.Algorithm || !again.Owns(k.Certificate) {
				t.Errorf("loaded key differs: got %v, want %v", again, k)
			}
			digest := sha256.Sum256([]byte("message"))
			if _, err := again.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				t.Errorf("sign: %v", err)
			}
		})
	}
}

func TestGenerateRefuses(t *testing.T) {
	year := 365 * 24 * time.Hour
	cases := []struct {
		name, commonName string
		algorithm        certs.Algorithm
		life             time.Duration
		want             string
	}{
		{"unknown algorithm", "x", "rsa-1024", year, "want rsa-3072"},
		{"empty name", "", certs.P256, year, "empty"},
		{"long name", strings.Repeat("x", 65), certs.P256, year, "at most 64"},
		{"control character", "a\nb", certs.P256, year, "control character"},
		{"no life", "x", certs.P256, 0, "life"},
		{"too long a life", "x", certs.P256, 30 * year, "life"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := certs.Generate(c.algorithm, c.commonName, c.life, noon, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func selfSigned(t testing.TB, signer crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: noon,
		NotAfter: noon.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatalf("make certificate: %v", err)
	}
	return der
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("marshal key: %v", err)
	}
	return der
}

// KEY-02: weak, foreign and broken keys are refused, each with its reason.
func TestKEY02LoadRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	one, two := generate(t, certs.P256), generate(t, certs.P256)
	onePKCS8, err := one.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatalf("make weak key: %v", err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name             string
		certificate, key []byte
		want             string
	}{
		{"other certificate", two.Certificate.Raw, onePKCS8, "does not belong"},
		{"broken certificate", []byte("x"), onePKCS8, "parse certificate"},
		{"broken key", one.Certificate.Raw, []byte("secret-looking bytes"), "not a PKCS #8 key"},
		{"empty key", one.Certificate.Raw, nil, "not a PKCS #8 key"},
		{"weak RSA", selfSigned(t, weak), pkcs8(t, weak), "1024 bits"},
		{"other curve", selfSigned(t, p521), pkcs8(t, p521), "P-521"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := certs.Load(c.certificate, c.key)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret-looking") {
				t.Errorf("the error repeats key bytes: %v", err)
			}
		})
	}
}

// token is a signer that keeps its private key, as a hardware token does.
type token struct{ key *ecdsa.PrivateKey }

func (s token) Public() crypto.PublicKey { return s.key.Public() }
func (s token) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(r, digest, o)
}

func TestFromSigner(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := certs.FromSigner(selfSigned(t, token{private}), token{private})
	if err != nil {
		t.Fatalf("FromSigner: %v", err)
	}
	if _, err := k.PKCS8(); err == nil {
		t.Error("PKCS8 of a token's key: got a key, want an error")
	}
	if _, err := certs.FromSigner(k.Certificate.Raw, nil); err == nil {
		t.Error("FromSigner without signer: got a key, want an error")
	}
}

// Nothing that prints a key or a sealer may reach the secret, whatever the verb.
func TestNothingPrintsSecrets(t *testing.T) {
	k := generate(t, certs.P256)
	private := k.Signer.(*ecdsa.PrivateKey)
	scalar, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	sealer, err := certs.NewSealer(secret)
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)),
		slog.New(slog.NewTextHandler(&out, nil))} {
		log.Info("made", "key", k, "value", *k, "sealer", sealer, "by value", *sealer)
	}
	for _, v := range []any{k, *k, sealer, *sealer, struct{ K any }{k}} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
	}
	if err := json.NewEncoder(&out).Encode([]any{k, sealer}); err != nil {
		t.Fatalf("encode as JSON: %v", err)
	}
	number := new(big.Int).SetBytes(scalar)
	for _, bad := range []string{string(secret), fmt.Sprint(secret), fmt.Sprintf("%x", secret), number.String(),
		fmt.Sprintf("%x", scalar), fmt.Sprint(scalar)} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("the output holds a secret:\n%s", out.String())
			break
		}
	}
	if !strings.Contains(out.String(), k.ID) || !strings.Contains(out.String(), "***") {
		t.Errorf("the output names neither key nor that something is left out:\n%s", out.String())
	}
}

// KEY-03: a warning at 90, 60, 30, 14 and 7 days, and when a certificate has ended.
func TestKEY03Warn(t *testing.T) {
	const day = 24 * time.Hour
	cases := []struct {
		left time.Duration
		days int
		due  bool
		want string
	}{
		{400 * day, 400, false, ""},
		{90 * day, 90, false, ""},
		{90*day - time.Second, 89, true, "less than 90 days"},
		{60 * day, 60, true, "less than 90 days"},
		{59 * day, 59, true, "less than 60 days"},
		{29 * day, 29, true, "less than 30 days"},
		{13 * day, 13, true, "less than 14 days"},
		{day, 1, true, "ends in 1 day ("},
		{time.Hour, 0, true, "less than a day"},
		{0, 0, true, "ended within the last day"},
		{-3 * day, -3, true, "ended 3 days ago"},
	}
	for _, c := range cases {
		t.Run(c.left.String(), func(t *testing.T) {
			days, message, due := certs.Warn("signing certificate 01ab", noon.Add(c.left), noon)
			if days != c.days || due != c.due {
				t.Errorf("got %d days, due %t; want %d, %t", days, due, c.days, c.due)
			}
			if !strings.Contains(message, c.want) || (message == "") == due {
				t.Errorf("message: got %q, want it with %q", message, c.want)
			}
		})
	}
}
