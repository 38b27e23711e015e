package web_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/web"
)

// COST-80: the page of a launch is written from parts, and is octet for octet what html/template makes of the same
// values, whatever these are.
func TestDeliveryIsItsTemplate(t *testing.T) {
	s, err := web.New(web.Options{
		IdP: newFakeIdP(), PublicURL: "https://sso.example", CSRFKey: bytes.Repeat([]byte{1}, 32), Logger: quiet,
		Branding: web.Branding{Name: `Brand "<&'+> {provider}`, ProductName: "Product",
			HelpURL: "https://help.example/?a=1&b='2'"},
	})
	if err != nil {
		t.Fatal(err)
	}
	hostile := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("\x00\"'&+<>=`{}/\\ "+
		"\t\r\n;:%#\u2028\ufffd\ufdd0\ufff9a")), 0, 20, -1),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"</script><script>alert(1)</script>", `"><b>`, "https://value-of-slot-0.invalid/",
			"https://value-of-slot-5.invalid/", "{provider}", "javascript:alert(1)"}))
	address := rapid.OneOf(
		rapid.Map(hostile, func(s string) string { return "https://sp.example/acs" + s }), hostile,
		rapid.Map(rapid.StringMatching(`[A-Za-z0-9._~/:?=,;@-]{0,40}`), func(s string) string { return "https://" + s }),
	)
	same := func(t interface {
		Helper()
		Fatalf(string, ...any)
	}, action, response string, relayState *string, provider, self, nonce string,
	) (plain bool) {
		t.Helper()
		executed, parts, err := s.DeliveryBothWays(action, response, relayState, provider, self, nonce)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for i := range executed {
			if parts[i] != "" && parts[i] != executed[i] {
				t.Fatalf("language %d: got\n%q\nwant\n%q", i, parts[i], executed[i])
			}
			plain = parts[i] != ""
		}
		return plain
	}
	for _, usual := range []string{"https://identity.constantcontact.com/oauth2/saml/acs?tenant=a1",
		"http://127.0.0.1:8080/acs"} {
		if !same(t, usual, strings.Repeat("PHNhbWw+", 100), nil, "Constant Contact", "/launch/a07e1lxqqqo0", "bm9uY2U") {
			t.Errorf("%s is not written from parts", usual)
		}
	}
	for _, other := range []string{"https://sp.example/acs?a=1&b=2", "https://sp.example/a(b)'", "HTTPS://sp.example/",
		"javascript:alert(1)", "https://sp.example/\"><script>"} {
		if same(t, other, "PHNhbWw+", nil, "", "", "") {
			t.Errorf("%s is written from parts", other)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var relayState *string
		if rapid.Bool().Draw(t, "relayed") {
			value := hostile.Draw(t, "relay state")
			relayState = &value
		}
		same(t, address.Draw(t, "address"), rapid.StringMatching(`[A-Za-z0-9+/=]{0,60}`).Draw(t, "response"), relayState,
			hostile.Draw(t, "provider"), hostile.Draw(t, "self"), rapid.StringMatching(`[A-Za-z0-9_-]{0,22}`).Draw(t, "nonce"))
	})
}
