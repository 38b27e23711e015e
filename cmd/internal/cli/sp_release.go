package cli

import (
	"errors"
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
)

type spReleaseNameIDCmd struct {
	asJSON

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
func (c *spReleaseNameIDCmd) Run(s *invocation, p *server.App) error {
	switch {
	case c.All && c.EntityID == "":
		return c.all(s, p)
	case c.All || c.EntityID == "" || c.NameID == "":
		return badInput(errors.New("say which NameID at which service provider"), "give both, or --all alone")
	}
	providers := p.Providers()
	issued, err := providers.FindNameID(s.ctx, s.scope(), c.EntityID, c.NameID)
	if err != nil {
		return err
	}
	who := "person " + string(issued.Person)
	switch {
	case issued.Person == "":
		who = "a person who was forgotten since"
	case issued.Name != "":
		who = fmt.Sprintf("%s (person %s)", issued.Name, issued.Person)
	}
	s.printf("It was given to %s, first on %s, last on %s.\n", who, day(issued.FirstAt), day(issued.LastAt))
	if err := s.confirm(c.Yes, false, "Release it, so that the next person who would get it gets it?"); err != nil {
		return err
	}
	if err := providers.ReleaseNameID(s.ctx, s.scope(), issued, s.event("", "")); err != nil {
		return err
	}
	s.printf("released\n")
	return s.object(jsonReleased{EntityID: c.EntityID, NameID: c.NameID, Person: issued.Person, FirstAt: issued.FirstAt,
		LastAt: issued.LastAt})
}

// jsonReleased is a NameID that was released, as JSON, with who had it.
type jsonReleased struct {
	All      bool           `json:"all,omitempty"`
	EntityID string         `json:"entity_id,omitempty"`
	NameID   string         `json:"name_id,omitempty"`
	Person   store.PersonID `json:"person_id,omitempty"`
	FirstAt  time.Time      `json:"first_at,omitzero"`
	LastAt   time.Time      `json:"last_at,omitzero"`
}

// all forgets to whom any NameID was given.
func (c *spReleaseNameIDCmd) all(s *invocation, p *server.App) error {
	if err := s.confirm(c.Yes, false, "Forget to whom every NameID was given, at all service providers? Each may then "+
		"go to another person."); err != nil {
		return err
	}
	if err := p.Providers().ReleaseAllNameIDs(s.ctx, s.scope(), s.event("", "")); err != nil {
		return err
	}
	s.printf("released all\n")
	return s.object(jsonReleased{All: true})
}
