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
	"slices"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
	"ssobridge/web/texts"
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
	SelfOrders     admin.SelfOrders
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
	Tokens         admin.Tokens
	Notices        admin.Notices
	Sources        admin.Sources
	APIServed      bool // the REST API is switched on
	Handover       admin.Handover
	SetUp          admin.SetUp
	Settings       []admin.Setting // the effective configuration, secrets masked
	Components     bool            // adds a page of all parts of the design system; for the demo
}

// Console are the pages under /admin/, in one language.
type Console struct {
	Options
	now    func() time.Time
	public *url.URL
	brand  web.Branding
	texts  web.Catalogue
	spoken *spoken // nil: in the language that Go speaks
	areas  map[string]*areaPages
	names  []offered // of all languages
}

// New makes the pages. They are ready once a server has taken them; see [web.Console].
func New(o Options) *Console { return &Console{Options: o} }

// Routes makes the pages ready for a server.
func (k *Console) Routes(s web.Shared) (all []web.ConsoleRoute, err error) {
	k.now, k.public, k.brand = s.Now, s.PublicURL, s.Branding
	var in []*Console // by language
	for _, lang := range languages {
		words, err := loadCatalogue(lang)
		if err != nil {
			return nil, err
		}
		own := *k
		own.texts = words.WithBrand(s.Branding)
		if own.spoken, err = loadSpoken(lang); err != nil {
			return nil, err
		}
		if own.areas, err = loadPages(own.texts, own.spoken, s.Assets, s.Now); err != nil {
			return nil, err
		}
		k.names = append(k.names, offered{lang, own.nameOfLanguage()})
		in = append(in, &own)
	}
	chooser := texts.NewChooser(languages)
	for _, a := range areas() {
		var routes [][]route // of each language, in the same order
		for _, own := range in {
			own.names = k.names
			routes = append(routes, a.routes(own))
		}
		for i, r := range routes[0] {
			r.Handle = func(c *web.ConsoleRequest) error {
				lang := c.Language(chooser)
				return routes[lang][i].handle(&request{ConsoleRequest: c, k: in[lang], area: a.name})
			}
			all = append(all, r.ConsoleRoute)
		}
	}
	return all, nil
}

// offered is a language as the switch names it, in itself.
type offered struct{ Lang, Name string }

func (k *Console) nameOfLanguage() string {
	name, err := k.texts.Word("language.name")
	if err != nil {
		return k.texts.Lang()
	}
	return name
}

// languagePath takes the choice of a language.
const languagePath = "/admin/language"

// chooseLanguage shows the console in another language from now on, in this browser.
func (k *Console) chooseLanguage(r *request) error {
	if !slices.Contains(languages, r.Form["language"]) {
		return r.Missing("language")
	}
	return r.ChooseLanguage(r.Form["language"], r.Form["back"])
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
	group  string // of the menu, with a text menu.GROUP; "": above the others
	icon   string
	routes func(*Console) []route
}

// Groups of the menu.
const (
	accessGroup = "access"
	trustGroup  = "trust"
	hiddenArea  = "hidden" // it has no entry
)

// areas are in the order of the menu. The first route of each is where its entry leads.
func areas() []area {
	return []area{
		{"overview", "", "house", (*Console).overviewRoutes},
		{"trace", "", "log-in", (*Console).traceRoutes},
		{"people", "", "users", (*Console).peopleRoutes},
		{"mappings", accessGroup, "route", (*Console).mappingsRoutes},
		{"accounts", accessGroup, "building-2", (*Console).accountsRoutes},
		{"provisioning", accessGroup, "workflow", (*Console).provisioningRoutes},
		{"providers", trustGroup, "shield-check", (*Console).providersRoutes},
		{"keys", trustGroup, "key-round", (*Console).keysRoutes},
		{"tokens", trustGroup, "lock", (*Console).tokensRoutes},
		{"notices", trustGroup, "bell", (*Console).noticesRoutes},
		{"audit", trustGroup, "scroll-text", (*Console).auditRoutes},
		{"settings", trustGroup, "settings", (*Console).settingsRoutes},
		{"search", hiddenArea, "search", (*Console).searchRoutes},
		{"components", hiddenArea, "flask-conical", (*Console).componentsRoutes},
	}
}

func areaNamed(name string) area {
	all := areas()
	return all[slices.IndexFunc(all, func(a area) bool { return a.name == name })]
}

// menu is what the frame shows of the areas.
func (k *Console) menu(here string) (groups []menuGroup) {
	for _, a := range areas() {
		if a.group == hiddenArea {
			continue
		}
		if len(groups) == 0 || groups[len(groups)-1].Name != a.group {
			groups = append(groups, menuGroup{Name: a.group})
		}
		g := &groups[len(groups)-1]
		g.Entries = append(g.Entries, menuEntry{Name: a.name, Path: a.routes(k)[0].Path, Icon: a.icon, Here: a.name == here})
	}
	return groups
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
