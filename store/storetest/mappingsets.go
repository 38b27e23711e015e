package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ssobridge/store"
)

// testMappingSets: many mappings change in one transaction, or none does.
func testMappingSets(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	db := open(t, o)
	s := db.Mappings()
	group := func(dn string, account store.AccountID, role store.Role) store.Mapping {
		return store.Mapping{Kind: store.GroupMapping, GroupDN: dn, Account: account, Role: role, CreatedBy: "admin:x"}
	}
	const manager, creator = store.AccountManager, store.CampaignCreator
	list := func() []store.Mapping {
		t.Helper()
		all, err := s.List(ctx)
		must(t, err)
		return all
	}
	same := func(what string, want ...store.Mapping) {
		t.Helper()
		if diff := cmp.Diff(want, list(), cmpopts.IgnoreFields(store.Mapping{}, "ID", "CreatedAt")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if any, err := s.Any(ctx); err != nil || any {
		t.Errorf("one is on: %t, %v", any, err)
	}
	must(t, s.Replace(ctx, nil, []store.Mapping{group("cn=a", "a1", manager), group("cn=b", "a2", manager)}, nil,
		[]store.Event{event("set"), event("set")}))
	if any, err := s.Any(ctx); err != nil || !any {
		t.Errorf("none is on: %t, %v", any, err)
	}
	same("two added", group("cn=a", "a1", manager), group("cn=b", "a2", manager))

	off := group("cn=off", "a1", creator)
	off.Off = true
	must(t, s.Replace(ctx, nil, []store.Mapping{off}, nil, []store.Event{event("off")}))
	same("one added that is off", group("cn=a", "a1", manager), group("cn=b", "a2", manager))
	switchedOff, err := s.ListOff(ctx)
	if err != nil || len(switchedOff) != 1 || switchedOff[0].GroupDN != "cn=off" {
		t.Errorf("off: %+v, %v", switchedOff, err)
	}

	ownersMapping := func(p store.PersonID) store.Mapping {
		return store.Mapping{Kind: store.PersonMapping, Person: p, Account: "a9", Role: store.Owner}
	}
	ownersRow := func(p store.PersonID, id string) store.SSOUser {
		return store.SSOUser{Person: p, Account: "a9", ExternalID: id, ExternalProvider: "partner"}
	}
	owner := store.Mapping{Kind: store.PersonMapping, Person: "p1", Account: "a9", Role: store.Owner}
	ownerID, err := s.Add(ctx, owner, &store.SSOUser{Person: "p1", Account: "a9", ExternalID: "x1",
		ExternalProvider: "partner"}, event("m"))
	must(t, err)
	before := list()
	counter, err := db.Changes(ctx)
	must(t, err)
	for _, c := range []struct {
		name   string
		remove []store.Mapping
		add    []store.Mapping
		want   error // nil: any
		owners []store.SSOUser
	}{
		{name: "an owner that is off", add: []store.Mapping{{Kind: store.PersonMapping, Person: "p2", Account: "a9",
			Role: store.Owner, Off: true}}, owners: []store.SSOUser{ownersRow("p2", "x2")}},
		{name: "an owner with somebody's external id", add: []store.Mapping{ownersMapping("p2")},
			owners: []store.SSOUser{ownersRow("p2", "x1")}, want: store.ErrConflict},
		{name: "an owner with it in another letter case", add: []store.Mapping{ownersMapping("p2")},
			owners: []store.SSOUser{ownersRow("p2", "X1")}, want: store.ErrConflict},
		{"one is gone", []store.Mapping{before[0], {ID: 999}}, nil, store.ErrConflict, nil},
		{"one is named twice", []store.Mapping{before[0], before[0]}, nil, store.ErrConflict, nil},
		{"one is not as it was", []store.Mapping{changed(before[0])}, nil, store.ErrConflict, nil},
		{"clash with one that stays", before[:1], []store.Mapping{group("cn=c", "a3", manager), group("cn=d", "a2", creator)},
			store.ErrConflict, nil},
		{"clash among themselves", nil, []store.Mapping{group("cn=c", "a3", manager), group("cn=d", "a3", creator)},
			store.ErrConflict, nil},
		{"the same rule", nil, []store.Mapping{group("cn=a", "a1", manager)}, store.ErrConflict, nil},
		{"an owner's removed", []store.Mapping{{ID: ownerID, Kind: store.PersonMapping, Role: store.Owner}}, nil, nil, nil},
		{"an owner's added", nil, []store.Mapping{{Kind: store.PersonMapping, Person: "p2", Account: "a9",
			Role: store.Owner}}, nil, nil},
		{"no kind", nil, []store.Mapping{group("cn=c", "a3", manager), {Kind: "odd", Account: "a4", Role: manager}}, nil,
			nil},
	} {
		err := s.Replace(ctx, c.remove, c.add, c.owners, []store.Event{event("bad")})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if diff := cmp.Diff(before, list()); diff != "" {
			t.Errorf("%s: changed (-before +after):\n%s", c.name, diff)
		}
	}
	if n, err := db.Changes(ctx); err != nil || n != counter || events(t, db, "bad") != 0 {
		t.Errorf("after refusals: counter from %d to %d, %v, %d events", counter, n, err, events(t, db, "bad"))
	}

	// What would clash if it were added first.
	must(t, s.Replace(ctx, before[:2], []store.Mapping{group("cn=a", "a1", creator), group("cn=b", "a1", creator)},
		nil, []store.Event{event("set")}))
	same("replaced", owner, group("cn=a", "a1", creator), group("cn=b", "a1", creator))
	if n, err := db.Changes(ctx); err != nil || n <= counter {
		t.Errorf("counter %d, %v, want more than %d", n, err, counter)
	}
	if row, err := db.Ledger().Get(ctx, "p1", "a9"); err != nil || row.ExternalID != "x1" || row.State != store.Active {
		t.Errorf("the owner's row: %+v, %v, want it untouched", row, err)
	}
	must(t, s.Replace(ctx, nil, []store.Mapping{ownersMapping("p3")}, []store.SSOUser{ownersRow("p3", "x3")},
		[]store.Event{event("owner")}))
	if row, err := db.Ledger().Get(ctx, "p3", "a9"); err != nil || row.ExternalID != "x3" || row.State != store.Active ||
		row.Role != store.Owner {
		t.Errorf("a new owner's row: %+v, %v", row, err)
	}
	if found, err := db.Ledger().ExternalID(ctx, "partner", "X3"); err != nil || len(found) != 1 ||
		found[0].Person != "p3" {
		t.Errorf("whose external id X3 is: %+v, %v", found, err)
	}
	told := list()[len(list())-1]
	must(t, s.Remove(ctx, told, event("removed")))
	if n := events(t, db, "set"); n != 3 {
		t.Errorf("%d events, want 3", n)
	}

	// Two admins replace the same mapping: one wins, and the other is told.
	replicas := []*store.Mappings{s, open(t, o).Mappings()}
	victim := list()[2]
	won := 0
	for i, err := range all(6, func(i int) error {
		return replicas[i%2].Replace(ctx, []store.Mapping{victim},
			[]store.Mapping{group("cn=new", "a5", []store.Role{manager, creator}[i%2])}, nil, nil)
	}) {
		if err == nil {
			won++
		} else if !errors.Is(err, store.ErrConflict) {
			t.Errorf("admin %d: %v", i, err)
		}
	}
	if won != 1 || len(list()) != 3 {
		t.Errorf("%d won, %d mappings, want 1 and 3", won, len(list()))
	}
}

// changed is a mapping as somebody may have seen it before another admin changed it.
func changed(m store.Mapping) store.Mapping {
	m.Priority++
	return m
}
