package claims

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ssobridge/idp/fetch"
)

// Bounds of a fetched key set.
const (
	maxJWKS      = 256 << 10
	fetchEvery   = time.Minute      // at most, whatever asks for it
	fetchAgain   = 10 * time.Minute // so a key that was withdrawn is used no longer
	fetchTimeout = 10 * time.Second
	patience     = 2 * time.Second // in a person's way
)

// errJWKSTooLarge is the fault of a key set over maxJWKS.
var errJWKSTooLarge = fmt.Errorf("it has more than %d bytes", maxJWKS)

// KeysOptions for NewKeys.
type KeysOptions struct {
	AllowInternal     bool // key sets may come from internal addresses
	AllowLoopbackHTTP bool
	Now               func() time.Time
	// Failed is called for each fetch that failed, and where a set could not be kept or loaded, for the log; nil: nothing
	// is called.
	Failed func(source string, err error)
	// Kept keeps the sets beyond the process; nil: they are in memory alone.
	Kept Kept
}

// Kept keeps the public keys that were last fetched for a source, for all replicas. It is trusted: what comes out of it
// verifies tokens.
type Kept interface {
	// Load returns what is kept of a source, and when it was fetched; a zero time: nothing is.
	Load(ctx context.Context, source string) (content []byte, fetched time.Time, err error)
	// Keep keeps it, unless something younger is kept.
	Keep(ctx context.Context, source string, content []byte, fetched time.Time) error
}

// Keys are the keys of all sources: pinned ones, and sets that are fetched when they are needed. What was fetched is in
// memory, and that of signed launches is kept beyond it, so that a start does not need the source's server. It is safe
// for concurrent use.
type Keys struct {
	o       KeysOptions
	client  *fetch.Client
	flights singleflight.Group

	mu   sync.Mutex
	sets map[string]*keySet // by source
	// clients are those of the sources with an OpenID provider: each source has a list of its own of where they may go.
	clients map[string]*fetch.Client
}

// keySet is what is known of a source's fetched keys.
type keySet struct {
	keys    []Key
	op      *provider // where the keys are those of an OpenID provider: what it says of itself
	fetched time.Time // when keys were had; zero: never
	tried   time.Time
	err     error // of the last try
	loaded  bool  // what is kept was looked for
	// least is the time after which a fetch has to have begun for its keys to count, see Distrust.
	least time.Time
}

// KeySetState is how a source's key set stands.
type KeySetState struct {
	Keys    []Key
	Fetched time.Time // zero: never
	Err     error     // of the last fetch
}

// NewKeys makes one. It fetches nothing yet.
func NewKeys(o KeysOptions) *Keys {
	return &Keys{o: o, sets: map[string]*keySet{}, clients: map[string]*fetch.Client{}, client: fetch.New(fetch.Options{
		What: "a key set", Accept: "application/jwk-set+json, application/json", MaxBytes: maxJWKS, TooLarge: errJWKSTooLarge,
		AllowInternal: o.AllowInternal, AllowLoopbackHTTP: o.AllowLoopbackHTTP,
		Setting: "metadata.allow_internal",
	})}
}

// Find is the key for a token of a source, see Keyring. It waits for a fetch for two seconds at most: what strangers
// make up costs a source one request a minute, and nobody more than that wait.
func (k *Keys) Find(ctx context.Context, s *Source, kid string) (Key, *Fault) {
	if s.pinned() {
		return choose(s, s.Keys, kid)
	}
	set := k.set(s)
	if !set.loaded && set.fetched.IsZero() {
		k.load(ctx, s)
		set = k.set(s)
	}
	now := k.o.Now()
	_, unknown := choose(s, set.keys, kid)
	if unknown != nil || now.Sub(set.fetched) >= fetchAgain {
		k.await(ctx, s)
		set = k.set(s)
	}
	if bad := set.serves(s, now); bad != nil {
		return Key{}, bad
	}
	return choose(s, set.keys, kid)
}

// serves says why a set does not serve, nil where it does.
func (set keySet) serves(s *Source, now time.Time) *Fault {
	switch {
	case set.fetched.IsZero():
		return fault(ReasonKeysDown, "the key set of source %s can't be had: %s", s.Name, set.cause())
	case now.Sub(set.fetched) > max(s.MaxStale, fetchAgain):
		return fault(ReasonKeysDown, "the key set of source %s is %s old, older than jwks_max_stale: %s", s.Name,
			shown(now.Sub(set.fetched)), set.cause())
	}
	return nil
}

// cause is why a set does not serve.
func (set keySet) cause() string {
	switch {
	case set.err != nil:
		return set.err.Error()
	case !set.least.IsZero():
		return "the last one is from before its tokens were revoked, and the next is fetched within a minute"
	}
	return "the first fetch is under way"
}

