package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// Console is what the admin console needs beside the pages of a sign-in. It goes to
// the same functions as the commands, and decides nothing by itself.
type Console struct {
	Store        *store.DB
	Budget       *store.Budget
	Provisioning *provisioning.Service
	Provider     *idp.IdP
	Directory    *directory.Directory
	People       admin.People
	SessionIdle  time.Duration // after which an unused session is over
	Status       admin.Status
	Keys         admin.Keys
	Lockouts     admin.Lockouts
	Expiries     admin.Expiries
	Providers    admin.Providers
	Mappings     admin.Mappings
	EntityID     string   // ours
	Contacts     []string // whom to ask, for the hand-over sheet
	Audit        admin.Audit
	WebhookURL   string                 // where our own webhooks come in, with its secret: never shown; "": off
	Settings     func() []admin.Setting // the effective configuration, secrets masked
	// PublicURL is scheme and host of the console where it has an address of its own, that ConsoleHandler serves: the same
	// host with another port, or another host. "": it is served at the public address.
	PublicURL string
	// AllowFrom are the networks from which the console is served; none: from everywhere.
	AllowFrom []netip.Prefix
}

// ConsoleEntry is what the console needs of the identity provider; *idp.IdP is it.
type ConsoleEntry interface {
	EnterConsole(ctx context.Context, path string, fresh bool, v idp.Visitor) (idp.Answer, error)
	Administrator(ctx context.Context, v idp.Visitor) (a idp.Administrator, ok bool, err error)
	UsedConsole(ctx context.Context, a idp.Administrator) error
}

// console serves the pages under /admin/. Every one of its routes goes through
// admit, which alone decides who may do what.
type console struct {
	*Server
	Console
	entry ConsoleEntry
	texts catalogue
	areas map[string]*areaPages

	streams openStreams
	outside outsideCount
}

// consoleRoute is one route and who may use it.
type consoleRoute struct {
	method, path string
	role         idp.ConsoleRole // the least that is needed; a route without one is refused to all
	fresh        bool            // needs a login of the last minutes: what can't be taken back
	long         bool            // its form may hold a whole file
	stream       bool            // asked for by our script: answers a status in place of a page
	handle       func(*consoleRequest) error
}

// area is one part of the console: an entry of its menu, a handler file and a template.
type area struct {
	name   string // of its template and of its text area.NAME
	routes func(*console) []consoleRoute
}

// consoleAreas are in the order of the menu. The first route of each is where its
// entry leads.
func consoleAreas() []area {
	return []area{
		{"overview", (*console).overviewRoutes},
		{"mappings", (*console).mappingsRoutes},
		{"people", (*console).peopleRoutes},
		{"trace", (*console).traceRoutes},
		{"accounts", (*console).accountsRoutes},
		{"provisioning", (*console).provisioningRoutes},
		{"providers", (*console).providersRoutes},
		{"keys", (*console).keysRoutes},
		{"audit", (*console).auditRoutes},
		{"settings", (*console).settingsRoutes},
	}
}

const consoleHome = "/admin/"

// maxConsoleForm is what a form of the console may have, in bytes: pasted metadata of
// a service provider is the longest of what they hold.
const maxConsoleForm = 512 << 10

// maxConsoleFile is what a form may have that holds a file of users.
const maxConsoleFile = 8 << 20

// newConsole reads the templates. s must be complete but for its routes.
func newConsole(s *Server, o Console, b Branding) (*console, error) {
	k := &console{Server: s, Console: o, texts: consoleEnglish.withBrand(b)}
	entry, ok := s.idp.(ConsoleEntry)
	if !ok {
		return nil, errors.New("web: the identity provider has no entry for the console")
	}
	k.entry = entry
	var err error
	k.areas, err = loadConsole(k.texts, s.assets)
	return k, err
}

// mount adds the console's routes.
func (k *console) mount(e *echo.Echo) {
	home := ""
	for _, a := range consoleAreas() {
		for _, r := range a.routes(k) {
			if home == "" {
				home = r.path
			}
			e.Add(r.method, r.path, k.admit(a.name, r))
		}
	}
	if home != consoleHome {
		page(e, consoleHome, func(c echo.Context) error { return c.Redirect(http.StatusSeeOther, home) })
	}
	e.GET("/admin", func(c echo.Context) error { return c.Redirect(http.StatusSeeOther, consoleHome) })
}

// consoleRequest is one request of somebody who was admitted.
type consoleRequest struct {
	echo.Context
	k     *console
	area  string
	visit *visit
	admin idp.Administrator
	role  idp.ConsoleRole // the least that the route needs
	form  fields          // of a POST: from our own page, and for the first time

	again      string // where the page goes on by itself where no script runs; "": it stays
	againAfter int    // seconds
}

// actor is how changes name the reader: the person, like in every audit event.
func (r *consoleRequest) actor() string { return string(r.admin.Person) }

// ctx bounds everything behind the request.
func (r *consoleRequest) ctx() context.Context { return r.Request().Context() }

// may tells whether the reader has a role, for what a page offers. It protects
// nothing: admit does.
func (r *consoleRequest) may(role idp.ConsoleRole) bool { return r.admin.Role >= role }

// scope is what the reader may see and change: all client accounts, for who has a role at all.
func (r *consoleRequest) scope() admin.Scope { return admin.Everything() }

// event starts the audit event of something that the reader does.
func (r *consoleRequest) event(action, subject string) store.Event {
	return store.Event{
		At: r.k.now(), Ref: r.visit.ref, Actor: string(r.admin.Person), Action: action, Subject: subject,
		Address: r.visit.address, Outcome: "ok",
	}
}

// ConsoleRoute is one route of the console and the least role that may use it.
type ConsoleRoute struct {
	Area, Method, Path string
	Role               idp.ConsoleRole
	Fresh              bool // also needs a login of the last minutes
	Stream             bool // text/event-stream, for as long as the server lets it
}

// ConsoleRoutes lists every route of the console, for tests and documentation.
func ConsoleRoutes() []ConsoleRoute {
	var all []ConsoleRoute
	k := &console{}
	for _, a := range consoleAreas() {
		for _, r := range a.routes(k) {
			all = append(all, ConsoleRoute{Area: a.name, Method: r.method, Path: r.path, Role: r.role, Fresh: r.fresh,
				Stream: r.stream})
		}
	}
	return all
}
