package saml

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
)

// The test of this file stands inside the package: what it feeds the writers with, no record and no directory lets
// through.

// library is the way that messages are compared with: types of crewjam/saml and trees of etree, which goxmldsig brings
// into exclusive canonical form and signs.
type library struct{ context *dsig.SigningContext }

// canonicalByLibrary is goxmldsig's exclusive canonical form. It rearranges the tree, so it gets a copy.
func canonicalByLibrary(t testing.TB, el *etree.Element) []byte {
	t.Helper()
	data, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(el.Copy())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sign puts the signature behind the Issuer.
func (l library) sign(t testing.TB, el *etree.Element) {
	t.Helper()
	signature, err := l.context.ConstructSignature(el.Copy(), true)
	if err != nil {
		t.Fatal(err)
	}
	el.InsertChildAt(1, signature)
}

func (l library) response(r ResponseParams, st Status) *etree.Element {
	code := crewjam.StatusCode{Value: st.Top}
	if st.Second != "" {
		code.StatusCode = &crewjam.StatusCode{Value: st.Second}
	}
	var message *crewjam.StatusMessage
	if st.Message != "" {
		message = &crewjam.StatusMessage{Value: st.Message}
	}
	return (&crewjam.Response{
		ID: r.ID, InResponseTo: r.InResponseTo, Version: "2.0", IssueInstant: r.At, Destination: r.Destination,
		Issuer: &crewjam.Issuer{Value: r.Issuer}, Status: crewjam.Status{StatusCode: code, StatusMessage: message},
	}).Element()
}

func (l library) assertion(r ResponseParams, a Assertion) *etree.Element {
	until, end := r.At.Add(min(a.Lifetime, MaxLifetime)), a.SessionEnds.UTC().Truncate(time.Millisecond)
	if a.Lifetime == 0 {
		until = r.At.Add(MaxLifetime)
	}
	el := (&crewjam.Assertion{
		ID: a.ID, IssueInstant: r.At, Version: "2.0", Issuer: crewjam.Issuer{Value: r.Issuer},
		Subject: &crewjam.Subject{
			NameID: &crewjam.NameID{Format: a.NameIDFormat, Value: a.NameID},
			SubjectConfirmations: []crewjam.SubjectConfirmation{{
				Method: "urn:oasis:names:tc:SAML:2.0:cm:bearer",
				SubjectConfirmationData: &crewjam.SubjectConfirmationData{
					Recipient: a.Recipient, NotOnOrAfter: until, InResponseTo: r.InResponseTo,
				},
			}},
		},
		Conditions: &crewjam.Conditions{
			NotBefore: r.At.Add(-max(a.Skew, 0)), NotOnOrAfter: until,
			AudienceRestrictions: []crewjam.AudienceRestriction{{Audience: crewjam.Audience{Value: a.Audience}}},
		},
		AuthnStatements: []crewjam.AuthnStatement{{
			AuthnInstant: a.AuthenticatedAt.UTC().Truncate(time.Millisecond), SessionIndex: a.SessionIndex,
			SessionNotOnOrAfter: &end,
			AuthnContext:        crewjam.AuthnContext{AuthnContextClassRef: &crewjam.AuthnContextClassRef{Value: a.Class}},
		}},
	}).Element()
	if len(a.Attributes) > 0 {
		statement := el.CreateElement("saml:AttributeStatement")
		for _, released := range a.Attributes {
			attribute := statement.CreateElement("saml:Attribute")
			if released.FriendlyName != "" {
				attribute.CreateAttr("FriendlyName", released.FriendlyName)
			}
			attribute.CreateAttr("Name", released.Name)
			attribute.CreateAttr("NameFormat", released.NameFormat)
			for _, v := range released.Values {
				attribute.CreateElement("saml:AttributeValue").SetText(v)
			}
		}
	}
	return el
}

// success is the Response as octets.
func (l library) success(t testing.TB, r ResponseParams, a Assertion, how Protection) []byte {
	t.Helper()
	assertion := l.assertion(r, a)
	if how.SignAssertion {
		l.sign(t, assertion)
	}
	response := l.response(r, Status{Top: crewjam.StatusSuccess})
	response.AddChild(assertion)
	if how.SignResponse {
		l.sign(t, response)
	}
	return canonicalByLibrary(t, response)
}

// logout is a message of single logout as a tree.
func (l library) logout(name string, p LogoutParams, h logoutAttributes) *etree.Element {
	el := etree.NewElement("samlp:" + name)
	el.CreateAttr("xmlns:samlp", NSProtocol)
	el.CreateAttr("xmlns:saml", NSAssertion)
	el.CreateAttr("ID", p.ID)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", logoutTime(p.At))
	el.CreateAttr("Destination", p.Destination)
	for _, a := range [][2]string{{"InResponseTo", h.inResponseTo}, {"NotOnOrAfter", h.notOnOrAfter},
		{"Reason", h.because}} {
		if a[1] != "" {
			el.CreateAttr(a[0], a[1])
		}
	}
	el.CreateElement("saml:Issuer").SetText(p.Issuer)
	return el
}

// encrypted is a saml:EncryptedAssertion as a tree.
func (l library) encrypted(r *Recipient, wrapped, content []byte) *etree.Element {
	value := func(parent *etree.Element, v []byte) {
		parent.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(
			base64.StdEncoding.EncodeToString(v))
	}
	el := etree.NewElement("saml:EncryptedAssertion")
	el.CreateAttr("xmlns:saml", NSAssertion)
	data := el.CreateElement("xenc:EncryptedData")
	data.CreateAttr("xmlns:xenc", nsEncryption)
	data.CreateAttr("Type", nsEncryption+"Element")
	data.CreateElement("xenc:EncryptionMethod").CreateAttr("Algorithm", r.content.algorithm)
	info := data.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", NSSignature)
	key := info.CreateElement("xenc:EncryptedKey")
	method := key.CreateElement("xenc:EncryptionMethod")
	method.CreateAttr("Algorithm", r.transport.algorithm)
	method.CreateElement("ds:DigestMethod").CreateAttr("Algorithm", r.transport.digest)
	if r.transport.mgf != "" {
		mgf := method.CreateElement("xenc11:MGF")
		mgf.CreateAttr("xmlns:xenc11", nsEncryption11)
		mgf.CreateAttr("Algorithm", r.transport.mgf)
	}
	key.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
		SetText(base64.StdEncoding.EncodeToString(r.certificate.Raw))
	value(key, wrapped)
	value(data, content)
	return el
}

// quickRSA signs by repeating a hash: the same for the same digest, and in no time.
type quickRSA struct{ public crypto.PublicKey }

func (q quickRSA) Public() crypto.PublicKey { return q.public }
func (q quickRSA) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	sum := sha256.Sum256(digest)
	return bytes.Repeat(sum[:], 8), nil
}

