package web_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web"
	"ssobridge/web/admin"
	"ssobridge/web/console"
)

// consoleRoutes are all routes of the console.
var consoleRoutes = console.Routes()

// consoleOver is the console with nothing behind its pages but a store. at is its own address, "" for none; from are
// the networks that it is served to.
func consoleOver(db *store.DB, at string, from ...string) *web.Console {
	pages := console.New(console.Options{Store: db, People: admin.People{Store: db}, Audit: admin.Audit{Store: db},
		Status: admin.Status{Store: db}, Traces: admin.Traces{Store: db},
		Plans: admin.Plans{Store: db, Budget: db.Budget(store.BudgetLimits{PerSecond: 4, PerDay: 10000, Share: 1})}})
	c := &web.Console{Pages: pages, Audit: db.Audit(), Forms: db.Forms(), PublicURL: at}
	for _, network := range from {
		c.AllowFrom = append(c.AllowFrom, netip.MustParsePrefix(network))
	}
	return c
}

// consoleIdP is fakeIdP with somebody at the console.
type consoleIdP struct {
	*fakeIdP
	who     idp.Administrator
	in      bool
	entered []string // paths, with "fresh" before those that want a new login
	used    int      // uses of the console that were noted
	looked  int      // how often somebody asked who it is
	until   int      // the look at which the console is over; 0: never
}

func (f *consoleIdP) Administrator(context.Context, idp.Visitor) (idp.Administrator, bool, error) {
	f.looked++
	return f.who, f.in && (f.until == 0 || f.looked < f.until), nil
}

func (f *consoleIdP) UsedConsole(context.Context, idp.Administrator) error {
	f.used++
	return nil
}

func (f *consoleIdP) EnterConsole(_ context.Context, path string, fresh bool, _ idp.Visitor) (idp.Answer, error) {
	if fresh {
		path = "fresh " + path
	}
	f.entered = append(f.entered, path)
	return idp.Answer{Page: idp.GoOn{SignIn: "console"}}, nil
}

// What can't be taken back needs a login of the last minutes: a page leads to one and
// back, a form that comes too late does nothing and says the way.
func TestConsoleWantsAFreshLogin(t *testing.T) {
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1", Login: "anna", Role: idp.Admin}}
	db := storetest.Open(t)
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Console = consoleOver(db, "")
	})
	resp := r.get("/admin/accounts/new")
	wantStatus(t, resp, http.StatusSeeOther)
	if len(f.entered) != 1 || f.entered[0] != "fresh /admin/accounts/new" ||
		resp.Header.Get("Location") != "/login?s=console" {
		t.Errorf("entered %v, to %q", f.entered, resp.Header.Get("Location"))
	}

	// A page that needs none is shown, and its form token serves for the next.
	page := r.get("/admin/audit")
	wantStatus(t, page, http.StatusOK)
	send := func(referer string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.srv.URL+"/admin/keys/retire",
			strings.NewReader(url.Values{"once": {"once-1"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", r.srv.URL)
		req.Header.Set("Referer", referer)
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for referer, want := range map[string]string{
		r.srv.URL + "/admin/keys?x=1":         "/admin/fresh?to=%2Fadmin%2Fkeys%3Fx%3D1",
		"":                                    "/admin/fresh?to=%2Fadmin%2F",
		"https://evil.example/admin/keys":     "/admin/fresh?to=%2Fadmin%2F",
		r.srv.URL + "//evil.example/admin/":   "/admin/fresh?to=%2Fadmin%2F",
		r.srv.URL + "/login?s=somebody-elses": "/admin/fresh?to=%2Fadmin%2F",
	} {
		status, body := send(referer)
		if status != http.StatusForbidden || !strings.Contains(body, strings.ReplaceAll(want, "&", "&amp;")) {
			t.Errorf("from %q: got %d, want 403 with the way %s\n%s", referer, status, want, body)
		}
	}
	if first, err := db.Forms().Use(t.Context(), "once-1"); err != nil || !first {
		t.Errorf("the form counts as taken: %v, %v", first, err)
	}

	f.who.Fresh = true
	for to, want := range map[string]string{"/admin/keys?x=1": "/admin/keys?x=1", "//evil.example/": "/admin/",
		"https://evil.example/": "/admin/", "/logout": "/admin/", "/admin/fresh?to=/admin/fresh": "/admin/", "": "/admin/"} {
		resp := r.get("/admin/fresh?to=" + url.QueryEscape(to))
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("fresh, to %q: got %d to %q, want %q", to, resp.StatusCode, got, want)
		}
	}
}

// A session that is over, and a role that does not reach.
func TestConsoleRefusals(t *testing.T) {
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: false}
	db := storetest.Open(t)
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Console = consoleOver(db, "")
	})
	wantStatus(t, r.get("/admin/audit"), http.StatusSeeOther)
	wantStatus(t, r.get("/admin/provisioning/live"), http.StatusForbidden) // a stream leads nowhere
	f.in, f.who = true, idp.Administrator{Person: "p1", Login: "anna", Role: idp.Viewer, Fresh: true}
	wantStatus(t, r.get("/admin/accounts/new"), http.StatusForbidden)
	events, err := db.Audit().List(t.Context(), auditOf("console-refusal"))
	if err != nil || len(events) != 1 || events[0].Actor != "p1" || events[0].Subject != "GET /admin/accounts/new" ||
		events[0].Outcome != "refused" {
		t.Errorf("audit: %+v, %v", events, err)
	}
	if resp := r.get("/admin"); resp.Header.Get("Location") != "/admin/" {
		t.Errorf("/admin leads to %q", resp.Header.Get("Location"))
	}
}

