package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"time"
)

// WriteRaw runs fn as one change, for tests of what happens to changes that share a commit.
func (db *DB) WriteRaw(ctx context.Context, fn func(exec func(string, ...any) error) error) error {
	return db.write(ctx, "write raw", func(ctx context.Context, tx querier) error {
		return fn(func(query string, args ...any) error {
			_, err := tx.ExecContext(ctx, query, args...)
			return err
		})
	})
}

// LatestVersion is the highest number among the migrations of "sqlite" or "postgres".
func LatestVersion(folder string) (int64, error) { return latestVersion("migrations/" + folder) }

// NextItemQuery finds the plan item to be claimed next.
const NextItemQuery = nextItemQuery

// Queries of the queue, for a look at how they are run.
const (
	NextDueQuery  = nextDueQuery
	EarliestQuery = earliestQuery
)

// ExternalIDQuery looks for an external id in another letter case.
const ExternalIDQuery = externalIDQuery

// EncodeEvent is what is hashed of an event: its content, and its entry in the chain.
func EncodeEvent(before []byte, e Event, salt []byte) (content, entry []byte) {
	l := Link{Event: e.ID, At: e.At, Action: e.Action, Content: contentHash(e, salt)}
	return encodeContent(e, salt), l.encode(before)
}

// EntryHash is the hash of an event's entry, behind none.
func EntryHash(e Event) []byte {
	l := Link{Event: e.ID, At: e.At, Action: e.Action, Content: contentHash(e, nil)}
	return l.hash(nil)
}

// PostgresRoutes is what a DSN would dial.
func PostgresRoutes(dsn string, insecure bool) ([]Route, error) {
	_, routes, err := postgresConfig(dsn, insecure)
	return routes, err
}

// SetCountBatch sets how many rows are counted at once; the function that it returns puts it back.
func SetCountBatch(n int) func() {
	was := countBatch
	countBatch = n
	return func() { countBatch = was }
}

// Seen is a statement that ran, and from which lines of this package ("traces.go:84"), the innermost first.
type Seen struct {
	Text  string
	Args  []any
	Sites []string
	Each  bool // it is planned for its arguments each time
}

// Observe hands every statement to see, and every database to ends before it closes, in stores that are opened from now
// on. Nil ends it.
func Observe(see func(Seen), ends func(read func(query string, args ...any) (*sql.Rows, error))) {
	if see == nil {
		observe = nil
		return
	}
	observe = func(e engine) engine { return observed{e, see, ends} }
}

type observed struct {
	engine
	see  func(Seen)
	ends func(func(string, ...any) (*sql.Rows, error))
}

func (o observed) write(ctx context.Context, fn work) error {
	return o.engine.write(ctx, func(ctx context.Context, tx querier) error { return fn(ctx, watching{tx, o.see}) })
}

func (o observed) reader() querier { return watching{o.engine.reader(), o.see} }

func (o observed) lister() querier {
	return watching{o.engine.lister(), func(s Seen) {
		s.Each = true
		o.see(s)
	}}
}

func (o observed) clock(ctx context.Context, q querier) (time.Time, error) {
	if w, ok := q.(watching); ok {
		q = w.querier
	}
	return o.engine.clock(ctx, q)
}

func (o observed) close() error {
	o.ends(func(query string, args ...any) (*sql.Rows, error) {
		return o.engine.reader().QueryContext(context.Background(), query, args...)
	})
	return o.engine.close()
}

// watching is a querier whose statements are seen.
type watching struct {
	querier
	see func(Seen)
}

func (w watching) look(query string, args []any) {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	s := Seen{Text: query, Args: args}
	for {
		f, more := frames.Next()
		if filepath.Base(filepath.Dir(f.File)) == "store" { // a closure is named after where it was inlined
			s.Sites = append(s.Sites, fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line))
		}
		if !more {
			break
		}
	}
	w.see(s)
}

func (w watching) steps(ctx context.Context, all []step) error {
	if s, ok := w.querier.(stepper); ok {
		for _, one := range all {
			w.look(one.text, one.args)
		}
		return s.steps(ctx, all)
	}
	for _, one := range all {
		if err := one.run(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (w watching) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	w.look(query, args)
	return w.querier.ExecContext(ctx, query, args...)
}

func (w watching) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	w.look(query, args)
	return w.querier.QueryContext(ctx, query, args...)
}

func (w watching) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	w.look(query, args)
	return w.querier.QueryRowContext(ctx, query, args...)
}

// StatisticsFrom is how many rows a table of SQLite has when statistics are kept of it.
const StatisticsFrom = statisticsFrom

// OptimizePragma is how SQLite renews them.
const OptimizePragma = optimizePragma

// Query is a statement with its parameters.
type Query struct {
	Text string
	Args []any
}

// AuditQueries are those of a purge and a cut that read tables that grow.
func AuditQueries() map[string]Query {
	all := map[string]Query{}
	for name, kind := range map[string]eventKind{"an action": {"login", ""}, "an outcome": {"login", "refused"}} {
		for what, c := range map[string]*conditions{"page": kind.pageQuery(7),
			"entries": entriesQuery([]aged{{id: 7}, {id: 900}})} {
			all[what+" of "+name] = Query{c.text.String(), c.args}
		}
	}
	all["entries to cut"] = Query{cutChainStatement, []any{int64(1), int64(chainBatch)}}
	return all
}

// ReadStep reads one row by a step, in or outside a transaction. found is false where there is none.
func ReadStep(ctx context.Context, db *DB, writes bool, text string, args []any, dest ...any) (found bool, err error) {
	s := step{text: text, args: args, none: true, row: func(row scanner) error {
		err := row.Scan(dest...)
		found = err == nil
		return err
	}}
	if !writes {
		err = inSteps(ctx, db.engine.reader(), s)
	} else {
		err = db.write(ctx, "run a step", func(ctx context.Context, tx querier) error { return inSteps(ctx, tx, s) })
	}
	return found, err
}

// MaxOwnEvents is how many of its own events a process remembers.
const MaxOwnEvents = maxOwnEvents

// RememberOwn remembers events one after the other, as sign-ins do; it returns how many are remembered then.
func RememberOwn(events int) int {
	var own ownEventsWritten
	for i := range events {
		own.add([]ownEvent{{id: int64(i)}})
	}
	return len(own.take())
}