// hostile draws values that a document could be broken or changed by.
type hostile struct{ *rand.Rand }

var hostileBits = []string{
	"a", "é", "\U0001F600", "\U0010FFFF", "&", "<", ">", `"`, "'", "\t", "\n", "\r", "\r\n", " ", "]]>", "&amp;", "&#13;",
	"<!--", "-->", "<?x?>",
	"</saml:Issuer>", ` ID="_x"`, `xmlns:saml="urn:x"`, "\u0085", "\u2028", "\ufeff", "\ufffd", "\x00", "\x0b", "\x7f",
	"\xff", "\xed\xa0\x80", "\ufffe",
}

func (h hostile) value() string {
	var b strings.Builder
	for range h.IntN(5) {
		b.WriteString(hostileBits[h.IntN(len(hostileBits))])
	}
	return b.String()
}

// present is a value that is not empty, as those are that no record is without.
func (h hostile) present() string { return hostileBits[h.IntN(len(hostileBits))] + h.value() }

func (h hostile) attributes() (all []Attribute) {
	for range h.IntN(4) {
		a := Attribute{Name: h.value(), FriendlyName: h.value(), NameFormat: h.value()}
		for range h.IntN(4) {
			a.Values = append(a.Values, h.value())
		}
		all = append(all, a)
	}
	return all
}

// readableKey is the key of a file in testdata.
func readableKey(t testing.TB, name string) *certs.Key {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + name + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	var certificate, private []byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate = block.Bytes
		} else {
			private = block.Bytes
		}
	}
	k, err := certs.Load(certificate, private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// same compares octets with the library's canonical form of the tree, and sees that a parser that reads them finds that
// form again.
func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s\ngot  %q\nwant %q", what, got, want)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(got); err != nil {
		t.Fatalf("%s can't be read: %v\n%q", what, err, got)
	}
	if again := canonicalByLibrary(t, doc.Root()); !bytes.Equal(got, again) {
		t.Fatalf("%s is not its own canonical form:\ngot  %q\nwant %q", what, got, again)
	}
}

