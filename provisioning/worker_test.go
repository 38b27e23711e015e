package provisioning_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

const usersPath = "users/sso"

// sameBodies checks that what may have arrived was only ever sent again as it was.
func sameBodies(t *testing.T, posts []sandbox.Call, want int) {
	t.Helper()
	if len(posts) != want {
		t.Fatalf("calls: got %d, want %d", len(posts), want)
	}
	for _, p := range posts[1:] {
		if p.Body != posts[0].Body {
			t.Errorf("bodies differ:\n%s\n%s", posts[0].Body, p.Body)
		}
	}
}

// API-03: a call that acted and then timed out is unknown, is sent again with the very same body, and its 409 means
// that it is ours.
func TestAPI03UnknownThenAssumed(t *testing.T) {
	for _, fault := range []sandbox.FaultKind{sandbox.FaultActAndHang, sandbox.FaultFailAfter} {
		t.Run(string(fault), func(t *testing.T) {
			w := newWorld(t, settings{timeout: 100 * time.Millisecond})
			w.mapGroup(group("sales"), harbour)
			w.sandbox.Fault(sandbox.Fault{Kind: fault, Path: usersPath, Times: 1})
			w.run()
			jane := person("jane", group("sales"))
			expect(t, w.decide(jane, justLook), provisioning.Wait, "")
			row := w.untilState("jane", harbour, store.Unknown)
			if !row.MaybeSent || row.NextAttempt.IsZero() {
				t.Errorf("row: got %+v, want it possibly sent and due again", row)
			}
			d := w.decide(jane, justLook)
			if d.Outcome != provisioning.Wait || d.Progress.Cause != provisioning.CauseUnknown || d.Progress.Attempts != 1 {
				t.Errorf("meanwhile: got %s %+v", d.Outcome, d.Progress)
			}
			// Data that change meanwhile change nothing: the first body may have arrived.
			jane.LastName = "Doe-Smith"
			w.advance(10 * time.Second)
			d = w.decide(jane)
			expect(t, d, provisioning.Granted, "")
			if d.User.State != store.Assumed || d.User.LastName != "Doe" {
				t.Errorf("user: got %s %s, want assumed with the first data", d.User.State, d.User.LastName)
			}
			sameBodies(t, w.posts(), 2)
			if got := len(w.sandbox.Created()); got != 1 {
				t.Errorf("users at Constant Contact: got %d, want 1", got)
			}
			if got := w.events("create-user"); len(got) != 2 || got[1].Outcome != "unknown" || got[0].Reason != "assumed" {
				t.Errorf("audit: got %+v", got)
			}
		})
	}
}

// A 500 before acting is unknown too; the second attempt then makes the user.
func TestAPI03UnknownThenCreated(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: usersPath, Times: 2})
	w.run()
	jane := person("jane", group("sales"))
	expect(t, w.decide(jane, justLook), provisioning.Wait, "")
	for attempt := 1; attempt <= 2; attempt++ {
		w.until("the attempt has failed", func() bool {
			r := w.row("jane", harbour)
			return r.State == store.Unknown &&
				r.Attempts == attempt
		})
		row := w.row("jane", harbour)
		if got, want := row.NextAttempt.Sub(row.UpdatedAt).Round(100*time.Millisecond),
			time.Second<<(attempt-1); got != want {
			t.Errorf("pause after attempt %d: got %s, want %s", attempt, got, want)
		}
		w.advance(time.Minute)
	}
	d := w.decide(jane)
	expect(t, d, provisioning.Granted, "")
	if d.User.State != store.Active {
		t.Errorf("state: got %s, want active", d.User.State)
	}
	sameBodies(t, w.posts(), 3)
}

