package idp

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// listChange works a wish on a list. same tells whether two values are the same
// one, so that adding replaces and removing finds. ok is false where there was
// nothing to remove. The list given is left as it is.
func listChange[T any](all []T, v T, wish listWish, same func(a, b T) bool) (changed []T, ok bool) {
	i := slices.IndexFunc(all, func(a T) bool { return same(a, v) })
	switch {
	case wish == replaceList:
		return []T{v}, true
	case wish == removeFromList && i < 0:
		return all, false
	case wish == removeFromList:
		return slices.Delete(slices.Clone(all), i, i+1), true
	case i >= 0:
		changed = slices.Clone(all)
		changed[i] = v
		return changed, true
	}
	return append(slices.Clone(all), v), true
}

func notInList(field, value string) error {
	return fieldError(field, value, "it is not in the list", "the service provider's settings show the list")
}

func setGroups(sp *store.ServiceProvider, value string, wish listWish) error {
	if value == "" {
		sp.Groups = nil
		return nil
	}
	all, ok := listChange(sp.Groups, value, wish, func(a, b string) bool { return a == b || directory.SameDN(a, b) })
	if !ok {
		return notInList("groups", value)
	}
	return tried(sp, func(sp *store.ServiceProvider) { sp.Groups = all }, "groups")
}

func setACS(sp *store.ServiceProvider, value string, wish listWish) error {
	if value == "" {
		return fieldError("acs", "", "the list can't be empty", "give the address where Responses are posted")
	}
	e := store.Endpoint{URL: value, Binding: saml.BindingPost}
	if wish == addToList {
		for _, other := range sp.ACS {
			if other.URL == value && other.Binding == e.Binding {
				return nil // it is there, with the index that requests may name
			}
			e.Index = max(e.Index, other.Index+1)
		}
	}
	all, ok := listChange(sp.ACS, e, wish, func(a, b store.Endpoint) bool {
		return a.URL == b.URL && (wish == removeFromList || a.Binding == b.Binding)
	})
	if !ok {
		return notInList("acs", value)
	}
	return tried(sp, func(sp *store.ServiceProvider) { sp.ACS = all }, "acs")
}

// Short words for the formats of attribute names (saml-core 8.2).
var attributeFormats = []struct{ word, urn string }{
	{"basic", saml.FormatBasicAttribute},
	{"uri", "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"},
	{"unspecified", "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"},
}

// parseAttribute reads NAME=VALUE with ;format=… and ;friendly=… behind it. The
// options are looked for from the end, so that a template may have a semicolon.
func parseAttribute(value string) (store.Attribute, error) {
	a := store.Attribute{NameFormat: saml.FormatBasicAttribute}
	rest := value
	for {
		at := strings.LastIndexByte(rest, ';')
		if at < 0 {
			break
		}
		if format, ok := strings.CutPrefix(rest[at:], ";format="); ok {
			a.NameFormat = format
			for _, f := range attributeFormats {
				if f.word == format {
					a.NameFormat = f.urn
				}
			}
		} else if friendly, ok := strings.CutPrefix(rest[at:], ";friendly="); ok {
			a.FriendlyName = friendly
		} else {
			break
		}
		rest = rest[:at]
	}
	name, template, ok := strings.Cut(rest, "=")
	if !ok || name == "" || template == "" {
		return a, fieldError("attributes", value, "it is not NAME=TEMPLATE",
			"write it like email={mail} or groups=attr:memberOf")
	}
	a.Name, a.Value = name, template
	return a, nil
}

func showAttribute(a store.Attribute) string {
	text := a.Name + "=" + a.Value
	if a.NameFormat != saml.FormatBasicAttribute {
		format := a.NameFormat
		for _, f := range attributeFormats {
			if f.urn == format {
				format = f.word
			}
		}
		text += ";format=" + format
	}
	if a.FriendlyName != "" {
		text += ";friendly=" + a.FriendlyName
	}
	return text
}

func setAttributes(sp *store.ServiceProvider, value string, wish listWish) error {
	if value == "" {
		sp.Attributes = nil
		return nil
	}
	if wish == removeFromList {
		all := slices.DeleteFunc(slices.Clone(sp.Attributes), func(a store.Attribute) bool {
			return a.Name == value ||
				showAttribute(a) == value
		})
		if len(all) == len(sp.Attributes) {
			return notInList("attributes", value)
		}
		sp.Attributes = all
		return nil
	}
	a, err := parseAttribute(value)
	if err != nil {
		return err
	}
	all, _ := listChange(sp.Attributes, a, wish, func(a, b store.Attribute) bool {
		return a.Name == b.Name &&
			a.NameFormat == b.NameFormat
	})
	return tried(sp, func(sp *store.ServiceProvider) { sp.Attributes = all }, "attributes")
}

func setRelayStates(sp *store.ServiceProvider, value string, wish listWish) error {
	if value == "" {
		sp.RelayStates = nil
		return nil
	}
	id, text, ok := strings.Cut(value, "=")
	if !ok && wish != removeFromList || id == "" {
		return fieldError("relay_states", value, "it is not ID=VALUE",
			"write it like campaigns=https://app.example.com/campaigns")
	}
	r := store.RelayState{ID: id, Value: text}
	for _, other := range sp.RelayStates {
		if other.ID == id {
			r.Default = other.Default
		}
	}
	all, ok := listChange(sp.RelayStates, r, wish, func(a, b store.RelayState) bool { return a.ID == b.ID })
	if !ok {
		return notInList("relay_states", id)
	}
	return tried(sp, func(sp *store.ServiceProvider) { sp.RelayStates = all }, "relay_states")
}

