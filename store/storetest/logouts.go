package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

// testLogouts: SLO-02 and SLO-03, what ends is what was named, and who took part is known.
func testLogouts(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, replica := open(t, o), open(t, o)
	s := db.Logouts()
	at := time.Now().UTC().Truncate(time.Microsecond)
	part := func(n store.Session, sp, name, index string) {
		t.Helper()
		at = at.Add(time.Millisecond)
		must(t, db.SignIns().Finish(ctx, store.Issue{Participation: &store.Participation{
			TokenHash: n.TokenHash, EntityID: sp, NameID: name, NameIDFormat: "persistent", SessionIndex: index, IssuedAt: at,
		}}))
	}
	logout := func(id, sp, request string) store.Logout {
		return store.Logout{ID: id, EntityID: sp, RequestID: request, Data: []byte{0, 1},
			ExpiresAt: time.Now().Add(time.Hour)}
	}
	one, two, other := session(t, db, "one"), session(t, db, "two"), session(t, db, "other")
	part(one, "wiki", "x1", "i1")
	part(one, "calendar", "c1", "i2")
	part(one, "calendar", "c2", "i3")
	part(two, "wiki", "x1", "i4")
	part(two, "calendar", "c1", "i5")
	part(other, "wiki", "x9", "i6")

	t.Run("SLO-02 named", func(t *testing.T) {
		found, err := db.Sessions().Named(ctx, "wiki", "x1")
		must(t, err)
		var got []string
		for _, n := range found {
			got = append(got, fmt.Sprint(n.SessionIndex, " ", n.Person, " ", n.NameIDFormat, " ",
				string(n.TokenHash) == string(one.TokenHash)))
		}
		if diff := cmp.Diff([]string{"i1 person-one persistent true", "i4 person-two persistent false"}, got); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		for _, c := range [][2]string{{"calendar", "x1"}, {"wiki", "X1"}, {"wiki", ""}, {"wiki", "\x00"}, {"wiki", "\xff"}} {
			if found, err := db.Sessions().Named(ctx, c[0], c[1]); len(found) != 0 || err != nil && !errors.Is(err,
				store.ErrNotFound) {
				t.Errorf("named %q: %v, %v", c, found, err)
			}
		}
	})
	t.Run("SLO-03 start", func(t *testing.T) {
		in := logout("l1", "wiki", "_r1")
		in.CreatedAt = time.Now()
		l, err := s.Start(ctx, in, [][]byte{one.TokenHash, two.TokenHash, hash("nobody")}, event("start"))
		must(t, err)
		want := []store.Participant{
			{EntityID: "calendar", NameID: "c1", NameIDFormat: "persistent", SessionIndexes: []string{"i2", "i5"}},
			{EntityID: "calendar", NameID: "c2", NameIDFormat: "persistent", SessionIndexes: []string{"i3"}},
		}
		if diff := cmp.Diff(want, l.Participants); diff != "" {
			t.Errorf("participants (-want +got):\n%s", diff)
		}
		got, err := replica.Logouts().Get(ctx, "l1")
		must(t, err)
		if diff := cmp.Diff(l, got); diff != "" {
			t.Errorf("stored and read back (-want +got):\n%s", diff)
		}
		for _, n := range []store.Session{one, two} {
			if _, err := db.Sessions().Get(ctx, n.TokenHash, 0); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a session lives on: %v", err)
			}
		}
		if _, err := db.Sessions().Get(ctx, other.TokenHash, 0); err != nil {
			t.Errorf("another session: %v", err)
		}
		if n := events(t, db, "start"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
	t.Run("SLO-02 replay ends nothing", func(t *testing.T) {
		if _, err := s.Start(ctx, logout("l2", "wiki", "_r1"), [][]byte{other.TokenHash}, event("replay")); !errors.Is(err,
			store.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		if _, err := db.Sessions().Get(ctx, other.TokenHash, 0); err != nil {
			t.Errorf("the session: %v", err)
		}
		if n := events(t, db, "replay"); n != 0 {
			t.Errorf("%d events of a replay", n)
		}
		for i, l := range []store.Logout{logout("l3", "calendar", "_r1"), logout("l4", "", ""), logout("l5", "", "")} {
			if _, err := s.Start(ctx, l, nil); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
	t.Run("bind", func(t *testing.T) {
		must(t, s.Bind(ctx, "l1", hash("browser")))
		must(t, s.Bind(ctx, "l1", hash("browser")))
		if err := s.Bind(ctx, "l1", hash("thief")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("another browser: %v, want ErrConflict", err)
		}
		if id, err := s.Running(ctx, hash("browser"), time.Now().Add(-time.Minute)); err != nil || id != "l1" {
			t.Errorf("running in this browser: %q, %v", id, err)
		}
		for _, browser := range [][]byte{hash("thief"), nil} {
			if id, err := s.Running(ctx, browser, time.Now().Add(-time.Minute)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("running in another browser: %q, %v, want ErrNotFound", id, err)
			}
		}
		if id, err := s.Running(ctx, hash("browser"), time.Now().Add(time.Minute)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an older one: %q, %v, want ErrNotFound", id, err)
		}
		if err := s.Bind(ctx, "none", hash("browser")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown: %v, want ErrNotFound", err)
		}
		if err := s.Bind(ctx, "l1", nil); err == nil {
			t.Error("bound to no browser")
		}
	})
	t.Run("one update wins", func(t *testing.T) {
		won := 0
		for i, err := range all(20, func(i int) error {
			s := []*store.DB{db, replica}[i%2].Logouts()
			l, err := s.Get(ctx, "l1")
			if err != nil {
				return err
			}
			if l.Version != 1 {
				return store.ErrConflict
			}
			l.Participants[0].State = fmt.Sprint("by ", i)
			return s.Update(ctx, l, event("update"))
		}) {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrConflict):
				t.Errorf("update %d: %v", i, err)
			}
		}
		if won != 1 || events(t, db, "update") != 1 {
			t.Errorf("%d updates won with %d events, want 1", won, events(t, db, "update"))
		}
		l, err := s.Get(ctx, "l1")
		must(t, err)
		l.FinishedAt = time.Now().UTC().Truncate(time.Microsecond)
		must(t, s.Update(ctx, l))
		again, err := s.Get(ctx, "l1")
		must(t, err)
		if !again.FinishedAt.Equal(l.FinishedAt) {
			t.Errorf("finished at %v, want %v", again.FinishedAt, l.FinishedAt)
		}
		if id, err := s.Running(ctx, hash("browser"), time.Now().Add(-time.Minute)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a finished one: %q, %v, want ErrNotFound", id, err)
		}
		if err := s.Update(ctx, again); !errors.Is(err, store.ErrConflict) {
			t.Errorf("update of a finished one: %v, want ErrConflict", err)
		}
	})
	t.Run("bounds", func(t *testing.T) {
		n := session(t, db, "many")
		for i := range 130 {
			part(n, "wiki", fmt.Sprint("x", i), "i")
		}
		for i := range 30 {
			part(n, "calendar", "c", fmt.Sprint("i", i))
		}
		l, err := s.Start(ctx, logout("l6", "", ""), [][]byte{n.TokenHash})
		must(t, err)
		if len(l.Participants) != 100 {
			t.Errorf("%d participants, want 100", len(l.Participants))
		}
		n = session(t, db, "many again")
		for i := range 30 {
			part(n, "calendar", "c", fmt.Sprint("i", i))
		}
		l, err = s.Start(ctx, logout("l7", "", ""), [][]byte{n.TokenHash})
		must(t, err)
		if got := l.Participants[0].SessionIndexes; len(got) != 10 || got[9] != "i29" {
			t.Errorf("indexes %v, want the newest ten", got)
		}
	})
	t.Run("purge", func(t *testing.T) {
		for i := range 120 {
			old := logout(fmt.Sprint("old", i), "", "")
			old.ExpiresAt = time.Now().Add(-time.Second)
			if _, err := s.Start(ctx, old, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Get(ctx, "old1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("expired: %v, want ErrNotFound", err)
		}
		if err := s.Bind(ctx, "old1", hash("b")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("bind an expired one: %v, want ErrNotFound", err)
		}
		if n, err := s.Purge(ctx); err != nil || n != 120 {
			t.Errorf("purged %d, %v, want 120", n, err)
		}
		if _, err := s.Get(ctx, "l4"); err != nil {
			t.Errorf("a live one is gone: %v", err)
		}
	})
	t.Run("participations go over to a new login of the same person", func(t *testing.T) {
		before := session(t, db, "again")
		part(before, "wiki", "xa", "ia")
		after := before
		after.TokenHash = hash("again, later")
		must(t, db.Sessions().Create(ctx, after, before.TokenHash))
		if parts, err := db.Sessions().Participations(ctx, after.TokenHash); err != nil || len(parts) != 1 ||
			parts[0].SessionIndex != "ia" {
			t.Errorf("participations %v, %v, want the one", parts, err)
		}
		stranger := session(t, db, "stranger")
		stranger.TokenHash = hash("stranger, later")
		must(t, db.Sessions().Create(ctx, stranger, after.TokenHash))
		for _, n := range []store.Session{after, stranger} {
			if parts, err := db.Sessions().Participations(ctx, n.TokenHash); err != nil || len(parts) != 0 {
				t.Errorf("participations %v, %v, want none", parts, err)
			}
		}
	})
}
