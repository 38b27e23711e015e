// Package console is the admin console: its pages, forms, texts and templates, a file or a few for each area.
//
// A page asks web/admin for what an administrator can see and do, and shows what it answers; what a page only reads may
// come from the store. Who may come to a page is decided before: every route is handed to the server with the role that
// it needs (see web.ConsoleRoute), and package web lets nobody past that. Cookies, headers, the log line and the one
// handler of errors are web's too.
//
// It must never decide by itself what somebody may do, show a chain of errors, or offer what no command can do.
package console

import (
	"net/http"
	"net/url"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// Options are what the pages show and act by.
type Options struct {
	Store          *store.DB
	People         admin.People
	Sessions       admin.Sessions
	Status         admin.Status
	Keys           admin.Keys
	Users          admin.Users
	ClientAccounts admin.ClientAccounts
	Webhooks       admin.Webhooks
	Attention      admin.Attention
	Factors        admin.Factors
	OurMetadata    admin.OurMetadata
	NamedGroups    admin.NamedGroups
	Captures       admin.Captures
	Traces         admin.Traces
	Plans          admin.Plans
	Lockouts       admin.Lockouts
	Expiries       admin.Expiries
	Providers      admin.Providers
	Mappings       admin.Mappings
	Audit          admin.Audit
	Handover       admin.Handover
	Settings       []admin.Setting // the effective configuration, secrets masked
}

// Console are the pages under /admin/.
type Console struct {
	Options
	now    func() time.Time
	public *url.URL
	brand  web.Branding
	texts  web.Catalogue
	areas  map[string]*areaPages
}

// New makes the pages. They are ready once a server has taken them; see [web.Console].
func New(o Options) *Console { return &Console{Options: o} }

// Routes makes the pages ready for a server.
func (k *Console) Routes(s web.Shared) (all []web.ConsoleRoute, err error) {
	k.now, k.public, k.brand = s.Now, s.PublicURL, s.Branding
	k.texts = english.WithBrand(s.Branding)
	if k.areas, err = loadPages(k.texts, s.Assets); err != nil {
		return nil, err
	}
	for _, a := range areas() {
		for _, r := range a.routes(k) {
			r.Handle = func(in *web.ConsoleRequest) error {
				return r.handle(&request{ConsoleRequest: in, k: k, area: a.name})
			}
			all = append(all, r.ConsoleRoute)
		}
	}
	return all, nil
}

// Routes lists every route of the console, for tests and documentation. None can be served.
func Routes() []web.ConsoleRoute {
	var all []web.ConsoleRoute
	k := &Console{}
	for _, a := range areas() {
		for _, r := range a.routes(k) {
			all = append(all, r.ConsoleRoute)
		}
	}
	return all
}

// area is one part of the console: an entry of its menu, a file or a few, and a template.
type area struct {
	name   string // of its template and of its text area.NAME
	routes func(*Console) []route
}

// areas are in the order of the menu. The first route of each is where its entry leads.
func areas() []area {
	return []area{
		{"overview", (*Console).overviewRoutes},
		{"mappings", (*Console).mappingsRoutes},
		{"people", (*Console).peopleRoutes},
		{"trace", (*Console).traceRoutes},
		{"accounts", (*Console).accountsRoutes},
		{"provisioning", (*Console).provisioningRoutes},
		{"providers", (*Console).providersRoutes},
		{"keys", (*Console).keysRoutes},
		{"audit", (*Console).auditRoutes},
		{"settings", (*Console).settingsRoutes},
	}
}

// route is a route with what it does.
type route struct {
	web.ConsoleRoute
	handle func(*request) error
}

// get is a page or file, for whoever has the role.
func get(path string, role idp.ConsoleRole, handle func(*request) error) route {
	return route{web.ConsoleRoute{Method: http.MethodGet, Path: path, Role: role}, handle}
}

// post is a form.
func post(path string, role idp.ConsoleRole, handle func(*request) error) route {
	return route{web.ConsoleRoute{Method: http.MethodPost, Path: path, Role: role}, handle}
}

// fresh has the route need a login of the last minutes: what can't be taken back.
func (r route) fresh() route { r.Fresh = true; return r }

// long lets its form hold a whole file.
func (r route) long() route { r.Long = true; return r }

// stream has it answer with a part of a page again and again.
func (r route) stream() route { r.Stream = true; return r }
