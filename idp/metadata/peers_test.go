package metadata_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
)

// peerNow is when the files of testdata/peers are read: their certificates hold then.
var peerNow = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// peerFile is a file of testdata/peers, as service providers publish them and people edit them.
func peerFile(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/peers/" + name + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "@IN_TWO_DAYS@", peerNow.Add(48*time.Hour).Format(time.RFC3339))
}

// peerCase is a document and what is to come of it: taken, with so many keys, and with notes; or refused for a reason,
// in a line.
type peerCase struct {
	name, document string
	keys           int // for signatures
	encryption     int
	notes          []string // parts of notes that have to be there; none: there is no note
	refused        string   // "": it is taken
	line           int
}

func (c peerCase) check(t *testing.T) {
	t.Helper()
	im, err := metadata.Read(strings.NewReader(c.document), metadata.ReadOptions{Now: peerNow})
	if c.refused != "" {
		var faults *metadata.Error
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), c.refused) {
			t.Fatalf("%v, want it refused for %q", err, c.refused)
		}
		if f := faults.Faults[0]; f.Line != c.line {
			t.Errorf("line %d, want %d: %v", f.Line, c.line, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	sp := im.Provider
	if sp.EntityID != "https://sp.example.org/saml" || len(sp.ACS) == 0 || sp.ACS[0].URL != "https://sp.example.org/acs" {
		t.Errorf("%s with %+v", sp.EntityID, sp.ACS)
	}
	if len(sp.Certificates) != c.keys || len(sp.EncryptionKeys) != c.encryption {
		t.Errorf("%d keys for signatures, %d for encryption, want %d and %d", len(sp.Certificates), len(sp.EncryptionKeys),
			c.keys, c.encryption)
	}
	for _, want := range c.notes {
		if !slices.ContainsFunc(im.Notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note about %q", want)
		}
	}
	if len(c.notes) == 0 && len(im.Notes) > 0 || t.Failed() {
		t.Errorf("notes: %q", im.Notes)
	}
	if faults := idp.CheckProvider(sp, false); len(faults) > 0 {
		t.Errorf("the record can't be used: %v", faults)
	}
	// What is kept is read again after each refresh.
	if again, err := metadata.Parse(sp.Metadata); err != nil || again.EntityID != sp.EntityID ||
		len(again.Certificates) != len(sp.Certificates) {
		t.Errorf("what is kept can't be read again: %v", err)
	}
}

// REAL-20, REAL-21, REAL-22, REAL-23: files that were reported about other products.
func TestPeerFiles(t *testing.T) {
	for _, c := range []peerCase{
		{name: "01-plain", keys: 1},
		{name: "03-utf16le", keys: 1},
		{name: "03b-utf16-declared-but-utf8", keys: 1},
		{name: "04-pem-armour", keys: 1},
		{name: "04b-pem-armour-one-line", keys: 1},
		{name: "07-two-certs-in-one", keys: 2, notes: []string{"one key is said to be 2 certificates"}},
		{name: "07b-two-pem-bodies-in-one", keys: 2, notes: []string{"one key is said to be 2 certificates"}},
		{name: "08b-empty-cert-beside-good", keys: 1, notes: []string{"line 2: passed over: md:KeyDescriptor holds no"}},
		{name: "09-keyname-only-beside-good", keys: 1, notes: []string{"holds no certificate and no key"}},
		{name: "13b-two-days", keys: 1},
		{name: "14-index-missing", keys: 1, notes: []string{"it is given 0"}},
		{name: "14b-index-twice", keys: 1, notes: []string{"it is given 1"}},
		{name: "23-chain-in-x509data", keys: 1, notes: []string{`passed over the certificate "CN=sp2"`}},
		{name: "25-xml11", refused: "not XML 1.0", line: 1},
		{name: "28-transient-only", keys: 1, notes: []string{"NameID"}},
		{name: "29-email20-format", keys: 1},
		{name: "33-rsa-keyvalue-only", notes: []string{"RSA of 17 bits"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.document = peerFile(t, c.name)
			c.check(t)
		})
	}
	im, err := metadata.Read(strings.NewReader(peerFile(t, "29-email20-format")), metadata.ReadOptions{Now: peerNow})
	if err != nil || im.Provider.NameIDFormat != "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" ||
		im.Provider.NameID != "{mail}" {
		t.Errorf("an address by the URI of SAML 2.0: %s %s, %v", im.Provider.NameIDFormat, im.Provider.NameID, err)
	}
}

// parts that the cases below are made of.
const (
	peerHead = `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ` +
		`xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="https://sp.example.org/saml">`
	peerRole = `<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`
	peerTail = `<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" ` +
		`Location="https://sp.example.org/acs" index="0"/></md:SPSSODescriptor></md:EntityDescriptor>`
	peerPlain = peerHead + peerRole + peerTail
)

// keyOf is a key for signing whose KeyInfo holds that.
func keyOf(info string) string {
	return `<md:KeyDescriptor use="signing"><ds:KeyInfo>` + info + `</ds:KeyInfo></md:KeyDescriptor>`
}

// certified is an X509Data with these certificates.
func certified(texts ...string) string {
	all := "<ds:X509Data>"
	for _, text := range texts {
		all += "<ds:X509Certificate>" + text + "</ds:X509Certificate>"
	}
	return all + "</ds:X509Data>"
}

func inUTF16(text string, mark string, order binary.AppendByteOrder) string {
	out := []byte(mark)
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// REAL-20: whatever the bytes are in, what they say is clear; and where it is not, it is refused.
func TestPeerEncodings(t *testing.T) {
	named := func(encoding string) string {
		return `<?xml version="1.0" encoding="` + encoding + `"?>` + "\n" +
			strings.Replace(peerPlain, peerRole, peerRole+`<md:Extensions><ui:UIInfo xmlns:ui="urn:oasis:names:tc:SAML:metadata:ui">`+
				`<ui:DisplayName xml:lang="en">Büro 𝄞</ui:DisplayName></ui:UIInfo></md:Extensions>`, 1)
	}
	le, be := binary.LittleEndian, binary.BigEndian
	latin := strings.NewReplacer("ü", "\xfc", " 𝄞", " \x80").Replace
	for _, c := range []struct{ name, document, want string }{
		{"UTF-8", named("UTF-8"), "Büro 𝄞"},
		{"UTF-8 in small letters", named("utf8"), "Büro 𝄞"},
		{"a mark", "\ufeff" + named("UTF-8"), "Büro 𝄞"},
		{"a mark twice", "\ufeff\ufeff" + named("UTF-8"), "Büro 𝄞"},
		{"a mark behind a blank line", "\n\ufeff" + named("UTF-8"), "Büro 𝄞"},
		{"UTF-16, little end first", inUTF16(named("UTF-16"), "\xff\xfe", le), "Büro 𝄞"},
		{"UTF-16, big end first", inUTF16(named("UTF-16"), "\xfe\xff", be), "Büro 𝄞"},
		{"UTF-16 that names its order", inUTF16(named("utf-16LE"), "\xff\xfe", le), "Büro 𝄞"},
		{"UTF-16 that declares UTF-8", inUTF16(named("UTF-8"), "\xff\xfe", le), "Büro 𝄞"},
		{"UTF-16 without a mark", inUTF16(named("UTF-16"), "", le), "Büro 𝄞"},
		{"UTF-16 without a mark, big end first", inUTF16(named("UTF-16"), "", be), "Büro 𝄞"},
		{"declared as UTF-16", named("UTF-16"), "Büro 𝄞"},
		{"declared as UTF-16, with a mark of UTF-8", "\ufeff" + named("utf-16"), "Büro 𝄞"},
		{"Latin-1", latin(named("ISO-8859-1")), "Büro €"},
		{"Windows", latin(named("windows-1252")), "Büro €"},
		{"declared as ASCII", named("US-ASCII"), "Büro 𝄞"},
		{"behind a blank line", "\r\n \n" + named("UTF-8"), "Büro 𝄞"},
		{"behind a comment", "<!-- exported -->\n" + named("UTF-8"), "Büro 𝄞"},
		{"no declaration", named("UTF-8")[strings.Index(named("UTF-8"), "\n"):], "Büro 𝄞"},
		{"CDATA", strings.Replace(named("UTF-8"), "Büro 𝄞", "<![CDATA[Büro 𝄞]]>", 1), "Büro 𝄞"},
	} {
		t.Run(c.name, func(t *testing.T) {
			im, err := metadata.Read(strings.NewReader(c.document), metadata.ReadOptions{Now: peerNow})
			if err != nil || im.Provider.Name != c.want {
				t.Errorf("%q, %v, want %q", im.Provider.Name, err, c.want)
			}
		})
	}
	for _, c := range []peerCase{
		{name: "UTF-32", document: "\xff\xfe\x00\x00<\x00\x00\x00", refused: "UTF-32", line: 1},
		{name: "half a unit of UTF-16", document: inUTF16(peerPlain, "\xff\xfe", le) + "x", refused: "not sound UTF-16",
			line: 1},
		{name: "half a pair in UTF-16", refused: "not sound UTF-16", line: 1,
			document: inUTF16(peerHead, "\xfe\xff", be) + "\xd8\x34" + inUTF16("</a>", "", be)},
		{name: "UTF-16 that ends in half a pair", refused: "not sound UTF-16", line: 1,
			document: inUTF16(peerHead, "\xfe\xff", be) + "\xd8\x34"},
		{name: "a code of its own", document: named("EBCDIC-CP-US"), refused: "EBCDIC-CP-US", line: 1},
		{name: "Latin-1 that declares UTF-8", document: latin(named("UTF-8")), refused: "save it as UTF-8", line: 2},
		{name: "no character of Windows", document: strings.ReplaceAll(named("windows-1252"), "ü", "\x81"),
			refused: "stands for no character", line: 2},
		{name: "XML 1.1", document: strings.Replace(named("UTF-8"), "1.0", "1.1", 1), refused: `write version="1.0"`, line: 1},
		{name: "XML 2.0", document: strings.Replace(named("UTF-8"), "1.0", "2.0", 1), refused: `write version="1.0"`, line: 1},
		{name: "two declarations", document: `<?xml version="1.0"?>` + named("UTF-8"), refused: "processing instruction", line: 1},
		{name: "a declaration inside", document: strings.Replace(peerPlain, peerRole, `<?xml version="1.0"?>`+peerRole, 1),
			refused: "processing instruction", line: 1},
		{name: "a document type in UTF-16", refused: "document type", line: 2,
			document: inUTF16(strings.Replace(named("UTF-16"), "\n", "\n<!DOCTYPE a [<!ENTITY b 'c'>]>", 1), "\xff\xfe", le)},
		{name: "entities of entities", refused: "document type", line: 1,
			document: `<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;&b;&b;">]>` + peerPlain},
		{name: "a document type behind a blank line", document: "\n<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" + peerPlain,
			refused: "document type", line: 2},
	} {
		t.Run(c.name, c.check)
	}
	// The same bytes, and no more of them than is allowed.
	large := peerPlain + strings.Repeat(" ", 2000)
	if _, err := metadata.Read(strings.NewReader(large), metadata.ReadOptions{MaxBytes: int64(len(large))}); err != nil {
		t.Errorf("a document as large as is allowed: %v", err)
	}
	_, err := metadata.Read(strings.NewReader(inUTF16(large, "\xff\xfe", le)), metadata.ReadOptions{MaxBytes: 2000})
	if err == nil || !strings.Contains(err.Error(), "metadata.max_mib") {
		t.Errorf("a document that is too large: %v", err)
	}
}

// REAL-20: blanks that layout brings, and what is not the service provider's role, change nothing.
func TestPeerLayout(t *testing.T) {
	group := func(inner string) string {
		return `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + inner + `</md:EntitiesDescriptor>`
	}
	const other = `<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>` +
		`<md:AttributeAuthorityDescriptor/>`
	blank := strings.NewReplacer(`entityID="https://sp.example.org/saml"`, "entityID=\"\n  https://sp.example.org/saml \"",
		`Location="https://sp.example.org/acs"`, "Location=\" https://sp.example.org/acs\t\"", `index="0"`, `index=" 0 "`,
		`HTTP-POST"`, `HTTP-POST "`, `"urn:oasis:names:tc:SAML:2.0:protocol"`,
		"\"urn:oasis:names:tc:SAML:1.1:protocol\n urn:oasis:names:tc:SAML:2.0:protocol \"")
	for _, c := range []peerCase{
		{name: "nothing to note", document: peerPlain},
		{name: "blanks in every URI", document: blank.Replace(peerPlain)},
		{name: "a group of one", document: group(peerPlain)},
		{name: "a group in a group in a group", document: group(group(group(peerPlain)))},
		{name: "other roles beside it", document: strings.Replace(peerPlain, peerRole, other+peerRole, 1)},
		{name: "several protocols", document: strings.ReplaceAll(peerPlain, `n="urn:oasis:names:tc:SAML:2.0:protocol"`,
			`n="urn:oasis:names:tc:SAML:1.1:protocol http://schemas.xmlsoap.org/ws/2003/07/secext `+
				`urn:oasis:names:tc:SAML:2.0:protocol"`)},
		{name: "one xml:id twice", document: strings.Replace(peerPlain, peerRole,
			`<md:Extensions xml:id="a"><x xmlns="urn:x" xml:id="a"/></md:Extensions>`+peerRole, 1)},
		{name: "an empty format", document: strings.Replace(peerPlain, peerTail, "<md:NameIDFormat/>"+peerTail, 1)},
		{name: "a service of unknown type beside it", document: strings.Replace(peerPlain, peerRole,
			`<md:RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" `+
				`xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType" `+
				`protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706"><fed:TokenTypesOffered/>`+
				`</md:RoleDescriptor>`+peerRole, 1)},
		{name: "booleans of .NET", document: strings.Replace(peerPlain, "<md:SPSSODescriptor",
			`<md:SPSSODescriptor AuthnRequestsSigned="False" WantAssertionsSigned="True"`, 1)},
		{name: "a time as Java prints it", document: strings.Replace(peerPlain, "<md:SPSSODescriptor",
			`<md:SPSSODescriptor validUntil="2027-11-29T12:00Z"`, 1)},
		{name: "a host in letters of its own", document: strings.Replace(peerPlain, "sp.example.org/acs",
			"büro.example.org/acs", 1), refused: "such as xn--", line: 1},
		{name: "a port beyond all", document: strings.Replace(peerPlain, "sp.example.org/acs", "sp.example.org:99999/acs", 1),
			refused: "its port is no number from 1 to 65535", line: 1},
		{name: "JSON", document: `{"metadata": "<md:EntityDescriptor/>"}`, refused: "it is no XML", line: 1},
		{name: "an address", document: "https://sp.example.org/saml\n", refused: "it is no XML", line: 1},
		{name: "compressed", document: "\x1f\x8b\x08\x00\x00", refused: "it is no XML", line: 1},
		{name: "a format with blanks", document: strings.Replace(peerPlain, peerTail,
			"<md:NameIDFormat>\n urn:oasis:names:tc:SAML:2.0:nameid-format:persistent \n</md:NameIDFormat>"+peerTail, 1)},
		{name: "one ID twice", refused: "one ID is used twice", line: 1, document: strings.Replace(peerPlain, peerRole,
			`<md:Extensions ID="a"><x xmlns="urn:x" ID="a"/></md:Extensions>`+peerRole, 1)},
		{name: "no entity in a group", document: group(""), refused: "describes no entity"},
		{name: "two entities", document: group(peerPlain + peerPlain), refused: "describes 2 entities"},
		{name: "a name of blanks", document: strings.Replace(peerPlain, "https://sp.example.org/saml", " ", 1),
			refused: "has no entityID", line: 1},
	} {
		t.Run(c.name, c.check)
	}
	two := blank.Replace(group(peerPlain + strings.Replace(peerPlain, "org/saml", "org/b", 1)))
	im, err := metadata.Read(strings.NewReader(two),
		metadata.ReadOptions{EntityID: " https://sp.example.org/saml", Now: peerNow})
	if err != nil || im.Provider.EntityID != "https://sp.example.org/saml" {
		t.Errorf("one of two, with blanks: %v", err)
	}
	for uri, want := range map[string]string{
		"urn:oasis:names:tc:SAML:2.0:nameid-format:emailAddress": "{mail}",
		"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress": "{mail}",
		"urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified":  "{login}",
		"urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified":  "{login}",
		"urn:oasis:names:tc:SAML:1.1:nameid-format:persistent":   "{person_id}",
		"urn:oasis:names:tc:SAML:2.0:nameid-format:emailaddress": "{mail}",
	} {
		document := strings.Replace(peerPlain, peerTail, "<md:NameIDFormat>"+uri+"</md:NameIDFormat>"+peerTail, 1)
		im, err := metadata.Read(strings.NewReader(document), metadata.ReadOptions{Now: peerNow})
		if err != nil || im.Provider.NameID != want || len(im.Notes) > 0 {
			t.Errorf("%s: %s, %v %v, want %s", uri, im.Provider.NameID, im.Notes, err, want)
		}
	}
}

