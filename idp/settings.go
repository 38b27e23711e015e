package idp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// FieldError is a fault of one field of a service provider's record, or of one
// setting of it. It names no secret: a record holds none.
type FieldError struct {
	Field string // a key of Settings, with the place in a list where that helps: acs[0].url
	Value string // as given, cut short; "" where it says nothing
	Fault string
	Fix   string
}

func (e *FieldError) Error() string {
	text := e.Field
	if e.Value != "" {
		text += fmt.Sprintf(" %q", e.Value)
	}
	text += ": " + e.Fault
	if e.Fix != "" {
		text += ": " + e.Fix
	}
	return text
}

// maxShownValue is how much of a value an error repeats, in characters.
const maxShownValue = 120

func fieldError(field, value, fault, fix string) *FieldError {
	if r := []rune(value); len(r) > maxShownValue {
		value = string(r[:maxShownValue]) + "…"
	}
	return &FieldError{field, value, fault, fix}
}

// Setting is one setting of a service provider's record.
type Setting struct {
	Name   string
	Values string // what can be given: a choice of words, or the form of one value
	Help   string // one sentence
	List   bool   // NAME+ adds a value, NAME- removes one
	File   bool   // a value is the content of a file: PEM, of one certificate or more

	show func(store.ServiceProvider) []string
	set  func(sp *store.ServiceProvider, value string) error                  // not for lists
	list func(sp *store.ServiceProvider, value string, change listWish) error // for lists
}

// Show returns what the record has under this key, in the form in which
// SetSetting takes it: one value, or those of a list. Nothing stands for a
// value that is left at its default. Certificates are shown by their SHA-256
// fingerprint, by which they can be removed.
func (k Setting) Show(sp store.ServiceProvider) []string {
	return slices.DeleteFunc(k.show(sp), func(v string) bool { return v == "" })
}

// listWish is what happens to a value of a list.
type listWish int

const (
	replaceList listWish = iota // the list is this one value; nothing for an empty one
	addToList
	removeFromList
)

// SetSetting changes one setting of a record, in memory. key is a name of
// Settings; value is as a person types it. For a list, NAME sets the list to
// this one value (an empty value empties it), NAME+ adds a value or replaces the
// one of the same name, and NAME- removes one. An empty value of another setting
// puts its default back, where it has one.
//
// Errors are of type *FieldError; the record is then as it was. What is wrong
// only together with other settings is told by CheckProvider, after the last
// change.
func SetSetting(sp *store.ServiceProvider, key, value string) error {
	name, wish := key, replaceList
	if bare, ok := strings.CutSuffix(key, "+"); ok {
		name, wish = bare, addToList
	} else if bare, ok := strings.CutSuffix(key, "-"); ok {
		name, wish = bare, removeFromList
	}
	i := slices.IndexFunc(settings(), func(k Setting) bool { return k.Name == name })
	if i < 0 {
		return fieldError(name, "", "there is no such setting", "take one of "+strings.Join(keyNames(), ", "))
	}
	k := settings()[i]
	if len(value) > maxSetting && !k.File || len(value) > maxSettingFile {
		return fieldError(name, value, fmt.Sprintf("it has %d bytes", len(value)), fmt.Sprintf("give at most %d", maxSetting))
	}
	if !k.List {
		if wish != replaceList {
			return fieldError(name, "", "it is one value and no list", "set it to the one value")
		}
		return k.set(sp, value)
	}
	if value == "" && wish != replaceList {
		return fieldError(name, "", "there is nothing to add or to remove",
			"give a value; setting it to nothing empties the list")
	}
	return k.list(sp, value, wish)
}

// The longest value of a setting, in bytes: of a file, and of any other.
const (
	maxSettingFile = 1 << 20
	maxSetting     = 4096
)

// Settings returns every setting, in the order in which to show them.
func Settings() []Setting { return settings() }

func keyNames() []string {
	var all []string
	for _, k := range settings() {
		all = append(all, k.Name)
	}
	return all
}

