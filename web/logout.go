package web

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/idp/netname"
)

// slo takes a message of single logout by the Redirect or the POST binding.
func (s *Server) slo(c echo.Context) error {
	a, err := s.message(c, s.idp.SLO)
	if err != nil {
		return fmt.Errorf("take a message of single logout: %w", err)
	}
	return s.answer(c, visitOf(c), a, "")
}

// logoutPath shows a running single logout.
func logoutPath(id string) string { return "/logout/all?l=" + url.QueryEscape(id) }

// logoutID is the running logout that a form or link names.
func logoutID(f Fields) (string, error) {
	if id := f["l"]; tokenText(id) {
		return id, nil
	}
	return "", refuse(http.StatusBadRequest, badLink, errors.New("no logout named"))
}

// logoutStep is a page of a running single logout. Each has a GET of its own: a form
// may not lead to another origin under our policy (row WEB-05), a link may.
func (s *Server) logoutStep(do func(c echo.Context, id string, f Fields, v idp.Visitor) (idp.Answer,
	error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		f, err := query(c)
		if err != nil {
			return err
		}
		id, err := logoutID(f)
		if err != nil {
			return err
		}
		if err := notAhead(c); err != nil {
			return err
		}
		v := visitOf(c)
		if err := s.ensureBrowser(c, v); err != nil {
			return err
		}
		a, err := do(c, id, f, v.visitor())
		if err != nil {
			return fmt.Errorf("go on with a single logout: %w", err)
		}
		return s.answer(c, v, a, logoutPath(id))
	}
}

func (s *Server) logoutPage(c echo.Context, id string, _ Fields, v idp.Visitor) (idp.Answer, error) {
	return s.idp.LogoutPage(c.Request().Context(), id, v)
}

func (s *Server) logoutNext(c echo.Context, id string, f Fields, v idp.Visitor) (idp.Answer, error) {
	past := -1
	if text, given := f["past"]; given {
		var err error
		if past, err = strconv.Atoi(text); err != nil {
			return idp.Answer{}, refuse(http.StatusBadRequest, badLink, errors.New("past is no number"))
		}
	}
	return s.idp.NextLogout(c.Request().Context(), id, past, v)
}

func (s *Server) logoutBack(c echo.Context, id string, _ Fields, v idp.Visitor) (idp.Answer, error) {
	return s.idp.EndLogout(c.Request().Context(), id, v)
}

// logoutSkip leaves the service out that the posted form names.
func (s *Server) logoutSkip(c echo.Context) error {
	v := visitOf(c)
	f, err := s.form(c, v)
	if err != nil {
		return err
	}
	id, err := logoutID(f)
	if err != nil {
		return err
	}
	step, err := strconv.Atoi(f["step"])
	if err != nil {
		return refuse(http.StatusBadRequest, badForm, errors.New("no step named"))
	}
	a, err := s.idp.SkipLogout(c.Request().Context(), id, step, v.visitor())
	if err != nil {
		return fmt.Errorf("skip a service: %w", err)
	}
	return s.answer(c, v, a, logoutPath(id))
}

// service is a line of the list of services.
type service struct{ Name, State, Class string }

// services puts the states into words.
func (s *Server) services(c echo.Context, list []idp.Service) []service {
	texts := s.in(c).texts
	var all []service
	for _, one := range list {
		all = append(all, service{Name: s.provider(one.Name), State: texts.serviceState(string(one.State)),
			Class: serviceClass(one.State)})
	}
	return all
}

// serviceClass is how a line looks; the words beside it say the same.
func serviceClass(state idp.ServiceState) string {
	switch state {
	case idp.LoggedOut:
		return "done"
	case idp.Asked:
		return "now"
	case idp.ToBeAsked:
		return "next"
	}
	return "open"
}

