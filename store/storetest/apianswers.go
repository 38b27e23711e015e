package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

// testAPIAnswers: one of many gets a request, the others wait for its answer; another request under the key is refused,
// a request that was left behind can be taken once, and an answer is over after a day.
func testAPIAnswers(t *testing.T, fresh func(testing.TB) store.Options) {
	var ahead atomic.Int64
	o := fresh(t)
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := open(t, o)
	ctx, s := t.Context(), db.APIAnswers()
	key, request := hash("key"), hash("request")
	begin := func(request []byte) (store.APIClaim, *store.APIAnswer, error) {
		return s.Begin(ctx, key, request, time.Minute)
	}
	claims := make([]store.APIClaim, 20)
	errs := all(20, func(i int) (err error) {
		claims[i], _, err = begin(request)
		return err
	})
	var mine store.APIClaim
	got := 0
	for i, err := range errs {
		switch {
		case err == nil:
			got, mine = got+1, claims[i]
		case !errors.Is(err, store.ErrInProgress):
			t.Errorf("parallel: %v", err)
		}
	}
	if got != 1 || mine.Again {
		t.Fatalf("%d of 20 got the request", got)
	}
	if _, _, err := begin(hash("other")); !errors.Is(err, store.ErrOtherRequest) {
		t.Errorf("another request: %v", err)
	}
	ahead.Store(int64(2 * time.Minute))
	taken, answer, err := begin(request)
	if err != nil || answer != nil || !taken.Again {
		t.Errorf("a request left behind: %+v, %v, %v", taken, answer, err)
	}
	if _, _, err := begin(request); !errors.Is(err, store.ErrInProgress) {
		t.Errorf("taken twice: %v", err)
	}
	if err := s.End(ctx, mine, store.APIAnswer{Status: 201, Sealed: []byte("late")}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the one that was late: %v", err)
	}
	must(t, s.End(ctx, taken, store.APIAnswer{Status: 202, Sealed: []byte("sealed")}))
	claimedChange(t, db, &ahead)
	if _, answer, err := begin(request); err != nil || answer == nil || answer.Status != 202 ||
		string(answer.Sealed) != "sealed" {
		t.Errorf("again: %+v, %v", answer, err)
	}
	if err := s.End(ctx, taken, store.APIAnswer{Status: 202, Sealed: make([]byte, 80<<10)}); !errors.Is(err,
		store.ErrLimit) {
		t.Errorf("a large answer: %v", err)
	}

	dropped, _, err := s.Begin(ctx, hash("key two"), request, time.Minute)
	must(t, err)
	must(t, s.Drop(ctx, dropped))
	if c, _, err := s.Begin(ctx, hash("key two"), hash("other"), time.Minute); err != nil || c.Again {
		t.Errorf("after it was dropped: %+v, %v", c, err)
	}

	ahead.Store(int64(25 * time.Hour))
	if c, answer, err := begin(hash("other")); err != nil || answer != nil || c.Again {
		t.Errorf("after a day: %+v, %v, %v", c, answer, err)
	}
	if n, err := s.Purge(ctx); n != 4 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

// testOrderedByKey: what a program has ordered under a key is found by it, for as long as is asked; nothing is found
// under no key.
func testOrderedByKey(t *testing.T, fresh func(testing.TB) store.Options) {
	db := open(t, fresh(t))
	ctx, s := t.Context(), db.Accounts()
	want := func(login, key string) store.AccountRequest {
		t.Helper()
		r, err := s.WantAccount(ctx, store.AccountRequest{LoginName: login, OrganizationName: "o",
			Body: json.RawMessage(`{"a":1}`), Person: "p1", CreatedBy: "token:x", Key: key, PartnerID: "of " + key}, event("r"))
		must(t, err)
		return r
	}
	want("none", "")
	first := want("first", "k")
	if r, err := s.AccountRequestByKey(ctx, "k", time.Now().Add(-time.Hour)); err != nil || r.ID != first.ID || r.Key != "k" {
		t.Errorf("by its key: %+v, %v", r, err)
	}
	second := want("second", "k")
	if r, err := s.AccountRequestByKey(ctx, "k", time.Now().Add(-time.Hour)); err != nil || r.ID != second.ID {
		t.Errorf("the newest of a key: %+v, %v", r, err)
	}
	for name, at := range map[string]time.Time{"k": time.Now().Add(time.Hour), "": time.Now().Add(-time.Hour),
		"other": time.Now().Add(-time.Hour)} {
		if r, err := s.AccountRequestByKey(ctx, name, at); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("key %q since %v: %+v, %v", name, at, r, err)
		}
	}
	if r, err := s.AccountRequestByPartner(ctx, "of k"); err != nil || r.Key != "k" || r.PartnerID != "of k" {
		t.Errorf("by the partner's id: %+v, %v", r, err)
	}
	if _, err := s.AccountRequestByPartner(ctx, "nosuch"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by another id: %v", err)
	}
	// One that was created says what there is, whatever was refused since; then what is not at its end.
	ends := func(key, state string) store.AccountRequest {
		t.Helper()
		r := want(fmt.Sprint(key, state, time.Now().UnixNano()), key)
		if state != store.RequestWanted {
			r.State = state
			must(t, s.SettleAccount(ctx, r, store.RequestWanted, event("r")))
		}
		return r
	}
	byPartner := func(key string, want store.AccountRequest) {
		t.Helper()
		if r, err := s.AccountRequestByPartner(ctx, "of "+key); err != nil || r.ID != want.ID {
			t.Errorf("by the partner's id: %+v, %v, want %d", r, err, want.ID)
		}
	}
	byPartner("p", ends("p", store.RequestRefused))
	byPartner("p", ends("p", store.RequestConflict))
	open1 := ends("p", store.RequestWanted)
	ends("p", store.RequestRefused)
	byPartner("p", open1)
	there := ends("p", store.RequestCreated)
	ends("p", store.RequestWanted)
	ends("p", store.RequestConflict)
	byPartner("p", there)
	// Open orders come by their numbers, those of other actors and those that have ended do not.
	open, err := s.OpenOrders(ctx, "token:", time.Now().Add(-time.Hour), 0, 10)
	if err != nil || len(open) < 3 || open[0].ID >= open[1].ID {
		t.Errorf("open orders: %+v, %v", open, err)
	}
	if rest, err := s.OpenOrders(ctx, "token:", time.Time{}, open[0].ID, 1); err != nil || len(rest) != 1 ||
		rest[0].ID != open[1].ID {
		t.Errorf("behind the first: %+v, %v", rest, err)
	}
	if none, err := s.OpenOrders(ctx, "admin:", time.Time{}, 0, 10); err != nil || len(none) != 0 {
		t.Errorf("of administrators: %+v, %v", none, err)
	}
	ended := open[0]
	ended.State = store.RequestUnknown
	must(t, s.SettleAccount(ctx, ended, store.RequestWanted, event("r")))
	if rest, err := s.OpenOrders(ctx, "token:", time.Now().Add(time.Hour), 0, 10); err != nil || len(rest) != len(open)-1 {
		t.Errorf("those that may still be sent: %+v, %v", rest, err)
	}
}

