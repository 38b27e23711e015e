package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const prefix = "SSOBRIDGE_"

// Variable names the configuration file for every command.
const Variable = prefix + "CONFIG"

// File is the configuration file: the one that is given, else the one that SSOBRIDGE_CONFIG names, else the usual one.
func File(given string, environ []string) string {
	named := ""
	if i := slices.IndexFunc(environ, func(e string) bool { return strings.HasPrefix(e, Variable+"=") }); i >= 0 {
		named = strings.TrimPrefix(environ[i], Variable+"=")
	}
	return cmp.Or(given, named, "/etc/ssobridge/ssobridge.yaml")
}

// foreign are variables that begin like ours and are none of the configuration: the one that names its file, and those
// of the project's tests.
var foreign = regexp.MustCompile(`^SSOBRIDGE_(CONFIG|TEST_.*|SCREENSHOTS)$`)

// announced are variables that Kubernetes sets in each pod for each Service of its namespace, and Docker for linked
// containers, with what stands in them. A Service may be called ssobridge, ssobridge-metrics or the like. The value
// decides, so that a variable of ours that somebody mistyped is still found: SSOBRIDGE_PORT=8080 is none of these.
var announced = []struct{ name, value *regexp.Regexp }{
	{regexp.MustCompile(`_PORT(_[0-9]+_(TCP|UDP|SCTP)(_START|_END)?)?$`), regexp.MustCompile(`^(tcp|udp|sctp)://`)},
	{regexp.MustCompile(`_PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO$`), regexp.MustCompile(`^(tcp|udp|sctp)$`)},
	{regexp.MustCompile(`_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT(_START|_END)?$`), regexp.MustCompile(`^[0-9]+$`)},
	{regexp.MustCompile(`_PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR$`), regexp.MustCompile(`^[0-9A-Fa-f.:]*$`)},
	{regexp.MustCompile(`_SERVICE_HOST$`), regexp.MustCompile(`^([0-9A-Fa-f.:]*|None)$`)},
	{regexp.MustCompile(`_SERVICE_PORT(_[A-Z0-9_]+)?$`), regexp.MustCompile(`^[0-9]+$`)},
	{regexp.MustCompile(`_NAME$`), regexp.MustCompile(`^/[^/]+/[^/]+$`)},
}

// isForeign tells whether a variable is none of ours, although it begins like one.
func isForeign(name, value string) bool {
	if foreign.MatchString(name) {
		return true
	}
	for _, a := range announced {
		if a.name.MatchString(strings.TrimPrefix(name, "SSOBRIDGE")) && a.value.MatchString(value) {
			return true
		}
	}
	return false
}

// variable is the environment variable of a key.
func variable(path string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// readEnvironment lays the variables over cfg. A variable that begins like ours and
// names no key is a fault: a mistyped one would otherwise be passed over in silence.
func readEnvironment(environ []string, cfg *Config, f *faults) {
	paths, fields := map[string]string{}, map[string]reflect.Value{}
	var names []string
	eachKey(reflect.ValueOf(cfg).Elem(), "", func(path string, field reflect.Value) {
		name := variable(path)
		paths[name], fields[name] = path, field
		names = append(names, name)
	})
	environ = slices.Clone(environ)
	slices.Sort(environ)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		field, ok := fields[name]
		if !ok && isForeign(name, value) {
			continue
		}
		if now, was := renamedVariable(name); was && !ok {
			f.list = append(f.list, Fault{Where: name, Text: "is called " + now + " now", Fix: "set that one, and unset this"})
			continue
		}
		if !ok {
			f.list = append(f.list, Fault{Where: name, Text: "unknown variable", Fix: nearestVariable(name, names)})
			continue
		}
		path := paths[name]
		f.origin.vars[path] = name
		if field.Type() == reflect.TypeFor[Secret]() {
			value = withoutLineEnds(value) // base64 of `echo secret` brings one along
		} else if text, fix := oddText(path, value); text != "" {
			f.add(path, text, fix)
			continue
		} else {
			value = strings.Trim(value, blanks)
		}
		if text, fix := setScalar(field, value); text != "" {
			f.add(path, text, fix)
		}
	}
}

// renamedVariable is what the variable of a key that was renamed is called now.
func renamedVariable(name string) (string, bool) {
	for was, now := range renamed {
		if variable(was) == name {
			return variable(now), true
		}
	}
	return "", false
}

