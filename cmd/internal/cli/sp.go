package cli

import (
	"fmt"
	"text/tabwriter"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
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

type spListCmd struct{}

// Help is shown by sp list --help.
func (spListCmd) Help() string { return "Example:\n\n    ssobridge sp list" }

// Run lists them.
func (spListCmd) Run(s *invocation, p *server.App) error {
	list, err := p.Providers().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTITY ID\tNAME\tKIND\tSTATE\tACS\tNAMEID")
	for _, sp := range list {
		acs := ""
		if len(sp.ACS) > 0 {
			acs = sp.ACS[0].URL
		}
		if len(sp.ACS) > 1 {
			acs += fmt.Sprintf(" and %d more", len(sp.ACS)-1)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", sp.EntityID, sp.Name, sp.Kind, providerStates[sp.State], acs, sp.NameID)
	}
	return w.Flush()
}

// providerStates are the words for how a service provider stands.
var providerStates = map[string]string{
	admin.ProviderEnabled: "enabled", admin.ProviderDisabled: "disabled", admin.ProviderExpired: "expired",
	admin.ProviderApproval: "approval needed", admin.ProviderRefreshFails: "refresh fails",
}

type spRemoveCmd struct {
	EntityID string `arg:"" help:"Its entity id, as sp list shows it."`
}

// Help is shown by sp remove --help.
func (spRemoveCmd) Help() string {
	return "Nobody can sign in there by this bridge any more, at once.\n\nExample:\n\n    ssobridge sp remove https://wiki.example.com/saml"
}

// Run removes it.
func (c *spRemoveCmd) Run(s *invocation, p *server.App) error {
	if err := p.Providers().Remove(s.ctx, s.scope(), c.EntityID, s.event("", "")); err != nil {
		return err
	}
	s.printf("removed %s\n", store.TrimBlanks(c.EntityID))
	return nil
}
