package idp_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
)

var previewSources = map[string]string{"mail": "directory attribute rfc822Mailbox",
	"person_id": "directory attribute entryUUID"}

// TestPreviewAssertion: it is the assertion that a launch then sends, but for
// what marks it, and each value has its reason (RSP-13, RSP-14, SP-04).
func TestPreviewAssertion(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	e, err := f.directory.Read(ctx, "11111111-aaaa-4bbb-8ccc-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	for _, sp := range []store.ServiceProvider{constantContact(), plainSP()} {
		t.Run(sp.Name, func(t *testing.T) {
			before := len(f.events(t))
			x, err := f.PreviewAssertion(ctx, sp, e, granted(provisioning.Question{Person: e}), previewSources)
			if err != nil {
				t.Fatal(err)
			}
			if after := len(f.events(t)); after != before {
				t.Errorf("the preview left %d events", after-before)
			}
			a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: sp.EntityID}, v)
			d := must[idp.Deliver](t, a, err)
			real, shown := find(t, root(t, d), "./Assertion"), parse(t, []byte(x.XML))
			for _, path := range []string{"./Issuer", "./Subject/NameID", "./Conditions/AudienceRestriction/Audience",
				"./AuthnStatement/AuthnContext/AuthnContextClassRef"} {
				if got, want := find(t, shown, path).Text(), find(t, real, path).Text(); got != want {
					t.Errorf("%s %q, want %q", path, got, want)
				}
			}
			if got, want := find(t, shown, "//SubjectConfirmationData").SelectAttrValue("Recipient", ""),
				find(t, real, "//SubjectConfirmationData").SelectAttrValue("Recipient", ""); got != want {
				t.Errorf("Recipient %q, want %q", got, want)
			}
			wanted := real.FindElements("./AttributeStatement/Attribute")
			got := shown.FindElements("./AttributeStatement/Attribute")
			if len(got) != len(wanted) {
				t.Fatalf("%d attributes, want %d", len(got), len(wanted))
			}
			for i := range got {
				same := func(a, b etree.Attr) bool { return a.Key == b.Key && a.Value == b.Value }
				if !slices.EqualFunc(got[i].Attr, wanted[i].Attr, same) {
					t.Errorf("attribute %v, want %v", got[i].Attr, wanted[i].Attr)
				}
				for j, value := range wanted[i].ChildElements() {
					if text := got[i].ChildElements()[j].Text(); text != value.Text() {
						t.Errorf("value %q, want %q", text, value.Text())
					}
				}
			}
			if value := find(t, shown, "./Conditions").SelectAttrValue("NotOnOrAfter", ""); !isBefore(t, value,
				now.Now().Add(-23*time.Hour)) {
				t.Errorf("the preview is valid until %s", value)
			}
			if shown.SelectAttrValue("ID", "") != "_preview" || !strings.Contains(x.XML,
				"PREVIEW: not signed, not sent, not valid") || len(shown.FindElements("//Signature")) > 0 {
				t.Errorf("the preview is not marked:\n%s", x.XML)
			}
			values := map[string]idp.PreviewValue{}
			for _, value := range x.Values {
				if value.Why == "" {
					t.Errorf("%s has no reason", value.Name)
				}
				values[value.Name] = value
			}
			if got := values["form action"].Values; !slices.Equal(got, []string{d.Action}) {
				t.Errorf("form action %q, want %q", got, d.Action)
			}
			if d.RelayState != nil && !slices.Equal(values["RelayState"].Values, []string{*d.RelayState}) {
				t.Errorf("RelayState %q, want %q", values["RelayState"].Values, *d.RelayState)
			}
			if x.Signed != "assertion and Response, with key "+readKey(t, "rsa-2048").ID ||
				x.Encrypted != "no: encryption = off" || x.Refused != "" {
				t.Errorf("protection: %q, %q, %q", x.Signed, x.Encrypted, x.Refused)
			}
			if sp.Kind == store.ConstantContact {
				return
			}
			for name, want := range map[string]string{
				"NameID":           "setting name_id = {person_id}; {person_id} is directory attribute entryUUID",
				"mail":             "template {mail}; {mail} is directory attribute rfc822Mailbox",
				"urn:oid:2.5.4.11": "all values of directory attribute department",
				"Audience":         "its entity id",
			} {
				if got := values[name].Why; got != want {
					t.Errorf("%s because of %q, want %q", name, got, want)
				}
			}
			if len(x.Left) != 1 || x.Left[0].Name != "phone" || !strings.Contains(x.Left[0].Why,
				"{attr:telephoneNumber} is empty for this person") {
				t.Errorf("left out %+v", x.Left)
			}
		})
	}

	// As an assertion it is good for nothing.
	x, err := f.PreviewAssertion(ctx, plainSP(), e, granted(provisioning.Question{Person: e}), nil)
	if err != nil {
		t.Fatal(err)
	}
	response := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r" Version="2.0" IssueInstant="` +
		now.Now().Format(time.RFC3339) + `" Destination="` + plainACS + `">` +
		`<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + entityID +
		`</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` +
		x.XML + `</samlp:Response>`
	reader := peer(t, f, plain, plainACS)
	if _, err := reader.ParseXMLResponse([]byte(response), nil, reader.AcsURL); err == nil {
		t.Error("a service provider accepts a preview")
	}
}

// TestPreviewProtection: encryption is told, and what would refuse the sign-in.
func TestPreviewProtection(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	e, err := f.directory.Read(ctx, "11111111-aaaa-4bbb-8ccc-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	_, der := spKey(t)
	keyless := newFixture(t, "", nil)
	for _, c := range []struct {
		name               string
		in                 *fixture
		change             func(*store.ServiceProvider)
		encrypted, refused string
	}{
		{"encrypted", f, func(*store.ServiceProvider) {}, "by aes256-gcm, the key by rsa-oaep-mgf1p, for the certificate " +
			fingerprint(der), ""},
		{"none published", f, func(sp *store.ServiceProvider) { sp.Encryption, sp.EncryptionKeys = "if-published", nil },
			"no: encryption = if-published, and no key is published", ""},
		{"none, and required", f, func(sp *store.ServiceProvider) { sp.EncryptionKeys = nil },
			"it would have to be, and can't be", "holds no key for encryption"},
		{"unsigned", f, func(sp *store.ServiceProvider) { sp.SignAssertion, sp.SignResponse = false, false }, "",
			"neither assertion nor Response"},
		{"no key of ours", keyless, func(*store.ServiceProvider) {}, "", "no usable signing key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sp := encrypted(t, "required", aes256GCM)
			c.change(&sp)
			x, err := c.in.PreviewAssertion(ctx, sp, e, granted(provisioning.Question{Person: e}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.encrypted != "" && x.Encrypted != c.encrypted {
				t.Errorf("encrypted: %q, want %q", x.Encrypted, c.encrypted)
			}
			if (x.Refused == "") != (c.refused == "") || !strings.Contains(x.Refused, c.refused) {
				t.Errorf("refused: %q, want %q", x.Refused, c.refused)
			}
		})
	}

	// The four addresses, with a RelayState in the query (SP-04).
	sp := constantContact()
	sp.RelayStateIn, sp.Audience = "query", "urn:audience"
	x, err := f.PreviewAssertion(ctx, sp, e, granted(provisioning.Question{Person: e}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range x.Values {
		switch v.Name {
		case "form action":
			if !strings.HasPrefix(v.Values[0], ctctACS+"?RelayState=") || !strings.Contains(v.Why, "relay_state_in") {
				t.Errorf("form action %+v", v)
			}
		case "Recipient", "Destination":
			if v.Values[0] != ctctACS {
				t.Errorf("%+v", v)
			}
		case "Audience":
			if v.Why != "setting audience" {
				t.Errorf("%+v", v)
			}
		case "RelayState":
			t.Error("a RelayState as a field, too")
		}
	}

	// What makes no assertion is an error.
	for name, change := range map[string]func(*store.ServiceProvider){
		"template": func(sp *store.ServiceProvider) { sp.NameID = "{attr:none}" },
		"record":   func(sp *store.ServiceProvider) { sp.NameID = "{nonsense}" },
		"addresses": func(sp *store.ServiceProvider) {
			sp.ACS = []store.Endpoint{{URL: plainACS, Binding: saml.HTTPArtifactBinding}}
		},
	} {
		sp := plainSP()
		change(&sp)
		if _, err := f.PreviewAssertion(ctx, sp, e, granted(provisioning.Question{Person: e}), nil); err == nil ||
			!strings.Contains(err.Error(), plain) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func isBefore(t testing.TB, text string, limit time.Time) bool {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Before(limit)
}
