package provisioning_test

import (
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// Both run on both databases: leases are by the database's clock.
func onBoth(t *testing.T, test func(*testing.T, store.Options)) {
	t.Run("sqlite", func(t *testing.T) { test(t, store.Options{}) })
	t.Run("postgres", func(t *testing.T) { test(t, storetest.Postgres(t)(t)) })
}

// A call that takes longer than the lease is not taken over: the lease is renewed while it runs.
func TestLeaseIsRenewed(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		w := newWorld(t, settings{store: o, real: true, service: provisioning.Options{Lease: time.Second}})
		w.mapGroup(group("sales"), harbour)
		w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Path: usersPath, Times: 1, Delay: 3500 * time.Millisecond})
		other := w.another(w.sandbox.TokenOptions())
		w.run()
		w.runAlso(other)
		d := w.decide(person("jane", group("sales")))
		expect(t, d, provisioning.Granted, "")
		if d.User.State != store.Active || d.User.Attempts != 1 {
			t.Errorf("user: got %s after %d attempts, want active after 1", d.User.State, d.User.Attempts)
		}
		if got := len(w.posts()); got != 1 {
			t.Errorf("calls: got %d, want 1", got)
		}
	})
}

// The work of a replica that died is taken over once its lease has ended, not before and not much later.
func TestDeadWorkersRowIsTakenOver(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		const lease = 2 * time.Second
		w := newWorld(t, settings{store: o, real: true, service: provisioning.Options{Lease: lease}})
		w.mapGroup(group("sales"), harbour)
		jane := person("jane", group("sales"))
		expect(t, w.decide(jane, justLook), provisioning.Wait, "")
		began := time.Now()
		if _, err := w.db.Ledger().Claim(t.Context(), lease, store.SignInPriority); err != nil { // and dies
			t.Fatal(err)
		}
		w.run()
		expect(t, w.decide(jane), provisioning.Granted, "")
		if took := time.Since(began); took < lease || took > lease+2*time.Second {
			t.Errorf("taken over after %s, want a little more than %s", took, lease)
		}
	})
}

// A user that is suspended while its call is under way keeps what the call brings, for when it is resumed.
func TestSuspendedWhileSending(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Lease: time.Second}})
	w.mapGroup(group("sales"), harbour)
	jane, key := person("jane", group("sales")), store.UserKey{Person: "jane", Account: harbour}
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Path: usersPath, Times: 1, Delay: 1500 * time.Millisecond})
	w.run()
	expect(t, w.decide(jane, justLook), provisioning.Wait, "")
	w.until("the call has arrived", func() bool { return len(w.posts()) == 1 })
	if err := w.db.Ledger().Suspend(t.Context(), key, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(jane), provisioning.Denied, provisioning.UserSuspended)
	w.until("its outcome is stored", func() bool { return w.row("jane", harbour).Before == store.Active })
	expect(t, w.decide(jane), provisioning.Denied, provisioning.UserSuspended)
	if err := w.db.Ledger().Resume(t.Context(), key, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(jane), provisioning.Granted, "")
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}
