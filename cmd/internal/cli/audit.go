package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List events, the newest first."`
	Export auditExportCmd `cmd:"" help:"Write events as CSV or JSON lines, the oldest first."`
	Verify auditVerifyCmd `cmd:"" help:"Check that no event was changed or removed behind the bridge's back."`
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
	if out.Account, err = resolveAccount(s.ctx, p, f.Account, f.Unlisted); err != nil {
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
			return out, badInput(fmt.Errorf("%s %s is not a time", t.flag, quote(t.text)),
				"write 2026-12-31 or 2026-12-31T18:00:00Z")
		}
	}
	if out.About = directory.CanonicalID(store.TrimBlanks(f.Person)); f.Person != "" {
		// Events hold ids. What is nobody's login is taken as it stands: a person id, or an admin of the command line.
		if e, err := p.Directory.Find(s.ctx, f.Person); err == nil {
			out.About = e.ID
		}
	}
	return out, nil
}

type auditListCmd struct {
	auditFilter
	Limit int   `default:"100" help:"At most so many, up to 1000."`
	Older int64 `placeholder:"ID" help:"Those before this event: the last line of the page before."`
	JSON  bool  `name:"json" help:"Print JSON lines."`
}

// Help is shown by audit list --help.
func (auditListCmd) Help() string {
	return "People stand in events by their id; the names come from the ledger.\n\nExamples:\n\n    ssobridge audit " +
		"list --action mapping-add\n\n    ssobridge audit list --person alice --outcome refused --since 2026-11-01"
}

// Run lists events.
func (c *auditListCmd) Run(s *invocation, p *server.App) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return badInput(fmt.Errorf("--limit %d is out of range", c.Limit), "write 1 to 1000")
	}
	f, err := c.filter(s, p)
	if err != nil {
		return err
	}
	f.Limit, f.Before = c.Limit, max(c.Older, 0)
	events, err := p.Store.Audit().List(s.ctx, f)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.stdout)
		for _, e := range events {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	names, err := personNames(s.ctx, p, events)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tWHEN\tWHO\tWHAT\tON\tOUTCOME\tREF")
	for _, e := range events {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.At.UTC().Format(time.DateTime), cmp.Or(names[e.Actor], e.Actor,
			"-"), e.Action,
			cmp.Or(names[e.Subject], e.Subject, "-"), joined(e.Outcome, e.Reason), cmp.Or(e.Ref, "-"))
	}
	return w.Flush()
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
	return p.Store.Audit().Export(s.ctx, s.stdout, f, c.Format)
}

// names are those of the people in events, as the ledger has them.
func personNames(ctx context.Context, p *server.App, events []store.Event) (map[string]string, error) {
	ids := map[store.PersonID]bool{}
	for _, e := range events {
		ids[store.PersonID(e.Actor)], ids[store.PersonID(e.Subject)] = true, true
	}
	delete(ids, "")
	names := map[string]string{}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(ids)), 500) {
		users, err := p.Store.Ledger().People(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("look up the names of people: %w", err)
		}
		for _, u := range users {
			names[string(u.Person)] = cmp.Or(strings.TrimSpace(u.FirstName+" "+u.LastName), u.ContactEmail)
		}
	}
	return names, nil
}
