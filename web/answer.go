package web

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/provisioning"
)

// answer renders what idp answered: cookies first, then the page. self is the path
// of ours that shows where this sign-in stands when asked again, "" for none.
func (s *Server) answer(c echo.Context, v *visit, a idp.Answer, self string) error {
	switch {
	case a.NewSession != "":
		c.SetCookie(cookie(sessionCookie, a.NewSession, s.life))
		if v.browser != "" {
			// The year of the browser cookie counts from the last login.
			c.SetCookie(cookie(browserCookie, v.browser, browserLife))
		}
	case a.EndSession:
		c.SetCookie(cleared(sessionCookie))
	}

	switch p := a.Page.(type) {
	case idp.GoOn:
		return s.goOn(c, v, p)
	case idp.LeaveFor:
		return s.leaveFor(c, p)
	case idp.AskPassword:
		s.keepForSources(c, p)
		return s.showLogin(c, v, p)
	case idp.AskFactor:
		return s.showFactor(c, v, p)
	case idp.FactorNotice:
		return s.showNotice(c, p)
	case idp.WrongCodes:
		return s.showWrongCodes(c, p)
	case idp.EnrolFactor:
		return s.showEnrolment(c, v, p)
	case idp.RecoveryCodes:
		return s.showRecovery(c, p)
	case idp.OwnFactors:
		return s.showOwnFactors(c, v, p)
	case idp.AccountPage:
		return c.Redirect(http.StatusSeeOther, ownFactorsPath)
	case idp.ConfirmLaunch:
		s.renewStarted(c, p.SignIn)
		return s.showConfirmLaunch(c, v, p)
	case idp.ChooseAccount:
		return s.showChoice(c, v, p)
	case idp.Waiting:
		return s.showWaiting(c, v, p)
	case idp.Deliver:
		return s.showDelivery(c, p, self)
	case idp.Refusal:
		s.renewStarted(c, p.SignIn)
		return s.showIdPRefusal(c, v, p, self)
	case idp.Finished:
		return s.showFinished(c, p)
	case idp.SignedOut:
		return s.showSignedOut(c, p)
	case idp.Entered:
		path := ownPath(p.Path)
		if !strings.HasPrefix(path, ConsoleHome) {
			path = ConsoleHome
		}
		return c.Redirect(http.StatusSeeOther, path)
	case idp.OrderForm:
		return s.showOrderForm(c, v, p)
	case idp.OrderStands:
		return s.showOrder(c, p)
	case idp.OrderReady:
		return s.leadToOrdered(c, p)
	case idp.OrderPage:
		return s.leadToOrder(c, p)
	case idp.LogoutGoOn:
		if p.Logout == "" {
			return c.Redirect(http.StatusSeeOther, "/logout")
		}
		return c.Redirect(http.StatusSeeOther, logoutPath(p.Logout))
	case idp.SigningOut:
		return s.showSigningOut(c, v, p)
	case idp.RedirectMessage:
		return s.leave(c, p)
	case idp.PostMessage:
		return s.carry(c, p, self)
	}
	return fmt.Errorf("idp answered with %T, which no page shows", a.Page)
}

// token is what each form of a pending sign-in carries.
type token struct{ SignIn, CSRF string }

// handle names the sign-in that a page shows.
func (t token) handle() string { return t.SignIn }

func (s *Server) token(v *visit, signIn string) token {
	if v.preview != nil { // nothing is sent from there
		return token{}
	}
	return token{SignIn: signIn, CSRF: s.csrfToken(v.browser)}
}

type loginView struct {
	token
	MayRemember, Remembered bool   // the login name, in this browser
	Said                    string // by the directory about a new password
	WrongNew                bool   // the new password was refused
	Provider                string
	Login                   string
	Problem                 string // text, "" the first time
	Link                    string // which link helps: linkForgot, linkHelp or ""
	CanCancel               bool
	Sources                 []sourceLink
	Form                    bool // asks for a password
	ByDomain                bool // which can stay empty
}

// sourceLink leads to a source's own sign-in.
type sourceLink struct {
	Href, Label string
	Last        bool // it signed somebody in last in this browser
}

// sourceLinks are those of a page, the one of the last time first. The sealed text of a sign-in stands in none: it is
// in a cookie.
func sourceLinks(r *http.Request, p idp.AskPassword) (all []sourceLink) {
	last := rememberedWay(r)
	for _, s := range p.Sources {
		link := sourceLink{Href: loginPath(p.SignIn) + "&" + wayField + "=" + url.QueryEscape(s.Source), Label: s.Label,
			Last: s.Source == last}
		if link.Last {
			all = append([]sourceLink{link}, all...)
			continue
		}
		all = append(all, link)
	}
	return all
}

