package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"ssobridge/store"
)

// MaxFile is how large a file of mappings may be, in bytes.
const MaxFile = 8 << 20

// Input is one mapping as an administrator writes it, in a file, a form or a command: exactly one of Group,
// GroupPattern, AttributePattern and Person says who it applies to.
type Input struct {
	Group            string `yaml:"group,omitempty"`             // DN
	GroupPattern     string `yaml:"group_pattern,omitempty"`     // over the names of groups
	GroupBase        string `yaml:"group_base,omitempty"`        // DN, of GroupPattern
	AttributePattern string `yaml:"attribute_pattern,omitempty"` // ATTRIBUTE=PATTERN
	Person           string `yaml:"person,omitempty"`            // login name
	Account          string `yaml:"account,omitempty"`
	Role             string `yaml:"role,omitempty"`
	Priority         int    `yaml:"priority,omitempty"`
	// CreateInAdvance or CreateAtSignIn; "": in advance, and at the first sign-in over groups of a source's tokens, whose
	// people are known once they have come
	Create     string `yaml:"create,omitempty"`
	ExternalID string `yaml:"external_id,omitempty"` // of the owner's user, with role owner
	Off        bool   `yaml:"switched_off,omitempty"`

	Line int `yaml:"-"` // of the file that it was read from; 0: of none
}

// AttributeOf takes an attribute pattern apart.
func AttributeOf(text string) (attribute, pattern string, err error) {
	attribute, pattern, ok := strings.Cut(text, "=")
	if !ok || attribute == "" || pattern == "" {
		return "", "", &InputError{
			Field: "attribute_pattern", Fault: fmt.Sprintf("%.200q: want ATTR=PATTERN", text),
			Fix: "write for example employeeType=ctct:{account}:{role}",
		}
	}
	return attribute, pattern, nil
}

// InputOf is a stored mapping as an administrator would write it. login is the login name of its person, for a mapping
// of one.
func InputOf(m store.Mapping, login string) Input {
	in := Input{Account: string(m.Account), Role: string(m.Role), Priority: m.Priority, Off: m.Off}
	switch {
	case m.AtSignIn:
		in.Create = CreateAtSignIn
	case OfSource(m) != "":
		in.Create = CreateInAdvance // see Input.Create
	}
	switch m.Kind {
	case store.GroupMapping:
		in.Group = m.GroupDN
	case store.GroupPattern:
		in.GroupPattern, in.GroupBase = m.Pattern, m.GroupDN
	case store.AttributePattern:
		in.AttributePattern = m.Attribute + "=" + m.Pattern
	default:
		in.Person = login
	}
	return in
}

// file is a whole set of mappings as it is written.
type file struct {
	Mappings []Input `yaml:"mappings"`
}

// ReadFile reads a file of mappings. It looks nothing up. All faults are returned joined, each a *InputError that names
// its line. What the file does not say is never taken for an empty set, which would remove all mappings.
func ReadFile(data []byte) ([]Input, error) {
	if len(data) > MaxFile {
		return nil, &InputError{Field: "file", Fault: fmt.Sprintf("it is larger than %d bytes", MaxFile),
			Fix: "a pattern does for many mappings"}
	}
	var r fileReader
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		// What follows a line --- would be left out.
		if err = dec.Decode(&second); err == nil {
			r.fault(second.Line, "a second document follows", "keep one document in the file: remove the line ---")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &InputError{Field: "file", Fault: "it is no file of mappings: " +
			strings.TrimPrefix(err.Error(), "yaml: "),
			Fix: "correct the YAML there, or on the line before; keys are indented by spaces, never by tabs"}
	}
	list := r.list(&doc)
	var all []Input
	for _, item := range list {
		if in, ok := r.input(item); ok {
			all = append(all, in)
		}
	}
	return all, r.err()
}

// fileReader collects the faults of a file.
type fileReader struct {
	faults []error
	more   int // beyond maxSetFaults
}

func (r *fileReader) fault(line int, text, fix string) {
	if len(r.faults) == maxSetFaults {
		r.more++
		return
	}
	if line > 0 {
		text = fmt.Sprintf("line %d: %s", line, text)
	}
	r.faults = append(r.faults, &InputError{Field: "file", Fault: text, Fix: fix})
}

func (r *fileReader) err() error {
	if r.more > 0 {
		return errors.Join(append(r.faults, moreFaults(r.more))...)
	}
	return errors.Join(r.faults...)
}

// moreFaults says how many faults are not shown.
func moreFaults(n int) error {
	return &InputError{Field: "file", Fault: fmt.Sprintf("and %d more faults", n),
		Fix: "correct those that are shown, and look again"}
}

