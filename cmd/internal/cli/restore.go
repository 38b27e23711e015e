package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

type restoreCmd struct {
	asJSON

	File string `arg:"" optional:"" help:"The backup to put in place (SQLite). Without it: settle a database that was restored by other tools."`

	Identity string `placeholder:"FILE" help:"The private key of age that opens a backup which ssobridge backup --seal-to has sealed."`
	Rehearse bool   `help:"Restore into a store of its own, open the keys, compare it with the database in use, and take it away again. Changes nothing; the bridge may run."`
	Yes      bool   `help:"Go on although the revocation journal can't say what was revoked since the backup. Look at the list first."`

	from string // the file, opened where it was sealed
	done jsonRestored
}

// jsonRestored is what a restore or settlement did, as JSON.
type jsonRestored struct {
	Restored string         `json:"restored,omitempty"` // the backup that was put in place
	Former   string         `json:"former,omitempty"`   // the database that it has replaced
	Lacking  []string       `json:"lacking,omitempty"`  // why it is not known what was revoked since
	Revoked  *store.Settled `json:"revoked_again,omitempty"`
}

// Help is shown by restore --help.
func (restoreCmd) Help() string {
	return `With a file (SQLite): the bridge must be stopped; a store that is open is refused. The backup is checked first; the database in use is kept beside it with the time in its name.

Without a file: a database that pg_restore, a point-in-time recovery or a copied file has put back is settled. ssobridge serve does this by itself where the revocation journal is whole, and else serves nothing until this command was given with --yes.

What was revoked since the backup is revoked again, by the revocation journal in state_dir: removed second factors, used recovery codes and invitations, suspended users, retired keys, removed mappings and service providers, revoked API tokens. People who were moved to a source since are counted: move them again by the same file (ssobridge users move-source), nobody is created for them before. The last word counts: who was resumed since stays resumed. All sessions end.

Without a whole journal, invitations and recovery codes are void, suspended users stay suspended, second factors stay good for client accounts, those of people with a role in the admin console are listed and open it only after an invitation has confirmed each (ssobridge admin invite LOGIN), as do those of people who get a role later, and keys, service providers and mappings are listed with their last change. Nothing is done until --yes.

After a restore the ledger may lack users that were created since the backup. They can sign in all the same, and are not created twice: Constant Contact's answer that a user exists counts as theirs until ssobridge provision release, and no plan creates anybody. Mark them all without calls by ssobridge provision plan and ssobridge users adopt --plan.

Examples:

    systemctl stop ssobridge
    ssobridge restore /var/backups/ssobridge-2026-11-01.db
    systemctl start ssobridge

    ssobridge restore --rehearse /var/backups/ssobridge-2026-11-01.db

    ssobridge restore --yes`
}

// Run restores and settles.
func (c *restoreCmd) Run(s *invocation) (err error) {
	switch {
	case c.File == "" && (c.Rehearse || c.Identity != ""):
		return badInput(errors.New("no backup is named"), "name the file: ssobridge restore --rehearse FILE. A database that "+
			"pg_restore has read in under another name is looked at by ssobridge check, with SSOBRIDGE_STORE_DSN")
	case c.File == "":
		return c.settle(s)
	}
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	if err := sqliteOnly(cfg); err != nil {
		return err
	}
	if _, err := os.Stat(c.File); err != nil {
		return badInput(fmt.Errorf("read the backup %s: %s", c.File, config.PlainCause(err)),
			"name a file that `ssobridge backup` wrote")
	}
	from, done, err := c.unsealed(cfg)
	if err != nil {
		return err
	}
	c.from = from
	defer func() { err = errors.Join(err, done()) }()
	// Before the database that is there is looked at: with a bad file nothing is touched.
	if err := store.CheckCopy(c.from); err != nil {
		return c.refused(err)
	}
	if c.Rehearse {
		return c.rehearse(s, cfg)
	}
	if err := c.follow(s, cfg); err != nil {
		return err
	}
	var asked error
	kept, err := store.Restore(s.ctx, c.from, cfg.DSN(), func(ctx context.Context, dsn string) (err error) {
		copied := cfg
		copied.Store.DSN = dsn
		p, err := server.OpenUnsettled(ctx, copied, s.log())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Close()) }()
		asked = c.settleParts(s, p, "it is put in place now")
		return asked
	})
	switch {
	case asked != nil:
		return asked
	case err != nil:
		return c.refused(err)
	}
	p, err := server.Open(s.ctx, cfg, s.log())
	if err != nil {
		return failed(fmt.Errorf("open the restored store: %w", err), "the former database is "+kept)
	}
	err = errors.Join(p.Store.Audit().Add(s.ctx, s.event("restore", filepath.Base(c.File))), settledMark(s.ctx, p))
	if err = errors.Join(err, p.Close()); err != nil {
		return fmt.Errorf("record the restore: %w", err)
	}
	s.printf("restored %s\n", c.File)
	if kept != "" {
		s.printf("the former database is %s\n", kept)
	}
	s.printf("provisioning is paused: no plan creates anybody until ssobridge provision release. Look at what the backup " +
		"does not know first: ssobridge provision plan\n")
	c.done.Restored, c.done.Former = c.File, kept
	return s.object(c.done)
}

