package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

func testSessions(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.Sessions()
	now := time.Now().UTC().Truncate(time.Microsecond)
	full := store.Session{
		TokenHash: hash("full"), Person: "p1", Login: "anna", Browser: hash("browser"),
		AuthenticatedAt: now, Methods: []string{"password", "totp"}, Reading: []byte{1, 0, 2}, ReadAt: now,
		SeenAt: now, EndsAt: now.Add(time.Hour),
	}
	must(t, s.Create(ctx, full, nil, event("create")))
	got, err := s.Get(ctx, full.TokenHash, time.Minute)
	must(t, err)
	if diff := cmp.Diff(full, got); diff != "" {
		t.Errorf("stored and read back (-want +got):\n%s", diff)
	}
	if n := events(t, db, "create"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}

	// ID-19
	t.Run("uses of the console", func(t *testing.T) {
		o := fresh(t)
		at := now
		o.Now = func() time.Time { return at }
		db := open(t, o)
		s := db.Sessions()
		n := store.Session{TokenHash: hash("console"), Person: "p", AuthenticatedAt: now, SeenAt: now,
			EndsAt: now.Add(time.Hour)}
		must(t, s.Create(ctx, n, nil))
		is := func(what string, console, seen time.Time) {
			t.Helper()
			got, err := s.Get(ctx, n.TokenHash, time.Hour)
			must(t, err)
			if !got.ConsoleAt.Equal(console) || !got.SeenAt.Equal(seen) {
				t.Errorf("%s: console used at %s, session at %s; want %s and %s", what, got.ConsoleAt, got.SeenAt, console, seen)
			}
		}
		is("a new session", time.Time{}, now)
		at = now.Add(10 * time.Minute)
		first := at
		must(t, s.UsedConsole(ctx, n.TokenHash))
		is("used", first, first)
		at = first.Add(59 * time.Second)
		must(t, s.UsedConsole(ctx, n.TokenHash))
		is("used again within a minute", first, first)
		at = first.Add(time.Minute)
		must(t, s.UsedConsole(ctx, n.TokenHash))
		is("a minute later", at, at)
		// A clock that runs behind on another replica takes nothing back.
		later := at
		at = now
		must(t, s.UsedConsole(ctx, n.TokenHash))
		at = later
		is("by a clock behind", later, later)
		must(t, s.End(ctx, n.TokenHash))
		must(t, s.UsedConsole(ctx, n.TokenHash))
		if _, err := s.Get(ctx, n.TokenHash, time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a session that has ended: %v, want ErrNotFound", err)
		}
	})
	t.Run("what does not live", func(t *testing.T) {
		for _, c := range []struct {
			name       string
			seen, ends time.Duration
			idle       time.Duration
			want       error
		}{
			{"live", 0, time.Hour, time.Minute, nil},
			{"ended", 0, -time.Second, time.Minute, store.ErrNotFound},
			{"idled out", -2 * time.Minute, time.Hour, time.Minute, store.ErrNotFound},
			{"no idle limit", -2 * time.Minute, time.Hour, 0, nil},
		} {
			n := store.Session{TokenHash: hash(c.name), Person: "px", SeenAt: now.Add(c.seen), EndsAt: now.Add(c.ends)}
			must(t, s.Create(ctx, n, nil))
			if _, err := s.Get(ctx, n.TokenHash, c.idle); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		for _, token := range [][]byte{nil, {}, hash("none")} {
			if _, err := s.Get(ctx, token, time.Minute); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("token hash %x: %v, want ErrNotFound", token, err)
			}
		}
	})
	// ID-17, and while replicas are upgraded one after the other.
	t.Run("written by the program before", func(t *testing.T) {
		o := fresh(t)
		db, raw := open(t, o), rawDB(t, o)
		s := db.Sessions()
		insert := func(name, person string) {
			t.Helper()
			_, err := raw.Exec(`
				INSERT INTO sessions (token_hash, person_id, login, browser, authenticated_at,
				    methods, reading, read_at, seen_at, ends_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
				hash(name), person, person, hash("b"), now.UnixMicro(), `["password"]`, []byte("r"), now.UnixMicro(),
				now.UnixMicro(), now.Add(time.Hour).UnixMicro())
			must(t, err)
		}
		insert("old", "p")
		if _, err := s.Get(ctx, hash("old"), time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a session without a MAC: %v, want ErrNotFound", err)
		}
		ours := store.Session{
			TokenHash: hash("new"), Person: "p", Login: "p", AuthenticatedAt: now, Methods: []string{"password"},
			Reading: []byte("r"), ReadAt: now, EndsAt: now.Add(time.Hour),
		}
		must(t, s.Create(ctx, ours, nil))
		// ID-29: it is seen that there is one, and that ours is none of these.
		for name, want := range map[string]bool{"old": true, "new": false, "none": false} {
			if got, err := s.Unvouched(ctx, hash(name)); err != nil || got != want {
				t.Errorf("%s is a session of the version before: %v, %v, want %v", name, got, err, want)
			}
		}
		if list, err := s.OfPerson(ctx, "p", time.Hour); err != nil || len(list) != 1 || list[0].Login != "p" {
			t.Errorf("sessions %+v, %v, want ours alone", list, err)
		}
		// It reads the directory for a session of ours: nobody is signed out, and its reading is not believed.
		_, err := raw.Exec(`UPDATE sessions SET reading = $1, read_at = $2 WHERE token_hash = $3`, []byte("theirs"),
			now.Add(time.Second).UnixMicro(), hash("new"))
		must(t, err)
		got, err := s.Get(ctx, hash("new"), time.Hour)
		if err != nil || got.Reading != nil || !got.ReadAt.IsZero() || got.Login != "p" {
			t.Errorf("session %+v, %v, want it without a reading", got, err)
		}
		must(t, s.SetReading(ctx, hash("new"), []byte("ours"), now.Add(time.Minute)))
		if got, err = s.Get(ctx, hash("new"), time.Hour); err != nil || string(got.Reading) != "ours" {
			t.Errorf("session %+v, %v, want our reading", got, err)
		}
		// Another secret key vouches for nothing here.
		o.Voucher = Voucher("another key")
		if _, err := open(t, o).Sessions().Get(ctx, hash("new"), time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("by another key: %v, want ErrNotFound", err)
		}
		o.Voucher = nil
		without := open(t, o).Sessions()
		if _, err := without.Get(ctx, hash("new"), time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("without a key: %v, want ErrNotFound", err)
		}
		if err := without.Create(ctx, store.Session{TokenHash: hash("third"), Person: "p"}, nil); err == nil {
			t.Error("stored a session without a key")
		}
	})
	t.Run("begun before a revocation", func(t *testing.T) { // ID-06
		mark, err := s.Mark(ctx)
		must(t, err)
		n := store.Session{TokenHash: hash("begun"), Person: "revoked", EndsAt: now.Add(time.Hour), Mark: mark}
		must(t, s.Create(ctx, n, nil))
		_, err = s.EndPerson(ctx, "revoked")
		must(t, err)
		n.TokenHash = hash("begun 2")
		if err := s.Create(ctx, n, nil, event("begun")); !errors.Is(err, store.ErrRevoked) {
			t.Errorf("%v, want ErrRevoked", err)
		}
		if n := events(t, db, "begun"); n != 0 {
			t.Errorf("%d events of a session that was refused", n)
		}
		// Others are not concerned, and the next login of this one is none of before.
		must(t, s.Create(ctx, store.Session{TokenHash: hash("else"), Person: "else", EndsAt: now.Add(time.Hour),
			Mark: mark}, nil))
		if n.Mark, err = s.Mark(ctx); err != nil || n.Mark != mark+1 {
			t.Errorf("mark %d, %v, want %d", n.Mark, err, mark+1)
		}
		must(t, s.Create(ctx, n, nil))
		if got, err := s.Get(ctx, n.TokenHash, time.Hour); err != nil || got.Epoch != n.Mark {
			t.Errorf("%+v, %v, want a session of epoch %d", got, err, n.Mark)
		}
	})
	t.Run("same token twice", func(t *testing.T) {
		if err := s.Create(ctx, full, nil, event("twice")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		if n := events(t, db, "twice"); n != 0 {
			t.Errorf("%d events of a session that was refused", n)
		}
	})
	t.Run("WEB-02 a new login replaces the session", func(t *testing.T) {
		first := session(t, db, "first")
		must(t, db.SignIns().Finish(ctx, store.Issue{Participation: &store.Participation{TokenHash: first.TokenHash,
			EntityID: "sp"}}))
		second := first
		second.TokenHash = hash("second")
		must(t, s.Create(ctx, second, first.TokenHash))
		if _, err := s.Get(ctx, first.TokenHash, time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the replaced session: %v, want ErrNotFound", err)
		}
		if parts, err := s.Participations(ctx, first.TokenHash); err != nil || len(parts) != 0 {
			t.Errorf("its participations: %v, %v, want none", parts, err)
		}
		if _, err := s.Get(ctx, second.TokenHash, time.Hour); err != nil {
			t.Errorf("the new session: %v", err)
		}
	})
	t.Run("known browser and cleared failures", func(t *testing.T) {
		th := db.Throttle()
		blocks := []store.Block{{Name: "192.0.2.1", Limit: 300}}
		for _, person := range []string{"known", "other"} {
			for range 2 {
				got, _, err := th.Take(ctx, store.TakeTry{Person: person, Limit: 5, Window: time.Hour, Blocks: blocks,
					BlockWindow: time.Hour})
				if must(t, err); got != store.TryTaken {
					t.Fatalf("a try of %s: %v", person, got)
				}
			}
		}
		must(t, th.Settle(ctx, store.EndedTry{Person: "known"}, event("fail")))
		n := session(t, db, "known")
		n.TokenHash, n.Browser, n.Try = hash("known2"), hash("laptop"), store.EndedTry{Person: "known", Blocks: blocks,
			Result: store.TrySucceeded}
		must(t, s.Create(ctx, n, nil))
		for _, c := range []struct {
			login   string
			browser []byte
			want    bool
		}{{"known", hash("laptop"), true}, {"known", hash("other"), false}, {"else", hash("laptop"), false},
			{"a\x00\xff", hash("laptop"), false}, {"known", nil, false}} {
			if got, err := th.KnownBrowser(ctx, c.login, c.browser); err != nil || got != c.want {
				t.Errorf("known browser of %s: %t, %v, want %t", c.login, got, err, c.want)
			}
		}
		for person, want := range map[string][2]int{"known": {0, 3}, "other": {2, 3}} {
			if got := taken(t, th, person, blocks); got != want {
				t.Errorf("%s after the login: %v tries, want %v", person, got, want)
			}
		}
	})
	t.Run("reading", func(t *testing.T) {
		must(t, s.SetReading(ctx, full.TokenHash, []byte("newer"), now.Add(time.Minute)))
		must(t, s.SetReading(ctx, full.TokenHash, []byte("late"), now.Add(time.Second)))
		got, err := s.Get(ctx, full.TokenHash, time.Hour)
		must(t, err)
		if string(got.Reading) != "newer" || !got.ReadAt.Equal(now.Add(time.Minute)) {
			t.Errorf("reading %q of %v, want the newest", got.Reading, got.ReadAt)
		}
		if err := s.SetReading(ctx, hash("none"), nil, now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("reading of no session: %v, want ErrNotFound", err)
		}
	})
	t.Run("end", func(t *testing.T) {
		must(t, s.End(ctx, full.TokenHash, event("end")))
		must(t, s.End(ctx, full.TokenHash, event("end")))
		if _, err := s.Get(ctx, full.TokenHash, time.Hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the end: %v", err)
		}
		if n := events(t, db, "end"); n != 2 {
			t.Errorf("%d events, want 2", n)
		}
	})
	t.Run("end all of a person", func(t *testing.T) {
		for i := range 3 {
			must(t, s.Create(ctx, store.Session{TokenHash: hash(fmt.Sprint("many", i)), Person: "many",
				EndsAt: now.Add(time.Hour)}, nil))
		}
		if n, err := s.EndPerson(ctx, "many", event("all")); err != nil || n != 3 {
			t.Errorf("ended %d, %v, want 3", n, err)
		}
		if n, err := s.EndPerson(ctx, "many"); err != nil || n != 0 {
			t.Errorf("ended again %d, %v, want 0", n, err)
		}
	})
	t.Run("of one person", func(t *testing.T) {
		db := open(t, fresh(t))
		s := db.Sessions()
		for i, name := range []string{"old", "new"} {
			must(t, s.Create(ctx, store.Session{TokenHash: hash(name), Person: "p",
				SeenAt: now.Add(time.Duration(i-10) * time.Minute), EndsAt: now.Add(time.Hour)}, nil))
		}
		must(t, s.Create(ctx, store.Session{TokenHash: hash("ended"), Person: "p", EndsAt: now.Add(-time.Second)}, nil))
		must(t, s.Create(ctx, store.Session{TokenHash: hash("idle"), Person: "p", SeenAt: now.Add(-time.Hour),
			EndsAt: now.Add(time.Hour)}, nil))
		must(t, s.Create(ctx, store.Session{TokenHash: hash("stranger"), Person: "q", EndsAt: now.Add(time.Hour)}, nil))
		list, err := s.OfPerson(ctx, "p", 30*time.Minute)
		if err != nil || len(list) != 2 || !bytes.Equal(list[0].TokenHash, hash("new")) ||
			!bytes.Equal(list[1].TokenHash, hash("old")) {
			t.Fatalf("sessions %+v, %v, want the new one and the old one", list, err)
		}
		if n, err := s.EndOthers(ctx, "p", hash("new"), event("others")); err != nil || n != 3 {
			t.Errorf("ended %d others, %v, want 3", n, err)
		}
		if list, err := s.OfPerson(ctx, "p", 0); err != nil || len(list) != 1 {
			t.Errorf("left %+v, %v, want the kept one", list, err)
		}
		if _, err := s.Get(ctx, hash("stranger"), 0); err != nil {
			t.Errorf("the stranger's session: %v", err)
		}
	})
	t.Run("count and purge", func(t *testing.T) {
		db := open(t, fresh(t))
		s := db.Sessions()
		for i := range 250 {
			must(t, s.Create(ctx, store.Session{TokenHash: hash(fmt.Sprint("ended", i)), EndsAt: now.Add(-time.Second)}, nil))
		}
		must(t, s.Create(ctx, store.Session{TokenHash: hash("idle"), SeenAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour)},
			nil))
		session(t, db, "live")
		if n, err := s.Count(ctx); err != nil || n != 2 {
			t.Errorf("count %d, %v, want 2", n, err)
		}
		if n, err := s.Purge(ctx, time.Minute); err != nil || n != 251 {
			t.Errorf("purged %d, %v, want 251", n, err)
		}
		if n, err := s.Count(ctx); err != nil || n != 1 {
			t.Errorf("count %d, %v, want 1", n, err)
		}
	})
}
