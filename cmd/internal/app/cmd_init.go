package app

import (
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ssobridge/certs"
	"ssobridge/store"
)

// configExample is every key with its comment. A test makes it from the comments of
// Config.
//
//go:embed config.example.yaml
var configExample string

type initCmd struct {
	Folder    string            `arg:"" optional:"" default:"." help:"The folder to set up. Made if it is not there."`
	PublicURL string            `placeholder:"URL" help:"Where browsers reach the bridge, such as https://sso.example.com."`
	Set       map[string]string `placeholder:"KEY=VALUE" mapsep:"none" help:"Write this value into the configuration, such as directory.preset=openldap. Can be given several times."`
	Algorithm string            `enum:"rsa-2048,rsa-3072,p-256,p-384" default:"rsa-3072" help:"Kind of signing key: rsa-3072, rsa-2048, p-256 or p-384. Constant Contact does not publish which it takes; RSA is the safe choice."`
	KeyOnly   bool              `help:"Write no files: make the first signing key into the store of an existing configuration (--config)."`
}

// Help is shown by init --help.
func (initCmd) Help() string {
	return `It writes ssobridge.yaml with every key explained, secret_key, and the folder data with the database and the first signing key. What is there already is never overwritten.

Examples:

    ssobridge init /etc/ssobridge --public-url https://sso.example.com

    ssobridge init . --public-url https://sso.example.com --set directory.preset=active_directory --set directory.base_dn=dc=example,dc=com

    ssobridge init --key-only --config /etc/ssobridge/ssobridge.yaml`
}

// Run sets up a folder.
func (c *initCmd) Run(s *session) error {
	if c.KeyOnly {
		return c.addKey(s)
	}
	if c.PublicURL == "" {
		return badInput(errors.New("--public-url is missing"), "give the address that browsers will use: --public-url https://sso.example.com")
	}
	values, err := c.values()
	if err != nil {
		return err
	}
	text, err := fillExample(configExample, values)
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
		return badInput(fmt.Errorf("make the folder %s: %s", c.Folder, plainCause(err)), "choose a folder that you may write to")
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
			return undo(badInput(fmt.Errorf("write %s: %s", file(f.name), plainCause(err)), "choose a folder that you may write to"))
		}
		made = append(made, file(f.name))
	}
	target := Config{DataDir: values["data_dir"], Store: StoreConfig{DSN: values["store.dsn"], Insecure: values["store.insecure"] == "true"}, SecretKey: Secret(secret)}
	resolvePaths(&target, c.Folder)
	if _, err := os.Lstat(target.DataDir); errors.Is(err, os.ErrNotExist) && target.Store.DSN == "" {
		if err := os.Mkdir(target.DataDir, 0o700); err != nil {
			return undo(badInput(fmt.Errorf("make the folder %s: %s", target.DataDir, plainCause(err)), "choose a folder that you may write to"))
		}
		made = append(made, target.DataDir)
	}
	sealer, err := target.sealer()
	if err != nil {
		return undo(err)
	}
	key, err := c.firstKey(s, &target, sealer)
	if errors.Is(err, ErrHasKey) {
		return undo(badInput(fmt.Errorf("%s holds a database already: %w", target.DataDir, err), "choose another folder, or keep using the secret_key and configuration that it belongs to"))
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
	return nil
}

// values are the settings to write: what the command line says, checked as far as
// one key can be checked by itself.
func (c *initCmd) values() (map[string]string, error) {
	f := &faults{}
	cfg := Defaults()
	public := strings.TrimSuffix(c.PublicURL, "/")
	values := map[string]string{
		"public_url": public, "entity_id": public + "/saml/metadata", "data_dir": "data", "secret_key_file": "secret_key",
		"directory.bind_password_file": "bind_password", "constant_contact.partner_secret_file": "partner_secret", "constant_contact.api_key_file": "api_key",
	}
	cfg.TrustedProxies = []string{"127.0.0.1"} // whether somebody ends TLS is known only once the file is edited
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		value := c.Set[key]
		field, ok := fieldByPath(&cfg, key)
		switch {
		case !ok:
			f.add("--set "+key, "unknown key", nearest(key))
			continue
		case field.Type() == reflect.TypeFor[Secret]():
			f.add("--set "+key, "a secret does not belong on the command line, where others can read it", "write it into a file and set "+key+"_file")
			continue
		}
		if text, mend := setScalar(field, value); text != "" {
			f.add("--set "+key, text, mend)
		}
		values[key] = value
	}
	cfg.PublicURL, cfg.EntityID = values["public_url"], values["entity_id"]
	checkAddresses(&cfg, f)
	return values, f.err()
}

