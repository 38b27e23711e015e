package mapping_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

func template(tb testing.TB, text string) mapping.Template {
	tb.Helper()
	t, err := mapping.ParseTemplate(text)
	if err != nil {
		tb.Fatalf("ParseTemplate(%q): %v", text, err)
	}
	return t
}

func TestTemplateRender(t *testing.T) {
	v := mapping.Values{
		Person: directory.Entry{
			ID: "p-1", Login: "jdoe", Mail: "j@example.test", FirstName: "Jane", LastName: "Doe",
			Attributes: map[string][]string{"employeenumber": {"7", "8"}, "empty": {}},
		},
		Account: "a07e", ExternalID: "ext", LoginName: "log",
	}
	cases := []struct{ text, want, err string }{
		{"", "", ""},
		{"plain", "plain", ""},
		{"{person_id}.{account}", "p-1.a07e", ""},
		{"{login}/{mail}/{first_name} {last_name}", "jdoe/j@example.test/Jane Doe", ""},
		{"{external_id}{login_name}", "extlog", ""},
		{"{attr:employeeNumber}", "7", ""},
		{"{attr:empty}", "", "{attr:empty} is empty"},
		{"{attr:none}", "", "{attr:none} is empty"},
	}
	for _, c := range cases {
		t.Run(c.text, func(t *testing.T) {
			got, err := template(t, c.text).Render(v)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.err)
			}
		})
	}
	v.Person.Mail = strings.Repeat("x", 5000)
	if _, err := template(t, "{mail}").Render(v); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("a value of 5000 bytes: got %v, want an error without the value", err)
	}
	v.Account = ""
	if _, err := template(t, "{key}").Render(v); err == nil {
		t.Error("{key} without account: got no error")
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"unknown", "{person}", "{person} is not known"},
		{"open", "a{mail", "brace"},
		{"closed", "a}b", "brace"},
		{"nested", "{{mail}}", "is not known"},
		{"no attribute", "{attr:}", "name of a directory attribute"},
		{"odd attribute", "{attr:a b}", "name of a directory attribute"},
		{"control character", "a\nb", "control character"},
		{"not UTF-8", "\xff", "UTF-8"},
		{"long", strings.Repeat("x", 513), "513 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := mapping.ParseTemplate(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// {key} fits a login name, has only characters that are allowed there, and differs for each (person, client account).
func TestKeyIsUnique(t *testing.T) {
	key := template(t, "{key}")
	render := func(p, a string) string {
		got, err := key.Render(mapping.Values{Person: directory.Entry{ID: p}, Account: store.AccountID(a)})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	// A key that changed would give people a second user after an upgrade.
	if got, want := render("01234567-89ab-cdef-0123-456789abcdef", "a07e1lxqqqo0"), "n6377kxgcpxe4qn5ipdj"; got != want {
		t.Errorf("key: got %q, want %q", got, want)
	}
	if render("ab", "c") == render("a", "bc") {
		t.Error("two pairs run together into one key")
	}
	form := regexp.MustCompile(`^[a-z2-7]{20}$`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9-]{1,40}`)
		p1, a1, p2, a2 := text.Draw(t, "p1"), text.Draw(t, "a1"), text.Draw(t, "p2"), text.Draw(t, "a2")
		one, two := render(p1, a1), render(p2, a2)
		if !form.MatchString(one) {
			t.Fatalf("key %q", one)
		}
		if (one == two) != (p1 == p2 && a1 == a2) {
			t.Fatalf("keys of (%q, %q) and (%q, %q): %q and %q", p1, a1, p2, a2, one, two)
		}
	})
}
