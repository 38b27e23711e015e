package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type traceCmd struct {
	List traceListCmd `cmd:"" help:"List sign-ins, the newest first."`
	Show traceShowCmd `cmd:"" help:"Show a sign-in step by step, by the reference on the person's page."`

	Refusals traceRefusalsCmd `cmd:"" help:"Show why and how often requests were refused, also those that were only counted."`

	Capture  traceCaptureCmd  `cmd:"" help:"Keep the assertions of one person for a while, to see what a service provider gets."`
	Captures traceCapturesCmd `cmd:"" help:"List whose assertions are kept at present."`
}

type traceListCmd struct {
	Person  string `placeholder:"LOGIN" help:"Only of this person: login name or person id."`
	Outcome string `enum:",ok,pending,refused,failed" default:"" help:"Only with this outcome: ok, pending, refused or failed."`
	Account string `placeholder:"ID" help:"Only to this client account."`
	unlistedFlag
	SP    string `name:"sp" placeholder:"ENTITY_ID" help:"Only to this service provider."`
	Limit int    `default:"50" help:"At most so many, up to 1000."`
	asJSON
}

// Help is shown by trace list --help.
func (traceListCmd) Help() string {
	return "Examples:\n\n    ssobridge trace list --outcome refused\n\n    ssobridge trace list --person alice --json"
}

// Run lists sign-ins.
func (c *traceListCmd) Run(s *invocation, p *server.App) error {
	f := store.TraceFilter{Outcome: c.Outcome, SP: store.TrimTyped(c.SP), Limit: c.Limit}
	var err error
	if f.Account, err = resolveAccount(s, p, c.Account, c.Unlisted); err != nil {
		return err
	}
	if c.Person != "" {
		if f.Person, err = personID(s.ctx, p, c.Person); err != nil {
			return err
		}
	}
	list, err := p.SignInTraces().List(s.ctx, s.scope(), f)
	if err != nil {
		return err
	}
	if c.JSON {
		for _, t := range list {
			if err := s.line(t.Trace); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHEN\tREF\tPERSON\tTO\tACCOUNT\tOUTCOME")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.At.UTC().Format(time.DateTime), t.Ref, cmp.Or(t.Name, string(t.Person), "-"),
			cmp.Or(t.SP, "-"), cmp.Or(string(t.Account), "-"), joined(t.Outcome, t.Reason))
	}
	return w.Flush()
}

type traceShowCmd struct {
	Ref string `arg:"" help:"The reference on the person's page, 10 or 14 letters and digits."`
	asJSON

	Captured bool `help:"Print the captured assertions instead. The audit says who looked."`
}

// Help is shown by trace show --help.
func (traceShowCmd) Help() string { return "Example:\n\n    ssobridge trace show KD2T2QB11D" }

