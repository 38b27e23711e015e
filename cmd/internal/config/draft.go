package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Draft is a configuration that somebody sets up: what the file and the environment say, and what was answered since.
// What the environment says is not written into the file, since the bridge reads it there too, and takes it first.
// Nothing is written before Save.
type Draft struct {
	File string // the configuration file; it need not exist

	text    string // of the file, or the example where there is none
	exists  bool
	environ []string
	answers map[string]string
	secrets map[string]Secret // that were answered, and go into files of their own
}

// secretFiles are the files that a draft gives to secrets of which the configuration does not say it, in the folder of
// the configuration file.
var secretFiles = map[string]string{
	"secret_key": "secret_key", "directory.bind_password": "bind_password",
	"constant_contact.partner_secret": "partner_secret", "constant_contact.api_key": "api_key",
}

// OpenDraft begins with what there is. A file that can't be read, that is no YAML or that has unknown keys is an
// *Error: a draft would take it for a file that lacks those keys. So is a variable that names no key.
func OpenDraft(file string, environ []string) (*Draft, error) {
	d := &Draft{File: file, text: example, environ: environ, answers: map[string]string{}, secrets: map[string]Secret{}}
	data, err := ReadFile(file, maxConfigFile)
	switch {
	case err == nil:
		d.text, d.exists = string(data), true
	case !errors.Is(err, fs.ErrNotExist):
		_, err := Load(file, environ) // which says it
		return nil, err
	}
	f := &faults{origin: origin{file: file, lines: map[string]int{}, vars: map[string]string{}}}
	cfg := Defaults()
	if readYAML([]byte(d.text), &cfg, f) {
		readEnvironment(environ, &cfg, f)
	}
	return d, f.err()
}

// Exists tells whether the configuration file was there.
func (d *Draft) Exists() bool { return d.exists }

// Answer sets a key. What can't be its value is an *Error, and changes nothing.
func (d *Draft) Answer(key, value string) error {
	f, cfg := &faults{}, Defaults()
	if !setGiven(&cfg, key, value, key, f) {
		return f.err()
	}
	d.answers[key] = value
	return nil
}

// Withdraw takes an answer back.
func (d *Draft) Withdraw(key string) { delete(d.answers, key) }

// AnswerSecret sets a secret. It goes into a file of its own, which must not hold another one. What could not be read
// from that file again as it was given is an *Error.
func (d *Draft) AnswerSecret(key string, value Secret) error {
	text, fault, fix := secretText([]byte(value), key)
	if fault != "" {
		f := &faults{}
		f.add(key, fault, fix)
		return f.err()
	}
	d.secrets[key] = Secret(text)
	return nil
}

// WithdrawSecret takes such an answer back.
func (d *Draft) WithdrawSecret(key string) { delete(d.secrets, key) }

// Config is the configuration as it would be read after Save, and what the check has against it.
func (d *Draft) Config() (Config, []Fault) {
	f := &faults{origin: origin{file: d.File, lines: map[string]int{}, vars: map[string]string{}}}
	cfg := Defaults()
	readYAML([]byte(d.text), &cfg, f)
	for key, value := range d.withDefaults() {
		if field, ok := fieldByPath(&cfg, key); ok {
			setScalar(field, value)
		}
	}
	readEnvironment(d.environ, &cfg, f)
	ResolvePaths(&cfg, filepath.Dir(d.File))
	for key, value := range d.secrets {
		if field, ok := fieldByPath(&cfg, key); ok && field.String() == "" {
			field.SetString(string(value))
			if file, ok := fieldByPath(&cfg, key+"_file"); ok {
				file.SetString("")
			}
		}
	}
	d.leaveOutMissing(&cfg)
	readSecrets(&cfg, f)
	checkConfig(&cfg, f)
	cfg.origin = f.origin
	return cfg, slices.DeleteFunc(f.list, func(one Fault) bool {
		return (one.Key == "data_dir" || one.Key == "state_dir") && one.Text == d.folder(&cfg, one.Key)+notThere
	})
}

