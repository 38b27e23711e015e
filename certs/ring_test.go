package certs_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ssobridge/certs"
)

const (
	wiki = "https://wiki.example.test/saml"  // holds two certificates
	shop = "https://shop.example.test/saml"  // holds two certificates
	cctt = "https://login.example.test/saml" // holds one
)

// ring has an active key old, a published one new and a fresh one next.
func ring() certs.Ring {
	end := noon.Add(365 * 24 * time.Hour)
	return certs.Ring{
		Keys: map[string]certs.Member{
			"old":  {State: certs.Active, NotAfter: end, CreatedAt: noon.Add(-48 * time.Hour)},
			"new":  {State: certs.Published, NotAfter: end, CreatedAt: noon.Add(-24 * time.Hour)},
			"next": {State: certs.Next, NotAfter: end, CreatedAt: noon.Add(-time.Hour)},
			"gone": {State: certs.Retired, NotAfter: end, CreatedAt: noon.Add(-96 * time.Hour)},
		},
		Holders: []certs.Holder{{EntityID: wiki}, {EntityID: shop}, {EntityID: cctt, One: true}},
	}
}

func wantKeys(t testing.TB, r *certs.Ring, at time.Time, want map[string]string) {
	t.Helper()
	for entityID, key := range want {
		if got := r.KeyFor(entityID, at); got != key {
			t.Errorf("%s: key for %q is %s, want %s", at.Format(time.TimeOnly), entityID, got, key)
		}
	}
}

func wantStates(t testing.TB, r *certs.Ring, want map[string]certs.State) {
	t.Helper()
	for id, state := range want {
		if got := r.Keys[id].State; got != state {
			t.Errorf("key %s is %s, want %s", id, got, state)
		}
	}
}

// KEY-01: the way of a key from next to retired, one service provider after the other, with one step back.
func TestKEY01RollOver(t *testing.T) {
	r := ring()
	all := func(key string) map[string]string { return map[string]string{"": key, wiki: key, shop: key, cctt: key} }
	wantKeys(t, &r, noon, all("old"))

	if _, err := r.Promote(certs.Promotion{Key: "new", EntityID: wiki, By: "Kim"}, noon); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, &r, noon, map[string]string{"": "old", wiki: "new", shop: "old", cctt: "old"})
	wantStates(t, &r, map[string]certs.State{"old": certs.Active, "new": certs.Active})
	if c := r.Choices[wiki]; c.ConfirmedBy != "Kim" || !c.ConfirmedAt.Equal(noon) || c.Previous != "old" || c.Forced {
		t.Errorf("choice %+v, want by whom and when it was confirmed", c)
	}
	if !r.Keys["new"].ActiveAt.Equal(noon) {
		t.Errorf("key new %+v, want when it became active", r.Keys["new"])
	}

	// One step back, at once; the key that signs for nobody is retiring and stays in the metadata.
	if to, err := r.Rollback(wiki, noon.Add(time.Minute)); err != nil || to != "old" {
		t.Fatalf("rollback: %s, %v", to, err)
	}
	wantKeys(t, &r, noon, all("old"))
	wantStates(t, &r, map[string]certs.State{"old": certs.Active, "new": certs.Retiring})
	if _, err := r.Rollback(wiki, noon); !errors.Is(err, certs.ErrNoStepBack) {
		t.Errorf("second step back: %v, want ErrNoStepBack", err)
	}

	// For all: the one that holds a single certificate is left out and keeps its key.
	left, err := r.Promote(certs.Promotion{Key: "new", By: "Kim"}, noon.Add(time.Hour))
	if err != nil || !slices.Equal(left, []string{cctt}) {
		t.Fatalf("left out %v, %v, want %s", left, err, cctt)
	}
	wantKeys(t, &r, noon, map[string]string{"": "new", wiki: "new", shop: "new", cctt: "old"})
	if err := r.Retire("old", noon); !errors.Is(err, certs.ErrKeyInUse) {
		t.Errorf("retire a key that signs: %v, want ErrKeyInUse", err)
	}

	// That one at an agreed time, by the clock alone.
	at := noon.Add(10 * time.Hour)
	if _, err := r.Promote(certs.Promotion{Key: "new", EntityID: cctt, At: at}, noon.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, &r, at.Add(-time.Nanosecond), map[string]string{cctt: "old"})
	wantKeys(t, &r, at, map[string]string{cctt: "new", wiki: "new"})
	if err := r.Retire("old", at.Add(-time.Second)); !errors.Is(err, certs.ErrKeyInUse) {
		t.Errorf("retire before the switch: %v, want ErrKeyInUse", err)
	}
	if switched := r.Settle(at); !slices.Equal(switched, []string{cctt}) {
		t.Errorf("settled %v, want %s", switched, cctt)
	}
	wantStates(t, &r, map[string]certs.State{"old": certs.Retiring, "new": certs.Active})
	if err := r.Retire("old", at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantStates(t, &r, map[string]certs.State{"old": certs.Retired})
	if _, err := r.Rollback(cctt, at); !errors.Is(err, certs.ErrNoStepBack) {
		t.Errorf("back to a retired key: %v, want ErrNoStepBack", err)
	}
}

