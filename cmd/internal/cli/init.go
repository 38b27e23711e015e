package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ssobridge/certs"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/store"
	"ssobridge/web/admin"
)

type initCmd struct {
	asJSON

	Folder    string            `arg:"" optional:"" default:"." help:"The folder to set up. Made if it is not there."`
	PublicURL string            `placeholder:"URL" help:"Where browsers reach the bridge, such as https://sso.example.com."`
	Set       map[string]string `placeholder:"KEY=VALUE" mapsep:"none" help:"Write this value into the configuration, such as directory.preset=openldap; a list as A,B or [A, B]. Can be given several times."`
	Algorithm string            `enum:"rsa-2048,rsa-3072,p-256,p-384" default:"rsa-3072" help:"Kind of signing key: rsa-3072, rsa-2048, p-256 or p-384. Constant Contact does not publish which it takes; RSA is the safe choice."`
	Create    bool              `help:"With --key-only: make the store too, where there is none. Without --key-only, init does so by itself."`
	KeyOnly   bool              `help:"Write no files: make the first signing key into the store of an existing configuration (--config)."`
}

// Help is shown by init --help.
func (initCmd) Help() string {
	return `For those who write the configuration with an editor; ssobridge setup asks for it and tests each answer.

It writes ssobridge.yaml with every key explained, secret_key, and the folder data with the database and the first signing key. What is there already is never overwritten.

Examples:

    ssobridge init /etc/ssobridge --public-url https://sso.example.com

    ssobridge init . --public-url https://sso.example.com --set directory.preset=active_directory --set directory.base_dn=dc=example,dc=com

    ssobridge init --key-only --config /etc/ssobridge/ssobridge.yaml

    ssobridge init --key-only --create --config /etc/ssobridge/ssobridge.yaml`
}

// Run sets up a folder.
func (c *initCmd) Run(s *invocation) error {
	if c.KeyOnly {
		return c.addKey(s)
	}
	if c.PublicURL == "" {
		return badInput(errors.New("--public-url is missing"),
			"give the address that browsers will use: --public-url https://sso.example.com")
	}
	values, err := config.InitialValues(c.Folder, c.PublicURL, c.Set)
	if err != nil {
		return err
	}
	text, err := config.FillExample(values)
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	secret, err := certs.NewSecret(rand.Reader)
	if err != nil {
		return fmt.Errorf("make secret_key: %w", err)
	}
	file := func(name string) string { return filepath.Join(c.Folder, name) }
	for _, name := range []string{"ssobridge.yaml", "secret_key"} {
		if _, err := os.Lstat(file(name)); err == nil {
			return badInput(fmt.Errorf("%s exists already", file(name)), "choose another folder; init never overwrites")
		}
	}
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return badInput(fmt.Errorf("make the folder %s: %s", c.Folder, config.PlainCause(err)),
			"choose a folder that you may write to")
	}
	// A failure further on takes away what this run has made, so that it can be run again.
	var made []string
	undo := func(err error) error {
		for _, name := range slices.Backward(made) {
			err = errors.Join(err, os.RemoveAll(name))
		}
		return err
	}
	for _, f := range []struct{ name, text string }{{"ssobridge.yaml", text}, {"secret_key", secret + "\n"}} {
		if err := writeNew(file(f.name), f.text); err != nil {
			return undo(badInput(fmt.Errorf("write %s: %s", file(f.name), config.PlainCause(err)),
				"choose a folder that you may write to"))
		}
		made = append(made, file(f.name))
	}
	target := config.Config{DataDir: values["data_dir"], Store: config.Store{DSN: values["store.dsn"],
		Insecure: values["store.insecure"] == "true"}, SecretKey: config.Secret(secret)}
	config.ResolvePaths(&target, c.Folder)
	if _, err := os.Lstat(target.DataDir); errors.Is(err, os.ErrNotExist) && target.Store.DSN == "" {
		if err := os.Mkdir(target.DataDir, 0o700); err != nil {
			return undo(badInput(fmt.Errorf("make the folder %s: %s", target.DataDir, config.PlainCause(err)),
				"choose a folder that you may write to"))
		}
		made = append(made, target.DataDir)
	}
	sealer, err := target.NewSealer()
	if err != nil {
		return undo(err)
	}
	key, err := c.firstKey(s, &target, sealer, false)
	if errors.Is(err, admin.ErrHasKey) || errors.Is(err, server.ErrSecretKey) {
		return undo(badInput(fmt.Errorf("%s holds a database already: %w", target.DataDir, err),
			"choose another folder, or keep using the secret_key and configuration that it belongs to"))
	}
	if err != nil {
		return undo(err)
	}
	s.printf(`wrote %[1]s and secret_key; made signing key %[2]s (%[3]s)

Next:
  1. Edit %[1]s. Write the passwords into the files bind_password,
     partner_secret and api_key beside it, readable for the bridge's user alone.
  2. ssobridge check --config %[1]s
  3. ssobridge sp add-constant-contact, ssobridge mapping add, ssobridge serve
  4. For the admin console: name its groups under console, then ssobridge admin invite LOGIN
  5. Keep a copy of secret_key apart from the backups of the database.
`, file("ssobridge.yaml"), key.ID, key.Algorithm)
	return s.object(jsonSetUp{[]string{file("ssobridge.yaml"), file("secret_key")}, newKey(key)})
}

