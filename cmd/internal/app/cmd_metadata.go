package app

import (
	"errors"
	"fmt"
)

type metadataCmd struct{}

// Help is shown by metadata --help.
func (metadataCmd) Help() string {
	return `It is the same document that the bridge serves at /saml/metadata: entity id, endpoints and signing certificates. Hand it to Constant Contact and to each service provider.

Example:

    ssobridge metadata > ssobridge-metadata.xml`
}

// Run prints the document.
func (metadataCmd) Run(s *session) (err error) {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	data, err := p.IdP.Metadata(s.ctx)
	if err != nil {
		return failed(fmt.Errorf("make the metadata: %w", err), "ssobridge check shows whether the signing key can be used")
	}
	_, err = s.stdout.Write(append(data, '\n'))
	return err
}
