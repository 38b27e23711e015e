package provisioning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Directory is what plans and their items need of the directory; *directory.Directory is it.
type Directory interface {
	Walk(ctx context.Context, o directory.WalkOptions, visit func(directory.Entry) error) (directory.Walked, error)
	Read(ctx context.Context, id string) (directory.Entry, error)
	Find(ctx context.Context, login string) (directory.Entry, error)
}

// Kinds of plan: who made it.
const (
	adminPlan = "admin"
	watchPlan = "watch"
)

const (
	itemsAtOnce = 500 // items that are stored in one transaction
	// Where at least so many users are in the ledger, a plan by which more than half of them have left is taken for a
	// mistake.
	fewUsers = 20
)

// PlanOptions are for MakePlan and StartPlan.
type PlanOptions struct {
	Kind     string // "admin" or "watch"
	Actor    string
	Progress func(PlanProgress) // called now and then, from the goroutine of MakePlan; nil: nobody is
}

// PlanProgress is how far the making of a plan is.
type PlanProgress struct{ Groups, People, Items int }

// MakePlan walks the directory, compares it with mappings and ledger, and saves the difference as a plan that is ready.
// People of sources beside the directory are those whom the store knows, by what their last token said.
//
// The leavers, drifted roles and people whose name or mail address has changed become the list of manual work.
// StartPlan does the same in the background.
//
// One plan is made at a time, whoever asks and on whichever replica: *PlanRunningError otherwise. It takes at most two
// hours.
//
// A walk that fails makes no plan: half a walk would take everybody behind its end for a leaver. A walk that succeeds
// can be as wrong: a base_dn with a typing error that names an empty branch, or mappings that were removed for a
// moment. So where more than half of the users in the ledger (and at least 20 are in it) would be leavers, the plan is
// not ready but stopped, by the word StopLeavers, and the manual work stays as it was: nobody is told to delete users
// by hand. ApplyPlan with Accept is how an admin says that it is right.
//
// Creations stand in the order of the walk, which is the server's. Sorting them would take memory or an index for each
// line, to no one's good: a plan that is interrupted goes on where it was, and who signs in meanwhile is created at
// once.
//
// Somebody who can't sign in at present but will again (a password that must be changed, a passing lock) is neither
// created nor a leaver. Whose mapping creates users at the first sign-in only is counted, and not created by the plan.
func (s *Service) MakePlan(ctx context.Context, o PlanOptions) (store.Plan, directory.Walked, error) {
	d, err := s.startPlan(ctx, o)
	if err != nil {
		return store.Plan{}, directory.Walked{}, fmt.Errorf("make a plan: %w", err)
	}
	plan, walked, err := d.run(ctx)
	if err != nil {
		return plan, walked, fmt.Errorf("make a plan: %w", err)
	}
	return plan, walked, nil
}

// make is what run does under the lease.
func (d *planDraft) make(ctx context.Context) (plan store.Plan, walked directory.Walked, err error) {
	s, actor := d.s, d.o.Actor
	if walked, err = d.fill(ctx); err != nil {
		return plan, walked, err
	}
	// What was seen is stored for the last time: Ready does not know it.
	if err := s.plans.Progress(ctx, d.id, d.maker, d.seenSoFar(), s.lease); err != nil {
		return plan, walked, err
	}
	if err := s.plans.SetMapped(ctx, d.id, d.mapped); err != nil {
		return plan, walked, fmt.Errorf("plan %d: %w", d.id, err)
	}
	detail := map[string]any{"kind": d.o.Kind, "people": walked.People}
	if n := d.atSignIn.Load(); n > 0 {
		detail["at_sign_in"] = n
	}
	if d.dataChanged > 0 {
		detail["data_changed"] = d.dataChanged
	}
	if plan, err = s.plans.Ready(ctx, d.id, walked.People, s.planEvent("plan-make", actor, d.id, detail)); err != nil {
		return plan, walked, err
	}
	s.dropOvertaken(ctx, plan, actor)
	if d.absurd() {
		change := store.PlanChange{Reason: StopLeavers}
		event := s.planEvent("plan-stop", actor, d.id, map[string]any{"reason": StopLeavers, "leavers": d.leavers,
			"users": d.users})
		if err := s.plans.SetState(ctx, d.id, store.PlanReady, store.PlanStopped, change, event); err != nil {
			return plan, walked, fmt.Errorf("stop plan %d, by which %d of %d users have left: %w", d.id, d.leavers, d.users, err)
		}
		plan, err = s.plans.Get(ctx, d.id)
		return plan, walked, err
	}
	if err := s.plans.SetManualTasks(ctx, d.id); err != nil {
		return plan, walked, fmt.Errorf("plan %d is ready, but its list of manual work could not be stored: %w", d.id, err)
	}
	if err := d.dropChanges(ctx); err != nil {
		return plan, walked, fmt.Errorf("plan %d is ready, but its manual tasks are not up to date: %w", d.id, err)
	}
	return plan, walked, nil
}

