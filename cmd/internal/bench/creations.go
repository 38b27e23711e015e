package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// creations are one plan that the running bridge applies within limits.
type creations struct {
	name      string
	people    int
	perSecond int           // on both sides
	share     float64       // of it for us
	counted   time.Duration // from the first creation on; 0: to the last
	box       sandbox.Options
}

// made is what became of it: the rate of creations, and the sandbox's counts.
type made struct {
	rate float64
	sum  sandbox.Summary
}

// running is a plan that is being applied.
type running struct {
	creations
	br       *bridge
	deadline time.Duration
	began    time.Time
}

// begin has the plan applied by a bridge of its own.
func (c creations) begin(ctx context.Context, b *bench) (*running, error) {
	b.progress("  %s: %d people", c.name, c.people)
	slapd, err := b.newSlapd(c.name+"-directory", directorytest.SlapdOptions{Empty: true, People: c.people})
	if err != nil {
		return nil, err
	}
	c.box.PerSecond, c.box.PerDay = c.perSecond, 100_000
	br, err := b.newBridgeAt(ctx, place{slapd: slapd, sandbox: c.box}, c.name, "p-256", set{
		"constant_contact.limits.per_second": fmt.Sprint(c.perSecond), "constant_contact.limits.share": fmt.Sprint(c.share),
		"constant_contact.limits.per_day": "100000",
	})
	if err != nil {
		return nil, err
	}
	if _, err := br.start(ctx); err != nil {
		return nil, err
	}
	if err := br.applyPlan(ctx, c.people); err != nil {
		return nil, err
	}
	limit := 2*time.Minute + 2*time.Duration(float64(c.people)/(float64(c.perSecond)*c.share)*float64(time.Second))
	return &running{creations: c, br: br, deadline: limit, began: time.Now()}, nil
}

// wait waits until enough is created, and stops the bridge.
func (r *running) wait(ctx context.Context) (m made, err error) {
	defer func() { err = errors.Join(err, r.br.stop()) }()
	for {
		if err := pause(ctx, 250*time.Millisecond, r.br.ended); err != nil {
			return m, err
		}
		at := r.br.created()
		if r.counted > 0 && len(at) > 0 && time.Since(at[0]) > r.counted {
			n := 0
			for _, t := range at {
				if t.Sub(at[0]) < r.counted {
					n++
				}
			}
			return made{float64(n) / r.counted.Seconds(), r.br.box.Summary()}, nil
		}
		if len(at) == r.people {
			return made{float64(len(at)-1) / at[len(at)-1].Sub(at[0]).Seconds(), r.br.box.Summary()}, nil
		}
		if time.Since(r.began) > r.deadline {
			return m, fmt.Errorf("%d of %d people are created after %s", len(at), r.people, r.deadline)
		}
	}
}

// applyPlan makes a plan and has the running bridge apply it.
func (br *bridge) applyPlan(ctx context.Context, people int) error {
	if _, err := br.command(ctx, "provision", "plan"); err != nil {
		return err
	}
	_, err := br.command(ctx, "provision", "apply", "--max", fmt.Sprint(people), "--yes", "--detach")
	return err
}

// created is when users were created, in order.
func (br *bridge) created() []time.Time {
	var at []time.Time
	for _, u := range br.box.Created() {
		at = append(at, u.CreatedAt)
	}
	return at
}

