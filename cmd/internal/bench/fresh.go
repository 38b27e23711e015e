package main

import (
	"context"
	"fmt"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// signer makes workers that sign people in afresh, each time another one who comes
// with an empty browser. All of them share one queue of people.
func (o *opened) signer(ctx context.Context, br *bridge) func(int) (step, error) {
	next := &counter{}
	return func(int) (step, error) {
		c, err := o.dial(ctx, br)
		if err != nil {
			return nil, err
		}
		v := &visitor{br: br, c: c}
		return func() error {
			_, err := v.signIn(directorytest.LoadLogin(next.next() % br.bench.o.people))
			return err
		}, nil
	}
}

// measureFresh measures fresh sign-ins between two measurements of launches.
func (b *bench) measureFresh(ctx context.Context) error {
	br, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	var all []comparison
	before, err := br.launches(ctx, b.o.span(1), b.o.span(3))
	if err != nil {
		return err
	}
	for range b.o.rounds {
		fresh, err := br.fresh(ctx, b.o.span(1), b.o.span(5))
		if err != nil {
			return err
		}
		after, err := br.launches(ctx, b.o.span(1), b.o.span(3))
		if err != nil {
			return err
		}
		round := comparison{launches: mean(before, after), fresh: fresh}
		b.progress("  %.0f fresh sign-ins a second, %.0f launches a second", fresh.rate, round.launches.rate)
		all, before = append(all, round), after
	}
	c := median(all, func(c comparison) float64 { return c.fresh.rate / c.launches.rate })
	b.report.note("fresh sign-ins a second, LDAP by TLS, 8 connections", "%.0f (beside %.0f launches)", c.fresh.rate, c.launches.rate)
	b.report.figure(freshRatio, c.fresh.rate/c.launches.rate)
	b.report.note("the same by processor time", "%.2f (%s a launch, %s a fresh sign-in, without slapd)",
		float64(c.launches.each)/float64(c.fresh.each), ms(c.launches.each), ms(c.fresh.each))
	return nil
}

// fresh measures fresh sign-ins over the usual connections.
func (br *bridge) fresh(ctx context.Context, warm, count time.Duration) (pace, error) {
	open := &opened{}
	defer open.close()
	p, err := br.pace(ctx, warm, count, open.signer(ctx, br))
	if err != nil {
		return pace{}, fmt.Errorf("sign in afresh: %w", err)
	}
	return p, nil
}
