package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// provision is the body of POST /partner/accounts.
type provision struct {
	ContactEmail        *string `json:"contact_email"`
	ContactPhone        *string `json:"contact_phone"`
	CountryCode         *string `json:"country_code"`
	OrganizationName    *string `json:"organization_name"`
	OrganizationPhone   *string `json:"organization_phone"`
	StateCode           *string `json:"state_code"`
	TimeZoneID          *string `json:"time_zone_id"`
	Website             *string `json:"website"`
	LoginName           *string `json:"login_name"`
	Password            *string `json:"password"`
	FirstName           *string `json:"first_name"`
	LastName            *string `json:"last_name"`
	PartnerAccountID    *string `json:"partner_account_id"`
	BillingLocale       *string `json:"billing_locale"`
	ManagedSiteOwner    *bool   `json:"managed_site_owner"`
	EnableSingleBilling *bool   `json:"enable_single_billing"`
	GDPROptOut          *bool   `json:"gdpr_opt_out"`
	ExternalID          *string `json:"external_id"`
	ExternalProvider    *string `json:"external_provider"`
}

var countryForm = regexp.MustCompile(`^[A-Za-z]{2,3}$`)

// Bounds of the texts of a new account that have no published length.
const (
	maxShort   = 80
	maxWebsite = 255
)

// laterAccount was accepted and comes to be later.
type laterAccount struct {
	account Account
	owner   User
	at      time.Time
	lists   int // it isn't there before the list has been read so often, where that comes first
}

// maxLater bounds the accounts that wait.
const maxLater = 1_000

// createAccount is POST /partner/accounts. The owner becomes a user; with an external_id, one who can sign in by SSO.
func (s *Sandbox) createAccount(c apiCall) reply {
	a, owner, f := s.readProvision(c.body)
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	now := s.o.Now()
	a.CreatedAt, owner.CreatedAt = now, now
	hexes := s.random(16)
	a.ProvisionUUID = fmt.Sprintf("%s-%s-4%s-8%s-%s", hexes[:8], hexes[8:12], hexes[13:16], hexes[17:20], hexes[20:])

	s.mu.Lock()
	a.ID = s.newAccountID()
	owner.Account = a.ID
	taken := s.people.taken(owner, s.o.EmailRule)
	fault, later := c.faults[FaultAcceptLater]
	full := len(s.people.later) >= maxLater
	switch {
	case taken != "":
	case !later:
		s.openAccount(a, owner)
	case !full:
		s.people.later = append(s.people.later, laterAccount{a, owner, now.Add(fault.Delay), s.o.LaterLists})
	}
	s.mu.Unlock()

	switch {
	case taken != "":
		return s.refuse(http.StatusConflict, apiError{"account.conflict", taken})
	case later && full:
		return s.refuse(http.StatusInternalServerError, apiError{"internal_error", "too many accounts wait to be created"})
	case later:
		a := s.refuse(http.StatusServiceUnavailable, apiError{"account.accepted", "the account will be created later"})
		a.outcome = "accepted " + owner.LoginName + " for later"
		return a
	}
	return jsonReply(http.StatusCreated, map[string]string{"encoded_account_id": a.ID, "provision_uuid": a.ProvisionUUID},
		"created account "+a.ID)
}

// newAccountID makes an id that looks like the published ones. s.mu is held.
func (s *Sandbox) newAccountID() string {
	for {
		id := "a07e1" + s.random(4)[:7]
		waits := slices.ContainsFunc(s.people.later, func(l laterAccount) bool { return l.account.ID == id })
		if s.people.account(id) == nil && !waits {
			return id
		}
	}
}

// openAccount puts an account and its owner in place. s.mu is held.
func (s *Sandbox) openAccount(a Account, owner User) {
	s.people.addAccount(a)
	s.people.addUser(owner)
	s.tally.created++
}

// listedOnce counts a reading of the list from its beginning. s.mu is held.
func (s *Sandbox) listedOnce() {
	for i := range s.people.later {
		s.people.later[i].lists--
	}
}

// openLater opens the accounts whose time has come: the clock's, or that of the readings of the list. s.mu is held.
func (s *Sandbox) openLater(now time.Time) {
	s.people.later = slices.DeleteFunc(s.people.later, func(l laterAccount) bool {
		due := !now.Before(l.at) || (s.o.LaterLists > 0 && l.lists <= 0)
		if due {
			s.openAccount(l.account, l.owner)
		}
		return due
	})
}

// readProvision reads and checks a body.
func (s *Sandbox) readProvision(body []byte) (Account, User, faultList) {
	var in provision
	f := readBody(body, &in)
	if len(f.list) > 0 {
		return Account{}, User{}, f
	}
	owner := User{
		RoleName:         RoleOwner,
		ContactEmail:     f.text("contact_email", in.ContactEmail, true, 1, 80),
		LoginName:        f.text("login_name", in.LoginName, true, 6, 50),
		FirstName:        f.text("first_name", in.FirstName, false, 2, 80),
		LastName:         f.text("last_name", in.LastName, false, 2, 80),
		ExternalID:       f.text("external_id", in.ExternalID, false, 1, 255),
		ExternalProvider: f.text("external_provider", in.ExternalProvider, false, 1, 80),
	}
	a := Account{
		OrganizationName: f.text("organization_name", in.OrganizationName, false, 1, 50),
		PartnerAccountID: f.text("partner_account_id", in.PartnerAccountID, false, 1, 80),
		SiteOwnerName:    owner.Name(), BillingStatus: statusTrial, PlanType: planTrial,
		Managed: in.ManagedSiteOwner != nil && *in.ManagedSiteOwner,
	}
	f.text("country_code", in.CountryCode, true, 2, 3)
	f.text("state_code", in.StateCode, true, 1, maxShort)
	f.text("contact_phone", in.ContactPhone, false, 5, 25)
	f.text("organization_phone", in.OrganizationPhone, false, 5, 25)
	f.text("time_zone_id", in.TimeZoneID, false, 1, maxShort)
	f.text("website", in.Website, false, 1, maxWebsite)
	f.text("billing_locale", in.BillingLocale, false, 1, maxShort)
	f.text("password", in.Password, false, 8, 80)
	f.matches("country_code", in.CountryCode, countryForm, "must be the two or three letters of a country")
	f.matches("contact_email", in.ContactEmail, mailForm, "is not an e-mail address")
	f.matches("login_name", in.LoginName, loginAlphabet, "may have letters, digits and - _ @ . + only")

	// A password or SSO: that not both go together is the strict reading.
	sso := in.ExternalID != nil || in.ExternalProvider != nil
	switch {
	case sso && in.Password != nil:
		f.add("password", "must not be there beside external_id and external_provider")
	case !sso && in.Password == nil:
		f.add("password", "is required without external_id and external_provider")
	case sso && in.ExternalID == nil:
		f.add("external_id", "is required beside external_provider")
	case sso && in.ExternalProvider == nil:
		f.add("external_provider", "is required beside external_id")
	case sso && *in.ExternalProvider != s.o.ExternalProvider:
		f.add("external_provider", "is not the name that this partner has")
	}
	return a, owner, f
}
