package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Settlement is what to do with a database that was restored, or that a program left between a word in its journal
// and the commit.
type Settlement struct {
	Words []Revocation // the journal's, in their order
	// the database is a copy: sessions end, creations are held, and what a copy must not go on with stops
	Restored bool
	Void     bool   // the journal is not whole: invitations and recovery codes are void
	Codes    string // the kind of factor that recovery codes are
	// Unconfirm tells of whom factors are not confirmed any more, where the journal is not whole: one that was removed
	// since must not open the console. nil: of nobody. Those of everybody else become ByRestored, for who gets a role in
	// it later.
	Unconfirm func(PersonID) bool
	// Spend takes from a factor of that kind (its ID, Person, Kind and Sealed) the codes that are spent, by their
	// objects (CodeObject). ok is false where that can't be done, or none is left: then the factor goes.
	Spend func(f SecondFactor, spent func(object string) bool) (left SecondFactor, changed, ok bool)
	Try   bool  // only say what would be done
	Event Event // Detail becomes what was done
}

// Settled is what was revoked again.
type Settled struct {
	Factors     int64 `json:"factors"`
	Codes       int64 `json:"recovery_codes"` // people whose recovery codes are fewer, or void
	Unconfirmed int64 `json:"unconfirmed"`    // factors that an invitation has to confirm anew
	Invitations int64 `json:"invitations"`
	Users       int64 `json:"suspended"`
	Resumed     int64 `json:"resumed"`
	Keys        int64 `json:"keys"`
	Mappings    int64 `json:"mappings"`
	Providers   int64 `json:"service_providers"`
	Tokens      int64 `json:"tokens"` // of the REST API
	Sources     int64 `json:"sources"`
	// Moves of people to sources, which the copy does not have: nobody is created by either id until they are made again.
	Moves    int64 `json:"moves"`
	Sessions int64 `json:"sessions"`

	Missing []string `json:"missing_keys,omitempty"` // signing keys that were made since, and are not in the copy
	Signing int      `json:"signing_keys"`           // that are left to sign with

	Outdated []Revocation `json:"-"` // words of the journal that were never committed, and that a later word has answered
}

// errTried takes a trial back.
var errTried = errors.New("only tried")

