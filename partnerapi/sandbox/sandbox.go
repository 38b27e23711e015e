// Package sandbox is a stand-in for Constant Contact: its token server, the partner endpoints that
// the bridge uses with every published limit and status, and a SAML service provider with a
// landing page. Tests, the demo and people use it in place of the real one.
//
// Where the documents leave room it takes the strictest reading, so that what passes here has a
// good chance there. It can be told to fail in the ways that a network and a busy service fail, and it
// keeps a ledger of every call. What it does is pretended: it keeps all state in memory, it
// is no example of how to guard real data, and it is never linked into the product.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ssobridge/partnerapi"
)

// Paths of the sandbox, below its public URL.
const (
	TokenPath   = "/partners/oauth2/default/v1/token"
	APIPath     = "/v3"
	ACSPath     = "/sso/saml2"
	StartPath   = "/sso/start"
	LandingPath = "/landing"
	SPMetadata  = "/sso/metadata"
	ControlPath = "/_sandbox"
)

// Credentials for play, used where Options name none. The secret has the characters in it that a
// client which encodes it wrongly trips over.
const (
	DefaultClientID         = "sandbox-partner"
	DefaultClientSecret     = "play+secret/with=all%of-them"
	DefaultAPIKey           = "sandbox-api-key"
	DefaultExternalProvider = "sandbox-partner-sso"
)

// Unlimited switches a limit of Options off.
const Unlimited = -1

// EmailRule says where a contact_email can be used once only; which of them holds at Constant
// Contact is not published.
type EmailRule string

// The e-mail rules.
const (
	EmailOff        EmailRule = "off"         // any number of times
	EmailEverywhere EmailRule = "everywhere"  // once across all of Constant Contact
	EmailPerAccount EmailRule = "per-account" // once in each client account
)

// Profile says how strict the service provider is.
type Profile string

// The profiles. OktaStrict asks what a strict service provider of today is known to ask: a Response signed
// with SHA-256 or better, a persistent NameID, clocks within 60 s. Lenient also takes a Response of which only
// the assertion is signed and an unspecified NameID, and a skew of 180 s.
const (
	OktaStrict Profile = "okta-strict"
	Lenient    Profile = "lenient"
)

// Options are for New. The zero value of each field is its default.
type Options struct {
	PublicURL string // scheme and host under which browsers and the bridge reach it; Start fills it in

	ClientID         string // default DefaultClientID
	ClientSecret     string // default DefaultClientSecret
	APIKey           string // default DefaultAPIKey
	ExternalProvider string // the partner's name at Constant Contact; default DefaultExternalProvider

	Accounts []Account // client accounts; none by default, see SampleAccounts
	Users    []User    // users that exist already: account owners, and people who have a name that the bridge may want

	PerSecond       int           // partner calls in any sliding second; default 4, Unlimited for none
	PerDay          int           // partner calls until 00:00 UTC; default 10000, Unlimited for none
	TokensPerSecond int           // token requests in any sliding second; default 1, Unlimited for none
	TokenLife       time.Duration // default 3600 s
	OwnersOnly      bool          // "SSO for all users" is not enabled: users/sso answers 403
	EmailRule       EmailRule     // default EmailOff
	MaxHang         time.Duration // the longest that a fault leaves a call hanging; default 60 s

	Profile        Profile    // default OktaStrict
	Encryption     Encryption // of assertions; default EncryptionOff
	SignRequests   Signing    // default SigningOff
	EntityID       string     // of the service provider; default PublicURL + "/sso/metadata"
	SingleLogout   bool       // serves single logout, with a key of its own in its metadata
	AnyUser        bool       // a plain service provider: everybody comes in whom the identity provider vouches for
	Audience       string     // default the EntityID
	LandingURL     string     // where the ACS sends the browser; default PublicURL + "/landing"
	IdPMetadataURL string     // fetched when an identity provider is needed that Trust was not told of

	Now       func() time.Time  // default time.Now. The SAML library looks at the real clock as well
	Random    io.Reader         // default crypto/rand
	Transport http.RoundTripper // for IdPMetadataURL
	Logger    *slog.Logger      // default: none
}