// Run shows one sign-in.
func (c *traceShowCmd) Run(s *invocation, p *server.App) error {
	if c.Captured {
		return c.captured(s, p)
	}
	list, coded, err := p.SignInTraces().Find(s.ctx, s.scope(), c.Ref)
	if err != nil {
		return err
	}
	if coded != nil {
		return c.coded(s, p, *coded)
	}
	if c.JSON {
		for _, t := range list {
			why := idp.Explained(t.Trace)
			if err := s.line(struct {
				store.Trace

				Cause string `json:"cause,omitempty"`
				Fix   string `json:"fix,omitempty"`
			}{t.Trace, why.Cause, fixText(p, why.Fix, admin.Act(why.Act), why.About)}); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	bare := make([]store.Trace, 0, len(list))
	for _, t := range list {
		bare = append(bare, t.Trace)
	}
	head, stopped := idp.Headline(bare, strings.ToUpper(c.Ref))
	if stopped {
		printWhy(w, p, head, "")
		fmt.Fprintln(w)
	}
	for _, t := range list {
		fmt.Fprintf(w, "%s  %s  %s\n", t.At.UTC().Format(time.DateTime), t.Ref, joined(t.Outcome, t.Reason))
		if why := idp.Explained(t.Trace); why.Reason != "" && why != head {
			printWhy(w, p, why, "  ")
		}
		for _, step := range t.Steps {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", step.Name, step.Took.Round(10*time.Microsecond),
				cmp.Or(step.Reason, "passed"), step.Detail)
		}
	}
	return w.Flush()
}

// printWhy says why a request does not go on, and what to do. Blanks and no tabs: the steps have columns of their own.
func printWhy(w io.Writer, p *server.App, why idp.Why, indent string) {
	fmt.Fprintf(w, "%sreason: %s\n%scause:  %s\n%sfix:    %s\n", indent, why.Reason, indent, why.Cause, indent,
		fixText(p, why.Fix, admin.Act(why.Act), why.About))
}

// fixText is what to do, and how, in the words of the log.
func fixText(p *server.App, fix string, act admin.Act, about string) string {
	if act == admin.NoAct {
		return fix
	}
	return idp.FixText(fix, p.HowTo(act, about))
}

// coded shows what a reference itself carries, and how many requests there were like its own.
func (c *traceShowCmd) coded(s *invocation, p *server.App, q idp.CodedRequest) error {
	fix := fixText(p, q.Fix, admin.ReasonAct(q.Reason), "")
	if c.JSON {
		return s.object(struct {
			Ref      string    `json:"ref"`
			Minute   time.Time `json:"minute"`
			Reason   string    `json:"reason"`
			Cause    string    `json:"cause"`
			Fix      string    `json:"fix"`
			Steps    bool      `json:"steps_kept"`
			Requests int64     `json:"requests"`
			From     time.Time `json:"from,omitzero"`
			To       time.Time `json:"to,omitzero"`
		}{strings.ToUpper(c.Ref), q.Minute, q.Reason, q.Cause, fix, false, q.Requests, q.From, q.To})
	}
	s.printf("%s UTC  %s  (%s)\n", q.Minute.Format("2006-01-02 15:04"), strings.ToUpper(c.Ref),
		cmp.Or(q.Reason, "unknown reason"))
	s.printf("  %s\n", q.Summary())
	printWhy(s.stdout, p, idp.Why{Reason: cmp.Or(q.Reason, "unknown"), Cause: q.Cause, Fix: q.Fix,
		Act: idp.Act(admin.ReasonAct(q.Reason))}, "")
	s.printf("no steps were kept: it never came as far as a sign-in, or there were more requests like it than traces and " +
		"log lines are kept of\n")
	return nil
}

func (c *traceShowCmd) captured(s *invocation, p *server.App) error {
	all, err := p.Captures().Read(s.ctx, s.scope(), strings.ToUpper(c.Ref), s.event("", ""))
	if err != nil {
		return err
	}
	for _, a := range all {
		s.printf("%s\n", a.XML)
	}
	return nil
}

type traceRefusalsCmd struct {
	Since time.Duration `default:"24h" help:"Of how long, up to 8 days (192h)."`
	asJSON
}

// Help is shown by trace refusals --help.
func (traceRefusalsCmd) Help() string {
	return `Refusals of people who are known come from the audit log, summed up by quarter of an hour. Requests that were only counted left neither trace nor log line: of a kind, ten a second do.

Examples:

    ssobridge trace refusals

    ssobridge trace refusals --since 1h --json`
}

// maxRefusals is how many lines each list of refusals has at most, here and in the console.
const maxRefusals = 100

// Run shows them.
func (c *traceRefusalsCmd) Run(s *invocation, p *server.App) error {
	if c.Since <= 0 || c.Since > server.CountsKept {
		return badInput(fmt.Errorf("--since %s is out of range", c.Since), "write up to 192h")
	}
	since := p.Now().Add(-c.Since)
	refused, counted, err := p.SignInTraces().Refusals(s.ctx, s.scope(), since, maxRefusals)
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(struct {
			Refused []store.RefusalSum   `json:"refused"`
			Counted []store.RequestCount `json:"only_counted"`
		}{refused, counted})
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REQUESTS\tWHAT\tREASON\tAT")
	for _, r := range refused {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", r.Requests, r.Action, cmp.Or(r.Reason, "-"), cmp.Or(r.SP, "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(counted) == 0 {
		s.printf("\nno request was only counted\n")
		return nil
	}
	fmt.Fprintln(w, "\nONLY COUNTED\tREASON\tFROM\tTO")
	for _, n := range counted {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", n.Requests, cmp.Or(n.Reason, "-"), n.First.UTC().Format(time.DateTime),
			n.Last.UTC().Format(time.DateTime))
	}
	return w.Flush()
}

type traceCaptureCmd struct {
	asJSON

	Login string        `arg:"" help:"Login name or person id."`
	For   time.Duration `default:"30m" help:"For how long, at most 1h."`
	Off   bool          `help:"End it."`
}

// Help is shown by trace capture --help.
func (traceCaptureCmd) Help() string {
	return `The assertions that go out for this person are kept as they were signed, sealed with secret_key, for a day: trace show REF --captured prints them. Nobody else's are.

Examples:

    ssobridge trace capture alice --for 15m

    ssobridge trace capture alice --off`
}

// Run begins or ends it.
func (c *traceCaptureCmd) Run(s *invocation, p *server.App) error {
	return s.withPerson(p, c.Login, func(person store.PersonID) error {
		if c.Off {
			if err := p.Captures().End(s.ctx, s.scope(), person, s.event("", "")); err != nil {
				return err
			}
			s.printf("assertions of %s are not captured\n", c.Login)
			return s.object(jsonCapturing{Person: person})
		}
		until, err := p.Captures().Begin(s.ctx, s.scope(), person, c.For, s.event("", ""))
		if err != nil {
			return err
		}
		s.printf("assertions of %s are captured until %s\n", c.Login, until.UTC().Format(time.RFC3339))
		return s.object(jsonCapturing{person, until.UTC()})
	})
}

// jsonCapturing is whose assertions are captured, as JSON.
type jsonCapturing struct {
	Person store.PersonID `json:"person_id"`
	Until  time.Time      `json:"until,omitzero"` // none: they are not captured
}

type traceCapturesCmd struct{ asJSON }

// Help is shown by trace captures --help.
func (traceCapturesCmd) Help() string { return "Example:\n\n    ssobridge trace captures" }

// Run lists them.
func (c traceCapturesCmd) Run(s *invocation, p *server.App) error {
	all, err := p.Captures().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "PERSON", "UNTIL", "BY")
	for _, one := range all {
		t.row(jsonCapture{one.Person, one.Until, one.By}, one.Person, one.Until.UTC().Format(time.DateTime), one.By)
	}
	return t.end()
}

// jsonCapture is a person whose assertions are kept as JSON.
type jsonCapture struct {
	Person store.PersonID `json:"person_id"`
	Until  time.Time      `json:"until"`
	By     string         `json:"by"`
}
