package idp_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/internal/testkind"
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
	if len(role.SingleSignOnServices) != 2 || len(role.SingleLogoutServices) != 0 ||
		len(role.ArtifactResolutionServices) != 0 {
		t.Errorf("endpoints %+v", role)
	}
	for _, forbidden := range []string{"validUntil", "cacheDuration", "Logout", `use="encryption"`} {
		if strings.Contains(string(data), forbidden) {
			t.Errorf("metadata has %s", forbidden)
		}
	}
	if len(role.NameIDFormats) != 0 {
		t.Errorf("formats %v", role.NameIDFormats)
	}

	// A second key appears, the newest first.
	now.Advance(time.Hour)
	f.addKey(t, "p-256")
	if data, err = f.Metadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	if d, err = parseIDP(data); err != nil {
		t.Fatal(err)
	}
	role = d.IDPSSODescriptors[0]
	if len(role.KeyDescriptors) != 2 {
		t.Fatalf("%d keys", len(role.KeyDescriptors))
	}
	if got := strings.TrimSpace(
		role.KeyDescriptors[0].KeyInfo.X509Data.X509Certificates[0].Data); got != base64.StdEncoding.EncodeToString(readKey(t,
		"p-256").Certificate.Raw) {
		t.Error("the newest key is not the first")
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
		{"javascript with host", "acs[0].url",
			func(sp *store.ServiceProvider) { sp.ACS[0].URL = "javascript://x/%0aalert(1)" }},
		{"data", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "data:text/html,x" }},
		{"relative", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "/acs" }},
		{"no host", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "https:///acs" }},
		{"user", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = "https://a:b@wiki.partner.test/acs" }},
		{"fragment", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = plainACS + "#x" }},
		{"backslash", "acs[0].url",
			func(sp *store.ServiceProvider) { sp.ACS[0].URL = `https://evil.test\@wiki.partner.test/acs` }},
		{"line end", "acs[0].url", func(sp *store.ServiceProvider) { sp.ACS[0].URL = plainACS + "\n" }},
		{"binding", "acs[0].binding", func(sp *store.ServiceProvider) { sp.ACS[0].Binding = "POST" }},
		{"index", "acs[1].index", func(sp *store.ServiceProvider) { sp.ACS[1].Index = 0 }},
		{"form action", "form_action", func(sp *store.ServiceProvider) { sp.FormAction = "javascript:x" }},
		{"destination", "destination", func(sp *store.ServiceProvider) { sp.Destination = "x" }},
		{"recipient", "recipient", func(sp *store.ServiceProvider) { sp.Recipient = "http://a.test/" }},
		{"audience", "audience", func(sp *store.ServiceProvider) { sp.Audience = "a b" }},
		{"no format", "name_id_format", func(sp *store.ServiceProvider) { sp.NameIDFormat = "" }},
		{"transient at Constant Contact", "name_id_format", func(sp *store.ServiceProvider) {
			sp.Kind, sp.NameIDFormat = store.ConstantContact, "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
		}},
		{"encrypted", "name_id_format", func(sp *store.ServiceProvider) {
			sp.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"
		}},
		{"no NameID", "name_id", func(sp *store.ServiceProvider) { sp.NameID = "" }},
		{"bad template", "name_id", func(sp *store.ServiceProvider) { sp.NameID = "{nonsense}" }},
		{"template of Constant Contact", "{external_id}", func(sp *store.ServiceProvider) { sp.NameID = "{external_id}" }},
		{"attribute name", "attributes[1].name", func(sp *store.ServiceProvider) { sp.Attributes[1].Name = "" }},
		{"attribute format", "attributes[1].name_format",
			func(sp *store.ServiceProvider) { sp.Attributes[1].NameFormat = "" }},
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
		if el.SelectAttrValue("Name", "") != p.Attributes[i].Name ||
			el.FindElement("AttributeValue").Text() != p.Attributes[i].Values[0] {
			t.Errorf("attribute %d: preview %+v", i, p.Attributes[i])
		}
	}
	if _, err := f.Preview(context.Background(), constantContact(), directory.Entry{},
		provisioning.Decision{}); err == nil {
		t.Error("preview of nobody")
	}
}

