package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// actor makes changes of factors, each in a session that may make it, on a clock that can be moved.
type actor struct {
	tb    testing.TB
	db    *store.DB
	now   func() time.Time
	count atomic.Int64
}

// act logs a person in and returns what a change may rest on.
func (a *actor) act(person store.PersonID) store.Act {
	a.tb.Helper()
	ctx, now := a.tb.Context(), a.now()
	mark, err := a.db.Sessions().Mark(ctx)
	must(a.tb, err)
	changes, err := a.db.Changes(ctx)
	must(a.tb, err)
	token := hash(fmt.Sprint("act", a.count.Add(1)))
	must(a.tb, a.db.Sessions().Create(ctx, store.Session{
		TokenHash: token, Person: person, AuthenticatedAt: now, ReadAt: now, EndsAt: now.Add(24 * time.Hour), Mark: mark,
		Methods: []string{"password"},
	}, nil))
	return store.Act{Session: token, ReadAt: now, Changes: changes, KeepOthers: true}
}

// enrol adds one factor.
func (a *actor) enrol(act store.Act, person store.PersonID, id string, e store.Enrolment) error {
	e.Act, e.Factors, e.By = act, []store.SecondFactor{{ID: id, Person: person, Kind: "code", Sealed: []byte(id)}},
		store.ByPassword
	return a.db.SecondFactors().Enrol(a.tb.Context(), person, e)
}

// invited enrols a confirmed factor.
func (a *actor) invited(person store.PersonID, id string) {
	a.tb.Helper()
	must(a.tb, a.db.SecondFactors().Invite(a.tb.Context(), person, []byte(id), time.Hour, true))
	must(a.tb, a.enrol(a.act(person), person, id, store.Enrolment{Invite: []byte(id)}))
}

// prove proves a factor in a session and returns the token hash of the one that follows it.
func (a *actor) prove(old []byte, f store.SecondFactor, invite []byte) ([]byte, error) {
	next := store.Session{TokenHash: hash(fmt.Sprint("proved", a.count.Add(1))), AuthenticatedAt: a.now(), ReadAt: a.now(),
		EndsAt: a.now().Add(24 * time.Hour)}
	return next.TokenHash, a.db.SecondFactors().Prove(a.tb.Context(), store.ProvedFactor{Factor: f, Session: next,
		Old: old, Invite: invite})
}

// leave ends the sessions that act and prove have made.
func (a *actor) leave() {
	a.tb.Helper()
	for i := range a.count.Load() + 1 {
		for _, name := range []string{"act", "proved"} {
			must(a.tb, a.db.Sessions().End(a.tb.Context(), hash(fmt.Sprint(name, i))))
		}
	}
}

func (a *actor) factors(person store.PersonID) map[string]store.SecondFactor {
	a.tb.Helper()
	all, err := a.db.SecondFactors().OfPerson(a.tb.Context(), person)
	must(a.tb, err)
	byID := map[string]store.SecondFactor{}
	for _, f := range all {
		byID[f.ID] = f
	}
	return byID
}

