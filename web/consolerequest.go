package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/internal/plaintext"
)

// ConsoleRequest is one request of somebody who was admitted to a route of the console: what its page may read, and the
// ways to answer. Cookies, the policy of pages and the log line stay with the server.
type ConsoleRequest struct {
	Admin idp.Administrator
	Form  Fields // of a POST: from our own page, and for the first time

	c     echo.Context
	k     *console
	visit *visit
	role  idp.ConsoleRole // the least that the route needs

	frames bool // the page holds previews
}

// Request is the request itself. Its address and session were looked at already.
func (r *ConsoleRequest) Request() *http.Request { return r.c.Request() }

// Response is for a file that is written as it is read, and for the headers of one.
func (r *ConsoleRequest) Response() http.ResponseWriter { return r.c.Response() }

// Ref is the reference id of the request.
func (r *ConsoleRequest) Ref() string { return r.visit.ref }

// Address is the reader's.
func (r *ConsoleRequest) Address() string { return r.visit.address }

// Param is a part of the path by the name that the route gives it.
func (r *ConsoleRequest) Param(name string) string { return r.c.Param(name) }

// QueryParam is a value of the query; the first, where it stands twice.
func (r *ConsoleRequest) QueryParam(name string) string { return r.c.QueryParam(name) }

// QueryParams is the query as far as it can be read.
func (r *ConsoleRequest) QueryParams() url.Values { return r.c.QueryParams() }

// Query is the query, and an error where it can't be read as a whole.
func (r *ConsoleRequest) Query() (Fields, error) { return query(r.c) }

// Log has the request's log line name the error behind what the page says. Pages show no chains of errors.
func (r *ConsoleRequest) Log(err error) { r.visit.cause = errors.Join(r.visit.cause, err) }

// FormIDs are what a form of the console carries: the token of this browser, and an id by which it is taken once.
func (r *ConsoleRequest) FormIDs() (csrf, once string, err error) {
	once, err = newToken(r.k.random)
	return r.k.csrfToken(r.visit.browser), once, err
}

// Page answers with a page, or with the part of one that a script asked for; see Partial.
func (r *ConsoleRequest) Page(status int, page []byte) error {
	consolePolicy(r.c.Response().Header(), r.frames)
	return r.c.HTMLBlob(status, page)
}

// Partial tells whether a script asks for a part of the page, which has no frame.
func (r *ConsoleRequest) Partial() bool {
	return r.Request().Header.Get("HX-Request") == "true" && r.Request().Header.Get("HX-Request-Type") != "full"
}

// File answers with a file. name is what it is saved as.
func (r *ConsoleRequest) File(name, kind string, data []byte) error {
	r.c.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return r.c.Blob(http.StatusOK, kind, data)
}

// Redirect leads to another page of the console.
func (r *ConsoleRequest) Redirect(path string) error { return r.c.Redirect(http.StatusSeeOther, path) }

// GoOn goes on to the page that a login was asked for; see FreshPath.
func (r *ConsoleRequest) GoOn() error {
	to := ownPath(plaintext.Cut(r.QueryParam("to"), 2048))
	if !strings.HasPrefix(to, ConsoleHome) || strings.HasPrefix(to, FreshPath) {
		to = ConsoleHome
	}
	return r.Redirect(to)
}

// Missing says that there is nothing of that name; what is a noun.
func (r *ConsoleRequest) Missing(what string) error {
	e := refuse(http.StatusNotFound, notFound, errors.New("no "+what+" of that name"))
	e.again = ConsoleHome
	return e
}

// consolePolicy: everything comes from us, nothing runs inline, and no form goes
// elsewhere. htmx needs connect-src. Pages have no frames but the one that previews ours.
func consolePolicy(h http.Header, frames bool) {
	csp := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	if frames {
		csp += "; frame-src 'self'"
	}
	h.Set("Content-Security-Policy", csp)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
