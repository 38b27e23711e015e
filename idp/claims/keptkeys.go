package claims

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"
)

// keptSet is how a key set is kept: public keys, and of which address they are. Another address has other keys.
type keptSet struct {
	Issuer  string    `json:"issuer"`
	Address string    `json:"address"`
	Keys    []keptKey `json:"keys"`
	// Document is what an OpenID provider said of itself, as it came: it is read by the same checks again.
	Document []byte `json:"document,omitempty"`
}

type keptKey struct {
	ID     string `json:"kid,omitempty"` // "": the key came without one
	Alg    string `json:"alg"`
	Public []byte `json:"public"` // PKIX
}

// keeps tells whether a source's set is kept. With it goes what an OpenID provider says of itself: after a start while
// the provider is down, who signs out there is signed out here too, and the way to it is known when it is back.
func (k *Keys) keeps(s *Source) bool { return k.o.Kept != nil && !s.pinned() }

// keep keeps a set that was just fetched.
func (k *Keys) keep(ctx context.Context, s *Source, keys []Key, document []byte, fetched time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	content, err := packKeys(s, keys, document)
	if err == nil {
		err = k.o.Kept.Keep(ctx, s.Name, content, fetched)
	}
	if err != nil {
		k.failed(s, fmt.Errorf("keep the key set of source %s: %w", s.Name, err))
	}
}

// load looks once for a set that is kept. It goes on for those who come next, and nobody waits for it for long.
func (k *Keys) load(ctx context.Context, s *Source) {
	if !k.keeps(s) {
		return
	}
	done := k.flights.DoChan("kept "+s.Name, func() (any, error) {
		k.reload(ctx, s)
		return nil, nil
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// reload takes a set that is kept, where it is younger than the one in memory.
func (k *Keys) reload(ctx context.Context, s *Source) {
	if !k.keeps(s) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	content, fetched, err := k.o.Kept.Load(ctx, s.Name)
	looked := err == nil // what can't be read is no better when it is looked at again
	var keys []Key
	var op *provider
	if err == nil && !fetched.IsZero() {
		if keys, op, err = k.unpackKeys(s, content); err != nil {
			err = fmt.Errorf("read the kept key set of source %s: %w", s.Name, err)
		}
	}
	k.mu.Lock()
	set := k.sets[s.Name]
	if set == nil {
		set = &keySet{}
		k.sets[s.Name] = set
	}
	set.loaded = set.loaded || looked
	if len(keys) > 0 && fetched.After(set.fetched) {
		set.keys, set.op, set.fetched = keys, op, fetched
	}
	k.mu.Unlock()
	if err != nil {
		k.failed(s, err)
	}
}

func packKeys(s *Source, keys []Key, document []byte) ([]byte, error) {
	kept := keptSet{Issuer: s.Issuer, Address: s.JWKS, Document: document}
	for _, key := range keys {
		public, err := x509.MarshalPKIXPublicKey(key.public)
		if err != nil {
			return nil, fmt.Errorf("encode a public key: %w", err)
		}
		one := keptKey{Alg: key.Alg, Public: public}
		if key.named {
			one.ID = key.ID
		}
		kept.Keys = append(kept.Keys, one)
	}
	content, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode public keys: %w", err)
	}
	return content, nil
}

// unpackKeys reads a set that is kept; none where it is of another address. Each key, and what a provider says of
// itself, passes the checks of what was fetched, by the settings as they are now.
func (k *Keys) unpackKeys(s *Source, content []byte) (all []Key, op *provider, err error) {
	var kept keptSet
	if err := json.Unmarshal(content, &kept); err != nil {
		return nil, nil, fmt.Errorf("read JSON: %w", err)
	}
	if kept.Issuer != s.Issuer || kept.Address != s.JWKS || (len(kept.Document) > 0) != (s.OpenID != nil) {
		return nil, nil, nil
	}
	if s.OpenID != nil {
		if op, err = parseProvider(kept.Document, k.clientOf(s).Check, s); err != nil {
			return nil, nil, err
		}
	}
	for _, one := range kept.Keys {
		public, err := x509.ParsePKIXPublicKey(one.Public)
		if err != nil {
			return nil, nil, fmt.Errorf("read a public key: %w", err)
		}
		key, err := newKey(public, one.ID, one.Alg)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, key)
	}
	all, err = distinct(all)
	return all, op, err
}
