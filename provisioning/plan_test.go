package provisioning_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

func toldRole(role store.Role) func(*store.SSOUser) { return func(u *store.SSOUser) { u.Role = role } }

// A plan says for each person in each client account what is to be done, and nothing where nothing is.
func TestPlanItems(t *testing.T) {
	nested := group("sales")
	nested.Via = []string{"cn=emea,ou=groups,dc=example,dc=test"}
	w := newPlanWorld(t, []directory.Entry{
		person("new", group("sales")),
		person("nested", nested),
		person("both", group("sales"), group("riders")),
		person("nobody", group("other")),
		with(person("nameless", group("sales")), func(p *directory.Entry) { p.LastName = "" }),
		person("refused", group("sales")), person("conflict", group("sales")),
		person("active", group("sales")), person("assumed", group("sales")), person("suspended", group("sales")),
		person("unknown", group("sales")), person("sending", group("sales")), person("wanted", group("sales")),
		person("drift", group("sales")),
		person("owner"), person("lesser", group("sales")), person("ownerless"),
		person("closed", group("closed")), person("closed-active", group("closed")),
		person("moved", group("other")),
		problem("disabled", directory.Disabled, group("sales")), problem("expired", directory.Expired, group("sales")),
		problem("must", directory.MustChange, group("sales")), problem("must-new", directory.MustChange, group("sales")),
		problem("must-named", directory.MustChange), problem("disabled-named", directory.Disabled),
		problem("locked", directory.Locked), problem("password", directory.PasswordExpired),
		problem("night", directory.NotNow),
	})
	sales := w.maps("sales", harbour, store.AccountManager)
	w.maps("riders", cycling, store.CampaignCreator)
	w.maps("closed", juniper, store.AccountManager)
	w.accounts(store.Account{ID: juniper, Name: "Juniper", BillingStatus: "canceled"})
	w.add(mapping.Spec{Person: "owner", Account: string(cycling), Role: "owner", ExternalID: "owner-of-cycling"})
	ownerless := w.add(mapping.Spec{Person: "ownerless", Account: string(cycling), Role: "owner",
		ExternalID: "second-owner"})
	if err := w.db.Ledger().Forget(t.Context(), store.UserKey{Person: "ownerless", Account: cycling},
		store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	// what needs no group is not given to them either
	for _, named := range []store.PersonID{"must-named", "disabled-named"} {
		w.add(mapping.Spec{Person: named, Account: string(cycling), Role: "campaign_creator"})
	}
	w.row("lesser", harbour, store.Active, toldRole(store.Owner))
	for person, state := range map[string]store.State{
		"refused": store.Refused, "conflict": store.Conflict, "active": store.Active, "assumed": store.Assumed,
		"suspended": store.Suspended,
		"unknown":   store.Unknown, "sending": store.Sending,
		"moved": store.Active, "disabled": store.Active, "expired": store.Assumed, "gone": store.Active,
		"must": store.Active, "locked": store.Active, "password": store.Assumed, "night": store.Active,
		"gone-unknown": store.Unknown, "gone-suspended": store.Suspended, "gone-refused": store.Refused,
		"gone-conflict": store.Conflict,
	} {
		w.row(person, harbour, state, func(u *store.SSOUser) {
			if strings.HasPrefix(person, "gone") {
				u.FirstName, u.LastName = "Told", person
			}
		})
	}
	w.row("never-there", harbour, store.Refused)
	if err := w.db.Ledger().Suspend(t.Context(), store.UserKey{Person: "never-there", Account: harbour},
		store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	w.row("drift", harbour, store.Active, toldRole(store.CampaignCreator))
	w.row("gone-owner", juniper, store.Active, toldRole(store.Owner))
	w.row("closed-active", juniper, store.Active, toldRole(store.CampaignCreator))
	w.row("wanted", harbour, store.Wanted)
	w.row("gone-wanted", harbour, store.Wanted)

	p := w.plan()
	h, c, j := string(harbour), string(cycling), string(juniper)
	same(t, "items", w.lines(p.ID),
		"create new "+h+" account_manager", "create nested "+h+" account_manager",
		"create both "+h+" account_manager", "create both "+c+" campaign_creator",
		"blocked nameless "+h+" account_manager", "blocked refused "+h+" account_manager", "blocked conflict "+h+
			" account_manager",
		"blocked lesser "+h+" account_manager", "blocked ownerless "+c+" owner", "blocked closed "+j+" account_manager",
		"drift drift "+h+" account_manager",
		"leaver moved "+h+" ", "leaver disabled "+h+" ", "leaver expired "+h+" ", "leaver gone "+h+" ",
		"leaver gone-unknown "+h+" ", "leaver gone-suspended "+h+" ", "leaver gone-owner "+j+" ",
	)
	if p.State != store.PlanReady || p.People != 29 || p.Creations != 4 || p.Blocked != 6 || p.Drifted != 1 ||
		p.Leavers != 7 || p.CreatedBy != "admin:test" {
		t.Errorf("plan: got %+v", p)
	}
	same(t, "manual work", w.work(), "drift drift "+h, "leaver moved "+h, "leaver disabled "+h, "leaver expired "+h,
		"leaver gone "+h,
		"leaver gone-unknown "+h, "leaver gone-suspended "+h, "leaver gone-owner "+j)

	why := map[string]string{
		"new": fmt.Sprintf("mapping %d, group cn=sales,ou=groups,dc=example,dc=test: is a direct member of the group",
			sales.ID),
		"nested":  "through cn=emea,ou=groups,dc=example,dc=test",
		"refused": "refused: words for the admin", "conflict": "conflict: words for the admin",
		"nameless":  "last_name",
		"lesser":    "is the owner of account " + h,
		"ownerless": fmt.Sprintf("mapping %d gives role owner", ownerless.ID),
		"closed":    "is closed at Constant Contact (canceled)",
		"drift":     "Constant Contact was told campaign_creator",
		"gone":      "not in the directory any more", "moved": "no mapping gives", "disabled": "is disabled",
		"expired":    "has expired",
		"gone-owner": "account owner's user", "gone-unknown": "look whether it is there",
	}
	for _, i := range w.items(p.ID) {
		if want, told := why[string(i.Person)]; told && !strings.Contains(i.Why, want) {
			t.Errorf("why of %s: got %q, want it to hold %q", i.Person, i.Why, want)
		}
		switch {
		case i.Person == "drift" && (i.Current != store.CampaignCreator || i.Login != "drift" || i.Name != "Jane Doe"):
			t.Errorf("drift: got %+v", i)
		case i.Person == "gone" && (i.Login != "gone-"+h || i.Name != "Told gone" || i.Current != store.AccountManager):
			t.Errorf("leaver: got %+v, want it shown as Constant Contact knows it", i)
		case i.Person == "gone-owner" && i.Current != store.Owner:
			t.Errorf("leaver who is an owner: got %+v", i)
		}
	}
}

// Nothing in a name or DN breaks a plan or makes its lines endless.
func TestPlanBoundsWhatItShows(t *testing.T) {
	odd := group("sales")
	for range 9 {
		odd.Via = append(odd.Via, "cn="+strings.Repeat("x", 4000))
	}
	w := newPlanWorld(t, []directory.Entry{with(person("a", odd), func(p *directory.Entry) {
		p.FirstName, p.LastName, p.Login = "Ja\x1b[31mne\n", strings.Repeat("é", 70), "a\x00b\xff"
	})})
	w.maps("sales", harbour, store.AccountManager)
	i := w.items(w.plan().ID)
	if len(i) != 1 || len(i[0].Why) > 1010 || len(i[0].Name) > 210 || strings.ContainsAny(i[0].Name+i[0].Login,
		"\x00\x1b\n") || !utf8.ValidString(i[0].Login) {
		t.Errorf("item: got %+v", i)
	}
}

// A walk that fails makes no plan: half a walk would take everybody behind its end for a leaver.
func TestPlanOfHalfAWalk(t *testing.T) {
	var people []directory.Entry
	for i := range 10 {
		people = append(people, person(fmt.Sprint("p", i), group("sales")))
	}
	w := newPlanWorld(t, people)
	w.maps("sales", harbour, store.AccountManager)
	w.row("p9", harbour, store.Active)
	w.row("left", harbour, store.Active)
	before := w.plan()
	w.people.fail(errDown)
	_, _, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"})
	if !errors.Is(err, errDown) {
		t.Fatalf("MakePlan: got %v, want that the directory is down", err)
	}
	all := w.plans()
	if len(all) != 2 || all[0].State != store.PlanDropped || w.get(before.ID).State != store.PlanReady {
		t.Errorf("plans: got %+v, want the failed one dropped and the one before ready", all)
	}
	same(t, "manual work", w.work(), "leaver left "+string(harbour))

	ctx, cancel := context.WithCancel(t.Context())
	w.people.fail(nil)
	w.people.middle = func(context.Context) { cancel() }
	if _, _, err := w.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin"}); !errors.Is(err, context.Canceled) {
		t.Errorf("MakePlan of an ended context: got %v", err)
	}
	if p := w.plans()[0]; p.State != store.PlanDropped {
		t.Errorf("plan of an ended context: got %s, want it dropped", p.State)
	}
	if _, _, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "other"}); err == nil {
		t.Error("MakePlan of an unknown kind: got none, want an error")
	}
}

