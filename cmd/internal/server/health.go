package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/web/admin"
)

const (
	// healthLook is how often each replica reads the snapshot, and looks at itself.
	healthLook = 5 * time.Second
	// healthEvery is how old the snapshot may be before a replica makes the next one: with the time that making one takes,
	// none that is in use is older than a minute.
	healthEvery = 25 * time.Second
	// healthLimit bounds making one.
	healthLimit = 20 * time.Second
	// expiriesEvery is how often each replica looks for what ends: its files may differ from those of the others.
	expiriesEvery = time.Minute
	// signedInEvery is how often each replica stores when somebody last signed in by it.
	signedInEvery = 30 * time.Second

	healthLease = "health"
)

// healthNow is what this replica knows of the health of all.
type healthNow struct {
	health   admin.Health
	read     time.Time // when the snapshot was read, with its monotonic reading
	ready    error     // why this replica can't serve sign-ins; nil: it can
	expiries []admin.Expiry
}

// age is how old the snapshot is now.
func (h *healthNow) age() time.Duration { return h.health.Age + time.Since(h.read) }

// healthKeeper reads the snapshot for this replica, and makes it where its turn has come.
type healthKeeper struct {
	p        *App
	replica  string
	status   admin.Status
	latest   atomic.Pointer[healthNow]
	signedIn atomic.Int64 // when somebody last signed in by this replica, in ns since 1970; 0: nobody did

	// Of the loop alone.
	endsLooked  time.Time
	signedNoted int64
	notedAt     time.Time
}

func newHealthKeeper(p *App, replica string) *healthKeeper {
	k := &healthKeeper{p: p, replica: replica, status: p.Status()}
	k.status.Since = p.Now()
	k.status.Probe = func(ctx context.Context) error { return p.Client.Probe(ctx, partnerapi.PriorityPlan) }
	return k
}

// run looks until ctx ends.
func (k *healthKeeper) run(ctx context.Context) error {
	tick := time.NewTicker(healthLook)
	defer tick.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			k.noteSignIn(context.WithoutCancel(ctx), 0)
			return nil
		case <-tick.C:
		}
	}
}

// look reads the snapshot, makes it where it is due, and looks at this replica.
func (k *healthKeeper) look(ctx context.Context) {
	k.noteSignIn(ctx, signedInEvery)
	k.readOnce(ctx)
	now := k.latest.Load()
	if now == nil {
		return // it stops
	}
	if store, _ := now.health.Part(admin.PartStore); ctx.Err() != nil || store.Level == admin.Failure ||
		!now.health.At.IsZero() && now.age() < healthEvery {
		return
	}
	made, err := k.make(ctx)
	if err != nil && ctx.Err() == nil {
		k.p.log.Warn("the health snapshot was not made; tried again in five seconds", "error", err)
	}
	if made {
		k.readOnce(ctx)
	}
}

// readOnce reads the snapshot, and puts what this replica finds of itself in its place: a store that only this one does
// not reach, a token that only this one has lost.
func (k *healthKeeper) readOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, healthLook)
	defer cancel()
	was := k.latest.Load()
	if was == nil {
		was = &healthNow{read: time.Now()}
	}
	next := &healthNow{health: was.health, read: was.read, expiries: was.expiries}
	if h, err := k.status.Health(ctx, admin.Everything()); err == nil {
		next.health, next.read = h, time.Now()
	}
	next.ready = k.status.Ready(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // this replica stops: what it did not find says nothing
	}
	at := k.p.Now()
	for part, found := range k.status.LookAtReplica(ctx) {
		next.health = next.health.AtLeast(was.health, part, at, found...)
	}
	if time.Since(k.endsLooked) >= expiriesEvery {
		// What could be read comes also with an error, which the part of the expiry dates tells.
		next.expiries, _ = k.p.Expiries().List(ctx, admin.Everything())
		k.endsLooked = time.Now()
	}
	k.latest.Store(next)
}

