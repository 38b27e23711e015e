package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// measureKeys compares other keys, and one signature in place of two.
func (b *bench) measureKeys(ctx context.Context) error {
	for _, k := range []struct {
		name, algorithm string
		kind            certs.Algorithm
		signatures      float64
	}{
		{"RSA-2048, assertion alone signed", "rsa-2048", certs.RSA2048, 1},
		{"RSA-3072, both signatures", "rsa-3072", certs.RSA3072, 2},
		{"P-256, both signatures", "p-256", certs.P256, 2},
	} {
		br, err := b.mainBridge(ctx)
		if k.algorithm != "rsa-2048" {
			br, err = b.running(ctx, k.algorithm, k.algorithm, nil, launchers)
		} else if err == nil {
			err = br.signBoth(ctx, false)
		}
		if err != nil {
			return err
		}
		p, err := newPlain(k.kind, b.o.span(2))
		if err != nil {
			return err
		}
		c, err := b.compare(ctx, br, p, 1)
		if err != nil {
			return err
		}
		if k.algorithm == "rsa-2048" {
			err = br.signBoth(ctx, true)
		} else {
			err = br.stop()
		}
		if err != nil {
			return err
		}
		b.report.note("launches a second, "+k.name, "%.0f (%.2f of what a plain loop signs)",
			c.launches.rate, k.signatures*c.launches.rate/c.plain.rate)
	}
	return nil
}

// signBoth says whether the Response is signed beside the assertion. A running bridge
// heeds it with the next launch.
func (br *bridge) signBoth(ctx context.Context, both bool) (err error) {
	parts, err := br.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.Close()) }()
	sp, err := parts.Store.ServiceProviders().Get(ctx, br.box.EntityID())
	if err != nil {
		return fmt.Errorf("change what is signed: %w", err)
	}
	sp.SignResponse = both
	return parts.Store.ServiceProviders().Put(ctx, sp, store.Event{At: time.Now(), Actor: "bench", Action: "sp-add", Subject: sp.EntityID, Outcome: "ok"})
}
