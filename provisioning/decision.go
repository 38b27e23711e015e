package provisioning

import (
	"cmp"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Question is what idp asks once for each sign-in.
type Question struct {
	Person    directory.Entry
	Account   store.AccountID // wanted or chosen; "" = any
	MayCreate bool            // false: AllowCreate="false" (saml-core 3.4.1.1)
	Groups    []string        // DNs, for the gate of plain service providers; not looked at here
	Ref       string          // reference id, for audit
	Address   string
	Patience  time.Duration // how long the answer may wait for a running creation (0: just look)
	Actor     string        // who asks for the user, as audit events name them; "": the person themself, who signs in
}

// actor is who asks, for audit events.
func (q Question) actor() string { return cmp.Or(q.Actor, q.Person.ID) }

// raised says why a row that waited goes before others.
func (q Question) raised() string {
	if q.Actor != "" {
		return "asked"
	}
	return "signed-in"
}

// Outcome of a decision.
type Outcome string

// The outcomes.
const (
	Granted Outcome = "granted" // User says who they are at Constant Contact
	Choose  Outcome = "choose"  // several client accounts: Choices
	Wait    Outcome = "wait"    // the SSO user is being created: Progress
	Denied  Outcome = "denied"  // Reason
)

// Reason why a person is denied.
type Reason string

// The reasons.
const (
	NoAssignment   Reason = "no_assignment"    // no mapping hits
	NotThisAccount Reason = "not_this_account" // others do, not the wanted account
	PersonData     Reason = "person_data"      // names or templates do not fit the limits; Detail names the field
	MayNotCreate   Reason = "may_not_create"   // AllowCreate="false" and no SSO user yet
	// the name belongs to somebody else, or the ledger and the mappings disagree; an admin decides
	HeldConflict     Reason = "held_conflict"
	RefusedByPartner Reason = "refused_by_partner" // 400, 403
	OwnerUnknown     Reason = "owner_unknown"      // role owner without external_id
	NotInGroup       Reason = "not_in_group"       // plain SP
	AccountClosed    Reason = "account_closed"     // the client account is cancelled or disabled at Constant Contact
	UserSuspended    Reason = "user_suspended"     // an admin has suspended the SSO user
	MovedAway        Reason = "moved_away"         // the person was moved to a source, and comes by their former id
	MoveLost         Reason = "move_lost"          // a restored backup does not know that the person was moved to a source
	// Constant Contact has a user like that of somebody who was moved to a source: most likely their own
	MovedConflict Reason = "moved_conflict"
)

// Progress of a creation, for the waiting page.
type Progress struct {
	State    store.State
	Since    time.Time
	Place    int           // in the queue, 1 = next; 0 = not in it (being sent, or just done)
	Expected time.Duration // rough; 0 = not known
	Attempts int
	NextTry  time.Time
	Cause    string // one of the Cause constants
}

// Why a creation is not done yet: the fixed words of Progress.Cause.
const (
	CauseQueued      = "queued"          // nothing was sent yet, others are before it
	CauseSending     = "sending"         // the call is on its way
	CauseThrottled   = "throttled"       // Constant Contact asked for a slower pace
	CauseQuota       = "quota"           // the day's calls are used up: goes on after 00:00 UTC
	CauseUnreachable = "unreachable"     // Constant Contact can't be reached or fails for everybody
	CauseCredentials = "credentials"     // Constant Contact did not accept the partner's credentials
	CauseUnknown     = "unknown_outcome" // sent, no clear answer: sent again until there is one
)

// Decision is the gate's answer.
type Decision struct {
	Outcome    Outcome
	Assignment Assignment    // the one decided on; zero for Choose, NoAssignment and NotThisAccount
	User       store.SSOUser // the row of the ledger, as far as there is one
	Choices    []Assignment  // for Choose, sorted by name
	Progress   Progress      // for Wait
	Reason     Reason        // for Denied
	Detail     string        // for log and audit, not for the person
	Nested     string        // likewise: for Denied, what following groups in groups would have given; "" for nothing
}

// Why is Detail in two parts: what happened, in words of ours, and what Constant Contact said about it, which may name
// a person's data; "" for nothing.
func (d Decision) Why() (cause, said string) {
	cause, said, _ = strings.Cut(d.Detail, saidWords)
	if d.Reason != RefusedByPartner && d.User.State != store.Conflict {
		return cause, said
	}
	for _, word := range []string{"conflict: ", "refused: "} { // see because
		if ours, ok := strings.CutPrefix(cause, word); ok {
			return ours, said
		}
	}
	return "", d.Detail // of a version that kept no words of ours
}

// UsedUp says, for a Wait because of CauseQuota, whose count says that the day is used up; "" where that is not known.
func (d Decision) UsedUp() string {
	for _, itself := range []bool{true, false} {
		fault, _ := DayUsedUp(itself)
		if d.Progress.Cause == CauseQuota && strings.HasPrefix(d.User.ErrorText, CauseQuota+": "+fault) {
			return fault
		}
	}
	return ""
}

func denied(a Assignment, reason Reason, detail string) Decision {
	return Decision{Outcome: Denied, Assignment: a, Reason: reason, Detail: detail}
}
