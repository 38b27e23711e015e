package sandbox_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/partnerapi/sandbox"
)

// start starts a sandbox with the sample accounts and without limits, unless change says otherwise.
func start(t testing.TB, change func(*sandbox.Options)) *sandbox.Sandbox {
	t.Helper()
	o := sandbox.Options{Accounts: sandbox.SampleAccounts(), PerSecond: sandbox.Unlimited,
		TokensPerSecond: sandbox.Unlimited}
	if change != nil {
		change(&o)
	}
	s, err := sandbox.Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// answered is what is left of an answer once its body is read.
type answered struct {
	StatusCode int
	Header     http.Header
	Request    *http.Request // the last one, after redirects
	cookies    []*http.Cookie
}

// Cookies are those that the answer sets.
func (a answered) Cookies() []*http.Cookie { return a.cookies }

// exchange makes an HTTP request and reads the answer.
func exchange(t testing.TB, c *http.Client, r *http.Request) (answered, string) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, resp.Request, resp.Cookies()}, string(body)
}

func request(t testing.TB, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// caller makes partner calls with a token of its own.
type caller struct {
	t     testing.TB
	s     *sandbox.Sandbox
	token string
}

func newCaller(t testing.TB, s *sandbox.Sandbox) *caller {
	t.Helper()
	c := &caller{t: t, s: s}
	o := s.TokenOptions()
	r := request(t, "POST", o.URL, "grant_type=client_credentials", "Content-Type", "application/x-www-form-urlencoded",
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(o.ClientID+":"+o.ClientSecret)))
	resp, body := exchange(t, http.DefaultClient, r)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != 200 ||
		strings.Count(answer.Token, ".") != 2 {
		t.Fatalf("token: status %d, %s", resp.StatusCode, body)
	}
	c.token = answer.Token
	return c
}

// do makes a call and gives status and body.
func (c *caller) do(method, path, body string) (int, string) {
	c.t.Helper()
	resp, answer := exchange(c.t, http.DefaultClient, request(c.t, method, c.s.BaseURL()+path, body,
		"Authorization", "Bearer "+c.token, "x-api-key", sandbox.DefaultAPIKey, "Content-Type", "application/json"))
	return resp.StatusCode, answer
}

// user is the body of a creation; pairs of field and value change it, a value of "-" leaves the field out.
func user(change ...string) string {
	u := map[string]string{
		"first_name": "Zoë", "last_name": "Ng", "role_name": "campaign_creator", "contact_email": "zoe@example.test",
		"login_name": "zoe-login", "external_id": "zoe-1", "external_provider": sandbox.DefaultExternalProvider,
	}
	for i := 0; i < len(change); i += 2 {
		if u[change[i]] = change[i+1]; change[i+1] == "-" {
			delete(u, change[i])
		}
	}
	b, _ := json.Marshal(u)
	return string(b)
}

const creations = "/partner/accounts/a07e1lxqqqo0/users/sso"

// provider is an identity provider that signs.
type provider struct {
	entityID string
	key      crypto.Signer
	cert     []byte
	method   string
	asn1     bool // an ECDSA signature as Go and goxmldsig write it, and nobody else
}

// standardECDSA signs by r and s one after the other (xmldsig-core1 6.4.3).
type standardECDSA struct {
	crypto.Signer
	public *ecdsa.PublicKey
}

func (k standardECDSA) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	der, err := k.Signer.Sign(random, digest, o)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	size := (k.public.Curve.Params().N.BitLen() + 7) / 8
	return append(pair.R.FillBytes(make([]byte, size)), pair.S.FillBytes(make([]byte, size))...), nil
}

