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
	"ssobridge/idp"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// skewLimit is the clock difference from which check warns. The service provider is
// known to allow 60 s; a clock that is seconds off is on its way there (SP-08).
const skewLimit = 5 * time.Second

type checkCmd struct {
	Accounts bool `help:"Also read the list of client accounts, which proves the API key and takes one call of the day's budget for each 50 of them."`
}

// Help is shown by check --help.
func (checkCmd) Help() string {
	return `Each step says ok, WARN or FAIL, why, and what to do. Nothing is changed, except that the list of client accounts is stored with --accounts, and that a pattern without a group base was named: 30 days after check and the console have both named one, it stops giving access. Exit codes: 0 no step failed, 1 a step failed, 2 the configuration has faults.

Examples:

    ssobridge check --config /etc/ssobridge/ssobridge.yaml

    ssobridge check --accounts`
}

// report prints the steps as they come.
type report struct {
	s        *invocation
	failures int
	warnings int
}

func (r *report) ok(step, detail string)         { r.line("ok  ", step, detail, "") }
func (r *report) warn(step, detail, mend string) { r.warnings++; r.line("WARN", step, detail, mend) }
func (r *report) fail(step string, err any, mend string) {
	r.failures++
	r.line("FAIL", step, fmt.Sprint(err), mend)
}

// add prints a finding of the rules.
func (r *report) add(all ...admin.Finding) {
	for _, f := range all {
		mend := cmp.Or(f.Hint, actHint(f.Act, f.About))
		switch f.Level {
		case admin.Failure:
			r.fail(f.Name, f.Detail, mend)
		case admin.Warning:
			r.warn(f.Name, f.Detail, mend)
		default:
			r.ok(f.Name, f.Detail)
		}
	}
}

func (r *report) line(mark, step, detail, mend string) {
	r.s.printf("%s  %s", mark, step)
	if detail != "" {
		r.s.printf(": %s", detail)
	}
	r.s.printf("\n")
	if mend != "" {
		r.s.printf("      do: %s\n", mend)
	}
}

