package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// APIToken is a token by which a program calls the REST API. The token itself is known to that program alone.
type APIToken struct {
	ID        string
	Name      string // what it is for, in the words of whoever made it
	Hash      []byte // SHA-256 of the whole token, or the thumbprint of Key; empty: it was revoked
	Key       string // the public key of a client that proves itself by one; "": the token itself is the proof
	Scopes    []string
	Accounts  []AccountID // the client accounts that it is confined to; empty: all
	Networks  []string    // from which it may be used; empty: any
	CreatedAt time.Time
	CreatedBy string
	VouchedBy PersonID // who gave a second factor for it; "": nobody
	ExpiresAt time.Time
	RevokedAt time.Time // zero: it was not
	Replaced  string    // the id of the token that a rotation made; "": none
	UsedAt    time.Time // to a minute; zero: never
	UsedFrom  string
	RefusedAt time.Time // of the last event about refused uses; zero: there was none
}

// Live tells whether the token can be used at a time.
func (t APIToken) Live(now time.Time) bool {
	return len(t.Hash) > 0 && t.RevokedAt.IsZero() && now.Before(t.ExpiresAt)
}

// APITokens keeps the tokens of the REST API. A row that no program of ours has written is no token.
type APITokens struct{ db *DB }

// APITokens returns the tokens of this database.
func (db *DB) APITokens() *APITokens { return &APITokens{db} }

const (
	tokenPurpose = "api token"
	// MaxAPITokens bounds how many can be used at a time: a list of them is one answer.
	MaxAPITokens = 500
	// tokenGrain is how exactly the last use is kept, so that a busy program does not write with each call.
	tokenGrain = time.Minute
	// APITokenKept is how long a token that can't be used any more is listed.
	APITokenKept = 30 * 24 * time.Hour
)

const tokenColumns = `id, name, hash, public_key, scopes, accounts, networks, created_at, created_by, vouched_by, expires_at, revoked_at,
	replaced_by, used_at, used_from, refused_at, mac`

type tokenRow struct {
	APIToken
	mac []byte
}

func scanToken(row scanner) (t tokenRow, err error) {
	var (
		scopes, accounts, networks      string
		created, expires, revoked, used int64
		refused                         int64
	)
	err = row.Scan(&t.ID, &t.Name, &t.Hash, &t.Key, &scopes, &accounts, &networks, &created, &t.CreatedBy, &t.VouchedBy,
		&expires, &revoked, &t.Replaced, &used, &t.UsedFrom, &refused, &t.mac)
	t.Scopes, t.Networks = strings.Fields(scopes), strings.Fields(networks)
	for _, id := range strings.Fields(accounts) {
		t.Accounts = append(t.Accounts, AccountID(id))
	}
	t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.UsedAt = fromMicros(created), fromMicros(expires), fromMicros(revoked),
		fromMicros(used)
	t.RefusedAt = fromMicros(refused)
	return t, err
}

func (t APIToken) accounts() string {
	ids := make([]string, len(t.Accounts))
	for i, id := range t.Accounts {
		ids[i] = string(id)
	}
	return strings.Join(ids, " ")
}

// fields are what the MAC vouches for: what the token may do, until when, and that it was not revoked.
func (t APIToken) fields() [][]byte {
	return [][]byte{
		[]byte(t.ID), []byte(t.Name), t.Hash, []byte(strings.Join(t.Scopes, " ")), []byte(t.accounts()),
		[]byte(strings.Join(t.Networks, " ")), number(micros(t.CreatedAt)), []byte(t.CreatedBy), []byte(t.VouchedBy),
		number(micros(t.ExpiresAt)), number(micros(t.RevokedAt)), []byte(t.Replaced), []byte(t.Key),
	}
}

func tokenObject(id string) string { return objectOf(TokenObject, id) }