func auditOf(action string) store.Filter { return store.Filter{Action: action} }

// TestConsoleActsNameTheirOrigin: whatever a route of the console does, the audit event of it names the reference of
// the request and the address (row ID-18). The context says so before any handler runs, and the store fills it in.
func TestConsoleActsNameTheirOrigin(t *testing.T) {
	db := storetest.Open(t)
	f := &auditedIdP{consoleIdP: &consoleIdP{fakeIdP: newFakeIdP()}, db: db, t: t}
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Console = consoleOver(db, "")
	})
	for _, route := range consoleRoutes {
		f.route = route.Method + " " + route.Path
		req, err := http.NewRequestWithContext(t.Context(), route.Method, r.srv.URL+strings.ReplaceAll(route.Path, ":", ""),
			nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", r.srv.URL)
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		list, err := db.Audit().List(t.Context(), store.Filter{Action: "probe", Subject: f.route})
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %d events, %v, want one", f.route, len(list), err)
		}
		if e := list[0]; e.Ref != res.Header.Get("X-Request-Id") || e.Address != "127.0.0.1" {
			t.Errorf("%s: the event comes from %q at %q, want the reference %q and the address", f.route, e.Ref, e.Address,
				res.Header.Get("X-Request-Id"))
		}
	}
}

// auditedIdP writes an audit event that says nothing of where it comes from, as many functions behind the console do.
type auditedIdP struct {
	*consoleIdP
	db    *store.DB
	t     *testing.T
	route string
}

func (f *auditedIdP) Administrator(ctx context.Context, v idp.Visitor) (idp.Administrator, bool, error) {
	if err := f.db.Audit().Add(ctx, store.Event{Actor: "p1", Action: "probe", Subject: f.route}); err != nil {
		f.t.Error(err)
	}
	return f.consoleIdP.Administrator(ctx, v)
}