// firstKey makes the store and its first key.
func (c *initCmd) firstKey(s *session, cfg *Config, sealer *certs.Sealer) (_ *certs.Key, err error) {
	db, err := store.Open(s.ctx, store.Options{DSN: cfg.dsn(), Insecure: cfg.Store.Insecure, Now: s.now, Logger: s.log(), Voucher: sealer})
	if errors.Is(err, store.ErrInsecure) {
		return nil, storeFault(fmt.Errorf("open the store: %w", err))
	}
	if err != nil {
		return nil, failed(fmt.Errorf("open the store: %w", err), "can the folder be written?")
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return AddFirstKey(s.ctx, db, sealer, c.PublicURL, certs.Algorithm(c.Algorithm), s.event("key-add", ""))
}

// addKey is --key-only.
func (c *initCmd) addKey(s *session) error {
	cfg, err := LoadConfig(s.config, s.environ)
	if err != nil {
		return err
	}
	c.PublicURL = cfg.PublicURL
	sealer, err := cfg.sealer()
	if err != nil {
		return err
	}
	key, err := c.firstKey(s, &cfg, sealer)
	if errors.Is(err, ErrHasKey) {
		return badInput(err, "nothing was changed; a first key is only made where none is")
	}
	if err != nil {
		return err
	}
	s.printf("made signing key %s (%s)\n", key.ID, key.Algorithm)
	return nil
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

// fillExample writes values into the example: a key's commented line becomes a line
// that counts. Sections are found by their indentation.
func fillExample(example string, values map[string]string) (string, error) {
	left := map[string]string{}
	for key, value := range values {
		left[key] = value
	}
	cfg := Defaults()
	var out strings.Builder
	var path []string
	for line := range strings.Lines(example) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		body := strings.TrimSpace(line)
		name, _, isKey := strings.Cut(strings.TrimPrefix(body, "#"), ":")
		if !isKey || strings.HasPrefix(body, "# ") || body == "" {
			out.WriteString(line)
			continue
		}
		path = append(path[:min(indent/2, len(path))], name)
		key := strings.Join(path, ".")
		value, ok := left[key]
		if !ok {
			out.WriteString(line)
			continue
		}
		delete(left, key)
		field, _ := fieldByPath(&cfg, key)
		setScalar(field, value)
		var text []byte
		var err error
		switch {
		case field.Kind() == reflect.Slice || field.Kind() == reflect.Map:
			var node yaml.Node
			if err = node.Encode(field.Interface()); err == nil {
				node.Style = yaml.FlowStyle
				text, err = yaml.Marshal(&node)
			}
		case field.Kind() == reflect.String:
			text, err = yaml.Marshal(value)
		default:
			text = []byte(value + "\n")
		}
		if err != nil {
			return "", fmt.Errorf("encode %s: %w", key, err)
		}
		fmt.Fprintf(&out, "%s%s: %s", strings.Repeat(" ", indent), name, text)
	}
	if len(left) > 0 {
		return "", fmt.Errorf("the example has no key %s", slices.Sorted(maps.Keys(left))[0])
	}
	return out.String(), nil
}

func fieldByPath(cfg *Config, key string) (found reflect.Value, ok bool) {
	eachKey(reflect.ValueOf(cfg).Elem(), "", func(path string, field reflect.Value) {
		if path == key {
			found, ok = field, true
		}
	})
	return found, ok
}
