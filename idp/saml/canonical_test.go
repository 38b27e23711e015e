package saml_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/idp/saml"
)

// RSP-10: our canonical form is that of the library which signatures are verified
// with, whatever the tree is like.
func TestRSP10OwnCanonicalForm(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unused declarations", `<a:x xmlns:a="u" xmlns:b="v"><y xmlns:c="w"/></a:x>`, `<a:x xmlns:a="u"><y></y></a:x>`},
		{"declared where used", `<x xmlns:a="u"><a:y/><a:y a:k="1"/></x>`,
			`<x><a:y xmlns:a="u"></a:y><a:y xmlns:a="u" a:k="1"></a:y></x>`},
		{"prefix redeclared", `<a:x xmlns:a="u"><a:y xmlns:a="v"><a:z xmlns:a="u"/></a:y></a:x>`,
			`<a:x xmlns:a="u"><a:y xmlns:a="v"><a:z xmlns:a="u"></a:z></a:y></a:x>`},
		{"default taken back", `<x xmlns="u"><y xmlns=""><z/></y></x>`, `<x xmlns="u"><y xmlns=""><z></z></y></x>`},
		{"attributes by namespace", `<x xmlns:b="u" xmlns:a="v" a:k="1" b:k="2" z="3"/>`,
			`<x xmlns:a="v" xmlns:b="u" z="3" b:k="2" a:k="1"></x>`},
		{"text", "<x>&amp;&lt;&gt;\"'\t\n&#13;é\U0001F600</x>", "<x>&amp;&lt;&gt;\"'\t\n&#xD;é\U0001F600</x>"},
		{"attribute", "<x k=\"&amp;&lt;>&quot;'&#9;&#10;&#13;é\"/>", "<x k=\"&amp;&lt;>&quot;'&#x9;&#xA;&#xD;é\"></x>"},
		{"comment", `<x>a<!-- b -->c</x>`, `<x>ac</x>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			el := parse(t, []byte(c.text))
			if got := sameCanonical(t, el); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
	t.Run("generated", func(t *testing.T) {
		for seed := range uint64(3000) {
			random := rand.New(rand.NewPCG(seed, 10))
			root := etree.NewElement("root")
			for _, prefix := range prefixes {
				root.CreateAttr("xmlns:"+prefix, prefix+":0")
			}
			grow(random, root, 4)
			sameCanonical(t, root)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// In these the library departs from the standard: it sorts attributes by their local
// names first, and finds no namespace that an element further up declares (xml-c14n
// 2.2: by namespace, then by local name). It also writes xmlns="" where nothing has to
// be taken back (xml-exc-c14n 3). No message of ours comes to either.
func TestRSP10OwnCanonicalFormByTheStandard(t *testing.T) {
	for text, want := range map[string]string{
		`<x xmlns:b="u" b:k="1" xml:lang="en" a="2"/>`:                        `<x xmlns:b="u" a="2" xml:lang="en" b:k="1"></x>`,
		`<x xmlns:b="u" xmlns:a="v" b:k="1" a:k="2"><y a:k="1" b:k="2"/></x>`: `<x xmlns:a="v" xmlns:b="u" b:k="1" a:k="2"><y b:k="2" a:k="1"></y></x>`,
		`<x xmlns:a="u" xmlns:b="v" b:k="1" a:l="2"/>`:                        `<x xmlns:a="u" xmlns:b="v" a:l="2" b:k="1"></x>`,
		`<x xmlns=""><y xmlns=""/></x>`:                                       `<x><y></y></x>`,
		`<a:x xmlns:a="u" xmlns="d"><y xmlns=""/></a:x>`:                      `<a:x xmlns:a="u"><y></y></a:x>`,
	} {
		if got, err := saml.OwnCanonical().Canonicalize(parse(t, []byte(text))); err != nil || string(got) != want {
			t.Errorf("%s: %s %v", text, got, err)
		}
	}
}

// What is declared around an element holds inside it too; what XML can't write is
// replaced, and what nobody can read alike is refused.
func TestRSP10OwnCanonicalFormOfParts(t *testing.T) {
	part := parse(t, []byte(`<a:x xmlns:a="u" xmlns="d"><y xmlns:a="v"><a:z><w/></a:z></y></a:x>`)).FindElement("./y/z")
	if got, err := saml.OwnCanonical().Canonicalize(part); err != nil ||
		string(got) != `<a:z xmlns:a="v"><w xmlns="d"></w></a:z>` {
		t.Errorf("a part: %s %v", got, err)
	}
	el := etree.NewElement("x")
	el.CreateAttr("k", "a\x00b\xffc\ufffe\x7f")
	el.SetText("a\x0bb\xc3c\uffff\ufffd")
	if got := sameCanonical(t, el); got != "<x k=\"a\ufffdb\ufffdc\ufffd\x7f\">a\ufffdb\ufffdc\ufffd\ufffd</x>" {
		t.Errorf("characters that XML has none of: %q", got)
	}
	for name, spoil := range map[string]func(*etree.Element){
		"prefix of a name":         func(el *etree.Element) { el.CreateElement("q:y") },
		"prefix of an attribute":   func(el *etree.Element) { el.CreateAttr("q:y", "") },
		"processing instruction":   func(el *etree.Element) { el.CreateProcInst("y", "") },
		"prefix declared as empty": func(el *etree.Element) { el.CreateAttr("xmlns:q", "") },
	} {
		el := etree.NewElement("x")
		spoil(el)
		if got, err := saml.OwnCanonical().Canonicalize(el); err == nil {
			t.Errorf("%s: no error, but %s", name, got)
		}
	}
}

// sameCanonical compares the two canonical forms, sees that the tree stays as it
// was, and that the form is its own canonical form when it is read again.
func sameCanonical(t *testing.T, el *etree.Element) string {
	t.Helper()
	before := inside(t, el)
	got, err := saml.OwnCanonical().Canonicalize(el)
	if err != nil {
		t.Fatal(err)
	}
	if after := inside(t, el); after != before {
		t.Errorf("the tree was changed:\n%s\n%s", before, after)
	}
	want, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(el.Copy())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s\ngot  %q\nwant %q", before, got, want)
	}
	if again, err := saml.OwnCanonical().Canonicalize(parse(t, got)); err != nil || !bytes.Equal(again, got) {
		t.Errorf("read again: %q, %v", again, err)
	}
	return string(got)
}

func inside(t *testing.T, el *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(el.Copy())
	s, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prefixes sort like the namespaces and the attributes that grow gives them: the
// library's order of attributes is the standard's only then.
var prefixes = []string{"a", "b", "saml", "ds"}

// grow gives el attributes, declarations, text and children by chance.
func grow(random *rand.Rand, el *etree.Element, depth int) {
	bits := []string{"a", "é", "\U0001F600", "&", "<", ">", `"`, "'", "\t", "\n", "\r", " ", "]]>", "&amp;"}
	text := func() string {
		var b strings.Builder
		for range random.IntN(6) {
			b.WriteString(bits[random.IntN(len(bits))])
		}
		return b.String()
	}
	name := func() string {
		tag := string(rune('k' + random.IntN(4)))
		if i := random.IntN(len(prefixes) + 1); i < len(prefixes) {
			tag = prefixes[i] + ":" + tag
		}
		return tag
	}
	for i := range random.IntN(4) {
		key := fmt.Sprintf("k%d", i)
		if n := random.IntN(2 * len(prefixes)); n < len(prefixes) {
			key = fmt.Sprintf("%s:%[1]s%d", prefixes[n], i)
		}
		el.CreateAttr(key, text())
	}
	for range random.IntN(3) { // some are used below, some never; some say again what holds already
		prefix := prefixes[random.IntN(len(prefixes))]
		el.CreateAttr("xmlns:"+prefix, fmt.Sprintf("%s:%d", prefix, random.IntN(4)))
	}
	up := el.Parent()
	switch takeBack := up != nil && up.Space == "" && up.NamespaceURI() != ""; random.IntN(4) {
	case 0:
		el.CreateAttr("xmlns", fmt.Sprintf("urn:%d", random.IntN(5)))
	case 1:
		if takeBack {
			el.CreateAttr("xmlns", "")
		}
	}
	for range random.IntN(4) {
		switch random.IntN(4) {
		case 0:
			el.CreateText(text())
		case 1:
			el.CreateComment("c")
		default:
			if depth > 0 {
				grow(random, el.CreateElement(name()), depth-1)
			}
		}
	}
}

func parse(t testing.TB, data []byte) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return doc.Root()
}
