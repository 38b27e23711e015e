package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxTraceSteps  = 8 << 10
	strangerTraces = 10_000 // of requests by nobody known; the oldest go
)

// TraceStep is one step of a sign-in. Its words are ours: no secret, NameID,
// attribute, query or message stands in it.
type TraceStep struct {
	Name   string        `json:"name"`
	Took   time.Duration `json:"took,omitempty"` // nanoseconds
	Reason string        `json:"reason,omitempty"`
	Detail string        `json:"detail,omitempty"`

	// Of the step at which the request ended: what happened and what to do, in sentences, and the act that does it, as a
	// word, with what that is about.
	Cause string `json:"cause,omitempty"`
	Fix   string `json:"fix,omitempty"`
	Act   string `json:"act,omitempty"`
	About string `json:"about,omitempty"`
}

// Trace is what one HTTP request did for a sign-in.
type Trace struct {
	ID        int64     `json:"id"`
	SignIn    string    `json:"-"` // which requests belong together, a hash; the ref where none is stored
	Ref       string    `json:"ref"`
	StartedAt time.Time `json:"started_at"` // of the whole sign-in, as known when this was stored
	At        time.Time `json:"at"`
	Stranger  bool      `json:"stranger,omitempty"` // nobody is known to be behind it
	Person    PersonID  `json:"person,omitempty"`
	Account   AccountID `json:"account,omitempty"`
	SP        string    `json:"sp,omitempty"`
	Outcome   string    `json:"outcome"`          // "ok", "pending", "refused" or "failed"
	Reason    string    `json:"reason,omitempty"` // a fixed word
	// Yields says that the reason is no cause: that of the request before is one, and stands in its place where there is
	// one.
	Yields bool        `json:"-"`
	Steps  []TraceStep `json:"steps,omitempty"`
}

// TraceFilter selects sign-ins; zero fields do not filter.
type TraceFilter struct {
	Person      PersonID
	Account     AccountID
	SP, Outcome string
	From, To    time.Time // of the newest request, To excluded
	Before      int64     // sign-ins with a smaller id: the smallest of the page before
	Limit       int       // 1 to 1000, default 100
}

// Traces keeps how sign-ins went, step by step.
type Traces struct{ db *DB }

// Traces returns the traces of this database.
func (db *DB) Traces() *Traces { return &Traces{db} }

// Add stores traces, in their order, in one transaction. What an earlier request
// of a sign-in knew of it goes on to the later ones.
func (t *Traces) Add(ctx context.Context, all ...Trace) error {
	if len(all) == 0 {
		return nil
	}
	return t.db.write(ctx, "store traces", func(ctx context.Context, tx querier) error {
		var rows []step
		for _, one := range all {
			// One that is tied to no sign-in stands under its own reference: no request came before it.
			if one.SignIn != one.Ref {
				if err := inSteps(ctx, tx, rows...); err != nil { // they may be of the same sign-in
					return err
				}
				rows = nil
				if err := one.follow(ctx, tx); err != nil {
					return err
				}
			} else {
				one.StartedAt = one.At
			}
			row, err := one.step()
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return inSteps(ctx, tx, rows...)
	})
}

// follow takes over what the request before this one knew of the sign-in. It is the newest no longer.
func (t *Trace) follow(ctx context.Context, tx querier) error {
	former, err := collect(ctx, tx, scanTrace, `
		UPDATE traces SET newest = 0 WHERE sign_in = $1 AND newest = 1
		RETURNING `+traceColumns, sanitize(t.SignIn))
	if err != nil {
		return err
	}
	t.StartedAt = t.At
	for _, f := range former {
		t.StartedAt = f.StartedAt
		if t.Person == "" {
			t.Person = f.Person
		}
		if t.Account == "" {
			t.Account = f.Account
		}
		if t.SP == "" {
			t.SP = f.SP
		}
		if t.Yields && f.Reason != "" {
			t.Reason = f.Reason
		}
	}
	return nil
}

// step stores the trace.
func (t *Trace) step() (step, error) {
	steps, err := json.Marshal(t.Steps)
	if err != nil {
		return step{}, err
	}
	if len(steps) > maxTraceSteps {
		steps = []byte(`[{"name":"left_out"}]`)
	}
	stranger := 0
	if t.Stranger {
		stranger = 1
	}
	return step{
		text: `
			INSERT INTO traces (sign_in, ref, started_at, at, newest, stranger, person, account, sp, outcome, reason, steps)
			VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11)`,
		args: []any{
			sanitize(t.SignIn), sanitize(t.Ref), micros(t.StartedAt), micros(t.At), stranger, sanitize(string(t.Person)),
			sanitize(string(t.Account)), sanitize(t.SP), sanitize(t.Outcome), sanitize(t.Reason), sanitizeSteps(steps),
		},
	}, nil
}

// sanitizeSteps is sanitize for the steps, which have a bound of their own.
func sanitizeSteps(steps []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(steps), "\uFFFD"), "\x00", "\uFFFD")
}

