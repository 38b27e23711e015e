package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"ssobridge/certs"
	"ssobridge/certs/pkcs11"
	"ssobridge/store"
	"ssobridge/web"
)

// consoleKeys is the console's way to the functions of the keys commands.
type consoleKeys struct{ *Parts }

// Board tells how the keys stand.
func (p consoleKeys) Board(ctx context.Context) (web.KeyBoard, error) {
	status, err := p.KeyStatus(ctx)
	if err != nil {
		return web.KeyBoard{}, err
	}
	providers, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return web.KeyBoard{}, fmt.Errorf("list service providers: %w", err)
	}
	names := map[string]string{}
	for _, sp := range providers {
		names[sp.EntityID] = cmp.Or(sp.Name, sp.EntityID)
	}
	var b web.KeyBoard
	for _, k := range status.Keys {
		key := web.Key{ID: k.ID, Use: k.Use, State: k.State, Algorithm: k.Algorithm, Holder: k.Holder, Since: since(k)}
		if cert, err := x509.ParseCertificate(k.Certificate); err == nil {
			key.NotAfter = cert.NotAfter
			key.Fingerprint = fingerprint(k.Certificate)
			key.PEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate}))
		}
		b.Keys = append(b.Keys, key)
	}
	for _, h := range status.Ring.Holders {
		c := status.Ring.Choices[h.EntityID]
		b.Holders = append(b.Holders, web.KeyHolder{
			EntityID: h.EntityID, Name: names[h.EntityID], Key: status.Ring.KeyFor(h.EntityID, status.Now), Previous: c.Previous, One: h.One,
			Next: c.Next, SwitchAt: c.SwitchAt, ConfirmedBy: c.ConfirmedBy,
		})
	}
	return b, nil
}

// fingerprint is SHA-256 as people read it out, in pairs.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

// Generate makes a signing key in the store.
func (p consoleKeys) Generate(ctx context.Context, algorithm string, e store.Event) error {
	switch certs.Algorithm(algorithm) {
	case certs.RSA3072, certs.RSA2048, certs.P256, certs.P384:
	default:
		return certs.ErrNoKey
	}
	_, _, err := p.GenerateKey(ctx, NewKey{Algorithm: certs.Algorithm(algorithm)}, e)
	return err
}

// Publish puts a key into our metadata.
func (p consoleKeys) Publish(ctx context.Context, id string, e store.Event) error {
	return p.PublishKey(ctx, id, e)
}

// Promote has a key sign for one service provider.
func (p consoleKeys) Promote(ctx context.Context, n web.KeyPromotion, e store.Event) error {
	if n.EntityID == "" {
		return certs.ErrNoHolder
	}
	_, err := p.PromoteKey(ctx, certs.Promotion{Key: n.Key, EntityID: n.EntityID, At: n.At, By: n.By}, e)
	return err
}

// Rollback takes the last step at one service provider back.
func (p consoleKeys) Rollback(ctx context.Context, entityID string, e store.Event) error {
	_, err := p.RollbackKey(ctx, entityID, e)
	return err
}

// Retire takes a key out of use for good.
func (p consoleKeys) Retire(ctx context.Context, id string, e store.Event) error {
	return p.RetireKey(ctx, id, e)
}

// Fault puts a refusal of the rules into a sentence.
func (consoleKeys) Fault(err error) string {
	for _, is := range []error{
		certs.ErrNoKey, certs.ErrState, certs.ErrTime, certs.ErrNoHolder, certs.ErrUnconfirmed, certs.ErrHoldsOne, certs.ErrKeyInUse,
		certs.ErrNoStepBack, errNoToken, pkcs11.ErrTaken,
	} {
		if errors.Is(err, is) {
			return err.Error()
		}
	}
	return ""
}
