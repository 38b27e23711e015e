package directory_test

import (
	"errors"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

func TestSearchPeople(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	d := open(t, s.Options())
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"login", "ali", []string{"alice"}},
		{"capitals", "ALI", []string{"alice"}},
		{"first and last name", "bob bra", []string{"bob"}},
		{"last name first", "brandt bob", []string{"bob"}},
		{"mail", "bob@example", []string{"bob"}},
		{"beyond ASCII", "zoë", []string{"zoe"}},
		{"nobody", "nobody-of-that-name", nil},
		{"a filter is text", "*)(uid=*", nil},
		{"a star is text", "a*", nil},
		{"a backslash is text", `al\69ce`, nil},
		{"one word that fits, one that does not", "alice brandt", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			people, more, err := d.SearchPeople(t.Context(), c.text, 10)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range people {
				got = append(got, p.Login)
				if p.ID == "" || p.DN == "" || p.Name == "" {
					t.Errorf("incomplete: %+v", p)
				}
			}
			if strings.Join(got, " ") != strings.Join(c.want, " ") || more {
				t.Errorf("got %v, more %v, want %v", got, more, c.want)
			}
		})
	}
	for _, text := range []string{"", "a", " a ", strings.Repeat("x", 101), "a\x00b", "a b c d e f", "\xff\xfe"} {
		if _, _, err := d.SearchPeople(t.Context(), text, 10); !errors.Is(err, directory.ErrLookup) {
			t.Errorf("%q: got %v, want ErrLookup", text, err)
		}
	}
	people, more, err := d.SearchPeople(t.Context(), "example.test", 2)
	if err != nil || more || len(people) != 0 {
		t.Errorf("the end of a mail is no beginning: got %v, %v, %v", people, more, err)
	}
}

func TestSearchGroups(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	d := open(t, s.Options())
	groups, more, err := d.SearchGroups(t.Context(), "ring", 2)
	if err != nil || !more || len(groups) != 2 {
		t.Errorf("two of three: got %d, more %v, %v", len(groups), more, err)
	}
	groups, more, err = d.SearchGroups(t.Context(), "ring", 3)
	if err != nil || more || len(groups) != 3 || groups[0].ID == "" {
		t.Errorf("three of three: got %+v, more %v, %v", groups, more, err)
	}
	if groups, _, err = d.SearchGroups(t.Context(), "<i>Marketing</i> & Söhne", 5); err != nil || len(groups) != 1 {
		t.Errorf("a name that must be escaped: got %v, %v", groups, err)
	}
	if groups, _, err = d.SearchGroups(t.Context(), "*)(objectClass=*", 5); err != nil || len(groups) != 0 {
		t.Errorf("a filter is text: got %v, %v", groups, err)
	}
	if groups, _, err = d.SearchGroups(t.Context(), "alice", 5); err != nil || len(groups) != 0 {
		t.Errorf("a person is no group: got %v, %v", groups, err)
	}
}

func TestMembers(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	d := open(t, s.Options())
	members, total, err := d.Members(t.Context(), s.GroupDN("sales"), 10)
	if err != nil || total != 2 || len(members) != 2 || members[0].Name != "bob" || members[1].Name != "emea" ||
		!directory.SameDN(members[1].DN, s.GroupDN("emea")) {
		t.Errorf("sales: got %+v, %d, %v", members, total, err)
	}
	members, total, err = d.Members(t.Context(), s.GroupDN("everybody"), 10)
	if err != nil || total != 2000 || len(members) != 10 {
		t.Errorf("everybody: got %d of %d, %v", len(members), total, err)
	}
	for _, dn := range []string{"", "no dn", s.GroupDN("nothing-of-that-name")} {
		if _, _, err := d.Members(t.Context(), dn, 10); err == nil {
			t.Errorf("%q: no error", dn)
		}
	}
}
