package claims_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/idp/claims"
)

// TestWithinBounds: whatever a genuine token says, the person is one of its source's own, and what the source gives is
// within its lists.
func TestWithinBounds(t *testing.T) {
	s := portal(t)
	v := verifier(t, s)
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a07e1lxqqqo0", "A07E1LXQQQO0", "a07f", "a07fzzz",
			"a07e1lxqqqo1", "*", "a07f*", "owner", "account_manager", "Account_Manager", "source-other.abc",
			"00000000-0000-0000-0000-000000000001"}))
		value := rapid.OneOf(rapid.Map(text, func(s string) any { return s }), rapid.Just(any(nil)),
			rapid.Map(rapid.Int(), func(n int) any { return n }),
			rapid.Map(rapid.SliceOfN(text, 0, 4), func(s []string) any { return s }))
		grants := rapid.SliceOfN(rapid.Map(rapid.SliceOfN(text, 2, 2), func(p []string) map[string]string {
			return map[string]string{"account": p[0], "role": p[1]}
		}), 0, 4).Draw(r, "accounts")
		changes := map[string]any{"accounts": grants}
		for _, name := range []string{"sub", "preferred_username", "given_name", "email", "groups", "person_id", "role",
			"owner", "account"} {
			if rapid.Bool().Draw(r, "set "+name) {
				changes[name] = value.Draw(r, name)
			}
		}
		got, bad := v.Verify(t.Context(), es256(t, changes), claims.TypeLaunch, nil)
		if bad != nil {
			return
		}
		if claims.SourceOf(got.Person.ID) != s.Name || got.Person.ID != s.PersonID(got.Sub) {
			r.Fatalf("person %q of sub %q is not the source's own", got.Person.ID, got.Sub)
		}
		if !strings.HasPrefix(got.Person.Login, "portal:") {
			r.Fatalf("login %q does not name the source", got.Person.Login)
		}
		for _, g := range got.Person.Grants {
			within := (g.Account == "a07e1lxqqqo0" || strings.HasPrefix(g.Account, "a07f")) && g.Role == "account_manager"
			if s.Allows(g.Account, g.Role, same) && !within {
				r.Fatalf("gives %+v", g)
			}
		}
	})
}

func same(id string) string { return id }

func TestAllowsNothingByDefault(t *testing.T) {
	s := portal(t)
	if !s.Allows("a07e1lxqqqo0", "account_manager", same) || !s.Allows("a07f1", "account_manager", same) {
		t.Error("refuses what its lists name")
	}
	for _, c := range [][2]string{{"a07e1lxqqqo1", "account_manager"}, {"a07e1lxqqqo0", "owner"}, {"", "account_manager"},
		{"a07e1lxqqqo0", ""}, {"a07f/1", "account_manager"}} {
		if s.Allows(c[0], c[1], same) {
			t.Errorf("allows %v", c)
		}
	}
	s.AllowAccounts = nil
	if s.Allows("a07e1lxqqqo0", "account_manager", same) {
		t.Error("an empty list of accounts allows something")
	}
	s = portal(t)
	s.AllowRoles = nil
	if s.Allows("a07e1lxqqqo0", "account_manager", same) {
		t.Error("an empty list of roles allows something")
	}
}

// TestPersonIDs: one form, two sources never share one, and none is anybody's of a directory.
func TestPersonIDs(t *testing.T) {
	a, b := portal(t), portal(t)
	b.Name = "portal2"
	ids := []string{a.PersonID("u"), b.PersonID("u"), a.PersonID("U"), a.PersonID("u "), b.PersonID("")}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 5 {
		t.Errorf("ids are shared: %v", ids)
	}
	if got := claims.SourceOf(a.PersonID("u")); got != "portal" {
		t.Errorf("SourceOf: got %q", got)
	}
	for _, id := range []string{"", "portal", "source-", "source-.x", "source-A.x",
		"00000000-0000-0000-0000-000000000001"} {
		if got := claims.SourceOf(id); got != "" {
			t.Errorf("SourceOf(%q): got %q", id, got)
		}
	}
}

func TestSourceCheck(t *testing.T) {
	for name, change := range map[string]func(*claims.Source){
		"name":            func(s *claims.Source) { s.Name = "Portal" },
		"issuer":          func(s *claims.Source) { s.Issuer = "" },
		"subject":         func(s *claims.Source) { s.Subject = "email" },
		"no keys":         func(s *claims.Source) { s.Keys = nil },
		"keys and set":    func(s *claims.Source) { s.JWKS = "https://portal.example.com/jwks" },
		"origin":          func(s *claims.Source) { s.Origins = []string{"https://portal.example.com/"} },
		"origin null":     func(s *claims.Source) { s.Origins = []string{"null"} },
		"allowed pattern": func(s *claims.Source) { s.AllowAccounts = []string{"[a-z]*"} },
		"skew":            func(s *claims.Source) { s.Skew = 61e9 },
	} {
		s := portal(t)
		if change(s); s.Check() == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	s := portal(t)
	s.Origins = []string{"https://portal.example.com"}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	for origin, want := range map[string]bool{"https://portal.example.com": true, "": false, "null": false,
		"https://portal.example.com.evil.test": false, "http://portal.example.com": false} {
		if s.OfOrigin(origin) != want {
			t.Errorf("OfOrigin(%q): want %v", origin, want)
		}
	}
}
