package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/web/admin"
)

// maxKeyFile is far above any key with its chain.
const maxKeyFile = 1 << 20

type keysImportCmd struct {
	asJSON

	Files          []string `arg:"" name:"file" help:"The private key and its certificate: one PEM file or two, or one PKCS #12 file (.p12, .pfx)."`
	PassphraseFile string   `placeholder:"FILE" help:"With PKCS #12: the file that holds its passphrase."`
	Use            string   `enum:"signing,metadata" default:"signing" help:"What it signs: signing (sign-ins) or metadata (our metadata)."`
}

// Help is shown by keys import --help.
func (keysImportCmd) Help() string {
	return `Service providers that know the certificate notice nothing of the move: it is kept byte for byte, and the key is sealed in the store. Beside a key that is there already the new one is in state next: publish and promote it. Delete the files afterwards.

Examples:

    ssobridge keys import idp-signing.crt idp-signing.key

    ssobridge keys import idp.pfx --passphrase-file passphrase`
}

// Run imports it.
func (c *keysImportCmd) Run(s *invocation, keys admin.Keys) error {
	in := admin.ImportedKey{Use: c.Use}
	defer func() {
		for _, data := range in.Files {
			clear(data)
		}
	}()
	for _, file := range c.Files {
		data, err := config.ReadFile(file, maxKeyFile)
		if err != nil {
			return badInput(fmt.Errorf("read %s: %s", file, config.PlainCause(err)),
				"name the files with the private key and its certificate")
		}
		in.Files = append(in.Files, data)
		if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o004 != 0 && !onlyCertificate(data) {
			fmt.Fprintf(s.stderr, "warning: everybody on this machine can read %s\n", file)
		}
	}
	if c.PassphraseFile != "" {
		data, err := config.ReadFile(c.PassphraseFile, maxKeyFile)
		if err != nil {
			return badInput(fmt.Errorf("read the passphrase in %s: %s", c.PassphraseFile, config.PlainCause(err)),
				"name a file that holds the passphrase and nothing else")
		}
		in.Passphrase = strings.TrimRight(string(data), "\r\n")
		clear(data)
	}
	key, notes, err := keys.Import(s.ctx, s.scope(), in, s.event("", ""))
	if err != nil {
		return err
	}
	if c.JSON {
		return s.object(toJSONKey(key))
	}
	s.printf("imported %s key %s (%s), state %s, certificate until %s\nSHA-256 fingerprint: %s\n", key.Use, key.ID,
		key.Algorithm, key.State, key.NotAfter.UTC().Format(time.DateOnly), key.Fingerprint)
	for _, note := range notes {
		s.printf("note: %s\n", note)
	}
	if key.State == admin.KeyNext && key.Use == admin.Signing {
		s.printf("next: ssobridge keys publish %s, then, as service providers know it already, ssobridge keys promote --all "+
			"--confirmed-by NAME %s\n", key.ID, key.ID)
	}
	return nil
}

// onlyCertificate tells whether a file holds nothing secret.
func onlyCertificate(data []byte) bool {
	text := string(data)
	return strings.Contains(text, "-----BEGIN CERTIFICATE-----") && !strings.Contains(text, "PRIVATE KEY-----")
}
