package sandbox_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/partnerapi/sandbox"
)

// published is the signing certificate in the sandbox's metadata, nil if there is none, and whether
// they promise signed requests.
func published(t testing.TB, s *sandbox.Sandbox) (*x509.Certificate, bool) {
	t.Helper()
	data, err := s.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	role := doc.FindElement("//SPSSODescriptor")
	promised := role.SelectAttrValue("AuthnRequestsSigned", "") == "true"
	holder := role.FindElement("./KeyDescriptor[@use='signing']//X509Certificate")
	if holder == nil {
		return nil, promised
	}
	der, err := base64.StdEncoding.DecodeString(holder.Text())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, promised
}

// TestSignedRequests covers the sandbox's side of REQ-09 to REQ-11.
func TestSignedRequests(t *testing.T) {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, x := range []struct {
		signing                 sandbox.Signing
		query                   string
		signed, refused, always bool
	}{
		{signing: sandbox.SigningOff},
		{signing: sandbox.SigningOff, query: "&sign=1", refused: true},
		{signing: sandbox.SigningAsked},
		{signing: sandbox.SigningAsked, query: "&sign=1&relay_state=a+b%2Fc", signed: true},
		{signing: sandbox.SigningAlways, signed: true, always: true},
	} {
		s, _ := signedUp(t, func(o *sandbox.Options) { o.SignRequests = x.signing })
		certificate, promised := published(t, s)
		if (certificate != nil) != (x.signing != sandbox.SigningOff) || promised != x.always {
			t.Errorf("%s: certificate in the metadata %t, AuthnRequestsSigned %t", x.signing, certificate != nil, promised)
		}
		if x.refused {
			if resp, _ := exchange(t, c, request(t, "GET", s.URL()+"/sso/start?binding=post"+x.query,
				"")); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s%s: got %d", x.signing, x.query, resp.StatusCode)
			}
			continue
		}
		resp, _ := exchange(t, c, request(t, "GET", s.URL()+"/sso/start?binding=redirect"+x.query, ""))
		u, err := url.Parse(resp.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		octets, value, signed := strings.Cut(u.RawQuery, "&Signature=")
		if signed != x.signed {
			t.Errorf("%s%s: query signed: %t", x.signing, x.query, signed)
		} else if signed {
			text, err := url.QueryUnescape(value)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte(octets))
			if err := rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], decoded); err != nil {
				t.Errorf("%s%s: query: %v", x.signing, x.query, err)
			}
		}
		_, page := exchange(t, c, request(t, "GET", s.URL()+"/sso/start?binding=post"+x.query, ""))
		_, rest, _ := strings.Cut(page, `name="SAMLRequest" value="`)
		encoded, _, _ := strings.Cut(rest, `"`)
		data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(encoded, "&#43;", "+"))
		if err != nil {
			t.Fatal(err)
		}
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(data); err != nil {
			t.Fatal(err)
		}
		if has := doc.FindElement("//Signature") != nil; has != x.signed {
			t.Errorf("%s%s: form signed: %t", x.signing, x.query, has)
		} else if has {
			v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{certificate}})
			if _, err := v.Validate(doc.Root()); err != nil {
				t.Errorf("%s%s: form: %v", x.signing, x.query, err)
			}
		}
		if doc.Root().Tag != "AuthnRequest" || doc.Root().SelectAttrValue("Destination", "") == "" ||
			doc.Root().SelectAttrValue("ProtocolBinding", "") != saml.HTTPPostBinding {
			t.Errorf("%s%s: %s %v", x.signing, x.query, doc.Root().Tag, doc.Root().Attr)
		}
	}
	if _, err := sandbox.New(sandbox.Options{PublicURL: "http://127.0.0.1:1", SignRequests: "never"}); err == nil {
		t.Error("an unknown way of signing is accepted")
	}
}
