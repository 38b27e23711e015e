package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// connections at the same time, for everything that is measured as a rate.
const connections = 8

// launchers are people with live sessions; more than connections, as in life.
const launchers = 64

// tailLaunches are how many launches at half load have their time taken.
const tailLaunches = 20_000

// pace is how fast something goes.
type pace struct {
	rate float64       // a second
	each time.Duration // processor time of the server for one
	load time.Duration // and of the load
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
	return measurePace(ctx, br.cmd.Process.Pid, warm, count, worker, br.profile)
}

// measurePace runs a loop over the usual connections and reads the processor time of a server. around is called when
// counting begins and when it ends.
func measurePace(ctx context.Context, pid int, warm, count time.Duration, worker func(int) (step, error),
	around func() error) (pace, error) {
	load, server := &meter{pid: os.Getpid()}, &meter{pid: pid}
	rate, done, err := loop(ctx, connections, warm, count, worker, func() error {
		return errors.Join(load.read(), server.read(), around())
	})
	if err != nil {
		return pace{}, err
	}
	n := time.Duration(done)
	return pace{rate, server.used / n, load.used / n}, nil
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

// pair is the floor and the bridge, one right after the other.
type pair struct{ floor, bridge pace }

func (p pair) over() float64 { return float64(p.bridge.each - p.floor.each) }
func (p pair) rate() float64 { return p.bridge.rate / p.floor.rate }

// rival is a bridge and the floor that it is compared with.
type rival struct {
	engine  engine
	bridge  *bridge
	floor   *floorProcess
	request []byte // of a launch
	pairs   []pair
	again   int    // how many pairs were measured again
	why     string // they are not to be relied on; "" where they are
}

// newRival sets both up by an engine.
func (b *bench) newRival(ctx context.Context, e engine) (r *rival, err error) {
	r = &rival{engine: e}
	if r.bridge, err = b.engineBridge(ctx, e); err != nil {
		return nil, err
	}
	requests, err := r.bridge.sessions(ctx, 1)
	if err != nil {
		return nil, err
	}
	r.request = requests[0]
	c, err := dial(ctx, r.bridge.address)
	if err != nil {
		return nil, err
	}
	defer c.close()
	a, err := c.do(r.request)
	if err == nil {
		err = delivered(a)
	}
	if err != nil {
		return nil, fmt.Errorf("launch once for the size of the page: %w", err)
	}
	r.floor, err = b.startFloor(ctx, e, len(a.body))
	return r, err
}

// measure measures pairs, of which each takes turns in who is first.
func (r *rival) measure(ctx context.Context, b *bench) (err error) {
	turn := 0
	r.pairs, r.again, r.why, err = inTurns(ctx, b.o.pairs, b.cores, func() (p pair, err error) {
		floor := func() (err error) {
			p.floor, err = r.floor.pace(ctx, b.o.span(1), b.o.span(10), r.request)
			return err
		}
		bridge := func() (err error) {
			p.bridge, err = r.bridge.launches(ctx, b.o.span(1), b.o.span(10))
			return err
		}
		if turn++; turn%2 == 0 {
			floor, bridge = bridge, floor
		}
		if err := floor(); err != nil {
			return p, err
		}
		if err := bridge(); err != nil {
			return p, err
		}
		b.progress("  %s: the floor %.0f a second, %s each; the bridge %.0f, %s", r.engine.name, p.floor.rate,
			ms(p.floor.each), p.bridge.rate, ms(p.bridge.each))
		return p, nil
	})
	return err
}

// note reports the pair in the middle by what of gives.
func (r *rival) note(b *bench) {
	p, q := median(r.pairs, pair.rate), median(r.pairs, pair.over)
	b.report.note("launches a second, live session, both signatures RSA-2048, "+r.engine.name,
		"%.0f (the floor's: %.0f; %.2f; %d pairs, %d repeated)",
		p.bridge.rate, p.floor.rate, p.rate(), len(r.pairs), r.again)
	b.report.note("processor time of a launch, "+r.engine.name, "%s (the floor's: %s; beside %s and %s of the load)",
		ms(q.bridge.each), ms(q.floor.each), ms(q.bridge.load), ms(q.floor.load))
}

// measureLaunch compares launches with the floor, by Go's signer and by libcrypto. Floor and bridge take turns, since
// other work on the machine comes and goes, and the median of the pairs counts.
func (b *bench) measureLaunch(ctx context.Context) error {
	e, err := b.goEngine()
	if err != nil {
		return err
	}
	byGo, err := b.newRival(ctx, e)
	if err != nil {
		return err
	}
	if err := byGo.measure(ctx, b); err != nil {
		return err
	}
	byGo.note(b)
	from := len(b.report.lines)
	b.report.figure(launchOverFloor, median(byGo.pairs, pair.over).over())
	if byGo.why != "" {
		b.report.doubt(from, byGo.why)
	}
	if e, err = b.libcryptoEngine(ctx); err != nil {
		return fmt.Errorf("by libcrypto: %w", err)
	}
	fast, err := b.newRival(ctx, e)
	if err != nil {
		return fmt.Errorf("by libcrypto: %w", err)
	}
	if err := fast.measure(ctx, b); err != nil {
		return fmt.Errorf("by libcrypto: %w", err)
	}
	fast.note(b)
	from = len(b.report.lines)
	b.report.figure(launchOverFloorLibcrypto, median(fast.pairs, pair.over).over())
	b.report.figure(launchRateOfFloor, median(fast.pairs, pair.rate).rate())
	if fast.why != "" {
		b.report.doubt(from, fast.why)
	}
	for _, r := range []*rival{byGo, fast} {
		if main, err := b.mainBridge(ctx); err == nil && main == r.bridge {
			b.launchRate = median(r.pairs, func(p pair) float64 { return p.bridge.rate }).bridge.rate
		}
	}
	return nil
}

// halfLoad is half of the rate of launches, which is measured unless it is known.
func (b *bench) halfLoad(ctx context.Context, br *bridge) (float64, error) {
	if b.launchRate == 0 {
		p, err := br.launches(ctx, b.o.span(1), b.o.span(5))
		if err != nil {
			return 0, err
		}
		b.launchRate = p.rate
	}
	return b.launchRate / 2, nil
}

// measureLatency launches at half of the rate that was measured, at fixed moments.
func (b *bench) measureLatency(ctx context.Context) error {
	br, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	half, err := b.halfLoad(ctx, br)
	if err != nil {
		return err
	}
	requests, err := br.sessions(ctx, launchers)
	if err != nil {
		return fmt.Errorf("sign in before launches: %w", err)
	}
	open := &opened{}
	defer open.close()
	// The first tenth warms up.
	run := time.Duration(float64(b.o.span(tailLaunches)) / 0.9 / half)
	took, err := schedule(ctx, 4*connections, half, run, open.launcher(ctx, br, requests))
	if err != nil {
		return fmt.Errorf("launch at fixed moments: %w", err)
	}
	b.report.note("launches at half that rate", "p50 %s, p90 %s, p99 %s, longest %s, %d of them",
		ms(took.at(0.5)), ms(took.at(0.9)), ms(took.at(0.99)), ms(took.at(1)), len(took))
	b.report.figure(launchTail, float64(took.at(0.99))/float64(took.at(0.5)))
	return nil
}
