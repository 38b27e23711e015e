package web_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/web"
)

// BenchmarkDeliver is what web adds to a launch with a live session: everything but
// what idp does.
func BenchmarkDeliver(b *testing.B) {
	fake := newFakeIdP()
	d := delivery()
	d.SAMLResponse = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("<saml:Assertion>"), 450))
	fake.answer = &idp.Answer{Page: d}
	s, err := web.New(web.Options{IdP: fake, PublicURL: "https://sso.example", CSRFKey: bytes.Repeat([]byte{1}, 32),
		Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodGet, "/launch", nil)
		req.Host = "sso.example"
		req.Header.Set("Cookie", browserCookie+"="+strings.Repeat("A", 43))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			b.Fatalf("status = %d", rec.Code)
		}
		fake.calls = fake.calls[:0]
	}
}