// Distrust has keys of a source's set count no more that were fetched at that time or before. Its tokens were revoked
// then: a key that was withdrawn from the set for that would go on verifying for as long as the set is kept. Pinned
// keys are replaced with the configuration.
func (k *Keys) Distrust(source string, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set := k.sets[source]
	if set == nil { // what is kept of it may be older
		set = &keySet{}
		k.sets[source] = set
	}
	if until.After(set.least) {
		set.least = until
	}
}

// choose finds the key that a token names. A token without kid, and one whose kid a nameless pinned key can't have,
// fits where there is one key only: nothing is chosen then.
func choose(s *Source, keys []Key, kid string) (Key, *Fault) {
	if i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == kid && kid != "" }); i >= 0 {
		return keys[i], nil
	}
	if len(keys) == 1 && (kid == "" || !keys[0].named) {
		return keys[0], nil
	}
	if kid == "" {
		return Key{}, fault(ReasonKey, "the token has no kid, and source %s has %d keys", s.Name, len(keys))
	}
	return Key{}, fault(ReasonKey, "source %s has no key with the token's kid %.60q", s.Name, kid)
}

func (k *Keys) set(s *Source) keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	set := k.sets[s.Name]
	if set == nil {
		return keySet{}
	}
	trusted := *set
	if !set.fetched.After(set.least) {
		trusted.keys, trusted.fetched = nil, time.Time{}
	}
	return trusted
}

// await fetches a key set, if that is due, and waits a little for it. The fetch goes on for those who come next.
func (k *Keys) await(ctx context.Context, s *Source) {
	done := k.flights.DoChan(s.Name, func() (any, error) {
		if k.due(s) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
			defer cancel()
			k.fetch(ctx, s)
		}
		return nil, nil
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// due takes the source's one try of a minute.
func (k *Keys) due(s *Source) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	set := k.sets[s.Name]
	if set == nil {
		set = &keySet{}
		k.sets[s.Name] = set
	}
	now := k.o.Now()
	if !set.tried.IsZero() && now.Sub(set.tried) < fetchEvery {
		return false
	}
	set.tried = now
	return true
}

// fetch gets a key set and keeps it. One that can't be had leaves the last good one as it is.
func (k *Keys) fetch(ctx context.Context, s *Source) {
	began := k.o.Now() // what comes may be as old as that
	keys, op, document, err := k.get(ctx, s)
	k.mu.Lock()
	set := k.sets[s.Name]
	if set.err = err; err == nil {
		set.keys, set.op, set.fetched = keys, op, began
	}
	k.mu.Unlock()
	switch {
	case err != nil:
		k.failed(s, err)
		k.reload(ctx, s) // another replica may have been luckier
	case k.keeps(s):
		k.keep(ctx, s, keys, document, began)
	}
}

func (k *Keys) failed(s *Source, err error) {
	if k.o.Failed != nil {
		k.o.Failed(s.Name, err)
	}
}

func (k *Keys) get(ctx context.Context, s *Source) (keys []Key, op *provider, document []byte, err error) {
	client, address := k.client, s.JWKS
	if s.OpenID != nil {
		// What a provider says of itself and its keys are had together and age together.
		client = k.clientOf(s)
		if op, document, err = discover(ctx, client, s); err != nil {
			return nil, nil, nil, err
		}
		address = op.keys
	}
	data, err := read(ctx, client, address)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("fetch the key set of source %s: %w", s.Name, err)
	}
	if keys, err = parseJWKS(data); err != nil {
		return nil, nil, nil, fmt.Errorf("key set of source %s: %w", s.Name, err)
	}
	return keys, op, document, nil
}

func read(ctx context.Context, client *fetch.Client, address string) (_ []byte, err error) {
	body, err := client.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return data, nil
}

// clientOf is the client for a source's OpenID provider.
func (k *Keys) clientOf(s *Source) *fetch.Client {
	k.mu.Lock()
	defer k.mu.Unlock()
	client := k.clients[s.Name]
	if client == nil {
		client = fetch.New(fetch.Options{
			What: "an answer of an OpenID provider", Accept: "application/json, application/jwk-set+json", MaxBytes: maxJWKS,
			TooLarge: errJWKSTooLarge, AllowLoopbackHTTP: k.o.AllowLoopbackHTTP,
			// Never nil: without a list it is an internal address that the setting does not name.
			Internal: append([]netip.Prefix{}, s.OpenID.AllowPrivate...), Setting: "sources." + s.Name + ".allow_private",
		})
		k.clients[s.Name] = client
	}
	return client
}

// Refresh fetches a source's key set now, whatever the last fetch was, and returns how it stands. It is for
// administrators.
func (k *Keys) Refresh(ctx context.Context, s *Source) KeySetState {
	if s.pinned() {
		return KeySetState{Keys: s.Keys}
	}
	k.mu.Lock()
	if k.sets[s.Name] == nil {
		k.sets[s.Name] = &keySet{}
	}
	k.sets[s.Name].tried = k.o.Now()
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	k.fetch(ctx, s)
	set := k.set(s)
	return KeySetState{Keys: set.keys, Fetched: set.fetched, Err: set.err}
}