// keepForSources keeps a started sign-in for the links to sources, also where the page came by a form.
func (s *Server) keepForSources(c echo.Context, p idp.AskPassword) {
	if id, text, sealed := strings.Cut(p.SignIn, "."); sealed && len(p.Sources) > 0 && len(text) <= maxStartText {
		s.keepStarted(c, startedCookie{id: id, text: text}, s.startLife)
		return
	}
	s.renewStarted(c, p.SignIn)
}

func (s *Server) showLogin(c echo.Context, v *visit, p idp.AskPassword) error {
	view := loginView{token: s.token(v, p.SignIn), Provider: s.provider(p.Provider), Login: p.Login,
		CanCancel: p.CanCancel, Sources: sourceLinks(c.Request(), p), Form: !p.NoPassword, ByDomain: p.ByDomain}
	if view.MayRemember = s.remember; view.MayRemember {
		name := rememberedLogin(c.Request())
		view.Remembered = name != ""
		if p.Problem == "" {
			view.Login = cmp.Or(view.Login, name)
		}
	}
	status := http.StatusOK
	if p.Problem != "" {
		texts := s.in(c).texts
		said := texts.problem(string(p.Problem), "provider", view.Provider)
		view.Problem, view.Link = said.Text, said.Link
		// 422: the form was understood, what stands in it is refused. Not 401, which would
		// have to name an HTTP authentication scheme.
		status = http.StatusUnprocessableEntity
		if said.Status != 0 {
			status = said.Status
		}
		v.reason = string(p.Problem)
	}
	retryLater(c, status)
	if p.Change {
		view.Said, view.WrongNew = p.Said, p.NewRefused()
		return s.show(c, status, "password", policy{script: true}, view)
	}
	return s.show(c, status, "login", policy{script: true}, view)
}

type choiceView struct {
	token
	Provider, Person string
	Choices          []choice
	Many             bool // more than one page shows: they are searched, and shown page by page
	Part             ListPart
	All              string // address of the whole list
	CanCancel        bool
}

type choice struct {
	Account, Name, Role string
	Recent              bool // chosen last in this browser
}

// choicesShown is how many accounts a page offers.
const choicesShown = 25

// showChoice offers the person's accounts. What is searched for and the number of the page only choose what is shown:
// whichever account the form then names is compared with the person's assignments.
func (s *Server) showChoice(c echo.Context, v *visit, p idp.ChooseAccount) error {
	view := choiceView{token: s.token(v, p.SignIn), Provider: s.provider(p.Provider), Person: p.Person,
		CanCancel: p.CanCancel}
	recent := recentAccounts(c.Request())
	choices := recentFirst(p.Choices, recent)
	if view.Many = len(choices) > choicesShown; view.Many {
		view.All = loginPath(p.SignIn)
		find, fits := SearchText(c.QueryParam("find")), Finder(SearchText(c.QueryParam("find")))
		choices = slices.DeleteFunc(slices.Clone(choices), func(a provisioning.Assignment) bool {
			return !fits(a.Name,
				string(a.Account))
		})
		view.Part = PartOf(len(choices), choicesShown, c.QueryParam("page"), find, func(page string) string {
			return withQuery(view.All, "find", find, "page", page)
		})
		choices = CutPart(choices, view.Part)
	}
	for _, a := range choices {
		name := a.Name
		if name == "" {
			name = string(a.Account)
		}
		view.Choices = append(view.Choices, choice{Account: string(a.Account), Name: name, Role: s.in(c).texts.Role(a.Role),
			Recent: slices.Contains(recent, string(a.Account))})
	}
	return s.show(c, http.StatusOK, "choose", policy{}, view)
}

type deliveryView struct {
	Action     string
	message    string // base64, see checkBase64
	RelayState *string
	Provider   string
	Self       string
}

// showDelivery posts the Response by the person's browser (saml-bindings 3.5.4). The
// page works without script, by its button.
func (s *Server) showDelivery(c echo.Context, p idp.Deliver, self string) error {
	// idp names only registered addresses. That none of them is a script or goes out
	// unencrypted is checked here once more, where it would do the harm.
	if err := safeAddress(p.Action); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	if err := checkBase64(p.SAMLResponse); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	visitOf(c).issued = p
	return s.deliver(c, deliveryView{
		Action: p.Action, message: p.SAMLResponse, RelayState: p.RelayState, Provider: s.provider(p.Provider),
		Self: ownPath(self),
	})
}

// Response is the attribute that holds it.
func (v deliveryView) Response() template.HTMLAttr {
	return template.HTMLAttr(`value="` + v.message + `"`) // #nosec G203: checkBase64 has checked every byte
}

