package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ssobridge/store"
)

// testLedgerModel: API-03. Whatever is done to the ledger in whatever order, its rows are those of a model in plain Go;
// the data of a row that may have been sent stay; and no id or login name stands twice.
func testLedgerModel(t *testing.T, fresh func(testing.TB) store.Options) {
	o := fresh(t)
	db := open(t, o)
	beside := rawDB(t, o)
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := beside.Exec(`DELETE FROM sso_users`); err != nil {
			rt.Fatal(err)
		}
		m := &ledgerModel{ctx: t.Context(), l: db.Ledger(), rows: map[store.UserKey]*modelRow{}}
		rt.Repeat(map[string]func(*rapid.T){
			"want": m.want, "claim": m.claim, "renew": m.renew, "settle": m.settle, "raise": m.raise, "again": m.again,
			"doubt":      m.doubt,
			"want again": m.wantAgain, "suspend": m.suspend, "resume": m.resume, "adopt": m.adopt, "confirm": m.confirm,
			"forget": m.forget, "set role": m.setRole,
			"": m.check,
		})
	})
}

// modelRow is what a row must be.
type modelRow struct {
	u      store.SSOUser
	later  bool // its next attempt lies ahead
	came   int  // its place in the order of arrival
	claim  int  // of the claims, the one whose outcome counts; 0: none
	leased bool // the claim's lease runs
}

func (r *modelRow) waits() bool { return r.u.State == store.Wanted || r.u.State == store.Unknown }

type ledgerModel struct {
	ctx    context.Context
	l      *store.Ledger
	rows   map[store.UserKey]*modelRow
	claims []store.SSOUser // all that were ever given, the first is claim 1
	came   int
	did    string // the last step
	before map[store.UserKey]store.SSOUser
}

func (m *ledgerModel) key(rt *rapid.T) store.UserKey {
	return store.UserKey{
		Person:  rapid.SampledFrom([]store.PersonID{"p1", "p2", "p3"}).Draw(rt, "person"),
		Account: rapid.SampledFrom([]store.AccountID{"a1", "a2"}).Draw(rt, "account"),
	}
}

// data are what a row is made of, from few enough values that they clash.
func (m *ledgerModel) data(rt *rapid.T, k store.UserKey) store.SSOUser {
	return store.SSOUser{
		Person: k.Person, Account: k.Account, ExternalProvider: "partner",
		ExternalID: rapid.SampledFrom([]string{"x1", "x2", "x3", "x4", "x5", "x6", "x7"}).Draw(rt, "external id"),
		LoginName:  rapid.SampledFrom([]string{"l1", "l2", "l3", "l4", "l5", "l6", "l7"}).Draw(rt, "login name"),
		FirstName:  rapid.SampledFrom([]string{"Anna", "Änne"}).Draw(rt, "first name"), LastName: "Last",
		ContactEmail: "mail@example.com",
		Role:         m.role(rt), Mapping: 7, Priority: m.class(rt),
	}
}

func (m *ledgerModel) role(rt *rapid.T) store.Role {
	return rapid.SampledFrom([]store.Role{store.AccountManager, store.CampaignCreator}).Draw(rt, "role")
}

func (m *ledgerModel) class(rt *rapid.T) store.Priority {
	return rapid.SampledFrom([]store.Priority{store.SignInPriority, store.RetryPriority, store.PlanPriority}).Draw(rt,
		"class")
}

// taken tells whether the ids of u stand at another row.
func (m *ledgerModel) taken(u store.SSOUser) bool {
	for k, r := range m.rows {
		if k != keyOf(u) && (r.u.ExternalID == u.ExternalID || r.u.LoginName == u.LoginName) {
			return true
		}
	}
	return false
}

// expect compares an error with the one that must come; nil for none.
func (m *ledgerModel) expect(rt *rapid.T, step string, err, want error) {
	rt.Helper()
	m.did = step
	if (want == nil) != (err == nil) || !errors.Is(err, want) {
		rt.Fatalf("%s: %v, want %v", step, err, want)
	}
}

func (m *ledgerModel) want(rt *rapid.T) {
	u := m.data(rt, m.key(rt))
	later := rapid.Bool().Draw(rt, "later")
	if later {
		u.NextAttempt = time.Now().Add(time.Hour)
	}
	_, isNew, err := m.l.Enqueue(m.ctx, u, store.Event{})
	switch {
	case m.rows[keyOf(u)] != nil:
		m.expect(rt, "want", err, nil)
		if isNew {
			rt.Fatal("wanted: new, but there was a row")
		}
	case m.taken(u):
		m.expect(rt, "want", err, store.ErrConflict)
	default:
		m.expect(rt, "want", err, nil)
		m.came++
		u.State = store.Wanted
		m.rows[keyOf(u)] = &modelRow{u: u, later: later, came: m.came}
	}
}

