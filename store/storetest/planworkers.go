package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// testPlanWorkers: four workers on two replicas take 500 items, each exactly once, while others add, read and try to
// finish.
func testPlanWorkers(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("claimed once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.DB{open(t, o), open(t, o)}
		const rows = 500
		items := make([]store.PlanItem, rows)
		for i := range items {
			items[i] = creation(fmt.Sprint(i))
		}
		p := applying(t, replicas[0], items...)
		var (
			mu       sync.Mutex
			seen     = map[int64]int{}
			finished int
		)
		for _, err := range all(4, func(worker int) error {
			db := replicas[worker%2]
			for {
				i, err := db.Plans().Claim(ctx, time.Minute)
				if errors.Is(err, store.ErrNotFound) {
					done, err := db.Plans().Finish(ctx, p.ID, event("f"))
					mu.Lock()
					defer mu.Unlock()
					if done {
						finished++
					}
					return err
				}
				if err != nil {
					return err
				}
				mu.Lock()
				seen[i.Position]++
				mu.Unlock()
				if i.Position%10 == 0 {
					err = db.Plans().Skip(ctx, i, "changed")
				} else if row, beginErr := db.Plans().Begin(ctx, i, ssoUser(i.Login), time.Minute, event("b")); beginErr != nil {
					err = beginErr
				} else {
					row.State = store.Active
					err = db.Ledger().Settle(ctx, row, event("s"))
				}
				if err != nil {
					return err
				}
			}
		}) {
			must(t, err)
		}
		for position, n := range seen {
			if n != 1 {
				t.Errorf("item %d was claimed %d times", position, n)
			}
		}
		if len(seen) != rows {
			t.Errorf("%d items were claimed, want %d", len(seen), rows)
		}
		// The last to come sees all the others' ends, unless they are not stored yet: then nobody finished.
		if finished == 0 {
			done, err := replicas[0].Plans().Finish(ctx, p.ID, event("f"))
			must(t, err)
			if done {
				finished++
			}
		}
		if got := getPlan(t, replicas[1], p.ID); finished != 1 || got.State != store.PlanDone || got.Done != rows*9/10 ||
			got.Skipped != rows/10 || got.Failed != 0 {
			t.Errorf("finished %d times, at the end %+v", finished, got)
		}
	})
	t.Run("added at once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.DB{open(t, o), open(t, o)}
		id, err := replicas[0].Plans().Create(ctx, store.Plan{Kind: "watch"})
		must(t, err)
		const writers, each = 6, 130 // more than one statement takes
		for _, err := range all(writers, func(w int) error {
			items := make([]store.PlanItem, each)
			for i := range items {
				items[i] = creation(fmt.Sprintf("%d-%d", w, i))
			}
			return replicas[w%2].Plans().Add(ctx, id, items)
		}) {
			must(t, err)
		}
		p, err := replicas[0].Plans().Ready(ctx, id, 1, event("r"))
		must(t, err)
		items, err := replicas[0].Plans().Items(ctx, id, store.ItemFilter{Limit: 1000})
		must(t, err)
		if p.Creations != writers*each || len(items) != writers*each {
			t.Fatalf("%d counted, %d read, want %d", p.Creations, len(items), writers*each)
		}
		for n, i := range items {
			if i.Position != int64(n+1) {
				t.Fatalf("item %d stands at %d", n+1, i.Position)
			}
			// What was added together stands together, in its order.
			if n%each > 0 && i.Login[:2] != items[n-1].Login[:2] {
				t.Errorf("%s stands behind %s", i.Login, items[n-1].Login)
			}
		}
	})
	t.Run("paused while workers begin", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.DB{open(t, o), open(t, o)}
		items := make([]store.PlanItem, 60)
		for i := range items {
			items[i] = creation(fmt.Sprint(i))
		}
		p := applying(t, replicas[0], items...)
		begun := make(chan struct{}, len(items)+8)
		errs := all(5, func(worker int) error {
			if worker == 4 {
				<-begun
				return replicas[0].Plans().SetState(ctx, p.ID, store.PlanApplying, store.PlanPaused, store.PlanChange{}, event("p"))
			}
			db := replicas[worker%2]
			defer func() { begun <- struct{}{} }()
			for {
				i, err := db.Plans().Claim(ctx, time.Minute)
				if err == nil {
					_, err = db.Plans().Begin(ctx, i, ssoUser(i.Login), time.Minute, event("b"))
				}
				if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
					return nil
				}
				if err != nil {
					return err
				}
				begun <- struct{}{}
			}
		})
		for _, err := range errs {
			must(t, err)
		}
		sending, err := replicas[0].Plans().Items(ctx, p.ID, store.ItemFilter{State: store.ItemSending, Limit: 1000})
		must(t, err)
		rows, err := replicas[0].Ledger().CountByState(ctx)
		must(t, err)
		if n := events(t, replicas[0], "b"); len(sending) != rows[store.Sending] || len(sending) != n {
			t.Errorf("%d items are sending, with %d rows and %d events", len(sending), rows[store.Sending], n)
		}
	})
}
