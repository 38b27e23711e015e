package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// areaPages are the templates of one area with the shared parts.
type areaPages struct{ pages *template.Template }

// loadConsole parses the frame, the shared parts and each area's file.
func loadConsole(texts catalogue, assets map[string]asset) (map[string]*areaPages, error) {
	shared, err := template.New("console").Funcs(template.FuncMap{
		"t":     texts.word,
		"has":   func(key string) bool { _, ok := texts.words[key]; return ok },
		"asset": func(name string) string { return assetURL(assets, name) },
		"input": newInput,
		"ago":   texts.duration,
		"lower": strings.ToLower,
		"role":  func(role any) string { return texts.role(store.Role(fmt.Sprint(role))) },
		"who":   who,
		"list":  func(all ...string) []string { return all },
		"pair": func(v, user any, account store.AccountID) map[string]any {
			return map[string]any{"V": v, "User": user, "Account": account}
		},
	}).ParseFS(templateFiles, "templates/console/frame.html", "templates/console/parts.html")
	if err != nil {
		return nil, fmt.Errorf("web: parse the console's frame: %w", err)
	}
	all := map[string]*areaPages{}
	for _, a := range consoleAreas() {
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, path.Join("templates/console", a.name+".html"))
		}
		if err != nil {
			return nil, fmt.Errorf("web: parse the console's area %s: %w", a.name, err)
		}
		all[a.name] = &areaPages{pages: t}
	}
	if files, err := fs.Glob(templateFiles, "templates/console/*.html"); err != nil ||
		len(files) != len(consoleAreas())+2 {
		return nil, fmt.Errorf("web: %d files of the console, want one for each of %d areas, the frame and the parts: %w",
			len(files), len(consoleAreas()), err)
	}
	return all, nil
}

// consoleFrame is what frame.html gets: the page is rendered before its frame.
type consoleFrame struct {
	Title     string
	Area      string
	Menu      []menuEntry
	Admin     idp.Administrator
	Brand     brandView
	Done      string // text key of what was just done, "" for none
	Body      template.HTML
	SignedOut string // form token of the sign-out button
	Again     string // see consoleRequest
	After     int
}

type menuEntry struct {
	Name, Path string
	Here       bool
}

// byItself marks in a query that a page loads itself again: nobody sits there for that.
const byItself = "by_itself"

// show answers with a page of the reader's area, in the frame. name is the
// template's; title the page's own, already a text.
func (r *consoleRequest) show(status int, name, title string, view any) error {
	body := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(body)
	body.Reset()
	t := r.k.areas[r.area].pages
	if err := t.ExecuteTemplate(body, name, view); err != nil {
		return fmt.Errorf("render %s of the console: %w", name, err)
	}
	r.k.consolePolicy(r.Response().Header())
	if r.Request().Header.Get("HX-Request") == "true" && r.Request().Header.Get("HX-Request-Type") != "full" {
		return r.HTMLBlob(status, body.Bytes())
	}
	f := consoleFrame{
		Title: title, Area: r.area, Admin: r.admin, Brand: r.k.pages.brand, After: r.againAfter,
		Body: template.HTML(body.String()), // #nosec G203: a template of ours wrote it, and escaped what is in it
	}
	for _, a := range consoleAreas() {
		f.Menu = append(f.Menu, menuEntry{Name: a.name, Path: a.routes(r.k)[0].path, Here: a.name == r.area})
	}
	if r.again != "" {
		f.Again = r.again + "?" + byItself + "=1"
	}
	if done := "done." + r.QueryParam("done"); r.k.texts.words[done] != "" {
		f.Done = done // a key of ours: nothing of the query itself is shown
	}
	page := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(page)
	page.Reset()
	if err := t.ExecuteTemplate(page, "frame", f); err != nil {
		return fmt.Errorf("render the frame of the console: %w", err)
	}
	return r.HTMLBlob(status, page.Bytes())
}

// text is one of the console's texts, for titles and errors beside fields. An
// unknown key is a fault of ours, and shows as itself.
func (r *consoleRequest) text(key string, pairs ...any) string {
	text, err := r.k.texts.word(key, pairs...)
	if err != nil {
		return key
	}
	return text
}

