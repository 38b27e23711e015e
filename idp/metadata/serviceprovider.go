package metadata

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"ssobridge/idp/netname"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// nsUI is the namespace of the user interface extension of metadata.
const nsUI = "urn:oasis:names:tc:SAML:metadata:ui"

// spEntity reads one md:EntityDescriptor and collects every fault.
type spEntity struct {
	*entity
	o      ReadOptions
	im     Imported
	faults []Fault
}

func (e *spEntity) fault(el *etree.Element, fix, format string, args ...any) {
	e.faults = append(e.faults, Fault{e.lines[el], fmt.Sprintf(format, args...), fix})
}

func (e *spEntity) note(el *etree.Element, format string, args ...any) {
	e.im.Notes = append(e.im.Notes, fmt.Sprintf("line %d: ", e.lines[el])+fmt.Sprintf(format, args...))
}

func importEntity(found *entity, o ReadOptions) (Imported, error) {
	e := &spEntity{entity: found, o: o}
	e.im.Signed, e.im.Entities = found.signed, found.total
	sp := &e.im.Provider
	sp.Kind = store.PlainSAML
	sp.Enabled = true
	sp.SignAssertion, sp.SignResponse = true, true
	sp.RelayStateIn = "field"
	sp.Lifetime, sp.Skew = saml.MaxLifetime, defaultSkew

	root := found.element
	if sp.EntityID, _ = saml.AttributeOf(root, "entityID"); sp.EntityID == "" {
		e.fault(root, "", "md:EntityDescriptor has no entityID")
	}
	role := e.role(root)
	if role != nil {
		e.period(role)
		signed, _, err := saml.BooleanOf(role, "AuthnRequestsSigned")
		if err != nil {
			e.fault(role, "write true or false", "md:SPSSODescriptor: %s", err)
		}
		sp.AuthnRequestsSigned = signed
		e.consumers(role)
		e.keys(role)
		e.logout(role)
		e.nameIDs(role)
		e.requested(role)
		sp.Name = e.name(role)
	}
	if len(e.faults) > 0 {
		return Imported{}, &Error{e.faults}
	}
	kept := root.Copy()
	if len(e.validity) > 0 && !e.im.ValidUntil.IsZero() {
		kept.CreateAttr("validUntil", e.im.ValidUntil.Format(time.RFC3339)) // the groups around it are not kept
	}
	doc := etree.NewDocument()
	doc.SetRoot(kept)
	var err error
	if sp.Metadata, err = doc.WriteToBytes(); err != nil {
		return Imported{}, fmt.Errorf("keep metadata of %s: %w", sp.EntityID, err)
	}
	return e.im, nil
}

// role finds the one md:SPSSODescriptor that supports SAML 2.0.
func (e *spEntity) role(root *etree.Element) *etree.Element {
	all := saml.Children(root, saml.NSMetadata, "SPSSODescriptor")
	fit := slices.DeleteFunc(slices.Clone(all), func(r *etree.Element) bool {
		protocols, _ := saml.AttributeOf(r, "protocolSupportEnumeration")
		return !slices.Contains(strings.Fields(protocols), saml.NSProtocol)
	})
	switch {
	case len(fit) == 1:
		return fit[0]
	case len(fit) > 1:
		e.fault(fit[1], "leave one", "a second md:SPSSODescriptor supports SAML 2.0")
	case len(all) > 0:
		e.fault(all[0], "ask for metadata of SAML 2.0",
			"no md:SPSSODescriptor supports SAML 2.0 (protocolSupportEnumeration)")
	case len(saml.Children(root, saml.NSMetadata, "IDPSSODescriptor")) > 0:
		e.fault(root, "ask the peer for its SP metadata", "this describes an identity provider, not a service provider")
	default:
		e.fault(root, "ask the peer for its SP metadata", "it has no md:SPSSODescriptor")
	}
	return nil
}

// period takes the earliest end and the shortest time to keep of the role, its
// entity and the groups around it (saml-metadata 2.3.1, 2.3.2, 2.4.1).
func (e *spEntity) period(role *etree.Element) {
	all := slices.Clone(e.validity)
	for _, el := range []*etree.Element{e.element, role} {
		p := period{line: e.lines[el]}
		p.validUntil, _ = saml.AttributeOf(el, "validUntil")
		p.cacheDuration, _ = saml.AttributeOf(el, "cacheDuration")
		all = append(all, p)
	}
	for _, p := range all {
		if p.validUntil != "" {
			switch until, err := saml.DateTime(p.validUntil); {
			case err != nil:
				e.faults = append(e.faults, Fault{p.line, fmt.Sprintf("validUntil %.40q is no time", p.validUntil),
					"write it like 2027-01-05T10:00:00Z"})
			case !e.o.Now.IsZero() && !until.After(e.o.Now):
				e.faults = append(e.faults, Fault{p.line, "the metadata was valid until " + until.Format(time.RFC3339),
					"ask for a new copy"})
			case e.im.ValidUntil.IsZero() || until.Before(e.im.ValidUntil):
				e.im.ValidUntil = until
			}
		}
		if p.cacheDuration != "" {
			switch d, err := xmlDuration(p.cacheDuration); {
			case err != nil:
				e.faults = append(e.faults, Fault{p.line, fmt.Sprintf("cacheDuration %.40q is no duration", p.cacheDuration),
					"write it like PT6H"})
			case e.im.CacheDuration == 0 || d < e.im.CacheDuration:
				e.im.CacheDuration = d
			}
		}
	}
}

