package sandbox_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/partnerapi/sandbox"
)

// SP-02 to SP-08, and what a signature must be worth.
func TestRefusals(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	conditions := func(m *message) *saml.Conditions { return m.assertion.Conditions }
	confirmation := func(m *message) *saml.SubjectConfirmationData {
		return m.assertion.Subject.SubjectConfirmations[0].SubjectConfirmationData
	}
	tests := []struct {
		name   string
		change func(t *testing.T, s *sandbox.Sandbox, m *message)
		reason string
		both   bool // the lenient profile refuses it too
	}{
		{"issuer with a slash (SP-02)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.response.Issuer.Value += "/"
			m.assertion.Issuer.Value += "/"
		}, "issuer", true},
		{"assertion's issuer", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.assertion.Issuer.Value += "/" },
			"issuer", true},
		{"no issuer", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.after = func(r *etree.Element) { r.RemoveChild(r.ChildElements()[0]) }
		}, "issuer", true},
		{"ACS as audience (SP-03)", func(_ *testing.T, s *sandbox.Sandbox, m *message) {
			conditions(m).AudienceRestrictions[0].Audience.Value = s.ACS()
		}, "audience", true},
		{"no audience", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { conditions(m).AudienceRestrictions = nil },
			"audience", true},
		{"a second, other audience", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			conditions(m).AudienceRestrictions = append(conditions(m).AudienceRestrictions,
				saml.AudienceRestriction{Audience: saml.Audience{Value: "other"}})
		}, "audience", true},
		{"no conditions", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.assertion.Conditions = nil },
			"audience", true},
		{"destination with query (SP-04)", func(_ *testing.T, s *sandbox.Sandbox, m *message) {
			m.response.Destination = s.ACS() + "?RelayState=x"
		}, "destination", true},
		{"no destination", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.response.Destination = "" },
			"destination", true},
		{"recipient with query (SP-04)", func(_ *testing.T, s *sandbox.Sandbox, m *message) {
			confirmation(m).Recipient = s.ACS() + "?RelayState=x"
		}, "recipient", true},
		{"no AuthnStatement (SP-05)", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.AuthnStatements = nil
		}, "authn_statement", true},
		{"no context class", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.AuthnStatements[0].AuthnContext.AuthnContextClassRef = nil
		}, "authn_statement", true},
		{"AuthnInstant in the future", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.AuthnStatements[0].AuthnInstant = time.Now().Add(time.Hour)
		}, "authn_statement", true},
		{"session over", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			over := time.Now().Add(-time.Hour)
			m.assertion.AuthnStatements[0].SessionNotOnOrAfter = &over
		}, "time", true},
		{"answer to a request never sent (SP-06)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.response.InResponseTo, confirmation(m).InResponseTo = "id-1", "id-1"
		}, "in_response_to", true},
		{"InResponseTo on the confirmation alone", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			confirmation(m).InResponseTo = "id-1"
		}, "in_response_to", true},
		{"ended 70 s ago (SP-08)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			conditions(m).NotOnOrAfter = time.Now().Add(-70 * time.Second)
		}, "time", false},
		{"confirmation ended 70 s ago (SP-08)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			confirmation(m).NotOnOrAfter = time.Now().Add(-70 * time.Second)
		}, "time", false},
		{"valid in 70 s (SP-08)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			conditions(m).NotBefore = time.Now().Add(70 * time.Second)
		}, "time", false},
		{"issued in 70 s (SP-08)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.response.IssueInstant = time.Now().Add(70 * time.Second)
		}, "time", false},
		{"assertion issued in 70 s (SP-08)", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.IssueInstant = time.Now().Add(70 * time.Second)
		}, "time", false},
		{"ended 4 min ago", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			conditions(m).NotOnOrAfter = time.Now().Add(-4 * time.Minute)
		}, "time", true},
		{"issued 2 min ago", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.response.IssueInstant = time.Now().Add(-2 * time.Minute)
		}, "library", true},
		{"no end of the confirmation", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			confirmation(m).NotOnOrAfter = time.Time{}
		}, "confirmation", true},
		{"begin of the confirmation", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			confirmation(m).NotBefore = time.Now()
		}, "confirmation", true},
		{"no confirmation", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.Subject.SubjectConfirmations = nil
		}, "confirmation", true},
		{"confirmation without data", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.Subject.SubjectConfirmations[0].SubjectConfirmationData = nil
		}, "confirmation", true},
		{"confirmation by key", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.Subject.SubjectConfirmations[0].Method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
		}, "confirmation", true},
		{"no subject", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.assertion.Subject = nil }, "name_id", true},
		{"transient NameID", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.Subject.NameID.Format = string(saml.TransientNameIDFormat)
		}, "name_id", true},
		{"unspecified NameID", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion.Subject.NameID.Format = string(saml.UnspecifiedNameIDFormat)
		}, "name_id", false},
		{"unknown user", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.Subject.NameID.Value = "<b>nobody"
		}, "unknown_user", true},
		{"external id in capitals", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.Subject.NameID.Value = "ZOE-1"
		}, "unknown_user", true},
		{"external id with a space", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.Subject.NameID.Value = "zoe-1 "
		}, "unknown_user", true},
		{"another partner's user", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.Subject.NameID.Value = "other-1"
		}, "unknown_user", true},
		{"login name for external id", func(_ *testing.T, _ *sandbox.Sandbox,
			m *message) {
			m.assertion.Subject.NameID.Value = "zoe-login"
		}, "unknown_user", true},

		{"Response not signed", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.plainResponse = true },
			"unsigned", false},
		{"nothing signed", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.plainResponse, m.plainAs = true, true },
			"unsigned", true},
		{"SHA-1", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			p := newProvider(t, weak)
			p.method = dsig.RSASHA1SignatureMethod
			m.signer = p
		}, "signature", true},
		{"another key", func(t *testing.T, _ *sandbox.Sandbox, m *message) { m.signer = newProvider(t, nil) },
			"signature", true},
		{"tampered NameID", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.text = func(s string) string { return strings.ReplaceAll(s, ">zoe-1<", ">zoe-2<") }
		}, "signature", true},
		{"tampered only in the assertion's signature", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.plainAs = true
			m.before = func(_, a *etree.Element) {
				m.signer.sign(t, a)
				a.FindElement("./Subject/NameID").SetText("zoe-2")
			}
		}, "signature", true},
		{"comment in the signed NameID", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.text = func(s string) string { return strings.ReplaceAll(s, ">zoe-1<", ">zoe<!-- -->-1<") }
		}, "", true},
		{"two assertions", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.before = func(r, a *etree.Element) {
				second := a.Copy()
				second.CreateAttr("ID", "id-second")
				r.AddChild(second)
			}
		}, "malformed", true},
		{"assertion wrapped elsewhere", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.after = func(r *etree.Element) {
				a := r.FindElement("./Assertion")
				box := r.CreateElement("Extensions")
				box.AddChild(a.Copy())
				a.FindElement("./Subject/NameID").SetText("zoe-2")
				a.CreateAttr("ID", "id-wrapped")
			}
		}, "malformed", true},
		{"ID twice", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.assertion.ID = m.response.ID },
			"malformed", true},
		{"ds:Object", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.after = func(r *etree.Element) { r.FindElement("./Signature").CreateElement("ds:Object") }
		}, "malformed", true},
		{"encrypted", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.assertion = nil
			m.before = func(r, _ *etree.Element) { r.CreateElement("saml:EncryptedAssertion") }
		}, "malformed", true},
		{"no assertion", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.assertion = nil }, "malformed", true},
		{"Version 1.1", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.response.Version = "1.1" }, "malformed", true},
		{"a request", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.text = func(string) string {
				return `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>`
			}
		}, "malformed", true},
		{"no XML", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.text = func(string) string { return "hello" } },
			"malformed", true},
		{"empty", func(_ *testing.T, _ *sandbox.Sandbox, m *message) { m.text = func(string) string { return "" } },
			"malformed", true},
		{"DTD", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.text = func(s string) string {
				return `<!DOCTYPE x [<!ENTITY e "zoe-1">]>` + strings.ReplaceAll(s, ">zoe-1<", ">&e;<")
			}
		}, "malformed", true},
		{"deep", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.text = func(s string) string {
				return strings.Replace(s, "<samlp:Status>", strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100)+
					"<samlp:Status>", 1)
			}
		}, "malformed", true},
		{"RelayState twice", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.field["RelayState"] = []string{"a",
				"b"}
		}, "malformed", true},
		{"RelayState without end", func(_ *testing.T, _ *sandbox.Sandbox, m *message) {
			m.field["RelayState"] = []string{strings.Repeat("a", 3000)}
		}, "malformed", true},
	}
	for _, profile := range []sandbox.Profile{sandbox.OktaStrict, sandbox.Lenient} {
		t.Run(string(profile), func(t *testing.T) {
			s, p := signedUp(t, func(o *sandbox.Options) { o.Profile = profile })
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					refusals, logins := len(s.Refusals()), len(s.Logins())
					m := p.response(s, "zoe-1", time.Now())
					tt.change(t, s, m)
					resp, page := deliver(t, browser(t), s.ACS(), m.seal(t), m.field)
					if tt.reason == "" || (profile == sandbox.Lenient && !tt.both) {
						if resp.Request.URL.Path != sandbox.LandingPath || len(s.Logins()) != logins+1 {
							t.Fatalf("refused: %+v", s.Refusals()[refusals:])
						}
						if got := element(t, page, "name-id"); got != "zoe-1" {
							t.Errorf("signed in as %q", got)
						}
						return
					}
					if len(s.Logins()) != logins {
						t.Fatalf("signed in: %+v", s.Logins()[logins:])
					}
					if resp.StatusCode != http.StatusForbidden || len(s.Refusals()) != refusals+1 {
						t.Fatalf("got status %d with %d refusals", resp.StatusCode, len(s.Refusals())-refusals)
					}
					if got := s.Refusals()[refusals]; got.Reason != tt.reason || element(t, page, "reason") != tt.reason ||
						element(t, page, "detail") != got.Detail {
						t.Errorf("got %+v, want reason %s", got, tt.reason)
					}
					if strings.Contains(page, "<b>") {
						t.Error("HTML of a value is not escaped")
					}
				})
			}
		})
	}
}

