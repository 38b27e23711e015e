package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// home says who is signed in and where to go. It starts nothing.
func (s *Server) home(c echo.Context) error {
	v := visitOf(c)
	login, in, err := s.idp.SignedIn(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("look who is signed in: %w", err)
	}
	return s.show(c, http.StatusOK, "home", policy{alone: true}, struct {
		Login string
		In    bool
	}{login, in})
}

// askLogout asks before signing out: a link alone must not do it, or any page could
// sign people out by an image.
func (s *Server) askLogout(c echo.Context) error {
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	login, in, err := s.idp.SignedIn(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("look who is signed in: %w", err)
	}
	if !in {
		return s.show(c, http.StatusOK, "signedout", policy{alone: true}, nil)
	}
	return s.show(c, http.StatusOK, "logout", policy{alone: true}, struct {
		token
		Login string
	}{s.token(v, ""), login})
}

// logout ends the session here (row SLO-04). The cookie goes even if the session was
// over already.
func (s *Server) logout(c echo.Context) error {
	v := visitOf(c)
	if _, err := s.form(c, v); err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = "/logout"
		}
		return err
	}
	a, err := s.idp.Logout(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	a.EndSession = true
	return s.answer(c, v, a, "")
}
