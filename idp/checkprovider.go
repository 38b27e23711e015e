package idp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"ssobridge/certs"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/idp/netname"
	"ssobridge/idp/saml"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// maxOurRelayState is what a RelayState of ours may have in bytes (saml-bindings
// 3.4.3 and 3.5.3).
const maxOurRelayState = 80

var relayStateID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckProvider names every fault of a record, each a *FieldError. Addresses
// must be https; http is taken on loopback hosts where allowLoopbackHTTP says so.
func CheckProvider(sp store.ServiceProvider, allowLoopbackHTTP bool) []error {
	c := &providerCheck{sp: sp, loopback: allowLoopbackHTTP}
	c.names()
	c.addresses()
	c.nameID()
	c.attributes()
	c.protection()
	c.encryption()
	c.times()
	c.relayStates()
	c.rest()
	return c.faults
}

// checked is CheckProvider as one error.
func checked(allowLoopbackHTTP bool) metadata.Check {
	return func(sp store.ServiceProvider) error { return errors.Join(CheckProvider(sp, allowLoopbackHTTP)...) }
}

// Approve makes the record that is in use once the metadata that waits is
// accepted, and says what that changes. It stores nothing.
func Approve(sp store.ServiceProvider, allowLoopbackHTTP bool, now time.Time) (after store.ServiceProvider,
	changes []metadata.Difference, notes []string, err error) {
	return metadata.Approve(sp, checked(allowLoopbackHTTP), allowLoopbackHTTP, now)
}

// NewRefresher is what keeps the records of service providers in step with their metadata. Its Check is CheckProvider.
func NewRefresher(o metadata.RefreshOptions) (*metadata.Refresher, error) {
	o.Check = checked(o.AllowLoopbackHTTP)
	return metadata.NewRefresher(o)
}

type providerCheck struct {
	sp       store.ServiceProvider
	loopback bool
	faults   []error
}

func (c *providerCheck) fault(field, value, fault, fix string) {
	c.faults = append(c.faults, fieldError(field, value, fault, fix))
}

func (c *providerCheck) names() {
	switch id := c.sp.EntityID; {
	case id == "":
		c.fault("entity_id", "", "missing", "give the URI by which the service provider names itself")
	case len(id) > 1024 || strings.ContainsFunc(id, netname.NotInURI): // saml-core 8.3.6
		c.fault("entity_id", id, "it is no URI", "give one of at most 1024 characters, without blanks")
	}
	if !utf8.ValidString(c.sp.Name) || utf8.RuneCountInString(c.sp.Name) > 200 || strings.ContainsFunc(c.sp.Name,
		saml.IsControl) {
		c.fault("name", c.sp.Name, "it is too long or not printable", "give at most 200 printable characters")
	}
	if c.sp.Kind != store.ConstantContact && c.sp.Kind != store.PlainSAML {
		c.fault("kind", c.sp.Kind, "it is not known", "want "+store.ConstantContact+" or "+store.PlainSAML)
	}
}

// addressFix stands behind every faulty address.
const addressFix = "give the address as the service provider states it, such as https://sp.example.com/saml/acs"

func (c *providerCheck) address(field, value string) {
	if err := netname.CheckAddress(value, c.loopback); err != nil {
		c.fault(field, value, err.Error(), addressFix)
	}
}

func (c *providerCheck) addresses() {
	posts := 0
	indexes := map[int]bool{}
	for i, e := range c.sp.ACS {
		field := fmt.Sprintf("acs[%d]", i)
		c.address(field+".url", e.URL)
		switch {
		case e.Binding == saml.BindingPost:
			posts++
		case !strings.HasPrefix(e.Binding, saml.BindingPrefix):
			c.fault(field+".binding", e.Binding, "it is not known", "want "+saml.BindingPost)
		}
		if e.Index < 0 || e.Index > 65535 {
			c.fault(field+".index", fmt.Sprint(e.Index), "it is out of range", "want a number from 0 to 65535")
		}
		if indexes[e.Index] {
			c.fault(field+".index", fmt.Sprint(e.Index), "it is used twice, so a request can't name one of the two",
				"give each its own")
		}
		indexes[e.Index] = true
	}
	if posts == 0 {
		c.fault("acs", "", "none with the binding "+saml.BindingPost+", and Responses are sent by no other", "add one")
	}
	for _, a := range []struct{ field, value string }{
		{"form_action", c.sp.FormAction}, {"destination", c.sp.Destination}, {"recipient", c.sp.Recipient},
	} {
		if a.value != "" { // empty: its default
			c.address(a.field, a.value)
		}
	}
	if a := c.sp.Audience; len(a) > 1024 || strings.ContainsFunc(a, netname.NotInURI) {
		c.fault("audience", a, "it is no URI", "give one of at most 1024 characters, without blanks")
	}
	for i, l := range c.sp.Logout {
		field := fmt.Sprintf("logout[%d]", i)
		c.address(field+".url", l.URL)
		if l.ResponseURL != "" {
			c.address(field+".response_url", l.ResponseURL)
		}
		if !strings.HasPrefix(l.Binding, saml.BindingPrefix) {
			c.fault(field+".binding", l.Binding, "it is not known", "want "+saml.BindingRedirect+" or "+saml.BindingPost)
		}
	}
}

