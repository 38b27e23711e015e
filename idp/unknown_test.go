package idp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// TestUnknownLoginsAreSummed: of failed logins of names that nobody has, 60 a minute get an event of their own, the
// rest one event that counts them (row ID-14). Failed logins of people each have theirs.
func TestUnknownLoginsAreSummed(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	guess := func(login string, n int) {
		t.Helper()
		for i := range n {
			v := visitor("guesser")
			v.Address = fmt.Sprintf("192.0.2.%d", i%50)
			if _, err := f.Login(ctx, pendingLogin(t, f, v), fmt.Sprintf(login, i), "wrong", v); err != nil {
				t.Fatal(err)
			}
		}
	}
	events := func(want int) (last store.Event) {
		t.Helper()
		f.Drain() // no answer waits for its event
		list, err := f.db.Audit().List(ctx, store.Filter{Action: "login", Outcome: "refused", Limit: 1000})
		if err != nil || len(list) != want {
			t.Fatalf("%d events, %v, want %d", len(list), err, want)
		}
		return list[0]
	}
	report := func() {
		t.Helper()
		if err := f.ReportStrangers(ctx); err != nil {
			t.Fatal(err)
		}
	}
	report()
	guess("nobody%d", 150)
	events(60)
	guess("alice%.0d", 1)
	events(61)
	report()
	e := events(62)
	var detail struct {
		Count, Addresses int
		Busiest          map[string]int
	}
	if err := json.Unmarshal(e.Detail, &detail); err != nil || e.Reason != idp.ReasonUnknownLogins || detail.Count != 90 ||
		detail.Addresses != 50 || len(detail.Busiest) != 20 {
		t.Errorf("the rest: %+v, %s, %v", e, e.Detail, err)
	}
	if detail.Busiest["192.0.2.10"] != 2 {
		t.Errorf("the busiest addresses: %v", detail.Busiest)
	}
	report() // nothing is told twice
	events(62)
	now.Advance(time.Minute)
	guess("somebody%d", 10)
	events(72)
}
