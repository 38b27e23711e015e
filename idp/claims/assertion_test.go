package claims_test

import (
	"crypto"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

const (
	endpoint = "https://sso.example.com/api/v1/token"
	client   = "abcdefghij"
)

// signed is an assertion by a library of others; changes of nil take a claim away.
func signed(t testing.TB, method jwt.SigningMethod, key any, header, changes map[string]any) string {
	t.Helper()
	c := jwt.MapClaims{"iss": client, "sub": client, "aud": endpoint, "jti": "j1", "iat": begin.Unix(),
		"exp": begin.Unix() + 60}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	token := jwt.NewWithClaims(method, c)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// An assertion of a client is taken by each algorithm with the key that is for it; what is signed in another way, for
// somebody else, for too long, at another time, or names a key itself is refused. REST-22
func TestAssertion(t *testing.T) {
	t.Parallel()
	key := func(public crypto.PublicKey, more map[string]any) claims.Key {
		t.Helper()
		k := parsed(t, jsonOf(t, jwk(t, public, more)))[0]
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var stored claims.Key // as it comes out of the store
		if err := stored.UnmarshalText(text); err != nil || stored.Alg != k.Alg {
			t.Fatalf("stored %s: %+v, %v", text, stored, err)
		}
		one, _ := k.Thumbprint()
		other, err := stored.Thumbprint()
		if err != nil || string(one) != string(other) || len(one) != 32 {
			t.Errorf("thumbprint %x, stored %x, %v", one, other, err)
		}
		return stored
	}
	ec, rsa := key(keys().ec.Public(), nil), key(keys().rsa.Public(), nil)
	verify := func(text string, k claims.Key) (used []byte, ends time.Time, bad *claims.Fault) {
		a, bad := claims.ParseAssertion(text)
		if bad != nil {
			return nil, ends, bad
		}
		return a.Verify(k, endpoint, begin, 30*time.Second)
	}
	for name, c := range map[string]struct {
		text string
		key  claims.Key
	}{
		"ES256": {signed(t, jwt.SigningMethodES256, keys().ec, nil, nil), ec},
		"EdDSA": {signed(t, jwt.SigningMethodEdDSA, keys().ed, nil, nil), key(keys().ed.Public(), nil)},
		"RS256": {signed(t, jwt.SigningMethodRS256, keys().rsa, nil, nil), rsa},
		"PS256": {signed(t, jwt.SigningMethodPS256, keys().rsa, nil, nil),
			key(keys().rsa.Public(), map[string]any{"alg": "PS256"})},
		"aud as a list": {signed(t, jwt.SigningMethodES256, keys().ec, nil, map[string]any{"aud": []string{endpoint}}), ec},
		"the new typ": {signed(t, jwt.SigningMethodES256, keys().ec, map[string]any{"typ": "client-authentication+jwt"},
			nil), ec},
		"a clock ahead": {signed(t, jwt.SigningMethodES256, keys().ec, nil, map[string]any{"iat": begin.Unix() + 30,
			"exp": begin.Unix() + 90}), ec},
	} {
		if used, ends, bad := verify(c.text, c.key); bad != nil || len(used) != 32 || ends.Before(begin.Add(90*time.Second)) {
			t.Errorf("%s: %x until %s, %v", name, used, ends, bad)
		}
	}
	es := func(header, changes map[string]any) string {
		return signed(t, jwt.SigningMethodES256, keys().ec, header, changes)
	}
	hs := func(public crypto.PublicKey) string {
		return signed(t, jwt.SigningMethodHS256, publicPEM(t, public), nil, nil)
	}
	good := es(nil, nil)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(good, ".")[1] + "."
	for name, c := range map[string]struct {
		text, reason string
		key          claims.Key
	}{
		"alg none":                  {none, claims.ReasonAlgorithm, ec},
		"HS256 with the public key": {hs(keys().ec.Public()), claims.ReasonAlgorithm, ec},
		"HS256 with the RSA key":    {hs(keys().rsa.Public()), claims.ReasonAlgorithm, rsa},
		"PS256 by a key for RS256":  {signed(t, jwt.SigningMethodPS256, keys().rsa, nil, nil), claims.ReasonAlgorithm, rsa},
		"another key":               {signed(t, jwt.SigningMethodES256, keys().ec, nil, nil), claims.ReasonAlgorithm, rsa},
		"a changed signature":       {good[:len(good)-4] + "AAAA", claims.ReasonSignature, ec},
		"without a signature":       {good[:strings.LastIndexByte(good, '.')+1], claims.ReasonSignature, ec},
		"two parts":                 {good[:strings.LastIndexByte(good, '.')], claims.ReasonForm, ec},
		"of another's aud":          {es(nil, map[string]any{"aud": ours}), claims.ReasonAudience, ec},
		"of two auds":               {es(nil, map[string]any{"aud": []string{endpoint, ours}}), claims.ReasonAudience, ec},
		"without aud":               {es(nil, map[string]any{"aud": nil}), claims.ReasonAudience, ec},
		"sub of another":            {es(nil, map[string]any{"sub": "other"}), claims.ReasonClaims, ec},
		"without sub":               {es(nil, map[string]any{"sub": nil}), claims.ReasonClaims, ec},
		"without iss":               {es(nil, map[string]any{"iss": nil}), claims.ReasonIssuer, ec},
		"without jti":               {es(nil, map[string]any{"jti": nil}), claims.ReasonClaims, ec},
		"a long jti":                {es(nil, map[string]any{"jti": strings.Repeat("x", 129)}), claims.ReasonClaims, ec},
		"without iat":               {es(nil, map[string]any{"iat": nil}), claims.ReasonClaims, ec},
		"without exp":               {es(nil, map[string]any{"exp": nil}), claims.ReasonClaims, ec},
		"for 61 seconds":            {es(nil, map[string]any{"exp": begin.Unix() + 61}), claims.ReasonLifetime, ec},
		"exp before iat":            {es(nil, map[string]any{"exp": begin.Unix() - 1}), claims.ReasonLifetime, ec},
		"over": {es(nil, map[string]any{"iat": begin.Unix() - 90, "exp": begin.Unix() - 30}), claims.ReasonExpired,
			ec},
		"of the future": {es(nil, map[string]any{"iat": begin.Unix() + 31, "exp": begin.Unix() + 60}), claims.ReasonFuture,
			ec},
		"not before later": {es(nil, map[string]any{"nbf": begin.Unix() + 31}), claims.ReasonFuture, ec},
		"a launch token":   {es(map[string]any{"typ": claims.TypeLaunch}, nil), claims.ReasonType, ec},
		"jwk":              {es(map[string]any{"jwk": jwk(t, keys().ec.Public(), nil)}, nil), claims.ReasonHeader, ec},
		"jku":              {es(map[string]any{"jku": "https://evil.example"}, nil), claims.ReasonHeader, ec},
		"x5u":              {es(map[string]any{"x5u": "https://evil.example"}, nil), claims.ReasonHeader, ec},
		"x5c":              {es(map[string]any{"x5c": []string{"x"}}, nil), claims.ReasonHeader, ec},
		"crit":             {es(map[string]any{"crit": []string{"exp"}}, nil), claims.ReasonHeader, ec},
		"b64":              {es(map[string]any{"b64": false}, nil), claims.ReasonHeader, ec},
		"nothing":          {"", claims.ReasonForm, ec},
		"too long":         {strings.Repeat("x", claims.MaxToken+1), claims.ReasonForm, ec},
	} {
		if _, _, bad := verify(c.text, c.key); bad == nil || bad.Reason != c.reason {
			t.Errorf("%s: %+v, want %s", name, bad, c.reason)
		}
	}
	secret, err := claims.NewSecret([]byte("0123456789abcdefghijklmnopqrstuv"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, bad := verify(signed(t, jwt.SigningMethodHS256, []byte("0123456789abcdefghijklmnopqrstuv"), nil, nil),
		secret); bad == nil {
		t.Error("a secret is taken as a client's key")
	}
	if _, err := secret.MarshalText(); err == nil {
		t.Error("a secret can be stored")
	}
	for _, text := range []string{"", "ES256", "ES256 AAAA", "RS256 !", "HS256 c2VjcmV0"} {
		if err := new(claims.Key).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as a key", text)
		}
	}
}
