package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ssobridge/cmd/internal/backups"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type backupCmd struct {
	asJSON

	File   string   `arg:"" optional:"" help:"The file to write. It must not exist."`
	To     string   `placeholder:"FOLDER" help:"Make a backup under a name of its own in this folder, with the revocation journal and a manifest beside it."`
	Keep   *int     `placeholder:"N" help:"With --to: remove the oldest good backups that this command made there, so that N are left."`
	SealTo []string `placeholder:"KEY" help:"With --to: seal the backup to this public key of age (age1…), so that only its private key opens it. Can be given several times."`
	Record string   `placeholder:"NAME" help:"Make none: note in the audit log that another tool has made one, such as pg_dump. backup.max_age counts from there."`
}

// Help is shown by backup --help.
func (backupCmd) Help() string {
	return `The copy is consistent and can be taken while the bridge runs. It is read through, and its signing keys are opened, before it gets its name: a file that stands there is good. It holds names of people and sealed private keys: keep it as safe as the database. It does not hold secret_key, without which its keys can't be used: keep a copy of that apart.

--to writes ssobridge-TIME.db, its revocation journal and a manifest into a folder. With --keep the oldest are removed after the new one was verified: only backups of this installation whose files are what their manifest says. Anything else in the folder is left alone, and named where it is damaged. --seal-to encrypts for a key of age-keygen; ssobridge restore --identity FILE or age --decrypt opens it.

PostgreSQL has tools of its own: pg_dump makes the backup, pg_restore puts it back. Of this command only --record is for PostgreSQL.

Examples:

    ssobridge backup /var/backups/ssobridge-$(date +%F).db

    ssobridge backup --to /var/backups/ssobridge --keep 14

    pg_dump --format=custom --file=/var/backups/ssobridge.dump ssobridge && ssobridge backup --record ssobridge.dump`
}

// Run makes a backup and notes it in the audit.
func (c *backupCmd) Run(s *invocation) error {
	ways := 0
	for _, given := range []string{c.File, c.To, c.Record} {
		if given != "" {
			ways++
		}
	}
	switch {
	case ways != 1:
		return badInput(errors.New("what to do is not clear"), "give exactly one of a file, --to FOLDER and --record NAME")
	case c.To == "" && (c.Keep != nil || len(c.SealTo) > 0):
		return badInput(errors.New("--keep and --seal-to are for backups in a folder"), "give --to FOLDER")
	case c.Keep != nil && *c.Keep < 1:
		return badInput(fmt.Errorf("--keep %d is less than 1", *c.Keep),
			"say how many backups are to be left, or leave --keep out to remove none")
	}
	if err := backups.CheckRecipients(c.SealTo); err != nil {
		return badInput(fmt.Errorf("--seal-to: %w", err), "make a pair of keys by age-keygen, on another machine")
	}
	if c.Record != "" {
		return c.record(s)
	}
	return c.make(s)
}

// record notes a backup of another tool.
func (c *backupCmd) record(s *invocation) error {
	p, err := s.open()
	if err != nil {
		return err
	}
	if err := admin.RecordBackup(s.ctx, s.scope(), p.Store, s.event("", filepath.Base(c.Record))); err != nil {
		return err
	}
	s.printf("noted: %s\n", filepath.Base(c.Record))
	return s.object(jsonBackup{Recorded: filepath.Base(c.Record)})
}

// jsonBackup is what became of a backup as JSON.
type jsonBackup struct {
	File     string   `json:"file,omitempty"`
	Bytes    int64    `json:"bytes,omitempty"`
	Recorded string   `json:"recorded,omitempty"` // of another tool
	Removed  []string `json:"removed,omitempty"`  // older ones
	Damaged  []string `json:"damaged,omitempty"`
	Partial  []string `json:"partial,omitempty"` // what interrupted backups have left
}

