package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

func keyedClient(id string, life time.Duration) store.APIToken {
	t := apiToken(id, life)
	t.Key = "ES256 " + id
	return t
}

func accessToken(id, client string, life time.Duration) store.AccessToken {
	return store.AccessToken{ID: id, Client: client, Hash: hash("access " + id), Scopes: []string{"users:write"},
		ExpiresAt: time.Now().Add(life)}
}

func clientProof(jti string) store.ClientProof {
	return store.ClientProof{Used: hash(jti), EndsAt: time.Now().Add(90 * time.Second)}
}

// testAccessTokens: one proof makes one access token, on however many replicas; a client has a bounded number of them,
// and they end with it, at once. A row that somebody else wrote or changed is none. REST-22
func testAccessTokens(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db, other := open(t, o), open(t, o)
	ctx, s := t.Context(), db.APITokens()
	must(t, s.Add(ctx, keyedClient("robot", time.Hour), event("token-create")))
	must(t, s.Add(ctx, keyedClient("second", time.Hour), event("token-create")))
	must(t, s.Add(ctx, apiToken("plain", time.Hour), event("token-create")))
	if got, err := s.Get(ctx, "robot"); err != nil || got.Key != "ES256 robot" {
		t.Errorf("its key: %+v, %v", got, err)
	}

	// The same proof twenty times on two replicas.
	var group sync.WaitGroup
	var made, used atomic.Int64
	for i := range 20 {
		group.Go(func() {
			tokens := db.APITokens()
			if i%2 == 1 {
				tokens = other.APITokens()
			}
			switch err := tokens.Issue(ctx, accessToken(fmt.Sprint("a", i), "robot", 15*time.Minute), clientProof("jti"),
				event("token-issue")); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, store.ErrTokenUsed):
				used.Add(1)
			default:
				t.Errorf("replica %d: %v", i%2, err)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 || used.Load() != 19 || events(t, db, "token-issue") != 1 {
		t.Errorf("%d made, %d refused, %d events of one proof", made.Load(), used.Load(), events(t, db, "token-issue"))
	}
	// Another client's proof may have the same jti.
	must(t, s.Issue(ctx, accessToken("b", "second", 15*time.Minute), clientProof("jti"), event("token-issue")))
	got, client, err := other.APITokens().Access(ctx, "b")
	if err != nil || client.ID != "second" || !client.Live(time.Now()) || string(got.Hash) != string(hash("access b")) ||
		!slices.Equal(got.Scopes, []string{"users:write"}) || got.Client != "second" {
		t.Errorf("got %+v of %+v, %v", got, client, err)
	}
	for name, c := range map[string]string{"no client": "nosuch", "one without a key": "plain"} {
		if err := s.Issue(ctx, accessToken("c", c, time.Minute), clientProof(name), event("bad")); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("for %s: %v", name, err)
		}
	}
	if err := s.Issue(ctx, accessToken("b", "robot", time.Minute), clientProof("of one id"), event("bad")); !errors.Is(err,
		store.ErrConflict) {
		t.Errorf("an id again: %v", err)
	}
	if _, _, err := s.Access(ctx, "plain"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that is no access token: %v", err)
	}

	// No more than the bound, of many at once; what is refused has not used up its proof.
	var over atomic.Int64
	for i := range store.MaxAccessTokens + 9 {
		group.Go(func() {
			err := []*store.DB{db, other}[i%2].APITokens().Issue(ctx, accessToken(fmt.Sprint("m", i), "robot",
				15*time.Minute), clientProof(fmt.Sprint("many", i)), event("token-issue"))
			if errors.Is(err, store.ErrLimit) {
				over.Add(1)
			} else if err != nil {
				t.Errorf("one of many: %v", err)
			}
		})
	}
	group.Wait()
	count := func(client string) int {
		t.Helper()
		n, err := s.AccessCount(ctx, client)
		must(t, err)
		return n
	}
	if count("robot") != store.MaxAccessTokens || count("second") != 1 || count("plain") != 0 || over.Load() != 10 {
		t.Errorf("counted %d of one and %d of the other, %d refused", count("robot"), count("second"), over.Load())
	}

	raw := rawDB(t, o)
	alter := func(statement string) {
		t.Helper()
		_, err := raw.Exec(statement)
		must(t, err)
	}
	must(t, s.Issue(ctx, accessToken("grown", "second", time.Minute), clientProof("grown"), event("")))
	for _, change := range []string{`scopes = 'keys:write'`, `client = 'robot'`, `expires_at = expires_at + 1`} {
		alter(`UPDATE access_tokens SET ` + change + ` WHERE id = 'grown'`)
		if _, _, err := s.Access(ctx, "grown"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an access token with %s: %v", change, err)
		}
	}
	alter(`UPDATE api_tokens SET public_key = 'ES256 theirs' WHERE id = 'second'`)
	if _, _, err := s.Access(ctx, "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a client with another key: %v", err)
	}
	alter(`UPDATE api_tokens SET public_key = 'ES256 second' WHERE id = 'second'`)

	// Revoked: all of them are gone at once, and there are no new ones.
	must(t, other.APITokens().Revoke(ctx, "robot", event("token-revoke")))
	if _, _, err := s.Access(ctx, "m0"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a revoked client: %v", err)
	}
	if err := s.Issue(ctx, accessToken("late", "robot", time.Minute), clientProof("late"), event("bad")); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("a new one of a revoked client: %v", err)
	}
	// Rotated without an overlap, too; within one the old key still works.
	must(t, s.Rotate(ctx, "second", keyedClient("third", time.Hour), time.Now().Add(time.Minute), event("token-rotate")))
	must(t, s.Issue(ctx, accessToken("d", "second", time.Minute), clientProof("d"), event("token-issue")))
	must(t, s.Issue(ctx, accessToken("e", "third", time.Minute), clientProof("e"), event("token-issue")))
	must(t, s.Rotate(ctx, "third", keyedClient("fourth", time.Hour), time.Now().Add(-time.Second), event("token-rotate")))
	if _, _, err := s.Access(ctx, "e"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of one that was rotated at once: %v", err)
	}
	if n := events(t, db, "bad"); n != 0 {
		t.Errorf("%d events of what was refused", n)
	}
	ahead.Store(int64(20 * time.Minute))
	if n := count("second"); n != 0 {
		t.Errorf("counted %d after all ended", n)
	}
	if n, err := s.Purge(ctx); n != 2 || err != nil {
		t.Errorf("purged %d, %v, want the two of the one that was not revoked", n, err)
	}
	if err := s.Issue(ctx, accessToken("f", "fourth", time.Minute), clientProof("d"), event("token-issue")); err != nil {
		t.Errorf("the jti of another client: %v", err)
	}
}