// Add stores a new token with its event. ErrConflict: there is one of this id. ErrLimit: MaxAPITokens can be used.
func (s *APITokens) Add(ctx context.Context, t APIToken, e Event) error {
	return s.db.write(ctx, "add an API token", func(ctx context.Context, tx querier) error {
		if err := s.insert(ctx, tx, t); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

func (s *APITokens) insert(ctx context.Context, tx querier, t APIToken) error {
	var n int
	if err := tx.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM api_tokens WHERE expires_at > $1 AND revoked_at = 0`, micros(s.db.now())).Scan(&n); err != nil {
		return err
	}
	if n >= MaxAPITokens {
		return ErrLimit
	}
	t.Name = sanitize(t.Name)
	t.CreatedAt, t.ExpiresAt = fromMicros(micros(t.CreatedAt)), fromMicros(micros(t.ExpiresAt))
	mac, err := s.db.vouch(tokenPurpose, t.fields()...)
	if err != nil {
		return err
	}
	n64, err := rowsAffected(ctx, tx, `
		INSERT INTO api_tokens (id, name, hash, public_key, scopes, accounts, networks, created_at, created_by, vouched_by,
		    expires_at, revoked_at, replaced_by, used_at, used_from, refused_at, refused, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, '', 0, '', 0, 0, $12)
		ON CONFLICT (id) DO NOTHING`,
		t.ID, t.Name, blob(t.Hash), t.Key, strings.Join(t.Scopes, " "), t.accounts(), strings.Join(t.Networks, " "),
		micros(t.CreatedAt), t.CreatedBy, string(t.VouchedBy), micros(t.ExpiresAt), mac)
	if err == nil && n64 == 0 {
		err = ErrConflict
	}
	return err
}

// Get returns a token. ErrNotFound also for a row that no program of ours has written.
func (s *APITokens) Get(ctx context.Context, id string) (APIToken, error) {
	t, err := s.get(ctx, s.db.engine.reader(), id)
	s.db.reportForeign(ctx)
	return t, s.db.explain("read an API token", err)
}

func (s *APITokens) get(ctx context.Context, q querier, id string) (APIToken, error) {
	t, err := scanToken(q.QueryRowContext(ctx, `
		SELECT `+tokenColumns+` FROM api_tokens WHERE id = $1`, id))
	if err == nil && !s.db.vouched(t.mac, tokenPurpose, t.fields()...) {
		s.db.foreignRow("api_tokens")
		return APIToken{}, sql.ErrNoRows
	}
	return t.APIToken, err
}

// List returns the tokens by their ids, also those that ended lately.
func (s *APITokens) List(ctx context.Context) ([]APIToken, error) {
	rows, err := collect(ctx, s.db.engine.reader(), scanToken, `
		SELECT `+tokenColumns+` FROM api_tokens ORDER BY id`)
	if err != nil {
		return nil, s.db.explain("list API tokens", err)
	}
	all := make([]APIToken, 0, len(rows))
	for _, t := range rows {
		if !s.db.vouched(t.mac, tokenPurpose, t.fields()...) {
			s.db.foreignRow("api_tokens")
			continue
		}
		all = append(all, t.APIToken)
	}
	s.db.reportForeign(ctx)
	return all, nil
}

// put stores what has changed of a token, vouched for anew.
func (s *APITokens) put(ctx context.Context, tx querier, t APIToken) error {
	mac, err := s.db.vouch(tokenPurpose, t.fields()...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE api_tokens SET hash = $1, expires_at = $2, revoked_at = $3, replaced_by = $4, mac = $5 WHERE id = $6`,
		blob(t.Hash), micros(t.ExpiresAt), micros(t.RevokedAt), t.Replaced, mac, t.ID)
	return err
}

// lockToken reads a token for a change: nobody else changes it until the transaction ends.
func (s *APITokens) lockToken(ctx context.Context, tx querier, id string) (APIToken, error) {
	if _, err := tx.ExecContext(ctx, `
		UPDATE api_tokens SET used_at = used_at WHERE id = $1`, id); err != nil {
		return APIToken{}, err
	}
	return s.get(ctx, tx, id)
}

// Rotate stores the token that takes the place of another one, which ends at a time. The journal has the old one as
// revoked from now on: a copy from before would give it its whole life back. ErrNotFound: it can't be used any more.
func (s *APITokens) Rotate(ctx context.Context, id string, next APIToken, ends time.Time, e Event) error {
	return s.db.write(ctx, "rotate an API token", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		old, err := s.lockToken(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case !old.Live(now):
			return ErrNotFound
		case old.Replaced != "":
			return ErrConflict
		}
		if err := s.insert(ctx, tx, next); err != nil {
			return err
		}
		old.Replaced = next.ID
		if ends.Before(old.ExpiresAt) {
			old.ExpiresAt = fromMicros(micros(ends))
		}
		change := s.put
		if !now.Before(old.ExpiresAt) {
			change = func(ctx context.Context, tx querier, t APIToken) error { return s.revoke(ctx, tx, t, now) }
		}
		if err := change(ctx, tx, old); err != nil {
			return err
		}
		note(ctx, TokenObject, tokenObject(id), Revoked)
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Revoke ends a token at once, on every replica. ErrNotFound: there is none. One that was revoked stays as it is.
func (s *APITokens) Revoke(ctx context.Context, id string, e Event) error {
	return s.db.write(ctx, "revoke an API token", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		t, err := s.lockToken(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case !t.RevokedAt.IsZero():
			return nil
		}
		if err := s.revoke(ctx, tx, t, now); err != nil {
			return err
		}
		note(ctx, TokenObject, tokenObject(id), Revoked)
		return addEvents(ctx, tx, now, []Event{e})
	})
}

func (s *APITokens) revoke(ctx context.Context, tx querier, t APIToken, now time.Time) error {
	t.Hash, t.RevokedAt = nil, fromMicros(micros(now))
	if err := s.put(ctx, tx, t); err != nil {
		return err
	}
	return endAccess(ctx, tx, t.ID)
}

// Used notes that a token was used, once a minute at most, from wherever: a program behind several addresses must not
// write with each call.
func (s *APITokens) Used(ctx context.Context, t APIToken, from string) error {
	now := s.db.now()
	if now.Sub(t.UsedAt) < tokenGrain {
		return nil
	}
	return s.db.write(ctx, "note the use of an API token", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE api_tokens SET used_at = $1, used_from = $2 WHERE id = $3 AND used_at <= $4`,
			micros(now), sanitize(from), t.ID, micros(now.Add(-tokenGrain)))
		return err
	})
}

// RefusedEvery is how often an event says at most that uses of a token were refused.
const RefusedEvery = time.Hour

// Refused counts refused uses of a token, which say that somebody else has it: they came from networks that are not its
// own, or with an assertion that was used before. e starts the event, and has the reason. There is one at the first use
// and then one an hour at most, with how many there were since the last.
func (s *APITokens) Refused(ctx context.Context, id string, uses int, e Event) error {
	return s.db.write(ctx, "note the refusal of an API token", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		var sum, last int64
		// Its lock keeps two replicas from reporting the same uses.
		err := tx.QueryRowContext(ctx, `
			UPDATE api_tokens SET refused = refused + $1 WHERE id = $2 RETURNING refused, refused_at`, uses, id).Scan(&sum, &last)
		switch since := now.Sub(fromMicros(last)); {
		case err != nil:
			return err
		case since >= 0 && since < RefusedEvery: // one that lies ahead was left by a clock that was put right
			return nil
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE api_tokens SET refused = 0, refused_at = $1 WHERE id = $2`, micros(now), id); err != nil {
			return err
		}
		e.Action, e.Subject, e.Outcome = "token-refused", id, "refused"
		e.Detail = DetailOf(map[string]any{"uses": sum})
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Purge deletes access tokens that are over, and tokens that can't be used since APITokenKept.
func (s *APITokens) Purge(ctx context.Context) (int, error) {
	over, err := s.purgeAccess(ctx)
	if err != nil {
		return over, err
	}
	old, err := s.db.inBatches(ctx, "purge API tokens", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM api_tokens WHERE id IN (
			    SELECT id FROM api_tokens WHERE expires_at < $1 OR (revoked_at > 0 AND revoked_at < $1) LIMIT `+inSweep+`)`,
			micros(s.db.now().Add(-APITokenKept)))
		return int(n), err
	})
	return over + old, err
}

func revouchToken(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	id, ok := key.(string)
	if !ok {
		return false, fmt.Errorf("an API token has the key %v", key)
	}
	s := db.APITokens()
	t, err := s.lockToken(ctx, tx, id)
	if err != nil {
		return false, err
	}
	return true, s.put(ctx, tx, t)
}

// tokens revokes again what was revoked. Where the journal is not whole, all go: one that leaked may have been revoked
// since the copy was made.
func (r *replay) tokens(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	if !r.has(TokenObject) && !r.st.Void {
		return nil
	}
	s := r.db.APITokens()
	rows, err := collect(ctx, tx, scanToken, `
		SELECT `+tokenColumns+` FROM api_tokens WHERE revoked_at = 0`)
	if err != nil {
		return err
	}
	for _, t := range rows {
		if !r.st.Void && r.word(TokenObject, tokenObject(t.ID)) != Revoked {
			continue
		}
		if !r.db.vouched(t.mac, tokenPurpose, t.fields()...) {
			continue // it is no token, and must not become one
		}
		if err := s.revoke(ctx, tx, t.APIToken, now); err != nil {
			return err
		}
		done.Tokens++
	}
	return nil
}