// make makes one of SQLite.
func (c *backupCmd) make(s *invocation) (err error) {
	p, err := s.openSQLite()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	// A journal that begins after the backup can't say what was revoked since it.
	if err := p.BeginJournal(s.ctx, nil); err != nil {
		s.log().Warn("the revocation journal is not written: a restore would undo what is revoked now", "error", err)
	}
	if c.To != "" {
		return c.toFolder(s, p)
	}
	if _, err := os.Lstat(c.File); err == nil {
		return badInput(fmt.Errorf("%s exists already", c.File), "give a new name; a backup is never overwritten")
	}
	if err := p.Store.Backup(s.ctx, c.File); err != nil {
		return failed(fmt.Errorf("back up to %s: %w", c.File, err), "can the folder be written, and has it room?")
	}
	if err := c.checkFile(s.ctx, p); err != nil {
		return failed(errors.Join(fmt.Errorf("check the backup %s: %w", c.File, err), os.Remove(c.File)),
			"the copy was removed; ssobridge check shows what is wrong with the keys")
	}
	if err := admin.RecordBackup(s.ctx, s.scope(), p.Store, s.event("", filepath.Base(c.File))); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	s.printf("wrote %s, %d bytes\n", c.File, info.Size())
	return s.object(jsonBackup{File: c.File, Bytes: info.Size()})
}

// checkFile opens the signing keys of the copy.
func (c *backupCmd) checkFile(ctx context.Context, p *server.App) (err error) {
	copied, err := store.OpenCopy(ctx, c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	return backups.CheckKeys(p.Keys().Opens)(ctx, copied)
}

// toFolder makes one in a folder, and removes old ones once it is good.
func (c *backupCmd) toFolder(s *invocation, p *server.App) (err error) {
	if err := os.Mkdir(c.To, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return badInput(fmt.Errorf("make the folder %s: %s", c.To, config.PlainCause(err)),
			"make it, writable for whoever runs this command")
	}
	if info, err := os.Stat(c.To); err != nil || !info.IsDir() {
		return badInput(fmt.Errorf("%s is no folder", c.To), "give a folder, or a file without --to")
	}
	folder := backups.Folder{Path: c.To, Voucher: p.Sealer}
	work := filepath.Dir(strings.TrimPrefix(p.Config.DSN(), "sqlite:"))
	unlock, err := backups.Lock(work)
	if err != nil {
		return failed(fmt.Errorf("back up into %s: %w", c.To, err), "wait until it is done; nothing was written")
	}
	defer func() { err = errors.Join(err, unlock()) }()
	made, err := folder.Make(s.ctx, backups.Options{Source: p.Store, Journal: p.Journal.Copy,
		Check: backups.CheckKeys(p.Keys().Opens), Work: work, SealTo: c.SealTo, Now: s.now})
	if err != nil {
		return failed(fmt.Errorf("back up into %s: %w", c.To, err),
			"can the folder be written, and has it room? No backup was removed")
	}
	name := folder.DatabaseOf(made)
	if err := admin.RecordBackup(s.ctx, s.scope(), p.Store, s.event("", filepath.Base(name))); err != nil {
		return err
	}
	s.printf("wrote and verified %s, %d bytes\n", name, made.Database.Size)
	listed, err := folder.List()
	if err != nil {
		return err
	}
	for _, text := range listed.Damaged {
		s.printf("WARN  a backup is damaged: %s\n      do: look at the disk, and remove it by hand\n", text)
	}
	left, err := backups.Parts(work)
	if err != nil {
		return err
	}
	out := jsonBackup{File: name, Bytes: made.Database.Size, Damaged: listed.Damaged,
		Partial: append(listed.Partial, left...)}
	for _, file := range out.Partial {
		s.printf("WARN  an interrupted backup or restore has left %s\n      do: remove it by hand, unless another one runs\n", file)
	}
	if c.Keep == nil {
		return s.object(out)
	}
	gone, err := folder.Keep(listed, *c.Keep, made)
	for _, b := range gone {
		s.printf("removed %s, of %s\n", folder.DatabaseOf(b), b.Made.UTC().Format(time.DateTime))
		out.Removed = append(out.Removed, folder.DatabaseOf(b))
	}
	if err := s.object(out); err != nil {
		return err
	}
	if err != nil {
		return failed(err, "can the folder be written?")
	}
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
	return badInput(errors.New("the store is PostgreSQL"), "use its own tools: pg_dump makes a backup, which ssobridge "+
		"backup --record NAME notes; pg_restore puts it back, and ssobridge restore without a file settles it then")
}
