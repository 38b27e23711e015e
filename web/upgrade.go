package web

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// passedCookie counts how often a browser was sent back for the page that it asks for, and names the page. It ends
	// soon: nobody tells when a replica of the version before has answered, and whoever comes for the page again is no
	// loop.
	passedCookie = "__Host-ssobridge_passed"
	passedLife   = 3 * time.Second

	// maxPassed bounds that. A balancer that takes requests in turn reaches the last of so many replicas and one more.
	maxPassed = 4

	// maxPassedURI is how long an address is that a browser is sent back to. Proxies answer 502 where the header of an
	// answer has no room in their buffer; past it there is a login page.
	maxPassedURI = 2600
)

// passedOn sends a browser back for the same page where, while an upgrade goes on, its session is one of the version
// before. Such a session is none here, and never counts. Behind a balancer that alternates between replicas of both
// versions, the browser would be asked to log in by the one and have its login taken by the other, without end. A
// replica of the version before knows the session, and the next request may reach one; past maxPassed there is a login
// page. Nothing was done for the request yet, so that a form may be sent again as well (307, RFC 9110 15.4.8).
func (s *Server) passedOn(c echo.Context, v *visit) bool {
	r := c.Request()
	if v.session == "" || !s.passable(c) || len(r.URL.RequestURI()) > maxPassedURI {
		return false
	}
	elsewhere, err := s.idp.SessionElsewhere(r.Context(), v.visitor())
	if err != nil {
		// The page itself meets what is wrong, and says so.
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "it can't be seen whether a session is of the version before",
			slog.String("ref", v.ref), slog.Any("cause", err))
	}
	if err != nil || !elsewhere {
		return false
	}
	page := pageName(r)
	passed := 0
	if count, of, _ := strings.Cut(readCookie(r, passedCookie), "."); of == page {
		passed, _ = strconv.Atoi(count)
	}
	if passed < 0 || passed >= maxPassed {
		c.SetCookie(cleared(passedCookie)) // after the login that this leads to, it counts anew
		return false
	}
	c.SetCookie(cookie(passedCookie, strconv.Itoa(passed+1)+"."+page, passedLife))
	// At our own host, whatever the path looks like: "//host" alone would lead to another one.
	to := url.URL{Scheme: v.site.url.Scheme, Host: v.site.url.Host}
	c.Response().Header().Set(echo.HeaderLocation, to.String()+r.URL.RequestURI())
	c.Response().WriteHeader(http.StatusTemporaryRedirect)
	return true
}

// pageName is a short name of what a request is for. Nothing rests on it but the count.
func pageName(r *http.Request) string {
	sum := sha256.Sum256([]byte(r.Method + " " + r.URL.RequestURI()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// passable tells whether a request may come a second time: pages that a person looks at, and forms that go on from one.
// A password is taken where it comes, and makes a session that counts everywhere. Other sites' posts come without our
// cookies.
func (s *Server) passable(c echo.Context) bool {
	r, route := c.Request(), c.Path()
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" || !s.routed[route] {
		return false
	}
	switch r.Method {
	case http.MethodGet:
		return route != "/assets/:name" && route != metadataPath && route != metadataPath+"/*"
	case http.MethodPost:
		return route != "/login" && route != "/saml/sso" && route != "/saml/slo" && route != webhookRoute
	}
	return false
}
