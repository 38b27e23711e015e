package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// wire passes connections on to a server until it is cut.
type wire struct {
	to string

	mu   sync.Mutex
	all  []net.Conn
	dead bool
}

func (w *wire) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		w.mu.Lock()
		if err != nil || w.dead {
			_ = in.Close()
			w.mu.Unlock()
			continue
		}
		w.all = append(w.all, in, out)
		w.mu.Unlock()
		go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	}
}

func (w *wire) cut(dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = dead
	for _, c := range w.all {
		_ = c.Close()
	}
	w.all = nil
}

// A PostgreSQL server that is stopped is told apart from an error of the program, by reads and by writes, and all goes
// on when it is back (REAL-91).
func TestPostgresStopped(t *testing.T) {
	o := storetest.Postgres(t)(t)
	dsn, err := url.Parse(o.DSN)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := &wire{to: dsn.Host}
	go w.serve(l)
	dsn.Host = l.Addr().String()
	o.DSN = dsn.String()
	db := openStore(t, o)
	calls := map[string]func(context.Context) error{
		"read":  func(ctx context.Context) error { _, err := db.Keys().List(ctx); return err },
		"write": func(ctx context.Context) error { return db.Audit().Add(ctx, store.Event{Action: "x"}) },
		"look":  func(ctx context.Context) error { _, err := db.Changes(ctx); return err },
		"ping":  db.Ping,
	}
	// Each connection that broke while it was idle is noticed by its next user, and the pool has sixteen.
	back := func(call func(context.Context) error) {
		t.Helper()
		err := call(t.Context())
		for range 16 {
			if !errors.Is(err, store.ErrUnavailable) {
				break
			}
			err = call(t.Context())
		}
		must(t, err)
	}
	for name, call := range calls {
		back(call)
		for range 3 { // the connections that broke, and then new ones
			w.cut(true)
			if err := call(t.Context()); err == nil && name != "look" && name != "ping" || // which keep an answer for a moment
				err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s with the server stopped: %v, want ErrUnavailable", name, err)
			}
		}
		w.cut(false)
		back(call)
	}
	if _, err := db.Ledger().Get(t.Context(), "p", "a1"); errors.Is(err, store.ErrUnavailable) {
		t.Errorf("what is not there: %v", err)
	}
}
