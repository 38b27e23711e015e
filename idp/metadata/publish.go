package metadata

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
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
	Scopes       []string      // domains that scoped attributes may have behind the @, see shibmd:Scope
	ErrorURL     string        // where service providers send people whose sign-in failed; "": PublicURL
	ValidFor     time.Duration // of the served copy; 0: without end
}

// Organization is who runs it. Without a Name nothing is published; the other
// two have defaults: the Name and PublicURL.
type Organization struct{ Name, DisplayName, URL string }

// Contact is somebody to ask. Without a Mail nothing is published.
type Contact struct{ Name, Mail string }

// ErrNoKey says that there is no key to sign metadata with.
var ErrNoKey = errors.New("there is no active key for metadata")

// Ours is what our metadata says. It names what works and nothing else.
type Ours struct {
	EntityID  string // row MD-01: configured, not made from the URL
	Home      string // our address, with a slash behind
	SignOn    string // endpoint of single sign-on
	Logout    string // endpoint of single logout; "": it is off (row SLO-01)
	Published Published

	WantAuthnRequestsSigned bool
	Certificates            []*x509.Certificate // of the keys that sign, the first first
	NameIDFormats           []string
	ValidUntil              time.Time // zero: without end (row MD-03)
}

// Sign is whether and by which key metadata is signed.
type Sign struct {
	By    *saml.Signer // signs nothing else, so that it stays when the signing keys roll over
	Fault error        // why it can't be used, where there is such a key
}

// Describe writes our EntityDescriptor (row MD-02), signed where sign is given: ErrNoKey without a key. The same
// description gives the same bytes, but for an ECDSA signature.
func (o Ours) Describe(ctx context.Context, sign *Sign) ([]byte, error) {
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", saml.NSMetadata)
	root.CreateAttr("xmlns:ds", saml.NSSignature)
	root.CreateAttr("entityID", o.EntityID)
	if !o.ValidUntil.IsZero() {
		root.CreateAttr("validUntil", o.ValidUntil.UTC().Format(time.RFC3339))
	}
	role := root.CreateElement("md:IDPSSODescriptor")
	role.CreateAttr("protocolSupportEnumeration", saml.NSProtocol)
	role.CreateAttr("WantAuthnRequestsSigned", strconv.FormatBool(o.WantAuthnRequestsSigned))
	role.CreateAttr("errorURL", cmp.Or(o.Published.ErrorURL, o.Home))
	algorithms(role)
	o.scopes(role)
	for _, c := range o.Certificates {
		descriptor := role.CreateElement("md:KeyDescriptor")
		descriptor.CreateAttr("use", "signing")
		descriptor.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
			SetText(base64.StdEncoding.EncodeToString(c.Raw))
		for _, uri := range saml.EncryptionMethods() {
			descriptor.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", uri)
		}
	}
	if o.Logout != "" {
		endpoints(role, "SingleLogoutService", o.Logout, saml.BindingRedirect, saml.BindingPost)
	}
	for _, format := range o.NameIDFormats {
		role.CreateElement("md:NameIDFormat").SetText(format)
	}
	endpoints(role, "SingleSignOnService", o.SignOn, saml.BindingPost, saml.BindingRedirect)
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	doc.SetRoot(root)
	o.people(root)
	doc.Indent(2)
	if sign != nil {
		if err := sign.document(ctx, doc); err != nil {
			return nil, err
		}
	}
	data, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return data, nil
}

// nsAlgorithms is the SAML metadata profile for algorithm support (2.4, 2.5).
const nsAlgorithms = "urn:oasis:names:tc:SAML:metadata:algsupport"

// algorithms says which signatures are verified here, the first choice first. Without it products sign as they always
// did: Shibboleth's service provider by SHA-1 in forms, which is refused.
func algorithms(role *etree.Element) {
	extensions := role.CreateElement("md:Extensions")
	extensions.CreateAttr("xmlns:alg", nsAlgorithms)
	for _, uri := range saml.DigestMethods() {
		extensions.CreateElement("alg:DigestMethod").CreateAttr("Algorithm", uri)
	}
	for _, uri := range saml.SigningMethods() {
		extensions.CreateElement("alg:SigningMethod").CreateAttr("Algorithm", uri)
	}
}

// nsShibboleth is the namespace of Shibboleth's extensions of metadata.
const nsShibboleth = "urn:mace:shibboleth:metadata:1.0"

// scopes names the domains that our scoped attributes may have. Service providers of Shibboleth drop a value of
// eduPersonPrincipalName, subject-id or pairwise-id behind whose @ stands another one. A scope is a domain and never a
// pattern: one that is written too wide would vouch for the people of others.
func (o Ours) scopes(role *etree.Element) {
	if len(o.Published.Scopes) == 0 {
		return
	}
	extensions := role.SelectElement("md:Extensions")
	extensions.CreateAttr("xmlns:shibmd", nsShibboleth)
	for _, domain := range o.Published.Scopes {
		scope := extensions.CreateElement("shibmd:Scope")
		scope.CreateAttr("regexp", "false")
		scope.SetText(domain)
	}
}

func endpoints(role *etree.Element, name, location string, bindings ...string) {
	for _, binding := range bindings {
		service := role.CreateElement("md:" + name)
		service.CreateAttr("Binding", binding)
		service.CreateAttr("Location", location)
	}
}

// document puts the signature in, as the first child (saml-metadata 2.3.2).
func (s *Sign) document(ctx context.Context, doc *etree.Document) error {
	switch {
	case s.Fault != nil:
		return fmt.Errorf("sign metadata: %w", s.Fault)
	case s.By == nil:
		return fmt.Errorf("sign metadata: %w", ErrNoKey)
	}
	plain, err := doc.WriteToBytes()
	if err != nil {
		return fmt.Errorf("write metadata: %w", err)
	}
	sum := sha256.Sum256(plain)
	root := doc.Root()
	id := "_" + hex.EncodeToString(sum[:20])
	root.CreateAttr("ID", id)
	signature, err := s.By.SignElement(ctx, id, root)
	if err != nil {
		return fmt.Errorf("sign metadata with key %s: %w", s.By.KeyID(), err)
	}
	root.InsertChildAt(0, signature)
	return nil
}

// people names who runs this identity provider (saml-metadata 2.3.2.1, 2.3.2.2).
func (o Ours) people(root *etree.Element) {
	if of := o.Published.Organization; of.Name != "" {
		el := root.CreateElement("md:Organization")
		for _, part := range [][2]string{
			{"OrganizationName", of.Name}, {"OrganizationDisplayName", cmp.Or(of.DisplayName, of.Name)},
			{"OrganizationURL", cmp.Or(of.URL, o.Home)},
		} {
			child := el.CreateElement("md:" + part[0])
			child.CreateAttr("xml:lang", "en")
			child.SetText(part[1])
		}
	}
	for _, contact := range []struct {
		kind string
		Contact
	}{{"technical", o.Published.Technical}, {"support", o.Published.Support}} {
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
