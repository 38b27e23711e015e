package admin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// healthOf is a Status over a store with a good key, and a clock that the test sets.
func healthOf(t *testing.T) (admin.Status, *clock) {
	t.Helper()
	keys, at := newKeys(t, "two")
	return admin.Status{
		Store: keys.Store, StoreName: "sqlite", Keys: keys, Providers: admin.Providers{Store: keys.Store, Now: at.now},
		SignIns: func(context.Context) error { return nil }, Now: at.now, APIURL: "https://api.test",
	}, at
}

// A part keeps its time while it stays as it is, and gets a new one when it becomes better or worse.
func TestHealthSaysSinceWhen(t *testing.T) {
	s, at := healthOf(t)
	ctx := t.Context()
	var fault error
	s.SignIns = func(context.Context) error { return fault }
	began := at.now()
	h := s.LookForHealth(ctx, admin.Health{})
	state := func(want admin.Level, since time.Time) {
		t.Helper()
		if p, ok := h.Part(admin.PartKeys); !ok || p.Level != want || !p.Since.Equal(since) {
			t.Errorf("keys: %+v, want level %d since %s", p, want, since)
		}
	}
	state(admin.OK, began)
	at.Time = at.Add(time.Minute)
	h = s.LookForHealth(ctx, h)
	state(admin.OK, began)
	at.Time = at.Add(time.Minute)
	broke := at.now()
	fault = errors.New("no key opens")
	h = s.LookForHealth(ctx, h)
	state(admin.Failure, broke)
	at.Time = at.Add(time.Hour)
	fault = errors.New("still no key opens")
	h = s.LookForHealth(ctx, h)
	state(admin.Failure, broke)
	if err := s.StoreHealth(ctx, h, "replica one"); err != nil {
		t.Fatal(err)
	}
	read, err := s.Health(ctx, admin.Everything())
	if err != nil || read.Maker != "replica one" || read.Stale() || read.Level() != admin.Failure {
		t.Errorf("read: %+v, %v", read, err)
	}
	h = read
	state(admin.Failure, broke)
	if _, err := s.Health(ctx, admin.Accounts("a07e1lxqqqo0")); err == nil {
		t.Error("somebody who may see one account reads how everything stands")
	}
	// What a replica finds of itself counts where it is worse.
	lost := admin.Finding{Name: "log", Level: admin.Warning, Detail: "lines are lost"}
	worse := h.AtLeast(h, admin.PartLog, at.now(), lost)
	if p, _ := worse.Part(admin.PartLog); p.Level != admin.Warning {
		t.Errorf("the replica's log: %+v", p)
	}
	better := h.AtLeast(h, admin.PartKeys, at.now(), admin.Finding{Name: "sign-ins"})
	if p, _ := better.Part(admin.PartKeys); p.Level != admin.Failure {
		t.Errorf("keys: %+v, want what the snapshot says", p)
	}
}

// Events of the time in which no bridge was running wait for the first checkpoint, and are no failure before it was
// due; nor are they for a command where no bridge is running.
func TestHealthOfTheAuditLogAfterAStop(t *testing.T) {
	s, at := healthOf(t)
	ctx := t.Context()
	e := at.event()
	e.Action = "mapping-add"
	if err := s.Store.Audit().Add(ctx, e); err != nil {
		t.Fatal(err)
	}
	at.Time = at.Add(8 * time.Hour)
	look := func(what string, want admin.Level, says string) {
		t.Helper()
		p, _ := s.LookForHealth(ctx, admin.Health{}).Part(admin.PartAudit)
		if p.Level != want || !strings.Contains(p.Worst().Detail, says) {
			t.Errorf("%s: %+v, want level %d", what, p, want)
		}
	}
	look("no bridge is running", admin.OK, "")
	s.Since = at.now()
	look("at the start", admin.OK, "")
	at.Time = at.Add(5 * time.Minute)
	look("when it is due", admin.OK, "")
	at.Time = at.Add(time.Minute)
	look("after it was due", admin.Failure, "the last 6m0s are covered by no checkpoint")
	s.Since = time.Time{}
	if err := s.Store.Replicas().Announce(ctx, store.Replica{ID: "one", SecretKeys: []string{"key"}}); err != nil {
		t.Fatal(err)
	}
	look("a command beside a running bridge", admin.Failure, "covered by no checkpoint")
}

