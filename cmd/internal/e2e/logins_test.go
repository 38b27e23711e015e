package e2e_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// ID-02: a login is resolved to the person that the directory has, however it is typed: each spelling is refused, or it
// is that person's in everything, the counter of wrong passwords included. Which spellings mean a person is the
// directory's matching rule alone.
func TestLoginIsThePersonOnRecord(t *testing.T) {
	t.Parallel()
	const (
		no     = iota
		yes    // it means the person
		either // as the directory says, in everything alike
	)
	type spelling struct {
		name, typed string
		means       int
	}
	spellings := func(login string) []spelling {
		return []spelling{
			{"as recorded", login, yes},
			{"capitals", strings.ToUpper(login), yes},
			{"one capital", strings.ToUpper(login[:1]) + login[1:], yes},
			{"zero-width space", login[:2] + "\u200b" + login[2:], no},
			{"Cyrillic", strings.Replace(login, "i", "\u0456", 1), no},
			{"percent-encoded", "%" + "68" + login[1:], no},
			{"a wildcard", login[:2] + "*", no},
			{"a filter", login + ")(uid=*", no},
			{"a DN", "uid=" + login, no},
			{"NUL behind it", login + "\x00", no},
		}
	}
	run := func(t *testing.T, w *world, person string, all []spelling) {
		db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		// tries are the counters of people, as one text.
		tries := func(t *testing.T) (text string) {
			t.Helper()
			if err := db.QueryRow("SELECT COALESCE(GROUP_CONCAT(subject || ' ' || taken, ', '), '') FROM tries WHERE kind = " +
				"'person'").Scan(&text); err != nil {
				t.Fatal(err)
			}
			return text
		}
		counted := ""
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				if _, err := db.Exec("DELETE FROM tries"); err != nil {
					t.Fatal(err)
				}
				c := newClient(t)
				p := c.login(c.get(w.launch("")), s.typed, "Wrong-password-1!")
				if p.delivers() {
					t.Fatal("signed in by a wrong password")
				}
				got := tries(t)
				if s.name == "as recorded" {
					counted = got
				}
				means := s.means == yes || s.means == either && got != ""
				if want := map[bool]string{true: counted}[means]; counted == "" || got != want {
					t.Errorf("counted are %q, want %q", got, want)
				}
				c = newClient(t)
				p = c.goOn(c.login(c.get(w.launch("")), s.typed, password))
				switch {
				case means:
					c.deliver(p).says(person)
				case p.delivers() || p.Status < 400:
					t.Errorf("%q was taken for %s: %d\n%s", s.typed, person, p.Status, p.text())
				}
			})
		}
		if n := len(w.sandbox.Created()); n != 1 {
			t.Errorf("%d users were created for one person", n)
		}
	}
	t.Run("OpenLDAP", func(t *testing.T) {
		run(t, newWorld(t, setting{mappings: [][]string{{"--group", directorytest.SharedSlapd(t).GroupDN("emea"), "--account",
			club, "--role", "campaign_creator"}}}),
			"Heidi Nested", append(spellings("heidi"),
				spelling{"blanks around it", " heidi ", yes},
				// The rules of uid fold these (RFC 4518 2.2, 2.3 and 2.6.1).
				spelling{"full width", "\uff48eidi", yes},
				spelling{"no-break space", "heidi\u00a0", yes},
				spelling{"a line break", "heidi\n", yes},
			))
	})
	t.Run("Active Directory", func(t *testing.T) {
		ad := directorytest.SharedSamba(t)
		o := ad.Options()
		w := newWorld(t, setting{
			directory: map[string]string{
				"directory.preset": "active_directory", "directory.urls": o.URLs[0], "directory.ca_file": o.CAFile,
				"directory.bind_dn": o.BindDN, "directory.base_dn": o.BaseDN, "directory.domain": o.Domain,
				"bind_password": o.BindPassword,
			},
			mappings: [][]string{{"--group", ad.GroupDN("emea"), "--account", club, "--role", "campaign_creator"}},
		})
		run(t, w, "Heidi Nested", append(spellings("heidi"),
			spelling{"UPN", "heidi@" + ad.DNSDomain, yes},
			spelling{"UPN in capitals", strings.ToUpper("heidi@" + ad.DNSDomain), yes},
			spelling{"with the domain", o.Domain + `\heidi`, yes},
			spelling{"with the domain in small letters", strings.ToLower(o.Domain) + `\HEIDI`, yes},
			spelling{"with another domain", `OTHER\heidi`, no},
			spelling{"blanks around it", " heidi ", either},
			spelling{"full width", "\uff48eidi", either},
			spelling{"no-break space", "heidi\u00a0", either},
			spelling{"a line break", "heidi\n", either},
		))
	})
}
