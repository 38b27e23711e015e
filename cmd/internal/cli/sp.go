package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"ssobridge/idp"
	"ssobridge/store"
)

type spCmd struct {
	Add                spAddCmd                `cmd:"" help:"Register a service provider by its metadata: a file, an address, or pasted."`
	AddConstantContact spAddConstantContactCmd `cmd:"" help:"Register Constant Contact."`
	List               spListCmd               `cmd:"" help:"List the service providers."`
	Show               spShowCmd               `cmd:"" help:"Show all that is known of a service provider."`
	Set                spSetCmd                `cmd:"" help:"Change settings of a service provider."`
	Refresh            spRefreshCmd            `cmd:"" help:"Read metadata again from where it came, now."`
	Approve            spApproveCmd            `cmd:"" help:"Take changed keys and addresses that a refresh has found."`
	ReleaseNameID      spReleaseNameIDCmd      `cmd:"" name:"release-name-id" help:"Let the next person have a NameID that somebody got before."`
	Remove             spRemoveCmd             `cmd:"" help:"Remove a service provider."`
}

// Formats and bindings of SAML that the commands name.
const (
	formatPersistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	formatBasic      = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	bindingPOST      = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// AddProvider checks a record and stores it with its event. The faults of the record
// come together, as bad input.
func (p *Parts) AddProvider(ctx context.Context, sp store.ServiceProvider, replace bool, e store.Event) error {
	if err := p.checkProvider(sp, "the service provider can't be registered:"); err != nil {
		return err
	}
	_, err := p.Store.ServiceProviders().Get(ctx, sp.EntityID)
	switch {
	case err == nil && !replace:
		return registered(sp.EntityID)
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

// checkProvider returns the faults of a record together, as bad input.
func (p *Parts) checkProvider(sp store.ServiceProvider, what string) error {
	faults := idp.CheckProvider(sp, p.Config.Metadata.AllowLoopbackHTTP)
	if len(faults) == 0 {
		return nil
	}
	lines := []string{what}
	for _, f := range faults {
		lines = append(lines, "  "+f.Error())
	}
	return badInput(errors.New(strings.Join(lines, "\n")), "nothing was changed; compare with what the service provider gave")
}

type spListCmd struct{}

// Help is shown by sp list --help.
func (spListCmd) Help() string { return "Example:\n\n    ssobridge sp list" }

// Run lists them.
func (spListCmd) Run(s *invocation) (err error) {
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
		switch {
		case !sp.Enabled:
			state = "disabled"
		case sp.Source == nil:
		case !sp.Source.ValidUntil.IsZero() && !s.now().Before(sp.Source.ValidUntil):
			state = "expired"
		case len(sp.Source.Pending) > 0:
			state = "approval needed"
		case sp.Source.Fault != "":
			state = "refresh fails"
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
func (c *spRemoveCmd) Run(s *invocation) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	sp, err := p.provider(s.ctx, c.EntityID)
	if err != nil {
		return err
	}
	c.EntityID = sp.EntityID
	e := s.event("sp-remove", c.EntityID)
	e.SP = c.EntityID
	err = p.Store.ServiceProviders().Remove(s.ctx, c.EntityID, e)
	if errors.Is(err, store.ErrNotFound) {
		return noProvider(c.EntityID)
	}
	if err != nil {
		return fmt.Errorf("remove service provider %s: %w", c.EntityID, err)
	}
	s.printf("removed %s\n", c.EntityID)
	return nil
}
