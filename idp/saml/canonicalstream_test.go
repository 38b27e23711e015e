package saml_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"ssobridge/idp/saml"
	"ssobridge/internal/testkind"
)

// TestCanonicalStream holds the streamed canonical form against the specification
// and, where it is installed, libxml2. (The library that canonicalizes messages
// sorts attributes by prefix, where xml-c14n 2.2 wants the namespace.)
func TestCanonicalStream(t *testing.T) {
	var documents []string
	for _, c := range []struct{ prefixes, data, want string }{
		{
			"", `<a xmlns="urn:a" xmlns:b="urn:b" b:z="1" y='2' a="&lt;&#xA;&quot;&gt;&#x9;'"><b:c xmlns=""><d/></b:c>x&amp;&gt;]]&gt;&#xD;</a>`,
			`<a xmlns="urn:a" xmlns:b="urn:b" a="&lt;&#xA;&quot;>&#x9;'" y="2" b:z="1"><b:c><d xmlns=""></d></b:c>x&amp;&gt;]]&gt;&#xD;</a>`,
		},
		{
			"", `<a xmlns:z="urn:1" xmlns:b="urn:2" b:a="2" z:p="1" xml:lang="de"><c xmlns:z="urn:3"><z:d/><e z:q=""/></c><z:f/></a>`,
			`<a xmlns:b="urn:2" xmlns:z="urn:1" xml:lang="de" z:p="1" b:a="2"><c><z:d xmlns:z="urn:3"></z:d><e xmlns:z="urn:3" z:q=""></e></c><z:f></z:f></a>`,
		},
		{"", `<a><b xmlns="urn:b"><c xmlns=""><d xmlns="urn:b"/></c></b><![CDATA[<&>]]><!-- x --></a>`,
			`<a><b xmlns="urn:b"><c xmlns=""><d xmlns="urn:b"></d></c></b>&lt;&amp;&gt;</a>`},
		{"", `<p:a xmlns:p="urn:p" xmlns="urn:d" xmlns:q="urn:q"><p:b/></p:a>`, `<p:a xmlns:p="urn:p"><p:b></p:b></p:a>`},
		{"q #default x", `<p:a xmlns:p="urn:p" xmlns="urn:d" xmlns:q="urn:q"><p:b xmlns:q="urn:r"/></p:a>`,
			`<p:a xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q"><p:b xmlns:q="urn:r"></p:b></p:a>`},
	} {
		if got, err := saml.CanonicalStream([]byte(c.data), c.prefixes); err != nil || string(got) != c.want {
			t.Errorf("document %s, list %q: %v\n got %s\nwant %s", c.data, c.prefixes, err, got, c.want)
		}
		documents = append(documents, c.data)
	}
	testkind.Starts(t, "xmllint")
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Fatalf("the comparison with libxml2 needs xmllint of Debian's package libxml2-utils: %v", err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		documents = append(documents, randomDocument(random, 0))
	}
	for _, text := range documents {
		cmd := exec.Command(xmllint, "--nonet", "--exc-c14n", "-")
		cmd.Stdin = strings.NewReader(strings.ReplaceAll(text, "<!-- x -->", ""))
		want, err := cmd.Output()
		if err != nil {
			t.Fatalf("xmllint: %v", err)
		}
		got, err := saml.CanonicalStream([]byte(text), "")
		if err != nil || !bytes.Equal(got, bytes.TrimSuffix(want, []byte("\n"))) {
			t.Errorf("document %s: %v\n   got %s\nlibxml %s", text, err, got, want)
		}
	}
}

func randomDocument(r *rand.Rand, depth int) string {
	prefixes := []string{"", "p", "q", "r"}
	var b strings.Builder
	p := prefixes[r.IntN(4)]
	name := strings.TrimPrefix(p+":e"+fmt.Sprint(r.IntN(3)), ":")
	b.WriteString("<" + name)
	for i, prefix := range prefixes {
		if depth == 0 && prefix != "" || r.IntN(3) == 0 {
			declaration := " xmlns"
			if prefix != "" {
				declaration += ":" + prefix
			}
			uri := fmt.Sprintf("urn:%d", r.IntN(3))
			if prefix == "" && r.IntN(2) == 0 {
				uri = ""
			}
			b.WriteString(declaration + `="` + uri + `"`)
		}
		if r.IntN(3) == 0 {
			b.WriteString(" " + strings.TrimPrefix(prefix+fmt.Sprintf(":a%d", i), ":") + `="&amp;` + fmt.Sprint(r.IntN(9)) + `"`)
		}
	}
	b.WriteString(">")
	for range r.IntN(3) {
		if depth < 4 {
			b.WriteString(randomDocument(r, depth+1) + " text ")
		}
	}
	b.WriteString("</" + name + ">")
	return b.String()
}
