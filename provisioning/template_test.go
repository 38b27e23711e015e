package provisioning_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

func template(tb testing.TB, text string) provisioning.Template {
	tb.Helper()
	t, err := provisioning.ParseTemplate(text)
	if err != nil {
		tb.Fatalf("ParseTemplate(%q): %v", text, err)
	}
	return t
}

func TestTemplateRender(t *testing.T) {
	v := provisioning.Values{
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
			_, err := provisioning.ParseTemplate(c.text)
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
		got, err := key.Render(provisioning.Values{Person: directory.Entry{ID: p}, Account: store.AccountID(a)})
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

// API-01: templates that fit nobody, or give several the same name, stop the start; all faults come together.
func TestAPI01TemplatesAtTheStart(t *testing.T) {
	w := newWorld(t, settings{})
	cases := []struct {
		name                         string
		externalID, loginName, email string
		fields                       []string
		mutable                      bool // with AllowMutableExternalID
	}{
		{"defaults", "", "", "", nil, false},
		{"by login and account", "{login}.{account}", "{login}.{account}", "{mail}", nil, true},
		{"login from external id", "{key}", "u-{external_id}", "{login_name}@sso.example.test", nil, false},
		{"own number", "{attr:employeeNumber}.{account}", "{key}", "", nil, true},
		{"by login and account, not allowed", "{login}.{account}", "", "", []string{"external_id"}, false},
		{"own number, not allowed", "{attr:employeeNumber}.{account}", "", "", []string{"external_id"}, false},
		{"own number with the immutable id", "{attr:employeeNumber}.{person_id}.{account}", "", "", nil, false},
		{"one for all accounts, allowed to change", "{login}", "", "", []string{"external_id"}, true},
		{"one for all accounts", "{person_id}", "", "", []string{"external_id"}, false},
		{"one for all people", "", "{account}-user", "", []string{"login_name"}, false},
		{"constant", "x", "y", "", []string{"external_id", "login_name"}, false},
		{"too long", "", "constant-contact-user-of-{person_id}.{account}", "", []string{"login_name"}, false},
		{"forbidden characters", "", "{key} {account}", "", []string{"login_name"}, false},
		{"no address", "", "", "{login}", []string{"contact_email"}, false},
		{"names itself", "{external_id}{key}", "{login_name}{key}", "", []string{"external_id", "login_name"}, false},
		{"unknown placeholder", "{person}", "{key", "{post}", []string{"external_id", "login_name", "contact_email"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := w.options
			w.stores(&o, w.db)
			o.AllowMutableExternalID = c.mutable
			o.ExternalID, o.LoginName, o.ContactEmail = c.externalID, c.loginName, c.email
			_, err := provisioning.New(o)
			if got := faultFields(err); strings.Join(got, " ") != strings.Join(c.fields, " ") {
				t.Errorf("faulty fields: got %v (%v), want %v", got, err, c.fields)
			}
		})
	}
	if _, err := provisioning.New(provisioning.Options{}); err == nil {
		t.Error("no stores: got no error")
	}
}

// faultFields names the fields of all FieldErrors in err, and checks that each carries its mend.
func faultFields(err error) (fields []string) {
	if err == nil {
		return nil
	}
	var one *provisioning.FieldError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			fields = append(fields, faultFields(e)...)
		}
		return fields
	}
	if inner := errors.Unwrap(err); inner != nil {
		return faultFields(inner)
	}
	if errors.As(err, &one) {
		if one.Mend == "" || one.Fault == "" {
			return []string{one.Field + " without fault or mend"}
		}
		return []string{one.Field}
	}
	return []string{"?"}
}

// API-01: the defaults fit every limit for ids up to the usual lengths.
func TestAPI01DefaultsFit(t *testing.T) {
	w := newWorld(t, settings{})
	rapid.Check(t, func(t *rapid.T) {
		p := directory.Entry{
			ID:        rapid.StringMatching(`[0-9a-f-]{1,64}`).Draw(t, "id"),
			Login:     rapid.StringMatching(`[a-z]{1,200}`).Draw(t, "login"),
			FirstName: rapid.StringMatching(`[A-Za-zÀ-ž]{1,80}`).Draw(t, "first"), LastName: rapid.StringMatching(`[A-Za-zÀ-ž]{1,80}`).Draw(t, "last"),
			Mail: "m@example.test",
		}
		a := provisioning.Assignment{Account: store.AccountID(rapid.StringMatching(`[a-zA-Z0-9]{1,64}`).Draw(t, "account")), Role: store.AccountManager}
		u, err := w.Body(p, a)
		if err != nil {
			t.Fatalf("Body: %v", err)
		}
		if len(u.LoginName) != 24 || len(u.ExternalID) > 255 {
			t.Fatalf("login name %q, external id of %d", u.LoginName, len(u.ExternalID))
		}
	})
	_, err := w.Body(person("p"), provisioning.Assignment{Account: harbour, Role: store.Owner})
	var field *partnerapi.FieldError
	if !errors.As(err, &field) || field.Field != "role_name" {
		t.Errorf("owner: got %v, want a fault of role_name", err)
	}
}
