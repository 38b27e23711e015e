package metadata

import (
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
	end    time.Time // the earliest that is named, also where it is ignored

	consumerLines []*etree.Element // of im.Provider.ACS
}

func (e *spEntity) fault(el *etree.Element, fix, format string, args ...any) {
	e.faults = append(e.faults, Fault{e.lines[el], fmt.Sprintf(format, args...), fix})
}

func (e *spEntity) note(el *etree.Element, format string, args ...any) {
	e.im.Notes = append(e.im.Notes, fmt.Sprintf("line %d: ", e.lines[el])+fmt.Sprintf(format, args...))
}

// attribute is the value of an attribute without the blanks around it, which no URI and no word of SAML's has: files
// that people lay out have some (xs:anyURI and xs:token collapse them).
func attribute(el *etree.Element, name string) string {
	value, _ := saml.AttributeOf(el, name)
	return strings.Trim(value, " \t\r\n")
}

// newRecord has what no metadata says.
func newRecord() store.ServiceProvider {
	return store.ServiceProvider{Kind: store.PlainSAML, Enabled: true, SignAssertion: true, SignResponse: true,
		RelayStateIn: "field", Lifetime: saml.MaxLifetime, Skew: defaultSkew}
}

// Bare is what is known of a service provider that has no metadata. The record still has to pass the checks of its
// settings, which are the same as of one with metadata.
func Bare(entityID, acs string) Imported {
	sp := newRecord()
	sp.EntityID, sp.Name = entityID, plainNameOf(entityID)
	sp.ACS = []store.Endpoint{{URL: acs, Binding: saml.BindingPost}}
	sp.NameIDFormat, sp.NameID = saml.FormatPersistent, formatTemplates[saml.FormatPersistent]
	return Imported{Provider: sp, Entities: 1}
}

func importEntity(found *entity, o ReadOptions) (Imported, error) {
	e := &spEntity{entity: found, o: o}
	e.im.Signed, e.im.Entities, e.im.Notes = found.signed, found.total, found.notes
	sp := &e.im.Provider
	*sp = newRecord()
	root := found.element
	if sp.EntityID = attribute(root, "entityID"); sp.EntityID == "" {
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
		slices.SortStableFunc(e.faults, func(a, b Fault) int { return a.Line - b.Line })
		return Imported{}, &Error{e.faults}
	}
	kept := root.Copy()
	if len(e.validity) > 0 && !e.end.IsZero() {
		// The groups around it are not kept. An end that is ignored is: it may be put back.
		kept.CreateAttr("validUntil", e.end.Format(time.RFC3339))
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
		protocols := attribute(r, "protocolSupportEnumeration")
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
		p.validUntil, p.cacheDuration = attribute(el, "validUntil"), attribute(el, "cacheDuration")
		all = append(all, p)
	}
	for _, p := range all {
		if p.validUntil != "" {
			until, err := saml.DateTime(p.validUntil)
			if err == nil && (e.end.IsZero() || until.Before(e.end)) {
				e.end = until
			}
			switch {
			case err != nil:
				e.faults = append(e.faults, Fault{p.line, fmt.Sprintf("validUntil %.40q is no time", p.validUntil),
					"write it like 2027-01-05T10:00:00Z"})
			case e.o.IgnoreEnd:
				e.im.Notes = append(e.im.Notes, fmt.Sprintf("line %d: its end, %s, is not kept", p.line,
					until.Format(time.RFC3339)))
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
				// Only how often it is read again hangs on it.
				e.im.Notes = append(e.im.Notes, fmt.Sprintf("line %d: passed over cacheDuration %.40q, which is no duration "+
					"such as PT6H", p.line, p.cacheDuration))
			case e.im.CacheDuration == 0 || d < e.im.CacheDuration:
				e.im.CacheDuration = d
			}
		}
	}
}

// location reads and checks an address. fault is why it can't be used; "": it can. An address that runs something is a
// fault of the document, wherever it stands: javascript: and its like are refused here, by the checks of a record, and
// once more on the way out (CVE-2023-45683).
func (e *spEntity) location(el *etree.Element, name string) (value, fault string) {
	if value = attribute(el, name); value == "" {
		return "", fmt.Sprintf("md:%s has no %s", el.Tag, name)
	}
	if err := netname.CheckAddress(value, e.o.AllowLoopbackHTTP); err != nil {
		fault = fmt.Sprintf("md:%s: %s %.120q: %s", el.Tag, name, value, err)
		if u, err := url.Parse(value); err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "" {
			e.fault(el, "", "%s", fault)
		}
	}
	return value, fault
}

