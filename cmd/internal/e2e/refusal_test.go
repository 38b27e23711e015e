package e2e_test

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
)

// What can be answered to the SP is answered by a status to its registered ACS
// (table C); all else is a local page, and nothing leaves.
func TestRequestRefusals(t *testing.T) {
	t.Parallel()
	// Each request comes from an address of its own: a single one leaves no more than a few lines a minute.
	w := newWorld(t, setting{set: map[string]string{"trusted_proxies": "127.0.0.1"}})
	address := netip.MustParseAddr("192.0.2.1")
	change := func(f func(*request)) request { r := newRequest(w); f(&r); return r }
	root := func(name, value string) request {
		return change(func(r *request) { r.attributes = map[string]string{name: value} })
	}
	for _, c := range []struct {
		name        string
		request     request
		status      int    // of the local page
		top, second string // or the status to the SP
	}{
		{name: "REQ-04 version above", request: root("Version", "2.1"), top: "VersionMismatch",
			second: "RequestVersionTooHigh"},
		{name: "REQ-04 version below", request: root("Version", "1.1"), top: "VersionMismatch",
			second: "RequestVersionTooLow"},
		{name: "REQ-05 unknown SP", request: change(func(r *request) { r.issuer = "https://stranger.example.test/<b>" }),
			status: 400},
		{name: "REQ-05 no issuer", request: change(func(r *request) { r.issuer = "" }), status: 400},
		{name: "REQ-06 other destination",
			request: change(func(r *request) { r.destination = "https://other.example.test/saml/sso" }), status: 400},
		{name: "REQ-07 seven minutes old", request: change(func(r *request) { r.issued = r.issued.Add(-7 * time.Minute) }),
			status: 400},
		{name: "REQ-07 from the future", request: change(func(r *request) { r.issued = r.issued.Add(7 * time.Minute) }),
			status: 400},
		{name: "REQ-14 unregistered ACS", request: change(func(r *request) { r.acs = "https://thief.example.test/acs" }),
			status: 400},
		{name: "REQ-14 javascript ACS", request: change(func(r *request) { r.acs = "javascript:alert(1)" }), status: 400},
		{name: "REQ-14 ACS with a suffix", request: change(func(r *request) { r.acs += "/../x" }), status: 400},
		{name: "REQ-14 other binding", request: root("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"),
			top: "Requester", second: "UnsupportedBinding"},
		{name: "REQ-17 NameID format", request: change(func(r *request) {
			r.children = []*etree.Element{element("samlp:NameIDPolicy", "Format",
				"urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos")}
		}), top: "Requester", second: "InvalidNameIDPolicy"},
		{name: "REQ-03 DTD", request: change(func(r *request) {
			r.xml = `<!DOCTYPE x [<!ENTITY e "x">]>` + string(r.document(t))
		}), status: 400},
		{name: "REQ-03 not XML", request: change(func(r *request) { r.xml = "hello" }), status: 400},
		{name: "REQ-03 trailing data", request: change(func(r *request) { r.xml = string(r.document(t)) + "<x/>" }),
			status: 400},
		{name: "REQ-03 deep", request: change(func(r *request) {
			r.xml = strings.Repeat("<a>", 5000) + strings.Repeat("</a>",
				5000)
		}), status: 400},
		{name: "REQ-03 other root", request: change(func(r *request) {
			r.xml = strings.ReplaceAll(string(r.document(t)), "AuthnRequest", "LogoutRequest")
		}), status: 400},
		{name: "signed in the XML", request: change(func(r *request) {
			s := element("ds:Signature", "xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
			r.children = []*etree.Element{s}
		}), status: 400},
	} {
		for _, binding := range []string{"redirect", "post"} {
			t.Run(c.name+" "+binding, func(t *testing.T) {
				client := newClient(t)
				client.forwarded, address = address.String(), address.Next()
				r := c.request
				if r.xml == "" {
					r.id = "_" + randomHex() // one request, used once
				}
				p := client.authnRequest(w, r, binding, `"><script>alert(2)</script>`)
				if c.top != "" {
					p.wantStatus(w, c.top, c.second)
					return
				}
				if p.delivers() {
					t.Fatalf("something leaves:\n%s", p.Body)
				}
				p.status(c.status)
				ref := reference(t, p)
				for until := time.Now().Add(patience); len(ref) > shortReference && time.Now().Before(until); ref = reference(t,
					p) {
					// Past ten of a kind a second a refusal is counted, and leaves no lines: it is asked for again, from elsewhere.
					client.forwarded, address = address.String(), address.Next()
					p = client.authnRequest(w, r, binding, `"><script>alert(2)</script>`)
				}
				w.logs(t, ref)
				for _, hostile := range []string{"<script>alert", "example.test/<b>", "javascript:alert"} {
					if strings.Contains(p.Body, hostile) {
						t.Errorf("the page repeats %q as HTML", hostile)
					}
				}
			})
		}
	}
}

func TestREQ08Replay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	r := newRequest(w)
	c := newClient(t)
	page := c.authnRequest(w, r, "redirect", "").says("Sign in")
	newClient(t).authnRequest(w, r, "post", "").says("Sign in") // nobody has got anything for it yet
	if p := c.goOn(c.login(page, "bob", password)); !p.delivers() {
		t.Fatalf("no Response:\n%s", p.text())
	}
	c.authnRequest(w, r, "redirect", "").status(http.StatusBadRequest).says("used before")
	newClient(t).authnRequest(w, r, "post", "").status(http.StatusBadRequest).says("used before")
	w.kill(t)
	w.start(t)
	newClient(t).authnRequest(w, r, "post", "").status(http.StatusBadRequest).says("used before")
}