const traceColumns = `id, sign_in, ref, started_at, at, stranger, person, account, sp, outcome, reason, steps`

func scanTrace(row scanner) (t Trace, err error) {
	var (
		started, at, stranger int64
		steps                 string
	)
	if err = row.Scan(&t.ID, &t.SignIn, &t.Ref, &started, &at, &stranger, &t.Person, &t.Account, &t.SP, &t.Outcome,
		&t.Reason, &steps); err != nil {
		return t, err
	}
	t.StartedAt, t.At, t.Stranger = fromMicros(started), fromMicros(at), stranger == 1
	return t, json.Unmarshal([]byte(steps), &t.Steps)
}

// List returns sign-ins, newest first, each as its newest request. It reads until it has as many as the filter's limit.
func (t *Traces) List(ctx context.Context, f TraceFilter) ([]Trace, error) {
	const what = "list traces"
	if err := f.check(what); err != nil {
		return nil, err
	}
	var q traceQuery
	q.text = `SELECT ` + traceColumns + ` FROM traces WHERE newest = 1`
	for _, c := range f.columns() {
		q.column(c)
	}
	q.span(f)
	q.times(f)
	q.bind(" ORDER BY id DESC LIMIT ", f.Limit)
	all, err := collect(ctx, t.db.engine.lister(), scanTrace, q.text, q.args...)
	return all, t.db.explain(what, err)
}

// maxTracesRead is how many sign-ins Search looks at, whatever it is asked for.
const maxTracesRead = 2000

// Search is List for a page: it looks at 2,000 sign-ins at most, so that a mix of filters costs no more than one. next
// is the Before of the page that goes on, 0 for none; cut tells that sign-ins before it were not looked at yet, and the
// page may hold fewer than its limit for that.
func (t *Traces) Search(ctx context.Context, f TraceFilter) (all []Trace, next int64, cut bool, err error) {
	const what = "search traces"
	if err := f.check(what); err != nil {
		return nil, 0, false, err
	}
	// The filter with the fewest rows leads, by its index. The others apply to what that one has found.
	columns := f.columns()
	var lead []traceColumn
	if len(columns) > 0 && !columns[0].common {
		lead, columns = columns[:1], columns[1:]
	}
	inner := func(q *traceQuery, of string) {
		q.text += `SELECT ` + of + ` FROM traces WHERE 1 = 1`
		if len(lead) > 0 {
			q.text += ` AND newest = 1`
			q.column(lead[0])
		}
		q.span(f)
	}
	var q traceQuery
	q.text = `SELECT ` + traceColumns + ` FROM (`
	inner(&q, traceColumns+`, newest`)
	q.bind(" ORDER BY id DESC LIMIT ", maxTracesRead)
	q.text += `) AS looked_at WHERE newest = 1`
	for _, c := range columns {
		q.bind(" AND "+c.name+" = ", c.value)
	}
	q.times(f)
	q.bind(" ORDER BY id DESC LIMIT ", f.Limit)
	if all, err = collect(ctx, t.db.engine.lister(), scanTrace, q.text, q.args...); err != nil {
		return nil, 0, false, t.db.explain(what, err)
	}
	if len(all) == f.Limit {
		return all, all[len(all)-1].ID, false, nil
	}
	q = traceQuery{}
	inner(&q, `id`)
	q.bind(" ORDER BY id DESC LIMIT 1 OFFSET ", maxTracesRead-1)
	err = t.db.explain(what, t.db.engine.lister().QueryRowContext(ctx, q.text, q.args...).Scan(&next))
	if errors.Is(err, ErrNotFound) {
		return all, 0, false, nil // all was looked at
	}
	return all, next, err == nil, err
}

// Newest names the newest entry, 0 for none: whoever follows sign-ins searches again when it has changed.
func (t *Traces) Newest(ctx context.Context) (id int64, err error) {
	err = t.db.engine.reader().QueryRowContext(ctx, `
		SELECT id FROM traces ORDER BY id DESC LIMIT 1`).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, t.db.explain("look for the newest trace", err)
}

