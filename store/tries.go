package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

// TryKind says what a counter of tries hangs on.
type TryKind string

// The kinds of counters.
const (
	TryPerson  TryKind = "person"  // wrong passwords of a person
	TryCode    TryKind = "code"    // wrong second factors of a person
	TryAddress TryKind = "address" // judged failures of a block of addresses
)

const (
	// flightTime is how long a try in flight is believed: longer than any bind, and short enough for the tries of a
	// program that died.
	flightTime = time.Minute
	// windowSlack is how much later than by one's own clock a window may end and still be today's: transactions that wait
	// for one another were not begun in the order of their turns, and replicas have clocks of their own. Without it, one
	// that comes late would take the window for another one, and begin to count anew.
	windowSlack = time.Minute
)

// Counter is a counter of tries.
type Counter struct {
	Kind     TryKind
	Subject  string // the person's id, or the block of addresses
	Browser  []byte // hash; of a browser that has a limit of its own, else empty
	Taken    int    // tries in the running window that were not given back, those in flight too
	InFlight int    // tries that are being judged
	EndsAt   time.Time
	NextAt   time.Time // an address past its limit has its next try then
}

// Block is a block of client addresses and how many judged failures it may have before its tries go one at a time.
type Block struct {
	Name  string
	Limit int
}

// TakeTry asks for one try to log in.
type TakeTry struct {
	Person string
	Limit  int           // of the person's tries, this one too
	Window time.Duration // the person's tries are forgotten so long after the last one

	Blocks      []Block // of the client address, the narrowest first
	BlockWindow time.Duration
	Turn        bool          // the caller waits its turn: a try of an address past its limit may be taken
	Pace        time.Duration // between two of these
}

// TryOutcome is what TakeTry came to.
type TryOutcome int

// The outcomes. Only with TryTaken something was counted.
const (
	TryTaken TryOutcome = iota
	TryWait             // the limit is reached, and others are in flight that may be given back
	TrySpent            // the limit is reached
	TrySlow             // an address is past its limit: come again in a turn, or at the time that is returned
)

// errNotTaken ends the transaction of a try that is not taken.
var errNotTaken = errors.New("no try was taken")

// Counters returns the running counters of a person's passwords ("" for nobody) and of at most three blocks, those that
// have one.
func (t *Throttle) Counters(ctx context.Context, person string, blocks []Block) (all []Counter, err error) {
	err = inSteps(ctx, t.db.engine.reader(), t.counters(person, blocks, &all))
	return all, t.db.explain("read tries", err)
}

// counters reads the running ones into all.
func (t *Throttle) counters(person string, blocks []Block, all *[]Counter) step {
	var names [3]string
	for i := range min(len(blocks), len(names)) {
		names[i] = blocks[i].Name
	}
	return step{
		text: countersQuery, args: []any{person, names[0], names[1], names[2], micros(t.db.now())},
		each: func(row scanner) error {
			c, err := scanCounter(row)
			*all = append(*all, c)
			return err
		},
	}
}

// Before is what is known before somebody's password is looked at.
type Before struct {
	Counters []Counter // see Counters
	Known    bool      // the login succeeded from this browser before, see KnownBrowser
	Mark     int64     // see Sessions.Mark: what is revoked from here on ends this login too
}

// Before reads it all at once.
func (t *Throttle) Before(ctx context.Context, person string, blocks []Block, login string,
	browser []byte) (b Before, err error) {
	all := []step{markStep(&b.Mark), t.counters(person, blocks, &b.Counters)}
	if storable(login) { // else it never succeeded
		all = append(all, knownBrowser(login, browser, &b.Known))
	}
	err = inSteps(ctx, t.db.engine.reader(), all...)
	return b, t.db.explain("look what is known before a login", err)
}

const counterColumns = `kind, subject, browser, taken, in_flight, in_flight_until, ends_at, next_at`

const countersQuery = `
	SELECT ` + counterColumns + ` FROM tries
	 WHERE (kind = 'person' AND subject = $1 OR kind = 'address' AND subject IN ($2, $3, $4)) AND ends_at > $5`

func scanCounter(row scanner) (c Counter, err error) {
	var until, ends, next int64
	err = row.Scan(&c.Kind, &c.Subject, &c.Browser, &c.Taken, &c.InFlight, &until, &ends, &next)
	c.EndsAt, c.NextAt = fromMicros(ends), fromMicros(next)
	return c, err
}