// planDraft is a plan while it is made.
type planDraft struct {
	s     *Service
	o     PlanOptions
	x     *mapping.Index
	id    int64
	maker string       // of the lease
	from  store.Origin // of the request that asked for it
	began time.Time
	seen  seen
	items []store.PlanItem // not stored yet

	changes     []store.ChangedUser // whose data have changed, not stored yet
	dataChanged int                 // how many they are in all

	mapped map[int64]int // people to whom each mapping gives something

	skipped int              // entries of the directory that can't be used
	users   int              // rows whose user is there, or may be
	leavers int              // of them
	leaving []store.PlanItem // leavers that were not looked at for lost moves yet

	// Read by the goroutine that stores the progress.
	groups, people, found, atSignIn atomic.Int64
}

// fill walks the directory and then the ledger, and stores what it finds.
func (d *planDraft) fill(ctx context.Context) (directory.Walked, error) {
	walked, err := d.s.walkPeople(ctx, []*mapping.Index{d.x}, d.progress, d.note,
		func(page []visited, rows map[userID]store.SSOUser) error {
			for _, v := range page {
				if err := d.compare(ctx, v, rows); err != nil {
					return err
				}
			}
			return nil
		})
	if err != nil {
		return walked, err
	}
	d.skipped = walked.Skipped
	// Wanted rows are left out (nothing was sent), and those that are being sent: what becomes of them is seen by the next
	// plan.
	states := []store.State{store.Active, store.Assumed, store.Unknown, store.Suspended}
	if err := d.s.eachRow(ctx, states, func(row store.SSOUser) error { return d.compareRow(ctx, row) }); err != nil {
		return walked, err
	}
	if err := d.addLeavers(ctx); err != nil {
		return walked, err
	}
	if err := d.storeChanges(ctx); err != nil {
		return walked, err
	}
	return walked, d.store(ctx)
}

// compare looks at one person of the walk.
func (d *planDraft) compare(ctx context.Context, v visited, rows map[userID]store.SSOUser) error {
	counted := map[int64]bool{} // a pattern can give somebody several client accounts
	for _, h := range v.hits[0] {
		person := store.PersonID(v.person.ID)
		if !d.seen.given(person, h.Account) {
			continue // the server gave the entry twice: it was renamed while the walk ran
		}
		if id := h.Mapping.ID; id != 0 && !counted[id] { // without a number it is a grant of a source
			counted[id] = true
			d.mapped[id]++
		}
		row, there := rows[userID{person, h.Account}]
		if !there && d.seen.fate(person) == absent {
			continue // whoever would be a leaver is not created in advance: when they come, they are
		}
		if err := d.compareData(ctx, v.person, assignmentOf(h), row); err != nil {
			return err
		}
		kind, why := d.s.verdict(d.x, v.person, h, row, there)
		switch kind {
		case "":
			continue
		case leftToSignIn:
			d.atSignIn.Add(1)
			continue
		}
		if err := d.add(ctx, item(kind, v.person, h, row, why)); err != nil {
			return err
		}
	}
	return nil
}

// compareRow looks at one row of the ledger, after the walk.
func (d *planDraft) compareRow(ctx context.Context, row store.SSOUser) error {
	if row.State == store.Suspended && !usable(store.SSOUser{State: row.Before}) && row.Before != store.Unknown {
		return nil // it was never created
	}
	if source := directory.SourceOf(string(row.Person)); source != "" {
		return d.compareSourceRow(ctx, row, source)
	}
	d.users++
	// Who came into the directory behind the walk and signed in at once is no leaver.
	if !row.CreatedAt.Before(d.began) {
		return nil
	}
	why := d.seen.left(row)
	if why == "" {
		return nil
	}
	if d.skipped > 0 && why == notSeen {
		why += fmt.Sprintf("; or theirs is one of the entries that were left out, since they can't be used (%d)", d.skipped)
	}
	if d.leaving = append(d.leaving, leaver(row, why)); len(d.leaving) < itemsAtOnce {
		return nil
	}
	return d.addLeavers(ctx)
}

