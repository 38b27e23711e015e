package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// maxSecondFactors is how many factors one person can have.
const maxSecondFactors = 20

// SecondFactor is something by which a person proves themselves beside the password.
type SecondFactor struct {
	ID        string
	Person    PersonID
	Kind      string // the caller's word
	Sealed    []byte // what it is proved by, sealed by the caller
	Version   int    // counts the changes of Sealed
	CreatedAt time.Time
	UsedAt    time.Time // zero: never
	Spent     string    // for Prove: the object (CodeObject) of the recovery code that was used up; "": none

	By          string    // how it was enrolled: one of the words below
	ConfirmedAt time.Time // by an invitation, or by a factor that was confirmed itself; zero: it is not
	NoticedAt   time.Time // when the person was first shown at a login that it was added; zero: not yet
	Epoch       int64     // the person's when it was enrolled
	Foreign     bool      // what stands here of its enrolment was changed in the database: it proves nothing
}

// How a factor was enrolled.
const (
	ByInvitation = "invitation"
	ByFactor     = "factor"   // by somebody who had proved another one
	ByPassword   = "password" // the first one, after the password alone
	ByDemand     = "demand"   // the same, since a service provider asked for a second factor
	ByBefore     = "before"   // it is not known: the program that enrolled it did not note it
	ByRestored   = "restored" // by a backup that was restored without a whole journal; it may have been removed since
)

// OpensConsole tells whether the factor is one that the console takes: an invitation, or a factor that was confirmed
// itself, stands for it. One that a backup brought back may have been removed after it, by somebody who has a role in
// the console today.
func (f SecondFactor) OpensConsole() bool {
	return !f.Foreign && !f.ConfirmedAt.IsZero() && f.By != ByRestored
}

// SecondFactors keeps what people prove themselves by beside the password, and which
// client accounts ask for that.
type SecondFactors struct{ db *DB }

// SecondFactors returns the second factors of this database.
func (db *DB) SecondFactors() *SecondFactors { return &SecondFactors{db} }

// factorPurpose is that of the MAC of a factor.
const factorPurpose = "second factor"

// factorRow is a factor as it stands in its row.
type factorRow struct {
	SecondFactor
	mac []byte
}

// fields are what a factor's MAC covers: whose it is, and how much it is to be trusted. What it is proved by is left
// out, since it is sealed for person and row, and changes with each use, by the version before too.
func (f *SecondFactor) fields() [][]byte {
	return [][]byte{
		[]byte(f.ID), []byte(f.Person), []byte(f.Kind), []byte(f.By),
		number(micros(f.CreatedAt)), number(micros(f.ConfirmedAt)), number(micros(f.NoticedAt)), number(f.Epoch),
	}
}

// trustedFactor is the factor of a row. Of one without a MAC nothing is known but that it is there: the version before
// writes such, and so can anybody.
func (db *DB) trustedFactor(r factorRow) SecondFactor {
	f := r.SecondFactor
	switch {
	case len(r.mac) == 0:
		f.By, f.ConfirmedAt, f.NoticedAt, f.Epoch = ByBefore, time.Time{}, time.Time{}, 0
	case !db.vouched(r.mac, factorPurpose, f.fields()...):
		db.foreignRow("second_factors")
		f.By, f.ConfirmedAt, f.NoticedAt, f.Epoch, f.Foreign = ByBefore, time.Time{}, time.Time{}, 0, true
	}
	return f
}

// OfPerson lists a person's factors, the oldest first.
func (s *SecondFactors) OfPerson(ctx context.Context, p PersonID) ([]SecondFactor, error) {
	all, err := s.db.factorsOf(ctx, s.db.engine.reader(), p)
	s.db.reportForeign(ctx)
	return all, s.db.explain("list second factors", err)
}

