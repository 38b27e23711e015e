package server

import (
	"errors"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// ID-30: many jumps that are each too small to be doubted are doubted together; one that is accepted is not asked for
// again; a clock that was set back is not noted, so that putting it right needs nobody.
func TestClockCreeps(t *testing.T) {
	const day = 24 * time.Hour
	begin := func(t *testing.T) (p *App, jump, pass func(time.Duration)) {
		wall, steady := time.Now(), time.Duration(0)
		o := storetest.SQLite(t)
		o.Now = func() time.Time { return wall }
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		p = &App{Store: db, Now: func() time.Time { return wall }}
		p.clock.steady = func() time.Duration { return steady }
		return p, func(by time.Duration) { wall = wall.Add(by) }, func(by time.Duration) {
			wall,
				steady = wall.Add(by), steady+by
		}
	}
	doubted := func(t *testing.T, p *App) bool {
		t.Helper()
		err := p.BelieveClock(t.Context())
		var fault *ClockFault
		if err != nil && !errors.As(err, &fault) {
			t.Fatal(err)
		}
		return err != nil
	}
	t.Run("time passes", func(t *testing.T) {
		p, _, pass := begin(t)
		for range 100 {
			if pass(day); doubted(t, p) {
				t.Fatal("a clock that runs right is doubted")
			}
		}
	})
	t.Run("small jumps", func(t *testing.T) {
		p, jump, pass := begin(t)
		for n := range 20 {
			if doubted(t, p) {
				if n < 4 {
					t.Fatalf("doubted after %d days", 10*n)
				}
				break
			}
			pass(time.Minute)
			jump(10 * day)
		}
		if !doubted(t, p) {
			t.Fatal("200 days in 20 minutes were believed")
		}
		if other := (&App{Store: p.Store, Now: p.Now}); !doubted(t, other) {
			t.Error("a program that starts now, such as the one that accepts the time, believes it")
		}
		accepted := p.Now()
		if err := p.Store.Clock().Accept(t.Context(), accepted, store.Event{Actor: "admin:x",
			Action: "clock-accept"}); err != nil {
			t.Fatal(err)
		}
		if pass(time.Minute); doubted(t, p) {
			t.Error("still doubted after it was accepted")
		}
		if jump(40 * day); !doubted(t, p) {
			t.Error("the next jump is believed")
		}
	})
	t.Run("back", func(t *testing.T) {
		p, jump, pass := begin(t)
		doubted(t, p)
		jump(-1000 * day)
		if pass(2 * time.Hour); !doubted(t, p) {
			t.Error("a clock that is years back is believed")
		}
		restarted := &App{Store: p.Store, Now: p.Now}
		restarted.clock.steady = p.clock.steady
		if !doubted(t, restarted) {
			t.Error("a clock that is years back is believed after a restart")
		}
		if jump(1000 * day); doubted(t, p) || doubted(t, restarted) {
			t.Error("a clock that was put right is doubted")
		}
	})
}
