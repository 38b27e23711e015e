package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
)

// subscribe stores a subscription of this name to these classes.
func subscribe(tb testing.TB, db *store.DB, name string, classes ...string) store.Subscription {
	tb.Helper()
	s := store.Subscription{ID: "sub-" + name, Name: name, Kind: "webhook", Classes: classes,
		Sealed: []byte("sealed " + name)}
	must(tb, db.Notices().Subscribe(tb.Context(), s, event("subscribe")))
	return s
}

// delivered tells what became of notices at a subscription, the oldest first: class and state.
func delivered(tb testing.TB, db *store.DB, subscription string) (all []string) {
	tb.Helper()
	list, err := db.Notices().Deliveries(tb.Context(), store.DeliveryFilter{Subscription: subscription, Limit: 1000})
	must(tb, err)
	for _, d := range list {
		all = append(all, string(d.Class)+" "+d.State)
	}
	slices.Reverse(all)
	return all
}

// testNotices: each event is noticed in its own transaction, by its class, and given once to whoever wants it (row
// NTC-01).
func testNotices(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("classes", func(t *testing.T) {
		db := open(t, fresh(t))
		subscribe(t, db, "all", "*")
		person := func(action, outcome, reason string) store.Event {
			return store.Event{Ref: "r1", Actor: "worker", Action: action, Subject: "p1", Account: "a1", Outcome: outcome,
				Reason: reason}
		}
		enter := func(who string) store.Event {
			return store.Event{Actor: who, Action: "console-enter", Subject: who, Outcome: "ok"}
		}
		must(t, db.Audit().Add(ctx,
			person("create-user", "ok", "created"), person("create-user", "refused", "conflict"),
			person("create-user", "refused", "bad_request"), person("create-user", "failed", "unknown"),
			person("sign-in", "ok", ""), person("login", "refused", "credentials"),
			person("plan-stop", "ok", ""), person("plan-done", "ok", ""), person("hold", "ok", "admin"),
			person("release", "ok", ""), person("second-factor-reset", "ok", ""), person("second-factor-enrol", "ok", ""),
			person("second-factor-enrol", "refused", ""), person("foreign-rows", "refused", "no_valid_mac"),
			enter("admin-1"), enter("admin-1"), enter("admin-2"), person("self-order", "ok", ""),
			person("self-order", "ok", store.SelfOrderWaiting)))
		must(t, db.Audit().Add(ctx, enter("admin-1")))
		must(t, db.Accounts().ReplaceAll(ctx, []store.Account{{ID: "a1", Name: "A", BillingStatus: "Open"},
			{ID: "a2", Name: "B", BillingStatus: "Open"}, {ID: "a3", Name: "C", BillingStatus: "Open"}}, event("list")))
		must(t, db.Accounts().Put(ctx, store.Account{ID: "a3", BillingStatus: "Open", PlanType: "SILVER"}, event("read")))
		must(t, db.Accounts().Put(ctx, store.Account{ID: "a3", BillingStatus: "Open", PlanType: "GOLD"}, event("read")))
		must(t, db.Accounts().ReplaceAll(ctx, []store.Account{{ID: "a1", Name: "A", BillingStatus: "Canceled"},
			{ID: "a2", Name: "B", BillingStatus: "Disabled"}, {ID: "a3", Name: "C", BillingStatus: "Trial"},
			{ID: "a4", Name: "D", BillingStatus: "Canceled"}}, event("list")))
		items := []store.PlanItem{}
		for i, kind := range []string{store.ItemLeaver, store.ItemDrift} {
			item := creation("someone")
			item.Kind, item.Account = kind, store.AccountID(fmt.Sprint("a", i))
			items = append(items, item)
		}
		p := plan(t, db, "watch", items...)
		must(t, db.Plans().SetManualTasks(ctx, p.ID))
		must(t, db.Plans().SetManualTasks(ctx, p.ID)) // it was cut off, say
		must(t, db.Plans().SetManualTasks(ctx, plan(t, db, "watch", items...).ID))
		n, err := db.Notices().Spread(ctx)
		must(t, err)
		want := []string{"user.created", "user.conflict", "user.refused", "plan.paused", "plan.done", "provisioning.paused",
			"provisioning.resumed", "factor.reset", "factor.added", "audit.tampered", "admin.new", "admin.new",
			"account.order_waiting", "account.tier_changed", "account.cancelled", "account.disabled", "account.status_changed",
			"person.left", "person.role_drift"}
		if n != len(want) {
			t.Errorf("%d notices, want %d", n, len(want))
		}
		got := delivered(t, db, "sub-all")
		for i := range want {
			want[i] += " waiting"
		}
		slices.Sort(got[min(17, len(got)):]) // a batch of manual tasks has no order
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
		if n, err := db.Notices().Spread(ctx); n != 0 || err != nil {
			t.Errorf("spread again: %d, %v", n, err)
		}
		// What is not committed is not noticed.
		if err := db.Accounts().Put(ctx, store.Account{ID: "a1", BillingStatus: "Open", PlanType: "GOLD"},
			store.Event{Action: "read", Detail: []byte("{")}); err == nil {
			t.Error("an event that can't be stored was")
		}
		if n, err := db.Notices().Spread(ctx); n != 0 || err != nil {
			t.Errorf("a change that failed was noticed: %d, %v", n, err)
		}
	})
	t.Run("who gets them", func(t *testing.T) {
		db := open(t, fresh(t))
		for name, classes := range map[string][]string{"one": {"user.created"}, "group": {"account.*", "heartbeat"},
			"none": {"budget.low"}} {
			subscribe(t, db, name, classes...)
		}
		for _, n := range []store.NoticeRecord{{Class: store.NoticeUserCreated}, {Class: store.NoticeAccountTier},
			{Class: store.NoticeHeartbeat, Cause: "h1"}, {Class: store.NoticeHeartbeat, Cause: "h1"},
			{Class: store.NoticeBudgetLow, NotTo: "sub-none"}} {
			must(t, db.Notices().Add(ctx, n))
		}
		if n, err := db.Notices().Spread(ctx); n != 4 || err != nil {
			t.Errorf("%d notices, %v, want 4: a cause is reported once", n, err)
		}
		for name, want := range map[string][]string{"one": {"user.created waiting"},
			"group": {"account.tier_changed waiting", "heartbeat waiting"}, "none": nil} {
			if got := delivered(t, db, "sub-"+name); !slices.Equal(got, want) {
				t.Errorf("%s got %q, want %q", name, got, want)
			}
		}
	})
	t.Run("states", func(t *testing.T) {
		o := fresh(t)
		db, other := open(t, o), open(t, o)
		set := func(on bool) {
			errs := all(4, func(i int) error {
				in := db
				if i%2 == 1 {
					in = other
				}
				class := store.NoticeDirectoryDown
				if !on {
					class = store.NoticeDirectoryUp
				}
				return in.Notices().SetState(ctx, "state:directory", on, store.NoticeRecord{Class: class})
			})
			must(t, errors.Join(errs...))
		}
		set(false)
		set(true)
		states, err := db.Notices().States(ctx)
		if err != nil || len(states) != 1 || states["state:directory"].IsZero() {
			t.Errorf("states %v, %v", states, err)
		}
		set(false)
		if n, err := db.Notices().Spread(ctx); n != 2 || err != nil {
			t.Errorf("%d notices, %v, want that it began and that it ended", n, err)
		}
	})
	t.Run("too many wait", func(t *testing.T) {
		db := open(t, fresh(t))
		subscribe(t, db, "slow", "user.created")
		events := make([]store.Event, 500)
		for i := range events {
			events[i] = store.Event{Actor: "worker", Action: "create-user", Subject: fmt.Sprint("p", i), Outcome: "ok"}
		}
		for range 3 {
			must(t, db.Audit().Add(ctx, events...))
		}
		if n, err := db.Notices().Spread(ctx); n != 1500 || err != nil {
			t.Fatalf("%d notices, %v", n, err)
		}
		subs, err := db.Notices().Subscriptions(ctx)
		must(t, err)
		waiting, err := db.Notices().Waiting(ctx, "sub-slow")
		must(t, err)
		if waiting != store.NoticesWaiting || subs[0].Dropped != 500 || subs[0].DroppedAt.IsZero() {
			t.Errorf("%d wait, %d dropped, want 1000 and 500", waiting, subs[0].Dropped)
		}
		list, err := db.Notices().Deliveries(ctx, store.DeliveryFilter{Undelivered: true, Limit: 1000})
		must(t, err)
		if len(list) != 500 || list[0].State != store.DeliveryDropped {
			t.Errorf("%d undelivered", len(list))
		}
	})
	t.Run("purge", func(t *testing.T) {
		o := fresh(t)
		db := open(t, o)
		subscribe(t, db, "all", "*")
		for range 3 {
			must(t, db.Notices().Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow}))
		}
		_, err := db.Notices().Spread(ctx)
		must(t, err)
		_, err = rawDB(t, o).Exec(`UPDATE notices SET at = at - $1 WHERE id = 2`, (32 * 24 * time.Hour).Microseconds())
		must(t, err)
		if n, err := db.Notices().Purge(ctx); n != 1 || err != nil {
			t.Errorf("purged %d, %v, want 1", n, err)
		}
		if got := delivered(t, db, "sub-all"); len(got) != 2 {
			t.Errorf("left %q", got)
		}
	})
}

