package idp

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
)

// Metadata is our EntityDescriptor, to be given to service providers. It names
// what works and nothing else: no single logout, no encryption key. It has no
// validUntil (row MD-03): it is mostly imported by hand, and a copy that ran out
// would end sign-ins for no gain. The same configuration gives the same bytes.
func (p *Provider) Metadata(ctx context.Context) ([]byte, error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.active(); err != nil {
		return nil, err
	}
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", nsMetadata)
	root.CreateAttr("xmlns:ds", nsSignature)
	root.CreateAttr("entityID", p.o.EntityID) // row MD-01: configured, not made from the URL
	role := root.CreateElement("md:IDPSSODescriptor")
	role.CreateAttr("protocolSupportEnumeration", nsProtocol)
	// False as long as signatures are not checked (row REQ-09): signed requests
	// would be refused.
	role.CreateAttr("WantAuthnRequestsSigned", "false")
	for _, k := range c.keys {
		descriptor := role.CreateElement("md:KeyDescriptor")
		descriptor.CreateAttr("use", "signing")
		descriptor.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
			SetText(base64.StdEncoding.EncodeToString(k.Certificate.Raw))
	}
	for _, format := range c.formats() {
		role.CreateElement("md:NameIDFormat").SetText(format)
	}
	for _, binding := range []string{saml.HTTPPostBinding, saml.HTTPRedirectBinding} {
		service := role.CreateElement("md:SingleSignOnService")
		service.CreateAttr("Binding", binding)
		service.CreateAttr("Location", p.endpoint)
	}
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	doc.SetRoot(root)
	doc.Indent(2)
	data, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return data, nil
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
