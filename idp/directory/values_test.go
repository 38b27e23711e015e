package directory_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// REAL-41: immutable ids that are octets, in every form in which somebody may name them.
func TestREAL41BinaryIDs(t *testing.T) {
	raw := "\xff\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
	for _, c := range []struct{ preset, attribute, raw, want string }{
		{"edirectory", "", raw, "ff020304-0506-0708-090a-0b0c0d0e0f10"},
		{"openldap", "guid", raw, "ff020304-0506-0708-090a-0b0c0d0e0f10"},
		{"active_directory", "", raw, "040302ff-0605-0807-090a-0b0c0d0e0f10"},
		{"active_directory", "", "040302FF-0605-0807-090A-0B0C0D0E0F10", "040302ff-0605-0807-090a-0b0c0d0e0f10"}, // as text
		{"edirectory", "", "FF020304-0506-0708-090a-0b0c0d0e0f10", "ff020304-0506-0708-090a-0b0c0d0e0f10"},
		{"openldap", "someOctets", raw, "hex-ff02030405060708090a0b0c0d0e0f10"},
		{"openldap", "someOctets", "\x00", "hex-00"},
		{"openldap", "someOctets", "plain text", "plain text"},
		{"openldap", "someOctets", "hex-ff", ""}, // could be somebody else's octets
		{"openldap", "someOctets", strings.Repeat("\xff", 127), ""},
		{"edirectory", "", "\xff\x01", ""},
		{"openldap", "someOctets", "", ""},
	} {
		t.Run(fmt.Sprintf("%s %s %q", c.preset, c.attribute, c.raw), func(t *testing.T) {
			f := startFake(t)
			a := foreignPerson(nil)
			for _, name := range []string{"objectGUID", "GUID", "someOctets"} {
				a[name] = []string{c.raw}
			}
			f.person("uid=alice,dc=fake", a)
			o := f.options(c.preset)
			o.IDAttribute = c.attribute
			d := open(t, o)
			e, err := d.Authenticate(t.Context(), "alice", "right")
			if c.want == "" {
				wantProblem(t, err, directory.BadData)
				return
			}
			if err != nil || e.ID != c.want {
				t.Fatalf("got the id %q, %v; want %q", e.ID, err, c.want)
			}
			typed := []string{e.ID}
			if len(c.raw) == 16 && c.attribute != "someOctets" {
				typed = append(typed, strings.ToUpper(e.ID), "{"+e.ID+"}", base64.StdEncoding.EncodeToString([]byte(c.raw)),
					fmt.Sprintf("%x", c.raw), fmt.Sprintf("%X", c.raw))
			}
			for _, id := range typed {
				if again, err := d.Read(t.Context(), id); err != nil || again.ID != e.ID || again.Problem != "" {
					t.Errorf("Read of %q: got %+v, %v", id, again, err)
				}
			}
		})
	}
}

// REAL-42: what nobody sees around names and mail addresses is left out, and the first valid mail address is taken.
func TestREAL42NamesAndMail(t *testing.T) {
	for _, c := range []struct {
		first, last, mail             []string
		wantFirst, wantLast, wantMail string
	}{
		{[]string{"Alice"}, []string{"Anders"}, []string{"alice@example.test"}, "Alice", "Anders", "alice@example.test"},
		{[]string{" Alice\u00a0"}, []string{"\ufeffAnders\u200b"}, []string{"\u200balice@example.test\t\r\n"},
			"Alice", "Anders", "alice@example.test"},
		{[]string{"Anna Lena"}, []string{"van\u00a0Dyk "}, []string{"\u2060alice@example.test\u3000"},
			"Anna Lena", "van\u00a0Dyk", "alice@example.test"},
		{[]string{" ", "Al"}, []string{"\u200b"}, []string{"none", "x@", "@example.test", "alice@localhost",
			"a b@example.test", "alice@example.test ", "second@example.test"}, "Al", "", "alice@example.test"},
		{nil, nil, []string{"smtp:alice@example.test", "\u00a0alice@example.test"}, "", "", "alice@example.test"},
		{nil, nil, []string{"a@b@example.test", "alice@example..test", "alice.@example.test", "<alice@example.test>",
			"\u00e9l\u00e8ve@b\u00fccher.example"}, "", "", "\u00e9l\u00e8ve@b\u00fccher.example"},
		{nil, nil, []string{strings.Repeat("a", 250) + "@example.test", "alice@example.test"}, "", "", "alice@example.test"},
		{nil, nil, []string{" not set "}, "", "", "not set"}, // whoever uses it says what is wrong
		{nil, nil, []string{"\u00a0"}, "", "", ""},
	} {
		t.Run(fmt.Sprintf("%q %q %q", c.first, c.last, c.mail), func(t *testing.T) {
			f := startFake(t)
			f.person("uid=alice,dc=fake", foreignPerson(map[string][]string{"givenName": c.first, "sn": c.last, "mail": c.mail}))
			e, err := open(t, f.options("openldap")).Authenticate(t.Context(), "alice", "right")
			if err != nil || e.FirstName != c.wantFirst || e.LastName != c.wantLast || e.Mail != c.wantMail {
				t.Errorf("got %q %q %q, %v; want %q %q %q", e.FirstName, e.LastName, e.Mail, err, c.wantFirst,
					c.wantLast, c.wantMail)
			}
		})
	}
}

// REAL-42: what nobody sees around a login does not count either.
func TestREAL42Logins(t *testing.T) {
	d := open(t, directorytest.SharedSlapd(t).Options())
	for _, login := range []string{" alice ", "\u00a0alice", "alice\u200b", "\ufeffalice\u2060", "alice\u3000"} {
		if e, err := d.Authenticate(t.Context(), login, directorytest.Password); err != nil || e.Login != "alice" {
			t.Errorf("%q: got %q, %v", login, e.Login, err)
		}
	}
	for _, login := range []string{"", " ", "\u200b", "al\u00a0ice", "alice\n", "alice\x00"} {
		_, err := d.Authenticate(t.Context(), login, directorytest.Password)
		wantProblem(t, err, directory.BadCredentials)
	}
}

// REAL-51: a group outside of the group base is refused where somebody maps it: it would hit nobody.
func TestREAL51GroupOutsideOfTheBase(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	o := s.Options()
	o.GroupBaseDN = "ou=people," + s.BaseDN
	_, err := open(t, o).Group(t.Context(), s.GroupDN("staff"))
	wantProblem(t, err, directory.BadData)
	if err == nil || !strings.Contains(err.Error(), "group_base_dn") {
		t.Errorf("the error does not name the setting: %v", err)
	}
	for _, base := range []string{"", "ou=groups," + s.BaseDN, "OU=Groups, " + strings.ToUpper(s.BaseDN),
		s.GroupDN("staff")} {
		o.GroupBaseDN = base
		if g, err := open(t, o).Group(t.Context(), s.GroupDN("staff")); err != nil || g.Name != "staff" {
			t.Errorf("base %q: %+v, %v", base, g, err)
		}
	}
}
