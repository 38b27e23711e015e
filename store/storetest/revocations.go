package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

// journal remembers what it was given.
type journal struct {
	mu     sync.Mutex
	before []string
	after  []string
	lost   []string
	full   bool
}

func (j *journal) Before(_ context.Context, entries []store.Revocation) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full {
		return errors.New("no space left on device")
	}
	j.before = append(j.before, said(entries)...)
	return nil
}

func (j *journal) After(_ context.Context, entries []store.Revocation, committed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if committed {
		j.after = append(j.after, said(entries)...)
	} else {
		j.lost = append(j.lost, said(entries)...)
	}
}

// said are the words in short.
func said(entries []store.Revocation) (all []string) {
	for _, r := range entries {
		all = append(all, r.Kind+" "+r.Word)
	}
	return all
}

// kept is what a restore must not undo, in a store of its own.
type kept struct {
	db       *store.DB
	factor   store.SecondFactor
	mappings []store.Mapping
}

func keep(tb testing.TB, db *store.DB) kept {
	ctx := tb.Context()
	k := kept{db: db, factor: store.SecondFactor{ID: "factor-1", Person: "p1", Kind: "code", Sealed: []byte{1}}}
	a := &actor{tb: tb, db: db, now: time.Now}
	must(tb, db.SecondFactors().Enrol(ctx, "p1", store.Enrolment{Act: a.act("p1"), Factors: []store.SecondFactor{
		k.factor, {ID: "codes-1", Person: "p1", Kind: "spare", Sealed: []byte("abc")},
	}}))
	must(tb, db.SecondFactors().Enrol(ctx, "p2", store.Enrolment{Act: a.act("p2"), Factors: []store.SecondFactor{
		{ID: "factor-2", Person: "p2", Kind: "code", Sealed: []byte{1}}, {ID: "codes-2", Person: "p2", Kind: "spare",
			Sealed: []byte("abc")},
	}}))
	a.leave()
	must(tb, db.SecondFactors().Invite(ctx, "p3", hash("invitation"), time.Hour, false))
	must(tb, db.SecondFactors().Invite(ctx, "p4", hash("another"), time.Hour, false))
	for _, id := range []string{"key-1", "key-2"} {
		must(tb, db.Keys().Add(ctx, store.SigningKey{ID: id, Use: "signing", State: "active",
			Private: []byte{1}}, event("k")))
	}
	for i, group := range []string{"g1", "g2", "g3"} {
		_, err := db.Mappings().Add(ctx, store.Mapping{
			Kind: store.GroupMapping, GroupID: group, GroupDN: "cn=" + group, Account: "a1", Role: store.CampaignCreator,
			Priority: 10 * (i + 1),
		}, nil, event("m"))
		must(tb, err)
	}
	for _, id := range []string{"https://sp1", "https://sp2", "https://sp3"} {
		must(tb, db.ServiceProviders().Put(ctx, store.ServiceProvider{EntityID: id, Kind: store.PlainSAML,
			Enabled: true}, event("s")))
	}
	for _, name := range []string{"x", "y"} {
		_, _, err := db.Ledger().Enqueue(ctx, ssoUser(name), event("u"))
		must(tb, err)
	}
	var err error
	k.mappings, err = db.Mappings().List(ctx)
	must(tb, err)
	return k
}

