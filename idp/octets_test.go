package idp

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
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
	"ssobridge/store"
)

// The test of this file stands inside the package: what it feeds the writers with, no record and no directory lets through.

// library is the way that messages are compared with: types of crewjam/saml and trees of etree, which goxmldsig brings into
// exclusive canonical form and signs.
type library struct {
	p       *Provider
	context *dsig.SigningContext
	random  io.Reader
}

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

func (l library) response(id string, at time.Time, o outgoing, st status) *etree.Element {
	code := saml.StatusCode{Value: st.top}
	if st.second != "" {
		code.StatusCode = &saml.StatusCode{Value: st.second}
	}
	var message *saml.StatusMessage
	if st.message != "" {
		message = &saml.StatusMessage{Value: st.message}
	}
	return (&saml.Response{
		ID: id, InResponseTo: o.inResponseTo, Version: "2.0", IssueInstant: at, Destination: o.to.destination,
		Issuer: &saml.Issuer{Value: l.p.o.EntityID}, Status: saml.Status{StatusCode: code, StatusMessage: message},
	}).Element()
}

func (l library) assertion(id, index string, at time.Time, o outgoing, s store.Session, r release) *etree.Element {
	until, end := at.Add(o.sp.life()), s.EndsAt.UTC().Truncate(time.Millisecond)
	el := (&saml.Assertion{
		ID: id, IssueInstant: at, Version: "2.0", Issuer: saml.Issuer{Value: l.p.o.EntityID},
		Subject: &saml.Subject{
			NameID: &saml.NameID{Format: r.format, Value: r.nameID},
			SubjectConfirmations: []saml.SubjectConfirmation{{
				Method: "urn:oasis:names:tc:SAML:2.0:cm:bearer",
				SubjectConfirmationData: &saml.SubjectConfirmationData{
					Recipient: o.to.recipient, NotOnOrAfter: until, InResponseTo: o.inResponseTo,
				},
			}},
		},
		Conditions: &saml.Conditions{
			NotBefore: at.Add(-max(o.sp.Skew, 0)), NotOnOrAfter: until,
			AudienceRestrictions: []saml.AudienceRestriction{{Audience: saml.Audience{Value: o.to.audience}}},
		},
		AuthnStatements: []saml.AuthnStatement{{
			AuthnInstant: s.AuthenticatedAt.UTC().Truncate(time.Millisecond), SessionIndex: index, SessionNotOnOrAfter: &end,
			AuthnContext: saml.AuthnContext{AuthnContextClassRef: &saml.AuthnContextClassRef{Value: l.p.classes.of(l.p.toldMethods(o, s), o.asked)}},
		}},
	}).Element()
	if len(r.attributes) > 0 {
		statement := el.CreateElement("saml:AttributeStatement")
		for _, a := range r.attributes {
			attribute := statement.CreateElement("saml:Attribute")
			if a.FriendlyName != "" {
				attribute.CreateAttr("FriendlyName", a.FriendlyName)
			}
			attribute.CreateAttr("Name", a.Name)
			attribute.CreateAttr("NameFormat", a.NameFormat)
			for _, v := range a.values {
				attribute.CreateElement("saml:AttributeValue").SetText(v)
			}
		}
	}
	return el
}

// success is the Response as octets.
func (l library) success(t testing.TB, at time.Time, o outgoing, s store.Session, r release) []byte {
	t.Helper()
	id, assertionID, index := l.id(t), l.id(t), make([]byte, 16)
	if _, err := io.ReadFull(l.random, index); err != nil {
		t.Fatal(err)
	}
	assertion := l.assertion(assertionID, fmt.Sprintf("%x", index), at, o, s, r)
	if o.sp.SignAssertion {
		l.sign(t, assertion)
	}
	response := l.response(id, at, o, status{top: saml.StatusSuccess})
	response.AddChild(assertion)
	if o.sp.SignResponse {
		l.sign(t, response)
	}
	return canonicalByLibrary(t, response)
}

func (l library) id(t testing.TB) string {
	t.Helper()
	b := make([]byte, 20)
	if _, err := io.ReadFull(l.random, b); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("_%x", b)
}

// logout is a message of single logout as a tree.
func (l library) logout(h logoutHeader) *etree.Element {
	el := etree.NewElement("samlp:" + h.name)
	el.CreateAttr("xmlns:samlp", nsProtocol)
	el.CreateAttr("xmlns:saml", nsAssertion)
	el.CreateAttr("ID", h.id)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", xmlTime(l.p.o.Now()))
	el.CreateAttr("Destination", h.destination)
	for _, a := range [][2]string{{"InResponseTo", h.inResponseTo}, {"NotOnOrAfter", h.notOnOrAfter}, {"Reason", h.because}} {
		if a[1] != "" {
			el.CreateAttr(a[0], a[1])
		}
	}
	el.CreateElement("saml:Issuer").SetText(l.p.o.EntityID)
	return el
}

