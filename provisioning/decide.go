package provisioning

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Decide is the gate. It never calls Constant Contact: a missing SSO user is stored as an intention, the worker is
// woken, and the answer waits up to Patience for the outcome. An error means that no decision could be made; it must be
// treated as a refusal.
func (s *Service) Decide(ctx context.Context, q Question) (Decision, error) {
	d, err := s.decide(ctx, q, true)
	if err != nil {
		return Decision{}, fmt.Errorf("decide for person %s: %w", q.Person.ID, err)
	}
	return d, nil
}

// Preview answers like Decide, but stores nothing, waits for nothing and wakes nobody. Where Decide would create an SSO
// user, the outcome is Wait with an empty Progress.State, and User is the row that would be stored.
func (s *Service) Preview(ctx context.Context, q Question) (Decision, error) {
	d, err := s.decide(ctx, q, false)
	if err != nil {
		return Decision{}, fmt.Errorf("preview the decision for person %s: %w", q.Person.ID, err)
	}
	return d, nil
}

func (s *Service) decide(ctx context.Context, q Question, act bool) (Decision, error) {
	if q.Person.ID == "" {
		// Without an id all such people would share one row of the ledger, and so one user at Constant Contact.
		return denied(Assignment{}, PersonData, "the person has no immutable id"), nil
	}
	x, err := s.current(ctx)
	if err != nil {
		return Decision{}, err
	}
	a, d := s.pick(x, s.assignments(x, q.Person), q.Account)
	if d.Outcome != "" {
		return s.wouldNest(ctx, x, q, d), nil
	}
	row, err := s.ledger.Get(ctx, store.PersonID(q.Person.ID), a.Account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Decision{}, fmt.Errorf("look up SSO user in account %s: %w", a.Account, err)
	}
	return s.decideRow(ctx, q, a, row, err == nil, act)
}

// PreviewAssignment is Preview for a client account of which assignment and user are known: what a sign-in to it would
// meet. A row without a state is none.
func (s *Service) PreviewAssignment(ctx context.Context, p directory.Entry, a Assignment,
	row store.SSOUser) (Decision, error) {
	if p.ID == "" {
		return denied(a, PersonData, "the person has no immutable id"), nil
	}
	x, err := s.current(ctx)
	if err != nil {
		return Decision{}, fmt.Errorf("preview account %s for person %s: %w", a.Account, p.ID, err)
	}
	a, d := s.pick(x, []Assignment{a}, a.Account)
	if d.Outcome != "" {
		return d, nil
	}
	d, err = s.decideRow(ctx, Question{Person: p, Account: a.Account, MayCreate: true}, a, row, row.State != "", false)
	if err != nil {
		return Decision{}, fmt.Errorf("preview account %s for person %s: %w", a.Account, p.ID, err)
	}
	return d, nil
}

// decideRow decides on one assignment. row is the person's in the ledger, if it is there.
func (s *Service) decideRow(ctx context.Context, q Question, a Assignment, row store.SSOUser, there,
	act bool) (d Decision, err error) {
	if !there {
		if row, d, err = s.begin(ctx, q, a, act); err != nil || d.Outcome != "" {
			return d, err
		}
	}
	if row.State == store.Refused {
		if row, err = s.beginAgain(ctx, q, a, row, act); err != nil {
			return Decision{}, err
		}
	}
	if waits(row) && !q.MayCreate {
		// saml-core 3.4.1.1: no user had been established when the request came, even if one is on its way.
		return denied(a, MayNotCreate, "the SSO user is not there yet and the request does not allow to create it"), nil
	}
	if waits(row) && act {
		if !ofAProgram(ctx) { // nobody waits, and what is left of the day is kept for those who do
			if err := s.raise(ctx, q, &row); err != nil {
				return Decision{}, err
			}
		}
		if row, err = s.awaitInSpan(ctx, row, q.Patience); err != nil {
			return Decision{}, err
		}
	}
	if act {
		s.noteChanged(ctx, q.Person, a, row)
	}
	return s.answer(ctx, a, row)
}