// location reads and checks an address. javascript: and its like are refused
// here, by the checks of a record, and once more on the way out (CVE-2023-45683).
func (e *spEntity) location(el *etree.Element, name string, required bool) string {
	value, given := saml.AttributeOf(el, name)
	if !given && !required {
		return ""
	}
	if value == "" {
		e.fault(el, "", "md:%s has no %s", el.Tag, name)
		return ""
	}
	if err := netname.CheckAddress(value, e.o.AllowLoopbackHTTP); err != nil {
		e.fault(el, "", "md:%s: %s %.120q: %s", el.Tag, name, value, err)
	}
	return value
}

func (e *spEntity) consumers(role *etree.Element) {
	posts := 0
	indexes := map[int]bool{}
	for _, el := range saml.Children(role, saml.NSMetadata, "AssertionConsumerService") {
		var c store.Endpoint
		if c.Binding, _ = saml.AttributeOf(el, "Binding"); !strings.HasPrefix(c.Binding, saml.BindingPrefix) {
			e.note(el, "passed over an assertion consumer service with the binding %.80q, which is not of SAML 2.0", c.Binding)
			continue
		}
		c.URL = e.location(el, "Location", true)
		index, _ := saml.AttributeOf(el, "index")
		n, err := strconv.ParseUint(strings.TrimSpace(index), 10, 16)
		c.Index = int(n)
		switch {
		case err != nil:
			e.fault(el, "", "md:AssertionConsumerService: index %.20q is no number from 0 to 65535", index)
		case indexes[c.Index]:
			e.fault(el, "give each its own", "md:AssertionConsumerService: index %d is used twice", c.Index)
		}
		indexes[c.Index] = true
		isDefault, given, err := saml.BooleanOf(el, "isDefault")
		if err != nil {
			e.fault(el, "", "md:AssertionConsumerService: %s", err)
		}
		if given {
			c.IsDefault = &isDefault
		}
		if c.Binding == saml.BindingPost {
			posts++
		}
		e.im.Provider.ACS = append(e.im.Provider.ACS, c)
	}
	if posts == 0 {
		e.fault(role, "ask the service provider to add one",
			"no md:AssertionConsumerService with the HTTP-POST binding, and Responses are sent by no other")
	}
}

// keys takes the certificates: to check signatures, those marked for signing or
// not at all; to encrypt, those marked for that or not at all (saml-metadata
// 2.4.1.1, erratum E62). A certificate is a holder of its key and no more: that it
// has ended is noted and no fault.
func (e *spEntity) keys(role *etree.Element) {
	sp := &e.im.Provider
	for _, k := range saml.Children(role, saml.NSMetadata, "KeyDescriptor") {
		use, _ := saml.AttributeOf(k, "use")
		if use != "" && use != "signing" && use != "encryption" {
			e.fault(k, "write signing or encryption, or leave it out", "md:KeyDescriptor: use %.40q is not known", use)
			continue
		}
		held, whole := e.certificates(k)
		if !whole {
			continue
		}
		if len(held) == 0 {
			e.fault(k, "ask the service provider for metadata with a ds:X509Certificate in each key",
				"md:KeyDescriptor holds no certificate")
			continue
		}
		var methods []string
		for _, m := range saml.Children(k, saml.NSMetadata, "EncryptionMethod") {
			if algorithm, _ := saml.AttributeOf(m, "Algorithm"); algorithm != "" {
				methods = append(methods, algorithm)
			}
		}
		for _, c := range held {
			if use != "encryption" {
				switch c.PublicKey.(type) {
				case *rsa.PublicKey, *ecdsa.PublicKey:
					if !slices.ContainsFunc(sp.Certificates, func(der []byte) bool { return slices.Equal(der, c.Raw) }) {
						sp.Certificates = append(sp.Certificates, c.Raw)
					}
				default:
					e.note(k, "passed over a signing key of type %s, which is neither RSA nor ECDSA", c.PublicKeyAlgorithm)
				}
			}
			if use == "signing" {
				continue
			}
			if _, err := saml.ReadEncryptionKey(c.Raw); err != nil {
				if use == "encryption" {
					e.note(k, "passed over a key for encryption: %s", err)
				}
				continue
			}
			if !slices.ContainsFunc(sp.EncryptionKeys,
				func(k store.EncryptionKey) bool { return slices.Equal(k.Certificate, c.Raw) }) {
				sp.EncryptionKeys = append(sp.EncryptionKeys, store.EncryptionKey{Certificate: c.Raw, Methods: methods})
			}
		}
	}
}

