package idp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"ssobridge/idp/saml"
)

// Published is what our metadata says about who runs this identity provider. All
// of it is public.
type Published struct {
	Organization Organization
	Technical    Contact
	Support      Contact
	ErrorURL     string        // where service providers send people whose sign-in failed; "": PublicURL
	ValidFor     time.Duration // of the served copy; 0: without end
}

// Organization is who runs it. Without a Name nothing is published; the other
// two have defaults: the Name and PublicURL.
type Organization struct{ Name, DisplayName, URL string }

// Contact is somebody to ask. Without a Mail nothing is published.
type Contact struct{ Name, Mail string }

// ErrNoMetadataKey says that there is no key to sign metadata with.
var ErrNoMetadataKey = errors.New("there is no active key for metadata")

// Metadata is our EntityDescriptor as it is served: with a validUntil where
// ValidFor says so, which moves on by itself, and signed where there is an active
// key for metadata (row MD-02). It names what works and nothing else. The same
// configuration gives the same bytes, but for an ECDSA signature and, each hour,
// validUntil.
func (p *Provider) Metadata(ctx context.Context) ([]byte, error) {
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
// it needs a key for metadata: ErrNoMetadataKey.
func (p *Provider) MetadataFile(ctx context.Context, signed bool) ([]byte, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	return p.describe(ctx, c, time.Time{}, signed)
}

func (p *Provider) describe(ctx context.Context, c *config, until time.Time, signed bool) ([]byte, error) {
	if _, err := c.active(); err != nil {
		return nil, err
	}
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", saml.NSMetadata)
	root.CreateAttr("xmlns:ds", saml.NSSignature)
	root.CreateAttr("entityID", p.o.EntityID) // row MD-01: configured, not made from the URL
	if !until.IsZero() {
		root.CreateAttr("validUntil", until.UTC().Format(time.RFC3339))
	}
	role := root.CreateElement("md:IDPSSODescriptor")
	role.CreateAttr("protocolSupportEnumeration", saml.NSProtocol)
	role.CreateAttr("WantAuthnRequestsSigned", strconv.FormatBool(c.wantsSigned()))
	role.CreateAttr("errorURL", cmp.Or(p.o.Published.ErrorURL, p.base+"/"))
	for _, k := range c.public {
		descriptor := role.CreateElement("md:KeyDescriptor")
		descriptor.CreateAttr("use", "signing")
		descriptor.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
			SetText(base64.StdEncoding.EncodeToString(k.Certificate.Raw))
	}
	if p.o.SingleLogout { // row SLO-01: only where it works
		for _, binding := range []string{saml.BindingRedirect, saml.BindingPost} {
			service := role.CreateElement("md:SingleLogoutService")
			service.CreateAttr("Binding", binding)
			service.CreateAttr("Location", p.logoutEndpoint)
		}
	}
	for _, format := range c.formats() {
		role.CreateElement("md:NameIDFormat").SetText(format)
	}
	for _, binding := range []string{saml.BindingPost, saml.BindingRedirect} {
		service := role.CreateElement("md:SingleSignOnService")
		service.CreateAttr("Binding", binding)
		service.CreateAttr("Location", p.endpoint)
	}
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	doc.SetRoot(root)
	p.people(root)
	doc.Indent(2)
	if signed {
		if err := p.signMetadata(ctx, c, doc); err != nil {
			return nil, err
		}
	}
	data, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return data, nil
}

// signMetadata signs with the key that signs nothing else: it stays what it is
// when the signing keys roll over. The signature is the first child (saml-metadata 2.3.2).
func (p *Provider) signMetadata(ctx context.Context, c *config, doc *etree.Document) error {
	switch {
	case c.metadataFault != nil:
		return fmt.Errorf("sign metadata: %w", c.metadataFault)
	case c.metadata == nil:
		return fmt.Errorf("sign metadata: %w", ErrNoMetadataKey)
	}
	plain, err := doc.WriteToBytes()
	if err != nil {
		return fmt.Errorf("write metadata: %w", err)
	}
	sum := sha256.Sum256(plain)
	root := doc.Root()
	id := "_" + hex.EncodeToString(sum[:20])
	root.CreateAttr("ID", id)
	signature, err := c.metadata.SignElement(ctx, id, root)
	if err != nil {
		return fmt.Errorf("sign metadata with key %s: %w", c.metadata.KeyID(), err)
	}
	root.InsertChildAt(0, signature)
	return nil
}

// people names who runs this identity provider (saml-metadata 2.3.2.1, 2.3.2.2).
func (p *Provider) people(root *etree.Element) {
	if o := p.o.Published.Organization; o.Name != "" {
		el := root.CreateElement("md:Organization")
		for _, part := range [][2]string{
			{"OrganizationName", o.Name}, {"OrganizationDisplayName", cmp.Or(o.DisplayName, o.Name)}, {"OrganizationURL", cmp.Or(o.URL, p.base+"/")},
		} {
			child := el.CreateElement("md:" + part[0])
			child.CreateAttr("xml:lang", "en")
			child.SetText(part[1])
		}
	}
	for _, contact := range []struct {
		kind string
		Contact
	}{{"technical", p.o.Published.Technical}, {"support", p.o.Published.Support}} {
		if contact.Mail == "" {
			continue
		}
		el := root.CreateElement("md:ContactPerson")
		el.CreateAttr("contactType", contact.kind)
		if contact.Name != "" {
			el.CreateElement("md:GivenName").SetText(contact.Name)
		}
		el.CreateElement("md:EmailAddress").SetText("mailto:" + contact.Mail)
	}
}

// wantsSigned tells whether every service provider's requests must be signed: what
// is published is what is enforced.
func (c *config) wantsSigned() bool {
	some := false
	for _, sp := range c.order {
		if !sp.Enabled {
			continue
		}
		if sp.RequestSignatures != "required" && !sp.AuthnRequestsSigned {
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
