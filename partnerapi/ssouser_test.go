package partnerapi_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/partnerapi"
)

// API-01
func TestAPI01Validate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*partnerapi.SSOUser)
		field  string // at fault; empty: fine
	}{
		{"good", func(*partnerapi.SSOUser) {}, ""},
		{"80 characters of two bytes", func(u *partnerapi.SSOUser) { u.FirstName = strings.Repeat("ü", 80) }, ""},
		{"space after a name", func(u *partnerapi.SSOUser) { u.LastName = "van Dijk " }, ""},
		{"all of the alphabet", func(u *partnerapi.SSOUser) { u.LoginName = "aZ09-_@.+" }, ""},
		{"longest login", func(u *partnerapi.SSOUser) { u.LoginName = strings.Repeat("a", 50) }, ""},
		{"longest external id", func(u *partnerapi.SSOUser) { u.ExternalID = strings.Repeat("ß", 255) }, ""},
		{"other role", func(u *partnerapi.SSOUser) { u.RoleName = "account_manager" }, ""},
		{"no first name", func(u *partnerapi.SSOUser) { u.FirstName = "" }, "first_name"},
		{"no last name", func(u *partnerapi.SSOUser) { u.LastName = " \t" }, "last_name"},
		{"no role", func(u *partnerapi.SSOUser) { u.RoleName = "" }, "role_name"},
		{"no mail", func(u *partnerapi.SSOUser) { u.ContactEmail = "" }, "contact_email"},
		{"no login", func(u *partnerapi.SSOUser) { u.LoginName = "" }, "login_name"},
		{"no external id", func(u *partnerapi.SSOUser) { u.ExternalID = "" }, "external_id"},
		{"no provider", func(u *partnerapi.SSOUser) { u.ExternalProvider = "" }, "external_provider"},
		{"long first name", func(u *partnerapi.SSOUser) { u.FirstName = strings.Repeat("ü", 81) }, "first_name"},
		{"long last name", func(u *partnerapi.SSOUser) { u.LastName = strings.Repeat("a", 81) }, "last_name"},
		{"long mail", func(u *partnerapi.SSOUser) { u.ContactEmail = strings.Repeat("a", 70) + "@example.test" },
			"contact_email"},
		{"long login", func(u *partnerapi.SSOUser) { u.LoginName = strings.Repeat("a", 51) }, "login_name"},
		{"long external id", func(u *partnerapi.SSOUser) { u.ExternalID = strings.Repeat("a", 256) }, "external_id"},
		{"long provider", func(u *partnerapi.SSOUser) { u.ExternalProvider = strings.Repeat("a", 81) }, "external_provider"},
		{"owner", func(u *partnerapi.SSOUser) { u.RoleName = "owner" }, "role_name"},
		{"role in capitals", func(u *partnerapi.SSOUser) { u.RoleName = "Account_Manager" }, "role_name"},
		{"line break", func(u *partnerapi.SSOUser) { u.FirstName = "A\nB" }, "first_name"},
		{"NUL", func(u *partnerapi.SSOUser) { u.ExternalID = "a\x00b" }, "external_id"},
		{"line separator", func(u *partnerapi.SSOUser) { u.LastName = "A\u2028B" }, "last_name"},
		{"no XML character", func(u *partnerapi.SSOUser) { u.ExternalID = "a\uFFFEb" }, "external_id"},
		{"no UTF-8", func(u *partnerapi.SSOUser) { u.LastName = "a\xff" }, "last_name"},
		{"space before the external id", func(u *partnerapi.SSOUser) { u.ExternalID = " a" }, "external_id"},
		{"umlaut in the login", func(u *partnerapi.SSOUser) { u.LoginName = "zoë" }, "login_name"},
		{"space in the login", func(u *partnerapi.SSOUser) { u.LoginName = "a b" }, "login_name"},
		{"slash in the login", func(u *partnerapi.SSOUser) { u.LoginName = "a/b" }, "login_name"},
		{"mail without at", func(u *partnerapi.SSOUser) { u.ContactEmail = "example.test" }, "contact_email"},
		{"mail without domain", func(u *partnerapi.SSOUser) { u.ContactEmail = "a@b" }, "contact_email"},
		{"two mails", func(u *partnerapi.SSOUser) { u.ContactEmail = "a@b.test,c@d.test" }, "contact_email"},
		{"mail with a name", func(u *partnerapi.SSOUser) { u.ContactEmail = "A <a@b.test>" }, "contact_email"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := somebody()
			tt.change(&u)
			err := u.Validate()
			if tt.field == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			var e *partnerapi.FieldError
			if !errors.As(err, &e) || e.Field != tt.field {
				t.Fatalf("got %v, want a fault of %s", err, tt.field)
			}
			if !strings.HasPrefix(e.Error(), tt.field+": ") || strings.Contains(e.Error(), somebody().LastName) {
				t.Errorf("got message %q", e)
			}
		})
	}
}
