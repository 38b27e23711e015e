package web

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
)

// visit is what is known of one request beside the request itself.
type visit struct {
	ref   string
	coded bool   // ref carries its reason
	plain string // ref as idp has it, where it carries its reason by now
	// unreferenced says that the page has nothing that anybody would ask for help with.
	unreferenced bool
	address      string
	session      string // token of the session cookie, "" for none
	browser      string // token of the browser cookie, "" for none
	own          string // token of the cookie of the started sign-in that the request names, "" for none
	// kept is the sealed text of a started sign-in in this browser's cookies, by its id
	kept     func(id string) string
	reason   string      // why the request was refused, for the log
	cause    error       // the error behind it, for the log
	issued   idp.Deliver // what the answer hands over, for the log
	language *language   // of the page
	preview  *preview    // the page is for looking at alone; nil: it is what it is
	status   int         // what the log says where nothing was sent

	site    *site // the address that it came to
	console bool  // the console is served there, and to this client

	broken bool // what was sent is not the whole: the connection is to break off too

	footprint *idp.Footprint // what the request may leave behind

	endSpan func(of, result string, err error) // nil: nothing is recorded
}

const visitKey = "visit"

func visitOf(c echo.Context) *visit {
	v, ok := c.Get(visitKey).(*visit)
	if !ok {
		// serve runs before everything; this is for errors ahead of it. Texts may name the address, which nobody knows yet.
		v = &visit{site: &site{url: &url.URL{}}}
		c.Set(visitKey, v)
	}
	return v
}

// visitor is the visit as idp wants it.
func (v *visit) visitor() idp.Visitor {
	return idp.Visitor{
		Ref: v.ref, Address: v.address, Session: v.session, Browser: v.site.browserAt(v.browser), Own: v.own,
		Started: v.kept, NoConsole: !v.console, ConsoleSite: v.site.console,
	}
}

// serve stands around every request: reference id, headers, time limit, recovery
// from panics, the error handler, one log line, one observation.
func (s *Server) serve(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := s.now()
		r := c.Request()
		v := &visit{site: s.siteOf(r.Context()), address: clientAddress(r, s.trusted), session: sessionToken(r),
			browser: browserToken(r), language: s.languageOf(r), kept: startedTexts(r)}
		c.Set(visitKey, v)
		v.console = s.console != nil && v.site.console == (s.consoleSite != nil) && s.console.servesTo(r, v.address)
		s.secure(c.Response().Header())

		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		if s.span != nil && !polled(c.Path()) {
			ctx, v.endSpan = s.span(ctx, "request")
		}
		if s.footprints != nil {
			ctx, v.footprint = s.footprints.Begin(ctx, v.address)
			s.follow(c, v)
		}
		c.SetRequest(r.WithContext(ctx))

		var err error
		if v.ref, err = newRef(s.random, began); err == nil {
			// Every audit event that is written for this request names it and its address, whichever room writes it: no act
			// can forget to.
			c.SetRequest(c.Request().WithContext(store.WithOrigin(ctx, store.Origin{Ref: v.ref, Address: v.address})))
			c.Response().Header().Set("X-Request-Id", v.ref)
			err = recovered(next, c)
		}
		if err != nil {
			c.Error(err) // fail, on this goroutine
		}
		s.finish(c, v, s.now().Sub(began))
		if v.broken {
			panic(http.ErrAbortHandler) // net/http then ends the connection without the last chunk
		}
		return nil
	}
}

// recovered turns a panic into an error that carries the stack. One broken request
// must not take the others with it.
func recovered(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares this very value
			panic(p)
		}
		err = fmt.Errorf("panic: %.500v\n%.8000s", p, debug.Stack())
	}()
	return next(c)
}

// follow has the request known by its session, also where nothing else looks at it, and by the reference in its
// headers, also where no page shows it.
func (s *Server) follow(c echo.Context, v *visit) {
	if v.session != "" {
		v.footprint.Ask(func() {
			_, _, _ = s.idp.SignedIn(c.Request().Context(), v.visitor()) // who it finds is known from here on
		})
	}
	c.Response().Before(func() {
		// After a wrong password the reference stays as it is: its length would tell which logins exist.
		if !polled(c.Path()) && !v.footprint.IsAlike() && v.footprint.Over() {
			s.codeReference(c, v, v.footprint.Reason())
		}
	})
}

// refusedFor says why a request was refused, before its reference is shown. Where neither a trace nor a log line will
// be found under that, it becomes one that carries the reason itself.
func (s *Server) refusedFor(c echo.Context, v *visit, reason string) {
	v.footprint.Refused(reason)
	switch over := v.footprint.Over(); {
	case v.footprint.IsAlike():
		// Whoever is known may have a trace, and a more exact reason: the page would tell which logins exist by either.
		s.codeReference(c, v, reason)
	case over:
		s.codeReference(c, v, v.footprint.Reason())
	case v.console && strings.HasPrefix(c.Path(), ConsoleHome):
		// An administrator finds what they did in the audit, under the reference of the request.
	case !v.footprint.IsTraced() || reason == storeDown:
		// It never came as far as a sign-in, or its trace can't be stored: what the reference carries is all there is.
		s.codeReference(c, v, reason)
	}
}

// reference is the one that a page shows. After a wrong password it is always that of the request: one that carries its
// reason would tell which logins exist.
func (s *Server) reference(c echo.Context) string {
	v := visitOf(c)
	if v.unreferenced {
		return ""
	}
	if !v.footprint.IsAlike() && v.footprint.Over() {
		s.codeReference(c, v, v.footprint.Reason())
	}
	return v.ref
}

