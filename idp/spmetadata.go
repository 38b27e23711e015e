package idp

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"ssobridge/store"
)

// Limits for a metadata file. Federations' files are far larger; they hold many
// entities and are not what is asked for here.
const (
	maxMetadata         = 1 << 20
	maxMetadataElements = 20000
)

// NameID formats that are issued.
const (
	formatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	formatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
)

// Defaults of an imported record.
const (
	defaultSkew     = time.Minute
	formatBasicAttr = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
)

// ParseMetadata reads a service provider's metadata file into a record of kind
// PlainSAML: one md:EntityDescriptor with one md:SPSSODescriptor of SAML 2.0.
// What metadata does not say gets a default: both signatures, assertions of 5
// minutes, a skew of 60 s, e-mail and names as attributes, no groups, which means
// nobody. The file's own signature and its dates are not checked (rows MD-04,
// MD-05): whoever imports it vouches for it. The record still has to pass CheckProvider.
func ParseMetadata(data []byte) (store.ServiceProvider, error) {
	var sp store.ServiceProvider
	if len(data) > maxMetadata {
		return sp, fmt.Errorf("metadata: the file has %d bytes, %d are allowed: take the service provider's own metadata, not a federation's", len(data), maxMetadata)
	}
	root, err := parseXML(data, maxDepth, maxMetadataElements)
	if err != nil {
		return sp, fmt.Errorf("metadata: %w", err)
	}
	if is(root, nsMetadata, "EntitiesDescriptor") {
		return sp, errors.New("metadata: the file describes several entities (md:EntitiesDescriptor): cut out the one md:EntityDescriptor and import that")
	}
	if !is(root, nsMetadata, "EntityDescriptor") {
		return sp, fmt.Errorf("metadata: the root element is %.60q, want md:EntityDescriptor", root.Tag)
	}
	if sp.EntityID, _ = attribute(root, "entityID"); sp.EntityID == "" {
		return sp, errors.New("metadata: md:EntityDescriptor has no entityID")
	}
	roles := children(root, nsMetadata, "SPSSODescriptor")
	roles = slices.DeleteFunc(roles, func(r *etree.Element) bool {
		protocols, _ := attribute(r, "protocolSupportEnumeration")
		return !slices.Contains(strings.Fields(protocols), nsProtocol)
	})
	switch len(roles) {
	case 1:
	case 0:
		if len(children(root, nsMetadata, "IDPSSODescriptor")) > 0 {
			return sp, errors.New("metadata: this describes an identity provider, not a service provider: ask the peer for its SP metadata")
		}
		return sp, errors.New("metadata: no md:SPSSODescriptor that supports SAML 2.0")
	default:
		return sp, fmt.Errorf("metadata: %d md:SPSSODescriptor elements, want one", len(roles))
	}
	role := roles[0]

	sp.Kind = store.PlainSAML
	sp.Enabled = true
	sp.SignAssertion, sp.SignResponse = true, true
	sp.RelayStateIn = "field"
	sp.Lifetime, sp.Skew = maxLifetime, defaultSkew
	sp.Metadata = slices.Clone(data)
	sp.Attributes = []store.Attribute{
		{Name: "email", NameFormat: formatBasicAttr, Value: "{mail}"},
		{Name: "firstName", NameFormat: formatBasicAttr, Value: "{first_name}"},
		{Name: "lastName", NameFormat: formatBasicAttr, Value: "{last_name}"},
	}
	if sp.Name, err = displayName(root, sp.EntityID); err != nil {
		return sp, fmt.Errorf("metadata: %w", err)
	}
	if sp.AuthnRequestsSigned, _, err = boolean(role, "AuthnRequestsSigned"); err != nil {
		return sp, fmt.Errorf("metadata: md:SPSSODescriptor: %w", err)
	}
	if sp.ACS, err = endpoints(role); err != nil {
		return sp, fmt.Errorf("metadata: %w", err)
	}
	if sp.Certificates, err = certificates(role); err != nil {
		return sp, fmt.Errorf("metadata: %w", err)
	}
	sp.NameIDFormat, sp.NameID, err = nameIDs(role)
	if err != nil {
		return sp, fmt.Errorf("metadata: %w", err)
	}
	return sp, nil
}

// displayName is what people are shown: the organization's name if there is one,
// else the host in the entityID, else the entityID.
func displayName(root *etree.Element, entityID string) (string, error) {
	for _, organization := range children(root, nsMetadata, "Organization") {
		for _, el := range children(organization, nsMetadata, "OrganizationDisplayName") {
			name, err := text(el)
			if err != nil {
				return "", err
			}
			if name != "" {
				return name, nil
			}
		}
	}
	if u, err := url.Parse(entityID); err == nil && u.Hostname() != "" {
		return u.Hostname(), nil
	}
	return entityID, nil
}

func endpoints(role *etree.Element) ([]store.Endpoint, error) {
	var all []store.Endpoint
	for i, el := range children(role, nsMetadata, "AssertionConsumerService") {
		where := fmt.Sprintf("md:AssertionConsumerService %d", i+1)
		var e store.Endpoint
		e.Binding, _ = attribute(el, "Binding")
		if e.URL, _ = attribute(el, "Location"); e.URL == "" {
			return nil, fmt.Errorf("%s has no Location", where)
		}
		index, _ := attribute(el, "index")
		n, err := strconv.ParseUint(strings.TrimSpace(index), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%s: index %.20q is no number from 0 to 65535", where, index)
		}
		e.Index = int(n)
		isDefault, given, err := boolean(el, "isDefault")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if given {
			e.IsDefault = &isDefault
		}
		all = append(all, e)
	}
	if !slices.ContainsFunc(all, func(e store.Endpoint) bool { return e.Binding == saml.HTTPPostBinding }) {
		return nil, errors.New("no md:AssertionConsumerService with the HTTP-POST binding, and Responses are sent by no other")
	}
	return all, nil
}

// certificates returns those of keys for signing or for no named use
// (saml-metadata 2.4.1.1, erratum E62).
func certificates(role *etree.Element) ([][]byte, error) {
	var all [][]byte
	for i, k := range children(role, nsMetadata, "KeyDescriptor") {
		if use, marked := attribute(k, "use"); marked && use != "signing" {
			continue
		}
		for _, info := range children(k, nsSignature, "KeyInfo") {
			for _, data := range children(info, nsSignature, "X509Data") {
				for _, el := range children(data, nsSignature, "X509Certificate") {
					value, err := text(el)
					if err != nil {
						return nil, fmt.Errorf("md:KeyDescriptor %d: %w", i+1, err)
					}
					der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
					if err != nil {
						return nil, fmt.Errorf("md:KeyDescriptor %d: its certificate is not base64", i+1)
					}
					if _, err := x509.ParseCertificate(der); err != nil {
						return nil, fmt.Errorf("md:KeyDescriptor %d: its certificate can't be read: %w", i+1, err)
					}
					all = append(all, der)
				}
			}
		}
	}
	return all, nil
}

// nameIDs chooses among the formats that the service provider names: the first
// that can be issued, persistent where it names none.
func nameIDs(role *etree.Element) (format, template string, err error) {
	templates := map[string]string{
		formatPersistent:  "{person_id}",
		formatEmail:       "{mail}",
		formatUnspecified: "{login}",
	}
	for _, el := range children(role, nsMetadata, "NameIDFormat") {
		if format, err = text(el); err != nil {
			return "", "", err
		}
		if template, ok := templates[format]; ok {
			return format, template, nil
		}
	}
	return formatPersistent, templates[formatPersistent], nil
}
