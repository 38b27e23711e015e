package provisioning_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// slowFake is a directory whose walk stops in the middle until it is let go or its context ends.
type slowFake struct {
	*peopleFake
	reached chan struct{} // closed when somebody was read
	goOn    chan struct{}
}

func (f *slowFake) Walk(ctx context.Context, o directory.WalkOptions,
	visit func(directory.Entry) error) (directory.Walked, error) {
	first := true
	return f.peopleFake.Walk(ctx, o, func(e directory.Entry) error {
		if first {
			first = false
			close(f.reached)
			select {
			case <-f.goOn:
			case <-ctx.Done():
				return &directory.Error{Problem: directory.Unavailable, Err: ctx.Err()}
			}
		}
		return visit(e)
	})
}

// newSlowWorld has two replicas over one store: the first reads a directory that waits in the middle of a walk.
func newSlowWorld(t *testing.T) (w *planWorld, slow *slowFake, other *provisioning.Service) {
	t.Helper()
	w = newPlanWorld(t, []directory.Entry{person("alice", group("sales")), person("bob", group("sales"))})
	w.options.Lease = time.Second
	other = w.replica()
	slow = &slowFake{w.people, make(chan struct{}), make(chan struct{})}
	w.options.Directory = slow
	w.Service = w.replica()
	w.maps("sales", harbour, store.AccountManager)
	return w, slow, other
}

// works runs what makes started plans, until stop is called or the test ends.
func (w *planWorld) works(s *provisioning.Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.MakeStarted(ctx)
	}()
	stop = func() { cancel(); <-done }
	w.tb.Cleanup(stop)
	return stop
}

// free waits until nobody has the lease to make plans any more.
func (w *planWorld) free() {
	w.tb.Helper()
	w.until("the lease to make plans is given back", func() bool {
		ctx := context.Background()
		got, err := w.db.Leases().Take(ctx, "plan", "test", time.Second)
		if err != nil || !got {
			return false
		}
		return w.db.Leases().Release(ctx, "plan", "test") == nil
	})
}

var byAdmin = provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"}

// COST-51: a plan is made in the background, one at a time in the whole installation, and outlives the request that
// started it.
func TestStartPlan(t *testing.T) {
	w, slow, other := newSlowWorld(t)
	w.works(w.Service)
	from := store.Origin{Ref: "r1", Address: "192.0.2.1"}
	asking, gone := context.WithCancel(store.WithOrigin(t.Context(), from))
	p, err := w.StartPlan(asking, byAdmin)
	if err != nil || p.State != store.PlanMaking {
		t.Fatalf("got %+v, %v", p, err)
	}
	gone() // the browser is closed
	<-slow.reached
	for name, start := range map[string]func() error{
		"in the background of this replica": func() error { _, err := w.StartPlan(t.Context(), byAdmin); return err },
		"in the background of another":      func() error { _, err := other.StartPlan(t.Context(), byAdmin); return err },
		"by a command":                      func() error { _, _, err := other.MakePlan(t.Context(), byAdmin); return err },
		"by the watch": func() error {
			_, _, err := other.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "watch"})
			return err
		},
	} {
		err := start()
		if running, ok := errors.AsType[*provisioning.PlanRunningError](err); !ok || running.ID != p.ID ||
			running.By != "admin:test" {
			t.Errorf("a second plan %s: got %v, want that plan %d is being made", name, err, p.ID)
		}
	}
	if making, err := other.Making(t.Context()); err != nil || making.ID != p.ID {
		t.Errorf("seen from another replica: got %+v, %v", making, err)
	}
	if _, err := w.ApplyPlan(t.Context(), provisioning.ApplyOptions{ID: p.ID, Actor: "admin:test"}); err == nil {
		t.Error("a plan that is being made was applied")
	}
	// Longer than the lease: it is prolonged.
	w.advance(10 * time.Second)
	w.until("progress is stored", func() bool { _, err := w.Making(t.Context()); return err == nil })
	close(slow.goOn)
	w.until("the plan is ready", func() bool { return w.get(p.ID).State == store.PlanReady })
	if p = w.get(p.ID); p.Creations != 2 || p.People != 2 || p.Fault != "" {
		t.Errorf("made: got %+v", p)
	}
	w.free()
	if _, _, err := other.MakePlan(t.Context(), byAdmin); err != nil {
		t.Errorf("the next one: %v", err)
	}
	for _, action := range []string{"plan-start", "plan-make"} {
		got := w.audited(action)
		if len(got) != 2 || got[0].Actor != "admin:test" {
			t.Errorf("audit of %s: got %+v", action, got)
		} else if got[1].Ref != from.Ref || got[1].Address != from.Address {
			t.Errorf("audit of %s: got %+v, want where it was asked for", action, got[1])
		}
	}
}

