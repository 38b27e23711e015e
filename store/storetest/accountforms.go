package storetest

import (
	"slices"
	"testing"
	"time"

	"ssobridge/store"
)

// testAccountForms: rows in another case are brought to the listed form where that is clear, the stricter policy stays,
// and what is not clear is told (row ID-01).
func testAccountForms(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db, raw := open(t, o), rawDB(t, o)
	s := db.Accounts()
	for _, p := range []struct {
		account store.AccountID
		policy  string
	}{{"ONE", "required"}, {"twin", "required"}, {"Two", "off"}} {
		must(t, db.SecondFactors().SetPolicy(ctx, p.account, p.policy, event("set")))
	}
	add := func(group string, account store.AccountID, priority int) {
		t.Helper()
		_, err := db.Mappings().Add(ctx, store.Mapping{Kind: store.GroupMapping, GroupID: group, GroupDN: "cn=" + group,
			Account: account, Role: store.AccountManager, Priority: priority}, nil, event("add"))
		must(t, err)
	}
	add("g1", "ONE", 1)
	add("g1", "one", 2)
	add("g2", "ONE", 3)
	add("g3", "twin", 4)
	must(t, db.Mappings().Replace(ctx, nil, []store.Mapping{{Kind: store.GroupMapping, GroupID: "g4", GroupDN: "cn=g4",
		Account: "ONE", Role: store.AccountManager, Off: true}},
		nil, []store.Event{event("off")}))
	work := leaverItem("p9")
	work.Account = "ONE"
	must(t, db.Plans().SetManualTasks(ctx, plan(t, db, "watch", work).ID))
	adopt := func(p store.PersonID, account store.AccountID) {
		t.Helper()
		_, err := db.Ledger().Adopt(ctx, []store.SSOUser{{
			Person: p, Account: account, ExternalID: string(p) + "-" + string(account) + "-x", ExternalProvider: "partner",
			Role: store.AccountManager, State: store.Active,
		}}, event("adopt"))
		must(t, err)
	}
	adopt("p1", "ONE")
	adopt("p2", "one")
	adopt("p3", "twin")
	must(t, s.ReplaceAll(ctx, []store.Account{{ID: "one", SeenAt: time.Now()}, {ID: "two"}, {ID: "Twin"}, {ID: "TWIN"}},
		event("list")))
	forms, err := s.Forms(ctx)
	must(t, err)
	if id, err := forms.Resolve("ONE"); id != "one" || err != nil {
		t.Errorf("resolved %q, %v", id, err)
	}
	left := func() (all []string) {
		t.Helper()
		list, err := s.Misspelled(ctx)
		must(t, err)
		for _, m := range list {
			all = append(all, m.Table+" "+string(m.Account))
		}
		return all
	}
	if got, want := left(), []string{"second_factor_policies ONE", "second_factor_policies Two",
		"second_factor_policies twin", "mappings ONE", "mappings twin", "mappings_off ONE", "manual_work ONE",
		"sso_users ONE", "sso_users twin"}; !sameTexts(got, want) {
		t.Fatalf("misspelled %q, want %q", got, want)
	}
	strictest := func(policies []string, own bool) string {
		switch {
		case slices.Contains(policies, "required"):
			return "required"
		case !own:
			return "" // the common one is stricter
		}
		return "off"
	}
	if _, err := s.Align(ctx, strictest, event("account-form")); err != nil {
		t.Fatal(err)
	}
	policies, err := db.SecondFactors().Policies(ctx)
	must(t, err)
	if len(policies) != 3 || policies["one"] != "required" || policies["Twin"] != "required" ||
		policies["TWIN"] != "required" {
		t.Errorf("policies %v", policies)
	}
	// One that stands under the listed form too, and what can mean two accounts, stays and is told.
	if got, want := left(), []string{"mappings ONE", "mappings twin", "sso_users twin"}; !sameTexts(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	var n int
	must(t, raw.QueryRow(`SELECT COUNT(*) FROM sso_users WHERE account = 'one'`).Scan(&n))
	if n != 2 {
		t.Errorf("%d users of one, want 2", n)
	}
	must(t, raw.QueryRow(`SELECT COUNT(*) FROM mappings WHERE account = 'one'`).Scan(&n))
	if n != 2 {
		t.Errorf("%d mappings of one, want 2", n)
	}
	if off, err := db.Mappings().ListOff(ctx); err != nil || len(off) != 1 || off[0].Account != "one" {
		t.Errorf("switched off: %+v, %v", off, err)
	}
	if left, err := db.Plans().ManualTasks(ctx, store.ManualTaskFilter{}); err != nil || len(left) != 1 ||
		left[0].Account != "one" {
		t.Errorf("work by hand: %+v, %v", left, err)
	}
	if done, err := s.Align(ctx, strictest, event("account-form")); err != nil || len(done) != 0 {
		t.Errorf("aligned again: %v, %v", done, err)
	}
}

func sameTexts(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
