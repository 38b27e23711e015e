package sandbox_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"

	"ssobridge/partnerapi/sandbox"
)

// signedUp is a sandbox with two users and a trusted identity provider.
func signedUp(t testing.TB, change func(*sandbox.Options)) (*sandbox.Sandbox, *provider) {
	t.Helper()
	s := start(t, func(o *sandbox.Options) {
		o.Users = append(sandbox.SampleUsers(sandbox.DefaultExternalProvider),
			sandbox.User{Account: "a07e1lxqqqo0", FirstName: "Zoë", LastName: "<i>Ng", RoleName: "campaign_creator",
				LoginName: "zoe-login", ContactEmail: "zoe@example.test", ExternalID: "zoe-1",
				ExternalProvider: sandbox.DefaultExternalProvider},
			sandbox.User{Account: "a07e1lxqqqp1", FirstName: "Zoë", LastName: "Ng", RoleName: "account_manager",
				LoginName: "zoe-two", ExternalID: "zoe-2", ExternalProvider: sandbox.DefaultExternalProvider},
			sandbox.User{Account: "a07e1lxqqqp1", FirstName: "Else", LastName: "Where", RoleName: "account_manager",
				LoginName: "elsewhere", ExternalID: "other-1", ExternalProvider: "another-partner"},
		)
		if change != nil {
			change(o)
		}
	})
	return s, trusted(t, s)
}

func TestIdPInitiatedRoundTrip(t *testing.T) {
	s, p := signedUp(t, nil)
	b := browser(t)
	const relayState = "https://login.example.test/login/idp-redirect?<x>"
	// SP-04: RelayState in the query of the form action, Destination and Recipient without it.
	resp, page := deliver(t, b, s.ACS()+"?RelayState="+url.QueryEscape(relayState),
		p.response(s, "zoe-1", time.Now()).seal(t), nil)
	if resp.StatusCode != 200 || resp.Request.URL.Path != sandbox.LandingPath {
		t.Fatalf("got %d at %s: %s", resp.StatusCode, resp.Request.URL, page)
	}
	for id, want := range map[string]string{
		"who": "Zoë <i>Ng", "account-id": "a07e1lxqqqo0", "account-name": "Harbour Books", "role": "campaign_creator",
		"login-name": "zoe-login", "external-id": "zoe-1", "name-id": "zoe-1", "relay-state": relayState,
		"name-id-format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", "started-by": "the identity provider",
		"authn-context": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
	} {
		if got := element(t, page, id); got != want {
			t.Errorf("landing page, %s: got %q, want %q", id, got, want)
		}
	}
	if strings.Contains(page, "<i>") || strings.Contains(page, "<b>") {
		t.Error("HTML of a value is not escaped")
	}

	// Another client account of the same person replaces the session.
	_, page = deliver(t, b, s.ACS(), p.response(s, "zoe-2", time.Now()).seal(t), url.Values{"RelayState": {"field"}})
	if got := element(t, page, "account-id") + element(t, page, "relay-state"); got != "a07e1lxqqqp1field" {
		t.Errorf("after changing accounts: got %q", got)
	}
	_, page = exchange(t, b, request(t, "GET", s.URL()+"/landing", ""))
	if got := element(t, page, "login-name"); got != "zoe-two" {
		t.Errorf("the cookie's session: got %q, want zoe-two", got)
	}
	_, page = exchange(t, b, request(t, "POST", s.URL()+"/sso/logout", ""))
	if !strings.Contains(page, "zoe-login") {
		t.Errorf("signed out: got %s, want the index", page)
	}
	if _, page = exchange(t, b, request(t, "GET", s.URL()+"/landing", "")); !strings.Contains(page, "Nobody") {
		t.Errorf("signed out, landing page: %s", page)
	}
	if logins := s.Logins(); len(logins) != 2 || logins[0].Attributes["email"][0] != "<b>&zoe@example.test" ||
		logins[0].InResponseTo != "" || len(s.Refusals()) != 0 {
		t.Errorf("got logins %+v, refusals %+v", logins, s.Refusals())
	}
}