// Settle revokes again what the words revoke and the database does not know, in one transaction with its event.
// Last words count. It does nothing twice, and can be called by several replicas at once.
func (s *Revocations) Settle(ctx context.Context, st Settlement) (done Settled, err error) {
	place := s.db.engine.place(ctx)
	err = s.db.write(ctx, "revoke again what was revoked", func(ctx context.Context, tx querier) error {
		ctx = unnoted(ctx) // what is revoked again was said before
		done = Settled{}
		now := s.db.now()
		r, err := s.db.readReplay(ctx, tx, st)
		if err != nil {
			return err
		}
		done.Outdated = r.outdated
		for _, step := range []func(context.Context, querier, *Settled, time.Time) error{
			r.factors, r.invitations, r.users, r.keys, r.mappings, r.providers, r.tokens,
			r.sources, r.moves,
		} {
			if err := step(ctx, tx, &done, now); err != nil {
				return err
			}
		}
		if len(r.missing) > 0 {
			if _, err := storeWords(ctx, tx, r.missing); err != nil {
				return err
			}
		}
		if st.Restored {
			if err := tx.QueryRowContext(ctx, `
				SELECT COUNT(*) FROM sessions`).Scan(&done.Sessions); err != nil {
				return err
			}
			for _, p := range passedBy(now) {
				if _, err := tx.ExecContext(ctx, p.text, p.args...); err != nil {
					return fmt.Errorf("leave out what has passed: %w", err)
				}
			}
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE store_place SET former = CASE WHEN place = $1 THEN former ELSE place END, place = $1
			 WHERE id = 1`, place); err != nil {
			return err
		}
		if err := raise(ctx, tx); err != nil {
			return err
		}
		if st.Try {
			return errTried
		}
		e := st.Event
		e.Detail, _ = json.Marshal(done) // numbers and ids always encode
		return addEvents(ctx, tx, now, []Event{e})
	})
	s.db.changes.forget()
	if st.Try && errors.Is(err, errTried) {
		err = nil
	}
	return done, err
}

// replay is what there is to say again.
type replay struct {
	db       *DB
	st       Settlement
	missing  []Revocation // words that the database does not know, in their order
	outdated []Revocation
	last     map[string]string // the last word, of those missing, by object
	made     map[string]bool   // keys that were added, and not retired since
}

// readReplay takes the lock on the words and compares them with the journal's.
func (db *DB) readReplay(ctx context.Context, tx querier, st Settlement) (*replay, error) {
	if _, err := tx.ExecContext(ctx, `
		UPDATE counters SET value = value WHERE name = 'revocations'`); err != nil {
		return nil, err
	}
	stored, err := collect(ctx, tx, scanRevocation, `
		SELECT `+revocationColumns+` FROM revocations ORDER BY id`)
	if err != nil {
		return nil, err
	}
	r := &replay{db: db, st: st, last: map[string]string{}, made: map[string]bool{}}
	known, at := map[string]bool{}, map[string]int64{}
	for _, w := range stored {
		known[w.Entry] = true
		at[w.Kind+" "+w.Object] = w.Seq
	}
	highest := int64(0)
	for _, w := range st.Words {
		highest = max(highest, w.Seq)
		if w.Kind == KeyObject {
			r.made[w.Object] = w.Word == Allowed
		}
		object := w.Kind + " " + w.Object
		switch {
		case known[w.Entry]:
			continue
		case !st.Restored && at[object] >= w.Seq && at[object] > 0:
			// It was never committed, and something was said of its object since.
			r.outdated = append(r.outdated, w)
			continue
		}
		r.missing = append(r.missing, w)
		if at[object] > w.Seq {
			continue // the database has a later word, of which the journal knows nothing
		}
		r.last[object] = w.Word
	}
	// Numbers go on behind those of the journal: a word that is said from now on is later than all of them.
	_, err = tx.ExecContext(ctx, `
		UPDATE counters SET value = $1 WHERE name = 'revocations' AND value < $1`, highest)
	return r, err
}

func (r *replay) word(kind, object string) string { return r.last[kind+" "+object] }

// has tells whether there is any word on a kind, so that tables are not read for nothing.
func (r *replay) has(kinds ...string) bool {
	return slices.ContainsFunc(r.missing, func(w Revocation) bool { return slices.Contains(kinds, w.Kind) })
}

func (r *replay) factors(ctx context.Context, tx querier, done *Settled, _ time.Time) error {
	if !r.has(FactorObject, RecoveryCodeObject) && !r.st.Void {
		return nil
	}
	rows, err := collect(ctx, tx, scanSecondFactor, `
		SELECT `+factorColumns+` FROM second_factors`)
	if err != nil {
		return err
	}
	for _, row := range rows {
		f := row.SecondFactor
		gone, codes := r.word(FactorObject, factorObject(f.ID)) == Revoked, f.Kind == r.st.Codes
		if !gone && codes {
			left, changed, ok := f, false, !r.st.Void
			if ok && r.st.Spend != nil {
				left, changed, ok = r.st.Spend(f, func(object string) bool { return r.word(RecoveryCodeObject, object) == Revoked })
			}
			switch {
			case !ok:
				gone = true
			case changed:
				done.Codes++
				if _, err := tx.ExecContext(ctx, `
					UPDATE second_factors SET sealed = $1, version = version + 1 WHERE id = $2`, blob(left.Sealed), f.ID); err != nil {
					return err
				}
			}
		}
		if !gone {
			if r.st.Void && !codes && !f.ConfirmedAt.IsZero() && r.st.Unconfirm != nil && r.st.Unconfirm(f.Person) {
				done.Unconfirmed++
				// Without a MAC nothing is known of how it was enrolled, so it is not confirmed.
				if _, err := tx.ExecContext(ctx, `
					UPDATE second_factors SET confirmed_at = 0, mac = $1 WHERE id = $2`, blob(nil), f.ID); err != nil {
					return err
				}
			} else if r.st.Void && !codes {
				if err := r.db.restoredFactor(ctx, tx, row); err != nil {
					return err
				}
			}
			continue
		}
		if codes {
			done.Codes++
		} else {
			done.Factors++
		}
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM second_factors WHERE id = $1`, f.ID); err != nil {
			return err
		}
	}
	return nil
}

// restoredFactor notes of a confirmed factor that a backup brought it back.
func (db *DB) restoredFactor(ctx context.Context, tx querier, row factorRow) error {
	f := db.trustedFactor(row)
	if !f.OpensConsole() {
		return nil
	}
	f.By = ByRestored
	return db.remark(ctx, tx, f)
}

func (r *replay) invitations(ctx context.Context, tx querier, done *Settled, _ time.Time) error {
	if !r.has(InvitationObject) && !r.st.Void {
		return nil
	}
	type row struct {
		person string
		code   []byte
	}
	all, err := collect(ctx, tx, func(s scanner) (i row, err error) { return i, s.Scan(&i.person, &i.code) }, `
		SELECT person_id, invite FROM second_factor_people WHERE invite_ends_at > 0`)
	if err != nil {
		return err
	}
	for _, i := range all {
		if !r.st.Void && r.word(InvitationObject, invitationObject(i.code)) != Revoked {
			continue
		}
		done.Invitations++
		if _, err := tx.ExecContext(ctx, `
			UPDATE second_factor_people SET invite = $1, invite_ends_at = 0 WHERE person_id = $2`, blob(nil), i.person); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) users(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	if !r.has(UserObject) {
		return nil
	}
	type row struct {
		UserKey
		state State
	}
	all, err := collect(ctx, tx, func(s scanner) (u row, err error) { return u, s.Scan(&u.Person, &u.Account, &u.state) },
		`
		SELECT person_id, account, state FROM sso_users`)
	if err != nil {
		return err
	}
	for _, u := range all {
		var n int64
		switch word := r.word(UserObject, userObject(u.UserKey)); {
		case word == SwitchedOff && u.state != Suspended:
			n, err = suspendUser(ctx, tx, u.UserKey, micros(now))
			done.Users += n
		case word == Allowed && u.state == Suspended:
			// The one word that gives something back: whom the help desk has resumed is not shut out by an old copy.
			n, err = resumeUser(ctx, tx, u.UserKey, micros(now))
			done.Resumed += n
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) keys(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	all, err := listKeys(ctx, tx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, k := range all {
		there[k.ID] = true
		if r.word(KeyObject, k.ID) == Revoked && k.State != retiredKey {
			done.Keys++
			if err := retireAgain(ctx, tx, k.ID, now); err != nil {
				return err
			}
			k.State = retiredKey
		}
		if k.Use == "signing" && k.State == "active" {
			done.Signing++
		}
	}
	for id, made := range r.made {
		if made && !there[id] {
			done.Missing = append(done.Missing, id)
		}
	}
	slices.Sort(done.Missing)
	return nil
}

// retireAgain ends a key for good: its private part goes, and nobody is signed for with it, now or by a switch
// that was planned.
func retireAgain(ctx context.Context, tx querier, id string, now time.Time) error {
	for _, s := range []struct {
		text string
		args []any
	}{
		{`UPDATE signing_keys SET state = 'retired', private = $1, retired_at = $2 WHERE id = $3`,
			[]any{blob(nil), micros(now), id}},
		{`DELETE FROM sp_keys WHERE key_id = $1`, []any{id}},
		{`UPDATE sp_keys SET next_key_id = '', switch_at = 0, wait_window = $1 WHERE next_key_id = $2`, []any{false, id}},
		{`UPDATE sp_keys SET previous_key_id = '' WHERE previous_key_id = $1`, []any{id}},
	} {
		if _, err := tx.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("retire key %s: %w", id, err)
		}
	}
	return nil
}

func (r *replay) mappings(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	if !r.has(MappingObject) {
		return nil
	}
	const actor = "restore"
	for _, table := range []string{"mappings", "mappings_off"} {
		all, err := collect(ctx, tx, scanMapping, `
			SELECT `+mappingColumns+` FROM `+table)
		if err != nil {
			return err
		}
		for _, m := range all {
			m.Off = table == "mappings_off"
			word := r.word(MappingObject, mappingObject(m))
			if word != Revoked && (word != SwitchedOff || m.Off) {
				continue
			}
			if _, err := takeMapping(ctx, tx, table, m.ID); err != nil {
				return err
			}
			what := MappingRemoved
			if word == SwitchedOff {
				what, m.Off = MappingOff, true
				if err := placeMapping(ctx, tx, m, now); err != nil {
					return err
				}
			}
			if err := remember(ctx, tx, what, m.ID, m, now, actor); err != nil {
				return err
			}
			if m.Kind == PersonMapping && what == MappingRemoved {
				if err := removeOwner(ctx, tx, m.ID); err != nil {
					return err
				}
			}
			done.Mappings++
		}
	}
	return nil
}

func (r *replay) providers(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	if !r.has(ProviderObject) {
		return nil
	}
	all, err := listProviders(ctx, tx)
	if err != nil {
		return err
	}
	for _, sp := range all {
		switch word := r.word(ProviderObject, providerObject(sp.EntityID)); {
		case word == Revoked:
			if err := removeProvider(ctx, tx, sp.EntityID); err != nil {
				return err
			}
		case word == SwitchedOff && sp.Enabled:
			sp.Enabled, sp.UpdatedAt = false, now
			if err := writeProvider(ctx, tx, sp); err != nil {
				return err
			}
		default:
			continue
		}
		done.Providers++
	}
	return nil
}
