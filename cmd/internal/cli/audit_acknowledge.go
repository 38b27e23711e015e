package cli

import (
	"errors"
	"fmt"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type auditAcknowledgeCmd struct {
	asJSON

	Entry       string `arg:"" help:"As audit verify names the break: the number of an entry, or event:ID."`
	Reason      string `required:"" placeholder:"TEXT" help:"How it came about, for whoever verifies the audit log later."`
	Checkpoints string `placeholder:"FILE" help:"Checkpoints that were kept outside of the database, as for audit verify: for a break that only they show."`
	Login       string `placeholder:"LOGIN" help:"Who gives the second factor, where the admin console requires one: a member of console.admin_group."`
	Code        string `placeholder:"CODE" help:"Their code, of an authenticator app or a recovery code; asked for at a terminal."`
}

// Help is shown by audit acknowledge --help.
func (auditAcknowledgeCmd) Help() string {
	return `audit verify then goes on past this break and says so: exit code 0, as long as nothing else is wrong. The acknowledgement is signed, stands in the audit log itself, and is bound to what is in the database there now: a change of it, and any other break, is found as before. Checkpoints that were signed with another secret key, and events that ssobridge did not write, are acknowledged together.

Find out first how it came about, and keep a copy of the database and of the checkpoints. Where the admin console requires a second factor, so does this.

Example:

    ssobridge audit acknowledge 40 --reason "restored the disk of 2026-11-02" --login alice`
}

// Run acknowledges.
func (c *auditAcknowledgeCmd) Run(s *invocation, p *server.App) error {
	outside, err := s.checkpoints(c.Checkpoints)
	if err != nil {
		return err
	}
	k := admin.AuditAcknowledgement{Entry: c.Entry, Reason: c.Reason}
	if p.IdP.CommandsNeedFactor() {
		if k.ConfirmedBy, err = c.prove(s, p); err != nil {
			return err
		}
	}
	b, err := p.Audit().Acknowledge(s.ctx, s.scope(), k, outside, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("acknowledged %s: %s\n", b.Name(), b.What)
	return s.object(struct {
		Break string `json:"break"`
		What  string `json:"what"`
	}{b.Name(), b.What})
}

// prove takes the second factor of an administrator, and returns whose it is.
func (c *auditAcknowledgeCmd) prove(s *invocation, p *server.App) (store.PersonID, error) {
	if c.Login == "" {
		return "", badInput(errors.New("the admin console requires a second factor, and so does this"),
			"give --login LOGIN of a member of console.admin_group, and their code")
	}
	e, err := p.People().Find(s.ctx, c.Login)
	if err != nil {
		return "", err
	}
	code := c.Code
	if code == "" {
		code = s.ask(fmt.Sprintf("Code of %s: ", plaintext.Quote(c.Login)))
	}
	if code == "" {
		return "", badInput(errors.New("no code was given"), "give --code CODE, or run it at a terminal, which asks for it")
	}
	err = p.IdP.ProveByCommand(s.ctx, e, code, s.event("", ""))
	for _, refused := range []error{idp.ErrNoAdmin, idp.ErrNoCodeFactor, idp.ErrWrongCode, idp.ErrManyCodes} {
		if errors.Is(err, refused) {
			return "", failed(fmt.Errorf("second factor of %s: %w", plaintext.Quote(c.Login), refused),
				"nothing was acknowledged; ssobridge admin factors LOGIN lists what the person has")
		}
	}
	return store.PersonID(e.ID), err
}
