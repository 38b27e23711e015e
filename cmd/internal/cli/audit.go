package cli

import (
	"cmp"
	"fmt"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List events, the newest first."`
	Export auditExportCmd `cmd:"" help:"Write events as CSV or JSON lines, the oldest first."`
	Verify auditVerifyCmd `cmd:"" help:"Check that no event was changed or removed behind the bridge's back."`

	Acknowledge auditAcknowledgeCmd `cmd:"" help:"Note that a break which verify names is known."`
}

// auditFilter are the flags that choose events.
type auditFilter struct {
	Person  string `placeholder:"LOGIN" help:"Who did it, or on whom: login name, person id, or admin:NAME."`
	Action  string `placeholder:"WORD" help:"Only this action, such as sign-in or mapping-add."`
	Outcome string `enum:",ok,refused,failed,unknown" default:"" help:"Only this outcome: ok, refused, failed or unknown."`
	Account string `placeholder:"ID" help:"Only about this client account."`
	unlistedFlag
	Ref   string `placeholder:"ID" help:"Only with this reference id."`
	Since string `placeholder:"TIME" help:"From then on, as 2026-12-31 or RFC 3339."`
	Until string `placeholder:"TIME" help:"Before then."`
}

func (f auditFilter) filter(s *invocation, p *server.App) (out store.Filter, err error) {
	out = store.Filter{Action: f.Action, Outcome: f.Outcome, Ref: f.Ref}
	if out.Account, err = resolveAccount(s, p, f.Account, f.Unlisted); err != nil {
		return out, err
	}
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", f.Since, &out.Since}, {"--until", f.Until, &out.Until}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = parseTime(t.text); err != nil {
			return out, badInput(fmt.Errorf("%s %s is not a time", t.flag, plaintext.Quote(t.text)),
				"write 2026-12-31 or 2026-12-31T18:00:00Z")
		}
	}
	out.About, err = p.Audit().About(s.ctx, f.Person)
	return out, err
}

type auditListCmd struct {
	auditFilter
	Limit int   `default:"100" help:"At most so many, up to 1000."`
	Older int64 `placeholder:"ID" help:"Those before this event: the last line of the page before."`
	asJSON
}

// Help is shown by audit list --help.
func (auditListCmd) Help() string {
	return "People stand in events by their id; the names come from the directory and the ledger.\n\nExamples:\n\n" +
		"    ssobridge audit " +
		"list --action mapping-add\n\n    ssobridge audit list --person alice --outcome refused --since 2026-11-01"
}

// Run lists events.
func (c *auditListCmd) Run(s *invocation, p *server.App) error {
	f, err := c.filter(s, p)
	if err != nil {
		return err
	}
	f.Limit, f.Before = c.Limit, max(c.Older, 0)
	events, err := p.Audit().List(s.ctx, s.scope(), f)
	if err != nil {
		return err
	}
	if len(events) == 0 && f.Ref != "" {
		if _, counted, err := p.SignInTraces().Find(s.ctx, s.scope(), f.Ref); err == nil && counted != nil {
			return &commandError{
				err: fmt.Errorf("no event has the reference %s: its request was only counted, as one of many that were refused "+
					"alike", plaintext.Quote(f.Ref)),
				hint: "ssobridge trace show REFERENCE says why, and how many there were", code: exitFailed,
			}
		}
	}
	t := s.table(c.asJSON, "ID", "WHEN", "WHO", "WHAT", "ON", "OUTCOME", "REF")
	for _, e := range events {
		t.row(e.Event, e.ID, e.At.UTC().Format(time.DateTime), cmp.Or(e.ActorName, e.Actor, "-"), e.Action,
			cmp.Or(e.SubjectName, e.Subject, "-"), joined(e.Outcome, e.Reason), cmp.Or(e.Ref, "-"))
	}
	return t.end()
}

func joined(outcome, reason string) string {
	if reason == "" {
		return cmp.Or(outcome, "-")
	}
	return outcome + " (" + reason + ")"
}

type auditExportCmd struct {
	auditFilter
	Format string `enum:"csv,jsonl" default:"jsonl" help:"${enum}."`
}

// Help is shown by audit export --help.
func (auditExportCmd) Help() string {
	return "A cell of the CSV that a spreadsheet would take for a formula stands behind an apostrophe.\n\nExample:\n\n  " +
		"  ssobridge audit export --format csv --since 2026-11-01 > november.csv"
}

// Run writes events.
func (c *auditExportCmd) Run(s *invocation, p *server.App) error {
	f, err := c.filter(s, p)
	if err != nil {
		return err
	}
	return p.Audit().Export(s.ctx, s.scope(), s.stdout, f, c.Format, s.event("", ""))
}
