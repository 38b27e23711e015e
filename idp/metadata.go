package idp

import (
	"context"
	"fmt"
	"time"

	"ssobridge/idp/metadata"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// Metadata is our EntityDescriptor as it is served: with a validUntil where
// ValidFor says so, which moves on by itself, and signed where there is an active
// key for metadata (row MD-02). It names what works for every service provider and nothing else, whichever are
// registered: one that reads it again must not find what was registered for another (row REAL-03). The same
// configuration gives the same bytes, but for an ECDSA signature and, each hour,
// validUntil.
func (p *IdP) Metadata(ctx context.Context) ([]byte, error) { return p.served(ctx, "") }

// MetadataFor is Metadata for one service provider: it also says which NameIDs that one can ask for, and whether it
// must sign its requests. store.ErrNotFound: it is not registered.
func (p *IdP) MetadataFor(ctx context.Context, entityID string) ([]byte, error) {
	return p.served(ctx, entityID)
}

func (p *IdP) served(ctx context.Context, entityID string) ([]byte, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	var until time.Time
	if v := p.o.Published.ValidFor; v > 0 {
		until = p.o.Now().Truncate(time.Hour).Add(v)
	}
	// A key that is there and can't be used is no reason to drop the signature: who
	// checks it must not see it come and go.
	return p.describe(ctx, c, entityID, until, c.metadata != nil || c.metadataFault != nil)
}

// MetadataFile is the copy to hand over, for one service provider or, with "", for any. It has no validUntil (row
// MD-03): it is imported by hand, and a copy that ran out would end sign-ins for no gain. Signed,
// it needs a key for metadata: metadata.ErrNoKey. store.ErrNotFound: the service provider is not registered.
func (p *IdP) MetadataFile(ctx context.Context, entityID string, signed bool) ([]byte, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	return p.describe(ctx, c, entityID, time.Time{}, signed)
}

func (p *IdP) describe(ctx context.Context, c *config, entityID string, until time.Time, signed bool) ([]byte, error) {
	if _, err := c.active(); err != nil {
		return nil, err
	}
	ours := metadata.Ours{
		EntityID: p.o.EntityID, Home: p.base + "/", SignOn: p.endpoint, Published: p.o.Published, ValidUntil: until,
	}
	if entityID != "" {
		sp := c.providers[entityID]
		if sp == nil {
			return nil, fmt.Errorf("metadata for service provider %.200q: %w", entityID, store.ErrNotFound)
		}
		ours.WantAuthnRequestsSigned, ours.NameIDFormats = wantsSigned(sp.ServiceProvider), sp.formats()
	}
	if p.o.SingleLogout { // row SLO-01: only where it works
		ours.Logout = p.logoutEndpoint
	}
	for _, k := range c.public {
		ours.Certificates = append(ours.Certificates, k.Certificate)
	}
	var sign *metadata.Sign
	if signed {
		sign = &metadata.Sign{By: c.metadata, Fault: c.metadataFault}
	}
	return ours.Describe(ctx, sign)
}

// formats are the NameID formats that the service provider can ask for, its record's first: products take the first.
func (sp *serviceProvider) formats() []string {
	all := []string{sp.NameIDFormat}
	if sp.Kind != store.ConstantContact && !sp.transient() {
		all = append(all, saml.FormatTransient)
	}
	return all
}
