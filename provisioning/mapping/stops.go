package mapping

import (
	"time"

	"ssobridge/store"
)

// patternNotice is how long a pattern without a base goes on after check and the console have both named it.
const patternNotice = 30 * 24 * time.Hour

// Baseless tells whether a mapping is a pattern over the names of groups anywhere, as the versions before bases stored
// them.
func Baseless(m store.Mapping) bool { return m.Kind == store.GroupPattern && m.GroupDN == "" }

// stopOf is when a pattern without a base stops; zero: not before both places have named it.
func stopOf(n store.PatternNotice) time.Time {
	if n.ByCheck.IsZero() || n.InConsole.IsZero() {
		return time.Time{}
	}
	last := n.ByCheck
	if n.InConsole.After(last) {
		last = n.InConsole
	}
	return last.Add(patternNotice)
}

// Stops are the times at which patterns without a base stop.
type Stops map[int64]time.Time

// Stopped are those that have stopped by now, and next is when the next one does; zero: none will.
func (all Stops) Stopped(now time.Time) (stopped Stops, next time.Time) {
	stopped = Stops{}
	for id, at := range all {
		switch {
		case !now.Before(at):
			stopped[id] = at
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return stopped, next
}

// Giving leaves out the patterns that have stopped.
func (all Stops) Giving(mappings []store.Mapping) []store.Mapping {
	if len(all) == 0 {
		return mappings
	}
	var rest []store.Mapping
	for _, m := range mappings {
		if _, over := all[m.ID]; !over || !Baseless(m) {
			rest = append(rest, m)
		}
	}
	return rest
}

// NewStops reads from what was noted of patterns when they stop.
func NewStops(notices map[int64]store.PatternNotice) Stops {
	all := Stops{}
	for id, n := range notices {
		if at := stopOf(n); !at.IsZero() {
			all[id] = at
		}
	}
	return all
}

// Of is the stop of one mapping.
func (all Stops) Of(id int64, now time.Time) Stop {
	at := all[id]
	return Stop{At: at, Over: !at.IsZero() && !now.Before(at)}
}

// Stop is the end of a pattern without a base.
type Stop struct {
	At   time.Time // zero: not set, since it was not yet named in both places
	Over bool      // it gives nobody anything any more
}

// StopText says when a pattern without a base stops, as the end of a sentence that begins with its having none.
func StopText(stop Stop) string {
	const day = "2 January 2006"
	switch {
	case stop.Over:
		return "it stopped giving access on " + stop.At.UTC().Format(day) + "; give it a group base"
	case stop.At.IsZero():
		return "it stops giving access 30 days after both check and the console have named it; give it a group base"
	}
	return "it stops giving access on " + stop.At.UTC().Format(day) + "; give it a group base before"
}
