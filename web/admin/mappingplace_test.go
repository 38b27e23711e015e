package admin_test

import (
	"slices"
	"testing"

	"ssobridge/web/admin"
)

// A mapping takes another one's place: it counts right behind or before it, and no other mapping changes.
func TestPlaceMapping(t *testing.T) {
	w, all := newWorld(t), admin.Everything()
	ctx := t.Context()
	var ids []int64
	for i, name := range []string{"staff", "emea", "staff", "emea"} {
		in := group(w.ldap.GroupDN(name), harbour)
		in.Priority = []int{10, 20, 21, 40}[i]
		if i > 1 {
			in.Account = "a07e1lxqqqr2"
		}
		m, err := w.Add(ctx, all, in, "ann")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	order := func() (at []int) {
		t.Helper()
		list, err := w.List(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			at = append(at, slices.Index(ids, m.ID))
		}
		return at
	}
	for _, step := range []struct {
		from, to int
		want     []int
		priority int
	}{
		{0, 3, []int{1, 2, 3, 0}, 50},
		{0, 2, []int{1, 0, 2, 3}, 0}, // nothing is free between 20 and 21: refused
		{0, 1, []int{0, 1, 2, 3}, 10},
		{1, 2, []int{0, 2, 1, 3}, 30},
		{3, 0, []int{3, 0, 2, 1}, 5},
	} {
		before := order()
		edit, err := w.Place(ctx, all, ids[step.from], ids[step.to])
		if step.priority == 0 {
			refused(t, "no room", err, 0, "other", "", "no priority is free between 20 and 21")
			continue
		}
		if err != nil || edit.Now.Priority != step.priority || edit.Other != nil {
			t.Fatalf("%d to the place of %d: %+v, %v", step.from, step.to, edit, err)
		}
		if !slices.Equal(order(), before) {
			t.Errorf("%d to the place of %d: a draft was stored", step.from, step.to)
		}
		if err := w.Save(ctx, all, edit, "ann"); err != nil {
			t.Fatal(err)
		}
		if got := order(); !slices.Equal(got, step.want) {
			t.Fatalf("%d to the place of %d: the order is %v, want %v", step.from, step.to, got, step.want)
		}
	}
	if _, err := w.Place(ctx, all, ids[0], 4711); err == nil {
		t.Error("the place of a mapping that there is none of")
	}
	if _, err := w.Place(ctx, all, ids[0], ids[0]); err == nil {
		t.Error("its own place")
	}
}
