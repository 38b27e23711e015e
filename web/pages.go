package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/labstack/echo/v4"
)

//go:embed templates
var templateFiles embed.FS

// pages are the parsed templates, each with the frame of base.html around it.
type pages struct {
	brand    brandView
	lang     string
	byName   map[string]*template.Template
	delivery readyDelivery
}

// pageNames lists every page; templates/NAME.html is its file.
var pageNames = []string{"login", "password", "choose", "waiting", "switching", "confirm", "launching", "deliver",
	"goon", "refusal", "finished", "signedout", "signingout", "carry", "logout", "home", "sessions", "factor",
	"wrongcodes", "enrol", "recovery", "factors", "notice", "order", "ordered"}

// brandView is what the frame shows of the partner.
type brandView struct {
	Name, ProductName, Logo, LogoDark, HelpURL, ForgotPasswordURL string
}

// frame is what base.html gets: the page's own values are in Page.
type frame struct {
	Brand  brandView
	Lang   string
	Nonce  string
	Scheme string    // of a preview: LightScheme or DarkScheme, whatever the browser wants; "" else
	Switch *switcher // to another language; nil for none
	Ref    string    // of the request, where the page is one that somebody may ask for help from; "": none
	Page   any
}

// referenced are the pages on which a sign-in stands, or a single logout: each shows the reference under which
// administrators find out what it waits for, or what stopped it. The page of a refusal has it among its own words.
var referenced = []string{"login", "password", "launching", "choose", "waiting", "switching", "finished", "signedout",
	"signingout", "factor", "wrongcodes", "enrol", "recovery", "factors", "notice", "order", "ordered"}

func loadPages(texts Catalogue, b Branding, assets Assets) (*pages, error) {
	functions := template.FuncMap{
		"t":     texts.Word,
		"asset": assets.URL,
	}
	base, err := template.New("base.html").Funcs(functions).ParseFS(templateFiles, "templates/base.html")
	if err != nil {
		return nil, fmt.Errorf("web: parse the frame of all pages: %w", err)
	}
	p := &pages{
		lang:   texts.Lang(),
		byName: map[string]*template.Template{},
		brand: brandView{
			Name: b.Name, ProductName: b.ProductName, Logo: assets.URL("logo"), LogoDark: assets.URL("logo-dark"),
			HelpURL: b.HelpURL, ForgotPasswordURL: b.ForgotPasswordURL,
		},
	}
	for _, name := range pageNames {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("web: parse page %s: %w", name, err)
		}
		p.byName[name] = t
	}
	p.delivery, err = p.readyDelivery()
	return p, err
}

// buffers are what pages are rendered into. A buffer keeps the last page's text
// until the next one is written over it; it never leaves the process.
var buffers = sync.Pool{New: func() any {
	var b bytes.Buffer
	b.Grow(16 << 10) // the longest page, that with a Response, at once
	return &b
}}

// show renders a page whole before the first byte goes out: a fault in a template
// is an error page, never half a page.
func (s *Server) show(c echo.Context, status int, name string, pol policy, view any) error {
	nonce, err := pol.apply(c.Response().Header(), s.random)
	if err != nil {
		return err
	}
	scheme := ""
	if p := visitOf(c).preview; p != nil {
		p.apply(c.Response().Header())
		status, scheme = http.StatusOK, p.scheme
	}
	in := s.in(c)
	t, ok := in.pages.byName[name]
	if !ok {
		return fmt.Errorf("no page %q", name)
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf) // the writer copies what it is given
	buf.Reset()
	f := frame{Brand: in.pages.brand, Lang: in.pages.lang, Nonce: nonce, Scheme: scheme, Page: view}
	f.Switch = s.switcher(c, name, view)
	if slices.Contains(referenced, name) {
		f.Ref = s.reference(c)
	}
	if err := t.Execute(buf, f); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	return in.send(c, status, buf.Bytes())
}

// send sends a page in this language. It says how long it is: what goes out in chunks takes one more write to the
// connection.
func (l *language) send(c echo.Context, status int, page []byte) error {
	h := c.Response().Header()
	h.Set("Content-Language", l.texts.Lang())
	h.Add("Vary", "Accept-Language")
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(page)))
	return c.HTMLBlob(status, page)
}
