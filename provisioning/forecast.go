package provisioning

import (
	"context"
	"fmt"
	"time"

	"ssobridge/store"
)

// Forecast is what a number of creations takes.
type Forecast struct {
	Calls      int
	PerSecond  float64       // calls a second, as allowed
	Takes      time.Duration // of calling, without the nights between
	Left       int           // calls that background work may still make today
	TodayShare float64       // Calls against Left; above 1 it takes more than today. With none left it is Calls.
	Days       int           // days of the budget that it touches, today included; 0 for no call
	UsedUp     string        // whose count says that today allows no call at all; "" where it does, see UsedUp
	// when the last would be made if it began now; zero for no call, or where background work may make none at all
	Ends time.Time
}

// Forecast reads the budget and tells what calls would take. It reckons with the allowed rate and with days on which
// nothing else is called: what sign-ins need comes on top, and a key that is throttled is slower.
func (s *Service) Forecast(ctx context.Context, calls int) (Forecast, error) {
	status, err := s.budget.Status(ctx)
	if err != nil {
		return Forecast{}, fmt.Errorf("forecast %d calls: %w", calls, err)
	}
	return forecast(status, calls, s.now()), nil
}

// forecast is the arithmetic. A day ends at 00:00 UTC, and what it allows is bounded by the calls of the budget and by
// the seconds that are left of it.
func forecast(b store.BudgetStatus, calls int, now time.Time) Forecast {
	f := Forecast{Calls: max(calls, 0), PerSecond: b.PerSecond}
	f.UsedUp, _ = UsedUp(b)
	if !b.Exhausted {
		f.Left = max(b.Background-b.Used, 0)
	}
	if f.Calls == 0 || b.PerSecond <= 0 {
		return f
	}
	lasting := func(calls int) time.Duration {
		return time.Duration(float64(calls) / b.PerSecond * float64(time.Second))
	}
	within := func(d time.Duration) int { return int(b.PerSecond * d.Seconds()) }

	f.Takes = lasting(f.Calls)
	f.TodayShare = float64(f.Calls) / float64(max(f.Left, 1))
	reset := b.Reset
	if !reset.After(now) {
		reset = midnight(now) // our clock is ahead of the database's
	}
	today := min(f.Left, within(reset.Sub(now)))
	f.Days = 1
	if f.Calls <= today {
		f.Ends = now.Add(f.Takes)
		return f
	}
	daily := min(b.Background, within(24*time.Hour))
	if daily <= 0 {
		return f
	}
	rest := f.Calls - today
	full := (rest - 1) / daily // whole days before the last
	f.Days += full + 1
	f.Ends = reset.AddDate(0, 0, full).Add(lasting(rest - full*daily))
	return f
}
