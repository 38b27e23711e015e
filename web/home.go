package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
)

// home says who is signed in and where to go. It starts nothing.
func (s *Server) home(c echo.Context) error {
	v := visitOf(c)
	if v.site.console {
		return c.Redirect(http.StatusSeeOther, ConsoleHome)
	}
	login, in, err := s.idp.SignedIn(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("look who is signed in: %w", err)
	}
	view := struct {
		Login string
		In    bool
	}{Login: login, In: in}
	if !in {
		running, err := s.idp.RunningLogout(c.Request().Context(), v.visitor())
		switch {
		case err != nil:
			return fmt.Errorf("look for a running logout: %w", err)
		case running != "": // somebody's page never led back to it
			return c.Redirect(http.StatusSeeOther, logoutPath(running))
		}
	}
	return s.show(c, http.StatusOK, "home", policy{alone: true}, view)
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
		running, err := s.idp.RunningLogout(c.Request().Context(), v.visitor())
		switch {
		case err != nil:
			return fmt.Errorf("look for a running logout: %w", err)
		case running != "":
			return c.Redirect(http.StatusSeeOther, logoutPath(running))
		}
		return s.showSignedOut(c, idp.SignedOut{})
	}
	services, err := s.idp.Services(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("look which services were used: %w", err)
	}
	view := struct {
		token
		Login    string
		Services []service // empty: there is nothing but the session here to end
	}{s.token(v, ""), login, s.services(c, services)}
	return s.show(c, http.StatusOK, "logout", policy{alone: true}, view)
}

// logout ends the session here (row SLO-04), and on request leads on to the services
// that it was used for. The cookie goes even if the session was over already.
func (s *Server) logout(c echo.Context) error {
	v := visitOf(c)
	f, err := s.form(c, v)
	if err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = "/logout"
		}
		return err
	}
	end := s.idp.Logout
	if f["everywhere"] == "1" {
		end = s.idp.LogoutEverywhere
	}
	a, err := end(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	a.EndSession = true
	return s.answer(c, v, a, "")
}