// jsonSetUp is what init and setup have made, as JSON.
type jsonSetUp struct {
	Written []string    `json:"written"` // files
	Key     *jsonNewKey `json:"key,omitempty"`
}

// jsonNewKey is the first signing key.
type jsonNewKey struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm"`
}

// newKey is a key as JSON; nil where none was made.
func newKey(k *certs.Key) *jsonNewKey {
	if k == nil {
		return nil
	}
	return &jsonNewKey{k.ID, string(k.Algorithm)}
}

// firstKey makes the first key, and the store for it unless that has to exist.
func (c *initCmd) firstKey(s *invocation, cfg *config.Config, sealer *certs.Sealer, existing bool) (*certs.Key, error) {
	return s.firstKey(cfg, sealer, firstKey{c.PublicURL, certs.Algorithm(c.Algorithm), existing})
}

// firstKey is what the first key is made of.
type firstKey struct {
	publicURL string
	algorithm certs.Algorithm
	existing  bool // the store has to be there
}

// firstKey makes the first key, and the store for it unless that has to exist. The revocation journal has no part in
// it: where there was no key, none was revoked.
func (s *invocation) firstKey(cfg *config.Config, sealer *certs.Sealer, k firstKey) (_ *certs.Key, err error) {
	db, err := store.Open(s.ctx, store.Options{DSN: cfg.DSN(), Insecure: cfg.Store.Insecure, Existing: k.existing,
		Now: s.now, Logger: s.log(), Voucher: sealer})
	if errors.Is(err, store.ErrInsecure) || errors.Is(err, store.ErrNoStore) {
		return nil, fmt.Errorf("open the store: %w", err) // with hints of their own
	}
	if err != nil {
		return nil, failed(fmt.Errorf("open the store: %w", err), "can the folder be written?")
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := server.OwnSecretKey(s.ctx, db, sealer); err != nil {
		return nil, err // no program that serves this store could open the key
	}
	keys := admin.Keys{Store: db, Sealer: sealer, PublicURL: k.publicURL, Now: s.now}
	return keys.MakeFirst(s.ctx, s.scope(), k.algorithm, s.event("", ""))
}

// addKey is --key-only.
func (c *initCmd) addKey(s *invocation) error {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	c.PublicURL = cfg.PublicURL
	sealer, err := cfg.NewSealer()
	if err != nil {
		return err
	}
	// A set-up may run this at each start: a store that was lost must not come back empty.
	key, err := c.firstKey(s, &cfg, sealer, !c.Create)
	if errors.Is(err, admin.ErrHasKey) {
		return badInput(err, "nothing was changed; a first key is only made where none is")
	}
	if err != nil {
		return err
	}
	s.printf("made signing key %s (%s)\n", key.ID, key.Algorithm)
	return s.object(jsonSetUp{[]string{}, newKey(key)})
}

// writeNew writes a file that must not exist, for its owner alone.
func writeNew(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