func TestSessionCookie(t *testing.T) {
	s, p := signedUp(t, nil)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, _ := deliver(t, c, s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil)
	if resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 {
		t.Fatalf("got %d with %v, want 303 with a cookie", resp.StatusCode, resp.Cookies())
	}
	if k := resp.Cookies()[0]; !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Secure || len(k.Value) != 64 {
		t.Errorf("got cookie %+v", k)
	}
}

func TestLandingOnAnotherOrigin(t *testing.T) {
	var s *sandbox.Sandbox
	third := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) }))
	defer third.Close()
	s, p := signedUp(t, func(o *sandbox.Options) { o.LandingURL = third.URL + "/landing?env=test" })
	resp, page := deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t), nil)
	if got := resp.Request.URL; "http://"+got.Host != third.URL || got.Query().Get("env") != "test" {
		t.Errorf("landed at %s", got)
	}
	if got := element(t, page, "login-name"); got != "zoe-login" {
		t.Errorf("got %q", got)
	}
	if _, page := exchange(t, browser(t), request(t, "GET", third.URL+"/landing?login=guess", "")); !strings.Contains(page,
		"Nobody") {
		t.Errorf("a guessed id shows %s", page)
	}
}

// started starts an SP-initiated sign-in and gives the AuthnRequest with its RelayState.
func started(t testing.TB, s *sandbox.Sandbox, query string) (saml.AuthnRequest, string) {
	t.Helper()
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, page := exchange(t, c, request(t, "GET", s.URL()+"/sso/start?"+query, ""))
	var text, relayState string
	if location := resp.Header.Get("Location"); location != "" {
		u, err := url.Parse(location)
		if err != nil || resp.StatusCode != http.StatusFound || u.Host != "idp.example.test" {
			t.Fatalf("got %d to %q", resp.StatusCode, location)
		}
		deflated, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
		if err != nil {
			t.Fatal(err)
		}
		inflated, err := io.ReadAll(flate.NewReader(bytes.NewReader(deflated)))
		if err != nil {
			t.Fatal(err)
		}
		text, relayState = string(inflated), u.Query().Get("RelayState")
	} else {
		doc := etree.NewDocument()
		doc.ReadSettings = etree.ReadSettings{Permissive: true, AutoClose: []string{"meta", "input"}}
		if err := doc.ReadFromString(strings.TrimPrefix(page, "<!doctype html>\n")); err != nil {
			t.Fatal(err)
		}
		form := doc.FindElement("//form[@id='request']")
		if form == nil || form.SelectAttrValue("method", "") != "post" || form.SelectAttrValue("action",
			"") != "http://idp.example.test/saml/sso" {
			t.Fatalf("got %d, %s", resp.StatusCode, page)
		}
		xml, err := base64.StdEncoding.DecodeString(form.FindElement("./input[@name='SAMLRequest']").SelectAttrValue("value",
			""))
		if err != nil {
			t.Fatal(err)
		}
		text = string(xml)
		if e := form.FindElement("./input[@name='RelayState']"); e != nil {
			relayState = e.SelectAttrValue("value", "")
		}
	}
	var r saml.AuthnRequest
	if err := xml.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r, relayState
}

