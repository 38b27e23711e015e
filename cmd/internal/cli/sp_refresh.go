package cli

import (
	"errors"
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
)

type spRefreshCmd struct {
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
		switch {
		case out.Fault != nil:
			faults++
			s.printf("%s: failed, the last good copy stays in use: %s\n", id, out.Fault)
		case err != nil:
			return err
		case len(out.Waiting) > 0:
			s.printf("%s: these changes wait for ssobridge sp approve:\n", id)
			showDifferences(s, out.Waiting)
		case len(out.Taken) > 0:
			s.printf("%s: taken:\n", id)
			showDifferences(s, out.Taken)
		default:
			s.printf("%s: as before\n", id)
		}
		s.printf("  next at %s\n", out.NextAt.UTC().Format(time.RFC3339))
	}
	if faults > 0 {
		return failed(fmt.Errorf("%d of %d could not be refreshed", faults, len(ids)), "")
	}
	return nil
}

type spApproveCmd struct {
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
	return nil
}
