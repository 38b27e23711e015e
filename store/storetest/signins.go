package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

func testSignIns(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.SignIns()

	in := signIn("one")
	in.RequestID, in.Account, in.Data = "_r1", "a07e1lxqqqo0", []byte{0, 1, 255}
	in.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	in.ExpiresAt = in.ExpiresAt.UTC().Truncate(time.Microsecond)
	must(t, s.Create(ctx, in, store.Caps{}))
	got, err := s.Get(ctx, "one")
	must(t, err)
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("stored and read back (-want +got):\n%s", diff)
	}

	t.Run("refusals", func(t *testing.T) {
		expired := signIn("expired")
		expired.ExpiresAt = time.Now().Add(-time.Second)
		must(t, s.Create(ctx, expired, store.Caps{}))
		for _, c := range []struct {
			name string
			do   func() error
			want error
		}{
			{"REQ-08 replayed request id", func() error {
				again := signIn("two")
				again.RequestID = "_r1"
				return s.Create(ctx, again, store.Caps{})
			}, store.ErrConflict},
			{"replay before cap", func() error {
				again := signIn("two")
				again.RequestID = "_r1"
				return s.Create(ctx, again, store.Caps{PerAddress: 1, Total: 1})
			}, store.ErrConflict},
			{"same id", func() error { return s.Create(ctx, signIn("one"), store.Caps{}) }, store.ErrConflict},
			{"get unknown", func() error { _, err := s.Get(ctx, "none"); return err }, store.ErrNotFound},
			{"get expired", func() error { _, err := s.Get(ctx, "expired"); return err }, store.ErrNotFound},
			{"get NUL", func() error { _, err := s.Get(ctx, "\x00"); return err }, store.ErrNotFound},
			{"get broken UTF-8", func() error { _, err := s.Get(ctx, "\xff"); return err }, store.ErrNotFound},
			{"update unknown", func() error { return s.Update(ctx, signIn("none"), event("bad")) }, store.ErrNotFound},
			{"update expired", func() error { return s.Update(ctx, expired, event("bad")) }, store.ErrNotFound},
			{"finish expired", func() error {
				return s.Finish(ctx, store.Issue{SignIn: "expired", Events: []store.Event{event("bad")}})
			}, store.ErrNotFound},
			{"bind unknown", func() error { return s.Bind(ctx, "none", hash("b")) }, store.ErrNotFound},
			{"bind expired", func() error { return s.Bind(ctx, "expired", hash("b")) }, store.ErrNotFound},
		} {
			if err := c.do(); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if n := events(t, db, "bad"); n != 0 {
			t.Errorf("refused changes left %d events", n)
		}
		if err := s.Bind(ctx, "one", nil); err == nil {
			t.Error("bound to no browser")
		}
	})
	t.Run("one request id of two service providers", func(t *testing.T) {
		other := signIn("other-sp")
		other.EntityID, other.RequestID = "https://other.example", "_r1"
		must(t, s.Create(ctx, other, store.Caps{}))
	})
	t.Run("launches have no request id", func(t *testing.T) {
		must(t, s.Create(ctx, signIn("launch1"), store.Caps{}))
		must(t, s.Create(ctx, signIn("launch2"), store.Caps{}))
	})
	t.Run("bind", func(t *testing.T) {
		must(t, s.Bind(ctx, "one", hash("browser")))
		must(t, s.Bind(ctx, "one", hash("browser")))
		if err := s.Bind(ctx, "one", hash("thief")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("bind to another browser: %v, want ErrConflict", err)
		}
		got, err := s.Get(ctx, "one")
		must(t, err)
		if string(got.Browser) != string(hash("browser")) {
			t.Error("the first browser is not kept")
		}
	})
	t.Run("bind at once", func(t *testing.T) {
		must(t, s.Create(ctx, signIn("race"), store.Caps{}))
		won := 0
		for _, err := range all(20, func(i int) error { return s.Bind(ctx, "race", hash(fmt.Sprint(i))) }) {
			if err == nil {
				won++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("bind: %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d browsers bound it, want 1", won)
		}
	})
	t.Run("update", func(t *testing.T) {
		in, err := s.Get(ctx, "one")
		must(t, err)
		in.Account, in.Session, in.Data = "b1", hash("session"), []byte("more")
		must(t, s.Update(ctx, in, event("up")))
		got, err := s.Get(ctx, "one")
		must(t, err)
		if diff := cmp.Diff(in, got); diff != "" {
			t.Errorf("after the update (-want +got):\n%s", diff)
		}
		if n := events(t, db, "up"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
	t.Run("purge", func(t *testing.T) {
		for i := range 250 {
			old := signIn(fmt.Sprint("old", i))
			old.ExpiresAt = time.Now().Add(-time.Minute)
			must(t, s.Create(ctx, old, store.Caps{}))
		}
		if n, err := s.Purge(ctx); err != nil || n != 251 {
			t.Errorf("purged %d, %v, want 251", n, err)
		}
		if n, err := s.Purge(ctx); err != nil || n != 0 {
			t.Errorf("purged again %d, %v", n, err)
		}
		if _, err := s.Get(ctx, "one"); err != nil {
			t.Errorf("a live one is gone: %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.Create(gone, signIn("never"), store.Caps{}); !errors.Is(err, context.Canceled) {
			t.Errorf("with a cancelled context: %v", err)
		}
		if _, err := s.Get(ctx, "never"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it was stored all the same: %v", err)
		}
	})
}

// testCaps: WEB-09, what callers without a session can make us store is bounded.
func testCaps(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	from := func(id, address string) store.SignIn {
		in := signIn(id)
		in.Address = address
		return in
	}
	t.Run("by address", func(t *testing.T) {
		s := open(t, fresh(t)).SignIns()
		caps := store.Caps{PerAddress: 2, Total: 100}
		must(t, s.Create(ctx, from("1", "192.0.2.1"), caps))
		must(t, s.Create(ctx, from("2", "192.0.2.1"), caps))
		if err := s.Create(ctx, from("3", "192.0.2.1"), caps); !errors.Is(err, store.ErrLimit) {
			t.Errorf("third of an address: %v, want ErrLimit", err)
		}
		must(t, s.Create(ctx, from("4", "192.0.2.2"), caps))

		// One that a session went on with counts no more, even if it lapses again.
		in := from("1", "")
		in.Session = hash("s")
		must(t, s.Update(ctx, in))
		must(t, s.Create(ctx, from("5", "192.0.2.1"), caps))
		in.Session = nil
		must(t, s.Update(ctx, in))
		if err := s.Create(ctx, from("6", "192.0.2.1"), caps); !errors.Is(err, store.ErrLimit) {
			t.Errorf("third of an address again: %v, want ErrLimit", err)
		}
		// One that is finished without a session still counts: it is stored.
		must(t, s.Finish(ctx, store.Issue{SignIn: "2"}))
		if err := s.Create(ctx, from("7", "192.0.2.1"), caps); !errors.Is(err, store.ErrLimit) {
			t.Errorf("after an error Response: %v, want ErrLimit", err)
		}
		with := from("8", "192.0.2.1")
		with.Session = hash("s")
		must(t, s.Create(ctx, with, caps))
	})
	t.Run("in all, at once, on two replicas", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.SignIns{open(t, o).SignIns(), open(t, o).SignIns()}
		stored := 0
		for _, err := range all(60, func(i int) error {
			return replicas[i%2].Create(ctx, from(fmt.Sprint(i), fmt.Sprint("192.0.2.", i)),
				store.Caps{PerAddress: 10, Total: 20})
		}) {
			if err == nil {
				stored++
			} else if !errors.Is(err, store.ErrLimit) {
				t.Errorf("create: %v", err)
			}
		}
		if stored != 20 {
			t.Errorf("stored %d, want 20", stored)
		}
	})
	t.Run("expired ones make room", func(t *testing.T) {
		s := open(t, fresh(t)).SignIns()
		caps := store.Caps{PerAddress: 3, Total: 3}
		for i := range 3 {
			old := from(fmt.Sprint("old", i), "192.0.2.1")
			old.ExpiresAt = time.Now().Add(-time.Second)
			must(t, s.Create(ctx, old, caps))
		}
		for i := range 3 {
			must(t, s.Create(ctx, from(fmt.Sprint("new", i), "192.0.2.1"), caps))
		}
		if err := s.Create(ctx, from("more", "192.0.2.9"), caps); !errors.Is(err, store.ErrLimit) {
			t.Errorf("past the total: %v, want ErrLimit", err)
		}
		must(t, s.Update(ctx, store.SignIn{ID: "new0", Session: hash("s")}))
		must(t, s.Create(ctx, from("more", "192.0.2.9"), caps))
	})
	flood := func(t *testing.T, each func(s *store.SignIns, i int)) {
		db := open(t, fresh(t))
		s := db.SignIns()
		must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash("anna"), Person: "p", Login: "anna",
			Browser: hash("known"), Methods: []string{"password"}, EndsAt: time.Now().Add(time.Hour)}, nil))
		caps := store.Caps{PerAddress: 3, Total: 8}
		for i := range 6 { // three quarters of the total
			in := from(fmt.Sprint("flood", i), fmt.Sprint("192.0.2.", i))
			in.RequestID = fmt.Sprint("_flood", i)
			must(t, s.Create(ctx, in, caps))
		}
		for i, c := range []struct {
			name, request, address string
			browser                []byte
			want                   error
		}{
			{"request of an unknown browser", "_r1", "198.51.100.1", hash("unknown"), store.ErrLimit},
			{"request without a browser", "_r2", "198.51.100.1", nil, store.ErrLimit},
			{"request of a known browser", "_r3", "198.51.100.2", hash("known"), nil},
			{"launch of an unknown browser", "", "198.51.100.1", hash("unknown"), nil}, // the eighth
			{"launch past the total", "", "198.51.100.1", hash("unknown"), store.ErrLimit},
			{"request past the total", "_r4", "198.51.100.1", hash("unknown"), store.ErrLimit},
			{"launch of a known browser", "", "198.51.100.2", hash("known"), nil},
			{"third of its address", "_r5", "198.51.100.2", hash("known"), nil},
			{"fourth of its address", "_r6", "198.51.100.2", hash("known"), store.ErrLimit},
			{"fourth, a launch", "", "198.51.100.2", hash("known"), store.ErrLimit},
			{"from another address", "_r7", "198.51.100.3", hash("known"), nil},
			{"replay", "_r7", "198.51.100.3", hash("known"), store.ErrConflict},
		} {
			each(s, i)
			in := from(fmt.Sprint("next", i), c.address)
			in.RequestID, in.Browser = c.request, c.browser
			if err := s.Create(ctx, in, caps); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	}
	t.Run("a flood of requests leaves room", func(t *testing.T) { flood(t, func(*store.SignIns, int) {}) })
	t.Run("a flood while others expire", func(t *testing.T) {
		// One that has expired sends each creation on to the writer, which decides
		// the same. It had a session, so that its going makes no room.
		flood(t, func(s *store.SignIns, i int) {
			old := from(fmt.Sprint("old", i), "203.0.113.1")
			old.Session, old.ExpiresAt = hash("s"), time.Now().Add(-time.Second)
			must(t, s.Create(ctx, old, store.Caps{}))
		})
	})
	t.Run("a participation takes it out too", func(t *testing.T) {
		db := open(t, fresh(t))
		caps := store.Caps{PerAddress: 1, Total: 1}
		n := session(t, db, "anna")
		must(t, db.SignIns().Create(ctx, from("1", "192.0.2.1"), caps))
		must(t, db.SignIns().Finish(ctx, store.Issue{SignIn: "1",
			Participation: &store.Participation{TokenHash: n.TokenHash, EntityID: "sp"}}))
		must(t, db.SignIns().Create(ctx, from("2", "192.0.2.1"), caps))
	})
}

// testFinish: SP-07, one Response leaves for one sign-in.
func testFinish(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, replica := open(t, o), open(t, o)
	n := session(t, db, "anna")
	part := &store.Participation{TokenHash: n.TokenHash, EntityID: "sp", NameID: "x1", NameIDFormat: "persistent",
		SessionIndex: "_i"}

	t.Run("once under 50 calls", func(t *testing.T) {
		in := signIn("once")
		in.Data = []byte("state")
		must(t, db.SignIns().Create(ctx, in, store.Caps{}))
		won := 0
		for i, err := range all(50, func(i int) error {
			s := []*store.DB{db, replica}[i%2].SignIns()
			return s.Finish(ctx, store.Issue{SignIn: "once", Participation: part, Events: []store.Event{event("once")}})
		}) {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrFinished):
				t.Errorf("call %d: %v, want ErrFinished", i, err)
			}
		}
		if won != 1 {
			t.Errorf("%d calls finished it, want 1", won)
		}
		if got := events(t, db, "once"); got != 1 {
			t.Errorf("%d events, want 1", got)
		}
		got, err := db.SignIns().Get(ctx, "once")
		must(t, err)
		if got.FinishedAt.IsZero() || len(got.Data) != 0 {
			t.Errorf("finished at %v with %d bytes of data, want a time and none", got.FinishedAt, len(got.Data))
		}
		if err := db.SignIns().Update(ctx, in); !errors.Is(err, store.ErrFinished) {
			t.Errorf("update afterwards: %v, want ErrFinished", err)
		}
	})
	t.Run("without a pending sign-in", func(t *testing.T) {
		must(t, db.SignIns().Finish(ctx, store.Issue{Participation: part, Events: []store.Event{event("launch")}}))
		if got := events(t, db, "launch"); got != 1 {
			t.Errorf("%d events, want 1", got)
		}
		parts, err := db.Sessions().Participations(ctx, n.TokenHash)
		must(t, err)
		if len(parts) != 1 || parts[0].NameID != "x1" || parts[0].SessionIndex != "_i" || parts[0].IssuedAt.IsZero() {
			t.Errorf("participations %+v, want the one", parts)
		}
	})
	t.Run("session ended meanwhile", func(t *testing.T) {
		must(t, db.SignIns().Create(ctx, signIn("ended"), store.Caps{}))
		gone := *part
		gone.TokenHash = hash("nobody")
		if err := db.SignIns().Finish(ctx, store.Issue{SignIn: "ended", Participation: &gone,
			Events: []store.Event{event("ended")}}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("finish: %v, want ErrNotFound", err)
		}
		if got, err := db.SignIns().Get(ctx, "ended"); err != nil || !got.FinishedAt.IsZero() {
			t.Errorf("the sign-in is used up all the same: %+v, %v", got, err)
		}
		if got := events(t, db, "ended"); got != 0 {
			t.Errorf("%d events of a finish that failed", got)
		}
	})
	t.Run("SeenAt moves along", func(t *testing.T) {
		old := store.Session{TokenHash: hash("old"), Person: "p", Methods: []string{"password"},
			SeenAt: time.Now().Add(-2 * time.Minute), EndsAt: time.Now().Add(time.Hour)}
		must(t, db.Sessions().Create(ctx, old, nil))
		p := *part
		p.TokenHash = old.TokenHash
		must(t, db.SignIns().Finish(ctx, store.Issue{Participation: &p}))
		if _, err := db.Sessions().Get(ctx, old.TokenHash, time.Minute); err != nil {
			t.Errorf("not seen: %v", err)
		}
	})
}