// A worker that died in the middle leaves a lease; when it ends, the same body goes out again, whether the first
// arrived or not.
func TestAPI03DeadWorker(t *testing.T) {
	cases := []struct {
		name string
		sent bool
		want store.State
	}{{"after sending", true, store.Assumed}, {"before sending", false, store.Active}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.mapGroup(group("sales"), harbour)
			jane := person("jane", group("sales"))
			expect(t, w.decide(jane, justLook), provisioning.Wait, "")
			// What a worker does, up to the moment it is killed.
			row, err := w.db.Ledger().Claim(t.Context(), time.Minute, store.PlanPriority)
			if err != nil {
				t.Fatal(err)
			}
			if c.sent {
				body, err := w.Body(jane, provisioning.Assignment{Account: row.Account, Role: row.Role})
				if err != nil {
					t.Fatal(err)
				}
				if err := w.client.CreateSSOUser(t.Context(), partnerapi.PrioritySignIn, string(row.Account), body); err != nil {
					t.Fatal(err)
				}
			}
			w.run()
			d := w.decide(jane, justLook)
			if d.Outcome != provisioning.Wait || d.Progress.Cause != provisioning.CauseSending || d.Progress.Place != 0 {
				t.Fatalf("under the lease: got %s %+v, want to wait for the sending one", d.Outcome, d.Progress)
			}
			w.advance(2 * time.Minute)
			d = w.decide(jane)
			expect(t, d, provisioning.Granted, "")
			if d.User.State != c.want {
				t.Errorf("state: got %s, want %s", d.User.State, c.want)
			}
			want := 1
			if c.sent {
				want = 2
			}
			sameBodies(t, w.posts(), want)
			if got := len(w.sandbox.Created()); got != 1 {
				t.Errorf("users at Constant Contact: got %d, want 1", got)
			}
		})
	}
}

// A conflict from the first is ours after a restore, since the copy may have forgotten the user; until an admin lifts
// the hold that it began.
func TestAPI03ConflictAfterRestore(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	jane := person("jane", group("sales"))
	backup := t.TempDir() + "/backup.db"
	if err := w.db.Backup(t.Context(), backup); err != nil {
		t.Fatalf("Backup: %v", err)
	}
	john := person("john", group("sales"))
	stop := w.run()
	expect(t, w.decide(jane), provisioning.Granted, "")
	expect(t, w.decide(john), provisioning.Granted, "")
	stop()

	fresh := t.TempDir() + "/restored.db"
	if _, err := store.Restore(t.Context(), backup, "sqlite:"+fresh, nil); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + fresh, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w.db = db
	w.Service = w.another(w.sandbox.TokenOptions())
	stop = w.run()
	d := w.decide(jane)
	expect(t, d, provisioning.Granted, "")
	if d.User.State != store.Assumed {
		t.Errorf("state: got %s, want assumed", d.User.State)
	}
	// Whom nobody knows is created as ever.
	d = w.decide(person("new", group("sales")))
	expect(t, d, provisioning.Granted, "")
	if d.User.State != store.Active {
		t.Errorf("state of a new one: got %s, want active", d.User.State)
	}
	if err := db.Ledger().SetProvisioningPause(t.Context(), "", store.Event{Actor: "admin:test",
		Action: "hold"}); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(john), provisioning.Denied, provisioning.HeldConflict)
	stop() // before its store is closed
}

