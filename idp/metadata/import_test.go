package metadata_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/store"
)

func readMetadata(data string, o metadata.ReadOptions) (metadata.Imported, error) {
	if o.Now.IsZero() {
		o.Now = start
	}
	return metadata.Read(strings.NewReader(data), o)
}

// TestMD04Import reads a service provider's metadata into a record (MD-04).
func TestMD04Import(t *testing.T) {
	im, err := readMetadata(readFile(t, "sp.xml"), metadata.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sp := im.Provider
	if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
		t.Errorf("faults of an imported record: %v", faults)
	}
	if sp.EntityID != "https://portal.example.test/saml" || sp.Name != "Example Portal" ||
		sp.Kind != store.PlainSAML || !sp.Enabled ||
		!sp.SignAssertion || !sp.SignResponse || sp.Lifetime != 5*time.Minute || sp.Skew != time.Minute ||
		sp.AuthnRequestsSigned {
		t.Errorf("record %+v", sp)
	}
	if len(sp.ACS) != 3 || sp.ACS[1].IsDefault == nil || !*sp.ACS[1].IsDefault || sp.ACS[2].Index != 7 ||
		sp.ACS[0].IsDefault != nil {
		t.Errorf("endpoints %+v", sp.ACS)
	}
	if want := [][]byte{readKey(t, "p-256").Certificate.Raw, readKey(t, "rsa-2048").Certificate.Raw}; !slices.EqualFunc(
		sp.Certificates, want, bytes.Equal) {
		t.Errorf("%d certificates, want the signing and the unmarked one (REQ-13)", len(sp.Certificates))
	}
	wantKeys := []store.EncryptionKey{
		{Certificate: readKey(t, "sp-rsa-2048").Certificate.Raw,
			Methods: []string{"http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"}},
		{Certificate: readKey(t, "rsa-2048").Certificate.Raw},
	}
	if diff := cmp.Diff(wantKeys, sp.EncryptionKeys); diff != "" {
		t.Errorf("encryption keys, want the marked and the unmarked one (RSP-12):\n%s", diff)
	}
	wantLogout := []store.LogoutEndpoint{{
		URL: "https://portal.example.test/slo", ResponseURL: "https://portal.example.test/slo/done",
		Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
	}}
	if diff := cmp.Diff(wantLogout, sp.Logout); diff != "" {
		t.Errorf("logout:\n%s", diff)
	}
	if sp.NameIDFormat != "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" || sp.NameID != "{mail}" {
		t.Errorf("NameID %s %s, want the first format that can be issued", sp.NameIDFormat, sp.NameID)
	}
	if len(sp.Groups) != 0 || len(sp.Attributes) != 0 {
		t.Error("an imported service provider is open, or gets attributes because it asks for them (RSP-13)")
	}
	if len(im.Requested) != 1 || im.Requested[0].FriendlyName != "mail" || !im.Requested[0].Required {
		t.Errorf("requested %+v", im.Requested)
	}
	if !im.ValidUntil.IsZero() || im.CacheDuration != 0 || im.Signed || im.Entities != 1 {
		t.Errorf("import %+v", im)
	}
	// What is kept can be read again.
	if again, err := metadata.Parse(sp.Metadata); err != nil || again.Name != sp.Name {
		t.Errorf("kept metadata: %v", err)
	}
}

