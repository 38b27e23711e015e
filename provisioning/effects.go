package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Effect is what a change of mappings means for one person in one client account.
type Effect struct {
	Kind    string // "gains", "loses", "role"
	Person  store.PersonID
	Login   string
	Name    string
	Account store.AccountID
	Before  store.Role // "" for gains
	After   store.Role // "" for loses
	Exists  bool       // there is an SSO user that can sign in: no call is needed
	Why     string     // mapping and group of the assignment that counts
}

// The kinds of Effect.
const (
	EffectGains = "gains"
	EffectLoses = "loses"
	EffectRole  = "role"
)

// Effects sums up.
type Effects struct {
	People    int // looked at
	Gains     int
	Losses    int
	Roles     int
	Creations int // of the gains, those whom a plan would create
	AtSignIn  int // of the gains, those who are created at their first sign-in
	Primary   int // of the gains, those by a primary group, which lists nobody and is often everybody's
	Forecast  Forecast
	// Others are those of the gains for whom no user would be created, now or at a first sign-in, by the reason.
	Others map[WithoutCreation]int
}

// WithoutCreation is why nobody is created for a person who gains access.
type WithoutCreation string

// The reasons, in the order in which they are said.
const (
	NoMail        WithoutCreation = "no_mail"        // the directory has no e-mail address
	NoName        WithoutCreation = "no_name"        // it lacks the first or the last name
	UnusableData  WithoutCreation = "unusable_data"  // Constant Contact would refuse what it has
	ClosedAccount WithoutCreation = "closed_account" // the client account is closed at Constant Contact
	OwnerUntold   WithoutCreation = "owner"          // an owner, or the owner's user, whom the bridge creates for nobody
	RefusedThere  WithoutCreation = "refused"        // Constant Contact refused the user
	BeingCreated  WithoutCreation = "being_created"
	SuspendedUser WithoutCreation = "suspended"
	HasUser       WithoutCreation = "has_user"
)

// WithoutCreations are all of them in order.
func WithoutCreations() []WithoutCreation {
	return []WithoutCreation{NoMail, NoName, UnusableData, ClosedAccount, OwnerUntold, RefusedThere, BeingCreated,
		SuspendedUser, HasUser}
}

// withoutCreation says why verdict creates nobody.
func (s *Service) withoutCreation(x *mapping.Index, p directory.Entry, h mapping.Hit, row store.SSOUser,
	there bool) WithoutCreation {
	if _, closed := s.shut(x, h.Account); closed {
		return ClosedAccount
	}
	if !there {
		return s.missingData(p, h)
	}
	switch row.State {
	case store.Suspended:
		return SuspendedUser
	case store.Wanted, store.Sending, store.Unknown:
		return BeingCreated
	case store.Active, store.Assumed:
		if toldOwner(row) && h.Role != store.Owner {
			return OwnerUntold
		}
		return HasUser
	}
	return RefusedThere
}

func (s *Service) missingData(p directory.Entry, h mapping.Hit) WithoutCreation {
	if h.Role == store.Owner {
		return OwnerUntold
	}
	_, err := s.Body(p, assignmentOf(h))
	fault, _ := errors.AsType[*partnerapi.FieldError](err)
	blank := func(text string) bool { return strings.TrimSpace(text) == "" }
	switch {
	case fault == nil:
		return UnusableData
	case fault.Field == "contact_email" && blank(p.Mail):
		return NoMail
	case fault.Field == "first_name" && blank(p.FirstName), fault.Field == "last_name" && blank(p.LastName):
		return NoName
	}
	return UnusableData
}

