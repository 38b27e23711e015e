package partnerapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"time"

	"ssobridge/internal/plaintext"
)

// NewAccount is the body of POST /partner/accounts. The owner is bound to SSO by ExternalID and ExternalProvider, so
// that no password is ever made up or sent.
type NewAccount struct {
	ContactEmail        string `json:"contact_email"`
	ContactPhone        string `json:"contact_phone,omitempty"`
	CountryCode         string `json:"country_code"`
	OrganizationName    string `json:"organization_name,omitempty"`
	OrganizationPhone   string `json:"organization_phone,omitempty"`
	StateCode           string `json:"state_code"`
	TimeZoneID          string `json:"time_zone_id,omitempty"`
	Website             string `json:"website,omitempty"`
	LoginName           string `json:"login_name"`
	FirstName           string `json:"first_name,omitempty"`
	LastName            string `json:"last_name,omitempty"`
	PartnerAccountID    string `json:"partner_account_id,omitempty"`
	BillingLocale       string `json:"billing_locale,omitempty"`
	ManagedSiteOwner    bool   `json:"managed_site_owner,omitempty"`
	EnableSingleBilling bool   `json:"enable_single_billing,omitempty"`
	GDPROptOut          bool   `json:"gdpr_opt_out,omitempty"`
	ExternalID          string `json:"external_id"`
	ExternalProvider    string `json:"external_provider"`
}

const (
	minAccountLogin = 6
	minOwnerName    = 2
	minPhone        = 5
	maxPhone        = 25
	maxOrganization = 50
	// Not published; what no real value reaches.
	maxShortText = 80
	maxWebsite   = 255
)

// countryCode is published by its length alone; that it is of letters is what ISO 3166 says.
var countryCode = regexp.MustCompile(`^[A-Za-z]{2,3}$`)

// Validate checks what Constant Contact would refuse by its published contract, before a call of the day is spent. All
// faults are joined, each a *FieldError.
func (n NewAccount) Validate() error {
	var f faults
	f.add("contact_email", mailFault(n.ContactEmail))
	f.optional("contact_phone", n.ContactPhone, minPhone, maxPhone, false)
	if !countryCode.MatchString(n.CountryCode) {
		f.add("country_code", "is not two or three letters")
	}
	f.optional("organization_name", n.OrganizationName, 1, maxOrganization, false)
	f.optional("organization_phone", n.OrganizationPhone, minPhone, maxPhone, false)
	f.add("state_code", textFault(n.StateCode, 1, maxShortText, true))
	f.optional("time_zone_id", n.TimeZoneID, 1, maxShortText, true)
	f.optional("website", n.Website, 1, maxWebsite, true)
	login := textFault(n.LoginName, minAccountLogin, MaxLoginName, true)
	if login == "" && !loginName.MatchString(n.LoginName) {
		login = noLoginName
	}
	f.add("login_name", login)
	f.optional("first_name", n.FirstName, minOwnerName, MaxName, false)
	f.optional("last_name", n.LastName, minOwnerName, MaxName, false)
	f.optional("partner_account_id", n.PartnerAccountID, 1, maxShortText, true)
	f.optional("billing_locale", n.BillingLocale, 1, maxShortText, true)
	f.add("external_id", textFault(n.ExternalID, 1, MaxExternalID, true))
	f.add("external_provider", textFault(n.ExternalProvider, 1, MaxExternalProvider, true))
	return f.err()
}

// CreatedAccount is the answer to a creation.
type CreatedAccount struct {
	EncodedAccountID string
	ProvisionUUID    string
}

// CreateAccount creates a client account. Kind Accepted: Constant Contact took the order and creates the account later
// (503); it is in the list once it is there. After Unknown it may be there or come: look into the list before it is
// sent again.
func (c *Client) CreateAccount(ctx context.Context, class string, n NewAccount) (CreatedAccount, error) {
	k := call{
		op: "create client account", class: class, method: http.MethodPost, url: c.base.JoinPath("partner", "accounts"),
		want: http.StatusCreated, later: http.StatusServiceUnavailable,
	}
	if err := k.setBody(n, n.Validate()); err != nil {
		return CreatedAccount{}, err
	}
	var a struct {
		EncodedAccountID string `json:"encoded_account_id"`
		ProvisionUUID    text   `json:"provision_uuid"`
	}
	if err := c.ask(ctx, k, &a, jsonObject); err != nil {
		return CreatedAccount{}, err
	}
	// The id goes into the store and from there into paths, so one that can't is none.
	if !accountID.MatchString(a.EncodedAccountID) {
		return CreatedAccount{}, k.unreadable(untold("encoded_account_id of 1 to 64 letters and digits"))
	}
	return CreatedAccount{a.EncodedAccountID, plaintext.Line(string(a.ProvisionUUID), maxKey)}, nil
}

// CancelReasons are the reason_ids that Constant Contact publishes. What each means is not published.
var CancelReasons = []int{1, 2, 3, 11, 12, 14, 21, 27, 30}

// Cancellation is when and why an account ends; both may be left out. Whether the date lies ahead is for the caller to
// check.
type Cancellation struct {
	ReasonID      int
	EffectiveDate time.Time
}

// Validate refuses reasons that are not published.
func (o Cancellation) Validate() error {
	var f faults
	if o.ReasonID != 0 && !slices.Contains(CancelReasons, o.ReasonID) {
		f.add("reason_id", "is not one of 1, 2, 3, 11, 12, 14, 21, 27, 30")
	}
	if year := o.EffectiveDate.UTC().Year(); year < 1 || year > 9999 {
		f.add("effective_date", "is of a year that can't be written") // RFC 3339 1: four digits
	}
	return f.err()
}

// cancellation is a Cancellation on the wire.
type cancellation struct {
	ReasonID      int    `json:"reason_id,omitempty"`
	EffectiveDate string `json:"effective_date,omitempty"`
}

// CancelAccount cancels a client account and returns what Constant Contact says of it; what it does not say is zero, as
// is a date that is not written by RFC 3339. Kind NotFound: the account is unknown (404); BadRequest: it may be another
// partner's.
func (c *Client) CancelAccount(ctx context.Context, class, account string, o Cancellation) (Cancellation, error) {
	k := call{op: "cancel client account", class: class, method: http.MethodPut, want: http.StatusOK}
	if err := c.inAccount(&k, account, "status", "cancel"); err != nil {
		return Cancellation{}, err
	}
	out := cancellation{ReasonID: o.ReasonID}
	if !o.EffectiveDate.IsZero() {
		out.EffectiveDate = o.EffectiveDate.UTC().Format(time.RFC3339)
	}
	if err := k.setBody(out, o.Validate()); err != nil {
		return Cancellation{}, err
	}
	var in struct {
		ReasonID      number `json:"reason_id"`
		EffectiveDate text   `json:"effective_date"`
	}
	if err := c.ask(ctx, k, &in, jsonObject); err != nil {
		return Cancellation{}, err
	}
	if in.ReasonID.odd {
		return Cancellation{}, k.unreadable(errors.New("reason_id is no number"))
	}
	done := Cancellation{ReasonID: int(in.ReasonID.whole())}
	// The status says that it is cancelled; a date in another form is no reason to doubt that.
	if date, err := time.Parse(time.RFC3339, string(in.EffectiveDate)); err == nil {
		done.EffectiveDate = date
	}
	return done, nil
}
