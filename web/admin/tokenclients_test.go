package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/store"
	"ssobridge/web/admin"
)

const tokenEndpoint = "https://sso.example.com/api/v1/token"

// keyPair is a key on P-256 with its public half in PEM.
func keyPair(t testing.TB) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, publicText(t, key.Public())
}

func publicText(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func asserted(t testing.TB, key *ecdsa.PrivateKey, id string, at time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": id, "sub": id, "aud": tokenEndpoint,
		"jti": rand.Text(), "iat": at.Unix(), "exp": at.Unix() + 60}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A client with a key gets access tokens that may do no more than it, for a quarter of an hour, and that end with it.
// Whoever has not its key gets none. REST-22
func TestKeyedClient(t *testing.T) {
	_, tokens, pass := newTokens(t)
	ctx, all := t.Context(), admin.Everything()
	key, public := keyPair(t)
	in := admin.TokenInput{Name: "crm", Scopes: []string{admin.UsersRead, admin.AccountsRead}, Life: 24 * time.Hour,
		PublicKey: public, Networks: []string{"192.0.2.7"}}
	made, err := tokens.Create(ctx, all, in, admined())
	if err != nil || made.Text != "" || made.Algorithm != "ES256" || len(made.Thumbprint) != 43 {
		t.Fatalf("made %+v, %v", made, err)
	}
	exchange := func(assertion string, scopes ...string) (admin.AccessToken, *admin.ClientFault) {
		t.Helper()
		got, bad, err := tokens.Exchange(ctx, admin.Exchange{Assertion: assertion, Audience: tokenEndpoint, Scopes: scopes,
			Address: "192.0.2.7"})
		if err != nil {
			t.Fatal(err)
		}
		return got, bad
	}
	refused := func(what, reason string, proved bool, bad *admin.ClientFault) {
		t.Helper()
		if bad == nil || bad.Reason != reason || bad.Proved != proved || bad.Cause == "" || bad.Fix == "" {
			t.Errorf("%s: %+v, want %s", what, bad, reason)
		}
	}
	first := asserted(t, key, made.ID, tokens.Now())
	whole, bad := exchange(first)
	if bad != nil || admin.TokenID(whole.Text) == "" || len(whole.Scopes) != 2 ||
		whole.Expires.Sub(tokens.Now()) != 15*time.Minute {
		t.Fatalf("got %+v, %+v", whole, bad)
	}
	c, err := tokens.Prove(ctx, whole.Text, "192.0.2.7")
	if err != nil || !c.May(admin.UsersRead) || c.May(admin.UsersWrite) || c.Actor() != "token:"+made.ID {
		t.Errorf("proved %+v, %v", c, err)
	}
	if _, err := tokens.Prove(ctx, whole.Text, "192.0.2.8"); !errors.Is(err, admin.ErrTokenNetwork) {
		t.Errorf("from elsewhere: %v", err)
	}
	narrow, bad := exchange(asserted(t, key, made.ID, tokens.Now()), admin.UsersRead)
	if bad != nil {
		t.Fatal(bad)
	}
	if c, err := tokens.Prove(ctx, narrow.Text, "192.0.2.7"); err != nil || c.May(admin.AccountsRead) ||
		!c.May(admin.UsersRead) {
		t.Errorf("narrowed: %+v, %v", c, err)
	}

	_, bad = exchange(first)
	refused("once more", admin.ClientUsed, true, bad)
	_, bad = exchange(asserted(t, key, made.ID, tokens.Now()), admin.UsersRead, admin.KeysWrite)
	refused("a scope that it lacks", admin.ClientScope, true, bad)
	_, bad, err = tokens.Exchange(ctx, admin.Exchange{Assertion: asserted(t, key, made.ID, tokens.Now()),
		Audience: tokenEndpoint, Address: "192.0.2.8"})
	refused("from elsewhere", admin.ClientNetwork, true, bad)
	if err != nil {
		t.Error(err)
	}
	stranger, _ := keyPair(t)
	_, bad = exchange(asserted(t, stranger, made.ID, tokens.Now()))
	refused("another's key", admin.ClientKey, false, bad)
	_, bad = exchange(asserted(t, key, "abcdefghij", tokens.Now()))
	refused("nobody", admin.ClientUnknown, false, bad)
	_, bad = exchange(asserted(t, key, made.ID+"'", tokens.Now()))
	refused("no id", admin.ClientUnknown, false, bad)
	_, bad = exchange(asserted(t, key, made.ID, tokens.Now().Add(-2*time.Minute)))
	refused("over", admin.ClientTime, false, bad)
	_, bad = exchange(whole.Text)
	refused("its access token", admin.ClientForm, false, bad)
	plain, err := tokens.Create(ctx, all, admin.TokenInput{Name: "x", Scopes: in.Scopes, Life: time.Hour}, admined())
	if err != nil {
		t.Fatal(err)
	}
	_, bad = exchange(asserted(t, key, plain.ID, tokens.Now()))
	refused("a token without a key", admin.ClientUnknown, false, bad)

	// In the list it is one line, with a count.
	list, err := tokens.List(ctx, all)
	if err != nil || len(list) != 2 {
		t.Fatalf("listed %+v, %v", list, err)
	}
	for _, row := range list {
		if want := map[string]int{made.ID: 2}[row.ID]; row.Access != want || row.ID == made.ID && row.UsedAt.IsZero() {
			t.Errorf("listed %+v, want %d access tokens", row, want)
		}
	}
	for i := len(list); i <= store.MaxAccessTokens; i++ {
		exchange(asserted(t, key, made.ID, tokens.Now()))
	}
	_, bad = exchange(asserted(t, key, made.ID, tokens.Now()))
	refused("too many", admin.ClientLimit, true, bad)

	// Rotated: another key, another id; the old one's tokens last as long as it does.
	if _, err := tokens.Rotate(ctx, all, made.ID, admin.Rotation{PublicKey: public}, admined()); err == nil {
		t.Error("rotated to the same key")
	}
	if _, err := tokens.Rotate(ctx, all, made.ID, admin.Rotation{}, admined()); err == nil {
		t.Error("rotated to a token")
	}
	nextKey, nextPublic := keyPair(t)
	if _, err := tokens.Rotate(ctx, all, plain.ID, admin.Rotation{PublicKey: nextPublic}, admined()); err == nil {
		t.Error("a token was rotated to a key")
	}
	next, err := tokens.Rotate(ctx, all, made.ID, admin.Rotation{Overlap: 5 * time.Minute, PublicKey: nextPublic},
		admined())
	if err != nil || next.Text != "" || next.ID == made.ID || next.Thumbprint == made.Thumbprint {
		t.Fatalf("rotated: %+v, %v", next, err)
	}
	_, bad = exchange(asserted(t, key, next.ID, tokens.Now()))
	refused("the old key for the new id", admin.ClientKey, false, bad)
	fresh, bad := exchange(asserted(t, nextKey, next.ID, tokens.Now()))
	if bad != nil {
		t.Fatal(bad)
	}
	if _, err := tokens.Prove(ctx, whole.Text, "192.0.2.7"); err != nil {
		t.Errorf("in the overlap: %v", err)
	}
	pass(6 * time.Minute)
	if _, err := tokens.Prove(ctx, whole.Text, "192.0.2.7"); !errors.Is(err, admin.ErrNoToken) {
		t.Errorf("after the overlap: %v", err)
	}
	// Revoked: the next call is refused.
	if _, err := tokens.Prove(ctx, fresh.Text, "192.0.2.7"); err != nil {
		t.Errorf("of the new one: %v", err)
	}
	if err := tokens.Revoke(ctx, all, next.ID, admined()); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Prove(ctx, fresh.Text, "192.0.2.7"); !errors.Is(err, admin.ErrNoToken) {
		t.Errorf("of a revoked client: %v", err)
	}
	_, bad = exchange(asserted(t, nextKey, next.ID, tokens.Now()))
	refused("revoked", admin.ClientUnknown, false, bad)
	for action, want := range map[string]int{"token-issue": 21, "token-create": 2, "token-rotate": 1} {
		found, err := tokens.Store.Audit().List(ctx, store.Filter{Action: action})
		if err != nil || len(found) != want {
			t.Errorf("%d events of %s, want %d, %v", len(found), action, want, err)
		}
		for _, e := range found {
			if strings.Contains(string(e.Detail), "ssob_") || action == "token-issue" && (e.Actor != "token:"+e.Subject ||
				!strings.Contains(string(e.Detail), "thumbprint")) {
				t.Errorf("event %+v", e)
			}
		}
	}
}

// An access token is over after a quarter of an hour, and never outlives its client.
func TestAccessTokenEnds(t *testing.T) {
	_, tokens, pass := newTokens(t)
	ctx := t.Context()
	key, public := keyPair(t)
	for name, life := range map[string]time.Duration{"long": time.Hour, "short": 10 * time.Minute} {
		made, err := tokens.Create(ctx, admin.Everything(), admin.TokenInput{Name: name, Scopes: []string{admin.StatusRead},
			Life: life, PublicKey: public}, admined())
		if err != nil {
			t.Fatal(err)
		}
		got, bad, err := tokens.Exchange(ctx, admin.Exchange{Assertion: asserted(t, key, made.ID, tokens.Now()),
			Audience: tokenEndpoint})
		if err != nil || bad != nil {
			t.Fatal(bad, err)
		}
		lasts := min(life, 15*time.Minute)
		if left := got.Expires.Sub(tokens.Now()); left > lasts || left < lasts-time.Second {
			t.Errorf("%s: it lasts %s", name, left)
		}
		pass(lasts - time.Second)
		if _, err := tokens.Prove(ctx, got.Text, ""); err != nil {
			t.Errorf("%s: a second before its end: %v", name, err)
		}
		pass(time.Second)
		if _, err := tokens.Prove(ctx, got.Text, ""); !errors.Is(err, admin.ErrNoToken) {
			t.Errorf("%s: at its end: %v", name, err)
		}
	}
}

// Keys that can't be a client's are refused with the field at fault, and a privileged scope needs somebody who vouches.
func TestClientKeyFaults(t *testing.T) {
	_, tokens, _ := newTokens(t)
	key, public := keyPair(t)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no key": "hello", "two keys": public + publicText(t, mustKey(t).Public()), "the same twice": public + public,
		"a private key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"another curve": publicText(t, other.Public()), "a small RSA key": publicText(t, small.Public()),
		"a secret": `{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`, "much": strings.Repeat(public, 200),
	} {
		_, err := tokens.Create(t.Context(), admin.Everything(), admin.TokenInput{Name: "x",
			Scopes: []string{admin.StatusRead}, Life: time.Hour, PublicKey: text}, admined())
		if e, ok := admin.AsError(err); !ok || e.Field != "key" || strings.Contains(e.Fault, "PRIVATE KEY-") {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := admin.TokenInput{Name: "x", Scopes: []string{admin.KeysWrite}, Life: time.Hour, PublicKey: public}
	if _, err := tokens.Create(t.Context(), admin.Everything(), in, admined()); err == nil {
		t.Error("a privileged client was made with nobody who vouches")
	}
	in.VouchedBy, in.Life = "p", 31*24*time.Hour
	if _, err := tokens.Create(t.Context(), admin.Everything(), in, admined()); err == nil {
		t.Error("a privileged client was made for more than 30 days")
	}
}

// A client's next key is another one: the same RSA key for another algorithm is none.
func TestRotateToTheSameKey(t *testing.T) {
	_, tokens, _ := newTokens(t)
	ctx, all := t.Context(), admin.Everything()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	made, err := tokens.Create(ctx, all, admin.TokenInput{Name: "x", Scopes: []string{admin.StatusRead}, Life: time.Hour,
		PublicKey: publicText(t, key.Public())}, admined())
	if err != nil || made.Algorithm != "RS256" {
		t.Fatalf("made %+v, %v", made, err)
	}
	for _, alg := range []string{"RS256", "PS256"} {
		same := fmt.Sprintf(`{"kty":"RSA","alg":%q,"n":%q,"e":"AQAB"}`, alg,
			base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
		_, err := tokens.Rotate(ctx, all, made.ID, admin.Rotation{PublicKey: same}, admined())
		if e, ok := admin.AsError(err); !ok || e.Field != "key" || !strings.Contains(e.Fault, "is the one") {
			t.Errorf("the same key for %s: %v", alg, err)
		}
	}
}

func mustKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, _ := keyPair(t)
	return key
}
