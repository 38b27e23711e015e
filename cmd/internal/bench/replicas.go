package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Two replicas on machines of their own can't be measured on one machine. What a launch costs can: processor time of a
// replica and of PostgreSQL, with one replica and with two, and how long a launch waits for locks in the database. From
// these it follows what two would serve:
//
//	a second = cores of the replicas / processor time of a replica, while PostgreSQL has cores left and
//	nobody waits for locks
//
// So two serve 2 × (processor time with one / with two) of one, less what their launches wait for each other's locks.

const (
	replicasDatabase = "replicas"
	replicaTurns     = 5
	lockSample       = 20 * time.Millisecond
)

// shared is what launches over one or two replicas cost each.
type shared struct {
	rate              float64
	replica, database float64 // processor time of one launch, in nanoseconds
	locked            float64 // time in which a launch waits for locks of PostgreSQL, in nanoseconds
}

type sharedPair struct{ one, two shared }

// gain is how much more than one replica two would serve with as many cores each. A launch that waits for a lock holds
// up no core, and is counted as if it did.
func (p sharedPair) gain() float64 {
	return 2 * (p.one.replica + p.one.locked) / (p.two.replica + p.two.locked)
}

// measureReplicas compares one replica with two on one PostgreSQL, in turns.
func (b *bench) measureReplicas(ctx context.Context) error {
	c, err := b.newCluster()
	if err != nil {
		return err
	}
	b.cleanup(c.stop)
	if err := c.program(ctx, "initdb", "-D", c.data(), "-U", "app", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
		"--no-sync"); err != nil {
		return fmt.Errorf("set PostgreSQL up: %w", err)
	}
	if err := c.start(ctx); err != nil { // durable, as in life
		return err
	}
	b.helpers = append(b.helpers, c.pid)
	if err := c.exec(ctx, "postgres", "CREATE DATABASE "+replicasDatabase); err != nil {
		return err
	}
	first, err := b.newBridge(ctx, "replicas", "rsa-2048", set{"store.dsn": c.dsn(replicasDatabase)})
	if err != nil {
		return fmt.Errorf("set up a bridge: %w", err)
	}
	second, err := first.twin(ctx)
	if err != nil {
		return err
	}
	b.cleanup(second.stop)
	for _, br := range []*bridge{first, second} {
		if _, err := br.start(ctx); err != nil {
			return err
		}
	}
	if err := first.introduce(ctx, b.o.people, true); err != nil {
		return fmt.Errorf("sign people in for the first time: %w", err)
	}
	db, err := c.open(replicasDatabase)
	if err != nil {
		return err
	}
	defer db.Close()
	all, _, why, err := inTurns(ctx, replicaTurns, b.cores, func() (p sharedPair, err error) {
		if p.one, err = b.launchOver(ctx, db, c.pid, first, first); err != nil {
			return p, err
		}
		p.two, err = b.launchOver(ctx, db, c.pid, first, second)
		return p, err
	})
	if err != nil {
		return fmt.Errorf("launch over replicas: %w", err)
	}
	from := len(b.report.lines)
	b.report.judge(target{name: "two replicas on PostgreSQL / one, by processor time and locks", bound: 1.8,
		atLeast: true, show: ratio},
		median(all, sharedPair.gain).gain())
	if why != "" {
		b.report.doubt(from, why)
	}
	of := func(value func(sharedPair) float64) string { return span(value(median(all, value))) }
	b.report.note("a launch over one replica", "%s of the replica, %s of PostgreSQL, %s of waits for locks",
		of(func(p sharedPair) float64 { return p.one.replica }), of(func(p sharedPair) float64 { return p.one.database }),
		of(func(p sharedPair) float64 { return p.one.locked }))
	b.report.note("a launch over two replicas", "%s of the replica, %s of PostgreSQL, %s of waits for locks",
		of(func(p sharedPair) float64 { return p.two.replica }), of(func(p sharedPair) float64 { return p.two.database }),
		of(func(p sharedPair) float64 { return p.two.locked }))
	return errors.Join(first.stop(), second.stop())
}

// twin is another replica of a bridge: the same configuration and store, an address and a journal of its own.
func (br *bridge) twin(ctx context.Context) (*bridge, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	state := filepath.Join(br.dir, "state-2")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the second replica: %w", err)
	}
	twin := *br
	twin.address, twin.cmd, twin.ended = "127.0.0.1:"+port, nil, nil
	twin.env = append(twin.env[:len(twin.env):len(twin.env)], "SSOBRIDGE_LISTEN="+twin.address,
		"SSOBRIDGE_STATE_DIR="+state)
	return &twin, nil
}

// launchOver launches over two replicas, every other connection to each, or over one that stands for both.
func (b *bench) launchOver(ctx context.Context, db *sql.DB, database int, first, second *bridge) (s shared, err error) {
	requests, err := first.sessions(ctx, launchers)
	if err != nil {
		return s, fmt.Errorf("sign in before launches: %w", err)
	}
	open := &opened{}
	defer open.close()
	workers := []func(int) (step, error){open.launcher(ctx, first, requests), open.launcher(ctx, second, requests)}
	replicas, server := []*meter{{pid: first.cmd.Process.Pid}}, time.Duration(0)
	if second != first {
		replicas = append(replicas, &meter{pid: second.cmd.Process.Pid})
	}
	locks := &lockWatch{db: db}
	began := false
	rate, done, err := loop(ctx, connections, b.o.span(1), b.o.span(5),
		func(i int) (step, error) { return workers[i%2](i) }, func() error {
			var errs []error
			for _, m := range replicas {
				errs = append(errs, m.read())
			}
			used, err := treeTime(database)
			if began {
				server += used
				locks.stop()
			} else {
				server -= used
				locks.start(ctx)
			}
			began = !began
			return errors.Join(append(errs, err)...)
		})
	locks.stop()
	if err = errors.Join(err, locks.err); err != nil {
		return s, err
	}
	n := float64(done)
	s = shared{rate: rate, database: float64(server) / n}
	for _, m := range replicas {
		s.replica += float64(m.used) / n
	}
	// As many as wait on the average, for as long as it was looked, for so many launches.
	s.locked = locks.waiting() / rate * float64(time.Second)
	return s, nil
}

// lockWatch looks again and again how many wait for a lock in PostgreSQL: of rows and transactions, and those inside
// the server.
type lockWatch struct {
	db     *sql.DB
	cancel context.CancelFunc
	done   sync.WaitGroup

	looked, found int
	err           error
}

func (w *lockWatch) start(ctx context.Context) {
	ctx, w.cancel = context.WithCancel(ctx)
	w.done.Go(func() {
		for pause(ctx, lockSample, nil) == nil {
			var n int
			err := w.db.QueryRowContext(ctx, `
				SELECT COUNT(*) FROM pg_stat_activity
				 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND wait_event_type IN ('Lock', 'LWLock')`).Scan(&n)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				w.err = fmt.Errorf("look who waits for locks: %w", err)
				return
			}
			w.looked, w.found = w.looked+1, w.found+n
		}
	})
}

func (w *lockWatch) stop() {
	if w.cancel != nil {
		w.cancel()
		w.done.Wait()
		w.cancel = nil
	}
}

// waiting is how many wait on the average.
func (w *lockWatch) waiting() float64 { return float64(w.found) / float64(max(1, w.looked)) }
