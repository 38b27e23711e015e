package idp_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ssobridge/idp"
)

// FuzzLogout: no session ends without a signature that another verifier than ours
// confirms, and what goes wrong is a page.
func FuzzLogout(f *testing.F) {
	x := logoutFixture(f, "p-256", nil)
	key := readKey(f, "sp-rsa")
	v := x.signIn(f, "alice", "correct horse")
	nameID, index := x.used(f, v, plain)
	for _, r := range []logoutAsk{newLogoutAsk(plain, nameID, index), newLogoutAsk(plain, nameID),
		newLogoutAsk(plain, "nobody")} {
		f.Add(query{key: key}.sign(f, r.xml()), false)
		f.Add("SAMLRequest="+url.QueryEscape(deflated(f, r.xml())), false)
		f.Add("SAMLRequest="+url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(signature{key: key}.sign(f, r.xml())))),
			true)
		f.Add("SAMLRequest="+url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(r.xml()))), true)
	}
	f.Add("SAMLResponse="+url.QueryEscape(deflated(f, logoutResponse(plain, "_a.0.b", success))), false)
	f.Fuzz(func(t *testing.T, text string, form bool) {
		if !x.live(t, v) {
			v = x.signIn(t, "alice", "correct horse")
			x.used(t, v, plain)
		}
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/saml/slo", RawQuery: text}, Header: http.Header{}}
		if form {
			r = post(text)
		}
		a, err := x.SLO(context.Background(), r, v)
		if err != nil {
			t.Fatalf("error: %v", err)
		}
		switch page := a.Page.(type) {
		case idp.LogoutGoOn:
		case idp.Refusal:
			if !slices.Contains(idp.Reasons(), page.Reason) || page.Status < 400 {
				t.Fatalf("refusal %+v", page)
			}
		default:
			t.Fatalf("page %T", a.Page)
		}
		if !x.live(t, v) && !confirmed(text, form) {
			t.Fatal("a session was ended without a signature")
		}
	})
}

// confirmed verifies the signature of the wiki with other code than ours.
func confirmed(text string, form bool) bool {
	key := readKey(panics{}, "sp-rsa").Certificate
	if form {
		values, err := url.ParseQuery(text)
		if err != nil {
			return false
		}
		data, err := base64.StdEncoding.DecodeString(values.Get("SAMLRequest"))
		return err == nil && checkSignature(parse(panics{}, data), key) == nil
	}
	at := map[string]string{}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name)
		at[name] = value
	}
	signed := "SAMLRequest=" + at["SAMLRequest"]
	if state, sent := at["RelayState"]; sent {
		signed += "&RelayState=" + state
	}
	signed += "&SigAlg=" + at["SigAlg"]
	encoded, _ := url.QueryUnescape(at["Signature"])
	value, err := base64.StdEncoding.DecodeString(encoded)
	sum := sha256.Sum256([]byte(signed))
	return err == nil && rsa.VerifyPKCS1v15(key.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], value) == nil
}

// panics is a testing.TB outside of a test.
type panics struct{ testing.TB }

func (panics) Helper()           {}
func (panics) Fatal(args ...any) { panic(args) }
