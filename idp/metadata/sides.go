package metadata

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// Side is what two records of a service provider say of one thing on which they differ, each in full, for people to
// compare side by side. Its fields are those of Differences.
type Side struct {
	Field   string
	Was, Is []Value
}

// Value is one address, certificate or word of a side.
type Value struct {
	Text        string // of an address or word; of a certificate whose it is
	About       string // what the metadata says beside it, in the words of metadata: "HTTP-POST, index=0"
	Certificate *Certificate
	Changed     bool // the other side has it not
}

// Certificate is what people compare of one.
type Certificate struct {
	Fingerprint, Algorithm string
	Ends                   time.Time // zero: it can't be read
}

// Sides compares two records by the fields in which they differ, in the order of Differences.
func Sides(was, is store.ServiceProvider) (all []Side) {
	add := func(field string, before, after []Value) {
		mark(before, after)
		mark(after, before)
		changed := func(v Value) bool { return v.Changed }
		if slices.ContainsFunc(before, changed) || slices.ContainsFunc(after, changed) {
			all = append(all, Side{field, before, after})
		}
	}
	add("name", words(was.Name), words(is.Name))
	add("acs", consumers(was), consumers(is))
	before, _ := DefaultACS(was.ACS)
	after, _ := DefaultACS(is.ACS)
	add("default acs", words(before.URL), words(after.URL))
	add("certificate", certificates(was.Certificates), certificates(is.Certificates))
	add("encryption_key", encryption(was), encryption(is))
	add("logout", logouts(was), logouts(is))
	add("form_action", words(was.FormAction), words(is.FormAction))
	add("recipient", words(was.Recipient), words(is.Recipient))
	add("destination", words(was.Destination), words(is.Destination))
	add("authn_requests_signed", words(fmt.Sprint(was.AuthnRequestsSigned)), words(fmt.Sprint(is.AuthnRequestsSigned)))
	return all
}

// mark notes which values of one side the other has not.
func mark(side, other []Value) {
	for i, v := range side {
		side[i].Changed = !slices.ContainsFunc(other, v.same)
	}
}

func (v Value) same(o Value) bool {
	if v.Text != o.Text || v.About != o.About || (v.Certificate == nil) != (o.Certificate == nil) {
		return false
	}
	return v.Certificate == nil || v.Certificate.Fingerprint == o.Certificate.Fingerprint
}

// words is a single value; none where the text is empty.
func words(text string) []Value {
	if text == "" {
		return nil
	}
	return []Value{{Text: text}}
}

func consumers(sp store.ServiceProvider) (all []Value) {
	for _, e := range sp.ACS {
		about := fmt.Sprintf("%s, index=%d", shortBinding(e.Binding), e.Index)
		if e.IsDefault != nil {
			about += fmt.Sprintf(", isDefault=%t", *e.IsDefault)
		}
		all = append(all, Value{Text: e.URL, About: about})
	}
	return all
}

func logouts(sp store.ServiceProvider) (all []Value) {
	for _, l := range sp.Logout {
		about := shortBinding(l.Binding)
		if l.ResponseURL != "" {
			about += ", ResponseLocation=" + l.ResponseURL
		}
		all = append(all, Value{Text: l.URL, About: about})
	}
	return all
}

func certificates(ders [][]byte) (all []Value) {
	for _, der := range ders {
		all = append(all, certificate(der))
	}
	return all
}

func encryption(sp store.ServiceProvider) (all []Value) {
	for _, k := range sp.EncryptionKeys {
		v := certificate(k.Certificate)
		v.About = strings.Join(k.Methods, " ")
		all = append(all, v)
	}
	return all
}

func certificate(der []byte) Value {
	v := Value{Certificate: &Certificate{Fingerprint: certs.HexFingerprint(der)}}
	if c, err := certs.ParseHolder(der); err == nil {
		v.Text, v.Certificate.Algorithm, v.Certificate.Ends = holder(c), c.PublicKeyAlgorithm.String(), c.NotAfter.UTC()
	}
	return v
}