// make makes and stores the snapshot, if no other replica does. made is false where another one does.
func (k *healthKeeper) make(ctx context.Context) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	leases := k.p.Store.Leases()
	ours, err := leases.Take(ctx, healthLease, k.replica, healthLimit+healthLook)
	if err != nil || !ours {
		return false, err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthLook)
		defer cancel()
		err = errors.Join(err, leases.Release(last, healthLease, k.replica))
	}()
	// Read again with the lease: another replica may have made one a moment ago.
	before, err := k.status.Health(ctx, admin.Everything())
	if err != nil || !before.At.IsZero() && before.Age < healthEvery {
		return false, err
	}
	h := k.status.LookForHealth(ctx, before)
	if ctx.Err() != nil {
		return false, fmt.Errorf("look at every part of the bridge: %w", ctx.Err())
	}
	if err := k.status.StoreHealth(ctx, h, k.replica); err != nil {
		return false, err
	}
	k.report(before, h)
	return true, nil
}

// report logs each part that has become better or worse.
func (k *healthKeeper) report(before, now admin.Health) {
	for _, part := range now.Parts {
		was, known := before.Part(part.Part)
		if was.Level == part.Level && (known || part.Level == admin.OK) {
			continue
		}
		level := slog.LevelInfo
		switch part.Level {
		case admin.Failure:
			level = slog.LevelError
		case admin.Warning:
			level = slog.LevelWarn
		default:
		}
		attrs := []slog.Attr{
			slog.String("part", string(part.Part)), slog.String("state", part.Level.Word()),
			slog.String("was", was.Level.Word()),
		}
		if f := part.Worst(); f.Name != "" {
			attrs = append(attrs, slog.String("what", f.Name), slog.String("cause", f.Cause().Error()))
			hint := f.Hint
			if hint == "" && k.p.Commands != nil {
				hint = k.p.Commands(f.Act, f.About)
			}
			if hint != "" {
				attrs = append(attrs, slog.String("hint", hint))
			}
		}
		k.p.log.LogAttrs(context.Background(), level, "health changed", attrs...)
	}
}

// delivered notes that somebody signed in at a service provider.
func (k *healthKeeper) delivered() { k.signedIn.Store(k.p.Now().UnixNano()) }

// noteSignIn stores when somebody last signed in by this replica, unless it did so a short while ago.
func (k *healthKeeper) noteSignIn(ctx context.Context, every time.Duration) {
	last := k.signedIn.Load()
	if last == k.signedNoted || time.Since(k.notedAt) < every {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, healthLook)
	defer cancel()
	if err := k.p.Store.Health().SignedIn(ctx, k.p.Now().Sub(time.Unix(0, last))); err != nil {
		if ctx.Err() == nil {
			k.p.log.Warn("the time of the last sign-in was not stored; tried again in five seconds", "error", err)
		}
		return
	}
	k.signedNoted, k.notedAt = last, time.Now()
}

// replicaChecks are what each replica finds of itself.
func (p *App) replicaChecks() []admin.Check {
	return []admin.Check{
		{Part: admin.PartJournal, For: admin.ForHealth | admin.ForReplica, Run: p.journalHealth},
		{Part: admin.PartLog, For: admin.ForHealth | admin.ForReplica, Run: p.logHealth},
		{Part: admin.PartClock, For: admin.ForHealth, Run: p.clockHealth},
	}
}

func (p *App) journalHealth(context.Context) []admin.Finding {
	const name = "revocation journal"
	if fault := p.Journal.Fault(); fault != "" {
		return []admin.Finding{{
			Name: name, Level: admin.Failure, Detail: "it can't be written, so a restore would bring back what is revoked now: " + fault,
			Hint: "let the bridge's user read and write state_dir",
		}}
	}
	return []admin.Finding{{Name: name}}
}

func (p *App) logHealth(context.Context) []admin.Finding {
	const name = "log"
	if p.LogQueue != nil {
		if lost, now := p.LogQueue.Lost(); now {
			return []admin.Finding{{
				Name: name, Level: admin.Warning, Detail: fmt.Sprintf("lines are lost, %d so far", lost),
				Hint: "look at the program that reads standard error: it does not take what is written",
			}}
		}
	}
	return []admin.Finding{{Name: name}}
}

func (p *App) clockHealth(ctx context.Context) []admin.Finding {
	const name = "retention"
	var fault *ClockFault
	switch err := p.BelieveClock(ctx); {
	case errors.As(err, &fault):
		return []admin.Finding{{Name: name, Level: admin.Failure, Detail: fault.What, Hint: fault.Fix}}
	case err != nil:
		return []admin.Finding{{Name: name, Level: admin.Failure, Act: admin.RunCheck,
			Detail: "the time last noted can't be read"}}
	}
	return []admin.Finding{{Name: name}}
}
