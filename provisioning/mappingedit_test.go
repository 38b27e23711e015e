package provisioning_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Each edit is drafted, looked at and saved, and refused when somebody else was faster.
func TestMappingEdits(t *testing.T) {
	ctx := t.Context()
	w := newPlanWorld(t, nil)
	first := w.maps("a", harbour, store.AccountManager)
	second := w.maps("b", juniper, store.CampaignCreator)
	save := func(what string, e provisioning.MappingEdit, err error) {
		t.Helper()
		if err == nil {
			err = w.SaveEdit(ctx, e, "admin:test")
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	now := func(id int64) store.Mapping {
		t.Helper()
		return must(w.Mapping(ctx, id))(t)
	}

	e, err := w.SwitchMapping(ctx, first.ID, true)
	if err != nil || len(e.Change.Remove) != 1 || len(e.Change.Add) != 0 {
		t.Errorf("off: got %+v, %v, want one that goes", e.Change, err)
	}
	save("off", e, err)
	if !now(first.ID).Off {
		t.Error("it is not off")
	}
	// Who would have access by it is told why not.
	ann := directory.Entry{ID: "ann", Login: "ann", Groups: []directory.Group{group("a")}}
	hits := must(w.Explain(ctx, ann))(t)
	if i := slices.IndexFunc(hits, func(h mapping.Hit) bool { return h.Mapping.ID == first.ID }); i < 0 || hits[i].Hit ||
		!strings.Contains(hits[i].Why, "switched off, else it would hit: ") {
		t.Errorf("explained as %+v", hits)
	}
	if list := must(w.ListMappings(ctx))(t); len(list) != 1 || list[0].ID != second.ID {
		t.Errorf("%+v are on", list)
	}
	if err := w.SaveEdit(ctx, e, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same once more: got %v, want ErrConflict", err)
	}
	e, err = w.SwitchMapping(ctx, first.ID, false)
	save("on", e, err)

	spec := mapping.SpecOf(now(first.ID))
	spec.Role = string(store.CampaignCreator)
	e, err = w.EditMapping(ctx, first.ID, spec)
	save("another role", e, err)
	if m := now(first.ID); m.Role != store.CampaignCreator || m.ID != first.ID || m.Priority != first.Priority {
		t.Errorf("changed: %+v", m)
	}
	e, err = w.MoveMapping(ctx, first.ID, 77)
	save("moved", e, err)

	// Two that clash on whatever way one by one take each other's place in one step.
	rival := w.maps("c", harbour, store.AccountManager)
	if _, err := w.MoveMapping(ctx, first.ID, rival.Priority); err == nil {
		t.Error("a clash was taken")
	}
	e, err = w.ExchangeMappings(ctx, first.ID, rival.ID)
	if err != nil || len(e.Change.Remove) != 2 || len(e.Change.Add) != 2 {
		t.Errorf("exchange: %+v, %v", e.Change, err)
	}
	save("exchanged", e, err)
	if a, b := now(first.ID), now(rival.ID); a.Priority != rival.Priority || b.Priority != 77 {
		t.Errorf("exchanged to %d and %d", a.Priority, b.Priority)
	}
	if err := w.SaveEdit(ctx, e, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same once more: got %v, want ErrConflict", err)
	}
	e, err = w.DropMapping(ctx, rival.ID)
	save("removed", e, err)

	for what, do := range map[string]func() (provisioning.MappingEdit, error){
		"an exchange with itself": func() (provisioning.MappingEdit, error) {
			return w.ExchangeMappings(ctx,
				first.ID, first.ID)
		},
		"an exchange with none": func() (provisioning.MappingEdit, error) {
			return w.ExchangeMappings(ctx,
				first.ID, 4711)
		},
		"a role that is none": func() (provisioning.MappingEdit, error) {
			s := spec
			s.Role = "boss"
			return w.EditMapping(ctx, first.ID, s)
		},
		"an account unknown": func() (provisioning.MappingEdit, error) {
			s := spec
			s.Account = "nosuchaccount"
			return w.EditMapping(ctx, first.ID, s)
		},
		"a priority below one":   func() (provisioning.MappingEdit, error) { return w.MoveMapping(ctx, first.ID, 0) },
		"one that never was":     func() (provisioning.MappingEdit, error) { return w.MoveMapping(ctx, 4711, 5) },
		"an entry that is none":  func() (provisioning.MappingEdit, error) { return w.ReturnMapping(ctx, 4711) },
		"removal of one unknown": func() (provisioning.MappingEdit, error) { return w.DropMapping(ctx, 4711) },
	} {
		if _, err := do(); err == nil {
			t.Errorf("%s was taken", what)
		}
	}

	e, err = w.DropMapping(ctx, first.ID)
	save("removed", e, err)
	history := must(w.History(ctx, first.ID, 0, 50))(t)
	var words []string
	for _, v := range history {
		words = append(words, v.What)
	}
	if got := strings.Join(words, " "); got != "removed changed changed changed on off added" {
		t.Errorf("history: %s", got)
	}
	e, err = w.ReturnMapping(ctx, history[len(history)-1].ID)
	save("returned", e, err)
	if m := now(first.ID); m.Role != store.AccountManager || m.Priority != first.Priority {
		t.Errorf("returned as %+v, want it as it was added", m)
	}
}

// A file that was compared before somebody changed a mapping in place is not applied.
func TestApplyMappingsSeesChangesInPlace(t *testing.T) {
	ctx := t.Context()
	w := newPlanWorld(t, nil)
	m := w.maps("a", harbour, store.AccountManager)
	change, err := w.CompareMappings(ctx, []mapping.Spec{mapping.SpecOf(m), {Pattern: "ctct-{account}-{role}"}})
	if err != nil {
		t.Fatal(err)
	}
	spec := mapping.SpecOf(m)
	spec.Role = string(store.CampaignCreator)
	e, err := w.EditMapping(ctx, m.ID, spec)
	if err == nil {
		err = w.SaveEdit(ctx, e, "admin:other")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ApplyMappings(ctx, change, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
}
