package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// What can be revoked.
const (
	FactorObject       = "factor"
	RecoveryCodeObject = "recovery-code"
	InvitationObject   = "invitation"
	UserObject         = "user"
	KeyObject          = "key"
	MappingObject      = "mapping"
	ProviderObject     = "provider"
	TokenObject        = "token"         // of the REST API
	SourceObject       = "source"        // a source of people, by its name
	SourceTokensObject = "source-tokens" // those that it has made until then
	MoveObject         = "move"          // of a person to a source: nobody is created by the former id any more
)

// What was last said of it. The last word counts.
const (
	Revoked     = "revoked" // it is gone for good
	SwitchedOff = "off"     // it is there and gives nobody anything
	Allowed     = "allowed" // it was added, added again, resumed or switched on
)

// Revocation is one word about one object. It names nobody: the object is a random id, or a hash.
type Revocation struct {
	Seq    int64     `json:"seq"`   // its place among all of the database
	Entry  string    `json:"entry"` // a random id of its own
	Kind   string    `json:"kind"`
	Object string    `json:"object"`
	Word   string    `json:"word"`
	At     time.Time `json:"at"`
}

// Journal keeps revocations outside of the database, so that they outlive its restore.
type Journal interface {
	// Before is called at the end of a transaction, right before its commit, with what the transaction revokes.
	// When it returns, that is on the disk. An error does not stop the transaction: a full disk must not keep an
	// admin from revoking. The journal says so wherever health is shown, and gets the entries later, from the
	// database.
	Before(ctx context.Context, entries []Revocation) error
	// After is called with what became of it.
	After(ctx context.Context, entries []Revocation, committed bool)
}

