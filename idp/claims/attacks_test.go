package claims_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

// TestGenuineTokens: each algorithm passes with the key that is for it, signed by another implementation.
func TestGenuineTokens(t *testing.T) {
	secret := []byte("0123456789abcdefghijklmnopqrstuv")
	shared, err := claims.NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		sign   any
		keys   []claims.Key
	}{
		"ES256": {jwt.SigningMethodES256, keys().ec, parsed(t, publicPEM(t, keys().ec.Public()))},
		"EdDSA": {jwt.SigningMethodEdDSA, keys().ed, parsed(t, publicPEM(t, keys().ed.Public()))},
		"RS256": {jwt.SigningMethodRS256, keys().rsa, parsed(t, publicPEM(t, keys().rsa.Public()))},
		"PS256": {jwt.SigningMethodPS256, keys().rsa, parsed(t, jsonOf(t, jwk(t, keys().rsa.Public(),
			map[string]any{"alg": "PS256"})))},
		"HS256": {jwt.SigningMethodHS256, secret, []claims.Key{shared}},
		"a JWK": {jwt.SigningMethodES256, keys().ec, parsed(t, jsonOf(t, jwk(t, keys().ec.Public(), nil)))},
	} {
		t.Run(name, func(t *testing.T) {
			s := portal(t)
			s.Keys = c.keys
			var steps []string
			got, bad := verifier(t, s).Verify(t.Context(), sign(t, c.method, c.sign, nil, body(nil)), claims.TypeLaunch,
				func(s claims.Step) { steps = append(steps, s.What) })
			if bad != nil {
				t.Fatalf("refused: %s: %s", bad.Reason, bad)
			}
			want := claims.Person{ID: s.PersonID("u-1001"), Login: "portal:u-1001", FirstName: "Ana", LastName: "Díaz",
				Mail: "ana@example.com", Groups: []string{"editors"}, Grants: []claims.Grant{{Account: "a07e1lxqqqo0",
					Role: "account_manager"}}}
			if fmt.Sprint(got.Person) != fmt.Sprint(want) || got.Source != s ||
				!got.Expires.Equal(begin.Add(90*time.Second)) || len(got.Used) != 32 {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if text := strings.Join(steps, " "); text != "form header type issuer key algorithm signature audience claims time "+
				"person" {
				t.Errorf("steps: %s", text)
			}
		})
	}
}

