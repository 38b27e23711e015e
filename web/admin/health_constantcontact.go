package admin

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/store"
)

const (
	// probeEvery is how seldom Constant Contact is called to see whether it answers, on all replicas together: each such
	// call is one of the day's.
	probeEvery = 15 * time.Minute
	probeLease = "constant-contact-probe"
)

// constantContact judges Constant Contact by the last real call. Only where there was none for long, or where a single
// one failed, and where Probe is there, one call is made to find out.
func (s Status) constantContact(ctx context.Context) []Finding {
	const name = "partner API"
	stopped, err := s.Store.Breaker().State(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	if stopped.Cause != "" {
		return []Finding{{
			Name: name, Level: Failure, Detail: CallsStopped(stopped.Cause) + ", and calls are stopped",
			Hint: "calls are tried again by themselves at " + stopped.Until.UTC().Format("15:04 MST"),
		}}
	}
	r, err := s.Store.Health().Read(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	var unreached string
	if c := r.Calls; c.Failures == 1 || c.Worked.IsZero() || c.Ago >= probeEvery {
		probed, err := s.probe(ctx)
		if err != nil {
			unreached, _, _ = partnerapi.Unreached(err)
		}
		if probed {
			if r, err = s.Store.Health().Read(ctx); err != nil {
				return []Finding{found(name, err)}
			}
		}
	}
	return []Finding{judgeCalls(name, s.APIURL, r.Calls, unreached)}
}

// probe makes the call, at most once in probeEvery; probed is false where it was not made.
func (s Status) probe(ctx context.Context) (probed bool, err error) {
	if s.Probe == nil {
		return false, nil
	}
	// Nobody prolongs the lease or gives it back: it is the time until the next call.
	ours, err := s.Store.Leases().Take(ctx, probeLease, rand.Text(), probeEvery)
	if err != nil || !ours {
		return false, err
	}
	return true, s.Probe(ctx)
}

// judgeCalls is what the last calls say.
func judgeCalls(name, url string, c store.CallRecord, unreached string) Finding {
	f := Finding{Name: name, Detail: url}
	switch c.Failures {
	case 0:
		return f
	case 1:
		// One call may have failed for its own data.
		f.Level, f.Detail = Warning, "the last call to Constant Contact failed"
	default:
		f.Level, f.Detail = Failure, fmt.Sprintf("the last %d calls to Constant Contact failed", c.Failures)
	}
	f.Act = RunCheck
	switch {
	case c.Why == string(partnerapi.Unauthorized):
		f.Detail += ": it does not accept the partner's credentials"
	case unreached != "":
		f.Detail += ": " + unreached
	}
	return f
}
