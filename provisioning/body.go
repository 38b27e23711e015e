package provisioning

import (
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Body renders what would be sent for (person, assignment). A *partnerapi.FieldError names the field whose template
// could not be filled in or whose value does not fit the limits (row API-01). Role owner gives one too: the partner API
// makes no owners.
//
// It is the freshly rendered body. What was stored with an intention is sent as it stands, whatever this gives later.
func (s *Service) Body(p directory.Entry, a Assignment) (partnerapi.SSOUser, error) {
	v := mapping.Values{Person: p, Account: a.Account}
	u := partnerapi.SSOUser{
		FirstName:        strings.TrimSpace(p.FirstName),
		LastName:         strings.TrimSpace(p.LastName),
		RoleName:         string(a.Role),
		ExternalProvider: s.provider,
	}
	var err error
	if u.ExternalID, err = s.externalID.Render(v); err != nil {
		return partnerapi.SSOUser{}, &partnerapi.FieldError{Field: "external_id", Fault: err.Error()}
	}
	v.ExternalID = u.ExternalID
	if u.LoginName, err = s.loginName.Render(v); err != nil {
		return partnerapi.SSOUser{}, &partnerapi.FieldError{Field: "login_name", Fault: err.Error()}
	}
	v.LoginName = u.LoginName
	if u.ContactEmail, err = s.contactEmail.Render(v); err != nil {
		return partnerapi.SSOUser{}, &partnerapi.FieldError{Field: "contact_email", Fault: err.Error()}
	}
	if err := u.Validate(); err != nil {
		return partnerapi.SSOUser{}, err
	}
	return u, nil
}

// intention is the row that is stored before the call.
func (s *Service) intention(p directory.Entry, a Assignment, u partnerapi.SSOUser) store.SSOUser {
	now := s.now()
	return store.SSOUser{
		Person: store.PersonID(p.ID), Account: a.Account,
		ExternalID: u.ExternalID, ExternalProvider: u.ExternalProvider,
		LoginName: u.LoginName, ContactEmail: u.ContactEmail,
		FirstName: u.FirstName, LastName: u.LastName,
		Role: a.Role, Mapping: a.Mapping.ID,
		State: store.Wanted, NextAttempt: now, CreatedAt: now, UpdatedAt: now,
	}
}

// stored is the body that a row of the ledger stands for: what was sent before is sent again from here, never rendered
// anew.
func stored(u store.SSOUser) partnerapi.SSOUser {
	return partnerapi.SSOUser{
		FirstName: u.FirstName, LastName: u.LastName, RoleName: string(u.Role), ContactEmail: u.ContactEmail,
		LoginName: u.LoginName, ExternalID: u.ExternalID, ExternalProvider: u.ExternalProvider,
	}
}