// pick finds the assignment that is asked about, or the decision that there is none. Client accounts that are closed
// are left out where others are open.
func (s *Service) pick(x *mapping.Index, all []Assignment, wanted store.AccountID) (Assignment, Decision) {
	if len(all) == 0 {
		return Assignment{}, denied(Assignment{}, NoAssignment, "no mapping gives this person a client account")
	}
	if wanted != "" {
		i := slices.IndexFunc(all, func(a Assignment) bool { return a.Account == wanted }) // both are the recorded form
		if i < 0 {
			return Assignment{}, denied(Assignment{}, NotThisAccount,
				fmt.Sprintf("no mapping gives this person client account %s", wanted))
		}
		all = all[i : i+1]
	}
	open := make([]Assignment, 0, len(all))
	for _, a := range all {
		if _, closed := s.shut(x, a.Account); !closed {
			open = append(open, a)
		}
	}
	switch len(open) {
	case 0:
		status, _ := s.shut(x, all[0].Account)
		return Assignment{}, denied(all[0], AccountClosed,
			fmt.Sprintf("client account %s is closed at Constant Contact: its billing status is %s", all[0].Account, status))
	case 1:
		return open[0], Decision{}
	}
	return Assignment{}, Decision{Outcome: Choose, Choices: open}
}

// begin stores the intention to create a missing SSO user. A decision with an outcome is final.
func (s *Service) begin(ctx context.Context, q Question, a Assignment, act bool) (store.SSOUser, Decision, error) {
	if a.Role == store.Owner {
		return store.SSOUser{}, denied(a, OwnerUnknown, fmt.Sprintf("mapping %d gives role owner, but no external_id of "+
			"the owner was told", a.Mapping.ID)), nil
	}
	if !q.MayCreate {
		return store.SSOUser{}, denied(a, MayNotCreate, "there is no SSO user and the request does not allow to create one"),
			nil
	}
	moved, err := s.ledger.MovedTo(ctx, store.PersonID(q.Person.ID))
	if err != nil {
		return store.SSOUser{}, Decision{}, fmt.Errorf("look whether the person was moved to a source: %w", err)
	}
	if to := moved[store.PersonID(q.Person.ID)]; to != "" {
		return store.SSOUser{}, deniedMoved(a, to), nil
	}
	body, err := s.Body(q.Person, a)
	if err != nil {
		return store.SSOUser{}, denied(a, PersonData, err.Error()), nil
	}
	want := s.intention(q.Person, a, body)
	if ofAProgram(ctx) {
		want.Priority = store.RetryPriority
	}
	if !act {
		return store.SSOUser{}, Decision{Outcome: Wait, Assignment: a, User: want}, nil
	}
	row, _, err := s.ledger.Enqueue(ctx, want, s.wantedEvent(q, a, "first"))
	if clash, ok := errors.AsType[*store.CaseClashError](err); ok {
		return store.SSOUser{}, denied(a, HeldConflict, caseClash(clash)), nil
	}
	if errors.Is(err, store.ErrMovedAway) { // since it was looked up
		return store.SSOUser{}, denied(a, MovedAway, movedAway("")), nil
	}
	if errors.Is(err, store.ErrConflict) {
		return store.SSOUser{}, denied(a, HeldConflict, "the external_id or login_name that the templates give is another "+
			"person's in the ledger; the templates do not tell people apart"), nil
	}
	if err != nil {
		return store.SSOUser{}, Decision{}, fmt.Errorf("store the intention to create an SSO user in account %s: %w",
			a.Account, err)
	}
	return row, Decision{}, nil
}

// movedAway says why the directory gives somebody no user any more. to is whom they come as now, where that is known.
func movedAway(to store.PersonID) string {
	switch {
	case to == "":
		return "the person was moved to a source of people, by which they sign in now"
	case to.Lost():
		return "the person was moved from the directory to a source of people, and the backup that was restored since does " +
			"not have the move: nobody is created by either id until it is made again"
	}
	return fmt.Sprintf("the person was moved to source %s, by which they sign in now, as person %s",
		directory.SourceOf(string(to)), to)
}

// deniedMoved is the decision on somebody whose move to a source keeps them from getting a user by this id.
func deniedMoved(a Assignment, to store.PersonID) Decision {
	if to.Lost() {
		return denied(a, MoveLost, movedAway(to))
	}
	return denied(a, MovedAway, movedAway(to))
}

// caseClash says what an admin can do about two external ids that differ in letter case only.
func caseClash(e *store.CaseClashError) string {
	return e.Error() + "; Constant Contact may not distinguish them, so this user is not created: " +
		"change what external_id is made of for one of the two people, or use {person_id} in its template"
}

