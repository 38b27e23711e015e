package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/certs"
)

// checkExpiry says when something ends, and warns as row KEY-03 says.
func checkExpiry(r *report, e certs.Expiry) {
	now := r.s.now()
	e = e.At(now)
	switch {
	case e.Due && !e.NotAfter.After(now) && e.Use != "sp_signing":
		r.fail(e.What, e.Message, expiryMend(e))
	case e.Due: // a certificate of a service provider only carries its key, and verifies past its end
		r.warn(e.What, e.Message, expiryMend(e))
	default:
		r.ok(e.What, "valid until "+e.NotAfter.UTC().Format(time.DateOnly))
	}
}

func expiryMend(e certs.Expiry) string {
	switch e.Use {
	case useSigning, useMetadata:
		return "roll over to a new key: ssobridge keys generate --help"
	case "sp_signing", "sp_encryption":
		return "ask the service provider for its new certificate"
	case "sp_metadata":
		return "read its metadata again: ssobridge sp refresh --help"
	}
	return "renew it"
}

// checkKeys opens every key that is in use or may come into it.
func checkKeys(ctx context.Context, r *report, p *Parts) {
	status, err := p.KeyStatus(ctx)
	if err != nil {
		r.fail("signing keys", err, "")
		return
	}
	active := 0
	for _, k := range status.Keys {
		state := certs.State(k.State)
		if state == certs.Retired {
			continue
		}
		if k.Use == useSigning && state == certs.Active {
			active++
		}
		key, err := p.openKey(k)
		if err == nil && k.Holder == "" { // a token's signatures may be counted, or want somebody's consent
			err = p.signsOnce(ctx, key)
		}
		if err != nil {
			mend := "restore a backup with a good key"
			switch {
			case k.Holder != "":
				mend = "look at the PKCS #11 token: module, token label, PIN, and the key's label in it"
			case errors.Is(err, certs.ErrSealed):
				mend = "secret_key is not the one that sealed this key: put the right one back"
			}
			r.fail(keyName(k), err, mend)
			continue
		}
		for _, e := range keyExpiry(k) {
			checkExpiry(r, e)
		}
	}
	if active == 0 {
		r.fail("signing keys", "there is no active signing key", "ssobridge init --key-only --config FILE")
	}
	for _, h := range status.Ring.Holders {
		c := status.Ring.Choices[h.EntityID]
		if c.Next != "" {
			r.ok("signing key for "+h.EntityID, fmt.Sprintf("switches to %s at %s, in %s", c.Next, c.SwitchAt.UTC().Format(time.RFC3339), c.SwitchAt.Sub(status.Now).Round(time.Second)))
		}
	}
	checkSignatures(r, p)
}
