package metadata_test

import (
	"crypto"
	cryptorand "crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
	"ssobridge/idp/metadata"
)

// group is a document of several entities. Declarations and dates stand on it.
func group(attributes string, entities ...string) string {
	return `<?xml version="1.0"?>
<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="_group" ` + attributes + `>
` + strings.Join(entities, "\n") + `
</md:EntitiesDescriptor>`
}

// member is one entity of a group, without declarations of its own.
func member(id string) string {
	return `  <md:EntityDescriptor entityID="` + id + `" ID="_e` + fmt.Sprint(len(id)) + `">
    <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><!-- a remark -->
      <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + id + `/acs?a=1&amp;b=2" index="0"/>
    </md:SPSSODescriptor>
  </md:EntityDescriptor>`
}

const provider = `  <md:EntityDescriptor entityID="https://idp.test/"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>`

// TestMD04Aggregate chooses one entity of many (MD-04).
func TestMD04Aggregate(t *testing.T) {
	nested := group(`validUntil="2027-01-06T10:00:00Z" cacheDuration="PT2H"`, provider, member("https://a.test"),
		`<md:EntitiesDescriptor Name="inner" validUntil="2027-01-05T20:00:00Z">`+member("https://bb.test")+
			`</md:EntitiesDescriptor>`)
	im, err := readMetadata(nested, metadata.ReadOptions{EntityID: "https://bb.test"})
	if err != nil {
		t.Fatal(err)
	}
	if sp := im.Provider; sp.EntityID != "https://bb.test" || sp.ACS[0].URL != "https://bb.test/acs?a=1&b=2" ||
		im.Entities != 3 ||
		!im.ValidUntil.Equal(start.Add(10*time.Hour)) || im.CacheDuration != 2*time.Hour {
		t.Errorf("import %+v", im)
	}
	// What is kept stands alone, with the end that the groups around it gave.
	alone, err := readMetadata(string(im.Provider.Metadata), metadata.ReadOptions{})
	if err != nil || !alone.ValidUntil.Equal(im.ValidUntil) {
		t.Errorf("kept %v %v", alone.ValidUntil, err)
	}
	if im, err = readMetadata(group("", member("https://a.test")), metadata.ReadOptions{}); err != nil ||
		im.Provider.EntityID != "https://a.test" {
		t.Errorf("the only one of a group: %v", err)
	}
	inside := strings.Replace(member("https://a.test"), "<md:SPSSO",
		`<md:Extensions><md:EntityDescriptor entityID="https://evil.test"/></md:Extensions><md:SPSSO`, 1)
	for _, c := range []struct{ name, data, wish, want string }{
		{"none named", nested, "", "describes 3 entities: https://idp.test/, https://a.test, https://bb.test"},
		{"not there", nested, "https://c.test", "not among the 3"},
		{"an identity provider", nested, "https://idp.test/", "identity provider"},
		{"twice", group("", member("https://a.test"), member("https://a.test")), "https://a.test", "line 8: the entity"},
		{"empty", group(""), "", "no entity"},
		{"group expired", group(`validUntil="2027-01-05T10:00:00Z"`, member("https://a.test")), "",
			"line 2: the metadata was valid until"},
		{"single and other", member("https://a.test"), "https://b.test", "prefix"},
		{"inside extensions", group("", inside), "https://evil.test", "not among the 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := readMetadata(c.data, metadata.ReadOptions{EntityID: c.wish}); err == nil ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}

// sealed signs the element with this ID, as its first child.
func sealed(t testing.TB, data, id, method, prefixes string, key *certs.Key) string {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(data); err != nil {
		t.Fatal(err)
	}
	el := doc.FindElement("//[@ID='" + id + "']")
	// The library takes what is declared around an element from a copy that stands alone.
	alone := el.Copy()
	for up := el.Parent(); up != nil; up = up.Parent() {
		for _, a := range up.Attr {
			if (a.Space == "xmlns" || a.Key == "xmlns") && alone.SelectAttr(a.FullKey()) == nil {
				alone.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	octets, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(alone)
	if err != nil {
		t.Fatal(err)
	}
	hash, digestMethod := crypto.SHA256, "http://www.w3.org/2001/04/xmlenc#sha256"
	switch {
	case strings.HasSuffix(method, "sha512"):
		hash, digestMethod = crypto.SHA512, "http://www.w3.org/2001/04/xmlenc#sha512"
	case strings.HasSuffix(method, "sha1"):
		hash, digestMethod = crypto.SHA1, "http://www.w3.org/2000/09/xmldsig#sha1"
	}
	sum := func(data []byte) []byte { h := hash.New(); h.Write(data); return h.Sum(nil) }
	list := ""
	if prefixes != "" {
		list = `<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="` + prefixes +
			`"></ec:InclusiveNamespaces>`
	}
	// In canonical form as it stands here.
	info := `<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + method + `"></ds:SignatureMethod><ds:Reference URI="#` + id +
		`"><ds:Transforms>` +
		`<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">` + list + `</ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + digestMethod + `"></ds:DigestMethod><ds:DigestValue>` +
		base64.StdEncoding.EncodeToString(sum(octets)) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	value, err := key.Signer.Sign(cryptorand.Reader, sum([]byte(info)), hash)
	if err != nil {
		t.Fatal(err)
	}
	signature := etree.NewDocument()
	if err := signature.ReadFromString(`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` +
		strings.Replace(info, ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`, "", 1) +
		`<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(value) +
		`</ds:SignatureValue></ds:Signature>`); err != nil {
		t.Fatal(err)
	}
	el.InsertChildAt(0, signature.Root())
	text, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMD04Signature checks a document's or an entity's signature while it is read
// as a stream (MD-04), and refuses what was not signed.
func TestMD04Signature(t *testing.T) {
	key, other := readKey(t, "rsa-2048"), readKey(t, "sp-other")
	plain := group("", member("https://a.test"), member("https://bb.test"))
	many := sealed(t, plain, "_group", dsig.RSASHA256SignatureMethod, "", key)
	read := func(data string, trust *x509.Certificate) (metadata.Imported, error) {
		return readMetadata(data, metadata.ReadOptions{EntityID: "https://bb.test", TrustKey: trust})
	}
	for name, data := range map[string]string{
		"document":                   many,
		"document with SHA-512":      sealed(t, plain, "_group", dsig.RSASHA512SignatureMethod, "", key),
		"document with a list":       sealed(t, plain, "_group", dsig.RSASHA256SignatureMethod, "xs md", key),
		"entity in a document":       sealed(t, plain, "_e15", dsig.RSASHA256SignatureMethod, "", key),
		"entity in one, with a list": sealed(t, plain, "_e15", dsig.RSASHA256SignatureMethod, "xs", key),
		"entity alone": sealed(t, strings.Replace(member("https://bb.test"), "<md:EntityDescriptor",
			`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"`, 1),
			"_e15", dsig.RSASHA256SignatureMethod, "", key),
	} {
		im, err := read(data, key.Certificate)
		if err != nil || !im.Signed || im.Provider.ACS[0].URL != "https://bb.test/acs?a=1&b=2" {
			t.Errorf("%s: %v", name, err)
		}
		if im, err := read(data, nil); err != nil || im.Signed {
			t.Errorf("%s without a trust key: %v, signed %t", name, err, im.Signed)
		}
		if _, err := read(data, other.Certificate); err == nil || !strings.Contains(err.Error(),
			"not made by the trust key") {
			t.Errorf("%s with another trust key: %v", name, err)
		}
	}
	ec := readKey(t, "p-256")
	if im, err := read(sealed(t, plain, "_group", dsig.ECDSASHA256SignatureMethod, "", ec),
		ec.Certificate); err != nil || !im.Signed {
		t.Errorf("ECDSA: %v", err)
	}
	sha1 := sealed(t, plain, "_group", dsig.RSASHA1SignatureMethod, "", key)
	otherEntity := sealed(t, plain, "_e14", dsig.RSASHA256SignatureMethod, "", key)
	first := many[strings.Index(many, "<ds:Signature") : strings.Index(many, "</ds:Signature>")+len("</ds:Signature>")]
	for _, c := range []struct{ name, data, want string }{
		{"unsigned", plain, "not signed"},
		{"address changed", strings.Replace(many, "https://bb.test/acs", "https://evil.test/acs", 1), "not what was signed"},
		{"entity added", strings.Replace(many, "</md:EntitiesDescriptor>", member("https://evil.test")+
			"</md:EntitiesDescriptor>", 1), "not what was signed"},
		{"text added", strings.Replace(many, "</md:SPSSODescriptor>", "x</md:SPSSODescriptor>", 1), "not what was signed"},
		{"attribute added to the root", strings.Replace(many, `ID="_group"`, `ID="_group" validUntil="2030-01-01T00:00:00Z"`,
			1), "not what was signed"},
		{"namespace moved", strings.Replace(many, "urn:oasis:names:tc:SAML:2.0:metadata",
			"urn:oasis:names:tc:SAML:2.0:metadata ", 1), "root element"},
		{"digest changed", strings.Replace(many, "<ds:DigestValue>", "<ds:DigestValue>AAAA", 1), ""},
		{"value changed", strings.Replace(many, "<ds:SignatureValue>", "<ds:SignatureValue>AAAA", 1),
			"not made by the trust key"},
		{"ID changed", strings.Replace(many, `ID="_group"`, `ID="_other"`, 1), "is not the ID"},
		{"SHA-1", sha1, "SHA-1"},
		{"signature of another entity", otherEntity, "not signed"},
		{"signature at the end", strings.Replace(strings.Replace(many, first, "", 1), "</md:EntitiesDescriptor>",
			first+"</md:EntitiesDescriptor>", 1), "not signed"},
		{"signature inside the entity", strings.Replace(strings.Replace(many, first, "", 1), "<md:SPSSODescriptor",
			first+"<md:SPSSODescriptor", 2), ""},
		{"second reference", strings.Replace(many, "</ds:Reference>", `</ds:Reference><ds:Reference URI="#x"/>`, 1),
			"2 references"},
		{"XPath", strings.Replace(many, "http://www.w3.org/2001/10/xml-exc-c14n#\"/></ds:Transforms>",
			"http://www.w3.org/TR/1999/REC-xpath-19991116\"/></ds:Transforms>", 1), "transform"},
		{"ds:Object", strings.Replace(many, "</ds:Signature>", "<ds:Object/></ds:Signature>", 1), "one SignatureValue"},
		{"wrapped", group("", `<md:Extensions>`+strings.TrimPrefix(many, `<?xml version="1.0"?>`)+`</md:Extensions>`,
			member("https://bb.test")), "not signed"},
		{"cut off", many[:len(many)-10], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.data == many {
				t.Fatal("the case changes nothing")
			}
			im, err := read(c.data, key.Certificate)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q; ACS %v", err, c.want, im.Provider.ACS)
			}
		})
	}
	// A comment is not signed, and splits no value.
	commented := strings.Replace(many, "<md:SPSSODescriptor", "<!-- x --><md:SPSSODescriptor", 1)
	if im, err := read(commented, key.Certificate); err != nil || !im.Signed {
		t.Errorf("with a comment: %v", err)
	}
}

