package idp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/store"
)

// renewed is another certificate of a key.
func renewed(t testing.TB, key *certs.Key, from, to time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(from.Unix()), Subject: pkix.Name{CommonName: "renewed"},
		NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Signer.Public(), key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSignedRequests accepts what service providers send (REQ-10 to REQ-13); the
// refusals are in the corpus of attacks.
func TestSignedRequests(t *testing.T) {
	key, ec, ec384 := readKey(t, "sp-rsa"), readKey(t, "sp-ec"), readKey(t, "p-384")
	state, empty, odd := "a b&c=d/é+%", "", "~!*'()"
	all := []*x509.Certificate{ec.Certificate, ec384.Certificate, key.Certificate}
	spaces := func(s string) string { // how some software wraps base64
		return strings.Replace(s, "</ds:SignatureValue>", "\n   \t</ds:SignatureValue>", 1)
	}
	posts := map[string]signature{
		"REQ-11 plain":                {key: key},
		"REQ-11 with its certificate": {key: key, keyInfo: certificateInfo(key.Certificate)},
		"REQ-13 with a KeyName alone": {key: key, keyInfo: `<ds:KeyInfo><ds:KeyName>k1</ds:KeyName></ds:KeyInfo>`},
		"REQ-13 with other KeyInfo":   {key: key, keyInfo: certificateInfo(ec.Certificate)}, // only what is on record counts
		"REQ-11 default namespace":    {key: key, noPrefix: true},
		"REQ-11 c14n with comments":   {key: key, c14n: exclusive + "WithComments"},
		"REQ-12 SHA-384":              {key: key, method: rsaSHA384, digest: sumSHA384},
		"REQ-12 SHA-512":              {key: key, method: rsaSHA512, digest: sumSHA512},
		"REQ-12 P-256":                {key: ec, method: ecSHA256},
		"REQ-12 P-256 in ASN.1":       {key: ec, method: ecSHA256, der: true},
		"REQ-12 P-384":                {key: ec384, method: ecSHA384, digest: sumSHA384},
		"REQ-12 P-384 with SHA-512":   {key: ec384, method: ecSHA512, digest: sumSHA256},
		"REQ-11 prefix list": {key: key, inner: strings.Replace(goodTransforms, `exc-c14n#"></ds:Transform>`,
			`exc-c14n#"><ec:InclusiveNamespaces xmlns:ec="`+exclusive+
				`" PrefixList="xs"></ec:InclusiveNamespaces></ds:Transform>`, 1)},
		"REQ-11 white space in values": {key: key, change: nil},
	}
	for name, s := range posts {
		t.Run("post/"+name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.put(t, signingSP(all...))
			v := f.signIn(t, "alice", "correct horse")
			r := newRequest(signs)
			text := s.sign(t, r.xml())
			if strings.Contains(name, "white space") {
				text = spaces(text)
			}
			a, err := f.SSO(context.Background(), byPost(t, text, "RelayState=x"), v)
			on := must[idp.GoOn](t, a, err)
			a, err = f.Resume(context.Background(), on.SignIn, v)
			d := must[idp.Deliver](t, a, err)
			if root(t, d).SelectAttrValue("InResponseTo", "") != r.id || *d.RelayState != "x" {
				t.Error("another request was answered")
			}
		})
	}
	for name, q := range map[string]query{
		"REQ-10 without RelayState":  {key: key},
		"REQ-10 with RelayState":     {key: key, state: &state},
		"REQ-10 empty RelayState":    {key: key, state: &empty},
		"REQ-10 lower-case escapes":  {key: key, state: &state, escape: lowerEscapes},
		"REQ-10 other escapes":       {key: key, state: &odd, escape: rfc3986},
		"REQ-12 SHA-384":             {key: key, method: rsaSHA384},
		"REQ-12 SHA-512":             {key: key, method: rsaSHA512},
		"REQ-12 P-256":               {key: ec, method: ecSHA256},
		"REQ-12 P-256 in ASN.1":      {key: ec, method: ecSHA256, der: true},
		"REQ-12 P-384 with SHA-384":  {key: ec384, method: ecSHA384},
		"REQ-12 P-384 in ASN.1":      {key: ec384, method: ecSHA512, der: true},
		"REQ-10 other, unsigned too": {key: key},
	} {
		t.Run("redirect/"+name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.put(t, signingSP(all...))
			v := f.signIn(t, "alice", "correct horse")
			r := newRequest(signs)
			text := q.sign(t, r.xml())
			if strings.Contains(name, "unsigned") {
				text = "lang=de&" + text + "&x=y" // none of SAML's, and so not signed
			}
			a, err := f.SSO(context.Background(), get(text), v)
			on := must[idp.GoOn](t, a, err)
			a, err = f.Resume(context.Background(), on.SignIn, v)
			d := must[idp.Deliver](t, a, err)
			if root(t, d).SelectAttrValue("InResponseTo", "") != r.id {
				t.Error("another request was answered")
			}
			if q.state == nil && d.RelayState != nil || q.state != nil && (d.RelayState == nil || *d.RelayState != *q.state) {
				t.Errorf("RelayState %v", d.RelayState)
			}
		})
	}
}