func (m *ledgerModel) claim(rt *rapid.T) {
	upTo := m.class(rt)
	lease := time.Hour
	if rapid.Bool().Draw(rt, "runs out at once") {
		lease = -time.Second
	}
	var next *modelRow
	for _, r := range m.rows {
		due := r.waits() && !r.later || r.u.State == store.Sending && !r.leased
		if !due || r.u.Priority > upTo {
			continue
		}
		if next == nil || r.u.Priority < next.u.Priority || r.u.Priority == next.u.Priority && r.came < next.came {
			next = r
		}
	}
	got, err := m.l.Claim(m.ctx, lease, upTo)
	if next == nil {
		m.expect(rt, "claim", err, store.ErrNotFound)
		return
	}
	m.expect(rt, "claim", err, nil)
	if keyOf(got) != keyOf(next.u) {
		rt.Fatalf("claimed %v, want %v", keyOf(got), keyOf(next.u))
	}
	next.u.MaybeSent = next.u.MaybeSent || next.u.State != store.Wanted
	next.u.State = store.Sending
	next.u.Attempts++
	m.claims = append(m.claims, got)
	next.claim, next.leased = len(m.claims), lease > 0
}

// anyClaim draws one of the claims that were ever given, and its row if its outcome still counts.
func (m *ledgerModel) anyClaim(rt *rapid.T) (n int, claim store.SSOUser, current *modelRow) {
	if len(m.claims) == 0 {
		rt.Skip("nothing was claimed")
	}
	n = len(m.claims) - rapid.IntRange(0, min(4, len(m.claims)-1)).Draw(rt, "claim")
	claim = m.claims[n-1]
	if r := m.rows[keyOf(claim)]; r != nil && r.claim == n {
		current = r
	}
	return n, claim, current
}

func (m *ledgerModel) renew(rt *rapid.T) {
	n, claim, r := m.anyClaim(rt)
	until, err := m.l.Renew(m.ctx, claim, time.Hour)
	if r == nil || r.u.State != store.Sending {
		m.expect(rt, "renew", err, store.ErrConflict)
		return
	}
	m.expect(rt, "renew", err, nil)
	m.claims[n-1].LeaseUntil, r.leased = until, true
}

func (m *ledgerModel) settle(rt *rapid.T) {
	_, u, r := m.anyClaim(rt)
	u.State = rapid.SampledFrom([]store.State{store.Wanted, store.Unknown, store.Active, store.Assumed, store.Conflict,
		store.Refused}).Draw(rt, "outcome")
	if u.State == store.Wanted && u.MaybeSent {
		u.State = store.Unknown // what may have arrived once is never surely not sent
	}
	u.MaybeSent = u.MaybeSent || u.State == store.Unknown
	u.Priority, u.ErrorKey, u.ErrorText = m.class(rt), "key", "text"
	u.Failures = rapid.IntRange(0, 20).Draw(rt, "failures")
	later := rapid.Bool().Draw(rt, "later")
	if u.NextAttempt, u.Earliest = (time.Time{}), (time.Time{}); later {
		u.NextAttempt = time.Now().Add(time.Hour)
		u.Earliest = u.NextAttempt // so that to raise it does not make it due
	}
	err := m.l.Settle(m.ctx, u, store.Event{})
	if r == nil {
		m.expect(rt, "settle", err, store.ErrConflict)
		return
	}
	m.expect(rt, "settle", err, nil)
	if r.u.State == store.Suspended {
		r.u.Before = u.State
	} else {
		r.u.State = u.State
	}
	r.u.MaybeSent, r.u.Priority, r.u.ErrorKey, r.u.ErrorText = u.MaybeSent, u.Priority, "key", "text"
	r.u.Failures = u.Failures
	r.later, r.claim, r.leased = later, 0, false
}

func (m *ledgerModel) raise(rt *rapid.T) {
	k, c := m.key(rt), m.class(rt)
	m.expect(rt, "raise", m.l.Prioritize(m.ctx, k, c), nil)
	if r := m.rows[k]; r != nil && r.waits() {
		r.u.Priority = min(r.u.Priority, c)
	}
}

