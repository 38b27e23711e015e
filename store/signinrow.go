package store

import (
	"context"
	"database/sql"
	"time"
)

// signInPurpose is that of the MAC of a sign-in.
const signInPurpose = "sign-in"

// signInRow is a sign-in as it stands in its row.
type signInRow struct {
	SignIn
	mac []byte
}

// fields are what a sign-in's MAC covers: in which browser it was begun, for which service provider, request and client
// account, by whose session it went on, where its Response goes (in Data), when it was begun, until when it can be
// used, and whether it was. The address and whether it counts are left out: both are for the caps alone, and say
// nothing of who gets what.
func (in *SignIn) fields() [][]byte {
	return [][]byte{
		[]byte(in.ID), in.Browser, []byte(in.EntityID), []byte(in.RequestID), []byte(in.Account), in.Session, in.Data,
		number(micros(in.CreatedAt)), number(micros(in.ExpiresAt)), number(micros(in.FinishedAt)),
	}
}

// vouchSignIn makes the MAC of a sign-in. It has none where a replica of the version before may go on with it: that one
// changes the row and would leave a MAC that no longer holds.
func (db *DB) vouchSignIn(in SignIn, u upgrade) ([]byte, error) {
	if u.running {
		return []byte{}, nil
	}
	return db.vouch(signInPurpose, in.fields()...)
}

// trustedSignIn is the sign-in of a row, where there is one: a program of ours wrote it. One without a MAC counts only
// as long as the version before may have written it.
func (db *DB) trustedSignIn(r signInRow, u upgrade) (in SignIn, ok bool) {
	switch {
	case len(r.mac) == 0 && u.lately:
		return r.SignIn, true
	case !db.vouched(r.mac, signInPurpose, r.SignIn.fields()...):
		db.foreignRow("sign_ins")
		return in, false
	}
	return r.SignIn, true
}

const signInColumns = `id, browser, address, entity_id, request_id, account, session, data, created_at, expires_at, finished_at, mac`

func scanSignIn(row scanner) (r signInRow, err error) {
	var created, expires, finished int64
	err = row.Scan(&r.ID, &r.Browser, &r.Address, &r.EntityID, &r.RequestID, &r.Account,
		&r.Session, &r.Data, &created, &expires, &finished, &r.mac)
	r.CreatedAt, r.ExpiresAt, r.FinishedAt = fromMicros(created), fromMicros(expires), fromMicros(finished)
	return r, err
}

// takeSignIn locks a sign-in's row and returns it: whoever else changes it waits until the commit. sql.ErrNoRows: it is
// not there, has expired, or no program of ours wrote it.
func (db *DB) takeSignIn(ctx context.Context, tx querier, id string, u upgrade) (SignIn, error) {
	var row signInRow
	if err := inSteps(ctx, tx, step{
		text: `
		UPDATE sign_ins SET counted = counted WHERE id = $1 AND expires_at > $2
		RETURNING ` + signInColumns,
		args: []any{id, micros(db.now())},
		row: func(r scanner) (err error) {
			row, err = scanSignIn(r)
			return err
		},
	}); err != nil {
		return SignIn{}, err
	}
	in, ok := db.trustedSignIn(row, u)
	if !ok {
		return SignIn{}, sql.ErrNoRows
	}
	return in, nil
}

// useUp locks a sign-in and returns what finishes it. ErrFinished: it was finished before.
func (db *DB) useUp(ctx context.Context, tx querier, id string, u upgrade, now time.Time) (step, error) {
	in, err := db.takeSignIn(ctx, tx, id, u)
	switch {
	case err != nil:
		return step{}, err
	case !in.FinishedAt.IsZero():
		return step{}, ErrFinished
	}
	in.Data, in.FinishedAt = nil, now
	mac, err := db.vouchSignIn(in, u)
	if err != nil {
		return step{}, err
	}
	return step{
		text: `
			UPDATE sign_ins SET finished_at = $1, data = NULL, mac = $2 WHERE id = $3`,
		args: []any{micros(now), mac, id},
	}, nil
}

// emptySignIns takes out of a person's sign-ins what is about them. A sign-in is also the record against its request's
// coming again, so it stays until it expires, used up. Its address counts for the caps until a session goes on with it.
// ids are those found before the transaction.
func (db *DB) emptySignIns(ctx context.Context, tx querier, p PersonID, ids []string, u upgrade,
	now time.Time) (n int64, err error) {
	for _, id := range ids {
		rows, err := collect(ctx, tx, scanSignIn, `
			SELECT `+signInColumns+`
			  FROM sign_ins WHERE id = $1 AND session IN (SELECT token_hash FROM sessions WHERE person_id = $2)`, id, string(p))
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 {
			continue // another has emptied it
		}
		row := rows[0]
		in, ok := db.trustedSignIn(row, u)
		if !ok {
			in = row.SignIn // emptied like the others
		}
		in.Session, in.Data, in.Account = nil, nil, ""
		if in.FinishedAt.IsZero() {
			in.FinishedAt = now
		}
		mac := row.mac // of one that is not ours it holds after this as little as before
		if ok {
			if mac, err = db.vouchSignIn(in, u); err != nil {
				return 0, err
			}
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE sign_ins SET session = NULL, data = NULL, account = '', finished_at = $1, mac = $2,
			       address = CASE WHEN counted THEN address ELSE '' END
			 WHERE id = $3`, micros(in.FinishedAt), mac, in.ID); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