// Take takes one try of the person and one of each block, in one transaction: of tries that come together, over however
// many replicas, no more than the limit are judged. A person's window begins again with each try, since directories
// forget failures a time after the last one: counted so, the number here never falls below the directory's as long as
// the window is no shorter.
func (t *Throttle) Take(ctx context.Context, k TakeTry) (outcome TryOutcome, at time.Time, err error) {
	err = t.db.write(ctx, "take a try", func(ctx context.Context, tx querier) error {
		outcome, at = TryTaken, time.Time{}
		now := t.db.now()
		// The person first, then the blocks from narrow to wide: the same order of locks in all transactions. All at once:
		// where one is not taken, none of them stays.
		var person bool
		blocks := make([]bool, len(k.Blocks))
		all := []step{takeTry(&person, Counter{Kind: TryPerson, Subject: k.Person}, k.Limit, now, k.Window, true)}
		for i, b := range k.Blocks {
			all = append(all, takeBlock(&blocks[i], b, k, now))
		}
		if err := inSteps(ctx, tx, all...); err != nil {
			return err
		}
		if !person {
			if outcome, err = spentOrWaits(ctx, tx, k.Person, now); err != nil {
				return err
			}
			return errNotTaken
		}
		if i := slices.Index(blocks, false); i >= 0 {
			outcome = TrySlow
			if at, err = nextOf(ctx, tx, k.Blocks[i]); err != nil {
				return err
			}
			return errNotTaken
		}
		return nil
	})
	if errors.Is(err, errNotTaken) {
		return outcome, at, nil
	}
	return outcome, at, err
}

// takeTry counts one more where fewer than limit are taken.
func takeTry(taken *bool, c Counter, limit int, now time.Time, window time.Duration, flies bool) step {
	fly, until := 0, int64(0)
	if flies {
		fly, until = 1, micros(now.Add(flightTime))
	}
	// A window that ends later than one of today's could was begun when the setting was longer: it is over as well. A
	// window that was begun by a clock ahead of ours keeps its end.
	return hit(taken, `
		INSERT INTO tries (kind, subject, browser, taken, in_flight, in_flight_until, ends_at, next_at)
		VALUES ($1, $2, $3, 1, $4, $5, $6, 0)
		ON CONFLICT (kind, subject, browser) DO UPDATE SET
		    taken           = CASE WHEN tries.ends_at > $7 AND tries.ends_at <= $8 THEN tries.taken + 1 ELSE 1 END,
		    in_flight       = CASE WHEN tries.ends_at > $7 AND tries.ends_at <= $8 THEN tries.in_flight + $4 ELSE $4 END,
		    in_flight_until = $5,
		    ends_at         = CASE WHEN tries.ends_at > $6 AND tries.ends_at <= $8 THEN tries.ends_at ELSE $6 END
		 WHERE NOT (tries.ends_at > $7 AND tries.ends_at <= $8) OR tries.taken < $9
		RETURNING taken`,
		string(c.Kind), c.Subject, blob(c.Browser), fly, until, micros(now.Add(window)), micros(now),
		micros(now.Add(window+windowSlack)), limit)
}

// spentOrWaits tells whether some of a person's tries are in flight.
func spentOrWaits(ctx context.Context, tx querier, person string, now time.Time) (TryOutcome, error) {
	var n int
	err := tx.QueryRowContext(ctx, `
		SELECT in_flight FROM tries
		 WHERE kind = 'person' AND subject = $1 AND in_flight > 0 AND in_flight_until > $2`, person, micros(now)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return TrySpent, nil
	}
	return TryWait, err
}

// takeBlock counts one more for a block. Past its limit only a caller who waits its turn gets one, and the next one not
// before the pace is over.
func takeBlock(taken *bool, b Block, k TakeTry, now time.Time) step {
	return hit(taken, `
		INSERT INTO tries (kind, subject, browser, taken, in_flight, in_flight_until, ends_at, next_at)
		VALUES ('address', $1, $2, 1, 0, 0, $3, 0)
		ON CONFLICT (kind, subject, browser) DO UPDATE SET
		    taken   = CASE WHEN tries.ends_at > $4 AND tries.ends_at <= $5 THEN tries.taken + 1 ELSE 1 END,
		    next_at = CASE WHEN tries.ends_at > $4 AND tries.ends_at <= $5 AND tries.taken >= $6 THEN CAST($7 AS BIGINT) ELSE 0 END,
		    ends_at = CASE WHEN tries.ends_at > $4 AND tries.ends_at <= $5 THEN tries.ends_at ELSE $3 END
		 WHERE NOT (tries.ends_at > $4 AND tries.ends_at <= $5) OR tries.taken < $6 OR $8 AND tries.next_at <= $4
		RETURNING taken`,
		b.Name, []byte{}, micros(now.Add(k.BlockWindow)), micros(now), micros(now.Add(k.BlockWindow+windowSlack)),
		b.Limit, micros(now.Add(k.Pace)), k.Turn)
}

func nextOf(ctx context.Context, tx querier, b Block) (time.Time, error) {
	var n int64
	err := tx.QueryRowContext(ctx, `
		SELECT next_at FROM tries WHERE kind = 'address' AND subject = $1 AND browser = $2`, b.Name, []byte{}).Scan(&n)
	return fromMicros(n), err
}

// TryResult is how a try ended.
type TryResult int

