package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// testBudget: API-02. Four calls in any sliding second, whoever makes them.
func testBudget(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	limits := store.BudgetLimits{PerSecond: 4, PerDay: 10000, Reserve: 0.2}
	spacing := 255 * time.Millisecond
	t.Run("spacing under contention", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.DB{open(t, o), open(t, o)}
		// The slot lies at the moment of the decision plus wait: between these bounds.
		type slot struct{ earliest, latest time.Time }
		var (
			mu    sync.Mutex
			slots []slot
		)
		const calls = 40
		for _, err := range all(calls, func(i int) error {
			before := time.Now()
			wait, outcome, err := replicas[i%2].Budget(limits).Reserve(ctx, "sign-in")
			ok := outcome == "taken"
			after := time.Now()
			if err == nil && !ok {
				err = fmt.Errorf("refused, wait %v", wait)
			}
			mu.Lock()
			defer mu.Unlock()
			slots = append(slots, slot{before.Add(wait), after.Add(wait)})
			return err
		}) {
			must(t, err)
		}
		slices.SortFunc(slots, func(a, b slot) int { return a.latest.Compare(b.latest) })
		for i := 1; i < len(slots); i++ {
			if gap := slots[i].latest.Sub(slots[i-1].earliest); gap < spacing {
				t.Errorf("slots %d and %d are at most %v apart, want %v", i-1, i, gap, spacing)
			}
		}
		if span := slots[calls-1].latest.Sub(slots[0].earliest); span < (calls-1)*spacing {
			t.Errorf("%d slots in %v, want %v", calls, span, (calls-1)*spacing)
		}
		used, reset, err := replicas[0].Budget(limits).Used(ctx)
		must(t, err)
		// Past midnight in between, the new day has only the later ones.
		if used > calls || used < 1 || time.Until(reset) > 24*time.Hour || reset.UTC().Hour() != 0 {
			t.Errorf("used %d until %v, want %d until midnight UTC", used, reset, calls)
		}
	})
	t.Run("throttled", func(t *testing.T) {
		b := open(t, fresh(t)).Budget(limits)
		must(t, b.Throttled(ctx))
		wait, outcome, err := b.Reserve(ctx, "sign-in")
		ok := outcome == "taken"
		must(t, err)
		if !ok || wait < 500*time.Millisecond || wait > time.Second {
			t.Errorf("after throttled: wait %v, ok %t, want about a second", wait, ok)
		}
	})
	t.Run("bad limits", func(t *testing.T) {
		db := open(t, fresh(t))
		for _, l := range []store.BudgetLimits{{}, {PerSecond: 4}, {PerDay: 1}, {PerSecond: 4, PerDay: 1, Reserve: 1},
			{PerSecond: -1, PerDay: 1}} {
			if _, _, err := db.Budget(l).Reserve(ctx, "sign-in"); err == nil {
				t.Errorf("limits %+v were accepted", l)
			}
		}
	})
	t.Run("day", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		b := db.Budget(store.BudgetLimits{PerSecond: 10000, PerDay: 10, Reserve: 0.2})
		take := func(class string) (time.Duration, bool) {
			t.Helper()
			wait, outcome, err := b.Reserve(ctx, class)
			must(t, err)
			if outcome != "taken" && outcome != "none" {
				t.Fatalf("class %q: %s", class, outcome)
			}
			return wait, outcome == "taken"
		}
		untilReset := func() time.Duration {
			t.Helper()
			_, reset, err := b.Used(ctx)
			must(t, err)
			return time.Until(reset)
		}
		if untilReset() < 5*time.Second {
			t.Skip("midnight UTC is too near for counting a day")
		}
		for i := range 8 {
			if _, ok := take("plan"); !ok {
				t.Fatalf("call %d of a plan was refused, want 8", i)
			}
		}
		for _, class := range []string{"plan", "retry", ""} {
			if wait, ok := take(class); ok || wait > untilReset()+time.Second || wait < untilReset()-time.Second {
				t.Errorf("class %q past its share: ok %t, wait %v, want none until midnight UTC", class, ok, wait)
			}
		}
		for i := range 2 {
			if _, ok := take("sign-in"); !ok {
				t.Fatalf("sign-in %d of the reserve was refused", i)
			}
		}
		if _, ok := take("sign-in"); ok {
			t.Error("the eleventh call of ten was granted")
		}
		if used, _, err := b.Used(ctx); err != nil || used != 10 {
			t.Errorf("used %d, %v, want 10", used, err)
		}
		// The next day begins: as if all that had been yesterday.
		_, err := rawDB(t, o).Exec(`UPDATE budget SET day = day - 1`)
		must(t, err)
		if used, _, err := b.Used(ctx); err != nil || used != 0 {
			t.Errorf("used on the new day %d, %v, want 0", used, err)
		}
		if _, ok := take("plan"); !ok {
			t.Error("the new day's first call was refused")
		}
		must(t, b.Exhausted(ctx))
		if wait, ok := take("sign-in"); ok || wait < untilReset()-time.Second {
			t.Errorf("after quota_exceeded: ok %t, wait %v, want none until midnight UTC", ok, wait)
		}
		if used, _, err := b.Used(ctx); err != nil || used != 10 {
			t.Errorf("used after quota_exceeded %d, %v, want all", used, err)
		}
		_, err = rawDB(t, o).Exec(`UPDATE budget SET day = day - 1, exhausted_day = exhausted_day - 1`)
		must(t, err)
		if _, ok := take("plan"); !ok {
			t.Error("the day after quota_exceeded was refused")
		}
	})
	t.Run("clock that ran ahead", func(t *testing.T) {
		o := fresh(t)
		b := open(t, o).Budget(limits)
		_, err := rawDB(t, o).Exec(`UPDATE budget SET next_slot = $1, day = 40000, exhausted_day = 40000`,
			time.Now().AddDate(5, 0, 0).UnixMicro())
		must(t, err)
		if wait, _, err := b.Reserve(ctx, "sign-in"); err != nil || wait > 24*time.Hour {
			t.Errorf("wait %v, %v, want at most a day", wait, err)
		}
	})
}
