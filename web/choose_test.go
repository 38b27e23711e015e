package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// manyChoices are accounts of which the last has a name of HTML.
func manyChoices(n int) []provisioning.Assignment {
	all := make([]provisioning.Assignment, n)
	for i := range all {
		all[i] = provisioning.Assignment{Account: store.AccountID(fmt.Sprintf("a07e%04d", i)),
			Name: fmt.Sprintf("Client %04d", i), Role: store.AccountManager}
	}
	all[n-1].Name = `<script>alert("1")</script>`
	return all
}

// COST-56: of thousands of accounts the chooser shows a page, and finds the others by name and id; whatever is asked
// for, a page is shown.
func TestChooseAmongMany(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.ChooseAccount{SignIn: "one", Provider: "Constant Contact", Person: "anna",
		Choices: manyChoices(3000)}}
	const own = "/login?s=one"
	for _, c := range []struct {
		name, query string
		first, last string // of the accounts shown; "" for none
		status      string // what the page says of them
		prev, next  bool
	}{
		{"first page", "", "a07e0000", "a07e0024", "1 to 25 of 3,000 accounts.", false, true},
		{"a page between", "&page=60", "a07e1475", "a07e1499", "1,476 to 1,500 of 3,000 accounts.", true, true},
		{"the last page", "&page=120", "a07e2975", "a07e2999", "2,976 to 3,000 of 3,000 accounts.", true, false},
		{"a page too far", "&page=121", "a07e2975", "a07e2999", "2,976 to 3,000 of 3,000 accounts.", true, false},
		{"a page beyond all numbers", "&page=" + strings.Repeat("9", 400), "a07e2975", "a07e2999",
			"2,976 to 3,000 of 3,000 accounts.", true, false},
		{"page 0", "&page=0", "a07e0000", "a07e0024", "1 to 25 of 3,000 accounts.", false, true},
		{"a negative page", "&page=-7", "a07e0000", "a07e0024", "1 to 25 of 3,000 accounts.", false, true},
		{"no number", "&page=" + url.QueryEscape(`"><b>`), "a07e0000", "a07e0024", "1 to 25 of 3,000 accounts.", false, true},
		{"found by name", "&find=cLiEnT+001", "a07e0010", "a07e0019", "1 to 10 of 10 accounts.", false, false},
		{"found by id", "&find=+A07E2345+", "a07e2345", "a07e2345", "1 to 1 of 1 account.", false, false},
		{"found, next page", "&find=client+1&page=2", "a07e1025", "a07e1049", "26 to 50 of 1,000 accounts.", true, true},
		{"found by HTML", "&find=" + url.QueryEscape("<script>"), "a07e2999", "a07e2999",
			"1 to 1 of 1 account.", false, false},
		{"nothing found", "&find=" + url.QueryEscape(`"><script>x`), "", "", "No account has this name or id.", false, false},
		{"10 KB", "&find=" + strings.Repeat("x", 10<<10), "", "", "No account has this name or id.", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := r.get(own + c.query)
			wantStatus(t, resp, http.StatusOK)
			if len(resp.body) > 100<<10 {
				t.Errorf("%d bytes, want at most 100 KB", len(resp.body))
			}
			page := resp.page(t)
			var shown []string
			for _, b := range page.all("button", "name", "account") {
				shown = append(shown, b.attr("value"))
			}
			if c.first == "" && len(shown) > 0 || c.first != "" && (len(shown) == 0 || shown[0] != c.first ||
				shown[len(shown)-1] != c.last) {
				t.Errorf("accounts: got %v, want %s to %s", shown, c.first, c.last)
			}
			if got := page.one(t, "p", "role", "status").text(); !strings.HasPrefix(got, c.status) {
				t.Errorf("status: got %q, want %q", got, c.status)
			}
			if prev, next := len(page.all("a", "rel", "prev")) > 0, len(page.all("a", "rel", "next")) > 0; prev != c.prev ||
				next != c.next {
				t.Errorf("links: previous %t, next %t", prev, next)
			}
			for _, rel := range []string{"prev", "next"} {
				for _, a := range page.all("a", "rel", rel) {
					wantStatus(t, r.get(a.attr("href")), http.StatusOK)
				}
			}
			if len(page.all("script")) > 0 || strings.Contains(resp.body, "<b>") {
				t.Error("HTML of an account or of a query is on the page")
			}
		})
	}
	// The search is a form for everybody: a label, no script, and it comes back to this sign-in.
	page := r.get(own).page(t)
	form := page.one(t, "form", "role", "search")
	if form.attr("action") != "/login" || form.attr("method") != "get" || form.one(t, "input", "name",
		"s").attr("value") == "" {
		t.Errorf("the search form leads to %s %s", form.attr("method"), form.attr("action"))
	}
	if label := page.one(t, "label", "for", "find").text(); label != "Find an account by name or id" {
		t.Errorf("label: %q", label)
	}
	// A query that stands twice is refused, as everywhere.
	wantStatus(t, r.get(own+"&find=a&find=b"), http.StatusBadRequest)
}

// Few accounts are offered as ever: all of them, without a search.
func TestChooseAmongFew(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.ChooseAccount{SignIn: "one", Provider: "Constant Contact", Person: "anna",
		Choices: manyChoices(25)}}
	page := r.get("/login?s=one" + "&find=nothing&page=9").page(t)
	if got := len(page.all("button", "name", "account")); got != 25 {
		t.Errorf("%d accounts, want all 25", got)
	}
	if len(page.all("form", "role", "search")) > 0 || len(page.all("nav")) > 0 {
		t.Error("a search or pages for 25 accounts")
	}
}
