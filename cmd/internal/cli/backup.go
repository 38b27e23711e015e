package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
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
func (c *backupCmd) Run(s *invocation) (err error) {
	p, err := s.openSQLite()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	// A journal that begins after the backup can't say what was revoked since it.
	if err := p.BeginJournal(s.ctx, nil); err != nil {
		s.log().Warn("the revocation journal is not written: a restore would undo what is revoked now", "error", err)
	}
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

func (s *invocation) openSQLite() (*server.App, error) {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return nil, err
	}
	if err := sqliteOnly(cfg); err != nil {
		return nil, err
	}
	p, err := server.Open(s.ctx, cfg, s.log())
	if err != nil {
		return nil, err
	}
	if err := p.OwnSecretKey(s.ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func sqliteOnly(cfg config.Config) error {
	if strings.HasPrefix(cfg.DSN(), "sqlite:") {
		return nil
	}
	return badInput(errors.New("the store is PostgreSQL"), "use its own tools: pg_dump and pg_restore")
}