// refused says why a file was not put in place. One that is no copy is bad input, and is named for what it is.
func (c *restoreCmd) refused(err error) error {
	if no, ok := errors.AsType[*store.NotCopyError](err); ok {
		fix := no.Fix
		if strings.HasPrefix(fix, "decrypt it first: age") {
			fix = "give the private key by --identity FILE"
		}
		return badInput(fmt.Errorf("restore %s: it %w", c.File, no), strings.TrimPrefix(fix+"; nothing was replaced", "; "))
	}
	return failed(fmt.Errorf("restore %s: %w", c.File, err), "nothing was replaced; is the bridge stopped?")
}

// follow has the journal read what the database that is to be replaced knows, as far as that can still be read:
// what could not be written before.
func (c *restoreCmd) follow(s *invocation, cfg config.Config) error {
	path := strings.TrimPrefix(cfg.DSN(), "sqlite:")
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil
	}
	if _, err := os.Stat(server.NewJournal(&cfg, nil, s.now, s.log()).Path()); err != nil {
		return nil // there is none to go on with; one that began now would seem whole
	}
	// As it is: where the copy is refused, the program of the version before goes on with it.
	p, err := server.OpenAsIs(s.ctx, cfg, s.log())
	if err != nil {
		s.log().Info("the database that is replaced can't be read", "error", err)
		return nil
	}
	if err := p.FollowJournal(s.ctx); err != nil {
		s.log().Info("the database that is replaced has nothing for the revocation journal", "error", err)
	}
	return p.Close()
}

// settledMark notes that the database is the present one.
func settledMark(ctx context.Context, p *server.App) error {
	content, err := p.Journal.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the revocation journal: %w", err)
	}
	return p.BeginJournal(ctx, &server.Restoration{Content: content})
}

