package idp

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

// ConsoleRole is what somebody may do in the admin console. Each role may do what
// those before it may.
type ConsoleRole int

// The roles. NoConsole may not even look.
const (
	NoConsole ConsoleRole = iota
	Viewer                // looks
	Operator              // helps people: retries, ends sessions, ticks work off, applies plans
	Admin                 // changes who gets what: mappings, accounts, service providers, keys
)

func (r ConsoleRole) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "none"
}

// ConsoleGroups are the directory groups whose members, direct or nested, have a
// role in the console: DNs, "" for none. The highest role counts.
type ConsoleGroups struct{ Viewer, Operator, Admin string }

// Empty tells whether nobody has a role.
func (g ConsoleGroups) Empty() bool { return g == ConsoleGroups{} }

// consoleID stands in the place of the service provider in a pending sign-in to the
// console, in the log and in the audit. No entityID holds a blank.
const consoleID = "admin console"

// consoleFresh is how long after a login dangerous actions need no new one.
const consoleFresh = 10 * time.Minute

// Defaults of Options.
const (
	DefaultConsoleIdle = 15 * time.Minute
	DefaultConsoleLife = 8 * time.Hour
)

// consoleGrain is how old the last use of the console must be before a later one is written.
const consoleGrain = time.Minute

// pendingConsole is the console's part of a pending sign-in.
type pendingConsole struct {
	Path  string `json:"path"`            // of ours, to go to afterwards
	Fresh bool   `json:"fresh,omitempty"` // the login must be younger than the sign-in
}

// Entered is no page of its own: the visitor may use the console, and goes to Path.
type Entered struct{ Path string }

func (Entered) page() {}

// Administrator is somebody who uses the console.
type Administrator struct {
	Person  store.PersonID
	Login   string
	Name    string
	Role    ConsoleRole
	Session []byte // token hash of the session; identifies it, and gives no access
	Methods []string
	Fresh   bool      // the login is young enough for dangerous actions
	Vouched bool      // it is, and a second factor that opens the console was given with it
	Used    time.Time // last use of the console that is on record, or the login
}

// consoleRoles maps groups, by their DN as it was written, to the role that they give.
type consoleRoles map[string]ConsoleRole

func newConsoleRoles(g ConsoleGroups) (consoleRoles, error) {
	roles := consoleRoles{}
	for role, dn := range map[ConsoleRole]string{Viewer: g.Viewer, Operator: g.Operator, Admin: g.Admin} {
		if dn == "" {
			continue
		}
		if _, err := directory.NormalDN(dn); err != nil {
			return nil, fmt.Errorf("console: group %.200q of the role %s: %w", dn, role, err)
		}
		roles[dn] = max(roles[dn], role)
	}
	return roles, nil
}

// of is the highest role that the person's groups give.
func (r consoleRoles) of(c *config, e directory.Entry) ConsoleRole {
	role := NoConsole
	for _, g := range e.Groups {
		for written, gives := range r {
			if gives > role && c.groupIn(g, written) {
				role = gives
			}
		}
	}
	return role
}

// ConsoleRole is the role that a person of the directory has in the console.
func (p *IdP) ConsoleRole(ctx context.Context, e directory.Entry) (ConsoleRole, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return NoConsole, err
	}
	return p.roles.of(c, e), nil
}

// EnterConsole lets a visitor into the console whose session and role satisfy it:
// the answer is Entered, to path, which must be one of ours. Anybody else gets the
// page that stands in the way: a login, a refusal. With fresh, a login before this
// moment does not count.
func (p *IdP) EnterConsole(ctx context.Context, path string, fresh bool, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "console")
	defer func() { end(&a, &err) }()
	if v.NoConsole {
		return Answer{Page: p.elsewhere(ctx, consoleID, v)}, nil
	}
	if len(path) > 2048 {
		path = "" // longer than any of ours
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	f := &flow{config: c, sp: p.console, v: v}
	f.in.EntityID = consoleID
	f.in.Address = addressBlock(v.Address)
	f.in.Browser = hash(v.Browser)
	f.in.CreatedAt = p.o.Now()
	f.data = pending{Console: &pendingConsole{Path: path, Fresh: fresh}}
	return p.proceed(ctx, f)
}

