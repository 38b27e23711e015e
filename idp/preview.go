package idp

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/beevik/etree"

	"ssobridge/certs"
	"ssobridge/idp/directory"
	"ssobridge/idp/mfa"
	"ssobridge/idp/saml"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Preview is what an assertion would carry.
type Preview struct {
	NameID, NameIDFormat string
	Attributes           []PreviewAttribute
}

// PreviewAttribute is one released attribute.
type PreviewAttribute struct {
	Name   string
	Values []string
}

// Preview says what the assertion for this person would carry under decision d,
// by the code that builds real ones. Nothing is signed or stored. An error names
// what of the record or of the person's data does not do.
func (p *IdP) Preview(_ context.Context, sp store.ServiceProvider, e directory.Entry,
	d provisioning.Decision) (Preview, error) {
	provider := newServiceProvider(sp)
	r, err := provider.release(e, d, provider.previewName())
	if err != nil {
		return Preview{}, fmt.Errorf("preview for %s: %w", sp.EntityID, err)
	}
	preview := Preview{NameID: r.nameID, NameIDFormat: r.format}
	for _, a := range r.attributes {
		preview.Attributes = append(preview.Attributes, PreviewAttribute{a.Name, a.values})
	}
	return preview, nil
}

// previewName stands for a transient NameID, which nobody has outside a session; "" where the record has no such.
func (sp *serviceProvider) previewName() string {
	if sp.transient() {
		return "(random, another one in each session)"
	}
	return ""
}

// AssertionPreview is the assertion that a person would get, with the reason for
// each value.
type AssertionPreview struct {
	EntityID string `json:"entity_id"`
	// XML is the assertion of a launch, marked so that nobody takes it for one: it
	// says so, bears no signature, and its time was over a day ago.
	XML    string         `json:"xml"`
	Values []PreviewValue `json:"values"`
	Left   []PreviewValue `json:"left_out,omitempty"` // attributes with nothing fit to send; Why says what is missing

	Signed    string `json:"signed"`    // what is signed, and with which key
	Encrypted string `json:"encrypted"` // how, and for which certificate
	// Refused says why such a sign-in would be refused, though the person may pass:
	// a key of ours or of the service provider can't be used.
	Refused string `json:"refused,omitempty"`
}

// PreviewValue is one value, or the several of an attribute.
type PreviewValue struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"`
	Why    string   `json:"why"` // which setting, template, directory attribute or rule gave it
}

// Marks of a preview. An ID like this is never random, and the time is too far
// back for any clock to forgive.
const (
	previewID      = "_preview"
	previewComment = " PREVIEW: not signed, not sent, not valid. "
	previewAge     = 24 * time.Hour
)

// PreviewAssertion builds the assertion that a launch would send for this person
// under decision d, by the code that builds real ones, and says where each value
// comes from. sources names what fills a template's placeholder, such as mail:
// "directory attribute mail"; without braces. Nothing is signed, stored or sent.
// An error names what of the record or of the person's data does not do.
func (p *IdP) PreviewAssertion(ctx context.Context, record store.ServiceProvider, e directory.Entry,
	d provisioning.Decision, sources map[string]string) (AssertionPreview, error) {
	sp := newServiceProvider(record)
	fail := func(err error) (AssertionPreview, error) {
		return AssertionPreview{}, fmt.Errorf("preview for %s: %w", sp.EntityID, err)
	}
	r, err := sp.release(e, d, sp.previewName())
	if err != nil {
		return fail(err)
	}
	f := &flow{sp: sp}
	f.data.RelayState, _ = sp.relayState("")
	o, err := f.responseParams()
	if err != nil {
		return fail(err)
	}
	at := p.o.Now().UTC().Truncate(time.Millisecond).Add(-previewAge)
	out := signedResponse{responseID: previewID, assertionID: previewID, sessionIndex: "preview", at: at}
	policy, _, err := p.FactorPolicy(ctx, d.Assignment.Account)
	if err != nil {
		return fail(err)
	}
	session := store.Session{AuthenticatedAt: at, EndsAt: at.Add(p.o.SessionLife), Methods: []string{methodPassword}}
	if e.Source != "" {
		session.Methods = []string{launchMethod + e.Source} // without what its source may be trusted for
	} else if policy == mfa.Required {
		session.Methods = append(session.Methods, mfa.TOTP)
	}

	x := AssertionPreview{EntityID: sp.EntityID}
	assertion := saml.UnsignedAssertion(p.responseOf(out, o), p.assertionOf(out, o, session, r))
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(assertion); err != nil {
		return fail(fmt.Errorf("read the assertion: %w", err))
	}
	doc.Root().InsertChildAt(0, etree.NewComment(previewComment))
	doc.Indent(2)
	if x.XML, err = doc.WriteToString(); err != nil {
		return fail(fmt.Errorf("write the assertion: %w", err))
	}
	x.explain(p, sp, o, r, sources, session, policy)
	if err := x.protection(ctx, p, sp); err != nil {
		return fail(err)
	}
	return x, nil
}

