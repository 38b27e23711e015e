package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// thereAt is a user who is at Constant Contact already.
func thereAt(tb testing.TB, db *store.DB, p store.PersonID, a store.AccountID, role store.Role) store.UserKey {
	tb.Helper()
	u := store.SSOUser{Person: p, Account: a, ExternalID: fmt.Sprintf("%s-%s", p, a), ExternalProvider: "partner",
		Role: role, State: store.Active}
	_, err := db.Ledger().Adopt(tb.Context(), []store.SSOUser{u}, event("adopt"))
	must(tb, err)
	return store.UserKey{Person: p, Account: a}
}

// testFirstSignIn: the first sign-in of a person at a client account leaves one event and one notice, in the
// transaction that records it; later ones write nothing of it for a day (row NTC-09).
func testFirstSignIn(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db, replica := open(t, o), open(t, o)
	n := session(t, db, "anna")
	signsIn := func(in *store.DB, k store.UserKey, row store.SSOUser) error {
		e := store.Event{Ref: "r", Action: "sign-in", Subject: string(k.Person), Account: k.Account, SP: "sp", Outcome: "ok"}
		first := e
		first.Action = "first-sign-in"
		return in.SignIns().Finish(ctx, store.Issue{
			Participation: &store.Participation{TokenHash: n.TokenHash, EntityID: "sp", NameID: "x"},
			Ledger:        row.NoteSignIn(o.Now(), first), Events: []store.Event{e}})
	}
	read := func(k store.UserKey) store.SSOUser {
		t.Helper()
		row, err := db.Ledger().Get(ctx, k.Person, k.Account)
		must(t, err)
		return row
	}
	told := func(k store.UserKey) (all int) {
		t.Helper()
		list, err := db.Audit().List(ctx, store.Filter{Action: "first-sign-in", Account: k.Account, Limit: 10})
		must(t, err)
		return len(list)
	}

	k := thereAt(t, db, "anna", "a1", store.AccountManager)
	before := read(k)
	if !before.FirstSignIn.IsZero() || !before.SignedIn.IsZero() {
		t.Errorf("before: %+v", before)
	}
	for _, err := range all(8, func(i int) error { return signsIn([]*store.DB{db, replica}[i%2], k, before) }) {
		must(t, err)
	}
	row := read(k)
	if row.FirstSignIn.IsZero() || !row.SignedIn.Equal(row.FirstSignIn) || told(k) != 1 {
		t.Errorf("after eight at once: first %v, last %v, %d events", row.FirstSignIn, row.SignedIn, told(k))
	}
	if row.UpdatedAt != before.UpdatedAt || row.State != before.State {
		t.Errorf("the row has changed otherwise: %+v, want %+v", row, before)
	}
	if row.NoteSignIn(o.Now(), store.Event{}) != nil {
		t.Error("the same day is noted once more")
	}
	ahead.Store(int64(25 * time.Hour))
	must(t, signsIn(db, k, row))
	if later := read(k); !later.SignedIn.After(row.SignedIn) || !later.FirstSignIn.Equal(row.FirstSignIn) || told(k) != 1 {
		t.Errorf("a day later: %+v, %d events", later, told(k))
	}
	// A clock that ran ahead and was put right does not keep the time.
	if read(k).NoteSignIn(o.Now().Add(-25*time.Hour), store.Event{}) == nil {
		t.Error("a time that lies ahead stays")
	}

	// Somebody whose sign-ins are older than the note of them: the audit log knows.
	old := thereAt(t, db, "anna", "a2", store.AccountManager)
	must(t, db.Audit().Add(ctx, store.Event{Action: "sign-in", Subject: "anna", Account: "a2", Outcome: "ok"}))
	must(t, signsIn(db, old, read(old)))
	if row := read(old); row.FirstSignIn.IsZero() || told(old) != 0 {
		t.Errorf("signed in before: %+v, %d events", row, told(old))
	}
	// A Response that is not recorded is no sign-in.
	lost := thereAt(t, db, "anna", "a3", store.AccountManager)
	note := read(lost).NoteSignIn(o.Now(), store.Event{Action: "first-sign-in", Account: "a3", Outcome: "ok"})
	if err := db.SignIns().Finish(ctx, store.Issue{Participation: &store.Participation{TokenHash: hash("nobody"),
		EntityID: "sp"}, Ledger: note}); err == nil {
		t.Error("a sign-in of a session that is over")
	}
	if row := read(lost); !row.SignedIn.IsZero() || told(lost) != 0 {
		t.Errorf("noted without a Response: %+v", row)
	}
	if (store.SSOUser{}).NoteSignIn(o.Now(), store.Event{}) != nil {
		t.Error("somebody without a row is noted")
	}
	subscribe(t, db, "all", "user.*")
	_, err := db.Notices().Spread(ctx)
	must(t, err)
	if got := delivered(t, db, "sub-all"); !slices.Equal(got, []string{"user.first_sign_in waiting"}) {
		t.Errorf("notices %q", got)
	}
}

// testUse: people are counted by client account and role, in batches of any size; who has left is not (row REST-18).
func testUse(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	for i := range 7 {
		thereAt(t, db, store.PersonID(fmt.Sprint("p", i)), "a1", store.AccountManager)
	}
	thereAt(t, db, "q1", "a1", store.CampaignCreator)
	thereAt(t, db, "p1", "a2", store.CampaignCreator)
	for _, p := range []store.PersonID{"w1", "w2"} {
		_, _, err := db.Ledger().Enqueue(ctx, store.SSOUser{Person: p, Account: "a1", ExternalID: "x-" + string(p),
			ExternalProvider: "partner", Role: store.CampaignCreator}, event("want"))
		must(t, err)
	}
	must(t, db.Ledger().Suspend(ctx, store.UserKey{Person: "p6", Account: "a1"}, event("suspend")))
	leaver := creation("p5")
	leaver.Kind, leaver.Person, leaver.Account = store.ItemLeaver, "p5", "a1"
	must(t, db.Plans().SetManualTasks(ctx, plan(t, db, "watch", leaver).ID))
	raw := rawDB(t, o)
	for p, ago := range map[string]time.Duration{"p0": time.Hour, "p1": 29 * 24 * time.Hour, "p2": 31 * 24 * time.Hour,
		"p5": time.Hour} {
		_, err := raw.Exec(`UPDATE sso_users SET signed_in_at = $1 WHERE person_id = $2 AND account = 'a1'`,
			time.Now().Add(-ago).UnixMicro(), p)
		must(t, err)
	}
	for account, want := range map[store.AccountID]string{"a1": "account_manager 6 6 2, campaign_creator 3 1 0",
		"a2": "campaign_creator 1 1 0", "a3": ""} {
		for range 2 { // many are remembered
			all, err := db.Ledger().Use(ctx, account)
			must(t, err)
			var got []string
			for _, u := range all {
				got = append(got, fmt.Sprint(u.Role, " ", u.Entitled, " ", u.Created, " ", u.SignedIn))
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("%s: %q, want %s", account, got, want)
			}
		}
	}
}