// list finds the mappings of a document.
func (r *fileReader) list(doc *yaml.Node) []*yaml.Node {
	const (
		noList = "it is no file of mappings: it has no list of them"
		fix    = "write mappings: and below it an item for each, beginning with -; where all mappings are to be removed, " +
			"write mappings: []"
	)
	if len(doc.Content) == 0 {
		r.fault(0, noList, fix)
		return nil
	}
	top := resolved(doc.Content[0])
	if top.Kind != yaml.MappingNode {
		r.fault(top.Line, noList, fix)
		return nil
	}
	var list *yaml.Node
	for i := 0; i+1 < len(top.Content); i += 2 {
		switch key := top.Content[i]; {
		case key.Value != "mappings":
			r.fault(key.Line, fmt.Sprintf("it is no file of mappings: field %.60q not found", key.Value),
				"write mappings: alone at the top")
		case list != nil:
			r.fault(key.Line, "mappings: stands twice", "put all mappings below one")
		default:
			list = resolved(top.Content[i+1])
		}
	}
	if list == nil && len(r.faults) > 0 {
		r.faults, r.more = r.faults[:1], 0 // a key that was mistyped, or the file is another one
		return nil
	}
	if list == nil || list.Kind != yaml.SequenceNode {
		r.fault(top.Line, noList, fix)
		return nil
	}
	return list.Content
}

// inputKeys are those of an Input.
var inputKeys = sync.OnceValue(func() (keys []string) {
	for field := range reflect.TypeFor[Input]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "-" {
			keys = append(keys, name)
		}
	}
	return keys
})

// input reads one mapping.
func (r *fileReader) input(item *yaml.Node) (in Input, ok bool) {
	line := item.Line
	if item = resolved(item); item.Kind != yaml.MappingNode {
		r.fault(line, "this is no mapping", "write its keys below each other, such as group:, account: and role:")
		return in, false
	}
	ok = true
	for i := 0; i+1 < len(item.Content); i += 2 {
		if key := item.Content[i]; key.Tag != "!!merge" && !slices.Contains(inputKeys(), key.Value) {
			r.fault(key.Line, fmt.Sprintf("field %.60s not found", key.Value), "the keys of a mapping are "+
				strings.Join(inputKeys(), ", "))
			ok = false
		}
	}
	item = plainNumbers(item)
	err := item.Decode(&in)
	wrong, typed := errors.AsType[*yaml.TypeError](err)
	switch {
	case typed:
		for _, text := range wrong.Errors { // each begins with its line
			text, fix := plainType(text)
			r.fault(0, text, fix)
		}
		ok = false
	case err != nil:
		r.fault(line, strings.TrimPrefix(err.Error(), "yaml: "), "")
		ok = false
	}
	in.Line = line
	return in, ok
}

// plainNumbers is a mapping whose priority is a number also where it stands in quotes, as programs write it.
func plainNumbers(item *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(item.Content); i += 2 {
		value := item.Content[i+1]
		if item.Content[i].Value != "priority" || value.Tag != "!!str" {
			continue
		}
		n, err := strconv.Atoi(value.Value)
		if err != nil {
			continue
		}
		number := *value
		number.Tag, number.Style = "!!int", 0
		number.Value = strconv.Itoa(n) // YAML reads 010 as 8
		bare := *item
		bare.Content = slices.Clone(item.Content)
		bare.Content[i+1] = &number
		return &bare
	}
	return item
}

// wrongType is what the parser says of a value of another type.
var wrongType = regexp.MustCompile("^(line [0-9]+: )cannot unmarshal !!([a-z]+)(?: `(.*)`)? into ([a-z0-9.]+)$")

// plainType says it in words of the file.
func plainType(text string) (fault, fix string) {
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return text, "write one plain value for each key"
	}
	got := fmt.Sprintf("%q", m[3])
	switch m[2] {
	case "seq":
		got = "a list"
	case "map":
		got = "a section"
	}
	switch m[4] {
	case "int":
		return m[1] + got + " is not a whole number", "write digits alone, such as priority: 10"
	case "bool":
		return m[1] + got + " is neither true nor false", "write true or false"
	}
	return m[1] + got + " is not a text", "write one plain value for each key"
}

// resolved is what an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// WriteFile writes a file of mappings, as ReadFile reads it.
func WriteFile(w io.Writer, all []Input) error {
	if all == nil {
		all = []Input{} // an empty list is written as one
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(file{all}), enc.Close())
}
