package provisioning

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Why creations are held: the words of store.ProvisioningPause that are begun here.
const (
	holdAdmin = "admin"
	holdLost  = "ledger-lost"
)

// ConfirmUsers makes assumed users active; all of them where keys is nil.
func (s *Service) ConfirmUsers(ctx context.Context, keys []store.UserKey, actor string) (int, error) {
	n, err := s.ledger.Confirm(ctx, keys, store.Event{At: s.now(), Actor: actor, Action: "confirm-user", Outcome: "ok"})
	if err != nil {
		return n, fmt.Errorf("confirm assumed users: %w", err)
	}
	return n, nil
}

// Now is the time by this service's clock.
func (s *Service) Now() time.Time { return s.now() }

// SuspendUser and ResumeUser stop an SSO user and let it go on. Errors are the store's: ErrNotFound, and ErrConflict
// for one that is suspended already, or is not.
func (s *Service) SuspendUser(ctx context.Context, k store.UserKey, actor string) error {
	e := s.userEvent("suspend-user", k, actor)
	e.At = time.Time{} // when it is stored, as the row says too: by that a suspension is known as the row's last change
	if err := s.ledger.Suspend(ctx, k, e); err != nil {
		return fmt.Errorf("suspend the SSO user of person %s in account %s: %w", k.Person, k.Account, err)
	}
	s.waiters.notify(userID{k.Person, k.Account}) // who waits for its creation is told now
	return nil
}

// ResumeUser lets a suspended SSO user go on.
func (s *Service) ResumeUser(ctx context.Context, k store.UserKey, actor string) error {
	if err := s.ledger.Resume(ctx, k, s.userEvent("resume-user", k, actor)); err != nil {
		return fmt.Errorf("resume the SSO user of person %s in account %s: %w", k.Person, k.Account, err)
	}
	s.poke()
	return nil
}

// RetryUsers puts rows of the filter (default: refused, conflict, unknown and waiting ones; assumed ones where the
// filter names that state, and a person or an account: else it is a *InputError) at the head of their class and wakes
// the worker; it returns how many. Its Limit does not count. Rows go as class retry, since nobody waits for what an
// admin tries again; those for whom somebody does stay before them.
func (s *Service) RetryUsers(ctx context.Context, f store.UserFilter, actor string) (int, error) {
	if len(f.States) == 0 {
		f.States = []store.State{store.Refused, store.Conflict, store.Unknown, store.Wanted}
	}
	if slices.Contains(f.States, store.Assumed) && f.Person == "" && f.Account == "" {
		// Each is a call, and after a restore there can be thousands.
		return 0, fmt.Errorf("retry SSO users: %w", &InputError{
			Field: "state", Fault: "assumed says neither who nor where",
			Fix: "name the person or the account",
		})
	}
	f.Limit = 1000
	n := 0
	defer func() {
		if n > 0 {
			s.poke()
		}
	}()
	for {
		rows, err := s.ledger.List(ctx, f)
		if err != nil {
			return n, fmt.Errorf("retry SSO users: %w", err)
		}
		for _, row := range rows {
			class := store.RetryPriority
			if waits(row) {
				class = min(class, row.Priority)
			}
			k := store.UserKey{Person: row.Person, Account: row.Account}
			again := s.ledger.RequeueNow
			if row.State == store.Assumed {
				again = s.ledger.Doubt
			}
			did, err := again(ctx, k, class, s.userEvent("retry-user", k, actor))
			if err != nil {
				return n, fmt.Errorf("retry the SSO user of person %s in account %s: %w", k.Person, k.Account, err)
			}
			if did {
				n++
			}
		}
		if len(rows) < f.Limit {
			return n, nil
		}
		last := rows[len(rows)-1]
		f.After = store.UserKey{Person: last.Person, Account: last.Account}
	}
}

// CreateAgain has the user of a person created again whom an admin misses at Constant Contact: under the same external
// id, with the person's data and role of today. Who would not be let in is not created: the decision says why.
// ErrConflict of the store: the user's state does not allow it.
func (s *Service) CreateAgain(ctx context.Context, p directory.Entry, account store.AccountID,
	e store.Event) (Decision, error) {
	fail := func(err error) (Decision, error) {
		return Decision{}, fmt.Errorf("create the user of person %s in account %s again: %w", p.ID, account, err)
	}
	x, err := s.current(ctx)
	if err != nil {
		return fail(err)
	}
	a, d := s.pick(x, s.assignments(x, p), account)
	switch {
	case d.Outcome != "":
		return d, nil
	case a.Role == store.Owner:
		return denied(a, OwnerUnknown, "the API of Constant Contact creates no owners"), nil
	}
	body, err := s.Body(p, a)
	if err != nil {
		return denied(a, PersonData, err.Error()), nil
	}
	want := s.intention(p, a, body)
	want.Priority = store.RetryPriority
	e.Action, e.Subject, e.Account = "create-again", p.ID, a.Account
	did, err := s.ledger.CreateAgain(ctx, want, e)
	switch {
	case err != nil:
		return fail(err)
	case !did:
		return fail(store.ErrConflict)
	}
	s.poke()
	return Decision{Outcome: Wait, Assignment: a}, nil
}

// ManualTaskDone ticks manual work off. ErrNotFound of the store: no such work is open.
func (s *Service) ManualTaskDone(ctx context.Context, k store.UserKey, kind, actor string) error {
	switch kind {
	case store.ItemLeaver, store.ItemDrift, store.ItemData:
	default:
		return &InputError{Field: "kind", Fault: fmt.Sprintf("%.40q is not known", kind), Fix: "give leaver, drift or data"}
	}
	event := s.userEvent("work-done", k, actor)
	event.Reason = kind
	if err := s.plans.ManualTaskDone(ctx, k, kind, actor, event); err != nil {
		return fmt.Errorf("tick off work of kind %s for person %s in account %s: %w", kind, k.Person, k.Account, err)
	}
	return nil
}

// SetProvisioningPause begins (reason "admin" or "ledger-lost") or, with an empty reason, lifts the hold on creations.
// One that runs goes on with the reason that it has.
func (s *Service) SetProvisioningPause(ctx context.Context, reason, actor string) error {
	event := store.Event{At: s.now(), Actor: actor, Action: "hold", Subject: "creations", Outcome: "ok", Reason: reason}
	switch reason {
	case holdAdmin, holdLost:
	case "":
		event.Action = "release"
	default:
		return &InputError{
			Field: "reason", Fault: fmt.Sprintf("%.40q is not known", reason),
			Fix: "give admin or ledger-lost",
		}
	}
	if err := s.ledger.SetProvisioningPause(ctx, reason, event); err != nil {
		return fmt.Errorf("%s creations: %w", event.Action, err)
	}
	if reason == "" {
		s.poke() // a plan goes on
	}
	return nil
}

func (s *Service) userEvent(action string, k store.UserKey, actor string) store.Event {
	return store.Event{At: s.now(), Actor: actor, Action: action, Subject: string(k.Person),
		Account: k.Account, Outcome: "ok"}
}