// TestAttacks: each has its own reason (ID-70).
func TestAttacks(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mall := portal(t)
	mall.Name, mall.Issuer, mall.Keys = "mall", "https://mall.example.com", parsed(t, publicPEM(t, &other.PublicKey))
	rsaSource := portal(t)
	rsaSource.Name, rsaSource.Issuer = "rsa", "https://rsa.example.com"
	rsaSource.Keys = parsed(t, publicPEM(t, keys().rsa.Public()))
	v := verifier(t, portal(t), mall, rsaSource)

	ec := func(header map[string]any, changes map[string]any) string {
		return sign(t, jwt.SigningMethodES256, keys().ec, header, body(changes))
	}
	good := ec(nil, nil)
	parts := strings.Split(good, ".")
	fromRSA := body(map[string]any{"iss": rsaSource.Issuer})
	header := `{"alg":"ES256","typ":"ssobridge-launch+jwt"}`
	cases := []struct{ name, token, want string }{
		{"the genuine one", good, ""},
		{"empty", "", claims.ReasonForm},
		{"oversized", good + strings.Repeat("A", claims.MaxToken), claims.ReasonForm},
		{"two parts", parts[0] + "." + parts[1], claims.ReasonForm},
		{"five parts, as of an encrypted one", good + ".a.b", claims.ReasonForm},
		{"JSON serialization", `{"payload":"` + parts[1] + `"}`, claims.ReasonForm},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], claims.ReasonForm},
		{"a line break", parts[0] + "\n." + parts[1] + "." + parts[2], claims.ReasonForm},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, body(nil)),
			claims.ReasonAlgorithm},
		{"alg none in other letters", b64([]byte(`{"alg":"nOnE","typ":"JWT"}`)) + "." + parts[1] + ".",
			claims.ReasonAlgorithm},
		{"HS256 with the public key as secret", sign(t, jwt.SigningMethodHS256, publicPEM(t, keys().rsa.Public()), nil,
			fromRSA), claims.ReasonAlgorithm},
		{"PS256 with a key for RS256", sign(t, jwt.SigningMethodPS256, keys().rsa, nil, fromRSA), claims.ReasonAlgorithm},
		{"RS512", sign(t, jwt.SigningMethodRS512, keys().rsa, nil, fromRSA), claims.ReasonAlgorithm},
		{"the key of another source", sign(t, jwt.SigningMethodES256, other, nil, body(nil)), claims.ReasonSignature},
		{"another source's iss with our key", ec(nil, map[string]any{"iss": mall.Issuer}), claims.ReasonSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", claims.ReasonSignature},
		{"a signature of zeros", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), claims.ReasonSignature},
		{"changed payload", parts[0] + "." + b64(jsonOf(t, body(map[string]any{"sub": "root"}))) + "." + parts[2],
			claims.ReasonSignature},
		{"iss in other letters", ec(nil, map[string]any{"iss": strings.ToUpper(issuer)}), claims.ReasonIssuer},
		{"no iss", ec(nil, map[string]any{"iss": nil}), claims.ReasonIssuer},
		{"iss as a list", ec(nil, map[string]any{"iss": []string{issuer}}), claims.ReasonIssuer},
		{"another audience", ec(nil, map[string]any{"aud": "https://other.example.com"}), claims.ReasonAudience},
		{"two audiences", ec(nil, map[string]any{"aud": []string{ours, "https://other.example.com"}}), claims.ReasonAudience},
		{"audience with a path", ec(nil, map[string]any{"aud": ours + "/launch"}), claims.ReasonAudience},
		{"no audience", ec(nil, map[string]any{"aud": nil}), claims.ReasonAudience},
		{"one audience as a list", ec(nil, map[string]any{"aud": []string{ours}}), ""},
		{"access token", ec(map[string]any{"typ": "at+jwt"}, nil), claims.ReasonType},
		{"back-channel logout token", ec(map[string]any{"typ": "logout+jwt"}, nil), claims.ReasonType},
		{"our own logout token", ec(map[string]any{"typ": claims.TypeLogout}, nil), claims.ReasonType},
		{"no typ", ec(map[string]any{"typ": nil}, nil), claims.ReasonHeader},
		{"typ JWT", ec(map[string]any{"typ": "JWT"}, nil), ""},
		{"ID token by nonce", ec(nil, map[string]any{"nonce": "n"}), claims.ReasonType},
		{"ID token by at_hash", ec(nil, map[string]any{"at_hash": "n"}), claims.ReasonType},
		{"no sub", ec(nil, map[string]any{"sub": nil}), claims.ReasonClaims},
		{"sub as a number", ec(nil, map[string]any{"sub": 7}), claims.ReasonClaims},
		{"sub with a control character", ec(nil, map[string]any{"sub": "u\x00"}), claims.ReasonClaims},
		{"no jti", ec(nil, map[string]any{"jti": nil}), claims.ReasonClaims},
		{"long jti", ec(nil, map[string]any{"jti": strings.Repeat("j", 129)}), claims.ReasonClaims},
		{"jti of 128 bytes", ec(nil, map[string]any{"jti": strings.Repeat("j", 128)}), ""},
		{"no iat", ec(nil, map[string]any{"iat": nil}), claims.ReasonClaims},
		{"no exp", ec(nil, map[string]any{"exp": nil}), claims.ReasonClaims},
		{"exp as a text", ec(nil, map[string]any{"exp": "1"}), claims.ReasonClaims},
		{"exp beyond all times", ec(nil, map[string]any{"exp": 1e300}), claims.ReasonClaims},
		{"valid for 61 s", ec(nil, map[string]any{"exp": begin.Unix() + 61}), claims.ReasonLifetime},
		{"exp before iat", ec(nil, map[string]any{"exp": begin.Unix() - 1}), claims.ReasonLifetime},
		{"expired within the skew", ec(nil, map[string]any{"iat": begin.Unix() - 80, "exp": begin.Unix() - 29}), ""},
		{"expired", ec(nil, map[string]any{"iat": begin.Unix() - 80, "exp": begin.Unix() - 30}), claims.ReasonExpired},
		{"ahead within the skew", ec(nil, map[string]any{"iat": begin.Unix() + 30, "exp": begin.Unix() + 90}), ""},
		{"ahead", ec(nil, map[string]any{"iat": begin.Unix() + 31, "exp": begin.Unix() + 90}), claims.ReasonFuture},
		{"not before, ahead", ec(nil, map[string]any{"nbf": begin.Unix() + 31}), claims.ReasonFuture},
		{"auth_time ahead", ec(nil, map[string]any{"auth_time": begin.Unix() + 31}), claims.ReasonFuture},
		{"times with fractions", ec(nil, map[string]any{"iat": float64(begin.Unix()) + .5}), ""},
		{"kid that is no text", ec(map[string]any{"kid": 7}, nil), claims.ReasonHeader},
		{"kid that is a path, to a nameless pinned key", ec(map[string]any{"kid": "../../dev/null"}, nil), ""},
		{"two payload members of one name", signRaw(t, header, `{"iss":"`+issuer+`","sub":"a","sub":"b"}`),
			claims.ReasonForm},
		{"two header members of one name", signRaw(t, `{"alg":"none","alg":"ES256","typ":"JWT"}`, `{}`), claims.ReasonForm},
		{"nested payload", signRaw(t, header, `{"a":`+strings.Repeat(`[`, 9)+strings.Repeat(`]`, 9)+`}`), claims.ReasonForm},
		{"many values", signRaw(t, header, `{"a":[`+strings.Repeat(`1,`, 1200)+`1]}`), claims.ReasonForm},
		{"a second value behind", signRaw(t, header, `{} {}`), claims.ReasonForm},
		{"payload that is a list", signRaw(t, header, `[]`), claims.ReasonForm},
		{"a nested token", signRaw(t, header, `"`+good+`"`), claims.ReasonForm},
		{"not UTF-8", signRaw(t, header, "{\"sub\":\"\xff\"}"), claims.ReasonForm},
		{"half a surrogate pair", signRaw(t, header, `{"sub":"\ud800"}`), claims.ReasonForm},
		{"mail that is none", ec(nil, map[string]any{"email": "Ana <ana@example.com>"}), claims.ReasonPerson},
		{"groups as a text", ec(nil, map[string]any{"groups": "admins"}), claims.ReasonPerson},
		{"an account with something else", ec(nil, map[string]any{"accounts": []map[string]string{{"account": "a",
			"role": "b", "Account": "c"}}}), claims.ReasonPerson},
	}
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip", "cty"} {
		token := ec(map[string]any{name: "https://evil.test"}, nil)
		cases = append(cases, struct{ name, token, want string }{"header " + name, token, claims.ReasonHeader})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, bad := v.Verify(t.Context(), c.token, claims.TypeLaunch, nil)
			if reasonOf(bad) != c.want || (got == nil) != (bad != nil) {
				t.Errorf("got %+v, %v (%s), want reason %q", got, bad, reasonOf(bad), c.want)
			}
			silent(t, bad)
		})
	}
}

