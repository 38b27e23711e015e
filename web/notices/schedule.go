package notices

import (
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

const (
	// messagesAnHour is how many messages a receiver gets in an hour; then what waits goes as one.
	messagesAnHour = 20
	hour           = time.Hour
	// tryFor is how long a notice is tried again.
	tryFor = 72 * time.Hour
	// longestPause is for how long nothing at all is sent to a receiver that fails: it is not asked for each notice.
	longestPause = 5 * time.Minute
	// claimed is how many notices one claim has at most.
	claimed = 100
)

// pauses are those between the tries of a notice; the last one stays.
var pauses = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour,
	4 * time.Hour, 6 * time.Hour}

// planned is what is to be done with a claim.
type planned struct {
	until      time.Time   // nothing may be sent before it; zero: due is sent
	due        []store.Due // go as one message
	more       bool        // others may wait that were not claimed
	windowAt   time.Time
	windowSent int
}

// plan decides what of a claim is sent now. Times are the database's.
func plan(c store.Claimed) planned {
	p := planned{windowAt: c.WindowAt, windowSent: c.WindowSent, more: len(c.Due) == claimed}
	// A beginning that lies ahead was left by a clock that ran ahead and was put right.
	if c.Now.Sub(p.windowAt) >= hour || p.windowAt.After(c.Now) {
		p.windowAt, p.windowSent = c.Now, 0
	}
	if c.Kind == admin.NoticePeople {
		p.due = c.Due[:1] // each goes to somebody else, and nobody gets many
		return p
	}
	if p.until = quietUntil(c.Now, c.QuietFrom, c.QuietUntil); !p.until.IsZero() {
		return p
	}
	if p.windowSent >= messagesAnHour {
		p.until = p.windowAt.Add(hour)
		return p
	}
	p.due = c.Due[:1]
	if c.Digest {
		p.due = c.Due
	}
	return p
}

// quietUntil is the end of the quiet hours in which now lies; zero: it lies in none. Hours may go past midnight.
func quietUntil(now time.Time, from, until int) time.Time {
	if from == until {
		return time.Time{}
	}
	now = now.UTC()
	midnight := now.Truncate(24 * time.Hour)
	at := int(now.Sub(midnight) / time.Minute)
	end := midnight.Add(time.Duration(until) * time.Minute)
	switch {
	case from < until && at >= from && at < until, from > until && at < until:
		return end
	case from > until && at >= from:
		return end.Add(24 * time.Hour)
	}
	return time.Time{}
}

// failed says when what was sent is tried again, and what is given up.
func (p planned) failed(r *store.DeliveryResult, c store.Claimed, after time.Duration) {
	r.Failures = min(c.Failures+1, 1000)
	pause := longestPause
	if r.Failures <= 6 { // 5 s, 10 s, … 160 s
		pause = 5 * time.Second << (r.Failures - 1)
	}
	r.Next = c.Now.Add(max(pause, after))
	r.RetryAt = c.Now.Add(max(pauses[min(p.due[0].Tries, len(pauses)-1)], after))
	silent := true
	for _, d := range p.due {
		last := d.CreatedAt.Add(tryFor)
		if !last.After(c.Now) {
			r.Dead = append(r.Dead, d.ID)
			silent = silent && d.Class == store.NoticeGivenUp // which nobody could hear of either
			continue
		}
		if last.Before(r.RetryAt) {
			r.RetryAt = last
		}
	}
	r.Silent = silent
}
