package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Work of the background has a fifth of a processor, as long as it may rest.
func TestGently(t *testing.T) {
	took := func(ctx context.Context, piece time.Duration) time.Duration {
		began := time.Now()
		time.Sleep(piece)
		rested := rest(ctx, began)
		if took := time.Since(began); rested != took-piece {
			t.Errorf("after %s it rested for %s, and said %s", piece, took-piece, rested)
		}
		return time.Since(began)
	}
	for name, c := range map[string]struct {
		atMost time.Duration // 0: the context is none of Gently
		pieces []time.Duration
		want   []time.Duration
	}{
		"in a hurry": {0, []time.Duration{time.Millisecond}, []time.Duration{time.Millisecond}},
		"four times as long as worked": {time.Second, []time.Duration{time.Millisecond},
			[]time.Duration{5 * time.Millisecond}},
		"no longer than the longest": {time.Second, []time.Duration{time.Second},
			[]time.Duration{time.Second + restMost}},
		"until the time to rest is used up": {10 * time.Millisecond,
			[]time.Duration{2 * time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond},
			[]time.Duration{10 * time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.atMost > 0 {
					ctx = Gently(ctx, c.atMost)
				}
				for i, piece := range c.pieces {
					if got := took(ctx, piece); got != c.want[i] {
						t.Errorf("piece %d of %s ended after %s, want %s", i+1, piece, got, c.want[i])
					}
				}
			})
		})
	}
	t.Run("until the context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(Gently(t.Context(), time.Minute), 15*time.Millisecond)
			defer cancel()
			if got := took(ctx, 10*time.Millisecond); got != 15*time.Millisecond {
				t.Errorf("the rest ended after %s, want the end of the context after 15ms", got)
			}
		})
	})
}
