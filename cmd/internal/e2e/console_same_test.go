package e2e_test

import (
	"html"
	"regexp"
	"strings"
	"testing"
)

// Console and command go through the same functions: what one refuses, the other refuses in the same sentence. Only
// what to do about it is said in the words of each: no flag stands in a page.
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
				return c.submitForm(c.get(w.url+one), "/admin/providers/set", "key", "lifetime", "value", "2h")
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
	w.command(t, "keys", "promote", "--sp", entityID, "--confirmed-by", "Kim Lee", newest)
	for name, shown := range map[string]string{"console": c.get(w.url + "/admin/keys").text(),
		"command": w.command(t, "keys", "list")} {
		if !strings.Contains(shown, newest) || !strings.Contains(shown, "Kim Lee") {
			t.Errorf("the %s shows:\n%s", name, shown)
		}
	}
}
