package idp

import (
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/crewjam/saml"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// maxOurRelayState is what a RelayState of ours may have in bytes (saml-bindings
// 3.4.3 and 3.5.3).
const maxOurRelayState = 80

var relayStateID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckProvider names every fault of a record, each with its field. Addresses
// must be https; http is taken on loopback hosts where allowLoopbackHTTP says so.
func CheckProvider(sp store.ServiceProvider, allowLoopbackHTTP bool) []error {
	c := &providerCheck{sp: sp, loopback: allowLoopbackHTTP}
	c.names()
	c.addresses()
	c.policy()
	c.relayStates()
	c.rest()
	return c.faults
}

type providerCheck struct {
	sp       store.ServiceProvider
	loopback bool
	faults   []error
}

func (c *providerCheck) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

func (c *providerCheck) names() {
	switch id := c.sp.EntityID; {
	case id == "":
		c.fault("entity_id: missing")
	case len(id) > 1024 || strings.ContainsFunc(id, notInURI): // saml-core 8.3.6
		c.fault("entity_id %.80q: want a URI of at most 1024 characters, without blanks", id)
	}
	if !utf8.ValidString(c.sp.Name) || utf8.RuneCountInString(c.sp.Name) > 200 || strings.ContainsFunc(c.sp.Name, isControl) {
		c.fault("name %.80q: want at most 200 printable characters", c.sp.Name)
	}
	if c.sp.Kind != store.ConstantContact && c.sp.Kind != store.PlainSAML {
		c.fault("kind %.40q: want %s or %s", c.sp.Kind, store.ConstantContact, store.PlainSAML)
	}
}

func (c *providerCheck) addresses() {
	posts := 0
	indexes := map[int]bool{}
	for i, e := range c.sp.ACS {
		field := fmt.Sprintf("acs[%d]", i)
		if err := checkAddress(e.URL, c.loopback); err != nil {
			c.fault("%s.url %.120q: %w", field, e.URL, err)
		}
		switch {
		case e.Binding == saml.HTTPPostBinding:
			posts++
		case !strings.HasPrefix(e.Binding, "urn:oasis:names:tc:SAML:2.0:bindings:"):
			c.fault("%s.binding %.80q: want %s", field, e.Binding, saml.HTTPPostBinding)
		}
		if e.Index < 0 || e.Index > 65535 {
			c.fault("%s.index %d: want a number from 0 to 65535", field, e.Index)
		}
		if indexes[e.Index] {
			c.fault("%s.index %d: it is used twice, so a request can't name one of the two", field, e.Index)
		}
		indexes[e.Index] = true
	}
	if posts == 0 {
		c.fault("acs: none with the binding %s, and Responses are sent by no other", saml.HTTPPostBinding)
	}
	for _, a := range []struct{ field, value string }{
		{"form_action", c.sp.FormAction}, {"destination", c.sp.Destination}, {"recipient", c.sp.Recipient},
	} {
		if a.value == "" {
			continue // its default
		}
		if err := checkAddress(a.value, c.loopback); err != nil {
			c.fault("%s %.120q: %w", a.field, a.value, err)
		}
	}
	if a := c.sp.Audience; len(a) > 1024 || strings.ContainsFunc(a, notInURI) {
		c.fault("audience %.80q: want a URI of at most 1024 characters, without blanks", a)
	}
}

func (c *providerCheck) policy() {
	switch f := c.sp.NameIDFormat; {
	case f == "":
		c.fault("name_id_format: missing: try %s", formatPersistent)
	case f == "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" || f == "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted":
		c.fault("name_id_format %q: not offered: a person must be the same each time: try %s", f, formatPersistent)
	case len(f) > 256 || strings.ContainsFunc(f, notInURI):
		c.fault("name_id_format %.80q: want a URI of at most 256 characters, without blanks", f)
	}
	if c.sp.NameID == "" {
		c.fault("name_id: missing: give a template such as {person_id}")
	} else {
		c.template("name_id", c.sp.NameID)
	}
	seen := map[string]bool{}
	for i, a := range c.sp.Attributes {
		field := fmt.Sprintf("attributes[%d]", i)
		if a.Name == "" || len(a.Name) > 256 || strings.ContainsFunc(a.Name, isControl) || !utf8.ValidString(a.Name) {
			c.fault("%s.name %.80q: want 1 to 256 printable characters", field, a.Name)
		}
		if len(a.FriendlyName) > 256 || strings.ContainsFunc(a.FriendlyName, isControl) || !utf8.ValidString(a.FriendlyName) {
			c.fault("%s.friendly_name %.80q: want at most 256 printable characters", field, a.FriendlyName)
		}
		if a.NameFormat == "" || len(a.NameFormat) > 256 || strings.ContainsFunc(a.NameFormat, notInURI) {
			c.fault("%s.name_format %.80q: want a URI such as %s", field, a.NameFormat, formatBasicAttr)
		}
		id := a.NameFormat + "\x00" + a.Name
		if seen[id] {
			c.fault("%s.name %.80q: it is given twice", field, a.Name)
		}
		seen[id] = true
		switch {
		case a.Value == "":
			c.fault("%s.value: missing: give a template such as {mail}, or attr:NAME", field)
		case strings.HasPrefix(a.Value, "attr:"):
			if _, err := newReleasedAttribute(a); err != nil {
				c.fault("%s.%w", field, err)
			}
		default:
			c.template(field+".value", a.Value)
		}
	}
	if !c.sp.SignAssertion && !c.sp.SignResponse {
		c.fault("sign_assertion, sign_response: both are off: switch one on, or nobody can trust what is sent") // row RSP-09
	}
	if l := c.sp.Lifetime; l <= 0 || l > maxLifetime {
		c.fault("lifetime %s: want more than 0s and at most %s", l, maxLifetime)
	}
	if s := c.sp.Skew; s < 0 || s > maxLifetime {
		c.fault("skew %s: want 0s to %s", s, maxLifetime)
	}
}

// template checks one, and that a plain service provider asks for nothing that
// only Constant Contact's users have.
func (c *providerCheck) template(field, value string) {
	if _, err := provisioning.ParseTemplate(value); err != nil {
		c.fault("%s %.120q: %w", field, value, err)
		return
	}
	if c.sp.Kind != store.PlainSAML {
		return
	}
	for _, only := range []string{"{external_id}", "{login_name}", "{account}", "{key}"} {
		if strings.Contains(value, only) {
			c.fault("%s %.120q: %s is known for Constant Contact alone: use {person_id}, {login} or {mail}", field, value, only)
		}
	}
}

func (c *providerCheck) relayStates() {
	ids := map[string]bool{}
	defaults := 0
	for i, r := range c.sp.RelayStates {
		field := fmt.Sprintf("relay_states[%d]", i)
		if !relayStateID.MatchString(r.ID) {
			c.fault("%s.id %.80q: want 1 to 64 letters, digits, - and _", field, r.ID)
		}
		if ids[r.ID] {
			c.fault("%s.id %.80q: it is used twice", field, r.ID)
		}
		ids[r.ID] = true
		if r.Value == "" || len(r.Value) > maxOurRelayState || !utf8.ValidString(r.Value) || strings.ContainsFunc(r.Value, isControl) {
			c.fault("%s.value %.100q: want 1 to %d bytes of printable text", field, r.Value, maxOurRelayState)
		}
		if r.Default {
			defaults++
		}
	}
	if defaults > 1 {
		c.fault("relay_states: %d are marked as default: mark one at most", defaults)
	}
	if in := c.sp.RelayStateIn; in != "field" && in != "query" {
		c.fault("relay_state_in %.40q: want field or query", in)
	}
}

func (c *providerCheck) rest() {
	for i, dn := range c.sp.Groups {
		if _, err := directory.NormalDN(dn); err != nil {
			c.fault("groups[%d] %.120q: %w", i, dn, err)
		}
	}
	for i, der := range c.sp.Certificates {
		if _, err := x509.ParseCertificate(der); err != nil {
			c.fault("certificates[%d]: %w", i, err)
		}
	}
}
