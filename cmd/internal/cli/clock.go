package cli

import (
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
)

type clockCmd struct {
	Accept clockAcceptCmd `cmd:"" help:"Say that it is as late as the clock says, after a long stop or the restore of an old backup."`
}

type clockAcceptCmd struct {
	asJSON

	Yes bool `help:"Accept it without asking."`
}

// Help is shown by clock accept --help.
func (clockAcceptCmd) Help() string {
	return `Audit events, traces, sessions and other records are deleted when they are older than they are kept for. A clock that jumps ahead by years would delete them all, so where it is more than 30 days apart from when a bridge last looked, or jumped by so much in several steps while the bridge ran, nothing is deleted until the clock is put right or this command says that it is right. The running bridge goes on within a minute.`
}

// Run accepts the time.
func (c *clockAcceptCmd) Run(s *invocation, p *server.App) error {
	clock := p.Clock()
	doubt, err := clock.Doubt(s.ctx, s.scope())
	switch {
	case err != nil:
		return err
	case doubt == nil:
		s.printf("the clock is believed: there is nothing to accept\n")
		return s.object(jsonClock{})
	case doubt.Jumped:
		s.printf("%s.\nWhat is older than it is kept for by that is deleted then, audit events by audit.keep.\n", doubt.What)
		if err := s.confirm(c.Yes, false, "Is it as late as that?"); err != nil {
			return err
		}
	}
	now, err := clock.Accept(s.ctx, s.scope(), s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("accepted: retention goes on from %s\n", plaintext.Minute(now))
	return s.object(jsonClock{now})
}

// jsonClock is from when retention goes on, as JSON.
type jsonClock struct {
	Accepted time.Time `json:"accepted,omitzero"` // none: there was nothing to accept
}
