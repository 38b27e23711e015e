package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A token of one client account sees that one, in items, names, counts and errors: what is outside and what is not
// there are answered alike. REST-08
func TestAPIConfinement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apiSetting())
	w.command(t, "accounts", "list", "--refresh")
	for _, user := range []struct{ login, account string }{{"alice", books}, {"zoe", books}, {"zoe", bakery}} {
		// Who is not given the account stays out: the list below has what could be created.
		_, _ = w.tryCommand("users", "create", user.login, user.account)
	}
	all := w.caller(t, allScopes())
	one := w.caller(t, "accounts:read,mappings:read,users:read,users:write,tasks:write", "--account", books)
	var accounts struct{ Items []struct{ ID string } }
	one.get("/accounts", &accounts)
	if len(accounts.Items) != 1 || accounts.Items[0].ID != books {
		t.Errorf("client accounts: %+v", accounts)
	}
	one.get("/accounts/"+strings.ToUpper(books), nil)
	if r := one.call(http.MethodGet, "/accounts/"+books, nil, "Authorization", "bearer "+one.token); r.status != 200 {
		t.Errorf("the scheme in other letters: %d %s", r.status, r.body)
	}
	var users struct{ Items []struct{ Account string } }
	one.get("/users", &users)
	for _, u := range users.Items {
		if u.Account != books {
			t.Errorf("a user in another client account: %+v", u)
		}
	}
	if len(users.Items) == 0 {
		t.Error("no user of its own")
	}
	var everywhere struct{ Items []struct{ Account string } }
	all.get("/users", &everywhere)
	if !slices.ContainsFunc(everywhere.Items, func(u struct{ Account string }) bool { return u.Account != books }) {
		t.Logf("all users are in %s", books)
	}
	for _, who := range []string{"nosuchperson", "bob"} { // the second is in the directory, and not in this account
		if r := one.get("/users?person="+who, nil); string(r.body) != "{\"items\":[]}\n" {
			t.Errorf("%s: %s", who, r.body)
		}
	}
	var mappings struct{ Items []struct{ Account string } }
	one.get("/mappings", &mappings)
	for _, m := range mappings.Items {
		if m.Account != books {
			t.Errorf("a mapping of another client account: %+v", m)
		}
	}
	same := func(method, outside, missing string) {
		t.Helper()
		a, b := one.call(method, outside, nil), one.call(method, missing, nil)
		one.refused(outside, a, http.StatusNotFound, "not_found")
		cut := func(r reply) string { // all but the reference
			text, _, _ := strings.Cut(string(r.body), `"reference"`)
			return text
		}
		if cut(a) != cut(b) {
			t.Errorf("%s and %s differ:\n%s\n%s", outside, missing, a.body, b.body)
		}
	}
	const nosuch = "a07e1lxqqzz9"
	same(http.MethodGet, "/accounts/"+bakery, "/accounts/"+nosuch)
	same(http.MethodGet, "/users?account="+bakery, "/users?account="+nosuch)
	same(http.MethodGet, "/accounts/"+bakery+"/users/zoe", "/accounts/"+nosuch+"/users/zoe")
	same(http.MethodGet, "/accounts/"+bakery+"/users/zoe", "/accounts/"+books+"/users/nobody")
	same(http.MethodGet, "/mappings/1", "/mappings/999999")
	for _, act := range []string{"retry", "suspend", "resume", "tasks/leaver/done"} {
		same(http.MethodPost, "/accounts/"+bakery+"/users/zoe/"+act, "/accounts/"+nosuch+"/users/zoe/"+act)
	}
	// Who has no user there is nobody, whether the directory knows them or not.
	for _, act := range []string{"retry", "suspend", "resume", "tasks/leaver/done"} {
		same(http.MethodPost, "/accounts/"+books+"/users/bob/"+act, "/accounts/"+books+"/users/nobody/"+act)
	}
	one.refused("all traces", one.call(http.MethodGet, "/traces", nil), http.StatusForbidden, "scope")
}
