package idp

import (
	"context"
	"slices"
	"time"

	"ssobridge/idp/metadata"
)

// Metadata is our EntityDescriptor as it is served: with a validUntil where
// ValidFor says so, which moves on by itself, and signed where there is an active
// key for metadata (row MD-02). It names what works and nothing else. The same
// configuration gives the same bytes, but for an ECDSA signature and, each hour,
// validUntil.
func (p *IdP) Metadata(ctx context.Context) ([]byte, error) {
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
	return p.describe(ctx, c, until, c.metadata != nil || c.metadataFault != nil)
}

// MetadataFile is the copy to hand over. It has no validUntil (row MD-03): it is
// imported by hand, and a copy that ran out would end sign-ins for no gain. Signed,
// it needs a key for metadata: metadata.ErrNoKey.
func (p *IdP) MetadataFile(ctx context.Context, signed bool) ([]byte, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	return p.describe(ctx, c, time.Time{}, signed)
}

func (p *IdP) describe(ctx context.Context, c *config, until time.Time, signed bool) ([]byte, error) {
	if _, err := c.active(); err != nil {
		return nil, err
	}
	ours := metadata.Ours{
		EntityID: p.o.EntityID, Home: p.base + "/", SignOn: p.endpoint, Published: p.o.Published,
		WantAuthnRequestsSigned: c.wantsSigned(), NameIDFormats: c.formats(), ValidUntil: until,
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

// wantsSigned tells whether every service provider's requests must be signed: what
// is published is what is enforced.
func (c *config) wantsSigned() bool {
	some := false
	for _, sp := range c.order {
		if !sp.Enabled {
			continue
		}
		if !wantsSigned(sp.ServiceProvider) {
			return false
		}
		some = true
	}
	return some
}

// formats are the NameID formats that are really issued, to whichever service provider.
func (c *config) formats() []string {
	var formats []string
	for _, sp := range c.order {
		if sp.Enabled && sp.NameIDFormat != "" {
			formats = append(formats, sp.NameIDFormat)
		}
	}
	slices.Sort(formats)
	return slices.Compact(formats)
}