// testActs: ID-06 and ID-07. What a change of factors rests on is looked at in the transaction that stores it.
func testActs(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	ctx, s := t.Context(), db.SecondFactors()
	a := &actor{tb: t, db: db, now: o.Now}
	is := func(t *testing.T, want, got error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}

	t.Run("what it rests on", func(t *testing.T) {
		for name, c := range map[string]struct {
			before func(*store.Act)
			want   error
		}{
			"nothing moved":      {func(*store.Act) {}, nil},
			"no session":         {func(act *store.Act) { act.Session = nil }, store.ErrRevoked},
			"session ended":      {func(act *store.Act) { must(t, db.Sessions().End(ctx, act.Session)) }, store.ErrRevoked},
			"all sessions ended": {func(*store.Act) { must2(db.Sessions().EndPerson(ctx, "p"))(t) }, store.ErrRevoked},
			"another's session":  {func(act *store.Act) { *act = a.act("q") }, store.ErrRevoked},
			"login too old":      {func(*store.Act) { ahead.Add(int64(store.ActLogin + time.Second)) }, store.ErrStale},
			"reading too old":    {func(*store.Act) { ahead.Add(int64(store.ActReading + time.Second)) }, store.ErrStale},
			"reading replaced": {func(act *store.Act) {
				must(t, db.Sessions().SetReading(ctx, act.Session, []byte("new"), a.now().Add(time.Millisecond)))
			}, store.ErrStale},
			"policy changed": {func(*store.Act) { must(t, s.SetPolicy(ctx, "a", "off", event("policy"))) }, store.ErrStale},
		} {
			id := "what " + name
			act := a.act("p")
			c.before(&act)
			is(t, c.want, a.enrol(act, "p", id, store.Enrolment{}))
			if _, there := a.factors("p")[id]; there != (c.want == nil) {
				t.Errorf("%s: stored %t", name, there)
			}
			act = a.act("p")
			c.before(&act)
			is(t, c.want, s.Remove(ctx, "p", store.Removal{Act: act, ID: "what nothing moved"}))
			if c.want == nil {
				continue
			}
			must2(db.Sessions().EndPerson(ctx, "p"))(t)
		}
	})
	t.Run("how it was enrolled", func(t *testing.T) {
		plain := a.act("h")
		must(t, a.enrol(plain, "h", "first", store.Enrolment{}))
		must(t, a.enrol(plain, "h", "again", store.Enrolment{}))
		token, err := a.prove(plain.Session, a.factors("h")["first"], nil)
		must(t, err)
		proved := plain
		proved.Session, proved.ReadAt = token, sessionOf(t, db, token).ReadAt
		must(t, a.enrol(proved, "h", "by first", store.Enrolment{}))
		all := a.factors("h")
		if f := all["first"]; f.By != store.ByPassword || !f.ConfirmedAt.IsZero() {
			t.Errorf("after a password: %+v", f)
		}
		if f := all["by first"]; f.By != store.ByFactor || !f.ConfirmedAt.IsZero() {
			t.Errorf("by a factor that is not confirmed: %+v", f)
		}
		// An invitation confirms the one that is proved with it, and that one confirms others.
		must(t, s.Invite(ctx, "h", []byte("code"), time.Hour, false))
		if _, err := a.prove(token, all["first"], []byte("wrong")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a wrong invitation: %v", err)
		}
		if f := a.factors("h")["first"]; f.Version != all["first"].Version || !f.ConfirmedAt.IsZero() {
			t.Errorf("after a wrong invitation: %+v", f)
		}
		token, err = a.prove(token, all["first"], []byte("code"))
		must(t, err)
		if n := sessionOf(t, db, token); n.Factor != "first" || n.Proved.ID != "first" || n.Proved.ConfirmedAt.IsZero() {
			t.Errorf("session after the invitation: %+v", n)
		}
		proved.Session, proved.ReadAt = token, sessionOf(t, db, token).ReadAt
		must(t, a.enrol(proved, "h", "by confirmed", store.Enrolment{}))
		all = a.factors("h")
		if all["by confirmed"].By != store.ByFactor || all["by confirmed"].ConfirmedAt.IsZero() ||
			!all["again"].ConfirmedAt.IsZero() || !all["by first"].ConfirmedAt.IsZero() {
			t.Errorf("factors %+v", all)
		}
		is(t, store.ErrConflict, s.Invite(ctx, "h", []byte("code"), time.Hour, false))
		// The session rests on its factor.
		must(t, s.Remove(ctx, "h", store.Removal{Act: proved, ID: "first"}))
		if n := sessionOf(t, db, token); n.Proved.ID != "" {
			t.Errorf("session after its factor is gone: %+v", n)
		}
	})
	t.Run("shown at a login", func(t *testing.T) {
		must(t, a.enrol(a.act("n"), "n", "shown", store.Enrolment{}))
		must(t, s.Notice(ctx, store.Notice{Person: "n", IDs: []string{"shown", "another's"}, Proved: true}, event("shown")))
		first := a.factors("n")["shown"].NoticedAt
		ahead.Add(int64(time.Hour))
		must(t, s.Notice(ctx, store.Notice{Person: "n", IDs: []string{"shown"}, Proved: true}, event("shown")))
		if f := a.factors("n")["shown"]; first.IsZero() || !f.NoticedAt.Equal(first) || f.Foreign {
			t.Errorf("shown first at %s: %+v", first, f)
		}
	})
	t.Run("shown to its owner", func(t *testing.T) {
		const person = "shown"
		login := func(browser string) {
			t.Helper()
			mark, err := db.Sessions().Mark(ctx)
			must(t, err)
			n := store.Session{TokenHash: hash(fmt.Sprint(browser, ahead.Load())), Person: person, Login: person,
				EndsAt: a.now().Add(time.Hour), Mark: mark}
			if browser != "" {
				n.Browser = hash(browser)
			}
			must(t, db.Sessions().Create(ctx, n, nil))
		}
		counts := func(browser string, want bool) {
			t.Helper()
			ahead.Add(int64(time.Minute))
			login(browser)
			id := fmt.Sprint("shown in ", browser, ahead.Load())
			must(t, a.enrol(a.act(person), person, id, store.Enrolment{}))
			n := store.Notice{Person: person, IDs: []string{id}, Browser: hash(browser)}
			if browser == "" {
				n.Browser = nil
			}
			must(t, s.Notice(ctx, n, event("in a browser")))
			if got := !a.factors(person)[id].NoticedAt.IsZero(); got != want {
				t.Errorf("shown in the browser %s: counts %t, want %t", browser, got, want)
			}
			must(t, s.Remove(ctx, person, store.Removal{Act: a.act(person), ID: id}))
		}
		counts("owner's", true)
		counts("thief's", false)
		counts("thief's second", false)
		ahead.Add(int64(20 * 24 * time.Hour))
		counts("thief's", false) // waiting does not help while the owner goes on
		counts("owner's", true)
		ahead.Add(int64(20 * 24 * time.Hour)) // the owner has another computer
		counts("new", false)
		ahead.Add(int64(20 * 24 * time.Hour)) // and uses the old one no more
		login("new")
		ahead.Add(int64(time.Minute))
		counts("new", true)
		counts("", false)
		if n := events(t, db, "in a browser"); n != 8 {
			t.Errorf("%d events, want 8", n)
		}
	})
	t.Run("other sessions", func(t *testing.T) {
		for _, keep := range []bool{true, false} {
			person := store.PersonID(fmt.Sprint("others", keep))
			other, act := a.act(person), a.act(person)
			act.KeepOthers = keep
			left := func(what string, want int) {
				t.Helper()
				if all, err := db.Sessions().OfPerson(ctx, person, 0); err != nil || len(all) != want {
					t.Errorf("keep %t, %s: %d sessions, %v, want %d", keep, what, len(all), err, want)
				}
			}
			want := map[bool]int{true: 2, false: 1}[keep]
			must(t, a.enrol(act, person, fmt.Sprint("o", keep), store.Enrolment{}))
			left("added", want)
			must(t, s.Remove(ctx, person, store.Removal{Act: act, ID: fmt.Sprint("o", keep)}))
			left("removed", want)
			_ = other
		}
	})
	t.Run("a login or proof that was begun before", func(t *testing.T) {
		a.invited("b", "b1")
		for name, revoke := range map[string]func(){
			"end of all sessions": func() { must2(db.Sessions().EndPerson(ctx, "b"))(t) },
			"removal": func() {
				act := a.act("b")
				must(t, a.enrol(act, "b", "b2", store.Enrolment{}))
				must(t, s.Remove(ctx, "b", store.Removal{Act: act, ID: "b2"}))
			},
			"suspension": func() {
				_, _, err := db.Ledger().Enqueue(ctx, store.SSOUser{Person: "b", Account: "a1", ExternalID: "x",
					Role: store.AccountManager}, event("w"))
				must(t, err)
				must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: "b", Account: "a1"}, event("s")))
			},
		} {
			mark, err := db.Sessions().Mark(ctx)
			must(t, err)
			act, f := a.act("b"), a.factors("b")["b1"]
			revoke()
			if err := db.Sessions().Create(ctx, store.Session{TokenHash: hash("begun " + name), Person: "b",
				EndsAt: a.now().Add(time.Hour), Mark: mark}, nil); !errors.Is(err, store.ErrRevoked) {
				t.Errorf("login after %s: %v", name, err)
			}
			if name == "removal" {
				continue // with KeepOthers the other sessions go on, under the new epoch
			}
			if _, err := a.prove(act.Session, f, nil); !errors.Is(err, store.ErrRevoked) {
				t.Errorf("proof after %s: %v", name, err)
			}
		}
		must(t, s.Invite(ctx, "b", []byte("left over"), time.Hour, true))
		must2(s.RemoveAll(ctx, "b"))(t)
		is(t, store.ErrNotFound, a.enrol(a.act("b"), "b", "b3", store.Enrolment{Invite: []byte("left over")}))
	})
	t.Run("of two who remove the last two, one does", func(t *testing.T) {
		for round := range 5 {
			person := store.PersonID(fmt.Sprint("race", round))
			one, two := fmt.Sprint("r1-", round), fmt.Sprint("r2-", round)
			a.invited(person, one)
			token, err := a.prove(a.act(person).Session, a.factors(person)[one], nil)
			must(t, err)
			act := a.act(person)
			act.Session, act.ReadAt = token, sessionOf(t, db, token).ReadAt
			must(t, a.enrol(act, person, two, store.Enrolment{}))
			acts := []store.Act{act, a.act(person)}
			var (
				wait    sync.WaitGroup
				removed atomic.Int64
			)
			for i, id := range []string{one, two} {
				wait.Go(func() {
					switch err := s.Remove(ctx, person, store.Removal{Act: acts[i], ID: id, Keep: true}); {
					case err == nil:
						removed.Add(1)
					case !errors.Is(err, store.ErrLast) && !errors.Is(err, store.ErrRevoked):
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if n := len(a.factors(person)); n != 1 || removed.Load() != 1 {
				t.Errorf("%d removed, %d left, want one each", removed.Load(), n)
			}
		}
	})
	t.Run("the last confirmed one", func(t *testing.T) {
		a.invited("l", "l1")
		act := a.act("l")
		must(t, a.enrol(act, "l", "l2", store.Enrolment{}))
		is(t, store.ErrLast, s.Remove(ctx, "l", store.Removal{Act: act, ID: "l1", Keep: true}))
		is(t, nil, s.Remove(ctx, "l", store.Removal{Act: act, ID: "l2", Keep: true}))
		is(t, store.ErrLast, s.Remove(ctx, "l", store.Removal{Act: act, ID: "l1", Keep: true}))
		is(t, nil, s.Remove(ctx, "l", store.Removal{Act: act, ID: "l1"}))
	})
	t.Run("a row that was changed", func(t *testing.T) { // ID-17
		must(t, a.enrol(a.act("c"), "c", "c1", store.Enrolment{}))
		raw := rawDB(t, o)
		for name, c := range map[string]struct {
			set     string
			foreign bool
		}{
			"confirmed":     {`confirmed_at = 1`, true},
			"how":           {`enrolled_by = 'invitation'`, true},
			"shown":         {`noticed_at = 1`, true},
			"added":         {`created_at = 1`, true},
			"kind":          {`kind = 'other'`, true},
			"without a MAC": {`confirmed_at = 1, enrolled_by = 'invitation', mac = ''`, false},
		} {
			if name == "without a MAC" && strings.HasPrefix(o.DSN, "sqlite:") {
				c.set = `confirmed_at = 1, enrolled_by = 'invitation', mac = x''`
			}
			before := a.factors("c")["c1"]
			var mac []byte
			must(t, raw.QueryRow(`SELECT mac FROM second_factors WHERE id = 'c1'`).Scan(&mac))
			_, err := raw.Exec(`UPDATE second_factors SET ` + c.set + ` WHERE id = 'c1'`)
			must(t, err)
			f := a.factors("c")["c1"]
			if f.Foreign != c.foreign || !f.ConfirmedAt.IsZero() || !f.NoticedAt.IsZero() || f.By != store.ByBefore {
				t.Errorf("%s: %+v", name, f)
			}
			_, err = raw.Exec(`UPDATE second_factors SET confirmed_at = 0, enrolled_by = $1, noticed_at = 0, created_at = $2, kind = 'code', mac = $3 WHERE id = 'c1'`,
				before.By, before.CreatedAt.UnixMicro(), mac)
			must(t, err)
			if f := a.factors("c")["c1"]; f.Foreign || f.By != store.ByPassword {
				t.Fatalf("%s: put back: %+v", name, f)
			}
		}
	})
}

func sessionOf(tb testing.TB, db *store.DB, token []byte) store.Session {
	tb.Helper()
	n, err := db.Sessions().Get(tb.Context(), token, 0)
	must(tb, err)
	return n
}

// must2 is must for a call that also returns a number.
func must2(_ int, err error) func(testing.TB) {
	return func(tb testing.TB) {
		tb.Helper()
		must(tb, err)
	}
}
