package provisioning

import (
	"context"
	"errors"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Why an item of a plan was skipped: the fixed words of store.PlanItem.Reason.
const (
	SkipGone          = "gone"           // the person is not in the directory any more
	SkipDisabled      = "disabled"       // or can't sign in any more
	SkipNotNow        = "not_now"        // or can't at present: a password that must be changed, logon hours
	SkipNoAssignment  = "no_assignment"  // no mapping gives them the account any more
	SkipOtherRole     = "other_role"     // they are to have another role there than the plan says
	SkipPersonData    = "person_data"    // their data don't fit any more
	SkipAccountClosed = "account_closed" // the client account is closed
	SkipTaken         = "taken"          // the external id or login name stands at somebody else
	SkipAtSignIn      = "at_sign_in"     // their user is created at their first sign-in only
	SkipTakenCase     = "taken_case"     // the external id stands at somebody else in another letter case
	SkipMoved         = "moved"          // the person was moved to a source of people
)

const (
	directoryPause = 5 * time.Second // after a directory that did not answer
	itemPause      = time.Second     // after whatever else kept an item from being looked at
)

var (
	// errNotNow ends the work on an item that can't be begun at present: it is taken again when its claim has run out,
	// behind the others.
	errNotNow = errors.New("not now")
	// errExists ends it where the ledger has a row by now, since the person signed in: nothing has changed, and the item
	// ends with that row.
	errExists = errors.New("the person has a row already")
	// errNotThisRun ends it for an item of a plan that does not go on: the item is given back.
	errNotThisRun = errors.New("not in this run")
)

// begin looks again at an item of the plan and, if it still holds, puts its row into the ledger. ok is false where
// there is nothing to be sent.
func (w *worker) begin(item store.PlanItem) (row store.SSOUser, ok bool) {
	// Within the lease of the item, or another worker would look at it meanwhile.
	ctx, cancel := context.WithTimeout(w.calls, w.s.lease*2/3)
	defer cancel()
	row, skip, err := w.beginItem(ctx, item)
	switch {
	case err == nil && skip == "":
		return row, true
	case err == nil:
		w.skip(ctx, item, skip)
	case errors.Is(err, errNotThisRun):
		if err := w.s.plans.Release(ctx, item); err != nil {
			w.s.log.Warn("item of a plan could not be given back, its claim runs out", "plan", item.Plan, "position",
				item.Position, "error", err)
		}
	case errors.Is(err, errExists):
		if err := w.s.plans.Follow(ctx, item); err != nil && !errors.Is(err, store.ErrConflict) {
			w.s.log.Warn("item of a plan whose person has a user by now could not be ended, it is looked at again", "plan",
				item.Plan, "position", item.Position, "error", err)
		}
	case errors.Is(err, errNotNow):
	default:
		w.pauseItems(itemPause)
		if w.calls.Err() == nil {
			w.s.log.Warn("item of a plan could not be looked at, it is taken again", "plan", item.Plan, "position",
				item.Position, "error", err)
		}
	}
	return store.SSOUser{}, false
}

func (w *worker) beginItem(ctx context.Context, item store.PlanItem) (row store.SSOUser, skip string, err error) {
	s := w.s
	plan, err := s.plans.Get(ctx, item.Plan)
	if err != nil {
		return row, "", err
	}
	x, err := s.current(ctx)
	if err != nil {
		return row, "", err
	}
	if err := w.mayBegin(ctx, plan, x); err != nil {
		return row, "", err
	}
	p, a, skip, err := w.lookAgain(ctx, x, item)
	if err != nil || skip != "" {
		return row, skip, err
	}
	body, err := s.Body(p, a)
	if field, wrong := errors.AsType[*partnerapi.FieldError](err); wrong {
		s.log.Info("data of a person in a plan do not fit any more", "person", item.Person, "account", item.Account,
			"error", field)
		return row, SkipPersonData, nil
	}
	if err != nil {
		return row, "", err
	}
	row, err = s.plans.Begin(ctx, item, s.intention(p, a, body), s.lease, s.itemEvent(plan, item, a))
	if clash, ok := errors.AsType[*store.CaseClashError](err); ok {
		s.log.Warn("person of a plan is not created", "person", item.Person, "account", item.Account, "error",
			caseClash(clash))
		return row, SkipTakenCase, nil
	}
	if errors.Is(err, store.ErrMovedAway) {
		return row, SkipMoved, nil
	}
	if errors.Is(err, store.ErrConflict) {
		skip, err = w.whyConflict(ctx, item)
	}
	return row, skip, err
}

// mayBegin tells by its error that the plan does not go on, and stops it where an admin is to be asked.
func (w *worker) mayBegin(ctx context.Context, plan store.Plan, x *mapping.Index) error {
	if plan.State != store.PlanApplying {
		w.s.forgetCapacity()
		return errNotThisRun
	}
	hold, err := w.s.ledger.ProvisioningPause(ctx)
	if err != nil {
		return err
	}
	if !hold.Since.IsZero() {
		w.s.forgetCapacity()
		return errNotThisRun
	}
	// Compared with the same index by which the item is then looked at.
	if x.Digest() != plan.Mappings {
		w.stop(ctx, plan, StopMappings)
		return errNotThisRun
	}
	room, err := w.room(ctx, plan)
	if err == nil && room < 0 {
		// other replicas took the last places; they may skip theirs
		w.pauseItems(itemPause + time.Duration(w.s.random()*float64(itemPause)))
		err = errNotThisRun
	}
	return err
}

// lookAgain reads the person and compares them with the item.
func (w *worker) lookAgain(ctx context.Context, x *mapping.Index, item store.PlanItem) (p directory.Entry, a Assignment,
	skip string, err error) {
	s := w.s
	// A row is a single reading here, and one that is there makes all others needless. Begin looks for itself again.
	switch _, err := s.ledger.Get(ctx, item.Person, item.Account); {
	case err == nil:
		return p, a, "", errExists
	case !errors.Is(err, store.ErrNotFound):
		return p, a, "", err
	}
	if _, closed := s.shut(x, item.Account); closed {
		return p, a, SkipAccountClosed, nil
	}
	p, err = s.people.Read(ctx, string(item.Person))
	if err != nil {
		e, typed := errors.AsType[*directory.Error](err)
		if typed && e.Problem != directory.Unavailable {
			return p, a, SkipPersonData, nil
		}
		// All items would fail alike. They are not used up for it.
		w.pauseItems(directoryPause)
		s.log.Warn("the directory does not answer, the plan waits", "plan", item.Plan, "error", err)
		return p, a, "", errNotNow
	}
	switch p.Problem {
	case "":
	case directory.Disabled, directory.Expired:
		if p.DN == "" { // see directory.Read: who is gone has no more than an id
			return p, a, SkipGone, nil
		}
		return p, a, SkipDisabled, nil
	default:
		return p, a, SkipNotNow, nil
	}
	for _, now := range s.assignments(x, p) {
		switch {
		case now.Account != item.Account:
		case now.Role != item.Role:
			return p, a, SkipOtherRole, nil
		case now.Mapping.AtSignIn:
			return p, a, SkipAtSignIn, nil // another mapping counts for them by now
		default:
			return p, now, "", nil
		}
	}
	return p, a, SkipNoAssignment, nil
}

// whyConflict finds out why an item could not be begun: a word for skipping it, or an error if it is not to be skipped.
func (w *worker) whyConflict(ctx context.Context, item store.PlanItem) (skip string, err error) {
	_, err = w.s.ledger.Get(ctx, item.Person, item.Account)
	if err == nil {
		return "", errExists
	}
	if !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	plan, err := w.s.plans.Get(ctx, item.Plan)
	if err != nil {
		return "", err
	}
	if plan.State != store.PlanApplying {
		w.s.forgetCapacity()
		return "", errNotThisRun
	}
	return SkipTaken, nil // or the claim is lost: then Skip does nothing
}

// itemEvent is for the audit: who is to be created by which plan.
func (s *Service) itemEvent(plan store.Plan, item store.PlanItem, a Assignment) store.Event {
	detail := store.DetailOf(map[string]any{"role": a.Role, "mapping": a.Mapping.ID, "plan": plan.ID,
		"position": item.Position})
	return store.Event{
		At: s.now(), Actor: plan.AppliedBy, Action: "create-user-wanted", Subject: string(item.Person), Account: item.Account,
		Outcome: "ok", Reason: "plan", Detail: detail,
	}
}