// testFollow: events are followed by their place in the chain: each once, in order, also those whose number is lower
// than that of one before.
func testFollow(t *testing.T, fresh func(testing.TB) store.Options) {
	db := open(t, fresh(t))
	ctx, a := t.Context(), db.Audit()
	must(t, a.Add(ctx, event("one"), event("two")))
	if all, err := a.Follow(ctx, 0, 10); err != nil || len(all) != 0 {
		t.Errorf("before they are chained: %+v, %v", all, err)
	}
	_, err := a.Chain(ctx)
	must(t, err)
	must(t, a.Add(ctx, event("three")))
	_, err = a.Chain(ctx)
	must(t, err)
	var refs []string
	for after := int64(0); ; {
		all, err := a.Follow(ctx, after, 2)
		must(t, err)
		if len(all) == 0 {
			break
		}
		for _, e := range all {
			if e.Seq <= after {
				t.Errorf("%d after %d", e.Seq, after)
			}
			after, refs = e.Seq, append(refs, e.Ref)
		}
	}
	if len(refs) != 3 || refs[0] != "one" || refs[2] != "three" {
		t.Errorf("followed %q", refs)
	}
}

// claimedChange: whoever takes over a request knows what was made of it, by the transaction that made it; who was taken
// for dead makes nothing any more.
func claimedChange(t *testing.T, db *store.DB, ahead *atomic.Int64) {
	t.Helper()
	ctx, s := t.Context(), db.APIAnswers()
	key, request := hash("claimed"), hash("a mapping")
	add := func(c store.APIClaim, act string, priority int) (int64, error) {
		return db.Mappings().Add(store.Claiming(ctx, c, act), store.Mapping{
			Kind: store.GroupMapping, GroupDN: fmt.Sprint("cn=claimed", priority),
			Account: "a07e1n4i8vp", Role: store.AccountManager, Priority: priority,
		}, nil, event("mapping-add"))
	}
	first, _, err := s.Begin(ctx, key, request, time.Minute)
	must(t, err)
	ahead.Add(int64(2 * time.Minute))
	second, _, err := s.Begin(ctx, key, request, time.Minute)
	if err != nil || !second.Again || second.Made != "" {
		t.Fatalf("taken over before anything was done: %+v, %v", second, err)
	}
	before := events(t, db, "mapping-add")
	if _, err := add(first, "test", 900); !errors.Is(err, store.ErrInProgress) ||
		events(t, db, "mapping-add") != before {
		t.Errorf("the one that was taken for dead: %v, %d events", err, events(t, db, "mapping-add")-before)
	}
	id, err := add(second, "test", 900)
	must(t, err)
	ahead.Add(int64(2 * time.Minute))
	third, _, err := s.Begin(ctx, key, request, time.Minute)
	if err != nil || !third.Again || third.Made != strconv.FormatInt(id, 10) {
		t.Errorf("taken over after it was done: %+v, %v, want %d", third, err, id)
	}
	// What is no part of the act notes nothing.
	other, _, err := s.Begin(ctx, hash("other claim"), request, time.Minute)
	must(t, err)
	_, err = add(other, "suspend-user", 901)
	must(t, err)
	ahead.Add(int64(2 * time.Minute))
	if again, _, err := s.Begin(ctx, hash("other claim"), request, time.Minute); err != nil || again.Made != "" {
		t.Errorf("another act: %+v, %v", again, err)
	}
	// Nor does an act that did not come to a good end: whoever asks again must not be told that it is done.
	failed, _, err := s.Begin(ctx, hash("failed claim"), request, time.Minute)
	must(t, err)
	for _, outcome := range []string{"failed", "refused", "unknown"} {
		e := event("cancelled")
		e.Action, e.Outcome = "account-cancel", outcome
		must(t, db.Audit().Add(store.Claiming(ctx, failed, "account-cancel"), e))
	}
	ahead.Add(int64(2 * time.Minute))
	failed, _, err = s.Begin(ctx, hash("failed claim"), request, time.Minute)
	if err != nil || !failed.Again || failed.Made != "" {
		t.Errorf("taken over after it has failed: %+v, %v", failed, err)
	}
	e := event("cancelled")
	e.Action, e.Outcome = "account-cancel", "ok"
	must(t, db.Audit().Add(store.Claiming(ctx, failed, "account-cancel"), e))
	ahead.Add(int64(2 * time.Minute))
	if again, _, err := s.Begin(ctx, hash("failed claim"), request, time.Minute); err != nil || again.Made == "" {
		t.Errorf("taken over after it was done at the second try: %+v, %v", again, err)
	}
}