func settings() []Setting {
	return []Setting{
		textKey("name", "TEXT", "What people see.", func(sp *store.ServiceProvider) *string { return &sp.Name }),
		boolKey("enabled", "Whether sign-ins to it are possible.",
			func(sp *store.ServiceProvider) *bool { return &sp.Enabled }),
		{
			Name: "groups", Values: "DN", List: true, Help: "Who may use it: members of one of these groups. Without one " +
				"nobody may. Constant Contact is ruled by mappings instead.",
			show: func(sp store.ServiceProvider) []string { return sp.Groups }, list: setGroups,
		},
		{
			Name: "acs", Values: "URL", List: true, Help: "Where Responses are posted (assertion consumer services with the " +
				"HTTP-POST binding). The first is the default, unless metadata says otherwise.",
			show: func(sp store.ServiceProvider) []string {
				var all []string
				for _, e := range sp.ACS {
					all = append(all, e.URL)
				}
				return all
			}, list: setACS,
		},
		textKey("form_action", "URL", "Where the form with the Response goes. Default: the ACS.",
			func(sp *store.ServiceProvider) *string { return &sp.FormAction }),
		textKey("recipient", "URL", "Recipient in the assertion. Default: the ACS without a RelayState in its query.",
			func(sp *store.ServiceProvider) *string { return &sp.Recipient }),
		textKey("destination", "URL", "Destination of the Response. Default: the recipient.",
			func(sp *store.ServiceProvider) *string { return &sp.Destination }),
		textKey("audience", "URI", "Audience of the assertion. Default: its entity id.",
			func(sp *store.ServiceProvider) *string { return &sp.Audience }),
		{
			Name: "name_id_format", Values: "persistent|transient|email|unspecified|URN",
			Help: "Format of the NameID. A transient one is random and another in each session; name_id is not used then.",
			show: func(sp store.ServiceProvider) []string {
				for _, f := range nameIDFormats {
					if f.urn == sp.NameIDFormat {
						return []string{f.word}
					}
				}
				return []string{sp.NameIDFormat}
			},
			set: func(sp *store.ServiceProvider, value string) error {
				for _, f := range nameIDFormats {
					if f.word == value {
						value = f.urn
					}
				}
				return tried(sp, func(sp *store.ServiceProvider) { sp.NameIDFormat = value }, "name_id_format")
			},
		},
		textKey("name_id", "TEMPLATE", "The NameID, such as {person_id}, {mail} or {attr:NAME}.",
			func(sp *store.ServiceProvider) *string { return &sp.NameID }),
		{
			Name: "attributes", Values: "NAME=TEMPLATE or NAME=attr:ATTRIBUTE, with ;format=basic|uri|unspecified|URN and " +
				";friendly=TEXT behind it", List: true,
			Help: "What is released: the SAML name, and a template or all values of a directory attribute. Removed by NAME.",
			show: func(sp store.ServiceProvider) []string {
				var all []string
				for _, a := range sp.Attributes {
					all = append(all, showAttribute(a))
				}
				return all
			}, list: setAttributes,
		},
		{
			Name: "sign", Values: "both|response|assertion", Help: "What of a sign-in is signed.",
			show: func(sp store.ServiceProvider) []string {
				switch {
				case sp.SignAssertion && sp.SignResponse:
					return []string{"both"}
				case sp.SignResponse:
					return []string{"response"}
				case sp.SignAssertion:
					return []string{"assertion"}
				}
				return nil
			},
			set: func(sp *store.ServiceProvider, value string) error {
				if err := oneOf("sign", value, "both", "response", "assertion"); err != nil {
					return err
				}
				sp.SignAssertion, sp.SignResponse = value != "response", value != "assertion"
				return nil
			},
		},
		choiceKey("encryption", "Whether assertions are encrypted for it: never, when its metadata has a key for that, or "+
			"always, so that without a key nobody gets in.",
			func(sp *store.ServiceProvider) *string { return &sp.Encryption }, saml.EncryptionOff, saml.EncryptionIfPublished,
			saml.EncryptionRequired),
		{
			Name: "encryption_keys", Values: "PEM", List: true, File: true,
			Help: "Certificates for whose keys assertions are encrypted. Removed by SHA-256 fingerprint.",
			show: func(sp store.ServiceProvider) []string {
				var all []string
				for _, k := range sp.EncryptionKeys {
					all = append(all, certs.HexFingerprint(k.Certificate))
				}
				return all
			}, list: setEncryptionKeys,
		},
		{
			Name: "encryption_methods", Values: "aes128-gcm|aes256-gcm|aes128-cbc|aes256-cbc|rsa-oaep-mgf1p|rsa-oaep",
			List: true,
			Help: "What its encryption keys are used with, in order of preference; metadata says it otherwise. Default: " +
				"aes128-gcm and rsa-oaep-mgf1p.",
			show: showEncryptionMethods, list: setEncryptionMethods,
		},
		boolKey("allow_cbc", "Take CBC where its metadata offers no GCM. CBC has no integrity of its own, so the Response "+
			"must be signed.", func(sp *store.ServiceProvider) *bool { return &sp.AllowCBC }),
		choiceKey("request_signatures",
			"Whether its requests must be signed. A signature that is there must always be right.",
			func(sp *store.ServiceProvider) *string { return &sp.RequestSignatures }, "if-present", "required"),
		boolKey("allow_sha1", "Take SHA-1 in its signatures. SHA-1 can be forged: a last resort.",
			func(sp *store.ServiceProvider) *bool { return &sp.AllowSHA1 }),
		{
			Name: "certificates", Values: "PEM", List: true, File: true,
			Help: "Certificates with which it signs. Removed by SHA-256 fingerprint.",
			show: func(sp store.ServiceProvider) []string {
				var all []string
				for _, der := range sp.Certificates {
					all = append(all, certs.HexFingerprint(der))
				}
				return all
			}, list: setCertificates,
		},
		{
			Name: "ignore_valid_until", Values: "true|false", Help: "Whether the end that its metadata names (validUntil) " +
				"counts for nothing. Nobody can sign in there past that end otherwise.",
			show: func(sp store.ServiceProvider) []string {
				return []string{strconv.FormatBool(sp.Source != nil && sp.Source.NoEnd)}
			}, set: setIgnoreEnd,
		},
		choiceKey("holds_certificates", "How many of our certificates it can hold at a time, for key roll-over.",
			func(sp *store.ServiceProvider) *string { return &sp.HoldsCertificates }, "two", "one"),
		durationKey("lifetime", "How long an assertion can be used, at most 5m.",
			func(sp *store.ServiceProvider) *time.Duration { return &sp.Lifetime }),
		durationKey("skew", "How far its clock may be behind ours.",
			func(sp *store.ServiceProvider) *time.Duration { return &sp.Skew }),
		{
			Name: "relay_states", Values: "ID=VALUE", List: true,
			Help: "The RelayStates that launches may ask for by id, at most 80 bytes each. Removed by ID.",
			show: func(sp store.ServiceProvider) []string {
				var all []string
				for _, r := range sp.RelayStates {
					all = append(all, r.ID+"="+r.Value)
				}
				return all
			}, list: setRelayStates,
		},
		{
			Name: "default_relay_state", Values: "ID", Help: "The one that a launch takes which asks for none; empty: no " +
				"RelayState then.",
			show: func(sp store.ServiceProvider) []string {
				var all []string
				for _, r := range sp.RelayStates {
					if r.Default {
						all = append(all, r.ID)
					}
				}
				return all
			}, set: setDefaultRelayState,
		},
		choiceKey("relay_state_in", "Where the RelayState of a launch goes: into a field of the form, or the query of its "+
			"address.",
			func(sp *store.ServiceProvider) *string { return &sp.RelayStateIn }, "field", "query"),
	}
}