// consolePolicy: everything comes from us, nothing runs inline, and no form goes
// elsewhere. htmx needs connect-src.
func (s *Server) consolePolicy(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; "+
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// done goes on to a page after a form: a reload repeats nothing. word names what was
// done; the text done.WORD stands at the top of the page then.
func (r *consoleRequest) done(path, word string) error {
	if word != "" {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + "done=" + word
	}
	return r.Redirect(http.StatusSeeOther, path)
}

// missing says that there is nothing of that name.
func (r *consoleRequest) missing(what string) error {
	e := refuse(http.StatusNotFound, notFound, fmt.Errorf("no %s of that name", what))
	e.again = consoleHome
	return e
}

// form is what each form of a page starts from.
type form struct {
	CSRF, Once string
	Values     fields              // what was typed, kept
	Errors     map[string]string   // beside the field of that name; "" stands above the form
	Fixes      []fix               // what can be done about the errors
	held       *admin.IssuedNameID // of the page of a service provider
}

// newForm makes one for a page: empty, or with what was typed and what is wrong with it.
func (r *consoleRequest) newForm(values fields, faults map[string]string) (form, error) {
	once, err := newToken(r.k.random)
	if err != nil {
		return form{}, fmt.Errorf("draw a form's id: %w", err)
	}
	return form{CSRF: r.k.csrfToken(r.visit.browser), Once: once, Values: values, Errors: faults}, nil
}

// input is one field of a form: what parts.html needs to draw it.
type input struct {
	Name, Label, Value, Error, Hint, Type string
}

// newInput is {{input FORM NAME LABEL}}, with HINT and TYPE where wanted.
func newInput(f form, name, label string, more ...string) input {
	in := input{Name: name, Label: label, Value: f.Values[name], Error: f.Errors[name], Type: "text"}
	if len(more) > 0 {
		in.Hint = more[0]
	}
	if len(more) > 1 {
		in.Type = more[1]
	}
	return in
}

// Streams end by themselves before the time for one request does; the browser's
// EventSource opens the next.
const (
	streamLife  = 25 * time.Second
	streamEvery = time.Second
	// streamsEach is how many a person may have open at once, of one replica: each asks the store once a second.
	streamsEach = 6
)

// openStreams counts the streams of people.
type openStreams struct {
	mu   sync.Mutex
	open map[store.PersonID]int
}

// take opens one, or says that the person has enough.
func (o *openStreams) take(p store.PersonID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[store.PersonID]int{}
	}
	if o.open[p] >= streamsEach {
		return false
	}
	o.open[p]++
	return true
}

func (o *openStreams) give(p store.PersonID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[p]--; o.open[p] <= 0 {
		delete(o.open, p)
	}
}

// stream sends a part of a page again and again (text/event-stream), whenever it
// looks different than before. name is a template of the area.
func (r *consoleRequest) stream(name string, view func() (any, error)) error {
	if !r.k.streams.take(r.admin.Person) {
		return refuse(http.StatusTooManyRequests, busy, fmt.Errorf("%s has %d live pages open", r.admin.Person, streamsEach))
	}
	defer r.k.streams.give(r.admin.Person)
	h := r.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies that buffer would hold it back
	r.Response().WriteHeader(http.StatusOK)
	t := r.k.areas[r.area].pages
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	end := time.NewTimer(streamLife)
	defer end.Stop()
	var sent string
	for {
		v, err := view()
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, name, v); err != nil {
			return fmt.Errorf("render %s of the console: %w", name, err)
		}
		if text := b.String(); text != sent {
			sent = text
			if _, err := fmt.Fprintf(r.Response(), "data: %s\n\n", strings.ReplaceAll(text, "\n", "\ndata: ")); err != nil {
				return nil // the browser went away
			}
			r.Response().Flush()
		}
		select {
		case <-r.ctx().Done():
			return nil
		case <-end.C:
			return nil
		case <-tick.C:
		}
		// Not only when it began: it ends with the console's idle limit, a sign-out, a group that the person left. Looking is
		// no use.
		a, in, err := r.k.entry.Administrator(r.ctx(), r.visit.visitor())
		if err != nil {
			return fmt.Errorf("look who watches: %w", err)
		}
		if !in || a.Role < r.role {
			return nil
		}
	}
}

// cut bounds a text of a query to so many bytes.
func cut(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// fingerprint of what was shown before it is done: another one is shown anew.
func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// who is what a row of the ledger is called: the person's name as Constant Contact
// was told it, or what else is known.
func who(u store.SSOUser) string {
	return cmp.Or(strings.TrimSpace(u.FirstName+" "+u.LastName), u.ContactEmail, string(u.Person))
}

// parseMicros reads a time of a pager's link.
func parseMicros(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read a time: %w", err)
	}
	return time.UnixMicro(n).UTC(), nil
}