// The results.
const (
	TryFailed TryResult = iota // it stays taken
	// TryReturned: surely nothing was judged, or the password was right and something else stands in the way. This one try
	// is given back, and no other.
	TryReturned
	// TrySucceeded: the person's tries so far are forgotten but those in flight, whose password may be wrong. The address
	// gets this one back: one who has an account of their own must not use it to go on guessing.
	TrySucceeded
)

// EndedTry is a try of a person that has ended.
type EndedTry struct {
	Person string
	Blocks []Block
	Result TryResult
}

// Settle ends a try and records the events.
func (t *Throttle) Settle(ctx context.Context, s EndedTry, events ...Event) error {
	return t.db.write(ctx, "end a try", func(ctx context.Context, tx querier) error {
		recorded, err := eventSteps(ctx, t.db.now(), events)
		if err != nil {
			return err
		}
		return inSteps(ctx, tx, append(s.end(), recorded...)...)
	})
}

// end are the statements that end a try: none where there was none.
func (s EndedTry) end() (all []step) {
	if s.Person == "" {
		return nil
	}
	text := `
		UPDATE tries SET in_flight = in_flight - 1
		 WHERE kind = 'person' AND subject = $1 AND in_flight > 0`
	switch s.Result {
	case TryFailed:
	case TryReturned:
		text = `
			UPDATE tries SET taken     = CASE WHEN taken > 0 THEN taken - 1 ELSE 0 END,
			                 in_flight = CASE WHEN in_flight > 0 THEN in_flight - 1 ELSE 0 END
			 WHERE kind = 'person' AND subject = $1`
	case TrySucceeded:
		text = `
			UPDATE tries SET taken     = CASE WHEN in_flight > 0 THEN in_flight - 1 ELSE 0 END,
			                 in_flight = CASE WHEN in_flight > 0 THEN in_flight - 1 ELSE 0 END
			 WHERE kind = 'person' AND subject = $1`
	}
	all = append(all, step{text: text, args: []any{s.Person}})
	if s.Result == TryFailed {
		return all
	}
	for _, b := range s.Blocks {
		all = append(all, step{
			text: `
				UPDATE tries SET taken = taken - 1
				 WHERE kind = 'address' AND subject = $1 AND taken > 0`,
			args: []any{b.Name},
		})
	}
	return all
}

// Locked returns the running counters that reached a number: of people's passwords, of their second factors, of
// addresses. Those that run longest come first, at most limit.
func (t *Throttle) Locked(ctx context.Context, person, code, address, limit int) ([]Counter, error) {
	all, err := collect(ctx, t.db.engine.reader(), scanCounter, `
		SELECT `+counterColumns+` FROM tries
		 WHERE ends_at > $1 AND (kind = 'person' AND taken >= $2 OR kind = 'code' AND taken >= $3 OR kind = 'address' AND taken >= $4)
		 ORDER BY ends_at DESC LIMIT $5`, micros(t.db.now()), person, code, address, limit)
	return all, t.db.explain("list lockouts", err)
}

// CountersOf returns all running counters of a person or of a block of addresses.
func (t *Throttle) CountersOf(ctx context.Context, subject string) ([]Counter, error) {
	all, err := collect(ctx, t.db.engine.reader(), scanCounter, `
		SELECT `+counterColumns+` FROM tries
		 WHERE kind IN ('person', 'code', 'address') AND subject = $1 AND ends_at > $2
		 ORDER BY kind, browser`, subject, micros(t.db.now()))
	return all, t.db.explain("read tries", err)
}

// Lift gives back what is counted of a person or a block but keep tries of the person's password, and those in flight.
// It records the events and tells how many tries were given back. ErrNotFound: nothing was.
func (t *Throttle) Lift(ctx context.Context, subject string, keep int,
	event func(given int) Event) (given int, err error) {
	const what = "lift a lockout"
	err = t.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		given = 0
		now := t.db.now()
		all, err := collect(ctx, tx, scanCounter, `
			SELECT `+counterColumns+` FROM tries
			 WHERE kind IN ('person', 'code', 'address') AND subject = $1 AND ends_at > $2`, subject, micros(now))
		if err != nil {
			return err
		}
		for _, c := range all {
			stays := 0
			if c.Kind == TryPerson {
				stays = min(c.Taken, max(keep, c.InFlight))
			}
			if stays == c.Taken {
				continue
			}
			// The condition stands outside again: another try may have been taken since.
			n, err := rowsAffected(ctx, tx, `
				UPDATE tries SET taken = $1
				 WHERE kind = $2 AND subject = $3 AND browser = $4 AND taken = $5`, stays, string(c.Kind), c.Subject, blob(c.Browser), c.Taken)
			if err != nil {
				return err
			}
			if n == 1 {
				given += c.Taken - stays
			}
		}
		if given == 0 {
			return ErrNotFound
		}
		return addEvents(ctx, tx, now, []Event{event(given)})
	})
	return given, err
}