// COST-52: a plan that is cancelled, on whichever replica, ends and can't be applied.
func TestCancelPlan(t *testing.T) {
	w, slow, other := newSlowWorld(t)
	w.works(w.Service)
	p, err := w.StartPlan(t.Context(), byAdmin)
	if err != nil {
		t.Fatal(err)
	}
	<-slow.reached
	if err := other.CancelPlan(t.Context(), p.ID, "admin:other"); err != nil {
		t.Fatal(err)
	}
	w.free() // the process that made it has noticed
	if p = w.get(p.ID); p.State != store.PlanDropped || p.Reason != store.MakingCancelled {
		t.Errorf("cancelled: got %+v", p)
	}
	if _, err := w.ApplyPlan(t.Context(), provisioning.ApplyOptions{ID: p.ID, Actor: "admin:test",
		Accept: true}); err == nil {
		t.Error("a cancelled plan was applied")
	}
	if got := w.audited("plan-cancel"); len(got) != 1 || got[0].Actor != "admin:other" {
		t.Errorf("audit: got %+v", got)
	}
	if got := w.audited("plan-drop"); len(got) != 0 {
		t.Errorf("audit of the end: got %+v, want the cancellation alone", got)
	}
	// Its list of users is not whole: a lost ledger is not restored from it.
	if counts, err := w.AdoptPlan(t.Context(), p.ID, "admin:test"); !errors.Is(err, provisioning.ErrPlanUnmade) ||
		len(counts) != 0 {
		t.Errorf("the users of a cancelled plan are assumed: %v, %v", counts, err)
	}
	if hold, err := w.db.Ledger().ProvisioningPause(t.Context()); err != nil || !hold.Since.IsZero() {
		t.Errorf("hold: %+v, %v, want none", hold, err)
	}
	// What has ended can't be cancelled: a plan that was made stays as it is.
	if err := other.CancelPlan(t.Context(), p.ID, "admin:other"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second time: got %v, want ErrConflict", err)
	}
	made, _, err := other.MakePlan(t.Context(), byAdmin)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.CancelPlan(t.Context(), made.ID, "admin:other"); !errors.Is(err, store.ErrConflict) ||
		w.get(made.ID).State != store.PlanReady {
		t.Errorf("one that is made: got %v, %s", err, w.get(made.ID).State)
	}
	if err := other.CancelPlan(t.Context(), 4711, "admin:other"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("none: got %v, want ErrNotFound", err)
	}
}