func (m *ledgerModel) again(rt *rapid.T) {
	k, c := m.key(rt), m.class(rt)
	did, err := m.l.RequeueNow(m.ctx, k, c, store.Event{})
	m.expect(rt, "again", err, nil)
	r := m.rows[k]
	if can := r != nil && (r.waits() || !r.u.MaybeSent && (r.u.State == store.Refused ||
		r.u.State == store.Conflict)); did != can {
		rt.Fatalf("tried again: %t, want %t", did, can)
	}
	if did {
		if r.u.State != store.Unknown {
			r.u.State = store.Wanted
		}
		r.u.Priority, r.u.Attempts, r.u.Failures, r.u.ErrorKey, r.u.ErrorText, r.later = c, 0, 0, "", "", false
	}
}

func (m *ledgerModel) doubt(rt *rapid.T) {
	k, c := m.key(rt), m.class(rt)
	did, err := m.l.Doubt(m.ctx, k, c, store.Event{})
	m.expect(rt, "doubt", err, nil)
	r := m.rows[k]
	if can := r != nil && r.u.State == store.Assumed && r.u.Role != store.Owner && r.u.LoginName != "" &&
		r.u.ContactEmail != ""; did != can {
		rt.Fatalf("doubted: %t, want %t", did, can)
	}
	if did {
		r.u.State, r.u.MaybeSent, r.u.Priority, r.later = store.Unknown, true, c, false
		r.u.Attempts, r.u.Failures, r.u.ErrorKey, r.u.ErrorText = 0, 0, "", ""
	}
}

func (m *ledgerModel) wantAgain(rt *rapid.T) {
	u := m.data(rt, m.key(rt))
	err := m.l.WantAgain(m.ctx, u, store.Event{})
	r := m.rows[keyOf(u)]
	switch {
	case r == nil || r.u.MaybeSent || r.u.State != store.Refused && r.u.State != store.Conflict:
		m.expect(rt, "want again", err, nil)
	case m.taken(u):
		m.expect(rt, "want again", err, store.ErrConflict)
	default:
		m.expect(rt, "want again", err, nil)
		u.State = store.Wanted
		r.u, r.later = u, false
	}
}

// one runs a step on one row; may tells whether the row is in the right state for it.
func (m *ledgerModel) one(rt *rapid.T, step string, do func(store.UserKey) error, may func(*modelRow) bool,
	then func(store.UserKey, *modelRow)) {
	k := m.key(rt)
	err := do(k)
	switch r := m.rows[k]; {
	case r == nil:
		m.expect(rt, step, err, store.ErrNotFound)
	case !may(r):
		m.expect(rt, step, err, store.ErrConflict)
	default:
		m.expect(rt, step, err, nil)
		then(k, r)
	}
}

func (m *ledgerModel) suspend(rt *rapid.T) {
	m.one(rt, "suspend", func(k store.UserKey) error { return m.l.Suspend(m.ctx, k, store.Event{}) },
		func(r *modelRow) bool { return r.u.State != store.Suspended },
		func(_ store.UserKey, r *modelRow) {
			r.u.Before = r.u.State
			if r.u.State == store.Sending {
				r.u.Before, r.u.MaybeSent = store.Unknown, true
			}
			r.u.State = store.Suspended
		})
}

func (m *ledgerModel) resume(rt *rapid.T) {
	m.one(rt, "resume", func(k store.UserKey) error { return m.l.Resume(m.ctx, k, store.Event{}) },
		func(r *modelRow) bool { return r.u.State == store.Suspended },
		func(_ store.UserKey, r *modelRow) {
			if r.leased {
				r.u.State = store.Sending
			} else {
				r.u.State, r.claim = r.u.Before, 0
			}
			r.u.Before, r.later = "", false
		})
}

func (m *ledgerModel) forget(rt *rapid.T) {
	m.one(rt, "forget", func(k store.UserKey) error { return m.l.Forget(m.ctx, k, store.Event{}) },
		func(r *modelRow) bool { return r.u.State != store.Sending && !r.leased },
		func(k store.UserKey, _ *modelRow) { delete(m.rows, k) })
}

func (m *ledgerModel) setRole(rt *rapid.T) {
	role := m.role(rt)
	created := []store.State{store.Active, store.Assumed}
	m.one(rt, "set role", func(k store.UserKey) error { return m.l.SetRole(m.ctx, k, role, store.Event{}) },
		func(r *modelRow) bool {
			return slices.Contains(created, r.u.State) || slices.Contains(created, r.u.Before)
		},
		func(_ store.UserKey, r *modelRow) { r.u.Role = role })
}

