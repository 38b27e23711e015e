package web_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/web"
)

// endless is randomness that is always the same, so that pages can be compared.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

// TestGoldenPages executes every template in each of its shapes and languages.
func TestGoldenPages(t *testing.T) {
	for language, folder := range map[string]string{"en": "", "es": "es"} {
		t.Run(language, func(t *testing.T) { goldenPages(t, language, filepath.Join("testdata", "pages", folder)) })
	}
}

func goldenPages(t *testing.T, language, folder string) {
	r := newRig(t, func(o *web.Options) { o.Random = endless{} })
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			resp := r.get(s.prepare(r), "Cookie", sessionCookie+"="+sampleSession, "Accept-Language", language)
			wantStatus(t, resp, s.status)
			if got := resp.Header.Get("Content-Language"); got != language || resp.Header.Get("Vary") != "Accept-Language" {
				t.Errorf("Content-Language %q, Vary %q", got, resp.Header.Get("Vary"))
			}
			file := filepath.Join(folder, s.name+".html")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(resp.body), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), resp.body); diff != "" {
				t.Errorf("page differs from %s (-want +got); -update rewrites it\n%s", file, diff)
			}
		})
	}
}

// TestPagesInFrench executes them once more: what they say is compared with the first language by its catalogue.
func TestPagesInFrench(t *testing.T) {
	r := newRig(t, nil)
	for _, s := range samples() {
		resp := r.get(s.prepare(r), "Cookie", sessionCookie+"="+sampleSession, "Accept-Language", "fr-CA,fr;q=0.9,en;q=0.8")
		wantStatus(t, resp, s.status)
		if got := resp.page(t).one(t, "html").attr("lang"); got != "fr-CA" {
			t.Errorf("%s is in %q", s.name, got)
		}
	}
}

// TestEveryTemplateIsShown keeps samples complete.
func TestEveryTemplateIsShown(t *testing.T) {
	files, err := filepath.Glob("templates/*.html")
	if err != nil || len(files) < 10 {
		t.Fatalf("templates: %v, %v", files, err)
	}
	r := newRig(t, nil)
	seen := map[string]bool{}
	for _, s := range samples() {
		resp := r.get(s.prepare(r), "Cookie", sessionCookie+"="+sampleSession)
		seen[resp.page(t).one(t, "h1").text()] = true
	}
	if len(seen) < len(files)-1 {
		t.Errorf("%d different pages of %d templates: %v", len(seen), len(files)-1, seen)
	}
}

// TestPagesAreAccessible: what a screen reader, a keyboard and a phone need of each page.
func TestPagesAreAccessible(t *testing.T) {
	r := newRig(t, nil)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			page := r.get(s.prepare(r), "Cookie", sessionCookie+"="+sampleSession).page(t)
			if got := page.one(t, "html").attr("lang"); got != "en" {
				t.Errorf("lang = %q", got)
			}
			h1 := page.one(t, "h1").text()
			if title := page.one(t, "title").text(); h1 == "" || !strings.HasPrefix(title, h1) || !strings.HasSuffix(title,
				"Acme Partners") {
				t.Errorf("h1 %q, title %q: want the title to begin with it", h1, title)
			}
			page.one(t, "main")
			if got := page.one(t, "meta", "name", "viewport").attr("content"); got != "width=device-width, initial-scale=1" {
				t.Errorf("viewport = %q", got)
			}
			ids := map[string]int{}
			for e := range page.Descendants() {
				if id := (node{e}).attr("id"); id != "" {
					ids[id]++
				}
			}
			for id, n := range ids {
				if n > 1 {
					t.Errorf("id %q stands %d times", id, n)
				}
			}
			for _, in := range page.all("input") {
				if in.attr("type") == "hidden" {
					continue
				}
				if len(page.all("label", "for", in.attr("id"))) != 1 {
					t.Errorf("input %q has no label", in.attr("name"))
				}
				for _, about := range strings.Fields(in.attr("aria-describedby")) {
					if ids[about] != 1 {
						t.Errorf("input %q is described by %q, which is not there", in.attr("name"), about)
					}
				}
			}
			for _, b := range append(page.all("button"), page.all("a")...) {
				if b.text() == "" {
					t.Error("a button or link without text")
				}
			}
			for _, f := range page.all("form") {
				if f.attr("role") == "search" && f.attr("method") == "get" && len(f.all("button")) == 1 {
					continue // asks for another part of the page, and does nothing
				}
				if f.attr("method") != "post" || len(f.all("button")) == 0 {
					t.Errorf("form to %q: want a post with a button, so that it works without script", f.attr("action"))
				}
				if f.attr("id") == "goon" {
					continue // after a cross-site POST no cookie is known to make a token of; the form does what a GET may
				}
				if f.attr("action") == languageRoute {
					continue // sets the reader's own language and nothing else; other sites' forms are refused as all are
				}
				if a := f.attr("action"); strings.HasPrefix(a, "/") && f.one(t, "input", "name", "csrf").attr("value") == "" {
					t.Errorf("form to %q has no token", a)
				}
			}
		})
	}
}