// TestMD02Published: who runs it, whom to ask, where to send people, and what is
// really enforced (MD-02); a copy that is served may have an end (MD-03).
func TestMD02Published(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) {
		o.Published = metadata.Published{
			Organization: metadata.Organization{Name: "Example <Ltd>", DisplayName: "Example"},
			Technical:    metadata.Contact{Name: "Identity team", Mail: "sso@example.test"},
			Support:      metadata.Contact{Mail: "help@example.test"},
			Scopes:       []string{"example.test", "students.example.test"},
			ErrorURL:     "https://help.example.test/?a=1&b=2", ValidFor: 14 * 24 * time.Hour,
		}
	})
	ctx := context.Background()
	data, err := f.Metadata(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := parse(t, data)
	for path, want := range map[string]string{
		"./Organization/OrganizationName": "Example <Ltd>", "./Organization/OrganizationDisplayName": "Example",
		"./Organization/OrganizationURL":                         publicURL + "/",
		"./ContactPerson[@contactType='technical']/EmailAddress": "mailto:sso@example.test",
		"./ContactPerson[@contactType='technical']/GivenName":    "Identity team",
		"./ContactPerson[@contactType='support']/EmailAddress":   "mailto:help@example.test",
	} {
		if el := r.FindElement(path); el == nil || el.Text() != want {
			t.Errorf("%s: %v, want %q", path, el, want)
		}
	}
	role := r.FindElement("./IDPSSODescriptor")
	var scopes []string
	for _, scope := range role.FindElements("./Extensions/Scope") {
		if scope.NamespaceURI() != "urn:mace:shibboleth:metadata:1.0" || scope.SelectAttrValue("regexp", "") != "false" {
			t.Errorf("scope %q: namespace %q, regexp %q", scope.Text(), scope.NamespaceURI(),
				scope.SelectAttrValue("regexp", ""))
		}
		scopes = append(scopes, scope.Text())
	}
	if !slices.Equal(scopes, []string{"example.test", "students.example.test"}) {
		t.Errorf("scopes %q", scopes)
	}
	if got := role.SelectAttrValue("errorURL", ""); got != "https://help.example.test/?a=1&b=2" {
		t.Errorf("errorURL %q", got)
	}
	if got := r.SelectAttrValue("validUntil", ""); got != "2027-01-19T10:00:00Z" {
		t.Errorf("validUntil %q", got)
	}
	if r.FindElement("//Signature") != nil || r.SelectAttr("ID") != nil {
		t.Error("signed without a key for it")
	}
	file, err := f.MetadataFile(ctx, "", false)
	if err != nil || strings.Contains(string(file), "validUntil") {
		t.Errorf("the copy to hand over has an end (MD-03): %v", err)
	}
	if _, err := f.MetadataFile(ctx, "", true); !errors.Is(err, metadata.ErrNoKey) {
		t.Errorf("signed copy without a key: %v", err)
	}
	now.Advance(90 * time.Minute)
	if data, err = f.Metadata(ctx); err != nil || parse(t, data).SelectAttrValue("validUntil",
		"") != "2027-01-19T11:00:00Z" {
		t.Errorf("validUntil does not move on: %v", err)
	}

	wants := func(entityID string) string {
		t.Helper()
		data, err := f.Metadata(ctx)
		if entityID != "" {
			data, err = f.MetadataFor(ctx, entityID)
		}
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, data).FindElement("./IDPSSODescriptor").SelectAttrValue("WantAuthnRequestsSigned", "")
	}
	sp, cc := plainSP(), constantContact()
	sp.RequestSignatures = "required"
	f.put(t, sp)
	if common, its, other := wants(""), wants(plain), wants(ctct); common != "false" || its != "true" || other != "false" {
		t.Errorf("WantAuthnRequestsSigned %s, %s where one must sign, %s where not", common, its, other)
	}
	cc.AuthnRequestsSigned = true
	f.put(t, cc)
	if common, its := wants(""), wants(ctct); common != "false" || its != "true" {
		t.Errorf("WantAuthnRequestsSigned %s, and %s where unsigned ones are refused", common, its)
	}
}