// Confirmed lists the factors of everybody that an invitation, or a confirmed factor, stands for, by person.
func (s *SecondFactors) Confirmed(ctx context.Context) (all []SecondFactor, err error) {
	rows, err := collect(ctx, s.db.engine.reader(), scanSecondFactor, `
		SELECT `+factorColumns+` FROM second_factors WHERE confirmed_at > 0 ORDER BY person_id, created_at, id`)
	for _, row := range rows {
		if f := s.db.trustedFactor(row); !f.ConfirmedAt.IsZero() {
			all = append(all, f)
		}
	}
	return all, s.db.explain("list confirmed second factors", err)
}

func (db *DB) factorsOf(ctx context.Context, q querier, p PersonID) (all []SecondFactor, err error) {
	rows, err := collect(ctx, q, scanSecondFactor, `
		SELECT `+factorColumns+`
		  FROM second_factors WHERE person_id = $1 ORDER BY created_at, id`, string(p))
	for _, row := range rows {
		all = append(all, db.trustedFactor(row))
	}
	return all, err
}

// factorColumns are those of a factorRow.
const factorColumns = `id, person_id, kind, sealed, version, created_at, used_at, enrolled_by, confirmed_at, noticed_at, epoch, mac`

func scanSecondFactor(row scanner) (f factorRow, err error) {
	var created, used, confirmed, noticed int64
	err = row.Scan(&f.ID, &f.Person, &f.Kind, &f.Sealed, &f.Version, &created, &used, &f.By, &confirmed, &noticed,
		&f.Epoch, &f.mac)
	f.CreatedAt, f.UsedAt, f.ConfirmedAt, f.NoticedAt = fromMicros(created), fromMicros(used), fromMicros(confirmed),
		fromMicros(noticed)
	return f, err
}

// remark stores what is known of a factor's enrolment.
func (db *DB) remark(ctx context.Context, tx querier, f SecondFactor) error {
	mac, err := db.vouch(factorPurpose, f.fields()...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE second_factors SET enrolled_by = $1, confirmed_at = $2, noticed_at = $3, epoch = $4, mac = $5
		 WHERE id = $6 AND person_id = $7`,
		f.By, micros(f.ConfirmedAt), micros(f.NoticedAt), f.Epoch, mac, f.ID, string(f.Person))
	return err
}

// Enrolment is a factor to add.
type Enrolment struct {
	Act
	Factors  []SecondFactor // of one person; the first is the one that was proved
	By       string         // ByPassword or ByDemand, where neither an invitation nor a factor stands for it
	Replaces string         // the kind of which all that the person had is removed; "" for none
	First    bool           // only as the person's first one
	Invite   []byte         // hash of the code without which it is not added; nil: none is needed
	Former   [][]byte       // what Invite would be by each secret key but the one in use
	// takes the place of the act's, as one in which the first factor was proved; nil: the act's stays
	Session *Session
}

// Enrol adds factors, all or none. A zero CreatedAt becomes the present. An invitation confirms them, and so does a
// confirmed factor that was proved in the act's session.
//
// ErrConflict: it was to be the first, and there is one. ErrNotFound: the invitation is not this one, or over.
// ErrLimit: the person has as many as anybody can have. ErrRevoked, ErrStale: see Act. The invitation is used up.
func (s *SecondFactors) Enrol(ctx context.Context, person PersonID, e Enrolment, events ...Event) error {
	return s.db.write(ctx, "enrol second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		// The row's lock puts those who enrol for one person one after the other.
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		session, err := s.db.allowed(ctx, tx, person, e.Act, now)
		if err != nil {
			return err
		}
		if e.Replaces != "" {
			if _, err := removeFactorRows(ctx, tx, `
				DELETE FROM second_factors WHERE person_id = $1 AND kind = $2 RETURNING id`, string(person), e.Replaces); err != nil {
				return err
			}
		}
		var has int
		if err := tx.QueryRowContext(ctx, `
			SELECT COUNT(*) FROM second_factors WHERE person_id = $1`, string(person)).Scan(&has); err != nil {
			return err
		}
		switch {
		case e.First && has > 0:
			return ErrConflict
		case has+len(e.Factors) > maxSecondFactors:
			return ErrLimit
		}
		by, confirmed := e.By, time.Time{}
		switch {
		case e.Invite != nil:
			if err := useInvitation(ctx, tx, person, append([][]byte{e.Invite}, e.Former...), now); err != nil {
				return err
			}
			by, confirmed = ByInvitation, now
		case session.Proved.ID != "":
			// One factor stands for the next as far as it was confirmed itself.
			switch by = ByFactor; {
			case session.Proved.OpensConsole():
				confirmed = now
			case session.Proved.By == ByRestored && !session.Proved.ConfirmedAt.IsZero():
				by, confirmed = ByRestored, now
			}
		}
		if session.Proved.ID != "" && session.Proved.Kind == e.Replaces && len(e.Factors) > 0 {
			session.Factor = e.Factors[0].ID // what was proved lives on in what replaces it
		}
		epoch, err := s.db.afterChange(ctx, tx, person, session, e.KeepOthers, false)
		if err != nil {
			return err
		}
		for _, f := range e.Factors {
			if f.CreatedAt.IsZero() {
				f.CreatedAt = now
			}
			f.Person, f.By, f.ConfirmedAt, f.NoticedAt, f.Epoch = person, by, confirmed, time.Time{}, epoch
			if err := s.db.insertFactor(ctx, tx, f); err != nil {
				return err
			}
		}
		if e.Session != nil {
			n := *e.Session
			n.Epoch, n.Factor = epoch, e.Factors[0].ID
			if err := s.db.follow(ctx, tx, n, e.Act.Session, now, nil); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, events)
	})
}

func (db *DB) insertFactor(ctx context.Context, tx querier, f SecondFactor) error {
	mac, err := db.vouch(factorPurpose, f.fields()...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO second_factors (id, person_id, kind, sealed, version, created_at, used_at,
		    enrolled_by, confirmed_at, noticed_at, epoch, mac)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11)`,
		f.ID, string(f.Person), f.Kind, blob(f.Sealed), micros(f.CreatedAt), micros(f.UsedAt),
		f.By, micros(f.ConfirmedAt), micros(f.NoticedAt), f.Epoch, mac)
	return err
}