// elsewhere refuses a step of a sign-in that is not served where the visitor comes from, with the words for one that is
// not there.
func (p *IdP) elsewhere(ctx context.Context, entityID string, v Visitor) Page {
	p.logRefusal(ctx, v, entityID, Why{Reason: ReasonUnknownSignIn, Act: actSeeSettings,
		Cause: "it is not served where this visitor comes from",
		Fix:   "look at console.allow_from and console.public_url; the commands need no console"})
	return Refusal{Reason: ReasonUnknownSignIn, Status: http.StatusNotFound}
}

// consoleUsed is when somebody last used the console in a session. The login is such a use, and nothing else that is
// done in the session: a browser left open at another service's page leads nobody into the console a quarter of an hour
// later.
func consoleUsed(s store.Session) time.Time {
	if s.ConsoleAt.After(s.AuthenticatedAt) {
		return s.ConsoleAt
	}
	return s.AuthenticatedAt
}

// consoleOver tells whether the console of a session has idled out or reached its end. The session itself may go on.
func (p *IdP) consoleOver(s store.Session) bool {
	now := p.o.Now()
	return now.Sub(consoleUsed(s)) >= p.o.ConsoleIdle || now.Sub(s.AuthenticatedAt) >= p.o.ConsoleLife
}

// UsedConsole notes that an administrator did something in the console that counts as use: opened a page, sent a form.
// It costs a statement once a minute.
func (p *IdP) UsedConsole(ctx context.Context, a Administrator) error {
	if p.o.Now().Sub(a.Used) < consoleGrain {
		return nil
	}
	if err := p.o.Sessions.UsedConsole(ctx, a.Session); err != nil {
		return fmt.Errorf("note a use of the console: %w", err)
	}
	return nil
}

// Administrator tells who uses the console; asking is no use of it. ok is false for everybody whom
// EnterConsole would not let in at once: it has the page that says why. The role is
// that of a directory reading as young as a sign-in's: who leaves the group is out
// within a minute.
func (p *IdP) Administrator(ctx context.Context, v Visitor) (a Administrator, ok bool, err error) {
	if v.NoConsole {
		return a, false, nil
	}
	s, known, err := p.session(ctx, v)
	if err != nil || !known || p.consoleOver(s) {
		return a, false, err
	}
	e, problem, _, err := p.reading(ctx, s, v)
	if err != nil || problem != "" {
		return a, false, err
	}
	if lacks, err := p.lacksFactor(ctx, s); err != nil || lacks {
		return a, false, err
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return a, false, err
	}
	role := p.roles.of(c, e)
	fresh := p.o.Now().Sub(s.AuthenticatedAt) < consoleFresh
	return Administrator{
		Person: s.Person, Login: e.Login, Name: personName(e), Role: role, Session: s.TokenHash, Methods: s.Methods,
		Fresh: fresh, Used: consoleUsed(s),
		// A login begins with the password alone, so that a factor among its methods was given after it.
		Vouched: fresh && secondFactor(s.Methods) && s.Proved.OpensConsole(),
	}, role != NoConsole, nil
}

// lacksFactor tells whether the console asks for a second factor that the session does not
// have.
func (p *IdP) lacksFactor(ctx context.Context, s store.Session) (bool, error) {
	switch policy := p.o.SecondFactor.Console; {
	case policy == mfa.Required:
		return !secondFactor(s.Methods) || !s.Proved.OpensConsole(), nil
	case policy == mfa.Offered && !secondFactor(s.Methods):
		records, err := p.o.SecondFactors.OfPerson(ctx, s.Person)
		if err != nil {
			return false, fmt.Errorf("second factors: %w", err)
		}
		return len(records) > 0, nil
	}
	return false, nil
}