// PreviewMappings walks the directory and tells what change would mean for whom; visit may be nil. People who can't
// sign in at present are left out. Nothing is stored.
func (s *Service) PreviewMappings(ctx context.Context, c mapping.Change, visit func(Effect) error) (Effects, error) {
	now, err := s.current(ctx)
	if err != nil {
		return Effects{}, fmt.Errorf("preview a change of mappings: %w", err)
	}
	after := now.With(slices.Concat(kept(now, c), mapping.SwitchedOn(c.Add)))

	sum := Effects{Others: map[WithoutCreation]int{}}
	walked, err := s.walkPeople(ctx, []*mapping.Index{now, after}, nil, nil,
		func(page []visited, rows map[userID]store.SSOUser) error {
			for _, v := range page {
				for _, pair := range changes(v.hits[0], v.hits[1]) {
					row, there := rows[userID{store.PersonID(v.person.ID), pair.account()}]
					e := pair.effect(v, row)
					sum.count(e)
					if e.Kind == EffectGains { // an owner is told, never created: verdict knows
						if pair.after.Group.Primary {
							sum.Primary++
						}
						switch kind, _ := s.verdict(after, v.person, pair.after, row, there); kind {
						case store.ItemCreate:
							sum.Creations++
						case leftToSignIn:
							sum.AtSignIn++
						default:
							sum.Others[s.withoutCreation(after, v.person, pair.after, row, there)]++
						}
					}
					if visit == nil {
						continue
					}
					if err := visit(e); err != nil {
						return err
					}
				}
			}
			return nil
		})
	sum.People = walked.People
	if err != nil {
		return sum, fmt.Errorf("preview a change of mappings: %w", err)
	}
	if sum.Forecast, err = s.Forecast(ctx, sum.Creations); err != nil {
		return sum, fmt.Errorf("preview a change of mappings: %w", err)
	}
	return sum, nil
}

// kept are the mappings that are on now, and stay.
func kept(now *mapping.Index, c mapping.Change) []store.Mapping {
	gone := make(map[int64]bool, len(c.Remove))
	for _, m := range c.Remove {
		gone[m.ID] = true
	}
	rest := make([]store.Mapping, 0, now.Len())
	for m := range now.Mappings() {
		if !gone[m.ID] {
			rest = append(rest, m)
		}
	}
	return rest
}

func (sum *Effects) count(e Effect) {
	switch e.Kind {
	case EffectGains:
		sum.Gains++
	case EffectLoses:
		sum.Losses++
	default:
		sum.Roles++
	}
}

// changed is a person's assignment in one client account before and after; a zero Hit is none.
type changed struct{ before, after mapping.Hit }

func (c changed) account() store.AccountID {
	if c.after.Hit {
		return c.after.Account
	}
	return c.before.Account
}

// changes pairs two lists that are sorted by client account, and leaves out what stays as it is. The same role by
// another mapping is no change.
func changes(before, after []mapping.Hit) (all []changed) {
	for len(before) > 0 || len(after) > 0 {
		var c changed
		order := 0
		switch {
		case len(before) == 0:
			order = 1
		case len(after) == 0:
			order = -1
		default:
			order = strings.Compare(string(before[0].Account), string(after[0].Account))
		}
		if order <= 0 {
			c.before, before = before[0], before[1:]
		}
		if order >= 0 {
			c.after, after = after[0], after[1:]
		}
		if c.before.Hit != c.after.Hit || c.before.Role != c.after.Role {
			all = append(all, c)
		}
	}
	return all
}

func (c changed) effect(v visited, row store.SSOUser) Effect {
	counts := c.after
	e := Effect{
		Kind: EffectRole, Person: store.PersonID(v.person.ID), Login: plaintext.Short(v.person.Login, shownName),
		Name:    nameOf(v.person.FirstName, v.person.LastName),
		Account: c.account(), Before: c.before.Role, After: c.after.Role, Exists: usable(row),
	}
	switch {
	case !c.before.Hit:
		e.Kind = EffectGains
	case !c.after.Hit:
		e.Kind, counts = EffectLoses, c.before
	}
	e.Why = plaintext.Short(counts.Reason(), shownWhy)
	return e
}
