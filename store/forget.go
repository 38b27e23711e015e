package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Forget says whom to forget.
type Forget struct {
	Person PersonID
	// Deleted is an admin's word that the users which may exist at Constant Contact were deleted there.
	Deleted bool
	Logins  []string // names that they log in by, beside those that are stored
	// Bare is the form of a login name under which browsers are known.
	Bare func(login string) string
}

// Forgotten is what was removed of a person, or emptied.
type Forgotten struct {
	Users    int64 `json:"users,omitempty"`    // rows of the ledger
	Sessions int64 `json:"sessions,omitempty"` // with what service providers knew the person by
	SignIns  int64 `json:"sign_ins,omitempty"`
	Browsers int64 `json:"browsers,omitempty"` // that a login name was used from
	Traces   int64 `json:"traces,omitempty"`
	Items    int64 `json:"items,omitempty"` // of plans; their names were emptied
	Work     int64 `json:"work,omitempty"`  // by hand at Constant Contact
	Requests int64 `json:"requests,omitempty"`
	Factors  int64 `json:"second_factors,omitempty"`
	Names    int64 `json:"names,omitempty"`         // by which lists call the person
	Claims   int64 `json:"source_claims,omitempty"` // what a source said of the person
	Moves    int64 `json:"moves,omitempty"`         // to a source of people, by which they were no more to be created
}

// Remains is why a person can't be forgotten yet.
type Remains struct {
	Sending  []AccountID // a user is being created there at this moment
	Users    []AccountID // a user may exist there
	Requests []int64     // orders of client accounts that are not at their end
	Mappings []int64     // mappings that name the person, on or off
}

func (r Remains) any() bool {
	return len(r.Sending)+len(r.Users)+len(r.Requests)+len(r.Mappings) > 0
}

// ForgetPerson removes or empties, in one transaction with the event, all that tells who a person is. The event's
// Subject and Detail are filled in. What stays names the person by id alone: audit events, whose chain goes on holding,
// plans, and who made what. With something in Remains nothing was changed. ErrNotFound: nothing of the person is kept.
//
// A row goes only if its user surely does not exist at Constant Contact, or an admin says so: the ledger is the only
// record of who has a user there, and without it a second one could be made.
//
// Started sign-ins that nobody has logged in to and running single logouts can't be told to be the person's. They end
// by themselves, within sign_in.life.
func (s *Ledger) ForgetPerson(ctx context.Context, f Forget, e Event) (done Forgotten, remains Remains, err error) {
	const what = "forget person"
	if f.Person == "" {
		return done, remains, s.db.explain(what, errors.New("no person id"))
	}
	spread, err := s.findSpread(ctx, f.Person)
	if err != nil {
		return done, remains, s.db.explain(what, err)
	}
	errRemains := errors.New("something remains")
	upgrade := s.db.upgrade(ctx)
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		done = Forgotten{}
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		// An order for the person is before this, and seen, or comes after it, and sees what is left.
		if err := lockExternalIDs(ctx, tx, personLock(f.Person)); err != nil {
			return err
		}
		names, err := loginsOf(ctx, tx, f, spread)
		if err != nil {
			return err
		}
		// The statement itself leaves alone what must stay: a worker may take a row at this moment.
		if done.Users, err = rowsAffected(ctx, tx, `
			DELETE FROM sso_users
			 WHERE person_id = $1 AND NOT (state IN ('sending', 'suspended') AND lease_until > $2)
			   AND ($3 OR NOT (maybe_sent OR state IN ('sending', 'active', 'assumed', 'unknown')
			        OR state = 'suspended' AND before_state IN ('active', 'assumed', 'unknown')))`,
			string(f.Person), micros(now), f.Deleted); err != nil {
			return err
		}
		if remains, err = remainsOf(ctx, tx, f.Person, now); err != nil {
			return err
		}
		if remains.any() {
			return errRemains
		}
		if err := s.db.forget(ctx, tx, f.Person, spread, names, upgrade, now, &done); err != nil {
			return err
		}
		if done == (Forgotten{}) {
			return ErrNotFound
		}
		e.Subject = string(f.Person)
		e.Detail, _ = json.Marshal(done) // numbers always encode
		return addEvents(ctx, tx, now, []Event{e})
	})
	if errors.Is(err, errRemains) {
		return Forgotten{}, remains, nil
	}
	if err != nil {
		return Forgotten{}, Remains{}, err
	}
	return done, Remains{}, nil
}

// spread is what is known of a person in tables that have no index by person, since each sign-in and each plan would
// pay for it. These are read through outside of the writer, before the transaction that changes single rows. A sign-in
// that ends between the two keeps its row until it expires; it names nobody by then.
type spread struct {
	signIns []string
	items   []PlanItem
}

func (s *Ledger) findSpread(ctx context.Context, p PersonID) (found spread, err error) {
	if found.signIns, err = collect(ctx, s.db.engine.reader(), scanText, `
		SELECT id FROM sign_ins WHERE session IN (SELECT token_hash FROM sessions WHERE person_id = $1)`, string(p)); err != nil {
		return found, err
	}
	found.items, err = collect(ctx, s.db.engine.reader(), func(row scanner) (i PlanItem, err error) {
		return i, row.Scan(&i.Plan, &i.Position, &i.Login)
	}, `
		SELECT plan, position, login FROM plan_items
		 WHERE person_id = $1 AND (login <> '' OR name <> '' OR why <> '')`, string(p))
	return found, err
}

