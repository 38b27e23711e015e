package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SelfOrder is a client account that somebody orders for themselves. It is stored before the AccountRequest that it
// becomes, which an administrator may have to approve.
type SelfOrder struct {
	ID               int64
	Person           PersonID
	Login            string // of the person, for administrators to read
	LoginName        string // at Constant Contact
	OrganizationName string
	Body             json.RawMessage // as an AccountRequest has it
	ExternalID       string
	Plan             string // that the client account gets; "": as it is created
	State            string // one of the SelfOrder constants
	Reason           string // why it ended in this state; "" where the state says it
	Request          int64  // the AccountRequest that it became; 0: none yet
	PlanState        string // "", PlanWanted, PlanSet or PlanFailed
	CreatedAt        time.Time
	ExpiresAt        time.Time // until when it can be approved
	DecidedAt        time.Time // zero: nobody had to decide, or has not
	DecidedBy        string
	Epoch            int64 // of the session that it is placed from; 0 in what is read
}

// Name is how audit events name an order: by nothing that its owner is known by.
func (o SelfOrder) Name() string { return fmt.Sprintf("order %d", o.ID) }

// Open tells whether its person can't order another one meanwhile.
func (o SelfOrder) Open() bool { return o.State == SelfOrderWaiting || o.State == SelfOrderOrdered }

// States of a SelfOrder.
const (
	SelfOrderWaiting = "waiting" // for an administrator
	SelfOrderOrdered = "ordered" // its AccountRequest says the rest
	SelfOrderCreated = "created"
	SelfOrderRefused = "refused" // by an administrator
	SelfOrderExpired = "expired" // nobody has approved it in time
	SelfOrderStopped = "stopped" // its person lost the right to it before it was sent
	SelfOrderFailed  = "failed"  // Constant Contact did not take it
)

// States of the plan of a SelfOrder.
const (
	PlanWanted = "wanted"
	PlanSet    = "set"
	PlanFailed = "failed"
)

// SelfOrderActor is how audit events and requests name somebody who orders for themselves.
func SelfOrderActor(p PersonID) string { return SelfOrderPrefix + string(p) }

// SelfOrderPrefix begins the names of those who order for themselves.
const SelfOrderPrefix = "self:"

// LimitError is which limit of self-service is reached. It is an ErrLimit.
type LimitError struct {
	Own bool // the person has as many client accounts as a person may order; false: the orders of the day are used up
}

func (e *LimitError) Error() string {
	if e.Own {
		return "the person has ordered as many client accounts as one person may"
	}
	return "no more client accounts may be ordered by people today"
}

// Is tells that it is an ErrLimit.
func (*LimitError) Is(target error) bool { return target == ErrLimit }

// SelfOrderLimits bound what people order.
type SelfOrderLimits struct {
	PerDay    int // of all people within 24 hours
	PerPerson int // client accounts of one person that were created
}

// SelfOrders keeps the orders that people make for themselves.
type SelfOrders struct{ db *DB }

// SelfOrders returns those of this database.
func (db *DB) SelfOrders() *SelfOrders { return &SelfOrders{db} }

const selfOrderColumns = `id, person_id, login, login_name, organization_name, body, external_id, plan, state, reason, request, plan_state,
	created_at, expires_at, decided_at, decided_by`

func scanSelfOrder(row scanner) (o SelfOrder, err error) {
	var (
		body                      string
		created, expires, decided int64
	)
	err = row.Scan(&o.ID, &o.Person, &o.Login, &o.LoginName, &o.OrganizationName, &body, &o.ExternalID, &o.Plan, &o.State,
		&o.Reason, &o.Request, &o.PlanState, &created, &expires, &decided, &o.DecidedBy)
	o.Body, o.CreatedAt, o.ExpiresAt = json.RawMessage(body), fromMicros(created), fromMicros(expires)
	if decided != 0 {
		o.DecidedAt = fromMicros(decided)
	}
	return o, err
}