// Where more than half of at least 20 users would be leavers, the plan asks before anybody is told to delete them.
func TestPlanOfAnAbsurdDirectory(t *testing.T) {
	cases := []struct {
		name        string
		users, stay int
		stops       bool
	}{
		{"more than half", 20, 9, true},
		{"all", 20, 0, true},
		{"half", 20, 10, false},
		{"few users", 19, 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var people []directory.Entry
			for i := range c.stay {
				people = append(people, person(fmt.Sprint("p", i), group("sales")))
			}
			w := newPlanWorld(t, people)
			w.maps("sales", harbour, store.AccountManager)
			for i := range c.users {
				w.row(fmt.Sprint("p", i), harbour, store.Active)
			}
			w.row("refused", harbour, store.Refused) // not there, so it does not count
			p := w.plan()
			if p.Leavers != c.users-c.stay {
				t.Errorf("leavers: got %d, want %d", p.Leavers, c.users-c.stay)
			}
			if !c.stops {
				if p.State != store.PlanReady || len(w.work()) != p.Leavers {
					t.Errorf("got %s and %d pieces of work, want it ready with the leavers as work", p.State, len(w.work()))
				}
				return
			}
			if p.State != store.PlanStopped || p.Reason != provisioning.StopLeavers || len(w.work()) != 0 {
				t.Fatalf("got %s %q and %d pieces of work, want it stopped and none", p.State, p.Reason, len(w.work()))
			}
			_, err := w.ApplyPlan(t.Context(), provisioning.ApplyOptions{Actor: "admin:test"})
			stop, ok := errors.AsType[*provisioning.StopError](err)
			if !ok || stop.Reason != provisioning.StopLeavers || !strings.Contains(stop.Fix, "base_dn") {
				t.Fatalf("ApplyPlan: got %v, want %s", err, provisioning.StopLeavers)
			}
			again := w.plan()
			if old := w.get(p.ID); old.State != store.PlanDropped || again.State != store.PlanStopped {
				t.Errorf("after another plan: got %s and %s, want the older one dropped", old.State, again.State)
			}
			if _, err := w.ApplyPlan(t.Context(), provisioning.ApplyOptions{ID: again.ID, Actor: "admin:test",
				Accept: true}); err != nil {
				t.Fatalf("ApplyPlan, accepted: %v", err)
			}
			if got := len(w.work()); got != p.Leavers {
				t.Errorf("work after it was accepted: got %d, want %d", got, p.Leavers)
			}
		})
	}
}

