package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// patternNotice is how long a pattern without a base goes on after check and the console have both named it.
const patternNotice = 30 * 24 * time.Hour

// baseless tells whether a mapping is a pattern over the names of groups anywhere, as the versions before bases stored them.
func baseless(m store.Mapping) bool { return m.Kind == store.GroupPattern && m.GroupDN == "" }

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

// stops are the times at which patterns without a base stop.
type stops map[int64]time.Time

// stopsOf reads them.
func (s *Service) stopsOf(ctx context.Context) (stops, error) {
	notices, err := s.mappings.Notices(ctx)
	if err != nil {
		return nil, err
	}
	all := stops{}
	for id, n := range notices {
		if at := stopOf(n); !at.IsZero() {
			all[id] = at
		}
	}
	return all, nil
}

// stopped are those that have stopped by now, and next is when the next one does; zero: none will.
func (all stops) stopped(now time.Time) (stopped stops, next time.Time) {
	stopped = stops{}
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

// giving leaves out the patterns that have stopped.
func (all stops) giving(mappings []store.Mapping) []store.Mapping {
	if len(all) == 0 {
		return mappings
	}
	var rest []store.Mapping
	for _, m := range mappings {
		if _, over := all[m.ID]; !over || !baseless(m) {
			rest = append(rest, m)
		}
	}
	return rest
}

// Stop is the end of a pattern without a base.
type Stop struct {
	At   time.Time // zero: not set, since it was not yet named in both places
	Over bool      // it gives nobody anything any more
}

// PatternStops says of mappings when they stop, as far as they are patterns without a base. It stores nothing.
func (s *Service) PatternStops(ctx context.Context, list []store.Mapping) (map[int64]Stop, error) {
	found := map[int64]Stop{}
	var all stops
	for _, m := range list {
		if !baseless(m) {
			continue
		}
		if all == nil {
			var err error
			if all, err = s.stopsOf(ctx); err != nil {
				return nil, fmt.Errorf("read when patterns stop: %w", err)
			}
		}
		at := all[m.ID]
		found[m.ID] = Stop{At: at, Over: !at.IsZero() && !s.now().Before(at)}
	}
	return found, nil
}

// NamePatterns notes that these mappings, as far as they are patterns without a base, are being named to an administrator at a
// place (store.NoticeByCheck, store.NoticeInConsole), and says when they stop. Mappings that are switched off give nothing and
// are left alone.
func (s *Service) NamePatterns(ctx context.Context, list []store.Mapping, place, actor string) (map[int64]Stop, error) {
	notices, err := s.mappings.Notices(ctx)
	if err != nil {
		return nil, fmt.Errorf("read when patterns were named: %w", err)
	}
	for _, m := range list {
		n := notices[m.ID]
		known := !n.ByCheck.IsZero()
		if place == store.NoticeInConsole {
			known = !n.InConsole.IsZero()
		}
		if !baseless(m) || m.Off || known {
			continue
		}
		raw, _ := json.Marshal(map[string]any{"place": place, "pattern": m.Pattern}) // strings always encode
		event := store.Event{
			At: s.now(), Actor: actor, Action: "mapping-notice", Subject: fmt.Sprintf("mapping %d", m.ID), Outcome: "ok",
			Reason: "a pattern without a group base was named", Detail: raw,
		}
		if err := s.mappings.Notice(ctx, m.ID, place, event); err != nil && !errors.Is(err, store.ErrNotFound) { // it was changed meanwhile
			return nil, fmt.Errorf("note that mapping %d was named: %w", m.ID, err)
		}
	}
	return s.PatternStops(ctx, list)
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
