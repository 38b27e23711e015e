package admin

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// OurMetadata is the SAML metadata of this identity provider. They are public, so that they take no scope.
type OurMetadata struct {
	IdP *idp.IdP
}

// Served is the document as the bridge serves it: for one service provider, or the common one for "".
func (m OurMetadata) Served(ctx context.Context, entityID string) ([]byte, error) {
	if entityID == "" {
		doc, err := m.IdP.Metadata(ctx)
		return doc, metadataFault(entityID, err)
	}
	doc, err := m.IdP.MetadataFor(ctx, entityID)
	return doc, metadataFault(entityID, err)
}

// File is the copy to hand over, which has no end; signed by the key for metadata where that is wanted.
func (m OurMetadata) File(ctx context.Context, entityID string, signed bool) ([]byte, error) {
	doc, err := m.IdP.MetadataFile(ctx, entityID, signed)
	return doc, metadataFault(entityID, err)
}

func metadataFault(entityID string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return &Error{Kind: Missing, Field: "sp", Fault: "no service provider " + plaintext.Quote(entityID) +
			" is registered",
			Act: ListProviders, Err: err}
	case errors.Is(err, metadata.ErrNoKey):
		return &Error{Field: "signed", Fault: err.Error(), Act: MakeMetadataKey, Err: err}
	}
	return fmt.Errorf("make the metadata: %w", err)
}