func TestSPInitiated(t *testing.T) {
	s, p := signedUp(t, nil)
	for _, binding := range []string{"redirect", "post"} {
		t.Run(binding, func(t *testing.T) {
			r, relayState := started(t, s, "binding="+binding+"&relay_state="+url.QueryEscape(`a&b="<c>`))
			if relayState != `a&b="<c>` {
				t.Errorf("got RelayState %q", relayState)
			}
			if r.Issuer.Value != s.EntityID() || r.AssertionConsumerServiceURL != s.ACS() ||
				r.Destination != "http://idp.example.test/saml/sso" ||
				r.ProtocolBinding != saml.HTTPPostBinding || *r.NameIDPolicy.Format != string(saml.PersistentNameIDFormat) ||
				!*r.NameIDPolicy.AllowCreate ||
				r.ForceAuthn != nil || r.IsPassive != nil || time.Since(r.IssueInstant) > time.Minute {
				t.Errorf("got %+v", r)
			}
			answer := func() *message {
				m := p.response(s, "zoe-1", time.Now())
				m.response.InResponseTo = r.ID
				m.assertion.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = r.ID
				return m
			}
			// A forged answer does not use the request up.
			forged := answer()
			forged.signer = newProvider(t, nil)
			if _, page := deliver(t, browser(t), s.ACS(), forged.seal(t), nil); element(t, page, "reason") != "signature" {
				t.Errorf("forged: %s", page)
			}
			_, page := deliver(t, browser(t), s.ACS(), answer().seal(t), url.Values{"RelayState": {relayState}})
			if got := element(t, page, "started-by"); got != "Constant Contact (AuthnRequest "+r.ID+")" ||
				element(t, page, "relay-state") != relayState {
				t.Errorf("got %q", got)
			}
			if _, page := deliver(t, browser(t), s.ACS(), answer().seal(t), nil); element(t, page,
				"reason") != "in_response_to" {
				t.Errorf("a second answer: %s", page)
			}

			r, _ = started(t, s, "binding="+binding+
				"&force_authn=1&is_passive=1&allow_create=0&authn_context=urn:x&name_id_format=urn:y")
			if !*r.ForceAuthn || !*r.IsPassive || *r.NameIDPolicy.AllowCreate ||
				r.RequestedAuthnContext.AuthnContextClassRef != "urn:x" || *r.NameIDPolicy.Format != "urn:y" {
				t.Errorf("options: got %+v", r)
			}
			// The answer's confirmation must name the request as well.
			m := answer()
			m.response.InResponseTo = r.ID
			m.assertion.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = ""
			if _, page := deliver(t, browser(t), s.ACS(), m.seal(t), nil); element(t, page, "reason") != "in_response_to" {
				t.Errorf("confirmation without InResponseTo: %s", page)
			}
		})
	}
	for query, want := range map[string]int{"": 200, "binding=artifact": 400, "binding=post&idp=unknown": 503} {
		if resp, _ := exchange(t, browser(t), request(t, "GET", s.URL()+"/sso/start?"+query, "")); resp.StatusCode != want {
			t.Errorf("start?%s: got %d, want %d", query, resp.StatusCode, want)
		}
	}
}

// Table C: an error status is shown, with both levels and the message.
func TestErrorStatus(t *testing.T) {
	s, p := signedUp(t, nil)
	answer := func(id string) *message {
		m := p.response(s, "", time.Now())
		m.assertion, m.response.InResponseTo = nil, id
		m.response.Status = saml.Status{
			StatusCode: saml.StatusCode{Value: saml.StatusResponder,
				StatusCode: &saml.StatusCode{Value: saml.StatusNoPassive}},
			StatusMessage: &saml.StatusMessage{Value: "no <session>"},
		}
		return m
	}
	r, _ := started(t, s, "binding=redirect&is_passive=1")
	resp, page := deliver(t, browser(t), s.ACS(), answer(r.ID).seal(t), nil)
	if resp.StatusCode != 200 || element(t, page, "status-message") != "no <session>" ||
		element(t, page, "in-response-to") != r.ID ||
		!strings.Contains(page, saml.StatusResponder) || !strings.Contains(page, saml.StatusNoPassive) {
		t.Errorf("got %d, %s", resp.StatusCode, page)
	}
	refusals := s.Refusals()
	if got := refusals[0]; got.Reason != "status" || len(got.StatusCodes) != 2 ||
		got.StatusCodes[1] != saml.StatusNoPassive || got.InResponseTo != r.ID {
		t.Errorf("got %+v", got)
	}
	unsigned := answer("")
	unsigned.plainResponse = true
	if _, page := deliver(t, browser(t), s.ACS(), unsigned.seal(t), nil); element(t, page, "reason") != "unsigned" {
		t.Errorf("an unsigned status: %s", page)
	}
}

