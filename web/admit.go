package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
)

// Who may come to the admin console stands in this file: the address and network that it is served at and to, the
// session, the role, the age of the login, the token of a form, and how many live pages a person has open. The pages
// themselves are in web/console; none of them can be reached but through admit.

// Console is the admin console as the server takes it.
type Console struct {
	// Pages are the console's pages. Required.
	Pages ConsolePages
	// Audit takes the events of what is refused; *store.Audit is it. Required.
	Audit interface {
		Add(ctx context.Context, e ...store.Event) error
	}
	// Forms takes the id of each form once; *store.Forms is it. Required.
	Forms interface {
		Use(ctx context.Context, id string) (first bool, err error)
	}
	// PublicURL is scheme and host of the console where it has an address of its own, that ConsoleHandler serves: the same
	// host with another port, or another host. "": it is served at the public address.
	PublicURL string
	// AllowFrom are the networks from which the console is served; none: from everywhere.
	AllowFrom []netip.Prefix
}

// ConsolePages are the pages of the console; *console.Console is it.
type ConsolePages interface {
	// Routes lists every route, made ready for this server. It is asked for them once.
	Routes(s Shared) ([]ConsoleRoute, error)
}

// Shared is what the console's pages have in common with the server's others.
type Shared struct {
	Branding  Branding // with its defaults
	Assets    Assets
	PublicURL *url.URL // of the server, not of the console
	Now       func() time.Time
}

// ConsoleRoute is one route of the console and who may use it.
type ConsoleRoute struct {
	Method, Path string
	Role         idp.ConsoleRole // the least that is needed; a route without one is refused to all
	Fresh        bool            // needs a login of the last minutes: what can't be taken back
	Long         bool            // its form may hold a whole file
	Stream       bool            // text/event-stream, asked for by our script: answers a status in place of a page
	Handle       func(*ConsoleRequest) error
}

// ConsoleEntry is what the console needs of the identity provider; *idp.IdP is it.
type ConsoleEntry interface {
	EnterConsole(ctx context.Context, path string, fresh bool, v idp.Visitor) (idp.Answer, error)
	Administrator(ctx context.Context, v idp.Visitor) (a idp.Administrator, ok bool, err error)
	UsedConsole(ctx context.Context, a idp.Administrator) error
}

// ConsoleHome is the console's first page, and where the paths of all begin.
const ConsoleHome = "/admin/"

// FreshPath leads by a new login to a page of the console. Its route needs a fresh login, and is handled by
// [ConsoleRequest.GoOn].
const FreshPath = "/admin/fresh"

// ByItself marks in a query that a page loads itself again: nobody sits there for that.
const ByItself = "by_itself"

// Bounds of the forms of the console, in bytes: pasted metadata of a service provider is the longest of what most hold;
// a Long route's holds a file of users.
const (
	maxConsoleForm = 512 << 10
	maxConsoleFile = 8 << 20
)

// console guards the pages under /admin/.
type console struct {
	*Server
	Console
	entry   ConsoleEntry
	streams openStreams
	outside outsideCount
}

// newConsole adds the console's routes to e. s must be complete but for its routes.
func newConsole(s *Server, o Console, b Branding, e *echo.Echo) (*console, error) {
	k := &console{Server: s, Console: o}
	entry, ok := s.idp.(ConsoleEntry)
	if !ok {
		return nil, errors.New("web: the identity provider has no entry for the console")
	}
	if o.Pages == nil || o.Audit == nil || o.Forms == nil {
		return nil, errors.New("web: the console needs its pages, the audit log and the forms that were taken")
	}
	k.entry = entry
	routes, err := o.Pages.Routes(Shared{Branding: b, Assets: s.assets, PublicURL: s.public, Now: s.now})
	if err != nil {
		return nil, fmt.Errorf("web: make the pages of the console: %w", err)
	}
	for _, r := range routes {
		if !strings.HasPrefix(r.Path, ConsoleHome) {
			// Elsewhere it would be served to whom the console is not.
			return nil, fmt.Errorf("web: route %s of the console is not below %s", r.Path, ConsoleHome)
		}
		e.Add(r.Method, r.Path, k.admit(r))
	}
	e.GET("/admin", func(c echo.Context) error { return c.Redirect(http.StatusSeeOther, ConsoleHome) })
	return k, nil
}