// base64Value is the attribute that holds a message of ours.
func base64Value(text string) (template.HTMLAttr, error) {
	if err := checkBase64(text); err != nil {
		return "", err
	}
	return template.HTMLAttr(`value="` + text + `"`), nil // #nosec G203: every byte was checked
}

// checkBase64 refuses a message that is not base64. A Response is by far the longest text of any page; its alphabet is
// checked here, and then has nothing that HTML would read as anything but itself, so that it need not be escaped letter
// by letter.
func checkBase64(text string) error {
	var other byte
	for i := range len(text) {
		other |= otherThanBase64[text[i]] // no branch for each byte
	}
	if other != 0 {
		return errors.New("the message is not base64")
	}
	return nil
}

// otherThanBase64 is 0 for each byte that stands in base64 (RFC 4648 section 4), and 1 for all others.
var otherThanBase64 = func() (other [256]byte) {
	for i := range other {
		other[i] = 1
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
		other[c] = 0
	}
	return other
}()

type refusalView struct {
	token
	Reason   string
	Provider string
	Source   string // who was to sign the person in, "" where that is not known
	Again    string // path of ours, "" for none
	Retry    bool   // again by the form of a started sign-in, which may have no address
	Cancel   bool
	SignOut  bool   // a message of single logout was refused, and the person may still be signed in
	Wait     string // for how long it stays so, in words
	Host     string // that a request asked for
	Order    bool   // the person may order a client account
	Others   string // path of ours on which the person chooses another account; "" for none
	Person   bool   // signing out, to come as somebody else, is a way on
	// filled by showRefusal
	Title, Text, Do, Link, Ref string
}

func (s *Server) showIdPRefusal(c echo.Context, v *visit, p idp.Refusal, self string) error {
	view := refusalView{token: s.token(v, p.SignIn), Reason: p.Reason, Provider: p.Provider,
		Source: p.Source}
	view.Wait = s.in(c).texts.text("duration.unknown")
	if p.Wait > 0 {
		view.Wait = s.in(c).texts.Duration(max(p.Wait, time.Minute))
	}
	if p.Retry {
		view.Again = ownPath(self)
		if p.SignIn != "" {
			view.Again = loginPath(p.SignIn)
		}
		if strings.Contains(p.SignIn, ".") {
			view.Again, view.Retry = "", v.browser != ""
		}
	}
	view.SignOut, view.Order = p.SignOut, p.Order && s.selfService
	// Without the browser cookie (a posted AuthnRequest) no form of ours can be sent.
	view.Cancel = p.CanCancel && p.SignIn != "" && v.browser != ""
	v.reason = p.Reason
	status := p.Status
	if status < 400 || status > 599 {
		status = http.StatusForbidden
	}
	retryLater(c, status)
	return s.showRefusal(c, v, view, status)
}

// showRefusal puts a reason into words. The reference id stands on the page and in
// the log line, the cause only there.
func (s *Server) showRefusal(c echo.Context, v *visit, view refusalView, status int) error {
	s.refusedFor(c, v, view.Reason)
	texts := s.in(c).texts
	explain := texts.reason
	switch {
	case view.SignOut:
		explain = texts.signOut
	case view.Source != "":
		explain = texts.ofProvider
	}
	// Nobody is named who may not have sent the person here.
	provider := cmp.Or(view.Provider, texts.text("asker"))
	said := explain(view.Reason, "provider", provider, "wait", view.Wait, "host", view.Host,
		"address", v.site.url.String(), "source", cmp.Or(view.Source, texts.text("source")))
	view.Title, view.Text, view.Do = said.Title, said.Text, said.Do
	view.Link, view.Ref, view.Provider = said.Link, v.ref, provider
	if v.session != "" && !view.SignOut && !v.site.console { // somebody is signed in, as far as the browser says
		view.Person = said.Person
		if said.Others {
			view.Others = "/launch"
		}
	}
	if said.Start {
		view.Again, view.Retry = v.site.start(), false // the same sign-in again would be refused again
	}
	return s.show(c, status, "refusal", policy{}, view)
}

func (s *Server) showFinished(c echo.Context, p idp.Finished) error {
	again := ownPath(p.Again)
	if again == "" {
		again = visitOf(c).site.start()
	}
	return s.show(c, http.StatusOK, "finished", policy{}, struct{ Again string }{again})
}

// ownPath accepts a path of this host and nothing that a browser would take for
// another one ("//host", "/\host"): no page of ours links elsewhere on somebody
// else's word (row WEB-04).
func ownPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return ""
	}
	return path
}

// provider is the name of the service provider as people know it.
func (s *Server) provider(name string) string {
	if name == "" {
		return s.pages.brand.ProductName
	}
	return name
}
