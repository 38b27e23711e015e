package storetest

import (
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// testDepartures: API-02. Calls of several replicas go out one after the other, a second after the answers before them.
func testDepartures(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx, o := t.Context(), fresh(t)
	limits := store.BudgetLimits{PerSecond: 4, PerDay: 10000, Reserve: 0.2}
	replicas := []*store.DB{open(t, o), open(t, o)}
	var (
		mu      sync.Mutex
		numbers = map[int64]time.Time{} // when each call was answered
	)
	for _, err := range all(8, func(i int) error {
		b := replicas[i%2].Budget(limits)
		if _, _, err := b.Reserve(ctx, "sign-in"); err != nil {
			return err
		}
		for {
			call, wait, err := b.Depart(ctx, time.Second)
			if err != nil {
				return err
			}
			if call == 0 {
				time.Sleep(wait) // what the caller of Depart does
				continue
			}
			now := time.Now()
			mu.Lock()
			if before, ok := numbers[call-4]; call > 4 && (!ok || now.Sub(before) < time.Second) {
				t.Errorf("call %d went out at %v, after call %d was answered at %v (%t)", call, now, call-4, before, ok)
			}
			numbers[call] = time.Now()
			mu.Unlock()
			return b.Arrived(ctx, call, true)
		}
	}) {
		must(t, err)
	}
	if len(numbers) != 8 || numbers[8].IsZero() {
		t.Errorf("got calls %v, want 1 to 8", numbers)
	}
	b := replicas[0].Budget(limits)
	s, err := b.Status(ctx)
	must(t, err)
	if s.Worked.IsZero() || s.Used != 8 {
		t.Errorf("status %+v, want 8 calls that worked", s)
	}
	must(t, b.GiveBack(ctx, "sign-in", 0))
	if used, _, err := b.Used(ctx); err != nil || used != 7 {
		t.Errorf("used %d, %v, want 7", used, err)
	}
	first, err := b.ReserveToken(ctx)
	must(t, err)
	must(t, b.TokenAnswered(ctx))
	must(t, replicas[1].Budget(limits).TokenThrottled(ctx, 5*time.Second))
	second, err := replicas[1].Budget(limits).ReserveToken(ctx)
	must(t, err)
	if first != 0 || second < 3*time.Second || second > 5*time.Second {
		t.Errorf("token requests after %v and %v, want at once and after about 5 s", first, second)
	}
	// Whoever is told to wait for longer than anybody does takes no slot, and makes the line no longer.
	must(t, b.TokenThrottled(ctx, time.Hour))
	longest := time.Duration(0)
	for i := range 150 {
		wait, err := b.ReserveToken(ctx)
		must(t, err)
		if longest = max(longest, wait); wait < 30*time.Second || longest > 63*time.Second {
			t.Fatalf("token request %d after %v, at most %v; want about a minute", i, wait, longest)
		}
	}
	// Its clock ran ahead.
	_, err = rawDB(t, o).Exec(`UPDATE budget SET seen_at = seen_at + 3600000000, next_slot = next_slot + 3600000000`)
	must(t, err)
	_, err = rawDB(t, o).Exec(`UPDATE departures SET opens_at = opens_at + 3600000000`)
	must(t, err)
	if wait, outcome, err := b.Reserve(ctx, "sign-in"); err != nil || outcome != "taken" || wait > 5*time.Second {
		t.Errorf("after a clock that ran ahead: wait %v, %s, %v", wait, outcome, err)
	}
	if _, wait, err := b.Depart(ctx, time.Second); err != nil || wait > 5*time.Second {
		t.Errorf("after a clock that ran ahead: depart in %v, %v", wait, err)
	}
	if s, err := b.Status(ctx); err != nil || s.JumpedBy < 50*time.Minute {
		t.Errorf("status %+v, %v, want the jump", s, err)
	}
}