// Place stores an order, and returns the person's open one in its place where there is one: did is false then. An order
// whose ExpiresAt is zero needs no approval: its request is stored with it, in the same transaction. The event's
// Subject is filled in.
//
// ErrLimit, as a *LimitError. ErrConflict: its login name was asked for before. ErrMovedAway. ErrRevoked: the person's
// access was revoked since the session of Epoch was begun.
func (s *SelfOrders) Place(ctx context.Context, o SelfOrder, l SelfOrderLimits, e Event) (placed SelfOrder, did bool,
	err error) {
	const what = "place an order of a client account"
	if o.Person == "" || o.LoginName == "" || len(o.Body) > maxRequestBody || !json.Valid(o.Body) {
		return placed, false, s.db.explain(what, errors.New("want a person, a login name, and a body of JSON"))
	}
	err = s.db.write(ctx, what, func(ctx context.Context, tx querier) error {
		placed, did = SelfOrder{}, false
		now, err := s.db.engine.clock(ctx, tx)
		if err != nil {
			return err
		}
		if err := inTurnOfOrders(ctx, tx); err != nil {
			return err
		}
		switch placed, err = openSelfOrder(ctx, tx, o.Person); {
		case err == nil:
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if err := withinLimits(ctx, tx, o.Person, l, now); err != nil {
			return err
		}
		if to, err := movedTo(ctx, tx, o.Person); err != nil {
			return err
		} else if to != "" {
			return ErrMovedAway
		}
		if asked, err := askedFor(ctx, tx, o.LoginName); err != nil {
			return err
		} else if asked {
			return ErrConflict // also where it is to be approved: nobody could
		}
		epoch, err := personEpoch(ctx, tx, o.Person)
		if err == nil && epoch != o.Epoch {
			err = ErrRevoked
		}
		if err != nil {
			return err
		}
		o.State = SelfOrderWaiting
		approved := o.ExpiresAt.IsZero()
		if approved {
			o.ExpiresAt = now
		}
		if placed, err = scanSelfOrder(tx.QueryRowContext(ctx, `
			INSERT INTO self_orders (person_id, login, login_name, organization_name, body, external_id, plan, epoch, created_at, expires_at,
			    state, reason, request, plan_state, plan_at, decided_at, decided_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', '', 0, '', 0, 0, '')
			RETURNING `+selfOrderColumns,
			string(o.Person), o.Login, o.LoginName, o.OrganizationName, string(o.Body), o.ExternalID, o.Plan, epoch,
			micros(now), micros(o.ExpiresAt))); err != nil {
			return err
		}
		did = true
		e.Subject = placed.Name()
		if !approved {
			e.Reason = SelfOrderWaiting // of which administrators are notified
		}
		if err := addEvents(ctx, tx, now, []Event{e}); err != nil || !approved {
			return err
		}
		placed, err = orderSelf(ctx, tx, placed, "", now)
		return err
	})
	if err != nil {
		return SelfOrder{}, false, err
	}
	return placed, did, nil
}

// inTurnOfOrders makes one transaction with orders wait for the other.
func inTurnOfOrders(ctx context.Context, tx querier) error {
	n, err := rowsAffected(ctx, tx, `
		UPDATE counters SET value = value + 1 WHERE name = 'self_orders'`)
	if err == nil && n != 1 {
		err = errors.New("table counters has lost its rows") // without the lock no count would hold
	}
	return err
}

func openSelfOrder(ctx context.Context, q querier, p PersonID) (SelfOrder, error) {
	return scanSelfOrder(q.QueryRowContext(ctx, `
		SELECT `+selfOrderColumns+` FROM self_orders WHERE person_id = $1 AND state IN ('waiting', 'ordered')`, string(p)))
}

// selfTries is how many orders of one person within 24 hours are taken, whatever becomes of them, unless one person may
// have more client accounts: who orders again whenever an order has failed does not use up the day of all.
const selfTries = 10

// withinLimits counts what was ordered.
func withinLimits(ctx context.Context, tx querier, p PersonID, l SelfOrderLimits, now time.Time) error {
	var n int
	if err := tx.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM (SELECT 1 FROM self_orders WHERE created_at > $1 LIMIT $2) AS found`,
		micros(now.Add(-24*time.Hour)), l.PerDay).Scan(&n); err != nil {
		return err
	}
	if n >= l.PerDay {
		return &LimitError{}
	}
	tries := max(selfTries, l.PerPerson)
	if err := tx.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM (SELECT 1 FROM self_orders WHERE person_id = $1 AND created_at > $2 LIMIT $3) AS found`,
		string(p), micros(now.Add(-24*time.Hour)), tries).Scan(&n); err != nil {
		return err
	}
	if n >= tries {
		return &LimitError{}
	}
	if err := tx.QueryRowContext(ctx, `
		SELECT COUNT(*) FROM (SELECT 1 FROM self_orders WHERE person_id = $1 AND state = 'created' LIMIT $2) AS found`,
		string(p), l.PerPerson).Scan(&n); err != nil {
		return err
	}
	if n >= l.PerPerson {
		return &LimitError{Own: true}
	}
	return nil
}

// askedFor tells whether a request has this login name that was not refused.
func askedFor(ctx context.Context, q querier, login string) (asked bool, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM account_requests WHERE login_name = $1 AND state <> 'refused')`, login).Scan(&asked)
	return asked, err
}

// orderSelf stores the request of an order.
func orderSelf(ctx context.Context, tx querier, o SelfOrder, by string, now time.Time) (SelfOrder, error) {
	r, err := wantAccount(ctx, tx, AccountRequest{LoginName: o.LoginName, OrganizationName: o.OrganizationName,
		Body: o.Body, Person: o.Person, ExternalID: o.ExternalID, CreatedBy: SelfOrderActor(o.Person)}, now)
	if err != nil {
		return o, err
	}
	decided := int64(0)
	if by != "" {
		decided = micros(now)
	}
	o, err = scanSelfOrder(tx.QueryRowContext(ctx, `
		UPDATE self_orders SET state = 'ordered', request = $1, decided_at = $2, decided_by = $3
		 WHERE id = $4 AND state = 'waiting'
		RETURNING `+selfOrderColumns, r.ID, decided, by, o.ID))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrConflict // its person was forgotten meanwhile
	}
	if err != nil {
		return o, err
	}
	return o, addEvents(ctx, tx, now, []Event{{At: now, Actor: r.CreatedBy, Action: "account-create-wanted",
		Subject: r.Name(), Outcome: "ok", Detail: DetailOf(map[string]any{"owner": o.Person, "order": o.ID})}})
}
