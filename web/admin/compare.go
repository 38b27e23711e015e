package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp"
	"ssobridge/store"
)

// Comparison holds what another identity provider sent for a person against what would be sent here.
type Comparison struct {
	Login    string     `json:"login"`
	EntityID string     `json:"entity_id"`
	Fields   []Compared `json:"fields"`
	Notes    []string   `json:"notes,omitempty"`
}

// Compared is one field of the two.
type Compared struct {
	Name   string   `json:"name"`
	Theirs []string `json:"captured,omitempty"`
	Ours   []string `json:"ours,omitempty"`
	Same   bool     `json:"same"`
	Why    string   `json:"why,omitempty"` // what of ours decides it, where the two differ
}

// Differ counts the fields that differ.
func (c Comparison) Differ() (n int) {
	for _, f := range c.Fields {
		if !f.Same {
			n++
		}
	}
	return n
}

// Compare holds a captured Response or assertion of another identity provider against the preview for the same person.
// entityID is that of the service provider; "": the one that the captured audience names. Nothing of what was captured
// is believed or stored, and no signature of it is checked.
func (a People) Compare(ctx context.Context, s Scope, captured []byte, login, entityID string,
	account store.AccountID) (Comparison, error) {
	if err := s.whole(); err != nil {
		return Comparison{}, err
	}
	theirs, err := idp.ReadCaptured(captured)
	if err != nil {
		return Comparison{}, &Error{Field: "file", Fault: fmt.Sprintf("the captured Response can't be read: %v", err),
			Hint: "give the XML, or the value of SAMLResponse as the browser posted it", Err: err}
	}
	if entityID == "" {
		if entityID, err = a.audienceOf(ctx, theirs.Audiences); err != nil {
			return Comparison{}, err
		}
	}
	x, err := a.Preview(ctx, s, login, entityID, account)
	if err != nil {
		return Comparison{}, err
	}
	ours, err := idp.ReadCaptured([]byte(x.XML))
	if err != nil {
		return Comparison{}, fmt.Errorf("read the preview: %w", err)
	}
	c := Comparison{Login: x.Login, EntityID: x.EntityID, Notes: x.Notes}
	if x.Refused != "" {
		c.Notes = append(c.Notes, "the sign-in would be refused here: "+x.Refused)
	}
	c.compare(theirs, ours, x)
	return c, nil
}

// audienceOf is the service provider that an audience means.
func (a People) audienceOf(ctx context.Context, audiences []string) (string, error) {
	all, err := a.Store.ServiceProviders().List(ctx)
	if err != nil {
		return "", fmt.Errorf("list service providers: %w", err)
	}
	for _, sp := range all {
		if slices.Contains(audiences, sp.EntityID) || sp.Audience != "" && slices.Contains(audiences, sp.Audience) {
			return sp.EntityID, nil
		}
	}
	return "", &Error{Field: "sp", Fault: fmt.Sprintf("no service provider of the audience %.300q is registered",
		strings.Join(audiences, ", ")), Hint: "register it first, or name the service provider", Act: ListProviders}
}

func (c *Comparison) compare(theirs, ours idp.Captured, x Previewed) {
	add := func(name, why string, same bool, theirs, ours []string) {
		f := Compared{Name: name, Theirs: theirs, Ours: ours, Same: same, Why: why}
		if same {
			f.Why = ""
		}
		c.Fields = append(c.Fields, f)
	}
	one := func(name, theirs, ours, why string) {
		add(name, why, theirs == ours, given(theirs), given(ours))
	}
	one("Issuer", theirs.Issuer, ours.Issuer, "configuration entity_id")
	if theirs.Destination != "" { // an assertion alone has none
		ours.Destination = valueOf(x, "Destination")
		one("Destination", theirs.Destination, ours.Destination, "settings destination, recipient, acs")
	}
	// Transient ones are another one each time.
	transient := ours.NameIDFormat == formatTransient && theirs.NameIDFormat == formatTransient
	add("NameID", "setting name_id", transient || theirs.NameID == ours.NameID, given(theirs.NameID), given(ours.NameID))
	// A NameID without Format is unspecified (saml-core 8.3.1).
	format := func(c idp.Captured) string {
		if c.NameIDFormat == "" {
			return formatUnspecified
		}
		return c.NameIDFormat
	}
	one("NameID Format", format(theirs), format(ours), "setting name_id_format")
	if theirs.NameQualifier+theirs.SPNameQualifier != "" {
		add("NameID qualifiers", "none are sent here; most service providers look at neither",
			theirs.NameQualifier == ours.NameQualifier && theirs.SPNameQualifier == ours.SPNameQualifier,
			given(strings.TrimSpace(theirs.NameQualifier+" "+theirs.SPNameQualifier)),
			given(strings.TrimSpace(ours.NameQualifier+" "+ours.SPNameQualifier)))
	}
	one("Recipient", theirs.Recipient, ours.Recipient, "settings recipient, acs")
	add("Audience", "setting audience", sameValues(theirs.Audiences, ours.Audiences), theirs.Audiences, ours.Audiences)
	one("AuthnContextClassRef", theirs.Class, ours.Class, "how the person signed in")
	c.attributes(theirs, ours, add)
	signed := func(assertion, response bool) string {
		switch {
		case assertion && response:
			return "assertion and Response"
		case assertion:
			return "assertion"
		case response:
			return "Response"
		}
		return ""
	}
	by, key, _ := strings.Cut(x.Signed, ", with key ")
	one("signed", signed(theirs.SignedAssertion, theirs.SignedResponse), by, "setting sign")
	if theirs.Certificate != "" {
		// A key is named by the first digits of its certificate's SHA-256.
		add("signing certificate", "import the key of the old one, or have the new certificate loaded there",
			key != "" && strings.HasPrefix(theirs.Certificate, key), given(theirs.Certificate), given(key))
	}
}

// attributes compares what is released. Of one name there can be several, by their formats.
func (c *Comparison) attributes(theirs, ours idp.Captured, add func(string, string, bool, []string, []string)) {
	left := slices.Clone(ours.Attributes)
	for _, a := range theirs.Attributes {
		i := slices.IndexFunc(left, func(o idp.CapturedAttribute) bool { return o.Name == a.Name })
		if i < 0 {
			add("attribute "+a.Name, "it is not released here: setting attributes", false, a.Values, nil)
			continue
		}
		o := left[i]
		left = slices.Delete(left, i, i+1)
		add("attribute "+a.Name, "setting attributes", sameValues(a.Values, o.Values), a.Values, o.Values)
		if theirFormat, ourFormat := attributeFormat(a.NameFormat), attributeFormat(o.NameFormat); theirFormat != ourFormat {
			add("NameFormat of "+a.Name, "setting attributes", false, given(theirFormat), given(ourFormat))
		}
	}
	for _, o := range left {
		add("attribute "+o.Name, "it was not sent before: setting attributes", false, nil, o.Values)
	}
}

// attributeFormat is unspecified where there is none (saml-core 8.2.1).
func attributeFormat(format string) string {
	if format == "" {
		return "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"
	}
	return format
}

// sameValues compares values whose order says nothing.
func sameValues(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func given(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// valueOf is a value of a preview.
func valueOf(x Previewed, name string) string {
	for _, v := range x.Values {
		if v.Name == name && len(v.Values) > 0 {
			return v.Values[0]
		}
	}
	return ""
}
