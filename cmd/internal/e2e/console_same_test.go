package e2e_test

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// REAL-71: console and command go through the same functions: what one refuses, the other refuses in the same sentence.
// Only what to do about it is said in the words of each: no flag stands in a page.
func TestConsoleAndCommandSayTheSame(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	c := w.enter(t, consoleAdmin)
	entityID := regexp.MustCompile(`http://\S+/sso/metadata`).FindString(w.command(t, "sp", "list"))
	one := "/admin/providers/one?id=" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(entityID)
	key := regexp.MustCompile(`/admin/keys/([0-9a-f]+)/certificate`).FindStringSubmatch(c.get(w.url +
		"/admin/keys").Body)[1]
	w.command(t, "keys", "generate", "--algorithm", "p-256")
	newest := regexp.MustCompile(`([0-9a-f]{16})"><div class="actions"`).FindStringSubmatch(c.get(w.url +
		"/admin/keys").Body)[1]
	const ofClub = "/admin/accounts/of/" + club
	found := regexp.MustCompile(`href="(/admin/people/of/[^"]+)"`).FindStringSubmatch(c.get(w.url +
		"/admin/people?find=" + consoleNobody).Body)
	if found == nil {
		t.Fatalf("%s is not found", consoleNobody)
	}
	carol, wrongFile := found[1], filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(wrongFile, []byte("shoe_size\n42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := c.submitForm(c.get(w.url+"/admin/accounts"), "/admin/accounts/refresh"); !strings.Contains(p.text(),
		"The list was refreshed") {
		t.Fatalf("the list: %d\n%s", p.Status, p.text())
	}
	for _, s := range []struct {
		name, fault string
		form        func() *page
		command     []string
	}{
		{
			"a person who is not there", `there is no person "nobody-there"`,
			func() *page {
				return c.submitForm(c.get(w.url+"/admin/people/lockouts"), "/admin/people/lockouts", "who", "nobody-there")
			},
			[]string{"lockouts", "lift", "nobody-there"},
		},
		{
			"a lifetime that is too long", "it is out of range",
			func() *page {
				return c.submitForm(c.get(w.url+one), "/admin/providers/set", "lifetime", "2h")
			},
			[]string{"sp", "set", entityID, "lifetime=2h"},
		},
		{
			"Constant Contact a second time, by its entity ID alone", "service provider " + entityID + " is registered already",
			func() *page {
				return c.submitForm(c.get(w.url+"/admin/providers/new"), "/admin/providers/constant-contact",
					"cc_entity_id", entityID)
			},
			[]string{"sp", "add-constant-contact", "--entity-id", entityID},
		},
		{
			"an environment that leads elsewhere", `environment "l1.evil.example/" is no part of a host name`,
			func() *page {
				return c.submitForm(c.get(w.url+"/admin/providers/new"), "/admin/providers/constant-contact", "cc_entity_id",
					"https://other.test", "cc_environment", "l1.evil.example/")
			},
			[]string{"sp", "add-constant-contact", "--entity-id", "https://other.test", "--environment", "l1.evil.example/"},
		},
		{
			"a key that is published once more", "the key's state does not allow that",
			func() *page {
				return c.submitForm(c.get(w.url+"/admin/keys"), "/admin/keys/publish", "key", key)
			},
			[]string{"keys", "publish", key},
		},
		{
			"a NameID that nobody got", `nobody got the NameID "nobody@example.test"`,
			func() *page {
				return c.submitForm(c.get(w.url+one), "/admin/providers/name-id", "name_id", "nobody@example.test")
			},
			[]string{"sp", "release-name-id", entityID, "nobody@example.test"},
		},
		{
			"a cancellation that is confirmed by another id", "not confirmed by the id of the client account",
			func() *page {
				return c.submitForm(c.get(w.url+ofClub), ofClub+"/cancel", "typed", bakery)
			},
			[]string{"accounts", "cancel", club, "--confirm", bakery},
		},
		{
			"a billing day that is none", "is not 1 to 31",
			func() *page {
				return c.submitForm(c.get(w.url+ofClub), ofClub+"/plan", "plan", "GOLD", "billing_day", "40")
			},
			[]string{"accounts", "set-plan", club, "GOLD", "--billing-day", "40", "--yes"},
		},
		{
			"addresses that are none", "is no e-mail address",
			func() *page {
				return c.submitForm(c.get(w.url+ofClub), ofClub+"/unsubscribe", "addresses", "nowhere")
			},
			[]string{"accounts", "unsubscribe", club, "nowhere", "--yes"},
		},
		{
			"an order of somebody who is not there", `find the owner "nobody-there"`,
			func() *page {
				return c.submitForm(c.get(w.url+"/admin/accounts/new"), "/admin/accounts/new", "owner", "nobody-there",
					"organization_name", "Gull Shop", "country_code", "us", "state_code", "MA")
			},
			[]string{"accounts", "create", "--owner", "nobody-there", "--organization", "Gull Shop", "--country", "us",
				"--state", "MA", "--yes"},
		},
		{
			"a file of users with another column", `"shoe_size" is not known`,
			func() *page {
				return c.submitForm(c.get(w.url+"/admin/provisioning/users/tell"), "/admin/provisioning/users/tell", "file",
					"shoe_size\n42\n", "do", "look")
			},
			[]string{"users", "adopt", wrongFile},
		},
		{
			"an invitation of somebody without a role", "the person has no role in the admin console",
			func() *page {
				return c.submitForm(c.get(w.url+carol+"?tab=security"), carol+"/factors", "what", "invite")
			},
			[]string{"admin", "invite", consoleNobody},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := s.form()
			if p.Status < 400 || p.Status >= 500 || !strings.Contains(p.text(), s.fault) {
				t.Errorf("the console: %d, want %q\n%s", p.Status, s.fault, p.text())
			}
			if text := html.UnescapeString(p.text()); regexp.MustCompile(`(^|\s)--[a-z]`).MatchString(text) ||
				strings.Contains(text, "ssobridge ") {
				t.Errorf("the page names flags or commands:\n%s", text)
			}
			if out, err := w.tryCommand(s.command...); err == nil || !strings.Contains(out, s.fault) ||
				!strings.Contains(out, "hint: ") {
				t.Errorf("the command: %v, want %q\n%s", err, s.fault, out)
			}
		})
	}
	// The same act by each has the same result: published by button, promoted by command, shown alike by both.
	if p := c.submitForm(c.get(w.url+"/admin/keys"), "/admin/keys/publish"); !strings.Contains(p.text(),
		"Next: hand it over") {
		t.Fatalf("publish: %d\n%s", p.Status, p.text())
	}
	if err := w.sandbox.TrustMetadata([]byte(w.command(t, "metadata"))); err != nil {
		t.Fatal(err)
	}
	w.command(t, "sp", "set", entityID, "holds_certificates=two")
	w.command(t, "keys", "promote", "--sp", entityID, "--confirmed-by", "Kim Lee", newest)
	for name, shown := range map[string]string{"console": c.get(w.url + "/admin/keys").text(),
		"command": w.command(t, "keys", "list")} {
		if !strings.Contains(shown, newest) || !strings.Contains(shown, "Kim Lee") {
			t.Errorf("the %s shows:\n%s", name, shown)
		}
	}
	// A client account: its policy by command, its cancellation by button, an order by each; both show the same.
	w.command(t, "accounts", "set-factor", club, "required")
	if p := c.submitForm(c.get(w.url+ofClub), ofClub+"/cancel", "typed", club, "reason_id",
		"1"); !strings.Contains(p.text(), "The account is cancelled") {
		t.Fatalf("cancel: %d\n%s", p.Status, p.text())
	}
	for name, shown := range map[string]string{"console": c.get(w.url + ofClub).text(),
		"command": w.command(t, "accounts", "show", club)} {
		for _, want := range []string{"Cancel", "required", w.url + "/launch/" + club, "Northside Cycling Club"} {
			if !strings.Contains(shown, want) {
				t.Errorf("the %s does not show %q:\n%s", name, want, shown)
			}
		}
	}
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultAcceptLater, Delay: 10 * time.Minute})
	p := c.get(w.url + "/admin/accounts/new")
	for range 2 { // seen, then sent
		p = c.submitForm(p, "/admin/accounts/new", "owner", "bob", "organization_name", "Gull Shop", "country_code", "us",
			"state_code", "MA")
	}
	out := w.command(t, "accounts", "create", "--owner", "bob", "--organization", "Heron Shop", "--country", "us",
		"--state", "MA", "--yes")
	const how = "was accepted: Constant Contact creates it later"
	if !strings.Contains(out, "request 2 "+how) {
		t.Errorf("ordered by command:\n%s", out)
	}
	for name, shown := range map[string]string{"console": c.get(w.url + "/admin/accounts").text(),
		"command": w.command(t, "accounts", "list")} {
		if strings.Count(strings.ToLower(shown), strings.ToLower(how)) != 2 || !strings.Contains(shown, "Gull Shop") ||
			!strings.Contains(shown, "Heron Shop") {
			t.Errorf("the orders, as the %s shows them:\n%s", name, shown)
		}
	}
	// Who exists already is adopted by command; both list them with the same name, state and cause.
	if err := os.WriteFile(wrongFile, []byte("login,account,external_id,role,state\nbob,"+bakery+
		",bob-there,campaign_creator,assumed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.command(t, "users", "adopt", wrongFile, "--yes")
	for name, shown := range map[string]string{
		"console": c.get(w.url + "/admin/provisioning/users?state=assumed").text(),
		"command": w.command(t, "users", "list", "--state", "assumed"), "status": w.command(t, "provision", "status"),
		"console's status": c.get(w.url + "/admin/provisioning").text()} {
		if want := map[bool]string{true: "assumed to exist (not confirmed)", false: "Bob Brandt"}[strings.Contains(name,
			"status")]; !strings.Contains(shown, want) {
			t.Errorf("the %s does not show %q:\n%s", name, want, shown)
		}
	}
}