// TestKeysRefused: keys that would make a source weak.
func TestKeysRefused(t *testing.T) {
	private := jwk(t, keys().ec.Public(), map[string]any{"d": "AAAA"})
	point := jwk(t, keys().ec.Public(), map[string]any{"y": b64(make([]byte, 32))})
	same := map[string]any{"keys": []any{jwk(t, keys().ec.Public(), map[string]any{"kid": "k"}),
		jwk(t, keys().ed.Public(), map[string]any{"kid": "k"})}}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"RSA of 1024 bits":     publicPEM(t, keys().small.Public()),
		"another curve":        publicPEM(t, p384.Public()),
		"a private JWK":        jsonOf(t, private),
		"off the curve":        jsonOf(t, point),
		"a secret as a JWK":    []byte(`{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`),
		"two of one kid":       jsonOf(t, same),
		"an alg of others":     jsonOf(t, jwk(t, keys().ec.Public(), map[string]any{"alg": "HS256"})),
		"for encryption":       jsonOf(t, jwk(t, keys().ec.Public(), map[string]any{"use": "enc"})),
		"none":                 []byte(`{"keys":[]}`),
		"a PEM that is no key": []byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
		"nothing":              nil,
	} {
		if got, err := claims.ParseKeys(data); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
	for name, secret := range map[string][]byte{"short": []byte("0123456789"),
		"all the same": bytes.Repeat([]byte{'a'}, 64)} {
		if _, err := claims.NewSecret(secret); err == nil {
			t.Errorf("secret %s: want an error", name)
		}
	}
}

// FuzzToken: whatever is sent, nothing passes that was not signed, nothing panics, and no claim is in an error.
func FuzzToken(f *testing.F) {
	f.Add(es256(f, nil))
	f.Add(es256(f, map[string]any{"aud": "x"}))
	f.Add("a.b.c")
	f.Add(strings.Repeat(".", 9000))
	v := verifier(f, portal(f))
	genuine := es256(f, nil)
	f.Fuzz(func(t *testing.T, text string) {
		got, bad := v.Verify(context.Background(), text, claims.TypeLaunch, nil)
		if (got == nil) == (bad == nil) {
			t.Fatalf("got %v and %v", got, bad)
		}
		if got != nil && strings.Split(text, ".")[1] != strings.Split(genuine, ".")[1] {
			t.Fatalf("passed: %q", text)
		}
	})
}

// TestTester: it shows each check, those behind the time too, and takes no token that can still be used.
func TestTester(t *testing.T) {
	v := verifier(t, portal(t))
	token := es256(t, nil)
	if steps, c, bad := v.Test(t.Context(), token, false); reasonOf(bad) != claims.ReasonLive || c != nil || steps != nil {
		t.Errorf("a valid one: got %v, %v, %v", steps, c, bad)
	}
	if steps, c, bad := v.Test(t.Context(), token, true); bad != nil || c == nil || len(steps) != 11 {
		t.Errorf("a valid one with live: got %d steps, %v, %v", len(steps), c, bad)
	}
	v.Now = func() time.Time { return begin.Add(time.Hour) }
	steps, c, bad := v.Test(t.Context(), token, false)
	if reasonOf(bad) != claims.ReasonExpired || c == nil || len(steps) != 11 || steps[9].Fault == nil ||
		steps[10].What != "person" || !strings.Contains(bad.Detail, "59m") {
		t.Errorf("an expired one: got %+v, %v, %v", steps, c, bad)
	}
	if steps, _, bad := v.Test(t.Context(), es256(t, map[string]any{"aud": "x"}), false); len(steps) != 8 ||
		reasonOf(bad) != claims.ReasonAudience {
		t.Errorf("for another audience: got %+v, %v", steps, bad)
	}
}
