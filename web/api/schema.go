package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ssobridge/web/admin"
)

// object is a JSON object of the document.
type object = map[string]any

// schemas collects the components of the document.
type schemas struct{ named object }

// Document is the OpenAPI 3.1 document of this version: it is made of the operations' own types.
func Document() ([]byte, error) {
	s := schemas{named: object{}}
	paths := object{}
	problems := object{"$ref": "#/components/responses/Problem"}
	s.of(reflect.TypeFor[problem]())
	for _, o := range operations() {
		answers := object{"default": problems}
		success := object{"description": "Done."}
		switch {
		case o.out == reflect.TypeFor[none]():
			answers["204"] = success
		case o.out == reflect.TypeFor[document]():
			success["content"] = object{"application/yaml": object{"schema": object{}}}
			answers[strconv.Itoa(o.status)] = success
		default:
			success["content"] = object{"application/json": object{"schema": s.of(o.out)}}
			answers[strconv.Itoa(o.status)] = success
		}
		if _, dry := o.in.FieldByName("DryRun"); dry && o.status != http.StatusOK {
			answers["200"] = object{"description": "With dry_run=true: nothing was done.", "content": success["content"]}
		}
		operation := object{
			"operationId": o.id, "summary": o.summary, "tags": []string{o.area}, "responses": answers,
			"description": strings.TrimSpace(o.doc + "\n\nScope: `" + o.scope + "`. " + confinement(o)),
			"security":    []object{{"token": []string{o.scope}}},
		}
		if parameters := s.parameters(o); len(parameters) > 0 {
			operation["parameters"] = parameters
		}
		for _, f := range reflect.VisibleFields(o.in) {
			switch {
			case f.Tag.Get("body") == "":
			case o.raw:
				operation["requestBody"] = object{"required": true, "content": object{cmp.Or(o.media, "application/yaml"): object{
					"schema": object{}}}}
			default:
				operation["requestBody"] = object{"required": true, "content": object{"application/json": object{
					"schema": s.of(f.Type)}}}
			}
		}
		item, _ := paths[Path+o.path].(object)
		if item == nil {
			item = object{}
			paths[Path+o.path] = item
		}
		item[strings.ToLower(o.method)] = operation
	}
	paths[Path+TokenPath] = tokenOperation(&s)
	doc := object{
		"openapi": "3.1.0",
		"info": object{"title": "ssobridge", "version": "1", "description": "The REST API of the bridge. Within version 1 " +
			"changes only add: programs pass over members of answers, codes and words that they don't know."},
		"paths": paths,
		"components": object{
			"schemas": s.named,
			"responses": object{"Problem": object{"description": "What is wrong, and what to do about it.",
				"content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}},
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": scopesText()}},
		},
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	return append(text, '\n'), err
}

func confinement(o operation) string {
	if o.confined {
		return "A token that is confined to client accounts gets what concerns these alone."
	}
	return "Not for tokens that are confined to client accounts."
}

func scopesText() string {
	var b strings.Builder
	b.WriteString("A token of `ssobridge tokens create`, or an access token of a client with a key. Its scopes, and what a thief of it could do:\n")
	for _, s := range admin.TokenScopes() {
		fmt.Fprintf(&b, "\n- `%s`: %s. A thief could %s.", s.Name, s.Gives, s.Risk)
	}
	return b.String()
}

// parameters are those of path, query and headers.
func (s *schemas) parameters(o operation) []object {
	var all []object
	for _, f := range reflect.VisibleFields(o.in) {
		for _, in := range []string{"path", "query"} {
			name := f.Tag.Get(in)
			if name == "" {
				continue
			}
			schema := s.of(f.Type)
			bounds(schema, f.Tag, f.Type)
			all = append(all, object{"name": name, "in": in, "required": in == "path" || f.Tag.Get("required") != "",
				"schema": schema, "description": f.Tag.Get("doc")})
		}
	}
	header := func(name, doc string, required bool) {
		all = append(all, object{"name": name, "in": "header", "required": required,
			"schema": object{"type": "string", "minLength": 1, "maxLength": 255}, "description": doc})
	}
	if o.keyed {
		header("Idempotency-Key", "The same answer again for the same request with the same key, for a day.", false)
	}
	if o.edits {
		header("If-Match", "The ETag of what was read.", true)
	}
	return all
}

// of is the schema of a type. Structs become components.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	switch t.Kind() { //nolint:exhaustive // the others are in no type of ours
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.component(t)
	}
	panic("api: no schema of " + t.String())
}

// component is a struct as a named schema. What comes in has no other members than these.
func (s *schemas) component(t reflect.Type) object {
	name := componentName(t)
	ref := object{"$ref": "#/components/schemas/" + name}
	if s.named[name] != nil {
		return ref
	}
	properties, required := object{}, []string{}
	schema := object{"type": "object", "properties": properties}
	s.named[name] = schema
	for _, f := range reflect.VisibleFields(t) {
		member, optional := jsonName(f)
		if member == "" {
			continue
		}
		property := s.of(f.Type)
		bounds(property, f.Tag, f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			property["description"] = doc
		}
		properties[member] = property
		if !optional && (!isInput(t) || f.Type.Kind() != reflect.Bool) {
			required = append(required, member)
			if isInput(t) && f.Type.Kind() == reflect.String {
				property["minLength"] = 1
			}
		}
	}
	if isInput(t) {
		schema["additionalProperties"] = false
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	return ref
}

// isInput tells the types of bodies by their names.
func isInput(t reflect.Type) bool { return strings.HasSuffix(t.Name(), "Input") }

func componentName(t reflect.Type) string {
	name := t.Name()
	if inner, ok := strings.CutPrefix(name, "list["); ok {
		inner = strings.TrimSuffix(inner, "]")
		name = inner[strings.LastIndexByte(inner, '.')+1:] + "List"
	}
	letters := []rune(name)
	letters[0] = unicode.ToUpper(letters[0])
	return string(letters)
}

// bounds writes down what checkField checks.
func bounds(schema object, tag reflect.StructTag, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if words := enum(tag); words != nil {
		schema["enum"] = words
	}
	switch t.Kind() { //nolint:exhaustive // the others have no bounds
	case reflect.String:
		if n := tag.Get("maxlen"); n != "" {
			schema["maxLength"] = intTag(tag, "maxlen", 0)
		}
	case reflect.Int, reflect.Int64:
		if tag.Get("min") != "" {
			schema["minimum"] = intTag(tag, "min", 0)
		}
		if tag.Get("max") != "" {
			schema["maximum"] = intTag(tag, "max", 0)
		}
	case reflect.Slice:
		if tag.Get("maxitems") != "" {
			schema["maxItems"] = intTag(tag, "maxitems", 0)
		}
	}
}

// areas are the headings of the operations, in their order.
func areas(all []operation) (names []string) {
	for _, o := range all {
		if !slices.Contains(names, o.area) {
			names = append(names, o.area)
		}
	}
	return names
}

// statusText is a status with its words.
func statusText(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }
