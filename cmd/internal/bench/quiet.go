package main

import (
	"context"
	"fmt"
)

// tolerableCores is how much other processes may use while a pair is measured.
const tolerableCores = 0.1

// inTurns measures something n times. What was measured while others used too much of the processors is put aside and
// measured again, n times in all at most: a busy machine must not keep it here for ever. Where that was not enough,
// what was put aside fills the gaps, and why says that it is not to be relied on.
func inTurns[T any](ctx context.Context, n int, watch func() func() float64, measure func() (T, error)) (all []T,
	again int, why string, err error) {
	var aside []T
	for len(all) < n && len(all)+len(aside) < 2*n {
		if err := ctx.Err(); err != nil {
			return nil, 0, "", err
		}
		cores := watch()
		one, err := measure()
		if err != nil {
			return nil, 0, "", err
		}
		if cores() > tolerableCores {
			aside = append(aside, one)
			continue
		}
		all = append(all, one)
	}
	again = len(aside)
	if missing := n - len(all); missing > 0 {
		why = fmt.Sprintf("disturbed: in %d of %d turns other processes used more than %.1f cores", again, again+len(all),
			tolerableCores)
		all = append(all, aside[:missing]...)
	}
	return all, again, why, nil
}

// cores begins to watch other processes; what it returns tells how many cores they used since.
func (b *bench) cores() func() float64 { return b.watch().cores }