// federation is an aggregate of any size, made as it is read. Every 4 MiB it
// measures what is alive.
type federation struct {
	left, sinceLook int
	buffer          []byte
	filler          string
	n               int
	most            uint64
	ended           bool
}

func (f *federation) Read(p []byte) (int, error) {
	if len(f.buffer) == 0 {
		switch {
		case f.ended:
			return 0, io.EOF
		case f.left <= 0:
			f.buffer, f.ended = []byte("</md:EntitiesDescriptor>"), true
		case f.n == 0:
			head, _, _ := strings.Cut(group("", "|"), "|")
			f.buffer = []byte(head)
		default:
			f.buffer = []byte(fmt.Sprintf(
				`<md:EntityDescriptor entityID="https://sp%d.test/"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp%d.test/acs" index="0"/>
</md:SPSSODescriptor></md:EntityDescriptor>
`, f.n, f.filler, f.n))
		}
		f.n++
	}
	n := copy(p, f.buffer)
	f.buffer = f.buffer[n:]
	f.left -= n
	if f.sinceLook += n; f.sinceLook > 4<<20 {
		f.sinceLook = 0
		f.most = max(f.most, alive())
	}
	return n, nil
}

func alive() uint64 {
	runtime.GC()
	runtime.GC() // what the first one found dead in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMD05Memory: 60 MiB are read with less than 2 MB alive at any moment, the
// largest entity that is taken included; past 64 MiB is refused (MD-05).
func TestMD05Memory(t *testing.T) {
	certificate := base64.StdEncoding.EncodeToString(readKey(t, "rsa-2048").Certificate.Raw)
	read := func(f *federation, wish string, trust *x509.Certificate) (metadata.Imported, uint64, error) {
		before := alive()
		im, err := metadata.Read(f, metadata.ReadOptions{EntityID: wish, Now: start, TrustKey: trust})
		return im, f.most - min(before, f.most), err
	}
	size := 60 << 20
	if testing.Short() {
		size = 8 << 20
	}
	im, most, err := read(&federation{left: size, filler: certificate}, "https://sp77.test/", nil)
	if err != nil || im.Provider.EntityID != "https://sp77.test/" || im.Entities < 4000 {
		t.Fatalf("import of one in %d: %v", im.Entities, err)
	}
	t.Logf("%d entities, %d KB alive at most", im.Entities, most>>10)
	if most > 2_000_000 {
		t.Errorf("%d bytes are alive, want under 2 MB", most)
	}
	// An entity near its bounds, kept while the rest is read.
	large := &federation{left: 8 << 20, filler: certificate}
	head, _, _ := strings.Cut(group("", "|"), "|")
	member := strings.Replace(member("https://large.test"), "</md:EntityDescriptor>",
		"<md:Extensions>"+strings.Repeat(`<md:X a="b">`+strings.Repeat("y", 140)+"</md:X>", 2900)+
			"</md:Extensions></md:EntityDescriptor>", 1)
	large.buffer, large.n = []byte(head+member), 1
	if im, most, err = read(large, "https://large.test", nil); err != nil {
		t.Fatal(err)
	}
	if most > 2_000_000 {
		t.Errorf("%d bytes are alive with a large entity, want under 2 MB", most)
	}
	t.Logf("a large entity: %d KB alive at most", most>>10)

	if _, _, err := read(&federation{left: 65 << 20, filler: strings.Repeat("A", 200<<10)}, "https://sp1.test/",
		nil); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("65 MiB: %v", err)
	}
	f := &federation{left: 1 << 20, filler: strings.Repeat("A", 63<<20)}
	if _, most, err := read(f, "x", nil); err == nil || !strings.Contains(err.Error(), "256 KiB") {
		t.Errorf("one text of 63 MiB: %v, %d", err, most)
	}
}
