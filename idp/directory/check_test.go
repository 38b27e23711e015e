package directory_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// SET-06
func TestCheck(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	other := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Empty: true})
	cases := []struct {
		name   string
		change func(*directory.Options)
		fails  string // part of the name of the step that fails, "" for none
		fix    string // part of its fix
	}{
		{"all well", func(*directory.Options) {}, "", ""},
		{"StartTLS", func(o *directory.Options) { o.URLs, o.StartTLS = []string{s.PlainURL()}, true }, "", ""},
		{"second server down", func(o *directory.Options) { o.URLs = append(o.URLs, "ldaps://127.0.0.1:1") },
			"connect to ldaps://127.0.0.1:1", "reachable"},
		{"no authority", func(o *directory.Options) { o.CAFile = "" }, "connect", "ca_file"},
		{"wrong name", func(o *directory.Options) {
			o.URLs = []string{strings.Replace(s.URL(), "127.0.0.1", "127.0.0.2",
				1)}
		}, "connect", "urls"},
		{"ldaps at the port in clear", func(o *directory.Options) {
			o.URLs = []string{strings.Replace(s.PlainURL(), "ldap://", "ldaps://", 1)}
		}, "connect", "ldap:// with start_tls"},
		{"StartTLS at the port of ldaps", func(o *directory.Options) {
			o.URLs, o.StartTLS = []string{strings.Replace(s.URL(), "ldaps://", "ldap://", 1)}, true
		}, "connect", "write ldaps://"},
		{"in clear at the port of ldaps", func(o *directory.Options) {
			o.URLs, o.Insecure, o.CAFile = []string{strings.Replace(s.URL(), "ldaps://", "ldap://", 1)}, true, ""
		}, "service bind", "write ldaps://"},
		{"wrong password", func(o *directory.Options) { o.BindPassword = "wrong" }, "service bind", "bind_password"},
		{"wrong base", func(o *directory.Options) { o.BaseDN = "ou=none," + s.BaseDN; o.GroupBaseDN = s.BaseDN },
			"base_dn", "base_dn"},
		{"wrong group base", func(o *directory.Options) { o.GroupBaseDN = "ou=none," + s.BaseDN }, "group_base_dn",
			"group_base_dn"},
		{"filter for nobody", func(o *directory.Options) { o.LoginFilter = "(&(objectClass=device)(cn={login}))" },
			"find a person", "id_attribute"},
		{"nobody there", func(o *directory.Options) {
			p := other.Options()
			o.URLs, o.CAFile = p.URLs, p.CAFile
		}, "find a person", "login_filter"},
		{"groups beyond the bound", func(o *directory.Options) { o.MaxGroups = 1 }, "groups", "group_base_dn"},
		{"no id", func(o *directory.Options) { o.IDAttribute = "employeeNumber" }, "find a person", "id_attribute"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := s.Options()
			c.change(&o)
			steps := open(t, o).Check(t.Context())
			failed := false
			for _, step := range steps {
				if (step.Err == nil) != (step.Fix == "") {
					t.Errorf("step %q has error %v and fix %q", step.Name, step.Err, step.Fix)
				}
				if step.Err == nil && step.Detail == "" {
					t.Errorf("step %q passed without a detail", step.Name)
				}
				if strings.Contains(step.Name, "base_dn") && !strings.Contains(step.Detail+step.Fix, "dc=example") {
					t.Errorf("step %q does not show the DN: %q, %v", step.Name, step.Detail, step.Err)
				}
				if step.Err != nil && c.fails != "" && strings.Contains(step.Name, c.fails) && strings.Contains(step.Fix, c.fix) {
					failed = true
				} else if step.Err != nil && c.fails == "" {
					t.Errorf("step %q failed: %v", step.Name, step.Err)
				}
			}
			if failed != (c.fails != "") {
				t.Errorf("no step %q failed with a fix of %q: %+v", c.fails, c.fix, steps)
			}
		})
	}
}

func TestCheckActiveDirectory(t *testing.T) {
	s := directorytest.SharedSamba(t)
	for _, step := range open(t, s.Options()).Check(t.Context()) {
		if step.Err != nil {
			t.Errorf("step %q failed: %v", step.Name, step.Err)
		}
	}
}
