package provisioning_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Each kind of change of a mapping is undone, which its event says; not after ten minutes, and not over another change.
func TestUndoMapping(t *testing.T) {
	ctx := t.Context()
	w := newPlanWorld(t, nil)
	first := w.maps("a", harbour, store.AccountManager)
	rival := w.maps("c", harbour, store.CampaignCreator)
	save := func(e provisioning.MappingEdit, err error) {
		t.Helper()
		if err == nil {
			err = w.SaveEdit(ctx, e, "admin:test")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	last := func(id int64) provisioning.LastChange {
		t.Helper()
		c, ok, err := w.LastChange(ctx, id)
		if err != nil || !ok {
			t.Fatalf("last change of mapping %d: %t, %v", id, ok, err)
		}
		return c
	}
	now := func(id int64) store.Mapping {
		t.Helper()
		m, err := w.Mapping(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return store.Mapping{}
		}
		if err != nil {
			t.Fatal(err)
		}
		m.CreatedAt = first.CreatedAt
		return m
	}
	undo := func(id int64) error {
		t.Helper()
		e, err := w.UndoMapping(ctx, last(id))
		if err != nil {
			return err
		}
		return w.SaveEdit(ctx, e, "admin:undo")
	}

	for _, c := range []struct {
		name   string
		change func() (provisioning.MappingEdit, error)
		event  string
	}{
		{"changed", func() (provisioning.MappingEdit, error) { return w.MoveMapping(ctx, first.ID, 77) }, "mapping-set"},
		{"another role", func() (provisioning.MappingEdit, error) {
			spec := mapping.SpecOf(now(first.ID))
			spec.Role, spec.AtSignIn = string(store.CampaignCreator), true
			return w.EditMapping(ctx, first.ID, spec)
		}, "mapping-set"},
		{"off", func() (provisioning.MappingEdit, error) { return w.SwitchMapping(ctx, first.ID, true) }, "mapping-on"},
		{"exchanged", func() (provisioning.MappingEdit, error) {
			return w.ExchangeMappings(ctx, first.ID, rival.ID)
		}, "mapping-set"},
		{"removed", func() (provisioning.MappingEdit, error) { return w.DropMapping(ctx, first.ID) }, "mapping-return"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, other := now(first.ID), now(rival.ID)
			save(c.change())
			if now(first.ID) == before {
				t.Fatal("nothing was changed")
			}
			if err := undo(first.ID); err != nil {
				t.Fatal(err)
			}
			if got := now(first.ID); got != before {
				t.Errorf("undone to\n%+v, want\n%+v", got, before)
			}
			if got := now(rival.ID); got != other {
				t.Errorf("the other one is\n%+v, want\n%+v", got, other)
			}
			events := w.audited(c.event)
			if len(events) == 0 || events[0].Actor != "admin:undo" || !strings.Contains(string(events[0].Detail),
				`"undo":true`) {
				t.Errorf("audited as %+v", events)
			}
		})
	}

	t.Run("added", func(t *testing.T) {
		m := w.maps("d", juniper, store.CampaignCreator)
		if err := undo(m.ID); err != nil {
			t.Fatal(err)
		}
		if got := now(m.ID); got.ID != 0 {
			t.Errorf("%+v is still there", got)
		}
	})

	t.Run("changed since", func(t *testing.T) {
		save(w.MoveMapping(ctx, first.ID, 78))
		c := last(first.ID)
		save(w.MoveMapping(ctx, first.ID, 79))
		if _, err := w.UndoMapping(ctx, c); !errors.Is(err, store.ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
		if m := now(first.ID); m.Priority != 79 {
			t.Errorf("%+v, want it as it was", m)
		}
	})

	t.Run("ten minutes later", func(t *testing.T) {
		save(w.MoveMapping(ctx, first.ID, 80))
		w.ahead.Add(int64(store.UndoFor + time.Second))
		if c, ok, err := w.LastChange(ctx, first.ID); ok || err != nil {
			t.Errorf("got %+v, %v, want none", c, err)
		}
	})
}