// Somebody who comes into the directory behind the walk and signs in meanwhile is no leaver.
func TestPlanWhilePeopleSignIn(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("a", group("sales")), person("b", group("sales"))})
	w.maps("sales", harbour, store.AccountManager)
	w.people.middle = func(context.Context) {
		w.row("a", harbour, store.Active)        // was a creation a moment ago
		w.row("newcomer", harbour, store.Active) // the walk does not come by any more
	}
	p := w.plan()
	if p.Leavers != 0 {
		t.Errorf("leavers: got %v", w.lines(p.ID))
	}
	w.people.middle = nil
	if p = w.plan(); p.Leavers != 1 {
		t.Errorf("leavers of the next plan: got %d, want the newcomer, who is not in the directory", p.Leavers)
	}
}

// Whose entry can't be used is not seen by a walk: the plan does not say for sure that they have left.
func TestPlanOfEntriesLeftOut(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("a", group("sales")), person("moved")})
	w.maps("sales", harbour, store.AccountManager)
	w.row("gone", harbour, store.Active)
	w.row("moved", harbour, store.Active)
	for odd, want := range []bool{false, true} {
		w.people.odd = odd
		for _, i := range w.items(w.plan().ID) {
			if got := strings.Contains(i.Why, "left out, since they can't be used (1)"); got != (want && i.Person == "gone") {
				t.Errorf("%d left out: why of %s: %q", odd, i.Person, i.Why)
			}
		}
	}
}

