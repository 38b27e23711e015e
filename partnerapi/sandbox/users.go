package sandbox

import "net/http"

// ssoUser is the body of POST users/sso.
type ssoUser struct {
	FirstName        *string `json:"first_name"`
	LastName         *string `json:"last_name"`
	RoleName         *string `json:"role_name"`
	ContactEmail     *string `json:"contact_email"`
	LoginName        *string `json:"login_name"`
	ExternalID       *string `json:"external_id"`
	ExternalProvider *string `json:"external_provider"`
}

// createUser is POST /partner/accounts/{id}/users/sso.
func (s *Sandbox) createUser(c apiCall) reply {
	u, f := readUser(c.body)
	if len(f.list) == 0 && u.ExternalProvider != s.o.ExternalProvider {
		f.add("external_provider", "is not the name that this partner has")
	}
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	u.Account = c.account
	u.CreatedAt = s.o.Now()

	s.mu.Lock()
	a, faults, status := s.active(c.account)
	ownersOnly, taken := s.o.OwnersOnly, ""
	if a != nil && !ownersOnly {
		if taken = s.people.taken(u, s.o.EmailRule); taken == "" {
			s.people.addUser(u)
			s.tally.created++
		}
	}
	s.mu.Unlock()

	switch {
	case ownersOnly:
		return s.refuseAuth(http.StatusForbidden, "forbidden", "SSO for all users is not enabled for this partner")
	case a == nil:
		return s.refuse(status, faults...)
	case taken != "":
		return s.refuse(http.StatusConflict, apiError{"user.conflict", taken})
	}
	return reply{status: http.StatusCreated, outcome: "created " + u.LoginName}
}

// readUser reads and checks a body.
func readUser(body []byte) (User, faultList) {
	var in ssoUser
	f := readBody(body, &in)
	if len(f.list) > 0 {
		return User{}, f
	}
	u := User{
		FirstName:        f.text("first_name", in.FirstName, true, 1, 80),
		LastName:         f.text("last_name", in.LastName, true, 1, 80),
		RoleName:         f.text("role_name", in.RoleName, true, 1, 80),
		ContactEmail:     f.text("contact_email", in.ContactEmail, true, 1, 80),
		LoginName:        f.text("login_name", in.LoginName, true, 1, 50),
		ExternalID:       f.text("external_id", in.ExternalID, true, 1, 255),
		ExternalProvider: f.text("external_provider", in.ExternalProvider, true, 1, 80),
	}
	if len(f.list) > 0 {
		return User{}, f
	}
	if u.RoleName != "account_manager" && u.RoleName != "campaign_creator" {
		f.add("role_name", "must be account_manager or campaign_creator")
	}
	f.matches("login_name", in.LoginName, loginAlphabet, "may have letters, digits and - _ @ . + only")
	f.matches("contact_email", in.ContactEmail, mailForm, "is not an e-mail address")
	return u, f
}
