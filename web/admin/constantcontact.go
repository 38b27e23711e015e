package admin

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"

	"ssobridge/store"
)

// What Constant Contact's documents say, or what is likely where they say nothing.
const (
	ConstantContactACS  = "https://identity.constantcontact.com/sso/saml2"
	ConstantContactName = "Constant Contact"
	formatPersistent    = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	formatUnspecified   = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	formatTransient     = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	formatBasic         = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	formatURI           = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
	bindingPOST         = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// ConstantContact is what Constant Contact tells about itself during set-up. What it has not published has the defaults
// that Record writes.
type ConstantContact struct {
	EntityID     string
	ACS          string // "": ConstantContactACS
	Environment  string // such as l1; it makes the RelayState
	RelayState   string // of launches, in place of the one that Environment makes
	RelayStateIn string // "query" or "field"; "": query
	Audience     string // "": the entity ID
	NameIDFormat string // "": persistent
	Name         string // "": ConstantContactName
	Holds        string // "one" or "two": how many of our certificates at a time; "": nobody has said it
}

// environmentPattern keeps an environment from being anything but a label of the host.
var environmentPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Record is the service provider's record.
func (c ConstantContact) Record() (store.ServiceProvider, error) {
	switch {
	case c.Environment != "" && c.RelayState != "":
		return store.ServiceProvider{}, &Error{Field: "relay_state",
			Fault: "environment and RelayState both say what the RelayState is", Hint: "give one of them"}
	case c.Environment != "" && !environmentPattern.MatchString(c.Environment):
		return store.ServiceProvider{}, &Error{
			Field: "environment", Fault: fmt.Sprintf("environment %.60q is no part of a host name", c.Environment),
			Hint: "write it as Constant Contact gave it, such as l1; or give the whole RelayState",
		}
	}
	sp := store.ServiceProvider{
		EntityID: c.EntityID, Name: cmp.Or(c.Name, ConstantContactName), Kind: store.ConstantContact, Enabled: true,
		ACS: []store.Endpoint{{URL: cmp.Or(c.ACS, ConstantContactACS), Binding: bindingPOST}}, Audience: c.Audience,
		NameIDFormat: cmp.Or(c.NameIDFormat, formatPersistent), NameID: "{external_id}",
		HoldsCertificates: c.Holds,
		SignAssertion:     true, SignResponse: true, RelayStateIn: cmp.Or(c.RelayStateIn, "query"),
		Lifetime: 5 * time.Minute, Skew: time.Minute,
	}
	for _, a := range [][2]string{{"email", "{mail}"}, {"firstName", "{first_name}"}, {"lastName", "{last_name}"}} {
		sp.Attributes = append(sp.Attributes, PlainAttribute(a[0], a[1]))
	}
	if c.Environment != "" {
		c.RelayState = "https://login." + c.Environment + ".constantcontact.com/login/idp-redirect"
	}
	if c.RelayState != "" {
		sp.RelayStates = []store.RelayState{{ID: "default", Value: c.RelayState, Default: true}}
	}
	return sp, nil
}

// PlainAttribute releases an attribute under a plain name.
func PlainAttribute(name, value string) store.Attribute {
	return store.Attribute{Name: name, NameFormat: formatBasic, Value: value}
}

// AddConstantContact registers Constant Contact.
func (p Providers) AddConstantContact(ctx context.Context, scope Scope, c ConstantContact, replace bool,
	e store.Event) (store.ServiceProvider, error) {
	sp, err := c.Record()
	if err == nil {
		err = p.Add(ctx, scope, sp, replace, e)
	}
	return sp, err
}
