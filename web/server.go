// Package web is what people and their browsers meet: the pages of a sign-in,
// the SAML endpoints, the assets, health, and the one handler that turns errors
// into status, page and log line. It owns every cookie and header. The pages of the
// admin console are package console's; who may come to them is decided here (admit.go).
//
// It decides nothing about a sign-in. Each request makes one call into idp and
// renders the answer; idp never writes a response. Listening, TLS and time-outs
// of the connection belong to whoever mounts Handler.
//
// It must never take scheme or host from a request (they come from PublicURL),
// redirect to another origin, or put a SAML message, a NameID or a query string
// into a log.
package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/netname"
	"ssobridge/provisioning"
	"ssobridge/web/texts"
)

// IdP is what the pages need of the identity provider; *idp.IdP is it.
type IdP interface {
	Starter
	Steps
	Sessions
	Factors
	Logouts
	Orders
	// Metadata is our EntityDescriptor, ready to serve; MetadataFile is the copy to
	// hand over, which has no end.
	Metadata(ctx context.Context) ([]byte, error)
	MetadataFile(ctx context.Context, entityID string, signed bool) ([]byte, error)
	MetadataFor(ctx context.Context, entityID string) ([]byte, error)
}

// Starter begins sign-ins.
type Starter interface {
	SSO(ctx context.Context, r *http.Request, v idp.Visitor) (idp.Answer, error)
	Launch(ctx context.Context, l idp.LaunchRequest, v idp.Visitor) (idp.Answer, error)
	LaunchToken(ctx context.Context, l idp.TokenLaunch, v idp.Visitor) (idp.Answer, error)
	AnswerOpenID(ctx context.Context, r idp.OpenIDReply, v idp.Visitor) (idp.Answer, error)
}

// Steps go on with a pending sign-in.
type Steps interface {
	Resume(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error)
	Login(ctx context.Context, id, login, password string, v idp.Visitor) (idp.Answer, error)
	SignInAt(ctx context.Context, id, way string, v idp.Visitor) (idp.Answer, error)
	ConfirmLaunch(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error)
	ChangePassword(ctx context.Context, id string, c idp.PasswordChange, v idp.Visitor) (idp.Answer, error)
	Choose(ctx context.Context, id, account string, v idp.Visitor) (idp.Answer, error)
	Cancel(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error)
	Progress(ctx context.Context, id string, v idp.Visitor) (pr provisioning.Progress, ready bool, err error)
}

// Sessions tell of and end a person's session.
type Sessions interface {
	LogoutToken(ctx context.Context, token string, v idp.Visitor) (ended int, bad *claims.Fault, err error)
	LogoutOpenID(ctx context.Context, source, token string, v idp.Visitor) (bad *claims.Fault, err error)
	SignedIn(ctx context.Context, v idp.Visitor) (login string, ok bool, err error)
	SessionElsewhere(ctx context.Context, v idp.Visitor) (bool, error)
	Logout(ctx context.Context, v idp.Visitor) (idp.Answer, error)
	OwnSessions(ctx context.Context, v idp.Visitor) ([]idp.OwnSession, error)
	EndOwnSession(ctx context.Context, id string, v idp.Visitor) (here bool, err error)
	EndOtherSessions(ctx context.Context, v idp.Visitor) error
}

// Factors are what people prove themselves by beside the password.
type Factors interface {
	ProveFactor(ctx context.Context, id string, proof idp.FactorProof, v idp.Visitor) (idp.Answer, error)
	EnrolFactor(ctx context.Context, id string, sent idp.FactorEnrolment, v idp.Visitor) (idp.Answer, error)
	OwnFactors(ctx context.Context, v idp.Visitor) (idp.Answer, error)
	ChangeOwnFactors(ctx context.Context, change idp.FactorChange, v idp.Visitor) (idp.Answer, error)
	FactorsOn(ctx context.Context, v idp.Visitor) (bool, error)
}

