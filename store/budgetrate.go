package store

import (
	"math"
	"time"
)

const (
	// spacingMargin makes up for calls that travel at different speeds. What is left is 98 % of the allowed rate.
	spacingMargin = 1.02
	throttlePause = time.Second

	firstLowering = 0.925 // of a key that was not throttled for long: the cause is not known, and may be large
	nextLowering  = 0.97  // of one that is near its rate
	lowestFactor  = 0.1
	// Recovery, a second: so slow that at 40 calls a second and with another program on the key fewer than 0.1 % are
	// refused, for each climb ends in a refusal. After recoveryCalm it grows with the square of the time, so that a key
	// that was throttled hard by another program's burst is at its full rate again after a quarter of an hour.
	recovery     = 0.0001
	recoveryCalm = 300.0
	recoveryFast = 2e-6

	roundsFrom     = 10.0 // calls a second
	roundsAbove    = 0.88 // factor
	roundDensity   = 0.1
	roundReduction = 0.25
)

// recovered is the factor at a time.
func (r *budgetRow) recovered(at time.Time) float64 {
	t := max(0, at.Sub(r.factorAt).Seconds())
	fast := max(0, t-recoveryCalm)
	return max(lowestFactor, min(1, r.factor+recovery*t+recoveryFast*fast*fast))
}

// lower lowers the rate after a throttling now.
func (r *budgetRow) lower() {
	f := r.recovered(r.now)
	if f >= 1 {
		f = firstLowering
	} else {
		f *= nextLowering
	}
	r.factor, r.factorAt = max(lowestFactor, f), r.now.Add(throttlePause)
}

// pace counts the slot of a call in its round and tells how far apart slots lie, and how far from this slot the next
// one.
//
// On a key that is not throttled calls are evenly spaced: no second has more than the limit, however it is counted, and
// sign-ins wait least. Refusals then mean either that another program uses the key, for which a lower rate makes room,
// or that calls travel at very different speeds. Against the latter a lower rate helps little where there are many
// calls a second: of 40 evenly spaced ones that take 0 to 150 ms to be counted, five at either end of every second are
// in doubt, and only at 87 % of the limit the refusals stop. So a throttled key of many calls goes by rounds: as many
// calls as a second allows close together, and then nothing until the second is over. In doubt is then only the gap,
// which is left out anyway. By simulation, with 1 of 40 calls a second made by another program, this gets through 91 %
// of what is left with 0.06 % refused, in either kind of window, where even spacing gets through 87 %. A round has
// somewhat fewer calls than the limit, the fewer the lower the rate. Where others take so much that the factor falls
// below roundsAbove, a round would be refused again and again, and calls are evenly spaced.
//
// Two slots that are a round apart in number are never nearer than its period, even where a caller comes late: what
// follows is shifted.
func (b *Budget) pace(r *budgetRow, slot time.Time) (apart, toNext time.Duration) {
	f := r.recovered(r.now)
	if slot.Sub(r.next) >= throttlePause {
		r.round = 0 // the round before is out of every second
	}
	if r.round > 0 {
		f = min(f, 0.999) // a round that is begun is ended as one
	}
	full := b.limits.perSecond() * f
	even := seconds(spacingMargin / full)
	if f >= 1 || f < roundsAbove || full < roundsFrom {
		r.round = 0
		return even, even
	}
	calls := int(max(math.Ceil(full), math.Floor(b.limits.perSecond()*math.Pow(f, roundReduction))))
	period := spacingMargin * float64(calls) / full // at least a second, since calls is at least full
	between := period * roundDensity / float64(calls)
	apart = seconds(between)
	if r.round++; r.round < calls {
		return apart, apart
	}
	r.round = 0
	return apart, seconds(period - float64(calls-1)*between)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
