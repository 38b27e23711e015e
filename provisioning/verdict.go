package provisioning

import (
	"cmp"
	"fmt"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

const (
	shownName = 200  // bytes of a name or login in a plan
	shownWhy  = 1000 // and of a reason: a path through groups can be long
)

// leftToSignIn is a verdict beside the kinds of items: a user who is created at the first sign-in, and by no plan.
const leftToSignIn = "at_sign_in"

// verdict is what a plan says of one person in one client account: a kind of item, or "" where nothing is to be done,
// or it is being done. row is theirs in the ledger, if it is there. It follows decide: whom decide would create is a
// creation, or left to the sign-in; whom it would refuse though mapped is blocked.
func (s *Service) verdict(x *mapping.Index, p directory.Entry, h mapping.Hit, row store.SSOUser,
	there bool) (kind, why string) {
	if status, closed := s.shut(x, h.Account); closed {
		if there {
			return "", "" // nothing could be changed in it, by call or by hand
		}
		return store.ItemBlocked, fmt.Sprintf("client account %s is closed at Constant Contact (%s)", h.Account, status)
	}
	if !there {
		return s.missing(p, h)
	}
	switch row.State {
	case store.Wanted, store.Sending, store.Unknown, store.Suspended:
		return "", ""
	case store.Active, store.Assumed:
		switch {
		case toldOwner(row) && h.Role != store.Owner:
			// Not a drift: the owner's user is to stay what it is, and this person must not be signed in as it.
			return store.ItemBlocked, fmt.Sprintf("the SSO user is the owner of account %s, but mapping %d gives role %s only; "+
				"remove that mapping or map the person as owner with a lower priority number", h.Account, h.Mapping.ID, h.Role)
		case row.Role != h.Role:
			return store.ItemDrift, fmt.Sprintf("%s; Constant Contact was told %s", h.Reason(), row.Role)
		}
		return "", ""
	case store.Conflict, store.Refused:
		return store.ItemBlocked, row.ErrorText
	}
	return store.ItemBlocked, fmt.Sprintf("the SSO user is in state %.40q, which this program does not know", row.State)
}

// missing is the verdict on somebody without a row.
func (s *Service) missing(p directory.Entry, h mapping.Hit) (kind, why string) {
	if h.Role == store.Owner {
		return store.ItemBlocked, fmt.Sprintf("mapping %d gives role owner, but no external_id of the owner was told",
			h.Mapping.ID)
	}
	if _, err := s.Body(p, assignmentOf(h)); err != nil {
		return store.ItemBlocked, err.Error()
	}
	if h.Mapping.AtSignIn {
		return leftToSignIn, h.Reason()
	}
	return store.ItemCreate, h.Reason()
}

// assignmentOf is the assignment that a hit gives.
func assignmentOf(h mapping.Hit) Assignment {
	return Assignment{Account: h.Account, Role: h.Role, Mapping: h.Mapping, Group: h.Group}
}

// toldOwner tells a user that an admin told to be the account owner's.
func toldOwner(row store.SSOUser) bool { return row.Role == store.Owner && row.Attempts == 0 }

// usable tells whether a row's user can sign in.
func usable(row store.SSOUser) bool { return row.State == store.Active || row.State == store.Assumed }

// item is a line of a plan about a person whom the walk has seen.
func item(kind string, p directory.Entry, h mapping.Hit, row store.SSOUser, why string) store.PlanItem {
	i := store.PlanItem{
		Kind: kind, Person: store.PersonID(p.ID), Login: plaintext.Short(p.Login, shownName),
		Name:    nameOf(p.FirstName, p.LastName),
		Account: h.Account, Role: h.Role, Mapping: h.Mapping.ID, Why: plaintext.Short(why, shownWhy), State: store.ItemOpen,
	}
	if kind == store.ItemDrift {
		i.Current = row.Role
	}
	return i
}

// leaver is a line about a row whose person has no access any more. Their entry in the directory may be gone, so they
// are shown by what Constant Contact knows of them, which is also how an admin finds them there.
func leaver(row store.SSOUser, why string) store.PlanItem {
	switch {
	case row.Role == store.Owner:
		why += fmt.Sprintf("; this is the account owner's user, external_id %s", row.ExternalID)
	case row.State == store.Unknown || row.State == store.Suspended && row.Before == store.Unknown:
		why += "; its creation had no clear answer, so look whether it is there"
	}
	return store.PlanItem{
		Kind: store.ItemLeaver, Person: row.Person, Login: plaintext.Short(cmp.Or(row.LoginName, row.ExternalID), shownName),
		Name:    nameOf(row.FirstName, row.LastName),
		Account: row.Account, Current: row.Role, Mapping: row.Mapping, Why: plaintext.Short(why, shownWhy),
		State: store.ItemOpen,
	}
}

// nameOf is a person's name as it is shown.
func nameOf(first, last string) string {
	return plaintext.Short(strings.TrimSpace(strings.TrimSpace(first)+" "+strings.TrimSpace(last)), shownName)
}
