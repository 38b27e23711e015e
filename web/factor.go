package web

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/idp/mfa"
)

// factor takes a second factor in the middle of a sign-in.
func (s *Server) factor(c echo.Context) error {
	return s.step(c, func(v *visit, id string, f Fields) (idp.Answer, error) {
		proof := idp.FactorProof{Code: f["code"], Credential: f["credential"], Invite: f["invite"], State: f["state"]}
		a, err := s.idp.ProveFactor(c.Request().Context(), id, proof, v.visitor())
		if err != nil {
			return a, fmt.Errorf("prove a second factor: %w", err)
		}
		return a, nil
	})
}

// enrol takes a new second factor.
func (s *Server) enrol(c echo.Context) error {
	return s.step(c, func(v *visit, id string, f Fields) (idp.Answer, error) {
		sent := idp.FactorEnrolment{Code: f["code"], Credential: f["credential"], Invite: f["invite"], State: f["state"],
			Later: f["later"] == "1"}
		a, err := s.idp.EnrolFactor(c.Request().Context(), id, sent, v.visitor())
		if err != nil {
			return a, fmt.Errorf("enrol a second factor: %w", err)
		}
		return a, nil
	})
}

// factors is the page on which people look after their own second factors.
func (s *Server) factors(c echo.Context) error {
	if err := notAhead(c); err != nil {
		return err
	}
	v := visitOf(c)
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	a, err := s.idp.OwnFactors(c.Request().Context(), v.visitor())
	if err != nil {
		return fmt.Errorf("show a person's second factors: %w", err)
	}
	return s.answer(c, v, a, ownFactorsPath)
}

const ownFactorsPath = "/factors"

// changeFactors removes, renews or begins to add one.
func (s *Server) changeFactors(c echo.Context) error {
	v := visitOf(c)
	f, err := s.form(c, v)
	if err != nil {
		if r := (*refusal)(nil); errors.As(err, &r) {
			r.again = ownFactorsPath
		}
		return err
	}
	change := idp.FactorChange{Remove: f["remove"], Renew: f["renew"] == "1", Add: f["add"] == "1"}
	if change.Remove != "" && !tokenText(change.Remove) {
		return refuse(http.StatusBadRequest, badForm, errors.New("no factor named"))
	}
	a, err := s.idp.ChangeOwnFactors(c.Request().Context(), change, v.visitor())
	if err != nil {
		return fmt.Errorf("change a person's second factors: %w", err)
	}
	return s.answer(c, v, a, ownFactorsPath)
}

// factorView is what both pages of a sign-in show.
type factorView struct {
	token
	Provider, Login string
	Action          string // of its forms; names the sign-in, so that a reload by Enter comes back to it
	State           string
	Passkey         string // options for the browser, JSON
	Problem         string // text
	CanCancel       bool

	Code      bool        // asks for an authenticator app's code, beside recovery codes
	Added     []ownFactor // that nobody has confirmed yet
	Elsewhere bool        // has passkeys that belong to another host

	Secret                    []string     // in groups of four
	Picture                   template.URL // of the secret
	App                       template.URL // opens the app on the same device
	Invited, Optional, Adding bool
	Invite                    string
	WrongInvite, WrongProof   bool
}

// problemOf is the text of a second factor's problem, and the status that goes with it.
func (s *Server) problemOf(c echo.Context, v *visit, problem string) (string, int) {
	if problem == "" {
		return "", http.StatusOK
	}
	v.reason = problem
	return s.in(c).texts.problem(problem).Text, http.StatusUnprocessableEntity
}

func (s *Server) showFactor(c echo.Context, v *visit, p idp.AskFactor) error {
	text, status := s.problemOf(c, v, p.Problem)
	view := factorView{
		token: s.token(v, p.SignIn), Provider: s.provider(p.Provider), Login: p.Login, State: p.State,
		Action:  stepPath("/login/factor", p.SignIn),
		Passkey: p.Passkey, Problem: text, CanCancel: p.CanCancel, Code: p.Code, Elsewhere: p.Elsewhere,
		Invited: p.Invited, Invite: p.Invite, WrongInvite: p.Problem == idp.FactorInvite,
	}
	var err error
	if view.Added, err = s.added(c, p.Added); err != nil {
		return err
	}
	return s.show(c, status, "factor", policy{script: p.Passkey != ""}, view)
}