// settle settles a database that other tools have put back.
func (c *restoreCmd) settle(s *invocation) (err error) {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	server.MakeStateDir(cfg, s.log())
	p, err := server.OpenUnsettled(s.ctx, cfg, s.log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := c.settleParts(s, p, ""); err != nil {
		return err
	}
	if err := settledMark(s.ctx, p); err != nil {
		return err
	}
	return s.object(c.done)
}

// settleParts says what a settlement does, and does it. certain is why the database is surely a restored one; ""
// where that is to be found out.
func (c *restoreCmd) settleParts(s *invocation, p *server.App, certain string) error {
	if err := p.OwnSecretKey(s.ctx); err != nil {
		return err
	}
	r, err := server.LookForRestore(s.ctx, p.Journal, p.Store, certain)
	if err != nil {
		return err
	}
	if r.Noticed == "" && !r.Cut {
		s.printf("the database was not restored: it is as far as the revocation journal\n")
		return nil
	}
	if !r.Whole() {
		console, err := findConsoleFactors(s.ctx, p)
		if err != nil {
			return err
		}
		r.Unconfirm = console.has
		try, err := p.TrySettle(s.ctx, r)
		if err != nil {
			return err
		}
		s.printf("What was revoked since the backup is not known: %s.\n", strings.Join(r.Lacking, "; "))
		console.list(s)
		if err := listUnknown(p, s, try); err != nil {
			return err
		}
		if err := s.confirm(c.Yes, false, "Use this database as it is listed?"); err != nil {
			return err
		}
	}
	done, err := p.Store.Revocations().Settle(s.ctx, r.Settlement(p.IdP.Factors(), s.event("revoke-again", "database")))
	if err != nil {
		return fmt.Errorf("revoke again what was revoked since the backup: %w", err)
	}
	c.done.Lacking, c.done.Revoked = r.Lacking, &done
	s.printf("revoked again: %s\n", settledText(done))
	if len(done.Missing) > 0 {
		s.printf("signing keys that were made since the backup and are lost: %s\n", strings.Join(done.Missing, ", "))
	}
	if done.Signing == 0 {
		s.printf("NO SIGNING KEY IS LEFT: nothing is signed until ssobridge keys generate makes one and the service " +
			"providers have it\n")
	}
	return nil
}

// consoleFactors are the confirmed second factors of people with a role in the console. One that was removed since the
// backup must not open it, so an invitation confirms each anew.
type consoleFactors struct {
	factors []store.SecondFactor
	people  map[store.PersonID]string // their logins
	unknown int                       // people of whom the directory does not say it now; they are taken as having one
}

func (c consoleFactors) has(p store.PersonID) bool { _, is := c.people[p]; return is }

func findConsoleFactors(ctx context.Context, p *server.App) (c consoleFactors, err error) {
	all, err := p.Store.SecondFactors().Confirmed(ctx)
	if err != nil {
		return c, err
	}
	c.people = map[store.PersonID]string{}
	if len(all) == 0 {
		return c, nil
	}
	// A group that the copy does not know yet gives nobody a role.
	if _, err := p.IdP.ResolveGroups(ctx, true); err != nil {
		return c, fmt.Errorf("resolve the groups of the console: %w", err)
	}
	asked := map[store.PersonID]bool{}
	down := false
	for _, f := range all {
		if f.Kind == mfa.RecoveryCode {
			continue // void, see Settlement.Void
		}
		if !asked[f.Person] {
			asked[f.Person] = true
			login, is, known := "", true, false
			if !down {
				var unavailable error
				login, is, known, unavailable = inConsole(ctx, p, f.Person)
				down = unavailable != nil // it is not waited for with each of them
			}
			if !known {
				c.unknown++
			}
			if is {
				c.people[f.Person] = login
			}
		}
		if c.has(f.Person) {
			c.factors = append(c.factors, f)
		}
	}
	return c, nil
}

// inConsole tells whether somebody has a role in the console. known is false where the directory does not say it, and
// then it is taken as so: an account that is disabled, expired or not to be found is shown without its groups, and may
// be let in again tomorrow. With an error, the directory can't be asked.
func inConsole(ctx context.Context, p *server.App, person store.PersonID) (login string, is, known bool, err error) {
	e, err := p.Directory.Read(ctx, string(person))
	if err != nil {
		return "", true, false, err
	}
	if e.Problem != "" {
		return e.Login, true, false, nil
	}
	role, err := p.IdP.ConsoleRole(ctx, e)
	return e.Login, err != nil || role != idp.NoConsole, err == nil, err
}

func (c consoleFactors) list(s *invocation) {
	if len(c.factors) == 0 {
		return
	}
	s.printf("\nSecond factors of people with a role in the admin console. They do not open it until an invitation " +
		"confirms each (ssobridge admin invite):\n")
	if c.unknown > 0 {
		s.printf("The directory does not say of %d people whether they have a role, since it does not answer, or their "+
			"account is disabled, expired or gone: they are taken as having one.\n", c.unknown)
	}
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LOGIN\tPERSON\tKIND\tADDED")
	for _, f := range c.factors {
		login := "-"
		if known := c.people[f.Person]; known != "" {
			login = plaintext.Quote(known) // it comes from the directory
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", login, f.Person, f.Kind, lastChange(f.CreatedAt))
	}
	_ = w.Flush() // what can't be printed here can't be printed below, where it is an error
}

func settledText(d store.Settled) string {
	text := strings.Join([]string{
		plaintext.Count(d.Factors, "second factor", "second factors"),
		"recovery codes of " + plaintext.Count(d.Codes, "person", "people"),
		plaintext.Count(d.Invitations, "invitation", "invitations"),
		plaintext.Count(d.Users, "suspended user", "suspended users"),
		plaintext.Count(d.Keys, "key", "keys"),
		plaintext.Count(d.Mappings, "mapping", "mappings"),
		plaintext.Count(d.Providers, "service provider", "service providers"),
		plaintext.Count(d.Tokens, "API token", "API tokens"),
		plaintext.Count(d.Sources, "source", "sources"),
	}, ", ") + "; " + plaintext.Count(d.Sessions, "session", "sessions") + " ended"
	if d.Unconfirmed > 0 {
		text += fmt.Sprintf("; %s the admin console only after an invitation",
			plaintext.Count(d.Unconfirmed, "second factor opens", "second factors open"))
	}
	if d.Moves > 0 {
		text += fmt.Sprintf("; people who were moved to a source since: %d, nobody is created for them until their file is "+
			"given again to ssobridge users move-source", d.Moves)
	}
	if d.Resumed > 0 {
		text += fmt.Sprintf("; %s, as since the copy", plaintext.Count(d.Resumed, "user is resumed", "users are resumed"))
	}
	return text
}

// listUnknown lists what a copy brings back that may have been revoked since.
func listUnknown(p *server.App, s *invocation, try store.Settled) error {
	ctx := s.ctx
	suspended, err := p.Store.Ledger().CountByState(ctx)
	if err != nil {
		return err
	}
	s.printf("\nVoid from now on: %s, %s, and the recovery codes of %s. Removed since, as far as is known: %s.\n",
		plaintext.Count(try.Invitations, "invitation", "invitations"), plaintext.Count(try.Tokens, "API token", "API tokens"),
		plaintext.Count(try.Codes, "person", "people"), settledText(try))
	s.printf("%d suspended users stay suspended. Users that were suspended since the backup are not: see ssobridge "+
		"users suspend.\n", suspended[store.Suspended])

	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	keys, err := p.Store.Keys().List(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nKEY\tUSE\tSTATE\tLAST CHANGE\n")
	for _, k := range keys {
		last := slices.MaxFunc([]time.Time{k.CreatedAt, k.PublishedAt, k.ActiveAt, k.RetiringAt, k.RetiredAt},
			time.Time.Compare)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Use, k.State, lastChange(last))
	}
	providers, err := p.Store.ServiceProviders().List(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nSERVICE PROVIDER\tNAME\tENABLED\tLAST CHANGE\n")
	for _, sp := range providers {
		fmt.Fprintf(w, "%s\t%s\t%t\t%s\n", sp.EntityID, sp.Name, sp.Enabled, lastChange(sp.UpdatedAt))
	}
	mappings, err := p.Store.Mappings().List(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nMAPPING\tAPPLIES TO\tACCOUNT\tROLE\tLAST CHANGE\n")
	for _, m := range mappings {
		changed := m.CreatedAt
		if history, err := p.Store.Mappings().History(ctx, m.ID, 0, 1); err != nil {
			return err
		} else if len(history) > 0 {
			changed = history[0].At
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", m.ID, cmp.Or(m.GroupDN, m.Pattern, string(m.Person)), m.Account, m.Role,
			lastChange(changed))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the list: %w", err)
	}
	s.printf("\nRetire or remove what should not be there (ssobridge keys retire, sp remove, mapping remove) before the " +
		"bridge is started.\n")
	return nil
}

func lastChange(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return plaintext.Minute(t)
}
