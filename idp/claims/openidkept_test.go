package claims_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

// memory keeps key sets as the store does.
type memory struct {
	content map[string][]byte
	fetched map[string]time.Time
}

func (m *memory) Load(_ context.Context, source string) ([]byte, time.Time, error) {
	return m.content[source], m.fetched[source], nil
}

func (m *memory) Keep(_ context.Context, source string, content []byte, fetched time.Time) error {
	m.content[source], m.fetched[source] = content, fetched
	return nil
}

// TestOpenIDKept (ID-77): what a provider said of itself, and its keys, outlive a start while it is down: logout tokens
// are verified and the way to it is known, within jwks_max_stale and by the settings as they are then.
func TestOpenIDKept(t *testing.T) {
	p := newOP(t)
	now := begin
	kept := &memory{content: map[string][]byte{}, fetched: map[string]time.Time{}}
	started := func() (*claims.Client, *claims.Keys) {
		ring := claims.NewKeys(claims.KeysOptions{AllowLoopbackHTTP: true, Now: func() time.Time { return now }, Kept: kept})
		return claims.NewClient(ring), ring
	}
	c, _ := started()
	if _, bad := c.Address(t.Context(), p.source(), theAsk); bad != nil {
		t.Fatal(bad)
	}
	logout := sign(t, jwt.SigningMethodES256, keys().ec, map[string]any{"kid": "1", "typ": "logout+jwt"}, jwt.MapClaims{
		"iss": p.URL, "aud": clientID, "iat": begin.Unix(), "exp": begin.Unix() + 3600, "jti": "j-1", "sid": "s-1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
	p.Close()
	c, _ = started()
	if _, bad := c.LogoutToken(t.Context(), p.source(), logout); bad != nil {
		t.Errorf("a logout token: %v", bad)
	}
	c, _ = started()
	if address, bad := c.Address(t.Context(), p.source(), theAsk); bad != nil || address == "" {
		t.Errorf("an address: %v", bad)
	}
	refused := func(what string, s *claims.Source, ring func(*claims.Keys)) {
		t.Helper()
		c, keys := started()
		if ring != nil {
			ring(keys)
		}
		if _, bad := c.Address(t.Context(), s, theAsk); reasonOf(bad) != claims.ReasonProviderDown {
			t.Errorf("%s: got %v, want %s", what, bad, claims.ReasonProviderDown)
		}
	}
	s := p.source()
	s.Issuer += "/other"
	refused("another issuer", s, nil)
	refused("a revocation since", p.source(), func(k *claims.Keys) { k.Distrust("workforce", begin.Add(time.Second)) })
	now = begin.Add(23 * time.Hour)
	c, _ = started()
	if _, bad := c.Address(t.Context(), p.source(), theAsk); bad != nil {
		t.Errorf("within a day: %v", bad)
	}
	now = begin.Add(25 * time.Hour)
	refused("after a day", p.source(), nil)
	// What is kept is read by the same checks as what was fetched.
	now = begin
	kept.content["workforce"] = []byte(`{"issuer":"` + p.URL + `","address":"","keys":[],"document":"e30="}`)
	refused("a document that says nothing", p.source(), nil)
}

// TestOpenIDHintBounds: a hint that is no text of ours goes nowhere.
func TestOpenIDHintBounds(t *testing.T) {
	p := newOP(t)
	now := begin
	c, _ := openID(t, &now, p.source())
	for hint, want := range map[string]bool{"ana@example.com": true, "": false, "a\x00b": false,
		strings.Repeat("a", 300): false} {
		ask := theAsk
		ask.Hint = hint
		address, bad := c.Address(t.Context(), p.source(), ask)
		if bad != nil || strings.Contains(address, "login_hint=") != want {
			t.Errorf("%q: %s, %v", hint, address, bad)
		}
	}
}

// TestOpenIDKeptUnreadable: what is kept and can't be read by the settings as they are is looked at once, not for each
// token that a stranger makes up while the provider is down.
func TestOpenIDKeptUnreadable(t *testing.T) {
	p := newOP(t)
	p.Close()
	now := begin
	kept := &memory{content: map[string][]byte{}, fetched: map[string]time.Time{"workforce": begin}}
	kept.content["workforce"] = []byte(`{"issuer":"` + p.URL + `","address":"","keys":[],"document":"e30="}`)
	told := 0
	ring := claims.NewKeys(claims.KeysOptions{AllowLoopbackHTTP: true, Now: func() time.Time { return now }, Kept: kept,
		Failed: func(string, error) { told++ }})
	for range 20 {
		if _, bad := ring.Find(t.Context(), p.source(), "1"); reasonOf(bad) != claims.ReasonKeysDown {
			t.Fatalf("got %v", bad)
		}
	}
	if told > 3 { // the first look, the fetch, and the look after it
		t.Errorf("the log was told %d times", told)
	}
}

// TestOpenIDPassiveAgain: a provider that could not be asked at a start is asked again a minute later, also where what
// is kept is young: people who are to be signed in without a page are not refused for as long as that serves.
func TestOpenIDPassiveAgain(t *testing.T) {
	p := newOP(t)
	now := begin
	kept := &memory{content: map[string][]byte{}, fetched: map[string]time.Time{}}
	started := func() *claims.Client {
		return claims.NewClient(claims.NewKeys(claims.KeysOptions{AllowLoopbackHTTP: true,
			Now: func() time.Time { return now }, Kept: kept}))
	}
	ask := theAsk
	ask.Passive = true
	if _, bad := started().Address(t.Context(), p.source(), ask); bad != nil {
		t.Fatal(bad)
	}
	p.mu.Lock()
	p.document = map[string]any{"issuer": "https://elsewhere.example"}
	p.mu.Unlock()
	c := started()
	if _, bad := c.Address(t.Context(), p.source(), ask); reasonOf(bad) != claims.ReasonProviderDown {
		t.Errorf("while it can't be asked: %v", bad)
	}
	p.mu.Lock()
	p.document = nil
	p.mu.Unlock()
	now = begin.Add(2 * time.Minute)
	if _, bad := c.Address(t.Context(), p.source(), ask); bad != nil {
		t.Errorf("a minute later: %v", bad)
	}
}
