package store

import (
	"context"
	"database/sql"
	"errors"
)

// A MAC begins with the id of its secret key, of so many bytes (see certs.Sealer.MAC).
const macKeySize = 4

// revouchBatch is how many rows get their MACs anew in one transaction.
const revouchBatch = 100

// vouchedTable is a table whose rows carry a MAC, or several.
type vouchedTable struct {
	one, many string // what a row is
	table     string
	key       string // column of the primary key
	// condition: a MAC of the row is by the secret key $1
	has   string
	first any // less than every key
	// makes the row's MACs anew, where they hold
	again func(ctx context.Context, db *DB, tx querier, key any) (bool, error)
}

func vouchedTables() []vouchedTable {
	return []vouchedTable{
		{"session", "sessions", "sessions", "token_hash", `(substr(mac, 1, 4) = $1 OR substr(reading_mac, 1, 4) = $1)`,
			[]byte{}, revouchSession},
		{"mark of a second factor", "marks of second factors", "second_factors", "id", `substr(mac, 1, 4) = $1`, "",
			revouchFactor},
		{"started sign-in", "started sign-ins", "sign_ins", "id", `substr(mac, 1, 4) = $1`, "", revouchSignIn},
		{"removed secret key", "removed secret keys", "secret_keys", "id", `substr(mac, 1, 4) = $1`, "", revouchRemoved},
		{"purged audit event", "purged audit events", "audit_chain", "seq", `substr(purge_mac, 1, 4) = $1`, int64(0),
			revouchPurged},
		{"API token", "API tokens", "api_tokens", "id", `substr(mac, 1, 4) = $1`, "", revouchToken},
		{"access token", "access tokens", "access_tokens", "id", `substr(mac, 1, 4) = $1`, "", revouchAccess},
	}
}

// VouchedRows are rows that a secret key vouches for.
type VouchedRows struct {
	One, Many string // what they are
	Count     int
}

// Vouched counts what the secret key of this id (its bytes) vouches for. It reads whole tables: it is for commands.
func (s *SecretKeys) Vouched(ctx context.Context, id []byte) (all []VouchedRows, err error) {
	for _, t := range vouchedTables() {
		n := VouchedRows{One: t.one, Many: t.many}
		if err := s.db.engine.reader().QueryRowContext(ctx, `
			SELECT COUNT(*) FROM `+t.table+` WHERE `+t.has, id).Scan(&n.Count); err != nil {
			return nil, s.db.explain("count what a secret key vouches for", err)
		}
		all = append(all, n)
	}
	return all, nil
}

// Revouch makes the MACs of the secret key of this id anew, with the one in use, and returns how many rows it has
// changed. A MAC that does not hold stays as it is: what nobody vouched for is not vouched for now. It runs in batches,
// and can be called again.
func (s *SecretKeys) Revouch(ctx context.Context, id []byte) (changed int, err error) {
	const what = "vouch again"
	if len(id) != macKeySize {
		return 0, s.db.explain(what, errors.New("no id of a secret key"))
	}
	for _, t := range vouchedTables() {
		for after := t.first; ; {
			keys, err := collect(ctx, s.db.engine.reader(), func(row scanner) (key any, err error) {
				switch t.first.(type) {
				case []byte:
					var b []byte
					err = row.Scan(&b)
					return b, err
				case int64:
					return scanID(row)
				}
				return scanText(row)
			}, `
				SELECT `+t.key+` FROM `+t.table+`
				 WHERE `+t.has+` AND `+t.key+` > $2 ORDER BY `+t.key+` LIMIT $3`, id, after, revouchBatch)
			if err != nil {
				return changed, s.db.explain(what, err)
			}
			if len(keys) == 0 {
				break
			}
			done := 0
			if err := s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
				done = 0
				for _, key := range keys {
					again, err := t.again(ctx, s.db, tx, key)
					switch {
					case errors.Is(err, sql.ErrNoRows): // it is gone
					case err != nil:
						return err
					case again:
						done++
					}
				}
				return nil
			}); err != nil {
				return changed, err
			}
			changed += done
			after = keys[len(keys)-1]
		}
	}
	return changed, nil
}

func revouchSession(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	if _, err := tx.ExecContext(ctx, `
		UPDATE sessions SET seen_at = seen_at WHERE token_hash = $1`, key); err != nil {
		return false, err
	}
	row, err := scanSession(tx.QueryRowContext(ctx, `
		SELECT `+sessionColumns+` FROM `+sessionTables+` WHERE s.token_hash = $1`, key))
	if err != nil || !db.vouched(row.mac, sessionPurpose, row.fields()...) {
		return false, err
	}
	if row.mac, err = db.vouch(sessionPurpose, row.fields()...); err != nil {
		return false, err
	}
	// A reading that does not hold is read anew from the directory when it is needed.
	if reading := [][]byte{row.TokenHash, row.Reading, number(micros(row.ReadAt))}; db.vouched(row.readingMAC,
		readingPurpose, reading...) {
		if row.readingMAC, err = db.vouch(readingPurpose, reading...); err != nil {
			return false, err
		}
	} else {
		row.readingMAC = []byte{}
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE sessions SET mac = $1, reading_mac = $2 WHERE token_hash = $3`, row.mac, row.readingMAC, key)
	return err == nil, err
}

func revouchFactor(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	row, err := scanSecondFactor(tx.QueryRowContext(ctx, `
		UPDATE second_factors SET kind = kind WHERE id = $1 RETURNING `+factorColumns, key))
	if err != nil || !db.vouched(row.mac, factorPurpose, row.SecondFactor.fields()...) {
		return false, err
	}
	return true, db.remark(ctx, tx, row.SecondFactor)
}

func revouchSignIn(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	row, err := scanSignIn(tx.QueryRowContext(ctx, `
		UPDATE sign_ins SET counted = counted WHERE id = $1 RETURNING `+signInColumns, key))
	if err != nil || !db.vouched(row.mac, signInPurpose, row.SignIn.fields()...) {
		return false, err
	}
	mac, err := db.vouch(signInPurpose, row.SignIn.fields()...)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE sign_ins SET mac = $1 WHERE id = $2`, mac, key)
	return err == nil, err
}

func revouchRemoved(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	var (
		k              SecretKey
		first, removed int64
		mac            []byte
	)
	if err := tx.QueryRowContext(ctx, `
		UPDATE secret_keys SET first_used = first_used WHERE id = $1
		RETURNING id, first_used, removed_at, audit_key, mac`, key).Scan(&k.ID, &first, &removed, &k.AuditKey, &mac); err != nil {
		return false, err
	}
	k.FirstUsed, k.RemovedAt = fromMicros(first), fromMicros(removed)
	if !db.vouched(mac, removedPurpose, k.fields()...) {
		return false, nil
	}
	mac, err := db.vouch(removedPurpose, k.fields()...)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE secret_keys SET mac = $1 WHERE id = $2`, mac, key)
	return err == nil, err
}

// revouchPurged is about the outcome of a purged event: without it, one that was kept for a shorter time looks removed.
func revouchPurged(ctx context.Context, db *DB, tx querier, key any) (bool, error) {
	row, err := scanChained(tx.QueryRowContext(ctx, `
		UPDATE audit_chain SET outcome = outcome WHERE seq = $1 RETURNING `+chainColumns, key))
	if err != nil || !db.vouched(row.purged, purgePurpose, row.purgeFields(row.outcome)...) {
		return false, err
	}
	mac, err := db.vouch(purgePurpose, row.purgeFields(row.outcome)...)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE audit_chain SET purge_mac = $1 WHERE seq = $2`, mac, key)
	return err == nil, err
}
