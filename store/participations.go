package store

import (
	"context"
	"time"
)

// Participation is one SP's part in a session: what its logout will name.
type Participation struct {
	TokenHash    []byte
	EntityID     string
	NameID       string
	NameIDFormat string
	SessionIndex string
	IssuedAt     time.Time
	// SeenAt is that of the session, as it was read: what is newer is not moved. Zero: unknown. It is not stored.
	SeenAt time.Time
}

// steps record an SP's part in a live session and move its SeenAt. A
// session that has ended meanwhile is refused by the foreign key.
func (p Participation) steps(now time.Time) (all []step) {
	issued := p.IssuedAt
	if issued.IsZero() {
		issued = now
	}
	// The session's row first: the same order of locks as End. Where the session was seen a moment ago there is nothing to
	// move.
	if due := now.Add(-seenGrain); p.SeenAt.Before(due) {
		all = append(all, step{
			text: `UPDATE sessions SET seen_at = $1 WHERE token_hash = $2 AND seen_at < $3`,
			args: []any{micros(now), blob(p.TokenHash), micros(due)},
		})
	}
	return append(all, step{
		text: `
			INSERT INTO participations (token_hash, entity_id, name_id, session_index, name_id_format, issued_at, registered)
			VALUES ($1, $2, $3, $4, $5, $6, 1)
			ON CONFLICT (token_hash, entity_id, name_id, session_index)
			DO UPDATE SET name_id_format = excluded.name_id_format, issued_at = excluded.issued_at, registered = 1`,
		args: []any{blob(p.TokenHash), p.EntityID, p.NameID, p.SessionIndex, p.NameIDFormat, micros(issued)},
	})
}

// Participations lists the SPs' parts in a session, oldest first. One SP stands
// there once for each NameID and SessionIndex.
func (s *Sessions) Participations(ctx context.Context, tokenHash []byte) ([]Participation, error) {
	all, err := listParticipations(ctx, s.db.engine.reader(), tokenHash)
	return all, s.db.explain("list participations", err)
}

func listParticipations(ctx context.Context, q querier, tokenHash []byte) ([]Participation, error) {
	return collect(ctx, q, func(row scanner) (p Participation, err error) {
		var issued int64
		err = row.Scan(&p.TokenHash, &p.EntityID, &p.NameID, &p.SessionIndex, &p.NameIDFormat, &issued)
		p.IssuedAt = fromMicros(issued)
		return p, err
	}, `
		SELECT token_hash, entity_id, name_id, session_index, name_id_format, issued_at
		  FROM participations
		 WHERE token_hash = $1
		 ORDER BY issued_at, entity_id, name_id, session_index`, blob(tokenHash))
}

// NamedSession is a session in which an SP knows somebody by the name that was asked for.
type NamedSession struct {
	Participation
	Person PersonID
}

// Named lists the sessions in which this SP got this NameID, once for each
// SessionIndex: what a LogoutRequest can mean (row SLO-02). Sessions that have
// ended or idled out and are not yet purged are among them.
func (s *Sessions) Named(ctx context.Context, entityID, nameID string) ([]NamedSession, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (n NamedSession, err error) {
		var issued int64
		err = row.Scan(&n.TokenHash, &n.EntityID, &n.NameID, &n.SessionIndex, &n.NameIDFormat, &issued, &n.Person)
		n.IssuedAt = fromMicros(issued)
		return n, err
	}, `
		SELECT p.token_hash, p.entity_id, p.name_id, p.session_index, p.name_id_format, p.issued_at, s.person_id
		  FROM participations p JOIN sessions s ON s.token_hash = p.token_hash
		 WHERE p.entity_id = $1 AND p.name_id = $2
		 ORDER BY p.issued_at, p.session_index`, entityID, nameID)
	return all, s.db.explain("list sessions of a name", err)
}
