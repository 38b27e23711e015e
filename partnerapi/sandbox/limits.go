package sandbox

import (
	"sort"
	"time"
)

// Window says how the calls of a second are counted; which of them Constant Contact does is not published.
type Window string

// The windows. Sliding is the stricter one: a program that stays within it stays within the other.
const (
	WindowSliding Window = "sliding" // in any span of a second
	WindowFixed   Window = "fixed"   // from one full second of the clock to the next
)

// limiter counts calls. Every call that arrives with a known key counts, refused ones too. Times are handed to it in
// order.
type limiter struct {
	perSecond, perDay int
	window            Window      // "" is sliding
	recent            []time.Time // of the last second
	day               string
	used              int
}

// Words of a limiter, which are the error_key as well.
const (
	throttled     = "throttled"
	quotaExceeded = "quota_exceeded"
)

// take counts a call at now and says which limit it breaks, "" for none.
func (l *limiter) take(now time.Time) string {
	l.spend(now, 1)
	first := sort.Search(len(l.recent), func(i int) bool { return now.Sub(l.recent[i]) < time.Second })
	l.recent = append(l.recent[first:], now)
	inSecond := len(l.recent)
	if l.window == WindowFixed {
		begin := now.Truncate(time.Second)
		inSecond -= sort.Search(len(l.recent), func(i int) bool { return !l.recent[i].Before(begin) })
	}
	switch {
	case l.perDay >= 0 && l.used > l.perDay:
		return quotaExceeded
	case l.perSecond >= 0 && inSecond > l.perSecond:
		return throttled
	}
	return ""
}

// spend counts n calls of the day that now is in.
func (l *limiter) spend(now time.Time, n int) {
	if day := now.UTC().Format(time.DateOnly); day != l.day {
		l.day, l.used = day, 0
	}
	l.used += n
}

// foreigner is another program on the same key. It makes its calls at even intervals; they reach the limiter only, when
// somebody looks.
type foreigner struct {
	every time.Duration // 0: there is none
	next  time.Time
	calls int
}

// newForeigner makes perSecond calls a second from start on.
func newForeigner(perSecond float64, start time.Time) foreigner {
	if perSecond <= 0 {
		return foreigner{}
	}
	every := time.Duration(float64(time.Second) / perSecond)
	return foreigner{every: every, next: start.Add(every)}
}

// until makes the calls that are due at now.
func (f *foreigner) until(now time.Time, l *limiter) {
	if f.every == 0 || f.next.After(now) {
		return
	}
	// After a long silence only the last second matters to the window, and of the rest the number and the day.
	if late := now.Sub(f.next) - time.Second; late > time.Second {
		n := int(late / f.every)
		last := f.next.Add(time.Duration(n-1) * f.every)
		midnight := last.UTC().Truncate(24 * time.Hour)
		today := n
		if f.next.Before(midnight) {
			today = int(last.Sub(midnight)/f.every) + 1
		}
		if n > 0 {
			l.spend(last, today)
			f.calls += n
			f.next = last.Add(f.every)
		}
	}
	for ; !f.next.After(now); f.next = f.next.Add(f.every) {
		l.take(f.next)
		f.calls++
	}
}
