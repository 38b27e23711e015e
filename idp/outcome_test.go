package idp_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
)

// TestAnswersAreCounted: each answer that ends or holds up a sign-in is counted at one door, whichever step gave it:
// wrong second factors and entries to the console too. Steps on the way are not.
func TestAnswersAreCounted(t *testing.T) {
	ctx := context.Background()
	counted := map[string]int{}
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.SecondFactor, o.Console = idp.FactorOptions{People: mfa.Required}, idp.ConsoleGroups{Admin: staffGroup}
		o.Count = func(outcome, reason string) {
			counted[outcome+" "+reason]++
			if !slices.Contains(idp.Outcomes()[outcome], reason) {
				t.Errorf("%s %s is counted, and not among the outcomes", outcome, reason)
			}
		}
	})
	want := func(what string, all map[string]int) {
		t.Helper()
		if !maps.Equal(counted, all) {
			t.Errorf("%s: counted %v, want %v", what, counted, all)
		}
		clear(counted)
	}
	w := f.travel(t, "bob", "battery staple")
	w.app()
	taken(t, w.resume(), nil)
	want("a sign-in with a new factor", map[string]int{"delivered ": 1})

	w = f.travel(t, "bob", "battery staple")
	for range 2 {
		must[idp.AskFactor](t, w.prove(idp.FactorProof{Code: "000000"}), nil)
	}
	want("two guessed codes", map[string]int{"wrong_second_factor second_factor_wrong": 2})

	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: "https://nobody.test/"}, w.v)
	must[idp.Refusal](t, a, err)
	want("an unknown service provider", map[string]int{"refused unknown_provider": 1})

	v := visitor("yet another")
	id := f.request(t, newRequest(plain), v)
	a, err = f.Login(ctx, id, "alice", "wrong", v)
	must[idp.AskPassword](t, a, err)
	want("a wrong password", map[string]int{"wrong_password bad_credentials": 1})
	a, err = f.Cancel(ctx, id, v)
	must[idp.Deliver](t, a, err)
	want("the way back to the service provider", map[string]int{"cancelled ": 1})

	passive := newRequest(plain)
	passive.attributes = `IsPassive="true"`
	v = visitor("nobody")
	a, err = f.Resume(ctx, f.request(t, passive, v), v)
	must[idp.Deliver](t, a, err)
	want("a status in place of an assertion", map[string]int{"refused passive": 1})

	_, a = f.enterAs(t, "alice", "correct horse")
	must[idp.Entered](t, a, nil)
	want("an entry to the console", map[string]int{"entered ": 1})
}
