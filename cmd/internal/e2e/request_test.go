package e2e_test

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"net/url"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
)

// request is an AuthnRequest written by hand: what an honest SP would send,
// unless a test changes something about it.
type request struct {
	id, issuer, destination, acs string
	issued                       time.Time
	attributes                   map[string]string // further ones of the root
	children                     []*etree.Element
	xml                          string // replaces all of the above
}

func newRequest(w *world) request {
	return request{
		id: "_" + randomHex(), issuer: w.providerID(), destination: w.url + "/saml/sso",
		acs: w.acs(), issued: time.Now(),
	}
}

func randomHex() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func (r request) document(t testing.TB) []byte {
	t.Helper()
	if r.xml != "" {
		return []byte(r.xml)
	}
	root := etree.NewElement("samlp:AuthnRequest")
	root.CreateAttr("xmlns:samlp", "urn:oasis:names:tc:SAML:2.0:protocol")
	root.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	root.CreateAttr("Version", "2.0")
	root.CreateAttr("ID", r.id)
	root.CreateAttr("IssueInstant", r.issued.UTC().Format("2006-01-02T15:04:05Z"))
	if r.destination != "" {
		root.CreateAttr("Destination", r.destination)
	}
	if r.acs != "" {
		root.CreateAttr("AssertionConsumerServiceURL", r.acs)
		root.CreateAttr("ProtocolBinding", saml.HTTPPostBinding)
	}
	for k, v := range r.attributes {
		root.RemoveAttr(k)
		root.CreateAttr(k, v)
	}
	root.CreateElement("saml:Issuer").SetText(r.issuer)
	for _, c := range r.children {
		root.AddChild(c)
	}
	doc := etree.NewDocumentWithRoot(root)
	data, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// redirect is the request by the HTTP-Redirect binding.
func (r request) redirect(t testing.TB, w *world, relayState string) string {
	t.Helper()
	q := "SAMLRequest=" + url.QueryEscape(deflated(t, r.document(t)))
	if relayState != "" {
		q += "&RelayState=" + url.QueryEscape(relayState)
	}
	return w.url + "/saml/sso?" + q
}

// posted is the form of the HTTP-POST binding.
func (r request) posted(t testing.TB, relayState string) url.Values {
	t.Helper()
	f := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(r.document(t))}}
	if relayState != "" {
		f.Set("RelayState", relayState)
	}
	return f
}

func deflated(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// statusOf reads the status codes of the Response on this page: top and second level.
func (p *page) statusOf() (top, second string) {
	p.t.Helper()
	doc := p.response()
	code := doc.FindElement("/Response/Status/StatusCode")
	if code == nil {
		p.t.Fatalf("the Response has no StatusCode")
	}
	if inner := code.FindElement("StatusCode"); inner != nil {
		second = inner.SelectAttrValue("Value", "")
	}
	return code.SelectAttrValue("Value", ""), second
}

// response decodes the Response that this page hands over.
func (p *page) response() *etree.Document {
	p.t.Helper()
	data, err := base64.StdEncoding.DecodeString(p.form("SAMLResponse").Fields.Get("SAMLResponse"))
	if err != nil {
		p.t.Fatalf("SAMLResponse: %v", err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		p.t.Fatalf("SAMLResponse: %v", err)
	}
	return doc
}

func element(tag string, attributes ...string) *etree.Element {
	e := etree.NewElement(tag)
	for i := 0; i+1 < len(attributes); i += 2 {
		e.CreateAttr(attributes[i], attributes[i+1])
	}
	return e
}

func statusName(s string) string { return "urn:oasis:names:tc:SAML:2.0:status:" + s }

// wantStatus fails unless the page hands this status over to the registered ACS.
func (p *page) wantStatus(w *world, top, second string) {
	p.t.Helper()
	gotTop, gotSecond := p.statusOf()
	wantSecond := ""
	if second != "" {
		wantSecond = statusName(second)
	}
	if gotTop != statusName(top) || gotSecond != wantSecond {
		p.t.Errorf("got status %s / %s, want %s / %s", gotTop, gotSecond, statusName(top), wantSecond)
	}
	if action := p.form("SAMLResponse").Action; action != w.acs() {
		p.t.Errorf("the status goes to %s, want the registered %s", action, w.acs())
	}
	if n := len(p.response().FindElements("//Assertion")); n != 0 {
		p.t.Errorf("an error Response carries %d assertions", n)
	}
}

func decodeXML(text string, into any) error { return xml.Unmarshal([]byte(text), into) }