func nearestVariable(wrong string, names []string) string {
	best, distance := "", 1+len(wrong)/6
	for _, name := range names {
		if d := editDistance(wrong, name); d <= distance {
			best, distance = name, d-1
		}
	}
	if best == "" {
		return "unset it; a variable is named after its key, as " + variable("directory.base_dn") + " for directory.base_dn"
	}
	return "did you mean " + best + "?"
}

// ResolvePaths makes file names relative to the configuration file's folder, so
// that the program behaves alike wherever it is started.
func ResolvePaths(cfg *Config, folder string) {
	for _, p := range []*string{
		&cfg.DataDir, &cfg.StateDir, &cfg.Store.DSNFile, &cfg.SecretKeyFile, &cfg.PKCS11.PINFile, &cfg.TLS.Cert, &cfg.TLS.Key,
		&cfg.Directory.CAFile, &cfg.ConstantContact.CAFile,
		&cfg.Directory.BindPasswordFile, &cfg.ConstantContact.PartnerSecretFile, &cfg.ConstantContact.APIKeyFile,
		&cfg.ConstantContact.Webhook.SecretFile, &cfg.Branding.Logo, &cfg.Branding.LogoDark, &cfg.Audit.Sink,
		&cfg.Tracing.HeadersFile, &cfg.Tracing.CAFile,
		&cfg.Notices.CAFile, &cfg.Notices.SMTP.PasswordFile,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(folder, *p)
		}
	}
	resolveSources(cfg, folder)
	for i, p := range cfg.SecretKeys {
		if p != "" && !filepath.IsAbs(p) {
			cfg.SecretKeys[i] = filepath.Join(folder, p)
		}
	}
	if path, ok := strings.CutPrefix(cfg.Store.DSN, "sqlite:"); ok && path != "" && !filepath.IsAbs(path) {
		cfg.Store.DSN = "sqlite:" + filepath.Join(folder, path)
	}
}

// readSecrets reads each secret that comes by a file. Both ways at once is a fault:
// one of the two would be stale and nobody would notice.
func readSecrets(cfg *Config, f *faults) {
	read := func(key, fileKey, file string, into *Secret) {
		switch {
		case file == "":
		case *into != "":
			f.add(fileKey, "the secret comes twice, by this file and by "+f.origin.vars[key], "keep one of the two")
		default:
			data, err := ReadFile(file, maxSecretFile)
			if err != nil {
				fix := "write the secret into it, readable for the bridge's user alone"
				if errors.Is(err, fs.ErrPermission) {
					fix = notReadable
				}
				f.add(fileKey, fmt.Sprintf("%s can't be read: %s", file, PlainCause(err)), fix)
				return
			}
			text, fault, fix := secretText(data, key)
			if fault != "" {
				f.add(fileKey, file+" "+fault, fix)
				return
			}
			*into = Secret(text)
		}
	}
	var dsn Secret
	if cfg.Store.DSNFile != "" && cfg.Store.DSN != "" {
		f.add("store.dsn_file", "the DSN comes twice, by this file and by store.dsn", "keep one of the two")
	} else {
		read("store.dsn", "store.dsn_file", cfg.Store.DSNFile, &dsn)
		cfg.Store.DSN += string(dsn)
	}
	read("secret_key", "secret_key_file", cfg.SecretKeyFile, &cfg.SecretKey)
	for _, file := range cfg.SecretKeys[:min(len(cfg.SecretKeys), maxSecretKeys)] {
		var key Secret
		read("secret_keys", "secret_keys", file, &key)
		cfg.secretKeys = append(cfg.secretKeys, key)
	}
	read("pkcs11.pin", "pkcs11.pin_file", cfg.PKCS11.PINFile, &cfg.PKCS11.PIN)
	read("directory.bind_password", "directory.bind_password_file", cfg.Directory.BindPasswordFile,
		&cfg.Directory.BindPassword)
	read("constant_contact.partner_secret", "constant_contact.partner_secret_file", cfg.ConstantContact.PartnerSecretFile,
		&cfg.ConstantContact.PartnerSecret)
	read("constant_contact.api_key", "constant_contact.api_key_file", cfg.ConstantContact.APIKeyFile,
		&cfg.ConstantContact.APIKey)
	readSourceKeys(cfg, f)
	read("constant_contact.webhook.secret", "constant_contact.webhook.secret_file", cfg.ConstantContact.Webhook.SecretFile,
		&cfg.ConstantContact.Webhook.Secret)
	read("tracing.headers", "tracing.headers_file", cfg.Tracing.HeadersFile, &cfg.Tracing.Headers)
	read("notices.smtp.password", "notices.smtp.password_file", cfg.Notices.SMTP.PasswordFile, &cfg.Notices.SMTP.Password)
}