type signingOutView struct {
	token
	Services []service
	Provider string // who asked for it, "" for the person
	Next     string
	Step     int
	Waiting  bool // the next one was asked already
	Refresh  int  // seconds
	Logout   string
	On       string // path
}

func (s *Server) showSigningOut(c echo.Context, v *visit, p idp.SigningOut) error {
	view := signingOutView{
		token: s.token(v, ""), Services: s.services(c, p.Services), Provider: p.Provider,
		Next: s.provider(p.Next), Step: p.Step,
		Logout: p.Logout, On: "/logout/next?l=" + url.QueryEscape(p.Logout),
		Refresh: int(math.Ceil(float64(max(p.Pause, time.Second)) / float64(time.Second))),
	}
	for _, one := range p.Services {
		view.Waiting = view.Waiting || one.State == idp.Asked
	}
	if view.Waiting {
		view.On += "&past=" + strconv.Itoa(p.Step) // to go on is to give that one up
	}
	return s.show(c, http.StatusOK, "signingout", policy{script: true}, view)
}

func (s *Server) showSignedOut(c echo.Context, p idp.SignedOut) error {
	view := struct {
		Services []service
		Open     bool // somewhere the person is still signed in, or may be
		Provider string
		Back     string // path, "" when nobody waits for an answer
		Start    string // path to begin anew
		// Elsewhere is the address at which one signs out at the provider that had signed the person in; "" for none.
		Elsewhere, ElsewhereName string
	}{Services: s.services(c, p.Services), Provider: p.Provider, Start: visitOf(c).site.start()}
	for _, one := range p.Services {
		view.Open = view.Open || one.State != idp.LoggedOut
	}
	if p.Elsewhere != "" {
		// A link, no redirect: the address is the provider's own by discovery, and the person decides.
		if err := safeAddress(p.Elsewhere); err != nil {
			return err
		}
		view.Elsewhere, view.ElsewhereName = p.Elsewhere, p.ElsewhereName
	}
	if p.Logout != "" {
		view.Back = "/logout/back?l=" + url.QueryEscape(p.Logout)
	}
	visitOf(c).unreferenced = !view.Open
	// The way back is one of a service provider that may have opened this window.
	return s.show(c, http.StatusOK, "signedout", policy{alone: len(p.Services) == 0 && p.Logout == ""}, view)
}

// leave sends the browser to a service provider with a message in the query. idp
// names only registered addresses; that none is a script or goes out unencrypted is
// checked here once more.
func (s *Server) leave(c echo.Context, p idp.RedirectMessage) error {
	if err := safeAddress(p.URL); err != nil {
		return err
	}
	return c.Redirect(http.StatusFound, p.URL)
}

type carryView struct {
	Action     string
	Parameter  string
	Message    template.HTMLAttr // value="…", see base64Value
	RelayState *string
	Provider   string
	Self       string
}

// carry posts a message of single logout by the person's browser (saml-bindings 3.5.4).
func (s *Server) carry(c echo.Context, p idp.PostMessage, self string) error {
	if err := safeAddress(p.Action); err != nil {
		return err
	}
	if p.Parameter != "SAMLRequest" && p.Parameter != "SAMLResponse" {
		return fmt.Errorf("carry a message: parameter %.20q", p.Parameter)
	}
	value, err := base64Value(p.Message)
	if err != nil {
		return fmt.Errorf("carry a message: %w", err)
	}
	return s.show(c, http.StatusOK, "carry", policy{script: true, postsAway: true}, carryView{
		Action: p.Action, Parameter: p.Parameter, Message: value, RelayState: p.RelayState, Provider: s.provider(p.Provider),
		Self: ownPath(self),
	})
}

// safeAddress accepts what a browser may be sent to with a SAML message.
func safeAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !netname.Loopback(u.Hostname())) {
		// Without the query: it may hold a message.
		cut, _, _ := strings.Cut(address, "?")
		return fmt.Errorf("send to %.200q: not an https address", cut)
	}
	return nil
}