func (c *providerCheck) nameID() {
	switch f := c.sp.NameIDFormat; {
	case f == "":
		c.fault("name_id_format", "", "missing", "try "+saml.FormatPersistent)
	case saml.Format(f) == saml.FormatTransient && c.sp.Kind == store.ConstantContact:
		c.fault("name_id_format", f, "Constant Contact finds its users by their NameID, which must be the same each time",
			"try "+saml.FormatPersistent)
	case saml.Format(f) == saml.FormatEncrypted || saml.Format(f) == saml.FormatEntity:
		c.fault("name_id_format", f, "not offered: it names no person in clear", "try "+saml.FormatPersistent)
	case len(f) > 256 || strings.ContainsFunc(f, netname.NotInURI):
		c.fault("name_id_format", f, "it is no URI", "give one of at most 256 characters, without blanks")
	}
	if c.sp.NameID == "" {
		c.fault("name_id", "", "missing", "give a template such as {person_id}")
	} else {
		c.template("name_id", c.sp.NameID)
	}
}

func (c *providerCheck) attributes() {
	seen := map[string]bool{}
	for i, a := range c.sp.Attributes {
		field := fmt.Sprintf("attributes[%d]", i)
		if a.Name == "" || len(a.Name) > 256 || strings.ContainsFunc(a.Name, saml.IsControl) || !utf8.ValidString(a.Name) {
			c.fault(field+".name", a.Name, "it is empty, too long or not printable", "give 1 to 256 printable characters")
		}
		if len(a.FriendlyName) > 256 || strings.ContainsFunc(a.FriendlyName, saml.IsControl) ||
			!utf8.ValidString(a.FriendlyName) {
			c.fault(field+".friendly_name", a.FriendlyName, "it is too long or not printable",
				"give at most 256 printable characters")
		}
		if a.NameFormat == "" || len(a.NameFormat) > 256 || strings.ContainsFunc(a.NameFormat, netname.NotInURI) {
			c.fault(field+".name_format", a.NameFormat, "it is no URI", "try "+saml.FormatBasicAttribute)
		}
		id := a.NameFormat + "\x00" + a.Name
		if seen[id] {
			c.fault(field+".name", a.Name, "it is given twice", "take one of the two away")
		}
		seen[id] = true
		switch {
		case a.Value == "":
			c.fault(field+".value", "", "missing", "give a template such as {mail}, or attr:NAME")
		case strings.HasPrefix(a.Value, "attr:"):
			if _, err := newReleasedAttribute(a); err != nil {
				c.fault(field+".value", a.Value, err.Error(), "write it like attr:memberOf")
			}
		default:
			c.template(field+".value", a.Value)
		}
	}
}

func (c *providerCheck) protection() {
	if !c.sp.SignAssertion && !c.sp.SignResponse { // row RSP-09
		c.fault("sign", "", "neither sign_assertion nor sign_response is on",
			"switch one on, or nobody can trust what is sent")
	}
	c.word("request_signatures", c.sp.RequestSignatures, "if-present", "required")
	c.word("holds_certificates", c.sp.HoldsCertificates, "two", "one")
}

// word checks a choice whose empty value is the first of the words.
func (c *providerCheck) word(field, value string, words ...string) {
	if value == "" {
		return
	}
	if err := oneOf(field, value, words...); err != nil {
		c.faults = append(c.faults, err)
	}
}