// together measures several plans at the same time, each with a bridge, a directory and a Constant Contact of its own.
// They wait for the limits nearly all the time, so that they don't disturb each other.
func together(ctx context.Context, b *bench, all ...creations) ([]made, error) {
	out := make([]made, len(all))
	var running []*running
	for _, c := range all {
		r, err := c.begin(ctx, b)
		if err != nil {
			return nil, err
		}
		running = append(running, r)
	}
	for i, r := range running {
		var err error
		if out[i], err = r.wait(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// measureCreations measures how near to the allowed rate a plan comes without ever being refused.
func (b *bench) measureCreations(ctx context.Context) error {
	all, err := together(ctx, b,
		creations{name: "published", people: 600, perSecond: 4, share: 1, counted: b.o.span(120)},
		creations{name: "fast", people: b.o.atMost(2500), perSecond: 40, share: 1},
	)
	if err != nil {
		return err
	}
	slow, fast := all[0], all[1]
	b.report.note("creations a second, 4 and 40 allowed", "%.3f and %.2f, at most %d and %d in any second",
		slow.rate, fast.rate, slow.sum.MostSliding, fast.sum.MostSliding)
	b.report.figure(creationsAsPublished, slow.rate/4)
	b.report.figure(creationsFast, fast.rate/40)
	b.report.figure(creationsRefused,
		float64(slow.sum.ByStatus[http.StatusTooManyRequests]+fast.sum.ByStatus[http.StatusTooManyRequests]))
	return nil
}

// measureJitter measures the same where calls take up to 300 ms on their way there and back, and another program makes
// one call a second on the same key, for which limits.share leaves room. A slot opens again one second after the call
// in it was answered, so that the round trip is part of each round: the mean one is 150 ms.
func (b *bench) measureJitter(ctx context.Context) error {
	const (
		perSecond = 40
		foreign   = 1
		jitter    = 300 * time.Millisecond
	)
	left := (perSecond - foreign) / (time.Second + jitter/2).Seconds()
	windows := []struct {
		window sandbox.Window
		figure figure
	}{{sandbox.WindowSliding, jitterSliding}, {sandbox.WindowFixed, jitterFixed}}
	var plans []creations
	for _, w := range windows {
		plans = append(plans, creations{
			name: "jitter-" + string(w.window), people: b.o.atMost(3600), perSecond: perSecond,
			share: float64(perSecond-foreign) / perSecond,
			box:   sandbox.Options{Window: w.window, Jitter: jitter, Foreign: foreign},
		})
	}
	all, err := together(ctx, b, plans...)
	if err != nil {
		return err
	}
	worst := 0.0
	for i, w := range windows {
		m := all[i]
		b.report.note("  window "+string(w.window), "%.2f creations a second, %d calls, %d of them answered 429",
			m.rate, m.sum.Calls, m.sum.ByStatus[http.StatusTooManyRequests])
		b.report.figure(w.figure, m.rate/left)
		worst = max(worst, m.sum.Throttled())
	}
	b.report.figure(jitterRefused, worst)
	return nil
}

// measureUnderPlan signs people in afresh while a plan is applied at the published rate, and without, in turns.
func (b *bench) measureUnderPlan(ctx context.Context) error {
	slapd, err := b.newSlapd("plan-directory", directorytest.SlapdOptions{Empty: true, People: 3000})
	if err != nil {
		return err
	}
	br, err := b.newBridgeAt(ctx, place{slapd: slapd, sandbox: sandbox.Options{PerSecond: sandbox.Unlimited,
		PerDay: sandbox.Unlimited}}, "plan", "rsa-2048", nil)
	if err != nil {
		return err
	}
	if _, err := br.start(ctx); err != nil {
		return err
	}
	defer func() { _ = br.stop() }()
	if err := br.introduce(ctx, b.o.people, false); err != nil {
		return fmt.Errorf("sign people in for the first time: %w", err)
	}
	if b.launchRate == 0 {
		p, err := br.launches(ctx, b.o.span(1), b.o.span(5))
		if err != nil {
			return err
		}
		b.launchRate = p.rate
	}
	// From here on at the published rate, so that the plan lasts.
	if err := br.stop(); err != nil {
		return err
	}
	br.env = []string{"SSOBRIDGE_CONSTANT_CONTACT_LIMITS_PER_SECOND=4", "SSOBRIDGE_CONSTANT_CONTACT_LIMITS_PER_DAY=10000"}
	if _, err := br.start(ctx); err != nil {
		return err
	}
	signIns := func() (times, error) {
		open := &opened{}
		defer open.close()
		return schedule(ctx, 4*connections, b.launchRate/4, b.o.span(10), open.signer(ctx, br))
	}
	if err := br.applyPlan(ctx, 5000); err != nil {
		return err
	}
	type round struct{ with, without times }
	var all []round
	for range b.o.rounds {
		var r round
		if r.with, err = signIns(); err != nil {
			return fmt.Errorf("sign in while a plan runs: %w", err)
		}
		if _, err := br.command(ctx, "provision", "pause"); err != nil {
			return err
		}
		if r.without, err = signIns(); err != nil {
			return fmt.Errorf("sign in without a plan: %w", err)
		}
		if _, err := br.command(ctx, "provision", "apply", "--max", "5000", "--yes", "--detach"); err != nil {
			return err
		}
		b.progress("  p99 %s with a plan, %s without", ms(r.with.at(0.99)), ms(r.without.at(0.99)))
		all = append(all, r)
	}
	tail := func(r round) float64 { return float64(r.with.at(0.99)) / float64(r.without.at(0.99)) }
	r := median(all, tail)
	b.report.note(fmt.Sprintf("fresh sign-ins, %.0f a second, with a plan and without", b.launchRate/4),
		"p50 %s and %s, p99 %s and %s",
		ms(r.with.at(0.5)), ms(r.without.at(0.5)), ms(r.with.at(0.99)), ms(r.without.at(0.99)))
	b.report.figure(signInUnderPlan, tail(r))
	return nil
}

// planned reads a plan as provision plan --json prints it, without its lines.
type planned struct {
	Plan struct {
		People, Creations, Leavers, Drifted, Blocked int
	}
}

func readPlan(text string) (p planned, err error) {
	if err = json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("read the plan: %w", err)
	}
	return p, nil
}
