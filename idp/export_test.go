package idp

import (
	"context"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Build makes and signs a Response for a launch of the default ACS, without
// the store. It is what the benchmark measures beside plain signing.
func (p *IdP) Build(ctx context.Context, sp *Compiled, s store.Session, e directory.Entry,
	d provisioning.Decision) (string, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return "", err
	}
	by, err := c.active()
	if err != nil {
		return "", err
	}
	r, err := sp.release(e, d, "")
	if err != nil {
		return "", err
	}
	f := &flow{config: c, sp: sp}
	o, err := f.responseParams()
	if err != nil {
		return "", err
	}
	out, err := p.success(ctx, by, o, s, r)
	return out.body, err
}

// Compiled is a service provider's record as the flow uses it.
type Compiled = serviceProvider

// Compile prepares a record.
func Compile(sp store.ServiceProvider) *Compiled { return newServiceProvider(sp) }

// Addresses shows the form action, Destination, Recipient and Audience of a
// Response to acs, and the RelayState's form field.
func (sp *serviceProvider) Addresses(acs string, relayState *string, launch bool) (action, destination, recipient,
	audience string, field *string) {
	a := sp.responseEndpoints(acs, relayState, launch)
	return a.action, a.destination, a.recipient, a.audience, a.field
}

// MayReceive is the check that every form action passes last.
func (sp *serviceProvider) MayReceive(action string) error { return sp.mayReceive(action) }

// MaxXML is the bound of an inflated request.
const MaxXML = saml.MaxXML

// Slots are slots, for tests.
type Slots struct{ s *slots }

// NewSlots makes n slots.
func NewSlots(n int) Slots { return Slots{newSlots(n)} }

// Take takes one.
func (s Slots) Take(ctx context.Context, from string, patience time.Duration) (func(), bool, error) {
	return s.s.take(ctx, from, patience)
}

// Waiting is how many wait.
func (s Slots) Waiting() int {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	return s.s.total
}

// MaxWaitingBlock is how many of one address may wait.
const MaxWaitingBlock = maxWaitingBlock

// Codes are the reasons that a reference can carry, and how many numbers there are for them.
func Codes() (all []string, numbers int) { return codes, maxCodes }

// NewSessionIndex is the SessionIndex of an assertion.
var NewSessionIndex = newSessionIndex
