package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"ssobridge/store"
)

type spReleaseNameIDCmd struct {
	EntityID string `arg:"" optional:"" help:"The service provider's entity id, as sp list shows it."`
	NameID   string `arg:"" optional:"" name:"name-id" help:"The NameID, as the service provider knows it."`
	All      bool   `help:"All of them, at all service providers: the way on where the secret key that they hang on is lost."`
	Yes      bool   `help:"Do not ask."`
}

// Help is shown by sp release-name-id --help.
func (spReleaseNameIDCmd) Help() string {
	return `A NameID that one person got at a service provider is given to nobody else there: who gets it gets into the account that the service provider keeps for it. Where that is meant (a person who was hired anew, an address that was passed on, an account with a new owner), look after the account at the service provider first, then release the NameID here. Who had it, and when last, is shown before you confirm.

Example:

    ssobridge sp release-name-id https://wiki.example.com/saml office@example.com`
}

// Run releases it.
func (c *spReleaseNameIDCmd) Run(s *invocation) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	switch {
	case c.All && c.EntityID == "":
		return c.all(s, p)
	case c.All || c.EntityID == "" || c.NameID == "":
		return badInput(errors.New("say which NameID at which service provider"), "give both, or --all alone")
	}
	sp, err := p.provider(s.ctx, c.EntityID)
	if err != nil {
		return err
	}
	held, err := p.IdP.IssuedNameID(s.ctx, sp, c.NameID)
	if errors.Is(err, store.ErrNotFound) {
		return badInput(fmt.Errorf("nobody got the NameID %s at %s", quote(c.NameID), sp.EntityID), "write it as the service provider knows it; ssobridge preview shows a person's")
	}
	if err != nil {
		return err
	}
	who, err := p.holderName(s.ctx, held)
	if err != nil {
		return err
	}
	s.printf("It was given to %s, first on %s, last on %s.\n", who, day(held.FirstAt), day(held.LastAt))
	if err := s.confirm(c.Yes, false, "Release it, so that the next person who would get it gets it?"); err != nil {
		return err
	}
	err = p.IdP.ReleaseNameID(s.ctx, held, s.event("", ""))
	if errors.Is(err, store.ErrConflict) {
		return failed(errors.New("it was released meanwhile, nothing was done"), "run the command again to see who has it now")
	}
	if err != nil {
		return err
	}
	s.printf("released\n")
	return nil
}

// all forgets to whom any NameID was given.
func (c *spReleaseNameIDCmd) all(s *invocation, p *Parts) error {
	if err := s.confirm(c.Yes, false, "Forget to whom every NameID was given, at all service providers? Each may then go to another person."); err != nil {
		return err
	}
	if err := p.IdP.ReleaseAllNameIDs(s.ctx, s.event("", "")); err != nil {
		return err
	}
	s.printf("released all\n")
	return nil
}

// holderName is how people are told who had a NameID: by name where the ledger or the directory knows one, with the id.
func (p *Parts) holderName(ctx context.Context, n store.NameID) (string, error) {
	if n.Person == "" {
		return "a person who was forgotten since", nil
	}
	rows, err := p.Store.Ledger().Person(ctx, n.Person)
	if err != nil {
		return "", fmt.Errorf("look for person %s: %w", n.Person, err)
	}
	name := ""
	if len(rows) > 0 {
		name = strings.TrimSpace(rows[0].FirstName + " " + rows[0].LastName)
	}
	if e, err := p.Directory.Read(ctx, string(n.Person)); err == nil && e.DN != "" { // down: the id has to do
		name = cmp.Or(strings.TrimSpace(e.FirstName+" "+e.LastName), e.Login)
	}
	if name == "" {
		return "person " + string(n.Person), nil
	}
	return fmt.Sprintf("%s (person %s)", name, n.Person), nil
}
