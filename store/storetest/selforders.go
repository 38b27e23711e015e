package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/store"
)

var selfLimits = store.SelfOrderLimits{PerDay: 100, PerPerson: 1}

// selfOrder is an order that waits for approval for an hour.
func selfOrder(p store.PersonID) store.SelfOrder {
	return store.SelfOrder{Person: p, Login: "login-" + string(p), LoginName: "shop-of-" + string(p),
		OrganizationName: "Shop", Body: []byte(`{"a":1}`), ExternalID: "owner-" + string(p), Plan: "GOLD",
		ExpiresAt: time.Now().Add(time.Hour)}
}

// testSelfOrders: one open order a person, whatever is clicked, and the limits of a day and a person.
func testSelfOrders(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, other, raw := open(t, o), open(t, o), rawDB(t, o)
	s := db.SelfOrders()
	if _, err := s.Newest(ctx, "p1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("newest of none: %v, want ErrNotFound", err)
	}
	for name, bad := range map[string]store.SelfOrder{
		"nobody":        {LoginName: "l", Body: []byte("{}")},
		"no login name": {Person: "p1", Body: []byte("{}")},
		"no JSON":       {Person: "p1", LoginName: "l", Body: []byte("{")},
	} {
		if _, _, err := s.Place(ctx, bad, selfLimits, event("bad")); err == nil {
			t.Errorf("%s: was stored", name)
		}
	}

	// Sixteen clicks in two programs are one order, with one request.
	var (
		wait sync.WaitGroup
		did  atomic.Int64
		ids  sync.Map
	)
	now := selfOrder("p1")
	now.ExpiresAt = time.Time{}
	for i := range 16 {
		on := db
		if i%2 == 1 {
			on = other
		}
		wait.Go(func() {
			placed, first, err := on.SelfOrders().Place(ctx, now, selfLimits, event("self-order"))
			if err != nil {
				t.Error(err)
			}
			if first {
				did.Add(1)
			}
			ids.Store(placed.ID, true)
		})
	}
	wait.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if did.Load() != 1 || n != 1 {
		t.Errorf("%d clicks have ordered, %d orders, want 1 and 1", did.Load(), n)
	}
	placed, err := s.Newest(ctx, "p1")
	must(t, err)
	r, err := db.Accounts().AccountRequest(ctx, placed.Request)
	must(t, err)
	if placed.State != store.SelfOrderOrdered || !placed.Open() || r.State != store.RequestWanted || r.Person != "p1" ||
		r.CreatedBy != store.SelfOrderActor("p1") || string(r.Body) != `{"a":1}` || r.ExternalID != "owner-p1" {
		t.Errorf("order %+v, request %+v", placed, r)
	}
	if got, err := s.ByRequest(ctx, r.ID); err != nil || got.ID != placed.ID {
		t.Errorf("by request: %+v, %v, want order %d", got, err, placed.ID)
	}
	if got, err := s.Get(ctx, placed.ID); err != nil || got.Plan != "GOLD" {
		t.Errorf("get: %+v, %v", got, err)
	}
	open, err := db.Accounts().OpenOrders(ctx, store.SelfOrderPrefix, time.Time{}, 0, 10)
	if err != nil || len(open) != 1 {
		t.Errorf("orders to be sent: %+v, %v, want 1", open, err)
	}

	// The login name of somebody else's order is taken.
	taken := selfOrder("p2")
	taken.LoginName, taken.ExpiresAt = now.LoginName, time.Time{}
	if _, _, err := s.Place(ctx, taken, selfLimits, event("self-order")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("with a login name of another order: %v, want ErrConflict", err)
	}
	taken.ExpiresAt = time.Now().Add(time.Hour) // to be approved: nobody ever could
	if _, _, err := s.Place(ctx, taken, selfLimits, event("self-order")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("with a login name of another order, to be approved: %v, want ErrConflict", err)
	}
	// Who orders again whenever an order was refused does not use up the day of all.
	for n := 0; ; n++ {
		again, _, err := s.Place(ctx, selfOrder("p7"), selfLimits, event("self-order"))
		if e := (*store.LimitError)(nil); errors.As(err, &e) && !e.Own && n == 10 {
			break
		}
		must(t, err)
		if n >= 10 {
			t.Fatalf("one person has placed %d orders in a day", n+1)
		}
		_, err = s.Refuse(ctx, again.ID, "", event("self-order-refuse"))
		must(t, err)
	}
	_, err = raw.Exec(`DELETE FROM self_orders WHERE person_id = 'p7'`)
	must(t, err)
	// Who was moved to a source orders as whom they come as.
	_, err = raw.Exec(`INSERT INTO moved_people (person_id, moved_to, moved_at) VALUES ('p3', 'source-portal.p3', 1)`)
	must(t, err)
	if _, _, err := s.Place(ctx, selfOrder("p3"), selfLimits, event("self-order")); !errors.Is(err, store.ErrMovedAway) {
		t.Errorf("of somebody who was moved: %v, want ErrMovedAway", err)
	}

	limit := func(p store.PersonID, l store.SelfOrderLimits, own bool) {
		t.Helper()
		_, _, err := s.Place(ctx, selfOrder(p), l, event("self-order"))
		if e := (*store.LimitError)(nil); !errors.Is(err, store.ErrLimit) || !errors.As(err, &e) || e.Own != own ||
			e.Error() == "" {
			t.Errorf("of %s: %v, want a limit, of the person: %t", p, err, own)
		}
	}
	limit("p4", store.SelfOrderLimits{PerDay: 1, PerPerson: 1}, false)
	_, err = raw.Exec(`UPDATE self_orders SET created_at = $1`, time.Now().Add(-25*time.Hour).UnixMicro())
	must(t, err)
	one := store.SelfOrderLimits{PerDay: 1, PerPerson: 1}
	if _, did, err := s.Place(ctx, selfOrder("p4"), one, event("self-order")); err != nil || !did {
		t.Errorf("a day later: %t, %v", did, err)
	}
	_, err = raw.Exec(`UPDATE self_orders SET state = 'created' WHERE person_id = 'p1'`)
	must(t, err)
	limit("p1", selfLimits, true)
	all, err := s.List(ctx, 0, 10)
	if err != nil || len(all) != 2 || all[0].Person != "p4" {
		t.Errorf("list: %+v, %v, want p4 and p1", all, err)
	}
	if rest, err := s.List(ctx, all[0].ID, 10); err != nil || len(rest) != 1 || rest[0].Person != "p1" {
		t.Errorf("the rest: %+v, %v, want p1", rest, err)
	}
}

