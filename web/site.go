package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ssobridge/idp/netname"
)

// site is an address at which the bridge is reached: the public one, and the console's own where it has one.
type site struct {
	url   *url.URL
	cross *http.CrossOriginProtection
	// console is the console's own address. Nothing is served there but the console, what a sign-in to it needs, and
	// the person's own pages; and the console is served nowhere else.
	console bool
	// apart is the host of the console's own address where that is not the public one, "" else. Browsers keep cookies
	// and passkeys apart by host.
	apart string
}

func newSite(at *url.URL) (*site, error) {
	s := &site{url: at, cross: http.NewCrossOriginProtection()}
	// Behind a proxy that rewrites Host, Go can't see by itself which origin is ours.
	if err := s.cross.AddTrustedOrigin(at.Scheme + "://" + at.Host); err != nil {
		return nil, fmt.Errorf("web: trust the origin %s: %w", at, err)
	}
	return s, nil
}

// newConsoleSite is that of Console.PublicURL; nil where the console is served at the public address.
func newConsoleSite(address string, public *url.URL) (*site, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // without an address of its own is how it works then
	}
	at, err := parsePublicURL(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("web: the console's own address: %w", err)
	case at.Host == public.Host:
		return nil, fmt.Errorf("web: the console's own address %s is the public one", at)
	case at.Scheme != public.Scheme:
		// Both listeners have the same certificate, or the same proxy before them.
		return nil, fmt.Errorf("web: the console's own address %s has another scheme than the public one", at)
	}
	s, err := newSite(at)
	if err != nil {
		return nil, err
	}
	s.console = true
	if at.Hostname() != public.Hostname() {
		s.apart = at.Host
	}
	return s, nil
}

// browserAt is a browser's token as the identity provider knows it at this address. Where the console has a host of
// its own, sessions and sign-ins of the one are none at the other, even for somebody who carries the cookies over:
// they belong to their browser.
func (at *site) browserAt(token string) string {
	if token == "" || at.apart == "" {
		return token
	}
	return token + "@" + at.apart
}

// host compares with the address's host; the scheme's own port may be written out.
func (at *site) host(host string) bool {
	return strings.EqualFold(host, at.url.Host) ||
		at.url.Port() == "" && strings.EqualFold(host, at.url.Host+":"+netname.DefaultPort(at.url.Scheme))
}

// start is where somebody begins anew.
func (at *site) start() string {
	if at.console {
		return ConsoleHome
	}
	return "/launch"
}

// ownOfConsole are the routes beside those below /admin that are served at the console's own address: signing in to
// it, the person's own second factors and sessions, signing out. Everything else belongs to the public address.
var ownOfConsole = []string{
	"/", "/login", "/login/start", "/login/password", "/login/factor", "/login/factor/enrol", "/login/cancel",
	"/factors", "/sessions",
	"/logout", "/logout/all", "/logout/next", "/logout/back", "/logout/skip", languageRoute, "/healthz",
	"/readyz", "/assets/:name",
}

// probes tells whether whoever watches this replica asks for a route: a balancer before it, from an address of its own
// that is never let into the console. It says of the console that this replica runs, and nothing else.
func probes(route string) bool { return route == "/healthz" || route == "/readyz" }

type siteKey struct{}

// siteOf is the address that a request came to, as the listener says; never what the request says itself.
func (s *Server) siteOf(ctx context.Context) *site {
	if at, ok := ctx.Value(siteKey{}).(*site); ok {
		return at
	}
	return s.site
}

// ConsoleHandler serves the console's own address; nil where it has none.
func (s *Server) ConsoleHandler() http.Handler {
	if s.consoleSite == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.echo.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), siteKey{}, s.consoleSite)))
	})
}
