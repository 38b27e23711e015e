package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDisturbedTurnsAreRepeated (COST-41): what others disturbed is measured again, n times in all at most, and then it
// says so.
func TestDisturbedTurnsAreRepeated(t *testing.T) {
	for _, c := range []struct {
		name  string
		cores []float64 // of others, turn by turn
		want  []int     // the turns that count
		again int
		why   string
	}{
		{"quiet", []float64{0, 0.1, 0.02}, []int{0, 1, 2}, 0, ""},
		{"once", []float64{0, 0.5, 0, 0}, []int{0, 2, 3}, 1, ""},
		{"as often as may be", []float64{1, 1, 1, 0, 0, 0}, []int{3, 4, 5}, 3, ""},
		{"too often", []float64{1, 1, 0, 1, 0, 1}, []int{2, 4, 0}, 4,
			"disturbed: in 4 of 6 turns other processes used more than 0.1 cores"},
		{"always", []float64{1, 1, 1, 1, 1, 1}, []int{0, 1, 2}, 6, "disturbed: in 6 of 6 turns"},
	} {
		turn := -1
		watch := func() func() float64 { return func() float64 { return c.cores[turn] } }
		all, again, why, err := inTurns(t.Context(), 3, watch, func() (int, error) { turn++; return turn, nil })
		if err != nil || !slices.Equal(all, c.want) || again != c.again || turn != len(c.cores)-1 {
			t.Errorf("%s: got %v, %d again, %d turns, %v; want %v, %d again, %d turns", c.name, all, again, turn+1, err, c.want,
				c.again, len(c.cores))
		}
		if why != c.why && (c.why == "" || !strings.HasPrefix(why, c.why)) {
			t.Errorf("%s: got %q, want %q", c.name, why, c.why)
		}
	}
	broken := errors.New("broken")
	quiet := func() func() float64 { return func() float64 { return 0 } }
	if _, _, _, err := inTurns(t.Context(), 3, quiet, func() (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the turn", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := inTurns(ended, 3, quiet, func() (int, error) { return 0, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// TestMedianOfPairs (COST-40): a pair is compared within itself, and the pair in the middle counts. Means or the ratio
// of medians would be drawn by the two slow moments here.
func TestMedianOfPairs(t *testing.T) {
	at := func(floorRate, bridgeRate float64, floor, bridge time.Duration) pair {
		return pair{floor: pace{rate: floorRate, each: floor}, bridge: pace{rate: bridgeRate, each: bridge}}
	}
	pairs := []pair{
		at(1000, 850, time.Millisecond, 1300*time.Microsecond),
		at(300, 240, 3*time.Millisecond, 3320*time.Microsecond), // a slow moment for both
		at(1000, 400, time.Millisecond, 2*time.Millisecond),     // for the bridge alone
		at(990, 820, time.Millisecond, 1310*time.Microsecond),
		at(400, 390, time.Millisecond, 1100*time.Microsecond), // for the floor alone
	}
	if got := median(pairs, pair.rate).rate(); got < 0.828 || got > 0.829 {
		t.Errorf("rate: got %v, want 820/990", got)
	}
	if got := median(pairs, pair.over).over(); got != float64(310*time.Microsecond) {
		t.Errorf("processor time: got %v, want 0.31 ms", time.Duration(got))
	}
}
