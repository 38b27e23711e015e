package config

import (
	_ "embed"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// example is every key with its comment. A test makes it from the comments of
// Config.
//
//go:embed config.example.yaml
var example string

// InitialValues are the settings of a new configuration in a folder: what init was given. What the check of the whole
// configuration refuses because of them is refused here; what is only missing so far is not.
func InitialValues(folder, publicURL string, set map[string]string) (map[string]string, error) {
	f := &faults{}
	public := strings.TrimSuffix(publicURL, "/")
	values := map[string]string{
		"public_url": public, "entity_id": public + "/saml/metadata", "data_dir": "data", "secret_key_file": "secret_key",
		"directory.bind_password_file": "bind_password", "constant_contact.partner_secret_file": "partner_secret",
		"constant_contact.api_key_file": "api_key",
	}
	cfg := Defaults()
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if setGiven(&cfg, key, set[key], "--set "+key, f) {
			values[key] = set[key]
		}
	}
	without := maps.Clone(values)
	for key := range set {
		delete(without, key)
	}
	known := faultsOf(folder, without)
	for _, fault := range faultsOf(folder, values) {
		if NobodyEndsTLS(fault) {
			continue // whether somebody ends TLS is known only once the file is edited
		}
		if !slices.Contains(known, fault) || fault.Key == "public_url" || fault.Key == "entity_id" {
			f.list = append(f.list, fault)
		}
	}
	return values, f.err()
}

// faultsOf is what the check finds in a configuration of these values, before the secrets are in their files. The
// folder for the data is made with it.
func faultsOf(folder string, values map[string]string) []Fault {
	cfg, f := Defaults(), &faults{}
	for key, value := range values {
		if field, ok := fieldByPath(&cfg, key); ok {
			setScalar(field, value)
		}
	}
	ResolvePaths(&cfg, folder)
	checkConfig(&cfg, f)
	return slices.DeleteFunc(f.list, func(one Fault) bool {
		return one.Key == "data_dir" && strings.HasSuffix(one.Text, notThere)
	})
}

// setGiven sets a key that somebody has given outside of the file. place says where, for the fault.
func setGiven(cfg *Config, key, value, place string, f *faults) bool {
	field, ok := fieldByPath(cfg, key)
	if !ok {
		_, hint := nearest(key)
		f.add(place, "unknown key", hint)
		return false
	}
	if field.Type() == reflect.TypeFor[Secret]() {
		f.add(place, "a secret does not belong on the command line, where others can read it",
			"write it into a file and set "+key+"_file")
		return false
	}
	if text, fix := setScalar(field, value); text != "" {
		f.add(place, text, fix)
		return false
	}
	return true
}

func fieldByPath(cfg *Config, key string) (found reflect.Value, ok bool) {
	eachKey(reflect.ValueOf(cfg).Elem(), "", func(path string, field reflect.Value) {
		if path == key {
			found, ok = field, true
		}
	})
	return found, ok
}
