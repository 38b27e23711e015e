// Package sandbox is a stand-in for Constant Contact: its token server, the partner API with every
// published limit and status, its webhooks, and a SAML service provider with a
// landing page. Tests, the demo and people use it in place of the real one.
//
// Where the documents leave room it takes the strictest reading, so that what passes here has a
// good chance there. It can be told to fail in the ways that a network and a busy service fail, and it
// keeps a ledger of every call. What it does is pretended: it keeps all state in memory, it
// is no example of how to guard real data, and it is never linked into the product.
package sandbox

import (
	"context"
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

// Sandbox is the stand-in. It is an http.Handler, and its methods may be called by several goroutines.
type Sandbox struct {
	o         Options
	acs       string
	landing   *url.URL
	mux       *http.ServeMux
	client    *http.Client
	poster    *http.Client // of webhooks
	decrypter *decrypter   // nil: encryption is off
	server    *http.Server // only after Start
	closing   chan struct{}
	fetch     sync.Mutex // held while metadata are fetched; guards fetchedAt
	fetchedAt time.Time
	close     sync.Once
	drawing   sync.Mutex     // held while Options.Rand is called; may be taken with mu held
	posting   sync.WaitGroup // of webhooks

	mu         sync.Mutex // guards all below
	people     population
	contacts   map[string]map[string]*contact // by account and folded address
	operations []Operation
	hooks      map[int]string // topic to address
	posts      posts
	wake       *time.Timer // for ripen
	wakeAt     time.Time
	tokens     map[string]time.Time // end of each
	api        limiter
	foreign    foreigner
	tally      tally
	asked      limiter // token requests
	faults     []Fault
	shape      Shape
	calls      []*Call
	dropped    int // calls that the ledger no longer holds

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
	logoutFault    LogoutFault
}

// New checks the options and makes a sandbox that serves nothing yet: mount it, or use Start.
func New(o Options) (*Sandbox, error) {
	public, err := url.Parse(o.PublicURL)
	if err != nil || public.Host == "" || (public.Scheme != "http" && public.Scheme != "https") ||
		strings.Trim(public.Path, "/") != "" {
		return nil, fmt.Errorf("public URL %q: want http or https, a host and no path", o.PublicURL)
	}
	o.PublicURL = public.Scheme + "://" + public.Host
	defaults(&o)
	if err := o.check(); err != nil {
		return nil, err
	}
	landing, err := url.Parse(o.LandingURL)
	if err != nil || landing.Host == "" || (landing.Scheme != "http" && landing.Scheme != "https") {
		return nil, fmt.Errorf("landing URL %q: want an http or https URL", o.LandingURL)
	}
	s := &Sandbox{
		o:       o,
		acs:     o.PublicURL + ACSPath,
		landing: landing,
		client:  &http.Client{Timeout: 10 * time.Second, Transport: o.Transport},
		poster: &http.Client{
			Timeout: 10 * time.Second, Transport: o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it is no success
		},
		closing:    make(chan struct{}),
		people:     newPopulation(),
		contacts:   map[string]map[string]*contact{},
		hooks:      map[int]string{},
		tokens:     map[string]time.Time{},
		api:        limiter{perSecond: o.PerSecond, perDay: o.PerDay, window: o.Window},
		foreign:    newForeigner(o.Foreign, o.Now()),
		tally:      tally{byStatus: map[int]int{}, byKey: map[string]int{}},
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
		WriteTimeout:      s.o.MaxHang + s.o.Jitter + 30*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.endHangs)
	return server
}

// endHangs ends what waits. The lock is for webhooks: after this none is begun.
func (s *Sandbox) endHangs() {
	s.close.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.closing)
		if s.wake != nil {
			s.wake.Stop()
		}
	})
}

// Close ends hanging calls and webhooks and, after Start, the server with its connections.
func (s *Sandbox) Close() error {
	s.endHangs()
	s.posting.Wait()
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
