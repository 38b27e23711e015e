package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

//go:embed templates
var templateFiles embed.FS

// areaPages are the templates of one area with the shared parts.
type areaPages struct{ pages *template.Template }

// partFiles are the templates of the parts.
const partFiles = "templates/parts/*.html"

// loadPages parses the frame, the shared parts and each area's file.
func loadPages(texts web.Catalogue, spoken *spoken, assets web.Assets,
	now func() time.Time) (map[string]*areaPages, error) {
	icons, err := loadIcons()
	if err != nil {
		return nil, err
	}
	kit := &toolkit{icons: icons, texts: texts, now: now, spoken: spoken}
	functions := kit.functions()
	maps.Copy(functions, template.FuncMap{
		"t":       texts.Word,
		"has":     texts.Has,
		"asset":   assets.URL,
		"input":   newInput,
		"ago":     texts.Duration,
		"lower":   strings.ToLower,
		"changes": admin.DataChanges,
		"role":    func(role any) string { return texts.Role(store.Role(fmt.Sprint(role))) },
		"said":    func(text any) string { return spoken.say(fmt.Sprint(text)) },
		"meaning": spoken.meaning,
		"state":   func(s store.State) string { return spoken.say(admin.UserState(s)) },

		"reason": func(reason string) string { return sentence(spoken.say(admin.PlanReason(reason))) },
		"list":   func(all ...string) []string { return all },
		"pair": func(v, user any, account store.AccountID) map[string]any {
			return map[string]any{"V": v, "User": user, "Account": account}
		},
	})
	maps.Copy(functions, kit.areaFunctions())
	// The parts that are drawn by functions are a set of their own: a set that has drawn something can't be cloned.
	if kit.parts, err = template.New("parts").Funcs(functions).ParseFS(templateFiles, partFiles); err != nil {
		return nil, fmt.Errorf("parse the console's parts: %w", err)
	}
	shared, err := template.New("console").Funcs(functions).ParseFS(templateFiles, "templates/frame.html", partFiles)
	if err != nil {
		return nil, fmt.Errorf("parse the console's frame: %w", err)
	}
	all := map[string]*areaPages{}
	for _, a := range areas() {
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, path.Join("templates", a.name+".html"))
		}
		if err != nil {
			return nil, fmt.Errorf("parse the console's area %s: %w", a.name, err)
		}
		all[a.name] = &areaPages{pages: t}
	}
	if files, err := fs.Glob(templateFiles, "templates/*.html"); err != nil ||
		len(files) != len(areas())+1 {
		return nil, fmt.Errorf("%d files of the console, want one for each of %d areas and the frame: %w",
			len(files), len(areas()), err)
	}
	return all, nil
}

// frame is what frame.html gets: the page is rendered before its frame.
type frame struct {
	Title   string
	Area    string
	Menu    []menuGroup
	Crumbs  []link // the way to this page, without itself
	Admin   idp.Administrator
	Brand   web.Branding
	Done    string      // text key of what was just done, "" for none
	Undo    []undoOffer // changes that can be undone; the first stands beside Done
	Form    form        // of Undo, and of the switch of languages
	Lang    string
	Others  []offered     // the other languages
	Back    string        // this page, to which a choice of language leads back; "": it can't be shown again
	Badge   template.HTML // behind the title
	Actions template.HTML // buttons of the whole page
	Body    template.HTML
	Find    string // what the search box holds
	Again   string // see request
	After   int
}

// menuGroup are entries of the menu under one heading; the first group has none.
type menuGroup struct {
	Name    string
	Entries []menuEntry
}

type menuEntry struct {
	Name, Path, Icon string
	Here             bool
}

