package console

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"ssobridge/store"
	"ssobridge/web"
)

// The parts of the design system, each a template in templates/parts. A page has them by the functions below, or puts
// them together in Go and shows them by their function: docs/design-system.md says which is for what.

// link is a way on, as a link or a button. An empty one is not shown.
type link struct{ Text, Path string }

// badge is a state in one word. Kind is ok, warn, bad, off or info.
type badge struct{ Kind, Text string }

// callout says what matters on a page, with the button that acts on it. Kind is as a badge's. Verdict makes it the
// page's answer: larger, its buttons at the right.
type callout struct {
	Kind, Title, Text string
	Acts              []link // the first is the main one
	Verdict           bool
}

// tile is one part of a strip.
type tile struct {
	Kind  string // as a badge's
	Name  string
	State string // in one or two words
	Text  string // one sentence
	Since time.Time
	Path  string // of the page that shows more, "" for none
	Link  link   // to what to do
}

// tab is one of several views of a page.
type tab struct {
	Text, Path string
	Here       bool
}

// option is one of a select.
type option struct{ Value, Text string }

// selection is a select field of a form.
type selection struct {
	input

	Options []option
}

// empty says that there is nothing yet, why, and what to do about it.
type empty struct {
	Icon, Title, Text string
	Act               link
}

// confirmation asks before something that is not easily undone. It is a page of its own; where script runs, a link
// with data-dialog shows it as a dialogue.
type confirmation struct {
	Form     form
	Question string
	Points   []string // what it does, each one sentence
	Action   string   // path that the form is sent to
	Hidden   []option // fields of it
	Button   string
	Danger   bool
	Back     string // path
}

// toolkit draws the parts.
type toolkit struct {
	parts *template.Template
	icons map[string]template.HTML
	texts web.Catalogue
	now   func() time.Time

	spoken *spoken
}

// draw shows a part.
func (k *toolkit) draw(name string, view any) (template.HTML, error) {
	var b bytes.Buffer
	if err := k.parts.ExecuteTemplate(&b, name, view); err != nil {
		return "", fmt.Errorf("draw the part %s: %w", name, err)
	}
	return template.HTML(b.String()), nil // #nosec G203: a template of ours wrote it, and escaped what is in it
}

// functions are those by which templates have the parts.
func (k *toolkit) functions() template.FuncMap {
	return template.FuncMap{
		"icon":     k.icon,
		"link":     func(text, path string) link { return link{text, path} },
		"badge":    func(kind, text string) (template.HTML, error) { return k.draw("badge", badge{kind, text}) },
		"note":     k.note,
		"callout":  func(c callout) (template.HTML, error) { return k.draw("callout", c) },
		"strip":    func(label string, all []tile) (template.HTML, error) { return k.strip(label, all) },
		"tab":      func(text, path string, here bool) tab { return tab{text, path, here} },
		"tabs":     k.tabs,
		"nothing":  k.nothing,
		"empty":    func(e empty) (template.HTML, error) { return k.draw("empty", e) },
		"confirm":  func(c confirmation) (template.HTML, error) { return k.draw("confirm", c) },
		"when":     k.when,
		"exact":    k.exact,
		"lasting":  k.lasting,
		"person":   k.person,
		"account":  k.account,
		"provider": k.provider,
		"phrase":   k.phrase,
		"field":    k.field,
		"textarea": k.textarea,
		"choice":   k.choice,
		"option":   func(value, text string) option { return option{value, text} },
		"options":  func(all ...option) []option { return all },
		"skeleton": func(lines int) (template.HTML, error) { return k.draw("skeleton", make([]struct{}, min(lines, 20))) },
		"chart":    func(c chart) (template.HTML, error) { return k.draw("chart", c) },
		"meter":    func(m meter) (template.HTML, error) { return k.draw("meter", m) },
	}
}

func (k *toolkit) icon(name string) (template.HTML, error) {
	i, ok := k.icons[name]
	if !ok {
		return "", fmt.Errorf("no icon %q", name)
	}
	return i, nil
}

// note is {{note KIND TITLE TEXT}}, with links behind.
func (k *toolkit) note(kind, title, text string, acts ...link) (template.HTML, error) {
	return k.draw("callout", callout{Kind: kind, Title: title, Text: text, Acts: acts})
}

