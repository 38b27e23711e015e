package e2e_test

import (
	"database/sql"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"ssobridge/idp/directory/directorytest"
)

// otlp is a collector of OpenTelemetry's.
type otlp struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*tracepb.Span
	headers http.Header
}

func startOTLP(t *testing.T) *otlp {
	t.Helper()
	o := &otlp{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("what arrives at %s is no OTLP: %v", r.URL.Path, err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.headers = r.Header
		for _, of := range data.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				o.spans = append(o.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *otlp) all() []*tracepb.Span {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.spans
}

func attributesOf(all []*commonpb.KeyValue) map[string]string {
	values := map[string]string{}
	for _, a := range all {
		values[a.GetKey()] = a.GetValue().GetStringValue()
		if values[a.GetKey()] == "" {
			values[a.GetKey()] = a.GetValue().String()
		}
	}
	return values
}

// shapes are all attributes that a span can have, and how they look.
var shapes = map[string]*regexp.Regexp{
	"http.request.method":        regexp.MustCompile(`^(GET|POST|HEAD)$`),
	"http.route":                 regexp.MustCompile(`^(unmatched|/[a-z_/:*-]*)$`), // a pattern, never a path
	"http.response.status_code":  regexp.MustCompile(`^int_value:\d{3}$`),
	"ssobridge.reference":        regexp.MustCompile(`^[0-9A-Z]{10}$`),
	"ssobridge.outcome":          regexp.MustCompile(`^[a-z_]+$`),
	"ssobridge.reason":           regexp.MustCompile(`^[a-z_]+$`),
	"ssobridge.about":            regexp.MustCompile(`^[a-z-]+$`),
	"ssobridge.operation":        regexp.MustCompile(`^[a-zA-Z ]+$`),
	"ssobridge.ldap.result_code": regexp.MustCompile(`^int_value:\d{1,3}$`),
	"server.address":             regexp.MustCompile(`^127\.0\.0\.\d+$`),
	"server.port":                regexp.MustCompile(`^int_value:\d+$`),
	"db.system.name":             regexp.MustCompile(`^sqlite$`),
	"db.query.summary":           regexp.MustCompile(`^[A-Z][A-Za-z]+\.[A-Z][A-Za-z]+$`),
}

// TestSpansHaveNoPersonalData collects all spans of sign-ins with a second factor, a creation and refusals, and looks
// in them for everything that is known of those people (OPS-07).
func TestSpansHaveNoPersonalData(t *testing.T) {
	t.Parallel()
	o := startOTLP(t)
	w := newConsoleWorld(t, setting{quick: true, set: map[string]string{"tracing.otlp_endpoint": o.URL,
		"tracing.headers_file": "otlp_headers", "tracing.queue": "20000"},
		files: map[string]string{"otlp_headers": "Authorization=Bearer%20of-the-collector\n"}})
	w.command(t, "accounts", "set-factor", club, "required")

	c := newClient(t)
	wrong := c.login(c.get(w.launch(club)), "bob", "not the password of bob")
	p := c.login(wrong, "bob", password)
	c.submit(p, "code", "code", "000000").status(http.StatusUnprocessableEntity)
	secret, kept := c.enrolApp(p)
	codes := regexp.MustCompile(`<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>`).FindAllStringSubmatch(kept.Body, -1)
	p = c.get(w.launch(club))
	for end := time.Now().Add(patience); !p.delivers() && time.Now().Before(end); p = c.get(w.launch(club)) {
		<-time.After(100 * time.Millisecond) // the user is being created
	}
	response := p.form("SAMLResponse").Fields.Get("SAMLResponse")
	c.deliver(p).says("Bob Brandt")
	refused := newClient(t)
	refused.login(refused.get(w.launch(club)), "carol", password).status(http.StatusForbidden)
	unknown := newClient(t)
	unknown.login(unknown.get(w.launch(books)), "nobody.of.that.name@example.test", "some password")
	admin := newClient(t)
	admin.login(admin.get(w.url+"/admin/"), consoleAdmin, password)
	admin.get(w.url + "/admin/people?find=bob")

	// A stranger's trace context is left alone: it would choose what is recorded.
	const strange = "4bf92f3577b34da6a3ce929d0e0e4736"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+strange+"-00f067aa0ba902b7-00")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	forbidden := []string{"bob", "brandt", "alice", "carol", "nobody.of.that", "of-the-collector", secret, response[:60],
		"not the password", password, directorytest.SharedSlapd(t).BaseDN, "ou=people", club, books, "example.test"}
	for _, code := range codes {
		forbidden = append(forbidden, code[1])
	}
	site, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, browser := range []*client{c, admin} {
		for _, cookie := range browser.http.Jar.Cookies(site) {
			forbidden = append(forbidden, cookie.Value)
		}
	}
	for _, name := range []string{"partner_secret", "api_key", "bind_password", "secret_key"} {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		forbidden = append(forbidden, strings.TrimSpace(string(text)))
	}
	forbidden = append(forbidden, w.ids(t)...)
	w.stop(t) // what waits is sent at the end
	spans := o.all()
	names := map[string]int{}
	for _, s := range spans {
		names[s.GetName()]++
		values := attributesOf(s.GetAttributes())
		for key, value := range values {
			if shape := shapes[key]; shape == nil || !shape.MatchString(value) {
				t.Errorf("span %s has %s = %q", s.GetName(), key, value)
			}
		}
		text := strings.ToLower(s.GetName() + " " + s.String())
		for _, f := range forbidden {
			if f = strings.ToLower(f); len(f) > 2 && strings.Contains(text, f) {
				t.Errorf("%q is in a span: %v", f, s)
			}
		}
		if hex.EncodeToString(s.GetTraceId()) == strange {
			t.Error("a stranger's trace")
		}
		if len(s.GetEvents())+len(s.GetLinks()) > 0 || s.GetStatus().GetMessage() != "" {
			t.Errorf("more than attributes: %v", s)
		}
	}
	for _, want := range []string{"POST /login", "GET /launch/:encoded_account_id", "GET /sessions", "GET /admin/people",
		"sign_in",
		"directory.bind", "directory.search", "directory.connect", "store.transaction", "store.statement", "partner.call",
		"partner.queue", "partner.request", "provisioning.wait", "provisioning.create"} {
		if names[want] == 0 {
			t.Errorf("no span %s: %v", want, names)
		}
	}
	if o.headers.Get("Authorization") != "Bearer of-the-collector" {
		t.Errorf("headers %v", o.headers)
	}
	w.isATree(t, spans)
}

// ids are the values by which people stand in the store.
func (w *world) ids(t *testing.T) (all []string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "data", "ssobridge.db")+"?mode=ro&_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, columns := range []string{
		"person_id || ' ' || external_id || ' ' || login_name || ' ' || contact_email || ' ' || first_name FROM sso_users",
		"person_id FROM people", "subject FROM audit_events", "actor FROM audit_events", "person_id FROM sessions",
	} {
		rows, err := db.QueryContext(t.Context(), "SELECT "+columns)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			for word := range strings.FieldsSeq(text) {
				if len(word) >= 16 { // an id; shorter are words such as worker and cli
					all, n = append(all, word), n+1
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 5 {
		t.Fatalf("only the ids %v were found", all)
	}
	return all
}

// isATree wants each span within another one of its trace, from the request or the worker down to the calls.
func (w *world) isATree(t *testing.T, spans []*tracepb.Span) {
	t.Helper()
	by := map[string]*tracepb.Span{}
	for _, s := range spans {
		by[string(s.GetSpanId())] = s
	}
	above := map[string]map[string]bool{}
	for _, s := range spans {
		up := "root"
		if id := s.GetParentSpanId(); len(id) > 0 {
			parent := by[string(id)]
			if parent == nil {
				t.Errorf("%s is within a span that is not there", s.GetName())
				continue
			}
			if up = parent.GetName(); string(parent.GetTraceId()) != string(s.GetTraceId()) {
				t.Errorf("%s is within %s of another trace", s.GetName(), up)
			}
		}
		if above[s.GetName()] == nil {
			above[s.GetName()] = map[string]bool{}
		}
		above[s.GetName()][up] = true
	}
	for _, pair := range [][2]string{{"POST /login", "root"}, {"sign_in", "POST /login"}, {"directory.bind", "sign_in"},
		{"directory.connect", "directory.bind"}, {"provisioning.wait", "sign_in"}, {"provisioning.create", "root"},
		{"partner.call", "provisioning.create"}, {"partner.queue", "partner.call"}, {"partner.request", "partner.call"},
		{"store.transaction", "sign_in"}, {"store.statement", "store.transaction"},
		{"store.transaction", "provisioning.create"}} {
		if !above[pair[0]][pair[1]] {
			t.Errorf("no %s within %s: %v", pair[0], pair[1], above[pair[0]])
		}
	}
}

// TestTrustedTraceContext: with tracing.trust_context the spans of a request go on in the trace that a proxy of
// trusted_proxies names, and in no other one: not in that of somebody else, and not where two are named.
func TestTrustedTraceContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proxies string
		headers []string
		goesOn  bool
	}{
		"a proxy":             {"[127.0.0.0/8]", []string{theirParent}, true},
		"somebody else":       {"[192.0.2.1]", []string{theirParent}, false},
		"two traces":          {"[127.0.0.0/8]", []string{theirParent, strings.Replace(theirParent, "4b", "4c", 1)}, false},
		"no trace in it":      {"[127.0.0.0/8]", []string{"00-zz"}, false},
		"one that is unknown": {"[127.0.0.0/8]", []string{"00-00000000000000000000000000000000-00f067aa0ba902b7-01"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOTLP(t)
			w := newWorld(t, setting{set: map[string]string{"tracing.otlp_endpoint": o.URL,
				"tracing.trust_context": "true", "trusted_proxies": c.proxies}})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.launch(books), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Traceparent"] = c.headers
			response, err := newClient(t).http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			w.stop(t) // which sends what there is
			seen := 0
			for _, s := range o.all() {
				if !strings.HasPrefix(s.GetName(), "GET /launch") {
					continue
				}
				seen++
				theirs := hex.EncodeToString(s.GetTraceId()) == theirParent[3:35] &&
					hex.EncodeToString(s.GetParentSpanId()) == theirParent[36:52]
				if theirs != c.goesOn || !c.goesOn && len(s.GetParentSpanId()) > 0 {
					t.Errorf("the span of the launch is in the trace %x, within %x", s.GetTraceId(), s.GetParentSpanId())
				}
			}
			if seen == 0 {
				t.Error("no span of the launch arrived")
			}
		})
	}
}

// theirParent is the header of a request that is part of a trace.
const theirParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestCollectorAway: a collector that never answers delays neither a sign-in nor the end of the program (OPS-08).
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	hung, release := make(chan struct{}, 100), make(chan struct{})
	away := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hung <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer away.Close()
	defer close(release)
	metrics := "127.0.0.1:" + freePort(t)
	w := newWorld(t, setting{quick: true, set: map[string]string{"tracing.otlp_endpoint": away.URL,
		"tracing.queue": "100", "metrics.listen": metrics}})
	c := newClient(t)
	c.deliver(c.goOn(c.login(c.get(w.launch(books)), "alice", password)))
	<-hung // the first batch is on its way, and stays there
	// Whoever waited for it would wait until it is given up, after ten seconds. No figure of speed: a machine that runs
	// other tests takes half a second for each.
	for range 20 {
		began := time.Now()
		c.deliver(c.get(w.launch(books)))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("a launch took %s", took)
		}
	}
	scrape := newClient(t).get("http://" + metrics + "/metrics").Body
	if m := regexp.MustCompile(`ssobridge_spans_total\{outcome="dropped"\} [1-9]`); !m.MatchString(scrape) {
		t.Error("nothing was dropped")
	}
	began := time.Now()
	w.stop(t)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the end took %s", took)
	}
}
