package idp_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/store"
)

// genuine are requests as their service provider signed them, and what each says.
type genuine struct {
	sp      store.ServiceProvider
	posts   []string        // documents
	queries []string        // of the HTTP-Redirect binding
	says    map[string]bool // everything that was ever signed
}

// sign makes them. Every one says something else.
func signGenuine(t testing.TB) genuine {
	t.Helper()
	now.Set(start)
	key := readKey(t, "sp-rsa")
	g := genuine{sp: signingSP(key.Certificate), says: map[string]bool{}}
	g.sp.RequestSignatures = "required"
	state := "a b/c+d"
	for i, c := range []struct{ attributes, inner string }{
		{"", ""},
		{`AssertionConsumerServiceURL="` + plainACS2 + `" ProtocolBinding="` + saml.HTTPPostBinding + `"`,
			`<samlp:NameIDPolicy Format="` + persistent + `" AllowCreate="true" SPNameQualifier="` + signs + `"/>`},
		{`AssertionConsumerServiceIndex="1" ForceAuthn="true"`, `<saml:Subject><saml:NameID Format="` + persistent +
			`">x</saml:NameID></saml:Subject>`},
		{`IsPassive="1"`, `<samlp:RequestedAuthnContext Comparison="minimum"><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></samlp:RequestedAuthnContext><samlp:Extensions><x xmlns="urn:x" y="&lt;">a</x></samlp:Extensions>`},
	} {
		r := newRequest(signs)
		r.id, r.attributes, r.inner = fmt.Sprintf("_genuine-%d", i), c.attributes, c.inner
		document := signature{key: key, keyInfo: certificateInfo(key.Certificate)}.sign(t, r.xml())
		g.posts = append(g.posts, document)
		r.id += "q"
		q := query{key: key}
		if i%2 == 1 {
			q.state = &state
		}
		g.queries = append(g.queries, q.sign(t, r.xml()))
	}
	for _, document := range g.posts {
		g.learn(t, postText(document))
	}
	for _, q := range g.queries {
		g.learn(t, q)
	}
	return g
}

func postText(document string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(document)))
}

func (g genuine) learn(t testing.TB, text string) {
	t.Helper()
	r := get(text)
	if !strings.Contains(text, "SigAlg=") {
		r = post(text)
	}
	read, signed, bad := idp.ReadRequest(r, g.sp)
	if !signed || bad != nil {
		t.Fatalf("a genuine request is refused: %+v", bad)
	}
	g.says[read] = true
}

// hold is the property: what is acted upon was signed, to the letter.
func (g genuine) hold(t *testing.T, what, read string, signed bool, bad *idp.Fault) {
	t.Helper()
	switch {
	case bad != nil && (bad.Reason == "" || read != ""):
		t.Fatalf("%s: refused with %q, %+v", what, read, bad)
	case bad == nil && !signed:
		t.Fatalf("%s: an unsigned request passes", what)
	case bad == nil && !g.says[read]:
		t.Fatalf("%s: acted upon is what was never signed:\n%s", what, read)
	}
}

func FuzzSignedPost(f *testing.F) {
	g := signGenuine(f)
	for _, document := range g.posts {
		f.Add(document)
		f.Add(strings.Replace(document, "</saml:Issuer>", "<!-- --></saml:Issuer>", 1))
		f.Add(strings.Replace(document, `ID="`, `ID="_evil" x="`, 1))
		f.Add(strings.Replace(document, "</samlp:AuthnRequest>", document+"</samlp:AuthnRequest>", 1))
	}
	f.Fuzz(func(t *testing.T, document string) {
		read, signed, bad := idp.ReadRequest(post(postText(document)), g.sp)
		g.hold(t, "POST", read, signed, bad)
	})
}

func FuzzSignedRedirect(f *testing.F) {
	g := signGenuine(f)
	for i, q := range g.queries {
		f.Add(q)
		f.Add(q + "&RelayState=evil")
		f.Add(g.queries[(i+1)%len(g.queries)] + "&" + q)
		f.Add(strings.ToLower(q))
		f.Add(strings.Replace(q, "SAMLRequest=", "SAMLRequest=A&SAMLRequest=", 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, signed, bad := idp.ReadRequest(get(text), g.sp)
		g.hold(t, "GET", read, signed, bad)
	})
}

// TestREQ11EveryByte changes every byte of signed requests, takes bytes out,
// doubles them and puts something between: none of it makes us read what was not
// signed.
func TestREQ11EveryByte(t *testing.T) {
	g := signGenuine(t)
	changes := []func(string, int) string{
		func(s string, i int) string { return s[:i] + string(rune(s[i]^1)&0x7f) + s[i+1:] },
		func(s string, i int) string { return s[:i] + s[i+1:] },
		func(s string, i int) string { return s[:i+1] + s[i:] },
		func(s string, i int) string { return s[:i] + "<!---->" + s[i:] },
		func(s string, i int) string { return s[:i] + " " + s[i:] },
	}
	accepted := 0
	for n, change := range changes {
		document, q := g.posts[(n+1)%len(g.posts)], g.queries[(n+1)%len(g.queries)]
		step := 1
		if n > 0 {
			step = 7
		}
		for i := 0; i < len(document); i += step {
			read, signed, bad := idp.ReadRequest(post(postText(change(document, i))), g.sp)
			g.hold(t, fmt.Sprintf("POST, change %d at %d", n, i), read, signed, bad)
			if bad == nil {
				accepted++
			}
		}
		for i := 0; i < len(q); i += step {
			read, signed, bad := idp.ReadRequest(get(change(q, i)), g.sp)
			g.hold(t, fmt.Sprintf("GET, change %d at %d", n, i), read, signed, bad)
			if bad == nil && q[i] != '&' { // an empty pair more is no parameter
				t.Errorf("GET, change %d at byte %d of\n%s\nstill verifies", n, i, q)
			}
		}
	}
	if accepted == 0 {
		t.Error("no change was harmless: white space in a tag should be")
	}
}