func (k *toolkit) strip(label string, all []tile) (template.HTML, error) {
	return k.draw("strip", struct {
		Label string
		Tiles []tile
	}{label, all})
}

func (k *toolkit) tabs(label string, all ...tab) (template.HTML, error) {
	return k.draw("tabs", struct {
		Label string
		Tabs  []tab
	}{label, all})
}

// nothing is {{nothing ICON TITLE TEXT}}, with one link behind.
func (k *toolkit) nothing(icon, title, text string, act ...link) (template.HTML, error) {
	e := empty{Icon: icon, Title: title, Text: text}
	if len(act) > 0 {
		e.Act = act[0]
	}
	return k.draw("empty", e)
}

// when is a time, relative to now, with the exact one on focus and hover.
func (k *toolkit) when(at time.Time) (template.HTML, error) {
	return k.draw("time", moment{At: at, Text: relative(k.texts, at, k.now()), Exact: exactly(at)})
}

// lasting is for how long something has been so, with the exact time of its beginning on focus and hover.
func (k *toolkit) lasting(since time.Time) (template.HTML, error) {
	text, err := k.texts.Word("time.lasting", "time", k.texts.Duration(max(k.now().Sub(since), 0)))
	if err != nil {
		return "", fmt.Errorf("say for how long: %w", err)
	}
	return k.draw("time", moment{At: since, Text: text, Exact: exactly(since), Lasting: true})
}

// exact is a time to the second, for where its order or its distance to another one matters.
func (k *toolkit) exact(at time.Time) (template.HTML, error) {
	return k.draw("time", moment{At: at, Text: exactly(at), Exact: exactly(at), Still: true})
}

// nameView is somebody or something by name, as a link, with the id behind it.
type nameView struct{ ID, Name, Path string }

// person is {{person ID NAME}}; by the id alone where no name is known.
func (k *toolkit) person(id, name any) (template.HTML, error) {
	v := nameView{ID: fmt.Sprint(id), Name: strings.TrimSpace(fmt.Sprint(name))}
	v.Path = personPath(store.PersonID(v.ID))
	return k.draw("person", v)
}

// account is {{account ID NAME}}, for client accounts.
func (k *toolkit) account(id, name any) (template.HTML, error) {
	v := nameView{ID: fmt.Sprint(id), Name: strings.TrimSpace(fmt.Sprint(name))}
	v.Path = accountsPath + "/of/" + url.PathEscape(v.ID)
	return k.draw("account", v)
}

// provider is {{provider ENTITYID NAME}}, for service providers that are registered.
func (k *toolkit) provider(entityID, name string) (template.HTML, error) {
	return k.draw("provider", nameView{ID: entityID, Name: cmp.Or(name, entityID), Path: providerPath(entityID)})
}

// phrase is {{phrase KEY "who" VALUE …}}: a text whose placeholders are filled with parts that are drawn already, such
// as a person, or with texts.
func (k *toolkit) phrase(key string, pairs ...any) (template.HTML, error) {
	text, err := k.texts.Word(key)
	if err != nil {
		return "", err
	}
	fill := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		value, drawn := pairs[i+1].(template.HTML)
		if !drawn {
			value = template.HTML(template.HTMLEscapeString(fmt.Sprint(pairs[i+1]))) // #nosec G203: escaped here
		}
		fill = append(fill, "{"+fmt.Sprint(pairs[i])+"}", string(value))
	}
	whole := strings.NewReplacer(fill...).Replace(template.HTMLEscapeString(text))
	return template.HTML(whole), nil // #nosec G203: the text is escaped, and so is what fills it
}

// field is {{field FORM NAME LABEL}}, with HINT and TYPE where wanted.
func (k *toolkit) field(f form, name, label string, more ...string) (template.HTML, error) {
	return k.draw("field", newInput(f, name, label, more...))
}

// textarea is {{textarea FORM NAME LABEL}}, with HINT where wanted.
func (k *toolkit) textarea(f form, name, label string, more ...string) (template.HTML, error) {
	return k.draw("textarea", newInput(f, name, label, more...))
}

// choice is {{choice FORM NAME LABEL OPTIONS}}, with HINT where wanted.
func (k *toolkit) choice(f form, name, label string, all []option, more ...string) (template.HTML, error) {
	return k.draw("choice", selection{input: newInput(f, name, label, more...), Options: all})
}
