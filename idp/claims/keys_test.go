package claims_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

// keyServer publishes a key set, as told.
type keyServer struct {
	*httptest.Server
	asked atomic.Int64
	body  atomic.Pointer[[]byte] // nil: it fails
	wait  atomic.Pointer[chan struct{}]
}

func newKeyServer(t *testing.T) *keyServer {
	t.Helper()
	k := &keyServer{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		if wait := k.wait.Load(); wait != nil {
			select {
			case <-*wait:
			case <-r.Context().Done():
			}
		}
		data := k.body.Load()
		if data == nil {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(*data) // the client may be gone
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) publish(t *testing.T, all ...map[string]any) {
	t.Helper()
	data := jsonOf(t, map[string]any{"keys": all})
	k.body.Store(&data)
}

func TestKeySets(t *testing.T) {
	server := newKeyServer(t)
	now := begin
	s := portal(t)
	s.Keys, s.JWKS = nil, server.URL
	var failed atomic.Int64
	v := verifier(t, s)
	ring := claims.NewKeys(claims.KeysOptions{AllowInternal: true, AllowLoopbackHTTP: true,
		Now: func() time.Time { return now }, Failed: func(string, error) { failed.Add(1) }})
	v.Keys = ring
	next, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := jwk(t, keys().ec.Public(), map[string]any{"kid": "1", "use": "sig"})
	two := jwk(t, next.Public(), map[string]any{"kid": "2"})
	secret := map[string]any{"kty": "oct", "kid": "s", "k": b64([]byte(strings.Repeat("s", 40)))}
	by := func(kid string, key any) string {
		return sign(t, jwt.SigningMethodES256, key, map[string]any{"kid": kid}, body(nil))
	}
	try := func(what, token, want string, asked int64) {
		t.Helper()
		_, bad := v.Verify(t.Context(), token, claims.TypeLaunch, nil)
		if reasonOf(bad) != want || server.asked.Load() != asked {
			t.Errorf("%s: got %v (%s), asked %d times; want %q, %d", what, bad, reasonOf(bad), server.asked.Load(), want, asked)
		}
	}
	try("while the server fails", by("1", keys().ec), claims.ReasonKeysDown, 1)
	try("again within a minute", by("1", keys().ec), claims.ReasonKeysDown, 1)
	server.publish(t, one, secret)
	now = now.Add(time.Minute)
	try("a known key", by("1", keys().ec), "", 2)
	try("once more", by("1", keys().ec), "", 2)
	try("an unknown kid", by("2", next), claims.ReasonKey, 2)
	try("a shared secret of the set", sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("s", 40)),
		map[string]any{"kid": "s"}, body(nil)), claims.ReasonKey, 2)
	server.publish(t, one, two)
	now = now.Add(59 * time.Second)
	try("still within the minute", by("2", next), claims.ReasonKey, 2)
	now = now.Add(time.Second)
	verifyAt(v, &now)
	fresh := func(kid string, key any) string {
		return sign(t, jwt.SigningMethodES256, key, map[string]any{"kid": kid}, body(map[string]any{"iat": now.Unix(),
			"exp": now.Unix() + 60}))
	}
	try("the new key", fresh("2", next), "", 3)
	server.publish(t, two)
	now = now.Add(10 * time.Minute)
	try("the withdrawn key", fresh("1", keys().ec), claims.ReasonKey, 4)
	try("and not the new one", fresh("2", next), "", 4)
	// Two keys of one kid: which counts would be a matter of order, so the set is refused and the last one serves.
	server.publish(t, two, jwk(t, keys().ec.Public(), map[string]any{"kid": "2"}))
	now = now.Add(10 * time.Minute)
	try("equal kids", fresh("2", keys().ec), claims.ReasonSignature, 5)
	server.body.Store(nil)
	now = now.Add(23 * time.Hour)
	try("the last good set", fresh("2", next), "", 6)
	now = now.Add(time.Hour)
	try("for a day", fresh("2", next), claims.ReasonKeysDown, 7)
	huge := []byte(`{"keys":[{"a":"` + strings.Repeat("a", 300<<10) + `"}]}`)
	server.body.Store(&huge)
	now = now.Add(time.Minute)
	try("a set that grows", fresh("2", next), claims.ReasonKeysDown, 8)
	if failed.Load() == 0 {
		t.Error("no failure was reported")
	}
	server.publish(t, one)
	if st := ring.Refresh(t.Context(), s); st.Err != nil || len(st.Keys) != 1 || server.asked.Load() != 9 {
		t.Errorf("Refresh: got %+v", st)
	}
	try("after a refresh by hand", fresh("1", keys().ec), "", 9)
	// A set from before a revocation serves no more, even where no newer one can be had yet.
	server.publish(t, two)
	now = now.Add(time.Second)
	ring.Distrust(s.Name, now)
	try("from before a revocation, within the minute", fresh("1", keys().ec), claims.ReasonKeysDown, 9)
	now = now.Add(time.Minute)
	try("withdrawn before it", fresh("1", keys().ec), claims.ReasonKey, 10)
	try("published before it", fresh("2", next), "", 10)
	ring.Distrust(s.Name, now.Add(-time.Hour)) // an earlier one changes nothing
	try("an earlier one", fresh("2", next), "", 10)
}

func verifyAt(v *claims.Verifier, now *time.Time) { v.Now = func() time.Time { return *now } }

// TestKeySetHangs: fifty people at once cost a hanging source one request and each of them two seconds at most.
func TestKeySetHangs(t *testing.T) {
	server := newKeyServer(t)
	hang := make(chan struct{})
	server.wait.Store(&hang)
	defer close(hang)
	s := portal(t)
	s.Keys, s.JWKS = nil, server.URL
	v := verifier(t, s)
	v.Keys = claims.NewKeys(claims.KeysOptions{AllowInternal: true, AllowLoopbackHTTP: true,
		Now: func() time.Time { return begin }})
	token, began := es256(t, nil), time.Now()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, bad := v.Verify(t.Context(), token, claims.TypeLaunch, nil); reasonOf(bad) != claims.ReasonKeysDown {
				t.Errorf("got %v, want %s", bad, claims.ReasonKeysDown)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 4*time.Second || server.asked.Load() != 1 {
		t.Errorf("took %s and asked %d times: want about 2 s, and once", took, server.asked.Load())
	}
}

// TestKeySetsGuarded: a key set comes from no internal address that was not allowed.
func TestKeySetsGuarded(t *testing.T) {
	server := newKeyServer(t)
	server.publish(t, jwk(t, keys().ec.Public(), nil))
	s := portal(t)
	s.Keys, s.JWKS = nil, server.URL
	v := verifier(t, s) // allows none
	if _, bad := v.Verify(t.Context(), es256(t, nil), claims.TypeLaunch, nil); reasonOf(bad) != claims.ReasonKeysDown ||
		server.asked.Load() != 0 {
		t.Errorf("got %v, asked %d times", bad, server.asked.Load())
	}
}
