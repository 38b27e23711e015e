package directory

import (
	"time"
)

// Entry is one reading of a person: what the directory said at ReadAt. It is stored as JSON with the session.
type Entry struct {
	DN        string `json:"dn"`
	ID        string `json:"id"`    // immutable, canonical text (entryUUID; objectGUID as 8-4-4-4-12, lower case)
	Login     string `json:"login"` // value of the login attribute, as stored there
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Mail      string `json:"mail"`
	// Attributes are the configured extra attributes, names in lower case, values as the directory orders them. Values
	// that are not text or longer than 4 KiB are left out; at most 200 values of an attribute are kept.
	Attributes map[string][]string `json:"attributes,omitempty"`
	// direct and nested; none after a Read that found a Problem
	Groups          []Group   `json:"groups,omitempty"`
	PasswordChanged time.Time `json:"password_changed,omitzero"`
	// Problem is the account's state as far as the directory tells it without a bind. A passing lock is not among it
	// (except in what Find returns): outsiders can cause one by wrong passwords, and it must not end a live session.
	Problem Problem   `json:"problem,omitempty"`
	ReadAt  time.Time `json:"read_at"`

	// Source is the name of the source that the person comes from, where they are nobody's of the directory; "": the
	// directory has said it all. Grants are what the source gives them, within what it may give.
	Source string  `json:"source,omitempty"`
	Grants []Grant `json:"grants,omitempty"`
}

// Known tells whether anything is known of the person beside the id: the directory has them, or their source has sent
// them.
func (e Entry) Known() bool { return e.DN != "" || e.Source != "" && e.Login != "" }

// Grant is a client account with a role that a source of people gives.
type Grant struct {
	Account string `json:"account"` // in its recorded form
	Role    string `json:"role"`
	Group   string `json:"group,omitempty"` // of the source, by which it was given; "": by the account's own name
}

// Group is a group that a person is in.
type Group struct {
	ID   string `json:"id"` // immutable id; "" where the directory has none or does not show it
	DN   string `json:"dn"`
	Name string `json:"name"` // cn
	// DNs from the direct group to this one's member; empty when direct, or where the path can't be told
	Via []string `json:"via,omitempty"`
	// the person's primary group: their entry names it, and the group's does not list them
	Primary bool `json:"primary,omitempty"`

	number       string // by what people name it as their primary group; empty in what is given to callers
	distribution bool   // of Active Directory, and not a security group: gives nobody anything
}

// The bounds of what is kept of one attribute.
const (
	maxValues    = 200
	maxValueSize = 4 << 10
)