// Logouts lead a single logout through the services that took part in a session.
type Logouts interface {
	SLO(ctx context.Context, r *http.Request, v idp.Visitor) (idp.Answer, error)
	Services(ctx context.Context, v idp.Visitor) ([]idp.Service, error)
	LogoutEverywhere(ctx context.Context, v idp.Visitor) (idp.Answer, error)
	RunningLogout(ctx context.Context, v idp.Visitor) (id string, err error)
	LogoutPage(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error)
	NextLogout(ctx context.Context, id string, past int, v idp.Visitor) (idp.Answer, error)
	SkipLogout(ctx context.Context, id string, step int, v idp.Visitor) (idp.Answer, error)
	EndLogout(ctx context.Context, id string, v idp.Visitor) (idp.Answer, error)
}

// Options for New.
type Options struct {
	// IdP answers every step of a sign-in. Required.
	IdP IdP
	// PublicURL is scheme and host as people's browsers see them: https, or http on
	// a loopback host. No path. Required.
	PublicURL string
	// TrustedProxies are the peers whose X-Forwarded-For is believed. Default: none.
	TrustedProxies []netip.Prefix
	// Branding is the partner's name, logo, colour and links.
	Branding Branding
	// CSRFKey derives the tokens of our forms from the browser cookie; at least 32
	// bytes, the same on all replicas. Required.
	CSRFKey []byte
	// FormerCSRFKeys are those that tokens of pages still open may have been derived with.
	FormerCSRFKeys [][]byte
	// Ready says whether sign-ins can be served (store and keys). Default: always.
	Ready func(ctx context.Context) error
	// Health says what is wrong with this process, for /healthz: an error where it should be ended, and a note where it
	// goes on all the same. Default: nothing is.
	Health func() (note string, err error)
	// Stopping is closed when the program is about to end: live pages end then. Default nil: never.
	Stopping <-chan struct{}
	// Observe is told of each request served; route is a pattern of ours, never a
	// path that somebody typed. Default: nobody is told.
	Observe func(route string, status int, d time.Duration)
	// Span begins the span of a request; end takes its method and route, and its status. end is nil where nothing is
	// recorded. Default nil: no spans.
	Span func(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error))
	// Logger gets one line for each request. Default: slog.Default().
	Logger *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Random makes browser tokens, nonces and reference ids. Default: crypto/rand.
	Random io.Reader
	// HSTS sends Strict-Transport-Security where PublicURL is https.
	HSTS bool
	// Footprints bounds what refused requests, and all those by nobody known, leave behind in traces and log lines;
	// References makes the references of those that are past the bound. Default nil, both: there is no bound.
	Footprints *idp.Footprints
	References *idp.References
	// HowTo says for the log how an act is done, by command and in the console. Default nil: the log has what to do alone.
	HowTo func(act idp.Act, about string) string
	// ConfirmLaunch asks for one click where another site leads a browser to a launch
	// link. Browsers that do not say where they come from are not asked.
	ConfirmLaunch bool
	// RememberLogin offers to keep the login name in the browser, for its next sign-in. The password is never kept.
	RememberLogin bool
	// Webhook takes Constant Contact's webhooks. Default nil: their path is an unknown one.
	Webhook *Webhook
	// Console is the admin console. Default nil: its paths are unknown ones.
	Console *Console
	// API serves the REST API, all below apiPath. The reference of a request and its address come with the context, as
	// store.OriginOf. Default nil: its paths are unknown ones.
	API http.Handler
	// SelfService serves the page on which people order a client account for themselves. Default false: its paths are
	// unknown ones.
	SelfService bool
	// SessionLife is how long a browser keeps the session cookie, at most as long as
	// idp lets the session live. Default 0: until the browser is closed.
	SessionLife time.Duration
	// SignInLife is how long a browser keeps the cookie of a sign-in that was started, as long as idp takes it. Default 1
	// h.
	SignInLife time.Duration
}

// Limits of what a request may take.
const (
	maxForm        = 64 << 10         // bytes of a form of ours
	maxSAMLBody    = 512 << 10        // bytes of a posted SAML message
	requestTimeout = 30 * time.Second // for everything behind one request: store, directory, waiting for an outcome
	readyTimeout   = 3 * time.Second
)