// lowerEscapes is how .NET writes them.
func lowerEscapes(s string) string {
	b := []byte(urlEscape(s))
	for i := range b {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// rfc3986 escapes all but the unreserved characters, a space as %20.
func rfc3986(s string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!*'()"
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[s[i]>>4])+string("0123456789abcdef"[s[i]&15])))
		}
	}
	return b.String()
}

// TestREQ09 is the policy of each service provider: a signature that is there
// must verify, and where one is demanded there must be one.
func TestREQ09(t *testing.T) {
	key := readKey(t, "sp-rsa")
	for _, c := range []struct {
		name     string
		policy   string
		promised bool
		unsigned string // reason, "" accepted
	}{
		{"default", "", false, ""},
		{"if-present", "if-present", false, ""},
		{"required", "required", false, idp.ReasonUnsignedRequest},
		{"promised by metadata", "", true, idp.ReasonUnsignedRequest},
		{"if-present is raised by metadata", "if-present", true, idp.ReasonUnsignedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			sp := signingSP(key.Certificate)
			sp.RequestSignatures, sp.AuthnRequestsSigned = c.policy, c.promised
			f.put(t, sp)
			v := visitor("b")
			for _, send := range []func(testing.TB, string, ...string) *http.Request{byRedirect, byPost} {
				a, err := f.SSO(context.Background(), send(t, newRequest(signs).xml()), v)
				if c.unsigned == "" {
					must[idp.GoOn](t, a, err)
				} else if r := must[idp.Refusal](t, a, err); r.Reason != c.unsigned || r.Status != 400 {
					t.Errorf("unsigned: %+v", r)
				}
			}
			a, err := f.SSO(context.Background(), byPost(t, signature{key: key}.sign(t, newRequest(signs).xml())), v)
			must[idp.GoOn](t, a, err)
			a, err = f.SSO(context.Background(), get(query{key: key}.sign(t, newRequest(signs).xml())), v)
			must[idp.GoOn](t, a, err)
			// A wrong one is refused whatever the policy.
			a, err = f.SSO(context.Background(), get(query{key: readKey(t, "sp-other")}.sign(t, newRequest(signs).xml())), v)
			if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonBadSignature {
				t.Errorf("wrong key: %+v", r)
			}
		})
	}
}

// TestREQ06Signed: a signed request names its Destination, so that nobody can
// pass it on elsewhere.
func TestREQ06Signed(t *testing.T) {
	f := newFixture(t, "rsa-2048", nil)
	key := readKey(t, "sp-rsa")
	f.put(t, signingSP(key.Certificate))
	for destination, reason := range map[string]string{
		endpoint: "", "": idp.ReasonWrongDestination, "https://other.test/saml/sso": idp.ReasonWrongDestination,
	} {
		for _, binding := range []string{"post", "redirect"} {
			r := newRequest(signs)
			r.destination = destination
			request := get(query{key: key}.sign(t, r.xml()))
			if binding == "post" {
				request = byPost(t, signature{key: key}.sign(t, r.xml()))
			}
			a, err := f.SSO(context.Background(), request, visitor("b"))
			if reason == "" {
				must[idp.GoOn](t, a, err)
			} else if got := must[idp.Refusal](t, a, err); got.Reason != reason {
				t.Errorf("%s, Destination %q: %+v", binding, destination, got)
			}
		}
	}
	if !strings.Contains(f.log.String(), "signed and has no Destination") {
		t.Error("the log does not say what is missing")
	}
}