// A snapshot is bounded, whatever is found.
func TestHealthIsBounded(t *testing.T) {
	s, _ := healthOf(t)
	s.Rest = []admin.Check{{Part: admin.PartClock, For: admin.ForHealth, Run: func(context.Context) (all []admin.Finding) {
		for i := range 1000 {
			all = append(all, admin.Finding{Name: fmt.Sprint(i), Level: admin.Warning, Detail: strings.Repeat("ü", 10_000)})
		}
		return append(all, admin.Finding{Name: "worst", Level: admin.Failure, Detail: "x"})
	}}}
	h := s.LookForHealth(t.Context(), admin.Health{})
	if err := s.StoreHealth(t.Context(), h, "r"); err != nil {
		t.Fatal(err)
	}
	p, _ := h.Part(admin.PartClock)
	if p.Worst().Name != "worst" || p.Level != admin.Failure || len(p.Findings)+p.More != 1001 || len(p.Findings) > 10 {
		t.Errorf("%d findings and %d more, the worst %q", len(p.Findings), p.More, p.Worst().Name)
	}
}

// Constant Contact is judged by real calls, and asked for its own sake once in a quarter of an hour at most, however
// many replicas look (OPS-02).
func TestHealthOfConstantContact(t *testing.T) {
	s, _ := healthOf(t)
	ctx := t.Context()
	health, budget := s.Store.Health(), s.Store.Budget(store.BudgetLimits{PerSecond: 100, PerDay: 1000})
	asked, fault := 0, error(nil)
	s.Probe = func(ctx context.Context) error {
		asked++
		if fault != nil {
			return errors.Join(fault, health.CallFailed(ctx, string(partnerapi.Unknown)))
		}
		n, _, err := budget.Depart(ctx, time.Second)
		return errors.Join(err, budget.Arrived(ctx, n, true))
	}
	look := func(want admin.Level, calls int) {
		t.Helper()
		p, _ := s.LookForHealth(ctx, admin.Health{}).Part(admin.PartConstantContact)
		if p.Level != want || asked != calls {
			t.Errorf("%+v after %d calls, want level %d after %d", p, asked, want, calls)
		}
	}
	look(admin.OK, 1) // nobody knows yet

	if err := health.CallFailed(ctx, string(partnerapi.Unknown)); err != nil {
		t.Fatal(err)
	}
	look(admin.Warning, 1) // one call may have failed for its own data, and the quarter of an hour is not over
	if err := health.CallFailed(ctx, string(partnerapi.Unauthorized)); err != nil {
		t.Fatal(err)
	}
	look(admin.Failure, 1)
	n, _, err := budget.Depart(ctx, time.Second)
	if err := errors.Join(err, budget.Arrived(ctx, n, true)); err != nil {
		t.Fatal(err)
	}
	look(admin.OK, 1)
	if err := s.Store.Breaker().Trip(ctx, "outage", store.Event{Action: "breaker-open"}); err != nil {
		t.Fatal(err)
	}
	look(admin.Failure, 1) // and no call while they are stopped

	// The only call there ever was fails.
	probe := s.Probe
	s, _ = healthOf(t)
	s.Probe, health, asked, fault = probe, s.Store.Health(), 0, errors.New("no answer")
	look(admin.Warning, 1)
	look(admin.Warning, 1)
}

// The health snapshot names no person, whatever is wrong with the entry that was tried; a check does.
func TestHealthNamesNoPerson(t *testing.T) {
	s, _ := healthOf(t)
	options := directorytest.StartSlapd(t).Options()
	options.IDAttribute = "homePhone" // which nobody has
	d, err := directory.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	s.Directory = d
	h := s.LookForHealth(t.Context(), admin.Health{})
	p, _ := h.Part(admin.PartDirectory)
	if p.Level != admin.Failure || p.Worst().Hint == "" {
		t.Errorf("%+v", p)
	}
	for _, f := range p.Findings {
		for _, text := range []string{f.Detail, f.Cause().Error(), f.Hint} {
			if strings.Contains(strings.ToLower(text), "uid=") || strings.Contains(text, "cn=") {
				t.Errorf("%s: %s", f.Name, text)
			}
		}
	}
	named := false
	for _, step := range d.Check(t.Context()) {
		named = named || step.Err != nil && strings.Contains(step.Err.Error(), options.BaseDN)
	}
	if !named {
		t.Error("the check itself names no entry, so that nothing was tried here")
	}
}
