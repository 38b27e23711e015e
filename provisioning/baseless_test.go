package provisioning_test

import (
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// planned is the digest of the mappings that a plan is made with.
func planned(t *testing.T, w *world) string {
	t.Helper()
	plan, _, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Mappings
}

// ID-04: a pattern without a base stops 30 days after check and the console have both named it, and not before: at a
// sign-in, in explain, for plans and in a preview. With a base it gives what is below that.
func TestID04PatternWithoutBaseStops(t *testing.T) {
	w := newWorld(t, settings{})
	ctx := t.Context()
	const day = 24 * time.Hour
	m := w.add(mapping.Spec{Pattern: "ctct-{account}-{role}"}) // as the version before stored it
	w.add(mapping.Spec{Group: group("other"), Account: string(cycling), Role: "campaign_creator"})
	name := "ctct-" + string(harbour) + "-account_manager"
	who := person("jane", directory.Group{ID: "1", DN: "cn=" + name + ",ou=groups,dc=test", Name: name})
	gives := func(want int, when string) {
		t.Helper()
		got, err := w.Service.Assignments(ctx, who)
		if err != nil || len(got) != want {
			t.Errorf("%s: got %+v, %v; want %d", when, got, err, want)
		}
	}
	named := func(place string) mapping.Stop {
		t.Helper()
		all, err := w.ListMappings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ends, err := w.NamePatterns(ctx, all, place, "admin:test")
		if err != nil || len(ends) != 1 {
			t.Fatalf("got %+v, %v; want the end of one pattern", ends, err)
		}
		return ends[m.ID]
	}
	w.people.set(who)
	w.advance(60 * day)
	gives(1, "named nowhere")
	if stop := named(store.NoticeByCheck); !stop.At.IsZero() || stop.Over {
		t.Errorf("named by check alone: %+v", stop)
	}
	w.advance(60 * day)
	gives(1, "named by check alone")
	stop := named(store.NoticeInConsole)
	if stop.Over || stop.At.Sub(w.now()) < 29*day || stop.At.Sub(w.now()) > 30*day {
		t.Fatalf("named in both places: stops at %v, now %v", stop.At, w.now())
	}
	if text := mapping.StopText(stop); !strings.Contains(text, stop.At.UTC().Format("2 January 2006")) {
		t.Errorf("the text does not name the day: %s", text)
	}
	w.advance(29 * day)
	gives(1, "a day before")
	if again := named(store.NoticeByCheck); !again.At.Equal(stop.At) {
		t.Errorf("looking again moves the end from %v to %v", stop.At, again.At)
	}
	digest := planned(t, w)
	w.advance(2 * day)
	gives(0, "after the end, without any change in the store")
	w.advance(-2 * day)
	gives(1, "with the clock put right that had jumped ahead")
	w.advance(2 * day)
	gives(0, "after the end again")
	if again := named(store.NoticeInConsole); !again.Over {
		t.Errorf("after the end: %+v", again)
	}
	if planned(t, w) == digest {
		t.Error("a plan from before is not told apart from one after the end")
	}
	hits, err := w.Explain(ctx, who)
	if err != nil || !strings.Contains(hits[0].Why, "has no group base: it stopped giving access on") {
		t.Errorf("explain: %+v, %v", hits, err)
	}

	// A base of its own gives it back, and the preview of that shows what it gains.
	spec := mapping.SpecOf(m)
	spec.GroupBase, spec.Unchecked = "ou=groups,dc=test", true
	edit, err := w.EditMapping(ctx, m.ID, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SaveEdit(ctx, edit, "admin:test"); err != nil {
		t.Fatal(err)
	}
	gives(1, "with a base")
	// Back to what it was by its history, it is over at once.
	history, err := w.History(ctx, m.ID, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if edit, err = w.ReturnMapping(ctx, history[len(history)-1].ID); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveEdit(ctx, edit, "admin:test"); err != nil {
		t.Fatal(err)
	}
	gives(0, "returned to the version without a base")
}
