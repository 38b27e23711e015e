package idp_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"ssobridge/idp"
	"ssobridge/idp/saml"
)

// A message that came to the address of the other profile is refused in the name of who sent it, with the address where
// it belongs.
func TestMessagesAtTheOtherAddress(t *testing.T) {
	f := logoutFixture(t, "rsa-2048", nil)
	ask := newLogoutAsk(plain, "somebody").xml()
	a, err := f.SSO(context.Background(), logoutByQuery(t, readKey(t, "sp-rsa"), ask, nil), visitor("b"))
	refused := must[idp.Refusal](t, a, err)
	if name := wikiWithLogout(t).Name; refused.Provider != name || !strings.Contains(f.log.String(), "/saml/slo") {
		t.Errorf("a LogoutRequest at single sign-on: %+v, want the provider %q\n%s", refused, name, f.log.String())
	}
	a, err = f.SLO(context.Background(), byRedirect(t, newRequest(plain).xml()), visitor("b"))
	refused = must[idp.Refusal](t, a, err)
	if name := wikiWithLogout(t).Name; refused.Provider != name || !strings.Contains(f.log.String(),
		"SingleSignOnService: …/saml/sso") {
		t.Errorf("an AuthnRequest at single logout: %+v, want the provider %q\n%s", refused, name, f.log.String())
	}
}

// A request in UTF-16 is named for what it is.
func TestRequestInUTF16(t *testing.T) {
	for _, mark := range []string{"\ufeff", ""} {
		for _, big := range []bool{true, false} {
			var octets []byte
			for _, unit := range utf16.Encode([]rune(mark + newRequest(plain).xml())) {
				if big {
					octets = append(octets, byte(unit>>8), byte(unit))
				} else {
					octets = append(octets, byte(unit), byte(unit>>8))
				}
			}
			form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(octets)}}
			r := httptest.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			text, bad := saml.ReadParameters(r)
			if bad == nil {
				_, bad = saml.ReadAuthnRequest(text, r.Method, 80)
			}
			if bad == nil || !strings.Contains(bad.Detail, "UTF-16") {
				t.Errorf("mark %q, big endian %t: %+v", mark, big, bad)
			}
		}
	}
}
