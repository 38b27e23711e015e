package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

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
	Create           string `yaml:"create,omitempty"` // CreateInAdvance (or "") or CreateAtSignIn
	Off              bool   `yaml:"switched_off,omitempty"`
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
	if m.AtSignIn {
		in.Create = CreateAtSignIn
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

// ReadFile reads a file of mappings. It looks nothing up.
func ReadFile(data []byte) ([]Input, error) {
	if len(data) > MaxFile {
		return nil, &InputError{Field: "file", Fault: fmt.Sprintf("it is larger than %d bytes", MaxFile),
			Fix: "a pattern does for many mappings"}
	}
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, &InputError{Field: "file", Fault: "it is no file of mappings: " +
			strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	return f.Mappings, nil
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