// testSubscriptions: subscriptions are stored, changed by who has seen them as they are, and removed with all that
// waits.
func testSubscriptions(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	was := subscribe(t, db, "billing", "account.*")
	subscribe(t, db, "other", "*")
	again := was
	again.ID = "another"
	if err := db.Notices().Subscribe(ctx, again, event("again")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same name again: %v, want ErrConflict", err)
	}
	now := was
	now.Name, now.Classes, now.Sealed, now.Names, now.QuietFrom, now.QuietUntil = "billing 2",
		[]string{"account.*", "user.created"}, []byte("new"), true, 60, 120
	must(t, db.Notices().SetSubscription(ctx, was, now, event("set")))
	if err := db.Notices().SetSubscription(ctx, was, now, event("set")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("changed by who has not seen it: %v, want ErrConflict", err)
	}
	taken := now
	taken.Name = "other"
	if err := db.Notices().SetSubscription(ctx, now, taken, event("set")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the name of another: %v, want ErrConflict", err)
	}
	must(t, db.Notices().ResealSubscription(ctx, was.ID, []byte("new"), []byte("newer")))
	if err := db.Notices().ResealSubscription(ctx, was.ID, []byte("new"), []byte("x")); !errors.Is(err,
		store.ErrConflict) {
		t.Errorf("sealed anew by who has not seen it: %v, want ErrConflict", err)
	}
	list, err := db.Notices().Subscriptions(ctx)
	must(t, err)
	now.Sealed, now.CreatedAt = []byte("newer"), list[0].CreatedAt
	if len(list) != 2 || fmt.Sprint(list[0]) != fmt.Sprint(now) || now.CreatedAt.IsZero() {
		t.Errorf("got %+v, want %+v", list, now)
	}
	must(t, db.Notices().Add(ctx, store.NoticeRecord{Class: store.NoticeUserCreated}))
	_, err = db.Notices().Spread(ctx)
	must(t, err)
	if err := db.Notices().Unsubscribe(ctx, was, event("remove")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("removed by who has not seen it: %v, want ErrConflict", err)
	}
	must(t, db.Notices().Unsubscribe(ctx, now, event("remove")))
	if err := db.Notices().Unsubscribe(ctx, now, event("remove")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v, want ErrNotFound", err)
	}
	if err := db.Notices().SetSubscription(ctx, now, now, event("set")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("changed after its removal: %v, want ErrNotFound", err)
	}
	if got := delivered(t, db, was.ID); len(got) != 0 {
		t.Errorf("left %q", got)
	}
	if got := delivered(t, db, "sub-other"); len(got) != 1 {
		t.Errorf("another one's %q", got)
	}
	for i := 1; i < store.MaxSubscriptions; i++ {
		subscribe(t, db, strings.Repeat("x", i), "*")
	}
	if err := db.Notices().Subscribe(ctx, was, event("many")); !errors.Is(err, store.ErrManySubscriptions) {
		t.Errorf("one more than there may be: %v", err)
	}
}

