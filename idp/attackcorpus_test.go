package idp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
)

// attack is one message of the corpus. It stands in testdata/attacks as it is
// sent: .xml by POST, .query by GET; go test -update writes the files.
type attack struct {
	name   string
	post   string // the document, or
	query  string // the query
	form   string // further fields of the form
	reason string
	detail string // part of the log line
	logout bool   // a LogoutRequest, for the logout endpoint
}

// attacks makes the corpus. Keys and clock are fixed and RSA is deterministic.
func attacks(t *testing.T) []attack {
	key, other := readKey(t, "sp-rsa"), readKey(t, "sp-other")
	number := 0
	request := func() authnRequest {
		number++
		r := newRequest(signs)
		r.id = fmt.Sprintf("_attack-%d", number)
		return r
	}
	good := signature{key: key}
	evil := func() authnRequest { // what the attacker would like to be acted upon
		r := request()
		r.attributes = `AssertionConsumerServiceURL="` + plainACS2 + `" ForceAuthn="false"`
		return r
	}
	signed := good.sign(t, request().xml())

	var all []attack
	post := func(name, document, reason, detail string) {
		all = append(all, attack{name: name, post: document, reason: reason, detail: detail})
	}
	redirect := func(name, query, reason, detail string) {
		all = append(all, attack{name: name, query: query, reason: reason, detail: detail})
	}
	const (
		form      = idp.ReasonSignatureForm
		broken    = idp.ReasonBadSignature
		algorithm = idp.ReasonSignatureAlgorithm
		unread    = idp.ReasonBadRequest
		params    = idp.ReasonSignatureParameters
	)

	// Signature wrapping: an evil message is read while the signed one is verified.
	for _, kind := range []string{"authn", "logout"} {
		var bare, wrapped func() string // signed message without its signature; evil message
		var end string
		switch kind {
		case "authn":
			bare, wrapped, end = func() string { return request().xml() }, func() string { return evil().xml() },
				"</samlp:AuthnRequest>"
		case "logout":
			id := 0
			bare = func() string { id++; return logoutRequest(fmt.Sprintf("_out-%d", id), "alice") }
			wrapped = func() string { id++; return logoutRequest(fmt.Sprintf("_out-%d", id), "bob") }
			end = "</samlp:LogoutRequest>"
		}
		const issuer = "</saml:Issuer>"
		wrap := func(n int, where, detail string, build func(m, e, sig string) string) {
			m := bare()
			a := attack{name: fmt.Sprintf("xsw%d-%s", n, kind), post: build(m, wrapped(), good.over(t, m)), reason: form,
				detail: detail, logout: kind == "logout"}
			if where != "" {
				a.name += "-" + where
			}
			all = append(all, a)
		}
		into := func(sig, tag, what string) string { return strings.Replace(sig, tag, what+tag, 1) }
		wrap(1, "", "at most one KeyInfo", func(m, e, sig string) string {
			return strings.Replace(e, issuer, issuer+into(sig, "</ds:Signature>", m), 1)
		})
		wrap(2, "", "right behind the Issuer", func(m, e, sig string) string {
			return strings.Replace(e, issuer, issuer+m+sig, 1)
		})
		wrap(3, "", "another element", func(m, e, sig string) string {
			return strings.Replace(e, issuer, issuer+strings.Replace(m, issuer, issuer+sig, 1), 1)
		})
		wrap(4, "", "another element", func(m, e, sig string) string {
			return strings.Replace(e, end, strings.Replace(m, issuer, issuer+sig, 1)+end, 1)
		})
		wrap(5, "", "not the message's own ID", func(m, e, sig string) string {
			return strings.Replace(strings.Replace(e, issuer, issuer+sig, 1), end, "<samlp:Extensions>"+m+
				"</samlp:Extensions>"+end, 1)
		})
		wrap(6, "", "not the message's own ID", func(m, e, sig string) string {
			return strings.Replace(e, issuer, issuer+into(sig, "</ds:Signature>", "<ds:KeyInfo>"+m+"</ds:KeyInfo>"), 1)
		})
		wrap(7, "", "another element", func(m, e, sig string) string {
			return strings.Replace(e, end, "<samlp:Extensions>"+strings.Replace(m, issuer, issuer+sig, 1)+
				"</samlp:Extensions>"+end, 1)
		})
		wrap(8, "", "ds:Object", func(m, e, sig string) string {
			return strings.Replace(e, issuer, issuer+into(sig, "</ds:Signature>", "<ds:Object>"+m+"</ds:Object>"), 1)
		})
		wrap(9, "both-signed", "2 signatures", func(m, e, sig string) string {
			inner := strings.Replace(m, issuer, issuer+sig, 1)
			return strings.Replace(strings.Replace(e, issuer, issuer+good.over(t, e), 1), end, "<samlp:Extensions>"+inner+
				"</samlp:Extensions>"+end, 1)
		})
	}

	for _, a := range []attack{
		{name: "logout-unsigned", post: logoutRequest("_out-unsigned", "alice"), reason: idp.ReasonUnsignedRequest,
			detail: "not signed"},
		{name: "logout-unsigned-query", query: "SAMLRequest=" +
			url.QueryEscape(deflated(t, logoutRequest("_out-query", "alice"))), reason: idp.ReasonUnsignedRequest,
			detail: "not signed"},
		{name: "logout-of-another-sp", post: signature{key: other}.sign(t, logoutRequest("_out-other", "alice")),
			reason: broken, detail: "none of the 1 certificates"},
		{name: "logout-of-another-person", post: strings.Replace(good.sign(t, logoutRequest("_out-changed", "alice")),
			">alice<", ">bob<", 1), reason: broken, detail: "its digest differs"},
		{name: "logout-signature-in-xml-on-redirect", query: "SAMLRequest=" +
			url.QueryEscape(deflated(t, good.sign(t, logoutRequest("_out-in-xml", "alice")))), reason: idp.ReasonSignatureInXML,
			detail: "signs inside the XML"},
	} {
		a.logout = true
		all = append(all, a)
	}

	// IDs and the reference.
	first := request()
	post("duplicate-id", strings.Replace(good.sign(t, first.xml()), "</samlp:AuthnRequest>",
		`<samlp:Extensions><x xmlns="urn:x" ID="`+first.id+`"/></samlp:Extensions></samlp:AuthnRequest>`, 1), unread,
		"one ID is used twice")
	for _, attr := range []string{"Id", "id", "xml:id"} {
		r := request()
		r.inner = `<samlp:Extensions><x xmlns="urn:x" ` + attr + `="` + r.id + `"/></samlp:Extensions>`
		post("duplicate-id-as-"+strings.ReplaceAll(attr, ":", "-"), good.sign(t, r.xml()), form,
			"another element bears the message's ID")
	}
	post("no-reference-uri", signature{key: key, change: func(s string) string { return cutAttribute(s, "URI") }}.sign(t,
		request().xml()), form, "no URI")
	post("empty-reference-uri", signature{key: key, change: func(s string) string {
		return setAttribute(s, "URI",
			"")
	}}.sign(t, request().xml()), form, "no URI")
	post("reference-by-xpointer", signature{key: key, change: func(s string) string {
		return setAttribute(s, "URI",
			"#xpointer(/)")
	}}.sign(t, request().xml()), form, "not the message's own ID")
	post("reference-outside", signature{key: key, change: func(s string) string {
		return setAttribute(s, "URI",
			"https://evil.test/signed.xml")
	}}.sign(t, request().xml()), form, "not the message's own ID")
	two := func(s string) string {
		at, end := strings.Index(s, "<ds:Reference"), strings.Index(s, "</ds:SignedInfo>")
		return s[:at] + setAttribute(s[at:end], "URI", "#_other") + s[at:end] + s[end:]
	}
	post("reference-swap", signature{key: key, change: two}.sign(t, request().xml()), form, "2 references")
	ext := request()
	ext.inner = `<samlp:Extensions><x xmlns="urn:x" ID="_inner">y</x></samlp:Extensions>`
	post("signature-on-another-element", signature{key: key, of: `<x xmlns="urn:x" ID="_inner">y</x>`}.sign(t, ext.xml()),
		form, "not the message's own ID")

	// The form of the signature.
	post("two-signatures", strings.Replace(signed, "</ds:Signature>", "</ds:Signature>"+good.over(t, request().xml()), 1),
		form, "2 signatures")
	post("object", signature{key: key, more: `<ds:Object><x xmlns="urn:x"/></ds:Object>`}.sign(t, request().xml()),
		form, "ds:Object")
	post("manifest", signature{key: key, keyInfo: `<ds:KeyInfo><ds:Manifest/></ds:KeyInfo>`}.sign(t, request().xml()),
		form, "ds:Manifest")
	post("two-signed-infos", strings.Replace(signed, "</ds:SignedInfo>", `</ds:SignedInfo><ds:SignedInfo></ds:SignedInfo>`,
		1), form, "one SignedInfo")
	post("signed-info-hidden-behind-another", strings.Replace(signed, "<ds:SignedInfo ",
		`<ds:SignedInfo></ds:SignedInfo><ds:SignedInfo `, 1), form, "one SignedInfo")
	post("two-values", strings.Replace(signed, "</ds:SignatureValue>",
		`</ds:SignatureValue><ds:SignatureValue>AAAA</ds:SignatureValue>`, 1), form, "one SignatureValue")
	post("empty-value", signature{key: key, value: func([]byte) string { return "" }}.sign(t, request().xml()), form,
		"SignatureValue is empty")
	post("empty-signature", strings.Replace(request().xml(), "</saml:Issuer>", `</saml:Issuer><ds:Signature xmlns:ds="`+
		signatures+`"/>`, 1), form, "one SignedInfo")
	post("empty-digest", signature{key: key, change: func(s string) string {
		return setText(s, "ds:DigestValue",
			"")
	}}.sign(t, request().xml()), form, "DigestValue is empty")
	post("comment-in-digest", strings.Replace(signed, "<ds:DigestValue>", "<ds:DigestValue><!--AAAA-->", 1),
		form, "comment")
	post("text-in-signed-info", strings.Replace(signed, "<ds:Reference ", "evil<ds:Reference ", 1), form,
		"text among its elements")
	post("signature-before-issuer", strings.Replace(request().xml(), "<saml:Issuer>", good.over(t, request().xml())+
		"<saml:Issuer>", 1), form, "right behind the Issuer")
	post("signature-of-another-namespace", strings.Replace(signed, `<ds:Signature xmlns:ds="`+signatures+`"`,
		`<ds:Signature xmlns:ds="`+signatures+`x"`, 1), form, "not of XML Signature")
	post("signature-in-extensions", func() string {
		r := request()
		r.inner = `<samlp:Extensions><x xmlns="urn:x">` + good.over(t, r.xml()) + `</x></samlp:Extensions>`
		return r.xml()
	}(), form, "another element")
	post("id-not-at-root", func() string {
		r := request()
		return strings.Replace(good.sign(t, r.xml()), ` ID="`+r.id+`"`, "", 1)
	}(), form, "no ID")

	// Transforms and canonicalization.
	transform := func(s string) string { return `<ds:Transforms>` + s + `</ds:Transforms>` }
	env, exc := `<ds:Transform Algorithm="`+enveloped+`"></ds:Transform>`, `<ds:Transform Algorithm="`+exclusive+
		`"></ds:Transform>`
	for _, c := range []struct{ name, inner string }{
		{"xslt", env + `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"><xsl:template match="/"><xsl:value-of select="document('file:///etc/passwd')"></xsl:value-of></xsl:template></xsl:stylesheet></ds:Transform>` + exc},
		{"xpath", env + `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>` + exc},
		{"xpath-filter2", env + `<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"></ds:Transform>` + exc},
		{"base64", env + `<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"></ds:Transform>`},
		{"inclusive", env + `<ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:Transform>`},
	} {
		post("transform-"+c.name, signature{key: key, inner: transform(c.inner)}.sign(t, request().xml()), form,
			"is not accepted, only enveloped-signature")
	}
	post("transforms-none", signature{key: key, inner: transform("")}.sign(t, request().xml()), form, "transforms are not")
	post("transforms-without-c14n", signature{key: key, inner: transform(env)}.sign(t, request().xml()), form,
		"transforms are not")
	post("transforms-twice", signature{key: key, inner: transform(env + exc + exc)}.sign(t, request().xml()), form,
		"transforms are not")
	post("transforms-not-enveloped", signature{key: key, inner: transform(exc)}.sign(t, request().xml()), form,
		"transforms are not")
	post("c14n-inclusive", signature{key: key, c14n: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"}.sign(t,
		request().xml()), form, "not exclusive canonicalization")
	post("c14n-unknown", signature{key: key, c14n: "urn:x"}.sign(t, request().xml()), form,
		"not exclusive canonicalization")
	post("key-info-with-transforms",
		signature{key: key, keyInfo: `<ds:KeyInfo><ds:RetrievalMethod URI="https://evil.test/key">` + transform(env) +
			`</ds:RetrievalMethod></ds:KeyInfo>`}.sign(t, request().xml()), form, "RetrievalMethod")

	// Algorithms and keys.
	hmacOf := func(signed []byte) string {
		mac := hmac.New(sha256.New, publicDER(t, key))
		mac.Write(signed)
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	post("hmac-with-the-public-key", signature{key: key, method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
		value: hmacOf}.sign(t, request().xml()), algorithm, "HMAC proves nothing")
	post("hmac-cut-short", signature{key: key, method: "http://www.w3.org/2000/09/xmldsig#hmac-sha1", value: hmacOf,
		change: func(s string) string {
			return strings.Replace(s, "</ds:SignatureMethod>",
				"<ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>", 1)
		}}.sign(t, request().xml()), form, "SignatureMethod has parameters")
	post("rsa-sha1", signature{key: key, method: rsaSHA1}.sign(t, request().xml()), algorithm, "SignatureMethod is SHA-1")
	post("digest-sha1", signature{key: key, digest: sumSHA1}.sign(t, request().xml()), algorithm, "DigestMethod is SHA-1")
	post("digest-md5", signature{key: key, digest: "http://www.w3.org/2001/04/xmldsig-more#md5"}.sign(t, request().xml()),
		algorithm, "is not accepted")
	post("rsa-md5", signature{key: key, method: "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"}.sign(t, request().xml()),
		algorithm, "is not accepted")
	post("algorithm-none", signature{key: key, method: "urn:none", value: func([]byte) string { return "AAAA" }}.sign(t,
		request().xml()), algorithm, "is not accepted")
	post("certificate-of-another-sp", signature{key: other, keyInfo: certificateInfo(other.Certificate)}.sign(t,
		request().xml()), broken, "is not on record")
	post("key-of-another-sp-under-the-right-certificate",
		signature{key: other, keyInfo: certificateInfo(key.Certificate)}.sign(t, request().xml()), broken,
		"none of the 1 certificates")
	post("no-certificate-on-record",
		strings.ReplaceAll(signature{key: key, keyInfo: certificateInfo(key.Certificate)}.sign(t, request().xml()), signs,
			plain), idp.ReasonNoCertificate, "no certificate on record")
	post("issuer-changed", strings.Replace(good.sign(t, request().xml()), ">"+signs+"<", ">"+otherSP+"<", 1), broken,
		"none of the 1 certificates")
	post("content-changed", strings.Replace(good.sign(t, request().xml()), ` Version=`, ` AssertionConsumerServiceURL="`+
		plainACS2+`" Version=`, 1), broken, "its digest differs")
	post("content-added", strings.Replace(good.sign(t, request().xml()), "</samlp:AuthnRequest>",
		`<samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>`, 1), broken, "its digest differs")
	post("digest-changed-after-signing", setText(good.sign(t, request().xml()), "ds:DigestValue",
		base64.StdEncoding.EncodeToString(make([]byte, 32))), broken, "none of the 1 certificates")
	post("value-of-another-message", func() string {
		a, b := good.sign(t, request().xml()), good.sign(t, request().xml())
		at, end := strings.Index(b, "<ds:SignatureValue>"), strings.Index(b, "</ds:SignatureValue>")
		return setText(a, "ds:SignatureValue", b[at+len("<ds:SignatureValue>"):end])
	}(), broken, "none of the 1 certificates")
	post("signature-stripped", strings.ReplaceAll(request().xml(), signs, mustSign), idp.ReasonUnsignedRequest,
		"request_signatures is required")

	// Comments and entities.
	post("comment-in-issuer", strings.Replace(good.sign(t, request().xml()), ">"+signs, "><!---->"+signs, 1),
		form, "comment")
	post("comment-cuts-issuer", strings.Replace(request().xml(), ">"+signs, ">"+signs+"<!---->.evil.test", 1), unread,
		"more than text")
	post("comment-in-the-message", strings.Replace(good.sign(t, request().xml()), "</samlp:AuthnRequest>",
		"<!-- x --></samlp:AuthnRequest>", 1), form, "comment")
	post("entity-undeclared", strings.Replace(request().xml(), ">"+signs, ">&evil;"+signs, 1), unread, "not well-formed")
	post("dtd", `<!DOCTYPE a>`+signed, unread, "document type declaration")
	post("dtd-external-entity", `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>`+strings.Replace(signed, ">"+signs,
		">&e;", 1), unread, "document type declaration")
	post("dtd-parameter-entity", `<!DOCTYPE a [<!ENTITY % p SYSTEM "https://evil.test/x.dtd">%p;]>`+signed, unread,
		"document type declaration")
	post("dtd-billion-laughs",
		`<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>`+
			strings.Replace(signed, ">"+signs, ">&c;", 1), unread, "document type declaration")
	post("dtd-default-attribute", `<!DOCTYPE a [<!ATTLIST samlp:AuthnRequest ForceAuthn CDATA "false">]>`+signed, unread,
		"document type declaration")
	post("dtd-inside", strings.Replace(signed, "</samlp:AuthnRequest>", `<!ENTITY a "b"></samlp:AuthnRequest>`, 1), unread,
		"document type declaration")
	post("stylesheet", `<?xml-stylesheet href="https://evil.test/x.xsl"?>`+signed, unread, "processing instruction")
	post("instruction-cuts-issuer", strings.Replace(request().xml(), ">"+signs, ">"+signs+"<?x y?>.evil.test", 1), unread,
		"processing instruction")
	post("cdata-in-issuer", strings.Replace(good.sign(t, request().xml()), ">"+signs+"<", "><![CDATA["+otherSP+"]]><", 1),
		broken, "none of the 1 certificates")

	// Where parsers differ: what one sees in the name, another sees in the prefix.
	differ := func(name, from, to, reason, detail string) {
		post("differ-"+name, strings.Replace(good.sign(t, request().xml()), from, to, 1), reason, detail)
	}
	differ("attribute-twice", ` Version="2.0"`, ` Version="2.0" Version="2.0"`, unread, "given twice")
	differ("id-twice", ` Version="2.0"`, ` ID="_evil" Version="2.0"`, unread, "given twice")
	differ("empty-prefix", "<saml:Issuer>", "<:Issuer>", unread, "not well-formed")
	differ("two-colons", `<saml:Issuer>`, `<saml:x:Issuer>`, unread, "not well-formed")
	differ("prefix-alone", ` Version="2.0"`, ` x:="y" Version="2.0"`, unread, "no namespace to its prefix")
	differ("attribute-colon", ` Version="2.0"`, ` :Version="1.1" Version="2.0"`, unread, "no namespace to its prefix")
	differ("attribute-prefix-undeclared", ` Version="2.0"`, ` evil:ID="_x" Version="2.0"`, unread,
		"no namespace to its prefix")
	differ("element-prefix-undeclared", "</samlp:AuthnRequest>", `<evil:Issuer/></samlp:AuthnRequest>`, unread,
		"no namespace to its prefix")
	differ("namespace-redeclared", "<saml:Issuer>", `<saml:Issuer xmlns:saml="urn:x">`, form, "right behind the Issuer")
	differ("prefix-xmlns-redeclared", "<saml:Issuer>", `<saml:Issuer xmlns:xmlns="urn:x">`, form, "canonical form")
	differ("prefix-xml-redeclared", "<saml:Issuer>", `<saml:Issuer xmlns:xml="urn:x">`, form, "canonical form")
	differ("relative-namespace", "<saml:Issuer>", `<saml:Issuer xmlns:x="../x" x:y="z">`, broken, "its digest differs")
	differ("directive-round-trip", "</samlp:AuthnRequest>", `<! <<!-- -->!-->"--> " ></samlp:AuthnRequest>`, unread,
		"document type declaration")
	differ("end-tag", "</saml:Issuer>", "</saml:Issuer:x>", unread, "not well-formed")
	differ("nul", ">"+signs, ">\x00"+signs, unread, "not well-formed")
	differ("not-utf-8", ">"+signs, ">\xc0\xbc"+signs, unread, "not UTF-8")
	differ("trailing-root", "</samlp:AuthnRequest>", "</samlp:AuthnRequest><samlp:AuthnRequest/>", unread, "")
	post("differ-utf-16", string(utf16le(signed)), unread, "")
	post("differ-utf-7", `<?xml version="1.0" encoding="UTF-7"?>`+signed, unread, "encoding other than UTF-8")

	// Cost.
	post("nesting-5000", strings.Repeat("<a>", 5000)+strings.Repeat("</a>", 5000), unread, "nest deeper than 32")
	post("nesting-in-extensions", strings.Replace(signed, "</samlp:AuthnRequest>", "<samlp:Extensions>"+
		strings.Repeat(`<x xmlns="urn:x">`, 40)+strings.Repeat("</x>", 40)+"</samlp:Extensions></samlp:AuthnRequest>", 1),
		unread, "nest deeper than 32")
	post("elements-20000", strings.Replace(signed, "</samlp:AuthnRequest>", "<samlp:Extensions>"+strings.Repeat("<x/>",
		20000)+"</samlp:Extensions></samlp:AuthnRequest>", 1), unread, "more than 1000 elements")
	post("comments-20000", strings.Replace(signed, "</samlp:AuthnRequest>", strings.Repeat("<!---->", 20000)+
		"</samlp:AuthnRequest>", 1), unread, "too many comments")
	many := &strings.Builder{}
	for i := range 3000 {
		fmt.Fprintf(many, ` a%d:b="c"`, i)
	}
	differ("attributes-3000", ` Version="2.0"`, many.String()+` Version="2.0"`, unread, "more than 64 attributes")
	flood := &strings.Builder{}
	for i := range 20 {
		fmt.Fprintf(flood, "<x")
		for n := range 60 {
			fmt.Fprintf(flood, ` xmlns:p%d-%d="urn:x"`, i, n)
		}
		flood.WriteString(">")
	}
	flood.WriteString(strings.Repeat("<y/>", 900) + strings.Repeat("</x>", 20))
	nodes := request()
	nodes.inner = `<samlp:Extensions>` + strings.Replace(flood.String(), "<x", `<x xmlns="urn:x"`, 1) +
		`</samlp:Extensions>`
	post("canonicalization-flood", strings.Replace(nodes.xml(), "</saml:Issuer>", "</saml:Issuer>"+
		good.over(t, request().xml()), 1), form, "namespace declarations")

	// The query.
	ask := query{key: key}
	state := "a b/c+d~"
	withState := query{key: key, state: &state}
	text := withState.sign(t, request().xml())
	redirect("reencoded-lower-case", strings.NewReplacer("%2F", "%2f", "%2B", "%2b", "%3D", "%3d", "%3A",
		"%3a").Replace(text), broken, "another URL encoding")
	redirect("reencoded-space", strings.Replace(text, "RelayState=a+b", "RelayState=a%20b", 1), broken,
		"another URL encoding")
	redirect("reencoded-tilde", strings.Replace(text, "~", "%7E", 1), broken, "another URL encoding")
	redirect("relay-state-changed", strings.Replace(text, "RelayState=a", "RelayState=b", 1), broken,
		"none of the 1 certificates")
	redirect("relay-state-removed", cutParameter(text, "RelayState"), broken, "none of the 1 certificates")
	redirect("relay-state-added", ask.sign(t, request().xml())+"&RelayState=evil", broken, "none of the 1 certificates")
	redirect("relay-state-added-empty", ask.sign(t, request().xml())+"&RelayState=", broken, "none of the 1 certificates")
	redirect("request-twice", ask.sign(t, request().xml())+"&SAMLRequest="+url.QueryEscape(deflated(t, evil().xml())),
		unread, "SAMLRequest is given twice")
	redirect("request-twice-in-other-clothes", "%53AMLRequest="+url.QueryEscape(deflated(t, evil().xml()))+"&"+
		ask.sign(t, request().xml()), unread, "SAMLRequest is given twice")
	redirect("response-beside-the-request", ask.sign(t, request().xml())+"&SAMLResponse=AAAA", unread,
		"SAMLResponse is sent beside SAMLRequest")
	redirect("request-exchanged", "SAMLRequest="+url.QueryEscape(deflated(t, evil().xml()))+"&"+
		cutParameter(ask.sign(t, request().xml()), "SAMLRequest"), broken, "none of the 1 certificates")
	redirect("signature-without-sigalg", cutParameter(ask.sign(t, request().xml()), "SigAlg"), params, "SigAlg is missing")
	redirect("sigalg-without-signature", cutParameter(ask.sign(t, request().xml()), "Signature"), params,
		"Signature is missing")
	redirect("signature-empty", cutParameter(ask.sign(t, request().xml()), "Signature")+"&Signature=", params,
		"Signature is empty")
	redirect("sigalg-empty", cutParameter(ask.sign(t, request().xml()), "SigAlg")+"&SigAlg=", params, "SigAlg is empty")
	redirect("signature-no-base64", cutParameter(ask.sign(t, request().xml()), "Signature")+"&Signature=%21", params,
		"Signature is not base64")
	redirect("signature-twice", ask.sign(t, request().xml())+"&Signature=AAAA", unread, "Signature is given twice")
	redirect("sigalg-twice", ask.sign(t, request().xml())+"&SigAlg="+url.QueryEscape(rsaSHA1), unread,
		"SigAlg is given twice")
	redirect("sigalg-changed", strings.Replace(ask.sign(t, request().xml()), "rsa-sha256", "rsa-sha512", 1), broken,
		"none of the 1 certificates")
	redirect("query-rsa-sha1", query{key: key, method: rsaSHA1}.sign(t, request().xml()), algorithm, "SigAlg is SHA-1")
	body := "SAMLRequest=" + url.QueryEscape(deflated(t, request().xml())) + "&SigAlg=" +
		url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
	redirect("query-hmac-with-the-public-key", body+"&Signature="+url.QueryEscape(hmacOf([]byte(body))), algorithm,
		"HMAC proves nothing")
	redirect("query-of-another-sp", query{key: other}.sign(t, request().xml()), broken, "none of the 1 certificates")
	redirect("query-other-order", reordered(t, request().xml()), broken, "none of the 1 certificates")
	redirect("query-signature-stripped", "SAMLRequest="+
		url.QueryEscape(deflated(t, strings.ReplaceAll(request().xml(), signs, mustSign))), idp.ReasonUnsignedRequest,
		"request_signatures is required")
	redirect("signature-in-xml-on-redirect", "SAMLRequest="+url.QueryEscape(deflated(t, good.sign(t, request().xml()))),
		idp.ReasonSignatureInXML, "signs inside the XML on the HTTP-Redirect binding")
	redirect("signature-in-xml-and-in-the-query", ask.sign(t, good.sign(t, request().xml())), idp.ReasonSignatureInXML,
		"signs inside the XML on the HTTP-Redirect binding")
	noDestination := request()
	noDestination.destination = ""
	redirect("signed-without-destination", ask.sign(t, noDestination.xml()), idp.ReasonWrongDestination,
		"has no Destination")
	elsewhere := request()
	elsewhere.destination = "https://other-idp.test/sso"
	redirect("signed-for-somebody-else", ask.sign(t, elsewhere.xml()), idp.ReasonWrongDestination, "other-idp.test")
	old := request()
	old.instant = "2027-01-05T09:53:00Z"
	redirect("signed-seven-minutes-ago", ask.sign(t, old.xml()), idp.ReasonRequestTime, "7m0s old")
	redirect("deflate-bomb", "SAMLRequest="+url.QueryEscape(deflated(t, strings.Repeat("a", 16<<20))), idp.ReasonTooLarge,
		"inflates to more")
	redirect("bytes-behind-the-deflated", "SAMLRequest="+
		url.QueryEscape(base64.StdEncoding.EncodeToString(append(mustDecode(t, deflated(t, request().xml())), "tail"...))),
		unread, "bytes follow")

	all = append(all,
		attack{name: "post-simple-sign", post: request().xml(), form: "SigAlg=" + url.QueryEscape(rsaSHA256) +
			"&Signature=AAAA", reason: params, detail: "SigAlg is sent in a form"},
		attack{name: "post-signature-alone", post: request().xml(), form: "Signature=AAAA", reason: params,
			detail: "Signature is sent in a form"},
	)
	return all
}

// Further service providers of the corpus.
const (
	otherSP  = "https://other.partner.test/metadata"
	mustSign = "https://must-sign.partner.test/metadata"
)

// logoutRequest is a LogoutRequest of the service provider that signs.
func logoutRequest(id, nameID string) string {
	return `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` + id +
		`" Version="2.0" IssueInstant="2027-01-05T10:00:00Z" Destination="` + publicURL + `/saml/slo"><saml:Issuer>` + signs +
		`</saml:Issuer><saml:NameID>` + nameID +
		`</saml:NameID><samlp:SessionIndex>s1</samlp:SessionIndex></samlp:LogoutRequest>`
}

// setAttribute changes the first attribute of this name.
func setAttribute(text, name, value string) string {
	at := strings.Index(text, " "+name+`="`) + len(name) + 3
	end := at + strings.Index(text[at:], `"`)
	return text[:at] + value + text[end:]
}

func cutAttribute(text, name string) string {
	return strings.Replace(setAttribute(text, name, ""), " "+name+`=""`, "", 1)
}

// setText changes the text of the first element of this name.
func setText(text, tag, value string) string {
	at := strings.Index(text, "<"+tag+">") + len(tag) + 2
	end := at + strings.Index(text[at:], "</"+tag+">")
	return text[:at] + value + text[end:]
}

func cutParameter(query, name string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(pair, name+"=") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// reordered signs SigAlg before RelayState.
func reordered(t *testing.T, document string) string {
	t.Helper()
	text := "SAMLRequest=" + url.QueryEscape(deflated(t, document)) + "&SigAlg=" + url.QueryEscape(rsaSHA256) +
		"&RelayState=x"
	return text + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signOctets(t, readKey(t, "sp-rsa"),
		rsaSHA256, false, []byte(text))))
}

func utf16le(text string) []byte {
	out := []byte{0xff, 0xfe}
	for i := range len(text) {
		out = append(out, text[i], 0)
	}
	return out
}

func mustDecode(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
