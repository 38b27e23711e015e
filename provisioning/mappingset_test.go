package provisioning_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// said is a mapping in short.
func said(m store.Mapping) string {
	who := m.Pattern
	switch m.Kind {
	case store.GroupMapping:
		who = strings.TrimSuffix(strings.TrimPrefix(m.GroupDN, "cn="), ",ou=groups,dc=example,dc=test")
	case store.PersonMapping:
		who = string(m.Person)
	}
	text := fmt.Sprintf("%d %s %s %s", m.Priority, who, m.Account, m.Role)
	if m.Off {
		text += " off"
	}
	return text
}

// changeLines are a change as "+ mapping", "- mapping", "= mapping".
func changeLines(c mapping.Change) (all []string) {
	for sign, list := range map[string][]store.Mapping{"+ ": c.Add, "- ": c.Remove, "= ": c.Keep} {
		for _, m := range list {
			all = append(all, sign+said(m))
		}
	}
	return all
}

func specOf(name string, account store.AccountID, role string, priority int) mapping.Spec {
	return mapping.Spec{Group: group(name), Account: string(account), Role: role, Priority: priority}
}

func newMappingWorld(t *testing.T, people ...directory.Entry) *planWorld {
	t.Helper()
	w := newPlanWorld(t, people)
	w.add(specOf("sales", harbour, "account_manager", 10))
	w.add(specOf("riders", cycling, "campaign_creator", 20))
	w.add(mapping.Spec{Person: "mina", Account: string(harbour), Role: "owner", ExternalID: "owner-harbour", Priority: 5})
	return w
}

