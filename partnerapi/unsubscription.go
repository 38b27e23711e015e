package partnerapi

import (
	"context"
	"fmt"
	"net/http"
)

// MaxUnsubscribed is the most addresses of one call.
const MaxUnsubscribed = 500

const (
	maxOptOutReason = 255
	maxBadAddresses = 10 // that are named; a list of the wrong kind has nothing but
)

// Unsubscription is the body of POST …/contacts/unsubscribe.
type Unsubscription struct {
	EmailAddresses    []string `json:"email_addresses"`
	UpdateSource      string   `json:"update_source"` // Account, Contact or System
	OptOutReason      string   `json:"opt_out_reason,omitempty"`
	DeleteContacts    bool     `json:"delete_contacts,omitempty"`
	GlobalUnsubscribe bool     `json:"global_unsubscribe,omitempty"`
}

// Validate checks the bounds. All faults are joined, each a *FieldError that names an address by its place, from 0 on.
func (u Unsubscription) Validate() error {
	var f faults
	switch n := len(u.EmailAddresses); {
	case n == 0:
		f.add("email_addresses", "is empty")
	case n > MaxUnsubscribed:
		f.add("email_addresses", fmt.Sprintf("more than %d addresses", MaxUnsubscribed))
	}
	for i, address := range u.EmailAddresses[:min(len(u.EmailAddresses), MaxUnsubscribed)] {
		if len(f) > maxBadAddresses {
			break
		}
		f.add(fmt.Sprintf("email_addresses[%d]", i), mailFault(address))
	}
	switch u.UpdateSource {
	case "Account", "Contact", "System":
	default:
		f.add("update_source", "is none of Account, Contact, System")
	}
	f.optional("opt_out_reason", u.OptOutReason, 1, maxOptOutReason, false)
	return f.err()
}

// UnsubscribeContacts unsubscribes addresses in a client account and returns how many.
func (c *Client) UnsubscribeContacts(ctx context.Context, class, account string, u Unsubscription) (int, error) {
	k := call{op: "unsubscribe contacts in client account", class: class, method: http.MethodPost, want: http.StatusOK}
	if err := c.inAccount(&k, account, "contacts", "unsubscribe"); err != nil {
		return 0, err
	}
	if err := k.setBody(u, u.Validate()); err != nil {
		return 0, err
	}
	var a struct {
		Count number `json:"unsubscribed_count"`
	}
	if err := c.ask(ctx, k, &a, jsonObject); err != nil {
		return 0, err
	}
	if !a.Count.counts() {
		return 0, k.unreadable(untold("unsubscribed_count")) // 0 would be a guess
	}
	return int(a.Count.whole()), nil
}
