package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// keyLife is how long a signing certificate lasts. Service providers import it by
// hand, so it is long; check and the metrics warn from 90 days before its end.
const keyLife = 3 * 365 * 24 * time.Hour

// ErrHasKey says that a signing key is there already.
var ErrHasKey = errors.New("the store has an active signing key already")

// AddFirstKey makes the first signing key, seals it and stores it as active. A store
// that has an active key is left alone with ErrHasKey: a second one would end all
// sign-ins at service providers that know the first.
func AddFirstKey(ctx context.Context, db *store.DB, sealer *certs.Sealer, publicURL string, a certs.Algorithm, e store.Event) (*certs.Key, error) {
	keys, err := db.Keys().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	for _, k := range keys {
		if k.Use == "signing" && k.State == "active" {
			return nil, fmt.Errorf("%w: %s", ErrHasKey, k.ID)
		}
	}
	// The certificate only carries the key; its name is for people who look at it.
	name := "ssobridge"
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		name = u.Hostname()
	}
	key, err := certs.Generate(a, name, keyLife, e.At, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	private, err := key.PKCS8()
	if err != nil {
		return nil, fmt.Errorf("encode the signing key: %w", err)
	}
	sealed, err := sealer.Seal(private, "signing-key:"+key.ID)
	clear(private)
	if err != nil {
		return nil, fmt.Errorf("seal the signing key: %w", err)
	}
	e.Subject = key.ID
	err = db.Keys().Add(ctx, store.SigningKey{
		ID: key.ID, Use: "signing", State: "active", Algorithm: string(key.Algorithm),
		Certificate: key.Certificate.Raw, Private: sealed, CreatedAt: e.At,
	}, e)
	if err != nil {
		return nil, fmt.Errorf("store the signing key: %w", err)
	}
	return key, nil
}
