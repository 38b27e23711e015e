package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type checkCmd struct {
	asJSON

	Running  bool `help:"Look at nothing: show what the running bridge has found, which looks twice a minute."`
	Accounts bool `help:"Also read the list of client accounts, which proves the API key and takes one call of the day's budget for each 50 of them."`
}

// Help is shown by check --help.
func (checkCmd) Help() string {
	return `Each step says ok, WARN or FAIL, why, and what to do. It looks by itself, with the configuration as it is now. Nothing is changed, except that the list of client accounts is stored with --accounts, and that a pattern without a group base was named: 30 days after check and the console have both named one, it stops giving access. Exit codes: 0 no step failed, 1 a step failed, 2 the configuration has faults.

Examples:

    ssobridge check --config /etc/ssobridge/ssobridge.yaml

    ssobridge check --accounts

    ssobridge check --running`
}

// report prints the steps as they come.
type report struct {
	s        *invocation
	failures int
	warnings int
	steps    []jsonFinding
}

// jsonReport is what the steps of a command found, as JSON.
type jsonReport struct {
	Steps    []jsonFinding `json:"steps"`
	Failed   int           `json:"failed"`
	Warnings int           `json:"warnings"`
}

// jsonFinding is what one step found.
type jsonFinding struct {
	Name   string `json:"name"`
	Level  string `json:"level"` // ok, warning, down
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// end prints the report as JSON; text was printed as it came.
func (r *report) end() error {
	return r.s.object(jsonReport{append([]jsonFinding{}, r.steps...), r.failures, r.warnings})
}

// add prints a finding.
func (r *report) add(f admin.Finding) {
	mark, detail := "ok  ", f.Detail
	switch f.Level {
	case admin.Failure:
		r.failures++
		mark, detail = "FAIL", f.Cause().Error()
	case admin.Warning:
		r.warnings++
		mark = "WARN"
	default:
	}
	do := ""
	if f.Level != admin.OK {
		do = cmp.Or(f.Hint, actHint(f.Act, f.About))
		if f.Act == admin.RunCheck && f.Hint == "" { // which is this command
			do = "see the other lines here, and the log of the running bridge"
		}
	}
	r.steps = append(r.steps, jsonFinding{f.Name, f.Level.Word(), detail, do})
	r.s.printf("%s  %s", mark, f.Name)
	if detail != "" {
		r.s.printf(": %s", detail)
	}
	r.s.printf("\n")
	if do != "" {
		r.s.printf("      do: %s\n", do)
	}
}

// findings are what a step of check finds, with what to do by command.
type findings struct {
	environ []string
	now     func() time.Time
	all     []admin.Finding
}

func (r *findings) ok(step, detail string) { r.add(admin.Finding{Name: step, Detail: detail}) }

func (r *findings) warn(step, detail, do string) {
	r.add(admin.Finding{Name: step, Level: admin.Warning, Detail: detail, Hint: do})
}

func (r *findings) fail(step string, err any, do string) {
	r.add(admin.Finding{Name: step, Level: admin.Failure, Detail: fmt.Sprint(err), Hint: do})
}

func (r *findings) add(f admin.Finding) { r.all = append(r.all, f) }

// step is a check of a command, as an entry of the list.
func (s *invocation) step(run func(ctx context.Context, r *findings)) admin.Check {
	return admin.Check{For: admin.ForFullCheck, Run: func(ctx context.Context) []admin.Finding {
		r := &findings{environ: s.environ, now: s.now}
		run(ctx, r)
		return r.all
	}}
}

// Run runs the steps.
func (c *checkCmd) Run(s *invocation) (err error) {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	r := &report{s: s}
	if c.Running {
		return c.running(s, cfg, r)
	}
	r.add(admin.Finding{Name: "configuration", Detail: s.config})
	for _, f := range s.step(func(_ context.Context, r *findings) { checkFiles(r, cfg) }).Run(s.ctx) {
		r.add(f)
	}
	// What the parts would log is what the steps say.
	p, err := server.Open(s.ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		_, hint := classify(err)
		r.add(admin.Finding{Name: "store", Level: admin.Failure, Detail: err.Error(),
			Hint: cmp.Or(hint, "see the cause; for SQLite the folder must be writable, for PostgreSQL the server reachable, "+
				"with TLS over a network")})
		return errors.Join(failed(fmt.Errorf("%d of the steps failed", r.failures), ""), r.end())
	}
	defer func() {
		if closeErr := p.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := c.status(s, p).Look(s.ctx, s.scope(), admin.ForFullCheck, r.add); err != nil {
		return err
	}
	s.printf("\n%d failed, %s\n", r.failures, plaintext.Count(r.warnings, "warning", "warnings"))
	if h, err := p.Status().Health(s.ctx, s.scope()); err == nil && !h.Stale() {
		s.printf("%s; ssobridge check --running shows what it found\n", checkedBy(h))
	}
	if err := r.end(); err != nil {
		return err
	}
	if r.failures > 0 {
		return failed(fmt.Errorf("%d of the steps failed", r.failures),
			"do what stands below each FAIL, then run check again")
	}
	return nil
}

// status is the list of the server, with what the machine and the data add to it.
func (c *checkCmd) status(s *invocation, p *server.App) admin.Status {
	status := p.Status()
	with := func(check func(context.Context, *findings, *server.App)) admin.Check {
		return s.step(func(ctx context.Context, r *findings) { check(ctx, r, p) })
	}
	// What is the running program's alone stays with it.
	status.Machine = []admin.Check{with(checkRoutes), with(checkJournal), with(checkSecrets), with(checkClock)}
	status.Rest = []admin.Check{with(checkLockout), with(checkMappings), with(checkUsers), with(checkGroups),
		with(checkSources), with(checkAudit)}
	if c.Accounts {
		status.Accounts = func(ctx context.Context) (int, error) {
			if err := p.Provisioning.ReadAccounts(ctx); err != nil {
				return 0, err
			}
			list, err := p.Store.Accounts().List(ctx)
			return len(list), err
		}
	}
	return status
}

// checkRoutes names the sslmode in force towards PostgreSQL.
func checkRoutes(_ context.Context, r *findings, p *server.App) {
	for _, route := range p.Store.Routes() {
		switch {
		case route.Verified():
			r.ok("store connection", route.String())
		case route.Mode == "require":
			r.warn("store connection", route.String()+": encrypted, but whoever is on the way can pass for the server",
				"write sslmode=verify-full and sslrootcert=FILE into the DSN")
		default:
			r.warn("store connection", route.String()+": it can be read and changed on the way, as store.insecure allows",
				"write sslmode=verify-full and sslrootcert=FILE into the DSN, and take store.insecure away")
		}
	}
}

// checkFiles looks at secrets that others may read and certificates that end soon.
func checkFiles(r *findings, cfg config.Config) {
	for _, f := range cfg.SecretFiles() {
		if info, err := os.Stat(f.File); err == nil && info.Mode().Perm()&0o007 != 0 {
			r.warn(f.Key, fmt.Sprintf("%s can be read by everybody on this machine (mode %04o)", f.File, info.Mode().Perm()),
				"chmod o= "+f.File)
		}
	}
	if cfg.Store.DSN == "" {
		if info, err := os.Stat(cfg.DataDir); err == nil && info.Mode().Perm()&0o007 != 0 {
			r.warn("data_dir", cfg.DataDir+" is open to everybody on this machine", "chmod o= "+cfg.DataDir)
		}
	}
	checkMachine(r, cfg)
	ends, err := server.FileExpiries(cfg)
	if err != nil {
		r.fail("certificates in files", err, "let the bridge's user read them")
	}
	for _, e := range ends {
		r.add(admin.ExpiryFinding(e, r.now()))
	}
}

// checkJournal looks whether a restore would bring back what was revoked, and whether there was one.
func checkJournal(ctx context.Context, r *findings, p *server.App) {
	if !p.Config.HasJournalDir() {
		return // this is no replica
	}
	const step = "revocation journal"
	found, err := server.LookForRestore(ctx, p.Journal, p.Store, "")
	switch {
	case err != nil:
		r.warn(step, err.Error(), "let the bridge's user read and write state_dir")
	case found.Noticed != "":
		r.fail(step, "the database was restored: "+found.Noticed,
			"ssobridge serve settles it where the journal is whole; else ssobridge restore --yes does, after ssobridge "+
				"restore has listed what came back")
	case len(found.Content.Faults) > 0:
		r.warn(step, strings.Join(found.Content.Faults, "; "),
			"find out who changed it; a restore asks before it goes on. Put the file away to begin a new one")
	case found.Content.Begun:
		r.ok(step, fmt.Sprintf("%d entries, whole since %s", len(found.Content.Words),
			found.Content.Since.UTC().Format(time.DateOnly)))
	}
}

func checkMappings(ctx context.Context, r *findings, p *server.App) {
	list, err := p.Store.Mappings().List(ctx)
	switch {
	case err != nil:
		r.fail("mappings", err, "")
	case len(list) == 0:
		r.warn("mappings", "there are none, so nobody can sign in to Constant Contact", "ssobridge mapping add --help")
	default:
		r.ok("mappings", fmt.Sprintf("%d", len(list)))
	}
	checkForms(ctx, p, r)
	ends, err := p.Provisioning.NamePatterns(ctx, list, store.NoticeByCheck, actor(r.environ))
	if err != nil {
		r.fail("patterns without a group base", err, "")
	}
	for _, m := range list {
		switch risk := mapping.Risk(m); {
		case risk == "":
		case m.Kind == store.GroupPattern && m.GroupDN != "":
			r.ok(fmt.Sprintf("mapping %d", m.ID), risk)
		case m.Kind == store.GroupPattern && ends[m.ID].Over:
			r.fail(fmt.Sprintf("mapping %d", m.ID), "it has no group base: "+mapping.StopText(ends[m.ID]),
				fmt.Sprintf("ssobridge mapping set %d --group-base DN", m.ID))
		case m.Kind == store.GroupPattern:
			r.warn(fmt.Sprintf("mapping %d", m.ID), risk+"; it has no group base: "+mapping.StopText(ends[m.ID]),
				fmt.Sprintf("ssobridge mapping set %d --group-base DN", m.ID))
		default:
			r.warn(fmt.Sprintf("mapping %d", m.ID), risk, "")
		}
		if m.Kind == store.AttributePattern && !p.Config.ReadsAttribute(m.Attribute) {
			r.fail(fmt.Sprintf("mapping %d", m.ID), "the attribute "+m.Attribute+" is not read, so it hits nobody",
				"add it to directory.extra_attributes and restart the bridge")
		}
	}
}

// checkSources looks at each source of people: whether its keys can be had.
func checkSources(ctx context.Context, r *findings, p *server.App) {
	found, err := p.Sources().Check(ctx, admin.Everything())
	if err != nil {
		r.fail("sources", err, "")
	}
	for _, f := range found {
		r.add(f)
	}
}

// checkUsers looks for external ids that differ in letter case only, which versions before did not refuse.
func checkUsers(ctx context.Context, r *findings, p *server.App) {
	const most = 20
	clashes, err := p.Store.Ledger().CaseClashes(ctx, most)
	if err != nil {
		r.fail("SSO users", err, "")
		return
	}
	for _, u := range clashes {
		r.warn("SSO users", fmt.Sprintf("external_id %q of person %s in account %s (%s) differs from another one only in "+
			"letter case",
			u.ExternalID, u.Person, u.Account, u.State),
			"ask Constant Contact whether it distinguishes the two; if not, one of the two people signs in as the other: "+
				"ssobridge users suspend")
	}
	if len(clashes) == most {
		r.warn("SSO users", "there may be more external ids that differ only in letter case", "")
	}
}

// checkAudit says for how long events are kept, and looks for actions in audit.keep that no event has: a mistyped one
// is kept as long as all others.
func checkAudit(ctx context.Context, r *findings, p *server.App) {
	kept := p.Config.Audit.Kept()
	var texts []string
	for _, kind := range slices.Sorted(maps.Keys(kept)) {
		texts = append(texts, kind+" "+keptFor(kept[kind]))
	}
	r.ok("audit.keep", strings.Join(texts, ", "))
	if len(p.Config.Audit.Keep) == 0 {
		checkOldEvents(ctx, r, p, kept)
	}
	for _, kind := range slices.Sorted(maps.Keys(p.Config.Audit.Keep)) {
		if kind == store.KeepDefault {
			continue
		}
		action, outcome, _ := strings.Cut(kind, ".")
		found, err := p.Store.Audit().List(ctx, store.Filter{Action: action, Outcome: outcome, Limit: 1})
		switch {
		case err != nil:
			r.fail("audit.keep", err, "")
		case len(found) == 0:
			r.warn("audit.keep", "there is no event of the action "+kind+" so far",
				"compare it with what ssobridge audit list shows")
		}
	}
}

// checkOldEvents warns of events that go by the defaults, which nobody may have read.
func checkOldEvents(ctx context.Context, r *findings, p *server.App, kept map[string]time.Duration) {
	for _, kind := range slices.Sorted(maps.Keys(kept)) {
		f := store.Filter{Until: p.Now().Add(-kept[kind]), Limit: 1}
		if kind != store.KeepDefault {
			f.Action, f.Outcome, _ = strings.Cut(kind, ".")
		}
		old, err := p.Store.Audit().List(ctx, f)
		if err != nil {
			r.fail("audit.keep", err, "")
			return
		}
		if len(old) > 0 {
			r.warn("audit.keep", "there are events older than "+keptFor(kept[kind])+
				", which the running bridge deletes, since audit.keep says nothing",
				"to keep them set audit.keep to {default: 0s, login.refused: 0s, second-factor.refused: 0s}, or export them "+
					"first: ssobridge audit export")
			return
		}
	}
}

// checkClock says what believeClock finds. It notes nothing that an administrator has to say.
func checkClock(ctx context.Context, r *findings, p *server.App) {
	const what = "retention"
	var fault *server.ClockFault
	switch err := p.BelieveClock(ctx); {
	case errors.As(err, &fault):
		r.fail(what, fault, fault.Fix)
	case err != nil:
		r.fail(what, err, "")
	}
}

// keptFor is a time of audit.keep in days.
func keptFor(keep time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case keep == 0:
		return "for ever"
	case keep%day == 0:
		return fmt.Sprintf("%d days", keep/day)
	}
	return config.FormatDuration(keep)
}
