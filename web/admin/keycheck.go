package admin

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"ssobridge/certs"
)

// Findings opens every key that is in use or may come into it, and says how the keys stand.
func (k Keys) Findings(ctx context.Context) []Finding {
	const name = "signing keys"
	s, err := k.status(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	var all []Finding
	active := 0
	for _, stored := range s.keys {
		one := keyOf(stored, s.now)
		if one.State == KeyRetired {
			continue
		}
		if one.Use == Signing && one.State == KeyActive {
			active++
		}
		key, err := k.open(stored)
		if err == nil && one.Token == "" { // a token's signatures may be counted, or want somebody's consent
			err = k.signsOnce(ctx, key)
		}
		if err != nil {
			all = append(all, unusable(one, err))
			continue
		}
		for _, e := range keyExpiry(one) {
			all = append(all, ExpiryFinding(e, s.now))
		}
	}
	if active == 0 {
		all = append(all, Finding{Name: name, Level: Failure, Detail: "there is no active signing key", Act: MakeFirstKey})
	}
	for _, h := range s.ring.Holders {
		if c := s.ring.Choices[h.EntityID]; c.Next != "" {
			all = append(all, Finding{
				Name: "signing key for " + h.EntityID,
				Detail: fmt.Sprintf("switches to %s at %s, in %s", c.Next, c.SwitchAt.UTC().Format(time.RFC3339),
					c.SwitchAt.Sub(s.now).Round(time.Second)),
			})
		}
	}
	return append(all, k.signatures())
}

// unusable says what to do about a key that can't be used.
func unusable(key Key, err error) Finding {
	f := found(key.name(), err)
	f.Act = NoAct
	switch {
	case key.Token != "":
		f.Hint = "look at the PKCS #11 token: module, token label, PIN, and the key's label in it"
	case errors.Is(err, certs.ErrSealed):
		f.Hint = "secret_key is not the one that sealed this key: put the right one back"
	default:
		f.Hint = "restore a backup with a good key"
	}
	return f
}

// signsOnce makes a signature with an RSA key of the store and verifies it, as the first sign-in would.
func (k Keys) signsOnce(ctx context.Context, key *certs.Key) error {
	public, ok := key.Signer.Public().(*rsa.PublicKey)
	if !ok {
		return nil
	}
	digest := sha256.Sum256([]byte("check of the key " + key.ID))
	signature, err := certs.Sign(ctx, k.Engine.Key(key).Signer, digest[:], crypto.SHA256)
	if err == nil {
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
	}
	if err != nil {
		return fmt.Errorf("sign with key %s: %w", key.ID, err)
	}
	return nil
}

// signatures says who makes RSA signatures.
func (k Keys) signatures() Finding {
	s := k.Engine.Status()
	f := Finding{Name: "RSA signatures", Detail: "made by " + s.String()}
	if s.Failed {
		f.Level, f.Hint = Warning, "reinstall OpenSSL's library "+s.Library+", or set signing.libcrypto to off"
	}
	return f
}
