package idp_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/crewjam/saml"

	"ssobridge/idp"
)

// registered are all addresses that a Response may leave for in these tests.
var registered = []string{ctctACS, plainACS, plainACS2}

// fuzzed sends one request in the name of somebody with a session and follows
// it to its end. The property: a Response leaves for a registered ACS or not at
// all, and what goes wrong is a page and never an error.
func fuzzed(t *testing.T, f *fixture, v idp.Visitor, r *http.Request) idp.Page {
	t.Helper()
	a, err := f.SSO(context.Background(), r, v)
	if err != nil {
		t.Fatalf("error: %v", err)
	}
	if on, ok := a.Page.(idp.GoOn); ok {
		if a, err = f.Resume(context.Background(), on.SignIn, v); err != nil {
			t.Fatalf("error: %v", err)
		}
		if _, ok := a.Page.(idp.AskPassword); ok {
			if a, err = f.Cancel(context.Background(), on.SignIn, v); err != nil {
				t.Fatalf("error: %v", err)
			}
		}
	}
	switch page := a.Page.(type) {
	case idp.Deliver:
		if !slices.Contains(registered, page.Action) {
			t.Fatalf("a Response leaves for %q", page.Action)
		}
		response := root(t, page)
		if to := response.SelectAttrValue("Destination", ""); to != page.Action {
			t.Fatalf("Destination %q, form action %q", to, page.Action)
		}
		if len(response.FindElements("//Assertion")) > 1 {
			t.Fatal("several assertions")
		}
	case idp.Refusal:
		if !slices.Contains(idp.Reasons(), page.Reason) || page.Status < 400 {
			t.Fatalf("refusal %+v", page)
		}
	default:
		t.Fatalf("page %T", a.Page)
	}
	return a.Page
}

func fuzzFixture(f *testing.F) (*fixture, idp.Visitor) {
	x := newFixture(f, "p-256", nil)
	return x, x.signIn(f, "alice", "correct horse")
}

// seeds are requests of many kinds; FUZZ in them becomes a new ID each time.
func seeds() []string {
	var all []string
	for _, c := range []struct{ issuer, attributes, inner string }{
		{plain, "", ""},
		{ctct, "", `<samlp:NameIDPolicy Format="` + persistent + `" AllowCreate="true" SPNameQualifier="` + ctct + `"/>`},
		{plain, `AssertionConsumerServiceURL="` + plainACS2 + `" ProtocolBinding="` + saml.HTTPPostBinding + `"`, ""},
		{plain, `AssertionConsumerServiceURL="https://evil.test/acs"`, ""},
		{plain, `AssertionConsumerServiceIndex="1"`, ""},
		{plain, `AssertionConsumerServiceIndex="2"`, ""},
		{plain, `ForceAuthn="true"`, ""},
		{plain, `IsPassive="1" ForceAuthn="0"`, ""},
		{plain, "", `<samlp:RequestedAuthnContext Comparison="minimum"><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`},
		{plain, "", `<saml:Subject><saml:NameID>x</saml:NameID></saml:Subject><samlp:Scoping/><saml:Conditions/>`},
		{plain, "", `<samlp:Extensions><x:y xmlns:x="urn:x" z="&lt;">&#65;<![CDATA[b]]></x:y></samlp:Extensions>`},
		{plain, "", `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>`},
		{"https://evil.test", `AssertionConsumerServiceURL="javascript:alert(1)"`, ""},
	} {
		r := newRequest(c.issuer)
		r.id, r.attributes, r.inner = "_FUZZ", c.attributes, c.inner
		all = append(all, r.xml())
	}
	return all
}

var fuzzRuns int

func fresh(text string) string {
	fuzzRuns++
	return strings.ReplaceAll(text, "FUZZ", fmt.Sprint("r", fuzzRuns))
}

func FuzzPost(f *testing.F) {
	x, v := fuzzFixture(f)
	for _, s := range seeds() {
		f.Add(s, "state")
	}
	f.Fuzz(func(t *testing.T, text, state string) {
		fuzzed(t, x, v, byPost(t, fresh(text), "RelayState="+url.QueryEscape(state)))
	})
}

func FuzzRedirect(f *testing.F) {
	x, v := fuzzFixture(f)
	for i, s := range seeds() {
		f.Add("SAMLRequest=" + url.QueryEscape(deflated(f, strings.ReplaceAll(s, "FUZZ", fmt.Sprint("seed", i)))))
	}
	good := url.QueryEscape(deflated(f, seeds()[0]))
	f.Add("SAMLRequest=" + good +
		"&RelayState=a&SAMLEncoding=urn%3Aoasis%3Anames%3Atc%3ASAML%3A2.0%3Abindings%3AURL-Encoding%3ADEFLATE")
	f.Add("SAMLRequest=" + good + "&SigAlg=x&Signature=y")
	f.Add("SAMLRequest=" + good + "&SAMLRequest=" + good)
	f.Add("SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("\x03\x00"))))
	f.Fuzz(func(t *testing.T, query string) {
		fuzzed(t, x, v, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/saml/sso", RawQuery: query},
			Header: http.Header{}})
	})
}

// FuzzRelayState: it comes back byte for byte or the request is refused, and it
// never moves the Response elsewhere.
func FuzzRelayState(f *testing.F) {
	x, v := fuzzFixture(f)
	for _, s := range []string{"", "a", "https://login.ctct.test/?a=b&c=d", `"><script>`, "a\x00", "\xff", "é\u2028",
		strings.Repeat("x", 1025), "&RelayState=b", "%41+ "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, state string) {
		r := newRequest(plain)
		r.id = fresh("_FUZZ")
		page := fuzzed(t, x, v, byRedirect(t, r.xml(), "RelayState="+url.QueryEscape(state)))
		if d, ok := page.(idp.Deliver); ok && (d.RelayState == nil || *d.RelayState != state) {
			t.Fatalf("RelayState %q comes back as %v", state, d.RelayState)
		}
	})
}