// TestMD04Variants: what is accepted, and what it means (MD-04).
func TestMD04Variants(t *testing.T) {
	good := readFile(t, "sp.xml")
	role := "<md:SPSSODescriptor"
	for _, c := range []struct {
		name, old, new string
		check          func(metadata.Imported) bool
	}{
		{"byte order mark", good, "\ufeff" + good,
			func(im metadata.Imported) bool { return im.Provider.Name == "Example Portal" }},
		{"no declaration", `<?xml version="1.0" encoding="UTF-8"?>`, "",
			func(im metadata.Imported) bool { return im.Provider.Name == "Example Portal" }},
		{"signs its requests", role, role + ` AuthnRequestsSigned="1"`,
			func(im metadata.Imported) bool { return im.Provider.AuthnRequestsSigned }},
		{"valid for a day", role, role + ` validUntil="2027-01-06T10:00:00Z"`,
			func(im metadata.Imported) bool { return im.ValidUntil.Equal(start.Add(24 * time.Hour)) }},
		{"the earliest end counts", "<md:EntityDescriptor", `<md:EntityDescriptor validUntil="2027-01-05T12:00:00+01:00"`,
			func(im metadata.Imported) bool { return im.ValidUntil.Equal(start.Add(time.Hour)) }},
		{"kept for six hours", role, role + ` cacheDuration="PT6H"`,
			func(im metadata.Imported) bool { return im.CacheDuration == 6*time.Hour }},
		{"a role of SAML 1.1 beside it", role,
			`<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol"/>` + role,
			func(im metadata.Imported) bool { return len(im.Provider.ACS) == 3 }},
		{"a display name of its own",
			role + ` protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" WantAssertionsSigned="true">`,
			role + ` protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:Extensions><ui:UIInfo xmlns:ui="urn:oasis:names:tc:SAML:metadata:ui"><ui:DisplayName xml:lang="de">Pforte</ui:DisplayName><ui:DisplayName xml:lang="en">Gate</ui:DisplayName></ui:UIInfo></md:Extensions>`,
			func(im metadata.Imported) bool { return im.Provider.Name == "Gate" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			im, err := readMetadata(strings.Replace(good, c.old, c.new, 1), metadata.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(im) {
				t.Errorf("import %+v", im)
			}
		})
	}
	im, err := readMetadata(strings.Replace(good, "https://portal.example.test/acs\"", "http://127.0.0.1:8090/acs\"", 1),
		metadata.ReadOptions{AllowLoopbackHTTP: true})
	if err != nil || im.Provider.ACS[0].URL != "http://127.0.0.1:8090/acs" {
		t.Errorf("loopback under the development switch: %v", err)
	}
	old := strings.Replace(good, "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact",
		"urn:oasis:names:tc:SAML:1.0:profiles:artifact-01", 1)
	if im, err := readMetadata(old, metadata.ReadOptions{}); err != nil || len(im.Provider.ACS) != 2 ||
		len(im.Notes) != 1 || !strings.Contains(im.Notes[0], "passed over") {
		t.Errorf("an endpoint of SAML 1.1: %v, %+v", err, im.Notes)
	}
}

// TestMD04Refusals: files with one fault each, which is named with its line.
func TestMD04Refusals(t *testing.T) {
	good := readFile(t, "sp.xml")
	role := "<md:SPSSODescriptor"
	for _, c := range []struct {
		name, old, new, want string
		line                 int
	}{
		{"no XML", good, "hello", "text stands beside the root", 1},
		{"empty", good, "", "no root element", 0},
		{"HTML", good, "<html><body>not found</body></html>", `the root element is "html"`, 1},
		{"DTD", "<md:EntityDescriptor", "<!DOCTYPE x [<!ENTITY e 'x'>]><md:EntityDescriptor", "document type", 3},
		{"DTD that would fetch", "<md:EntityDescriptor", "<!DOCTYPE x SYSTEM 'https://evil.test/x.dtd'><md:EntityDescriptor",
			"document type", 3},
		{"unknown entity", "Example Portal", "&xxe;", "entity", 33},
		{"processing instruction", "<md:EntityDescriptor", "<?xml-stylesheet href='x'?><md:EntityDescriptor",
			"processing instruction", 3},
		{"other encoding", "UTF-8", "Shift_JIS", "encoding", 1},
		{"no UTF-8", "Example Portal", "\xff", "well-formed", 33},
		{"cut off", "</md:SPSSODescriptor>", "", "end tag", 36},
		{"ends in the middle", "</md:EntityDescriptor>", "", "in the middle", 37},
		{"two roots", "</md:EntityDescriptor>", "</md:EntityDescriptor><x/>", "two root", 36},
		{"text behind", "</md:EntityDescriptor>", "</md:EntityDescriptor>x", "text stands beside", 36},
		{"undeclared prefix", "<md:Organization>", "<md:Organization><evil:x/>", "prefix", 31},
		{"two colons", "<md:Organization>", "<md:Organization><md:a:b/>", "", 31},
		{"attribute twice", role, role + ` WantAssertionsSigned="true"`, "given twice", 4},
		{"ID twice", "<md:Organization>", `<md:Organization ID="a"><md:X ID="a"/>`, "one ID", 31},
		{"other root", good, `<md:Other xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"/>`, "not md:EntityDescriptor", 1},
		{"root of another namespace", `xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"`, `xmlns:md="urn:x"`,
			"not md:EntityDescriptor", 3},
		{"identity provider", "md:SPSSODescriptor", "md:IDPSSODescriptor", "identity provider", 3},
		{"no role", "md:SPSSODescriptor", "md:Other", "no md:SPSSODescriptor", 3},
		{"two roles", role, `<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>` + role,
			"a second", 4},
		{"no entityID", `entityID="https://portal.example.test/saml"`, "", "entityID", 3},
		{"SAML 1.1", "urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.1:protocol", "SAML 2.0", 4},
		{"no POST", "HTTP-POST", "HTTP-Artifact", "HTTP-POST", 4},
		{"javascript", "https://portal.example.test/acs\"", "javascript:alert(1)\"", "complete URL", 23},
		{"javascript with host", "https://portal.example.test/acs\"", "javascript://x/%0aalert(1)\"", "its scheme", 23},
		{"data", "https://portal.example.test/acs\"", "data:text/html,x\"", "complete URL", 23},
		{"javascript for logout", "https://portal.example.test/slo\"", "javascript:alert(1)\"", "md:SingleLogoutService", 18},
		{"javascript for logout responses", "https://portal.example.test/slo/done\"", "javascript:alert(1)\"",
			"ResponseLocation", 18},
		{"bad certificate", "</ds:X509Certificate>", "AAAA</ds:X509Certificate>", "certificate", 6},
		{"certificate with a comment", "</ds:X509Certificate>", "<!-- --></ds:X509Certificate>", "more than text", 6},
		{"expired", role, role + ` validUntil="2027-01-05T10:00:00Z"`, "valid until", 4},
		{"expired entity", "<md:EntityDescriptor", `<md:EntityDescriptor validUntil="2020-01-05T10:00:00Z"`,
			"valid until", 3},
		{"no time", role, role + ` validUntil="tomorrow"`, "no time", 4},
		{"no Location anywhere", ` Location="https://portal.example.test/a`, ` Place="https://portal.example.test/a`,
			"has no Location", 23},
		{"http everywhere", "https://portal.example.test/a", "http://portal.example.test/a", "in clear", 23},
		{"http on loopback without the switch", "https://portal.example.test/a", "http://127.0.0.1/a", "in clear", 23},
		{"bad boolean", role, role + ` AuthnRequestsSigned="yes"`, "AuthnRequestsSigned", 4},
		{"deep", "<md:Organization>", "<md:Organization>" + strings.Repeat("<md:a>", 40), "deeper", 31},
		{"many elements", "<md:Organization>", "<md:Organization>" + strings.Repeat("<md:a/>", 4000),
			"too many elements", 31},
		{"large entity", "Example Portal", strings.Repeat("<md:a>"+strings.Repeat("x", 200<<10)+"</md:a>", 3), "512 KiB", 0},
		{"large text", "Example Portal", strings.Repeat("x", 300<<10), "256 KiB", 0},
		{"many attributes", "<md:Organization>", "<md:Organization " + manyAttributes(200) + ">", "attributes", 31},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readMetadata(strings.ReplaceAll(good, c.old, c.new), metadata.ReadOptions{})
			var faults *metadata.Error
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one about %q", err, c.want)
			}
			if c.line != 0 && faults.Faults[0].Line != c.line {
				t.Errorf("line %d, want %d: %v", faults.Faults[0].Line, c.line, err)
			}
		})
	}
	// Faults come together, each with its line.
	bad := strings.Replace(good, "https://portal.example.test/acs\"", "javascript:alert(1)\"", 1)
	bad = strings.Replace(bad, role, role+` validUntil="tomorrow"`, 1)
	_, err := readMetadata(bad, metadata.ReadOptions{})
	if err == nil || !strings.Contains(err.Error(), "2 faults") || !strings.Contains(err.Error(), "line 4: validUntil") ||
		!strings.Contains(err.Error(), "line 23: md:Assertion") {
		t.Errorf("error %v, want both faults with the line of each", err)
	}
}

