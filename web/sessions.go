package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// ownSession is a session of the reader's as the page shows it. Times are told as
// ages, which need no time zone.
type ownSession struct {
	ID          string
	Here        bool
	Since, Seen string
}

// sessions lists the reader's own sessions, each with a button that ends it.
func (s *Server) sessions(c echo.Context) error {
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	ctx := c.Request().Context()
	login, in, err := s.idp.SignedIn(ctx, v.visitor())
	if err != nil {
		return fmt.Errorf("look who is signed in: %w", err)
	}
	if !in {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	all, err := s.idp.OwnSessions(ctx, v.visitor())
	if err != nil {
		return fmt.Errorf("list a person's sessions: %w", err)
	}
	view := struct {
		token
		Login    string
		Sessions []ownSession
		Others   bool // there are others than this one
		Factors  bool // there are second factors to look after
	}{token: s.token(v, ""), Login: login}
	if view.Factors, err = s.idp.FactorsOn(ctx, v.visitor()); err != nil {
		return fmt.Errorf("look whether there are second factors: %w", err)
	}
	now := s.now()
	for _, o := range all {
		view.Sessions = append(view.Sessions, ownSession{ID: o.ID, Here: o.Here, Since: s.age(c, now, o.Since),
			Seen: s.age(c, now, o.Seen)})
		view.Others = view.Others || !o.Here
	}
	return s.show(c, http.StatusOK, "sessions", policy{alone: true}, view)
}

// age is how long ago something was, at least a minute: the store keeps the last use
// no finer.
func (s *Server) age(c echo.Context, now, then time.Time) string {
	return s.in(c).texts.Duration(max(now.Sub(then), time.Minute))
}

// endSession ends one session of the reader's own, or all but this one. A session
// that is not theirs or over already is no error: the list shows how it is.
func (s *Server) endSession(c echo.Context) error {
	v := visitOf(c)
	f, err := s.form(c, v)
	if err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = "/sessions"
		}
		return err
	}
	ctx := c.Request().Context()
	if f["others"] == "1" {
		if err := s.idp.EndOtherSessions(ctx, v.visitor()); err != nil {
			return fmt.Errorf("end a person's other sessions: %w", err)
		}
		return c.Redirect(http.StatusSeeOther, "/sessions")
	}
	if !tokenText(f["session"]) {
		return refuse(http.StatusBadRequest, badForm, errors.New("no session named"))
	}
	here, err := s.idp.EndOwnSession(ctx, f["session"], v.visitor())
	if err != nil {
		return fmt.Errorf("end a person's session: %w", err)
	}
	if here {
		c.SetCookie(cleared(sessionCookie))
		return c.Redirect(http.StatusSeeOther, "/")
	}
	return c.Redirect(http.StatusSeeOther, "/sessions")
}