// KEY-01: what is refused, and that a refusal changes nothing.
func TestKEY01Refusals(t *testing.T) {
	later := noon.Add(time.Hour)
	promote := func(p certs.Promotion) func(*certs.Ring) error {
		return func(r *certs.Ring) error { _, err := r.Promote(p, noon); return err }
	}
	for _, c := range []struct {
		name string
		do   func(*certs.Ring) error
		want error
	}{
		{"unconfirmed", promote(certs.Promotion{Key: "new", EntityID: wiki}), certs.ErrUnconfirmed},
		{"unconfirmed for all", promote(certs.Promotion{Key: "new"}), certs.ErrUnconfirmed},
		{"one certificate without a time", promote(certs.Promotion{Key: "new", EntityID: cctt, By: "Kim"}),
			certs.ErrHoldsOne},
		{"not published", promote(certs.Promotion{Key: "next", EntityID: wiki, By: "Kim"}), certs.ErrState},
		{"not published, at a time", promote(certs.Promotion{Key: "next", EntityID: cctt, At: later}), certs.ErrState},
		{"retired", promote(certs.Promotion{Key: "gone", EntityID: wiki, Force: true}), certs.ErrState},
		{"unknown key", promote(certs.Promotion{Key: "none", EntityID: wiki, Force: true}), certs.ErrNoKey},
		{"unknown service provider", promote(certs.Promotion{Key: "new", EntityID: "https://other", By: "Kim"}),
			certs.ErrNoHolder},
		{"signs there already", promote(certs.Promotion{Key: "old", EntityID: wiki, By: "Kim"}), certs.ErrState},
		{"a time that is over", promote(certs.Promotion{Key: "new", EntityID: cctt, At: noon}), certs.ErrTime},
		{"a time too far away", promote(certs.Promotion{Key: "new", EntityID: cctt, At: noon.Add(367 * 24 * time.Hour)}),
			certs.ErrTime},
		{"the certificate ends before", promote(certs.Promotion{Key: "new", EntityID: cctt,
			At: noon.Add(365*24*time.Hour + 1)}), certs.ErrTime},
		{"publish twice", func(r *certs.Ring) error { return r.Publish("new", noon) }, certs.ErrState},
		{"publish a retired one", func(r *certs.Ring) error { return r.Publish("gone", noon) }, certs.ErrState},
		{"publish an unknown one", func(r *certs.Ring) error { return r.Publish("none", noon) }, certs.ErrNoKey},
		{"retire the active one", func(r *certs.Ring) error { return r.Retire("old", noon) }, certs.ErrKeyInUse},
		{"retire twice", func(r *certs.Ring) error { return r.Retire("gone", noon) }, certs.ErrState},
		{"retire an unknown one", func(r *certs.Ring) error { return r.Retire("none", noon) }, certs.ErrNoKey},
		{"nothing to take back", func(r *certs.Ring) error { _, err := r.Rollback(wiki, noon); return err },
			certs.ErrNoStepBack},
		{"nothing to take back anywhere", func(r *certs.Ring) error { _, err := r.Rollback("", noon); return err },
			certs.ErrNoStepBack},
		{"replace by the active one", func(r *certs.Ring) error { return r.Replace("old", noon) }, certs.ErrState},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ring()
			if err := c.do(&r); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if want := ring(); !maps.Equal(r.Keys, want.Keys) || len(r.Choices) > 0 {
				t.Errorf("the refusal has changed the ring: %+v", r)
			}
		})
	}
}

