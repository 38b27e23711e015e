package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/web/texts"
)

// language is the pages in one language.
type language struct {
	texts Catalogue
	pages *pages
}

// loadLanguages makes the pages of every language, and who chooses among them.
func loadLanguages(b Branding, assets Assets) ([]language, *texts.Chooser, error) {
	var all []language
	for _, lang := range languages {
		c, err := loadCatalogue(lang)
		if err != nil {
			return nil, nil, err
		}
		c = c.WithBrand(b)
		p, err := loadPages(c, b, assets)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, language{c, p})
	}
	return all, texts.NewChooser(languages), nil
}

// languageCookie holds the language that somebody chose on a page: one of languages.
const languageCookie = "__Host-ssobridge_language"

// languageRoute takes the choice of a language.
const languageRoute = "/language"

// languageOf is what somebody chose in this browser, or what the browser asks for, as far as there is such a language.
func (s *Server) languageOf(r *http.Request) *language {
	if i, ok := s.chooser.Named(readCookie(r, languageCookie)); ok {
		return &s.languages[i]
	}
	return &s.languages[s.chooser.Accept(r.Header.Get("Accept-Language"))]
}

// in is the language of a request.
func (s *Server) in(c echo.Context) *language {
	if v := visitOf(c); v.language != nil {
		return v.language
	}
	return &s.languages[0]
}

// switcher offers the page in the other languages. It leads back to the sign-in that the page shows, or to a page of a
// fixed list.
type switcher struct {
	SignIn    string // handle of the sign-in, "" for none
	Place     string // a key of places, where there is no sign-in
	Languages []offered
}

// offered is a language as the switch names it, in itself.
type offered struct {
	Lang, Name string
	Here       bool
}

// places are the pages that can be shown again in another language, by their routes. A form names one by its route; no
// address is taken from it.
var places = []string{"/", "/sessions", "/factors", "/logout"}

// shownOnce are pages that would not come a second time, or that go on by themselves.
var shownOnce = []string{"recovery", "deliver", "goon", "carry", "signingout"}

// switcher is the switch of a page; nil for a page that can't be shown again.
func (s *Server) switcher(c echo.Context, page string, view any) *switcher {
	sw := &switcher{}
	if v, ok := view.(interface{ handle() string }); ok {
		sw.SignIn = v.handle()
	}
	if sw.SignIn == "" && slices.Contains(places, c.Path()) && page != "refusal" {
		sw.Place = c.Path()
	}
	if sw.SignIn == "" && sw.Place == "" || slices.Contains(shownOnce, page) {
		return nil
	}
	here := s.in(c).texts.Lang()
	for i := range s.languages {
		t := s.languages[i].texts
		sw.Languages = append(sw.Languages, offered{Lang: t.Lang(), Name: t.text("language.name"), Here: t.Lang() == here})
	}
	return sw
}

// chooseLanguage remembers a language in this browser, and shows the page in it. It changes nothing else and takes no
// more than the address of that page does, so it needs no token of a form; that no other site posts it is checked for
// every form (row WEB-01).
func (s *Server) chooseLanguage(c echo.Context) error {
	f, err := s.readForm(c, maxForm)
	if err != nil {
		return err
	}
	i, known := s.chooser.Named(f["language"])
	if !known {
		return refuse(http.StatusBadRequest, badForm, errors.New("no language of ours"))
	}
	handle := ""
	if f["s"] != "" {
		if handle, err = signInID(f); err != nil {
			return err
		}
	}
	v := visitOf(c)
	v.language = &s.languages[i]
	c.SetCookie(cookie(languageCookie, languages[i], browserLife))
	if handle == "" {
		place := "/"
		if slices.Contains(places, f["place"]) { // a word of ours: no address from outside
			place = f["place"]
		}
		return c.Redirect(http.StatusSeeOther, place)
	}
	id, _, sealed := strings.Cut(handle, ".")
	if k, kept := startedOf(c.Request(), id); !sealed || kept && k.text != "" {
		return c.Redirect(http.StatusSeeOther, loginPath(handle))
	}
	// It was too long for a cookie, so that its page has no address: as in started.
	if err := s.ensureBrowser(c, v); err != nil {
		return err
	}
	v.own = ownToken(c.Request(), handle)
	a, err := s.idp.Resume(c.Request().Context(), handle, v.visitor())
	if err != nil {
		return fmt.Errorf("show a sign-in in another language: %w", err)
	}
	return s.answer(c, v, a, "")
}
