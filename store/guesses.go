package store

import (
	"context"
	"time"
)

// Guess is a second factor that somebody who has the password tries.
type Guess struct {
	Person  PersonID
	Browser []byte // hash of the browser cookie
	Limit   int    // of wrong ones in a window
	Window  time.Duration
}

// Proof is a second factor that was proved.
type Proof struct {
	Person  PersonID // "": none was
	Browser []byte
}

// WrongCodes are wrong second factors of a person in other browsers, since the last right one.
type WrongCodes struct {
	Count int
	Last  time.Time
}

// TakeGuess counts a guess before it is looked at, and tells whether there was one left: of guesses that come together,
// no more are looked at than the limit. A browser in which the person proved a factor before has a limit of its own, so
// that somebody who knows the password can't lock its owner out. A right one is given back by Session.Proof.
func (t *Throttle) TakeGuess(ctx context.Context, g Guess) (left bool, err error) {
	err = t.db.write(ctx, "count a guess", func(ctx context.Context, tx querier) error {
		own, err := ownLimit(ctx, tx, g.Person, g.Browser)
		if err != nil {
			return err
		}
		return inSteps(ctx, tx, takeTry(&left, Counter{Kind: TryCode, Subject: string(g.Person), Browser: own}, g.Limit,
			t.db.now(), g.Window, false))
	})
	return left, err
}

// ownLimit is the browser if it has a limit of its own, nil if it shares the others'.
func ownLimit(ctx context.Context, q querier, p PersonID, browser []byte) ([]byte, error) {
	if len(browser) == 0 {
		return nil, nil
	}
	var own bool
	err := q.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM proved_browsers WHERE person_id = $1 AND browser = $2)`, string(p), blob(browser)).Scan(&own)
	if !own {
		browser = nil
	}
	return browser, err
}

// WrongCode notes a wrong second factor, for the owner to see, and records the event.
func (t *Throttle) WrongCode(ctx context.Context, p PersonID, browser []byte, events ...Event) error {
	return t.db.write(ctx, "record a wrong second factor", func(ctx context.Context, tx querier) error {
		now := t.db.now()
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO wrong_codes (person_id, browser, codes, last_at) VALUES ($1, $2, 1, $3)
			ON CONFLICT (person_id, browser) DO UPDATE SET codes = wrong_codes.codes + 1, last_at = excluded.last_at`,
			string(p), blob(browser), micros(now)); err != nil {
			return err
		}
		return addEvents(ctx, tx, now, events)
	})
}

// WrongCodes tells of wrong second factors in other browsers than this one.
func (t *Throttle) WrongCodes(ctx context.Context, p PersonID, browser []byte) (w WrongCodes, err error) {
	var last int64
	err = t.db.engine.reader().QueryRowContext(ctx, `
		SELECT COALESCE(SUM(codes), 0), COALESCE(MAX(last_at), 0) FROM wrong_codes WHERE person_id = $1 AND browser <> $2`,
		string(p), blob(browser)).Scan(&w.Count, &last)
	w.Last = fromMicros(last)
	return w, t.db.explain("read wrong second factors", err)
}

// proved remembers the browser and gives the guesses back that were counted for it. Those that all other browsers share
// are given back only where this one had no limit of its own: else the owner's sign-ins would give new guesses to
// whoever tries elsewhere.
func proved(ctx context.Context, tx querier, p Proof, now time.Time) error {
	if p.Person == "" {
		return nil
	}
	own, err := ownLimit(ctx, tx, p.Person, p.Browser)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM tries WHERE kind = 'code' AND subject = $1 AND browser = $2`, string(p.Person), blob(own)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM wrong_codes WHERE person_id = $1`, string(p.Person)); err != nil {
		return err
	}
	if len(p.Browser) == 0 {
		return nil
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO proved_browsers (person_id, browser, seen_at) VALUES ($1, $2, $3)
		ON CONFLICT (person_id, browser) DO UPDATE SET seen_at = excluded.seen_at`, string(p.Person), blob(p.Browser), micros(now))
	return err
}

// forgetGuesses forgets where a person has proved a factor, and what wrong ones were counted, when all of their factors
// are removed. A browser that proved one of those, which may have been a thief's, has no limit of its own any more, and
// what was tried against them neither locks the person out of the next one nor is shown as tried against it.
func forgetGuesses(ctx context.Context, tx querier, p PersonID) error {
	for _, statement := range []string{
		`DELETE FROM tries WHERE kind = 'code' AND subject = $1`,
		`DELETE FROM wrong_codes WHERE person_id = $1`,
		`DELETE FROM proved_browsers WHERE person_id = $1`,
	} {
		if _, err := tx.ExecContext(ctx, statement, string(p)); err != nil {
			return err
		}
	}
	return nil
}