// Sandbox is the stand-in. It is an http.Handler, and its methods may be called by several goroutines.
type Sandbox struct {
	o         Options
	acs       string
	landing   *url.URL
	mux       *http.ServeMux
	client    *http.Client
	decrypter *decrypter   // nil: encryption is off
	server    *http.Server // only after Start
	closing   chan struct{}
	fetch     sync.Mutex // held while metadata are fetched; guards fetchedAt
	fetchedAt time.Time
	close     sync.Once

	mu       sync.Mutex // guards all below
	accounts []Account
	users    []User
	tokens   map[string]time.Time // end of each
	api      limiter
	asked    limiter // token requests
	faults   []Fault
	shape    Shape
	calls    []*Call
	dropped  int // calls that the ledger no longer holds

	idps       map[string]*identityProvider
	requests   map[string]*sentRequest
	assertions map[string]time.Time
	sessions   map[string]string // cookie to login id
	logins     []Login
	refusals   []Refusal

	signing        func() (*signingKey, error) // the service provider's own key, made at the first call
	logouts        []Logout
	logoutRequests map[string]time.Time // LogoutRequests that wait for their answer
	silentLogout   bool
}

// New checks the options and makes a sandbox that serves nothing yet: mount it, or use Start.
func New(o Options) (*Sandbox, error) {
	public, err := url.Parse(o.PublicURL)
	if err != nil || public.Host == "" || (public.Scheme != "http" && public.Scheme != "https") || strings.Trim(public.Path, "/") != "" {
		return nil, fmt.Errorf("public URL %q: want http or https, a host and no path", o.PublicURL)
	}
	o.PublicURL = public.Scheme + "://" + public.Host
	defaults(&o)
	switch o.EmailRule {
	case EmailOff, EmailEverywhere, EmailPerAccount:
	default:
		return nil, fmt.Errorf("e-mail rule %q: want off, everywhere or per-account", o.EmailRule)
	}
	if o.Profile != OktaStrict && o.Profile != Lenient {
		return nil, fmt.Errorf("profile %q: want okta-strict or lenient", o.Profile)
	}
	switch o.Encryption {
	case EncryptionOff, EncryptionTaken, EncryptionRequired:
	default:
		return nil, fmt.Errorf("encryption %q: want off, taken or required", o.Encryption)
	}
	switch o.SignRequests {
	case SigningOff, SigningAsked, SigningAlways:
	default:
		return nil, fmt.Errorf("signing of requests %q: want off, asked or always", o.SignRequests)
	}
	landing, err := url.Parse(o.LandingURL)
	if err != nil || landing.Host == "" || (landing.Scheme != "http" && landing.Scheme != "https") {
		return nil, fmt.Errorf("landing URL %q: want an http or https URL", o.LandingURL)
	}
	s := &Sandbox{
		o:          o,
		acs:        o.PublicURL + ACSPath,
		landing:    landing,
		client:     &http.Client{Timeout: 10 * time.Second, Transport: o.Transport},
		closing:    make(chan struct{}),
		tokens:     map[string]time.Time{},
		api:        limiter{perSecond: o.PerSecond, perDay: o.PerDay},
		asked:      limiter{perSecond: o.TokensPerSecond, perDay: Unlimited},
		idps:       map[string]*identityProvider{},
		requests:   map[string]*sentRequest{},
		assertions: map[string]time.Time{},
		sessions:   map[string]string{},

		logoutRequests: map[string]time.Time{},
	}
	s.signing = sync.OnceValues(s.newSigningKey)
	if o.Encryption != EncryptionOff {
		if s.decrypter, err = s.newDecrypter(); err != nil {
			return nil, err
		}
	}
	if err := s.seed(o.Accounts, o.Users); err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

// defaults fills in what was left out.
func defaults(o *Options) {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	number := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	text(&o.ClientID, DefaultClientID)
	text(&o.ClientSecret, DefaultClientSecret)
	text(&o.APIKey, DefaultAPIKey)
	text(&o.ExternalProvider, DefaultExternalProvider)
	text((*string)(&o.EmailRule), string(EmailOff))
	text((*string)(&o.Profile), string(OktaStrict))
	text((*string)(&o.Encryption), string(EncryptionOff))
	text((*string)(&o.SignRequests), string(SigningOff))
	text(&o.EntityID, o.PublicURL+SPMetadata)
	text(&o.Audience, o.EntityID)
	text(&o.LandingURL, o.PublicURL+LandingPath)
	number(&o.PerSecond, 4)
	number(&o.PerDay, 10_000)
	number(&o.TokensPerSecond, 1)
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	if o.MaxHang == 0 {
		o.MaxHang = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// routes lays out the paths.
func (s *Sandbox) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc(TokenPath, s.serveToken)
	s.mux.HandleFunc(APIPath+"/", s.serveAPI)
	s.mux.HandleFunc(ACSPath, s.serveACS)
	s.mux.HandleFunc("GET "+StartPath, s.serveStart)
	s.mux.HandleFunc("GET "+SPMetadata, s.serveMetadata)
	s.mux.HandleFunc("GET "+LandingPath, s.serveLanding)
	s.mux.HandleFunc("POST /sso/logout", s.serveLogout)
	s.mux.HandleFunc("POST /sso/logout/everywhere", s.serveEverywhere)
	s.mux.HandleFunc(SLOPath, s.serveSLO)
	s.mux.HandleFunc("GET "+ControlPath+"/{what}", s.serveRecords)
	s.mux.HandleFunc("POST "+ControlPath+"/faults", s.serveFaultSwitch)
	s.mux.HandleFunc("DELETE "+ControlPath+"/faults", s.serveFaultClear)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	s.mux.HandleFunc("GET /{$}", s.serveIndex)
}

// ServeHTTP serves all parts of the sandbox.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Start listens on addr, such as 127.0.0.1:0, and serves there until Close. Without a PublicURL it is
// http and the address that was given.
func Start(addr string, o Options) (*Sandbox, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	if o.PublicURL == "" {
		o.PublicURL = "http://" + listener.Addr().String()
	}
	s, err := New(o)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.server = s.NewServer()
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.o.Logger.Error("sandbox stopped serving", "error", err)
		}
	}()
	return s, nil
}