// KEY-01: in an emergency a key that nobody has loaded signs at once, for all.
func TestKEY01Force(t *testing.T) {
	r := ring()
	left, err := r.Promote(certs.Promotion{Key: "next", Force: true}, noon)
	if err != nil || len(left) > 0 {
		t.Fatalf("left out %v, %v", left, err)
	}
	wantKeys(t, &r, noon, map[string]string{"": "next", wiki: "next", shop: "next", cctt: "next"})
	wantStates(t, &r, map[string]certs.State{"next": certs.Active, "old": certs.Retiring})
	if c := r.Choices[cctt]; !c.Forced || c.ConfirmedBy != "" {
		t.Errorf("choice %+v, want that it was forced", c)
	}
	if _, waits := r.Choices[cctt].WaitsUntil(noon, time.Minute, time.Minute); waits {
		t.Error("people wait for a switch that was not planned")
	}
	if err := r.Retire("old", noon); err != nil {
		t.Error(err)
	}
}

// KEY-01: a planned switch can be withdrawn, moved and confirmed; who holds both certificates has nobody wait.
func TestKEY01PlannedSwitch(t *testing.T) {
	at := noon.Add(time.Hour)
	plan := func(t *testing.T, p certs.Promotion) certs.Ring {
		t.Helper()
		r := ring()
		if _, err := r.Promote(p, noon); err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("window", func(t *testing.T) {
		for _, c := range []struct {
			name string
			p    certs.Promotion
			want bool
		}{
			{"holds one", certs.Promotion{Key: "new", EntityID: cctt, At: at}, true},
			{"holds one, confirmed", certs.Promotion{Key: "new", EntityID: cctt, At: at, By: "Kim"}, true},
			{"holds two, nobody asked", certs.Promotion{Key: "new", EntityID: wiki, At: at}, true},
			{"holds two, confirmed", certs.Promotion{Key: "new", EntityID: wiki, At: at, By: "Kim"}, false},
		} {
			r := plan(t, c.p)
			for _, moment := range []struct {
				at    time.Duration
				waits bool
			}{{-121 * time.Second, false}, {-2 * time.Minute, true}, {0, true}, {3*time.Minute - 1, true},
				{3 * time.Minute, false}} {
				now := at.Add(moment.at)
				before := r.Choices[c.p.EntityID]
				r.Settle(now) // written down or not makes no difference
				for _, choice := range []certs.Choice{before, r.Choices[c.p.EntityID]} {
					until, waits := choice.WaitsUntil(now, 2*time.Minute, 3*time.Minute)
					if waits != (moment.waits && c.want) || waits && !until.Equal(at.Add(3*time.Minute)) {
						t.Errorf("%s, %s: waits %t until %s", c.name, moment.at, waits, until)
					}
				}
			}
		}
	})
	t.Run("withdrawn", func(t *testing.T) {
		r := plan(t, certs.Promotion{Key: "new", EntityID: cctt, At: at})
		if to, err := r.Rollback(cctt, at.Add(-time.Minute)); err != nil || to != "old" {
			t.Fatal(to, err)
		}
		wantKeys(t, &r, at.Add(time.Hour), map[string]string{cctt: "old"})
		if _, waits := r.Choices[cctt].WaitsUntil(at, time.Minute, time.Minute); waits {
			t.Error("people wait for a switch that was withdrawn")
		}
		if err := r.Retire("new", noon); err != nil {
			t.Errorf("retire the key that nobody uses: %v", err)
		}
	})
	t.Run("taken back during the window", func(t *testing.T) {
		r := plan(t, certs.Promotion{Key: "new", EntityID: cctt, At: at})
		if to, err := r.Rollback(cctt, at.Add(time.Minute)); err != nil || to != "old" {
			t.Fatal(to, err)
		}
		if _, waits := r.Choices[cctt].WaitsUntil(at.Add(time.Minute), time.Minute, time.Hour); waits {
			t.Error("people go on waiting after the switch was taken back")
		}
	})
	t.Run("moved", func(t *testing.T) {
		r := plan(t, certs.Promotion{Key: "new", EntityID: cctt, At: at})
		if _, err := r.Promote(certs.Promotion{Key: "new", EntityID: cctt, At: at.Add(time.Hour)}, noon); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, &r, at, map[string]string{cctt: "old"})
		wantKeys(t, &r, at.Add(time.Hour), map[string]string{cctt: "new"})
	})
	t.Run("for all", func(t *testing.T) {
		r := plan(t, certs.Promotion{Key: "new", At: at})
		wantKeys(t, &r, at.Add(-1), map[string]string{"": "old", wiki: "old", cctt: "old"})
		wantKeys(t, &r, at, map[string]string{"": "new", wiki: "new", cctt: "new"})
		r.Settle(at)
		if to, err := r.Rollback("", at); err != nil || to != "old" {
			t.Errorf("rollback for all: %s, %v", to, err)
		}
		wantKeys(t, &r, at, map[string]string{"": "old", wiki: "old", shop: "old", cctt: "old"})
	})
}

