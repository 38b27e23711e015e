package store

import (
	"errors"
	"fmt"
	"regexp"
)

// AccountID is the encoded_account_id of a client account, such as a07e1lxqqqo0.
type AccountID string

var accountID = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// ParseAccountID accepts 1 to 64 ASCII letters and digits. The form is not
// published; the bound keeps an id from being anything else in a URL or a template.
func ParseAccountID(s string) (AccountID, error) {
	if !accountID.MatchString(s) {
		return "", fmt.Errorf("account id %.70q: want 1 to 64 letters and digits", s)
	}
	return AccountID(s), nil
}

// PersonID is the immutable id of a person in the directory, in its canonical text form.
type PersonID string

// Role is what a person may do in a client account.
type Role string

// The roles. The first two are given by the partner API; an owner exists
// already and is only signed in.
const (
	AccountManager  Role = "account_manager"
	CampaignCreator Role = "campaign_creator"
	Owner           Role = "owner"
)

// ParseRole accepts the three roles by name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case AccountManager, CampaignCreator, Owner:
		return r, nil
	}
	return "", fmt.Errorf("role %.40q: want account_manager, campaign_creator or owner", s)
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: there is no such record, or it has expired.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a record of that name exists already, or has moved on.
	ErrConflict = errors.New("exists already")
	// ErrFinished: another request has used this sign-in up.
	ErrFinished = errors.New("sign-in is finished")
	// ErrLimit: callers without a session keep too many sign-ins waiting.
	ErrLimit = errors.New("too many pending sign-ins")
	// ErrRevoked: what is to be stored was begun before the sessions, a factor or a user of the person were revoked.
	ErrRevoked = errors.New("revoked meanwhile")
	// ErrStale: what it was decided by is too old, or has changed since.
	ErrStale = errors.New("decided by what is out of date")
	// ErrLast: the last factor of somebody of whom one is required.
	ErrLast = errors.New("the last second factor")
	// ErrOlderSchema: the database has the schema of a version before, and was opened to look at it as it is.
	ErrOlderSchema = errors.New("database has an older schema")
	// ErrNewerSchema: a later version of the program has changed the database too far for this one.
	ErrNewerSchema = errors.New("database schema is too new for this version of the program")
	// ErrInUse: a program has the store open, so it can't be replaced.
	ErrInUse = errors.New("store is in use")

	// ErrNoStore says that there is no store where one should be.
	ErrNoStore = errors.New("there is no store")
	// ErrDamaged says that the store's file is there, and is no SQLite database, or one that can't be read any more.
	ErrDamaged = errors.New("the database is damaged")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrBadAccount: a text is no client account's id (see AccountForms).
	ErrBadAccount = errors.New("no client account id")
	// ErrUnlistedAccount: neither the list of client accounts nor a mapping or policy knows an id.
	ErrUnlistedAccount = errors.New("client account is not known")
	// ErrAmbiguousAccount: an id differs from several accounts' in the case of letters, and is none of them.
	ErrAmbiguousAccount = errors.New("client account id is ambiguous")
	// ErrNameIDTaken: a NameID was issued to another person at this service provider.
	ErrNameIDTaken = errors.New("name ID is another person's")
	// ErrTokenUsed: the token of a source has begun a session before.
	ErrTokenUsed = errors.New("token was used before")
	// ErrRequestUsed: the request that a token answers was answered before.
	ErrRequestUsed = errors.New("request was used before")
	// ErrSignedOut: the person has signed out at the source after its token came.
	ErrSignedOut = errors.New("person signed out at the source meanwhile")
	// ErrUnsupported: this kind of database can't do that.
	ErrUnsupported = errors.New("not supported by this database")
)

// flag is how a yes or no is stored.
func flag(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