// Short words for NameID formats.
var nameIDFormats = []struct{ word, urn string }{
	{"persistent", saml.FormatPersistent}, {"transient", saml.FormatTransient}, {"email", saml.FormatEmail},
	{"unspecified", saml.FormatUnspecified},
}

// tried makes a change and takes it back where CheckProvider finds a new fault
// in one of the fields.
func tried(sp *store.ServiceProvider, change func(*store.ServiceProvider), fields ...string) error {
	after := *sp
	change(&after)
	known := map[string]bool{}
	for _, f := range CheckProvider(*sp, true) {
		known[f.Error()] = true
	}
	for _, f := range CheckProvider(after, true) {
		e, ok := f.(*FieldError) //nolint:errorlint // CheckProvider returns nothing else, unwrapped
		if !ok || known[e.Error()] {
			continue
		}
		for _, field := range fields {
			if e.Field == field || strings.HasPrefix(e.Field, field+"[") {
				return e
			}
		}
	}
	*sp = after
	return nil
}

func textKey(name, values, help string, at func(*store.ServiceProvider) *string) Setting {
	return Setting{
		Name: name, Values: values, Help: help,
		show: func(sp store.ServiceProvider) []string { return []string{*at(&sp)} },
		set: func(sp *store.ServiceProvider, value string) error {
			return tried(sp, func(sp *store.ServiceProvider) { *at(sp) = value }, name)
		},
	}
}

func boolKey(name, help string, at func(*store.ServiceProvider) *bool) Setting {
	return Setting{
		Name: name, Values: "true|false", Help: help,
		show: func(sp store.ServiceProvider) []string { return []string{strconv.FormatBool(*at(&sp))} },
		set: func(sp *store.ServiceProvider, value string) error {
			if err := oneOf(name, value, "true", "false"); err != nil {
				return err
			}
			*at(sp) = value == "true"
			return nil
		},
	}
}

// choiceKey is a word out of several; the first is the default.
func choiceKey(name, help string, at func(*store.ServiceProvider) *string, words ...string) Setting {
	return Setting{
		Name: name, Values: strings.Join(words, "|"), Help: help,
		show: func(sp store.ServiceProvider) []string { return []string{cmp.Or(*at(&sp), words[0])} },
		set: func(sp *store.ServiceProvider, value string) error {
			value = cmp.Or(value, words[0])
			if err := oneOf(name, value, words...); err != nil {
				return err
			}
			*at(sp) = value
			return nil
		},
	}
}

func durationKey(name, help string, at func(*store.ServiceProvider) *time.Duration) Setting {
	return Setting{
		Name: name, Values: "DURATION", Help: help,
		show: func(sp store.ServiceProvider) []string { return []string{at(&sp).String()} },
		set: func(sp *store.ServiceProvider, value string) error {
			d, err := time.ParseDuration(value)
			if err != nil {
				return fieldError(name, value, "it is no duration", "write it like 90s or 5m")
			}
			return tried(sp, func(sp *store.ServiceProvider) { *at(sp) = d }, name)
		},
	}
}

func oneOf(name, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return fieldError(name, value, "it is not known", "want "+strings.Join(words, " or "))
}