// ID-19: pages that somebody goes to and forms are uses of the console. What scripts ask for is none.
func TestConsoleUses(t *testing.T) {
	db := storetest.Open(t)
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1", Login: "anna",
		Role: idp.Operator, Fresh: true}}
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Console = consoleOver(db, "")
	})
	uses := func(what string, want int, resp response) {
		t.Helper()
		if f.used != want {
			t.Errorf("%s (status %d): %d uses, want %d", what, resp.StatusCode, f.used, want)
		}
		f.used = 0
	}
	page := r.get("/admin/audit")
	wantStatus(t, page, http.StatusOK)
	uses("a page", 1, page)
	uses("a page, from a browser that says how", 1, r.do(http.MethodGet, "/admin/audit", nil, "Sec-Fetch-Mode", "navigate",
		"Sec-Fetch-Dest", "document"))
	uses("a search as one types", 0, r.do(http.MethodGet, "/admin/audit", nil, "HX-Request", "true", "Sec-Fetch-Mode",
		"same-origin"))
	uses("the same, of an old browser", 0, r.do(http.MethodGet, "/admin/audit", nil, "HX-Request", "true"))
	uses("a script's own request", 0, r.do(http.MethodGet, "/admin/audit", nil, "Sec-Fetch-Mode", "cors"))
	uses("a form without its token", 0, r.do(http.MethodPost, "/admin/fresh", url.Values{"once": {"a"}},
		"Origin", r.srv.URL))
	uses("a page that the role does not reach", 0, r.get("/admin/mappings/new"))
	f.in = false
	uses("nobody's", 0, r.get("/admin/audit"))
	// A part of a page that is asked for when the console is over leads the page itself to the login.
	resp := r.do(http.MethodGet, "/admin/audit", nil, "HX-Request", "true", "Sec-Fetch-Mode", "same-origin")
	wantStatus(t, resp, http.StatusForbidden)
	if resp.Header.Get("HX-Refresh") != "true" {
		t.Error("a search when the console is over does not have the page reloaded")
	}
}

// ID-19: a live page keeps no console open, and ends with it.
func TestConsoleStreamEnds(t *testing.T) {
	db := storetest.Open(t)
	for name, end := range map[string]func(*consoleIdP){
		"idle":             func(f *consoleIdP) { f.until = 2 },
		"out of the group": func(f *consoleIdP) { f.until = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			f := &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1", Login: "anna",
				Role: idp.Viewer}}
			end(f)
			r := newRig(t, func(o *web.Options) {
				o.IdP = f
				o.Console = consoleOver(db, "")
			})
			resp := r.get("/admin/provisioning/live") // reads until it ends
			wantStatus(t, resp, http.StatusOK)
			if f.looked != f.until {
				t.Errorf("the stream went on until look %d, want %d", f.looked, f.until)
			}
			if f.used != 0 {
				t.Errorf("the stream counts as %d uses of the console", f.used)
			}
		})
	}
}

// TestConsoleLiveFilter: a live list of sign-ins says of a filter that nothing matches, as the page did that it is on.
func TestConsoleLiveFilter(t *testing.T) {
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: true, until: 2, who: idp.Administrator{Person: "p1", Login: "anna",
		Role: idp.Viewer}}
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Console = consoleOver(storetest.Open(t), "")
	})
	for query, want := range map[string]string{"": "No sign-ins yet", "?outcome=refused": "No matching sign-ins"} {
		f.looked = 0
		if got := r.get("/admin/trace/live" + query).body; !strings.Contains(got, want) {
			t.Errorf("live%s: want %q in:\n%s", query, want, got)
		}
	}
}

// ID-19: a proxy that is not trusted is not let in for its own address: it says itself that it asks for somebody else.
func TestConsoleAllowFromUnknownProxy(t *testing.T) {
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1", Login: "anna",
		Role: idp.Admin, Fresh: true}}
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.20.9.0/24")}
		o.Console = consoleOver(storetest.Open(t), "", "127.0.0.0/8")
	})
	for name, header := range map[string][]string{
		"X-Forwarded-For": {"X-Forwarded-For", "192.0.2.7"},
		"X-Forwarded-For, an address of the inside": {"X-Forwarded-For", "127.0.0.1"},
		"Forwarded": {"Forwarded", "for=192.0.2.7"},
	} {
		if resp := r.get("/admin/audit", header...); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", name, resp.StatusCode)
		}
	}
	if resp := r.get("/admin/audit"); resp.StatusCode != http.StatusOK {
		t.Errorf("directly: %d, want 200", resp.StatusCode)
	}
}