// certificates reads those of one key; whole is false where a fault was told.
func (e *spEntity) certificates(k *etree.Element) (held []*x509.Certificate, whole bool) {
	whole = true
	for _, info := range saml.Children(k, saml.NSSignature, "KeyInfo") {
		for _, data := range saml.Children(info, saml.NSSignature, "X509Data") {
			for _, el := range saml.Children(data, saml.NSSignature, "X509Certificate") {
				value, err := saml.TextOf(el)
				if err != nil {
					e.fault(el, "", "md:KeyDescriptor: %s", err)
					whole = false
					continue
				}
				der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
				if err != nil {
					e.fault(el, "", "md:KeyDescriptor: its certificate is not base64")
					whole = false
					continue
				}
				c, err := x509.ParseCertificate(der)
				if err != nil {
					e.fault(el, "", "md:KeyDescriptor: its certificate can't be read: %s", err)
					whole = false
					continue
				}
				if !e.o.Now.IsZero() && e.o.Now.After(c.NotAfter) {
					e.note(el, "a certificate ended on %s; its key is used nonetheless", c.NotAfter.UTC().Format(time.DateOnly))
				}
				held = append(held, c)
			}
		}
	}
	return held, whole
}

func (e *spEntity) logout(role *etree.Element) {
	for _, el := range saml.Children(role, saml.NSMetadata, "SingleLogoutService") {
		var l store.LogoutEndpoint
		l.Binding, _ = saml.AttributeOf(el, "Binding")
		if l.Binding != saml.BindingPost && l.Binding != saml.BindingRedirect {
			continue // SOAP and artifacts, which are not offered
		}
		l.URL = e.location(el, "Location", true)
		l.ResponseURL = e.location(el, "ResponseLocation", false)
		e.im.Provider.Logout = append(e.im.Provider.Logout, l)
	}
}

// nameIDs chooses among the formats that the service provider names: the first
// that can be issued, persistent where it names none.
func (e *spEntity) nameIDs(role *etree.Element) {
	templates := map[string]string{
		saml.FormatPersistent:  "{person_id}",
		saml.FormatEmail:       "{mail}",
		saml.FormatUnspecified: "{login}",
	}
	all := saml.Children(role, saml.NSMetadata, "NameIDFormat")
	for _, el := range all {
		format, err := saml.TextOf(el)
		if err != nil {
			e.fault(el, "", "%s", err)
			return
		}
		if template, ok := templates[format]; ok {
			e.im.Provider.NameIDFormat, e.im.Provider.NameID = format, template
			return
		}
	}
	if len(all) > 0 {
		e.note(all[0], "none of the NameID formats that it names is offered; persistent is taken")
	}
	e.im.Provider.NameIDFormat, e.im.Provider.NameID = saml.FormatPersistent, templates[saml.FormatPersistent]
}

func (e *spEntity) requested(role *etree.Element) {
	for _, service := range saml.Children(role, saml.NSMetadata, "AttributeConsumingService") {
		for _, el := range saml.Children(service, saml.NSMetadata, "RequestedAttribute") {
			var a RequestedAttribute
			a.Name, _ = saml.AttributeOf(el, "Name")
			a.NameFormat, _ = saml.AttributeOf(el, "NameFormat")
			a.FriendlyName, _ = saml.AttributeOf(el, "FriendlyName")
			var err error
			if a.Required, _, err = saml.BooleanOf(el, "isRequired"); err != nil {
				e.fault(el, "", "md:RequestedAttribute: %s", err)
			}
			if a.Name != "" && !slices.Contains(e.im.Requested, a) {
				e.im.Requested = append(e.im.Requested, a)
			}
		}
	}
}

// name is what people are shown: the display name of the service, else of its
// organization, in English where there is a choice; else the host in the
// entityID, else the entityID.
func (e *spEntity) name(role *etree.Element) string {
	var candidates []*etree.Element
	for _, extensions := range saml.Children(role, saml.NSMetadata, "Extensions") {
		for _, info := range saml.Children(extensions, nsUI, "UIInfo") {
			candidates = append(candidates, inEnglish(saml.Children(info, nsUI, "DisplayName"))...)
		}
	}
	for _, organization := range saml.Children(e.element, saml.NSMetadata, "Organization") {
		candidates = append(candidates, inEnglish(saml.Children(organization, saml.NSMetadata, "OrganizationDisplayName"))...)
	}
	for _, el := range candidates {
		name, err := saml.TextOf(el)
		if err != nil {
			e.fault(el, "", "%s", err)
			continue
		}
		if name != "" && len([]rune(name)) <= 200 && !strings.ContainsFunc(name, saml.IsControl) {
			return name
		}
	}
	id := e.im.Provider.EntityID
	if u, err := url.Parse(id); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if len([]rune(id)) > 200 {
		return string([]rune(id)[:200])
	}
	return id
}

// inEnglish puts English elements first.
func inEnglish(all []*etree.Element) []*etree.Element {
	slices.SortStableFunc(all, func(a, b *etree.Element) int {
		rank := func(el *etree.Element) int {
			if strings.HasPrefix(strings.ToLower(el.SelectAttrValue("xml:lang", "")), "en") {
				return 0
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	return all
}