// testResend: deliveries come in pages that overlap nowhere, and what was given up, dropped or sent goes once more, at
// once, for as long as a new one, and no more than may wait (row NTC-08).
func testResend(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	one := subscribe(t, db, "one", "budget.low")
	subscribe(t, db, "two", "budget.low")
	for range 5 {
		must(t, db.Notices().Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow}))
	}
	_, err := db.Notices().Spread(ctx)
	must(t, err)
	page := func(f store.DeliveryFilter) (all []store.DeliveryKey) {
		t.Helper()
		for {
			f.Limit = 3
			list, err := db.Notices().Deliveries(ctx, f)
			must(t, err)
			for _, d := range list {
				all = append(all, d.Key())
			}
			if len(list) < f.Limit {
				return all
			}
			f.Before = list[len(list)-1].Key()
		}
	}
	whole, err := db.Notices().Deliveries(ctx, store.DeliveryFilter{})
	must(t, err)
	var want []store.DeliveryKey
	for _, d := range whole {
		want = append(want, d.Key())
	}
	if got := page(store.DeliveryFilter{}); len(got) != 10 || !slices.Equal(got, want) {
		t.Errorf("in pages %v, want %v", got, want)
	}
	if got := page(store.DeliveryFilter{Subscription: one.ID}); len(got) != 5 {
		t.Errorf("of one subscription in pages: %v", got)
	}
	if got := page(store.DeliveryFilter{Notice: 2}); len(got) != 2 {
		t.Errorf("of one notice: %v", got)
	}
	c, ok, err := db.Notices().Claim(ctx, one.ID, "a", time.Minute)
	if err != nil || !ok || len(c.Due) != 5 {
		t.Fatalf("claimed %+v, %v", c, err)
	}
	must(t, db.Notices().Settle(ctx, store.DeliveryResult{Subscription: one.ID, Holder: "a", Notices: []int64{1}, OK: true,
		Answer: "200"}))
	_, ok, err = db.Notices().Claim(ctx, one.ID, "a", time.Minute)
	if err != nil || !ok {
		t.Fatalf("claimed %v, %v", ok, err)
	}
	must(t, db.Notices().Settle(ctx, store.DeliveryResult{Subscription: one.ID, Holder: "a", Notices: []int64{2, 3},
		Dead: []int64{2, 3}, Answer: "500", Failures: 9, Next: c.Now.Add(5 * time.Minute), RetryAt: c.Now.Add(time.Hour)}))
	if got := page(store.DeliveryFilter{Subscription: one.ID, Undelivered: true}); len(got) != 2 {
		t.Errorf("undelivered in pages: %v", got)
	}
	resend := func(want int, notices ...int64) {
		t.Helper()
		e := event("resend")
		e.Action = "notices-resend"
		if n, err := db.Notices().Resend(ctx, one.ID, notices, e); n != want || err != nil {
			t.Errorf("%v sent once more: %d, %v, want %d", notices, n, err, want)
		}
	}
	resend(0, 99)
	if _, ok, err := db.Notices().Claim(ctx, one.ID, "a", time.Minute); ok || err != nil {
		t.Errorf("due within the pause: %v, %v", ok, err)
	}
	resend(1, 1)
	// Asked for under a key by a process that died since, it is known how many there were.
	claim, _, err := db.APIAnswers().Begin(ctx, hash("resend"), hash("request"), time.Nanosecond)
	must(t, err)
	again := event("resend")
	again.Action = "notices-resend"
	n, err := db.Notices().Resend(store.Claiming(ctx, claim, again.Action), one.ID, []int64{1}, again)
	if n != 1 || err != nil {
		t.Errorf("under a key: %d, %v", n, err)
	}
	late, _, err := db.APIAnswers().Begin(ctx, hash("resend"), hash("request"), time.Minute)
	if err != nil || late.Made != "1" {
		t.Errorf("asked for again: %+v, %v, want 1 made", late, err)
	}
	resend(1, 2, 2) // named twice, it is one, and the other one is given up still
	list, err := db.Notices().Subscriptions(ctx)
	if err != nil || !slices.ContainsFunc(list, func(s store.Subscription) bool {
		return s.ID == one.ID && s.Dead == 1 && !s.DeadAt.IsZero()
	}) {
		t.Errorf("with one that is given up: %+v, %v", list, err)
	}
	resend(1)
	resend(0)
	resend(1, 4) // it waits: it is tried at once
	c, ok, err = db.Notices().Claim(ctx, one.ID, "a", time.Minute)
	if err != nil || !ok || len(c.Due) != 5 || c.Failures != 0 || c.Dead != 0 || !c.DeadAt.IsZero() {
		t.Errorf("claimed %+v, %v", c, err)
	}
	for _, d := range c.Due {
		if d.Tries != 0 || c.Now.Sub(d.CreatedAt) > time.Minute {
			t.Errorf("notice %d: %d tries since %v", d.ID, d.Tries, d.CreatedAt)
		}
	}
	events, err := db.Audit().List(ctx, store.Filter{Action: "notices-resend", Limit: 10})
	if err != nil || len(events) != 5 || events[0].Subject != "one" {
		t.Errorf("events %+v, %v", events, err)
	}
	if _, err := db.Notices().Resend(ctx, "nosuch", nil, event("resend")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of no subscription: %v, want ErrNotFound", err)
	}
	if _, err := db.Notices().Resend(ctx, one.ID, make([]int64, 101), event("resend")); err == nil {
		t.Error("101 numbers were taken")
	}
	// No more wait than may.
	full := subscribe(t, db, "full", "user.created")
	events = make([]store.Event, 1002)
	for i := range events {
		events[i] = store.Event{Actor: "worker", Action: "create-user", Subject: fmt.Sprint("p", i), Outcome: "ok"}
	}
	must(t, db.Audit().Add(ctx, events[:501]...))
	must(t, db.Audit().Add(ctx, events[501:]...))
	_, err = db.Notices().Spread(ctx)
	must(t, err)
	dropped, err := db.Notices().Deliveries(ctx, store.DeliveryFilter{Subscription: full.ID, Undelivered: true})
	if err != nil || len(dropped) != 2 {
		t.Fatalf("%d were dropped, %v", len(dropped), err)
	}
	for _, notices := range [][]int64{nil, {dropped[0].ID}} {
		if n, err := db.Notices().Resend(ctx, full.ID, notices, event("resend")); n != 0 || err != nil {
			t.Errorf("sent beyond those that may wait: %d, %v", n, err)
		}
	}
}