func setDefaultRelayState(sp *store.ServiceProvider, value string) error {
	all := slices.Clone(sp.RelayStates)
	found := value == ""
	for i := range all {
		all[i].Default = value != "" && all[i].ID == value
		found = found || all[i].Default
	}
	if !found {
		return fieldError("default_relay_state", value, "there is no RelayState of that id", "add it to relay_states first")
	}
	sp.RelayStates = all
	return nil
}

// setIgnoreEnd drops the end that the metadata names, or puts it back.
func setIgnoreEnd(sp *store.ServiceProvider, value string) error {
	if err := oneOf("ignore_valid_until", value, "true", "false"); err != nil {
		return err
	}
	source := store.Source{}
	if sp.Source != nil {
		source = *sp.Source
	}
	source.NoEnd, source.ValidUntil = value == "true", time.Time{}
	if !source.NoEnd && len(sp.Metadata) > 0 {
		// Without a clock: an end that is past by now is put back too, and says so at the next sign-in.
		im, err := metadata.Read(bytes.NewReader(sp.Metadata), metadata.ReadOptions{AllowLoopbackHTTP: true})
		if err != nil {
			return fieldError("ignore_valid_until", "", "its metadata can't be read: "+err.Error(), "import its metadata again")
		}
		source.ValidUntil = im.ValidUntil
	}
	sp.Source = &source
	if source.URL == "" && source.ValidUntil.IsZero() && !source.NoEnd {
		sp.Source = nil
	}
	return nil
}

func setCertificates(sp *store.ServiceProvider, value string, wish listWish) error {
	all, err := changeCertificates("certificates", sp.Certificates, value, wish)
	if err != nil {
		return err
	}
	sp.Certificates = all
	return nil
}

func setEncryptionKeys(sp *store.ServiceProvider, value string, wish listWish) error {
	var before [][]byte
	for _, k := range sp.EncryptionKeys {
		before = append(before, k.Certificate)
	}
	after, err := changeCertificates("encryption_keys", before, value, wish)
	if err != nil {
		return err
	}
	var all []store.EncryptionKey
	for _, der := range after {
		k := store.EncryptionKey{Certificate: der}
		// A key that stays keeps the methods that its metadata named.
		for _, old := range sp.EncryptionKeys {
			if bytes.Equal(old.Certificate, der) {
				k = old
			}
		}
		all = append(all, k)
	}
	return tried(sp, func(sp *store.ServiceProvider) { sp.EncryptionKeys = all }, "encryption_keys")
}

// showEncryptionMethods shows those of the first key: sp set gives all the same.
func showEncryptionMethods(sp store.ServiceProvider) []string {
	var all []string
	if len(sp.EncryptionKeys) > 0 {
		for _, m := range sp.EncryptionKeys[0].Methods {
			all = append(all, shortAlgorithm(m))
		}
	}
	return all
}

func setEncryptionMethods(sp *store.ServiceProvider, value string, wish listWish) error {
	method := ""
	for _, algorithm := range saml.EncryptionAlgorithms() {
		if shortAlgorithm(algorithm) == value || algorithm == value {
			method = algorithm
		}
	}
	switch {
	case method == "" && value != "":
		return fieldError("encryption_methods", value, "it is not offered",
			"want aes128-gcm, aes256-gcm, aes128-cbc, aes256-cbc, rsa-oaep-mgf1p or rsa-oaep")
	case len(sp.EncryptionKeys) == 0 && value != "":
		return fieldError("encryption_methods", "", "there is no key to use them with", "set encryption_keys first")
	}
	all := slices.Clone(sp.EncryptionKeys)
	for i := range all {
		if value == "" {
			all[i].Methods = nil
			continue
		}
		methods, ok := listChange(all[i].Methods, method, wish, func(a, b string) bool { return a == b })
		if !ok {
			return notInList("encryption_methods", value)
		}
		all[i].Methods = methods
	}
	return tried(sp, func(sp *store.ServiceProvider) { sp.EncryptionKeys = all }, "encryption_keys")
}

func changeCertificates(field string, all [][]byte, value string, wish listWish) ([][]byte, error) {
	if value == "" {
		return nil, nil
	}
	if wish == removeFromList {
		kept := slices.DeleteFunc(slices.Clone(all),
			func(der []byte) bool { return certs.HexFingerprint(der) == plainFingerprint(value) })
		if len(kept) == len(all) {
			return nil, notInList(field, value)
		}
		return kept, nil
	}
	given, err := readCertificates(value)
	if err != nil {
		fault := err.Error()
		if cause, ok := strings.CutPrefix(fault, "x509: "); ok {
			fault = "the certificate can't be read: " + cause
		}
		return nil, fieldError(field, "", fault, "give a file with the service provider's certificate in PEM form")
	}
	if wish == replaceList {
		all = nil
	}
	for _, der := range given {
		all, _ = listChange(all, der, addToList, bytes.Equal)
	}
	return all, nil
}

// readCertificates reads certificates as they come: PEM, base64 as it stands in metadata, or one in DER.
func readCertificates(text string) ([][]byte, error) {
	if c, err := certs.ParseHolder([]byte(text)); err == nil {
		return [][]byte{c.Raw}, nil
	}
	found, err := certs.ReadHolders(text) // refuses private keys: the record is no place for one
	if err != nil {
		return nil, err
	}
	all := make([][]byte, 0, len(found))
	for _, c := range found {
		all = append(all, c.Raw)
	}
	return all, nil
}

// plainFingerprint takes the form with colons and capitals that other programs print.
func plainFingerprint(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
