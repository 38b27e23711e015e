package config

import (
	"bytes"
	"fmt"
	"slices"

	"ssobridge/certs"
)

// maxSecretKeys bounds how many secret keys are known at a time: two during a replacement, and some spare.
const maxSecretKeys = 8

func checkSecretKeys(c *Config, f *faults) {
	switch one := c.SecretKey != "" || c.SecretKeyFile != ""; {
	case one && len(c.SecretKeys) > 0:
		f.add("secret_keys", "stands beside secret_key_file",
			"name all secret keys in secret_keys, the one in use first, and leave secret_key_file out")
	case len(c.SecretKeys) > maxSecretKeys:
		f.add("secret_keys", fmt.Sprintf("names %d files: want at most %d", len(c.SecretKeys), maxSecretKeys),
			"name those that `ssobridge secrets status` shows")
	case !one && len(c.SecretKeys) == 0:
		f.add("secret_key_file", "is missing", "name the file that `ssobridge init` made, or set "+variable("secret_key"))
	}
	if c.SecretKey != "" {
		if _, err := certs.ParseSecret(string(c.SecretKey)); err != nil {
			f.add("secret_key", "can't be used: "+err.Error(),
				"take the one that `ssobridge init` made; a new one can't open what the old one sealed")
		}
	}
	var secrets [][]byte
	for i, key := range c.secretKeys {
		if key == "" {
			continue // its file could not be read, which is a fault of its own
		}
		secret, err := certs.ParseSecret(string(key))
		if err != nil {
			f.add("secret_keys", c.SecretKeys[i]+" can't be used: "+err.Error(),
				"write into it what `openssl rand -base64 32` prints")
			continue
		}
		if slices.ContainsFunc(secrets, func(other []byte) bool { return bytes.Equal(other, secret) }) {
			f.add("secret_keys", c.SecretKeys[i]+" holds the same secret key as another one", "name each once")
		}
		secrets = append(secrets, secret)
	}
}

// NewSealer is made of all secret keys of the configuration, the one in use first.
func (c *Config) NewSealer() (*certs.Sealer, error) {
	keys := c.secretKeys
	if len(keys) == 0 {
		keys = []Secret{c.SecretKey}
	}
	var secrets [][]byte
	for _, key := range keys {
		secret, err := certs.ParseSecret(string(key))
		if err != nil {
			return nil, fmt.Errorf("read secret_key: %w", err)
		}
		secrets = append(secrets, secret)
	}
	s, err := certs.NewSealer(secrets...)
	if err != nil {
		return nil, fmt.Errorf("use secret_key: %w", err)
	}
	return s, nil
}

// SecretFile is a file that holds a secret, and the key that names it.
type SecretFile struct{ Key, File string }

// SecretFiles are the files of secrets that the configuration names.
func (c *Config) SecretFiles() (all []SecretFile) {
	for _, f := range []SecretFile{
		{"secret_key_file", c.SecretKeyFile},
		{"store.dsn_file", c.Store.DSNFile},
		{"tls.key", c.TLS.Key},
		{"pkcs11.pin_file", c.PKCS11.PINFile},
		{"directory.bind_password_file", c.Directory.BindPasswordFile},
		{"constant_contact.partner_secret_file", c.ConstantContact.PartnerSecretFile},
		{"constant_contact.api_key_file", c.ConstantContact.APIKeyFile},
		{"constant_contact.webhook.secret_file", c.ConstantContact.Webhook.SecretFile},
		{"tracing.headers_file", c.Tracing.HeadersFile},
		{"notices.smtp.password_file", c.Notices.SMTP.PasswordFile},
	} {
		if f.File != "" {
			all = append(all, f)
		}
	}
	for i, file := range c.SecretKeys {
		all = append(all, SecretFile{fmt.Sprintf("secret_keys[%d]", i), file})
	}
	return all
}