// While creations are held, a conflict is ours only for an external id that the template gives: a row that was rendered
// from another one is kept for an admin.
func TestAPI03HeldConflictNeedsOurID(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	jane, john := person("jane", group("sales")), person("john", group("sales"))
	stop := w.run()
	expect(t, w.decide(jane), provisioning.Granted, "")
	stop()
	// The ledger is lost: jane's row goes, and john's is made with an id that is jane's by the template.
	ledger := w.db.Ledger()
	if err := ledger.Forget(t.Context(), store.UserKey{Person: "jane", Account: harbour},
		store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	body, err := w.Body(jane, provisioning.Assignment{Account: harbour, Role: store.AccountManager})
	if err != nil {
		t.Fatal(err)
	}
	odd := store.SSOUser{
		Person: "john", Account: harbour, ExternalID: body.ExternalID, ExternalProvider: provider, LoginName: body.LoginName,
		ContactEmail: body.ContactEmail,
		FirstName:    body.FirstName, LastName: body.LastName, Role: store.AccountManager,
	}
	if _, _, err := ledger.Enqueue(t.Context(), odd, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := ledger.SetProvisioningPause(t.Context(), "ledger-lost", store.Event{Actor: "admin:test",
		Action: "hold"}); err != nil {
		t.Fatal(err)
	}
	w.run()
	expect(t, w.decide(john), provisioning.Denied, provisioning.HeldConflict)
}

// ID-16: while creations are held, a conflict is ours only where the external id holds the person's immutable id. A
// number that another person had before is no proof: their user would become this one's.
func TestHeldConflictNeedsTheImmutableID(t *testing.T) {
	for template, want := range map[string]provisioning.Outcome{
		"{attr:employeenumber}.{account}":             provisioning.Denied,
		"{attr:employeenumber}.{person_id}.{account}": provisioning.Granted,
	} {
		t.Run(template, func(t *testing.T) {
			w := newWorld(t, settings{service: provisioning.Options{ExternalID: template, AllowMutableExternalID: true}})
			w.mapGroup(group("sales"), harbour)
			jane := person("jane", group("sales"))
			jane.Attributes = map[string][]string{"employeenumber": {"7"}}
			stop := w.run()
			expect(t, w.decide(jane), provisioning.Granted, "")
			stop()
			// The ledger is lost. Where the number went to somebody else meanwhile, the user at Constant Contact is not theirs.
			ledger := w.db.Ledger()
			if err := ledger.Forget(t.Context(), store.UserKey{Person: "jane", Account: harbour},
				store.Event{Action: "test"}); err != nil {
				t.Fatal(err)
			}
			hold := store.Event{Actor: "admin:test", Action: "hold"}
			if err := ledger.SetProvisioningPause(t.Context(), "restore", hold); err != nil {
				t.Fatal(err)
			}
			w.run()
			reason := provisioning.Reason("")
			if want == provisioning.Denied {
				reason = provisioning.HeldConflict
			}
			expect(t, w.decide(jane), want, reason)
		})
	}
}

// API-02: throttled passes within the second; the quota does not pass before 00:00 UTC, and nothing is sent till then.
func TestAPI02ThrottledAndQuota(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Path: usersPath, Times: 1})
	w.run()
	expect(t, w.decide(person("one", group("sales")), justLook), provisioning.Wait, "")
	w.until("it is throttled", func() bool { return w.row("one", harbour).ErrorText != "" })
	d := w.decide(person("one", group("sales")), justLook)
	if d.Progress.Cause != provisioning.CauseThrottled || d.User.State != store.Wanted || d.User.MaybeSent {
		t.Errorf("throttled: got %+v of %+v", d.Progress, d.User)
	}
	w.advance(5 * time.Second)
	expect(t, w.decide(person("one", group("sales"))), provisioning.Granted, "")

	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultQuota, Path: usersPath, Times: 1})
	expect(t, w.decide(person("two", group("sales")), justLook), provisioning.Wait, "")
	w.until("the quota is noted", func() bool { return w.row("two", harbour).ErrorText != "" })
	d = w.decide(person("two", group("sales")), justLook)
	midnight := w.now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	if d.Progress.Cause != provisioning.CauseQuota || d.Progress.NextTry.Before(midnight) ||
		d.Progress.NextTry.After(midnight.Add(2*time.Minute)) {
		t.Errorf("quota: got %+v, want to go on soon after %s", d.Progress, midnight)
	}
	posts := len(w.posts())
	// The budget knows as well: others do not even try.
	expect(t, w.decide(person("three", group("sales")), justLook), provisioning.Wait, "")
	w.until("the quota holds for others", func() bool {
		return strings.HasPrefix(w.row("three", harbour).ErrorText,
			provisioning.CauseQuota)
	})
	if got := len(w.posts()); got != posts {
		t.Errorf("calls with the quota used up: got %d more, want none", got-posts)
	}
	w.advance(midnight.Sub(w.now()) + 2*time.Minute)
	expect(t, w.decide(person("two", group("sales"))), provisioning.Granted, "")
	expect(t, w.decide(person("three", group("sales"))), provisioning.Granted, "")
}

