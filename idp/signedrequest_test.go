package idp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/certs"
	"ssobridge/store"
)

// signs is a service provider that signs its requests.
const signs = "https://signs.partner.test/metadata"

const (
	rsaSHA1   = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	rsaSHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	rsaSHA384 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
	rsaSHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	ecSHA1    = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
	ecSHA256  = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	ecSHA384  = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
	ecSHA512  = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"

	sumSHA1   = "http://www.w3.org/2000/09/xmldsig#sha1"
	sumSHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
	sumSHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
	sumSHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

	exclusive  = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped  = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	signatures = "http://www.w3.org/2000/09/xmldsig#"
)

var hashes = map[string]crypto.Hash{
	rsaSHA1: crypto.SHA1, rsaSHA256: crypto.SHA256, rsaSHA384: crypto.SHA384, rsaSHA512: crypto.SHA512,
	ecSHA1: crypto.SHA1, ecSHA256: crypto.SHA256, ecSHA384: crypto.SHA384, ecSHA512: crypto.SHA512,
	sumSHA1: crypto.SHA1, sumSHA256: crypto.SHA256, sumSHA384: crypto.SHA384, sumSHA512: crypto.SHA512,
}

// signingSP signs with the keys given.
func signingSP(certificates ...*x509.Certificate) store.ServiceProvider {
	sp := plainSP()
	sp.EntityID, sp.Name = signs, "Signs"
	for _, c := range certificates {
		sp.Certificates = append(sp.Certificates, c.Raw)
	}
	return sp
}

// signature makes XML signatures of service providers, good ones and all kinds
// of bad ones. Zero fields take what SAML wants.
type signature struct {
	key      *certs.Key
	method   string
	digest   string
	c14n     string // of SignedInfo
	uri      string // of the reference, with #
	of       string // text of the element that is signed, if not the document
	inner    string // Transforms with its tags
	keyInfo  string
	more     string // after KeyInfo
	der      bool   // ECDSA in ASN.1
	change   func(signedInfo string) string
	value    func(signed []byte) string
	noPrefix bool // default namespace in place of ds:
}

const goodTransforms = `<ds:Transforms><ds:Transform Algorithm="` + enveloped +
	`"></ds:Transform><ds:Transform Algorithm="` + exclusive + `"></ds:Transform></ds:Transforms>`

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// sign puts a signature behind the first Issuer of a document.
func (s signature) sign(t testing.TB, document string) string {
	t.Helper()
	return strings.Replace(document, "</saml:Issuer>", "</saml:Issuer>"+s.over(t, document), 1)
}

// over makes the signature of a document.
func (s signature) over(t testing.TB, document string) string {
	t.Helper()
	digest := or(s.digest, sumSHA256)
	el := parse(t, []byte(or(s.of, document)))
	id := el.SelectAttrValue("ID", "")
	canonical, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(el)
	if err != nil {
		t.Fatal(err)
	}
	h, known := hashes[digest]
	if !known {
		h = crypto.SHA256
	}
	sum := h.New()
	sum.Write(canonical)
	info := `<ds:SignedInfo xmlns:ds="` + signatures + `"><ds:CanonicalizationMethod Algorithm="` + or(s.c14n, exclusive) +
		`"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + or(s.method, rsaSHA256) + `"></ds:SignatureMethod><ds:Reference URI="` +
		or(s.uri, "#"+id) + `">` + or(s.inner, goodTransforms) +
		`<ds:DigestMethod Algorithm="` + digest + `"></ds:DigestMethod><ds:DigestValue>` +
		base64.StdEncoding.EncodeToString(sum.Sum(nil)) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	if s.noPrefix {
		info = strings.ReplaceAll(strings.Replace(info, "xmlns:ds=", "xmlns=", 1), "ds:", "")
	}
	if s.change != nil {
		info = s.change(info)
	}
	canonical, err = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(parse(t, []byte(info)))
	if err != nil {
		t.Fatal(err)
	}
	var value string
	if s.value != nil {
		value = s.value(canonical)
	} else {
		value = base64.StdEncoding.EncodeToString(signOctets(t, s.key, or(s.method, rsaSHA256), s.der, canonical))
	}
	all := `<ds:Signature xmlns:ds="` + signatures + `">` + info + `<ds:SignatureValue>` + value + `</ds:SignatureValue>` +
		s.keyInfo + s.more + `</ds:Signature>`
	if s.noPrefix {
		all = strings.ReplaceAll(strings.Replace(all, "xmlns:ds=", "xmlns=", 1), "ds:", "")
	}
	return all
}

// signOctets signs as a service provider does. RSA is deterministic, and so are
// the files that are made by it.
func signOctets(t testing.TB, key *certs.Key, method string, der bool, octets []byte) []byte {
	t.Helper()
	h, known := hashes[method]
	if !known {
		h = crypto.SHA256
	}
	sum := h.New()
	sum.Write(octets)
	value, err := key.Signer.Sign(rand.Reader, sum.Sum(nil), h)
	if err != nil {
		t.Fatal(err)
	}
	public, isEC := key.Signer.Public().(*ecdsa.PublicKey)
	if !isEC || der {
		return value
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &pair); err != nil {
		t.Fatal(err)
	}
	size := (public.Curve.Params().N.BitLen() + 7) / 8
	out := make([]byte, 2*size)
	pair.R.FillBytes(out[:size])
	pair.S.FillBytes(out[size:])
	return out
}

// certificateInfo is a KeyInfo that shows a certificate.
func certificateInfo(c *x509.Certificate) string {
	return `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(c.Raw) +
		`</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
}

// query is a signed query of the HTTP-Redirect binding.
type query struct {
	key    *certs.Key
	method string
	state  *string // RelayState
	der    bool
	escape func(string) string
}

// sign returns the query that carries and signs a document.
func (q query) sign(t testing.TB, document string) string {
	t.Helper()
	escape := q.escape
	if escape == nil {
		escape = url.QueryEscape
	}
	text := "SAMLRequest=" + escape(deflated(t, document))
	if q.state != nil {
		text += "&RelayState=" + escape(*q.state)
	}
	text += "&SigAlg=" + escape(or(q.method, rsaSHA256))
	return text + "&Signature=" + escape(base64.StdEncoding.EncodeToString(signOctets(t, q.key, or(q.method, rsaSHA256),
		q.der, []byte(text))))
}

// urlEscape escapes a value of a query.
func urlEscape(s string) string { return url.QueryEscape(s) }

// get is a request with this very query.
func get(query string) *http.Request {
	return &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/saml/sso", RawQuery: query}, Header: http.Header{}}
}

// post is a request with this very form.
func post(form string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/saml/sso", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// publicDER is what an HMAC attack takes for a secret.
func publicDER(t testing.TB, key *certs.Key) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Signer.Public().(*rsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return der
}