// added are factors as a page shows that they were added.
func (s *Server) added(c echo.Context, factors []mfa.Factor) (all []ownFactor, err error) {
	for _, f := range factors {
		name, err := s.in(c).texts.Word("factor." + f.Kind)
		if err != nil {
			return nil, err
		}
		all = append(all, ownFactor{ID: f.ID, Name: name, Added: s.age(c, s.now(), f.Added)})
	}
	return all, nil
}

// showNotice tells somebody after a login which factors were added.
func (s *Server) showNotice(c echo.Context, p idp.FactorNotice) error {
	all, err := s.added(c, p.Factors)
	if err != nil {
		return err
	}
	return s.show(c, http.StatusOK, "notice", policy{}, struct {
		Added       []ownFactor
		Login, Next string
	}{all, p.Login, loginPath(p.SignIn)})
}

// showWrongCodes tells of wrong second factors once, on the way of a sign-in.
func (s *Server) showWrongCodes(c echo.Context, p idp.WrongCodes) error {
	return s.show(c, http.StatusOK, "wrongcodes", policy{}, struct{ Provider, Text, Next string }{
		s.provider(p.Provider), s.in(c).texts.text("wrongcodes.text", "count", p.Count, "age", s.age(c, s.now(), p.Last)),
		loginPath(p.SignIn),
	})
}

func (s *Server) showEnrolment(c echo.Context, v *visit, p idp.EnrolFactor) error {
	// The picture is drawn by idp; that it is one is checked where it would do the harm.
	picture, ok := strings.CutPrefix(p.Picture, "data:image/png;base64,")
	if _, err := base64Value(picture); !ok || err != nil {
		return errors.New("enrol a second factor: the picture of its secret is none")
	}
	text, status := s.problemOf(c, v, p.Problem)
	view := factorView{
		token: s.token(v, p.SignIn), Provider: s.provider(p.Provider), Login: p.Login, State: p.State,
		Action:  stepPath("/login/factor/enrol", p.SignIn),
		Passkey: p.Passkey, Problem: text, CanCancel: p.CanCancel, App: appLink(p.Address),
		Picture: template.URL(p.Picture), // #nosec G203: checked above
		Invited: p.Invited, Invite: p.Invite, Optional: p.Optional, Adding: p.Adding,
		WrongInvite: p.Problem == idp.FactorInvite, WrongProof: p.Problem == idp.FactorWrong,
	}
	for secret := p.Secret; secret != ""; secret = secret[min(4, len(secret)):] {
		view.Secret = append(view.Secret, secret[:min(4, len(secret))])
	}
	return s.show(c, status, "enrol", policy{script: p.Passkey != "", pictures: true}, view)
}

// appLink is the address that opens an authenticator app on the same device: one that only such apps answer to.
func appLink(address string) template.URL {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" {
		return ""
	}
	return template.URL(u.String()) // #nosec G203: its scheme was checked
}

func (s *Server) showRecovery(c echo.Context, p idp.RecoveryCodes) error {
	next := ownFactorsPath
	if p.SignIn != "" {
		next = loginPath(p.SignIn)
	}
	return s.show(c, http.StatusOK, "recovery", policy{script: true}, struct {
		Codes []string
		Next  string
	}{p.Codes, next})
}

// ownFactor is one of the reader's factors as the page shows it.
type ownFactor struct {
	ID          string
	Name        string
	Added, Used string // ages; "": never
	Left        int    // recovery codes
	Spare       bool   // it is the recovery codes
	Damaged     bool
}

func (s *Server) showOwnFactors(c echo.Context, v *visit, p idp.OwnFactors) error {
	text, status := s.problemOf(c, v, p.Problem)
	view := struct {
		token
		Login   string
		Problem string
		Factors []ownFactor
		Spare   *ownFactor
	}{token: s.token(v, ""), Login: p.Login, Problem: text}
	now := s.now()
	texts := s.in(c).texts
	for _, f := range p.Factors {
		name, err := texts.Word("factor." + f.Kind)
		if err != nil {
			return err
		}
		own := ownFactor{ID: f.ID, Name: name, Added: s.age(c, now, f.Added), Left: f.Left, Spare: f.Kind == mfa.RecoveryCode,
			Damaged: f.Damaged}
		if !f.Used.IsZero() {
			own.Used = s.age(c, now, f.Used)
		}
		if own.Spare {
			view.Spare = &own
			continue
		}
		view.Factors = append(view.Factors, own)
	}
	return s.show(c, status, "factors", policy{alone: true}, view)
}
