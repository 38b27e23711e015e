package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestConsoleLaunchTest: administrators test a launch token in the console as by the command: nothing is used up, and
// one that is still valid is refused unless that is allowed. The page does not show it again.
func TestConsoleLaunchTest(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	const at = "/admin/trace/token"
	c := w.enter(t, consoleAdmin)
	if strings.Contains(c.get(w.url+"/admin/trace").Body, at) {
		t.Error("the tester is offered where no source is")
	}
	portal := withPortal(t, w, portalBounds)
	token := func(changes map[string]any) string {
		t.Helper()
		changes["sub"], changes["given_name"], changes["family_name"] = "customer-1", "Frida", "Flores"
		changes["email"] = "frida@example.com"
		changes["accounts"] = []map[string]string{{"account": books, "role": "account_manager"},
			{"account": "b99", "role": "owner"}}
		text, err := portal.Token(changes)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	test := func(token string, values ...string) *page {
		t.Helper()
		p := c.submitForm(c.get(w.url+at), at, append([]string{"token", token}, values...)...)
		if token != "" && strings.Contains(p.Body, token) {
			t.Error("the page shows the token")
		}
		return p
	}
	if !strings.Contains(c.get(w.url+"/admin/trace").Body, at) {
		t.Error("the tester is not offered")
	}
	old := time.Now().Add(-time.Hour).Unix()
	over := token(map[string]any{"iat": old, "exp": old + 60})
	test(over).status(http.StatusOK).says("The token was over when it came", "launch_expired", "signature", "Passed",
		"Frida Flores", "1 grant is outside")
	test(over[:len(over)-8]+"AAAAAAAA").says("Failed", "launch_signature")
	test("no token").says("launch_form")
	test("").says("launch_form")
	test("<b>" + strings.Repeat("x", 20<<10)).says("launch_form")
	valid := token(map[string]any{})
	test(valid).status(http.StatusUnprocessableEntity).says("can still be used")
	test(valid, "live", "1").status(http.StatusOK).says("The token would be taken", "account_manager")
	// It was not used up.
	b := newClient(t)
	b.deliver(b.submit(b.post(w.url+"/launch", url.Values{"token": {valid}}), "s")).says("Frida Flores")
	for _, who := range []string{consoleOperator, consoleViewer} {
		other := w.enter(t, who)
		other.get(w.url + at).status(http.StatusForbidden)
		if strings.Contains(other.get(w.url+"/admin/trace").Body, at) {
			t.Errorf("the tester is offered to %s", who)
		}
	}
	for _, text := range []string{over, valid} {
		if strings.Contains(w.out.String(), text) {
			t.Error("the log has a token")
		}
	}
}
