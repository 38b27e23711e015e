package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ssoUser is the body of POST users/sso. It is not the client's type, nor are the checks the client's:
// a mistake made there must not be made here again.
type ssoUser struct {
	FirstName        *string `json:"first_name"`
	LastName         *string `json:"last_name"`
	RoleName         *string `json:"role_name"`
	ContactEmail     *string `json:"contact_email"`
	LoginName        *string `json:"login_name"`
	ExternalID       *string `json:"external_id"`
	ExternalProvider *string `json:"external_provider"`
}

var (
	loginAlphabet = regexp.MustCompile(`^[-0-9A-Za-z_@.+]*$`)
	mailForm      = regexp.MustCompile(`^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$`)
)

// createUser is POST /partner/accounts/{id}/users/sso.
func (s *Sandbox) createUser(account, contentType string, body []byte) reply {
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != "application/json" {
		return s.refuse(http.StatusUnsupportedMediaType, apiError{"unsupported_media_type", "want Content-Type application/json"})
	}
	u, faults := readUser(body)
	if len(faults) > 0 {
		return s.refuse(http.StatusBadRequest, faults...)
	}
	if u.ExternalProvider != s.o.ExternalProvider {
		return s.refuse(http.StatusBadRequest, apiError{"request.invalid_field", "external_provider is not the name that this partner has"})
	}
	u.Account = account
	u.CreatedAt = s.o.Now()

	s.mu.Lock()
	a, ownersOnly := s.account(account), s.o.OwnersOnly
	known, foreign := a != nil, a != nil && a.OtherPartner
	taken := ""
	if known && !foreign && !ownersOnly {
		if taken = s.taken(u); taken == "" {
			s.users = append(s.users, u)
		}
	}
	s.mu.Unlock()

	switch {
	case ownersOnly:
		return s.refuseAuth(http.StatusForbidden, "forbidden", "SSO for all users is not enabled for this partner")
	case !known:
		return s.refuse(http.StatusNotFound, apiError{"account.not_found", "there is no such account"})
	case foreign:
		return s.refuse(http.StatusBadRequest, apiError{"account.not_yours", "the account belongs to another partner"})
	case taken != "":
		return s.refuse(http.StatusConflict, apiError{"user.conflict", taken})
	}
	return reply{status: http.StatusCreated, outcome: "created " + u.LoginName}
}

// readUser reads and checks a body. All faults are told, as an array of errors invites to.
func readUser(body []byte) (User, []apiError) {
	var in ssoUser
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return User{}, []apiError{{"request.invalid_json", "the body is not the JSON of an SSO user: " + err.Error()}}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return User{}, []apiError{{"request.invalid_json", "the body holds more than one JSON value"}}
	}
	var faults []apiError
	fault := func(field, text string) {
		faults = append(faults, apiError{"request.invalid_field", field + " " + text})
	}
	value := func(field string, v *string, limit int) string {
		switch {
		case v == nil:
			fault(field, "is required")
			return ""
		case strings.TrimSpace(*v) == "":
			fault(field, "must not be empty")
		case utf8.RuneCountInString(*v) > limit:
			fault(field, fmt.Sprintf("must not be longer than %d characters", limit))
		case strings.ContainsFunc(*v, unicode.IsControl):
			fault(field, "must not have control characters")
		}
		return *v
	}
	u := User{
		FirstName:        value("first_name", in.FirstName, 80),
		LastName:         value("last_name", in.LastName, 80),
		RoleName:         value("role_name", in.RoleName, 80),
		ContactEmail:     value("contact_email", in.ContactEmail, 80),
		LoginName:        value("login_name", in.LoginName, 50),
		ExternalID:       value("external_id", in.ExternalID, 255),
		ExternalProvider: value("external_provider", in.ExternalProvider, 80),
	}
	if len(faults) > 0 {
		return User{}, faults
	}
	if u.RoleName != "account_manager" && u.RoleName != "campaign_creator" {
		fault("role_name", "must be account_manager or campaign_creator")
	}
	if !loginAlphabet.MatchString(u.LoginName) {
		fault("login_name", "may have letters, digits and - _ @ . + only")
	}
	if !mailForm.MatchString(u.ContactEmail) {
		fault("contact_email", "is not an e-mail address")
	}
	return u, faults
}

// taken says what of u is in use already, "" for nothing. s.mu is held, or nobody else is there yet.
func (s *Sandbox) taken(u User) string {
	for _, other := range s.users {
		switch {
		case u.ExternalID != "" && u.ExternalID == other.ExternalID && u.ExternalProvider == other.ExternalProvider:
			return "external_id is in use already"
		case u.LoginName != "" && strings.EqualFold(u.LoginName, other.LoginName):
			return "login_name is in use already"
		}
	}
	if s.o.EmailRule == EmailOff || u.ContactEmail == "" {
		return ""
	}
	for _, other := range s.users {
		same := strings.EqualFold(u.ContactEmail, other.ContactEmail)
		if same && (s.o.EmailRule == EmailEverywhere || u.Account == other.Account) {
			return "contact_email is in use already"
		}
	}
	return ""
}
