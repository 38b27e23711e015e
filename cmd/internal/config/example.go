package config

import (
	_ "embed"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// example is every key with its comment. A test makes it from the comments of
// Config.
//
//go:embed config.example.yaml
var example string

// InitialValues are the settings of a new configuration: what init was given, checked as far as
// one key can be checked by itself.
func InitialValues(publicURL string, set map[string]string) (map[string]string, error) {
	f := &faults{}
	cfg := Defaults()
	public := strings.TrimSuffix(publicURL, "/")
	values := map[string]string{
		"public_url": public, "entity_id": public + "/saml/metadata", "data_dir": "data", "secret_key_file": "secret_key",
		"directory.bind_password_file": "bind_password", "constant_contact.partner_secret_file": "partner_secret",
		"constant_contact.api_key_file": "api_key",
	}
	cfg.TrustedProxies = []string{"127.0.0.1"} // whether somebody ends TLS is known only once the file is edited
	for _, key := range slices.Sorted(maps.Keys(set)) {
		value := set[key]
		field, ok := fieldByPath(&cfg, key)
		switch {
		case !ok:
			_, hint := nearest(key)
			f.add("--set "+key, "unknown key", hint)
			continue
		case field.Type() == reflect.TypeFor[Secret]():
			f.add("--set "+key, "a secret does not belong on the command line, where others can read it",
				"write it into a file and set "+key+"_file")
			continue
		}
		if text, mend := setScalar(field, value); text != "" {
			f.add("--set "+key, text, mend)
		}
		values[key] = value
	}
	cfg.PublicURL, cfg.EntityID = values["public_url"], values["entity_id"]
	checkAddresses(&cfg, f)
	return values, f.err()
}

// FillExample writes values into the example: a key's commented line becomes a line
// that counts. Sections are found by their indentation.
func FillExample(values map[string]string) (string, error) {
	left := map[string]string{}
	for key, value := range values {
		left[key] = value
	}
	cfg := Defaults()
	var out strings.Builder
	var path []string
	for line := range strings.Lines(example) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		body := strings.TrimSpace(line)
		name, _, isKey := strings.Cut(strings.TrimPrefix(body, "#"), ":")
		if !isKey || strings.HasPrefix(body, "# ") || body == "" {
			out.WriteString(line)
			continue
		}
		path = append(path[:min(indent/2, len(path))], name)
		key := strings.Join(path, ".")
		value, ok := left[key]
		if !ok {
			out.WriteString(line)
			continue
		}
		delete(left, key)
		field, _ := fieldByPath(&cfg, key)
		setScalar(field, value)
		var text []byte
		var err error
		switch {
		case field.Kind() == reflect.Slice || field.Kind() == reflect.Map:
			var node yaml.Node
			if err = node.Encode(field.Interface()); err == nil {
				node.Style = yaml.FlowStyle
				text, err = yaml.Marshal(&node)
			}
		case field.Kind() == reflect.String:
			text, err = yaml.Marshal(value)
		default:
			text = []byte(value + "\n")
		}
		if err != nil {
			return "", fmt.Errorf("encode %s: %w", key, err)
		}
		fmt.Fprintf(&out, "%s%s: %s", strings.Repeat(" ", indent), name, text)
	}
	if len(left) > 0 {
		return "", fmt.Errorf("the example has no key %s", slices.Sorted(maps.Keys(left))[0])
	}
	return out.String(), nil
}

func fieldByPath(cfg *Config, key string) (found reflect.Value, ok bool) {
	eachKey(reflect.ValueOf(cfg).Elem(), "", func(path string, field reflect.Value) {
		if path == key {
			found, ok = field, true
		}
	})
	return found, ok
}