func (m *ledgerModel) adopt(rt *rapid.T) {
	u := m.data(rt, m.key(rt))
	u.State = rapid.SampledFrom([]store.State{store.Active, store.Assumed}).Draw(rt, "told")
	became, err := m.l.Adopt(m.ctx, []store.SSOUser{u}, store.Event{})
	m.expect(rt, "adopt", err, nil)
	r := m.rows[keyOf(u)]
	want := store.Adopted
	switch {
	case r == nil && m.taken(u):
		want = store.TakenID
	case r == nil:
		m.came++
		u.Priority = store.SignInPriority
		m.rows[keyOf(u)] = &modelRow{u: u, came: m.came}
	case r.u.State == store.Sending:
		want = store.TakenPerson
	case slices.Contains([]store.State{store.Active, store.Assumed, store.Suspended}, r.u.State):
		switch {
		case r.u.ExternalID != u.ExternalID:
			want = store.TakenPerson
		case r.u.State == store.Assumed && u.State == store.Active:
			want = store.Confirmed
			r.u.State, r.u.ErrorKey, r.u.ErrorText = store.Active, "", ""
		default:
			want = store.Unchanged
		}
	case m.taken(u):
		want = store.TakenID
	default:
		want = store.Changed
		u.MaybeSent, u.Attempts, u.Priority, u.Mapping = r.u.MaybeSent, r.u.Attempts, r.u.Priority, r.u.Mapping
		r.u, r.later = u, false
	}
	if became[0] != want {
		rt.Fatalf("adopted: %s, want %s", became[0], want)
	}
}

func (m *ledgerModel) confirm(rt *rapid.T) {
	var keys []store.UserKey
	if !rapid.Bool().Draw(rt, "all") {
		keys = []store.UserKey{m.key(rt)}
	}
	n, err := m.l.Confirm(m.ctx, keys, store.Event{})
	m.expect(rt, "confirm", err, nil)
	for k, r := range m.rows {
		if r.u.State == store.Assumed && (keys == nil || keys[0] == k) {
			r.u.State, r.u.ErrorKey, r.u.ErrorText = store.Active, "", ""
			n--
		}
	}
	if n != 0 {
		rt.Fatalf("%d more were confirmed than there were", n)
	}
}

// check compares all rows with the model, and with what they were before the step.
func (m *ledgerModel) check(rt *rapid.T) {
	all, err := m.l.List(m.ctx, store.UserFilter{})
	if err != nil {
		rt.Fatal(err)
	}
	got := map[store.UserKey]store.SSOUser{}
	ids, logins := map[string]bool{}, map[string]bool{}
	for _, u := range all {
		if leased := !u.LeaseUntil.IsZero(); leased != (m.rows[keyOf(u)] != nil && m.rows[keyOf(u)].claim != 0) {
			rt.Fatalf("after %s: %v has a lease: %t", m.did, keyOf(u), leased)
		}
		if ids[u.ExternalID] || logins[u.LoginName] {
			rt.Fatalf("after %s: %s or %s stands twice", m.did, u.ExternalID, u.LoginName)
		}
		ids[u.ExternalID], logins[u.LoginName] = true, true
		got[keyOf(u)] = u
	}
	want := map[store.UserKey]store.SSOUser{}
	for k, r := range m.rows {
		want[k] = r.u
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.SSOUser{}, "NextAttempt", "Earliest", "LeaseUntil",
		"CreatedAt", "UpdatedAt")); diff != "" {
		rt.Fatalf("after %s (-model +ledger):\n%s", m.did, diff)
	}
	body := func(u store.SSOUser) string {
		return fmt.Sprint(u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail, u.FirstName, u.LastName)
	}
	for k, old := range m.before {
		now, there := got[k]
		if !there {
			continue // forgotten
		}
		if now.ExternalID != old.ExternalID && m.did != "adopt" && m.did != "want again" {
			rt.Fatalf("%s changed the external id of %v", m.did, k)
		}
		if old.MaybeSent && m.did != "adopt" && (body(now) != body(old) || now.Role != old.Role && m.did != "set role") {
			rt.Fatalf("%s gave %v new data, though it may have been sent", m.did, k)
		}
	}
	m.before = got
}
