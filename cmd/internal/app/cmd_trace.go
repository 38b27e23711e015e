package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/store"
)

type traceCmd struct {
	List traceListCmd `cmd:"" help:"List sign-ins, the newest first."`
	Show traceShowCmd `cmd:"" help:"Show a sign-in step by step, by the reference on the person's page."`
}

type traceListCmd struct {
	Person  string `placeholder:"LOGIN" help:"Only of this person: login name or person id."`
	Outcome string `enum:",ok,pending,refused,failed" default:"" help:"Only with this outcome: ok, pending, refused or failed."`
	Account string `placeholder:"ID" help:"Only to this client account."`
	SP      string `name:"sp" placeholder:"ENTITY_ID" help:"Only to this service provider."`
	Limit   int    `default:"50" help:"At most so many, up to 1000."`
	JSON    bool   `name:"json" help:"Print JSON lines."`
}

// Help is shown by trace list --help.
func (traceListCmd) Help() string {
	return "Examples:\n\n    ssobridge trace list --outcome refused\n\n    ssobridge trace list --person alice --json"
}

// Run lists sign-ins.
func (c *traceListCmd) Run(s *session) (err error) {
	if c.Limit < 1 || c.Limit > 1000 {
		return badInput(fmt.Errorf("--limit %d is out of range", c.Limit), "write 1 to 1000")
	}
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	f := store.TraceFilter{Outcome: c.Outcome, SP: c.SP, Limit: c.Limit}
	if f.Account, err = accountFlag(c.Account); err != nil {
		return err
	}
	if c.Person != "" {
		if f.Person, err = p.personID(s.ctx, c.Person); err != nil {
			return err
		}
	}
	list, err := p.Store.Traces().List(s.ctx, f)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.stdout)
		for _, t := range list {
			if err := enc.Encode(t); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHEN\tREF\tPERSON\tTO\tACCOUNT\tOUTCOME")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.At.UTC().Format(time.DateTime), t.Ref, cmp.Or(string(t.Person), "-"), cmp.Or(t.SP, "-"), cmp.Or(string(t.Account), "-"), joined(t.Outcome, t.Reason))
	}
	return w.Flush()
}

type traceShowCmd struct {
	Ref  string `arg:"" help:"The reference on the person's page, ten letters and digits."`
	JSON bool   `name:"json" help:"Print JSON lines, one for each request."`
}

// Help is shown by trace show --help.
func (traceShowCmd) Help() string { return "Example:\n\n    ssobridge trace show KD2T2QB11D" }

// Run shows one sign-in.
func (c *traceShowCmd) Run(s *session) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	list, err := p.Store.Traces().ByRef(s.ctx, strings.ToUpper(c.Ref))
	if errors.Is(err, store.ErrNotFound) {
		return badInput(fmt.Errorf("no sign-in with the reference %s is known", quote(c.Ref)), "it may be older than traces.keep, or belong to a page that is no sign-in; ssobridge audit list --ref looks in the audit")
	}
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.stdout)
		for _, t := range list {
			if err := enc.Encode(t); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, t := range list {
		fmt.Fprintf(w, "%s  %s  %s\n", t.At.UTC().Format(time.DateTime), t.Ref, joined(t.Outcome, t.Reason))
		for _, step := range t.Steps {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", step.Name, step.Took.Round(10*time.Microsecond), cmp.Or(step.Reason, "passed"), step.Detail)
		}
	}
	return w.Flush()
}
