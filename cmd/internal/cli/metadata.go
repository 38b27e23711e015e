package cli

import (
	"fmt"
	"os"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/web/admin"
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

type metadataShowCmd struct {
	asJSON

	For string `placeholder:"ENTITY-ID" help:"As it is for this service provider: with the NameID formats that it can ask for, and whether it must sign."`
}

// Help is shown by metadata show --help.
func (metadataShowCmd) Help() string {
	return `It is the document that the bridge serves at /saml/metadata: with an end where metadata.valid_for says so, and signed where there is an active key for metadata (keys generate --use metadata).

With --for it is the document at /saml/metadata/ENTITY-ID (the entity id with : and / escaped). The common one names no NameID formats, since products take the first that they find there.

Examples:

    ssobridge metadata show

    ssobridge metadata show --for https://wiki.example.com/saml`
}

// Run prints the document.
func (c *metadataShowCmd) Run(s *invocation, p *server.App) error {
	doc, err := p.OurMetadata().Served(s.ctx, c.For)
	return s.metadata("", doc, err)
}

type metadataDownloadCmd struct {
	asJSON

	Signed bool   `help:"Sign it with the key for metadata."`
	For    string `placeholder:"ENTITY-ID" help:"As it is for this service provider."`
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
	doc, err := p.OurMetadata().File(s.ctx, c.For, c.Signed)
	return s.metadata(c.Out, doc, err)
}

// metadata writes a document to a file, or to standard output for "".
func (s *invocation) metadata(file string, data []byte, err error) error {
	if err != nil {
		if _, ok := admin.AsError(err); !ok {
			return failed(err, "ssobridge check shows whether the keys can be used")
		}
		return err
	}
	if file == "" && s.json {
		return s.object(struct {
			Metadata string `json:"metadata"`
		}{string(data)})
	}
	if file == "" {
		if _, err := s.stdout.Write(append(data, '\n')); err != nil {
			return fmt.Errorf("print the metadata: %w", err)
		}
		return nil
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil { //nolint:gosec // it is public
		return failed(fmt.Errorf("write %s: %s", file, config.PlainCause(err)),
			"name a file in a folder that you can write to")
	}
	s.printf("wrote %s\n", file)
	return s.object(struct {
		File string `json:"file"`
	}{file})
}