// TestREQ12SHA1 lets SHA-1 pass for the service provider that was allowed it, and
// says so each time.
func TestREQ12SHA1(t *testing.T) {
	key, ec := readKey(t, "sp-rsa"), readKey(t, "sp-ec")
	for _, allowed := range []bool{false, true} {
		for name, request := range map[string]*http.Request{
			"query RSA":   get(query{key: key, method: rsaSHA1}.sign(t, newRequest(signs).xml())),
			"query ECDSA": get(query{key: ec, method: ecSHA1}.sign(t, newRequest(signs).xml())),
			"form RSA":    byPost(t, signature{key: key, method: rsaSHA1, digest: sumSHA1}.sign(t, newRequest(signs).xml())),
			"form ECDSA":  byPost(t, signature{key: ec, method: ecSHA1}.sign(t, newRequest(signs).xml())),
			"digest only": byPost(t, signature{key: key, digest: sumSHA1}.sign(t, newRequest(signs).xml())),
			"form with PSS": byPost(t,
				signature{key: key, method: "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"}.sign(t,
					newRequest(signs).xml())),
			"MD5": byPost(t, signature{key: key, digest: "http://www.w3.org/2001/04/xmldsig-more#md5"}.sign(t,
				newRequest(signs).xml())),
		} {
			f := newFixture(t, "rsa-2048", nil)
			sp := signingSP(key.Certificate, ec.Certificate)
			sp.AllowSHA1 = allowed
			f.put(t, sp)
			a, err := f.SSO(context.Background(), request, visitor("b"))
			if allowed && name != "form with PSS" && name != "MD5" {
				must[idp.GoOn](t, a, err)
				if !strings.Contains(f.log.String(), "weak signature accepted") || !strings.Contains(f.log.String(), "SHA-1") {
					t.Errorf("%s: no warning", name)
				}
				continue
			}
			if r := must[idp.Refusal](t, a, err); r.Reason != idp.ReasonSignatureAlgorithm {
				t.Errorf("%s, allowed %t: %+v", name, allowed, r)
			}
		}
	}
}

// TestREQ13 tries every certificate on record, one by one, whatever its dates are.
func TestREQ13(t *testing.T) {
	key, other, ec := readKey(t, "sp-rsa"), readKey(t, "sp-other"), readKey(t, "sp-ec")
	past, future := renewed(t, key, start.AddDate(-3, 0, 0), start.AddDate(-1, 0, 0)),
		renewed(t, key, start.AddDate(1, 0, 0), start.AddDate(3, 0, 0))
	for _, c := range []struct {
		name    string
		sp      store.ServiceProvider
		reason  string
		expired bool
	}{
		{"the only one", signingSP(key.Certificate), "", false},
		{"the last of several", signingSP(other.Certificate, ec.Certificate, key.Certificate), "", false},
		{"expired", signingSP(past), "", true},
		{"expired, among others", signingSP(other.Certificate, past), "", true},
		{"not valid yet", signingSP(future), "", false},
		{"of another service provider", signingSP(other.Certificate), idp.ReasonBadSignature, false},
		{"of another kind", signingSP(ec.Certificate), idp.ReasonBadSignature, false},
		{"none", signingSP(), idp.ReasonNoCertificate, false},
		{"one that can't be read", func() store.ServiceProvider {
			sp := signingSP()
			sp.Certificates = [][]byte{{1, 2, 3}}
			return sp
		}(), idp.ReasonNoCertificate, false},
		{"one that can't be read among others", func() store.ServiceProvider {
			sp := signingSP(key.Certificate)
			sp.Certificates = append([][]byte{{1, 2, 3}}, sp.Certificates...)
			return sp
		}(), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.put(t, c.sp)
			for range 2 {
				for _, request := range []*http.Request{
					get(query{key: key}.sign(t, newRequest(signs).xml())),
					byPost(t, signature{key: key, keyInfo: certificateInfo(key.Certificate)}.sign(t, newRequest(signs).xml())),
				} {
					a, err := f.SSO(context.Background(), request, visitor("b"))
					if c.reason == "" {
						must[idp.GoOn](t, a, err)
					} else if r := must[idp.Refusal](t, a, err); r.Reason != c.reason {
						t.Errorf("%+v", r)
					}
				}
			}
			if got, want := strings.Count(f.log.String(), "certificate of a service provider has expired"),
				map[bool]int{true: 1}[c.expired]; got != want {
				t.Errorf("%d warnings of an expired certificate, want %d: one for each reading of the configuration", got, want)
			}
		})
	}
}