// raise puts a row before all other work and brings its next attempt forward, as far as Constant Contact's state
// allows: its person is here, and must not wait for a back-off that was meant for nobody. What the breaker, the budget
// and the rate forbid stays forbidden.
func (s *Service) raise(ctx context.Context, q Question, row *store.SSOUser) error {
	if row.State == store.Sending {
		return nil // one attempt at a time
	}
	at := s.now()
	if least := row.EarliestPriority(); least.After(at) {
		at = least
	}
	if row.Priority == store.SignInPriority && !row.NextAttempt.After(at) && !at.After(s.now()) {
		return nil
	}
	key := store.UserKey{Person: row.Person, Account: row.Account}
	well, err := s.wellAgain(ctx, *row)
	switch {
	case err != nil:
	case well:
		err = s.ledger.PrioritizeNow(ctx, key, store.SignInPriority)
		row.NextAttempt = time.Time{}
	case row.Priority == store.SignInPriority && !row.NextAttempt.After(at):
		return nil
	case cause(*row) != CauseQuota:
		err = s.ledger.Prioritize(ctx, key, store.SignInPriority)
		if row.NextAttempt.After(at) {
			row.NextAttempt = at
		}
	case row.Priority != store.SignInPriority:
		// It waits for tomorrow because background work has had its part of the day. What is left of the day is kept for
		// this person.
		_, err = s.ledger.RequeueNow(ctx, key, store.SignInPriority, store.Event{
			At: s.now(), Actor: q.actor(), Action: "create-user-wanted", Subject: string(row.Person),
			Account: row.Account, Outcome: "ok", Reason: q.raised(),
		})
		row.NextAttempt = time.Time{}
	}
	if err != nil {
		return fmt.Errorf("raise SSO user in account %s in the queue: %w", row.Account, err)
	}
	row.Priority = store.SignInPriority
	return nil
}

// wellAgain tells whether a row waits for nothing any more: it got no answer, could not be sent or was throttled, and
// Constant Contact has answered others as it should since then. A row that failed while others did not is at fault
// itself, and waits. One that was throttled keeps the pause that grows with each time, and no longer one that a server
// asked for.
func (s *Service) wellAgain(ctx context.Context, row store.SSOUser) (bool, error) {
	now := s.now()
	if !row.NextAttempt.After(now) {
		return false, nil
	}
	switch row.Cause {
	case CauseUnknown, CauseUnreachable:
	case CauseThrottled:
		if row.UpdatedAt.Add(throttledPause(row.Throttles)).After(now) {
			return false, nil
		}
	default:
		return false, nil
	}
	known, err := s.capacity(ctx)
	return err == nil && known.breaker.Cause == "" && known.budget.Worked.After(row.UpdatedAt), err
}

// beginAgain puts a row that Constant Contact refused back to wanted, if there is reason to hope: the person's data
// have changed since, or the refusal was one that passes (NextAttempt is set). A row that may have arrived is left
// alone.
func (s *Service) beginAgain(ctx context.Context, q Question, a Assignment, row store.SSOUser,
	act bool) (store.SSOUser, error) {
	if row.MaybeSent || !q.MayCreate || !act || a.Role == store.Owner {
		return row, nil
	}
	body, err := s.Body(q.Person, a)
	if err != nil {
		return row, nil // the new data would not even be sent: what was said before stands
	}
	passed := !row.NextAttempt.IsZero() && !s.now().Before(row.NextAttempt)
	if body == stored(row) && !passed {
		return row, nil
	}
	want := s.intention(q.Person, a, body)
	if ofAProgram(ctx) {
		want.Priority = store.RetryPriority
	}
	err = s.ledger.WantAgain(ctx, want, s.wantedEvent(q, a, "again"))
	if errors.Is(err, store.ErrConflict) {
		return row, nil // the new data stand at somebody else: the old refusal is still true
	}
	if err != nil {
		return row, fmt.Errorf("store again the intention to create an SSO user in account %s: %w", a.Account, err)
	}
	if row, err = s.ledger.Get(ctx, row.Person, row.Account); err != nil {
		return row, fmt.Errorf("look up SSO user in account %s: %w", a.Account, err)
	}
	return row, nil
}

func (s *Service) wantedEvent(q Question, a Assignment, reason string) store.Event {
	detail := store.DetailOf(map[string]any{"role": a.Role, "mapping": a.Mapping.ID})
	return store.Event{
		At: s.now(), Ref: q.Ref, Actor: q.actor(), Action: "create-user-wanted", Subject: q.Person.ID,
		Account: a.Account, Address: q.Address, Outcome: "ok", Reason: reason, Detail: detail,
	}
}

