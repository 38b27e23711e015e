package idp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

func parseIDP(data []byte) (*saml.EntityDescriptor, error) {
	var d saml.EntityDescriptor
	return &d, xml.Unmarshal(data, &d)
}

// TestMetadata covers MD-01, MD-03 and what must not be advertised.
func TestMetadata(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	data, err := f.Metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Metadata(context.Background())
	if err != nil || !bytes.Equal(data, again) {
		t.Error("two readings differ")
	}
	d, err := parseIDP(data)
	if err != nil {
		t.Fatal(err)
	}
	if d.EntityID != entityID {
		t.Errorf("entityID %q", d.EntityID)
	}
	role := d.IDPSSODescriptors[0]
	for _, s := range role.SingleSignOnServices {
		if s.Location != endpoint {
			t.Errorf("endpoint %q", s.Location)
		}
	}
	if len(role.SingleSignOnServices) != 2 || len(role.SingleLogoutServices) != 0 || len(role.ArtifactResolutionServices) != 0 {
		t.Errorf("endpoints %+v", role)
	}
	for _, forbidden := range []string{"validUntil", "cacheDuration", "Logout", `use="encryption"`} {
		if strings.Contains(string(data), forbidden) {
			t.Errorf("metadata has %s", forbidden)
		}
	}
	if len(role.NameIDFormats) != 1 || string(role.NameIDFormats[0]) != persistent {
		t.Errorf("formats %v", role.NameIDFormats)
	}

	// A second key and a second format appear, and are in a fixed order.
	now.Advance(time.Hour)
	f.addKey(t, "p-256")
	sp := plainSP()
	sp.NameIDFormat = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	f.put(t, sp)
	if data, err = f.Metadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	if d, err = parseIDP(data); err != nil {
		t.Fatal(err)
	}
	role = d.IDPSSODescriptors[0]
	if len(role.KeyDescriptors) != 2 || len(role.NameIDFormats) != 2 {
		t.Fatalf("%d keys, %d formats", len(role.KeyDescriptors), len(role.NameIDFormats))
	}
	if got := strings.TrimSpace(role.KeyDescriptors[0].KeyInfo.X509Data.X509Certificates[0].Data); got != base64.StdEncoding.EncodeToString(readKey(t, "p-256").Certificate.Raw) {
		t.Error("the newest key is not the first")
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestParseMetadata reads a file, and files with one fault each.
func TestParseMetadata(t *testing.T) {
	good := readFile(t, "sp.xml")
	sp, err := idp.ParseMetadata([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
		t.Errorf("faults of an imported record: %v", faults)
	}
	if sp.EntityID != "https://portal.example.test/saml" || sp.Name != "Example Portal" || sp.Kind != store.PlainSAML || !sp.Enabled ||
		!sp.SignAssertion || !sp.SignResponse || sp.Lifetime != 5*time.Minute || sp.Skew != time.Minute || sp.AuthnRequestsSigned {
		t.Errorf("record %+v", sp)
	}
	if len(sp.ACS) != 3 || sp.ACS[1].IsDefault == nil || !*sp.ACS[1].IsDefault || sp.ACS[2].Index != 7 || sp.ACS[0].IsDefault != nil {
		t.Errorf("endpoints %+v", sp.ACS)
	}
	if len(sp.Certificates) != 2 {
		t.Errorf("%d certificates, want the signing and the unmarked one (REQ-13)", len(sp.Certificates))
	}
	if sp.NameIDFormat != "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" || sp.NameID != "{mail}" {
		t.Errorf("NameID %s %s, want the first format that can be issued", sp.NameIDFormat, sp.NameID)
	}
	if len(sp.Groups) != 0 {
		t.Error("an imported service provider is open")
	}

	if _, err := idp.ParseMetadata([]byte("\ufeff" + good)); err != nil {
		t.Errorf("with a byte order mark: %v", err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"no XML", good, "hello", "root"},
		{"empty", good, "", "root"},
		{"DTD", "<md:EntityDescriptor", "<!DOCTYPE x [<!ENTITY e 'x'>]><md:EntityDescriptor", "document type"},
		{"other root", "md:EntityDescriptor", "md:Other", "EntityDescriptor"},
		{"federation", "md:EntityDescriptor", "md:EntitiesDescriptor", "several"},
		{"identity provider", "md:SPSSODescriptor", "md:IDPSSODescriptor", "identity provider"},
		{"no entityID", `entityID="https://portal.example.test/saml"`, "", "entityID"},
		{"SAML 1.1", "urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.1:protocol", "SAML 2.0"},
		{"no POST", "HTTP-POST", "HTTP-Artifact", "HTTP-POST"},
		{"no Location", `Location="https://portal.example.test/acs"`, "", "Location"},
		{"no index", `index="7"`, `index="x"`, "index"},
		{"bad boolean", `isDefault="true"`, `isDefault="yes"`, "isDefault"},
		{"bad certificate", "<ds:X509Certificate>", "<ds:X509Certificate>AAAA", "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := idp.ParseMetadata([]byte(strings.ReplaceAll(good, c.old, c.new)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
	if _, err := idp.ParseMetadata(bytes.Repeat([]byte(" "), 1<<20+1)); err == nil {
		t.Error("a huge file was read")
	}
	signed, err := idp.ParseMetadata([]byte(strings.Replace(good, "<md:SPSSODescriptor", `<md:SPSSODescriptor AuthnRequestsSigned="true"`, 1)))
	if err != nil || !signed.AuthnRequestsSigned {
		t.Errorf("AuthnRequestsSigned is lost: %v", err)
	}
}

// TestCheckProvider names each fault with its field.
func TestCheckProvider(t *testing.T) {
	for _, sp := range []store.ServiceProvider{constantContact(), plainSP()} {
		if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
			t.Errorf("%s: %v", sp.Name, faults)
		}
	}
	for _, c := range []struct {
		name, want string
		spoil      func(*store.ServiceProvider)
	}{
		{"no entityID", "entity_id", func(sp *store.ServiceProvider) { sp.EntityID = "" }},
		{"blank in entityID", "entity_id", func(sp *store.ServiceProvider) { sp.EntityID = "a b" }},
		{"name", "name", func(sp *store.ServiceProvider) { sp.Name = "a\nb" }},
		{"kind", "kind", func(sp *store.ServiceProvider) { sp.Kind = "oidc" }},
		{"no ACS", "acs", func(sp *store.ServiceProvider) { sp.ACS = nil }},
		{"artifact alone", "HTTP-POST", func(sp *store.ServiceProvider) { sp.ACS = sp.ACS[2:] }},
		{"http", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "http://wiki.partner.test/acs" }},
		{"http loopback", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "http://127.0.0.1:9/acs" }},
		{"javascript", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "javascript:alert(1)" }},
		{"javascript with host", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "javascript://x/%0aalert(1)" }},
		{"data", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "data:text/html,x" }},
		{"relative", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "/acs" }},
		{"no host", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "https:///acs" }},
		{"user", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "https://a:b@wiki.partner.test/acs" }},
		{"fragment", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = plainACS + "#x" }},
		{"backslash", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = `https://evil.test\@wiki.partner.test/acs` }},
		{"line end", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = plainACS + "\n" }},
		{"binding", "acs[0].binding", func(sp *store.ServiceProvider) { sp.ACS[0].Binding = "POST" }},
		{"index", "acs[1].index", func(sp *store.ServiceProvider) { sp.ACS[1].Index = 0 }},
		{"form action", "form_action", func(sp *store.ServiceProvider) { sp.FormAction = "javascript:x" }},
		{"destination", "destination", func(sp *store.ServiceProvider) { sp.Destination = "x" }},
		{"recipient", "recipient", func(sp *store.ServiceProvider) { sp.Recipient = "http://a.test/" }},
		{"audience", "audience", func(sp *store.ServiceProvider) { sp.Audience = "a b" }},
		{"no format", "name_id_format", func(sp *store.ServiceProvider) { sp.NameIDFormat = "" }},
		{"transient", "name_id_format", func(sp *store.ServiceProvider) {
			sp.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
		}},
		{"no NameID", "name_id", func(sp *store.ServiceProvider) { sp.NameID = "" }},
		{"bad template", "name_id", func(sp *store.ServiceProvider) { sp.NameID = "{nonsense}" }},
		{"template of Constant Contact", "{external_id}", func(sp *store.ServiceProvider) { sp.NameID = "{external_id}" }},
		{"attribute name", "attributes[1].name", func(sp *store.ServiceProvider) { sp.Attributes[1].Name = "" }},
		{"attribute format", "attributes[1].name_format", func(sp *store.ServiceProvider) { sp.Attributes[1].NameFormat = "" }},
		{"attribute twice", "attributes[2].name", func(sp *store.ServiceProvider) { sp.Attributes[2] = sp.Attributes[1] }},
		{"attribute value", "attributes[1].value", func(sp *store.ServiceProvider) { sp.Attributes[1].Value = "{x" }},
		{"attribute attr", "attributes[1].value", func(sp *store.ServiceProvider) { sp.Attributes[1].Value = "attr:" }},
		{"unsigned", "sign_assertion", func(sp *store.ServiceProvider) { sp.SignAssertion, sp.SignResponse = false, false }},
		{"lifetime", "lifetime", func(sp *store.ServiceProvider) { sp.Lifetime = 6 * time.Minute }},
		{"no lifetime", "lifetime", func(sp *store.ServiceProvider) { sp.Lifetime = 0 }},
		{"skew", "skew", func(sp *store.ServiceProvider) { sp.Skew = -1 }},
		{"relay state id", "relay_states[0].id", func(sp *store.ServiceProvider) {
			sp.RelayStates = []store.RelayState{{ID: "a b", Value: "x"}}
		}},
		{"relay state value", "relay_states[0].value", func(sp *store.ServiceProvider) {
			sp.RelayStates = []store.RelayState{{ID: "a", Value: strings.Repeat("x", 81)}}
		}},
		{"two defaults", "default", func(sp *store.ServiceProvider) {
			sp.RelayStates = []store.RelayState{{ID: "a", Value: "x", Default: true}, {ID: "b", Value: "x", Default: true}}
		}},
		{"relay state in", "relay_state_in", func(sp *store.ServiceProvider) { sp.RelayStateIn = "cookie" }},
		{"group", "groups[0]", func(sp *store.ServiceProvider) { sp.Groups = []string{"staff"} }},
		{"certificate", "certificates[0]", func(sp *store.ServiceProvider) { sp.Certificates = [][]byte{{1}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			sp := plainSP()
			c.spoil(&sp)
			faults := idp.CheckProvider(sp, false)
			if len(faults) != 1 || !strings.Contains(faults[0].Error(), c.want) {
				t.Errorf("faults %v, want one about %s", faults, c.want)
			}
		})
	}
	sp := plainSP()
	sp.ACS[0].URL = "http://127.0.0.1:9/acs"
	if faults := idp.CheckProvider(sp, true); len(faults) > 0 {
		t.Errorf("loopback where allowed: %v", faults)
	}
	sp.ACS[0].URL, sp.SignAssertion, sp.SignResponse, sp.Kind = "ftp://x/", false, false, ""
	if faults := idp.CheckProvider(sp, false); len(faults) != 3 {
		t.Errorf("%d faults, want all three at once: %v", len(faults), faults)
	}
}

// TestPreview shows what a real Response then carries.
func TestPreview(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	e, err := f.directory.Read(context.Background(), "11111111-aaaa-4bbb-8ccc-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Preview(context.Background(), constantContact(), e, granted(provisioning.Question{Person: e}))
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	r := root(t, must[idp.Deliver](t, a, err))
	if got := find(t, r, "//NameID"); got.Text() != p.NameID || got.SelectAttrValue("Format", "") != p.NameIDFormat {
		t.Errorf("NameID %q, preview %+v", got.Text(), p)
	}
	for i, el := range r.FindElements("//Attribute") {
		if el.SelectAttrValue("Name", "") != p.Attributes[i].Name || el.FindElement("AttributeValue").Text() != p.Attributes[i].Values[0] {
			t.Errorf("attribute %d: preview %+v", i, p.Attributes[i])
		}
	}
	if _, err := f.Preview(context.Background(), constantContact(), directory.Entry{}, provisioning.Decision{}); err == nil {
		t.Error("preview of nobody")
	}
}