// isConsolePath tells whether a path belongs to the console, whether a route of it is there or not.
func isConsolePath(path string) bool { return path == "/admin" || strings.HasPrefix(path, ConsoleHome) }

// placed refuses what is not served at the address that a request came to, as a page that does not exist. It stands
// before anything that would answer differently for a path that is there and one that is not.
func (s *Server) placed(c echo.Context, v *visit) error {
	r := c.Request()
	switch ours := isConsolePath(r.URL.Path) || isConsolePath(c.Path()); {
	case s.console == nil:
		return nil // none of its paths are there
	case ours && v.site.console != (s.consoleSite != nil):
		return refuse(http.StatusNotFound, notFound, errors.New("the console is served at its own address alone: see "+
			"console.public_url"))
	case (ours || v.site.console && !probes(c.Path())) && !v.console:
		// The console's own address serves nothing but what belongs to it: signing in to it is refused as the console is.
		return s.console.elsewhere(c, v)
	case !ours && v.site.console && !slices.Contains(ownOfConsole, c.Path()):
		return refuse(http.StatusNotFound, notFound, errors.New("the console's own address serves no page of this path: "+
			"see console.public_url"))
	}
	return nil
}

// servesTo tells whether the console is served to a request's client, of whom this is the address. Without
// Console.AllowFrom it is served to all. A proxy that is not trusted, and says that it asks for another client, is let
// in as little as a trusted one that does not say for whom: everybody behind it has its address.
func (k *console) servesTo(r *http.Request, address string) bool {
	if len(k.AllowFrom) == 0 {
		return true
	}
	a, err := netip.ParseAddr(address)
	if err != nil || !within(k.AllowFrom, a) || within(k.trusted, a) {
		return false
	}
	first, _, _ := strings.Cut(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !within(k.trusted, plain(peer.Addr())) {
		return err == nil && first == "" && r.Header.Get("Forwarded") == ""
	}
	origin, err := parseHop(strings.TrimSpace(first))
	return err == nil && origin == a
}

// elsewhere refuses a request for the console from where it is not served, as one for a page that does not exist: who
// may not come here does not learn that there is something. Nobody has shown who they are, so the audit has one event
// a minute, with a count.
func (k *console) elsewhere(c echo.Context, v *visit) error {
	if n := k.outside.add(k.now()); n > 0 {
		detail, _ := json.Marshal(map[string]int{"requests": n}) // a number always encodes
		// The request's end must not take the event with it: the count is gone by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), outsideTimeout)
		defer cancel()
		err := k.Audit.Add(ctx, store.Event{
			At: k.now(), Ref: v.ref, Action: "console-refusal", Subject: "console", Address: v.address, Outcome: "refused",
			Reason: "console_address", Detail: detail,
		})
		if err != nil {
			// The answer stays that to a page that does not exist: any other would show that there is something here.
			k.outside.back(n)
			k.log.LogAttrs(ctx, slog.LevelError, "record a refusal of the console; the next event counts these requests too",
				slog.Int("requests", n), slog.String("cause", err.Error()), slog.String("ref", v.ref))
		}
		k.log.LogAttrs(ctx, slog.LevelWarn, "requests for the console from addresses that console.allow_from does not name "+
			"were refused",
			slog.Int("requests", n), slog.String("last", v.address), slog.String("ref", v.ref))
	}
	return refuse(http.StatusNotFound, notFound, errors.New("the console is not served to this address: see "+
		"console.allow_from"))
}

const (
	outsideEvery   = time.Minute // at most one event in it
	outsideTimeout = 5 * time.Second
)

// outsideCount counts the requests for the console from where it is not served.
type outsideCount struct {
	mu       sync.Mutex
	requests int
	reported time.Time
}

// add counts one, and returns how many there were since the last report where one is due, or 0.
func (o *outsideCount) add(now time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests++
	if !o.reported.IsZero() && now.Sub(o.reported) < outsideEvery {
		return 0
	}
	n := o.requests
	o.requests, o.reported = 0, now
	return n
}

// back takes back requests that could not be reported.
func (o *outsideCount) back(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests += n
}

// admit lets a request through to its handler if the reader may do this: signed in,
// in the directory's group for the role, with a young login where that is asked for;
// a form besides with our token, and not sent before.
func (k *console) admit(route ConsoleRoute) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := visitOf(c)
		if err := k.ensureBrowser(c, v); err != nil {
			return err
		}
		ctx := c.Request().Context()
		admin, in, err := k.entry.Administrator(ctx, v.visitor())
		if err != nil {
			return fmt.Errorf("look who uses the console: %w", err)
		}
		if !in || route.Fresh && !admin.Fresh {
			return k.bringIn(c, v, route, in)
		}
		if route.Role == idp.NoConsole || admin.Role < route.Role {
			return k.deny(c, v, admin, route)
		}
		r := &ConsoleRequest{Admin: admin, c: c, k: k, visit: v, role: route.Role}
		if route.Method == http.MethodPost {
			if r.Form, err = k.takeForm(c, v, route.Long); err != nil {
				return err
			}
		}
		if k.counts(c.Request(), route) {
			if err := k.entry.UsedConsole(ctx, admin); err != nil {
				return err
			}
		}
		return route.Handle(r)
	}
}

