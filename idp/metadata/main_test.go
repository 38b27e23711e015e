package metadata_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"sync"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// start is the moment at which every test begins.
var start = time.Date(2027, 1, 5, 10, 0, 0, 0, time.UTC)

// now is the one clock. Tests of this package so run one after the other.
var now = &clock{at: start}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func (c *clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// basic is the format of attribute names.
const basic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// readKey is the key of a file in testdata.
func readKey(t testing.TB, name string) *certs.Key {
	t.Helper()
	var certificate, private []byte
	for block, rest := pem.Decode([]byte(readFile(t, name+".pem"))); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate = block.Bytes
		} else {
			private = block.Bytes
		}
	}
	k, err := certs.Load(certificate, private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The service providers of the records here.
const (
	ctct       = "https://identity.ctct.test/sp"
	ctctACS    = "https://identity.ctct.test/sso/saml2"
	plain      = "https://wiki.partner.test/metadata"
	plainACS   = "https://wiki.partner.test/acs"
	plainACS2  = "https://wiki.partner.test/acs2"
	persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	staff      = "cn=staff,ou=groups,dc=partner,dc=test"
)

// constantContact is a record as the bridge's own command makes it.
func constantContact() store.ServiceProvider {
	return store.ServiceProvider{
		EntityID: ctct, Name: "Constant Contact", Kind: store.ConstantContact, Enabled: true,
		ACS:          []store.Endpoint{{URL: ctctACS, Binding: saml.BindingPost}},
		NameIDFormat: persistent, NameID: "{external_id}",
		Attributes: []store.Attribute{
			{Name: "email", NameFormat: basic, Value: "{mail}"},
			{Name: "firstName", NameFormat: basic, Value: "{first_name}"},
			{Name: "lastName", NameFormat: basic, Value: "{last_name}"},
		},
		SignAssertion: true, SignResponse: true, RelayStateIn: "field",
		RelayStates: []store.RelayState{
			{ID: "home", Value: "https://login.ctct.test/login/idp-redirect", Default: true},
			{ID: "other", Value: "a b&c=d"},
		},
		Lifetime: 5 * time.Minute, Skew: time.Minute,
	}
}

func plainSP() store.ServiceProvider {
	return store.ServiceProvider{
		EntityID: plain, Name: "Wiki", Kind: store.PlainSAML, Enabled: true,
		ACS: []store.Endpoint{
			{URL: plainACS, Binding: saml.BindingPost, Index: 0},
			{URL: plainACS2, Binding: saml.BindingPost, Index: 1},
			{URL: "https://wiki.partner.test/artifact", Binding: saml.BindingPrefix + "HTTP-Artifact", Index: 2},
		},
		NameIDFormat: persistent, NameID: "{person_id}",
		Attributes: []store.Attribute{
			{Name: "urn:oid:2.5.4.11", FriendlyName: "ou", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
				Value: "attr:department"},
			{Name: "mail", NameFormat: basic, Value: "{mail}"},
			{Name: "phone", NameFormat: basic, Value: "{attr:telephoneNumber}"},
		},
		SignAssertion: true, SignResponse: true, RelayStateIn: "field",
		Groups: []string{staff}, Lifetime: 5 * time.Minute, Skew: time.Minute,
	}
}