// TestREQ11ReadsWhatIsVerified: the content that is acted upon comes from the
// octets whose digest was signed.
func TestREQ11ReadsWhatIsVerified(t *testing.T) {
	key := readKey(t, "sp-rsa")
	text := signature{key: key}.sign(t, newRequest(signs).xml())
	content, signed, bad := idp.VerifyElement([]byte(text), []*x509.Certificate{key.Certificate}, false)
	if bad != nil || !signed {
		t.Fatal(signed, bad)
	}
	if strings.Contains(content, "Signature") || !strings.Contains(content, `<Issuer "`+signs+`">`) {
		t.Errorf("content %s", content)
	}
	// Unsigned: nothing is verified, and nothing is handed out as if it were.
	content, signed, bad = idp.VerifyElement([]byte(newRequest(signs).xml()), nil, false)
	if content != "" || signed || bad != nil {
		t.Errorf("unsigned: %q %t %v", content, signed, bad)
	}
	// Other space between attributes is no change; the octets are canonical.
	loose := strings.Replace(text, " Version=", "\n\tVersion  =  ", 1)
	if _, _, bad := idp.VerifyElement([]byte(loose), []*x509.Certificate{key.Certificate}, false); bad != nil {
		t.Errorf("other white space: %+v", bad)
	}
}

// TestREQ10Responses verifies a query that carries a SAMLResponse, as a logout has.
func TestREQ10Responses(t *testing.T) {
	key := readKey(t, "sp-rsa")
	certificates := []*x509.Certificate{key.Certificate}
	text := "SAMLResponse=abc%2B&RelayState=x&SigAlg=" + urlEscape(rsaSHA256)
	good := text + "&Signature=" + urlEscape(base64.StdEncoding.EncodeToString(signOctets(t, key, rsaSHA256, false,
		[]byte(text))))
	if signed, bad := idp.VerifyQuery(good, "SAMLResponse", certificates, false); !signed || bad != nil {
		t.Errorf("signed %t, %+v", signed, bad)
	}
	if _, bad := idp.VerifyQuery(good, "SAMLRequest", certificates, false); bad == nil {
		t.Error("a response passes for a request")
	}
	if signed, bad := idp.VerifyQuery("SAMLResponse=abc", "SAMLResponse", certificates, false); signed || bad != nil {
		t.Errorf("unsigned: signed %t, %+v", signed, bad)
	}
	renamed := strings.Replace(good, "SAMLResponse", "SAMLRequest", 1)
	if _, bad := idp.VerifyQuery(renamed, "SAMLRequest", certificates, false); bad == nil ||
		bad.Reason != idp.ReasonBadSignature {
		t.Errorf("renamed: %+v", bad)
	}
}

// REAL-05: how the value of a signature is written in a query is covered by no signature, and taken as the message is;
// what it does not verify stays refused.
func TestSignatureValueInQueries(t *testing.T) {
	key := readKey(t, "sp-rsa")
	encoded := func(change func(string) string) func(string) string {
		return func(s string) string {
			plain, err := url.QueryUnescape(s)
			if err != nil {
				t.Fatal(err)
			}
			return url.QueryEscape(change(plain))
		}
	}
	for name, c := range map[string]struct {
		change func(string) string // of the signature's value, URL-encoded
		want   string              // "": it is taken
	}{
		"a + that nobody escaped": {func(s string) string { return strings.ReplaceAll(s, "%2B", "+") }, ""},
		"without padding":         {encoded(func(s string) string { return strings.TrimRight(s, "=") }), ""},
		"lines":                   {encoded(func(s string) string { return s[:76] + "\r\n" + s[76:] + "\n" }), ""},
		"the URL's alphabet":      {strings.NewReplacer("%2B", "-", "%2F", "_").Replace, ""},
		"another character":       {encoded(func(s string) string { return s[:8] + "!" + s[8:] }), "signature_parameters"},
		"another value":           {encoded(func(s string) string { return "AAAAAAAA" + s[8:] }), idp.ReasonBadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "rsa-2048", nil)
			f.put(t, signingSP(key.Certificate))
			var text, value string
			for !strings.Contains(value, "%2B") || !strings.Contains(value, "%2F") { // until there is one to spoil
				text, value, _ = strings.Cut(query{key: key}.sign(t, newRequest(signs).xml()), "&Signature=")
			}
			a, err := f.SSO(context.Background(), get(text+"&Signature="+c.change(value)), visitor("b"))
			if c.want == "" {
				must[idp.GoOn](t, a, err)
			} else if got := must[idp.Refusal](t, a, err); got.Reason != c.want {
				t.Errorf("got %s, want %s", got.Reason, c.want)
			}
		})
	}
}