// authorityOf makes a certificate by another one, or by itself.
func authorityOf(t *testing.T, name string, ca bool, by *x509.Certificate, byKey *ecdsa.PrivateKey) (*x509.Certificate,
	*ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(name)) + 1000), Subject: pkix.Name{CommonName: name},
		NotBefore: peerNow.Add(-time.Hour), NotAfter: peerNow.Add(time.Hour), BasicConstraintsValid: true, IsCA: ca}
	if by == nil {
		by, byKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// REAL-22: what holds a key, in each form, and the certificates of authorities, which hold none that signs messages.
func TestPeerKeys(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	root, rootKey := authorityOf(t, "root", true, nil, nil)
	middle, middleKey := authorityOf(t, "middle", true, root, rootKey)
	leaf, _ := authorityOf(t, "sp", false, middle, middleKey)
	plain, plainKey := authorityOf(t, "plain", false, nil, nil)
	made, _ := authorityOf(t, "made by a tool", true, nil, nil) // which calls itself an authority
	next, _ := authorityOf(t, "made by a tool", true, nil, nil)
	twin, _ := authorityOf(t, "twin", false, nil, nil)
	of := func(all ...*x509.Certificate) (texts []string) {
		for _, c := range all {
			texts = append(texts, b64(c.Raw))
		}
		return texts
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: middle.Raw})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))
	rsaKey := readKey(t, "rsa-2048").Certificate.PublicKey.(*rsa.PublicKey)
	rsaValue := "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>\n" + b64(rsaKey.N.Bytes()) +
		"</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
	largeValue := strings.Replace(rsaValue, b64(rsaKey.N.Bytes()), b64(bytes.Repeat([]byte{0xff}, 16392/8)), 1)
	private, err := x509.MarshalPKCS8PrivateKey(plainKey)
	if err != nil {
		t.Fatal(err)
	}
	point, err := plainKey.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&plainKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ecValue := func(curve string) string {
		return `<ds:KeyValue><e:ECKeyValue xmlns:e="http://www.w3.org/2009/xmldsig11#"><e:NamedCurve URI="urn:oid:` + curve +
			`"/><e:PublicKey>` + b64(point) + `</e:PublicKey></e:ECKeyValue></ds:KeyValue>`
	}
	derValue := `<e:DEREncodedKeyValue xmlns:e="http://www.w3.org/2009/xmldsig11#">` + b64(spki) + `</e:DEREncodedKeyValue>`
	negative := bytes.Clone(plain.Raw)
	serial, err := asn1.Marshal(plain.SerialNumber)
	if err != nil {
		t.Fatal(err)
	}
	negative[bytes.Index(negative, serial)+2] |= 0x80
	const authority = "passed over the certificate of an authority"
	for _, c := range []peerCase{
		{name: "a chain", document: keyOf(certified(of(leaf, middle, root)...)), keys: 1, notes: []string{authority}},
		{name: "a chain the other way round", document: keyOf(certified(of(root, middle, leaf)...)), keys: 1,
			notes: []string{`"CN=root"`, `"CN=middle"`}},
		{name: "a chain in one element", document: keyOf(certified(chain)), keys: 1, notes: []string{authority}},
		{name: "a chain in several X509Data", keys: 1, notes: []string{authority},
			document: keyOf(certified(of(leaf)...) + certified(of(middle)...) + certified(of(root)...))},
		{name: "a chain in several keys", keys: 1, notes: []string{authority},
			document: keyOf(certified(of(leaf)...)) + keyOf(certified(of(middle)...)) + keyOf(certified(of(root)...))},
		{name: "a chain with a gap", document: keyOf(certified(of(leaf, root)...)), keys: 1, notes: []string{authority}},
		{name: "a chain without its leaf", document: keyOf(certified(of(middle, root)...)), notes: []string{authority}},
		{name: "an authority beside a certificate that is not its", document: keyOf(certified(of(plain, made)...)), keys: 1,
			notes: []string{authority}},
		{name: "one that calls itself an authority", document: keyOf(certified(of(made)...)), keys: 1},
		{name: "two that call themselves authorities, one after the other",
			document: keyOf(certified(of(made)...)) + keyOf(certified(of(next)...)), keys: 2},
		{name: "two of one name in one X509Data", document: keyOf(certified(of(made, next)...)), keys: 2,
			notes: []string{"one key is said to be 2"}},
		{name: "named by its subject", keys: 1, notes: []string{`passed over the certificate "CN=twin"`},
			document: keyOf(strings.Replace(certified(of(twin, plain)...), "<ds:X509Data>",
				"<ds:X509Data><ds:X509SubjectName> cn = plain </ds:X509SubjectName>", 1))},
		{name: "named by its number", keys: 1, notes: []string{`passed over the certificate "CN=twin"`},
			document: keyOf(strings.Replace(certified(of(twin, plain)...), "<ds:X509Data>",
				"<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>CN=plain</ds:X509IssuerName><ds:X509SerialNumber>1005"+
					"</ds:X509SerialNumber></ds:X509IssuerSerial>", 1))},
		{name: "a name that fits none", keys: 2, notes: []string{"one key is said to be 2"},
			document: keyOf(strings.Replace(certified(of(twin, plain)...), "<ds:X509Data>",
				"<ds:X509Data><ds:X509SubjectName>CN=else</ds:X509SubjectName>", 1))},
		{name: "the same key again", document: keyOf(certified(of(plain, plain)...)) + keyOf(certified(of(plain)...)),
			keys: 1, notes: []string{"2 certificates"}},
		{name: "a negative number", document: keyOf(certified(b64(negative))), keys: 1,
			notes: []string{"breaks the rules of X.509 (negative serial number)"}},
		{name: "armour of Windows", keys: 1, document: keyOf(certified(strings.ReplaceAll(string(pem.EncodeToMemory(
			&pem.Block{Type: "CERTIFICATE", Bytes: plain.Raw})), "\n", "&#13;\n")))},
		{name: "CDATA", document: keyOf(certified("<![CDATA[" + b64(plain.Raw) + "]]>")), keys: 1},
		{name: "base64 of PEM", document: keyOf(certified(b64([]byte(chain)))), keys: 1, notes: []string{authority}},
		{name: "expired beside good", keys: 2, notes: []string{"a certificate ended on"},
			document: keyOf(certified(of(plain)...)) + keyOf(certified(expired(t)))},
		{name: "for both uses", keys: 1, encryption: 1, document: strings.Replace(keyOf(certified(b64(
			readKey(t, "rsa-2048").Certificate.Raw))), ` use="signing"`, "", 1)},
		{name: "an empty use", keys: 1, encryption: 1, document: strings.Replace(keyOf(certified(b64(
			readKey(t, "rsa-2048").Certificate.Raw))), `"signing"`, `""`, 1)},
		{name: "a use with blanks", keys: 1, document: strings.Replace(keyOf(certified(of(plain)...)), "signing", " signing ", 1)},
		{name: "a use in capitals", keys: 1, document: strings.Replace(keyOf(certified(of(plain)...)), "signing", "Signing", 1)},
		{name: "RSA without a certificate", document: keyOf(rsaValue), keys: 1, notes: []string{"without a certificate"}},
		{name: "RSA without a certificate, for both", document: strings.Replace(keyOf(rsaValue), ` use="signing"`, "", 1),
			keys: 1, encryption: 1, notes: []string{"without a certificate"}},
		{name: "an elliptic curve without a certificate", document: keyOf(ecValue("1.2.840.10045.3.1.7")), keys: 1,
			notes: []string{"without a certificate"}},
		{name: "a key in DER", document: keyOf(derValue), keys: 1, notes: []string{"without a certificate"}},
		{name: "a bare key beside its certificate", document: keyOf(rsaValue + certified(of(plain)...)), keys: 1},
		{name: "a bare key in place of what can't be read", document: keyOf(rsaValue + certified("AAAA")), keys: 1,
			notes: []string{"can't be read", "without a certificate"}},
		{name: "what can't be read beside good", document: keyOf(certified("AAAA")) + keyOf(certified(of(plain)...)), keys: 1,
			notes: []string{"passed over: md:KeyDescriptor: its certificate can't be read"}},
		{name: "a comment inside beside good", keys: 1, notes: []string{"more than text"},
			document: keyOf(certified("<!-- -->"+b64(twin.Raw))) + keyOf(certified(of(plain)...))},
		{name: "nothing at all"},
		{name: "as many keys as are taken", document: strings.Repeat(keyOf(certified(of(plain)...)), 20), keys: 1},
		{name: "an RSA key that takes long", document: keyOf(largeValue) + keyOf(certified(of(plain)...)), keys: 1,
			notes: []string{"RSA of 16392 bits"}},
		{name: "an authority beside what can't be read, and good", keys: 1, notes: []string{"can't be read"},
			document: keyOf(certified(b64(leaf.Raw)[:200], b64(root.Raw))) + keyOf(certified(of(plain)...))},

		{name: "an authority beside what can't be read", document: keyOf(certified(b64(leaf.Raw)[:200], b64(root.Raw))),
			refused: "can't be read", line: 1},
		{name: "more keys than are taken", document: strings.Repeat(keyOf(certified(of(plain)...)), 21),
			refused: "more than 20 certificates", line: 1},
		{name: "more keys than are taken, in one element", document: keyOf(certified(b64(bytes.Repeat(plain.Raw, 21)))),
			refused: "more than 20 certificates", line: 1},
		{name: "a private key in DER", refused: "it holds a private key: tell the service provider", line: 1,
			document: keyOf(certified(b64(private))) + keyOf(certified(of(plain)...))},
		{name: "no KeyInfo alone", document: `<md:KeyDescriptor use="signing"/>`, refused: "holds no certificate and no key",
			line: 1},
		{name: "what can't be read alone", document: keyOf(certified("AAAA")), refused: "can't be read", line: 1},
		{name: "no base64 alone", document: keyOf(certified("to follow!")), refused: "not base64", line: 1},
		{name: "a curve that nobody knows", document: keyOf(ecValue("1.2.3")), refused: "is not offered", line: 1},
		{name: "a point that is not on its curve", document: keyOf(ecValue("1.3.132.0.34")), refused: "can't be read",
			line: 1},
		{name: "an RSA key of exponent 1", document: keyOf(strings.Replace(rsaValue, "AQAB", "AQ==", 1)),
			refused: "no RSA key", line: 1},
		{name: "a private key", refused: "it holds a private key: tell the service provider", line: 1,
			document: keyOf(certified("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")) +
				keyOf(certified(of(plain)...))},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.document = peerHead + peerRole + c.document + peerTail
			c.check(t)
		})
	}
}

// expired is a certificate whose end is past.
func expired(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "old"},
		NotBefore: peerNow.Add(-2 * time.Hour), NotAfter: peerNow.Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// REAL-25: an end that is ignored can be put back, also one of the group around the entity, which is not kept itself.
func TestIgnoredEndIsKept(t *testing.T) {
	end := peerNow.Add(-time.Hour)
	document := `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" validUntil="` +
		end.Format(time.RFC3339) + `">` + peerPlain + `</md:EntitiesDescriptor>`
	im, err := metadata.Read(strings.NewReader(document), metadata.ReadOptions{Now: peerNow, IgnoreEnd: true})
	if err != nil || !im.ValidUntil.IsZero() {
		t.Fatalf("ends at %s: %v", im.ValidUntil, err)
	}
	again, err := metadata.Read(bytes.NewReader(im.Provider.Metadata), metadata.ReadOptions{})
	if err != nil || !again.ValidUntil.Equal(end) {
		t.Errorf("what is kept ends at %s, want %s: %v", again.ValidUntil, end, err)
	}
}