// useInvitation uses an invitation up. ErrNotFound: it is not this one, or over.
func useInvitation(ctx context.Context, tx querier, person PersonID, hashes [][]byte, now time.Time) error {
	for _, invite := range hashes {
		n, err := touched(ctx, tx, `
			UPDATE second_factor_people SET invite = $1, invite_ends_at = 0
			 WHERE person_id = $2 AND invite = $3 AND invite_ends_at > $4`,
			blob(nil), string(person), invite, micros(now))
		if err != nil {
			return err
		}
		if n > 0 {
			note(ctx, InvitationObject, invitationObject(invite), Revoked) // it is used up
			return nil
		}
	}
	return ErrNotFound
}

// aboutPerson takes the lock on a person's factors.
func aboutPerson(ctx context.Context, tx querier, person PersonID) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO second_factor_people (person_id, invite, invite_ends_at, delayed_at) VALUES ($1, $2, 0, 0)
		ON CONFLICT (person_id) DO UPDATE SET delayed_at = second_factor_people.delayed_at`, string(person), blob(nil))
	return err
}

// ProvedFactor is a factor that was proved in a session.
type ProvedFactor struct {
	Factor  SecondFactor // as it is kept from now on, of the version that was read
	Session Session      // with a new token; stored as one in which the factor was proved
	Old     []byte       // token hash of the session whose place it takes
	Invite  []byte       // hash of the code of an invitation, which confirms the factor; nil: none
	Former  [][]byte     // what Invite would be by each secret key but the one in use
}

// Prove stores what a factor is proved by from now on, and the session in which it was proved. ErrConflict: the factor
// was changed since it was read, by somebody who proved it at the same time, or is gone. ErrRevoked: the session is
// over. ErrNotFound: the invitation is not this one, or over. Then nothing is stored.
func (s *SecondFactors) Prove(ctx context.Context, p ProvedFactor, events ...Event) error {
	return s.db.write(ctx, "prove second factor", func(ctx context.Context, tx querier) error {
		now, person := s.db.now(), p.Factor.Person
		if p.Invite != nil {
			if err := aboutPerson(ctx, tx, person); err != nil {
				return err
			}
		}
		old, err := s.db.living(ctx, tx, person, p.Old)
		if err != nil {
			return err
		}
		n, err := touched(ctx, tx, `
			UPDATE second_factors SET sealed = $1, version = version + 1, used_at = $2
			 WHERE id = $3 AND person_id = $4 AND version = $5`,
			blob(p.Factor.Sealed), micros(now), p.Factor.ID, string(person), p.Factor.Version)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		note(ctx, RecoveryCodeObject, p.Factor.Spent, Revoked)
		if p.Invite != nil {
			if err := useInvitation(ctx, tx, person, append([][]byte{p.Invite}, p.Former...), now); err != nil {
				return err
			}
			if err := s.db.confirm(ctx, tx, person, p.Factor.ID, now); err != nil {
				return err
			}
		}
		next := p.Session
		next.Person, next.Epoch, next.Factor = person, old.Epoch, p.Factor.ID
		if err := s.db.follow(ctx, tx, next, p.Old, now, nil); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// confirm notes that an invitation stands for a factor.
func (db *DB) confirm(ctx context.Context, tx querier, person PersonID, id string, now time.Time) error {
	all, err := db.factorsOf(ctx, tx, person)
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.ID != id {
			continue
		}
		if f.Foreign {
			return ErrConflict
		}
		if f.ConfirmedAt = now; f.By == ByRestored {
			f.By = ByInvitation
		}
		return db.remark(ctx, tx, f)
	}
	return ErrConflict
}

// Notice is that a person was shown at a login which factors were added.
type Notice struct {
	Person  PersonID
	IDs     []string // of the factors
	Browser []byte   // of the login
	Proved  bool     // it was proved by an older factor that counts
}

// Notice notes it, with the event. What was noted before stays. Where the password alone was shown, it counts only in
// the browser that the person has used for longest: whoever has stolen the password would else show themselves what
// they have added. The event says why where it does not count.
func (s *SecondFactors) Notice(ctx context.Context, n Notice, e Event) error {
	return s.db.write(ctx, "note that a second factor was shown", func(ctx context.Context, tx querier) error {
		now, person := s.db.now(), n.Person
		if !n.Proved {
			longest, err := longestUsed(ctx, tx, person, n.Browser, now)
			if err != nil {
				return err
			}
			if !longest {
				e := e // the function can run twice
				e.Reason = "another_browser"
				return addEvents(ctx, tx, now, []Event{e})
			}
		}
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		all, err := s.db.factorsOf(ctx, tx, person)
		if err != nil {
			return err
		}
		for _, f := range all {
			if f.Foreign || !f.NoticedAt.IsZero() || !slices.Contains(n.IDs, f.ID) {
				continue
			}
			f.NoticedAt = now
			if err := s.db.remark(ctx, tx, f); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, now, []Event{e})
	})
}

// Removal is a factor to remove.
type Removal struct {
	Act
	ID    string
	Alone string // the kind that is none by itself: it goes with the last of any other
	Keep  bool   // the person has to keep one, and a confirmed one if this one is confirmed
}

// Remove removes one of a person's factors; with it, where it was the last of any kind
// but the one that alone is none, that one too. ErrNotFound. ErrLast: it has to be kept. ErrRevoked, ErrStale: see Act.
func (s *SecondFactors) Remove(ctx context.Context, person PersonID, r Removal, events ...Event) error {
	return s.db.write(ctx, "remove second factor", func(ctx context.Context, tx querier) error {
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		session, err := s.db.allowed(ctx, tx, person, r.Act, s.db.now())
		if err != nil {
			return err
		}
		all, err := s.db.factorsOf(ctx, tx, person)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(f SecondFactor) bool { return f.ID == r.ID })
		if i < 0 {
			return ErrNotFound
		}
		gone := all[i]
		left := slices.DeleteFunc(slices.Clone(all), func(f SecondFactor) bool {
			return f.ID == r.ID ||
				f.Kind == r.Alone || f.Foreign
		})
		confirmed := slices.ContainsFunc(left, SecondFactor.OpensConsole)
		if r.Keep && (len(left) == 0 || gone.OpensConsole() && !confirmed) {
			return ErrLast
		}
		if _, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE id = $1 AND person_id = $2 RETURNING id`, r.ID, string(person)); err != nil {
			return err
		}
		if _, err := removeFactorRows(ctx, tx, `
			DELETE FROM second_factors WHERE person_id = $1 AND NOT EXISTS
			    (SELECT 1 FROM second_factors other WHERE other.person_id = $1 AND other.kind <> $2)
			RETURNING id`, string(person), r.Alone); err != nil {
			return err
		}
		if _, err := s.db.afterChange(ctx, tx, person, session, r.KeepOthers, true); err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
}