// TestREAL03 (REAL-03): what we publish does not change with the service providers that are registered, and whatever is
// published for one of them is honoured.
func TestREAL03(t *testing.T) {
	now.Set(start)
	f := newFixture(t, "rsa-2048", nil)
	ctx := context.Background()
	before, err := f.Metadata(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mail := plainSP()
	mail.EntityID, mail.NameID = "https://mail.partner.test", "{mail}"
	mail.NameIDFormat = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	f.put(t, mail)
	once := plainSP()
	once.EntityID, once.NameIDFormat = "https://once.partner.test", "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	once.RequestSignatures = "if-present"
	f.put(t, once)
	if after, err := f.Metadata(ctx); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the metadata of all has changed with the service providers, %v:\n%s", err, after)
	}
	v := f.signIn(t, "alice", "correct horse")
	for entityID, want := range map[string][]string{
		ctct: {"persistent"}, plain: {"persistent", "transient"}, mail.EntityID: {"emailAddress", "transient"},
		once.EntityID: {"transient"},
	} {
		served, err := f.MetadataFor(ctx, entityID)
		if err != nil {
			t.Fatal(err)
		}
		file, err := f.MetadataFile(ctx, entityID, false)
		if err != nil || !bytes.Equal(served, file) {
			t.Errorf("%s: the copy differs, %v", entityID, err)
		}
		d, err := parseIDP(served)
		if err != nil || d.EntityID != "https://sso.partner.test/saml/" {
			t.Fatalf("%s: %+v, %v", entityID, d, err)
		}
		var got []string
		for _, format := range d.IDPSSODescriptors[0].NameIDFormats {
			uri := string(format)
			got = append(got, uri[strings.LastIndexByte(uri, ':')+1:])
			r := newRequest(entityID)
			r.inner = `<samlp:NameIDPolicy Format="` + uri + `"/>`
			a, err := f.Resume(ctx, f.request(t, r, v), v)
			name := find(t, root(t, must[idp.Deliver](t, a, err)), "./Assertion/Subject/NameID")
			if name.SelectAttrValue("Format", "") != uri {
				t.Errorf("%s: %s is published and %s is given", entityID, uri, name.SelectAttrValue("Format", ""))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", entityID, got, want)
		}
	}
	for _, make := range []func() ([]byte, error){
		func() ([]byte, error) { return f.MetadataFor(ctx, "https://nobody.test") },
		func() ([]byte, error) { return f.MetadataFile(ctx, "https://nobody.test", false) },
	} {
		if _, err := make(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
	}
}

// TestREAL07 (REAL-07): what metadata names as algorithms is what is verified, SHA-256 first, and never SHA-1.
func TestREAL07(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	data, err := f.Metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	role := parse(t, data).FindElement("./IDPSSODescriptor")
	if first := role.ChildElements()[0]; first.Tag != "Extensions" {
		t.Errorf("the role begins with %s; its Extensions come first (saml-metadata 2.4.1)", first.Tag)
	}
	for path, want := range map[string][]string{
		"./Extensions/SigningMethod": {"rsa-sha256", "rsa-sha384", "rsa-sha512", "ecdsa-sha256",
			"ecdsa-sha384", "ecdsa-sha512"},
		"./Extensions/DigestMethod":        {"sha256", "sha384", "sha512"},
		"./KeyDescriptor/EncryptionMethod": {"aes128-gcm", "aes256-gcm", "rsa-oaep-mgf1p", "rsa-oaep"},
	} {
		var got []string
		for _, el := range role.FindElements(path) {
			uri := el.SelectAttrValue("Algorithm", "")
			got = append(got, uri[strings.LastIndexByte(uri, '#')+1:])
			if path == "./Extensions/SigningMethod" &&
				el.NamespaceURI() != "urn:oasis:names:tc:SAML:metadata:algsupport" {
				t.Errorf("%s stands in %s", el.Tag, el.NamespaceURI())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// TestMD02Signature: metadata is signed by a key of its own, and a service
// provider's software verifies it.
func TestMD02Signature(t *testing.T) {
	for _, name := range []string{"rsa-2048", "p-256", "p-384"} {
		f := newFixture(t, "sp-rsa", func(o *idp.Options) {
			o.Published.ValidFor = 14 * 24 * time.Hour
			o.Published.Organization.Name = "Example & <Ltd>"
		})
		f.addMetadataKey(t, name)
		key := readKey(t, name)
		for kind, make := range map[string]func() ([]byte, error){
			"served": func() ([]byte, error) { return f.Metadata(context.Background()) },
			"copy":   func() ([]byte, error) { return f.MetadataFile(context.Background(), "", true) },
		} {
			data, err := make()
			if err != nil {
				t.Fatalf("%s %s: %v", name, kind, err)
			}
			r := parse(t, data)
			if first := r.ChildElements()[0]; first.Tag != "Signature" || len(r.FindElements("//Signature")) != 1 {
				t.Errorf("%s %s: the signature is not the first element (saml-metadata 2.3.2)", name, kind)
			}
			for _, el := range r.FindElements("./IDPSSODescriptor/KeyDescriptor//X509Certificate") {
				if strings.TrimSpace(el.Text()) == base64.StdEncoding.EncodeToString(key.Certificate.Raw) {
					t.Errorf("%s %s: the key for metadata is published for sign-ins", name, kind)
				}
			}
			// Our own reader of streams, and xmlsec1 where it is installed. It is no SP: it says so only
			// after the signature was found good.
			_, err = metadata.Read(bytes.NewReader(data), metadata.ReadOptions{TrustKey: key.Certificate, Now: start})
			if err == nil || !strings.Contains(err.Error(), "identity provider") {
				t.Errorf("%s %s: %v", name, kind, err)
			}
			tampered := bytes.Replace(data, []byte("/saml/sso"), []byte("/saml/sso2"), 1)
			if _, err = metadata.Read(bytes.NewReader(tampered), metadata.ReadOptions{TrustKey: key.Certificate,
				Now: start}); err == nil || !strings.Contains(err.Error(), "not what was signed") {
				t.Errorf("%s %s tampered: %v", name, kind, err)
			}
			xmlsecVerifies(t, data, key)
		}
	}
}

// xmlsecVerifies has xmlsec1 check a signed EntityDescriptor.
func xmlsecVerifies(t *testing.T, data []byte, key *certs.Key) {
	t.Helper()
	testkind.Starts(t, "xmlsec1")
	program, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Log("xmlsec1 is not installed: not verified by it")
		return
	}
	folder := t.TempDir()
	document, public := filepath.Join(folder, "metadata.xml"), filepath.Join(folder, "key.pem")
	if err := os.WriteFile(document, data, 0o600); err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Certificate.Raw})
	if err := os.WriteFile(public, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "--verify", "--pubkey-cert-pem", public, "--id-attr:ID",
		"urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", document).CombinedOutput()
	if err != nil {
		t.Errorf("xmlsec1: %v\n%s", err, out)
	}
}

func (f *fixture) addMetadataKey(t *testing.T, name string) {
	t.Helper()
	key := readKey(t, name)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := f.sealer.Seal(pkcs8, "signing-key:"+key.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = f.db.Keys().Add(context.Background(), store.SigningKey{
		ID: key.ID, Use: "metadata", State: "active", Algorithm: string(key.Algorithm),
		Certificate: key.Certificate.Raw, Private: sealed, CreatedAt: now.Now(),
	}, store.Event{Action: "key-add", Outcome: "ok"})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMD04Expired: metadata that ended serves no sign-in, whichever way it begins.
func TestMD04Expired(t *testing.T) {
	f := newFixture(t, "p-256", nil)
	ctx := context.Background()
	sp := plainSP()
	sp.Source = &store.Source{ValidUntil: start.Add(time.Hour)}
	f.put(t, sp)
	cc := constantContact()
	cc.Source = &store.Source{ValidUntil: start.Add(time.Hour)}
	f.put(t, cc)
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	must[idp.Deliver](t, a, err)
	waiting := f.request(t, newRequest(plain), visitor("other"))

	now.Advance(time.Hour)
	refused := func(what string, a idp.Answer, err error) {
		t.Helper()
		if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonMetadataExpired || r.Status != http.StatusForbidden {
			t.Errorf("%s: refusal %+v", what, r)
		}
	}
	a, err = f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
	refused("launch", a, err)
	a, err = f.Launch(ctx, idp.LaunchRequest{}, v)
	refused("launch to Constant Contact", a, err)
	a, err = f.SSO(ctx, byRedirect(t, newRequest(plain).xml()), v)
	refused("request", a, err)
	now.Set(start.Add(time.Hour - time.Second))
	now.Advance(time.Second)
	a, err = f.Resume(ctx, waiting, visitor("other"))
	if r, ok := a.Page.(idp.Refusal); err != nil || !ok {
		t.Errorf("a pending sign-in goes on: %T %v %v", a.Page, r, err)
	}
	if !strings.Contains(f.log.String(), "was valid until 2027-01-05T11:00:00Z") {
		t.Error("the log does not tell until when")
	}
}
