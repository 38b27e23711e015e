package partnerapi

import (
	"context"
	"errors"
	"net/http"
)

// The limits of the published contract, in characters: they stand there as maxLength, which JSON
// Schema counts in characters, not in bytes. "Zoë" is three of them.
const (
	MaxName             = 80 // first_name, last_name
	MaxContactEmail     = 80
	MaxLoginName        = 50
	MaxExternalID       = 255
	MaxExternalProvider = 80
)

// The roles that can be given to an SSO user.
const (
	RoleAccountManager  = "account_manager"
	RoleCampaignCreator = "campaign_creator"
)

// SSOUser is the body of POST /partner/accounts/{id}/users/sso. All fields are required.
type SSOUser struct {
	FirstName        string `json:"first_name"`
	LastName         string `json:"last_name"`
	RoleName         string `json:"role_name"`
	ContactEmail     string `json:"contact_email"`
	LoginName        string `json:"login_name"`
	ExternalID       string `json:"external_id"`
	ExternalProvider string `json:"external_provider"`
}

// Validate checks what Constant Contact would refuse (API-01), before a call of the day is spent
// on it: all seven present, within their limits, role known, no character that must not be. It
// returns the first fault as a *FieldError.
func (u SSOUser) Validate() error {
	fields := []struct {
		name, value string
		limit       int
		exact       bool // compared byte for byte somewhere, so no spaces around it
	}{
		{"first_name", u.FirstName, MaxName, false},
		{"last_name", u.LastName, MaxName, false},
		{"role_name", u.RoleName, MaxName, true},
		{"contact_email", u.ContactEmail, MaxContactEmail, true},
		{"login_name", u.LoginName, MaxLoginName, true},
		{"external_id", u.ExternalID, MaxExternalID, true},
		{"external_provider", u.ExternalProvider, MaxExternalProvider, true},
	}
	for _, f := range fields {
		if fault := textFault(f.value, 1, f.limit, f.exact); fault != "" {
			return &FieldError{f.name, fault}
		}
	}
	switch {
	case u.RoleName != RoleAccountManager && u.RoleName != RoleCampaignCreator:
		return &FieldError{"role_name", "is neither " + RoleAccountManager + " nor " + RoleCampaignCreator}
	case !mailAddress.MatchString(u.ContactEmail):
		return &FieldError{"contact_email", noMailAddress}
	case !loginName.MatchString(u.LoginName):
		return &FieldError{"login_name", noLoginName}
	}
	return nil
}

// CreateSSOUser creates the user in a client account. Nil means that Constant Contact has said 201.
// Bad data are refused before the call, as BadRequest around a *FieldError. After an error of kind
// Unknown the user may exist; the same body sent again then gives Conflict.
func (c *Client) CreateSSOUser(ctx context.Context, class, account string, u SSOUser) error {
	k := call{op: "create SSO user in account", class: class, method: http.MethodPost, want: http.StatusCreated,
		aboutPerson: true}
	if err := c.inAccount(&k, account, "users", "sso"); err != nil {
		return err
	}
	if err := k.setBody(u, u.Validate()); err != nil {
		return err
	}
	_, err := c.do(ctx, k)
	if broken, ok := errors.AsType[*Error](err); ok && broken.Status == http.StatusCreated {
		return nil // 201 with a body that could not be read: there is nothing to read in it
	}
	return err
}