// RemoveAll removes all factors of a person and an invitation that was not used, and ends their sessions, which may
// rest on one. It returns how many factors there were.
func (s *SecondFactors) RemoveAll(ctx context.Context, person PersonID, events ...Event) (int, error) {
	var n int64
	err := s.db.write(ctx, "remove second factors", func(ctx context.Context, tx querier) (err error) {
		n, err = s.db.removeFactors(ctx, tx, person)
		if err != nil {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), events)
	})
	return int(n), err
}

func (db *DB) removeFactors(ctx context.Context, tx querier, person PersonID) (int64, error) {
	if err := aboutPerson(ctx, tx, person); err != nil {
		return 0, err
	}
	n, err := removeFactorRows(ctx, tx, `
		DELETE FROM second_factors WHERE person_id = $1 RETURNING id`, string(person))
	if err != nil {
		return 0, err
	}
	// What nobody has used yet would let somebody enrol who found it.
	if err := revokeInvitation(ctx, tx, person); err != nil {
		return n, err
	}
	if _, err := tx.ExecContext(ctx, `
		UPDATE second_factor_people SET invite = $1, invite_ends_at = 0 WHERE person_id = $2`, blob(nil), string(person)); err != nil {
		return n, err
	}
	if _, _, err = db.revoke(ctx, tx, person); err != nil {
		return n, err
	}
	// Sessions first, as where a factor is proved.
	return n, forgetGuesses(ctx, tx, person)
}

