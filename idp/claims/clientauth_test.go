package claims_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

func pemOf(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TestOpenIDPrivateKey (ID-78): the bridge proves itself by a token of a minute that it signs, for this provider alone
// and once; no secret goes out, and a provider that does not take it gets no code.
func TestOpenIDPrivateKey(t *testing.T) {
	for name, c := range map[string]struct {
		key     any
		public  any
		alg     string
		atToken bool
	}{
		"ES256":              {keys().ec, keys().ec.Public(), "ES256", false},
		"RS256":              {keys().rsa, keys().rsa.Public(), "RS256", false},
		"for token_endpoint": {keys().ec, keys().ec.Public(), "ES256", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newOP(t)
			p.nonce = theAsk.Nonce
			p.document = map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}
			s := p.source()
			key, err := claims.ParseClientKey(pemOf(t, c.key), "k-1", c.atToken)
			if err != nil {
				t.Fatal(err)
			}
			s.OpenID.ClientSecret, s.OpenID.Key = "", key
			jtis := map[any]bool{}
			for range 2 {
				if _, bad := p.redeem(t, s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL}); bad != nil {
					t.Fatal(bad)
				}
				form := p.redeemed[len(p.redeemed)-1]
				if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" ||
					form.Get("client_id") != clientID || form.Has("client_secret") || form.Get("code_verifier") == "" ||
					p.secrets[len(p.secrets)-1] != "  " {
					t.Errorf("the call has %v, %q", form, p.secrets)
				}
				want := p.URL
				if c.atToken {
					want += "/token"
				}
				token, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return c.public, nil },
					jwt.WithValidMethods([]string{c.alg}), jwt.WithAudience(want), jwt.WithIssuer(clientID),
					jwt.WithSubject(clientID), jwt.WithTimeFunc(func() time.Time { return begin }), jwt.WithIssuedAt())
				if err != nil {
					t.Fatal(err)
				}
				said := token.Claims.(jwt.MapClaims)
				if token.Header["kid"] != "k-1" || said["exp"] != float64(begin.Unix()+60) || said["jti"] == "" {
					t.Errorf("header %v, claims %v", token.Header, said)
				}
				jtis[said["jti"]] = true
			}
			if len(jtis) != 2 {
				t.Errorf("one jti for two calls: %v", jtis)
			}
			for what, document := range map[string]map[string]any{
				"not taken": {"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}},
				"not said":  {},
				"another sort": {"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
					"token_endpoint_auth_signing_alg_values_supported": []string{"PS512"}},
			} {
				p.document = document
				before := len(p.redeemed)
				if _, bad := p.redeem(t, s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL}); reasonOf(bad) !=
					claims.ReasonProviderDown || len(p.redeemed) != before {
					t.Errorf("%s: %v, and %d calls", what, bad, len(p.redeemed)-before)
				}
			}
		})
	}
}

func TestParseClientKey(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // G403: it is refused
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := pemOf(t, keys().ec)
	sec1, err := x509.MarshalECPrivateKey(keys().ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		id   string
		want string
	}{
		"good": {good, "", ""}, "PKCS #1": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
			Bytes: x509.MarshalPKCS1PrivateKey(keys().rsa)}), "", ""},
		"SEC 1":     {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), "", ""},
		"nothing":   {nil, "", "one private key"},
		"two":       {append(append([]byte{}, good...), good...), "", "nothing beside it"},
		"encrypted": {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: sec1}), "", "encrypted"},
		"cut":       {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: sec1[:20]}), "", "can't be read"},
		"small":     {pemOf(t, small), "", "1024 bits"},
		"P-384":     {pemOf(t, p384), "", "P-256"},
		"Ed25519":   {pemOf(t, keys().ed), "", "neither"},
		"id":        {good, strings.Repeat("a", 300), "key's id"},
	} {
		_, err := claims.ParseClientKey(c.data, c.id, false)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
