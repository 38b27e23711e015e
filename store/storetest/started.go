package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testStarted: sign-ins that are stored with the session or Response that they lead to (rows ID-10, REQ-08, SP-07).
func testStarted(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	options := fresh(t)
	db, other := open(t, options), open(t, options)
	begun := func(id, request string) store.SignIn {
		in := signIn(id)
		in.Browser, in.RequestID, in.Data = hash("b"), request, []byte("data")
		return in
	}
	newSession := func(name string) store.Session {
		return store.Session{
			TokenHash: hash(name), Person: "person of started", Login: "anna", AuthenticatedAt: time.Now(),
			Methods: []string{"password"},
			ReadAt:  time.Now(), EndsAt: time.Now().Add(time.Hour),
		}
	}
	find := func(id, request string) string {
		t.Helper()
		stored, used, err := db.SignIns().Find(ctx, id, signIn("").EntityID, request)
		must(t, err)
		return fmt.Sprint(stored, used)
	}

	t.Run("with a session", func(t *testing.T) {
		in := begun("s1", "_s1")
		if got := find("s1", "_s1"); got != "false false" {
			t.Errorf("before: %s", got)
		}
		n := newSession("started")
		n.Begins = &in
		must(t, db.Sessions().Create(ctx, n, nil))
		got, err := db.SignIns().Get(ctx, "s1")
		must(t, err)
		if !got.FinishedAt.IsZero() || !bytes.Equal(got.Data, in.Data) || find("s1", "_s1") != "true true" ||
			find("", "_s1") != "false true" || find("s2", "") != "false false" {
			t.Errorf("stored %+v", got)
		}
		// A second login of the same form goes on with it.
		n = newSession("started again")
		n.Begins = &in
		must(t, db.Sessions().Create(ctx, n, nil))
		// A copy of its request, and the id in another browser, store no session.
		for name, in := range map[string]store.SignIn{"replay": begun("s3", "_s1"),
			"another browser": func() store.SignIn { in := begun("s1", "_s4"); in.Browser = hash("c"); return in }()} {
			n = newSession("refused " + name)
			n.Begins = &in
			if err := other.Sessions().Create(ctx, n, nil, event("bad")); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := db.Sessions().Get(ctx, n.TokenHash, 0); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s stored a session: %v", name, err)
			}
		}
	})
	t.Run("with a Response", func(t *testing.T) {
		in := begun("r1", "_r1s")
		must(t, db.SignIns().Finish(ctx, store.Issue{Begins: &in, Events: []store.Event{event("issued")}}))
		got, err := db.SignIns().Get(ctx, "r1")
		must(t, err)
		if got.FinishedAt.IsZero() || len(got.Data) > 0 {
			t.Errorf("stored %+v", got)
		}
		if err := db.SignIns().Finish(ctx, store.Issue{Begins: &in, Events: []store.Event{event("bad")}}); !errors.Is(err,
			store.ErrFinished) {
			t.Errorf("a second time: %v", err)
		}
		copied := begun("r2", "_r1s")
		if err := db.SignIns().Finish(ctx, store.Issue{Begins: &copied, Events: []store.Event{event("bad")}}); !errors.Is(err,
			store.ErrConflict) {
			t.Errorf("a copy of the request: %v", err)
		}
		// One that another request has stored meanwhile is finished by the first of them.
		in = begun("r3", "_r3")
		must(t, db.SignIns().Begin(ctx, in, event("begun")))
		must(t, db.SignIns().Finish(ctx, store.Issue{Begins: &in}))
		if err := db.SignIns().Finish(ctx, store.Issue{SignIn: "r3"}); !errors.Is(err, store.ErrFinished) {
			t.Errorf("finished twice: %v", err)
		}
	})
	t.Run("once, on two replicas", func(t *testing.T) {
		var answered, replayed atomic.Int32
		replicas := []*store.DB{db, other}
		errs := all(16, func(i int) error {
			in := begun(fmt.Sprint("once", i), "_once")
			err := replicas[i%2].SignIns().Finish(ctx, store.Issue{Begins: &in})
			switch {
			case err == nil:
				answered.Add(1)
			case errors.Is(err, store.ErrConflict):
				replayed.Add(1)
			default:
				return err
			}
			return nil
		})
		for _, err := range errs {
			must(t, err)
		}
		if answered.Load() != 1 || replayed.Load() != 15 {
			t.Errorf("%d answered, %d replayed", answered.Load(), replayed.Load())
		}
	})
	t.Run("no older replica", func(t *testing.T) {
		if db.OlderReplicas(ctx) || other.OlderReplicas(ctx) {
			t.Error("programs of this version are taken for older ones")
		}
	})
}