// check bounds a filter, and fills in its limit.
func (f *TraceFilter) check(what string) error {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 || f.Before < 0 {
		return fmt.Errorf("%s: limit %d, before %d: want a limit from 1 to 1000 and an id", what, f.Limit, f.Before)
	}
	return nil
}

// traceColumn is a column that has to have a value.
type traceColumn struct {
	name, value string
	index       string // what its partial index holds, in its words, so that it is used
	common      bool   // no index: most sign-ins have it
}

// columns are those of a filter, the one with the fewest rows first.
func (f TraceFilter) columns() (all []traceColumn) {
	refused, passed := f.Outcome, ""
	if f.Outcome == "ok" {
		refused, passed = "", f.Outcome
	}
	for _, c := range []traceColumn{
		{"person", string(f.Person), "person <> ''", false},
		{"account", string(f.Account), "account <> ''", false},
		{"outcome", refused, "outcome <> 'ok'", false},
		{"sp", f.SP, "sp <> ''", false},
		{"outcome", passed, "", true},
	} {
		if c.value != "" {
			all = append(all, c)
		}
	}
	return all
}

// traceQuery is a statement with its values. Its text is put together of constants alone.
type traceQuery struct {
	text string
	args []any
}

func (q *traceQuery) bind(text string, value any) {
	q.args = append(q.args, value)
	q.text += text + "$" + strconv.Itoa(len(q.args))
}

func (q *traceQuery) column(c traceColumn) {
	q.bind(" AND "+c.name+" = ", c.value)
	if !c.common {
		q.text += " AND " + c.index
	}
}

// span turns times and the page into ids, by which pages go. A trace is stored a moment after its time: the bounds have
// room for that.
func (q *traceQuery) span(f TraceFilter) {
	const moment = int64(time.Minute / time.Microsecond)
	if !f.From.IsZero() {
		q.bind(" AND id >= COALESCE((SELECT id FROM traces WHERE at < ", micros(f.From)-moment)
		q.text += " ORDER BY at DESC LIMIT 1), 0)"
	}
	if !f.To.IsZero() {
		q.bind(" AND id <= COALESCE((SELECT id FROM traces WHERE at > ", micros(f.To)+moment)
		q.text += " ORDER BY at LIMIT 1), 9223372036854775807)"
	}
	if f.Before > 0 {
		q.bind(" AND id < ", f.Before)
	}
}

func (q *traceQuery) times(f TraceFilter) {
	if !f.From.IsZero() {
		q.bind(" AND at >= ", micros(f.From))
	}
	if !f.To.IsZero() {
		q.bind(" AND at < ", micros(f.To))
	}
}

// ByRef returns all requests of the sign-in that one of them has this reference
// id, oldest first, at most 200. ErrNotFound: there is none, or no more.
func (t *Traces) ByRef(ctx context.Context, ref string) ([]Trace, error) {
	all, err := collect(ctx, t.db.engine.reader(), scanTrace, `
		SELECT `+traceColumns+` FROM traces
		 WHERE sign_in = (SELECT sign_in FROM traces WHERE ref = $1 ORDER BY id DESC LIMIT 1)
		 ORDER BY id LIMIT 200`, ref)
	if err = t.db.explain("read trace", err); err == nil && len(all) == 0 {
		err = fmt.Errorf("read trace: %w", ErrNotFound)
	}
	return all, err
}

// Purge deletes traces older than keep (0: all), and of strangers' all but the newest 10,000; it
// returns how many.
func (t *Traces) Purge(ctx context.Context, keep time.Duration) (int, error) {
	old, err := t.db.inBatches(ctx, "purge traces", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM traces WHERE id IN (SELECT id FROM traces WHERE at <= $1 ORDER BY at LIMIT `+inSweep+`)`,
			micros(t.db.now().Add(-keep)))
		return int(n), err
	})
	if err != nil {
		return old, err
	}
	var bound int64
	err = t.db.engine.reader().QueryRowContext(ctx, `
		SELECT id FROM traces WHERE stranger = 1 ORDER BY id DESC LIMIT 1 OFFSET $1`, strangerTraces).Scan(&bound)
	if err = t.db.explain("purge traces", err); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return old, err
	}
	more, err := t.db.inBatches(ctx, "purge traces", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM traces WHERE id IN (SELECT id FROM traces WHERE stranger = 1 AND id <= $1 ORDER BY id LIMIT `+inSweep+`)`, bound)
		return int(n), err
	})
	return old + more, err
}
