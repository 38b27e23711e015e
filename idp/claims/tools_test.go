package claims_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

const (
	ours   = "https://sso.example.com"
	issuer = "https://portal.example.com"
)

var begin = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

// keys are made once: RSA keys take their time.
var keys = sync.OnceValue(func() (k struct {
	ec    *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
	rsa   *rsa.PrivateKey
	small *rsa.PrivateKey
}) {
	var err error
	check := func() {
		if err != nil {
			panic(err)
		}
	}
	k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check()
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	check()
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	check()
	k.small, err = rsa.GenerateKey(rand.Reader, 1024) // what is refused
	check()
	return k
})

func publicPEM(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// jwk is the JWK of a public key with further members.
func jwk(t testing.TB, public crypto.PublicKey, more map[string]any) map[string]any {
	t.Helper()
	var o map[string]any
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		o = map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		o = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(p)}
	case *rsa.PublicKey:
		o = map[string]any{"kty": "RSA", "n": b64(p.N.Bytes()), "e": b64(big.NewInt(int64(p.E)).Bytes())}
	}
	maps.Copy(o, more)
	return o
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parsed(t testing.TB, data []byte) []claims.Key {
	t.Helper()
	all, err := claims.ParseKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// portal is a source with one pinned EC key.
func portal(t testing.TB) *claims.Source {
	t.Helper()
	return &claims.Source{
		Name: "portal", Issuer: issuer, Subject: claims.Own, Keys: parsed(t, publicPEM(t, keys().ec.Public())),
		AllowAccounts: []string{"a07e1lxqqqo0", "a07f*"}, AllowRoles: []string{"account_manager"},
		Claims: claims.Names{FirstName: "given_name", LastName: "family_name", Mail: "email", Login: "preferred_username",
			Groups: "groups", Accounts: "accounts"},
		Skew: 30 * time.Second, MaxStale: 24 * time.Hour,
	}
}

func verifier(t testing.TB, sources ...*claims.Source) *claims.Verifier {
	t.Helper()
	for _, s := range sources {
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	now := func() time.Time { return begin }
	return &claims.Verifier{Sources: sources, Audience: ours, Now: now, Keys: claims.NewKeys(claims.KeysOptions{Now: now})}
}

// body is what a token says; changes replace or, with nil, remove claims.
func body(changes map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": issuer, "aud": ours, "sub": "u-1001", "iat": begin.Unix(), "exp": begin.Unix() + 60, "jti": "one",
		"given_name": "Ana", "family_name": "Díaz", "email": "ana@example.com", "groups": []string{"editors"},
		"accounts": []map[string]string{{"account": "a07e1lxqqqo0", "role": "account_manager"}},
	}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

// sign makes a token by the other implementation.
func sign(t testing.TB, method jwt.SigningMethod, key any, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	token.Header["typ"] = claims.TypeLaunch
	for name, value := range header {
		if token.Header[name] = value; value == nil {
			delete(token.Header, name)
		}
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signRaw signs any header and payload with the EC key.
func signRaw(t testing.TB, header, payload string) string {
	t.Helper()
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	signature, err := jwt.SigningMethodES256.Sign(signed, keys().ec)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

func es256(t testing.TB, changes map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodES256, keys().ec, nil, body(changes))
}

func reasonOf(f *claims.Fault) string {
	if f == nil {
		return ""
	}
	return f.Reason
}

// silent fails where a fault has the value of a claim in it.
func silent(t testing.TB, f *claims.Fault) {
	t.Helper()
	if f == nil {
		return
	}
	for _, value := range []string{"u-1001", "Ana", "Díaz", "ana@example.com", "editors", "a07e1lxqqqo0"} {
		if strings.Contains(f.Detail, value) {
			t.Errorf("the fault %q has the value of a claim", f.Detail)
		}
	}
}