// revoke does everything that a restore must not undo, and two things that are taken back.
func (k kept) revoke(tb testing.TB) {
	ctx, db := tb.Context(), k.db
	a := &actor{tb: tb, db: db, now: time.Now}
	a.count.Store(100) // beside the sessions of keep
	must(tb, db.SecondFactors().Remove(ctx, "p1", store.Removal{Act: a.act("p1"), ID: "factor-1",
		Alone: "spare"}, event("r")))
	spent, err := db.SecondFactors().OfPerson(ctx, "p2")
	must(tb, err)
	codes := spent[slices.IndexFunc(spent, func(f store.SecondFactor) bool { return f.Kind == "spare" })]
	codes.Sealed, codes.Spent = []byte("bc"), store.CodeObject("codes-2", []byte("a"))
	_, err = a.prove(a.act("p2").Session, codes, nil)
	must(tb, err)
	must(tb, db.SecondFactors().Enrol(ctx, "p3", store.Enrolment{Act: a.act("p3"),
		Factors: []store.SecondFactor{{ID: "factor-3", Person: "p3", Kind: "code"}}, Invite: hash("invitation")}))
	a.leave()
	must(tb, db.Keys().Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
		r.Keys[0].State, r.Keys[0].Private, r.Keys[0].RetiredAt = "retired", nil, time.Now()
		return nil, nil
	}))
	must(tb, db.Keys().Add(ctx, store.SigningKey{ID: "key-3", Use: "signing", State: "next",
		Private: []byte{1}}, event("k")))
	must(tb, db.Mappings().Remove(ctx, k.mappings[0], event("r")))
	must(tb, db.Mappings().Switch(ctx, k.mappings[1], event("r")))
	must(tb, db.Mappings().Remove(ctx, k.mappings[2], event("r")))
	again := k.mappings[2]
	again.ID = 0
	_, err = db.Mappings().Add(ctx, again, nil, event("r"))
	must(tb, err)
	must(tb, db.ServiceProviders().Remove(ctx, "https://sp1", event("r")))
	must(tb, db.ServiceProviders().Remove(ctx, "https://sp2", event("r")))
	must(tb, db.ServiceProviders().Put(ctx, store.ServiceProvider{EntityID: "https://sp2", Kind: store.PlainSAML,
		Enabled: true}, event("r")))
	must(tb, db.ServiceProviders().Change(ctx, "https://sp3", func(sp *store.ServiceProvider) (store.Event, error) {
		sp.Enabled = false
		return event("r"), nil
	}))
	x, y := ssoUser("x"), ssoUser("y")
	for _, u := range []store.SSOUser{x, y} {
		must(tb, db.Ledger().Suspend(ctx, store.UserKey{Person: u.Person, Account: u.Account}, event("r")))
	}
	must(tb, db.Ledger().Resume(ctx, store.UserKey{Person: y.Person, Account: y.Account}, event("r")))
}

// testRevocations: what is revoked stands in the table with its transaction, and in the journal before its commit;
// what is allowed again after it; what is allowed for the first time, nowhere. ID-16.
func testRevocations(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	j := &journal{}
	o.Journal = j
	db := open(t, o)
	k := keep(t, db)
	keys := []string{"key allowed", "key allowed"}
	if len(j.before) > 0 || !slices.Equal(j.after, keys) {
		t.Fatalf("before anything is revoked the journal has %q and %q, want keys alone", j.before, j.after)
	}
	k.revoke(t)
	revoked := []string{
		"factor revoked", "factor revoked", // what was left were recovery codes, which alone are none
		"recovery-code revoked", "invitation revoked", "key revoked", "mapping revoked", "mapping off", "mapping revoked",
		"provider revoked", "provider revoked", "provider off", "user off", "user off",
	}
	if diff := cmp.Diff(revoked, j.before); diff != "" {
		t.Errorf("journal before the commits (-want +got):\n%s", diff)
	}
	if n := len(j.after) - len(keys) - len(revoked); n != 4 || len(j.lost) > 0 { // a key, a mapping, a provider and a user
		t.Errorf("%d words that allow, want 4; %q were not committed", n, j.lost)
	}
	all, err := db.Revocations().After(ctx, 0, 1000)
	must(t, err)
	if len(all) != len(j.after) {
		t.Fatalf("%d words stand in the table, the journal has %d", len(all), len(j.after))
	}
	ids := map[string]bool{}
	for i, r := range all {
		ids[r.Entry] = true
		if r.Seq != int64(i+1) || r.At.IsZero() || len(r.Object) < 5 {
			t.Errorf("word %d: %+v", i+1, r)
		}
	}
	if len(ids) != len(all) {
		t.Error("entries share their ids")
	}

	t.Run("a transaction that fails leaves no word", func(t *testing.T) {
		before := len(j.before)
		err := db.Keys().Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
			r.Keys[1].State = "retired"
			return nil, errors.New("no")
		})
		if err == nil || len(j.before) != before {
			t.Errorf("%v, and the journal has %q", err, j.before[before:])
		}
		// Refused by the database at the end: nothing was said.
		if err := db.ServiceProviders().Remove(ctx, "https://nobody", event("r")); !errors.Is(err, store.ErrNotFound) ||
			len(j.before) != before {
			t.Errorf("%v, and the journal has %q", err, j.before[before:])
		}
	})
	t.Run("a full disk stops no revocation", func(t *testing.T) {
		j.full = true
		defer func() { j.full = false }()
		must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: "person-y", Account: "a1"}, event("r")))
		last, err := db.Revocations().After(ctx, int64(len(all)), 10)
		must(t, err)
		if !slices.Equal(said(last), []string{"user off"}) {
			t.Errorf("the table has %q", said(last))
		}
	})
	t.Run("numbers are seen in their order", func(t *testing.T) {
		other := open(t, o)
		seen := make(chan []store.Revocation)
		stop := make(chan struct{})
		go func() {
			var got []store.Revocation
			for done := false; ; {
				next, err := other.Revocations().After(ctx, last(got), 100)
				if err != nil {
					t.Error(err)
				}
				got = append(got, next...)
				if done && len(next) == 0 {
					seen <- got
					return
				}
				select {
				case <-stop:
					done = true
				default:
				}
			}
		}()
		a := &actor{tb: t, db: db, now: time.Now}
		a.count.Store(200)
		for _, err := range all2(db, other, 20, func(db *store.DB, i int) error {
			p := store.PersonID(rune('A' + i))
			if err := db.SecondFactors().Enrol(ctx, p, store.Enrolment{Act: a.act(p),
				Factors: []store.SecondFactor{{ID: "many-" + string(p), Person: p, Kind: "code"}}}); err != nil {
				return err
			}
			_, err := db.SecondFactors().RemoveAll(ctx, p)
			return err
		}) {
			must(t, err)
		}
		close(stop)
		got := <-seen
		for i, r := range got {
			if r.Seq != int64(i+1) {
				t.Fatalf("word %d has number %d: one was passed over", i+1, r.Seq)
			}
		}
		if len(got) != len(all)+1+20 {
			t.Errorf("%d words, want %d", len(got), len(all)+21)
		}
	})
	n, err := db.Revocations().Purge(ctx, time.Now().Add(-time.Hour))
	if err != nil || n != 0 {
		t.Errorf("purged %d young words, %v", n, err)
	}
	// the last one stays
	if n, err = db.Revocations().Purge(ctx, time.Now().Add(time.Hour)); err != nil || n != len(all)+20 {
		t.Errorf("purged %d words, %v", n, err)
	}
}

