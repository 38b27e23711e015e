package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/store"
)

// measureMemory fills the store with sessions, starts the bridge on it several times,
// signs people in and looks at the memory of the process.
func (b *bench) measureMemory(ctx context.Context) error {
	br, err := b.running(ctx, "memory", "rsa-2048", nil, b.o.people)
	if err != nil {
		return err
	}
	sample, err := br.sampleSession(ctx)
	if err != nil {
		return err
	}
	if err := br.stop(); err != nil {
		return err
	}
	b.progress("  storing %d sessions", b.o.sessions)
	if err := br.fill(ctx, sample, b.o.sessions); err != nil {
		return fmt.Errorf("fill the store with sessions: %w", err)
	}
	var starts []time.Duration
	for range 5 {
		if err := br.stop(); err != nil {
			return err
		}
		took, err := br.start(ctx)
		if err != nil {
			return err
		}
		starts = append(starts, took)
	}
	idle, _, err := br.memory()
	if err != nil {
		return err
	}
	b.progress("  %d sign-ins", b.o.signIns)
	err = br.each(ctx, b.o.signIns, func(v *visitor, i int) error {
		_, err := v.signIn(directorytest.LoadLogin(i % b.o.people))
		return err
	})
	if err != nil {
		return fmt.Errorf("sign in afresh: %w", err)
	}
	now, most, err := br.memory()
	if err != nil {
		return err
	}
	size, err := br.size()
	if err != nil {
		return err
	}
	b.report.note("store of the next two", "%d sessions, %s", b.o.sessions, mb(size))
	b.report.figure(startToReady, float64(median(starts, func(d time.Duration) float64 { return float64(d) })))
	b.report.figure(residentMemory, now)
	b.report.note("resident memory: after the start / at its highest", "%s / %s (%d fresh sign-ins)", mb(idle),
		mb(most), b.o.signIns)
	return br.stop()
}

// sampleSession is a session as the bridge itself stores it.
func (br *bridge) sampleSession(ctx context.Context) (_ store.Session, err error) {
	c, err := dial(ctx, br.address)
	if err != nil {
		return store.Session{}, err
	}
	defer c.close()
	v := &visitor{br: br, c: c}
	if _, err := v.signIn(directorytest.LoadLogin(0)); err != nil {
		return store.Session{}, err
	}
	parts, err := br.open(ctx)
	if err != nil {
		return store.Session{}, err
	}
	defer func() { err = errors.Join(err, parts.Close()) }()
	hash := sha256.Sum256([]byte(v.session))
	return parts.Store.Sessions().Get(ctx, hash[:], 0)
}

// fill stores copies of a session, each with a token, a browser and a login of its own.
func (br *bridge) fill(ctx context.Context, sample store.Session, n int) (err error) {
	parts, err := br.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.Close()) }()
	// Those who wait at the same time share a commit.
	const writers = 64
	var (
		next   counter
		wait   sync.WaitGroup
		failed = make(chan error, writers)
	)
	for range writers {
		wait.Go(func() {
			for i := next.next(); i < n; i = next.next() {
				s := sample
				s.TokenHash, s.Browser = randomHash(), randomHash()
				s.Login = fmt.Sprintf("filler%06d", i)
				s.Person = store.PersonID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
				if err := parts.Store.Sessions().Create(ctx, s, nil); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(failed)
	return <-failed
}

func randomHash() []byte {
	b := make([]byte, sha256.Size)
	_, _ = rand.Read(b) // never fails
	return b
}

// open wires the parts of the set-up in this process, as the bridge wires them, beside it where it runs: what it stores
// counts only where its secret key vouches for it.
func (br *bridge) open(ctx context.Context) (*server.App, error) {
	cfg, err := config.Load(br.config(), os.Environ())
	if err != nil {
		return nil, err
	}
	return server.Open(ctx, cfg, slog.New(slog.DiscardHandler))
}
