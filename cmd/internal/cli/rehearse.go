package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"ssobridge/cmd/internal/backups"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// rehearsalFolder is where a rehearsal keeps its store, in the folder of the database: it holds the same data.
const rehearsalFolder = backups.Rehearsal + "*"

// rehearse restores into a store of its own, looks at it, and takes it away again.
func (c *restoreCmd) rehearse(s *invocation, cfg config.Config) (err error) {
	folder, err := os.MkdirTemp(filepath.Dir(strings.TrimPrefix(cfg.DSN(), "sqlite:")), rehearsalFolder) // mode 0700
	if err != nil {
		return failed(fmt.Errorf("make a folder for the rehearsal: %w", err), "can the folder of the database be written?")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	tried := cfg
	tried.Store.DSN = "sqlite:" + filepath.Join(folder, "ssobridge.db")
	r := &report{s: s}
	_, err = store.Restore(s.ctx, c.from, tried.Store.DSN, nil)
	if err != nil {
		return c.refused(err)
	}
	r.add(admin.Finding{Name: "backup", Detail: c.File + " is whole, and of a schema that this program can use"})
	p, err := server.OpenUnsettled(s.ctx, tried, s.log())
	if err != nil {
		return failed(fmt.Errorf("open the store of the rehearsal: %w", err), "nothing was replaced")
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.OwnSecretKey(s.ctx); err != nil {
		return err
	}
	r.add(admin.Finding{Name: "secret key", Detail: "it is the one of this backup"})
	c.rehearseKeys(s, p, r)
	if err := rehearseRevocations(s, p, r); err != nil {
		return err
	}
	if err := compareStores(s, cfg, p, r); err != nil {
		return err
	}
	s.printf("\nNothing was changed. %d failed, %s\n", r.failures, plaintext.Count(r.warnings, "warning", "warnings"))
	if err := r.end(); err != nil {
		return err
	}
	if r.failures > 0 {
		return failed(fmt.Errorf("%s of the rehearsal failed", plaintext.Count(r.failures, "step", "steps")),
			"do what stands below each FAIL")
	}
	return nil
}

// rehearseKeys opens each key that would sign after the restore.
func (c *restoreCmd) rehearseKeys(s *invocation, p *server.App, r *report) {
	keys, err := p.Store.Keys().List(s.ctx)
	if err != nil {
		r.add(admin.Finding{Name: "signing keys", Level: admin.Failure, Detail: err.Error()})
		return
	}
	active := 0
	for _, k := range keys {
		if k.State == admin.KeyRetired {
			continue
		}
		if err := p.Keys().Opens(k); err != nil {
			r.add(admin.Finding{Name: "signing key " + k.ID, Level: admin.Failure, Detail: err.Error(),
				Hint: "put the secret key or the token of that day back"})
			continue
		}
		r.add(admin.Finding{Name: "signing key " + k.ID, Detail: k.State + ", opens"})
		if k.State == admin.KeyActive {
			active++
		}
	}
	if active == 0 {
		r.add(admin.Finding{Name: "signing keys", Level: admin.Failure, Detail: "none of the backup signs",
			Hint: "after a restore: ssobridge keys generate, and hand the certificate to the service providers"})
	}
}

// rehearseRevocations says what the restore would revoke again.
func rehearseRevocations(s *invocation, p *server.App, r *report) error {
	const step = "revocation journal"
	found, err := server.LookForRestore(s.ctx, p.Journal, p.Store, "it is rehearsed")
	if err != nil {
		return err
	}
	try, err := p.TrySettle(s.ctx, found)
	if err != nil {
		return err
	}
	if !found.Whole() {
		r.add(admin.Finding{Name: step, Level: admin.Warning,
			Detail: "what was revoked since the backup is not known: " + strings.Join(found.Lacking, "; "),
			Hint:   "a restore lists what comes back, and asks"})
	}
	r.add(admin.Finding{Name: step, Detail: "would be revoked again: " + settledText(try)})
	return nil
}

// contents are how much of what a store holds.
type contents struct {
	name  string
	count int
}

func contentsOf(ctx context.Context, db *store.DB) ([]contents, error) {
	users, err := db.Ledger().CountByState(ctx)
	if err != nil {
		return nil, err
	}
	all := 0
	for _, n := range users {
		all += n
	}
	accounts, err := db.Accounts().List(ctx)
	if err != nil {
		return nil, err
	}
	mappings, err := db.Mappings().List(ctx)
	if err != nil {
		return nil, err
	}
	providers, err := db.ServiceProviders().List(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := db.Keys().List(ctx)
	if err != nil {
		return nil, err
	}
	return []contents{{"SSO users", all}, {"client accounts", len(accounts)}, {"mappings", len(mappings)},
		{"service providers", len(providers)}, {"keys", len(keys)}}, nil
}

// compareStores compares the backup with the database in use, where that can be read.
func compareStores(s *invocation, cfg config.Config, p *server.App, r *report) (err error) {
	const step = "database in use"
	in, err := contentsOf(s.ctx, p.Store)
	if err != nil {
		return err
	}
	running, err := server.OpenAsIs(s.ctx, cfg, s.log())
	if errors.Is(err, store.ErrOlderSchema) {
		// The program of the version before goes on with it.
		r.add(admin.Finding{Name: step, Level: admin.Warning,
			Detail: "it is not compared: it is of the version before, and was left as it is",
			Hint:   "rehearse with the program that serves it, or once more after the upgrade"})
		return nil
	}
	if err != nil {
		r.add(admin.Finding{Name: step, Level: admin.Warning, Detail: "it can't be compared: " + err.Error(),
			Hint: "this is so where it is lost; the restore does not need it"})
		return nil
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	now, err := contentsOf(s.ctx, running.Store)
	if err != nil {
		return err
	}
	s.printf("\n")
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tIN USE\tIN THE BACKUP")
	for i, one := range now {
		fmt.Fprintf(w, "%s\t%d\t%d\n", one.name, one.count, in[i].count)
	}
	fmt.Fprintf(w, "last event\t%s\t%s\n", lastEvent(s.ctx, running.Store), lastEvent(s.ctx, p.Store))
	if err := w.Flush(); err != nil {
		return err
	}
	if lost := now[0].count - in[0].count; lost > 0 {
		r.add(admin.Finding{Name: step, Level: admin.Warning,
			Detail: plaintext.Count(lost, "SSO user was", "SSO users were") +
				" created since the backup; after a restore they count as theirs at their next sign-in",
			Hint: "make a new backup now, and restore that one"})
	}
	return nil
}

func lastEvent(ctx context.Context, db *store.DB) string {
	last, err := db.Audit().List(ctx, store.Filter{Limit: 1})
	if err != nil || len(last) == 0 {
		return "-"
	}
	return last[0].At.UTC().Format(time.DateTime)
}

// unsealed is the file to restore from: one that is sealed is opened beside the database first. done takes that away.
func (c *restoreCmd) unsealed(cfg config.Config) (from string, done func() error, err error) {
	if c.Identity == "" {
		return c.File, func() error { return nil }, nil
	}
	folder, err := os.MkdirTemp(filepath.Dir(strings.TrimPrefix(cfg.DSN(), "sqlite:")), rehearsalFolder)
	if err != nil {
		return "", nil, failed(fmt.Errorf("make a folder for the opened backup: %w", err),
			"can the folder of the database be written?")
	}
	done = func() error { return os.RemoveAll(folder) }
	from = filepath.Join(folder, "opened.db")
	if err := backups.Unseal(c.File, c.Identity, from); err != nil {
		return "", nil, errors.Join(badInput(err, "give the sealed file, and the private key of one of its recipients; "+
			"nothing was replaced"), done())
	}
	return from, done, nil
}
