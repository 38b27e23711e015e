package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// bridgeUser is the user that the packages and the documents make.
const bridgeUser = "ssobridge"

// bridgeFolder is where that user's data are.
const bridgeFolder = "/var/lib/ssobridge"

// owner is the user that the bridge runs as.
type owner struct {
	uid, gid int
	groups   []int // all of them, gid included
	name     string
	other    bool // than the one who runs this command
}

// readers finds the user for whom root writes. Anybody else writes for themselves.
func (p *setup) readers() (owner, error) {
	if os.Geteuid() != 0 {
		if p.c.User != "" {
			return owner{}, badInput(errors.New("--user is for root alone"), "run it as root, or as that user without --user")
		}
		return owner{}, nil
	}
	name := p.c.User
	if name == "" {
		name = bridgeUser
	}
	found, err := user.Lookup(name)
	switch {
	case err != nil && p.c.User != "":
		return owner{}, badInput(fmt.Errorf("there is no user %s on this machine", plaintext.Quote(name)),
			"make it first: useradd --system --home-dir "+bridgeFolder+" --shell /usr/sbin/nologin NAME")
	case err != nil:
		p.printf("WARN  user: there is no user %s, so that root alone can read what is written here\n"+
			"      do: make the user that the bridge is to run as first, and name it by --user\n", name)
		return owner{}, nil
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return owner{}, fmt.Errorf("read the id of user %s: %w", name, err)
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return owner{}, fmt.Errorf("read the group of user %s: %w", name, err)
	}
	o := owner{uid: uid, gid: gid, groups: []int{gid}, name: name, other: uid != 0}
	ids, err := found.GroupIds()
	if err != nil {
		return owner{}, fmt.Errorf("read the groups of user %s: %w", name, err)
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			o.groups = append(o.groups, n)
		}
	}
	return o, nil
}

// place says where the data of a new installation are: for a user of its own where the unit lets it write, else beside
// the configuration.
func (p *setup) place(o owner) {
	cfg, _ := p.draft.Config()
	if p.draft.Exists() || p.c.Set["data_dir"] != "" || p.draft.ByEnvironment("data_dir") != "" || cfg.Store.DSN != "" {
		return
	}
	folder := "data"
	if o.other && o.name == bridgeUser {
		folder = bridgeFolder
	}
	_ = p.draft.Answer("data_dir", folder) // a folder's name is always a value of its key
}

// firstStart tells whether there is no store yet. A secret key without its store is a database that was lost: nobody
// makes another one in its place but on demand.
func (p *setup) firstStart() (bool, error) {
	cfg, _ := p.draft.Config()
	there, err := p.storeThere(&cfg)
	switch {
	case err != nil || there:
		return false, err
	case (cfg.SecretKey != "" || len(cfg.SecretKeys) > 0) && p.draft.Exists() && !p.c.Create:
		return false, badInput(errors.New("there is a secret key, and no database"),
			"where did the database go? Compare data_dir and store.dsn, look for the disk or server that held it, or put a "+
				"backup in its place: ssobridge restore FILE. --create makes a new one")
	}
	return true, nil
}

// storeThere looks for a store. That of PostgreSQL is opened: who can't be reached is neither there nor missing.
func (p *setup) storeThere(cfg *config.Config) (bool, error) {
	if path, file := strings.CutPrefix(cfg.DSN(), "sqlite:"); file {
		info, err := os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, badInput(fmt.Errorf("look at the database %s: %s", path, config.PlainCause(err)),
				"run the command as root, or as the bridge's user")
		}
		return err == nil && info.Size() > 0, nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, testLimit)
	defer cancel()
	db, err := store.Open(ctx, store.Options{DSN: cfg.DSN(), Insecure: cfg.Store.Insecure, Existing: true, Now: p.now,
		Logger: p.log()})
	switch {
	case errors.Is(err, store.ErrNoStore):
		return false, nil
	case errors.Is(err, store.ErrInsecure):
		return false, fmt.Errorf("open the store: %w", err)
	case err != nil:
		return false, failed(fmt.Errorf("open the store: %w", err),
			"look at store.dsn, and whether the server is reachable from here; nothing was written")
	}
	return true, db.Close()
}