// testMendedReceiver: what waits out the pause of a receiver that failed is due at once when that is changed.
func testMendedReceiver(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	sub := subscribe(t, db, "one", "budget.low")
	must(t, db.Notices().Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow}))
	_, err := db.Notices().Spread(ctx)
	must(t, err)
	c, ok, err := db.Notices().Claim(ctx, sub.ID, "a", time.Minute)
	if err != nil || !ok {
		t.Fatalf("nothing to claim: %v", err)
	}
	must(t, db.Notices().Settle(ctx, store.DeliveryResult{Subscription: sub.ID, Holder: "a", Answer: "404",
		Notices: []int64{c.Due[0].ID}, Failures: 9, Next: c.Now.Add(5 * time.Minute), RetryAt: c.Now.Add(6 * time.Hour)}))
	if _, ok, err := db.Notices().Claim(ctx, sub.ID, "a", time.Minute); ok || err != nil {
		t.Errorf("due within the pause: %v, %v", ok, err)
	}
	mended := sub
	mended.Sealed = []byte("another address")
	must(t, db.Notices().SetSubscription(ctx, sub, mended, event("set")))
	if c, ok, err := db.Notices().Claim(ctx, sub.ID, "a", time.Minute); !ok || err != nil || len(c.Due) != 1 {
		t.Errorf("not due after the change: %v, %v, %+v", ok, err, c.Due)
	}
}

