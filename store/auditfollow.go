package store

import "context"

// Followed is an event with its place in the audit log's chain.
type Followed struct {
	Seq int64
	Event
}

// Follow lists the events behind a place in the chain, in its order, at most limit. The chain's numbers become visible
// in their order, as the events' own do not: whoever asks again with the last one has missed none. Purged events and
// those that somebody else wrote are left out.
func (a *Audit) Follow(ctx context.Context, after int64, limit int) ([]Followed, error) {
	all, err := collect(ctx, a.db.engine.reader(), func(row scanner) (f Followed, err error) {
		f.Event, err = scanEvent(placed{row, &f.Seq})
		return f, err
	}, `
		SELECT c.seq, e.id, e.at, e.ref, e.actor, e.action, e.subject, e.account, e.sp, e.address, e.outcome, e.reason, e.detail
		  FROM audit_chain c JOIN audit_events e ON e.id = c.event
		 WHERE c.seq > $1 AND c.foreign_event = 0 ORDER BY c.seq LIMIT $2`, after, limit)
	return all, a.db.explain("follow audit events", err)
}

// placed reads the place before the columns of an event.
type placed struct {
	scanner
	seq *int64
}

func (p placed) Scan(dest ...any) error { return p.scanner.Scan(append([]any{p.seq}, dest...)...) }