// API-02: an expired or forgotten token is renewed by itself; refused credentials are told as such and tried again.
func TestAPI02Unauthorized(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	stop := w.run()
	expect(t, w.decide(person("one", group("sales"))), provisioning.Granted, "")
	w.sandbox.ForgetTokens()
	expect(t, w.decide(person("two", group("sales"))), provisioning.Granted, "")
	stop()

	// The same store under a service with a wrong secret.
	wrong := w.sandbox.TokenOptions()
	wrong.ClientSecret = "wrong"
	right := w.Service
	w.Service = w.another(wrong)
	stop = w.run()
	three := person("three", group("sales"))
	expect(t, w.decide(three, justLook), provisioning.Wait, "")
	w.until("the refusal is noted", func() bool { return w.row("three", harbour).ErrorText != "" })
	d := w.decide(three, justLook)
	if d.Progress.Cause != provisioning.CauseCredentials || d.User.State != store.Wanted || d.User.MaybeSent {
		t.Errorf("wrong secret: got %+v of %+v", d.Progress, d.User)
	}
	stop()
	// One call finds out that it works again.
	w.Service = right
	w.run()
	w.advance(time.Minute)
	expect(t, w.decide(three), provisioning.Granted, "")
	if state, err := w.db.Breaker().State(t.Context()); err != nil || state.Cause != "" {
		t.Errorf("breaker: got %+v, %v; want it closed", state, err)
	}
}

// SIGTERM: a running call is finished and its outcome stored; nothing new is begun.
func TestStopFinishesRunningCalls(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Path: usersPath, Times: 1, Delay: 300 * time.Millisecond})
	stop := w.run()
	expect(t, w.decide(person("one", group("sales")), justLook), provisioning.Wait, "")
	w.until("the call has arrived", func() bool { return len(w.posts()) == 1 })
	stop()
	if got := w.row("one", harbour).State; got != store.Active {
		t.Errorf("after the stop: got %s, want active", got)
	}
	expect(t, w.decide(person("two", group("sales")), justLook), provisioning.Wait, "")
	if got := w.row("two", harbour).State; got != store.Wanted {
		t.Errorf("after the stop a new one is %s, want wanted", got)
	}
	w.run()
	expect(t, w.decide(person("two", group("sales"))), provisioning.Granted, "")
}

// A call that outlasts the drain is cut short and stored as of unknown outcome; the next start finds out.
func TestStopCutsLongCalls(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Drain: 200 * time.Millisecond}})
	w.mapGroup(group("sales"), harbour)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultActAndHang, Path: usersPath, Times: 1})
	stop := w.run()
	expect(t, w.decide(person("one", group("sales")), justLook), provisioning.Wait, "")
	w.until("the call has arrived", func() bool { return len(w.posts()) == 1 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if row := w.row("one", harbour); row.State != store.Unknown || !row.MaybeSent {
		t.Errorf("after the stop: got %s, possibly sent %t; want unknown, true", row.State, row.MaybeSent)
	}
	w.run()
	w.advance(time.Minute)
	d := w.decide(person("one", group("sales")))
	expect(t, d, provisioning.Granted, "")
	if d.User.State != store.Assumed {
		t.Errorf("state: got %s, want assumed", d.User.State)
	}
}

// Two replicas over one store: each user is made once, and who waits at one replica sees what the other did.
func TestTwoReplicas(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	other := w.another(w.sandbox.TokenOptions())
	w.run()
	// other runs no worker: it only sees the store change.
	d, err := other.Decide(t.Context(), provisioning.Question{Person: person("jane", group("sales")), MayCreate: true,
		Patience: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, provisioning.Granted, "")
}

// API-02: the published limit of four calls in any second holds, and people are told their place.
func TestAPI02StaysWithinTheRate(t *testing.T) {
	w := newWorld(t, settings{
		sandbox: sandbox.Options{PerSecond: 4},
		// Slower than allowed, so that a busy test machine does not bunch calls together that were spaced.
		budget: store.BudgetLimits{PerSecond: 3.2, PerDay: 10_000, Reserve: 0.2},
	})
	w.mapGroup(group("sales"), harbour)
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, n := range names {
		expect(t, w.decide(person(n, group("sales")), justLook), provisioning.Wait, "")
	}
	d := w.decide(person("f", group("sales")), justLook)
	if d.Progress.Place != 6 || d.Progress.Expected != 2*time.Second || d.Progress.Cause != provisioning.CauseQueued {
		t.Errorf("progress of the last: got %+v, want place 6 and about 2 s", d.Progress)
	}
	w.run()
	for _, n := range names {
		expect(t, w.decide(person(n, group("sales"))), provisioning.Granted, "")
	}
	if got := w.sandbox.CallsIn(time.Second); got > 4 {
		t.Errorf("calls within a second: got %d, want at most 4", got)
	}
	for _, c := range w.posts() {
		if c.Status != http.StatusCreated {
			t.Errorf("call: got %d, want 201", c.Status)
		}
	}
}
