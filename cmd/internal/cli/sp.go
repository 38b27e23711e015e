package cli

import (
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type spCmd struct {
	Add                spAddCmd                `cmd:"" help:"Register a service provider by its metadata: a file, an address, or pasted."`
	AddConstantContact spAddConstantContactCmd `cmd:"" help:"Register Constant Contact."`
	List               spListCmd               `cmd:"" help:"List the service providers."`
	Show               spShowCmd               `cmd:"" help:"Show all that is known of a service provider."`
	Sheet              spSheetCmd              `cmd:"" help:"Print the hand-over sheet: what the support engineer of a service provider needs."`
	Set                spSetCmd                `cmd:"" help:"Change settings of a service provider."`
	Refresh            spRefreshCmd            `cmd:"" help:"Read metadata again from where it came, now."`
	Approve            spApproveCmd            `cmd:"" help:"Take changed keys and addresses that a refresh has found."`
	ReleaseNameID      spReleaseNameIDCmd      `cmd:"" name:"release-name-id" help:"Let the next person have a NameID that somebody got before."`
	Remove             spRemoveCmd             `cmd:"" help:"Remove a service provider."`
	Undo               spUndoCmd               `cmd:"" help:"Undo the last change of a service provider, or its removal, within ten minutes."`
}

type spListCmd struct{ asJSON }

// Help is shown by sp list --help.
func (spListCmd) Help() string { return "Example:\n\n    ssobridge sp list" }

// Run lists them.
func (c spListCmd) Run(s *invocation, p *server.App) error {
	list, err := p.Providers().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "ENTITY ID", "NAME", "KIND", "STATE", "ACS", "NAMEID")
	for _, sp := range list {
		acs := ""
		if len(sp.ACS) > 0 {
			acs = sp.ACS[0].URL
		}
		if len(sp.ACS) > 1 {
			acs += fmt.Sprintf(" and %d more", len(sp.ACS)-1)
		}
		t.row(toJSONProvider(sp), sp.EntityID, sp.Name, sp.Kind, providerStates[sp.State], acs, sp.NameID)
	}
	return t.end()
}

// jsonProvider is a service provider as JSON.
type jsonProvider struct {
	EntityID  string    `json:"entity_id"`
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	State     string    `json:"state"`
	ACS       []string  `json:"acs"`
	NameID    string    `json:"name_id_format"`
	UpdatedAt time.Time `json:"updated_at"`
}

func toJSONProvider(sp admin.Provider) jsonProvider {
	object := jsonProvider{EntityID: sp.EntityID, Name: sp.Name, Kind: sp.Kind, State: sp.State, ACS: []string{},
		NameID: sp.NameID, UpdatedAt: sp.UpdatedAt}
	for _, a := range sp.ACS {
		object.ACS = append(object.ACS, a.URL)
	}
	return object
}

// provider prints how a service provider stands now, as JSON.
func (s *invocation) provider(p *server.App, entityID string) error {
	if !s.json {
		return nil
	}
	sp, err := p.Providers().Get(s.ctx, s.scope(), entityID)
	if err != nil {
		return err
	}
	return s.object(toJSONProviderSettings(sp))
}

// providerStates are the words for how a service provider stands.
var providerStates = map[string]string{
	admin.ProviderEnabled: "enabled", admin.ProviderDisabled: "disabled", admin.ProviderExpired: "expired",
	admin.ProviderApproval: "approval needed", admin.ProviderRefreshFails: "refresh fails",
}

type spRemoveCmd struct {
	asJSON

	EntityID string `arg:"" help:"Its entity id, as sp list shows it."`
}

// Help is shown by sp remove --help.
func (spRemoveCmd) Help() string {
	return "Nobody can sign in there by this bridge any more, at once.\n\nExample:\n\n    ssobridge sp remove " +
		"https://wiki.example.com/saml"
}

// Run removes it.
func (c *spRemoveCmd) Run(s *invocation, p *server.App) error {
	if err := p.Providers().Remove(s.ctx, s.scope(), c.EntityID, s.event("", "")); err != nil {
		return err
	}
	s.printf("removed %s\n", store.TrimTyped(c.EntityID))
	return s.object(struct {
		EntityID string `json:"entity_id"`
		Removed  bool   `json:"removed"`
	}{store.TrimTyped(c.EntityID), true})
}

type spUndoCmd struct {
	asJSON

	EntityID string `arg:"" help:"Its entity id."`
}

// Help is shown by sp undo --help.
func (spUndoCmd) Help() string {
	return "It is refused where another change came after, metadata that was read again included.\n\nExample:\n\n    " +
		"ssobridge sp undo https://wiki.example.com/saml"
}

// Run makes it what it was.
func (c *spUndoCmd) Run(s *invocation, p *server.App) error {
	if err := p.Providers().Undo(s.ctx, s.scope(), c.EntityID, time.Time{}, s.event("", "")); err != nil {
		return err
	}
	s.printf("undid the last change of %s\n", store.TrimTyped(c.EntityID))
	return s.provider(p, store.TrimTyped(c.EntityID))
}