// folder is the folder of such a key.
func (d *Draft) folder(cfg *Config, key string) string {
	field, _ := fieldByPath(cfg, key)
	return field.String()
}

// withDefaults are the answers, with what follows from them.
func (d *Draft) withDefaults() map[string]string {
	all := maps.Clone(d.answers)
	was, _, _ := readText(d.text)
	now := was
	for key, value := range all {
		if field, ok := fieldByPath(&now, key); ok {
			setScalar(field, value)
		}
	}
	readEnvironment(d.environ, &now, &faults{origin: origin{vars: map[string]string{}}})
	if now.PublicURL != "" && now.EntityID == "" {
		all["entity_id"] = strings.TrimSuffix(now.PublicURL, "/") + "/saml/metadata"
	}
	for key := range d.secrets {
		if file, ok := fieldByPath(&was, key+"_file"); ok && file.String() == "" && all[key+"_file"] == "" {
			all[key+"_file"] = secretFiles[key]
		}
	}
	return all
}

// leaveOutMissing forgets names of secrets' files that are not there yet or are empty: the secret is missing then,
// which is what the check says.
func (d *Draft) leaveOutMissing(cfg *Config) {
	for key := range secretFiles {
		file, ok := fieldByPath(cfg, key+"_file")
		if !ok || file.String() == "" {
			continue
		}
		if info, err := os.Stat(file.String()); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			file.SetString("")
		}
	}
}

// Faults are those of some keys and of the sections that they stand in.
func Faults(all []Fault, keys ...string) []Fault {
	var found []Fault
	for _, f := range all {
		if slices.ContainsFunc(keys, func(key string) bool { return f.Key == key || f.Key == key+"_file" }) {
			found = append(found, f)
		}
	}
	return found
}

// VariableOf is the environment variable of a key, for those who answer by one.
func VariableOf(key string) string { return variable(key) }

// ByEnvironment is the variable that a key has its value from; "" where none is set.
func (d *Draft) ByEnvironment(key string) string {
	for _, entry := range d.environ {
		if name := variable(key); len(entry) > len(name) && entry[:len(name)+1] == name+"=" {
			return name
		}
	}
	return ""
}

// SecretFile is the file that a secret stands in, or will; "" for one that comes by the environment.
func (d *Draft) SecretFile(key string) string {
	if d.ByEnvironment(key) != "" {
		return ""
	}
	cfg, _, _ := readText(d.text)
	for k, value := range d.withDefaults() {
		if field, ok := fieldByPath(&cfg, k); ok {
			setScalar(field, value)
		}
	}
	ResolvePaths(&cfg, filepath.Dir(d.File))
	if file, ok := fieldByPath(&cfg, key+"_file"); ok && file.String() != "" {
		return file.String()
	}
	return filepath.Join(filepath.Dir(d.File), secretFiles[key])
}

// changes are the answers that the file does not say already.
func (d *Draft) changes() map[string]string {
	was, _, _ := readText(d.text)
	now, _, _ := readText(d.text)
	changed := map[string]string{}
	for key, value := range d.withDefaults() {
		field, ok := fieldByPath(&now, key)
		if !ok {
			continue
		}
		setScalar(field, value)
		if before, _ := fieldByPath(&was, key); !reflect.DeepEqual(before.Interface(), field.Interface()) || !d.exists {
			changed[key] = value
		}
	}
	return changed
}

// Text is the configuration file as Save would write it; changed is false where it says all that already.
func (d *Draft) Text() (text string, changed bool, err error) {
	changes := d.changes()
	if d.exists && len(changes) == 0 {
		return d.text, false, nil
	}
	text, err = Fill(d.text, changes)
	if err != nil {
		return "", false, fmt.Errorf("write %s: %w", d.File, err)
	}
	return text, true, nil
}
