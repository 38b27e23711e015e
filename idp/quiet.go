package idp

import (
	"context"
	"log/slog"
)

// Quiet is a log handler that leaves out the lines of requests that are over their bound, and warnings of requests past
// ten in a second of one message, and counts them.
func Quiet(h slog.Handler, s *Footprints) slog.Handler { return quiet{h, s} }

type quiet struct {
	slog.Handler
	footprints *Footprints
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	f := FootprintOf(ctx)
	if f.Over() || f.warning(r) && !q.footprints.warns(r.Message) {
		q.footprints.mu.Lock()
		defer q.footprints.mu.Unlock()
		q.footprints.past[r.Message]++
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// warning tells whether a line is a warning of a request that may go on: the lines of a refused one are bounded by its
// kind.
func (f *Footprint) warning(r slog.Record) bool {
	if f == nil || r.Level < slog.LevelWarn {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.refused
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.footprints}
}

func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.footprints}
}