// explain names the reason for each value, in the order of the message.
func (x *AssertionPreview) explain(p *IdP, sp *serviceProvider, o responseParams, r release, sources map[string]string,
	s store.Session, policy mfa.Policy) {
	add := func(name, why string, values ...string) {
		x.Values = append(x.Values, PreviewValue{name, values, why})
	}
	given := func(key, value, otherwise string) string {
		if value != "" {
			return "setting " + key
		}
		return otherwise
	}
	acs := "the default of acs"
	add("form action", given("form_action", sp.FormAction, acs), o.to.action)
	if o.to.field != nil {
		add("RelayState", "setting default_relay_state, as a field of the form", *o.to.field)
	} else if value, _ := sp.relayState(""); value != nil {
		x.Values[0].Why += ", with default_relay_state in its query (setting relay_state_in)"
	}
	recipient := given("recipient", sp.Recipient, acs+", without a RelayState in its query")
	add("Destination", given("destination", sp.Destination, "the Recipient"), o.to.destination)
	add("Issuer", "entity_id of this identity provider", p.o.EntityID)
	if sp.transient() {
		add("NameID", "setting name_id_format = transient: random, and the same as long as the session lasts", r.nameID)
	} else {
		add("NameID", "setting name_id = "+sp.NameID+origins(sp.NameID, sources), r.nameID)
	}
	format := "setting name_id_format"
	if sp.Kind != store.ConstantContact && !sp.transient() {
		format += "; a request can ask for transient in its place"
	}
	add("NameID Format", format, r.format)
	add("Recipient", recipient, o.to.recipient)
	add("Audience", given("audience", sp.Audience, "its entity id"), o.to.audience)
	add("NotBefore", "the moment of sending less the setting skew", "-"+max(sp.Skew, 0).String())
	life := sp.life()
	add("NotOnOrAfter", "the moment of sending and the setting lifetime", "+"+life.String())
	source := launchedBy(s)
	if source == "" {
		add("AuthnInstant", "the moment of the last login")
	} else {
		add("AuthnInstant", "the moment at which the token was made, or its auth_time (setting trust_auth_time of the source)")
	}
	proves := map[mfa.Policy]string{
		mfa.Offered:  "what a login by password proves; a second factor, which is offered, proves " + p.classes.second,
		mfa.Required: "what a login by password and second factor proves, which is required",
	}
	if source == "" {
		add("AuthnContextClassRef", cmp.Or(proves[policy], "what a login by password proves"), p.classes.of(s.Methods, nil))
	} else {
		add("AuthnContextClassRef", "what a token of source "+source+" proves, without what the setting trust of the source "+
			"believes of its acr and amr", p.classOf(o, s))
	}
	add("SessionIndex", "random, another one for each sign-in")
	add("SessionNotOnOrAfter", "the end of the session here", "login +"+p.o.SessionLife.String())
	for _, a := range r.attributes {
		add(a.Name, why(a.Attribute, sources), a.values...)
	}
	for _, a := range r.left {
		x.Left = append(x.Left, PreviewValue{Name: a.Name, Why: why(a.Attribute, sources) + ": " + a.why})
	}
}

// why names the origin of an attribute.
func why(a store.Attribute, sources map[string]string) string {
	if name, all := strings.CutPrefix(a.Value, "attr:"); all {
		return "all values of directory attribute " + name
	}
	return "template " + a.Value + origins(a.Value, sources)
}

var placeholder = regexp.MustCompile(`\{([^{}]+)\}`)

// origins says what fills each placeholder of a template.
func origins(template string, sources map[string]string) string {
	var all []string
	seen := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(template, -1) {
		name := m[1]
		if seen[name] {
			continue
		}
		seen[name] = true
		source := sources[name]
		if attribute, ok := strings.CutPrefix(name, "attr:"); ok {
			source = "first value of directory attribute " + attribute
		}
		if source != "" {
			all = append(all, "{"+name+"} is "+source)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "; " + strings.Join(all, ", ")
}

// protection says how the assertion would be signed and encrypted.
func (x *AssertionPreview) protection(ctx context.Context, p *IdP, sp *serviceProvider) error {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return err
	}
	var refused []string
	switch {
	case sp.SignAssertion && sp.SignResponse:
		x.Signed = "assertion and Response"
	case sp.SignAssertion:
		x.Signed = "assertion"
	case sp.SignResponse:
		x.Signed = "Response"
	default:
		x.Signed = "nothing"
		refused = append(refused, "neither assertion nor Response is to be signed")
	}
	if by, err := c.signerFor(sp.EntityID, p.o.Now()); err != nil {
		refused = append(refused, err.Error())
	} else {
		x.Signed += ", with key " + by.KeyID()
	}
	switch to := sp.recipient; {
	case sp.encryptFault != nil:
		x.Encrypted = "it would have to be, and can't be"
		refused = append(refused, "the assertion can't be encrypted: "+
			strings.ReplaceAll(sp.encryptFault.Error(), "\n", "; "))
	case to != nil:
		content, key := to.Algorithms()
		x.Encrypted = fmt.Sprintf("by %s, the key by %s, for the certificate %s", shortAlgorithm(content),
			shortAlgorithm(key), certs.HexFingerprint(to.Certificate().Raw))
	case sp.Encryption == saml.EncryptionIfPublished:
		x.Encrypted = "no: encryption = if-published, and no key is published"
	default:
		x.Encrypted = "no: encryption = off"
	}
	x.Refused = strings.Join(refused, "; ")
	return nil
}

// shortAlgorithm is an algorithm's name without the specification before it.
func shortAlgorithm(uri string) string { return uri[strings.LastIndexByte(uri, '#')+1:] }
