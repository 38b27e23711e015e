package console

import (
	"slices"
	"strconv"
	"strings"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web"
	"ssobridge/web/admin"
)

// providerGroups are the settings of a service provider as its form has them, the advanced ones last. One that is in no
// group is advanced.
var providerGroups = []struct {
	name     string // with texts providers.group.NAME and providers.group.NAME.hint
	settings []string
}{
	{"who", []string{"name", "enabled", "groups"}},
	{"gets", []string{"name_id_format", "name_id", "attributes"}},
	{"trust", []string{"sign", "request_signatures", "certificates", "encryption", "encryption_keys"}},
	{"addresses", []string{"acs", "relay_states", "default_relay_state"}},
	{"advanced", []string{"form_action", "recipient", "destination", "audience", "relay_state_in"}},
}

// Kinds of fields.
const (
	textField   = "text"
	boolField   = "bool"
	choiceField = "choice"
	listField   = "list"
	fileField   = "file"
)

// providerGroup is one part of the form.
type providerGroup struct {
	Name   string
	Fields []providerField
}

// providerField is one setting as a field.
type providerField struct {
	Name, Kind, Label, Hint string
	Was                     string   // the value that the page shows, so that only what was changed is set
	Items                   []string // of a file: what is there, each by its fingerprint
	Options                 []option
}

// providerForm is the form of a service provider's settings. What was typed before a refusal stays in f.
func (r *request) providerForm(sp store.ServiceProvider, f *form) (all []providerGroup) {
	fields := map[string]providerField{}
	var rest []string
	values := web.Fields{}
	for _, s := range idp.Settings() {
		one := r.providerField(s, sp)
		fields[s.Name] = one
		if !slices.ContainsFunc(providerGroups, func(g struct {
			name     string
			settings []string
		}) bool {
			return slices.Contains(g.settings, s.Name)
		}) {
			rest = append(rest, s.Name)
		}
		if values[s.Name] = one.Was; one.Kind == fileField {
			values[s.Name] = ""
		}
	}
	_, typed := f.Values[wasPrefix+"name"]
	for name, value := range f.Values {
		values[name] = value
	}
	for name, one := range fields { // a box without a tick is not sent
		if _, sent := f.Values[name]; typed && one.Kind == boolField && !sent {
			values[name] = ""
		}
	}
	f.Values = values
	for _, g := range providerGroups {
		group := providerGroup{Name: g.name}
		names := g.settings
		if g.name == "advanced" {
			names = slices.Concat(names, rest)
		}
		for _, name := range names {
			if name == "groups" && sp.Kind == store.ConstantContact {
				continue // mappings rule it
			}
			if one, ok := fields[name]; ok {
				group.Fields = append(group.Fields, one)
			}
		}
		all = append(all, group)
	}
	return all
}

// wasPrefix stands before the name of a field's value as it was shown.
const wasPrefix = "was-"

func (r *request) providerField(s idp.Setting, sp store.ServiceProvider) providerField {
	now := s.Show(sp)
	one := providerField{Name: s.Name, Kind: textField, Label: s.Name, Hint: s.Help, Was: strings.Join(now, "")}
	if key := "setting." + s.Name; r.k.texts.Has(key) {
		one.Label, one.Hint = r.text(key), ""
		if r.k.texts.Has(key + ".hint") {
			one.Hint = r.text(key + ".hint")
		}
	}
	words := strings.Split(s.Values, "|")
	switch {
	case s.File:
		one.Kind, one.Items, one.Was = fileField, now, ""
	case s.List:
		one.Kind, one.Was = listField, strings.Join(now, "\n")
	case s.Values == "true|false":
		one.Kind = boolField
		if one.Was != "true" {
			one.Was = ""
		}
	case len(words) > 1:
		one.Kind = choiceField
		for _, word := range words {
			if strings.ToUpper(word) == word {
				continue // stands for any value
			}
			one.Options = append(one.Options, r.settingOption(s.Name, word))
		}
		if !slices.ContainsFunc(one.Options, func(o option) bool { return o.Value == one.Was }) {
			one.Options = append(one.Options, option{one.Was, one.Was})
		}
	}
	return one
}

// settingOption is a word that can be chosen, with its text where it has one.
func (r *request) settingOption(setting, word string) option {
	if key := "setting." + setting + "." + word; r.k.texts.Has(key) {
		return option{word, r.text(key)}
	}
	return option{word, word}
}

// providerChanges are the settings that a form changes: what stands in it and is another than the page showed.
func (r *request) providerChanges(sp store.ServiceProvider) (all []admin.Change) {
	for _, s := range idp.Settings() {
		one := r.providerField(s, sp)
		was, shown := r.Form[wasPrefix+s.Name]
		if !shown {
			continue
		}
		value := strings.TrimSpace(r.Form[s.Name])
		switch one.Kind {
		case fileField:
			for i, fingerprint := range one.Items {
				if r.Form["remove-"+s.Name+"-"+strconv.Itoa(i)] == fingerprint {
					all = append(all, admin.Change{Key: s.Name + "-", Value: fingerprint})
				}
			}
			if value != "" {
				all = append(all, admin.Change{Key: s.Name + "+", Value: value})
			}
		case listField:
			all = append(all, listChanges(s.Name, lines(was), lines(value))...)
		case boolField:
			if value != was {
				all = append(all, admin.Change{Key: s.Name, Value: strconv.FormatBool(value == "true")})
			}
		default:
			if value != was {
				all = append(all, admin.Change{Key: s.Name, Value: value})
			}
		}
	}
	return all
}

// listChanges turn one list into another. What has a name before a = is removed and replaced by it; of other lists the
// order counts.
func listChanges(name string, was, now []string) (all []admin.Change) {
	if slices.Equal(was, now) {
		return nil
	}
	if name != "attributes" && name != "relay_states" {
		if len(now) == 0 {
			return []admin.Change{{Key: name}}
		}
		all = append(all, admin.Change{Key: name, Value: now[0]})
		for _, line := range now[1:] {
			all = append(all, admin.Change{Key: name + "+", Value: line})
		}
		return all
	}
	named := func(line string) string { key, _, _ := strings.Cut(line, "="); return strings.TrimSpace(key) }
	for _, line := range was {
		if !slices.ContainsFunc(now, func(other string) bool { return named(other) == named(line) }) {
			all = append(all, admin.Change{Key: name + "-", Value: named(line)})
		}
	}
	for _, line := range now {
		if !slices.Contains(was, line) {
			all = append(all, admin.Change{Key: name + "+", Value: line})
		}
	}
	return all
}

// providerKind is the kind of state that a service provider is in.
func providerKind(state string) string {
	switch state {
	case admin.ProviderEnabled:
		return "ok"
	case admin.ProviderDisabled:
		return "off"
	case admin.ProviderExpired:
		return "bad"
	}
	return "warn"
}