// objectOf is the name of an object that has no random id. Each field is kept apart by its length.
func objectOf(kind string, fields ...string) string {
	h := sha256.New()
	for _, f := range append([]string{kind}, fields...) {
		h.Write([]byte(strconv.Itoa(len(f)) + ":" + f))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func factorObject(id string) string { return objectOf(FactorObject, id) }

func userObject(k UserKey) string { return objectOf(UserObject, string(k.Person), string(k.Account)) }

func providerObject(entityID string) string { return objectOf(ProviderObject, entityID) }

func invitationObject(code []byte) string { return objectOf(InvitationObject, string(code)) }

// CodeObject names one recovery code of a factor by the hash that is kept of it.
func CodeObject(factor string, hash []byte) string {
	return objectOf(RecoveryCodeObject, factor, string(hash))
}

// mappingObject names a rule by what it says: its number is used again after a restore, and a rule that is removed
// and added again is the same one. Its priority, and a group's DN beside its id, are no part of whom it gives
// what.
func mappingObject(m Mapping) string {
	dn := m.GroupDN
	if m.GroupID != "" {
		dn = ""
	}
	return objectOf(MappingObject, m.Kind, m.GroupID, dn, m.Attribute, m.Pattern, string(m.Person), string(m.Account),
		string(m.Role))
}

// revoking is the key under which a transaction's context collects what it revokes.
type revoking struct{}

// words are those of one write. Its function can run several times.
type words struct {
	noted     []Revocation // by the present run
	entries   []Revocation // of the present run, as they stand in the database
	journaled []Revocation // by any run
}

// note has a word about an object written down with the transaction.
func note(ctx context.Context, kind, object, word string) {
	if w, ok := ctx.Value(revoking{}).(*words); ok && w != nil && object != "" {
		w.noted = append(w.noted, Revocation{Kind: kind, Object: object, Word: word})
	}
}

// unnoted is a context in which nothing is noted.
func unnoted(ctx context.Context) context.Context {
	return context.WithValue(ctx, revoking{}, (*words)(nil))
}

// removeFactorRows runs a DELETE … RETURNING id on factors, and notes each as revoked.
func removeFactorRows(ctx context.Context, tx querier, query string, args ...any) (int64, error) {
	ids, err := collect(ctx, tx, scanText, query, args...)
	for _, id := range ids {
		note(ctx, FactorObject, factorObject(id), Revoked)
	}
	return int64(len(ids)), err
}

// writeWords stores the words of a transaction at its end, and has what it revokes written to the journal before
// the commit. The counter's row is locked until then, so that numbers become visible in their order: who has read
// up to one has missed none.
func (db *DB) writeWords(ctx context.Context, tx querier, w *words) error {
	if len(w.noted) == 0 {
		return nil
	}
	now := fromMicros(micros(db.now()))
	last := map[string]int{}
	for i, r := range w.noted {
		last[r.Kind+" "+r.Object] = i // of several in one transaction the last one counts
	}
	var entries []Revocation
	for i, r := range w.noted {
		if last[r.Kind+" "+r.Object] != i {
			continue
		}
		// A key's is kept, so that one that a restore has lost can be named. A user was suspended, and a move made: by the id
		// before a move, or so long ago that the word was purged here and stands in audit.sink alone.
		if r.Word == Allowed && r.Kind != KeyObject && r.Kind != UserObject && r.Kind != MoveObject {
			word, err := lastWord(ctx, tx, r.Kind, r.Object)
			if err != nil {
				return err
			}
			if word == "" || word == Allowed {
				continue // nothing was ever said against it
			}
		}
		r.Entry, r.At = rand.Text(), now
		entries = append(entries, r)
	}
	if len(entries) == 0 {
		return nil
	}
	var err error
	if entries, err = storeWords(ctx, tx, entries); err != nil {
		return err
	}
	w.entries = entries
	var before []Revocation
	for _, r := range entries {
		if r.Word != Allowed { // what allows is written after the commit: a crash between the two must not allow
			before = append(before, r)
		}
	}
	if db.journal == nil || len(before) == 0 {
		return nil
	}
	w.journaled = append(w.journaled, before...)
	if err := db.journal.Before(ctx, before); err != nil {
		db.log.LogAttrs(ctx, slog.LevelError, "revocation not written to the journal: a restore would undo it until it is",
			slog.Any("error", err))
	}
	return nil
}

// storeWords gives entries their numbers and stores them.
func storeWords(ctx context.Context, tx querier, entries []Revocation) ([]Revocation, error) {
	var seq int64
	if err := tx.QueryRowContext(ctx, `
		UPDATE counters SET value = value + $1 WHERE name = 'revocations' RETURNING value`, len(entries)).Scan(&seq); err != nil {
		return nil, fmt.Errorf("count revocations: %w", err)
	}
	seq -= int64(len(entries))
	for i := range entries {
		seq++
		entries[i].Seq = seq
		r := entries[i]
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO revocations (id, entry, kind, object, word, at) VALUES ($1, $2, $3, $4, $5, $6)`,
			r.Seq, r.Entry, r.Kind, r.Object, r.Word, micros(r.At)); err != nil {
			return nil, fmt.Errorf("store a revocation: %w", err)
		}
	}
	return entries, nil
}

// finishWords tells the journal what became of a transaction.
func (db *DB) finishWords(ctx context.Context, w *words, committed bool) {
	if db.journal == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if committed && len(w.entries) > 0 {
		db.journal.After(ctx, w.entries, true)
	}
	kept := map[string]bool{}
	if committed {
		for _, r := range w.entries {
			kept[r.Entry] = true
		}
	}
	var lost []Revocation
	for _, r := range w.journaled {
		if !kept[r.Entry] {
			lost = append(lost, r)
		}
	}
	if len(lost) > 0 {
		db.journal.After(ctx, lost, false)
	}
}

func lastWord(ctx context.Context, q querier, kind, object string) (word string, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT word FROM revocations WHERE kind = $1 AND object = $2 ORDER BY id DESC LIMIT 1`, kind, object).Scan(&word)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return word, err
}

// Revocations are the words that the database holds.
type Revocations struct{ db *DB }

// Revocations returns the words of this database.
func (db *DB) Revocations() *Revocations { return &Revocations{db} }

const revocationColumns = `id, entry, kind, object, word, at`

func scanRevocation(row scanner) (r Revocation, err error) {
	var at int64
	err = row.Scan(&r.Seq, &r.Entry, &r.Kind, &r.Object, &r.Word, &at)
	r.At = fromMicros(at)
	return r, err
}

// Entries are the ids of all words.
func (s *Revocations) Entries(ctx context.Context) (map[string]bool, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanText, `
		SELECT entry FROM revocations`)
	entries := make(map[string]bool, len(all))
	for _, entry := range all {
		entries[entry] = true
	}
	return entries, s.db.explain("list the ids of revocations", err)
}

// After lists the words behind a number, in their order, at most limit.
func (s *Revocations) After(ctx context.Context, seq int64, limit int) ([]Revocation, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanRevocation, `
		SELECT `+revocationColumns+` FROM revocations WHERE id > $1 ORDER BY id LIMIT $2`, seq, limit)
	return all, s.db.explain("list revocations", err)
}