// ID-19: from elsewhere than the networks of the console there is none, whatever the path or method, and the audit has
// one event a minute.
func TestConsoleAllowFrom(t *testing.T) {
	db := storetest.Open(t)
	f := &consoleIdP{fakeIdP: newFakeIdP(), in: true, who: idp.Administrator{Person: "p1", Login: "anna",
		Role: idp.Admin, Fresh: true}}
	at := now
	r := newRig(t, func(o *web.Options) {
		o.IdP = f
		o.Now = func() time.Time { return at }
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.20.9.0/24")}
		o.Console = consoleOver(db, "", "10.20.0.0/16", "2001:db8::/32")
	})
	unknown := r.get("/nothing", "X-Forwarded-For", "192.0.2.7")
	for _, c := range []struct {
		name, forwarded string
		in              bool
	}{
		{"inside", "10.20.1.1", true},
		{"inside, IPv6", "2001:db8::7", true},
		{"inside, as the proxy writes a port", "10.20.1.1:4711", true},
		{"inside, IPv4 in the form of IPv6", "::ffff:10.20.1.1", true},
		{"outside", "192.0.2.7", false},
		{"outside, IPv6", "2001:db9::7", false},
		{"outside, who writes an address of the inside before it", "10.20.1.1, 192.0.2.7", false},
		{"a proxy of the inside that is not trusted, for the outside", "192.0.2.7, 10.20.1.1", false},
		{"a proxy of the inside that is not trusted, for whom it does not say", "unknown, 10.20.1.1", false},
		{"a trusted proxy behind another one", "10.20.1.1, 10.20.9.1", true},
		{"a trusted proxy, for nobody", "", false},
		{"a trusted proxy of the inside, for nobody", "10.20.9.1", false},
		{"what is no address", "inside", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.looked = 0
			header := []string{"Origin", r.srv.URL}
			if c.forwarded != "" {
				header = append(header, "X-Forwarded-For", c.forwarded)
			}
			for _, route := range [][2]string{
				{http.MethodGet, "/admin/audit"}, {http.MethodGet, "/admin/"}, {http.MethodGet, "/admin"},
				{http.MethodHead, "/admin/"},
				{http.MethodPost, "/admin/keys/retire"}, {http.MethodGet, "/admin/provisioning/live"},
				{http.MethodGet, "/admin/no-such-page"},
				{http.MethodPut, "/admin/audit"}, {http.MethodOptions, "/admin/audit"},
			} {
				if c.in && route[1] == "/admin/provisioning/live" {
					continue
				}
				resp := r.do(route[0], route[1], nil, header...)
				if !c.in && resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s %s: %d, want 404", route[0], route[1], resp.StatusCode)
				}
				if c.in && resp.StatusCode == http.StatusNotFound && route[1] != "/admin/no-such-page" {
					t.Errorf("%s %s: 404", route[0], route[1])
				}
				if !c.in && (resp.Header.Get("Allow") != "" || route[0] == http.MethodGet && len(resp.body) != len(unknown.body)) {
					t.Errorf("%s %s: the answer differs from that to a page that does not exist:\n%v\n%s", route[0], route[1],
						resp.Header, resp.body)
				}
			}
			if !c.in && f.looked+len(f.entered) != 0 {
				t.Error("the identity provider was asked")
			}
		})
	}
	list := func() (total int) {
		t.Helper()
		events, err := db.Audit().List(t.Context(), store.Filter{Action: "console-refusal"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			var detail struct{ Requests int }
			if err := json.Unmarshal(e.Detail, &detail); err != nil || e.Outcome != "refused" || e.Reason != "console_address" ||
				e.Actor != "" {
				t.Errorf("event %+v, %v", e, err)
			}
			total += detail.Requests
		}
		if len(events) > 2 {
			t.Errorf("%d events", len(events))
		}
		return total
	}
	if n := list(); n != 1 {
		t.Errorf("the audit counts %d requests, want the first one", n)
	}
	at = at.Add(time.Minute)
	r.get("/admin/", "X-Forwarded-For", "192.0.2.7")
	if n := list(); n != 8*9+1 {
		t.Errorf("the audit counts %d requests after a minute, want %d", n, 8*9+1)
	}
}