func TestLoginForm(t *testing.T) {
	r := newRig(t, nil)
	show := func(p idp.AskPassword) node {
		r.idp.answer = &idp.Answer{Page: p}
		return r.get("/login?s=one").page(t)
	}
	has := func(n node, key string) bool {
		for _, a := range n.Attr {
			if a.Key == key {
				return true
			}
		}
		return false
	}
	page := show(idp.AskPassword{SignIn: "one"})
	login, password := page.one(t, "input", "name", "login"), page.one(t, "input", "name", "password")
	if login.attr("autocomplete") != "username" || password.attr("autocomplete") != "current-password" ||
		password.attr("type") != "password" {
		t.Error("password managers can't fill the form in")
	}
	if !has(login, "autofocus") || has(password, "autofocus") || has(login, "aria-invalid") {
		t.Error("first time: want the focus on the login name and no fault")
	}
	if len(page.all("form", "action", "/login/cancel")) != 0 {
		t.Error("a launch has no way back to a service provider")
	}
	if got := page.one(t, "p", "class", "lead").text(); got != "to continue to Constant Contact" {
		t.Errorf("lead = %q, want the product's name", got)
	}

	page = show(idp.AskPassword{SignIn: "one", Provider: "News & More", Login: "anna", Problem: directory.BadCredentials,
		CanCancel: true})
	login, password = page.one(t, "input", "name", "login"), page.one(t, "input", "name", "password")
	if has(login, "autofocus") || !has(password, "autofocus") {
		t.Error("with a login name: want the focus on the password")
	}
	problem := page.one(t, "div", "role", "alert")
	if login.attr("aria-describedby") != problem.attr("id") || password.attr("aria-describedby") != problem.attr("id") ||
		login.attr("aria-invalid") != "true" {
		t.Error("the fields don't say what is wrong with them")
	}
	if got := page.one(t, "form", "action", "/login/cancel").one(t, "button").text(); got != "Back to News & More" {
		t.Errorf("button = %q", got)
	}
}

// TestLDAP08: locked, unknown and wrong password are one text; the others have their own.
func TestLDAP08ProblemsOfALogin(t *testing.T) {
	r := newRig(t, nil)
	texts := map[string][]string{}
	for _, word := range constants(t, "../idp/directory", "Problem") {
		r.idp.answer = &idp.Answer{Page: idp.AskPassword{SignIn: "one", Login: "anna", Problem: directory.Problem(word)}}
		resp := r.get("/login?s=one")
		want := http.StatusUnprocessableEntity
		if word == "unavailable" {
			want = http.StatusServiceUnavailable
		}
		wantStatus(t, resp, want)
		text := resp.page(t).one(t, "div", "role", "alert").text()
		if strings.Contains(text, "{") || text == "" {
			t.Errorf("%s: text = %q", word, text)
		}
		texts[text] = append(texts[text], word)
	}
	for text, words := range texts {
		if joined := strings.Join(words, " "); len(words) > 1 && joined != "bad_credentials locked" {
			t.Errorf("%q stands for %s", text, joined)
		}
	}
	if len(texts) < 8 {
		t.Errorf("texts = %v, want one for each problem but locked", texts)
	}
}

