package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"ssobridge/certs"
)

// connections at the same time, for everything that is measured as a rate.
const connections = 8

// launchers are people with live sessions; more than connections, as in life.
const launchers = 64

// pace is how fast something goes.
type pace struct {
	rate float64       // a second
	each time.Duration // processor time for one, of bridge and load together
	load time.Duration // what of it is the load's
}

// mean is the pace between two measurements of the same.
func mean(a, b pace) pace {
	return pace{(a.rate + b.rate) / 2, (a.each + b.each) / 2, (a.load + b.load) / 2}
}

// launches measures launches over the usual connections.
func (br *bridge) launches(ctx context.Context, warm, count time.Duration) (pace, error) {
	requests, err := br.sessions(ctx, launchers)
	if err != nil {
		return pace{}, fmt.Errorf("sign in before launches: %w", err)
	}
	open := &opened{}
	defer open.close()
	p, err := br.pace(ctx, warm, count, open.launcher(ctx, br, requests))
	if err != nil {
		return pace{}, fmt.Errorf("launch: %w", err)
	}
	return p, nil
}

// pace runs a loop over the usual connections. The profiler runs while it counts.
func (br *bridge) pace(ctx context.Context, warm, count time.Duration, worker func(int) (step, error)) (pace, error) {
	load, bridge := &meter{pid: os.Getpid()}, &meter{pid: br.cmd.Process.Pid}
	rate, done, err := loop(ctx, connections, warm, count, worker, func() error {
		return errors.Join(load.read(), bridge.read(), br.profile())
	})
	if err != nil {
		return pace{}, err
	}
	n := time.Duration(done)
	return pace{rate, (load.used + bridge.used) / n, load.used / n}, nil
}

// opened are connections to be closed after use.
type opened []*conn

func (o *opened) close() {
	for _, c := range *o {
		c.close()
	}
}

func (o *opened) dial(ctx context.Context, br *bridge) (*conn, error) {
	c, err := dial(ctx, br.address)
	if err == nil {
		*o = append(*o, c)
	}
	return c, err
}

// launcher makes workers that launch on connections of their own, each with the
// sessions in turn from a place of its own.
func (o *opened) launcher(ctx context.Context, br *bridge, requests [][]byte) func(int) (step, error) {
	return func(worker int) (step, error) {
		c, err := o.dial(ctx, br)
		if err != nil {
			return nil, err
		}
		n := worker * len(requests) / connections
		return func() error {
			n = (n + 1) % len(requests)
			a, err := c.do(requests[n])
			if err != nil {
				return err
			}
			return delivered(a)
		}, nil
	}
}

// measureLaunch compares launches with what the cores can sign at all. Loop and
// launches take turns, since other work on the machine comes and goes: a round is
// launches between two loops, and the median of the rounds counts.
func (b *bench) measureLaunch(ctx context.Context) error {
	br, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	p, err := newPlain(certs.RSA2048, b.o.span(3))
	if err != nil {
		return err
	}
	c, err := b.compare(ctx, br, p, b.o.rounds)
	if err != nil {
		return err
	}
	b.launchRate = c.launches.rate
	b.report.note("RSA-2048 signatures a second, all cores, plain loop", "%.0f (before and after the launches: %s)", c.plain.rate, c.loops)
	b.report.note("launches a second, live session, RSA-2048, both signatures", "%.0f (%s)", c.launches.rate, c.rates)
	b.report.note("signatures a second in launches", "%.0f", 2*c.launches.rate)
	b.report.figure(launchRatio, 2*c.launches.rate/c.plain.rate)
	t := c.steadiest
	b.report.note("the same by processor time", "%.2f (%s a signature in the loop, %s a launch, of which %s are the load's)",
		2*t.byTime(), ms(t.plain.each), ms(t.launches.each), ms(t.launches.load))
	return nil
}

// comparison is what compare found: the round in the middle, and all rates as text.
type comparison struct {
	plain, launches, fresh pace
	loops, rates           string
	steadiest              *comparison // the round in the middle by processor time
}

// byTime is how many launches take the processor time of one signature.
func (c comparison) byTime() float64 { return float64(c.plain.each) / float64(c.launches.each) }

func (b *bench) compare(ctx context.Context, br *bridge, p plain, rounds int) (comparison, error) {
	before, err := p.measure(ctx)
	if err != nil {
		return comparison{}, err
	}
	loops, rates := []float64{before.rate}, []float64{}
	var all []comparison
	for range rounds {
		launches, err := br.launches(ctx, b.o.span(1), b.o.span(5))
		if err != nil {
			return comparison{}, err
		}
		after, err := p.measure(ctx)
		if err != nil {
			return comparison{}, err
		}
		round := comparison{plain: mean(before, after), launches: launches}
		b.progress("  %.0f launches a second, %.0f signatures a second in the plain loop", launches.rate, round.plain.rate)
		all = append(all, round)
		loops, rates, before = append(loops, after.rate), append(rates, launches.rate), after
	}
	middle := median(all, func(c comparison) float64 { return c.launches.rate / c.plain.rate })
	middle.loops, middle.rates = numbers(loops), numbers(rates)
	steadiest := median(all, comparison.byTime)
	middle.steadiest = &steadiest
	return middle, nil
}

// measureLatency launches at half of the rate that was measured, at fixed moments.
func (b *bench) measureLatency(ctx context.Context) error {
	br, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	if b.launchRate == 0 {
		p, err := br.launches(ctx, b.o.span(1), b.o.span(5))
		if err != nil {
			return err
		}
		b.launchRate = p.rate
	}
	requests, err := br.sessions(ctx, launchers)
	if err != nil {
		return fmt.Errorf("sign in before launches: %w", err)
	}
	open := &opened{}
	defer open.close()
	took, err := schedule(ctx, 4*connections, b.launchRate/2, b.o.span(10), open.launcher(ctx, br, requests))
	if err != nil {
		return fmt.Errorf("launch at fixed moments: %w", err)
	}
	b.report.note("launches at half that rate", "p50 %s, p90 %s, p99 %s, longest %s, %d of them", ms(took.at(0.5)), ms(took.at(0.9)), ms(took.at(0.99)), ms(took.at(1)), len(took))
	b.report.figure(launchTail, float64(took.at(0.99))/float64(took.at(0.5)))
	return nil
}
