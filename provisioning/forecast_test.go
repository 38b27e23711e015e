package provisioning_test

import (
	"math"
	"testing"
	"time"

	"ssobridge/provisioning"
	"ssobridge/store"
)

func TestForecast(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	midnight := noon.Add(12 * time.Hour)
	day := 24 * time.Hour
	fresh := store.BudgetStatus{Used: 0, Limit: 10_000, Background: 8000, PerSecond: 4, Rate: 4, Reset: midnight}
	with := func(change func(*store.BudgetStatus)) store.BudgetStatus {
		b := fresh
		change(&b)
		return b
	}
	cases := []struct {
		name   string
		budget store.BudgetStatus
		now    time.Time
		calls  int
		takes  time.Duration
		left   int
		share  float64
		days   int
		ends   time.Time
	}{
		{"no call", fresh, noon, 0, 0, 8000, 0, 0, time.Time{}},
		{"less than none", fresh, noon, -5, 0, 8000, 0, 0, time.Time{}},
		{"one", fresh, noon, 1, 250 * time.Millisecond, 8000, 1.0 / 8000, 1, noon.Add(250 * time.Millisecond)},
		{"all of today", fresh, noon, 8000, 2000 * time.Second, 8000, 1, 1, noon.Add(2000 * time.Second)},
		{"one more", fresh, noon, 8001, 8001 * 250 * time.Millisecond, 8000, 8001.0 / 8000, 2,
			midnight.Add(250 * time.Millisecond)},
		{"two whole days", fresh, noon, 16_000, 4000 * time.Second, 8000, 2, 2, midnight.Add(2000 * time.Second)},
		{"into the third", fresh, noon, 16_001, 16_001 * 250 * time.Millisecond, 8000, 16_001.0 / 8000, 3,
			midnight.Add(day + 250*time.Millisecond)},
		{"100,000", fresh, noon, 100_000, 25_000 * time.Second, 8000, 12.5, 13, midnight.Add(11*day + 1000*time.Second)},
		{"part of today is used", with(func(b *store.BudgetStatus) { b.Used = 7000 }), noon, 1500, 375 * time.Second, 1000,
			1.5, 2, midnight.Add(125 * time.Second)},
		{"only the reserve is left", with(func(b *store.BudgetStatus) { b.Used = 9000 }), noon, 100, 25 * time.Second, 0, 100,
			2, midnight.Add(25 * time.Second)},
		{"Constant Contact says it is used up", with(func(b *store.BudgetStatus) { b.Exhausted = true }), noon, 100,
			25 * time.Second, 0, 100, 2, midnight.Add(25 * time.Second)},
		{"a minute before midnight", fresh, midnight.Add(-time.Minute), 300, 75 * time.Second, 8000, 300.0 / 8000, 2,
			midnight.Add(15 * time.Second)},
		{"slower than the day allows", with(func(b *store.BudgetStatus) { b.PerSecond = 0.01 }), noon, 1000,
			100_000 * time.Second, 8000, 0.125, 2, midnight.Add(56_800 * time.Second)},
		{"a throttled key", with(func(b *store.BudgetStatus) { b.Rate = 1 }), noon, 400, 100 * time.Second, 8000, 0.05, 1,
			noon.Add(100 * time.Second)},
		{"our clock is ahead", fresh, midnight.Add(time.Second), 4, time.Second, 8000, 4.0 / 8000, 1,
			midnight.Add(2 * time.Second)},
		{"none for background work", with(func(b *store.BudgetStatus) { b.Background = 0 }), noon, 10,
			2500 * time.Millisecond, 0, 10, 1, time.Time{}},
		{"no rate", with(func(b *store.BudgetStatus) { b.PerSecond = 0 }), noon, 10, 0, 8000, 0, 0, time.Time{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := provisioning.ForecastOf(c.budget, c.calls, c.now)
			if f.Calls != max(c.calls, 0) || f.PerSecond != c.budget.PerSecond || f.Takes != c.takes || f.Left != c.left ||
				f.Days != c.days || !f.Ends.Equal(c.ends) || math.Abs(f.TodayShare-c.share) > 1e-9 {
				t.Errorf("got %+v, want takes %v, left %d, share %v, days %d, ends %v", f, c.takes, c.left, c.share, c.days, c.ends)
			}
		})
	}
}

// Forecast asks the budget that the calls will pass.
func TestForecastReadsTheBudget(t *testing.T) {
	w := newPlanWorld(t, nil)
	for range 3 {
		if _, _, err := w.options.Budget.Reserve(t.Context(), "plan"); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.Forecast(t.Context(), 4000)
	if err != nil || f.Left < 7990 || f.Left > 8000 || f.Days != 1 || f.Takes < 1000*time.Second ||
		f.Takes > 1100*time.Second {
		t.Errorf("got %+v, %v; want a little under 8000 left, and about 1000 s", f, err)
	}
}
