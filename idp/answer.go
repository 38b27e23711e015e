package idp

import (
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
)

// Visitor is who asks, as web knows it.
type Visitor struct {
	Ref     string // reference id of this request: on the page and in the log
	Address string // client address, through trusted proxies only
	Session string // the session cookie's token, "" if none
	Browser string // the browser cookie's token; "" only on a cross-site POST, which carries no Lax cookies
	Own     string // token of the cookie that was made for the sign-in of this request alone (GoOn.Own), "" if none
	// Started is the sealed text of a started sign-in that this browser keeps, by its id; "" for none. nil: it keeps none.
	Started func(id string) string

	// NoConsole says that the admin console is not served where the visitor comes from: no step of a sign-in to it is
	// taken there.
	NoConsole bool
	// ConsoleSite says that the visitor is at the console's own address: nothing but the console and the person's own
	// pages is served there, and where it has another host, its own passkeys.
	ConsoleSite bool
}

// Answer is what web renders.
type Answer struct {
	Page       Page
	NewSession string // set the session cookie to this token
	EndSession bool   // clear the session cookie
}

// Page is one of GoOn, AskPassword, LeaveFor, ChooseAccount, Waiting, Deliver, Refusal,
// Finished and SignedOut, Entered of a sign-in to the console, and of those of a
// single logout: LogoutGoOn, SigningOut, RedirectMessage and PostMessage.
//
//sumtype:decl
type Page interface{ page() }

// GoOn is no page of its own: it leads to the page of this pending sign-in. SignIn is its handle, here and in all
// pages: the id of a stored sign-in (/login?s=ID), or ID.TEXT of one that is only started, which the browser has to
// keep.
type GoOn struct {
	SignIn string
	// Own is the token of a cookie to be set for this sign-in alone, which it is bound to; "" for none.
	Own string
}

// AskPassword shows the login form.
type AskPassword struct {
	SignIn   string
	Provider string // name of the service provider
	Login    string // to fill in: what was typed, or who must prove themselves again
	// Problem is "" the first time. BadCredentials stands also for a locked account
	// and an unknown login, so that the page tells no stranger which logins exist.
	Problem   directory.Problem
	Change    bool   // the password is to be changed: Problem says why, or why the change was refused
	Said      string // by the directory about the new password, "" for nothing
	CanCancel bool   // came from the service provider: "Back to …" answers it by a status
	// Sources are those that can sign the person in, beside the form, or in its place.
	Sources    []WayIn
	NoPassword bool // there is no form
	ByDomain   bool // a login name with a source's mail domain leads there, without a password
}

// ChooseAccount lists the client accounts of the person.
type ChooseAccount struct {
	SignIn, Provider, Person string
	Choices                  []provisioning.Assignment
	CanCancel                bool
}

// Waiting says that the person's SSO user is being created.
type Waiting struct {
	SignIn, Provider string
	Account          provisioning.Assignment
	Progress         provisioning.Progress
	CanCancel        bool
}

// Deliver is the form that submits itself to the service provider. Action is
// always a registered address of that service provider; RelayState is text from
// outside and must be escaped like any.
type Deliver struct {
	Action       string
	SAMLResponse string  // base64
	RelayState   *string // nil: no field
	Provider     string

	// For the log of the request, which tells by them what went to whom.
	EntityID, Response, Assertion string
}

// Refusal is our own page about a sign-in that does not go on.
type Refusal struct {
	SignIn    string // "" when there is none to go back to
	Provider  string
	Source    string        // the OpenID provider that was to sign the person in, as people call it; "": none was
	Reason    string        // one of Reasons: a fixed word, for which the page has a sentence
	Status    int           // HTTP status
	CanCancel bool          // "Back to …" answers the service provider by a status
	Retry     bool          // trying the same again makes sense
	Order     bool          // the person may order a client account for themselves
	SignOut   bool          // it is a sign-out that does not go on, by a message of single logout
	Wait      time.Duration // for how long it stays so, where that is known; else 0
}

// Finished says that this sign-in is used up.
type Finished struct{ Again string } // a path of ours that starts a new one

// SignedOut follows a logout. Services are what came of a single logout, none after
// a local one.
type SignedOut struct {
	Services []Service
	Logout   string // to go back to Provider with by EndLogout; "" when nobody waits for an answer
	Provider string
	// Elsewhere is where the person signs out at the OpenID provider that had signed them in, and its name; "" for none.
	Elsewhere, ElsewhereName string
}

func (GoOn) page()          {}
func (AskPassword) page()   {}
func (ChooseAccount) page() {}
func (Waiting) page()       {}
func (Deliver) page()       {}
func (Refusal) page()       {}
func (Finished) page()      {}
func (SignedOut) page()     {}
