package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
)

// sso takes an AuthnRequest by the Redirect or the POST binding. What is no top-level navigation is refused before
// anything of it is read: any page can make a browser send such requests, by any number of images, frames and fetches.
func (s *Server) sso(c echo.Context) error {
	if err := navigated(c); err != nil {
		return err
	}
	a, err := s.message(c, s.idp.SSO)
	if err != nil {
		return fmt.Errorf("take an authentication request: %w", err)
	}
	return s.answer(c, visitOf(c), a, "")
}

// message hands a SAML message to idp, whichever binding carries it. A post from
// another site comes without our Lax cookies. None is made then: it would replace
// the one that this browser has, and cut its pending sign-ins off. The answer sends
// the browser on by GET, which carries the cookies again (row WEB-03).
func (s *Server) message(c echo.Context, take func(context.Context, *http.Request, idp.Visitor) (idp.Answer,
	error)) (idp.Answer, error) {
	v := visitOf(c)
	if c.Request().Method == http.MethodPost {
		c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, maxSAMLBody)
	} else {
		if err := notAhead(c); err != nil {
			return idp.Answer{}, err
		}
		if err := s.ensureBrowser(c, v); err != nil {
			return idp.Answer{}, err
		}
	}
	return take(c.Request().Context(), c.Request(), v.visitor())
}

func (s *Server) launch(c echo.Context) error {
	return s.startBy(c, idp.LaunchRequest{}, "/launch")
}

// startBy is start for an address that may name who signs the person in. Nothing else of its query is looked at.
func (s *Server) startBy(c echo.Context, l idp.LaunchRequest, self string) error {
	if way := c.QueryParam(wayField); wayText(way) {
		l.Source = way
		self += "?" + url.Values{wayField: {way}}.Encode()
	}
	return s.start(c, l, self)
}

func (s *Server) launchAccount(c echo.Context) error {
	id, err := store.ParseAccountID(store.TrimTyped(c.Param("encoded_account_id")))
	if err != nil {
		return refuse(http.StatusNotFound, badLink, err)
	}
	return s.startBy(c, idp.LaunchRequest{Account: string(id)}, "/launch/"+url.PathEscape(string(id)))
}

// launchProvider starts a sign-in at a registered service provider. The RelayState
// is named by the id of an allowed one, never given (row WEB-04).
func (s *Server) launchProvider(c echo.Context) error {
	f, err := query(c)
	if err != nil {
		return err
	}
	l := idp.LaunchRequest{EntityID: f["entity_id"], RelayState: f["relay_state"]}
	if l.EntityID == "" || len(l.EntityID) > 1024 || len(l.RelayState) > 128 {
		return refuse(http.StatusBadRequest, badLink, errors.New("entity_id or relay_state missing or too long"))
	}
	again := url.Values{"entity_id": {l.EntityID}}
	if l.RelayState != "" {
		again.Set("relay_state", l.RelayState)
	}
	if way := f[wayField]; wayText(way) {
		l.Source = way
		again.Set(wayField, way)
	}
	return s.start(c, l, "/launch/sp?"+again.Encode())
}

// start is a launch; self is its own path, built anew from what was understood of it.
func (s *Server) start(c echo.Context, l idp.LaunchRequest, self string) error {
	if visitOf(c).site.console {
		return c.Redirect(http.StatusSeeOther, ConsoleHome) // nobody launches anything from there
	}
	if err := navigated(c); err != nil {
		return err
	}
	if s.confirm && c.Request().Header.Get("Sec-Fetch-Site") == "cross-site" {
		// Another site can make a browser sign in somebody who never asked for it. A click
		// on our own page comes from this site; self is no address from outside.
		return s.show(c, http.StatusOK, "confirm", policy{}, struct{ Self string }{self})
	}
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	a, err := s.idp.Launch(c.Request().Context(), l, v.visitor())
	if err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	return s.answer(c, v, a, self)
}

// navigated refuses what is no top-level navigation. In a frame, or
// fetched by a script, it would sign somebody in without their seeing it. Browsers
// that send no such headers get the frame refused by the framing headers alone.
func navigated(c echo.Context) error {
	h := c.Request().Header
	mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest")
	if mode != "" && mode != "navigate" || dest != "" && dest != "document" {
		return refuse(http.StatusForbidden, framed, fmt.Errorf("a start with mode %.20q into %.20q", mode, dest))
	}
	return notAhead(c)
}

// notAhead refuses what a browser asks for before the person does: it would start
// or use up a sign-in that nobody asked for. An error status makes the browser ask
// again when the person does.
func notAhead(c echo.Context) error {
	h := c.Request().Header
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		v := strings.ToLower(h.Get(name))
		if strings.HasPrefix(v, "prefetch") || strings.HasPrefix(v, "preview") || strings.HasPrefix(v, "prerender") {
			return refuse(http.StatusForbidden, prefetched, fmt.Errorf("%s: %.30q", name, v))
		}
	}
	return nil
}

// resume shows a pending sign-in where it stands. Without one it is a launch: people
// keep the address of the login page as a bookmark.
func (s *Server) resume(c echo.Context) error {
	f, err := query(c)
	if err != nil {
		return err
	}
	id, started := f["t"]
	if _, named := f["s"]; !named && !started {
		return s.startBy(c, idp.LaunchRequest{}, "/launch")
	}
	way, chosen := f[wayField]
	if chosen {
		if !wayText(way) {
			return refuse(http.StatusBadRequest, badLink, errors.New("the link names no source"))
		}
		delete(f, wayField)
		// It leads to a source's own sign-in: by a page of another site, or in a frame, nobody has chosen it.
		if err := navigated(c); err != nil {
			return err
		}
	}
	if err := notAhead(c); err != nil {
		return err
	}
	if started {
		if !tokenText(id) || len(f) > 1 {
			return refuse(http.StatusBadRequest, badLink, errNoSignIn)
		}
		return s.resumeStarted(c, id, way)
	}
	if id, err = linkedID(f); err != nil {
		return err
	}
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	return s.goOnBy(c, v, id, way, loginPath(id))
}