// TestEveryReasonHasAText walks all words that a refusal can have.
func TestEveryReasonHasAText(t *testing.T) {
	words := map[string]bool{}
	for _, list := range [][]string{
		idp.Reasons(), constants(t, "../provisioning", "Reason"), constants(t, "../idp/directory", "Problem"),
	} {
		if len(list) < 8 {
			t.Fatalf("reasons = %v, want all of them", list)
		}
		for _, w := range list {
			words[w] = true
		}
	}
	r := newRig(t, nil)
	titles := map[string]bool{}
	for word := range words {
		r.idp.answer = &idp.Answer{Page: idp.Refusal{SignIn: "one", Provider: "Constant Contact", Reason: word, Status: 403}}
		page := r.get("/login?s=one").page(t)
		text := page.one(t, "main").text()
		title := page.one(t, "h1").text()
		titles[title] = true
		if title == "Something went wrong" || strings.ContainsAny(text, "{}") || strings.Contains(text, "%!") ||
			len(text) < 40 {
			t.Errorf("%s: page says %q, want a text of its own", word, text)
		}
		// No page names what is inside (docs and logs do).
		for _, inside := range []string{"LDAP", "SQL", "ACS", "AuthnRequest", "assertion", "API", "quota", word} {
			if strings.Contains(text, inside) && strings.Contains(inside, "_") || strings.Contains(" "+text+" ", " "+inside+
				" ") && inside != word {
				t.Errorf("%s: page says %q, with %s in it", word, text, inside)
			}
		}
	}
	if len(titles) < 30 {
		t.Errorf("%d titles for %d reasons", len(titles), len(words))
	}
	// A word that nobody knows still gives a page.
	r.idp.answer = &idp.Answer{Page: idp.Refusal{Reason: "brand_new", Status: 0}}
	resp := r.get("/login?s=one")
	wantStatus(t, resp, http.StatusForbidden)
	if !strings.Contains(resp.body, "Something went wrong") {
		t.Errorf("unknown reason shows\n%s", resp.body)
	}
}

// constants returns the values of all string constants in a package that have this
// type, or no type and a name that begins so.
func constants(t *testing.T, folder, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", folder, err)
	}
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			id, typed := spec.Type.(*ast.Ident)
			if (!typed || id.Name != typeName) && (typed || !strings.HasPrefix(spec.Names[0].Name, typeName)) {
				return true
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					word, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, word)
				}
			}
			return true
		})
	}
	return found
}