// addLeavers adds the leavers that were found. Whose move to a source a restored backup has lost is none, wherever the
// directory has them now: by that user they sign in, and keep it until the move is made again.
func (d *planDraft) addLeavers(ctx context.Context) error {
	ids := make([]store.PersonID, len(d.leaving))
	for i, item := range d.leaving {
		ids[i] = item.Person
	}
	moved, err := d.s.ledger.MovedTo(ctx, ids...)
	if err != nil {
		return fmt.Errorf("look which leavers were moved to a source: %w", err)
	}
	for _, item := range d.leaving {
		if moved[item.Person].Lost() {
			continue
		}
		d.leavers++
		if err := d.add(ctx, item); err != nil {
			return err
		}
	}
	d.leaving = d.leaving[:0]
	return nil
}

// compareSourceRow looks at one row of somebody whom no directory has. They leave by staying away, and only where their
// source says after how long. It is never counted with those by whom a walk of the directory is judged.
func (d *planDraft) compareSourceRow(ctx context.Context, row store.SSOUser, source string) error {
	after := d.s.leaverAfterOf(source)
	if after <= 0 || !row.CreatedAt.Before(d.began.Add(-after)) {
		return nil
	}
	if why := d.seen.leftSource(row, source, after); why != "" {
		return d.add(ctx, leaver(row, why))
	}
	return nil
}

// note keeps what the walk saw of a person.
func (d *planDraft) note(p directory.Entry) {
	d.seen.person(store.PersonID(p.ID), d.s.fateAt(p, d.began))
}

func (d *planDraft) absurd() bool { return d.users >= fewUsers && 2*d.leavers > d.users }

func (d *planDraft) add(ctx context.Context, i store.PlanItem) error {
	d.found.Add(1)
	if d.items = append(d.items, i); len(d.items) < itemsAtOnce {
		return nil
	}
	return d.store(ctx)
}

func (d *planDraft) store(ctx context.Context) error {
	if len(d.items) == 0 {
		return nil
	}
	if err := d.s.plans.Add(ctx, d.id, d.items); err != nil {
		return fmt.Errorf("store %d items of plan %d: %w", len(d.items), d.id, err)
	}
	clear(d.items)
	d.items = d.items[:0]
	return nil
}

// dropOvertaken drops plans that nobody has decided on and that a newer one replaces: those stopped as absurd, and
// stopped ones of the watch. A plan that an admin has paused is the admin's.
func (s *Service) dropOvertaken(ctx context.Context, by store.Plan, actor string) {
	all, err := s.plans.List(ctx, 1000)
	if err != nil {
		s.log.Warn("plans that a newer one replaces could not be listed", "plan", by.ID, "error", err)
		return
	}
	for _, p := range all {
		if p.ID != by.ID && p.State == store.PlanStopped && (p.Reason == StopLeavers ||
			p.Kind == watchPlan && by.Kind == watchPlan) {
			s.dropPlan(ctx, p, actor)
		}
	}
}

// dropPlan says that a plan is never to be applied. Where that fails, the next plan of its kind does it, or an admin
// finds a plan that looks again at each item anyway.
func (s *Service) dropPlan(ctx context.Context, p store.Plan, actor string) {
	// The walk may have failed because ctx ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	err := s.plans.SetState(ctx, p.ID, p.State, store.PlanDropped, store.PlanChange{}, s.planEvent("plan-drop",
		actor, p.ID, nil))
	if err != nil && !errors.Is(err, store.ErrConflict) {
		s.log.Warn("plan could not be dropped", "plan", p.ID, "error", err)
	}
}

// progress notes how far the walk is.
func (d *planDraft) progress(people, groups int) {
	d.people.Store(int64(people))
	d.groups.Store(int64(groups))
	if d.o.Progress != nil {
		d.o.Progress(PlanProgress{Groups: groups, People: people, Items: int(d.found.Load())})
	}
}

func (d *planDraft) seenSoFar() store.PlanSeen {
	return store.PlanSeen{People: int(d.people.Load()), Groups: int(d.groups.Load()), AtSignIn: int(d.atSignIn.Load())}
}

func (s *Service) planEvent(action, actor string, plan int64, detail map[string]any) store.Event {
	e := store.Event{At: s.now(), Actor: actor, Action: action, Subject: fmt.Sprintf("plan %d", plan), Outcome: "ok"}
	if detail != nil {
		e.Detail, _ = json.Marshal(detail) // strings and numbers always encode
	}
	return e
}