// loginsOf are the names under which browsers are known to be the person's, as far as they can be found.
func loginsOf(ctx context.Context, tx querier, f Forget, found spread) (map[string]bool, error) {
	stored, err := collect(ctx, tx, scanText, `
		SELECT login FROM sessions WHERE person_id = $1
		UNION SELECT login FROM people WHERE person_id = $1
		UNION SELECT login FROM manual_work WHERE person_id = $1
		UNION SELECT login FROM self_orders WHERE person_id = $1
		UNION SELECT contact_email FROM sso_users WHERE person_id = $1`, string(f.Person))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, login := range append(stored, f.Logins...) {
		names[f.Bare(login)] = true
	}
	for _, i := range found.items {
		names[f.Bare(i.Login)] = true
	}
	delete(names, "")
	names[KnownByToken(f.Person)] = true
	return names, nil
}

func scanText(row scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

func scanID(row scanner) (id int64, err error) {
	err = row.Scan(&id)
	return id, err
}

func remainsOf(ctx context.Context, tx querier, p PersonID, now time.Time) (r Remains, err error) {
	rows, err := usersOf(ctx, tx, p)
	if err != nil {
		return r, err
	}
	for _, u := range rows {
		if (u.State == Sending || u.State == Suspended) && u.LeaseUntil.After(now) { // a call may be under way
			r.Sending = append(r.Sending, u.Account)
		} else {
			r.Users = append(r.Users, u.Account)
		}
	}
	if r.Requests, err = ordered(ctx, tx, p); err != nil {
		return r, err
	}
	r.Mappings, err = collect(ctx, tx, scanID, `
		SELECT id FROM mappings WHERE person_id = $1
		UNION SELECT id FROM mappings_off WHERE person_id = $1
		ORDER BY id`, string(p))
	return r, err
}

// ordered are the open orders of client accounts that a person is to own.
func ordered(ctx context.Context, q querier, p PersonID) ([]int64, error) {
	return collect(ctx, q, scanID, `
		SELECT id FROM account_requests
		 WHERE person_id = $1 AND person_id <> '' AND state NOT IN ('created', 'conflict', 'refused') ORDER BY id`, string(p))
}

// forget removes or empties everything but the ledger's rows.
func (db *DB) forget(
	ctx context.Context, tx querier, p PersonID, found spread, logins map[string]bool, u upgrade, now time.Time,
	done *Forgotten,
) error {
	var err error
	if done.Factors, err = removeFactorRows(ctx, tx, `
		DELETE FROM second_factors WHERE person_id = $1 RETURNING id`, string(p)); err != nil {
		return err
	}
	if err := revokeInvitation(ctx, tx, p); err != nil {
		return err
	}
	if done.SignIns, err = db.emptySignIns(ctx, tx, p, found.signIns, u, now); err != nil {
		return err
	}
	// The counts of a plan go on holding. Why may name a user that was there.
	for _, i := range found.items {
		n, err := rowsAffected(ctx, tx, `
			UPDATE plan_items SET login = '', name = '', why = ''
			 WHERE plan = $1 AND position = $2 AND person_id = $3`, i.Plan, i.Position, string(p))
		if err != nil {
			return err
		}
		done.Items += n
	}
	if done.Moves, err = forgetMoves(ctx, tx, p); err != nil {
		return err
	}
	var selfOrders int64
	for _, step := range []struct {
		count *int64
		text  string
		args  []any
	}{
		{&done.Sessions, `
			DELETE FROM sessions WHERE person_id = $1`, []any{string(p)}},
		{&done.Traces, `
			DELETE FROM traces WHERE sign_in IN (SELECT sign_in FROM traces WHERE newest = 1 AND person = $1 AND person <> '')`, []any{string(p)}},
		{&done.Names, `
			DELETE FROM people WHERE person_id = $1`, []any{string(p)}},
		{&done.Claims, `
			DELETE FROM source_people WHERE person_id = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM second_factor_people WHERE person_id = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM tries WHERE kind IN ('person', 'code') AND subject = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM proved_browsers WHERE person_id = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM wrong_codes WHERE person_id = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM person_browsers WHERE person_id = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM trace_captures WHERE person = $1`, []any{string(p)}},
		{new(int64), `
			DELETE FROM source_sessions WHERE person_id = $1 AND person_id <> ''`, []any{string(p)}},
		// Their NameIDs stay taken, as hashes: nobody else becomes them at a service provider that still has their account.
		{new(int64), `
			UPDATE name_ids SET person_id = '' WHERE person_id = $1 AND person_id <> ''`, []any{string(p)}},
		{new(int64), `
			DELETE FROM trace_captured WHERE person = $1`, []any{string(p)}},
		{&done.Work, `
			DELETE FROM manual_work WHERE person_id = $1`, []any{string(p)}},
		// The client account stays on record with who ordered it. Its login name is there once, so another takes its place.
		{&done.Requests, `
			UPDATE account_requests SET login_name = 'forgotten-' || CAST(id AS TEXT), body = '{}', external_id = '',
			       error_text = '',
			       organization_name = CASE WHEN created_by = 'self:' || person_id AND state IN ('created', 'refused')
			                                THEN '' ELSE organization_name END
			 WHERE person_id = $1 AND person_id <> '' AND body <> '{}'`, []any{string(p)}},
		{&selfOrders, `
			UPDATE self_orders SET login = '', login_name = '', external_id = '', body = '{}', reason = '',
			       organization_name = '',
			       state = CASE WHEN state = 'waiting' THEN 'stopped' ELSE state END
			 WHERE person_id = $1 AND body <> '{}'`, []any{string(p)}},
	} {
		n, err := rowsAffected(ctx, tx, step.text, step.args...)
		if err != nil {
			return err
		}
		*step.count = n
	}
	done.Requests += selfOrders
	for login := range logins {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM known_browsers WHERE login = $1`, login)
		if err != nil {
			return err
		}
		done.Browsers += n
	}
	return nil
}
