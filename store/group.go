package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Group commit. A durable commit costs a disk flush, about a millisecond, and
// SQLite has one writer at a time: one transaction for each change would end at
// a thousand changes a second however many wait. So one goroutine takes all
// changes that wait, runs them in one transaction, each but the first inside a
// savepoint, commits once, and then answers all. Nobody is made to wait for company: a change
// that comes alone is committed alone, and others gather meanwhile.

const (
	groupSize  = 64  // most changes in one commit, so that the first does not wait for too many
	groupQueue = 256 // changes that wait; more wait at the door
	// groupYield is how long a transaction lets others go first: the first change, and who wants the file, wait for it.
	groupYield = 10 * time.Millisecond
)

// job is one change on its way through the writer.
type job struct {
	ctx   context.Context
	fn    work
	state atomic.Int32 // jobWaiting, jobTaken or jobGone
	err   error        // of fn alone
	panic any          // what fn panicked with
	done  chan error   // the answer; holds one
}

const (
	jobWaiting int32 = iota
	jobTaken         // runs, or ran; its answer will come
	jobGone          // its caller stopped waiting before it ran
)

// group is the writer of one SQLite file.
type group struct {
	db      *sql.DB // one connection, immediate transactions
	busy    func(error) bool
	writing sync.Locker // held during a transaction: who takes it keeps the writer waiting
	after   func()      // a commit

	mu      sync.RWMutex // held for reading while a job is put into the queue
	closed  bool
	queue   chan *job
	stopped chan struct{}
}

func newGroup(db *sql.DB, writing sync.Locker, busy func(error) bool, after func()) *group {
	g := &group{db: db, busy: busy, writing: writing, after: after, queue: make(chan *job, groupQueue),
		stopped: make(chan struct{})}
	go g.run()
	return g
}

// write queues fn and waits for its commit. When ctx ends before fn was begun,
// fn never runs. Once begun, the answer is awaited: it comes within one commit.
func (g *group) write(ctx context.Context, fn work) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan error, 1)}
	if err := g.put(j); err != nil {
		return err
	}
	var err error
	select {
	case err = <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(jobWaiting, jobGone) {
			return ctx.Err()
		}
		err = <-j.done
	}
	if j.panic != nil {
		panic(j.panic) // in the goroutine of the caller whose function it was
	}
	return err
}

func (g *group) put(j *job) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return ErrClosed
	}
	select {
	case g.queue <- j:
		return nil
	case <-j.ctx.Done():
		return j.ctx.Err()
	}
}

// close runs what is queued and stops the writer.
func (g *group) close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.queue)
	}
	g.mu.Unlock()
	<-g.stopped
}

func (g *group) run() {
	defer close(g.stopped)
	for first := range g.queue {
		g.commit(first)
	}
}

// commit runs first and all that waits behind it, up to groupSize, in one transaction.
func (g *group) commit(first *job) {
	g.writing.Lock()
	defer g.writing.Unlock()
	tx, err := g.begin()
	defer tx.free()
	if err != nil {
		// The file can't be written: everyone who waits now is told, rather
		// than each trying anew for as long.
		for j := first; j != nil; j = g.waiting() {
			if j.take() {
				j.done <- err
			}
		}
		return
	}
	var (
		ran   []*job
		good  int
		began = time.Now() // monotonic: how long this takes, and no rule about time
	)
	for j := first; j != nil; j = g.next(began) {
		if !j.take() {
			continue
		}
		if len(ran) == 0 {
			// Nothing was done before it: what it leaves behind when it fails goes with the transaction, without a savepoint.
			if j.err = j.call(tx); j.err != nil {
				_ = tx.end(rollbackStatement) // the error of the change is the one to tell
				j.done <- j.err
				return // those behind it come next
			}
			ran, good = append(ran, j), 1
			continue
		}
		ran = append(ran, j)
		if err = j.run(tx); err != nil {
			break // the transaction is lost, and all in it
		}
		if j.err == nil {
			good++
		}
		if len(ran) == groupSize {
			break
		}
	}
	switch {
	case err != nil:
		_ = tx.end(rollbackStatement) // the error that lost the transaction is the one to tell
	case good == 0:
		err = tx.end(rollbackStatement)
	default:
		if err = tx.end(commitStatement); err == nil {
			g.after()
		}
	}
	for _, j := range ran {
		// A refusal too is told only now, and only if the commit worked: it
		// may rest on what an earlier change of this group wrote.
		if err != nil {
			j.done <- fmt.Errorf("commit: %w", err)
		} else {
			j.done <- j.err
		}
	}
}

// begin starts the transaction. The busy timeout of the connection waits for
// other processes; a file that stays locked longer gets few more chances.
func (g *group) begin() (sqliteTx, error) {
	conn, err := g.db.Conn(context.Background())
	if err != nil {
		return sqliteTx{}, err
	}
	const tries = 3
	for try := 1; ; try++ {
		tx := sqliteTx{conn}
		err := tx.run(beginStatement)
		if err == nil || !g.busy(err) || try == tries {
			return tx, err
		}
	}
}

// next takes a waiting job; nil when there is none. It waits for nobody, but lets what can run go first: where the
// processors are busy, that may be changes on their way here, and one commit for several costs hardly more than for
// one. Where they are not, it comes back at once. In a transaction that began long ago it lets nobody go first.
func (g *group) next(began time.Time) *job {
	if j := g.waiting(); j != nil || time.Since(began) > groupYield {
		return j
	}
	runtime.Gosched()
	return g.waiting()
}

// waiting takes a job that waits now; nil when there is none.
func (g *group) waiting() *job {
	select {
	case j := <-g.queue: // nil once closed and empty
		return j
	default:
		return nil
	}
}

func (j *job) take() bool { return j.state.CompareAndSwap(jobWaiting, jobTaken) }

// run runs the function inside a savepoint. What it returns is fatal to the
// whole transaction; the function's own error is kept in j.err.
func (j *job) run(tx sqliteTx) error {
	if err := tx.run(savepoint); err != nil {
		return err
	}
	j.err = j.call(tx)
	if j.err == nil {
		return tx.run(releaseSavepoint)
	}
	// Some errors (disk full, I/O) end the transaction by themselves; then this
	// fails too, and the group with it.
	if _, err := tx.ExecContext(context.Background(), "ROLLBACK TO one; RELEASE one"); err != nil {
		return fmt.Errorf("%w, after: %w", err, j.err)
	}
	return nil
}

// call runs the function without its caller's cancellation: interrupting a
// statement makes SQLite roll back the transaction of everybody else too.
func (j *job) call(tx querier) (err error) {
	defer func() {
		if j.panic = recover(); j.panic != nil {
			err = fmt.Errorf("panic: %v", j.panic)
		}
	}()
	return j.fn(context.WithoutCancel(j.ctx), tx)
}
