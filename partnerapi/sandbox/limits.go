package sandbox

import (
	"sort"
	"time"
)

// limiter counts calls in the strictest reading of the published limits: any sliding second, and
// every call that arrives with a known key counts, refused ones too.
type limiter struct {
	perSecond, perDay int
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
	if day := now.UTC().Format(time.DateOnly); day != l.day {
		l.day, l.used = day, 0
	}
	l.used++
	first := sort.Search(len(l.recent), func(i int) bool { return now.Sub(l.recent[i]) < time.Second })
	l.recent = append(l.recent[first:], now)
	switch {
	case l.perDay >= 0 && l.used > l.perDay:
		return quotaExceeded
	case l.perSecond >= 0 && len(l.recent) > l.perSecond:
		return throttled
	}
	return ""
}
