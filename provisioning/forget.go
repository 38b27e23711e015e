package provisioning

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Forgotten is what became of somebody who was to be forgotten.
type Forgotten struct {
	store.Forgotten
	// Known: the directory still has the person. With their next sign-in, or the next plan, the bridge knows them again.
	Known bool
}

// ForgetPerson removes all that tells who a person is: see [store.Ledger.ForgetPerson]. deleted is the admin's word
// that the person's users at Constant Contact were deleted by hand, which its API can't do. What stands against it are
// *InputErrors. ErrNotFound of the store: nothing is kept of a person with this id.
func (s *Service) ForgetPerson(ctx context.Context, p store.PersonID, deleted bool,
	actor string) (f Forgotten, err error) {
	who := store.Forget{Person: p, Deleted: deleted, Bare: directory.NormalizeLogin}
	// It helps to find browsers by a login name, and is missed by nobody where the directory is down.
	e, err := s.people.Read(ctx, string(p))
	switch {
	case err != nil:
		s.log.Debug("the directory was not asked about a person who is forgotten", "person", p, "error", err)
	case e.Source != "":
		who.Logins = []string{e.Login, e.Mail} // their next token makes them known again
	case e.DN != "": // see directory.Read: who is gone has no more than an id
		f.Known = true
		who.Logins = []string{e.Login, e.Mail}
	}
	var remains store.Remains
	f.Forgotten, remains, err = s.ledger.ForgetPerson(ctx, who, store.Event{At: s.now(), Actor: actor,
		Action: "forget-person", Outcome: "ok"})
	if err == nil {
		err = remaining(remains)
	}
	if err != nil {
		return Forgotten{}, fmt.Errorf("forget person %s: %w", p, err)
	}
	return f, nil
}

// RemainsError says what stands against forgetting a person. It wraps an *InputError for each.
type RemainsError struct {
	store.Remains
	faults error
}

func (e *RemainsError) Error() string { return e.faults.Error() }

// Unwrap gives the faults.
func (e *RemainsError) Unwrap() error { return e.faults }

// remaining says what stands against forgetting somebody; nil: nothing.
func remaining(r store.Remains) error {
	var faults []error
	add := func(fault, fix string) {
		faults = append(faults, &InputError{Field: "person", Fault: fault, Fix: fix})
	}
	if len(r.Sending) > 0 {
		add("is being created at this moment in "+list(r.Sending), "try again in a minute")
	}
	if len(r.Users) > 0 {
		add("may have a user at Constant Contact in "+list(r.Users), "delete it there by hand, then confirm that")
	}
	if len(r.Requests) > 0 {
		add("is to own a client account that is being ordered: request "+list(r.Requests),
			"let the request come to its end")
	}
	if len(r.Mappings) > 0 {
		add("is named by mapping "+list(r.Mappings), "remove it")
	}
	if len(faults) == 0 {
		return nil
	}
	return &RemainsError{r, errors.Join(faults...)}
}

func list[T any](all []T) string {
	text := make([]string, len(all))
	for i, one := range all {
		text[i] = fmt.Sprint(one)
	}
	return strings.Join(text, ", ")
}