// Run runs the steps.
func (c *checkCmd) Run(s *invocation) (err error) {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	r := &report{s: s}
	r.ok("configuration", s.config)
	checkFiles(r, cfg)
	// What the parts would log is what the steps say.
	p, err := server.Open(s.ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		_, hint := classify(err)
		r.fail("store", err, cmp.Or(hint, "see the cause; for SQLite the folder must be writable, for PostgreSQL the server reachable, with TLS over a network"))
		return failed(fmt.Errorf("%d of the steps failed", r.failures), "")
	}
	defer func() {
		if closeErr := p.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := p.Store.Ping(s.ctx); err != nil {
		r.fail("store", err, "see the cause; the bridge can't run without its store")
	} else {
		r.ok("store", strings.SplitN(cfg.DSN(), ":", 2)[0]+" can be read and written")
	}
	checkRoutes(r, p)
	checkJournal(s.ctx, r, p)
	checkSecrets(s.ctx, r, p)
	checkClock(s.ctx, r, p)
	r.add(p.Keys().Findings(s.ctx)...)
	for _, step := range p.Directory.Check(s.ctx) {
		switch {
		case step.Err != nil:
			r.fail("directory: "+step.Name, step.Err, step.Mend)
		case step.Mend != "":
			r.warn("directory: "+step.Name, step.Detail, step.Mend)
		default:
			r.ok("directory: "+step.Name, step.Detail)
		}
	}
	checkLockout(s.ctx, r, p)
	checkPartner(s.ctx, r, p, c.Accounts)
	checkProviders(s.ctx, r, p)
	checkMappings(s.ctx, r, p)
	checkUsers(s.ctx, r, p)
	checkGroups(s.ctx, r, p)
	checkAudit(s.ctx, r, p)
	s.printf("\n%d failed, %d warnings\n", r.failures, r.warnings)
	if r.failures > 0 {
		return failed(fmt.Errorf("%d of the steps failed", r.failures), "do what stands below each FAIL, then run check again")
	}
	return nil
}

// checkRoutes names the sslmode in force towards PostgreSQL.
func checkRoutes(r *report, p *server.App) {
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
func checkFiles(r *report, cfg config.Config) {
	type secretFile struct{ key, file string }
	files := []secretFile{
		{"secret_key_file", cfg.SecretKeyFile},
		{"store.dsn_file", cfg.Store.DSNFile},
		{"tls.key", cfg.TLS.Key},
		{"pkcs11.pin_file", cfg.PKCS11.PINFile},
		{"directory.bind_password_file", cfg.Directory.BindPasswordFile},
		{"constant_contact.partner_secret_file", cfg.ConstantContact.PartnerSecretFile},
		{"constant_contact.api_key_file", cfg.ConstantContact.APIKeyFile},
		{"constant_contact.webhook.secret_file", cfg.ConstantContact.Webhook.SecretFile},
	}
	for _, file := range cfg.SecretKeys {
		files = append(files, secretFile{"secret_keys", file})
	}
	for _, f := range files {
		if f.file == "" {
			continue
		}
		if info, err := os.Stat(f.file); err == nil && info.Mode().Perm()&0o007 != 0 {
			r.warn(f.key, fmt.Sprintf("%s can be read by everybody on this machine (mode %04o)", f.file, info.Mode().Perm()), "chmod o= "+f.file)
		}
	}
	if cfg.Store.DSN == "" {
		if info, err := os.Stat(cfg.DataDir); err == nil && info.Mode().Perm()&0o007 != 0 {
			r.warn("data_dir", cfg.DataDir+" is open to everybody on this machine", "chmod o= "+cfg.DataDir)
		}
	}
	ends, err := server.FileExpiries(cfg)
	if err != nil {
		r.fail("certificates in files", err, "let the bridge's user read them")
	}
	for _, e := range ends {
		r.add(admin.ExpiryFinding(e, r.s.now()))
	}
}

// checkJournal looks whether a restore would bring back what was revoked, and whether there was one.
func checkJournal(ctx context.Context, r *report, p *server.App) {
	if !p.Config.HasJournalDir() {
		return // this is no replica
	}
	const step = "revocation journal"
	found, err := server.LookForRestore(ctx, p.Journal, p.Store, "")
	switch {
	case err != nil:
		r.warn(step, err.Error(), "let the bridge's user read and write state_dir")
	case found.Noticed != "":
		r.fail(step, "the database was restored: "+found.Noticed, "ssobridge serve settles it where the journal is whole; else ssobridge restore --yes does, after ssobridge restore has listed what came back")
	case len(found.Content.Faults) > 0:
		r.warn(step, strings.Join(found.Content.Faults, "; "), "find out who changed it; a restore asks before it goes on. Put the file away to begin a new one")
	case found.Content.Begun:
		r.ok(step, fmt.Sprintf("%d entries, whole since %s", len(found.Content.Words), found.Content.Since.UTC().Format(time.DateOnly)))
	}
}

// checkPartner asks for a token and compares the clocks.
func checkPartner(ctx context.Context, r *report, p *server.App, accounts bool) {
	if _, err := p.Tokens.Token(ctx); err != nil {
		r.fail("partner token", err, "compare constant_contact.token_url, partner_client_id and the partner secret with what Constant Contact gave")
		return
	}
	r.ok("partner token", p.Config.ConstantContact.TokenURL)
	if theirs, ours, ok := p.Tokens.ServerTime(); ok {
		// The Date header counts whole seconds, so up to one second is no difference.
		skew := ours.Sub(theirs)
		text := fmt.Sprintf("ours differs from the token server's by %s", skew.Round(time.Second))
		if skew.Abs() > skewLimit {
			r.warn("clock", text, "let NTP set this machine's clock: Constant Contact refuses sign-ins when it is about a minute off")
		} else {
			r.ok("clock", text)
		}
	}
	if !accounts {
		return
	}
	if err := p.Provisioning.RefreshAccounts(ctx); err != nil {
		r.fail("client accounts", err, partnerHint(err))
		return
	}
	list, err := p.Store.Accounts().List(ctx)
	if err != nil {
		r.fail("client accounts", err, "")
		return
	}
	r.ok("client accounts", fmt.Sprintf("%d listed", len(list)))
}

// partnerHint says what to do about an error of Constant Contact's API.
func partnerHint(err error) string {
	if e, ok := admin.AsError(err); ok {
		return refusalHints(e)
	}
	return ""
}

func checkProviders(ctx context.Context, r *report, p *server.App) {
	list, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		r.fail("service providers", err, "")
		return
	}
	enabled := 0
	for _, sp := range list {
		name := "service provider " + sp.EntityID
		if !sp.Enabled {
			r.warn(name, "is switched off", "")
			continue
		}
		if sp.Kind == store.ConstantContact {
			enabled++
		}
		faults := idp.CheckProvider(sp, true)
		for _, fault := range faults {
			r.fail(name, fault, "add it again with --replace")
		}
		if len(faults) == 0 {
			r.ok(name, sp.Name)
		}
		if sp.Encryption == "required" && len(sp.EncryptionKeys) == 0 {
			r.fail(name, "assertions have to be encrypted and no key for that is on record, so every sign-in is refused", "import its metadata with the key (sp add FILE --replace), or ssobridge sp set "+sp.EntityID+" encryption=off")
		}
		for _, risk := range p.Providers().Risks(sp) {
			r.warn(name, risk, "ssobridge sp set "+sp.EntityID+" name_id=TEMPLATE with {person_id}")
		}
		for _, e := range admin.ProviderExpiries(sp) {
			r.add(admin.ExpiryFinding(e, r.s.now()))
		}
	}
	switch enabled {
	case 0:
		r.fail("service providers", "Constant Contact is not registered", "ssobridge sp add-constant-contact --help")
	case 1:
	default:
		r.warn("service providers", fmt.Sprintf("Constant Contact is registered %d times, so a launch link without a service provider is refused", enabled), "remove all but one: ssobridge sp remove")
	}
}

func checkMappings(ctx context.Context, r *report, p *server.App) {
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
	ends, err := p.Provisioning.NamePatterns(ctx, list, store.NoticeByCheck, actor(r.s.environ))
	if err != nil {
		r.fail("patterns without a group base", err, "")
	}
	for _, m := range list {
		switch risk := mapping.Risk(m); {
		case risk == "":
		case m.Kind == store.GroupPattern && m.GroupDN != "":
			r.ok(fmt.Sprintf("mapping %d", m.ID), risk)
		case m.Kind == store.GroupPattern && ends[m.ID].Over:
			r.fail(fmt.Sprintf("mapping %d", m.ID), "it has no group base: "+mapping.StopText(ends[m.ID]), fmt.Sprintf("ssobridge mapping set %d --group-base DN", m.ID))
		case m.Kind == store.GroupPattern:
			r.warn(fmt.Sprintf("mapping %d", m.ID), risk+"; it has no group base: "+mapping.StopText(ends[m.ID]), fmt.Sprintf("ssobridge mapping set %d --group-base DN", m.ID))
		default:
			r.warn(fmt.Sprintf("mapping %d", m.ID), risk, "")
		}
		if m.Kind == store.AttributePattern && !p.Config.ReadsAttribute(m.Attribute) {
			r.fail(fmt.Sprintf("mapping %d", m.ID), "the attribute "+m.Attribute+" is not read, so it hits nobody", "add it to directory.extra_attributes and restart the bridge")
		}
	}
}

// checkUsers looks for external ids that differ in letter case only, which versions before did not refuse.
func checkUsers(ctx context.Context, r *report, p *server.App) {
	const most = 20
	clashes, err := p.Store.Ledger().CaseClashes(ctx, most)
	if err != nil {
		r.fail("SSO users", err, "")
		return
	}
	for _, u := range clashes {
		r.warn("SSO users", fmt.Sprintf("external_id %q of person %s in account %s (%s) differs from another one only in letter case",
			u.ExternalID, u.Person, u.Account, u.State),
			"ask Constant Contact whether it distinguishes the two; if not, one of the two people signs in as the other: ssobridge users suspend")
	}
	if len(clashes) == most {
		r.warn("SSO users", "there may be more external ids that differ only in letter case", "")
	}
}

// checkAudit says for how long events are kept, and looks for actions in audit.keep that no event has: a mistyped one is kept as long as
// all others.
func checkAudit(ctx context.Context, r *report, p *server.App) {
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
			r.warn("audit.keep", "there is no event of the action "+kind+" so far", "compare it with what ssobridge audit list shows")
		}
	}
}

// checkOldEvents warns of events that go by the defaults, which nobody may have read.
func checkOldEvents(ctx context.Context, r *report, p *server.App, kept map[string]time.Duration) {
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
			r.warn("audit.keep", "there are events older than "+keptFor(kept[kind])+", which the running bridge deletes, since audit.keep says nothing",
				"to keep them set audit.keep to {default: 0s, login.refused: 0s, second-factor.refused: 0s}, or export them first: ssobridge audit export")
			return
		}
	}
}

// checkClock says what believeClock finds. It notes nothing that an administrator has to say.
func checkClock(ctx context.Context, r *report, p *server.App) {
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
