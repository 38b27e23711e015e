package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"ssobridge/partnerapi/sandbox"
)

// strangers gives each client an address of its own: a single one leaves no more than a few lines a minute.
type strangers struct{ next netip.Addr }

func (s *strangers) client(t testing.TB) *client {
	t.Helper()
	if !s.next.IsValid() {
		s.next = netip.MustParseAddr("192.0.2.1")
	}
	c := newClient(t)
	c.forwarded, s.next = s.next.String(), s.next.Next()
	return c
}

// What no honest service provider sends, and what no page of ours asks for: whoever supports its administrators finds
// out by the reference (rows REAL-96, REAL-97).
func TestCausesOfMessages(t *testing.T) {
	t.Parallel()
	s := newCauses(t, setting{set: map[string]string{"trusted_proxies": "127.0.0.1"},
		sandbox: sandbox.Options{SignRequests: sandbox.SigningAsked}})
	s.command(t, "sp", "set", s.providerID(), "certificates="+signingCertificate(t, s.sandbox))
	var from strangers
	sso := s.url + "/saml/sso?"
	fresh := func() string { return url.QueryEscape(deflated(t, newRequest(s.world).document(t))) }
	signature := func(r *request) {
		r.children = []*etree.Element{element("ds:Signature", "xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")}
	}
	inXML := newRequest(s.world)
	signature(&inXML)
	form := newRequest(s.world)
	signature(&form)

	s.explained(t, from.client(t).send(http.MethodPut, sso, url.Values{}), "method_not_allowed")
	s.explained(t, from.client(t).get(sso+"SAMLRequest="+url.QueryEscape(deflated(t, []byte("<a>"+
		strings.Repeat(" ", 20<<20)+"</a>")))), "too_large", "262144 bytes")
	s.explained(t, from.client(t).get(sso+"SAMLRequest="+fresh()+"&SigAlg=x"), "signature_parameters", "sp show")
	s.explained(t, from.client(t).authnRequest(s.world, inXML, "redirect", ""), "signature_in_xml", "HTTP-Redirect")
	s.explained(t, from.client(t).authnRequest(s.world, form, "post", ""), "signature_form", "sp show")
	s.explained(t, from.client(t).get(sso+"SAMLRequest="+fresh()+"&SigAlg="+
		url.QueryEscape("http://www.w3.org/2000/09/xmldsig#dsa-sha1")+"&Signature="+
		url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("signature")))), "signature_algorithm", "SHA-256")
	for reason, version := range map[string]string{"version_too_high": "2.1", "version_too_low": "1.1"} {
		r := newRequest(s.world)
		r.attributes = map[string]string{"Version": version}
		s.explained(t, byHeader(from.client(t).authnRequest(s.world, r, "redirect", "")), reason, version)
	}

	// Pages that another site, a proxy or a browser asked for in a way of their own.
	s.explained(t, from.client(t).with("Sec-Fetch-Mode", "no-cors").with("Sec-Fetch-Dest", "image").get(s.launch(club)),
		"framed", "link to it")
	s.explained(t, from.client(t).with("Sec-Purpose", "prefetch").get(s.launch(club)), "prefetched")
	s.explained(t, from.client(t).with("Host", "other.example.test").get(s.launch(club)), "wrong_host", "public_url")
	c := from.client(t)
	p := c.get(s.launch(club))
	f := p.form("password")
	s.explained(t, c.with("Origin", "https://thief.example.test").with("Sec-Fetch-Site", "cross-site").
		post(p.resolve(f.Action), f.Fields), "cross_origin", "people never need it")
	c = from.client(t)
	p = c.get(s.launch(club))
	f = p.form("password")
	f.Fields.Set("csrf", "of another page")
	s.explained(t, c.post(p.resolve(f.Action), f.Fields), "stale_form", "start again")

	// Single logout is off; nobody asks Carol for a second factor; Zoe has no role in the console.
	s.explained(t, from.client(t).get(s.url+"/saml/slo?SAMLRequest="+fresh()), "no_single_logout", "logout.enabled")
	c = from.client(t)
	s.explained(t, c.goOn(c.login(c.get(s.url+"/admin"), consoleNobody, password)), "no_console_role",
		"console.viewer_group")
	s.explained(t, from.client(t).get(s.url+"/factors"), "no_second_factors", "policy")
}

// byHeader is a page whose reference stands in a header: what is answered to the service provider is on no page.
func byHeader(p *page) *page {
	p.Body = "<p>Reference " + p.Header.Get("X-Request-Id") + "</p>"
	return p
}