// encryption: what can never work is told here and not at the first sign-in (row
// RSP-12). That there is no key at all is left to sign-ins: a record can be made
// before its key has come, and until then nobody gets in.
func (c *providerCheck) encryption() {
	c.word("encryption", c.sp.Encryption, saml.EncryptionOff, saml.EncryptionIfPublished, saml.EncryptionRequired)
	for i, k := range c.sp.EncryptionKeys {
		if _, err := certs.ParseHolder(k.Certificate); err != nil {
			c.fault(fmt.Sprintf("encryption_keys[%d]", i), "", err.Error(), "import the service provider's metadata again")
		}
	}
	if c.sp.AllowCBC && !c.sp.SignResponse {
		c.fault("allow_cbc", "", "CBC has no integrity of its own, and the Response that would give it one is not signed",
			"set sign to response or both, or allow_cbc to false")
		return
	}
	if _, err := encryptionOf(c.sp).Recipient(); err != nil && len(c.sp.EncryptionKeys) > 0 {
		if _, cbc := CanEncrypt(c.sp); cbc {
			c.fault("encryption_keys", "", "it takes CBC alone, which has no integrity of its own",
				"set allow_cbc to true if there is no other way, or encryption to off")
			return
		}
		c.fault("encryption_keys", "", "none of the keys can be used: "+strings.ReplaceAll(err.Error(), "\n", "; "),
			"ask the service provider for an RSA key of 2048 bits or more with AES-GCM and RSA-OAEP, or set encryption to off")
	}
}

func (c *providerCheck) times() {
	if l := c.sp.Lifetime; l <= 0 || l > saml.MaxLifetime {
		c.fault("lifetime", l.String(), "it is out of range", fmt.Sprintf("want more than 0s and at most %s",
			saml.MaxLifetime))
	}
	if s := c.sp.Skew; s < 0 || s > saml.MaxLifetime {
		c.fault("skew", s.String(), "it is out of range", fmt.Sprintf("want 0s to %s", saml.MaxLifetime))
	}
}

// template checks one, and that a plain service provider asks for nothing that
// only Constant Contact's users have.
func (c *providerCheck) template(field, value string) {
	if _, err := mapping.ParseTemplate(value); err != nil {
		c.fault(field, value, err.Error(), "write it like {person_id} or {first_name} {last_name}")
		return
	}
	if c.sp.Kind != store.PlainSAML {
		return
	}
	for _, only := range []string{"{external_id}", "{login_name}", "{account}", "{key}"} {
		if strings.Contains(value, only) {
			c.fault(field, value, only+" is known for Constant Contact alone", "use {person_id}, {login} or {mail}")
		}
	}
}

func (c *providerCheck) relayStates() {
	ids := map[string]bool{}
	defaults := 0
	for i, r := range c.sp.RelayStates {
		field := fmt.Sprintf("relay_states[%d]", i)
		if !relayStateID.MatchString(r.ID) {
			c.fault(field+".id", r.ID, "it can't stand in a link", "give 1 to 64 letters, digits, - and _")
		}
		if ids[r.ID] {
			c.fault(field+".id", r.ID, "it is used twice", "give each its own")
		}
		ids[r.ID] = true
		if r.Value == "" || len(r.Value) > maxOurRelayState || !utf8.ValidString(r.Value) || strings.ContainsFunc(r.Value,
			saml.IsControl) {
			c.fault(field+".value", r.Value, "it is empty, too long or not printable",
				fmt.Sprintf("give 1 to %d bytes of printable text", maxOurRelayState))
		}
		if r.Default {
			defaults++
		}
	}
	if defaults > 1 {
		c.fault("relay_states", "", fmt.Sprintf("%d are marked as default", defaults), "mark one at most")
	}
	if in := c.sp.RelayStateIn; in != "field" && in != "query" {
		c.fault("relay_state_in", in, "it is not known", "want field or query")
	}
}

func (c *providerCheck) rest() {
	for i, dn := range c.sp.Groups {
		if _, err := directory.NormalDN(dn); err != nil {
			c.fault(fmt.Sprintf("groups[%d]", i), dn, err.Error(),
				"write the whole name of the group, like cn=staff,ou=groups,dc=example,dc=com")
		}
	}
	for i, der := range c.sp.Certificates {
		if _, err := certs.ParseHolder(der); err != nil {
			c.fault(fmt.Sprintf("certificates[%d]", i), "", err.Error(), "import the service provider's metadata again")
		}
	}
}