// encrypted is a saml:EncryptedAssertion as a tree.
func (l library) encrypted(r *recipient, wrapped, content []byte) *etree.Element {
	value := func(parent *etree.Element, v []byte) {
		parent.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(base64.StdEncoding.EncodeToString(v))
	}
	el := etree.NewElement("saml:EncryptedAssertion")
	el.CreateAttr("xmlns:saml", nsAssertion)
	data := el.CreateElement("xenc:EncryptedData")
	data.CreateAttr("xmlns:xenc", nsEncryption)
	data.CreateAttr("Type", nsEncryption+"Element")
	data.CreateElement("xenc:EncryptionMethod").CreateAttr("Algorithm", r.content.algorithm)
	info := data.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", nsSignature)
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

// seeded is randomness that can be had twice.
func seeded(seed uint64) io.Reader {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	return rand.NewChaCha8(key)
}

// hostile draws values that a document could be broken or changed by.
type hostile struct{ *rand.Rand }

var hostileBits = []string{
	"a", "é", "\U0001F600", "\U0010FFFF", "&", "<", ">", `"`, "'", "\t", "\n", "\r", "\r\n", " ", "]]>", "&amp;", "&#13;", "<!--", "-->", "<?x?>",
	"</saml:Issuer>", ` ID="_x"`, `xmlns:saml="urn:x"`, "\u0085", "\u2028", "\ufeff", "\ufffd", "\x00", "\x0b", "\x7f", "\xff", "\xed\xa0\x80", "\ufffe",
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

func (h hostile) release() release {
	r := release{nameID: h.value(), format: h.value()}
	for range h.IntN(4) {
		a := attributeValues{Attribute: store.Attribute{Name: h.value(), FriendlyName: h.value(), NameFormat: h.value()}}
		for range h.IntN(4) {
			a.values = append(a.values, h.value())
		}
		r.attributes = append(r.attributes, a)
	}
	return r
}

// readableKey is the key of a file in testdata.
func readableKey(t testing.TB, name string) *certs.Key {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".pem")
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

// COST-24: what leaves is written in canonical form at once: octet for octet what the library makes of the tree, signatures
// included, whatever the values are.
func TestOctetsAreTheLibrarys(t *testing.T) {
	real := readableKey(t, "rsa-2048")
	key := *real
	key.Signer = quickRSA{real.Signer.Public()}
	by, err := newSigner(&key)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := hostile{rand.New(rand.NewPCG(seed, 24))}
			at := time.Date(2027, 1, 5, 10, 0, h.IntN(60), h.IntN(1000)*1e6, time.UTC)
			p := &Provider{o: Options{EntityID: h.present(), Random: seeded(seed), Now: func() time.Time { return at }}}
			context, err := dsig.NewSigningContext(key.Signer, [][]byte{key.Certificate.Raw})
			if err != nil {
				t.Fatal(err)
			}
			context.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
			l := library{p, context, seeded(seed)}
			sp := &provider{}
			sp.SignAssertion, sp.SignResponse = h.IntN(2) == 0, true
			if sp.SignAssertion {
				sp.SignResponse = h.IntN(2) == 0
			}
			sp.Skew, sp.Lifetime = time.Duration(h.IntN(90))*time.Second, time.Duration(h.IntN(400))*time.Second
			o := outgoing{sp: sp, inResponseTo: h.value(), capture: true}
			o.to.destination, o.to.recipient, o.to.audience = h.value(), h.value(), h.value()
			s := store.Session{AuthenticatedAt: at.Add(-time.Duration(h.IntN(1e9))), EndsAt: at.Add(time.Duration(h.IntN(1e9))), Methods: []string{methodPassword}}
			r := h.release()

			out, err := p.success(t.Context(), by, o, s, r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := base64.StdEncoding.DecodeString(out.body)
			if err != nil {
				t.Fatal(err)
			}
			want := l.success(t, at, o, s, r)
			same(t, "Response", got, want)
			if !bytes.Contains(got, out.assertion) {
				t.Errorf("the captured assertion is another one: %q", out.assertion)
			}

			st := status{h.present(), h.value(), h.value()}
			if out, err = p.failure(t.Context(), by, o, st); err != nil {
				t.Fatal(err)
			}
			refused := l.response(l.id(t), at, o, st)
			l.sign(t, refused)
			if got, err = base64.StdEncoding.DecodeString(out.body); err != nil {
				t.Fatal(err)
			}
			same(t, "refusal", got, canonicalByLibrary(t, refused))
			l.logouts(t, h, by)
		})
	}
}

