package storetest

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"ssobridge/store"
)

func testTraces(t *testing.T, fresh func(testing.TB) store.Options) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	o := fresh(t)
	o.Now = func() time.Time { return now }
	db := open(t, o)
	traces, ctx := db.Traces(), t.Context()
	add := func(all ...store.Trace) {
		t.Helper()
		if err := traces.Add(ctx, all...); err != nil {
			t.Fatal(err)
		}
	}
	if id, err := traces.Newest(ctx); id != 0 || err != nil {
		t.Errorf("the newest of none: %d, %v", id, err)
	}
	add(store.Trace{SignIn: "s1", Ref: "r1", At: now.Add(-2 * time.Hour), SP: "sp", Outcome: "pending",
		Steps: []store.TraceStep{{Name: "request"}}},
		store.Trace{SignIn: "s1", Ref: "r2", At: now.Add(-time.Minute), Person: "p", Account: "a1", Outcome: "ok"},
		store.Trace{SignIn: "r3", Ref: "r3", At: now, Stranger: true, SP: "nul\x00\xff", Outcome: "refused",
			Reason: "unknown_provider"})

	if id, err := traces.Newest(ctx); id != 3 || err != nil {
		t.Errorf("the newest: %d, %v, want 3", id, err)
	}
	for _, ref := range []string{"r1", "r2"} {
		got, err := traces.ByRef(ctx, ref)
		if err != nil || len(got) != 2 || got[0].Ref != "r1" || got[0].Steps[0].Name != "request" || got[1].SP != "sp" ||
			!got[1].StartedAt.Equal(got[0].At) {
			t.Errorf("trace by %s: got %+v, %v; want both requests of the sign-in", ref, got, err)
		}
	}
	if _, err := traces.ByRef(ctx, "r9"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown ref: got %v, want ErrNotFound", err)
	}
	for name, c := range map[string]struct {
		filter store.TraceFilter
		want   string // refs
	}{
		"all":           {store.TraceFilter{}, "r3 r2 "},
		"page":          {store.TraceFilter{Limit: 1}, "r3 "},
		"next page":     {store.TraceFilter{Before: 3, Limit: 1}, "r2 "},
		"person":        {store.TraceFilter{Person: "p"}, "r2 "},
		"other person":  {store.TraceFilter{Person: "q"}, ""},
		"account":       {store.TraceFilter{Account: "a1"}, "r2 "},
		"sp":            {store.TraceFilter{SP: "sp"}, "r2 "},
		"outcome":       {store.TraceFilter{Outcome: "refused"}, "r3 "},
		"former state":  {store.TraceFilter{Outcome: "pending"}, ""},
		"from":          {store.TraceFilter{From: now}, "r3 "},
		"to":            {store.TraceFilter{To: now}, "r2 "},
		"several at it": {store.TraceFilter{Person: "p", Outcome: "refused"}, ""},
	} {
		got, err := traces.List(ctx, c.filter)
		refs := ""
		for _, one := range got {
			refs += one.Ref + " "
		}
		if err != nil || refs != c.want {
			t.Errorf("list by %s: got %q, %v; want %q", name, refs, err, c.want)
		}
		found, _, cut, err := traces.Search(ctx, c.filter)
		if err != nil || cut || !slices.EqualFunc(found, got, func(a, b store.Trace) bool { return a.Ref == b.Ref }) {
			t.Errorf("search by %s: got %+v, cut %v, %v; want what List has", name, found, cut, err)
		}
	}
	for _, f := range []store.TraceFilter{{Limit: 1001}, {Limit: -1}, {Before: -1}} {
		if _, err := traces.List(ctx, f); err == nil {
			t.Errorf("list %+v: got no error", f)
		}
		if _, _, _, err := traces.Search(ctx, f); err == nil {
			t.Errorf("search %+v: got no error", f)
		}
	}

	if n, err := traces.Purge(ctx, time.Hour); err != nil || n != 1 {
		t.Errorf("purge: got %d, %v; want the one older than an hour", n, err)
	}
	flood := make([]store.Trace, 10_001)
	for i := range flood {
		ref := "f" + strconv.Itoa(i)
		flood[i] = store.Trace{SignIn: ref, Ref: ref, At: now, Stranger: true, Outcome: "refused"}
	}
	add(flood...)
	// A search looks at so many, says so, and goes on from there.
	looked := 0
	for f, done := (store.TraceFilter{Outcome: "ok"}), false; !done; looked++ {
		found, next, cut, err := traces.Search(ctx, f)
		switch {
		case err != nil || looked > 10:
			t.Fatalf("search %d behind a flood: %v", looked, err)
		case !cut:
			if done = true; looked != 5 || len(found) != 1 || found[0].Ref != "r2" {
				t.Errorf("search behind a flood: found %+v after %d; want r2 after 5", found, looked)
			}
		case len(found) > 0 || next < 1 || f.Before > 0 && next >= f.Before:
			t.Errorf("search %d behind a flood: found %+v, next %d before %d", looked, found, next, f.Before)
		}
		f.Before = next
	}
	if n, err := traces.Purge(ctx, time.Hour); err != nil || n != 2 {
		t.Errorf("purge after a flood: got %d, %v; want the 2 oldest of strangers", n, err)
	}
	if _, err := traces.ByRef(ctx, "r2"); err != nil {
		t.Errorf("a known person's trace after a flood: %v", err)
	}
	if n, err := traces.Purge(ctx, 0); err != nil || n != 10_001 {
		t.Errorf("purge with nothing kept: got %d, %v; want 10001", n, err)
	}

	// What only says how it ended gives way to what had stopped it before, also in the list.
	add(store.Trace{SignIn: "s4", Ref: "r4", At: now, Outcome: "pending", Reason: "quota"},
		store.Trace{SignIn: "s4", Ref: "r5", At: now, Outcome: "refused", Reason: "waiting", Yields: true},
		store.Trace{SignIn: "s6", Ref: "r6", At: now, Outcome: "refused", Reason: "cancelled", Yields: true})
	for ref, want := range map[string]string{"r4": "quota", "r6": "cancelled"} {
		got, err := traces.ByRef(ctx, ref)
		if err != nil || got[len(got)-1].Reason != want {
			t.Errorf("the reason of %s: got %+v, %v; want %s", ref, got, err, want)
		}
	}
}
