package cli

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"time"

	"ssobridge/store"
)

// ConstantContactSP is what Constant Contact tells about itself during set-up. What it
// has not published has the defaults that ProviderRecord writes.
type ConstantContactSP struct {
	EntityID     string `required:"" placeholder:"URI" help:"Its SAML entity id, as the support engineer reads it out."`
	ACS          string `name:"acs" default:"https://identity.constantcontact.com/sso/saml2" placeholder:"URL" help:"Where Responses are posted (assertion consumer service)."`
	Environment  string `placeholder:"NAME" help:"Its environment, such as l1. It makes the RelayState https://login.NAME.constantcontact.com/login/idp-redirect."`
	RelayState   string `placeholder:"URL" help:"The RelayState of launches, in place of the one that --environment makes."`
	RelayStateIn string `enum:"query,field" default:"query" help:"Where the RelayState goes: query (of the ACS address, as the partner documents write it) or field (of the posted form)."`
	Audience     string `placeholder:"URI" help:"The audience that it expects. Default: its entity id."`
	NameIDFormat string `name:"name-id-format" default:"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" placeholder:"URN" help:"Format of the NameID (not published). The second choice is urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified."`
	Name         string `default:"Constant Contact" placeholder:"TEXT" help:"What people see."`
}

type spAddConstantContactCmd struct {
	ConstantContactSP `embed:""`

	Replace bool `help:"Replace it if it is registered already."`
}

// Help is shown by sp add-constant-contact --help.
func (spAddConstantContactCmd) Help() string {
	return `The NameID is the person's external_id. The attributes are email, firstName and lastName. Entity id, audience, NameID format and attribute names are not published: have the Constant Contact support engineer read them out before go-live.

Example:

    ssobridge sp add-constant-contact --entity-id https://www.okta.com/saml2/service-provider/spabc --acs https://identity.constantcontact.com/sso/saml2 --environment l1

When Constant Contact hands over metadata later, ssobridge sp add FILE --replace takes its addresses and keys and keeps the settings.`
}

// Run registers it.
func (c *spAddConstantContactCmd) Run(s *invocation) (err error) {
	switch {
	case c.Environment != "" && c.RelayState != "":
		return badInput(errors.New("--environment and --relay-state both say what the RelayState is"), "give one of them")
	case c.Environment != "" && !environmentPattern.MatchString(c.Environment):
		return badInput(fmt.Errorf("environment %s is no part of a host name", quote(c.Environment)), "write it as Constant Contact gave it, such as l1; or give the whole --relay-state")
	}
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	sp := c.Record()
	if err := p.AddProvider(s.ctx, sp, c.Replace, s.event("sp-add", sp.EntityID)); err != nil {
		return err
	}
	s.printf("registered %s (%s)\n", sp.EntityID, sp.Name)
	return nil
}

// environmentPattern keeps an environment from being anything but a label of the host.
var environmentPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Record is the service provider's record.
func (c ConstantContactSP) Record() store.ServiceProvider {
	sp := store.ServiceProvider{
		EntityID: c.EntityID, Name: c.Name, Kind: store.ConstantContact, Enabled: true,
		ACS: []store.Endpoint{{URL: c.ACS, Binding: bindingPOST}}, Audience: c.Audience,
		NameIDFormat: cmp.Or(c.NameIDFormat, formatPersistent), NameID: "{external_id}",
		SignAssertion: true, SignResponse: true, RelayStateIn: cmp.Or(c.RelayStateIn, "query"),
		Lifetime: 5 * time.Minute, Skew: time.Minute,
	}
	for _, a := range [][2]string{{"email", "{mail}"}, {"firstName", "{first_name}"}, {"lastName", "{last_name}"}} {
		sp.Attributes = append(sp.Attributes, store.Attribute{Name: a[0], NameFormat: formatBasic, Value: a[1]})
	}
	if c.Environment != "" {
		c.RelayState = "https://login." + c.Environment + ".constantcontact.com/login/idp-redirect"
	}
	if c.RelayState != "" {
		sp.RelayStates = []store.RelayState{{ID: "default", Value: c.RelayState, Default: true}}
	}
	return sp
}