// logouts compares the two messages of single logout.
func (l library) logouts(t *testing.T, h hostile, by *signer) {
	t.Helper()
	address := "https://sp.example.test/logout?a=1&b='2'"
	sp := &provider{}
	sp.Enabled, sp.Logout = true, []store.LogoutEndpoint{{Binding: saml.HTTPPostBinding, URL: address}}
	octetsOf := func(page Page, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		data, err := base64.StdEncoding.DecodeString(page.(CarryMessage).Message)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	part := store.Participant{EntityID: "sp", NameID: h.value(), NameIDFormat: h.value(), Request: h.present()}
	for range h.IntN(3) {
		part.SessionIndexes = append(part.SessionIndexes, h.value())
	}
	request := l.logout(logoutHeader{
		name: "LogoutRequest", id: part.Request, destination: address,
		notOnOrAfter: xmlTime(l.p.o.Now().Add(requestLife)), because: "urn:oasis:names:tc:SAML:2.0:logout:user",
	})
	nameID := request.CreateElement("saml:NameID")
	if part.NameIDFormat != "" {
		nameID.CreateAttr("Format", part.NameIDFormat)
	}
	nameID.SetText(part.NameID)
	for _, index := range part.SessionIndexes {
		request.CreateElement("samlp:SessionIndex").SetText(index)
	}
	l.sign(t, request)
	same(t, "LogoutRequest", octetsOf(l.p.askLogout(t.Context(), by, sp, part)), canonicalByLibrary(t, request))

	st, id, asked := status{h.present(), h.value(), h.value()}, h.present(), h.present()
	answer := l.logout(logoutHeader{name: "LogoutResponse", id: id, destination: address, inResponseTo: asked})
	element := answer.CreateElement("samlp:Status")
	code := element.CreateElement("samlp:StatusCode")
	code.CreateAttr("Value", st.top)
	if st.second != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", st.second)
	}
	if st.message != "" {
		element.CreateElement("samlp:StatusMessage").SetText(st.message)
	}
	l.sign(t, answer)
	same(t, "LogoutResponse", octetsOf(l.p.answerLogout(t.Context(), by, sp, saml.HTTPPostBinding, id, asked, nil, st)), canonicalByLibrary(t, answer))
}

// COST-24: the same of what carries an encrypted assertion, for each combination of algorithms.
func TestOctetsEncryptedAreTheLibrarys(t *testing.T) {
	certificate := readableKey(t, "rsa-2048").Certificate
	for _, content := range contentCiphers {
		for _, transport := range transports {
			r := &recipient{certificate, certificate.PublicKey.(*rsa.PublicKey), content, transport}
			wrapped, sealed := []byte("a wrapped key"), bytes.Repeat([]byte("sealed"), 1000)
			same(t, content.algorithm+" "+transport.algorithm, r.write(nil, wrapped, sealed), canonicalByLibrary(t, library{}.encrypted(r, wrapped, sealed)))
		}
	}
}

// verifyECDSA verifies the signature behind an element's Issuer: the library wants ECDSA in another form than XML Signature has it.
func verifyECDSA(t *testing.T, el *etree.Element, certificate *x509.Certificate) error {
	t.Helper()
	signature := el.ChildElements()[1]
	parsed, bad := readSignature(signature)
	if bad != nil {
		return errors.New(bad.detail)
	}
	signed, err := canonicalSignedInfo(signature, parsed)
	if err != nil {
		return err
	}
	info, bad := signedInfoOf(signed)
	if bad != nil {
		return errors.New(bad.detail)
	}
	bare := el.Copy()
	bare.RemoveChildAt(1)
	digest := info.digest.hash.New()
	digest.Write(canonicalByLibrary(t, bare))
	trusted := trust{certificates: []*x509.Certificate{certificate}}
	switch {
	case !bytes.Equal(digest.Sum(nil), info.digestValue):
		return errors.New("the digest differs")
	case !trusted.verifies(info.method, signed, parsed.value):
		return errors.New("the signature is wrong")
	}
	return nil
}

// COST-24: with either signer and each kind of key, the library verifies both signatures of a Response with hostile values.
func TestOctetsVerify(t *testing.T) {
	for engine, e := range map[string]*certs.Engine{"libcrypto": certs.NewEngine(certs.EngineOptions{}), "Go": certs.NewEngine(certs.EngineOptions{Off: true})} {
		for _, name := range []string{"rsa-2048", "p-256", "p-384"} {
			key := readableKey(t, name)
			by, err := newSigner(e.Key(key))
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(20) {
				h := hostile{rand.New(rand.NewPCG(seed, 25))}
				at := time.Date(2027, 1, 5, 10, 0, 0, 0, time.UTC)
				p := &Provider{o: Options{EntityID: h.present(), Random: seeded(seed), Now: func() time.Time { return at }}}
				sp := &provider{}
				sp.SignAssertion, sp.SignResponse = true, true
				out, err := p.success(t.Context(), by, outgoing{sp: sp, inResponseTo: h.value()}, store.Session{AuthenticatedAt: at, EndsAt: at.Add(time.Hour)}, h.release())
				if err != nil {
					t.Fatal(err)
				}
				data, err := base64.StdEncoding.DecodeString(out.body)
				if err != nil {
					t.Fatal(err)
				}
				doc := etree.NewDocument()
				if err := doc.ReadFromBytes(data); err != nil {
					t.Fatal(err)
				}
				for _, el := range []*etree.Element{doc.Root(), doc.FindElement("//Assertion").Copy()} {
					if name == "rsa-2048" {
						context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{key.Certificate}})
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
