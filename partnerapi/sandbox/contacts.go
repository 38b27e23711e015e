package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"
)

const maxContacts = 10_000 // that the sandbox keeps of an account

// contact is one of a client account's.
type contact struct {
	ID           string `json:"contact_id"`
	Email        string `json:"email_address"`
	Unsubscribed bool   `json:"unsubscribed"`
}

// contactsOf are an account's. s.mu is held.
func (s *Sandbox) contactsOf(account string) map[string]*contact {
	if s.contacts[account] == nil {
		s.contacts[account] = map[string]*contact{}
	}
	return s.contacts[account]
}

// unsubscription is the body of POST …/contacts/unsubscribe.
type unsubscription struct {
	Addresses []string `json:"email_addresses"`
	Source    *string  `json:"update_source"`
	Reason    *string  `json:"opt_out_reason"`
	Delete    *bool    `json:"delete_contacts"`
	Global    *bool    `json:"global_unsubscribe"`
}

// unsubscribeContacts is POST …/contacts/unsubscribe. It answers how many addresses were not unsubscribed before.
func (s *Sandbox) unsubscribeContacts(c apiCall) reply {
	var in unsubscription
	f := readBody(c.body, &in)
	if len(f.list) == 0 {
		if source := f.text("update_source", in.Source, true, 1, 80); source != "" && !slices.Contains([]string{"Account",
			"Contact", "System"}, source) {
			f.add("update_source", "must be Account, Contact or System")
		}
		f.text("opt_out_reason", in.Reason, false, 0, 255)
		if n := len(in.Addresses); n < 1 || n > 500 {
			f.add("email_addresses", "must be 1 to 500 addresses")
		}
		for i, address := range in.Addresses[:min(len(in.Addresses), 500)] {
			if utf8.RuneCountInString(address) > 80 || !mailForm.MatchString(address) {
				f.add(fmt.Sprintf("email_addresses[%d]", i), "is not an e-mail address")
			}
		}
	}
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	s.mu.Lock()
	a, faults, status := s.active(c.account)
	count := 0
	if a != nil {
		count = s.unsubscribeIn(a.ID, in)
	}
	s.mu.Unlock()
	if a == nil {
		return s.refuse(status, faults...)
	}
	return jsonReply(http.StatusOK, map[string]int{"unsubscribed_count": count}, fmt.Sprintf("unsubscribed %d in %s",
		count, c.account))
}

// unsubscribeIn unsubscribes addresses and counts those that were not before. s.mu is held.
func (s *Sandbox) unsubscribeIn(account string, in unsubscription) int {
	list, count := s.contactsOf(account), 0
	for _, address := range in.Addresses {
		key := fold(address)
		c := list[key]
		if c == nil {
			// It may be unsubscribed before it is a contact.
			c = &contact{ID: s.random(16), Email: address}
			if len(list) < maxContacts {
				list[key] = c
			}
		}
		if !c.Unsubscribed {
			c.Unsubscribed = true
			count++
		}
		if in.Delete != nil && *in.Delete {
			delete(list, key)
		}
	}
	return count
}
