package idp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"hash"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/idp"
	"ssobridge/store"
)

// peer is crewjam's service provider for one of our records, set up from our
// own metadata.
func peer(t testing.TB, f *fixture, entityID, acs string) *saml.ServiceProvider {
	t.Helper()
	data, err := f.Metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := parseIDP(data)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(acs)
	if err != nil {
		t.Fatal(err)
	}
	return &saml.ServiceProvider{EntityID: entityID, AcsURL: *at, IDPMetadata: metadata, AllowIDPInitiated: true}
}

func accept(t testing.TB, sp *saml.ServiceProvider, d idp.Deliver, requests ...string) *saml.Assertion {
	t.Helper()
	a, err := sp.ParseXMLResponse(decode(t, d), requests, sp.AcsURL)
	if err != nil {
		var invalid *saml.InvalidResponseError
		if errors.As(err, &invalid) {
			err = invalid.PrivateErr // the outer error says nothing, for the sake of strangers
		}
		t.Fatalf("service provider refuses: %v", err)
	}
	return a
}

// checkSignature validates an enveloped signature with goxmldsig.
func checkSignature(el *etree.Element, certificate *x509.Certificate) error {
	context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{certificate}})
	context.Clock = dsig.NewFakeClockAt(start)
	_, err := context.Validate(el)
	return err
}