// TestHTMLInEveryInput: nothing that somebody types, names or sends becomes markup.
func TestHTMLInEveryInputIsText(t *testing.T) {
	for _, bad := range []string{
		`"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `</title><script>alert(1)</script>`, "{{.}}",
		"{provider}", "javascript:alert(1)", "--></noscript><b>", "<b>&amp;</b>",
	} {
		r := newRig(t, func(o *web.Options) {
			o.Branding.Name, o.Branding.ProductName = bad, bad
			o.Branding.HelpURL = "mailto:a@b.example?subject=" + strings.ReplaceAll(bad, " ", "")
		})
		many := named()
		many[0].Name, many[1].Role = bad, "<i>role</i>"
		relay := bad
		for name, p := range map[string]idp.Page{
			"login": idp.AskPassword{SignIn: bad, Provider: bad, Login: bad, Problem: directory.Problem(bad),
				CanCancel: true},
			"choose": idp.ChooseAccount{SignIn: bad, Provider: bad, Person: bad, Choices: many, CanCancel: true},
			"waiting": idp.Waiting{SignIn: bad, Provider: bad, Account: many[0], Progress: provisioning.Progress{Cause: bad,
				Place: 2}, CanCancel: true},
			"deliver": idp.Deliver{Action: `https://sp.example/acs?"><script>alert(1)</script>`, SAMLResponse: "PHNhbWw+",
				RelayState: &relay, Provider: bad},
			"refusal":  idp.Refusal{SignIn: bad, Provider: bad, Reason: bad, Status: 400, CanCancel: true, Retry: true},
			"refused":  idp.Refusal{SignIn: bad, Provider: bad, Reason: "held_conflict", Status: 400},
			"wrong":    idp.WrongCodes{SignIn: bad, Provider: bad, Count: 2},
			"finished": idp.Finished{Again: "/launch?x=" + bad},
			"signedout": idp.SignedOut{Services: []idp.Service{{Name: bad, State: idp.ServiceState(bad)}}, Logout: bad,
				Provider: bad},
			"signing": idp.SigningOut{Logout: bad, Provider: bad, Next: bad,
				Services: []idp.Service{{Name: bad, State: idp.Asked}}},
			"carry": idp.PostMessage{Action: `https://sp.example/slo?"><script>alert(1)</script>`, Parameter: "SAMLResponse",
				Message: "PHNhbWw+", RelayState: &relay, Provider: bad},
		} {
			t.Run(name+" "+bad, func(t *testing.T) {
				r.idp.answer = &idp.Answer{Page: p}
				resp := r.get("/login?s=one")
				page := resp.page(t)
				for e := range page.Descendants() {
					if e.Type != html.ElementNode {
						continue
					}
					switch e.Data {
					case "b", "i":
						t.Errorf("an element %s got onto the page:\n%s", e.Data, resp.body)
					case "img":
						t.Errorf("a picture got onto the page:\n%s", resp.body)
					case "script":
						if (node{e}).attr("nonce") == "" {
							t.Errorf("a script got onto the page:\n%s", resp.body)
						}
					}
					for _, a := range e.Attr {
						if strings.HasPrefix(a.Key, "on") || (a.Key == "href" || a.Key == "action" || a.Key == "src") &&
							strings.HasPrefix(a.Val, "javascript:") {
							t.Errorf("attribute %s=%q", a.Key, a.Val)
						}
					}
				}
				if name == "deliver" {
					if got := page.one(t, "input", "name", "RelayState").attr("value"); got != bad {
						t.Errorf("RelayState = %q, want %q byte for byte", got, bad)
					}
				}
				if name == "login" {
					if got := page.one(t, "input", "name", "login").attr("value"); got != bad {
						t.Errorf("login = %q, want %q", got, bad)
					}
				}
			})
		}
		for _, path := range []string{"/" + bad, "/launch/" + bad, "/x?" + bad} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Opaque = "//" + req.URL.Host + strings.NewReplacer(" ", "", "<", "%3C", `"`, "%22", ">", "%3E").Replace(path)
			if resp := r.send(req); strings.Contains(resp.body, "alert") && !strings.Contains(bad, "javascript") &&
				strings.Contains(resp.body, "<script>") {
				t.Errorf("%s is repeated:\n%s", path, resp.body)
			}
		}
	}
}

// TestChooseManyAccounts: a person of an agency may have hundreds, and gets to each by the pages.
func TestChooseManyAccounts(t *testing.T) {
	r := newRig(t, nil)
	r.idp.answer = &idp.Answer{Page: idp.ChooseAccount{SignIn: "one", Person: "anna", Choices: choices(200)}}
	values := map[string]bool{}
	for path := "/login?s=one"; path != ""; {
		page := r.get(path).page(t)
		for _, b := range page.all("button", "name", "account") {
			values[b.attr("value")] = true
		}
		path = ""
		for _, next := range page.all("a", "rel", "next") {
			path = next.attr("href")
		}
	}
	if len(values) != 200 {
		t.Errorf("%d different accounts, want 200", len(values))
	}
}

func TestRelayStateAbsentAndEmptyDiffer(t *testing.T) {
	r := newRig(t, nil)
	empty := ""
	for want, relay := range map[int]*string{0: nil, 1: &empty} {
		r.idp.answer = &idp.Answer{Page: idp.Deliver{Action: "https://sp.example/acs", SAMLResponse: "x", RelayState: relay}}
		if got := len(r.get("/login?s=one").page(t).all("input", "name", "RelayState")); got != want {
			t.Errorf("RelayState %v: %d fields, want %d", relay, got, want)
		}
	}
}
