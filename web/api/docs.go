package api

import (
	"bytes"
	_ "embed"
	"html/template"
	"reflect"

	"ssobridge/web/admin"
)

//go:embed docs.html
var pageText string

//go:embed docs.css
var pageStyle []byte

// row is a parameter, field or scope of the page.
type row struct{ Name, Kind, Doc string }

// section is an operation of the page.
type section struct {
	ID, Method, Path, Summary, Doc, Scope, Success string
	Confined, Keyed, Edits                         bool
	Open                                           bool // it needs no token
	Parameters, Body, Answer                       []row
}

// readablePage is the documentation as one page, of the same types as the document.
func readablePage(all []operation) ([]byte, error) {
	page, err := template.New("docs").Funcs(template.FuncMap{"dict": func(title string, rows []row) map[string]any {
		return map[string]any{"Title": title, "Rows": rows}
	}}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	type part struct {
		Name       string
		Operations []section
	}
	var parts []part
	for _, name := range areas(all) {
		p := part{Name: name}
		for _, o := range all {
			if o.area == name {
				p.Operations = append(p.Operations, sectionOf(o))
			}
		}
		parts = append(parts, p)
	}
	parts = append(parts, part{"Access tokens", []section{tokenSection()}})
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"Parts": parts, "Scopes": admin.TokenScopes(), "Problem": rowsOf(
		reflect.TypeFor[problem]()), "Path": Path})
	return b.Bytes(), err
}

func sectionOf(o operation) section {
	s := section{ID: o.id, Method: o.method, Path: Path + o.path, Summary: o.summary, Doc: o.doc, Scope: o.scope,
		Success: statusText(o.status), Confined: o.confined, Keyed: o.keyed, Edits: o.edits}
	if o.out == reflect.TypeFor[none]() {
		s.Success = statusText(204)
	}
	for _, f := range reflect.VisibleFields(o.in) {
		for _, in := range []string{"path", "query"} {
			if name := f.Tag.Get(in); name != "" {
				s.Parameters = append(s.Parameters, row{name, in, f.Tag.Get("doc")})
			}
		}
		if f.Tag.Get("body") != "" && !o.raw {
			s.Body = rowsOf(f.Type)
		}
	}
	answer := o.out
	if items, ok := answerItems(o.out); ok {
		answer = items
	}
	if answer.Kind() == reflect.Struct && answer != reflect.TypeFor[document]() {
		s.Answer = rowsOf(answer)
	}
	return s
}

// answerItems is the type of a list's entries.
func answerItems(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	f, ok := t.FieldByName("Items")
	if !ok || f.Type.Kind() != reflect.Slice {
		return nil, false
	}
	return f.Type.Elem(), true
}

func rowsOf(t reflect.Type) (rows []row) {
	for _, f := range reflect.VisibleFields(t) {
		name, optional := jsonName(f)
		if name == "" {
			continue
		}
		kind := kindOf(f.Type)
		if optional {
			kind += ", optional"
		}
		rows = append(rows, row{name, kind, f.Tag.Get("doc")})
	}
	return rows
}

func kindOf(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the others have their own names
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of " + kindOf(t.Elem())
	case reflect.Struct:
		if t.Name() == "Time" {
			return "time"
		}
	}
	return "object"
}
