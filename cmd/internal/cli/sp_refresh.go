package cli

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
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
func (c *spRefreshCmd) Run(s *invocation) (err error) {
	if c.All == (c.EntityID != "") {
		return badInput(errors.New("say which one to refresh"), "name one entity id, or give --all")
	}
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var ids []string
	if c.All {
		list, err := p.Store.ServiceProviders().List(s.ctx)
		if err != nil {
			return fmt.Errorf("list service providers: %w", err)
		}
		for _, sp := range list {
			if sp.Source != nil && sp.Source.URL != "" {
				ids = append(ids, sp.EntityID)
			}
		}
	}
	if !c.All {
		sp, err := p.provider(s.ctx, c.EntityID)
		if err != nil {
			return err
		}
		ids = []string{sp.EntityID}
	}
	faults := 0
	for _, id := range ids {
		out, err := p.Refresher.Refresh(s.ctx, id, actor(s.environ))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return noProvider(id)
		case errors.Is(err, idp.ErrNoSource):
			return badInput(fmt.Errorf("service provider %s: %w", id, err), "sp add FILE --replace takes a new file, sp add URL --replace an address")
		case err != nil:
			return err
		case out.Fault != nil:
			faults++
			s.printf("%s: failed, the last good copy stays in use: %s\n", id, out.Fault)
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
func (c *spApproveCmd) Run(s *invocation) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	sp, err := p.provider(s.ctx, c.EntityID)
	if err != nil {
		return err
	}
	loopback := p.Config.Metadata.AllowLoopbackHTTP
	_, changes, notes, err := idp.Approve(sp, loopback, s.now())
	if err != nil {
		return badInput(fmt.Errorf("approve %s: %w", c.EntityID, err), "ssobridge sp show tells where its metadata stands")
	}
	s.printf("Changes of %s (%s):\n\n", sp.EntityID, sp.Name)
	showDifferences(s, changes)
	for _, n := range notes {
		s.printf("  note: %s\n", n)
	}
	if err := s.confirm(c.Yes, false, "Approve?"); err != nil {
		return err
	}
	e := s.event("sp-approve", sp.EntityID)
	e.SP = sp.EntityID
	var lines []string
	for _, d := range changes {
		lines = append(lines, d.String())
	}
	e.Detail = detail(map[string]any{"changes": lines})
	err = p.Store.ServiceProviders().Change(s.ctx, sp.EntityID, func(now *store.ServiceProvider) (store.Event, error) {
		// What is taken is what was shown.
		if now.Source == nil || !bytes.Equal(now.Source.Pending, sp.Source.Pending) {
			return e, failed(errors.New("other changes have come in meanwhile"), "look at them: run it again")
		}
		after, _, _, err := idp.Approve(*now, loopback, s.now())
		*now = after
		return e, err
	})
	var command *commandError
	switch {
	case errors.As(err, &command):
		return command
	case err != nil:
		return fmt.Errorf("approve %s: %w", sp.EntityID, err)
	}
	s.printf("approved %s\n", sp.EntityID)
	return nil
}