// TestLaunchResponse covers RSP-01, RSP-03 to RSP-11, RSP-13, RSP-14, SP-02,
// SP-03 and SP-05 on a launch.
func TestLaunchResponse(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	now.Advance(30 * time.Second)
	a, err := f.Launch(context.Background(), idp.LaunchRequest{Account: "a07e1lxqqqo0"}, v)
	d := must[idp.Deliver](t, a, err)

	if d.Action != ctctACS || d.Provider != "Constant Contact" {
		t.Errorf("delivered to %q of %q", d.Action, d.Provider)
	}
	if d.RelayState == nil || *d.RelayState != "https://login.ctct.test/login/idp-redirect" {
		t.Errorf("RelayState %v, want the default one", d.RelayState)
	}
	assertion := accept(t, peer(t, f, ctct, ctctACS), d)
	if got, want := assertion.Subject.NameID.Value, "11111111-aaaa-4bbb-8ccc-000000000001.a07e1lxqqqo0"; got != want {
		t.Errorf("NameID %q, want %q", got, want)
	}

	r := root(t, d)
	at := start.Add(30 * time.Second)
	for path, want := range map[string]string{
		"./@Version":                         "2.0",
		"./@IssueInstant":                    at.Format(time.RFC3339),
		"./@Destination":                     ctctACS,
		"./Issuer":                           entityID,
		"./Assertion/Issuer":                 entityID,
		"./Status/StatusCode/@Value":         "urn:oasis:names:tc:SAML:2.0:status:Success",
		"./Assertion/Subject/NameID/@Format": persistent,
		"./Assertion/Subject/SubjectConfirmation/@Method":                            "urn:oasis:names:tc:SAML:2.0:cm:bearer",
		"./Assertion/Subject/SubjectConfirmation/SubjectConfirmationData/@Recipient": ctctACS,
		"./Assertion/Subject/SubjectConfirmation/SubjectConfirmationData/@NotOnOrAfter": at.Add(
			5 * time.Minute).Format(time.RFC3339),
		"./Assertion/Conditions/@NotBefore": at.Add(
			-time.Minute).Format(time.RFC3339),
		"./Assertion/Conditions/@NotOnOrAfter": at.Add(
			5 * time.Minute).Format(time.RFC3339),
		"./Assertion/Conditions/AudienceRestriction/Audience": ctct,
		"./Assertion/AuthnStatement/@AuthnInstant":            start.Format(time.RFC3339),
		"./Assertion/AuthnStatement/@SessionNotOnOrAfter": start.Add(
			10 * time.Hour).Format(time.RFC3339),
		"./Assertion/AuthnStatement/AuthnContext/AuthnContextClassRef":              "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
		"./Assertion/AttributeStatement/Attribute[@Name='email']/AttributeValue":    "alice@partner.test",
		"./Assertion/AttributeStatement/Attribute[@Name='email']/@NameFormat":       basic,
		"./Assertion/AttributeStatement/Attribute[@Name='lastName']/AttributeValue": "Ångström",
		"./Signature/SignedInfo/SignatureMethod/@Algorithm":                         "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
		"./Signature/SignedInfo/Reference/DigestMethod/@Algorithm":                  "http://www.w3.org/2001/04/xmlenc#sha256",
		"./Signature/SignedInfo/CanonicalizationMethod/@Algorithm":                  "http://www.w3.org/2001/10/xml-exc-c14n#",
		"./Assertion/Signature/SignedInfo/SignatureMethod/@Algorithm":               "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
		"./Assertion/Signature/KeyInfo/X509Data/X509Certificate": base64.StdEncoding.EncodeToString(
			readKey(t, "rsa-2048").Certificate.Raw),
		"./Signature/SignedInfo/Reference/@URI": "#" + r.SelectAttrValue("ID", ""),
		"./Assertion/Signature/SignedInfo/Reference/@URI": "#" +
			find(t, r, "./Assertion").SelectAttrValue("ID", ""),
	} {
		path, attribute, isAttribute := strings.Cut(path, "/@")
		if path == "." && !isAttribute {
			t.Fatal("empty path")
		}
		el := r
		if path != "." {
			el = find(t, r, path)
		}
		got := el.Text()
		if isAttribute {
			got = el.SelectAttrValue(attribute, "absent")
		}
		if got != want {
			t.Errorf("%s %s is %q, want %q", path, attribute, got, want)
		}
	}
	text := string(decode(t, d))
	for _, forbidden := range []string{"InResponseTo", "Address=", "ds:Object", "xsi:type", "rsa-sha1", "<!--"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("the Response has %s", forbidden)
		}
	}
	if n := strings.Count(text, "NotBefore="); n != 1 {
		t.Errorf("%d NotBefore, want the one of Conditions (RSP-05)", n)
	}
	for _, tag := range []string{"Assertion", "AuthnStatement", "AttributeStatement"} {
		if n := len(r.FindElements("//" + tag)); n != 1 {
			t.Errorf("%d %s, want 1 (RSP-04)", n, tag)
		}
	}
	if n := len(r.FindElements("//Attribute")); n != 3 {
		t.Errorf("%d attributes, want the 3 of the policy and no groups (RSP-13)", n)
	}
	if got := r.ChildElements(); got[1].Tag != "Signature" {
		t.Errorf("Response: %s follows the Issuer, want Signature", got[1].Tag)
	}
	if got := find(t, r, "./Assertion").ChildElements(); got[1].Tag != "Signature" {
		t.Errorf("Assertion: %s follows the Issuer, want Signature", got[1].Tag)
	}
	id := regexp.MustCompile(`^_[0-9a-f]{40}$`)
	ids := map[string]bool{}
	for _, el := range []*etree.Element{r, find(t, r, "./Assertion")} {
		value := el.SelectAttrValue("ID", "")
		if !id.MatchString(value) || ids[value] {
			t.Errorf("ID %q", value)
		}
		ids[value] = true
	}

	// Both signatures stand on their own: the assertion's also when cut out.
	certificate := readKey(t, "rsa-2048").Certificate
	if err := checkSignature(parse(t, decode(t, d)), certificate); err != nil {
		t.Errorf("signature of the Response: %v", err)
	}
	if err := checkSignature(find(t, parse(t, decode(t, d)), "./Assertion").Copy(), certificate); err != nil {
		t.Errorf("signature of the Assertion: %v", err)
	}
	// Tampered, it is refused.
	bad := parse(t, bytes.Replace(decode(t, d), []byte("a07e1lxqqqo0"), []byte("a07e1lxqqqo1"), 1))
	if checkSignature(bad, certificate) == nil || checkSignature(find(t, bad, "./Assertion").Copy(), certificate) == nil {
		t.Error("a tampered Response verifies")
	}

	// RSP-08, SP-06: the next one has new ids and a new SessionIndex.
	a, err = f.Launch(context.Background(), idp.LaunchRequest{Account: "a07e1lxqqqo0"}, v)
	again := root(t, must[idp.Deliver](t, a, err))
	for _, path := range []string{".", "./Assertion", "./Assertion/AuthnStatement"} {
		name := "ID"
		if strings.HasSuffix(path, "AuthnStatement") {
			name = "SessionIndex"
		}
		one, two := r, again
		if path != "." {
			one, two = find(t, r, path), find(t, again, path)
		}
		if one.SelectAttrValue(name, "") == two.SelectAttrValue(name, "") {
			t.Errorf("%s %s is the same in two Responses", path, name)
		}
	}
}

