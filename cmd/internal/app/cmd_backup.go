package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ssobridge/store"
)

type backupCmd struct {
	File string `arg:"" help:"The file to write. It must not exist."`
}

// Help is shown by backup --help.
func (backupCmd) Help() string {
	return `The copy is consistent and can be taken while the bridge runs. It holds names of people and sealed private keys: keep it as safe as the database. It does not hold secret_key, without which its keys can't be used: keep a copy of that apart. PostgreSQL has tools of its own (pg_dump).

Example:

    ssobridge backup /var/backups/ssobridge-$(date +%F).db`
}

// Run writes the copy and notes it in the audit.
func (c *backupCmd) Run(s *session) (err error) {
	p, err := s.openSQLite()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if _, err := os.Lstat(c.File); err == nil {
		return badInput(fmt.Errorf("%s exists already", c.File), "give a new name; a backup is never overwritten")
	}
	if err := p.Store.Backup(s.ctx, c.File); err != nil {
		return failed(fmt.Errorf("back up to %s: %w", c.File, err), "can the folder be written, and has it room?")
	}
	if err := p.Store.Audit().Add(s.ctx, s.event("backup", filepath.Base(c.File))); err != nil {
		return fmt.Errorf("record the backup: %w", err)
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	s.printf("wrote %s, %d bytes\n", c.File, info.Size())
	return nil
}

type restoreCmd struct {
	File string `arg:"" help:"The backup to put in place."`
}

// Help is shown by restore --help.
func (restoreCmd) Help() string {
	return `The bridge must be stopped: a store that is open is refused. The backup is checked first; the database in use is kept beside it with the time in its name.

After a restore the ledger may lack users that were created since the backup. They can sign in all the same, and are not created twice: Constant Contact's answer that a user exists counts as theirs until ssobridge provision release, and no plan creates anybody. Mark them all without calls by ssobridge provision plan and ssobridge users adopt --plan.

Example:

    systemctl stop ssobridge
    ssobridge restore /var/backups/ssobridge-2026-11-01.db
    systemctl start ssobridge`
}

// Run replaces the database.
func (c *restoreCmd) Run(s *session) error {
	cfg, err := LoadConfig(s.config, s.environ)
	if err != nil {
		return err
	}
	if err := sqliteOnly(cfg); err != nil {
		return err
	}
	if _, err := os.Stat(c.File); err != nil {
		return badInput(fmt.Errorf("read the backup %s: %s", c.File, plainCause(err)), "name a file that `ssobridge backup` wrote")
	}
	kept, err := store.Restore(s.ctx, c.File, cfg.dsn(), nil)
	if err != nil {
		return failed(fmt.Errorf("restore %s: %w", c.File, err), "nothing was replaced; is the bridge stopped?")
	}
	p, err := Open(s.ctx, cfg, s.log())
	if err != nil {
		return failed(fmt.Errorf("open the restored store: %w", err), "the former database is "+kept)
	}
	err = p.Store.Audit().Add(s.ctx, s.event("restore", filepath.Base(c.File)))
	if err = errors.Join(err, p.Close()); err != nil {
		return fmt.Errorf("record the restore: %w", err)
	}
	s.printf("restored %s\n", c.File)
	if kept != "" {
		s.printf("the former database is %s\n", kept)
	}
	return nil
}

func (s *session) openSQLite() (*Parts, error) {
	cfg, err := LoadConfig(s.config, s.environ)
	if err != nil {
		return nil, err
	}
	if err := sqliteOnly(cfg); err != nil {
		return nil, err
	}
	return Open(s.ctx, cfg, s.log())
}

func sqliteOnly(cfg Config) error {
	if strings.HasPrefix(cfg.dsn(), "sqlite:") {
		return nil
	}
	return badInput(errors.New("the store is PostgreSQL"), "use its own tools: pg_dump and pg_restore")
}
