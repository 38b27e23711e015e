package notices

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

const (
	// newsAfter is how long a state holds before it is reported, and overAfter how long it is over before that is.
	newsAfter = 2 * time.Minute
	overAfter = 5 * time.Minute
	// watchEvery is how often each replica looks at states.
	watchEvery = 10 * time.Second
	// endsEvery is how often it looks for what expires.
	endsEvery = 10 * time.Minute
	// budgetShare is the part of the day's calls from which on they are low.
	budgetShare = 0.8
)

// expirySteps are the days before an end on which it is reported.
var expirySteps = []int{1, 7, 14, 30, 60, 90}

// Watch is what states are read from. Each may be nil: its classes are not reported then.
type Watch struct {
	Health   func(ctx context.Context) (admin.Health, error)
	Expiries func(ctx context.Context) ([]admin.Expiry, error)
	Budget   func(ctx context.Context) (store.BudgetStatus, error)
	// Lockouts counts the people who are locked out; many is from how many on it is reported.
	Lockouts func(ctx context.Context) (int, error)
	Many     int
	// HeartbeatEvery is how often the bridge says that it runs; 0: never.
	HeartbeatEvery time.Duration
}

// watching is what this replica remembers between two looks. Nothing is lost with it: what was reported stands in the
// store.
type watching struct {
	looked, ends time.Time
	lockedSince  time.Time // since when many are locked out, or few
	locked       bool
	beat         string
}

func newWatching() watching { return watching{} }

// partStates are the parts of the health snapshot whose failure is a class of its own. All others share one.
var partStates = map[admin.Part][2]store.NoticeClass{
	admin.PartDirectory:       {store.NoticeDirectoryDown, store.NoticeDirectoryUp},
	admin.PartConstantContact: {store.NoticeCallsStopped, store.NoticeCallsResumed},
	admin.PartBackup:          {store.NoticeBackupOverdue, store.NoticeBackupMade},
}

// unwatched parts have notices of another kind: dates of their own, events, the budget.
var unwatched = map[admin.Part]bool{admin.PartExpiry: true, admin.PartBudget: true, admin.PartProvisioning: true,
	admin.PartNotices: true, admin.PartStore: true}

// watch reports states that have begun or ended, what expires, and that the bridge runs. Several replicas may do so at
// once: each report is stored once.
func (e *Engine) watch(ctx context.Context) error {
	now := e.o.Now()
	w := &e.watching
	if now.Sub(w.looked) < watchEvery && !now.Before(w.looked) {
		return nil
	}
	w.looked = now
	errs := []error{e.watchHealth(ctx, now), e.watchBudget(ctx, now), e.watchLockouts(ctx, now), e.heartbeat(ctx, now)}
	if now.Sub(w.ends) >= endsEvery || now.Before(w.ends) {
		err := e.watchEnds(ctx, now)
		if err == nil {
			w.ends = now
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (e *Engine) watchHealth(ctx context.Context, now time.Time) error {
	if e.o.Watch.Health == nil {
		return nil
	}
	h, err := e.o.Watch.Health(ctx)
	if err != nil || h.Stale() {
		return err // what nobody has looked at is no news
	}
	reported, err := e.o.Notices.States(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range h.Parts {
		if unwatched[p.Part] {
			continue
		}
		classes, own := partStates[p.Part]
		if !own {
			classes = [2]store.NoticeClass{store.NoticePartDown, store.NoticePartUp}
		}
		detail := map[string]any{"part": string(p.Part), "since": p.Since.UTC().Format(time.RFC3339)}
		errs = append(errs, e.state(ctx, reported, "state:"+string(p.Part), p.Level == admin.Failure, now.Sub(p.Since),
			classes, detail))
	}
	return errors.Join(errs...)
}

// state reports that a state holds, or is over, for long enough.
func (e *Engine) state(ctx context.Context, reported map[string]time.Time, name string, on bool, since time.Duration,
	classes [2]store.NoticeClass, detail map[string]any) error {
	_, known := reported[name]
	n := store.NoticeRecord{Actor: "worker", Detail: store.DetailOf(detail)}
	switch {
	case on && !known && since >= newsAfter:
		n.Class = classes[0]
	case !on && known && since >= overAfter:
		n.Class = classes[1]
	default:
		return nil
	}
	return e.o.Notices.SetState(ctx, name, on, n)
}

func (e *Engine) watchBudget(ctx context.Context, now time.Time) error {
	if e.o.Watch.Budget == nil {
		return nil
	}
	b, err := e.o.Watch.Budget(ctx)
	if err != nil || b.Limit == 0 || float64(b.Used) < budgetShare*float64(b.Limit) {
		return err
	}
	return e.o.Notices.Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow, Actor: "worker",
		Cause:  "budget:" + now.UTC().Format(time.DateOnly),
		Detail: store.DetailOf(map[string]any{"used": b.Used, "limit": b.Limit})})
}

func (e *Engine) watchLockouts(ctx context.Context, now time.Time) error {
	w := &e.watching
	if e.o.Watch.Lockouts == nil || e.o.Watch.Many == 0 {
		return nil
	}
	n, err := e.o.Watch.Lockouts(ctx)
	if err != nil {
		return err
	}
	if many := n >= e.o.Watch.Many; many != w.locked || w.lockedSince.IsZero() || now.Before(w.lockedSince) {
		w.locked, w.lockedSince = many, now
	}
	reported, err := e.o.Notices.States(ctx)
	if err != nil {
		return err
	}
	return e.state(ctx, reported, "state:lockouts", w.locked, now.Sub(w.lockedSince),
		[2]store.NoticeClass{store.NoticeLockouts, store.NoticeLockoutsOver}, map[string]any{"lockouts": n})
}

// heartbeat says that the bridge runs, once in each of its times.
func (e *Engine) heartbeat(ctx context.Context, now time.Time) error {
	every := e.o.Watch.HeartbeatEvery
	if every <= 0 {
		return nil
	}
	cause := fmt.Sprintf("heartbeat:%d", now.UTC().Truncate(every).Unix())
	if cause == e.watching.beat {
		return nil
	}
	err := e.o.Notices.Add(ctx, store.NoticeRecord{Class: store.NoticeHeartbeat, Cause: cause, Actor: "worker"})
	if err == nil {
		e.watching.beat = cause
	}
	return err
}

// watchEnds reports each end that is near, once for each of its steps.
func (e *Engine) watchEnds(ctx context.Context, now time.Time) error {
	if e.o.Watch.Expiries == nil {
		return nil
	}
	// What could be read comes also with an error, which the health snapshot reports.
	all, err := e.o.Watch.Expiries(ctx)
	if err != nil && len(all) == 0 {
		return err
	}
	for _, x := range all {
		left := x.NotAfter.Sub(now)
		for _, days := range expirySteps {
			if left > time.Duration(days)*24*time.Hour {
				continue
			}
			n := store.NoticeRecord{
				Class: store.NoticeExpiry, Actor: "worker", SP: x.EntityID,
				Cause: fmt.Sprintf("expiry:%s:%s:%s:%d:%d", x.Use, x.ID, x.EntityID, x.NotAfter.Unix(), days),
				Detail: store.DetailOf(map[string]any{"what": x.What, "use": x.Use, "id": x.ID,
					"not_after": x.NotAfter.UTC().Format(time.RFC3339), "days": max(0, int(left/(24*time.Hour)))}),
			}
			if err := e.o.Notices.Add(ctx, n); err != nil {
				return err
			}
			break // the nearest step says it
		}
	}
	return nil
}
