package cli

import (
	"strings"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type spAddConstantContactCmd struct {
	asJSON

	EntityID     string `required:"" placeholder:"URI" help:"Its SAML entity id, as the support engineer reads it out."`
	ACS          string `name:"acs" default:"https://identity.constantcontact.com/sso/saml2" placeholder:"URL" help:"Where Responses are posted (assertion consumer service)."`
	Environment  string `placeholder:"NAME" help:"Its environment, such as l1. It makes the RelayState https://login.NAME.constantcontact.com/login/idp-redirect."`
	RelayState   string `placeholder:"URL" help:"The RelayState of launches, in place of the one that --environment makes."`
	RelayStateIn string `enum:"query,field" default:"query" help:"Where the RelayState goes: query (of the ACS address, as the partner documents write it) or field (of the posted form)."`
	Audience     string `placeholder:"URI" help:"The audience that it expects. Default: its entity id."`
	NameIDFormat string `name:"name-id-format" default:"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" placeholder:"URN" help:"Format of the NameID (not published). The second choice is urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified."`
	Name         string `default:"Constant Contact" placeholder:"TEXT" help:"What people see."`
	Holds        string `enum:"one,two," default:"" placeholder:"one|two" help:"How many of our certificates it can hold at a time, for a change of keys. Asked for at a terminal."`
	Replace      bool   `help:"Replace it if it is registered already."`
}

// Help is shown by sp add-constant-contact --help.
func (spAddConstantContactCmd) Help() string {
	return `The NameID is the person's external_id. The attributes are email, firstName and lastName. Entity id, audience, NameID format and attribute names are not published: have the Constant Contact support engineer read them out before go-live.

Example:

    ssobridge sp add-constant-contact --entity-id https://www.okta.com/saml2/service-provider/spabc --acs https://identity.constantcontact.com/sso/saml2 --environment l1

When Constant Contact hands over metadata later, ssobridge sp add FILE --replace takes its addresses and keys and keeps the settings.`
}

// Run registers it.
func (c *spAddConstantContactCmd) Run(s *invocation, p *server.App) error {
	if c.Holds == "" {
		c.Holds = s.askHolds()
	}
	sp, err := p.Providers().AddConstantContact(s.ctx, s.scope(), admin.ConstantContact{
		EntityID: c.EntityID, ACS: c.ACS, Environment: c.Environment, RelayState: c.RelayState, RelayStateIn: c.RelayStateIn,
		Audience: c.Audience, NameIDFormat: c.NameIDFormat, Name: c.Name, Holds: c.Holds,
	}, c.Replace, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("registered %s (%s)\n", sp.EntityID, sp.Name)
	s.unasked(sp)
	return s.provider(p, sp.EntityID)
}

// askHolds asks how many of our certificates a service provider can hold; "" where that is not known, or nobody can be
// asked.
func (s *invocation) askHolds() string {
	answer := strings.ToLower(s.ask("How many of our signing certificates can it hold at a time, one or two? Enter: not known " +
		"yet. "))
	switch answer {
	case "one", "1":
		return "one"
	case "two", "2":
		return "two"
	}
	return ""
}

// unasked says that this has to be asked before keys are changed.
func (s *invocation) unasked(sp store.ServiceProvider) {
	if sp.HoldsCertificates == "" {
		s.printf("to be asked before a change of keys: how many of our certificates it can hold at a time. Then: ssobridge sp "+
			"set %s holds_certificates=one, or =two\n", shellWord(sp.EntityID))
	}
}