// Invite stores an invitation to enrol a person's first factor, or to confirm one of those that are not, in place of
// any other: the hash of its code, and its end. With again, the person's factors are removed and their sessions ended.
// ErrConflict: without it, and there is a confirmed factor.
func (s *SecondFactors) Invite(ctx context.Context, person PersonID, code []byte, life time.Duration, again bool,
	events ...Event) error {
	return s.db.write(ctx, "invite to enrol a second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if again {
			if _, err := s.db.removeFactors(ctx, tx, person); err != nil {
				return err
			}
		}
		all, err := s.db.factorsOf(ctx, tx, person)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, SecondFactor.OpensConsole) {
			return ErrConflict
		}
		if err := revokeInvitation(ctx, tx, person); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE second_factor_people SET invite = $1, invite_ends_at = $2 WHERE person_id = $3`,
			blob(code), micros(now.Add(life)), string(person)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// revokeInvitation notes that the invitation of a person, if there is one, holds no more.
func revokeInvitation(ctx context.Context, tx querier, person PersonID) error {
	codes, err := collect(ctx, tx, func(row scanner) (code []byte, err error) { return code, row.Scan(&code) }, `
		SELECT invite FROM second_factor_people WHERE person_id = $1`, string(person))
	for _, code := range codes {
		if len(code) > 0 {
			note(ctx, InvitationObject, invitationObject(code), Revoked)
		}
	}
	return err
}

// Delay notes that a person put the offer of a factor off.
func (s *SecondFactors) Delay(ctx context.Context, person PersonID, events ...Event) error {
	return s.db.write(ctx, "put a second factor off", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		if err := aboutPerson(ctx, tx, person); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE second_factor_people SET delayed_at = $1 WHERE person_id = $2`, micros(now), string(person)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// Delayed tells when a person last put the offer of a factor off; zero: never.
