package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// operation is one route: a method on a path.
type operation struct {
	id, method, path string
	area             string // the heading under which the page shows it
	summary, doc     string
	scope            string
	confined         bool   // a token of some client accounts may call it: it answers about these alone
	status           int    // of success
	keyed            bool   // takes an Idempotency-Key
	act              string // of a keyed one, the action of the audit event that says that it is done
	edits            bool   // demands If-Match
	maxBody          int64  // bytes; 0: defaultBody
	raw              bool   // the body is taken as it is
	media            string // of a raw body; "": YAML

	in, out reflect.Type
	handle  func(c *call, in reflect.Value) (any, error)
}

const defaultBody = 64 << 10

// serves gives an operation what it does. In is a struct whose fields are tagged path, query, header or body.
func serves[In, Out any](o operation, f func(c *call, in In) (Out, error)) operation {
	o.in, o.out = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	o.handle = func(c *call, in reflect.Value) (any, error) {
		value, _ := in.Interface().(In) // it was made of this type
		return f(c, value)
	}
	if o.status == 0 {
		o.status = http.StatusOK
	}
	if o.maxBody == 0 {
		o.maxBody = defaultBody
	}
	return o
}

// none is an input or an output of nothing.
type none struct{}

// input reads and checks what a request brings. body is the whole of it.
func (o *operation) input(r *http.Request, body []byte) (reflect.Value, error) {
	in := reflect.New(o.in).Elem()
	var faults []fault
	known := map[string]bool{}
	query := r.URL.Query()
	for _, f := range reflect.VisibleFields(o.in) {
		if f.Anonymous {
			continue
		}
		at := in.FieldByIndex(f.Index)
		switch {
		case f.Tag.Get("path") != "":
			name := f.Tag.Get("path")
			faults = append(faults, setText(at, f.Tag, name, r.PathValue(name))...)
		case f.Tag.Get("query") != "":
			name := f.Tag.Get("query")
			known[name] = true
			values := query[name]
			switch {
			case len(values) > 1:
				faults = append(faults, fault{name, "it is given more than once", "give it once"})
			case len(values) == 1:
				faults = append(faults, setText(at, f.Tag, name, values[0])...)
			case f.Tag.Get("required") != "":
				faults = append(faults, fault{name, "it is missing", "add it to the query"})
			}
		case f.Tag.Get("body") != "" && o.raw:
			at.SetBytes(body)
		case f.Tag.Get("body") != "":
			more, err := readBody(r, body, at)
			if err != nil {
				return in, err
			}
			faults = append(faults, more...)
		}
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return in, bad(http.StatusBadRequest, "bad_query", "the query can't be read", "write it as name=value&name=value")
	}
	for name := range query {
		if !known[name] {
			faults = append(faults, fault{shown(name), "there is no such parameter", "leave it out"})
		}
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return strings.Compare(a.Field, b.Field) })
	if len(faults) > 0 {
		return in, invalid(faults)
	}
	return in, nil
}

// readBody reads one JSON object: no unknown, repeated or differently spelled member, and nothing behind it.
func readBody(r *http.Request, body []byte, at reflect.Value) ([]fault, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, bad(http.StatusUnsupportedMediaType, "media_type", "the body is not declared as JSON",
			"send Content-Type: application/json")
	}
	faults, err := decodeStrict(body, at)
	if err != nil || len(faults) > 0 {
		return faults, err
	}
	return checkValue(at, ""), nil
}

// setText sets a parameter of path or query, and says what is wrong with it.
func setText(at reflect.Value, tag reflect.StructTag, name, text string) []fault {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return []fault{{name, "it holds characters that can't be", "write it in plain text"}}
	}
	if at.Type() == reflect.TypeFor[time.Time]() {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return []fault{{name, "it is no time", "write it like 2026-12-01T22:00:00Z"}}
		}
		at.Set(reflect.ValueOf(when))
		return nil
	}
	switch at.Kind() { //nolint:exhaustive // the others are in no input
	case reflect.String:
		at.SetString(text)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != text {
			return []fault{{name, "it is no whole number", "write digits alone"}}
		}
		at.SetInt(n)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return []fault{{name, "it is neither true nor false", "write true or false"}}
		}
		at.SetBool(text == "true")
	default:
		panic("api: a parameter of type " + at.Type().String())
	}
	return checkField(at, tag, name)
}

