package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// AccessToken is what a client with a key calls the REST API with for a short while. It may do no more than its client,
// and ends with it.
type AccessToken struct {
	ID        string
	Client    string // the id of the APIToken whose key has proved it
	Hash      []byte // SHA-256 of the whole token
	Scopes    []string
	ExpiresAt time.Time
}

// ClientProof is an assertion that a client has signed. It is taken once.
type ClientProof struct {
	Used   []byte // names it among those of its client
	EndsAt time.Time
}

const (
	accessPurpose = "api access token"
	// MaxAccessTokens bounds how many of one client can be used at a time: who has stolen a key, or a program that asks
	// for one with each call, does not fill the store.
	MaxAccessTokens = 20
)

const accessColumns = `id, client, hash, scopes, expires_at, mac`

type accessRow struct {
	AccessToken
	mac []byte
}

func scanAccess(row scanner) (t accessRow, err error) {
	var (
		scopes  string
		expires int64
	)
	err = row.Scan(&t.ID, &t.Client, &t.Hash, &scopes, &expires, &t.mac)
	t.Scopes, t.ExpiresAt = strings.Fields(scopes), fromMicros(expires)
	return t, err
}

// fields are what the MAC vouches for: all of it.
func (t AccessToken) fields() [][]byte {
	return [][]byte{[]byte(t.ID), []byte(t.Client), t.Hash, []byte(strings.Join(t.Scopes, " ")),
		number(micros(t.ExpiresAt))}
}

// proofsOf is where the proofs of a client are remembered as used. No source of people has such a name.
func proofsOf(client string) string { return TokenObject + ":" + client }

// Issue stores an access token with its event, and uses up the proof that it is made for: of one proof on however many
// replicas, one access token is made. ErrNotFound: the client can't be used, or has no key. ErrTokenUsed: the proof was
// used before. ErrLimit: MaxAccessTokens of the client can be used; the proof is not used up then.
func (s *APITokens) Issue(ctx context.Context, t AccessToken, proof ClientProof, e Event) error {
	return s.db.write(ctx, "issue an access token", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		// Its lock keeps two from being counted as one, and a revocation from being overtaken.
		client, err := s.lockToken(ctx, tx, t.Client)
		switch {
		case err != nil:
			return err
		case client.Key == "" || !client.Live(now):
			return ErrNotFound
		}
		var first bool
		err = inSteps(ctx, tx, useToken(&first, proofsOf(t.Client), proof.Used, proof.EndsAt))
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		case !first:
			return ErrTokenUsed
		}
		switch live, err := liveAccess(ctx, tx, t.Client, now); {
		case err != nil:
			return err
		case live >= MaxAccessTokens:
			return ErrLimit
		}
		t.ExpiresAt = fromMicros(micros(t.ExpiresAt))
		mac, err := s.db.vouch(accessPurpose, t.fields()...)
		if err != nil {
			return err
		}
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO access_tokens (id, client, hash, scopes, expires_at, mac) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO NOTHING`,
			t.ID, t.Client, blob(t.Hash), strings.Join(t.Scopes, " "), micros(t.ExpiresAt), mac)
		switch {
		case err != nil:
			return err
		case n == 0:
			return ErrConflict
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Access returns an access token, and its client as it stands now: whether the two can be used is for the caller to
// see. ErrNotFound also for a row that no program of ours has written.
func (s *APITokens) Access(ctx context.Context, id string) (t AccessToken, client APIToken, err error) {
	row, err := scanAccess(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+accessColumns+` FROM access_tokens WHERE id = $1`, id))
	if err == nil && !s.db.vouched(row.mac, accessPurpose, row.fields()...) {
		s.db.foreignRow("access_tokens")
		err = sql.ErrNoRows
	}
	if err == nil {
		client, err = s.get(ctx, s.db.engine.reader(), row.Client)
	}
	s.db.reportForeign(ctx)
	return row.AccessToken, client, s.db.explain("read an access token", err)
}

// AccessCount says how many access tokens of a client can be used.
func (s *APITokens) AccessCount(ctx context.Context, client string) (int, error) {
	n, err := liveAccess(ctx, s.db.engine.reader(), client, s.db.now())
	return n, s.db.explain("count access tokens", err)
}

func liveAccess(ctx context.Context, q querier, client string, now time.Time) (n int, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM access_tokens WHERE client = $1 AND expires_at > $2`, client, micros(now)).Scan(&n)
	return n, err
}

// endAccess deletes the access tokens of a client that was revoked. They could not be used without it either.
func endAccess(ctx context.Context, tx querier, client string) error {
	_, err := tx.ExecContext(ctx, `
		DELETE FROM access_tokens WHERE client = $1`, client)
	return err
}

func (s *APITokens) purgeAccess(ctx context.Context) (int, error) {
	return s.db.inBatches(ctx, "purge access tokens", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM access_tokens WHERE id IN
			    (SELECT id FROM access_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT `+inSweep+`)`,
			micros(s.db.now()))
		return int(n), err
	})
}

func revouchAccess(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	row, err := scanAccess(tx.QueryRowContext(ctx, `
		UPDATE access_tokens SET scopes = scopes WHERE id = $1 RETURNING `+accessColumns, key))
	if err != nil || !db.vouched(row.mac, accessPurpose, row.fields()...) {
		return false, err
	}
	mac, err := db.vouch(accessPurpose, row.fields()...)
	if err != nil {
		return false, fmt.Errorf("access token %v: %w", key, err)
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE access_tokens SET mac = $1 WHERE id = $2`, mac, key)
	return err == nil, err
}
