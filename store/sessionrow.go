package store

import (
	"encoding/json"
	"time"
)

// insertSession stores a session of n.Epoch.
func (db *DB) insertSession(n Session, now time.Time) (step, error) {
	if n.SeenAt.IsZero() {
		n.SeenAt = now
	}
	methods, err := json.Marshal(n.Methods)
	if err != nil {
		return step{}, err
	}
	row := sessionRow{Session: n, methods: string(methods)}
	mac, err := db.vouch(sessionPurpose, row.fields()...)
	if err != nil {
		return step{}, err
	}
	reading, err := db.vouch(readingPurpose, n.TokenHash, n.Reading, number(micros(n.ReadAt)))
	if err != nil {
		return step{}, err
	}
	return step{
		text: `
			INSERT INTO sessions (token_hash, person_id, login, browser, authenticated_at, methods, factor,
			    reading, read_at, seen_at, ends_at, epoch, mac, reading_mac)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		args: []any{
			n.TokenHash, string(n.Person), n.Login, maybe(n.Browser), micros(n.AuthenticatedAt), row.methods, n.Factor,
			maybe(n.Reading), micros(n.ReadAt), micros(n.SeenAt), micros(n.EndsAt), n.Epoch, mac, reading,
		},
	}, nil
}

// replace ends the session that a new login takes the place of.
func replace(old []byte, n Session) []step {
	return []step{
		{
			text: `
				UPDATE participations SET token_hash = $1
				 WHERE token_hash = $2
				   AND token_hash IN (SELECT token_hash FROM sessions WHERE token_hash = $2 AND person_id = $3)`,
			args: []any{n.TokenHash, blob(old), string(n.Person)},
		},
		{text: endSessionStatement, args: []any{blob(old)}},
	}
}

// sessionRow is a session as it stands in its row.
type sessionRow struct {
	Session
	methods         string // JSON
	mac, readingMAC []byte
	current         int64 // the person's epoch
	proved          factorRow
}

// fields are what the row's MAC covers: all that says who is signed in, how, where and until when. SeenAt and ConsoleAt
// are left out: they move with each use, and say only whether the session, or the console in it, has idled out before
// its end.
func (r *sessionRow) fields() [][]byte {
	return [][]byte{
		r.TokenHash, []byte(r.Person), []byte(r.Login), r.Browser, number(micros(r.AuthenticatedAt)), []byte(r.methods),
		[]byte(r.Factor), number(micros(r.EndsAt)), number(r.Epoch),
	}
}

func scanSession(row scanner) (r sessionRow, err error) {
	var authenticated, readAt, seenAt, consoleAt, endsAt, created, confirmed, noticed int64
	f := &r.proved
	if err = row.Scan(&r.TokenHash, &r.Person, &r.Login, &r.Browser, &authenticated, &r.methods, &r.Factor,
		&r.Reading, &readAt, &seenAt, &consoleAt, &endsAt, &r.Epoch, &r.mac, &r.readingMAC, &r.current,
		&f.ID, &f.Kind, &created, &f.By, &confirmed, &noticed, &f.Epoch, &f.mac); err != nil {
		return r, err
	}
	r.AuthenticatedAt, r.ReadAt = fromMicros(authenticated), fromMicros(readAt)
	r.SeenAt, r.EndsAt = fromMicros(seenAt), fromMicros(endsAt)
	r.ConsoleAt = fromMicros(consoleAt)
	f.Person, f.CreatedAt, f.ConfirmedAt, f.NoticedAt = r.Person, fromMicros(created), fromMicros(confirmed),
		fromMicros(noticed)
	return r, nil
}

// trusted is the session of a row, where there is one: a program of ours wrote it, and nothing of the person was
// revoked since. A reading that no program of ours wrote is left out, so that the directory is asked again.
func (db *DB) trusted(r sessionRow) (n Session, ok bool) {
	if !db.vouched(r.mac, sessionPurpose, r.fields()...) {
		db.foreignRow("sessions")
		return n, false
	}
	// Not only a lower one: a person's epoch that was set back is as wrong as a session that is too old.
	if r.Epoch != r.current {
		return n, false
	}
	if !db.vouched(r.readingMAC, readingPurpose, r.TokenHash, r.Reading, number(micros(r.ReadAt))) {
		db.foreignRow("sessions")
		r.Reading, r.ReadAt = nil, time.Time{}
	}
	if err := json.Unmarshal([]byte(r.methods), &r.Methods); err != nil {
		return n, false
	}
	if r.proved.ID != "" {
		if f := db.trustedFactor(r.proved); !f.Foreign {
			r.Proved = f
		}
	}
	return r.Session, true
}

func sessionStatement(e engine) string {
	return `
		SELECT ` + sessionColumns + `,
		       (SELECT value FROM counters WHERE name = 'changes')
		  FROM ` + sessionTables + `
		 WHERE s.token_hash = ` + e.unseen("$1") + ` AND s.ends_at > $2 AND s.seen_at > $3`
}
