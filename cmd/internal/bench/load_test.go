package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// TestScheduleCountsWhoWasKeptWaiting lets one step stall: those behind it count from
// the moment at which they should have begun, so the stall is not hidden.
func TestScheduleCountsWhoWasKeptWaiting(t *testing.T) {
	n := 0
	took, err := schedule(t.Context(), 1, 1000, 100*time.Millisecond, func(int) (step, error) {
		return func() error {
			if n++; n == 50 {
				return pause(t.Context(), 30*time.Millisecond, nil)
			}
			return nil
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(took) != 90 {
		t.Errorf("got %d times, want 90: the first tenth warms up", len(took))
	}
	late := 0
	for _, d := range took {
		if d > 5*time.Millisecond {
			late++
		}
	}
	if late < 15 || took.at(1) < 30*time.Millisecond {
		t.Errorf("%d steps took more than 5 ms and the longest %s: the stall of 30 ms must show in those behind it",
			late, took.at(1))
	}
}

func TestScheduleLeavesOutWhatDoesNotCount(t *testing.T) {
	n := 0
	took, err := schedule(t.Context(), 1, 2000, 50*time.Millisecond, func(int) (step, error) {
		return func() error {
			if n++; n%2 == 0 {
				return errUncounted
			}
			return nil
		}, nil
	})
	if err != nil || len(took) != 45 {
		t.Errorf("got %d times and error %v, want 45: every other one of the last 90", len(took), err)
	}
}

func TestLoadEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	worker := func(i int) (step, error) {
		return func() error {
			if i == 1 {
				return broken
			}
			return nil
		}, nil
	}
	if _, _, err := loop(t.Context(), 3, time.Hour, time.Hour, worker,
		func() error { return nil }); !errors.Is(err, broken) {
		t.Errorf("loop: got %v, want the step's error", err)
	}
	if _, err := schedule(t.Context(), 3, 1000, time.Hour, worker); !errors.Is(err, broken) {
		t.Errorf("schedule: got %v, want the step's error", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	fine := func(int) (step, error) { return func() error { return nil }, nil }
	if _, _, err := loop(ended, 1, time.Hour, time.Hour, fine, func() error { return nil }); !errors.Is(err,
		context.Canceled) {
		t.Errorf("loop: got %v, want the end of the context", err)
	}
	if _, err := schedule(ended, 1, 1, time.Hour, fine); !errors.Is(err, context.Canceled) {
		t.Errorf("schedule: got %v, want the end of the context", err)
	}
}

// TestCommitsAreCounted counts what the real store commits.
func TestCommitsAreCounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "store.db")
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, want := range []int{0, 1, 5} {
		got, err := commitsOf(file, func() error {
			for range want {
				if err := db.Audit().Add(t.Context(), store.Event{Actor: "bench", Action: "test"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("got %d commits, want %d", got, want)
		}
	}
}

// TestEveryFigureHasATarget holds a value on either side of each bound.
func TestEveryFigureHasATarget(t *testing.T) {
	for f := range figures {
		target, ok := targets[f]
		if !ok {
			t.Fatalf("figure %d has no target", f)
		}
		better, worse := target.bound*0.9, target.bound*1.1
		if target.bound == 0 {
			worse = 1
		}
		if target.atLeast {
			better, worse = worse, better
		}
		var r report
		r.figure(f, better)
		r.figure(f, target.bound)
		r.figure(f, worse)
		var text strings.Builder
		if err := r.print(&text); err != nil {
			t.Fatal(err)
		}
		if got := []string{r.lines[0].verdict, r.lines[1].verdict, r.lines[2].verdict}; strings.Join(got,
			" ") != "reached reached missed" {
			t.Errorf("%s: got %v, want reached, reached, missed", target.name, got)
		}
		if strings.Count(text.String(), target.name) != 3 {
			t.Errorf("the table does not name %s three times:\n%s", target.name, text.String())
		}
	}
}

func TestVerdictsTellOfDisturbance(t *testing.T) {
	var r report
	r.figure(launchRateOfFloor, 0.9)
	r.note("a note", "1")
	r.disturbed(0, tolerable)
	if got := r.lines[0].verdict; got != "reached" {
		t.Errorf("with little other work: got %q, want reached", got)
	}
	r.figure(freshOverLaunch, float64(time.Second))
	r.disturbed(1, 0.4)
	if r.lines[0].verdict != "reached" || r.lines[1].verdict != "" || !strings.Contains(r.lines[2].verdict,
		"missed, yet disturbed: other work had 40 %") {
		t.Errorf("with much other work: got %+v", r.lines)
	}
	// The kernel counts in hundredths of a second: over a shorter while, one tick is more than there is.
	w := watch(os.Getpid())
	<-time.After(300 * time.Millisecond)
	if share := w.share(); share < 0 || share > 2 {
		t.Errorf("others had %v of the processors", share)
	}
}

func TestMedianAndQuantiles(t *testing.T) {
	same := func(v float64) float64 { return v }
	if got := median([]float64{5, 1, 3}, same); got != 3 {
		t.Errorf("median of 5, 1, 3: got %v", got)
	}
	if got := median([]float64{4, 1}, same); got != 1 {
		t.Errorf("median of 4, 1: got %v, want the lower one", got)
	}
	var took times
	for i := range 100 {
		took = append(took, time.Duration(i+1))
	}
	if took.at(0.5) != 51 || took.at(0.99) != 100 || took.at(1) != 100 || times(nil).at(0.5) != 0 {
		t.Errorf("quantiles of 1 to 100: got p50 %d, p99 %d, most %d", took.at(0.5), took.at(0.99), took.at(1))
	}
}
