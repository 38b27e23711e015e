package sandbox_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"ssobridge/partnerapi/sandbox"
)

// logoutRequest is a LogoutRequest of the identity provider; pairs of old and new text change it.
func (p *provider) logoutRequest(s *sandbox.Sandbox, id, nameID string, now time.Time,
	change ...string) *etree.Element {
	text := `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` + id +
		`" Version="2.0" IssueInstant="` + now.UTC().Format(time.RFC3339) + `" Destination="` + s.URL() + sandbox.SLOPath +
		`"><saml:Issuer>` + p.entityID +
		`</saml:Issuer><saml:NameID>` + nameID + `</saml:NameID></samlp:LogoutRequest>`
	doc := etree.NewDocument()
	if err := doc.ReadFromString(strings.NewReplacer(change...).Replace(text)); err != nil {
		panic(err)
	}
	return doc.Root()
}

func send(t testing.TB, c *http.Client, s *sandbox.Sandbox, e *etree.Element, state string) (answered, string) {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(e)
	text, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(text))}, "RelayState": {state}}
	return exchange(t, c, request(t, "POST", s.URL()+sandbox.SLOPath, form.Encode(), "Content-Type",
		"application/x-www-form-urlencoded"))
}

// TestLogoutBySAML: the identity provider signs somebody out; the sandbox answers, signed, or is silent.
func TestLogoutBySAML(t *testing.T) {
	for _, silent := range []bool{false, true} {
		s, p := signedUp(t, func(o *sandbox.Options) { o.SingleLogout = true })
		if err := s.TrustLogout(p.entityID, "https://idp.example.test/slo", "https://idp.example.test/slo"); err != nil {
			t.Fatal(err)
		}
		s.SetSilentLogout(silent)
		b := browser(t)
		if _, page := deliver(t, b, s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil); element(t, page,
			"login-name") != "zoe-login" {
			t.Fatalf("not signed in: %s", page)
		}
		_, page := send(t, b, s, p.sign(t, p.logoutRequest(s, "_l1", "zoe-1", time.Now())), "state <1>")
		if got := strings.Contains(page, `name="SAMLResponse"`) && strings.Contains(page,
			`value="state &lt;1&gt;"`); got == silent {
			t.Errorf("silent %t: %s", silent, page)
		}
		if _, page = exchange(t, b, request(t, "GET", s.URL()+sandbox.LandingPath+"?login="+s.Logins()[0].ID,
			"")); !strings.Contains(page, "Nobody is signed in") {
			t.Errorf("still signed in: %s", page)
		}
		if l := s.Logouts(); len(l) != 1 || l[0].Ended != 1 || l[0].NameID != "zoe-1" || l[0].Binding != "post" {
			t.Errorf("logouts %+v", l)
		}
		if resp, _ := send(t, b, s, p.sign(t, p.logoutRequest(s, "_l1", "zoe-1", time.Now())), ""); resp.StatusCode != 403 {
			t.Errorf("replayed: status %d", resp.StatusCode)
		}
	}
}

func TestLogoutIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		make   func(s *sandbox.Sandbox, p *provider) *etree.Element
	}{
		"unsigned": {"unsigned", func(s *sandbox.Sandbox, p *provider) *etree.Element {
			return p.logoutRequest(s, "_x", "zoe-1", time.Now())
		}},
		"another key": {"signature", func(s *sandbox.Sandbox, p *provider) *etree.Element {
			return newProvider(t, nil).sign(t, p.logoutRequest(s, "_x", "zoe-1", time.Now()))
		}},
		"another issuer": {"issuer", func(s *sandbox.Sandbox, p *provider) *etree.Element {
			return p.sign(t, p.logoutRequest(s, "_x", "zoe-1", time.Now(), p.entityID, "https://other.test"))
		}},
		"another destination": {"destination", func(s *sandbox.Sandbox, p *provider) *etree.Element {
			return p.sign(t, p.logoutRequest(s, "_x", "zoe-1", time.Now(), sandbox.SLOPath, "/other"))
		}},
		"old": {"time", func(s *sandbox.Sandbox, p *provider) *etree.Element {
			return p.sign(t, p.logoutRequest(s, "_x", "zoe-1", time.Now().Add(-10*time.Minute)))
		}},
		"another message": {"malformed", func(s *sandbox.Sandbox, p *provider) *etree.Element {
			return p.sign(t, p.logoutRequest(s, "_x", "zoe-1", time.Now(), "LogoutRequest", "LogoutResponse"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := signedUp(t, func(o *sandbox.Options) { o.SingleLogout = true })
			b := browser(t)
			deliver(t, b, s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil)
			resp, page := send(t, b, s, c.make(s, p), "")
			if resp.StatusCode != 403 || element(t, page, "reason") != c.reason {
				t.Errorf("status %d: %s", resp.StatusCode, page)
			}
			if l := s.Logins(); len(l) != 1 || !l[0].EndedAt.IsZero() {
				t.Errorf("logins %+v", l)
			}
		})
	}
	s, _ := signedUp(t, nil)
	if resp, _ := exchange(t, browser(t), request(t, "GET", s.URL()+sandbox.SLOPath, "")); resp.StatusCode != 404 {
		t.Errorf("off: status %d", resp.StatusCode)
	}
	data, err := s.Metadata()
	if err != nil || strings.Contains(string(data), "SingleLogoutService") {
		t.Errorf("off, and its metadata say\n%s, %v", data, err)
	}
}