// Once every service provider has its own switch behind it, the next one that is registered begins with the new key.
func TestKEY01OthersFollow(t *testing.T) {
	r := ring()
	for _, entityID := range []string{wiki, shop} {
		if _, err := r.Promote(certs.Promotion{Key: "new", EntityID: entityID, By: "Kim"}, noon); err != nil {
			t.Fatal(err)
		}
	}
	wantKeys(t, &r, noon, map[string]string{"": "old"})
	at := noon.Add(time.Hour)
	if _, err := r.Promote(certs.Promotion{Key: "new", EntityID: cctt, At: at}, noon); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, &r, noon, map[string]string{"": "old"})
	r.Settle(at)
	wantKeys(t, &r, at, map[string]string{"": "new"})
	wantStates(t, &r, map[string]certs.State{"old": certs.Retiring})
}

// Replace is for keys without service providers.
func TestReplace(t *testing.T) {
	r := ring()
	if err := r.Replace("next", noon); err != nil {
		t.Fatal(err)
	}
	wantStates(t, &r, map[string]certs.State{"next": certs.Active, "old": certs.Retiring, "new": certs.Published})
}

// Whatever is done in whatever order: somebody signs for each service provider at each moment, by a key that stands in
// the metadata, and the states tell the use.
func TestKEY01Invariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := ring(), noon
		keys := []string{"old", "new", "next", "gone"}
		whom := []string{"", wiki, shop, cctt}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) { _ = r.Publish(rapid.SampledFrom(keys).Draw(t, "key"), now) },
			"retire":  func(t *rapid.T) { _ = r.Retire(rapid.SampledFrom(keys).Draw(t, "key"), now) },
			"rollback": func(t *rapid.T) {
				before := r
				if _, err := r.Rollback(rapid.SampledFrom(whom).Draw(t, "whom"), now); err != nil && !reflect.DeepEqual(before, r) {
					t.Fatal("a refused rollback has changed the ring")
				}
			},
			"promote": func(t *rapid.T) {
				p := certs.Promotion{Key: rapid.SampledFrom(keys).Draw(t, "key"), EntityID: rapid.SampledFrom(whom).Draw(t, "whom"),
					Force: rapid.Bool().Draw(t, "force")}
				if rapid.Bool().Draw(t, "confirmed") {
					p.By = "Kim"
				}
				if rapid.Bool().Draw(t, "planned") {
					p.At = now.Add(time.Duration(rapid.IntRange(-1, 5).Draw(t, "hours")) * time.Hour)
				}
				_, _ = r.Promote(p, now)
			},
			"settle": func(*rapid.T) { r.Settle(now) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "minutes")) * time.Minute)
			},
			"": func(t *rapid.T) {
				for _, at := range []time.Time{now, now.Add(2 * time.Hour), now.Add(10 * time.Hour)} {
					for _, entityID := range whom {
						if id := r.KeyFor(entityID, at); !r.Keys[id].State.Public() {
							t.Fatalf("key %q for %q is %q", id, entityID, r.Keys[id].State)
						}
					}
				}
				settled := r
				settled.Settle(now)
				for id, m := range settled.Keys {
					used := slices.ContainsFunc(whom, func(e string) bool { return settled.KeyFor(e, now) == id })
					if used != (m.State == certs.Active) {
						t.Fatalf("key %s is %s, in use %t", id, m.State, used)
					}
				}
			},
		})
	})
}
