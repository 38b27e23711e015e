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

// freshTurn is fresh sign-ins between two measurements of launches.
type freshTurn struct{ launches, fresh pace }

func (t freshTurn) over() float64 { return float64(t.fresh.each - t.launches.each) }

// measureFresh compares the processor time of a fresh sign-in with a launch's, which is a part of it.
func (b *bench) measureFresh(ctx context.Context) error {
	br, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	all, again, why, err := inTurns(ctx, b.o.rounds, b.cores, func() (t freshTurn, err error) {
		before, err := br.launches(ctx, b.o.span(1), b.o.span(3))
		if err != nil {
			return t, err
		}
		if t.fresh, err = br.fresh(ctx, b.o.span(1), b.o.span(5)); err != nil {
			return t, err
		}
		after, err := br.launches(ctx, b.o.span(1), b.o.span(3))
		if err != nil {
			return t, err
		}
		t.launches = mean(before, after)
		b.progress("  %.0f fresh sign-ins a second, %s each; %.0f launches, %s", t.fresh.rate, ms(t.fresh.each),
			t.launches.rate, ms(t.launches.each))
		return t, nil
	})
	if err != nil {
		return err
	}
	t := median(all, freshTurn.over)
	from := len(b.report.lines)
	b.report.note("fresh sign-ins a second, LDAP by TLS, 8 connections",
		"%.0f (beside %.0f launches; %d turns, %d repeated)",
		t.fresh.rate, t.launches.rate, len(all), again)
	b.report.note("processor time of a fresh sign-in", "%s (of a launch: %s)", ms(t.fresh.each), ms(t.launches.each))
	b.report.figure(freshOverLaunch, t.over())
	if why != "" {
		b.report.doubt(from, why)
	}
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