func newProvider(t testing.TB, key crypto.Signer) *provider {
	t.Helper()
	method := dsig.ECDSASHA256SignatureMethod
	if k, ok := key.(*ecdsa.PrivateKey); ok && k.Curve == elliptic.P384() {
		method = dsig.ECDSASHA384SignatureMethod
	}
	if key == nil {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key = k
	}
	if _, ok := key.(*rsa.PrivateKey); ok {
		method = dsig.RSASHA256SignatureMethod
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &provider{entityID: "https://idp.example.test/saml/metadata", key: key, cert: cert, method: method}
}

// trusted is a provider that the sandbox trusts.
func trusted(t testing.TB, s *sandbox.Sandbox) *provider {
	t.Helper()
	p := newProvider(t, nil)
	if err := s.Trust(p.entityID, [][]byte{p.cert}, "http://idp.example.test/saml/sso",
		"http://idp.example.test/saml/sso"); err != nil {
		t.Fatal(err)
	}
	return p
}

// sign puts an enveloped signature behind the Issuer (saml-core 5.4).
func (p *provider) sign(t testing.TB, e *etree.Element) *etree.Element {
	t.Helper()
	key := p.key
	if public, ok := key.Public().(*ecdsa.PublicKey); ok && !p.asn1 {
		key = standardECDSA{key, public}
	}
	c, err := dsig.NewSigningContext(key, [][]byte{p.cert})
	if err != nil {
		t.Fatal(err)
	}
	c.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := c.SetSignatureMethod(p.method); err != nil {
		t.Fatal(err)
	}
	c.IdAttribute = "ID"
	signature, err := c.ConstructSignature(e, true)
	if err != nil {
		t.Fatal(err)
	}
	e.InsertChildAt(1, signature)
	return e
}

// message is a Response to be: change what a case needs, then seal it.
type message struct {
	response               *saml.Response
	assertion              *saml.Assertion
	plainResponse, plainAs bool                                     // not signed
	before                 func(response, assertion *etree.Element) // before anything is signed
	after                  func(response *etree.Element)            // after everything is signed
	text                   func(string) string                      // of the finished XML
	field                  url.Values                               // of the form, beside SAMLResponse
	signer                 *provider
}

// response is a good Response for the NameID.
func (p *provider) response(s *sandbox.Sandbox, nameID string, now time.Time) *message {
	now = now.UTC()
	id := func() string {
		b := make([]byte, 16)
		_, _ = rand.Read(b)
		return "id-" + base64.RawURLEncoding.EncodeToString(b)
	}
	end := now.Add(8 * time.Hour)
	a := &saml.Assertion{
		ID: id(), IssueInstant: now, Version: "2.0", Issuer: saml.Issuer{Value: p.entityID},
		Subject: &saml.Subject{
			NameID: &saml.NameID{Format: string(saml.PersistentNameIDFormat), Value: nameID},
			SubjectConfirmations: []saml.SubjectConfirmation{{
				Method:                  "urn:oasis:names:tc:SAML:2.0:cm:bearer",
				SubjectConfirmationData: &saml.SubjectConfirmationData{NotOnOrAfter: now.Add(5 * time.Minute), Recipient: s.ACS()},
			}},
		},
		Conditions: &saml.Conditions{
			NotBefore: now.Add(-time.Minute), NotOnOrAfter: now.Add(5 * time.Minute),
			AudienceRestrictions: []saml.AudienceRestriction{{Audience: saml.Audience{Value: s.Audience()}}},
		},
		AuthnStatements: []saml.AuthnStatement{{
			AuthnInstant: now, SessionIndex: id(), SessionNotOnOrAfter: &end,
			AuthnContext: saml.AuthnContext{AuthnContextClassRef: &saml.AuthnContextClassRef{Value: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}},
		}},
		AttributeStatements: []saml.AttributeStatement{{Attributes: []saml.Attribute{{
			Name: "email", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
			Values: []saml.AttributeValue{{Type: "xs:string", Value: "<b>&zoe@example.test"}},
		}}}},
	}
	return &message{
		response: &saml.Response{
			ID: id(), Version: "2.0", IssueInstant: now, Destination: s.ACS(), Issuer: &saml.Issuer{Value: p.entityID},
			Status: saml.Status{StatusCode: saml.StatusCode{Value: saml.StatusSuccess}},
		},
		assertion: a, signer: p, field: url.Values{},
	}
}

// seal signs and encodes.
func (m *message) seal(t testing.TB) string {
	t.Helper()
	root := m.response.Element()
	var assertion *etree.Element
	if m.assertion != nil {
		assertion = m.assertion.Element()
	}
	if m.before != nil {
		m.before(root, assertion)
	}
	if assertion != nil {
		if !m.plainAs {
			assertion = m.signer.sign(t, assertion)
		}
		root.AddChild(assertion)
	}
	if !m.plainResponse {
		root = m.signer.sign(t, root)
	}
	if m.after != nil {
		m.after(root)
	}
	doc := etree.NewDocument()
	doc.SetRoot(root)
	text, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	if m.text != nil {
		text = m.text(text)
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// browser keeps cookies and follows redirects, as far as host allows.
func browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// deliver posts a sealed Response to an ACS.
func deliver(t testing.TB, c *http.Client, acs, sealed string, field url.Values) (answered, string) {
	t.Helper()
	form := url.Values{"SAMLResponse": {sealed}}
	for k, v := range field {
		form[k] = v
	}
	return exchange(t, c, request(t, "POST", acs, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))
}

// element reads the text of the element with this id out of a page.
func element(t testing.TB, page, id string) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{Permissive: true, AutoClose: []string{"meta", "input"},
		Entity: map[string]string{}}
	if err := doc.ReadFromBytes(bytes.TrimPrefix([]byte(page), []byte("<!doctype html>\n"))); err != nil {
		t.Fatalf("page can't be read: %v\n%s", err, page)
	}
	e := doc.FindElement("//*[@id='" + id + "']")
	if e == nil {
		t.Fatalf("no element %q in %s", id, page)
	}
	return e.Text()
}