func TestTrustRefused(t *testing.T) {
	s := start(t, nil)
	p := newProvider(t, nil)
	for name, err := range map[string]error{
		"no entityID":    s.Trust("", [][]byte{p.cert}, "", ""),
		"no certificate": s.Trust("x", nil, "", ""),
		"garbage":        s.Trust("x", [][]byte{{1, 2, 3}}, "", ""),
		"script":         s.Trust("x", [][]byte{p.cert}, "javascript:alert(1)", ""),
		"metadata":       s.TrustMetadata([]byte("<x/>")),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if resp, page := exchange(t, browser(t), request(t, "GET", s.URL()+"/sso/start?binding=post",
		"")); resp.StatusCode != 503 {
		t.Errorf("start without an identity provider: %d, %s", resp.StatusCode, page)
	}
}

func TestMetadataBothWays(t *testing.T) {
	p := newProvider(t, nil)
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w,
			`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="`+p.entityID+`"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`+
				`<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>`+
				base64.StdEncoding.EncodeToString(p.cert)+`</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`+
				`<md:SingleSignOnService Binding="`+saml.HTTPRedirectBinding+
				`" Location="http://idp.example.test/saml/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>`)
	}))
	defer idp.Close()
	s := start(t, func(o *sandbox.Options) {
		o.IdPMetadataURL = idp.URL
		o.Users = sandbox.SampleUsers(sandbox.DefaultExternalProvider)
	})
	if r, _ := started(t, s, "binding=redirect"); r.ID == "" {
		t.Error("no AuthnRequest")
	}
	if resp, _ := exchange(t, browser(t), request(t, "GET", s.URL()+"/sso/start?binding=post",
		"")); resp.StatusCode != 404 {
		t.Errorf("a binding that is not offered: got %d", resp.StatusCode)
	}
	if resp, page := deliver(t, browser(t), s.ACS(), p.response(s, "owner-juniper", time.Now()).seal(t),
		nil); resp.StatusCode != 200 {
		t.Errorf("got %d, %s", resp.StatusCode, page)
	}

	resp, text := exchange(t, browser(t), request(t, "GET", s.URL()+"/sso/metadata", ""))
	d, err := samlsp.ParseMetadata([]byte(text))
	if err != nil || d.EntityID != s.EntityID() || len(d.SPSSODescriptors) != 1 ||
		!strings.Contains(resp.Header.Get("Content-Type"), "samlmetadata") {
		t.Fatalf("got %v, %s", err, text)
	}
	if acs := d.SPSSODescriptors[0].AssertionConsumerServices; len(acs) != 1 || acs[0].Location != s.ACS() ||
		acs[0].Binding != saml.HTTPPostBinding || !*acs[0].IsDefault {
		t.Errorf("got %+v", acs)
	}
}

func TestPages(t *testing.T) {
	s, _ := signedUp(t, func(o *sandbox.Options) { o.Accounts[0].OrganizationName = "<script>x</script>" })
	for path, want := range map[string]int{"/": 200, "/sso/start": 200, "/landing": 200, "/sso/metadata": 200,
		"/healthz": 200, "/nothing": 404} {
		resp, page := exchange(t, browser(t), request(t, "GET", s.URL()+path, ""))
		if resp.StatusCode != want {
			t.Errorf("GET %s: got %d, want %d", path, resp.StatusCode, want)
		}
		if strings.Contains(page, "<script>") || strings.Contains(page, sandbox.DefaultClientSecret) || strings.Contains(page,
			sandbox.DefaultAPIKey) {
			t.Errorf("%s shows what it must not: %s", path, page)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); strings.Contains(resp.Header.Get("Content-Type"), "html") &&
			!strings.HasPrefix(csp, "default-src 'none'; style-src 'nonce-") {
			t.Errorf("%s has Content-Security-Policy %q", path, csp)
		}
	}
}