// wayField names in an address who signs the person in: a source, or "directory" for the form.
const wayField = "source"

// wayText tells whether a text can name a source.
func wayText(way string) bool { return idp.IsWay(way) }

// goOnBy goes on with a pending sign-in; way is what the person has chosen to sign in with, "" for nothing.
func (s *Server) goOnBy(c echo.Context, v *visit, handle, way, self string) error {
	if way == "" {
		a, err := s.idp.Resume(c.Request().Context(), handle, v.visitor())
		if err != nil {
			return fmt.Errorf("go on with a sign-in: %w", err)
		}
		return s.answer(c, v, a, self)
	}
	a, err := s.idp.SignInAt(c.Request().Context(), handle, way, v.visitor())
	if err != nil {
		return fmt.Errorf("go on with a sign-in at a source: %w", err)
	}
	keepWay(c, way)
	return s.answer(c, v, a, self)
}

// leaveFor sends the browser to a source's own sign-in. What answers a form is a page that leads on by itself: Chromium
// checks a page's form-action against all redirects that follow its form, those behind an address of ours too. What a
// page of ours leads to is none of a form's.
func (s *Server) leaveFor(c echo.Context, p idp.LeaveFor) error {
	// idp names only addresses of the configuration. That none of them is a script or goes out unencrypted is checked
	// here once more, where it would do the harm.
	if err := safeAddress(p.Address); err != nil {
		return fmt.Errorf("leave for source %s: %w", p.Source, err)
	}
	// The sign-in is kept for when the browser comes back.
	if id, text, sealed := strings.Cut(p.SignIn, "."); sealed {
		if len(text) > maxStartText {
			return fmt.Errorf("leave for source %s: the sign-in is too long for a cookie", p.Source)
		}
		s.keepStarted(c, startedCookie{id: id, text: text}, s.startLife)
	}
	if c.Request().Method == http.MethodPost {
		on := loginPath(p.SignIn) + "&" + wayField + "=" + url.QueryEscape(p.Source)
		return s.show(c, http.StatusOK, "goon", policy{}, goOnView{On: on})
	}
	return c.Redirect(http.StatusSeeOther, p.Address)
}

func (s *Server) login(c echo.Context) error {
	return s.step(c, func(v *visit, id string, f Fields) (idp.Answer, error) {
		// Spaces around a login name come from pasting; in a password they may be meant.
		login := strings.TrimSpace(f["login"])
		a, err := s.idp.Login(c.Request().Context(), id, login, f["password"], v.visitor())
		if err != nil {
			return a, fmt.Errorf("log in: %w", err)
		}
		if s.remember && a.NewSession != "" {
			rememberLogin(c, login, f["remember"] == "1")
		}
		return a, nil
	})
}

// changePassword takes the form of an expired password. What stands in its fields is as in a login's.
func (s *Server) changePassword(c echo.Context) error {
	return s.step(c, func(v *visit, id string, f Fields) (idp.Answer, error) {
		change := idp.PasswordChange{Login: strings.TrimSpace(f["login"]), Old: f["password"], New: f["new"],
			Again: f["again"]}
		a, err := s.idp.ChangePassword(c.Request().Context(), id, change, v.visitor())
		if err != nil {
			return a, fmt.Errorf("change a password: %w", err)
		}
		return a, nil
	})
}

func (s *Server) choose(c echo.Context) error {
	return s.step(c, func(v *visit, id string, f Fields) (idp.Answer, error) {
		account, err := store.ParseAccountID(store.TrimTyped(f["account"]))
		if err != nil {
			return idp.Answer{}, refuse(http.StatusBadRequest, badForm, err).goOnWith(c, id)
		}
		a, err := s.idp.Choose(c.Request().Context(), id, string(account), v.visitor())
		if err != nil {
			return a, fmt.Errorf("choose a client account: %w", err)
		}
		keepRecent(c, string(account))
		return a, nil
	})
}

func (s *Server) cancel(c echo.Context) error {
	return s.step(c, func(v *visit, id string, _ Fields) (idp.Answer, error) {
		a, err := s.idp.Cancel(c.Request().Context(), id, v.visitor())
		if err != nil {
			return a, fmt.Errorf("cancel a sign-in: %w", err)
		}
		return a, nil
	})
}

// step is a posted form that goes on with a pending sign-in.
func (s *Server) step(c echo.Context, do func(*visit, string, Fields) (idp.Answer, error)) error {
	v := visitOf(c)
	f, err := s.form(c, v)
	if err != nil {
		return err
	}
	id, err := signInID(f)
	if err != nil {
		return err
	}
	v.own = ownToken(c.Request(), id)
	a, err := do(v, id, f)
	if err != nil {
		return err
	}
	return s.answer(c, v, a, loginPath(id))
}

// ensureBrowser gives a browser its cookie, which ties pending sign-ins to it and
// from which the form tokens are derived.
func (s *Server) ensureBrowser(c echo.Context, v *visit) error {
	if v.browser != "" {
		return nil
	}
	token, err := newToken(s.random)
	if err != nil {
		return fmt.Errorf("make a browser cookie: %w", err)
	}
	v.browser = token
	c.SetCookie(cookie(browserCookie, token, browserLife))
	return nil
}