// counts tells whether a request is a use of the console, which its idle limit counts from: a form, or a page that
// somebody went to. What scripts ask for (live pages, searches as one types, parts that load by themselves) keeps no
// console open that nobody sits at, nor does a page that loads itself again.
func (k *console) counts(r *http.Request, route ConsoleRoute) bool {
	return route.Method == http.MethodPost || !route.Stream && !byScript(r) && !r.URL.Query().Has(ByItself)
}

// byScript tells whether a page's script asks, as far as the browser says so.
func byScript(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Header.Get("HX-Request") != "" || mode != "" && mode != "navigate"
}

// bringIn leads to the login and back to the page. What a form would have done is
// not done: a form from before a login is not to be repeated unseen.
func (k *console) bringIn(c echo.Context, v *visit, route ConsoleRoute, again bool) error {
	if route.Stream || route.Method != http.MethodGet || byScript(c.Request()) {
		if byScript(c.Request()) {
			c.Response().Header().Set("HX-Refresh", "true") // the page itself then leads to the login, and back to it
		}
		r := refuse(http.StatusForbidden, consoleSession,
			errors.New("no session that may use the console, or not fresh enough"))
		r.again = FreshPath + "?" + url.Values{"to": {referringPage(c.Request())}}.Encode()
		return r
	}
	answer, err := k.entry.EnterConsole(c.Request().Context(), consolePath(c.Request()), again, v.visitor())
	if err != nil {
		return fmt.Errorf("enter the console: %w", err)
	}
	return k.answer(c, v, answer, "")
}

// referringPage is the page of the console that a form was sent from, as far as the
// browser says so.
func referringPage(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return ConsoleHome
	}
	to := ownPath(u.RequestURI())
	if !strings.HasPrefix(to, ConsoleHome) || len(to) > 2048 {
		return ConsoleHome
	}
	return to
}

// consolePath is the path and query of a page of the console. It comes from the
// request's own line, and leads nowhere else: the router matched it under /admin/.
func consolePath(r *http.Request) string {
	path := ownPath(r.URL.RequestURI())
	if !strings.HasPrefix(path, ConsoleHome) || len(path) > 2048 {
		return ConsoleHome
	}
	return path
}

