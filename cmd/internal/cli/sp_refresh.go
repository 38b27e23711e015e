package cli

import (
	"errors"
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/metadata"
)

type spRefreshCmd struct {
	asJSON

	EntityID string `arg:"" optional:"" help:"Its entity id, as sp list shows it."`
	All      bool   `help:"All that have an address."`
}

// Help is shown by sp refresh --help.
func (spRefreshCmd) Help() string {
	return `It does at once what the running bridge does by itself in time. When it fails, the last good copy stays in use. Exit code 1 says that it failed.

Examples:

    ssobridge sp refresh https://wiki.example.com/saml

    ssobridge sp refresh --all`
}

// Run refreshes.
func (c *spRefreshCmd) Run(s *invocation, p *server.App) error {
	if c.All == (c.EntityID != "") {
		return badInput(errors.New("say which one to refresh"), "name one entity id, or give --all")
	}
	providers := p.Providers()
	ids := []string{c.EntityID}
	if c.All {
		list, err := providers.List(s.ctx, s.scope())
		if err != nil {
			return err
		}
		ids = nil
		for _, sp := range list {
			if sp.Source != nil && sp.Source.URL != "" {
				ids = append(ids, sp.EntityID)
			}
		}
	}
	faults := 0
	for _, id := range ids {
		out, err := providers.Refresh(s.ctx, s.scope(), id, actor(s.environ))
		object := jsonRefreshed{EntityID: id, Result: "unchanged", NextAt: out.NextAt}
		switch {
		case out.Fault != nil:
			faults++
			object.Result, object.Fault = "failed", out.Fault.Error()
			s.printf("%s: failed, the last good copy stays in use: %s\n", id, out.Fault)
		case err != nil:
			return err
		case len(out.Waiting) > 0:
			object.Result, object.Changes = "waiting", toJSONDifferences(out.Waiting)
			s.printf("%s: these changes wait for ssobridge sp approve:\n", id)
			showDifferences(s, out.Waiting)
		case len(out.Taken) > 0:
			object.Result, object.Changes = "taken", toJSONDifferences(out.Taken)
			s.printf("%s: taken:\n", id)
			showDifferences(s, out.Taken)
		default:
			s.printf("%s: as before\n", id)
		}
		s.printf("  next at %s\n", out.NextAt.UTC().Format(time.RFC3339))
		if err := s.line(object); err != nil {
			return err
		}
	}
	if faults > 0 {
		return failed(fmt.Errorf("%d of %d could not be refreshed", faults, len(ids)), "")
	}
	return nil
}

// jsonRefreshed is what a refresh of one service provider came to, as JSON.
type jsonRefreshed struct {
	EntityID string           `json:"entity_id"`
	Result   string           `json:"result"` // unchanged, taken, waiting (for sp approve), failed
	Fault    string           `json:"fault,omitempty"`
	Changes  []jsonDifference `json:"changes,omitempty"`
	NextAt   time.Time        `json:"next_at,omitzero"`
}

// jsonDifference is one change of a service provider.
type jsonDifference struct {
	Field string `json:"field"`
	Was   string `json:"was,omitempty"`
	Is    string `json:"is,omitempty"`
}

func toJSONDifferences(all []metadata.Difference) []jsonDifference {
	out := []jsonDifference{}
	for _, d := range all {
		out = append(out, jsonDifference{d.Field, d.Was, d.Is})
	}
	return out
}

type spApproveCmd struct {
	asJSON

	EntityID string `arg:"" help:"Its entity id, as sp list shows it."`
	Yes      bool   `short:"y" help:"Approve without asking."`
}

// Help is shown by sp approve --help.
func (spApproveCmd) Help() string {
	return `A refresh takes no keys and no addresses by itself: whoever can change a service provider's metadata could have people's sign-ins sent elsewhere. Compare the changes with the service provider's administrator, then approve.

Example:

    ssobridge sp approve https://wiki.example.com/saml`
}

// Run shows what waits and takes it.
func (c *spApproveCmd) Run(s *invocation, p *server.App) error {
	providers := p.Providers()
	review, err := providers.Review(s.ctx, s.scope(), c.EntityID)
	if err != nil {
		return err
	}
	sp := review.Provider
	s.printf("Changes of %s (%s):\n\n", sp.EntityID, sp.Name)
	showDifferences(s, review.Changes)
	for _, n := range review.Notes {
		s.printf("  note: %s\n", n)
	}
	if err := s.confirm(c.Yes, false, "Approve?"); err != nil {
		return err
	}
	if err := providers.Approve(s.ctx, s.scope(), sp.EntityID, review.Seen, s.event("", "")); err != nil {
		return err
	}
	s.printf("approved %s\n", sp.EntityID)
	return s.object(struct {
		EntityID string           `json:"entity_id"`
		Approved []jsonDifference `json:"approved"`
		Notes    []string         `json:"notes,omitempty"`
	}{sp.EntityID, toJSONDifferences(review.Changes), review.Notes})
}