// finish writes everything, makes the store, and says what comes next.
func (p *setup) finish(o owner) error {
	cfg, _ := p.draft.Config()
	if cfg.SecretKey == "" && len(cfg.SecretKeys) == 0 {
		if !p.first {
			return badInput(errors.New("there is a database, and no secret key that opens it"),
				"put the file of its secret key back ("+p.draft.SecretFile("secret_key")+"); a new one can't open it")
		}
		secret, err := certs.NewSecret(rand.Reader)
		if err != nil {
			return fmt.Errorf("make secret_key: %w", err)
		}
		if err := p.draft.AnswerSecret("secret_key", config.Secret(secret)); err != nil {
			return err
		}
	}
	cfg, left := p.draft.Config()
	if len(left) > 0 { // of keys that no question is about
		return &config.Error{Faults: left}
	}
	if _, _, err := p.draft.Text(); err != nil {
		return badInput(err, "write that key into the file with an editor, and run setup again; nothing was written")
	}
	if err := p.closedTo(&cfg, o); err != nil {
		return err
	}
	saved, err := p.draft.Save(config.Readers{Group: o.gid, Set: o.other})
	if err != nil {
		return badInput(err, "choose a folder that you may write to (--config), or run it as root; nothing was written")
	}
	key, err := p.makeStore(&cfg, o)
	if err != nil {
		return errors.Join(err, saved.Undo())
	}
	p.summarize(&cfg, saved, key, o)
	return p.object(struct {
		jsonSetUp
		jsonReport
	}{jsonSetUp{append([]string{}, saved.Written...), newKey(key)},
		jsonReport{append([]jsonFinding{}, p.report.steps...), p.report.failures, p.report.warnings}})
}

// makeStore makes the folder of the data, the store and the first signing key, where they are not there. key is nil
// where there was one.
func (p *setup) makeStore(cfg *config.Config, o owner) (key *certs.Key, err error) {
	folders := map[string]string{"state_dir": cfg.StateDir}
	if cfg.Store.DSN == "" {
		folders["data_dir"] = cfg.DataDir
	}
	for name, folder := range folders {
		if folder == "" {
			continue
		}
		if err := ownFolder(folder, o); err != nil {
			return nil, badInput(fmt.Errorf("make the folder %s: %s", folder, config.PlainCause(err)),
				"choose a folder that you may write to (--set "+name+"=FOLDER), or run it as root")
		}
	}
	sealer, err := cfg.NewSealer()
	if err != nil {
		return nil, err
	}
	key, err = p.firstKey(cfg, sealer, firstKey{cfg.PublicURL, p.c.algorithm(), !p.first})
	if errors.Is(err, admin.ErrHasKey) {
		return nil, nil
	}
	return key, err
}

// ownFolder makes a folder for the bridge's user, for nobody else to read. One that is there stays as it is.
func ownFolder(path string, o owner) error {
	uid, gid := -1, -1
	if o.other {
		uid, gid = o.uid, o.gid
	}
	_, err := config.MakeFolder(path, 0o700, uid, gid)
	return err
}

// summarize says what was done, where the console is, and what comes next.
func (p *setup) summarize(cfg *config.Config, saved *config.Saved, key *certs.Key, o owner) {
	p.printf("\n")
	for _, file := range saved.Written {
		p.printf("wrote %s\n", file)
	}
	if key != nil {
		p.printf("made signing key %s (%s)\n", key.ID, key.Algorithm)
		if risk := admin.AlgorithmRisk(string(key.Algorithm)); risk != "" {
			p.printf("warning: %s\n", risk)
		}
	}
	if len(saved.Written) == 0 && key == nil {
		p.printf("everything is as it should be; nothing was changed\n")
	}
	start := "ssobridge serve --config " + shellWord(p.config)
	if o.other && o.name == bridgeUser {
		start = "systemctl enable --now ssobridge"
	}
	steps := []string{"start it: " + start}
	if p.first {
		steps = append(steps,
			"keep a copy of "+cmp.Or(p.draft.SecretFile("secret_key"), "the secret key")+
				" apart from the backups of the database",
			"register Constant Contact: ssobridge sp add-constant-contact --help",
			"say who gets which client account: ssobridge mapping add --help")
	}
	if cfg.ConsoleGroups().Empty() {
		p.printf("\nThere is no admin console: name its groups under console, or run ssobridge setup again.\n")
	} else {
		steps = slices.Insert(steps, 1, "invite the first administrator to enrol a second factor: ssobridge admin invite LOGIN")
		p.printf("\nAdmin console: %s/admin/\n", cfg.ConsoleURL())
	}
	p.printf("\nNext:\n")
	for i, step := range steps {
		p.printf("  %d. %s\n", i+1, step)
	}
}
