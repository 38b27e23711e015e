package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/cmd/internal/server"
)

// reader is whoever reads the log.
type reader struct {
	mu    sync.Mutex
	text  bytes.Buffer
	fault error
	stuck chan struct{} // nil: it reads; else until closed it does not
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	stuck, fault := r.stuck, r.fault
	r.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	if fault != nil {
		return 0, fault
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *reader) set(stuck chan struct{}, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stuck, r.fault = stuck, fault
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// A log that is read has each line when it was written; one that is broken or not read keeps nobody waiting, and lines
// that are lost are counted and said afterwards (REAL-89).
func TestLogQueue(t *testing.T) {
	r := &reader{}
	q := server.NewLogQueue(r)
	log := slog.New(slog.NewTextHandler(q, nil))
	q.Report(log)
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			name := fmt.Sprintf("line-%d-", i)
			log.Info(name)
			if !strings.Contains(r.String(), name) {
				t.Errorf("%s is not written when it was logged", name)
			}
		})
	}
	wait.Wait()

	r.set(nil, errors.New("broken pipe"))
	for range 10 {
		log.Info("broken")
	}
	if lost, now := q.Lost(); lost != 10 || !now {
		t.Errorf("a broken pipe: %d lines lost, %t; want 10 and still", lost, now)
	}
	r.set(nil, nil)
	log.Info("whole again")
	reported(t, r, "lines=10")

	stuck := make(chan struct{})
	r.set(stuck, nil)
	line := strings.Repeat("x", 1000)
	for range 5000 { // would wait for ever, or for a thousand seconds
		if n, err := io.WriteString(q, line+"\n"); n != 1001 || err != nil {
			t.Fatal(n, err)
		}
	}
	lost, now := q.Lost()
	if kept := 5010 - lost; kept < 1000 || kept > 1100 || !now {
		t.Errorf("a stuck pipe: %d lines kept, %t; want a megabyte of them", kept, now)
	}
	q2 := server.NewLogQueue(r)
	fmt.Fprintln(q2, "never read")
	q2.Close(10 * time.Millisecond) // comes back
	r.set(nil, nil)
	close(stuck)
	reported(t, r, fmt.Sprintf("lines=%d", lost-10))
	q.Close(time.Minute)
	if n := strings.Count(r.String(), line); int64(n) != 5010-lost {
		t.Errorf("%d lines came in the end, want %d", n, 5010-lost)
	}
	if n, err := q.Write([]byte("late")); n != 4 || err != nil {
		t.Error("after Close:", n, err)
	}
}

func reported(t *testing.T, r *reader, text string) {
	t.Helper()
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !strings.Contains(r.String(), text) {
		select {
		case <-look.C:
		case <-end.C:
			t.Fatalf("%s is not said:\n%.2000s", text, r)
		}
	}
}
