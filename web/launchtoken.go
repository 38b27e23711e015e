package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
)

const (
	launchPath       = "/launch"
	launchLogoutPath = "/launch/logout"
	// maxLaunchForm bounds the form of a signed launch, in bytes: a token of 8 KiB, an account, and their escapes.
	maxLaunchForm = 32 << 10
)

// launchToken takes a signed launch, which the partner's application has the browser post. It comes from another site
// and so mostly without our cookies; none is made here, as for a posted AuthnRequest (see message). The answer leads to
// a page of ours, and nothing is used up before that one is opened.
func (s *Server) launchToken(c echo.Context) error {
	v := visitOf(c)
	if v.site.console {
		return c.Redirect(http.StatusSeeOther, ConsoleHome) // nobody launches anything from there
	}
	if err := navigated(c); err != nil {
		return err
	}
	f, err := s.readForm(c, maxLaunchForm)
	if err != nil {
		return err
	}
	l := idp.TokenLaunch{Token: f["token"], Origin: origin(c.Request())}
	if text := store.TrimTyped(f["account"]); text != "" {
		id, err := store.ParseAccountID(text)
		if err != nil {
			return refuse(http.StatusBadRequest, badLink, err)
		}
		l.Account = string(id)
	}
	a, err := s.idp.LaunchToken(c.Request().Context(), l, v.visitor())
	if err != nil {
		return fmt.Errorf("signed launch: %w", err)
	}
	return s.answer(c, v, a, "")
}

// logoutToken takes a token by which an application says that somebody has signed out there. It looks at no cookie: the
// token says who, and the answer, which the application's server gets, says nothing of them.
func (s *Server) logoutToken(c echo.Context) error {
	v := visitOf(c)
	if v.site.console {
		return refuse(http.StatusNotFound, notFound, errors.New("a signed logout at the console's address"))
	}
	f, err := s.readForm(c, maxLaunchForm)
	if err != nil {
		return err
	}
	_, bad, err := s.idp.LogoutToken(c.Request().Context(), f["token"], v.visitor())
	if err != nil {
		return fmt.Errorf("signed logout: %w", err)
	}
	if bad != nil {
		v.reason = bad.Reason
		return c.String(http.StatusBadRequest, "refused: "+bad.Reason+"\n")
	}
	return c.NoContent(http.StatusNoContent)
}

// origin is the one Origin header of a request. Several are none: which of them the browser has sent is not known.
func origin(r *http.Request) string {
	all := r.Header.Values("Origin")
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// confirmLaunch takes the click on the page that names who is about to be signed in.
func (s *Server) confirmLaunch(c echo.Context) error {
	return s.step(c, func(v *visit, id string, _ Fields) (idp.Answer, error) {
		a, err := s.idp.ConfirmLaunch(c.Request().Context(), id, v.visitor())
		if err != nil {
			return a, fmt.Errorf("confirm a signed launch: %w", err)
		}
		return a, nil
	})
}

type launchView struct {
	token
	Provider, Person, Contact, Account, Instead string
}

// showConfirmLaunch names who is about to be signed in. Without a cookie of this browser no form of ours can be sent.
func (s *Server) showConfirmLaunch(c echo.Context, v *visit, p idp.ConfirmLaunch) error {
	if v.browser == "" {
		return errors.New("the page of a launch is shown without a browser cookie")
	}
	return s.show(c, http.StatusOK, "launching", policy{}, launchView{token: s.token(v, p.SignIn),
		Provider: s.provider(p.Provider), Person: p.Person, Contact: p.Contact, Account: p.Account, Instead: p.Instead})
}