// COST-53: with its process, the making of a plan ends; one whose process died is told from one that runs, and nothing
// of either is applied.
func TestPlanOfProcessThatEnds(t *testing.T) {
	w, slow, other := newSlowWorld(t)
	stop := w.works(w.Service)
	p, err := w.StartPlan(t.Context(), byAdmin)
	if err != nil {
		t.Fatal(err)
	}
	<-slow.reached
	stop()
	if p = w.get(p.ID); p.State != store.PlanDropped || p.Reason != store.MakingInterrupted {
		t.Errorf("after the process has stopped: got %+v", p)
	}
	w.free()

	// One that died could say nothing: its lease runs out.
	const dead = "a process that died"
	id, err := w.db.Plans().Start(t.Context(), store.Plan{Kind: "admin", CreatedBy: "admin:test", Maker: dead},
		time.Second, func(int64) store.Event {
			return store.Event{Action: "plan-start", Outcome: "ok"}
		})
	if err != nil {
		t.Fatal(err)
	}
	if making, err := other.Making(t.Context()); err != nil || making.ID != id {
		t.Errorf("while the lease runs: got %+v, %v", making, err)
	}
	w.advance(2 * time.Second)
	w.free()
	if p := w.get(id); p.State != store.PlanMaking {
		t.Errorf("left behind: got %+v", p)
	}
	next, _, err := other.MakePlan(t.Context(), byAdmin)
	if err != nil {
		t.Fatalf("the next plan: %v", err)
	}
	if p := w.get(id); p.State != store.PlanDropped || p.Reason != store.MakingInterrupted ||
		next.State != store.PlanReady {
		t.Errorf("left behind, after the next: got %+v, next %+v", p, next)
	}
	// It was only slow: what it says now changes nothing.
	if err := w.db.Plans().Progress(t.Context(), id, dead, store.PlanSeen{People: 9}, time.Second); !errors.Is(err,
		store.ErrConflict) {
		t.Errorf("progress of the dead: got %v, want ErrConflict", err)
	}
	if err := w.db.Plans().Add(t.Context(), id, []store.PlanItem{{Kind: store.ItemCreate, Person: "p",
		Account: harbour}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("lines of the dead: got %v, want ErrConflict", err)
	}
}

// COST-54: why a plan could not be made stands with it, in a sentence, and not as an error of the program.
func TestPlanThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(error) string
		want  string
	}{
		"the directory":  {func(error) string { return "the directory does not answer" }, "the directory does not answer"},
		"something else": {func(error) string { return "" }, "The log has the error, with plan="},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPlanWorld(t, []directory.Entry{person("alice")},
				func(o *provisioning.Options) { o.DirectoryFault = c.fault })
			w.people.fails = &directory.Error{Problem: directory.Unavailable, Op: "walk",
				Err: errors.New("LDAP result 52 of 127.0.0.1:389")}
			w.works(w.Service)
			p, err := w.StartPlan(t.Context(), byAdmin)
			if err != nil {
				t.Fatal(err)
			}
			w.until("the plan has failed", func() bool { return w.get(p.ID).State == store.PlanDropped })
			if p = w.get(p.ID); p.Reason != store.MakingFailed || !strings.HasPrefix(p.Fault, c.want) {
				t.Errorf("got reason %q, fault %q", p.Reason, p.Fault)
			}
			w.free()
			if got := w.audited("plan-drop"); len(got) != 1 || got[0].Outcome != "failed" ||
				got[0].Reason != store.MakingFailed || got[0].Actor != "admin:test" {
				t.Errorf("audit: got %+v", got)
			}
		})
	}
}

