package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Logout is a single logout on its way: the sessions here have ended already, and
// the SPs that took part in them are told one after the other. Together with its
// SP's request id it is also the replay record of that LogoutRequest, so ExpiresAt must lie
// behind the window in which a request is accepted.
type Logout struct {
	ID           string        // random, stands in URLs; worthless in another browser
	Browser      []byte        // SHA-256 of the browser token it belongs to; empty until bound
	EntityID     string        // the SP that asked for it; "" for a person at our own page
	RequestID    string        // ID of its LogoutRequest; "" without one
	Data         []byte        // idp's own, opaque here
	Participants []Participant // set by Start
	Version      int64         // grows with each Update, which wants it as Get gave it
	CreatedAt    time.Time
	ExpiresAt    time.Time
	FinishedAt   time.Time // zero while it is on its way
}

// Participant is an SP that took part in what was ended, once for each name it knows
// the person by. State, Request and AskedAt are idp's own.
type Participant struct {
	EntityID       string    `json:"entity_id"`
	NameID         string    `json:"name_id"`
	NameIDFormat   string    `json:"name_id_format"`
	SessionIndexes []string  `json:"session_indexes"` // the newest ones, oldest first
	State          string    `json:"state,omitempty"`
	Request        string    `json:"request,omitempty"` // ID of our LogoutRequest
	AskedAt        time.Time `json:"asked_at,omitzero"`
}

// Bounds of one logout. A SessionIndex comes with each assertion, and an SP keeps
// one session in a browser: those before the newest few mean nothing any more.
const (
	maxParticipants   = 100
	maxSessionIndexes = 10
)

// Logouts keeps the single logouts.
type Logouts struct{ db *DB }

// Logouts returns the single logouts of this database.
func (db *DB) Logouts() *Logouts { return &Logouts{db} }