func TestFormRefusals(t *testing.T) {
	s, p := signedUp(t, nil)
	sealed := p.response(s, "zoe-1", time.Now()).seal(t)
	form := func(v url.Values) *http.Request {
		return request(t, "POST", s.ACS(), v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	tests := []struct {
		name string
		r    *http.Request
		want int
	}{
		{"GET", request(t, "GET", s.ACS()+"?SAMLResponse="+url.QueryEscape(sealed), ""), 405},
		{"in the query", request(t, "POST", s.ACS()+"?SAMLResponse="+url.QueryEscape(sealed), ""), 403},
		{"nothing", form(url.Values{}), 403},
		{"twice", form(url.Values{"SAMLResponse": {sealed, sealed}}), 403},
		{"no base64", form(url.Values{"SAMLResponse": {"%%%"}}), 403},
		{"too large", form(url.Values{"SAMLResponse": {strings.Repeat("A", 300<<10)}}), 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp, page := exchange(t, browser(t), tt.r); resp.StatusCode != tt.want {
				t.Errorf("got %d, want %d: %s", resp.StatusCode, tt.want, page)
			}
		})
	}
	if n := len(s.Logins()); n != 0 {
		t.Errorf("%d sign-ins", n)
	}
}

// SP-06
func TestSP06AssertionOnce(t *testing.T) {
	s, p := signedUp(t, nil)
	m := p.response(s, "zoe-1", time.Now())
	sealed := m.seal(t)
	if _, page := deliver(t, browser(t), s.ACS(), sealed, nil); element(t, page, "login-name") != "zoe-login" {
		t.Fatal("not accepted at first")
	}
	if _, page := deliver(t, browser(t), s.ACS(), sealed, nil); element(t, page, "reason") != "replayed" {
		t.Errorf("the same Response again: %s", page)
	}
	m.response.ID = "id-fresh" // the same assertion in another Response
	if _, page := deliver(t, browser(t), s.ACS(), m.seal(t), nil); element(t, page, "reason") != "replayed" {
		t.Errorf("the same assertion again: %s", page)
	}
}

func TestOwnersOnlySignIn(t *testing.T) {
	s, p := signedUp(t, func(o *sandbox.Options) { o.OwnersOnly = true })
	if _, page := deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil); element(t, page,
		"reason") != "owners_only" {
		t.Errorf("got %s", page)
	}
	if _, page := deliver(t, browser(t), s.ACS(), p.response(s, "owner-harbour", time.Now()).seal(t), nil); element(t,
		page, "role") != "owner" {
		t.Errorf("the owner: %s", page)
	}
}

func TestAlgorithms(t *testing.T) {
	s, _ := signedUp(t, nil)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	old, p := newProvider(t, nil), newProvider(t, key)
	// Two certificates at once, as during a roll-over.
	if err := s.Trust(p.entityID, [][]byte{old.cert, p.cert}, "", ""); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{dsig.RSASHA256SignatureMethod, dsig.RSASHA384SignatureMethod,
		dsig.RSASHA512SignatureMethod} {
		p.method = method
		m := p.response(s, "zoe-1", time.Now())
		if method == dsig.RSASHA256SignatureMethod { // no KeyInfo: tried one by one
			m.plainAs = true
			m.after = func(r *etree.Element) {
				sig := r.FindElement("./Signature")
				sig.RemoveChild(sig.FindElement("./KeyInfo"))
			}
		}
		if resp, page := deliver(t, browser(t), s.ACS(), m.seal(t), nil); resp.StatusCode != 200 {
			t.Errorf("%s: %s", method, page)
		}
	}
	if resp, _ := deliver(t, browser(t), s.ACS(), old.response(s, "zoe-1", time.Now()).seal(t),
		nil); resp.StatusCode != 200 {
		t.Errorf("the other certificate: %d", resp.StatusCode)
	}
}