// deny refuses somebody whose role does not reach, and writes it down: somebody
// tried what the pages do not offer them.
func (k *console) deny(c echo.Context, v *visit, admin idp.Administrator, route ConsoleRoute) error {
	err := k.Audit.Add(c.Request().Context(), store.Event{
		At: k.now(), Ref: v.ref, Actor: string(admin.Person), Action: "console-refusal", Subject: route.Method +
			" " + route.Path,
		Address: v.address, Outcome: "refused", Reason: "console_role",
	})
	if err != nil {
		return fmt.Errorf("record a refusal in the console: %w", err)
	}
	r := refuse(http.StatusForbidden, consoleRole, fmt.Errorf("%s may not use %s, which needs %s", admin.Role,
		route.Path, route.Role))
	r.again = ConsoleHome
	return r
}

// takeForm reads a form and takes it once. Its random id is the page's, drawn anew
// each time the form is shown.
func (k *console) takeForm(c echo.Context, v *visit, long bool) (Fields, error) {
	most := int64(maxConsoleForm)
	if long {
		most = maxConsoleFile
	}
	f, err := k.formUpTo(c, v, most)
	if err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = ConsoleHome
		}
		return nil, err
	}
	if !tokenText(f["once"]) {
		return nil, refuse(http.StatusBadRequest, badForm, errors.New("form without its id"))
	}
	first, err := k.Forms.Use(c.Request().Context(), f["once"])
	if err != nil {
		return nil, fmt.Errorf("take a form: %w", err)
	}
	if !first {
		r := refuse(http.StatusConflict, consoleTwice, errors.New("form was sent before"))
		r.again = ConsoleHome
		return nil, r
	}
	return f, nil
}

// Streams end by themselves before the time for one request does; the browser's
// EventSource opens the next.
const (
	streamLife  = 25 * time.Second
	streamEvery = time.Second
	// streamsEach is how many a person may have open at once, of one replica: each asks the store once a second.
	streamsEach = 6
)

// openStreams counts the streams of people.
type openStreams struct {
	mu   sync.Mutex
	open map[store.PersonID]int
}

// take opens one, or says that the person has enough.
func (o *openStreams) take(p store.PersonID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[store.PersonID]int{}
	}
	if o.open[p] >= streamsEach {
		return false
	}
	o.open[p]++
	return true
}

func (o *openStreams) give(p store.PersonID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[p]--; o.open[p] <= 0 {
		delete(o.open, p)
	}
}

// Stream sends a part of a page again and again (text/event-stream), whenever it
// looks different than before. It ends with the reader's admission.
func (r *ConsoleRequest) Stream(render func() (string, error)) error {
	if !r.k.streams.take(r.Admin.Person) {
		return refuse(http.StatusTooManyRequests, busy, fmt.Errorf("%s has %d live pages open", r.Admin.Person, streamsEach))
	}
	defer r.k.streams.give(r.Admin.Person)
	h := r.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies that buffer would hold it back
	out := r.c.Response()
	out.WriteHeader(http.StatusOK)
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	end := time.NewTimer(streamLife)
	defer end.Stop()
	ctx := r.Request().Context()
	var sent string
	for {
		text, err := render()
		if err != nil {
			return err
		}
		if text != sent {
			sent = text
			if _, err := fmt.Fprintf(out, "data: %s\n\n", strings.ReplaceAll(text, "\n", "\ndata: ")); err != nil {
				return nil // the browser went away
			}
			out.Flush()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			return nil
		case <-r.k.stopping: // nil: never. The browser comes again, to whoever serves by then.
			return nil
		case <-tick.C:
		}
		// Not only when it began: it ends with the console's idle limit, a sign-out, a group that the person left. Looking is
		// no use.
		a, in, err := r.k.entry.Administrator(ctx, r.visit.visitor())
		if err != nil {
			return fmt.Errorf("look who watches: %w", err)
		}
		if !in || a.Role < r.role {
			return nil
		}
	}
}
