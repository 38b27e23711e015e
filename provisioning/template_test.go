package provisioning_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
)

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

// faultFields names the fields of all InputErrors in err, and checks that each carries its fix.
func faultFields(err error) (fields []string) {
	if err == nil {
		return nil
	}
	var one *provisioning.InputError
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
		if one.Fix == "" || one.Fault == "" {
			return []string{one.Field + " without fault or fix"}
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
			FirstName: rapid.StringMatching(`[A-Za-zÀ-ž]{1,80}`).Draw(t, "first"),
			LastName:  rapid.StringMatching(`[A-Za-zÀ-ž]{1,80}`).Draw(t, "last"),
			Mail:      "m@example.test",
		}
		a := provisioning.Assignment{Account: store.AccountID(rapid.StringMatching(`[a-zA-Z0-9]{1,64}`).Draw(t, "account")),
			Role: store.AccountManager}
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