// consumers takes the addresses for Responses. One that can't be used is passed over beside one that can.
func (e *spEntity) consumers(role *etree.Element) {
	posts := 0
	var unused []Fault
	var numberless []int // places in the list whose index is still to be given
	indexes := map[int]bool{}
	for _, el := range saml.Children(role, saml.NSMetadata, "AssertionConsumerService") {
		var c store.Endpoint
		if c.Binding = attribute(el, "Binding"); !strings.HasPrefix(c.Binding, saml.BindingPrefix) {
			e.note(el, "passed over an assertion consumer service with the binding %.80q, which is not of SAML 2.0", c.Binding)
			continue
		}
		var fault string
		if c.URL, fault = e.location(el, "Location"); fault != "" {
			unused = append(unused, Fault{e.lines[el], fault, ""})
			continue
		}
		index := attribute(el, "index")
		n, err := strconv.ParseUint(index, 10, 16)
		c.Index = int(n)
		if err != nil || indexes[c.Index] {
			numberless = append(numberless, len(e.im.Provider.ACS))
		} else {
			indexes[c.Index] = true
		}
		isDefault, given, err := saml.BooleanOf(el, "isDefault")
		switch {
		case err != nil:
			e.note(el, "passed over isDefault %.20q of an assertion consumer service, which is neither true nor false",
				attribute(el, "isDefault"))
		case given:
			c.IsDefault = &isDefault
		}
		if c.Binding == saml.BindingPost {
			posts++
		}
		e.im.Provider.ACS = append(e.im.Provider.ACS, c)
		e.consumerLines = append(e.consumerLines, el)
	}
	next := 0
	for _, i := range numberless {
		for indexes[next] {
			next++
		}
		indexes[next] = true
		c := &e.im.Provider.ACS[i]
		e.note(e.consumerLines[i], "an assertion consumer service has no index of its own (%.20q); it is given %d",
			attribute(e.consumerLines[i], "index"), next)
		c.Index = next
	}
	for _, f := range unused {
		if posts > 0 {
			e.im.Notes = append(e.im.Notes, fmt.Sprintf("line %d: passed over: %s", f.Line, f.Fault))
		} else if !slices.ContainsFunc(e.faults, func(o Fault) bool { return o.Fault == f.Fault && o.Line == f.Line }) {
			e.faults = append(e.faults, f)
		}
	}
	if posts == 0 && len(unused) == 0 {
		e.fault(role, "ask the service provider to add one",
			"no md:AssertionConsumerService with the HTTP-POST binding, and Responses are sent by no other")
	}
}

func (e *spEntity) logout(role *etree.Element) {
	for _, el := range saml.Children(role, saml.NSMetadata, "SingleLogoutService") {
		var l store.LogoutEndpoint
		l.Binding = attribute(el, "Binding")
		if l.Binding != saml.BindingPost && l.Binding != saml.BindingRedirect {
			continue // SOAP and artifacts, which are not offered
		}
		var fault string
		if l.URL, fault = e.location(el, "Location"); fault == "" && attribute(el, "ResponseLocation") != "" {
			l.ResponseURL, fault = e.location(el, "ResponseLocation")
		}
		if fault != "" {
			e.note(el, "passed over: %s", fault) // without it, a person signs out there by hand
			continue
		}
		e.im.Provider.Logout = append(e.im.Provider.Logout, l)
	}
}

// formatTemplates are the NameID formats that can be issued by a template, under the URI that SAML gives them.
var formatTemplates = map[string]string{
	saml.FormatPersistent:  "{person_id}",
	saml.FormatEmail:       "{mail}",
	saml.FormatUnspecified: "{login}",
}

// nameIDs chooses among the formats that the service provider names: the first
// that can be issued by whichever URI, persistent where it names none, and transient where it names nothing else.
func (e *spEntity) nameIDs(role *etree.Element) {
	all := slices.DeleteFunc(saml.Children(role, saml.NSMetadata, "NameIDFormat"), func(el *etree.Element) bool {
		text, err := saml.TextOf(el)
		return err == nil && text == "" // names nothing
	})
	transient := len(all) > 0
	for _, el := range all {
		format, err := saml.TextOf(el)
		if err != nil {
			e.note(el, "passed over a NameID format: %s", err)
			continue
		}
		if known, ok := formatTemplates[saml.Format(format)]; ok {
			e.im.Provider.NameIDFormat, e.im.Provider.NameID = saml.Format(format), known
			return
		}
		transient = transient && saml.Format(format) == saml.FormatTransient
	}
	if transient {
		// It asks for nothing else, so it gets people by a name that is another one in each session. The template is for
		// the day on which somebody chooses another format.
		e.note(all[0], "it names transient NameIDs alone: people are known there by another name in each session")
		e.im.Provider.NameIDFormat, e.im.Provider.NameID = saml.FormatTransient, formatTemplates[saml.FormatPersistent]
		return
	}
	if len(all) > 0 {
		e.note(all[0], "none of the NameID formats that it names is offered; persistent is taken")
	}
	e.im.Provider.NameIDFormat, e.im.Provider.NameID = saml.FormatPersistent, formatTemplates[saml.FormatPersistent]
}

func (e *spEntity) requested(role *etree.Element) {
	for _, service := range saml.Children(role, saml.NSMetadata, "AttributeConsumingService") {
		for _, el := range saml.Children(service, saml.NSMetadata, "RequestedAttribute") {
			var a RequestedAttribute
			a.Name, a.NameFormat, a.FriendlyName = attribute(el, "Name"), attribute(el, "NameFormat"),
				attribute(el, "FriendlyName")
			var err error
			if a.Required, _, err = saml.BooleanOf(el, "isRequired"); err != nil {
				e.note(el, "passed over isRequired of the attribute %.80q, which is neither true nor false", a.Name)
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
			continue // another name will do
		}
		if name != "" && len([]rune(name)) <= 200 && !strings.ContainsFunc(name, saml.IsControl) {
			return name
		}
	}
	return plainNameOf(e.im.Provider.EntityID)
}

// plainNameOf is the host in an entityID, else the entityID.
func plainNameOf(id string) string {
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