// checkValue checks the bounds of a value that was read of a body, and of all that it holds.
func checkValue(v reflect.Value, name string) (faults []fault) {
	switch v.Kind() { //nolint:exhaustive // the others have no bounds
	case reflect.Pointer:
		if !v.IsNil() {
			return checkValue(v.Elem(), name)
		}
	case reflect.Slice:
		for i := range v.Len() {
			faults = append(faults, checkValue(v.Index(i), fmt.Sprintf("%s[%d]", name, i))...)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		for _, f := range reflect.VisibleFields(v.Type()) {
			member, optional := jsonName(f)
			if member == "" {
				continue
			}
			if name != "" {
				member = name + "." + member
			}
			at := v.FieldByIndex(f.Index)
			if at.Kind() == reflect.Pointer {
				if at.IsNil() {
					continue
				}
				at = at.Elem()
			}
			if !optional && at.IsZero() && at.Kind() != reflect.Bool {
				faults = append(faults, fault{member, "it is missing", "give it"})
				continue
			}
			if optional && at.IsZero() {
				continue
			}
			faults = append(faults, checkField(at, f.Tag, member)...)
			faults = append(faults, checkValue(at, member)...)
		}
	}
	return faults
}

// Bounds of what has none of its own.
const (
	maxText  = 1000 // characters
	maxItems = 1000
)

// checkField checks a value by the tags of its field: enum, min, max, maxlen.
func checkField(v reflect.Value, tag reflect.StructTag, name string) []fault {
	switch v.Kind() { //nolint:exhaustive // the others have no bounds
	case reflect.String:
		text, most := v.String(), intTag(tag, "maxlen", maxText)
		if n := utf8.RuneCountInString(text); int64(n) > most || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return []fault{{name, fmt.Sprintf("it has %d characters, or some that can't be", n),
				fmt.Sprintf("write at most %d characters of plain text", most)}}
		}
		if words := enum(tag); words != nil && !slices.Contains(words, text) {
			return []fault{{name, "it is not one of the words that can be", "take one of " + strings.Join(words, ", ")}}
		}
		if text == "" && tag.Get("path") != "" {
			return []fault{{name, "it is missing", "give it in the path"}}
		}
	case reflect.Int, reflect.Int64:
		least, most := intTag(tag, "min", 0), intTag(tag, "max", 1<<53)
		if n := v.Int(); n < least || n > most {
			return []fault{{name, "it is out of range", fmt.Sprintf("write %d to %d", least, most)}}
		}
	case reflect.Slice:
		if most := intTag(tag, "maxitems", maxItems); int64(v.Len()) > most {
			return []fault{{name, fmt.Sprintf("it has %d entries", v.Len()), fmt.Sprintf("give at most %d", most)}}
		}
	}
	return nil
}

func intTag(tag reflect.StructTag, name string, otherwise int64) int64 {
	text := tag.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("api: tag " + name + ": " + text)
	}
	return n
}

func enum(tag reflect.StructTag) []string {
	if tag.Get("enum") == "" {
		return nil
	}
	return strings.Split(tag.Get("enum"), ",")
}

// jsonName is a field's name as JSON; "" for a field that is none. A field that may be left out is optional.
func jsonName(f reflect.StructField) (name string, optional bool) {
	tag, ok := f.Tag.Lookup("json")
	if !ok || tag == "-" || !f.IsExported() {
		return "", false
	}
	name, options, _ := strings.Cut(tag, ",")
	return name, strings.Contains(options, "omit") || f.Type.Kind() == reflect.Pointer
}

// read reads a body up to the operation's bound.
func (o *operation) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, o.maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, bad(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body has more than %d bytes",
			o.maxBody), "send less at a time")
	case err != nil:
		return nil, bad(http.StatusBadRequest, "bad_body", "the body can't be read", "send it again")
	case len(bytes.TrimSpace(body)) > 0 && !o.hasBody():
		return nil, bad(http.StatusBadRequest, "no_body_wanted", "this takes no body", "send none")
	}
	return body, nil
}

func (o *operation) hasBody() bool {
	return slices.ContainsFunc(reflect.VisibleFields(o.in), func(f reflect.StructField) bool {
		return f.Tag.Get("body") != ""
	})
}
