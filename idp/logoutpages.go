package idp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// LogoutGoOn is no page of its own: a 303 to the page of this logout (/logout/all?l=ID), or with "" to where the
// browser's own one is found (/logout).
type LogoutGoOn struct{ Logout string }

// SigningOut lists the services that a logout goes through, before the browser is
// sent to the next of them. It goes on by itself after Pause.
type SigningOut struct {
	Logout   string
	Provider string // who asked for the logout, "" for the person
	Services []Service
	Next     string // name of the service that is asked next, or that has not answered yet
	Step     int    // its number, for SkipLogout
	Pause    time.Duration
}

// Service is a service provider with what came of a logout there.
type Service struct {
	Name  string
	State ServiceState
}

// ServiceState says how a logout stands at one service.
type ServiceState string

// The states of a service.
const (
	ToBeAsked    ServiceState = "waiting"     // not asked yet
	Asked        ServiceState = "asked"       // asked, and no answer so far
	LoggedOut    ServiceState = "done"        // it says that the person is signed out
	LogoutFailed ServiceState = "failed"      // it says that it could not
	NoAnswer     ServiceState = "no_answer"   // it did not answer in time
	Skipped      ServiceState = "skipped"     // the person left it out
	Unreachable  ServiceState = "unreachable" // it takes part in no single logout
)

// RedirectMessage sends the browser to a registered address of a service provider, with a
// signed message in the query (HTTP-Redirect binding).
type RedirectMessage struct{ URL string }

// PostMessage is the form that submits itself with a signed message of single
// logout (HTTP-POST binding). Action is always a registered address; RelayState is
// text from outside and must be escaped like any.
type PostMessage struct {
	Action     string
	Parameter  string  // SAMLRequest or SAMLResponse
	Message    string  // base64
	RelayState *string // nil: no field
	Provider   string
}

func (LogoutGoOn) page()      {}
func (SigningOut) page()      {}
func (RedirectMessage) page() {}
func (PostMessage) page()     {}

// Services tells which services the visitor's session has been used for, for the
// page that asks before signing out. It is empty while single logout is off, and
// where none of them takes part in it: there is nothing to choose then.
func (p *IdP) Services(ctx context.Context, v Visitor) ([]Service, error) {
	if !p.o.SingleLogout {
		return nil, nil
	}
	s, known, err := p.liveSession(ctx, v)
	if err != nil || !known {
		return nil, err
	}
	parts, err := p.o.Sessions.Participations(ctx, s.TokenHash)
	if err != nil {
		return nil, fmt.Errorf("read who took part in a session: %w", err)
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	l := &store.Logout{}
	for _, part := range parts {
		l.Participants = append(l.Participants, store.Participant{EntityID: part.EntityID})
	}
	services := c.services(l)
	if !slices.ContainsFunc(services, func(s Service) bool { return s.State != Unreachable }) {
		return nil, nil
	}
	return services, nil
}

// state is how a participant stands. Whether one that was not asked can be asked
// at all is looked up each time.
func (c *config) state(part store.Participant) ServiceState {
	switch part.State {
	case partAsked:
		return Asked
	case partDone:
		return LoggedOut
	case partFailed:
		return LogoutFailed
	case partNoAnswer:
		return NoAnswer
	case partSkipped:
		return Skipped
	}
	if _, ok := c.providers[part.EntityID].logoutEndpoint(saml.BindingRedirect); !ok {
		return Unreachable
	}
	return ToBeAsked
}

// nextPart finds the participant to go on with: one that was asked and has not
// answered, else the first that can be asked, with those of last behind all others.
func (c *config) nextPart(l *store.Logout, last []string) (n int, left bool) {
	for _, want := range []struct {
		state ServiceState
		last  bool
	}{{Asked, false}, {Asked, true}, {ToBeAsked, false}, {ToBeAsked, true}} {
		for i, part := range l.Participants {
			if c.state(part) != want.state || slices.Contains(last, part.EntityID) != want.last {
				continue
			}
			if _, ok := c.providers[part.EntityID].logoutEndpoint(saml.BindingRedirect); ok {
				return i, true
			}
		}
	}
	return 0, false
}

func (c *config) allDone(l *store.Logout) bool {
	return !slices.ContainsFunc(l.Participants, func(part store.Participant) bool { return part.State != partDone })
}

func (c *config) partName(part store.Participant) string {
	if sp := c.providers[part.EntityID]; sp != nil {
		return sp.name()
	}
	return part.EntityID
}

// services are what the person is shown: a service that knows the person by
// several names stands there once for each state.
func (c *config) services(l *store.Logout) []Service {
	var all []Service
	for _, part := range l.Participants {
		s := Service{c.partName(part), c.state(part)}
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// askedBy is the name of the service provider that asked and waits for an answer.
func (c *config) askedBy(l *store.Logout) string {
	sp := c.providers[l.EntityID]
	if _, ok := sp.logoutEndpoint(saml.BindingRedirect); !ok {
		return ""
	}
	return sp.name()
}

func (c *config) signedOut(l *store.Logout) Page {
	page := SignedOut{Services: c.services(l)}
	if l.FinishedAt.IsZero() {
		if page.Provider = c.askedBy(l); page.Provider != "" {
			page.Logout = l.ID
		}
	}
	return page
}