func last(all []store.Revocation) int64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Seq
}

// all2 is all over two replicas.
func all2(a, b *store.DB, n int, f func(db *store.DB, i int) error) []error {
	return all(n, func(i int) error { return f([]*store.DB{a, b}[i%2], i) })
}

// testSettle: what a copy brings back is revoked again by the words of the journal, once, and last words count. ID-16.
func testSettle(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	now := open(t, fresh(t))
	k := keep(t, now)
	k.revoke(t)
	words, err := now.Revocations().After(ctx, 0, 1000)
	must(t, err)
	spend := func(f store.SecondFactor, spent func(string) bool) (left store.SecondFactor, changed, ok bool) {
		left = f
		left.Sealed = slices.DeleteFunc(slices.Clone(f.Sealed),
			func(b byte) bool { return spent(store.CodeObject(f.ID, []byte{b})) })
		return left, len(left.Sealed) < len(f.Sealed), true
	}
	settlement := func() store.Settlement {
		return store.Settlement{Words: slices.Clone(words), Restored: true, Codes: "spare", Spend: spend,
			Event: event("settle")}
	}
	want := store.Settled{
		Factors: 1, Codes: 2, Invitations: 1, Users: 1, Keys: 1, Mappings: 2, Providers: 2, Sessions: 1,
		Missing: []string{"key-3"}, Signing: 1,
	}
	state := func(db *store.DB) (all []string) {
		for _, p := range []store.PersonID{"p1", "p2", "p3"} {
			factors, err := db.SecondFactors().OfPerson(ctx, p)
			must(t, err)
			for _, f := range factors {
				all = append(all, f.ID+" "+string(f.Sealed))
			}
		}
		keys, err := db.Keys().List(ctx)
		must(t, err)
		for _, k := range keys {
			all = append(all, k.ID+" "+k.State+" "+string(rune('0'+len(k.Private))))
		}
		mappings, err := db.Mappings().List(ctx)
		must(t, err)
		for _, m := range mappings {
			all = append(all, m.GroupID+" on")
		}
		off, err := db.Mappings().ListOff(ctx)
		must(t, err)
		for _, m := range off {
			all = append(all, m.GroupID+" off")
		}
		providers, err := db.ServiceProviders().List(ctx)
		must(t, err)
		for _, sp := range providers {
			word := " off"
			if sp.Enabled {
				word = " on"
			}
			all = append(all, sp.EntityID+word)
		}
		users, err := db.Ledger().List(ctx, store.UserFilter{})
		must(t, err)
		for _, u := range users {
			all = append(all, string(u.Person)+" "+string(u.State))
		}
		return all
	}
	after := []string{
		"codes-2 bc", "factor-2 \x01", "key-1 retired 0", "key-2 active 1", "g3 on", "g2 off", "https://sp2 on",
		"https://sp3 off",
		"person-x suspended", "person-y wanted",
	}
	o := fresh(t)
	db := open(t, o)
	keep(t, db)
	session(t, db, "somebody")
	before := state(db)

	trial := settlement()
	trial.Try = true
	done, err := db.Revocations().Settle(ctx, trial)
	must(t, err)
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("a trial (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, state(db)); diff != "" || events(t, db, "settle") > 0 {
		t.Errorf("a trial has changed something:\n%s", diff)
	}
	// Two replicas that start at once do it once.
	other := open(t, o)
	both := make([]store.Settled, 2)
	for _, err := range all(2, func(i int) (err error) {
		both[i], err = []*store.DB{db, other}[i].Revocations().Settle(ctx, settlement())
		return err
	}) {
		must(t, err)
	}
	if both[0].Factors == 0 {
		both[0], both[1] = both[1], both[0]
	}
	if diff := cmp.Diff(want, both[0]); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
	if both[1].Factors+both[1].Keys+both[1].Mappings+both[1].Users > 0 {
		t.Errorf("settled twice: %+v", both[1])
	}
	if diff := cmp.Diff(after, state(db)); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
	if n := len(invitationsOf(t, o)); n != 1 {
		t.Errorf("%d invitations hold, want the one that was not used", n)
	}
	hold, err := db.Ledger().ProvisioningPause(ctx)
	if err != nil || hold.Reason != "restore" {
		t.Errorf("creations: %+v, %v, want a hold", hold, err)
	}
	// Words that are said from now on are later than those of the journal.
	must(t, db.ServiceProviders().Remove(ctx, "https://sp2", event("later")))
	said, err := db.Revocations().After(ctx, 0, 1000)
	must(t, err)
	if len(said) < 2 || last(said) <= last(words) || said[len(said)-1].Word != store.Revoked {
		t.Errorf("the last word is %d (%+v), want one behind %d", last(said), said[len(said)-1], last(words))
	}

	t.Run("without a journal", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		keep(t, db)
		must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: "person-x", Account: "a1"}, event("s")))
		now := time.Now() // of one moment, so that a proof is of the same reading as the act
		a := &actor{tb: t, db: db, now: func() time.Time { return now }}
		for _, p := range []store.PersonID{"admin", "other"} {
			must(t, db.SecondFactors().Invite(ctx, p, hash("for "+string(p)), time.Hour, false))
			must(t, db.SecondFactors().Enrol(ctx, p, store.Enrolment{
				Act: a.act(p), Factors: []store.SecondFactor{{ID: "of-" + string(p), Person: p, Kind: "code"}},
				Invite: hash("for " + string(p)),
			}))
		}
		a.leave()
		s := settlement()
		s.Words, s.Void, s.Unconfirm = nil, true, func(p store.PersonID) bool { return p == "admin" }
		done, err := db.Revocations().Settle(ctx, s)
		must(t, err)
		if diff := cmp.Diff(store.Settled{Codes: 2, Unconfirmed: 1, Invitations: 2, Signing: 2}, done); diff != "" {
			t.Errorf("settled (-want +got):\n%s", diff)
		}
		confirmed, err := db.SecondFactors().Confirmed(ctx)
		must(t, err)
		if len(confirmed) != 1 || confirmed[0].ID != "of-other" {
			t.Errorf("confirmed are %+v, want that of the other alone", confirmed)
		}
		// ID-33: somebody who gets a role in the console later does not open it by one that may have been removed, nor by
		// what it enrols.
		if f := a.factors("other")["of-other"]; f.Foreign || f.By != store.ByRestored || f.ConfirmedAt.IsZero() ||
			f.OpensConsole() {
			t.Errorf("the factor of somebody without a role is %+v, want it confirmed and of no use for the console", f)
		}
		by := a.act("other")
		var proved error
		by.Session, proved = a.prove(by.Session, a.factors("other")["of-other"], nil)
		must(t, proved)
		by.ReadAt = sessionOf(t, db, by.Session).ReadAt
		must(t, a.enrol(by, "other", "next", store.Enrolment{}))
		if f := a.factors("other")["next"]; f.OpensConsole() || f.ConfirmedAt.IsZero() {
			t.Errorf("what it has enrolled is %+v, want it as the first one", f)
		}
		must(t, db.SecondFactors().Invite(ctx, "other", hash("again"), time.Hour, false))
		_, err = a.prove(a.act("other").Session, a.factors("other")["of-other"], hash("again"))
		must(t, err)
		if f := a.factors("other"); !f["of-other"].OpensConsole() || f["next"].OpensConsole() {
			t.Errorf("after an invitation: %+v, want the one that it confirms to open the console", f)
		}
		a.leave()
		if f, err := db.SecondFactors().OfPerson(ctx, "admin"); err != nil || len(f) != 1 || f[0].Foreign ||
			!f[0].ConfirmedAt.IsZero() {
			t.Errorf("the admin's factors: %+v, %v", f, err)
		}
		got := state(db)
		if slices.Contains(got, "codes-1 abc") || !slices.Contains(got, "factor-1 \x01") || !slices.Contains(got,
			"person-x suspended") || len(invitationsOf(t, o)) > 0 {
			t.Errorf("left: %q", got)
		}
	})
	t.Run("a word whose transaction was cut off", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		keep(t, db)
		cut := store.Settlement{Words: []store.Revocation{{Seq: 99, Entry: "cut", Kind: store.UserObject,
			Word: store.SwitchedOff, At: time.Now()}}, Event: event("cut")}
		must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: "person-x", Account: "a1"}, event("s")))
		all, err := db.Revocations().After(ctx, 0, 100)
		must(t, err)
		cut.Words[0].Object = all[len(all)-1].Object
		must(t, db.Ledger().Resume(ctx, store.UserKey{Person: "person-x", Account: "a1"}, event("s")))
		// Somebody has resumed the user since, under a number that the cut word had too.
		cut.Words[0].Seq = last(all) + 1
		done, err := db.Revocations().Settle(ctx, cut)
		if err != nil || done.Users != 0 || len(done.Outdated) != 1 {
			t.Errorf("an outdated word: %+v, %v", done, err)
		}
		// Nobody has: what was asked for happens now. No session ends for it.
		cut.Words[0].Seq = last(all) + 2
		session(t, db, "somebody")
		done, err = db.Revocations().Settle(ctx, cut)
		if err != nil || done.Users != 1 || done.Sessions != 0 {
			t.Errorf("a cut word: %+v, %v", done, err)
		}
		if hold, err := db.Ledger().ProvisioningPause(ctx); err != nil || !hold.Since.IsZero() {
			t.Errorf("creations: %+v, %v, want no hold", hold, err)
		}
	})
	t.Run("resumed since", func(t *testing.T) {
		db := open(t, fresh(t))
		keep(t, db)
		k := store.UserKey{Person: "person-y", Account: "a1"}
		must(t, db.Ledger().Suspend(ctx, k, event("s"))) // stands in the copy
		done, err := db.Revocations().Settle(ctx, settlement())
		if u, uerr := db.Ledger().Get(ctx, k.Person, k.Account); err != nil || uerr != nil || u.State == store.Suspended ||
			done.Resumed != 1 {
			t.Errorf("%+v, user %+v, %v, %v", done, u, err, uerr)
		}
	})
	t.Run("another group, another base", func(t *testing.T) { testSettleMappings(t, fresh) })
	t.Run("no key is left", func(t *testing.T) {
		db := open(t, fresh(t))
		must(t, db.Keys().Add(ctx, store.SigningKey{ID: "key-1", Use: "signing", State: "active",
			Private: []byte{1}}, event("k")))
		must(t, db.Keys().Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
			r.Choices[""] = store.KeyChoice{Key: "key-1"}
			return nil, nil
		}))
		done, err := db.Revocations().Settle(ctx, settlement())
		if err != nil || done.Signing != 0 || !slices.Equal(done.Missing, []string{"key-2", "key-3"}) {
			t.Errorf("%+v, %v", done, err)
		}
		if choices, err := db.Keys().Choices(ctx); err != nil || len(choices) != 0 {
			t.Errorf("a retired key is still chosen: %+v, %v", choices, err)
		}
	})
}

// invitationsOf are the people whose invitation holds.
func invitationsOf(t *testing.T, o store.Options) []string {
	t.Helper()
	_, rows := read(t, o, `SELECT person_id FROM second_factor_people WHERE invite_ends_at > 0`)
	return rows
}