func (s *Server) codeReference(c echo.Context, v *visit, reason string) {
	if !v.coded && s.refs != nil {
		began := v.footprint.Began()
		if began.IsZero() { // an error ahead of everything
			began = s.now()
		}
		v.plain, v.ref, v.coded = v.ref, s.refs.Coded(reason, began), true
		c.Response().Header().Set("X-Request-Id", v.ref)
	}
}

// finish logs and counts a request. The path is never logged, only the route: a
// path or query can hold an account, a sign-in or a SAML message (row WEB-06).
func (s *Server) finish(c echo.Context, v *visit, took time.Duration) {
	route, status := c.Path(), c.Response().Status
	if !s.routed[route] {
		route = "unmatched"
	}
	if v.status != 0 {
		status = v.status
	}
	s.observe(route, status, took)
	if v.endSpan != nil {
		var failed error
		if status >= http.StatusInternalServerError {
			failed = cmp.Or(v.cause, errors.New("the request failed"))
		}
		v.endSpan(knownMethod(c.Request().Method)+" "+route, strconv.Itoa(status), failed)
	}
	defer v.footprint.Done()

	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case v.cause == nil && polled(route):
		level = slog.LevelDebug
	}
	ctx := c.Request().Context()
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("ref", v.ref), slog.String("method", knownMethod(c.Request().Method)), slog.String("route", route),
		slog.Int("status", status), slog.Duration("duration", took), slog.String("client", v.address),
	}
	if v.issued.Response != "" {
		attrs = append(attrs, slog.String("sp", v.issued.EntityID), slog.String("response", v.issued.Response))
	}
	if v.issued.Assertion != "" {
		attrs = append(attrs, slog.String("assertion", v.issued.Assertion))
	}
	if v.reason != "" {
		attrs = append(attrs, slog.String("reason", v.reason))
	}
	if v.plain != "" {
		attrs = append(attrs, slog.String("request", v.plain)) // as other lines of this request have it
	}
	if v.cause != nil || v.plain != "" && v.reason != "" {
		cause, fix := s.explain(v.reason)
		attrs = append(attrs, slog.String("cause", cause), slog.String("fix", fix))
	}
	if v.cause != nil {
		attrs = append(attrs, slog.String("error", v.cause.Error()))
	}
	s.log.LogAttrs(ctx, level, "request", attrs...)
}

// polled tells which routes are asked for all the time, by machines.
func polled(route string) bool {
	return route == "/healthz" || route == "/readyz" || route == "/assets/:name" || route == "/login/progress"
}

// knownMethod keeps a stranger's word out of the log.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	}
	return "other"
}

// guard refuses what no route should see: another Host than the public one, and
// posts from other sites.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		v := visitOf(c)
		if err := s.placed(c, v); err != nil {
			return err
		}
		if r.Method == http.MethodOptions {
			// No page of another site may call us, so there is nothing to answer before it does. Without this, the router would
			// answer 204.
			return s.noOptions(c)
		}
		if probes(c.Path()) {
			return next(c) // asked for by address, by whoever watches this replica
		}
		// Cookies and links belong to one name. Under another one (a planted Host header,
		// a name bound to our address) nothing is served (row WEB-07).
		if !v.site.host(r.Host) {
			return refuse(http.StatusMisdirectedRequest, wrongHost, fmt.Errorf("the request asks for host %.100q, and this is "+
				"%s; a proxy has to pass the browser's Host header on, with its port", r.Host, v.site.url))
		}
		// The POST binding comes from other sites by its nature. Its two endpoints are exempt:
		// nothing is changed there before the message is validated (row WEB-01). So is the
		// webhook, which looks at no cookie: its secret and key say who posts. And so is a signed launch, which changes
		// nothing either: its token says who comes, and where no page of the application has posted it, a page of ours asks.
		if path := c.Path(); path != "/saml/sso" && path != "/saml/slo" && path != webhookRoute &&
			path != launchPath && path != launchLogoutPath {
			// The REST API looks at the Authorization header alone, which no other site can have a browser send.
			if err := v.site.cross.Check(r); err != nil && path != apiPath {
				return refuse(http.StatusForbidden, crossOrigin, err)
			}
		}
		if s.passedOn(c, v) {
			return nil
		}
		return next(c)
	}
}

// noOptions refuses OPTIONS as any method that a path does not have.
func (s *Server) noOptions(c echo.Context) error {
	if !s.routed[c.Path()] {
		return refuse(http.StatusNotFound, notFound, errors.New("OPTIONS of no page of ours"))
	}
	allowed, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
	c.Response().Header().Set(echo.HeaderAllow, strings.TrimPrefix(allowed, http.MethodOptions+", "))
	return refuse(http.StatusMethodNotAllowed, wrongMethod, errors.New("OPTIONS"))
}

// The time in a reference id: its first four characters count units of 4 seconds, and begin anew after 48 days.
const (
	refUnit     = 4 // seconds
	refTimeBits = 20
)

// newRef is a reference id, ten characters that a person can read out on the phone: the time, and 30 random bits. Those
// of one hour stand together in the indexes of traces and audit events, so that a sign-in writes to pages that the ones
// before it have written to, however many there ever were. An id grants nothing to who guesses it.
func newRef(random io.Reader, now time.Time) (string, error) {
	var raw [8]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("draw a reference id: %w", err)
	}
	const rest = 64 - refTimeBits
	at := uint64(now.Unix()/refUnit) << rest //nolint:gosec // G115: the last bits count
	binary.BigEndian.PutUint64(raw[:], at|binary.BigEndian.Uint64(raw[:])&(1<<rest-1))
	return idp.ReadAloud.EncodeToString(raw[:])[:10], nil
}
