package partnerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
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

// FieldError names a field of an SSOUser and its fault.
type FieldError struct {
	Field string // as on the wire: "login_name"
	Fault string // "longer than 50 characters"
}

// Error is field and fault.
func (e *FieldError) Error() string { return e.Field + ": " + e.Fault }

var (
	// loginName is the alphabet published for the login_name of a new client account. That it holds for
	// SSO users as well is a guess, on the safe side. The least length published there (6) is not
	// asked for here: users/sso publishes none.
	loginName = regexp.MustCompile(`^[A-Za-z0-9_@.+-]+$`)
	// mailAddress is no full grammar of addresses, only what every deliverable one has.
	mailAddress = regexp.MustCompile(`^[^@\s<>,;:"()\[\]\\]+@[^@\s<>,;:"()\[\]\\.]+(\.[^@\s<>,;:"()\[\]\\.]+)+$`)
	// accountID keeps an id from being anything else in a URL's path. The form is not published.
	accountID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

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
		trimmed := strings.TrimSpace(f.value)
		switch {
		case trimmed == "":
			return &FieldError{f.name, "is empty"}
		case !utf8.ValidString(f.value):
			return &FieldError{f.name, "is not valid UTF-8"}
		case strings.ContainsFunc(f.value, forbidden):
			return &FieldError{f.name, "has a control character or another that must not be"}
		case f.exact && trimmed != f.value:
			return &FieldError{f.name, "begins or ends with a space"}
		case utf8.RuneCountInString(f.value) > f.limit:
			return &FieldError{f.name, fmt.Sprintf("longer than %d characters", f.limit)}
		}
	}
	switch {
	case u.RoleName != RoleAccountManager && u.RoleName != RoleCampaignCreator:
		return &FieldError{"role_name", "is neither " + RoleAccountManager + " nor " + RoleCampaignCreator}
	case !mailAddress.MatchString(u.ContactEmail):
		return &FieldError{"contact_email", "is no e-mail address"}
	case !loginName.MatchString(u.LoginName):
		return &FieldError{"login_name", "has characters other than A-Z a-z 0-9 - _ @ . +"}
	}
	return nil
}

// forbidden are the characters that no field may have: controls and line separators, which no name
// needs, and what XML 1.0 2.2 excludes, since the external_id becomes the NameID.
func forbidden(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFFFE' || r == '\uFFFF'
}

// CreateSSOUser creates the user in a client account. Nil means that Constant Contact has said 201.
// Bad data are refused before the call, as BadRequest around a *FieldError. After an error of kind
// Unknown the user may exist; the same body sent again then gives Conflict.
func (c *Client) CreateSSOUser(ctx context.Context, class, account string, u SSOUser) error {
	op := fmt.Sprintf("create SSO user in account %.70s", printable(account, 70))
	if !accountID.MatchString(account) {
		return &Error{Kind: BadRequest, Op: op, Err: &FieldError{"encoded_account_id", "want 1 to 64 letters and digits"}}
	}
	if err := u.Validate(); err != nil {
		return &Error{Kind: BadRequest, Op: op, Err: err}
	}
	body, err := json.Marshal(u)
	if err != nil {
		return &Error{Kind: NotSent, Op: op, Err: err}
	}
	_, err = c.do(ctx, call{
		op:     op,
		class:  class,
		method: http.MethodPost,
		url:    c.base.JoinPath("partner", "accounts", account, "users", "sso"),
		body:   body,
		want:   http.StatusCreated,
	})
	var broken *Error
	if errors.As(err, &broken) && broken.Status == http.StatusCreated {
		return nil // 201 with a body that could not be read: there is nothing to read in it
	}
	return err
}
