package store

import (
	"context"
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
		n, err := rowsAffected(ctx, tx, `
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

// Use stores what a factor is proved by from now on, where it was proved outside of a session. ErrConflict: the
// factor was changed since it was read, by somebody who proved it at the same time, or is gone.
func (s *SecondFactors) Use(ctx context.Context, f SecondFactor, events ...Event) error {
	return s.db.write(ctx, "use second factor", func(ctx context.Context, tx querier) error {
		now := s.db.now()
		n, err := rowsAffected(ctx, tx, `
			UPDATE second_factors SET sealed = $1, version = version + 1, used_at = $2
			 WHERE id = $3 AND person_id = $4 AND version = $5`,
			blob(f.Sealed), micros(now), f.ID, string(f.Person), f.Version)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrConflict
		}
		note(ctx, RecoveryCodeObject, f.Spent, Revoked)
		if err := proved(ctx, tx, Proof{Person: f.Person}, now); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
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
		n, err := rowsAffected(ctx, tx, `
			UPDATE second_factors SET sealed = $1, version = version + 1 WHERE id = $2 AND version = $3`,
			blob(f.Sealed), f.ID, f.Version)
		changed = n == 1
		return err
	})
	return changed, err
}
