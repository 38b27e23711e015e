package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a body nests; none of ours goes deeper than three.
const maxDepth = 10

// decodeStrict reads one JSON object into a struct. encoding/json alone takes members in any letter case, and the last
// of two with one name: what one reader of a request has seen must be what is done.
func decodeStrict(body []byte, at reflect.Value) ([]fault, error) {
	if !utf8.Valid(body) {
		return nil, badJSON("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	faults, err := names(dec, at.Type(), "", 0)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errors.New("there is more behind the object")
		}
	}
	if err != nil {
		return nil, badJSON(fmt.Sprintf("the body is not one JSON object, from byte %d on", dec.InputOffset()))
	}
	if len(faults) > 0 {
		return faults, nil
	}
	err = json.Unmarshal(body, at.Addr().Interface())
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &wrong):
		return []fault{{shown(wrong.Field), "it is of another type", "see the type in the documentation"}}, nil
	}
	return nil, badJSON("a value of the body can't be read")
}

func badJSON(what string) *problem {
	return bad(http.StatusBadRequest, "bad_json", what, "send one JSON object")
}

// names walks through one value and says which members a type lacks, and which are there twice.
func names(dec *json.Decoder, t reflect.Type, place string, depth int) (faults []fault, err error) {
	if depth > maxDepth {
		return nil, errors.New("it nests too deep")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch token {
	case json.Delim('['):
		var of reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			of = t.Elem()
		}
		for i := 0; dec.More(); i++ {
			more, err := names(dec, of, fmt.Sprintf("%s[%d]", place, i), depth+1)
			if faults = append(faults, more...); err != nil {
				return faults, err
			}
		}
		_, err = dec.Token()
	case json.Delim('{'):
		var seen []string
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return faults, err
			}
			name, _ := key.(string) // a member's name always is
			member := strings.TrimPrefix(place+"."+shown(name), ".")
			of, known := memberType(t, name)
			switch {
			case slices.Contains(seen, name):
				faults = append(faults, fault{member, "it is there twice", "give it once"})
			case !known:
				faults = append(faults, fault{member, "there is no such field", "leave it out"})
			}
			seen = append(seen, name)
			if len(seen) > maxItems || len(faults) > maxFaults {
				return faults, errors.New("it has too many members")
			}
			more, err := names(dec, of, member, depth+1)
			if faults = append(faults, more...); err != nil {
				return faults, err
			}
		}
		_, err = dec.Token()
	default:
		if depth == 0 {
			return nil, errors.New("it is no object")
		}
	}
	return faults, err
}

const maxFaults = 100

// memberType is the type of a struct's member, by its exact name. A map has any; what is of no type of ours has all.
func memberType(t reflect.Type, name string) (reflect.Type, bool) {
	switch {
	case t == nil:
		return nil, true // its holder was named already
	case t.Kind() == reflect.Map:
		return t.Elem(), true
	case t.Kind() != reflect.Struct:
		return nil, true // of another type, which decoding says
	}
	for _, f := range reflect.VisibleFields(t) {
		if member, _ := jsonName(f); member == name {
			return f.Type, true
		}
	}
	return nil, false
}

// encode writes an answer. Members of maps come in the order of their names, so that equal things have equal texts.
func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // nothing of it stands in a page
	return enc.Encode(v)
}
