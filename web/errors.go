package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
)

// Reasons that are web's own. Those of idp and provisioning come with their
// answers and stand beside these in the catalogue of texts.
const (
	badLink     = "bad_link"           // a link or query that can't be read
	badForm     = "bad_form"           // a form that can't be read
	staleForm   = "stale_form"         // the form's token does not hold
	noCookies   = "no_cookies"         // a form without our cookie
	crossOrigin = "cross_origin"       // another site posted to us
	wrongHost   = "wrong_host"         // asked under another name than the public one
	framed      = "framed"             // a launch that is no navigation of its own
	prefetched  = "prefetched"         // the browser asked ahead of the person
	notFound    = "not_found"          // no such page
	wrongMethod = "method_not_allowed" // the page is there, not for this method
	busy        = "busy"               // too many pending sign-ins
	// What idp says of its own failures.
	tooSlow    = idp.ReasonTooSlow    // our time for one request is over
	storeDown  = idp.ReasonStoreDown  // the database is not available
	internal   = idp.ReasonInternal   // everything else: the log has the cause
	clientGone = idp.ReasonClientGone // the browser went away; nobody reads the answer
)

// Reasons of the admin console.
const (
	consoleSession = "console_session" // no session that may go on
	consoleRole    = "console_role"    // the role does not reach
	consoleTwice   = "console_twice"   // the form was sent before
)

// statusClientGone is what proxies log for a browser that went away. Never sent.
const statusClientGone = 499

// refusal is an error that a page can explain. The cause is for the log alone.
type refusal struct {
	status int
	reason string
	again  string // path of ours where a new try makes sense, "" for none
	err    error
}

func refuse(status int, reason string, err error) *refusal {
	return &refusal{status: status, reason: reason, err: err}
}

// goOnWith offers to go on with a pending sign-in, or to start again where it has no address.
func (r *refusal) goOnWith(c echo.Context, handle string) *refusal {
	if !handleText(handle) {
		return r
	}
	r.again = loginPath(handle)
	if id, _, sealed := strings.Cut(handle, "."); sealed {
		if k, kept := startedOf(c.Request(), id); !kept || k.text == "" {
			r.again = visitOf(c).site.start()
		}
	}
	return r
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %v", r.reason, r.err) }
func (r *refusal) Unwrap() error { return r.err }

// asRefusal finds out what an error means for the one who asked.
func asRefusal(ctx context.Context, err error) *refusal {
	var own *refusal
	if errors.As(err, &own) {
		return own
	}
	var routed *echo.HTTPError
	if errors.As(err, &routed) {
		switch routed.Code {
		case http.StatusNotFound:
			return refuse(routed.Code, notFound, err)
		case http.StatusMethodNotAllowed:
			return refuse(routed.Code, wrongMethod, err)
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, badForm, err)
	case errors.Is(err, store.ErrLimit):
		return refuse(http.StatusServiceUnavailable, busy, err)
	}
	switch reason := idp.FailureOf(ctx, err); reason {
	case clientGone:
		return refuse(statusClientGone, reason, err)
	case storeDown, tooSlow: // it may be back in a moment, which programs and browsers are told
		return refuse(http.StatusServiceUnavailable, reason, err)
	}
	return refuse(http.StatusInternalServerError, internal, err)
}

// explain says to administrators what a reason of a page means: cause, and fix with the way to it.
func (s *Server) explain(reason string) (cause, fix string) {
	text, how := idp.TextOf(reason), ""
	if s.howTo != nil && text.Act != idp.NoAct {
		how = s.howTo(text.Act, "")
	}
	return text.Cause, idp.FixText(text.Fix, how)
}

// fail is the one error handler: it answers with a page, or in the form that the
// route speaks. The log line is written by serve, which sees every request.
func (s *Server) fail(err error, c echo.Context) {
	v := visitOf(c)
	r := asRefusal(c.Request().Context(), err)
	v.cause, v.reason = err, r.reason
	if r.status == statusClientGone {
		v.status = statusClientGone
		v.footprint.Refused(r.reason)
		return
	}
	s.refusedFor(c, v, r.reason)
	if c.Response().Committed {
		// The answer breaks off in its middle: its reader must not take what it has for the whole.
		v.broken = true
		return
	}
	retryLater(c, r.status)
	switch {
	case c.Request().Method == http.MethodHead:
		err = c.NoContent(r.status)
	case c.Path() == "/login/progress":
		err = c.JSON(r.status, map[string]string{"error": r.reason, "ref": v.ref})
	case c.Path() == "/healthz", c.Path() == "/readyz", c.Path() == webhookRoute && r.status != http.StatusNotFound:
		err = c.String(r.status, http.StatusText(r.status)+"\n")
	default:
		err = s.showRefusal(c, v, refusalView{Reason: r.reason, Again: r.again, Host: hostName(c.Request().Host)}, r.status)
	}
	if err != nil && !c.Response().Committed {
		v.cause = errors.Join(v.cause, err)
		err = c.String(http.StatusInternalServerError, "Internal error. Reference: "+v.ref+"\n")
	}
	if err != nil {
		v.cause = errors.Join(v.cause, fmt.Errorf("answer with the error: %w", err))
	}
}

// retryLater tells programs, and the browsers that heed it, when to come again.
func retryLater(c echo.Context, status int) {
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		c.Response().Header().Set("Retry-After", "30")
	}
}

// hostName is a Host header as a page may show it. It is a stranger's word: what is no host is not repeated.
func hostName(host string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"
	if host == "" || len(host) > 253+len(":65535") || strings.Trim(host, letters) != "" {
		return "?"
	}
	return host
}