// COST-24: what leaves is written in canonical form at once: octet for octet what the library makes of the tree,
// signatures included, whatever the values are.
func TestOctetsAreTheLibrarys(t *testing.T) {
	real := readableKey(t, "rsa-2048")
	key := *real
	key.Signer = quickRSA{real.Signer.Public()}
	by, err := NewSigner(&key)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := hostile{rand.New(rand.NewPCG(seed, 24))}
			at := time.Date(2027, 1, 5, 10, 0, h.IntN(60), h.IntN(1000)*1e6, time.UTC)
			context, err := dsig.NewSigningContext(key.Signer, [][]byte{key.Certificate.Raw})
			if err != nil {
				t.Fatal(err)
			}
			context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
			l := library{context}
			how := Protection{SignAssertion: h.IntN(2) == 0, SignResponse: true, Keep: true}
			if how.SignAssertion {
				how.SignResponse = h.IntN(2) == 0
			}
			r := ResponseParams{Issuer: h.present(), ID: "_response", At: at, Destination: h.value(), InResponseTo: h.value()}
			a := Assertion{
				ID: "_assertion", NameID: h.value(), NameIDFormat: h.value(), Recipient: h.value(), Audience: h.value(),
				Skew: time.Duration(h.IntN(90)) * time.Second, Lifetime: time.Duration(h.IntN(400)) * time.Second,
				AuthenticatedAt: at.Add(-time.Duration(h.IntN(1e9))), SessionEnds: at.Add(time.Duration(h.IntN(1e9))),
				SessionIndex: h.present(), Class: h.value(), Attributes: h.attributes(),
			}
			out, err := by.Response(t.Context(), r, a, how)
			if err != nil {
				t.Fatal(err)
			}
			got, err := base64.StdEncoding.DecodeString(out.Body)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "Response", got, l.success(t, r, a, how))
			if !bytes.Contains(got, out.Assertion) {
				t.Errorf("the assertion that was kept is another one: %q", out.Assertion)
			}
			same(t, "assertion to look at", UnsignedAssertion(r, a), canonicalByLibrary(t, l.assertion(r, a)))

			st := Status{h.present(), h.value(), h.value()}
			body, err := by.StatusResponse(t.Context(), r, st)
			if err != nil {
				t.Fatal(err)
			}
			refused := l.response(r, st)
			l.sign(t, refused)
			if got, err = base64.StdEncoding.DecodeString(body); err != nil {
				t.Fatal(err)
			}
			same(t, "refusal", got, canonicalByLibrary(t, refused))
			l.logouts(t, h, by)
		})
	}
}