// COST-55: whom a mapping gives an account with users created at the first sign-in only, a plan counts and does not
// create; the sign-in does.
func TestCreatedAtSignIn(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{
		person("alice", group("sales")), person("bob", group("seldom")), person("carol", group("seldom"), group("sales")),
		// no name: can't be created
		person("dave", group("seldom")), {ID: "erin", Login: "erin", Groups: []directory.Group{group("seldom")}},
	})
	seldom := w.add(mapping.Spec{Group: group("seldom"), Account: string(harbour), Role: string(store.AccountManager),
		Priority: 5, AtSignIn: true})
	w.maps("sales", harbour, store.AccountManager)
	w.row("dave", harbour, store.Active)
	w.row("left", harbour, store.Active)
	p := w.plan()
	if p.Creations != 1 || p.AtSignIn != 2 || p.Leavers != 1 || p.Blocked != 1 {
		t.Errorf("got %+v, want alice created, bob and carol left to their sign-in, one leaver, erin blocked", p)
	}
	for _, i := range w.items(p.ID) {
		if i.Person == "bob" || i.Person == "carol" || i.Person == "dave" {
			t.Errorf("a line for %s: %+v", i.Person, i)
		}
	}
	d, err := w.Decide(t.Context(), provisioning.Question{Person: person("bob", group("seldom")), MayCreate: true})
	if err != nil || d.Outcome != provisioning.Wait || d.User.State != store.Wanted {
		t.Errorf("bob signs in: got %+v, %v, want his user wanted", d, err)
	}
	ready, _, err := w.Readiness(t.Context(), nil)
	if err != nil || ready[0].Mapping.ID != seldom.ID || ready[0].Later != 1 || ready[0].Missing != 0 {
		t.Errorf("readiness: got %+v, %v", ready, err)
	}

	// The mapping that counts decides: carol is created in advance once the other one wins.
	edit, err := w.MoveMapping(t.Context(), seldom.ID, 90)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SaveEdit(t.Context(), edit, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if p := w.plan(); p.Creations != 2 || p.AtSignIn != 0 {
		t.Errorf("with the other mapping first: got %+v", p)
	}
	// Equal priority, same role: what one of them wants in advance is.
	if edit, err = w.MoveMapping(t.Context(), seldom.ID, 10); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveEdit(t.Context(), edit, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if p := w.plan(); p.Creations != 2 {
		t.Errorf("carol, by two mappings of equal priority: got %+v", p)
	}

	// It can be changed in place, and the history knows it.
	spec := mapping.SpecOf(must(w.Mapping(t.Context(), seldom.ID))(t))
	spec.AtSignIn, spec.Unchecked = false, true
	if edit, err = w.EditMapping(t.Context(), seldom.ID, spec); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveEdit(t.Context(), edit, "admin:test"); err != nil ||
		must(w.Mapping(t.Context(), seldom.ID))(t).AtSignIn {
		t.Errorf("in advance: %v, %+v", err, must(w.Mapping(t.Context(), seldom.ID))(t))
	}
	history, err := w.History(t.Context(), seldom.ID, 0, 10)
	if err != nil || history[0].State.AtSignIn || !history[1].State.AtSignIn {
		t.Errorf("history: got %+v, %v", history, err)
	}
	// The same rule a second time is refused, whenever its users are created; and an owner's user is never created.
	if _, err := w.AddMapping(t.Context(), mapping.Spec{Group: group("seldom"), Account: string(harbour),
		Role: string(store.AccountManager), AtSignIn: true}); err == nil {
		t.Error("the same mapping was added twice")
	}
	owner := mapping.Spec{Person: "alice", Account: string(juniper), Role: "owner", ExternalID: "4711", AtSignIn: true}
	if _, err := w.AddMapping(t.Context(), owner); strings.Join(faultFields(err), "") != "create" {
		t.Errorf("an owner created at the first sign-in: got %v", err)
	}
}

// A plan that was made before a mapping said so creates nobody of it: it stops, and asks.
func TestCreatedAtSignInSincePlan(t *testing.T) {
	w := newPlanWorld(t, []directory.Entry{person("alice", group("sales"))})
	m := w.maps("sales", harbour, store.AccountManager)
	p := w.plan()
	spec := mapping.SpecOf(m)
	spec.AtSignIn = true
	edit, err := w.EditMapping(t.Context(), m.ID, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SaveEdit(t.Context(), edit, "admin:test"); err != nil {
		t.Fatal(err)
	}
	_, err = w.ApplyPlan(t.Context(), provisioning.ApplyOptions{ID: p.ID, Actor: "admin:test"})
	if stop, ok := errors.AsType[*provisioning.StopError](err); !ok || stop.Reason != provisioning.StopMappings {
		t.Errorf("got %v, want it to stop since the mappings have changed", err)
	}
}

// A file of mappings that differs in this alone changes this alone, and keeps the priority.
func TestCompareMappingsCreatedAtSignIn(t *testing.T) {
	w := newPlanWorld(t, nil)
	m := w.maps("sales", harbour, store.AccountManager)
	spec := mapping.SpecOf(m)
	spec.Priority, spec.AtSignIn = 0, true
	change, err := w.CompareMappings(t.Context(), []mapping.Spec{spec})
	if err != nil || len(change.Add) != 1 || len(change.Remove) != 1 || !change.Add[0].AtSignIn ||
		change.Add[0].Priority != m.Priority {
		t.Fatalf("got %+v, %v", change, err)
	}
	if err := w.ApplyMappings(t.Context(), change, "admin:test"); err != nil {
		t.Fatal(err)
	}
	if change, err = w.CompareMappings(t.Context(), []mapping.Spec{spec}); err != nil || !change.Empty() {
		t.Errorf("the same again: got %+v, %v", change, err)
	}
}