func TestCompareMappings(t *testing.T) {
	h, c, j := string(harbour), string(cycling), string(juniper)
	owner := "= 5 mina " + h + " owner"
	cases := []struct {
		name   string
		wanted []mapping.Spec
		want   []string
	}{
		{"the same", []mapping.Spec{specOf("riders", cycling, "campaign_creator", 20), specOf("sales", harbour,
			"account_manager", 10)},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator"}},
		{"the same without priorities", []mapping.Spec{specOf("riders", cycling, "campaign_creator", 0),
			specOf("sales", harbour, "account_manager", 0)},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator"}},
		{"the account in another letter case", []mapping.Spec{specOf("riders", "A07E1LXQQQR2", "campaign_creator", 0),
			specOf("sales", harbour, "account_manager", 0)},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator"}},
		{"a group by its DN alone", []mapping.Spec{
			{GroupDN: "CN=Sales, ou=groups,dc=example,dc=test", Account: h, Role: "account_manager"}, specOf("riders", cycling,
				"campaign_creator", 0)},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator"}},
		{"a renamed group", []mapping.Spec{
			{Group: directory.Group{ID: "id-of-sales", DN: "cn=revenue,dc=example"}, Account: h, Role: "account_manager"},
			specOf("riders", cycling, "campaign_creator", 0)},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator"}},
		{"a group that was made again", []mapping.Spec{
			{Group: directory.Group{ID: "another", DN: group("sales").DN}, Account: h, Role: "account_manager"},
			specOf("riders", cycling, "campaign_creator", 0)},
			[]string{owner, "- 10 sales " + h + " account_manager", "+ 30 sales " + h + " account_manager", "= 20 riders " + c +
				" campaign_creator"}},
		{"nothing", nil, []string{owner, "- 10 sales " + h + " account_manager", "- 20 riders " + c + " campaign_creator"}},
		{"one more, one less", []mapping.Spec{specOf("sales", harbour, "account_manager", 0),
			{Pattern: "ctct-{account}-{role}"}},
			[]string{owner, "= 10 sales " + h + " account_manager", "- 20 riders " + c + " campaign_creator",
				"+ 20 ctct-{account}-{role}  "}},
		{"another priority, role and account", []mapping.Spec{specOf("sales", harbour, "account_manager", 30),
			specOf("riders", juniper, "campaign_creator", 0), specOf("riders", cycling, "account_manager", 0)},
			[]string{owner, "- 10 sales " + h + " account_manager", "+ 30 sales " + h + " account_manager", "- 20 riders " + c +
				" campaign_creator",
				"+ 40 riders " + j + " campaign_creator", "+ 50 riders " + c + " account_manager"}},
		{"the owner named", []mapping.Spec{{Person: "mina", Account: h, Role: "owner", ExternalID: "owner-harbour"},
			specOf("sales", harbour, "account_manager", 0), specOf("riders", cycling, "campaign_creator", 0)},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator"}},
		{"an account that is not listed, unchecked", []mapping.Spec{specOf("sales", harbour, "account_manager", 0),
			specOf("riders", cycling, "campaign_creator", 0),
			{Group: group("x"), Account: "later0", Role: "account_manager", Unchecked: true}},
			[]string{owner, "= 10 sales " + h + " account_manager", "= 20 riders " + c + " campaign_creator",
				"+ 30 x later0 account_manager"}},
		{"priorities that change places", []mapping.Spec{specOf("sales", harbour, "account_manager", 20),
			specOf("riders", cycling, "campaign_creator", 10)},
			[]string{owner, "- 10 sales " + h + " account_manager", "+ 20 sales " + h + " account_manager", "- 20 riders " + c +
				" campaign_creator", "+ 10 riders " + c + " campaign_creator"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newMappingWorld(t)
			change, err := w.CompareMappings(t.Context(), c.wanted)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "change", sorted(changeLines(change)), c.want...)
			if err := w.ApplyMappings(t.Context(), change, "admin:set"); err != nil {
				t.Fatalf("ApplyMappings: %v", err)
			}
			again, err := w.CompareMappings(t.Context(), c.wanted)
			if err != nil || !again.Empty() {
				t.Errorf("the same set again: got %v, %v; want no difference", changeLines(again), err)
			}
			for _, m := range again.Keep {
				if added := m.CreatedBy == "admin:set"; added && m.CreatedAt.IsZero() {
					t.Errorf("added mapping: got %+v", m)
				}
			}
		})
	}
}

// Each fault is told with the mapping's place in the set and its field, all together, and nothing is changed.
// What is off is part of a set: it comes, changes and goes with it, and stays where the set does not name it.
func TestCompareMappingsThatAreOff(t *testing.T) {
	h, c := string(harbour), string(cycling)
	owner, sales := "= 5 mina "+h+" owner", specOf("sales", harbour, "account_manager", 10)
	riders := specOf("riders", cycling, "campaign_creator", 20)
	off := func(spec mapping.Spec) mapping.Spec {
		spec.Off = true
		return spec
	}
	for _, k := range []struct {
		name   string
		wanted []mapping.Spec
		want   []string
	}{
		{"as it is", []mapping.Spec{sales, off(riders)}, []string{owner, "= 10 sales " + h + " account_manager"}},
		{"without a priority", []mapping.Spec{sales, off(specOf("riders", cycling, "campaign_creator", 0))},
			[]string{owner, "= 10 sales " + h + " account_manager"}},
		{"not named", []mapping.Spec{sales}, []string{owner, "= 10 sales " + h + " account_manager"}},
		{"on again", []mapping.Spec{sales, riders}, []string{owner, "= 10 sales " + h + " account_manager", "- 20 riders " +
			c + " campaign_creator off", "+ 20 riders " + c + " campaign_creator"}},
		{"moved", []mapping.Spec{sales, off(specOf("riders", cycling, "campaign_creator", 7))},
			[]string{owner, "= 10 sales " + h + " account_manager", "- 20 riders " + c + " campaign_creator off", "+ 7 riders " +
				c + " campaign_creator off"}},
		{"another one off", []mapping.Spec{off(sales), off(riders)}, []string{owner, "- 10 sales " + h + " account_manager",
			"+ 10 sales " + h + " account_manager off"}},
		{"a new one, which would clash if it were on",
			[]mapping.Spec{sales, off(specOf("other", harbour, "campaign_creator", 10))},
			[]string{owner, "= 10 sales " + h + " account_manager", "+ 10 other " + h + " campaign_creator off"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			w := newMappingWorld(t)
			for _, m := range must(w.ListMappings(t.Context()))(t) {
				if m.Account == cycling {
					edit := must(w.SwitchMapping(t.Context(), m.ID, true))(t)
					if err := w.SaveEdit(t.Context(), edit, "admin:test"); err != nil {
						t.Fatal(err)
					}
				}
			}
			change := must(w.CompareMappings(t.Context(), k.wanted))(t)
			same(t, "change", sorted(changeLines(change)), k.want...)
			if err := w.ApplyMappings(t.Context(), change, "admin:set"); err != nil {
				t.Fatalf("ApplyMappings: %v", err)
			}
			if again := must(w.CompareMappings(t.Context(), k.wanted))(t); !again.Empty() {
				t.Errorf("the same set again: %v", changeLines(again))
			}
		})
	}
	w := newMappingWorld(t)
	if _, err := w.CompareMappings(t.Context(), []mapping.Spec{sales, off(sales)}); err == nil {
		t.Error("one that is on and off was taken")
	}
}

func TestCompareMappingsRefuses(t *testing.T) {
	h := string(harbour)
	sales := specOf("sales", harbour, "account_manager", 0)
	cases := []struct {
		name   string
		wanted []mapping.Spec
		fields string
	}{
		{"several faults", []mapping.Spec{sales, {Account: h, Role: "account_manager"},
			{Group: group("b"), Account: "nosuch00", Role: "boss"}},
			"mapping 2: group|mapping 3: role|mapping 3: account"},
		{"twice the same", []mapping.Spec{sales, specOf("b", harbour, "account_manager", 0), sales}, "mapping 3: group"},
		{"twice the same, new", []mapping.Spec{specOf("b", harbour, "account_manager", 7),
			specOf("b", harbour, "account_manager", 0)}, "mapping 2: group"},
		{"twice the same, one with another priority", []mapping.Spec{sales, specOf("sales", harbour, "account_manager", 77)},
			"mapping 2: group"},
		{"equal priorities, other role", []mapping.Spec{sales, specOf("b", harbour, "campaign_creator", 10)},
			"mapping 2: priority"},
		{"equal priorities with a pattern", []mapping.Spec{{Pattern: "x-{account}-{role}", Priority: 9},
			specOf("b", harbour, "campaign_creator", 9)}, "mapping 2: priority"},
		{"the priority of a kept owner", []mapping.Spec{specOf("b", harbour, "campaign_creator", 5)}, "mapping 1: priority"},
		{"no priority left", []mapping.Spec{specOf("b", harbour, "campaign_creator", 1_000_000),
			specOf("d", harbour, "campaign_creator", 0)}, "mapping 2: priority"},
		{"a new owner who is off", []mapping.Spec{{Person: "p", Account: h, Role: "owner", ExternalID: "x", Off: true}},
			"mapping 1: switched_off"},
		{"a new owner without an external_id", []mapping.Spec{{Person: "p", Account: h, Role: "owner"}},
			"mapping 1: external_id"},
		{"a new owner with another's external_id", []mapping.Spec{{Person: "p", Account: h, Role: "owner",
			ExternalID: "Owner-Harbour"}}, "mapping 1: external_id"},
		{"two new owners with one external_id", []mapping.Spec{{Person: "p", Account: h, Role: "owner", ExternalID: "x"},
			{Person: "q", Account: string(cycling), Role: "owner", ExternalID: "X"}}, "mapping 2: external_id"},
		{"a new owner without a person", []mapping.Spec{{Group: group("b"), Account: h, Role: "owner", ExternalID: "x"}},
			"mapping 1: role"},
		{"an owner's priority", []mapping.Spec{{Person: "mina", Account: h, Role: "owner", ExternalID: "owner-harbour",
			Priority: 6}}, "mapping 1: priority"},
		{"an owner's external_id", []mapping.Spec{{Person: "mina", Account: h, Role: "owner", ExternalID: "other"}},
			"mapping 1: external_id"},
	}
	w := newMappingWorld(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			change, err := w.CompareMappings(t.Context(), c.wanted)
			if got := strings.Join(faultFields(err), "|"); got != c.fields {
				t.Errorf("faulty fields: got %q (%v), want %q", got, err, c.fields)
			}
			if !change.Empty() || len(change.Keep) != 0 {
				t.Errorf("change: got %v, want none", changeLines(change))
			}
		})
	}
	many := make([]mapping.Spec, 20_001)
	if _, err := w.CompareMappings(t.Context(), many); strings.Join(faultFields(err), "|") != "mappings" {
		t.Errorf("too many: got %v", err)
	}
	if _, err := w.CompareMappings(t.Context(), many[:500]); len(faultFields(err)) != 101 ||
		!strings.Contains(err.Error(), "more faults") {
		t.Errorf("500 faults: got %d, want the first 100 and how many more", len(faultFields(err)))
	}
}

// Equal priorities are fine where no person could get two roles in one account by them.
func TestCompareMappingsTakesEqualPriorities(t *testing.T) {
	w := newMappingWorld(t)
	_, err := w.CompareMappings(t.Context(), []mapping.Spec{
		specOf("a", harbour, "account_manager", 7), specOf("b", harbour, "account_manager", 7),
		specOf("c", cycling, "campaign_creator", 7),
		{Person: "p", Account: string(juniper), Role: "account_manager", Priority: 7}, {Person: "q", Account: string(juniper),
			Role: "campaign_creator", Priority: 7},
	})
	if err != nil {
		t.Error(err)
	}
}

// REAL-70: a set adds owners, whose users are stored with the mappings or not at all.
func TestSetAddsOwners(t *testing.T) {
	w := newMappingWorld(t)
	stored, err := w.ListMappings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wanted []mapping.Spec
	for _, m := range stored {
		if m.Role != store.Owner {
			wanted = append(wanted, mapping.SpecOf(m))
		}
	}
	wanted = append(wanted, mapping.Spec{Person: "olga", Account: string(juniper), Role: "owner",
		ExternalID: "owner-juniper", Priority: 77})
	change, err := w.CompareMappings(t.Context(), wanted)
	if err != nil || len(change.Add) != 1 || len(change.Remove) != 0 || change.OwnersID(change.Add[0]) != "owner-juniper" {
		t.Fatalf("change %+v, %v", change, err)
	}
	if sum, err := w.PreviewMappings(t.Context(), change, nil); err != nil || sum.Creations != 0 {
		t.Errorf("preview %+v, %v: an owner is never created", sum, err)
	}
	if err := w.ApplyMappings(t.Context(), change, "admin:set"); err != nil {
		t.Fatal(err)
	}
	row, err := w.db.Ledger().Get(t.Context(), "olga", juniper)
	if err != nil || row.ExternalID != "owner-juniper" || row.State != store.Active || row.Role != store.Owner ||
		row.Attempts != 0 {
		t.Errorf("the owner's user: %+v, %v", row, err)
	}
	if again, err := w.CompareMappings(t.Context(), wanted); err != nil || !again.Empty() {
		t.Errorf("the same set again: %+v, %v", again, err)
	}

	// What came into the ledger since is found at the end, and nothing is stored.
	wanted = append(wanted, mapping.Spec{Person: "otto", Account: string(cycling), Role: "owner", ExternalID: "late"},
		specOf("more", cycling, "account_manager", 900))
	if change, err = w.CompareMappings(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	late := store.SSOUser{Person: "pia", Account: harbour, ExternalID: "late", ExternalProvider: provider,
		Role: store.Owner, State: store.Active}
	if _, err := w.db.Ledger().Adopt(t.Context(), []store.SSOUser{late}, store.Event{Action: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := w.ApplyMappings(t.Context(), change, "admin:set"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("with an external_id that somebody got since: %v, want ErrConflict", err)
	}
	if after, err := w.ListMappings(t.Context()); err != nil || len(after) != len(stored)+1 {
		t.Errorf("mappings %+v, %v: want none of the refused set", after, err)
	}

	// Somebody who was moved to a source is no owner by the former id, whichever way it is asked for.
	w.row("moved", harbour, store.Active)
	if _, err := w.db.Ledger().MoveToSource(t.Context(), store.SourceMove{From: "moved", To: store.SourcePerson{
		Person: "source-portal.moved", Source: "portal", Login: "portal:moved"},
		Users: map[store.AccountID]store.Role{harbour: store.AccountManager}}); err != nil {
		t.Fatal(err)
	}
	moved := mapping.Spec{Person: "moved", Account: string(cycling), Role: "owner", ExternalID: "moved-owner"}
	if _, err := w.AddMapping(t.Context(), moved); !ofField(err, "person") {
		t.Errorf("owner by a former id: %v", err)
	}
	wanted = append(wanted[:len(wanted)-2], moved)
	if change, err = w.CompareMappings(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	if err := w.ApplyMappings(t.Context(), change, "admin:set"); !ofField(err, "person") {
		t.Errorf("a set with an owner by a former id: %v", err)
	}
}

// ofField tells whether an error is about what was given in a field.
func ofField(err error, field string) bool {
	e, ok := errors.AsType[*provisioning.InputError](err)
	return ok && e.Field == field
}

func TestApplyMappingsRefuses(t *testing.T) {
	w := newMappingWorld(t)
	change, err := w.CompareMappings(t.Context(), []mapping.Spec{specOf("b", juniper, "account_manager", 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range change.Keep { // the owner
		for _, owners := range []mapping.Change{{Add: change.Keep}, {Remove: []store.Mapping{m}}} {
			if err := w.ApplyMappings(t.Context(), owners, "admin:set"); strings.Join(faultFields(err), "|") != "role" {
				t.Errorf("owners: got %v, want a fault of role", err)
			}
		}
	}
	added := w.add(specOf("late", juniper, "account_manager", 0))
	if err := w.ApplyMappings(t.Context(), change, "admin:set"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("after one was added: got %v, want ErrConflict", err)
	}
	if err := w.RemoveMapping(t.Context(), added.ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if err := w.RemoveMapping(t.Context(), change.Remove[0].ID, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if err := w.ApplyMappings(t.Context(), change, "admin:set"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("after one was removed: got %v, want ErrConflict", err)
	}
	if all, err := w.ListMappings(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("mappings: got %d, %v; want the two that stayed", len(all), err)
	}
}

// A draft is what AddMapping would store, and has its faults.
func TestDraftMapping(t *testing.T) {
	w := newMappingWorld(t)
	m, err := w.DraftMapping(t.Context(), mapping.Spec{Group: group("b"), Account: "A07E1LXQQQO0", Role: "account_manager",
		Actor: "admin:test"})
	if err != nil || said(m) != "30 b "+string(harbour)+" account_manager" || m.ID != 0 {
		t.Errorf("got %s, %v", said(m), err)
	}
	if m, err = w.DraftMapping(t.Context(), mapping.Spec{Person: "o", Account: string(juniper), Role: "owner",
		ExternalID: "x"}); err != nil || m.Role != store.Owner {
		t.Errorf("owner: got %+v, %v", m, err)
	}
	w.row("taken", juniper, store.Active)
	w.row("waiting", juniper, store.Wanted)
	for _, c := range []struct {
		name, fields string
		spec         mapping.Spec
	}{
		{"no account", "account", mapping.Spec{Group: group("b"), Role: "account_manager"}},
		{"unknown account", "account", mapping.Spec{Group: group("b"), Account: "nosuch00", Role: "account_manager"}},
		{"the same", "group", specOf("sales", harbour, "account_manager", 0)},
		{"taken priority", "priority", specOf("b", harbour, "campaign_creator", 10)},
		{"told owner", "external_id", mapping.Spec{Person: "mina", Account: string(harbour), Role: "owner",
			ExternalID: "owner-harbour"}},
		{"owner with a user of their own", "external_id", mapping.Spec{Person: "taken", Account: string(juniper),
			Role: "owner", ExternalID: "x"}},
		{"owner who is being created", "external_id", mapping.Spec{Person: "waiting", Account: string(juniper), Role: "owner",
			ExternalID: "waiting." + string(juniper)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.DraftMapping(t.Context(), c.spec)
			if got := strings.Join(faultFields(err), " "); got != c.fields {
				t.Errorf("faulty fields: got %q (%v), want %q", got, err, c.fields)
			}
			if _, added := w.AddMapping(t.Context(), c.spec); strings.Join(faultFields(added), " ") != c.fields {
				t.Errorf("AddMapping: got %v, want the same faults", added)
			}
		})
	}
	if all, err := w.ListMappings(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("mappings: got %d, %v; want none stored", len(all), err)
	}
}

func TestPreviewMappings(t *testing.T) {
	w := newMappingWorld(t,
		person("gains", group("b")), person("there", group("b")), person("waits", group("b")),
		with(person("nameless", group("b")), func(p *directory.Entry) { p.LastName = "" }),
		with(person("mailless", group("b")), func(p *directory.Entry) { p.Mail = "" }),
		person("loses", group("sales")), person("role", group("riders")), person("both", group("sales"), group("riders")),
		person("moves", group("sales"), group("b")), person("nobody"), person("o"),
		problem("disabled", directory.Disabled, group("b")),
	)
	w.row("there", juniper, store.Active)
	w.row("waits", juniper, store.Wanted)
	w.row("loses", harbour, store.Active)
	change, err := w.CompareMappings(t.Context(), []mapping.Spec{
		specOf("b", juniper, "account_manager", 0), specOf("riders", cycling, "account_manager", 0)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	sum, err := w.PreviewMappings(t.Context(), change, func(e provisioning.Effect) error {
		got = append(got, fmt.Sprintf("%s %s %s %s>%s %t", e.Kind, e.Person, e.Account, e.Before, e.After, e.Exists))
		if e.Login != string(e.Person) || e.Name == "" || e.Kind == "loses" && !strings.HasPrefix(e.Why, "mapping ") ||
			e.Kind == "gains" && !strings.HasPrefix(e.Why, "a new mapping, group cn=b,") {
			t.Errorf("effect: got %+v", e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h, c, j := string(harbour), string(cycling), string(juniper)
	same(t, "effects", sorted(got),
		"gains gains "+j+" >account_manager false", "gains there "+j+" >account_manager true", "gains waits "+j+
			" >account_manager false",
		"gains nameless "+j+" >account_manager false", "gains mailless "+j+" >account_manager false",
		"gains moves "+j+" >account_manager false", "loses moves "+h+" account_manager> false",
		"loses loses "+h+" account_manager> true", "role role "+c+" campaign_creator>account_manager false",
		"loses both "+h+" account_manager> false", "role both "+c+" campaign_creator>account_manager false")
	if sum.People != 12 || sum.Gains != 6 || sum.Losses != 3 || sum.Roles != 2 || sum.Creations != 2 ||
		sum.Forecast.Calls != 2 {
		t.Errorf("got %+v, want 2 creations: who waits and who lacks a name or mail address are none", sum)
	}
	if want := map[provisioning.WithoutCreation]int{provisioning.HasUser: 1, provisioning.BeingCreated: 1,
		provisioning.NoName: 1, provisioning.NoMail: 1}; !maps.Equal(want, sum.Others) {
		t.Errorf("why nobody is created: got %v, want %v", sum.Others, want)
	}
	if all, err := w.ListMappings(t.Context()); err != nil || len(all) != 3 || len(w.plans()) != 0 {
		t.Errorf("after the preview: got %d mappings, %d plans, %v; want nothing stored", len(all), len(w.plans()), err)
	}
	stop := errors.New("enough")
	if _, err := w.PreviewMappings(t.Context(), change, func(provisioning.Effect) error { return stop }); !errors.Is(err,
		stop) {
		t.Errorf("visit that fails: got %v", err)
	}
	w.people.fail(errDown)
	if _, err := w.PreviewMappings(t.Context(), change, nil); !errors.Is(err, errDown) {
		t.Errorf("directory down: got %v", err)
	}
}

// One edit is previewed as a set is: a new owner needs no call, and the same role by another mapping is no change.
func TestPreviewOneEdit(t *testing.T) {
	w := newMappingWorld(t, person("o"), person("a", group("sales")))
	kept, err := w.ListMappings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	owner, err := w.DraftMapping(t.Context(), mapping.Spec{Person: "o", Account: string(juniper), Role: "owner",
		ExternalID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := w.PreviewMappings(t.Context(), mapping.Change{Add: []store.Mapping{owner}, Keep: kept}, nil)
	if err != nil || sum.Gains != 1 || sum.Creations != 0 {
		t.Errorf("owner: got %+v, %v; want one who gains and no call", sum, err)
	}
	again, err := w.DraftMapping(t.Context(), mapping.Spec{Person: "a", Account: string(harbour),
		Role: "account_manager", Priority: 1})
	if err != nil {
		t.Fatal(err)
	}
	sum, err = w.PreviewMappings(t.Context(), mapping.Change{Add: []store.Mapping{again}, Keep: kept}, nil)
	if err != nil || sum.Gains+sum.Losses+sum.Roles != 0 {
		t.Errorf("same role: got %+v, %v; want no effect", sum, err)
	}
}

func TestReadiness(t *testing.T) {
	w := newMappingWorld(t,
		person("there", group("sales")), person("assumed", group("sales")), person("drift", group("sales")),
		person("wanted", group("sales")), person("unknown", group("sales")),
		person("conflict", group("sales")), person("suspended", group("sales")), with(person("nameless", group("sales")),
			func(p *directory.Entry) { p.FirstName = "" }),
		person("missing", group("sales")), person("missing-too", group("sales"), group("riders")),
		problem("disabled", directory.Disabled, group("sales")), person("mina"),
	)
	w.row("drift", harbour, store.Active, toldRole(store.CampaignCreator))
	for person, state := range map[string]store.State{"there": store.Active, "assumed": store.Assumed,
		"unknown": store.Unknown, "conflict": store.Conflict, "suspended": store.Suspended} {
		w.row(person, harbour, state)
	}
	w.row("wanted", harbour, store.Wanted)
	last := 0
	list, f, err := w.Readiness(t.Context(), func(n int) { last = n })
	if err != nil || last != 12 || f.Calls != 3 {
		t.Fatalf("got %v, %d people, %d calls; want 12 and 3", err, last, f.Calls)
	}
	var got []string
	for _, r := range list {
		got = append(got, fmt.Sprintf("%s: %d = %d + %d + %d + %d", said(r.Mapping), r.People, r.There, r.Waiting,
			r.Failing, r.Missing))
	}
	same(t, "readiness", sorted(got),
		"5 mina "+string(harbour)+" owner: 1 = 1 + 0 + 0 + 0",
		"10 sales "+string(harbour)+" account_manager: 10 = 3 + 2 + 3 + 2",
		"20 riders "+string(cycling)+" campaign_creator: 1 = 0 + 0 + 0 + 1")
	w.people.fail(errDown)
	if _, _, err := w.Readiness(t.Context(), nil); !errors.Is(err, errDown) {
		t.Errorf("directory down: got %v", err)
	}
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}