// An entry that the server gives twice, since it was renamed meanwhile, is one person.
func TestPlanOfAnEntryGivenTwice(t *testing.T) {
	p := person("a", group("sales"))
	w := newPlanWorld(t, []directory.Entry{p, p})
	w.maps("sales", harbour, store.AccountManager)
	w.maps("riders", cycling, store.AccountManager) // nobody is in it
	if got := w.plan(); got.Creations != 1 {
		t.Errorf("creations: got %d, want 1", got.Creations)
	}
	counted, err := w.MappedPeople(t.Context())
	if err != nil || !maps.Equal(counted.People, map[int64]int{1: 1, 2: 0}) {
		t.Errorf("people of mappings: %v, %v, want 1 and 0", counted.People, err)
	}
}

// People are compared in pages and items stored in batches: none is lost at their borders, and the progress is told.
func TestPlanOfManyPeople(t *testing.T) {
	const many = 1503
	var people []directory.Entry
	for i := range many {
		people = append(people, person(fmt.Sprintf("p%04d", i), group("sales"), group("riders")))
	}
	w := newPlanWorld(t, people)
	w.maps("sales", harbour, store.AccountManager)
	w.maps("riders", cycling, store.AccountManager)
	var told []int
	p, walked, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "admin",
		Progress: func(p provisioning.PlanProgress) { told = append(told, p.People) }})
	if err != nil {
		t.Fatal(err)
	}
	if p.Creations != 2*many || walked.People != many || !slices.Equal(told, []int{500, 1000, 1500, many}) {
		t.Errorf("got %d creations, %d people, progress %v", p.Creations, walked.People, told)
	}
	counted, err := w.MappedPeople(t.Context())
	if err != nil || !counted.At.Equal(p.CreatedAt) || !maps.Equal(counted.People, map[int64]int{1: many, 2: many}) {
		t.Errorf("people of mappings: %+v, %v", counted, err)
	}
	first := w.items(p.ID)[0]
	if first.Person != "p0000" || first.Position != 1 || first.State != store.ItemOpen {
		t.Errorf("first item: got %+v, want the walk's first person", first)
	}
}

// The ledger is read in pages as well.
func TestPlanOfManyLeavers(t *testing.T) {
	crowd := &crowdFake{people: 1300, groups: 1, mapped: 1}
	w := newPlanWorld(t, nil, func(o *provisioning.Options) { o.Directory = crowd })
	g := crowd.group(0)
	w.add(mapping.Spec{Group: g, Account: string(harbour), Role: "account_manager"})
	w.fill(crowd, 2500)
	if p := w.plan(); p.Leavers != 1200 || p.Creations != 0 || p.State != store.PlanReady {
		t.Errorf("got %+v, want 1200 leavers", p)
	}
}

func TestMappingsDigest(t *testing.T) {
	a := store.Mapping{ID: 1, Kind: store.GroupMapping, GroupID: "g", GroupDN: "cn=a", Account: harbour,
		Role: store.AccountManager, Priority: 10, CreatedBy: "x"}
	b := store.Mapping{ID: 2, Kind: store.GroupPattern, Pattern: "x-{account}", Role: store.AccountManager, Priority: 20}
	digest := mapping.Digest([]store.Mapping{a, b})
	renamed := a
	renamed.ID, renamed.GroupDN, renamed.CreatedAt = 7, "cn=b", time.Now()
	if got := mapping.Digest([]store.Mapping{b, renamed}); got != digest {
		t.Error("another order, id and DN of a group whose id is known: got another digest, want the same")
	}
	for name, change := range map[string]func(*store.Mapping){
		"group": func(m *store.Mapping) { m.GroupID = "h" }, "account": func(m *store.Mapping) { m.Account = juniper },
		"role":     func(m *store.Mapping) { m.Role = store.CampaignCreator },
		"priority": func(m *store.Mapping) { m.Priority = 5 },
		"DN alone": func(m *store.Mapping) { m.GroupID = "" }, "person": func(m *store.Mapping) { m.Person = "p" },
		"pattern": func(m *store.Mapping) { m.Pattern = "p" }, "attribute": func(m *store.Mapping) { m.Attribute = "p" },
	} {
		m := a
		change(&m)
		if mapping.Digest([]store.Mapping{m, b}) == digest {
			t.Errorf("another %s: got the same digest", name)
		}
	}
	if mapping.Digest([]store.Mapping{a}) == digest || mapping.Digest(nil) == mapping.Digest([]store.Mapping{a}) {
		t.Error("fewer mappings: got the same digest")
	}
}