func (s *SecondFactors) Delayed(ctx context.Context, person PersonID) (time.Time, error) {
	var at int64
	err := s.db.engine.reader().QueryRowContext(ctx, `
		SELECT delayed_at FROM second_factor_people WHERE person_id = $1`, string(person)).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromMicros(at), s.db.explain("read when a second factor was put off", err)
}

// Policies tells what the client accounts ask for that have a setting of their own.
func (s *SecondFactors) Policies(ctx context.Context) (map[AccountID]string, error) {
	type row struct {
		account AccountID
		policy  string
	}
	all, err := collect(ctx, s.db.engine.reader(), func(r scanner) (p row, err error) {
		return p, r.Scan(&p.account, &p.policy)
	}, `SELECT account, policy FROM second_factor_policies`)
	if err != nil {
		return nil, s.db.explain("read what accounts ask for", err)
	}
	policies := make(map[AccountID]string, len(all))
	for _, r := range all {
		policies[r.account] = r.policy
	}
	return policies, nil
}

// SetPolicy sets what a client account asks for; "" takes its own setting away. What stands under another spelling of
// the account goes with it, else it could never be lowered; the policies of two accounts that differ in case stay
// apart.
func (s *SecondFactors) SetPolicy(ctx context.Context, account AccountID, policy string, e Event) error {
	return s.db.change(ctx, "set what an account asks for", func(ctx context.Context, tx querier) error {
		forms, err := accountForms(ctx, tx)
		if err != nil {
			return err
		}
		spellings, err := collect(ctx, tx, scanText, `
			SELECT account FROM second_factor_policies`)
		if err != nil {
			return err
		}
		for _, spelling := range spellings {
			if AccountID(spelling) != account && (!forms.Lists(account) || forms.Stored(AccountID(spelling)) != account) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `
				DELETE FROM second_factor_policies WHERE account = $1`, spelling); err != nil {
				return err
			}
		}
		if policy != "" {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO second_factor_policies (account, policy) VALUES ($1, $2)`, string(account), policy); err != nil {
				return err
			}
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}

// After returns up to limit factors of all people, those with the smallest ids greater than id.
func (s *SecondFactors) After(ctx context.Context, id string, limit int) ([]SecondFactor, error) {
	rows, err := collect(ctx, s.db.engine.reader(), scanSecondFactor, `
		SELECT `+factorColumns+`
		  FROM second_factors WHERE id > $1 ORDER BY id LIMIT $2`, id, limit)
	if err != nil {
		return nil, s.db.explain("list second factors", err)
	}
	var all []SecondFactor
	for _, r := range rows {
		all = append(all, s.db.trustedFactor(r))
	}
	return all, nil
}

// Reseal stores what a factor is proved by under another seal. It does nothing to one that was used or changed since f
// was read: call it again then.
func (s *SecondFactors) Reseal(ctx context.Context, f SecondFactor) (changed bool, err error) {
	err = s.db.write(ctx, "seal a second factor again", func(ctx context.Context, tx querier) error {
		n, err := touched(ctx, tx, `
			UPDATE second_factors SET sealed = $1, version = version + 1 WHERE id = $2 AND version = $3`,
			blob(f.Sealed), f.ID, f.Version)
		changed = n == 1
		return err
	})
	return changed, err
}