// testClaimNotices: of several replicas one delivers, another goes on when that one died, and what is settled is
// settled by who has claimed it.
func testClaimNotices(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, other := open(t, o), open(t, o)
	sub := subscribe(t, db, "one", "budget.low")
	subscribe(t, db, "helper", "notice.*")
	claim := func(by string, in *store.DB, want ...int64) store.Claimed {
		t.Helper()
		c, ok, err := in.Notices().Claim(ctx, sub.ID, by, time.Minute)
		must(t, err)
		var got []int64
		for _, d := range c.Due {
			got = append(got, d.ID)
		}
		if ok != (len(want) > 0) || !slices.Equal(got, want) {
			t.Errorf("%s got %v, want %v", by, got, want)
		}
		return c
	}
	claim("a", db)
	for range 3 {
		must(t, db.Notices().Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow, Detail: []byte(`{"used":1}`)}))
	}
	_, err := other.Notices().Spread(ctx)
	must(t, err)
	won := 0
	for _, err := range all(6, func(i int) error {
		in := db
		if i%2 == 1 {
			in = other
		}
		_, ok, err := in.Notices().Claim(ctx, sub.ID, fmt.Sprint(i), time.Minute)
		if ok {
			return store.ErrFinished
		}
		return err
	}) {
		if errors.Is(err, store.ErrFinished) {
			won++
			continue
		}
		must(t, err)
	}
	if won != 1 {
		t.Errorf("%d replicas deliver at once, want 1", won)
	}
	// It dies: its lease runs out.
	_, err = rawDB(t, o).Exec(`UPDATE notice_subscriptions SET held_until = $1 WHERE held_until > 0`,
		time.Now().Add(-time.Second).UnixMicro())
	must(t, err)
	c := claim("b", other, 1, 2, 3)
	if c.Now.IsZero() || string(c.Due[0].Detail) != `{"used":1}` || c.Due[0].CreatedAt.IsZero() {
		t.Errorf("claimed %+v", c)
	}
	settle := func(in *store.DB, r store.DeliveryResult) error {
		r.Subscription = sub.ID
		return in.Notices().Settle(ctx, r)
	}
	if err := settle(db, store.DeliveryResult{Holder: "a", Notices: []int64{1}, OK: true}); !errors.Is(err,
		store.ErrConflict) {
		t.Errorf("settled by who has no claim: %v, want ErrConflict", err)
	}
	must(t, settle(other, store.DeliveryResult{Holder: "b", Notices: []int64{1}, OK: true, Message: "m1", Answer: "200",
		WindowAt: c.Now, WindowSent: 1}))
	claim("a", db, 2, 3)
	must(t, settle(db, store.DeliveryResult{Holder: "a", Notices: []int64{2}, Answer: "500", RetryAt: c.Now.Add(time.Hour),
		Failures: 1}))
	claim("a", db, 3)
	must(t, settle(db, store.DeliveryResult{Holder: "a", Notices: []int64{3}, Answer: "500", Dead: []int64{3}, Failures: 2,
		Next: c.Now.Add(time.Hour)}))
	list, err := db.Notices().Deliveries(ctx, store.DeliveryFilter{Subscription: sub.ID})
	must(t, err)
	for i, want := range []string{"3 dead 1 500", "2 waiting 1 500", "1 sent 1 200"} {
		if d := list[i]; fmt.Sprint(d.ID, " ", d.State, " ", d.Tries, " ", d.Answer) != want {
			t.Errorf("delivery %+v, want %s", d, want)
		}
	}
	subs, err := db.Notices().Subscriptions(ctx)
	must(t, err)
	if s := subs[1]; s.Name != "one" || s.Dead != 1 || s.DeadAt.IsZero() || s.SentAt.IsZero() || s.Answer != "500" ||
		s.Failures != 2 {
		t.Errorf("it stands %+v", s)
	}
	// What was given up is reported by another way, and once.
	_, err = db.Notices().Spread(ctx)
	must(t, err)
	if got := delivered(t, db, "sub-helper"); !slices.Equal(got, []string{"notice.given_up waiting"}) {
		t.Errorf("the other way got %q", got)
	}
	// It waits until the next time, also with others due.
	must(t, db.Notices().Add(ctx, store.NoticeRecord{Class: store.NoticeBudgetLow}))
	_, err = db.Notices().Spread(ctx)
	must(t, err)
	claim("a", db)
	if _, err := db.Notices().Deliveries(ctx, store.DeliveryFilter{Limit: 1001}); err == nil {
		t.Error("a limit of 1001 was taken")
	}
	list, err = db.Notices().Deliveries(ctx, store.DeliveryFilter{Before: store.DeliveryKey{Notice: 3}, Limit: 10})
	if err != nil || len(list) != 2 {
		t.Errorf("a page: %+v, %v", list, err)
	}
}