// NewServer is an HTTP server with the sandbox and fitting time limits, for those who listen
// themselves. Its Shutdown ends hanging calls.
func (s *Sandbox) NewServer() *http.Server {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      s.o.MaxHang + 30*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.endHangs)
	return server
}

func (s *Sandbox) endHangs() { s.close.Do(func() { close(s.closing) }) }

// Close ends hanging calls and, after Start, the server with its connections.
func (s *Sandbox) Close() error {
	s.endHangs()
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// URL is the public URL, without a slash at its end.
func (s *Sandbox) URL() string { return s.o.PublicURL }

// TokenURL is the address of the token server.
func (s *Sandbox) TokenURL() string { return s.o.PublicURL + TokenPath }

// BaseURL is the address of the partner API, with the version in it.
func (s *Sandbox) BaseURL() string { return s.o.PublicURL + APIPath }

// ACS is the assertion consumer service, without a query.
func (s *Sandbox) ACS() string { return s.acs }

// EntityID is the service provider's.
func (s *Sandbox) EntityID() string { return s.o.EntityID }

// Audience is what an assertion's AudienceRestriction must name.
func (s *Sandbox) Audience() string { return s.o.Audience }

// ExternalProvider is the partner's name at Constant Contact.
func (s *Sandbox) ExternalProvider() string { return s.o.ExternalProvider }

// TokenOptions are those of a client that may use the sandbox.
func (s *Sandbox) TokenOptions() partnerapi.TokenOptions {
	return partnerapi.TokenOptions{URL: s.TokenURL(), ClientID: s.o.ClientID, ClientSecret: s.o.ClientSecret}
}

// random gives n random bytes as hex digits.
func (s *Sandbox) random(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.o.Random, b); err != nil {
		panic(fmt.Sprintf("sandbox: no randomness: %v", err)) // crypto/rand never fails; a test's reader may
	}
	return hex.EncodeToString(b)
}

// pause waits for d; it ends early when the client gives up or the sandbox is closed.
func (s *Sandbox) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
	}
}
