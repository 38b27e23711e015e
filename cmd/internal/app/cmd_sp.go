package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

type spCmd struct {
	Add                spAddCmd                `cmd:"" help:"Register a service provider by its metadata file."`
	AddConstantContact spAddConstantContactCmd `cmd:"" help:"Register Constant Contact."`
	List               spListCmd               `cmd:"" help:"List the service providers."`
	Remove             spRemoveCmd             `cmd:"" help:"Remove a service provider."`
}

// Formats and bindings of SAML that the commands name.
const (
	formatPersistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	formatBasic      = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	bindingPOST      = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

type spAddCmd struct {
	File         string            `arg:"" help:"SAML metadata of the service provider (XML)."`
	Name         string            `placeholder:"TEXT" help:"What people see. Default: what the metadata says."`
	Group        []string          `sep:"none" placeholder:"DN" help:"Who may use it: members of this group. Can be given several times. Without one nobody may."`
	NameID       string            `name:"name-id" placeholder:"TEMPLATE" help:"The NameID, such as {mail}. Default: {person_id}."`
	NameIDFormat string            `name:"name-id-format" placeholder:"URN" help:"Its format. Default: what the metadata asks for."`
	Attribute    map[string]string `mapsep:"none" placeholder:"NAME=TEMPLATE" help:"Release this attribute, such as email={mail}, or groups=attr:memberOf for all values. Can be given several times."`
	Replace      bool              `help:"Replace it if it is registered already."`
}

// Help is shown by sp add --help.
func (spAddCmd) Help() string {
	return `The service provider gets nothing but what is named here: no attribute is released by default, and nobody may use it without --group.

Example:

    ssobridge sp add wiki-metadata.xml --name Wiki --group "cn=staff,ou=groups,dc=example,dc=com" --name-id "{mail}" --attribute "displayName={first_name} {last_name}"`
}

// Run registers it.
func (c *spAddCmd) Run(s *session) (err error) {
	data, err := readBounded(c.File, maxConfigFile)
	if err != nil {
		return badInput(fmt.Errorf("read %s: %s", c.File, plainCause(err)), "name the metadata file that the service provider gave")
	}
	sp, err := idp.ParseMetadata(data)
	if err != nil {
		return badInput(fmt.Errorf("read the metadata in %s: %w", c.File, err), "ask the service provider for its SAML 2.0 metadata")
	}
	sp.Name = cmp.Or(c.Name, sp.Name, sp.EntityID)
	sp.NameID = cmp.Or(c.NameID, sp.NameID, "{person_id}")
	sp.NameIDFormat = cmp.Or(c.NameIDFormat, sp.NameIDFormat)
	if len(c.Group) > 0 {
		sp.Groups = c.Group
	}
	if len(c.Attribute) > 0 {
		sp.Attributes = nil
		for name, value := range c.Attribute {
			sp.Attributes = append(sp.Attributes, store.Attribute{Name: name, NameFormat: formatBasic, Value: value})
		}
	}
	sp.Enabled = true
	return c.put(s, sp, c.Replace)
}

func (*spAddCmd) put(s *session, sp store.ServiceProvider, replace bool) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.AddProvider(s.ctx, sp, replace, s.event("sp-add", sp.EntityID)); err != nil {
		return err
	}
	s.printf("registered %s (%s)\n", sp.EntityID, sp.Name)
	return nil
}

// ConstantContactSP is what Constant Contact tells about itself during set-up. What it
// has not published has the defaults that ProviderRecord writes.
type ConstantContactSP struct {
	EntityID     string `required:"" placeholder:"URI" help:"Its SAML entity id, as the support engineer reads it out."`
	ACS          string `name:"acs" default:"https://identity.constantcontact.com/sso/saml2" placeholder:"URL" help:"Where Responses are posted (assertion consumer service)."`
	RelayState   string `placeholder:"URL" help:"The RelayState of launches, such as https://login.{env}.constantcontact.com/login/idp-redirect."`
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

    ssobridge sp add-constant-contact --entity-id https://www.okta.com/saml2/service-provider/spabc --acs https://identity.constantcontact.com/sso/saml2 --relay-state https://login.l1.constantcontact.com/login/idp-redirect`
}

// Run registers it.
func (c *spAddConstantContactCmd) Run(s *session) error {
	return (&spAddCmd{}).put(s, c.Record(), c.Replace)
}

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
	if c.RelayState != "" {
		sp.RelayStates = []store.RelayState{{ID: "default", Value: c.RelayState, Default: true}}
	}
	return sp
}

// AddProvider checks a record and stores it with its event. The faults of the record
// come together, as bad input.
func (p *Parts) AddProvider(ctx context.Context, sp store.ServiceProvider, replace bool, e store.Event) error {
	// Plain HTTP to loopback is for the sandbox beside the bridge; it leaves no machine.
	if faults := idp.CheckProvider(sp, true); len(faults) > 0 {
		lines := []string{"the service provider can't be registered:"}
		for _, f := range faults {
			lines = append(lines, "  "+f.Error())
		}
		return badInput(errors.New(strings.Join(lines, "\n")), "nothing was changed; compare with what the service provider gave")
	}
	_, err := p.Store.ServiceProviders().Get(ctx, sp.EntityID)
	switch {
	case err == nil && !replace:
		return badInput(fmt.Errorf("service provider %s is registered already", sp.EntityID), "give --replace to replace it")
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("look for service provider %s: %w", sp.EntityID, err)
	}
	sp.UpdatedAt = e.At
	e.SP = sp.EntityID
	if err := p.Store.ServiceProviders().Put(ctx, sp, e); err != nil {
		return fmt.Errorf("store service provider %s: %w", sp.EntityID, err)
	}
	return nil
}

type spListCmd struct{}

// Help is shown by sp list --help.
func (spListCmd) Help() string { return "Example:\n\n    ssobridge sp list" }

// Run lists them.
func (spListCmd) Run(s *session) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	list, err := p.Store.ServiceProviders().List(s.ctx)
	if err != nil {
		return fmt.Errorf("list service providers: %w", err)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTITY ID\tNAME\tKIND\tSTATE\tACS\tNAMEID")
	for _, sp := range list {
		state, acs := "enabled", ""
		if !sp.Enabled {
			state = "disabled"
		}
		if len(sp.ACS) > 0 {
			acs = sp.ACS[0].URL
		}
		if len(sp.ACS) > 1 {
			acs += fmt.Sprintf(" and %d more", len(sp.ACS)-1)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", sp.EntityID, sp.Name, sp.Kind, state, acs, sp.NameID)
	}
	return w.Flush()
}

type spRemoveCmd struct {
	EntityID string `arg:"" help:"Its entity id, as sp list shows it."`
}

// Help is shown by sp remove --help.
func (spRemoveCmd) Help() string {
	return "Nobody can sign in there by this bridge any more, at once.\n\nExample:\n\n    ssobridge sp remove https://wiki.example.com/saml"
}

// Run removes it.
func (c *spRemoveCmd) Run(s *session) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	e := s.event("sp-remove", c.EntityID)
	e.SP = c.EntityID
	err = p.Store.ServiceProviders().Remove(s.ctx, c.EntityID, e)
	if errors.Is(err, store.ErrNotFound) {
		return badInput(fmt.Errorf("there is no service provider %s", quote(c.EntityID)), "ssobridge sp list shows all")
	}
	if err != nil {
		return fmt.Errorf("remove service provider %s: %w", c.EntityID, err)
	}
	s.printf("removed %s\n", c.EntityID)
	return nil
}
