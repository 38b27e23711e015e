package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Account is a client account at Constant Contact.
type Account struct {
	ID               string    `json:"encoded_account_id"`
	OrganizationName string    `json:"organization_name"`
	SiteOwnerName    string    `json:"site_owner_name"`
	BillingStatus    string    `json:"billing_status"`                 // default Open
	PlanType         string    `json:"plan_type,omitempty"`            // default TRIAL in a trial, else BRONZE
	BillingDay       int       `json:"billing_day_of_month,omitempty"` // default 1, none in a trial
	SubscriberCount  int64     `json:"subscriber_count"`               // the tier follows from it
	LastLogin        time.Time `json:"last_login_date,omitzero"`
	Managed          bool      `json:"managed"`
	// belongs to another partner: not listed, calls for it are refused
	OtherPartner     bool      `json:"other_partner"`
	CreatedAt        time.Time `json:"created_at,omitzero"` // zero for those that were there from the start
	ProvisionUUID    string    `json:"provision_uuid,omitempty"`
	PartnerAccountID string    `json:"partner_account_id,omitempty"`
	EndsAt           time.Time `json:"ends_at,omitzero"` // when a cancellation takes or took effect
	CancelReason     int       `json:"cancel_reason_id,omitempty"`
}

// RoleOwner marks an account owner among the users; the API gives no such role.
const RoleOwner = "owner"

// User is a Constant Contact user.
type User struct {
	Account          string    `json:"encoded_account_id"` // empty: somewhere else at Constant Contact
	FirstName        string    `json:"first_name"`
	LastName         string    `json:"last_name"`
	RoleName         string    `json:"role_name"`
	ContactEmail     string    `json:"contact_email"`
	LoginName        string    `json:"login_name"`
	ExternalID       string    `json:"external_id"`
	ExternalProvider string    `json:"external_provider"`
	CreatedAt        time.Time `json:"created_at,omitzero"` // zero for those that were there from the start
}

// Name is first and last name.
func (u User) Name() string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }

// Seed is what a sandbox can start with.
type Seed struct {
	Accounts []Account `json:"accounts"`
	Users    []User    `json:"users"`
}

const maxSeed = 64 << 20 // room for 100,000 users

// ReadSeed reads a seed as JSON. Unknown fields are refused.
func ReadSeed(r io.Reader) (Seed, error) {
	d := json.NewDecoder(io.LimitReader(r, maxSeed))
	d.DisallowUnknownFields()
	var seed Seed
	if err := d.Decode(&seed); err != nil {
		return Seed{}, fmt.Errorf("read accounts and users: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Seed{}, errors.New("read accounts and users: more than one JSON value")
	}
	return seed, nil
}

// SampleAccounts are three client accounts for play.
func SampleAccounts() []Account {
	return []Account{
		{ID: "a07e1lxqqqo0", OrganizationName: "Harbour Books", SiteOwnerName: "Mina Okafor", BillingStatus: "Open",
			SubscriberCount: 1840, Managed: true},
		{ID: "a07e1lxqqqp1", OrganizationName: "Juniper Bakery", SiteOwnerName: "Tom Lindqvist", BillingStatus: "Trial",
			SubscriberCount: 12},
		{ID: "a07e1lxqqqr2", OrganizationName: "Northside Cycling Club", SiteOwnerName: "Ana Duarte", BillingStatus: "Open",
			SubscriberCount: 640, Managed: true},
	}
}

// OtherPartnersAccounts are two client accounts of somebody else, with which nothing may be done.
func OtherPartnersAccounts() []Account {
	return []Account{
		{ID: "a07e1zzzzzx8", OrganizationName: "Lakeside Dental", SiteOwnerName: "Per Holm", BillingStatus: "Open",
			OtherPartner: true},
		{ID: "a07e1zzzzzx9", OrganizationName: "Pine Street Gym", SiteOwnerName: "Rae Sutton", BillingStatus: "Trial",
			OtherPartner: true},
	}
}

// SampleUsers are the owners of the sample accounts, tied to the partner's external provider, and
// somebody unknown to the partner who has taken a login name.
func SampleUsers(externalProvider string) []User {
	return []User{
		{Account: "a07e1lxqqqo0", FirstName: "Mina", LastName: "Okafor", RoleName: RoleOwner,
			ContactEmail: "mina@harbour-books.test", LoginName: "mina@harbour-books.test", ExternalID: "owner-harbour",
			ExternalProvider: externalProvider},
		{Account: "a07e1lxqqqp1", FirstName: "Tom", LastName: "Lindqvist", RoleName: RoleOwner,
			ContactEmail: "tom@juniper-bakery.test", LoginName: "tom@juniper-bakery.test", ExternalID: "owner-juniper",
			ExternalProvider: externalProvider},
		{Account: "a07e1lxqqqr2", FirstName: "Ana", LastName: "Duarte", RoleName: RoleOwner,
			ContactEmail: "ana@northside.test", LoginName: "ana@northside.test", ExternalID: "owner-northside",
			ExternalProvider: externalProvider},
		{FirstName: "Old", LastName: "Trial", RoleName: RoleOwner, ContactEmail: "taken@example.test",
			LoginName: "taken@example.test"},
	}
}
