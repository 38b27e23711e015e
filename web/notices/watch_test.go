package notices_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// classes are those that a subscription to all was given, in their order.
func (r *rig) classes(name string) (all []string) {
	for _, d := range r.deliveries(name) {
		all = append(all, string(d.Class))
	}
	slices.Reverse(all)
	return all
}

// states is a rig whose states a test sets.
type states struct {
	*rig
	health   admin.Health
	expiries []admin.Expiry
	budget   store.BudgetStatus
	locked   int
}

func newStates(t *testing.T) *states {
	t.Helper()
	s := &states{rig: newRig(t)}
	o := s.o
	o.Watch = notices.Watch{
		Health:   func(context.Context) (admin.Health, error) { return s.health, nil },
		Expiries: func(context.Context) ([]admin.Expiry, error) { return s.expiries, nil },
		Budget:   func(context.Context) (store.BudgetStatus, error) { return s.budget, nil },
		Lockouts: func(context.Context) (int, error) { return s.locked, nil }, Many: 5,
	}
	s.o = o
	s.engine = notices.New(o)
	s.add("all", admin.NoticeMail, admin.NoticeInput{Mail: []string{"a@example.test"}}, "*")
	return s
}

// part sets how a part is from now on.
func (s *states) part(p admin.Part, level admin.Level) {
	s.health.At = s.now.now()
	s.health.Parts = slices.DeleteFunc(s.health.Parts, func(h admin.PartHealth) bool { return h.Part == p })
	s.health.Parts = append(s.health.Parts, admin.PartHealth{Part: p, Level: level, Since: s.now.now()})
}

func (s *states) pass(d time.Duration) {
	s.now.pass(d)
	s.look()
}

func (s *states) want(all ...string) {
	s.t.Helper()
	if got := s.classes("all"); !slices.Equal(got, all) {
		s.t.Fatalf("got %q, want %q", got, all)
	}
}

// A state is news once it has held for two minutes, and over once that has held for five. Each is reported once, also
// by several replicas and after a restart (row NTC-07).
func TestStatesHold(t *testing.T) {
	s := newStates(t)
	for _, c := range []struct {
		part     admin.Part
		on, over string
	}{
		{admin.PartDirectory, "directory.down", "directory.up"}, {admin.PartConstantContact, "calls.stopped",
			"calls.resumed"},
		{admin.PartBackup, "backup.overdue", "backup.made"}, {admin.PartKeys, "bridge.down", "bridge.up"},
	} {
		t.Run(string(c.part), func(t *testing.T) {
			s := newStates(t)
			s.part(c.part, admin.Failure)
			s.look()
			s.pass(119 * time.Second)
			s.want()
			s.part(c.part, admin.OK) // it was short
			s.pass(time.Hour)
			s.want()
			s.part(c.part, admin.Failure)
			s.pass(11 * time.Second)
			s.pass(2 * time.Minute)
			s.want(c.on)
			s.pass(time.Hour)
			s.engine = notices.New(s.o) // another replica, or this one after a restart
			s.pass(time.Hour)
			s.want(c.on)
			s.part(c.part, admin.OK)
			s.pass(299 * time.Second)
			s.part(c.part, admin.Failure) // it came back
			s.pass(10 * time.Minute)
			s.want(c.on)
			s.part(c.part, admin.Warning)
			s.pass(5 * time.Minute)
			s.want(c.on, c.over)
		})
	}
	// What nobody has looked at for long says nothing.
	s.part(admin.PartDirectory, admin.Failure)
	s.health.Age = time.Hour
	s.pass(time.Hour)
	s.want()
}

// What ends is reported 90, 60, 30, 14, 7 days and a day before.
func TestExpirySteps(t *testing.T) {
	s := newStates(t)
	end := s.now.now().Add(91 * 24 * time.Hour)
	s.expiries = []admin.Expiry{{Use: "tls", ID: "x", What: "TLS certificate", NotAfter: end}}
	for range 93 {
		s.pass(24 * time.Hour)
		s.pass(11 * time.Minute)
	}
	if got := s.classes("all"); len(got) != 2 { // the others were purged or are older than what is kept: none is
		if len(got) != 6 || got[0] != "expiry.near" {
			t.Fatalf("got %q, want 6 notices", got)
		}
	}
	// Another certificate has dates of its own.
	s.expiries[0].ID, s.expiries[0].NotAfter = "y", s.now.now().Add(5*24*time.Hour)
	before := len(s.classes("all"))
	s.pass(11 * time.Minute)
	s.pass(11 * time.Minute)
	if got := s.classes("all"); len(got) != before+1 {
		t.Errorf("%d notices, want one more than %d", len(got), before)
	}
}

func TestBudgetLow(t *testing.T) {
	s := newStates(t)
	s.budget = store.BudgetStatus{Used: 7999, Limit: 10000}
	s.pass(time.Minute)
	s.want()
	s.budget.Used = 8000
	s.pass(time.Minute)
	s.budget.Used = 9000
	s.pass(time.Minute)
	s.want("budget.low")
	s.pass(24 * time.Hour)
	s.want("budget.low", "budget.low") // of the next day
}

func TestManyLockouts(t *testing.T) {
	s := newStates(t)
	s.locked = 4
	s.pass(time.Hour)
	s.want()
	s.locked = 5
	s.pass(time.Minute)
	s.pass(time.Minute)
	s.want()
	s.pass(time.Minute)
	s.want("lockouts.many")
	s.locked = 0
	s.pass(time.Minute)
	s.pass(6 * time.Minute)
	s.want("lockouts.many", "lockouts.normal")
}

// A heartbeat comes once in its time, whoever of the replicas sends it.
func TestHeartbeat(t *testing.T) {
	s := newStates(t)
	o := s.o
	o.Watch.HeartbeatEvery = time.Hour
	o.Watch.Health = nil
	var engines []*notices.Engine
	for i := range 3 {
		o.Holder = fmt.Sprint("replica-", i)
		engines = append(engines, notices.New(o))
	}
	for range 4 * 6 { // ten minutes each
		for _, e := range engines {
			s.engine = e
			s.look()
		}
		s.now.pass(10 * time.Minute)
	}
	if got := s.classes("all"); len(got) != 4 {
		t.Errorf("%d heartbeats in four hours: %q", len(got), got)
	}
}
