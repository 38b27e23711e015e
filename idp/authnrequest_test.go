package idp_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/store"
)

// TestRefusedRequests covers REQ-01 to REQ-07, REQ-09, REQ-14 and the local
// pages of table C: each request has one fault, and each accepted neighbour
// shows that it is that fault.
func TestRefusedRequests(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	signed := plainSP()
	signed.EntityID, signed.AuthnRequestsSigned = "https://signs.test", true
	f.put(t, signed)
	disabled := plainSP()
	disabled.EntityID, disabled.Enabled = "https://off.test", false
	f.put(t, disabled)

	// A request is spoilt as a struct, as text, or as the parameters that carry it.
	for _, c := range []struct {
		name   string
		change func(*authnRequest)
		text   func(string) string
		more   []string // parameters, URL-encoded
		reason string   // "": accepted
	}{
		{name: "good"},
		{name: "other parameters", more: []string{"lang=de", "lang=en"}},
		{name: "SAMLEncoding DEFLATE",
			more: []string{"SAMLEncoding=urn%3Aoasis%3Anames%3Atc%3ASAML%3A2.0%3Abindings%3AURL-Encoding%3ADEFLATE"}},
		{name: "REQ-02 two requests", more: []string{"SAMLRequest=x"}, reason: idp.ReasonBadRequest},
		{name: "REQ-02 two requests, one in other clothes", more: []string{"%53AMLRequest=x"}, reason: idp.ReasonBadRequest},
		{name: "REQ-02 two RelayStates", more: []string{"RelayState=a", "RelayState=a"}, reason: idp.ReasonBadRequest},
		{name: "REQ-02 two SigAlgs", more: []string{"SigAlg=a", "SigAlg=a"}, reason: idp.ReasonBadRequest},
		{name: "REQ-02 other encoding", more: []string{"SAMLEncoding=urn%3Ax"}, reason: idp.ReasonBadRequest},
		{name: "REQ-02 bad escape", more: []string{"RelayState=%zz"}, reason: idp.ReasonBadRequest},
		{name: "REQ-20 long RelayState", more: []string{"RelayState=" + strings.Repeat("x", 8193)},
			reason: idp.ReasonTooLarge},
		{name: "REQ-20 longest RelayState", more: []string{"RelayState=" + strings.Repeat("x", 8192)}},
		{name: "REQ-20 NUL in RelayState", more: []string{"RelayState=a%00"}, reason: idp.ReasonBadRequest},
		{name: "REQ-20 line end in RelayState", more: []string{"RelayState=a%0Ab"}, reason: idp.ReasonBadRequest},
		{name: "REQ-20 RelayState no UTF-8", more: []string{"RelayState=a%ff"}, reason: idp.ReasonBadRequest},
		{name: "REQ-09 unsigned where signing is promised", change: func(r *authnRequest) {
			r.issuer = "<saml:Issuer>https://signs.test</saml:Issuer>"
		}, reason: idp.ReasonUnsignedRequest},

		{name: "REQ-03 declaration", text: func(s string) string {
			return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
				s + "\n<!-- end -->\n"
		}},
		{name: "REQ-03 other encoding", text: func(s string) string { return `<?xml version="1.0" encoding="UTF-7"?>` + s },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 DTD", text: func(s string) string {
			return `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>` +
				s
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 processing instruction", text: func(s string) string { return `<?php x?>` + s },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 instruction inside", change: func(r *authnRequest) { r.inner = "<?x y?>" },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 entity", change: func(r *authnRequest) { r.issuer = "<saml:Issuer>&e;</saml:Issuer>" },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 trailing text", text: func(s string) string { return s + "x" }, reason: idp.ReasonBadRequest},
		{name: "REQ-03 two roots", text: func(s string) string { return s + s }, reason: idp.ReasonBadRequest},
		{name: "REQ-03 not closed", text: func(s string) string { return s[:len(s)-3] }, reason: idp.ReasonBadRequest},
		{name: "REQ-03 not UTF-8", text: func(s string) string { return strings.Replace(s, "2.0\"", "2.0\xff\"", 1) },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 no XML", text: func(string) string { return "hello" }, reason: idp.ReasonBadRequest},
		{name: "REQ-03 nothing", text: func(string) string { return "" }, reason: idp.ReasonBadRequest},
		{name: "REQ-03 another message", text: func(s string) string {
			return strings.ReplaceAll(s, "AuthnRequest",
				"LogoutRequest")
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 another namespace", text: func(s string) string {
			return strings.Replace(s, "SAML:2.0:protocol", "SAML:1.0:protocol", 1)
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 no namespace", text: func(s string) string { return strings.ReplaceAll(s, "samlp:", "") },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 deep", change: func(r *authnRequest) {
			r.inner = "<samlp:Extensions>" + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + "</samlp:Extensions>"
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 many elements", change: func(r *authnRequest) {
			r.inner = "<samlp:Extensions>" + strings.Repeat("<a/>", 10001) + "</samlp:Extensions>"
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 attribute twice",
			change: func(r *authnRequest) { r.attributes = `ForceAuthn="true" ForceAuthn="false"` },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 one ID twice", change: func(r *authnRequest) {
			r.inner = `<samlp:Extensions><x xmlns="urn:x" ID="` + r.id + `"/></samlp:Extensions>`
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 round trip (CVE-2020-29509)", change: func(r *authnRequest) {
			r.inner = `<samlp:Extensions><x xmlns="urn:x" ::attr="x"/></samlp:Extensions>`
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 round trip (CVE-2020-29511)", change: func(r *authnRequest) {
			r.inner = `<samlp:Extensions><:x/></samlp:Extensions>`
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 attribute name", change: func(r *authnRequest) { r.attributes = `ForceAuthn:="true"` },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 undeclared prefix", change: func(r *authnRequest) { r.attributes = `x:ForceAuthn="true"` },
			reason: idp.ReasonBadRequest},
		{name: "REQ-03 emptied prefix", change: func(r *authnRequest) {
			r.inner = `<samlp:Extensions><x:y xmlns:x=""/></samlp:Extensions>`
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-03 round trip (CVE-2020-29510)", text: func(s string) string { return "<!x<!-- -->>" + s },
			reason: idp.ReasonBadRequest},
		{name: "comment inside the Issuer", change: func(r *authnRequest) {
			r.issuer = "<saml:Issuer>" + plain + "<!-- x -->.evil.test</saml:Issuer>"
		}, reason: idp.ReasonBadRequest},
		{name: "element inside the Issuer", change: func(r *authnRequest) {
			r.issuer = "<saml:Issuer>" + plain + "<saml:x/></saml:Issuer>"
		}, reason: idp.ReasonBadRequest},
		{name: "unknown element", change: func(r *authnRequest) { r.inner = "<samlp:Unknown/>" },
			reason: idp.ReasonBadRequest},
		{name: "foreign element", change: func(r *authnRequest) { r.inner = `<x xmlns="urn:x"/>` },
			reason: idp.ReasonBadRequest},
		{name: "Extensions",
			change: func(r *authnRequest) { r.inner = `<samlp:Extensions><x xmlns="urn:x">y</x></samlp:Extensions>` }},
		{name: "element twice", change: func(r *authnRequest) { r.inner = r.issuer }, reason: idp.ReasonBadRequest},
		{name: "no ID", change: func(r *authnRequest) { r.id = "" }, reason: idp.ReasonBadRequest},
		{name: "ID starts with a digit", change: func(r *authnRequest) { r.id = "1" + r.id }, reason: idp.ReasonBadRequest},
		{name: "ID with markup", change: func(r *authnRequest) { r.id += "&lt;b>" }, reason: idp.ReasonBadRequest},
		{name: "ID too long", change: func(r *authnRequest) { r.id += strings.Repeat("x", 256) },
			reason: idp.ReasonBadRequest},
		{name: "bad boolean", change: func(r *authnRequest) { r.attributes = `IsPassive="maybe"` },
			reason: idp.ReasonBadRequest},
		{name: "no version", change: func(r *authnRequest) { r.version = "" }, reason: idp.ReasonBadRequest},

		{name: "REQ-05 no Issuer", change: func(r *authnRequest) { r.issuer = "" }, reason: idp.ReasonBadRequest},
		{name: "REQ-05 empty Issuer", change: func(r *authnRequest) { r.issuer = "<saml:Issuer/>" },
			reason: idp.ReasonBadRequest},
		{name: "REQ-05 Issuer Format entity", change: func(r *authnRequest) {
			r.issuer = `<saml:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity"> ` + plain + "\n</saml:Issuer>"
		}},
		{name: "REQ-05 Issuer Format other", change: func(r *authnRequest) {
			r.issuer = `<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">` + plain + "</saml:Issuer>"
		}, reason: idp.ReasonBadRequest},
		{name: "REQ-05 unknown", change: func(r *authnRequest) { r.issuer = "<saml:Issuer>https://evil.test</saml:Issuer>" },
			reason: idp.ReasonUnknownProvider},
		{name: "REQ-05 other case", change: func(r *authnRequest) {
			r.issuer = "<saml:Issuer>" + strings.ToUpper(plain) + "</saml:Issuer>"
		}, reason: idp.ReasonUnknownProvider},
		{name: "REQ-05 disabled", change: func(r *authnRequest) { r.issuer = "<saml:Issuer>https://off.test</saml:Issuer>" },
			reason: idp.ReasonProviderDisabled},

		{name: "REQ-06 no Destination", change: func(r *authnRequest) { r.destination = "" }},
		{name: "REQ-06 other Destination", change: func(r *authnRequest) { r.destination = "https://other.test/saml/sso" },
			reason: idp.ReasonWrongDestination},
		{name: "REQ-06 Destination with slash", change: func(r *authnRequest) { r.destination = endpoint + "/" },
			reason: idp.ReasonWrongDestination},

		{name: "REQ-07 five minutes old",
			change: func(r *authnRequest) { r.instant = start.Add(-5 * time.Minute).Format(time.RFC3339) }},
		{name: "REQ-07 older",
			change: func(r *authnRequest) { r.instant = start.Add(-5*time.Minute - time.Second).Format(time.RFC3339) },
			reason: idp.ReasonRequestTime},
		{name: "REQ-07 five minutes ahead",
			change: func(r *authnRequest) { r.instant = start.Add(5 * time.Minute).Format(time.RFC3339) }},
		{name: "REQ-07 further ahead",
			change: func(r *authnRequest) { r.instant = start.Add(5*time.Minute + time.Second).Format(time.RFC3339) },
			reason: idp.ReasonRequestTime},
		{name: "REQ-07 milliseconds and offset",
			change: func(r *authnRequest) { r.instant = "2027-01-05T11:00:00.123+01:00" }},
		{name: "REQ-07 no zone", change: func(r *authnRequest) { r.instant = "2027-01-05T10:00:00" }},
		{name: "REQ-07 no time", change: func(r *authnRequest) { r.instant = "yesterday" }, reason: idp.ReasonBadRequest},

		{name: "REQ-14 registered URL", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceURL="` + plainACS2 + `" ProtocolBinding="` + saml.HTTPPostBinding + `"`
		}},
		{name: "REQ-14 unregistered URL", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceURL="https://evil.test/acs"`
		}, reason: idp.ReasonUnknownACS},
		{name: "REQ-14 URL with more", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceURL="` + plainACS + `?x=y"`
		}, reason: idp.ReasonUnknownACS},
		{name: "REQ-14 URL of another SP", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceURL="` + ctctACS + `"`
		}, reason: idp.ReasonUnknownACS},
		{name: "REQ-14 index", change: func(r *authnRequest) { r.attributes = `AssertionConsumerServiceIndex="1"` }},
		{name: "REQ-14 unknown index", change: func(r *authnRequest) { r.attributes = `AssertionConsumerServiceIndex="9"` },
			reason: idp.ReasonUnknownACS},
		{name: "REQ-14 no index", change: func(r *authnRequest) { r.attributes = `AssertionConsumerServiceIndex="-1"` },
			reason: idp.ReasonBadRequest},
		{name: "REQ-14 index and URL agree", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceIndex="0" AssertionConsumerServiceURL="` + plainACS + `"`
		}},
		{name: "REQ-14 index and URL of another", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceIndex="0" AssertionConsumerServiceURL="` + plainACS2 + `"`
		}, reason: idp.ReasonUnknownACS},
		{name: "REQ-14 index and unregistered URL", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceIndex="0" AssertionConsumerServiceURL="https://evil.test/acs"`
		}, reason: idp.ReasonUnknownACS},
		{name: "REQ-14 unknown index and registered URL", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceIndex="9" AssertionConsumerServiceURL="` + plainACS + `"`
		}, reason: idp.ReasonUnknownACS},
		{name: "REQ-14 index and binding agree", change: func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceIndex="0" ProtocolBinding="` + saml.HTTPPostBinding + `"`
		}},
	} {
		for _, binding := range []string{"redirect", "post"} {
			t.Run(c.name+"/"+binding, func(t *testing.T) {
				r := newRequest(plain)
				if c.change != nil {
					c.change(&r)
				}
				text := r.xml()
				if c.text != nil {
					text = c.text(text)
				}
				send := byRedirect
				if binding == "post" {
					send = byPost
				}
				a, err := f.SSO(context.Background(), send(t, text, c.more...), visitor("b"))
				if c.reason == "" {
					must[idp.GoOn](t, a, err)
					return
				}
				before := f.log.String()
				refusal := must[idp.Refusal](t, a, err)
				if refusal.Reason != c.reason {
					t.Errorf("reason %s, want %s", refusal.Reason, c.reason)
				}
				if want := map[string]int{idp.ReasonTooLarge: 413, idp.ReasonProviderDisabled: 403}[c.reason]; want != 0 &&
					refusal.Status != want || want == 0 && refusal.Status != 400 {
					t.Errorf("status %d", refusal.Status)
				}
				if refusal.SignIn != "" || refusal.CanCancel {
					t.Errorf("a refused request can be gone on with: %+v", refusal)
				}
				if !strings.Contains(before, "reason="+c.reason) || !strings.Contains(before, "cause=") ||
					!strings.Contains(before, "fix=") {
					t.Error("the log does not say why")
				}
			})
		}
	}
}

// TestREQ01 covers methods and sizes.
func TestREQ01(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	text := newRequest(plain).xml()
	form := func(body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/saml/sso", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		return r
	}
	padded := func(n int) string { // a valid request of n bytes
		r := newRequest(plain).xml()
		return r + strings.Repeat(" ", n-len(r))
	}
	bomb := deflated(t, strings.Repeat("a", 64<<20))
	inQuery := byPost(t, newRequest(plain).xml())
	inQuery.URL.RawQuery = "RelayState=x"
	multipart := byPost(t, text)
	multipart.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	limited := byPost(t, padded(100<<10))
	limited.Body = http.MaxBytesReader(httptest.NewRecorder(), limited.Body, 1<<10)
	broken := byPost(t, text)
	broken.Body = io.NopCloser(io.MultiReader(strings.NewReader("SAMLRequest=AA"), failing{}))
	for _, c := range []struct {
		name   string
		r      *http.Request
		reason string
		status int
	}{
		{"PUT", httptest.NewRequest(http.MethodPut, "/saml/sso", nil), idp.ReasonMethod, 405},
		{"HEAD", httptest.NewRequest(http.MethodHead, "/saml/sso", nil), idp.ReasonMethod, 405},
		{"no SAMLRequest", httptest.NewRequest(http.MethodGet, "/saml/sso", nil), idp.ReasonBadRequest, 400},
		{"no base64", httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest=%21%21", nil), idp.ReasonBadRequest, 400},
		{"base64 with loose bits", httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest=QQ%3D%3DQ", nil),
			idp.ReasonBadRequest, 400},
		{"plain XML by GET", httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest="+
			url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text))), nil), idp.ReasonBadRequest, 400},
		{"long query", httptest.NewRequest(http.MethodGet, "/saml/sso?x="+strings.Repeat("a", 64<<10), nil),
			idp.ReasonTooLarge, 413},
		{"largest request", byRedirect(t, padded(idp.MaxXML)), "", 0},
		{"too large inflated", byRedirect(t, padded(idp.MaxXML+1)), idp.ReasonTooLarge, 413},
		{"largest form", byPost(t, padded(idp.MaxXML)), "", 0},
		{"too large form", byPost(t, padded(idp.MaxXML+1)), idp.ReasonTooLarge, 413},
		{"very large form", form("SAMLRequest=" + strings.Repeat("A", 600<<10)), idp.ReasonTooLarge, 413},
		{"beyond the server's limit", limited, idp.ReasonTooLarge, 413},
		{"deflate bomb", httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest="+
			url.QueryEscape(bomb[:len(bomb)/2]), nil), "", 0},
		{"form cut off", broken, idp.ReasonBadRequest, 400},
		{"parameters in the query of a POST", inQuery, idp.ReasonBadRequest, 400},
		{"multipart", multipart, idp.ReasonBadRequest, 400},
		{"trailing bytes", byRedirectRaw(t, text, "tail"), idp.ReasonBadRequest, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := f.SSO(context.Background(), c.r, visitor("b"))
			if c.name == "deflate bomb" {
				// Half of a bomb's base64 may end anywhere: it is refused one way or the other.
				if r := must[idp.Refusal](t, a, err); r.Status != 400 && r.Status != 413 {
					t.Errorf("refusal %+v", r)
				}
				return
			}
			if c.reason == "" {
				must[idp.GoOn](t, a, err)
				return
			}
			if r := must[idp.Refusal](t, a, err); r.Reason != c.reason || r.Status != c.status {
				t.Errorf("refusal %+v, want %s %d", r, c.reason, c.status)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// byRedirectRaw puts bytes behind the compressed request.
func byRedirectRaw(t *testing.T, text, tail string) *http.Request {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(deflated(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return httptest.NewRequest(http.MethodGet, "/saml/sso?SAMLRequest="+
		url.QueryEscape(base64.StdEncoding.EncodeToString(append(packed, tail...))), nil)
}

// TestREQ08 refuses a request that somebody known went on with before, however it comes and
// whatever became of it.
func TestREQ08(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	f.gate.set(choose)
	pending := newRequest(ctct)
	first, second := f.request(t, pending, v), f.request(t, pending, v)
	a, err := f.resume(first, v)
	must[idp.ChooseAccount](t, a, err)
	// A second copy that was on its way already is no better.
	a, err = f.resume(second, v)
	if refusal := must[idp.Refusal](t, a, err); refusal.Reason != idp.ReasonReplayed {
		t.Errorf("reason %s", refusal.Reason)
	}
	answered := newRequest(plain)
	a, err = f.resume(f.request(t, answered, v), v)
	must[idp.Deliver](t, a, err)
	for _, r := range []authnRequest{pending, answered} {
		for _, again := range []*http.Request{byRedirect(t, r.xml()), byPost(t, r.xml())} {
			a, err := f.SSO(context.Background(), again, visitor("another"))
			if refusal := must[idp.Refusal](t, a, err); refusal.Reason != idp.ReasonReplayed {
				t.Errorf("reason %s", refusal.Reason)
			}
		}
	}
	// The same ID from another SP is another request.
	other := pending
	other.issuer = "<saml:Issuer>" + plain + "</saml:Issuer>"
	f.request(t, other, v)
	// Its record outlives the time in which it would be accepted.
	now.Advance(14 * time.Minute)
	a, err = f.SSO(context.Background(), byRedirect(t, pending.xml()), v)
	if refusal := must[idp.Refusal](t, a, err); refusal.Reason != idp.ReasonRequestTime {
		t.Errorf("reason %s", refusal.Reason)
	}
}

// TestTableC covers what the request itself makes impossible, and REQ-04,
// REQ-14, REQ-16 to REQ-19 as far as they are there: a status at once, signed,
// without an assertion.
func TestTableC(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	context1 := func(comparison string, classes ...string) string {
		s := `<samlp:RequestedAuthnContext` + comparison + `>`
		for _, c := range classes {
			s += "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:" + c + "</saml:AuthnContextClassRef>"
		}
		return s + "</samlp:RequestedAuthnContext>"
	}
	for _, c := range []struct {
		name        string
		change      func(*authnRequest)
		top, second string // "": no status, the sign-in goes on
	}{
		{"version above", func(r *authnRequest) { r.version = "2.1" }, "VersionMismatch", "RequestVersionTooHigh"},
		{"version below", func(r *authnRequest) { r.version = "1.1" }, "VersionMismatch", "RequestVersionTooLow"},
		{"artifact wanted", func(r *authnRequest) { r.attributes = `ProtocolBinding="` + saml.HTTPArtifactBinding + `"` },
			"Requester", "UnsupportedBinding"},
		{"POST wanted", func(r *authnRequest) { r.attributes = `ProtocolBinding="` + saml.HTTPPostBinding + `"` }, "", ""},
		{"artifact by index", func(r *authnRequest) { r.attributes = `AssertionConsumerServiceIndex="2"` }, "Requester",
			"UnsupportedBinding"},
		{"artifact by URL", func(r *authnRequest) {
			r.attributes = `AssertionConsumerServiceURL="https://wiki.partner.test/artifact"`
		}, "Requester", "UnsupportedBinding"},
		{"passive and new credentials", func(r *authnRequest) { r.attributes = `IsPassive="1" ForceAuthn="1"` },
			"Responder", "NoPassive"},
		{"NameID we issue", func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy Format="` + persistent + `" AllowCreate="true"/>`
		}, "", ""},
		{"NameID left open", func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"/>`
		}, "", ""},
		{"NameID empty policy", func(r *authnRequest) { r.inner = `<samlp:NameIDPolicy/>` }, "", ""},
		{"NameID transient", func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient"/>`
		}, "", ""},
		{"NameID Kerberos", func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"/>`
		}, "Requester", "InvalidNameIDPolicy"},
		{"NameID encrypted", func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"/>`
		}, "Requester", "InvalidNameIDPolicy"},
		{"own qualifier", func(r *authnRequest) {
			r.inner = `<samlp:NameIDPolicy SPNameQualifier="` + plain +
				`"/>`
		}, "", ""},
		{"foreign qualifier", func(r *authnRequest) { r.inner = `<samlp:NameIDPolicy SPNameQualifier="` + ctct + `"/>` },
			"Requester", "InvalidNameIDPolicy"},
		{"context exact", func(r *authnRequest) { r.inner = context1("", "X509", "PasswordProtectedTransport") }, "", ""},
		{"context exact, another", func(r *authnRequest) { r.inner = context1(` Comparison="exact"`, "X509") }, "Responder",
			"NoAuthnContext"},
		{"context exact, weaker", func(r *authnRequest) { r.inner = context1("", "Password") }, "", ""},
		{"context minimum", func(r *authnRequest) { r.inner = context1(` Comparison="minimum"`, "Password") }, "", ""},
		{"context minimum, unknown class", func(r *authnRequest) {
			r.inner = context1(` Comparison="minimum"`,
				"SmartcardPKI")
		}, "Responder", "NoAuthnContext"},
		{"context maximum", func(r *authnRequest) {
			r.inner = context1(` Comparison="maximum"`,
				"PasswordProtectedTransport")
		}, "", ""},
		{"context maximum, weaker", func(r *authnRequest) { r.inner = context1(` Comparison="maximum"`, "Password") },
			"", ""},
		{"context better", func(r *authnRequest) { r.inner = context1(` Comparison="better"`, "Password") }, "", ""},
		{"context better than ours", func(r *authnRequest) {
			r.inner = context1(` Comparison="better"`, "Password", "PasswordProtectedTransport")
		}, "Responder", "NoAuthnContext"},
		{"context by declaration", func(r *authnRequest) {
			r.inner = `<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef></samlp:RequestedAuthnContext>`
		}, "Responder", "NoAuthnContext"},
		{"Conditions and Scoping are wishes",
			func(r *authnRequest) { r.inner = `<saml:Conditions/><samlp:Scoping ProxyCount="0"/>` }, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRequest(plain)
			c.change(&r)
			a, err := f.SSO(context.Background(), byRedirect(t, r.xml(), "RelayState=keep"), v)
			if c.top == "" {
				a, err = f.Resume(context.Background(), must[idp.GoOn](t, a, err).SignIn, v)
				accept(t, peer(t, f, plain, plainACS), must[idp.Deliver](t, a, err), r.id)
				return
			}
			checkStatus(t, must[idp.Deliver](t, a, err), r, c.top, c.second)
		})
	}
}