// TestMD04PassedOver (REAL-23): a part that is not needed is no reason to refuse the rest. The note names its line.
func TestMD04PassedOver(t *testing.T) {
	good, role := readFile(t, "sp.xml"), "<md:SPSSODescriptor"
	whole, err := readMetadata(good, metadata.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, old, new, want string
		acs, keys            int // that are left
	}{
		{"no Location", `Location="https://portal.example.test/acs"`, "", "line 23: passed over: md:Asser", 2, 2},
		{"http", "https://portal.example.test/acs\"", "http://portal.example.test/acs\"", "line 23: passed over", 2, 2},
		{"http on loopback without the switch", "https://portal.example.test/acs\"", "http://127.0.0.1/acs\"", "in clear", 2,
			2},
		{"no address", "https://portal.example.test/acs\"", "/acs\"", "not a complete URL", 2, 2},
		{"no index", `index="7"`, `index="x"`, `line 25: an assertion consumer service has no index of its own ("x"); it is ` +
			`given 2`, 3, 2},
		{"index twice", `index="7"`, `index="0"`, "given 2", 3, 2},
		{"index beyond all", `index="7"`, `index="70000"`, "given 2", 3, 2},
		{"bad boolean", `isDefault="true"`, `isDefault="yes"`, "line 24: passed over isDefault", 3, 2},
		{"unknown use", `use="signing"`, `use="signed"`, `line 5: passed over a key whose use is "signed"`, 3, 1},
		{"no duration", role, role + ` cacheDuration="6h"`, "line 4: passed over cacheDuration", 3, 2},
		{"negative duration", role, role + ` cacheDuration="-PT6H"`, "line 4: passed over cacheDuration", 3, 2},
		{"logout in clear", "https://portal.example.test/slo\"", "http://portal.example.test/slo\"", "line 18: passed over", 3,
			2},
		{"an attribute", `isRequired="true"`, `isRequired="perhaps"`, "passed over isRequired", 3, 2},
		// A key without a certificate beside one that has one (RSP-12).
		{"an empty key", `<md:KeyDescriptor use="encryption">`,
			`<md:KeyDescriptor use="encryption"/><md:KeyDescriptor use="encryption">`,
			"line 10: passed over: md:KeyDescriptor holds no certificate", 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			im, err := readMetadata(strings.Replace(good, c.old, c.new, 1), metadata.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(im.Notes, func(n string) bool { return strings.Contains(n, c.want) }) {
				t.Errorf("notes %q, want one about %q", im.Notes, c.want)
			}
			sp := im.Provider
			if len(sp.ACS) != c.acs || len(sp.Certificates) != c.keys || sp.Name != whole.Provider.Name {
				t.Errorf("%d addresses and %d keys of %s, want %d and %d", len(sp.ACS), len(sp.Certificates), sp.Name, c.acs,
					c.keys)
			}
			if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
				t.Errorf("the record can't be used: %v", faults)
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(` a` + strings.Repeat("b", i) + `=""`)
	}
	return b.String()
}

// TestMD05Replacing: metadata takes the place of a hand-made record and leaves
// what an admin has set.
func TestMD05Replacing(t *testing.T) {
	im, err := readMetadata(strings.ReplaceAll(readFile(t, "sp.xml"), "https://portal.example.test/saml", ctct),
		metadata.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	old := constantContact()
	old.FormAction, old.Audience = ctctACS+"?x=1", "https://audience.example.test/"
	sp, notes := im.Replacing(old)
	want := old
	want.ACS, want.Certificates, want.EncryptionKeys, want.Logout = im.Provider.ACS, im.Provider.Certificates,
		im.Provider.EncryptionKeys, im.Provider.Logout
	want.Metadata, want.FormAction = im.Provider.Metadata, ""
	if diff := cmp.Diff(want, sp); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "form_action") {
		t.Errorf("notes %v", notes)
	}
	if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
		t.Error(faults)
	}
	// The same address: its overrides stay. The name follows where it came from metadata.
	again := im
	again.Provider.Name = "New Portal"
	sp.FormAction, sp.Name = "https://portal.example.test/acs/main?y=1", "Example Portal"
	if sp, notes = again.Replacing(sp); sp.FormAction == "" || len(notes) != 0 || sp.Name != "New Portal" {
		t.Errorf("record %+v, notes %v", sp, notes)
	}
	sp.Name = "As we call it"
	if sp, _ = again.Replacing(sp); sp.Name != "As we call it" {
		t.Errorf("name %q: the admin's is lost", sp.Name)
	}
}

// TestDifferences: what a refresh may not take by itself.
func TestDifferences(t *testing.T) {
	yes := true
	for _, c := range []struct {
		name     string
		change   func(*store.ServiceProvider)
		want     string // of the first line
		approval bool
	}{
		{"nothing", func(*store.ServiceProvider) {}, "", false},
		{"name", func(sp *store.ServiceProvider) { sp.Name = "Other" }, "~ name Wiki → Other", false},
		{"new address", func(sp *store.ServiceProvider) {
			sp.ACS = append(slices.Clone(sp.ACS), store.Endpoint{URL: "https://evil.test/acs",
				Binding: sp.ACS[0].Binding, Index: 9})
		}, "+ acs https://evil.test/acs (HTTP-POST, index 9)", true},
		{"address gone", func(sp *store.ServiceProvider) { sp.ACS = sp.ACS[:2] },
			"- acs https://wiki.partner.test/artifact", true},
		{"other default", func(sp *store.ServiceProvider) { sp.ACS = slices.Clone(sp.ACS); sp.ACS[1].IsDefault = &yes },
			"- acs", true},
		{"other order", func(sp *store.ServiceProvider) {
			sp.ACS = slices.Clone(sp.ACS)
			sp.ACS[0], sp.ACS[1] = sp.ACS[1], sp.ACS[0]
		}, "~ default acs " + plainACS + " → " + plainACS2, true},
		{"new key", func(sp *store.ServiceProvider) { sp.Certificates = [][]byte{readKey(t, "p-256").Certificate.Raw} },
			`+ certificate "idp test P-256"`, true},
		{"new encryption key", func(sp *store.ServiceProvider) {
			sp.EncryptionKeys = []store.EncryptionKey{{Certificate: readKey(t, "rsa-2048").Certificate.Raw}}
		}, "+ encryption_key", true},
		{"logout", func(sp *store.ServiceProvider) { sp.Logout = []store.LogoutEndpoint{{URL: "https://x.test/"}} },
			"+ logout https://x.test/", true},
		{"signs from now on", func(sp *store.ServiceProvider) { sp.AuthnRequestsSigned = true },
			"~ authn_requests_signed false → true", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := plainSP()
			c.change(&after)
			all := metadata.Differences(plainSP(), after)
			approval := slices.ContainsFunc(all, func(d metadata.Difference) bool { return d.Approval })
			if c.want == "" && len(all) > 0 || c.want != "" && (len(all) == 0 || !strings.HasPrefix(all[0].String(), c.want)) ||
				approval != c.approval {
				t.Errorf("differences %v, approval %t; want %q, %t", all, approval, c.want, c.approval)
			}
		})
	}
	was := plainSP()
	was.AuthnRequestsSigned = true
	if all := metadata.Differences(was, plainSP()); len(all) != 1 || !all[0].Approval {
		t.Errorf("no longer signing needs no approval: %v", all)
	}
}