// logouts compares the two messages of single logout.
func (l library) logouts(t *testing.T, h hostile, by *Signer) {
	t.Helper()
	octetsOf := func(m LogoutMessage) []byte {
		t.Helper()
		text, err := by.Form(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	p := LogoutParams{Issuer: h.present(), ID: h.present(), At: time.Date(2027, 1, 5, 10, 0, 0, 7e6, time.UTC),
		Destination: "https://sp.example.test/logout?a=1&b='2'"}
	name, format := h.value(), h.value()
	var indexes []string
	for range h.IntN(3) {
		indexes = append(indexes, h.value())
	}
	request := l.logout("LogoutRequest", p, logoutAttributes{
		notOnOrAfter: logoutTime(p.At.Add(logoutLife)), because: "urn:oasis:names:tc:SAML:2.0:logout:user",
	})
	nameID := request.CreateElement("saml:NameID")
	if format != "" {
		nameID.CreateAttr("Format", format)
	}
	nameID.SetText(name)
	for _, index := range indexes {
		request.CreateElement("samlp:SessionIndex").SetText(index)
	}
	l.sign(t, request)
	same(t, "LogoutRequest", octetsOf(NewLogoutRequest(p, name, format, indexes)), canonicalByLibrary(t, request))

	st, asked := Status{h.present(), h.value(), h.value()}, h.present()
	answer := l.logout("LogoutResponse", p, logoutAttributes{inResponseTo: asked})
	element := answer.CreateElement("samlp:Status")
	code := element.CreateElement("samlp:StatusCode")
	code.CreateAttr("Value", st.Top)
	if st.Second != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", st.Second)
	}
	if st.Message != "" {
		element.CreateElement("samlp:StatusMessage").SetText(st.Message)
	}
	l.sign(t, answer)
	same(t, "LogoutResponse", octetsOf(NewLogoutResponse(p, asked, st)), canonicalByLibrary(t, answer))
}

// COST-24: the same of what carries an encrypted assertion, for each combination of algorithms.
func TestOctetsEncryptedAreTheLibrarys(t *testing.T) {
	certificate := readableKey(t, "rsa-2048").Certificate
	for _, content := range contentCiphers {
		for _, transport := range transports {
			r := &Recipient{certificate, certificate.PublicKey.(*rsa.PublicKey), content, transport}
			wrapped, sealed := []byte("a wrapped key"), bytes.Repeat([]byte("sealed"), 1000)
			same(t, content.algorithm+" "+transport.algorithm, r.write(nil, wrapped, sealed),
				canonicalByLibrary(t, library{}.encrypted(r, wrapped, sealed)))
		}
	}
}

// verifyECDSA verifies the signature behind an element's Issuer: the library wants ECDSA in another form than XML
// Signature has it.
func verifyECDSA(t *testing.T, el *etree.Element, certificate *x509.Certificate) error {
	t.Helper()
	signature := el.ChildElements()[1]
	parsed, bad := readSignature(signature)
	if bad != nil {
		return errors.New(bad.Detail)
	}
	signed, err := canonicalSignedInfo(signature, parsed)
	if err != nil {
		return err
	}
	info, bad := signedInfoOf(signed)
	if bad != nil {
		return errors.New(bad.Detail)
	}
	bare := el.Copy()
	bare.RemoveChildAt(1)
	digest := info.digest.hash.New()
	digest.Write(canonicalByLibrary(t, bare))
	trusted := Trust{certificates: []*x509.Certificate{certificate}}
	switch {
	case !bytes.Equal(digest.Sum(nil), info.digestValue):
		return errors.New("the digest differs")
	case !trusted.verifies(info.method, signed, parsed.value):
		return errors.New("the signature is wrong")
	}
	return nil
}

// COST-24: with either signer and each kind of key, the library verifies both signatures of a Response with hostile
// values.
func TestOctetsVerify(t *testing.T) {
	for engine, e := range map[string]*certs.Engine{"libcrypto": certs.NewEngine(certs.EngineOptions{}),
		"Go": certs.NewEngine(certs.EngineOptions{Off: true})} {
		for _, name := range []string{"rsa-2048", "p-256", "p-384"} {
			key := readableKey(t, name)
			by, err := NewSigner(e.Key(key))
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(20) {
				h := hostile{rand.New(rand.NewPCG(seed, 25))}
				at := time.Date(2027, 1, 5, 10, 0, 0, 0, time.UTC)
				r := ResponseParams{Issuer: h.present(), ID: "_response", At: at, InResponseTo: h.value()}
				a := Assertion{
					ID: "_assertion", NameID: h.value(), NameIDFormat: h.value(), AuthenticatedAt: at, SessionEnds: at.Add(time.Hour),
					Attributes: h.attributes(),
				}
				out, err := by.Response(t.Context(), r, a, Protection{SignAssertion: true, SignResponse: true})
				if err != nil {
					t.Fatal(err)
				}
				data, err := base64.StdEncoding.DecodeString(out.Body)
				if err != nil {
					t.Fatal(err)
				}
				doc := etree.NewDocument()
				if err := doc.ReadFromBytes(data); err != nil {
					t.Fatal(err)
				}
				for _, el := range []*etree.Element{doc.Root(), doc.FindElement("//Assertion").Copy()} {
					if name == "rsa-2048" {
						context := dsig.NewDefaultValidationContext(
							&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{key.Certificate}})
						context.Clock = dsig.NewFakeClockAt(at)
						_, err = context.Validate(el)
					} else {
						err = verifyECDSA(t, el, key.Certificate)
					}
					if err != nil {
						t.Errorf("%s %s seed %d: %s: %v", engine, name, seed, el.Tag, err)
					}
				}
			}
		}
	}
}