// TestRequestResponse covers RSP-02 and REQ-20.
func TestRequestResponse(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	for _, relayState := range []string{"", "plain", `"><script>alert(1)</script>&amp;`, strings.Repeat("é", 512)} {
		r := newRequest(plain)
		id := f.request(t, r, v, "RelayState="+url.QueryEscape(relayState))
		a, err := f.Resume(context.Background(), id, v)
		d := must[idp.Deliver](t, a, err)
		if d.RelayState == nil || *d.RelayState != relayState {
			t.Errorf("RelayState comes back as %v, want %q", d.RelayState, relayState)
		}
		response := root(t, d)
		if got := response.SelectAttrValue("InResponseTo", ""); got != r.id {
			t.Errorf("InResponseTo %q, want %q", got, r.id)
		}
		if got := find(t, response, "//SubjectConfirmationData").SelectAttrValue("InResponseTo", ""); got != r.id {
			t.Errorf("InResponseTo of the confirmation %q, want %q", got, r.id)
		}
		accept(t, peer(t, f, plain, plainACS), d, r.id)
		sp := peer(t, f, plain, plainACS)
		sp.AllowIDPInitiated = false
		if _, err := sp.ParseXMLResponse(decode(t, d), []string{"_other"}, sp.AcsURL); err == nil {
			t.Error("accepted for another request")
		}
	}
	id := f.request(t, newRequest(plain), v)
	a, err := f.Resume(context.Background(), id, v)
	if d := must[idp.Deliver](t, a, err); d.RelayState != nil {
		t.Errorf("RelayState %q where none was sent", *d.RelayState)
	}
}

// TestRequestByLibrary lets crewjam's service provider make the requests.
func TestRequestByLibrary(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	sp := peer(t, f, plain, plainACS)
	sp.AuthnNameIDFormat = saml.PersistentNameIDFormat
	sp.MetadataURL = sp.AcsURL
	for _, binding := range []string{saml.HTTPRedirectBinding, saml.HTTPPostBinding} {
		r, err := sp.MakeAuthenticationRequest(sp.GetSSOBindingLocation(binding), binding, saml.HTTPPostBinding)
		if err != nil {
			t.Fatal(err)
		}
		doc := etree.NewDocument()
		doc.SetRoot(r.Element())
		text, err := doc.WriteToString()
		if err != nil {
			t.Fatal(err)
		}
		var id string
		if binding == saml.HTTPPostBinding {
			a, err := f.SSO(context.Background(), byPost(t, text), idp.Visitor{Ref: "R", Address: v.Address})
			on := must[idp.GoOn](t, a, err)
			id, v.Own = on.SignIn, on.Own
		} else {
			a, err := f.SSO(context.Background(), byRedirect(t, text), v)
			id = must[idp.GoOn](t, a, err).SignIn
		}
		a, err := f.Resume(context.Background(), id, v)
		accept(t, sp, must[idp.Deliver](t, a, err), r.ID)
	}
}

// TestRSP09 covers the switches for what is signed.
func TestRSP09(t *testing.T) {
	certificate := readKey(t, "rsa-2048").Certificate
	for _, c := range []struct {
		name                string
		assertion, response bool
	}{
		{"both", true, true},
		{"assertion alone", true, false},
		{"response alone", false, true},
		{"neither", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			v := f.signIn(t, "alice", "correct horse")
			sp := constantContact()
			sp.SignAssertion, sp.SignResponse = c.assertion, c.response
			f.put(t, sp)
			a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
			if !c.assertion && !c.response {
				if err == nil {
					t.Fatalf("an unsigned Response left: %+v", a.Page)
				}
				return
			}
			d := must[idp.Deliver](t, a, err)
			if got := checkSignature(root(t, d), certificate) == nil; got != c.response {
				t.Errorf("Response signed: %v, want %v", got, c.response)
			}
			if got := checkSignature(find(t, root(t, d), "./Assertion").Copy(), certificate) == nil; got != c.assertion {
				t.Errorf("assertion signed: %v, want %v", got, c.assertion)
			}
			accept(t, peer(t, f, ctct, ctctACS), d)
		})
	}
}

