package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// measureKeys measures launches with other keys, and with one signature in place of two.
func (b *bench) measureKeys(ctx context.Context) error {
	for _, k := range []struct{ name, algorithm string }{
		{"RSA-2048, assertion alone signed", "rsa-2048"},
		{"RSA-3072, both signatures", "rsa-3072"},
		{"P-256, both signatures", "p-256"},
	} {
		one := k.algorithm == "rsa-2048"
		br, err := b.mainBridge(ctx)
		if !one {
			br, err = b.running(ctx, k.algorithm, k.algorithm, nil, launchers)
		} else if err == nil {
			err = br.signBoth(ctx, false)
		}
		if err != nil {
			return err
		}
		p, err := br.launches(ctx, b.o.span(1), b.o.span(5))
		if one {
			err = errors.Join(err, br.signBoth(ctx, true))
		} else {
			err = errors.Join(err, br.stop())
		}
		if err != nil {
			return err
		}
		b.report.note("launches a second, "+k.name, "%.0f (%s of processor time each)", p.rate, ms(p.each))
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
	return parts.Store.ServiceProviders().Put(ctx, sp, store.Event{At: time.Now(), Actor: "bench", Action: "sp-add",
		Subject: sp.EntityID, Outcome: "ok"})
}