// checkStatus holds an error Response against RSP-17 and table C.
func checkStatus(t *testing.T, d idp.Deliver, r authnRequest, top, second string) {
	t.Helper()
	if gotTop, gotSecond := status(t, d); gotTop != top || gotSecond != second {
		t.Errorf("status %s/%s, want %s/%s", gotTop, gotSecond, top, second)
	}
	response := root(t, d)
	if err := checkSignature(response, readKey(t, "rsa-2048").Certificate); err != nil {
		t.Errorf("signature: %v", err)
	}
	response = root(t, d)
	if len(response.FindElements("//Assertion")) != 0 {
		t.Error("an error Response carries an assertion")
	}
	if response.SelectAttrValue("InResponseTo", "") != r.id || response.SelectAttrValue("Destination", "") != plainACS {
		t.Errorf("Response %v", response.Attr)
	}
	if d.Action != plainACS {
		t.Errorf("goes to %s", d.Action)
	}
	if text := string(decode(t, d)); strings.Contains(text, "alice") || strings.Contains(text, "ldap") {
		t.Error("the status tells of the person or the directory")
	}
}

// TestREQ14 sends Responses to the ACS that the request asks for, and the
// default where it asks for none (saml-metadata 2.2.3).
func TestREQ14(t *testing.T) {
	yes, no := true, false
	post, artifact := saml.HTTPPostBinding, saml.HTTPArtifactBinding
	acs := func(n string, binding string, isDefault *bool, index int) store.Endpoint {
		return store.Endpoint{URL: "https://wiki.partner.test/" + n, Binding: binding, IsDefault: isDefault, Index: index}
	}
	for _, c := range []struct {
		name       string
		acs        []store.Endpoint
		attributes string
		want       string
	}{
		{"first", []store.Endpoint{acs("a", post, nil, 0), acs("b", post, nil, 1)}, "", "a"},
		{"marked", []store.Endpoint{acs("a", post, nil, 0), acs("b", post, &yes, 1)}, "", "b"},
		{"first not false", []store.Endpoint{acs("a", post, &no, 0), acs("b", post, nil, 1)}, "", "b"},
		{"all false", []store.Endpoint{acs("a", post, &no, 0), acs("b", post, &no, 1)}, "", "a"},
		{"another binding is passed over", []store.Endpoint{acs("a", artifact, &yes, 0), acs("b", post, nil, 1)}, "", "b"},
		{"index", []store.Endpoint{acs("a", post, &yes, 0), acs("b", post, nil, 1)},
			`AssertionConsumerServiceIndex="1"`, "b"},
		{"URL", []store.Endpoint{acs("a", post, &yes, 0), acs("b", post, nil, 1)},
			`AssertionConsumerServiceURL="https://wiki.partner.test/b"`, "b"},
		{"URL with two bindings", []store.Endpoint{acs("a", post, &yes, 0), acs("b", artifact, nil, 1),
			acs("b", post, nil, 2)},
			`AssertionConsumerServiceURL="https://wiki.partner.test/b"`, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			sp := plainSP()
			sp.ACS = c.acs
			f.put(t, sp)
			v := f.signIn(t, "alice", "correct horse")
			r := newRequest(plain)
			r.attributes = c.attributes
			a, err := f.Resume(context.Background(), f.request(t, r, v), v)
			d := must[idp.Deliver](t, a, err)
			want := "https://wiki.partner.test/" + c.want
			if d.Action != want {
				t.Errorf("goes to %s, want %s", d.Action, want)
			}
			accept(t, peer(t, f, plain, want), d, r.id)
		})
	}
}
