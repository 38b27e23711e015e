package idp_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// timing measures real answers, which a busy machine would blur: it is no part of the automated builds. The rule by
// which the time is drawn has a test of its own (TestID08Pace).
var timing = flag.Int("timing", 0, "measure so many answers to known logins and as many to unknown ones")

// TestID08Timing: over known and unknown logins in turn, with a wrong password, the best single threshold on one
// answer's time tells which it was in at most 55 % of cases. go test ./idp -run Timing -timing 2000
func TestID08Timing(t *testing.T) {
	if *timing == 0 {
		t.Log("not measured: give -timing 2000")
		return
	}
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{People: *timing})
	d, err := directory.New(s.Options())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Directory, o.LoginFloor = d, 0
		o.Now = time.Now
	})
	v := visitor("stranger")
	v.Address = "" // past 300 failures an address waits for turns
	measure := func(login string) time.Duration {
		id := pendingLogin(t, f, v)
		began := time.Now()
		if _, err := f.Login(context.Background(), id, login, "wrong", v); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	known, unknown := make([]time.Duration, *timing), make([]time.Duration, *timing)
	work := make(chan int)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range work {
				if i%2 == 0 {
					known[i/2] = measure(directorytest.LoadLogin(i / 2))
				} else {
					unknown[i/2] = measure(fmt.Sprintf("nobody%05d", i/2))
				}
			}
		})
	}
	for i := range 2 * *timing {
		work <- i
	}
	close(work)
	wait.Wait()
	type sample struct {
		took  time.Duration
		known bool
	}
	var all []sample
	for i := range known {
		all = append(all, sample{known[i], true}, sample{unknown[i], false})
	}
	slices.SortFunc(all, func(a, b sample) int { return int(a.took - b.took) })
	best, right := 0.0, len(known)
	for _, one := range all {
		if one.known {
			right--
		} else {
			right++
		}
		share := float64(right) / float64(len(all))
		best = max(best, share, 1-share)
	}
	t.Logf("one answer tells known from unknown in %.1f %% of cases", 100*best)
	if best > 0.55 {
		t.Errorf("%.1f %%, want at most 55 %%", 100*best)
	}
}
