package directory_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// fieldsOf are the fields that the faults of an error of New name.
func fieldsOf(err error) []string {
	var fields []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if f, ok := errors.AsType[*directory.FieldError](e); ok {
				fields = append(fields, f.Field)
				if f.Fault == "" || f.Fix == "" {
					fields = append(fields, "without fault or fix")
				}
			}
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

func TestNewNamesEachFault(t *testing.T) {
	dir := t.TempDir()
	notPEM := filepath.Join(dir, "not.pem")
	if err := os.WriteFile(notPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() directory.Options {
		return directory.Options{Preset: "openldap", URLs: []string{"ldaps://ldap.example.test"}, BindDN: "cn=a,dc=b",
			BindPassword: "secret-of-the-service", BaseDN: "dc=example,dc=test"}
	}
	cases := []struct {
		name   string
		change func(*directory.Options)
		want   []string
	}{
		{"nothing", func(*directory.Options) {}, nil},
		{"active directory", func(o *directory.Options) {
			o.Preset, o.Domain, o.BindDN = "active_directory", "EXAMPLE", "reader@example.test"
		}, nil},
		{"StartTLS", func(o *directory.Options) { o.URLs, o.StartTLS = []string{"ldap://a:389"}, true }, nil},
		{"insecure", func(o *directory.Options) { o.URLs, o.Insecure = []string{"ldap://a"}, true }, nil},
		{"anonymous", func(o *directory.Options) { o.BindDN, o.BindPassword = "", "" }, nil},
		{"IPv6", func(o *directory.Options) { o.URLs = []string{"ldaps://[::1]:636"} }, nil},
		{"unknown preset", func(o *directory.Options) { o.Preset = "novell" }, []string{"preset"}},
		{"mistyped preset", func(o *directory.Options) {
			o.Preset, o.Domain, o.BindDN = "activedirectory", "EXAMPLE", "reader@example.test"
		}, []string{"preset"}},
		{"no preset", func(o *directory.Options) { o.Preset = "" }, []string{"preset"}},
		{"no preset and another fault", func(o *directory.Options) { o.Preset, o.BaseDN = "", "people" },
			[]string{"base_dn", "preset"}},
		{"fields in place of a preset, and one alone", func(o *directory.Options) {
			o.Preset, o.LoginAttribute = "", "uid"
		}, []string{"first_name_attribute", "group_id_attribute", "group_mode", "group_name_attribute", "id_attribute",
			"last_name_attribute", "login_filter", "mail_attribute"}},
		{"no server", func(o *directory.Options) { o.URLs = nil }, []string{"urls"}},
		{"LDAP-03 plain", func(o *directory.Options) { o.URLs = []string{"ldap://a"} }, []string{"urls"}},
		{"LDAP-03 one of two plain", func(o *directory.Options) { o.URLs = append(o.URLs, "ldap://a") }, []string{"urls"}},
		{"other scheme", func(o *directory.Options) { o.URLs = []string{"http://a"} }, []string{"urls"}},
		{"user in URL", func(o *directory.Options) { o.URLs = []string{"ldaps://u:secret-of-the-service@a"} },
			[]string{"urls"}},
		{"path in URL", func(o *directory.Options) { o.URLs = []string{"ldaps://a/dc=x"} }, []string{"urls"}},
		{"not a URL", func(o *directory.Options) { o.URLs = []string{"ldaps://u:secret-of-the-service@a:b"} },
			[]string{"urls"}},
		{"StartTLS over ldaps", func(o *directory.Options) { o.StartTLS = true }, []string{"start_tls"}},
		{"StartTLS and insecure", func(o *directory.Options) {
			o.URLs, o.StartTLS, o.Insecure = []string{"ldap://a"}, true,
				true
		}, []string{"insecure"}},
		{"CA without TLS", func(o *directory.Options) { o.URLs, o.Insecure, o.CAFile = []string{"ldap://a"}, true, notPEM },
			[]string{"ca_file"}},
		{"CA file missing", func(o *directory.Options) { o.CAFile = filepath.Join(dir, "missing") }, []string{"ca_file"}},
		{"CA file no PEM", func(o *directory.Options) { o.CAFile = notPEM }, []string{"ca_file"}},
		{"bind DN alone", func(o *directory.Options) { o.BindPassword = "" }, []string{"bind_password"}},
		{"bind DN malformed", func(o *directory.Options) { o.BindDN = "reader" }, []string{"bind_dn"}},
		{"base DN missing", func(o *directory.Options) { o.BaseDN = "" }, []string{"base_dn"}},
		{"base DN malformed", func(o *directory.Options) { o.BaseDN = "dc=example,,dc=test" }, []string{"base_dn"}},
		{"group base DN malformed", func(o *directory.Options) { o.GroupBaseDN = "groups" }, []string{"group_base_dn"}},
		{"filter without login", func(o *directory.Options) { o.LoginFilter = "(uid=alice)" }, []string{"login_filter"}},
		{"filter with login as attribute", func(o *directory.Options) { o.LoginFilter = "({login}=alice)" },
			[]string{"login_filter"}},
		{"filter with unknown placeholder", func(o *directory.Options) { o.LoginFilter = "(|(uid={login})(mail={mail}))" },
			[]string{"login_filter"}},
		{"filter with dn", func(o *directory.Options) { o.LoginFilter = "(|(uid={login})(member={dn}))" },
			[]string{"login_filter"}},
		{"filter not closed", func(o *directory.Options) { o.LoginFilter = "(&(uid={login})" }, []string{"login_filter"}},
		{"filter with rest", func(o *directory.Options) { o.LoginFilter = "(uid={login})(cn=*)" }, []string{"login_filter"}},
		{"filter without parenthesis", func(o *directory.Options) { o.LoginFilter = "uid={login}" },
			[]string{"login_filter"}},
		{"filter too deep", func(o *directory.Options) {
			o.LoginFilter = strings.Repeat("(!", 50) + "(uid={login})" + strings.Repeat(")", 50)
		}, []string{"login_filter"}},
		{"filter empty set", func(o *directory.Options) { o.LoginFilter = "(&)" }, []string{"login_filter"}},
		{"filter bad escape", func(o *directory.Options) { o.LoginFilter = `(uid={login}\zz)` }, []string{"login_filter"}},
		{"group filter without placeholder", func(o *directory.Options) { o.GroupFilter = "(cn=staff)" },
			[]string{"group_filter"}},
		{"group filter unused", func(o *directory.Options) { o.GroupMode, o.GroupFilter = "member_of", "(member={dn})" },
			[]string{"group_filter"}},
		{"group mode unknown", func(o *directory.Options) { o.GroupMode = "guess" }, []string{"group_mode"}},
		{"ad mode without rule", func(o *directory.Options) {
			o.Preset, o.GroupFilter = "active_directory", "(member={dn})"
		}, []string{"group_filter"}},
		{"attribute name", func(o *directory.Options) { o.MailAttribute = "mail)(uid=*" }, []string{"mail_attribute"}},
		{"secret attribute", func(o *directory.Options) { o.ExtraAttributes = []string{"USERPASSWORD"} },
			[]string{"extra_attributes"}},
		{"too many attributes", func(o *directory.Options) { o.ExtraAttributes = slices.Repeat([]string{"cn"}, 51) },
			[]string{"extra_attributes"}},
		{"domain on openldap", func(o *directory.Options) { o.Domain = "EXAMPLE" }, []string{"domain"}},
		{"numbers", func(o *directory.Options) {
			o.MaxDepth, o.MaxGroups, o.PoolSize, o.BindPoolSize = -1, 1_000_000, -5, 5000
		}, []string{"bind_pool_size", "max_depth", "max_groups", "pool_size"}},
		{"durations", func(o *directory.Options) {
			o.DialTimeout, o.OpTimeout, o.Cooldown = -time.Second, 1, 48*time.Hour
		}, []string{"cooldown", "dial_timeout", "op_timeout"}},
		{"timeout too short", func(o *directory.Options) { o.Timeout = time.Second }, []string{"timeout"}},
		{"several at once", func(o *directory.Options) {
			o.URLs, o.BaseDN, o.LoginFilter, o.MaxDepth = []string{"ldap://a"}, "x", "(", -1
		}, []string{"base_dn", "login_filter", "max_depth", "urls"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := good()
			c.change(&o)
			d, err := directory.New(o)
			if err == nil {
				_ = d.Close()
			} else if strings.Contains(err.Error(), "secret-of-the-service") {
				t.Errorf("the error repeats a password: %v", err)
			}
			if got := fieldsOf(err); !slices.Equal(got, c.want) {
				t.Errorf("got faults in %q, want %q; error: %v", got, c.want, err)
			}
		})
	}
}

// LDAP-03: an insecure server is warned about.
func TestLDAP03InsecureWarns(t *testing.T) {
	var log bytes.Buffer
	o := directory.Options{Preset: "openldap", URLs: []string{"ldap://127.0.0.1:1"}, Insecure: true, BaseDN: "dc=x",
		Logger: slog.New(slog.NewTextHandler(&log, nil))}
	open(t, o)
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "in clear") {
		t.Errorf("no warning in the log: %q", log.String())
	}
}

func TestFreeConfiguration(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	o := s.Options()
	o.Preset = ""
	o.LoginFilter, o.LoginAttribute, o.IDAttribute = "(&(objectClass=inetOrgPerson)(|(uid={login})(mail={login})))",
		"uid", "entryUUID"
	o.FirstNameAttribute, o.LastNameAttribute, o.MailAttribute = "givenName", "sn", "mail"
	o.GroupMode, o.GroupFilter, o.GroupIDAttribute, o.GroupNameAttribute = "search", "(member={dn})", "entryUUID", "cn"
	d := open(t, o)
	for _, login := range []string{"alice", "alice@example.test"} {
		e, err := d.Authenticate(t.Context(), login, directorytest.Password)
		if err != nil || e.Login != "alice" {
			t.Errorf("%s: got login %q, error %v; want alice", login, e.Login, err)
		}
	}
}
