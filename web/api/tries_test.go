package api_test

import (
	"fmt"
	"testing"
	"time"

	"ssobridge/web/api"
)

// As many tries of a block are taken within a minute as are said, and what is given back belongs to the minute that it
// was taken in.
func TestTries(t *testing.T) {
	begin := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	all := api.NewTries()
	take := func(want bool, at time.Time) {
		t.Helper()
		if after := all.Take("one", at); (after == 0) != want || after > 61 {
			t.Errorf("at %s: room in %d seconds", at.Sub(begin), after)
		}
	}
	late := begin.Add(59 * time.Second)
	for range api.TriesPerMinute {
		take(true, begin)
	}
	take(false, late)
	all.GiveBack("one", begin)
	take(true, late)
	take(false, late)
	if after := all.Take("another", late); after != 0 {
		t.Errorf("another block waits for %d seconds", after)
	}

	next := begin.Add(time.Minute)
	for range api.TriesPerMinute {
		take(true, next)
	}
	all.GiveBack("one", late) // taken in the minute before
	take(false, next)

	for i := range api.MaxTriers + 10 {
		all.Take(fmt.Sprint(i), next)
	}
	if n := all.Blocks(); n > api.MaxTriers {
		t.Errorf("%d blocks are counted", n)
	}
}