// Shapes of the message itself that no honest SP sends.
func TestMessageRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	fresh := func() string { return url.QueryEscape(deflated(t, newRequest(w).document(t))) }
	sso := w.url + "/saml/sso?"
	bomb := deflated(t, []byte("<a>"+strings.Repeat(" ", 20<<20)+"</a>"))
	for _, c := range []struct{ name, query string }{
		{"REQ-02 none", ""},
		{"REQ-02 two", "SAMLRequest=" + fresh() + "&SAMLRequest=" + fresh()},
		{"REQ-02 two RelayStates", "SAMLRequest=" + fresh() + "&RelayState=a&RelayState=b"},
		{"REQ-02 encoding", "SAMLRequest=" + fresh() + "&SAMLEncoding=urn:x"},
		{"signed in the query", "SAMLRequest=" + fresh() + "&SigAlg=x&Signature=eA%3D%3D"},
		{"REQ-01 not base64", "SAMLRequest=%21%21"},
		{"REQ-01 not deflated", "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("<x/>")))},
		{"REQ-01 bomb", "SAMLRequest=" + url.QueryEscape(bomb)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newClient(t).get(sso + c.query)
			if p.delivers() || p.Status < 400 || p.Status >= 500 {
				t.Errorf("got status %d:\n%s", p.Status, p.text())
			}
		})
	}
	if p := newClient(t).send(http.MethodPut, sso, url.Values{}); p.Status != http.StatusMethodNotAllowed {
		t.Errorf("REQ-01: PUT got %d, want 405", p.Status)
	}
}

// A sign-in belongs to the browser that began it, forms to their page, and a used one is finished (rows WEB-01, SP-07).
func TestOtherBrowserAndBackButton(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	mine := newClient(t)
	login := mine.get(w.launch(club))
	asked := mine.authnRequest(w, newRequest(w), "redirect", "")
	if p := newClient(t).get(asked.URL.String()); p.Status < 400 || p.delivers() {
		t.Errorf("another browser got %d for the address of the login page:\n%s", p.Status, p.text())
	}

	thief := newClient(t)
	thief.get(w.url + "/")
	f := login.form("password")
	f.Fields.Set("login", "bob")
	f.Fields.Set("password", password)
	if p := thief.post(login.resolve(f.Action), f.Fields); p.delivers() || p.Status < 400 {
		t.Errorf("WEB-01: another browser's form was taken: %d\n%s", p.Status, p.text())
	}
	handover := mine.goOn(mine.login(login, "bob", password))
	newClient(t).get(handover.URL.String()).says("another browser")
	mine.deliver(handover).says("Bob Brandt")
	mine.get(handover.URL.String()).says("This sign-in is finished")

	// The very same Response a second time is refused by the SP (row SP-06).
	if p := mine.deliver(handover); p.Status < 400 {
		t.Errorf("SP-06: the sandbox took a Response twice:\n%s", p.text())
	}
}

// The Response can't be changed on its way (row RSP-09, RSP-10).
func TestTamperedResponse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	c.goOn(c.login(c.get(w.launch(club)), "bob", password))
	for name, change := range map[string]func(string) string{
		"name":     func(x string) string { return strings.Replace(x, "bob@example.test", "eve@example.test", 1) },
		"audience": func(x string) string { return strings.Replace(x, "</saml:Audience>", "x</saml:Audience>", 1) },
		"unsigned": func(x string) string {
			return cut(cut(x, "<ds:Signature", "</ds:Signature>"), "<ds:Signature", "</ds:Signature>")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.get(w.launch(club))
			f := p.form("SAMLResponse")
			plain, err := base64.StdEncoding.DecodeString(f.Fields.Get("SAMLResponse"))
			if err != nil {
				t.Fatal(err)
			}
			changed := change(string(plain))
			if changed == string(plain) {
				t.Fatalf("the test changed nothing in\n%s", plain)
			}
			f.Fields.Set("SAMLResponse", base64.StdEncoding.EncodeToString([]byte(changed)))
			if got := c.post(p.resolve(f.Action), f.Fields); got.Status < 400 {
				t.Errorf("the sandbox took a changed Response:\n%s", got.text())
			}
		})
	}
}

func cut(text, from, to string) string {
	i := strings.Index(text, from)
	if i < 0 {
		return text
	}
	j := strings.Index(text[i:], to)
	if j < 0 {
		return text
	}
	return text[:i] + text[i+j+len(to):]
}

func TestLaunchRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{})
	c := newClient(t)
	for _, path := range []string{
		"/launch/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/launch/" + strings.Repeat("a", 200),
		"/launch/sp?entity_id=https://stranger.example.test",
		"/launch/sp?entity_id=" + url.QueryEscape(w.providerID()) + "&relay_state=https://thief.example.test",
		"/login?s=unknown", "/nothing",
	} {
		p := c.get(w.url + path)
		if p.Status < 400 || p.Status >= 500 || p.delivers() {
			t.Errorf("%s: got %d\n%s", path, p.Status, p.text())
		}
		if strings.Contains(p.Body, "<script>alert") {
			t.Errorf("%s: what was asked for stands in the page as HTML", path)
		}
	}
}
