package main

import (
	"context"
	"encoding/json"
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

// measure has a plan applied and returns the rate of creations, and the sandbox's counts.
func (c creations) measure(ctx context.Context, b *bench) (rate float64, s sandbox.Summary, err error) {
	b.progress("  %s: %d people", c.name, c.people)
	slapd, err := b.newSlapd(c.name+"-directory", directorytest.SlapdOptions{Empty: true, People: c.people})
	if err != nil {
		return 0, s, err
	}
	c.box.PerSecond, c.box.PerDay = c.perSecond, 100_000
	br, err := b.newBridgeAt(ctx, place{slapd: slapd, sandbox: c.box}, c.name, "p-256", set{
		"constant_contact.limits.per_second": fmt.Sprint(c.perSecond), "constant_contact.limits.share": fmt.Sprint(c.share),
		"constant_contact.limits.per_day": "100000",
	})
	if err != nil {
		return 0, s, err
	}
	if _, err := br.start(ctx); err != nil {
		return 0, s, err
	}
	defer func() { _ = br.stop() }()
	if err := br.applyPlan(ctx, c.people); err != nil {
		return 0, s, err
	}
	limit := 2*time.Minute + 2*time.Duration(float64(c.people)/(float64(c.perSecond)*c.share)*float64(time.Second))
	for deadline := time.Now().Add(limit); ; {
		if err := pause(ctx, 250*time.Millisecond, br.ended); err != nil {
			return 0, s, err
		}
		at := br.created()
		if c.counted > 0 && len(at) > 0 && time.Since(at[0]) > c.counted {
			n := 0
			for _, t := range at {
				if t.Sub(at[0]) < c.counted {
					n++
				}
			}
			return float64(n) / c.counted.Seconds(), br.box.Summary(), nil
		}
		if len(at) == c.people {
			return float64(len(at)-1) / at[len(at)-1].Sub(at[0]).Seconds(), br.box.Summary(), nil
		}
		if time.Now().After(deadline) {
			return 0, s, fmt.Errorf("%d of %d people are created after %s", len(at), c.people, limit)
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

// measureCreations measures how near to the allowed rate a plan comes without ever being refused.
func (b *bench) measureCreations(ctx context.Context) error {
	slow, first, err := creations{name: "published", people: 600, perSecond: 4, share: 1, counted: b.o.span(120)}.measure(ctx, b)
	if err != nil {
		return err
	}
	fast, second, err := creations{name: "fast", people: 2500, perSecond: 40, share: 1}.measure(ctx, b)
	if err != nil {
		return err
	}
	b.report.note("creations a second, 4 and 40 allowed", "%.3f and %.2f, at most %d and %d in any second", slow, fast, first.MostSliding, second.MostSliding)
	b.report.figure(creationsAsPublished, slow/4)
	b.report.figure(creationsFast, fast/40)
	b.report.figure(creationsRefused, float64(first.ByStatus[http.StatusTooManyRequests]+second.ByStatus[http.StatusTooManyRequests]))
	return nil
}

// measureJitter measures the same where calls take 0 to 300 ms more or less on their way, and another program makes one call a
// second on the same key, for which limits.share leaves room.
func (b *bench) measureJitter(ctx context.Context) error {
	const (
		perSecond = 40
		foreign   = 1
	)
	worst := 0.0
	for _, w := range []struct {
		window sandbox.Window
		figure figure
	}{{sandbox.WindowSliding, jitterSliding}, {sandbox.WindowFixed, jitterFixed}} {
		rate, s, err := creations{
			name: "jitter-" + string(w.window), people: 5000, perSecond: perSecond, share: float64(perSecond-foreign) / perSecond,
			box: sandbox.Options{Window: w.window, Jitter: 300 * time.Millisecond, Foreign: foreign},
		}.measure(ctx, b)
		if err != nil {
			return err
		}
		b.report.note("  window "+string(w.window), "%.2f creations a second, %d calls, %d of them answered 429", rate, s.Calls, s.ByStatus[http.StatusTooManyRequests])
		b.report.figure(w.figure, rate/(perSecond-foreign))
		worst = max(worst, s.Throttled())
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
	br, err := b.newBridgeAt(ctx, place{slapd: slapd, sandbox: sandbox.Options{PerSecond: sandbox.Unlimited, PerDay: sandbox.Unlimited}}, "plan", "rsa-2048", nil)
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
	b.report.note(fmt.Sprintf("fresh sign-ins, %.0f a second, with a plan and without", b.launchRate/4), "p50 %s and %s, p99 %s and %s",
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
