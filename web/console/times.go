package console

import (
	"time"

	"ssobridge/web"
)

// moment is a time as a page shows it: relative where that says more, and the exact one behind it, with its zone. The
// script writes both as the reader's own place does.
type moment struct {
	At    time.Time
	Text  string // relative
	Exact string
	Still bool // shown exactly, not relative

	Lasting bool // shown as the time since
}

// From this age on, a date says more than a number of days.
const datedFrom = 7 * 24 * time.Hour

// What is to come is counted in days for longer: nobody reckons how far off an expiry date is.
const datedAhead = 90 * 24 * time.Hour

func exactly(at time.Time) string { return at.UTC().Format("Mon 2 Jan 2006, 15:04:05 UTC") }

// relative is a time as people say it. console.js says it in the same steps.
func relative(texts web.Catalogue, at, now time.Time) string {
	ago := now.Sub(at)
	way, d := "ago", ago
	if ago < 0 {
		way, d = "in", -ago
	}
	say := func(unit string, n time.Duration) string {
		text, err := texts.Word("time."+unit+"."+way, "n", int(n))
		if err != nil {
			return exactly(at) // a fault of ours, which a test finds
		}
		return text
	}
	switch {
	case d < 45*time.Second:
		return say("now", 0)
	case d < 59*time.Minute+30*time.Second:
		return say("minutes", max(d.Round(time.Minute)/time.Minute, 1))
	case d < 23*time.Hour+30*time.Minute:
		return say("hours", d.Round(time.Hour)/time.Hour)
	case way == "ago" && d < datedFrom, way == "in" && d < datedAhead:
		return say("days", max(d.Round(24*time.Hour)/(24*time.Hour), 1))
	default:
		return at.UTC().Format("2 Jan 2006")
	}
}
