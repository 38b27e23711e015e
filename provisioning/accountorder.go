package provisioning

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// AccountOrder is a client account to be created, whose owner is a person of the directory, bound to SSO.
type AccountOrder struct {
	Owner      string                // login name of the person
	ExternalID string                // of the owner; empty: made from person and login name of the account
	LoginName  string                // at Constant Contact, 6 to 50 characters; empty: made likewise
	Fields     partnerapi.NewAccount // the rest; names and contact_email are filled in from the person where empty
}

const (
	accountKey   = 10 // characters of the key in a made login name: 50 bits
	maxSlug      = 29 // and of what stands before it
	maxRequests  = 1000
	sameOrderMax = 100 // conflicts of one person and organisation
)

// OrderAccount checks an order and returns it as it would be sent. Nothing is stored. Faults are joined *InputErrors;
// an error of the directory about the owner is its own.
//
// The made login name is the same for the same owner and organisation, so that an order given twice is found. Only
// after a conflict is it another one.
func (s *Service) OrderAccount(ctx context.Context, o AccountOrder) (store.AccountRequest, error) {
	r, err := s.orderAccount(ctx, o)
	if err != nil {
		return store.AccountRequest{}, fmt.Errorf("order a client account: %w", err)
	}
	return r, nil
}

func (s *Service) orderAccount(ctx context.Context, o AccountOrder) (r store.AccountRequest, err error) {
	p, err := s.people.Find(ctx, o.Owner)
	if err != nil {
		return r, err
	}
	return s.orderFor(ctx, p, o)
}

// orderFor is OrderAccount for a person who was read.
func (s *Service) orderFor(ctx context.Context, p directory.Entry, o AccountOrder) (r store.AccountRequest, err error) {
	switch {
	case p.ID == "":
		return r, &InputError{
			Field: "owner", Fault: "has no immutable id in the directory",
			Fix: "correct the person's entry, or take another owner",
		}
	case p.Source != "":
		// Owners are told by mappings of a person, and those give people of sources nothing.
		return r, &InputError{
			Field: "owner", Fault: "comes from source " + p.Source + ", by which nobody is an owner",
			Fix: "take somebody of the directory",
		}
	case p.Problem == directory.Disabled || p.Problem == directory.Expired:
		return r, &InputError{
			Field: "owner", Fault: "can't sign in: " + string(p.Problem),
			Fix: "take an owner who can",
		}
	}
	moved, err := s.ledger.MovedTo(ctx, store.PersonID(p.ID))
	if err != nil {
		return r, fmt.Errorf("look whether the owner was moved to a source: %w", err)
	}
	if to := moved[store.PersonID(p.ID)]; to != "" {
		return r, &InputError{Field: "owner", Fault: movedAway(to), Fix: "take somebody of the directory"}
	}
	before, err := s.accounts.AccountRequests(ctx, maxRequests)
	if err != nil {
		return r, fmt.Errorf("list earlier orders: %w", err)
	}
	n := o.Fields
	n.ExternalProvider = s.provider
	n.FirstName, n.LastName = cmp.Or(n.FirstName, orderedName(p.FirstName)), cmp.Or(n.LastName, orderedName(p.LastName))
	n.ContactEmail = cmp.Or(n.ContactEmail, p.Mail)
	if n.LoginName = cmp.Or(o.LoginName, n.LoginName); n.LoginName == "" {
		n.LoginName = freeAccountLogin(p.ID, n.OrganizationName, before)
	}
	if n.ExternalID = cmp.Or(o.ExternalID, n.ExternalID); n.ExternalID == "" {
		n.ExternalID = p.ID + ".owner." + mapping.Key(store.PersonID(p.ID), store.AccountID(n.LoginName))[:accountKey]
	}
	faults := fieldFaults(n.Validate(), "give another value, or correct it where it comes from")
	if err := s.freeOwnerID(ctx, p.ID, n, before); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return r, err
	}
	body, err := json.Marshal(n)
	if err != nil {
		return r, fmt.Errorf("encode the order: %w", err)
	}
	return store.AccountRequest{
		LoginName: n.LoginName, OrganizationName: n.OrganizationName, Body: body, Person: store.PersonID(p.ID),
		ExternalID: n.ExternalID, State: store.RequestWanted, PartnerID: store.TrimTyped(n.PartnerAccountID),
	}, nil
}

// orderedName is a name from the directory as far as it can be sent: names may be left out, but not be shorter than two
// characters.
func orderedName(name string) string {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 2 || n > partnerapi.MaxName {
		return ""
	}
	return name
}

// freeAccountLogin makes a login name for a new account that no conflict has shown to be somebody else's.
func freeAccountLogin(person, organization string, before []store.AccountRequest) string {
	for n := range sameOrderMax {
		login := accountLogin(person, organization, n)
		i := slices.IndexFunc(before, func(r store.AccountRequest) bool { return r.LoginName == login })
		if i < 0 || before[i].State != store.RequestConflict {
			return login
		}
	}
	return accountLogin(person, organization, 0)
}

// accountLogin is letters and digits of the organisation, and a key of person and organisation.
func accountLogin(person, organization string, n int) string {
	organization = strings.ToLower(strings.Join(strings.Fields(organization), " "))
	slug := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, organization)
	slug = cmp.Or(slug[:min(len(slug), maxSlug)], "account")
	of := "new account " + organization
	if n > 0 {
		of = fmt.Sprintf("new account %d %s", n, organization)
	}
	return slug + "-" + mapping.Key(store.PersonID(person), store.AccountID(of))[:accountKey]
}

// freeOwnerID refuses an external_id that stands elsewhere: the ledger would not take it once the account is there.
func (s *Service) freeOwnerID(ctx context.Context, person string, n partnerapi.NewAccount,
	before []store.AccountRequest) error {
	rows, err := s.ledger.Person(ctx, store.PersonID(person))
	if err != nil {
		return fmt.Errorf("list the SSO users of person %s: %w", person, err)
	}
	for _, row := range rows {
		if row.ExternalID == n.ExternalID {
			return &InputError{
				Field: "external_id",
				Fault: fmt.Sprintf("is that of the person's SSO user in client account %s", row.Account),
				Fix:   "leave it out: each user has one of its own",
			}
		}
	}
	for _, r := range before {
		if r.ExternalID == n.ExternalID && r.LoginName != n.LoginName && r.State != store.RequestRefused &&
			r.State != store.RequestConflict {
			return &InputError{
				Field: "external_id", Fault: fmt.Sprintf("was given to the owner of request %d", r.ID),
				Fix: "leave it out: each user has one of its own",
			}
		}
	}
	return nil
}

// fieldFaults are the faults that the client finds in a body, each as a *InputError with this fix.
func fieldFaults(err error, fix string) []error {
	switch e := err.(type) { //nolint:errorlint // walks the tree by itself, to find all of them
	case nil:
		return nil
	case *partnerapi.FieldError:
		return []error{&InputError{Field: e.Field, Fault: e.Fault, Fix: fix}}
	case interface{ Unwrap() []error }:
		var all []error
		for _, part := range e.Unwrap() {
			all = append(all, fieldFaults(part, fix)...)
		}
		return all
	}
	if under := errors.Unwrap(err); under != nil {
		return fieldFaults(under, fix)
	}
	return []error{err}
}