// TestRSP10ECDSA verifies ECDSA signatures as XML Signature defines them: r and
// s one after the other. goxmldsig reads ASN.1 instead, so it is asked in that
// form about the same numbers.
func TestRSP10ECDSA(t *testing.T) {
	for _, c := range []struct {
		key, method string
		digest      func() hash.Hash
		size        int
	}{
		{"p-256", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", sha256.New, 64},
		{"p-384", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", sha512.New384, 96},
	} {
		t.Run(c.key, func(t *testing.T) {
			f := newFixture(t, c.key, nil)
			v := f.signIn(t, "alice", "correct horse")
			a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
			d := must[idp.Deliver](t, a, err)
			certificate := readKey(t, c.key).Certificate
			for _, path := range []string{"./Signature", "./Assertion/Signature"} {
				signature := find(t, root(t, d), path)
				if got := find(t, signature, "./SignedInfo/SignatureMethod").SelectAttrValue("Algorithm", ""); got != c.method {
					t.Errorf("method %s, want %s", got, c.method)
				}
				raw, err := base64.StdEncoding.DecodeString(find(t, signature, "./SignatureValue").Text())
				if err != nil || len(raw) != c.size {
					t.Fatalf("signature of %d bytes (%v), want %d", len(raw), err, c.size)
				}
				info := find(t, signature, "./SignedInfo").Copy()
				info.CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
				canonical, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(info)
				if err != nil {
					t.Fatal(err)
				}
				h := c.digest()
				h.Write(canonical)
				first, second := new(big.Int).SetBytes(raw[:c.size/2]), new(big.Int).SetBytes(raw[c.size/2:])
				if !ecdsa.Verify(certificate.PublicKey.(*ecdsa.PublicKey), h.Sum(nil), first, second) {
					t.Errorf("%s does not verify", path)
				}
			}
		})
	}
}

// TestGoldenResponses compares whole documents, under a fixed clock, fixed
// randomness and an RSA key, whose signatures are always the same.
func TestGoldenResponses(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.Random = &counting{} })
	v := f.signIn(t, "alice", "correct horse")
	now.Advance(time.Minute)

	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	golden(t, "launch.xml", decode(t, must[idp.Deliver](t, a, err)))

	r := newRequest(plain)
	r.id = "_golden-request"
	a, err = f.Resume(context.Background(), f.request(t, r, v), v)
	golden(t, "response.xml", decode(t, must[idp.Deliver](t, a, err)))

	r = newRequest(plain)
	r.id, r.attributes = "_golden-passive", `IsPassive="true"`
	stranger := visitor("another browser")
	a, err = f.Resume(context.Background(), f.request(t, r, stranger), stranger)
	golden(t, "no-passive.xml", decode(t, must[idp.Deliver](t, a, err)))

	metadata, err := f.Metadata(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "metadata.xml", metadata)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (rewrite with -update and read the change):\n%s", path, got)
	}
}

// TestRSP13 covers the release policy: several values, values that do not fit,
// attributes without any.
func TestRSP13(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
	r := root(t, must[idp.Deliver](t, a, err))
	ou := find(t, r, "//Attribute[@Name='urn:oid:2.5.4.11']")
	if ou.SelectAttrValue("NameFormat", "") != "urn:oasis:names:tc:SAML:2.0:attrname-format:uri" ||
		ou.SelectAttrValue("FriendlyName", "") != "ou" {
		t.Errorf("attribute is %v", ou.Attr)
	}
	var values []string
	for _, value := range ou.ChildElements() {
		values = append(values, value.Text())
	}
	if strings.Join(values, "|") != "Sales|R&D <x>" {
		t.Errorf("values %q", values)
	}
	if len(r.FindElements("//Attribute[@Name='phone']")) != 0 {
		t.Error("an attribute without a value was released")
	}
}

// TestRSP16 covers what must not go into an assertion.
func TestRSP16(t *testing.T) {
	for name, value := range map[string]string{
		"NUL": "a\x00b", "control": "a\x1bb", "line end": "a\nb", "noncharacter": "a\uffffb", "C1": "a\u0085b",
		"not UTF-8": "a\xffb", "257 characters": strings.Repeat("x", 257), "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.directory.change("alice", func(p *person) { p.entry.Mail = value })
			v := f.signIn(t, "alice", "correct horse")
			a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
			d := must[idp.Deliver](t, a, err)
			if n := len(root(t, d).FindElements("//Attribute[@Name='email']")); n != 0 {
				t.Errorf("attribute with %q was released", value)
			}
			accept(t, peer(t, f, ctct, ctctACS), d)

			// In the NameID it is refused, with a reason.
			sp := plainSP()
			sp.NameID = "{mail}"
			f.put(t, sp)
			a, err = f.Launch(context.Background(), idp.LaunchRequest{EntityID: plain}, v)
			if r := must[idp.Refusal](t, a, err); r.Reason != "person_data" || r.Status != 403 {
				t.Errorf("refusal %+v", r)
			}
		})
	}
	// 256 characters of several bytes each still fit.
	f := newFixture(t, "rsa-2048", nil)
	f.directory.change("alice", func(p *person) { p.entry.Mail = strings.Repeat("é", 256) })
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	find(t, root(t, must[idp.Deliver](t, a, err)), "//Attribute[@Name='email']")
}