// testSelfOrderApproval: who decides, until when, and what was lost meanwhile.
func testSelfOrderApproval(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, other, raw := open(t, o), open(t, o), rawDB(t, o)
	s := db.SelfOrders()
	place := func(p store.PersonID) store.SelfOrder {
		t.Helper()
		placed, did, err := s.Place(ctx, selfOrder(p), selfLimits, event("self-order"))
		must(t, err)
		if !did || placed.State != store.SelfOrderWaiting || placed.Request != 0 {
			t.Errorf("placed %+v, %t", placed, did)
		}
		return placed
	}
	state := func(id int64, want string) store.SelfOrder {
		t.Helper()
		got, err := s.Get(ctx, id)
		must(t, err)
		if got.State != want {
			t.Errorf("order %d is %s, want %s", id, got.State, want)
		}
		return got
	}
	first := place("p1")
	if all, err := s.Waiting(ctx, 10); err != nil || len(all) != 1 || all[0].ID != first.ID {
		t.Errorf("waiting: %+v, %v", all, err)
	}
	// Of eight who approve it one does.
	var (
		wait sync.WaitGroup
		did  atomic.Int64
	)
	for i := range 8 {
		on := db
		if i%2 == 1 {
			on = other
		}
		wait.Go(func() {
			switch _, err := on.SelfOrders().Approve(ctx, first.ID, event("self-order-approve")); {
			case err == nil:
				did.Add(1)
			case !errors.Is(err, store.ErrConflict):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := state(first.ID, store.SelfOrderOrdered); did.Load() != 1 || got.Request == 0 || got.DecidedBy == "" ||
		got.DecidedAt.IsZero() {
		t.Errorf("%d have approved, order %+v", did.Load(), got)
	}
	if _, err := s.Refuse(ctx, first.ID, "", event("self-order-refuse")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("refuse after that: %v, want ErrConflict", err)
	}
	if _, err := s.Approve(ctx, 999, event("self-order-approve")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("approve none: %v, want ErrNotFound", err)
	}

	refused := place("p2")
	if got, err := s.Refuse(ctx, refused.ID, "no budget", event("self-order-refuse")); err != nil ||
		got.Reason != "no budget" || got.Open() {
		t.Errorf("refused: %+v, %v", got, err)
	}
	place("p2") // another one can be ordered then

	late := place("p3")
	overdue := func(id int64) {
		t.Helper()
		_, err := raw.Exec(`UPDATE self_orders SET expires_at = $1 WHERE id = $2`, time.Now().Add(-time.Second).UnixMicro(), id)
		must(t, err)
	}
	overdue(late.ID)
	if due, err := s.AnyDue(ctx); err != nil || !due {
		t.Errorf("due: %t, %v", due, err)
	}
	if _, err := s.Approve(ctx, late.ID, event("self-order-approve")); !errors.Is(err, store.ErrExpired) {
		t.Errorf("approve too late: %v, want ErrExpired", err)
	}
	state(late.ID, store.SelfOrderExpired)
	later := place("p3")
	overdue(later.ID)
	if n, err := s.Expire(ctx); err != nil || n != 1 {
		t.Errorf("expired %d, %v, want 1", n, err)
	}
	state(later.ID, store.SelfOrderExpired)

	// What is revoked before an order is approved stops it: sessions, and a user that is suspended.
	revoked := place("p4")
	_, err := db.Sessions().EndPerson(ctx, "p4", event("sessions"))
	must(t, err)
	if _, err := s.Approve(ctx, revoked.ID, event("self-order-approve")); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("approve after a revocation: %v, want ErrRevoked", err)
	}
	state(revoked.ID, store.SelfOrderStopped)

	// What its person does in the session that goes on stops nothing; nor does it bring back what was stopped.
	own := func(p store.PersonID, token string) {
		t.Helper()
		mark, err := db.Sessions().Mark(ctx)
		must(t, err)
		must(t, db.Sessions().Create(ctx, store.Session{TokenHash: hash(token), Person: p, Login: string(p), Mark: mark,
			Browser: hash("b"), AuthenticatedAt: time.Now(), Methods: []string{"password"}, ReadAt: time.Now(),
			EndsAt: time.Now().Add(time.Hour)}, nil))
		_, err = db.Sessions().EndOthers(ctx, p, hash(token), event("sessions"))
		must(t, err)
	}
	kept := place("p8")
	own("p8", "one")
	_, err = s.Approve(ctx, kept.ID, event("self-order-approve"))
	must(t, err)
	stopped := place("p9")
	_, err = db.Sessions().EndPerson(ctx, "p9", event("sessions"))
	must(t, err)
	own("p9", "two")
	if _, err := s.Approve(ctx, stopped.ID, event("self-order-approve")); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("approve after a revocation, and an act of the person's own after it: %v, want ErrRevoked", err)
	}

	// What led to nothing goes by age.
	if n, err := s.Purge(ctx, time.Hour); n != 0 || err != nil {
		t.Errorf("purged %d young ones, %v", n, err)
	}
	_, err = raw.Exec(`UPDATE self_orders SET created_at = 1 WHERE id IN ($1, $2, $3)`, refused.ID, revoked.ID, first.ID)
	must(t, err)
	if n, err := s.Purge(ctx, time.Hour); n != 2 || err != nil {
		t.Errorf("purged %d, %v, want the two that were refused and stopped", n, err)
	}
	state(first.ID, store.SelfOrderOrdered)

	// Sessions are ended while the form of one of them is on its way.
	ended := selfOrder("p6")
	_, err = db.Sessions().EndPerson(ctx, "p6", event("sessions"))
	must(t, err)
	if _, _, err := s.Place(ctx, ended, selfLimits, event("self-order")); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("placed from a session that was ended: %v, want ErrRevoked", err)
	}
	ended.Epoch, err = db.Sessions().Epoch(ctx, "p6")
	must(t, err)
	if _, did, err := s.Place(ctx, ended, selfLimits, event("self-order")); !did || err != nil {
		t.Errorf("placed from the next session: %t, %v", did, err)
	}

	// The person is forgotten at the moment of the approval: nothing is ordered for them.
	gone := place("p5")
	forgets, err := raw.Begin()
	must(t, err)
	_, err = forgets.Exec(`UPDATE self_orders SET state = 'stopped', body = '{}' WHERE id = $1`, gone.ID)
	must(t, err)
	wait.Go(func() {
		if _, err := s.Approve(ctx, gone.ID, event("self-order-approve")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("approve while the person is forgotten: %v, want ErrConflict", err)
		}
	})
	time.Sleep(300 * time.Millisecond) // the approval has read the order by then
	must(t, forgets.Commit())
	wait.Wait()
	state(gone.ID, store.SelfOrderStopped)
}

// testSelfOrderEnds: an order ends as its request does, and nothing is sent for who lost the right before.
func testSelfOrderEnds(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, raw := open(t, o), rawDB(t, o)
	s, accounts := db.SelfOrders(), db.Accounts()
	place := func(p store.PersonID) (store.SelfOrder, store.AccountRequest) {
		t.Helper()
		order := selfOrder(p)
		order.ExpiresAt = time.Time{}
		placed, _, err := s.Place(ctx, order, selfLimits, event("self-order"))
		must(t, err)
		r, err := accounts.AccountRequest(ctx, placed.Request)
		must(t, err)
		return placed, r
	}
	settle := func(r *store.AccountRequest, to string) error {
		moved := *r
		moved.State = to
		err := accounts.SettleAccount(ctx, moved, r.State, event("settle"))
		if err == nil {
			*r = moved
		}
		return err
	}
	state := func(id int64, want, plan string) {
		t.Helper()
		got, err := s.Get(ctx, id)
		must(t, err)
		if got.State != want || got.PlanState != plan {
			t.Errorf("order %d is %s, plan %q, want %s, %q", id, got.State, got.PlanState, want, plan)
		}
	}

	done, r := place("p1")
	for _, to := range []string{store.RequestSending, store.RequestUnknown, store.RequestSending, store.RequestAccepted,
		store.RequestCreated} {
		must(t, settle(&r, to))
	}
	state(done.ID, store.SelfOrderCreated, store.PlanWanted)
	if waits, err := s.AnyDue(ctx); err != nil || !waits {
		t.Errorf("with a plan to set something is due: %t, %v", waits, err)
	}
	due, err := s.PlansDue(ctx, 10)
	if err != nil || len(due) != 1 || due[0].ID != done.ID {
		t.Errorf("plans: %+v, %v", due, err)
	}
	for _, want := range []bool{true, false} {
		if ok, err := s.TakePlan(ctx, done.ID, time.Now().Add(time.Hour)); err != nil || ok != want {
			t.Errorf("take the plan: %t, %v, want %t", ok, err, want)
		}
	}
	must(t, s.EndPlan(ctx, done.ID, store.PlanSet))
	state(done.ID, store.SelfOrderCreated, store.PlanSet)

	failed, r := place("p2")
	must(t, settle(&r, store.RequestSending))
	must(t, settle(&r, store.RequestRefused))
	state(failed.ID, store.SelfOrderFailed, "")
	again, _ := place("p2") // under the same request, which was refused
	if again.Request != failed.Request {
		t.Errorf("ordered again as request %d, want %d", again.Request, failed.Request)
	}

	// A revocation between order and call stops the call; after it was sent once it no longer can.
	for _, c := range []struct {
		name   string
		person store.PersonID
		revoke func(p store.PersonID)
	}{
		{"sessions", "p3", func(p store.PersonID) {
			_, err := db.Sessions().EndPerson(ctx, p, event("sessions"))
			must(t, err)
		}},
		{"suspended", "p4", func(p store.PersonID) {
			row := ssoUser("x-" + string(p))
			row.Person = p
			_, _, err := db.Ledger().Enqueue(ctx, row, event("w"))
			must(t, err)
			_, err = raw.Exec(`UPDATE sso_users SET state = 'suspended', before_state = 'wanted' WHERE person_id = $1`, string(p))
			must(t, err)
		}},
	} {
		stopped, r := place(c.person)
		c.revoke(c.person)
		if err := settle(&r, store.RequestSending); !errors.Is(err, store.ErrRevoked) {
			t.Errorf("%s: sent: %v, want ErrRevoked", c.name, err)
		}
		if did, err := s.Stop(ctx, stopped.ID, "revoked", event("self-order-stop")); err != nil || !did {
			t.Errorf("%s: stopped: %t, %v", c.name, did, err)
		}
		state(stopped.ID, store.SelfOrderStopped, "")
		if r, err := accounts.AccountRequest(ctx, stopped.Request); err != nil || r.State != store.RequestRefused {
			t.Errorf("%s: request %+v, %v, want refused", c.name, r, err)
		}
		if did, err := s.Stop(ctx, stopped.ID, "revoked", event("self-order-stop")); err != nil || did {
			t.Errorf("%s: stopped twice: %t, %v", c.name, did, err)
		}
	}
	sent, r := place("p5")
	must(t, settle(&r, store.RequestSending))
	if did, err := s.Stop(ctx, sent.ID, "lost", event("self-order-stop")); err != nil || did {
		t.Errorf("stop what was sent: %t, %v, want false", did, err)
	}
	must(t, settle(&r, store.RequestUnknown))
	_, err = db.Sessions().EndPerson(ctx, "p5", event("sessions"))
	must(t, err)
	must(t, settle(&r, store.RequestSending)) // asks what became of it

	// What an administrator orders under the request of an order that failed is not the person's order.
	failed, r = place("p6")
	must(t, settle(&r, store.RequestSending))
	must(t, settle(&r, store.RequestRefused))
	_, err = db.Sessions().EndPerson(ctx, "p6", event("sessions"))
	must(t, err)
	r.CreatedBy = "admin:test"
	r, err = accounts.WantAccount(ctx, r, event("want"))
	must(t, err)
	for _, to := range []string{store.RequestSending, store.RequestAccepted, store.RequestCreated} {
		must(t, settle(&r, to))
	}
	state(failed.ID, store.SelfOrderFailed, "")
}
