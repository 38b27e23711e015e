package cli

import (
	"ssobridge/cmd/internal/server"
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
		if k.ConfirmedBy, err = s.prove(p, c.Login, c.Code, "the admin console requires a second factor, and so does this"); err != nil {
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
