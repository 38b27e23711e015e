package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"ssobridge/cmd/internal/journal"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const (
	sealEvery = 10 * time.Second
	sealLease = 15 * time.Second // a replica that died is followed by another then
	// sealRest is how long one round rests between its pieces, for the sign-ins beside it: with what it does, it ends
	// before the next one begins and before the lease ends.
	sealRest = 5 * time.Second
)

// keepChain chains the audit's events and makes a checkpoint of the chain at the start and every ten seconds, on one
// replica at a time, and a last time when ctx ends. It closes first once the one at the start was made or failed.
func (p *App) keepChain(ctx context.Context, first chan<- struct{}) error {
	holder := fmt.Sprintf("%d-%d", os.Getpid(), p.Now().UnixNano())
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	p.checkpoint(ctx, holder) // of what happened since the last stop
	close(first)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			defer p.compareAudit(last)
			if err := errors.Join(p.checkpointOnce(last, holder), p.Store.Leases().Release(last, admin.CheckpointKey,
				holder)); err != nil {
				p.log.Warn("no checkpoint of the audit log was made at the end; the next start makes it", "error", err)
			}
			return nil
		case <-tick.C:
			round := store.Gently(ctx, sealRest)
			p.checkpoint(round, holder)
			p.compareAudit(round)
		}
	}
}

// checkpoint is checkpointOnce with a line in the log where it fails.
func (p *App) checkpoint(ctx context.Context, holder string) {
	if err := p.checkpointOnce(ctx, holder); err != nil && ctx.Err() == nil {
		p.log.Warn("no checkpoint of the audit log was made; tried again in ten seconds", "error", err)
	}
}

// checkpointOnce chains what waits and makes a checkpoint, if this replica has the lease.
func (p *App) checkpointOnce(ctx context.Context, holder string) error {
	ours, err := p.Store.Leases().Take(ctx, admin.CheckpointKey, holder, sealLease)
	if err != nil || !ours {
		return err
	}
	var head store.Link
	for more := true; more && ctx.Err() == nil; {
		c, err := p.Store.Audit().Chain(ctx)
		p.foreignEvents(c) // also where the rest did not come into the chain
		if err != nil {
			return err
		}
		head, more = c.Head, c.More
	}
	p.reportForeign(ctx)
	switch sealed, err := p.Store.Audit().LastCheckpoint(ctx); {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case head.Seq == 0 || err == nil && sealed.Seq >= head.Seq:
		p.beginSink(sealed)
		return nil // nothing new
	}
	s := p.Audit().Checkpoint(head)
	// Outside first: a checkpoint that only the database has protects from nobody who writes it.
	p.log.LogAttrs(ctx, slog.LevelInfo, admin.CheckpointLogged, admin.CheckpointAttrs(s)...)
	if err := appendCheckpoint(p.Config.Audit.Sink, s); err != nil {
		p.log.Warn("a checkpoint of the audit log was not written to audit.sink", "error", err)
	}
	return p.Store.Audit().AddCheckpoint(ctx, s)
}

// beginSink writes the newest checkpoint into an audit.sink that has none yet: one that was just configured has to be
// good for something before the next event.
func (p *App) beginSink(newest store.Checkpoint) {
	if p.Config.Audit.Sink == "" || newest.Seq == 0 {
		return
	}
	if _, err := os.Stat(p.Config.Audit.Sink); !errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := appendCheckpoint(p.Config.Audit.Sink, newest); err != nil {
		p.log.Warn("a checkpoint of the audit log was not written to audit.sink", "error", err)
	}
}

// foreignTally collects foreign events until they are reported.
type foreignTally struct {
	count, before int
	first         store.ForeignEvent
	reported      time.Time
}

// foreignEvents adds what one batch of the chain found.
func (p *App) foreignEvents(c store.Chained) {
	if p.foreign.count == 0 && len(c.Foreign) > 0 {
		p.foreign.first = c.Foreign[0]
	}
	p.foreign.count += len(c.Foreign)
	p.foreign.before += c.Before
}

// reportForeign reports, once a minute at most, the audit events that somebody wrote into the database: one line in the
// log and one event, however many there are. Who writes a million rows must not get a million of ours.
func (p *App) reportForeign(ctx context.Context) {
	t := &p.foreign
	if now := p.Now(); t.count+t.before == 0 || now.Sub(t.reported) < time.Minute && !t.reported.IsZero() &&
		ctx.Err() == nil {
		return
	}
	if t.before > 0 {
		p.log.Info("audit events without a MAC were taken into the chain: they are of the version before", "count", t.before)
	}
	if t.count > 0 {
		p.log.Error("THE AUDIT LOG HOLDS EVENTS THAT SSOBRIDGE DID NOT WRITE", "count", t.count, "first_event", t.first.ID,
			"at", t.first.At,
			"action", t.first.Action, "cause", t.first.Why,
			"hint", "somebody writes the database, or a program of an earlier version was run on it; ssobridge audit verify "+
				"counts such events")
		e := store.Event{At: p.Now().UTC(), Actor: "worker", Action: "audit-foreign", Subject: fmt.Sprintf("event %d",
			t.first.ID), Outcome: "failed", Reason: "not_vouched"}
		e.Detail = store.DetailOf(map[string]any{"count": t.count})
		if err := p.Store.Audit().Add(ctx, e); err != nil {
			p.log.Warn("the report of foreign audit events was not stored; tried again in ten seconds", "error", err)
			return
		}
	}
	*t = foreignTally{reported: p.Now()}
}

// compareAudit holds the events that this replica has written against the database. The chain
// is built from what stands there, so that what was changed within these seconds is told here,
// and in the log, where the admins of the database can't take it back.
func (p *App) compareAudit(ctx context.Context) {
	changed, err := p.Store.Audit().OwnChanged(ctx)
	if err != nil && ctx.Err() == nil {
		p.log.Warn("the audit was not compared with what was written; tried again in ten seconds", "error", err)
	}
	for _, c := range changed {
		p.log.Error("THE AUDIT LOG HAS BEEN TAMPERED WITH", "event", c.ID, "action", c.Action, "at", c.At, "what", c.String())
	}
}

// appendCheckpoint adds a line to the sink and has it on the disk before it returns.
func appendCheckpoint(file string, s store.Checkpoint) error {
	if file == "" {
		return nil
	}
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode a checkpoint: %w", err)
	}
	return journal.AppendToSink(file, append(line, '\n'))
}

// chainAll puts the audit events that wait into the chain. A running replica may do the same.
func (p *App) chainAll(ctx context.Context) error {
	for {
		c, err := p.Store.Audit().Chain(ctx)
		p.foreignEvents(c) // also where the rest did not come into the chain
		switch {
		case errors.Is(err, store.ErrConflict):
		case err != nil:
			return err
		case !c.More:
			p.reportForeign(ctx)
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