// show answers with a page of the reader's area, in the frame. name is the template's; title the page's own, already a
// text. A template NAME-actions has the buttons of the whole page, beside its title, and NAME-badge its state.
func (r *request) show(status int, name, title string, view any) error {
	var body bytes.Buffer
	t := r.k.areas[r.area].pages
	if err := t.ExecuteTemplate(&body, name, view); err != nil {
		return fmt.Errorf("render %s of the console: %w", name, err)
	}
	if r.Partial() {
		return r.Page(status, body.Bytes())
	}
	f := frame{
		Title: title, Area: r.area, Admin: r.Admin, Brand: r.k.brand, After: r.againAfter, Crumbs: r.crumbs,
		Menu: r.k.menu(r.area), Find: r.find,
		Body: template.HTML(body.String()), // #nosec G203: a template of ours wrote it, and escaped what is in it
	}
	for _, part := range []struct {
		behind string
		into   *template.HTML
	}{{"-badge", &f.Badge}, {"-actions", &f.Actions}} {
		if t.Lookup(name+part.behind) == nil {
			continue
		}
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, name+part.behind, view); err != nil {
			return fmt.Errorf("render %s%s of the console: %w", name, part.behind, err)
		}
		*part.into = template.HTML(strings.TrimSpace(b.String())) // #nosec G203: as above
	}
	a := areaNamed(r.area)
	if f.Crumbs == nil && name != a.name && a.group != hiddenArea {
		f.Crumbs = []link{{r.text("area." + a.name), a.routes(r.k)[0].Path}}
	}
	if r.again != "" {
		f.Again = r.again + "?" + web.ByItself + "=1"
	}
	if done := "done." + r.QueryParam("done"); r.k.texts.Has(done) {
		f.Done = done // a key of ours: nothing of the query itself is shown
	}
	var err error
	if f.Form, err = r.newForm(nil, nil); err != nil {
		return err
	}
	if r.QueryParam("done") != undoneWord {
		f.Undo = r.undo
	}
	f.Lang, f.Back = r.k.texts.Lang(), a.routes(r.k)[0].Path
	if in := r.Request(); in.Method == http.MethodGet {
		f.Back = in.URL.RequestURI()
	}
	f.Others = slices.DeleteFunc(slices.Clone(r.k.names), func(o offered) bool { return o.Lang == f.Lang })
	var page bytes.Buffer
	if err := t.ExecuteTemplate(&page, "frame", f); err != nil {
		return fmt.Errorf("render the frame of the console: %w", err)
	}
	return r.Page(status, page.Bytes())
}

// text is one of the console's texts, for titles and errors beside fields. An
// unknown key is a fault of ours, and shows as itself.
func (r *request) text(key string, pairs ...any) string {
	text, err := r.k.texts.Word(key, pairs...)
	if err != nil {
		return key
	}
	return text
}

// done goes on to a page after a form: a reload repeats nothing. word names what was
// done; the text done.WORD stands at the top of the page then.
func (r *request) done(path, word string) error {
	if word != "" {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + "done=" + word
	}
	return r.Redirect(path)
}

// sentence is a text of an administrator's act as it stands alone on a page.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = upper(text)
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// upper begins a text with a capital.
func upper(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return strings.ToUpper(string(first)) + text[size:]
}

// form is what each form of a page starts from.
type form struct {
	CSRF, Once string
	Values     web.Fields          // what was typed, kept
	Errors     map[string]string   // beside the field of that name; "" stands above the form
	Fixes      []fix               // what can be done about the errors
	held       *admin.IssuedNameID // of the page of a service provider
}

// newForm makes one for a page: empty, or with what was typed and what is wrong with it.
func (r *request) newForm(values web.Fields, faults map[string]string) (form, error) {
	csrf, once, err := r.FormIDs()
	if err != nil {
		return form{}, fmt.Errorf("draw a form's id: %w", err)
	}
	return form{CSRF: csrf, Once: once, Values: values, Errors: faults}, nil
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

// stream sends a part of a page whenever it looks different than before. name is a template of the area.
func (r *request) stream(name string, view func() (any, error)) error {
	t := r.k.areas[r.area].pages
	return r.Stream(func() (string, error) {
		v, err := view()
		if err != nil {
			return "", err
		}
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, name, v); err != nil {
			return "", fmt.Errorf("render %s of the console: %w", name, err)
		}
		return b.String(), nil
	})
}

// parseMicros reads a time of a pager's link.
func parseMicros(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read a time: %w", err)
	}
	return time.UnixMicro(n).UTC(), nil
}
