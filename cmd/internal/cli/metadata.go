package cli

import (
	"errors"
	"fmt"
	"os"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp/metadata"
)

type metadataCmd struct {
	Show     metadataShowCmd     `cmd:"" default:"1" help:"Print the metadata as the bridge serves it."`
	Download metadataDownloadCmd `cmd:"" help:"Write the copy to hand over: it has no end."`
}

// Help is shown by metadata --help.
func (metadataCmd) Help() string {
	return `Entity id, endpoints, signing certificates and whom to ask. Hand it to Constant Contact and to each service provider.

Examples:

    ssobridge metadata

    ssobridge metadata download > ssobridge-metadata.xml`
}

type metadataShowCmd struct{}

// Help is shown by metadata show --help.
func (metadataShowCmd) Help() string {
	return `It is the document that the bridge serves at /saml/metadata: with an end where metadata.valid_for says so, and signed where there is an active key for metadata (keys generate --use metadata).

Example:

    ssobridge metadata show`
}

// Run prints the document.
func (metadataShowCmd) Run(s *invocation, p *server.App) error {
	return s.metadata("", func() ([]byte, error) { return p.IdP.Metadata(s.ctx) })
}

type metadataDownloadCmd struct {
	Signed bool   `help:"Sign it with the key for metadata."`
	Out    string `short:"o" placeholder:"FILE" help:"Write to this file. Default: standard output."`
}

// Help is shown by metadata download --help.
func (metadataDownloadCmd) Help() string {
	return `The copy never runs out, since it is imported by hand. It has no signature unless --signed asks for one.

Examples:

    ssobridge metadata download --out ssobridge-metadata.xml

    ssobridge metadata download --signed --out ssobridge-metadata.xml`
}

// Run writes the copy.
func (c *metadataDownloadCmd) Run(s *invocation, p *server.App) error {
	return s.metadata(c.Out, func() ([]byte, error) { return p.IdP.MetadataFile(s.ctx, c.Signed) })
}

func (s *invocation) metadata(file string, do func() ([]byte, error)) error {
	data, err := do()
	switch {
	case errors.Is(err, metadata.ErrNoKey):
		return failed(err, "ssobridge keys generate --use metadata makes one, or leave --signed out")
	case err != nil:
		return failed(fmt.Errorf("make the metadata: %w", err), "ssobridge check shows whether the keys can be used")
	}
	if file == "" {
		_, err = s.stdout.Write(append(data, '\n'))
		return err
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil { //nolint:gosec // it is public
		return failed(fmt.Errorf("write %s: %s", file, config.PlainCause(err)),
			"name a file in a folder that you can write to")
	}
	s.printf("wrote %s\n", file)
	return nil
}