// Server serves the end-user pages. It is safe for concurrent use and starts
// nothing in the background.
type Server struct {
	idp         IdP
	public      *url.URL
	trusted     []netip.Prefix
	csrfKeys    [][]byte // the first is in use
	site        *site    // of the public URL
	consoleSite *site    // of the console's own address; nil: it has none
	ready       func(context.Context) error
	health      func() (string, error)
	stopping    <-chan struct{}
	observe     func(string, int, time.Duration)
	span        func(context.Context, string) (context.Context, func(of, result string, err error))
	log         *slog.Logger
	now         func() time.Time
	random      io.Reader
	hsts        bool
	life        time.Duration
	startLife   time.Duration // of the cookie of a started sign-in
	confirm     bool          // launches from other sites
	remember    bool          // login names
	hook        *hook
	api         http.Handler // nil: there is none
	selfService bool
	footprints  *idp.Footprints
	refs        *idp.References
	howTo       func(idp.Act, string) string
	languages   []language // the first is the default
	chooser     *texts.Chooser
	pages       *pages // of the default language, for what is the same in all
	assets      Assets
	console     *console // nil: there is none
	product     string   // what people sign in to, as the branding names it
	echo        *echo.Echo
	routed      map[string]bool // patterns of the routes
}

// New checks the options and builds the server. All faults are reported together.
func New(o Options) (*Server, error) {
	public, err := parsePublicURL(o.PublicURL)
	faults := []error{err, o.Branding.check()}
	if o.IdP == nil {
		faults = append(faults, errors.New("web: no identity provider given"))
	}
	if len(o.CSRFKey) < 32 {
		faults = append(faults, fmt.Errorf("web: CSRF key has %d bytes: want 32 or more", len(o.CSRFKey)))
	}
	if o.SignInLife < 0 {
		faults = append(faults, fmt.Errorf("web: sign-in life %s: want 0 or more", o.SignInLife))
	}
	if o.SessionLife < 0 {
		faults = append(faults, fmt.Errorf("web: session life %s: want 0 or more", o.SessionLife))
	}
	hook, err := newHook(o.Webhook)
	faults = append(faults, err)
	if (o.Footprints == nil) != (o.References == nil) {
		faults = append(faults, errors.New("web: Footprints and References belong together, and one is missing"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}

	s := &Server{
		idp:      o.IdP,
		public:   public,
		trusted:  o.TrustedProxies,
		csrfKeys: append([][]byte{o.CSRFKey}, o.FormerCSRFKeys...),
		ready:    o.Ready,
		health:   o.Health,
		stopping: o.Stopping,
		observe:  o.Observe,
		span:     o.Span,
		log:      o.Logger,
		now:      o.Now,
		random:   o.Random,
		hsts:     o.HSTS && public.Scheme == "https",
		life:     o.SessionLife,

		startLife: cmp.Or(o.SignInLife, time.Hour),
		confirm:   o.ConfirmLaunch,
		remember:  o.RememberLogin,
		hook:      hook,
		api:       o.API,

		selfService: o.SelfService,

		footprints: o.Footprints, refs: o.References, howTo: o.HowTo,
	}
	if s.ready == nil {
		s.ready = func(context.Context) error { return nil }
	}
	if s.observe == nil {
		s.observe = func(string, int, time.Duration) {}
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.site, err = newSite(public); err != nil {
		return nil, err
	}
	brand := o.Branding.withDefaults()
	s.product = brand.ProductName
	if s.assets, err = loadAssets(brand); err != nil {
		return nil, err
	}
	if s.languages, s.chooser, err = loadLanguages(brand, s.assets); err != nil {
		return nil, err
	}
	s.pages = s.languages[0].pages
	s.echo = s.routes()
	if o.Console != nil {
		if s.console, err = newConsole(s, *o.Console, brand, s.echo); err != nil {
			return nil, err
		}
		if s.consoleSite, err = newConsoleSite(o.Console.PublicURL, public); err != nil {
			return nil, err
		}
	}
	s.routed = map[string]bool{}
	for _, r := range s.echo.Routes() {
		s.routed[r.Path] = true
	}
	return s, nil
}

// Handler serves all routes of the public address.
func (s *Server) Handler() http.Handler { return s.echo }

// apiPath is where the REST API is served.
const apiPath = "/api/v1/*"

// routes lists every path but those of the admin console, which newConsole adds.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard) // Echo's own logger would bypass ours
	e.HTTPErrorHandler = s.fail
	e.Use(s.serve, s.guard)

	e.GET(metadataPath, s.metadata)
	e.HEAD(metadataPath, s.metadata)
	e.GET(metadataPath+"/*", s.metadata) // for one service provider
	e.HEAD(metadataPath+"/*", s.metadata)
	e.GET("/saml/sso", s.sso)
	e.POST("/saml/sso", s.sso)
	e.GET("/saml/slo", s.slo)
	e.POST("/saml/slo", s.slo)

	// /launch/sp stands before the account: the router prefers fixed words. An
	// account can't be named "sp" then, which no id of Constant Contact's looks like.
	page(e, launchPath, s.launch)
	page(e, "/launch/sp", s.launchProvider)
	page(e, "/launch/:encoded_account_id", s.launchAccount)

	e.POST(launchPath, s.launchToken)
	e.POST(launchLogoutPath, s.logoutToken)
	page(e, "/oidc/:source/callback", s.openIDCallback)
	e.POST("/oidc/:source/logout", s.openIDLogout)

	page(e, "/login", s.resume)
	e.POST("/login", s.login)
	e.POST("/login/start", s.started)
	e.POST("/login/launch", s.confirmLaunch)
	e.POST("/login/password", s.changePassword)
	e.POST("/login/account", s.choose)
	// Enter in the address bar, or a restored tab, asks for the address that a form was sent to.
	page(e, "/login/factor", s.resume)
	page(e, "/login/factor/enrol", s.resume)
	e.POST("/login/factor", s.factor)
	e.POST("/login/factor/enrol", s.enrol)
	e.POST("/login/cancel", s.cancel)
	e.GET("/login/progress", s.progress)

	page(e, "/", s.home)
	e.POST(languageRoute, s.chooseLanguage)
	if s.selfService {
		page(e, orderPath, s.order)
		e.POST(orderPath, s.placeOrder)
		e.GET(orderPath+"/progress", s.orderProgress)
	}
	page(e, "/sessions", s.sessions)
	e.POST("/sessions", s.endSession)
	page(e, "/factors", s.factors)
	e.POST("/factors", s.changeFactors)
	page(e, "/logout", s.askLogout)
	e.POST("/logout", s.logout)
	page(e, "/logout/all", s.logoutStep(s.logoutPage))
	page(e, "/logout/next", s.logoutStep(s.logoutNext))
	page(e, "/logout/back", s.logoutStep(s.logoutBack))
	e.POST("/logout/skip", s.logoutSkip)

	if s.hook != nil {
		e.POST(webhookRoute, s.webhook)
	}
	if s.api != nil {
		e.Any(apiPath, echo.WrapHandler(s.api))
	}

	e.GET("/healthz", s.healthz)
	e.HEAD("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.HEAD("/readyz", s.readyz)
	e.GET("/assets/:name", s.asset)
	e.HEAD("/assets/:name", s.asset)
	return e
}

// page adds a page. Its HEAD answers without doing anything: link checkers and
// mail scanners send HEAD, and must not start or use up a sign-in.
func page(e *echo.Echo, path string, h echo.HandlerFunc) {
	e.GET(path, h)
	e.HEAD(path, func(c echo.Context) error { return c.NoContent(http.StatusOK) })
}

// parsePublicURL reads the address at which browsers reach a site.
func parsePublicURL(text string) (*url.URL, error) {
	u, err := netname.ParsePublicURL(text)
	switch {
	case errors.Is(err, netname.ErrPublicHTTP):
		return nil, fmt.Errorf("web: public URL %q: http is only possible on localhost; use https", text)
	case errors.Is(err, netname.ErrMoreThan):
		return nil, fmt.Errorf("web: public URL %q: want https://host[:port] and nothing more; a path is not possible, "+
			"cookies belong to the whole host", text)
	case err != nil:
		return nil, fmt.Errorf("web: public URL %q: want https://host[:port]", text)
	}
	u.Host = netname.HostPort(u) // browsers leave the scheme's own port out of Host and Origin
	return u, nil
}