// TestLifetimeIsBounded: RSP-05 holds whatever a record says.
func TestLifetimeIsBounded(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	for _, c := range []struct{ set, want time.Duration }{
		{time.Minute, time.Minute}, {time.Hour, 5 * time.Minute}, {0, 5 * time.Minute}, {-time.Minute, 5 * time.Minute},
	} {
		sp := constantContact()
		sp.Lifetime = c.set
		f.put(t, sp)
		a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
		r := root(t, must[idp.Deliver](t, a, err))
		if got := find(t, r, "//SubjectConfirmationData").SelectAttrValue("NotOnOrAfter",
			""); got != now.Now().Add(c.want).Format(time.RFC3339) {
			t.Errorf("lifetime %s: NotOnOrAfter %s", c.set, got)
		}
	}
}

// TestAuditOfIssue: each assertion's id is on record, and the SP's part in the
// session as logout will need it.
func TestAuditOfIssue(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(context.Background(), idp.LaunchRequest{Account: "a2"}, v)
	r := root(t, must[idp.Deliver](t, a, err))
	e := f.events(t)[0]
	if e.Action != "sign-in" || e.Outcome != "ok" || e.Actor != "11111111-aaaa-4bbb-8ccc-000000000001" ||
		e.Account != "a2" ||
		e.SP != ctct || e.Address != "192.0.2.1" || e.Ref != "REF1" {
		t.Errorf("event %+v", e)
	}
	for _, id := range []string{r.SelectAttrValue("ID", ""), find(t, r, "./Assertion").SelectAttrValue("ID", "")} {
		if !strings.Contains(string(e.Detail), id) {
			t.Errorf("detail %s lacks %s", e.Detail, id)
		}
	}
	sum := sha256.Sum256([]byte(v.Session))
	all, err := f.db.Sessions().Participations(context.Background(), sum[:])
	if err != nil || len(all) != 1 {
		t.Fatalf("participations %+v, %v", all, err)
	}
	if p := all[0]; p.EntityID != ctct || p.NameIDFormat != persistent || p.NameID != find(t, r, "//NameID").Text() ||
		p.SessionIndex != find(t, r, "//AuthnStatement").SelectAttrValue("SessionIndex", "") {
		t.Errorf("participation %+v", p)
	}
	if strings.Contains(f.log.String(), find(t, r, "//NameID").Text()) {
		t.Error("the log has a NameID")
	}
}

// TestClassByTransport: RSP-08, a password over plain HTTP is called so.
func TestClassByTransport(t *testing.T) {
	f := newFixture(t, "rsa-2048", func(o *idp.Options) { o.PublicURL = "http://localhost:8080" })
	v := f.signIn(t, "alice", "correct horse")
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	if got := find(t, root(t, must[idp.Deliver](t, a, err)),
		"//AuthnContextClassRef").Text(); got != "urn:oasis:names:tc:SAML:2.0:ac:classes:Password" {
		t.Errorf("class %s", got)
	}
}

// TestNoKeyNoResponse: Ready and every Response need a usable key.
func TestNoKeyNoResponse(t *testing.T) {
	f := newFixture(t, "", nil)
	if err := f.Ready(context.Background()); err == nil {
		t.Error("ready without a key")
	}
	v := f.signIn(t, "alice", "correct horse")
	if a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v); err == nil {
		t.Errorf("page %T without a key", a.Page)
	}
	if _, err := f.Metadata(context.Background()); err == nil {
		t.Error("metadata without a key")
	}
	f.addKey(t, "rsa-2048") // added while running, as on another replica
	if err := f.Ready(context.Background()); err != nil {
		t.Error(err)
	}
	a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
	must[idp.Deliver](t, a, err)

	// A key that this secret_key can't open makes no Response either.
	g := newFixture(t, "", nil)
	key := readKey(t, "rsa-2048")
	err = g.db.Keys().Add(context.Background(), store.SigningKey{ID: key.ID, Use: "signing", State: "active",
		Algorithm:   "rsa-2048",
		Certificate: key.Certificate.Raw, Private: []byte("not sealed"), CreatedAt: start}, store.Event{Action: "key-add"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), key.ID) {
		t.Errorf("ready says %v, want the key's id", err)
	}
}
