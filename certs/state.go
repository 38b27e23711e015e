package certs

import "time"

// State of one of our keys (row KEY-01). A key only ever goes forward, except that a step back makes a retiring one
// active again.
type State string

// The states, in their order.
const (
	Next      State = "next"      // made, and known to nobody
	Published State = "published" // in our metadata, and signs nothing yet
	Active    State = "active"    // signs for at least one service provider
	Retiring  State = "retiring"  // signs no more, still in our metadata
	Retired   State = "retired"   // over; it comes never back
)

// Public tells whether a key in this state stands in our metadata. Several do at the same time, so that service
// providers can load a new one while the old one still signs (saml-metadata 2.4.1.1, E68).
func (s State) Public() bool { return s == Published || s == Active || s == Retiring }

// Choice says by which key one service provider is signed for, and to which it will be switched. It is read by the
// clock at each sign-in: no program has to run at the moment of a switch.
type Choice struct {
	Key      string    // id
	Previous string    // the key before, for one step back; "": there is none
	Next     string    // the key from SwitchAt on; "": no switch is planned
	SwitchAt time.Time // of the planned switch, or of the last one; zero: that was not planned
	Window   bool      // sign-ins wait around SwitchAt: the service provider is not known to hold both certificates

	ConfirmedBy string    // who has said that the service provider holds the certificate; "": nobody was asked
	ConfirmedAt time.Time // when that was recorded
	Forced      bool      // chosen without being asked for
	UpdatedAt   time.Time
}

// At is the id of the key that signs at a moment.
func (c Choice) At(now time.Time) string {
	if c.Next != "" && !now.Before(c.SwitchAt) {
		return c.Next
	}
	return c.Key
}

// WaitsUntil tells whether a sign-in has to wait at a moment, and until when. Around a switch at a service provider
// that holds one certificate nobody knows which of the two it holds: what is signed then may be refused, so it is
// signed after.
func (c Choice) WaitsUntil(now time.Time, before, after time.Duration) (until time.Time, waits bool) {
	if !c.Window || c.SwitchAt.IsZero() {
		return time.Time{}, false
	}
	until = c.SwitchAt.Add(after)
	return until, !now.Before(c.SwitchAt.Add(-before)) && now.Before(until)
}
