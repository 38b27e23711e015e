package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The checks here are not the client's: a mistake made there must not be made here again.

var (
	loginAlphabet = regexp.MustCompile(`^[-0-9A-Za-z_@.+]*$`)
	mailForm      = regexp.MustCompile(`^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$`)
)

const maxFaults = 50

// faultList gathers what is wrong with a body. All faults are told, as an array of errors invites to.
type faultList struct{ list []apiError }

func (f *faultList) add(field, text string) {
	if len(f.list) >= maxFaults {
		return
	}
	f.list = append(f.list, apiError{"request.invalid_field", field + " " + text})
}

func (f *faultList) invalid(text string) {
	f.list = append(f.list, apiError{"request.invalid_json", text})
}

// readBody reads one JSON object into a struct, strictly: UTF-8, names as they are written (encoding/json is not
// particular about capitals), no unknown one, no null, nothing behind it.
func readBody(body []byte, into any) faultList {
	var f faultList
	if !utf8.Valid(body) {
		f.invalid("the body is not UTF-8")
		return f
	}
	f.strict(body, reflect.TypeOf(into).Elem(), "the body")
	if len(f.list) > 0 {
		return f
	}
	if err := json.Unmarshal(body, into); err != nil {
		f.invalid("the body has not the documented form: " + err.Error())
	}
	return f
}

// strict finds what encoding/json would let pass in a value of this type: names in other capitals, unknown ones, null.
func (f *faultList) strict(value json.RawMessage, t reflect.Type, at string) {
	if len(f.list) >= maxFaults {
		return
	}
	if string(bytes.TrimSpace(value)) == "null" {
		f.add(at, "must not be null")
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		f.strict(value, t.Elem(), at)
	case reflect.Slice:
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			f.add(at, "must be a list")
			return
		}
		for i, v := range list {
			f.strict(v, t.Elem(), fmt.Sprintf("%s[%d]", at, i))
		}
	case reflect.Struct:
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) != nil {
			f.invalid(at + " is not one JSON object")
			return
		}
		types := fieldTypes(t)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if types[name] == nil {
				f.invalid(fmt.Sprintf("%s has a field %.80q, which is none", at, name))
				continue
			}
			f.strict(fields[name], types[name], name)
		}
	}
}

// fieldTypes are the types of a struct's fields by their JSON names.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		types[name] = t.Field(i).Type
	}
	return types
}

// text checks a text of a body and gives its value, "" where it is not there.
func (f *faultList) text(field string, v *string, required bool, least, most int) string {
	if v == nil {
		if required {
			f.add(field, "is required")
		}
		return ""
	}
	switch n := utf8.RuneCountInString(*v); {
	case least > 0 && strings.TrimSpace(*v) == "":
		f.add(field, "must not be empty")
	case n < least:
		f.add(field, fmt.Sprintf("must not be shorter than %d characters", least))
	case n > most:
		f.add(field, fmt.Sprintf("must not be longer than %d characters", most))
	case strings.ContainsFunc(*v, unicode.IsControl):
		f.add(field, "must not have control characters")
	}
	return *v
}

// matches adds a fault for a text that has not the form. What is not there has none.
func (f *faultList) matches(field string, v *string, form *regexp.Regexp, fault string) {
	if v != nil && !form.MatchString(*v) {
		f.add(field, fault)
	}
}
