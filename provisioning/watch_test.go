package provisioning_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// watches runs the watch of a service until the test or stop ends it.
func (w *planWorld) watches(s *provisioning.Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.KeepWatch(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	w.tb.Cleanup(stop)
	return stop
}

func newWatchWorld(t *testing.T, people int, change ...func(*provisioning.Options)) *planWorld {
	t.Helper()
	var all []directory.Entry
	for i := range people {
		all = append(all, person(fmt.Sprint("p", i), group("sales")))
	}
	w := newPlanWorld(t, all, append([]func(*provisioning.Options){func(o *provisioning.Options) {
		o.WatchEvery, o.MaxCreate, o.Lease = time.Hour, 5, time.Second
	}}, change...)...)
	w.maps("sales", harbour, store.AccountManager)
	w.settle()
	return w
}

func applying(o *provisioning.Options) { o.WatchApply = true }

// made waits until there are so many plans that are made, and returns the newest.
func (w *planWorld) made(n int) store.Plan {
	w.tb.Helper()
	w.until(fmt.Sprintf("there are %d plans", n), func() bool {
		all := w.plans()
		return len(all) >= n && all[0].State != store.PlanMaking && strings.Count(w.log.String(), "directory watch:") >= 1
	})
	if all := w.plans(); len(all) != n {
		w.tb.Fatalf("plans: got %d, want %d", len(all), n)
	}
	return w.plans()[0]
}

func (w *planWorld) logs(text string) {
	w.tb.Helper()
	w.until("the log says "+text, func() bool { return strings.Contains(w.log.String(), text) })
}

func TestWatchMakesPlans(t *testing.T) {
	w := newWatchWorld(t, 3)
	w.row("left", harbour, store.Active)
	w.settle()
	stop := w.watches(w.Service)
	first := w.made(1)
	w.logs("leavers=1")
	if first.Kind != "watch" || first.State != store.PlanReady || first.Creations != 3 || first.Leavers != 1 {
		t.Errorf("got %+v", first)
	}
	same(t, "manual work", w.work(), "leaver left "+string(harbour))
	stop()

	// Others that start within the interval make none: one made in vain would show as a walk.
	a, b := w.watches(w.replica()), w.watches(w.replica())
	w.advance(59 * time.Minute)
	w.looked()
	if n := w.people.walked(); n != 1 {
		t.Fatalf("walks after 59 minutes: got %d, want 1", n)
	}
	w.advance(2 * time.Minute)
	second := w.made(2)
	if w.get(first.ID).State != store.PlanDropped || second.State != store.PlanReady {
		t.Errorf("got %s and %s, want the second in place of the first", w.get(first.ID).State, second.State)
	}
	a()
	b()
	if n := w.people.walked(); n != 2 {
		t.Errorf("walks of two replicas: got %d, want 2", n)
	}
}

func TestWatchIsOffByDefault(t *testing.T) {
	w := newWatchWorld(t, 1, func(o *provisioning.Options) { o.WatchEvery = 0 })
	w.KeepWatch(t.Context()) // returns at once
	if len(w.plans()) != 0 {
		t.Error("a plan was made")
	}
}

// A watch that failed tries again after a quarter of an hour, not in a loop.
func TestWatchTriesAgain(t *testing.T) {
	w := newWatchWorld(t, 3)
	w.people.fail(errDown)
	w.watches(w.Service)
	w.logs("again_in=15m0s")
	w.people.fail(nil)
	w.advance(14 * time.Minute)
	w.looked()
	if n := w.people.walked(); n != 1 {
		t.Fatalf("walks within 14 minutes: got %d, want 1", n)
	}
	w.advance(2 * time.Minute)
	if p := w.made(2); p.State != store.PlanReady {
		t.Errorf("got %s, want it ready", p.State)
	}
}

// A replica that has the lease is waited for, and one that lost it ends.
func TestWatchUnderLease(t *testing.T) {
	w := newWatchWorld(t, 3)
	if ok, err := w.db.Leases().Take(t.Context(), "watch", "another", 10*time.Second); err != nil || !ok {
		t.Fatal(ok, err)
	}
	w.watches(w.Service)
	w.looked()
	if n := w.people.walked(); n != 0 {
		t.Fatalf("walks under another's lease: got %d, want 0", n)
	}
	w.advance(11 * time.Second)
	w.made(1)
}

func TestWatchThatLosesItsLease(t *testing.T) {
	w := newWatchWorld(t, 3)
	stuck := make(chan struct{})
	w.people.middle = func(ctx context.Context) {
		close(stuck)
		<-ctx.Done()
	}
	stop := w.watches(w.Service)
	<-stuck
	// its lease of a second has ended; a third of it passes by the machine's clock before it is prolonged
	w.advance(2 * time.Second)
	if ok, err := w.db.Leases().Take(t.Context(), "watch", "another", time.Hour); err != nil || !ok {
		t.Fatal(ok, err)
	}
	w.logs("directory watch failed")
	stop()
	if all := w.plans(); len(all) != 1 || all[0].State != store.PlanDropped {
		t.Errorf("plans: got %+v, want the one that was cut off dropped", all)
	}
}

func TestWatchApplies(t *testing.T) {
	w := newWatchWorld(t, 5, applying)
	w.watches(w.Service)
	w.until("the plan is applied",
		func() bool { all := w.plans(); return len(all) == 1 && all[0].State == store.PlanApplying })
	if p := w.plans()[0]; p.AppliedBy != "watch" || p.MaxCreate != 5 {
		t.Errorf("got %+v", p)
	}
}

func TestWatchDoesNotApply(t *testing.T) {
	cases := []struct {
		name   string
		people int
		before func(*planWorld)
		log    string
	}{
		{"above the cap", 6, func(*planWorld) {}, "more creations than the cap of 5"},
		{"on hold", 3, func(w *planWorld) {
			if err := w.db.Ledger().SetProvisioningPause(w.tb.Context(), "restore", store.Event{Action: "hold"}); err != nil {
				w.tb.Fatal(err)
			}
		}, "provisioning is paused"},
		{"while another is applied", 3, func(w *planWorld) {
			w.plan()
			w.mustApply(provisioning.ApplyOptions{})
		}, "another plan is being applied"},
		{"an absurd one", 3, func(w *planWorld) {
			for i := range 20 {
				w.row(fmt.Sprint("gone", i), harbour, store.Active)
			}
			w.settle()
		}, "more than half of all users would have left"},
		{"after an admin's pause", 3, func(w *planWorld) {
			p, _, err := w.MakePlan(w.tb.Context(), provisioning.PlanOptions{Kind: "watch", Actor: "watch"})
			if err == nil {
				w.mustApply(provisioning.ApplyOptions{ID: p.ID})
				err = w.PausePlan(w.tb.Context(), p.ID, "admin:test")
			}
			if err != nil {
				w.tb.Fatal(err)
			}
			w.advance(2 * time.Hour)
		}, "an admin has paused plan"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWatchWorld(t, c.people, applying)
			c.before(w)
			stop := w.watches(w.Service)
			w.logs(c.log)
			stop()
			p := w.plans()[0]
			if p.Kind != "watch" || p.State != store.PlanReady && p.State != store.PlanStopped {
				t.Errorf("got %+v, want the watch's plan not applied", p)
			}
			if len(w.work()) != 0 {
				t.Errorf("manual work: got %v", w.work())
			}
		})
	}
}

// With nobody to be created there is nothing to apply.
func TestWatchLeavesAnEmptyPlan(t *testing.T) {
	w := newWatchWorld(t, 0, applying)
	stop := w.watches(w.Service)
	w.made(1)
	stop()
	if p := w.plans()[0]; p.State != store.PlanReady {
		t.Errorf("got %s, want it ready", p.State)
	}
}