// Purge removes words that are older than the audit is kept. The last one stays, as it does in the journal.
func (s *Revocations) Purge(ctx context.Context, before time.Time) (int, error) {
	return s.db.inBatches(ctx, "purge revocations", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM revocations
			 WHERE id IN (SELECT id FROM revocations WHERE at < $1 AND id < (SELECT MAX(id) FROM revocations) ORDER BY at LIMIT `+inSweep+`)`,
			micros(before))
		return int(n), err
	})
}

// Standing is how far a database has come.
type Standing struct {
	Seq    int64     // of its last word
	Audit  int64     // number of the last event in the audit's chain
	Newest time.Time // when its last event happened; zero: it has none
	Began  time.Time // when it began to keep words
	Place  string    // where it stands; "" where that can't be said
	WasAt  string    // where it stood when that was last written down
	Former string    // where it stood before it was settled here; "": it was here from the beginning
}

// Moved tells whether the database stands elsewhere than it did: it was dumped there and read in here.
func (s Standing) Moved() bool { return s.WasAt != "" && s.Place != "" && s.Place != s.WasAt }

// Standing reads how far the database has come. Where it stands for the first time is written down.
func (s *Revocations) Standing(ctx context.Context) (st Standing, err error) {
	const what = "read how far the store has come"
	q := s.db.engine.reader()
	var began, newest int64
	if err := q.QueryRowContext(ctx, `
		SELECT c.value, p.place, p.former, p.began_at,
		       COALESCE((SELECT MAX(seq) FROM audit_chain), (SELECT MAX(seq) FROM audit_seals), 0), COALESCE((SELECT MAX(at) FROM audit_events), 0)
		  FROM counters c, store_place p
		 WHERE c.name = 'revocations' AND p.id = 1`).Scan(&st.Seq, &st.WasAt, &st.Former, &began, &st.Audit,
		&newest); err != nil {
		return st, s.db.explain(what, err)
	}
	st.Began, st.Newest = fromMicros(began), fromMicros(newest)
	st.Place = s.db.engine.place(ctx)
	if st.WasAt == "" && st.Place != "" {
		err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
			_, err := tx.ExecContext(ctx, `
				UPDATE store_place SET place = $1 WHERE id = 1 AND place = ''`, st.Place)
			return err
		})
	}
	return st, err
}

// place is none: a file is copied with its place. That it was is noticed by the journal's being ahead.
func (s *sqlite) place(context.Context) string { return "" }

// place is the server's identifier with the ids of the database and of a table of ours: pg_restore makes those
// anew. What a database that is not quite PostgreSQL can't tell is left out. A server that stops, starts or is too busy
// refuses too, and says nothing of where it stands: to take that for another place would end all sessions.
func (p *postgres) place(ctx context.Context) string {
	var parts []string
	for _, query := range []string{
		`SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()`,
		`SELECT CAST(oid AS TEXT) FROM pg_catalog.pg_database WHERE datname = current_database()`,
		`SELECT CAST(CAST(to_regclass('store_place') AS oid) AS TEXT)`,
	} {
		var (
			part    sql.NullString
			refused *pgconn.PgError
		)
		err := p.db.QueryRowContext(ctx, query).Scan(&part)
		switch {
		case errors.As(err, &refused) && neverSays(refused):
			part.String = "-" // there is no such function, or not for us
		case err != nil:
			return "" // not known now; that is no other place
		}
		parts = append(parts, part.String)
	}
	return strings.Join(parts, "/")
}
