package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of the JSON in a token or key set.
const (
	maxDepth   = 4    // the claims, a list, its objects, and one more
	maxMembers = 1000 // members and items in all
)

// readObject reads one JSON object strictly: valid UTF-8, no name twice (RFC 7519 section 4 leaves it to us, and two
// readers that each take another one of two is how a check is passed by), bounded nesting and size, nothing behind it.
// Numbers stay json.Number.
func readObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	t, err := r.dec.Token()
	if err != nil {
		return nil, errNoJSON
	}
	if t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	o, err := r.object(1)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return o, nil
}

// errNoJSON replaces the library's errors, which quote what they could not read.
var errNoJSON = errors.New("it is not JSON")

type jsonReader struct {
	dec *json.Decoder
	n   int
}

// object reads the rest of an object whose brace was read.
func (r *jsonReader) object(depth int) (map[string]any, error) {
	o := map[string]any{}
	for r.dec.More() {
		t, err := r.dec.Token()
		if err != nil {
			return nil, errNoJSON
		}
		name, ok := t.(string)
		if !ok {
			return nil, errNoJSON
		}
		if _, twice := o[name]; twice {
			return nil, errors.New("a name stands twice in one JSON object")
		}
		if o[name], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.Token() // the brace, or what stands in its place
	return o, known(err)
}

func (r *jsonReader) list(depth int) ([]any, error) {
	var all []any
	for r.dec.More() {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	_, err := r.dec.Token()
	return all, known(err)
}

func known(err error) error {
	if err != nil {
		return errNoJSON
	}
	return nil
}

func (r *jsonReader) value(depth int) (any, error) {
	if r.n++; r.n > maxMembers {
		return nil, fmt.Errorf("it has more than %d values", maxMembers)
	}
	t, err := r.dec.Token()
	if err != nil {
		return nil, errNoJSON
	}
	switch t := t.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
		}
		if t == '{' {
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case string:
		// What the decoder writes for half a surrogate pair: two texts would be read as the same.
		if strings.ContainsRune(t, utf8.RuneError) {
			return nil, errors.New("a text in it is not Unicode")
		}
		return t, nil
	}
	return t, nil
}