// answer turns a row of the ledger into a decision.
func (s *Service) answer(ctx context.Context, a Assignment, row store.SSOUser) (Decision, error) {
	d := Decision{Assignment: a, User: row}
	switch row.State {
	case store.Active, store.Assumed:
		// A role that changed since the user was created does not stop a sign-in, since no API could change it there.
		// With one exception: a user that an admin told to be the owner's (no attempt of ours made it) must not serve
		// somebody to whom the mappings give less.
		if row.Role == store.Owner && row.Attempts == 0 && a.Role != store.Owner {
			d.Outcome, d.Reason = Denied, HeldConflict
			d.Detail = fmt.Sprintf("the SSO user is the owner of account %s, but mapping %d gives role %s only; remove that "+
				"mapping or map the person as owner with a lower priority number",
				a.Account, a.Mapping.ID, a.Role)
			return d, nil
		}
		d.Outcome = Granted
	case store.Conflict:
		d.Outcome, d.Reason, d.Detail = Denied, HeldConflict, row.ErrorText
		former, err := s.ledger.MovedFrom(ctx, row.Person)
		if err != nil {
			return Decision{}, fmt.Errorf("look whether the person was moved to a source: %w", err)
		}
		if former != "" {
			d.Reason = MovedConflict
		}
	case store.Refused:
		d.Outcome, d.Reason, d.Detail = Denied, RefusedByPartner, row.ErrorText
	case store.Suspended:
		d.Outcome, d.Reason, d.Detail = Denied, UserSuspended, "an admin has suspended the SSO user"
	case store.Wanted, store.Sending, store.Unknown:
		progress, err := s.progress(ctx, row)
		if err != nil {
			return Decision{}, err
		}
		d.Outcome, d.Progress = Wait, progress
	default:
		return Decision{}, fmt.Errorf("SSO user in account %s is in state %.40q, which this program does not know",
			a.Account, row.State)
	}
	return d, nil
}

// waits tells whether the outcome of a row is still to come.
func waits(row store.SSOUser) bool {
	return row.State == store.Wanted || row.State == store.Sending || row.State == store.Unknown
}

func (s *Service) progress(ctx context.Context, row store.SSOUser) (Progress, error) {
	p := Progress{State: row.State, Since: row.CreatedAt, Attempts: row.Attempts, NextTry: row.NextAttempt,
		Cause: cause(row)}
	if row.State == store.Sending {
		p.NextTry, p.Expected = time.Time{}, time.Second
		return p, nil
	}
	place, err := s.ledger.Queue(ctx, row.Person, row.Account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Progress{}, fmt.Errorf("place in the queue for account %s: %w", row.Account, err)
	}
	p.Place = place
	known, err := s.capacity(ctx)
	if err != nil {
		return Progress{}, err
	}
	rate := s.perSecond
	if known.budget.Rate > 0 {
		rate = known.budget.Rate
	}
	// Rough on purpose: what others in the queue run into is not known. Whole seconds, since people read them.
	p.Expected = time.Duration(math.Ceil(float64(max(place, 1))/rate)) * time.Second
	begins := row.NextAttempt
	switch known.breaker.Cause {
	case "":
	case breakerCredentials:
		p.Cause = CauseCredentials
	default:
		p.Cause = CauseUnreachable
	}
	if known.breaker.Cause != "" && known.breaker.Until.After(begins) {
		begins = known.breaker.Until
		p.NextTry = begins
	}
	if wait := begins.Sub(s.now()); wait > 0 {
		p.Expected += wait.Truncate(time.Second)
	}
	return p, nil
}

// because notes with a row why its attempt has not ended it: the word of the cause for programs, a sentence for
// administrators. The sentence begins with the word, where replicas of the version before read it.
func because(row *store.SSOUser, cause, words string) {
	row.Cause, row.ErrorText = cause, cause+": "+words
}

// cause is the word of the cause, as Progress has it.
func cause(row store.SSOUser) string {
	if row.State == store.Sending {
		return CauseSending
	}
	switch row.Cause {
	case CauseThrottled, CauseQuota, CauseUnreachable, CauseCredentials, CauseUnknown:
		return row.Cause
	case causeData:
		return CauseUnknown
	}
	if row.State == store.Unknown || row.MaybeSent {
		return CauseUnknown
	}
	return CauseQueued
}