// Start ends the sessions of these token hashes and stores the logout with all
// SPs that took part in them but the one that asked, and the events: one
// transaction. It returns the logout as stored. ErrConflict: the SP's request id was
// seen already (a replay), or the id is taken; nothing is ended then.
func (s *Logouts) Start(ctx context.Context, l Logout, ends [][]byte, events ...Event) (Logout, error) {
	if l.CreatedAt.IsZero() {
		l.CreatedAt = s.db.now()
	}
	l.CreatedAt, l.ExpiresAt = fromMicros(micros(l.CreatedAt)), fromMicros(micros(l.ExpiresAt))
	l.Version = 1
	err := s.db.write(ctx, "start logout", func(ctx context.Context, tx querier) error {
		var parts []Participation
		for _, hash := range ends {
			more, err := listParticipations(ctx, tx, hash)
			if err != nil {
				return err
			}
			parts = append(parts, more...)
			// On PostgreSQL a Response that leaves between these two statements goes with
			// the session, and its SP is not told: as if it had left a moment later.
			if _, err := endSession(ctx, tx, hash); err != nil {
				return err
			}
		}
		l.Participants = participants(parts, l.EntityID)
		list, err := json.Marshal(l.Participants)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO logouts (id, browser, entity_id, request_id, data, participants, version,
			    created_at, expires_at, finished_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			l.ID, maybe(l.Browser), l.EntityID, l.RequestID, maybe(l.Data), string(list), l.Version,
			micros(l.CreatedAt), micros(l.ExpiresAt), micros(l.FinishedAt)); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return l, err
}

// participants puts the parts of one SP under one name together. The SP that
// asked is left out: it has signed the person out, or is about to.
func participants(parts []Participation, but string) []Participant {
	type name struct{ entityID, nameID, format string }
	at := map[name]int{}
	all := []Participant{}
	for _, p := range parts {
		if p.EntityID == but {
			continue
		}
		n := name{p.EntityID, p.NameID, p.NameIDFormat}
		i, known := at[n]
		if !known {
			if len(all) == maxParticipants {
				continue
			}
			i = len(all)
			at[n] = i
			all = append(all, Participant{EntityID: p.EntityID, NameID: p.NameID, NameIDFormat: p.NameIDFormat})
		}
		if indexes := &all[i].SessionIndexes; p.SessionIndex != "" {
			*indexes = append(*indexes, p.SessionIndex)
			*indexes = (*indexes)[max(0, len(*indexes)-maxSessionIndexes):]
		}
	}
	return all
}

// Get returns a logout that has not expired, finished or not. ErrNotFound.
func (s *Logouts) Get(ctx context.Context, id string) (Logout, error) {
	var (
		l                          Logout
		list                       string
		created, expires, finished int64
	)
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT id, browser, entity_id, request_id, data, participants, version,
		       created_at, expires_at, finished_at
		  FROM logouts
		 WHERE id = $1 AND expires_at > $2`, id, micros(s.db.now())).
		Scan(&l.ID, &l.Browser, &l.EntityID, &l.RequestID, &l.Data, &list, &l.Version, &created, &expires, &finished)
	if err == nil {
		err = json.Unmarshal([]byte(list), &l.Participants)
	}
	l.CreatedAt, l.ExpiresAt, l.FinishedAt = fromMicros(created), fromMicros(expires), fromMicros(finished)
	return l, s.db.explain("get logout", err)
}

// Running returns the id of the newest logout of this browser that was started
// after since and is not finished. ErrNotFound.
func (s *Logouts) Running(ctx context.Context, browser []byte, since time.Time) (id string, err error) {
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT id FROM logouts
		 WHERE browser = $1 AND finished_at = 0 AND created_at > $2 AND expires_at > $3
		 ORDER BY created_at DESC LIMIT 1`, blob(browser), micros(since), micros(s.db.now())).Scan(&id)
	return id, s.db.explain("find running logout", err)
}

// Bind ties an unbound logout to a browser; binding it again to the same one is
// fine. ErrConflict: it is bound to another one. ErrNotFound.
func (s *Logouts) Bind(ctx context.Context, id string, browser []byte) error {
	const what = "bind logout to a browser"
	if len(browser) == 0 {
		return s.db.explain(what, errors.New("empty browser hash"))
	}
	return s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		now := micros(s.db.now())
		n, err := rowsAffected(ctx, tx, `
			UPDATE logouts SET browser = $1
			 WHERE id = $2 AND (browser IS NULL OR browser = $1) AND expires_at > $3`, browser, id, now)
		if err != nil || n == 1 {
			return err
		}
		var one int
		if err := tx.QueryRowContext(ctx, `
			SELECT 1 FROM logouts WHERE id = $1 AND expires_at > $2`, id, now).Scan(&one); err != nil {
			return err
		}
		return ErrConflict
	})
}

// Update stores participants and end of a logout, and the events. ErrConflict: it
// has moved on since Get, is finished, or has expired; read it again.
func (s *Logouts) Update(ctx context.Context, l Logout, events ...Event) error {
	list, err := json.Marshal(l.Participants)
	if err != nil {
		return s.db.explain("update logout", err)
	}
	return s.db.write(ctx, "update logout", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := rowsAffected(ctx, tx, `
			UPDATE logouts SET participants = $1, finished_at = $2, version = version + 1
			 WHERE id = $3 AND version = $4 AND finished_at = 0 AND expires_at > $5`,
			string(list), micros(l.FinishedAt), l.ID, l.Version, micros(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		return addEvents(ctx, tx, now, events)
	})
}

// Purge deletes what has expired, in small batches; it returns how many.
func (s *Logouts) Purge(ctx context.Context) (int, error) {
	return s.db.inBatches(ctx, "purge logouts", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM logouts
			 WHERE id IN (SELECT id FROM logouts WHERE expires_at <= $1 ORDER BY expires_at LIMIT `+inSweep+`)`,
			micros(s.db.now()))
		return int(n), err
	})
}
