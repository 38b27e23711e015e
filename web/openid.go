package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/idp/claims"
)

const (
	// maxLogoutTokenForm bounds the form of a back-channel logout, in bytes.
	maxLogoutTokenForm = 40 << 10
)

// openIDCallback takes the answer of a source's OpenID provider. The browser comes by a redirect of the provider, as a
// navigation by GET, so that it brings our Lax cookies: the sign-in that waits is in one of them.
func (s *Server) openIDCallback(c echo.Context) error {
	v := visitOf(c)
	name := c.Param("source")
	if v.site.console || !wayText(name) {
		return refuse(http.StatusNotFound, notFound, errors.New("no callback of a source"))
	}
	if err := navigated(c); err != nil {
		return err
	}
	f, err := query(c)
	if err != nil {
		return err
	}
	// Never shown and never followed: error_description and error_uri are somebody's own text.
	a, err := s.idp.AnswerOpenID(c.Request().Context(), idp.OpenIDReply{Source: name, State: f["state"],
		Reply: claims.Reply{Code: f["code"], Issuer: f["iss"], Error: f["error"]}}, v.visitor())
	if err != nil {
		return fmt.Errorf("take the answer of the provider of source %s: %w", name, err)
	}
	return s.answer(c, v, a, "")
}

// openIDLogout takes a logout token, which a provider's server sends (OpenID Connect Back-Channel Logout 1.0 section
// 2.5). It looks at no cookie: the token says who, and the answer says nothing of them.
func (s *Server) openIDLogout(c echo.Context) error {
	v := visitOf(c)
	name := c.Param("source")
	if v.site.console || !wayText(name) {
		return refuse(http.StatusNotFound, notFound, errors.New("no logout of a source"))
	}
	f, err := s.readForm(c, maxLogoutTokenForm)
	if err != nil {
		return err
	}
	bad, err := s.idp.LogoutOpenID(c.Request().Context(), name, f["logout_token"], v.visitor())
	if err != nil {
		return fmt.Errorf("take a logout token of source %s: %w", name, err)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if bad != nil {
		v.reason = bad.Reason
		return c.JSON(http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": bad.Reason})
	}
	return c.NoContent(http.StatusOK)
}
