package tracing_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"ssobridge/cmd/internal/tracing"
)

// collector is an OTLP receiver that reads with OpenTelemetry's own types. TracesData has the one field of an
// ExportTraceServiceRequest, under the same number.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*tracepb.Span
	headers http.Header
	posts   int
	answer  func(post int, w http.ResponseWriter) // nil: 200
}

func newCollector(t *testing.T, answer func(post int, w http.ResponseWriter)) *collector {
	t.Helper()
	c := &collector{answer: answer}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s of %s: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil {
			t.Errorf("the body is no TracesData: %v", err)
		}
		noUnknown(t, data.ProtoReflect().GetUnknown())
		c.mu.Lock()
		defer c.mu.Unlock()
		c.posts++
		c.headers = r.Header
		for _, of := range data.GetResourceSpans() {
			noUnknown(t, of.ProtoReflect().GetUnknown())
			for _, scope := range of.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					noUnknown(t, s.ProtoReflect().GetUnknown())
				}
			}
		}
		if c.answer != nil {
			if rec := httptest.NewRecorder(); true {
				c.answer(c.posts, rec)
				for k, v := range rec.Header() {
					w.Header()[k] = v
				}
				w.WriteHeader(rec.Code)
				_, _ = w.Write(rec.Body.Bytes())
				if rec.Code/100 != 2 {
					return
				}
			}
		}
		for _, of := range data.GetResourceSpans() {
			if got := attributes(of.GetResource().GetAttributes()); !strings.Contains(got, "service.name=ssobridge") ||
				!strings.Contains(got, "service.version=1.2.3") {
				t.Errorf("resource %s", got)
			}
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func noUnknown(t *testing.T, raw []byte) {
	t.Helper()
	if len(raw) > 0 {
		t.Errorf("fields that OpenTelemetry does not know: %x", raw)
	}
}

func attributes(all []*commonpb.KeyValue) string {
	var text []string
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			text = append(text, a.GetKey()+"="+v.StringValue)
		case *commonpb.AnyValue_IntValue:
			text = append(text, fmt.Sprintf("%s=%d", a.GetKey(), v.IntValue))
		default:
			text = append(text, fmt.Sprintf("%s=%T", a.GetKey(), v))
		}
	}
	return strings.Join(text, " ")
}

func (c *collector) all() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

func newTracer(t *testing.T, c *collector, change func(*tracing.Options)) *tracing.Tracer {
	t.Helper()
	o := tracing.Options{Endpoint: c.URL + "/v1/traces", Ratio: 1, Transport: http.DefaultTransport, Database: "sqlite",
		Version: func() string { return "1.2.3" }, Headers: map[string]string{"Authorization": "Bearer x"}}
	if change != nil {
		change(&o)
	}
	tracer, err := tracing.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func end(f func(of, result string, err error), of, result string, err error) {
	if f != nil {
		f(of, result, err)
	}
}

func TestSpans(t *testing.T) {
	c := newCollector(t, nil)
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	tracer := newTracer(t, c, func(o *tracing.Options) {
		o.Now = func() time.Time { at = at.Add(time.Millisecond); return at }
	})
	ctx, request := tracer.Begin(t.Context(), "request")
	within, signIn := tracer.Span(ctx, "sign_in")
	_, bind := tracer.Span(within, "directory.bind")
	end(bind, "ldaps://ldap.example.com:636", "49", nil)
	_, statement := tracer.Span(within, "store.statement")
	end(statement, "Sessions.Get", "", errors.New("disk full for cn=alice"))
	end(signIn, "ABCDEFGHJK", "wrong_password bad_credentials", nil)
	end(request, "POST /login", "200", nil)
	tracer.Flush(t.Context())

	got := map[string]*tracepb.Span{}
	for _, s := range c.all() {
		got[s.GetName()] = s
	}
	root := got["POST /login"]
	if root == nil || len(got) != 4 {
		t.Fatalf("spans %v", got)
	}
	for name, want := range map[string]struct {
		parent     *tracepb.Span
		kind       tracepb.Span_SpanKind
		attributes string
		failed     bool
	}{
		"POST /login": {nil, tracepb.Span_SPAN_KIND_SERVER,
			"http.request.method=POST http.route=/login http.response.status_code=200", false},
		"sign_in": {root, tracepb.Span_SPAN_KIND_INTERNAL, "ssobridge.reference=ABCDEFGHJK ssobridge.outcome=wrong_password " +
			"ssobridge.reason=bad_credentials", false},
		"directory.bind": {got["sign_in"], tracepb.Span_SPAN_KIND_CLIENT,
			"server.address=ldap.example.com server.port=636 ssobridge.ldap.result_code=49", false},
		"store.statement": {got["sign_in"], tracepb.Span_SPAN_KIND_CLIENT,
			"db.system.name=sqlite db.query.summary=Sessions.Get", true},
	} {
		s := got[name]
		if s == nil {
			t.Errorf("no span %s", name)
			continue
		}
		if a := attributes(s.GetAttributes()); a != want.attributes || s.GetKind() != want.kind {
			t.Errorf("%s: %s %s, want %s", name, s.GetKind(), a, want.attributes)
		}
		if string(s.GetParentSpanId()) != string(want.parent.GetSpanId()) ||
			string(s.GetTraceId()) != string(root.GetTraceId()) || len(s.GetTraceId()) != 16 || len(s.GetSpanId()) != 8 {
			t.Errorf("%s is not in its place: %v", name, s)
		}
		if s.GetEndTimeUnixNano() <= s.GetStartTimeUnixNano() {
			t.Errorf("%s from %d to %d", name, s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
		}
		if failed := s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR; failed != want.failed ||
			s.GetStatus().GetMessage() != "" {
			t.Errorf("%s: status %v", name, s.GetStatus())
		}
	}
	if c.headers.Get("Authorization") != "Bearer x" {
		t.Errorf("headers %v", c.headers)
	}
	if sent, dropped := tracer.Counts(); sent != 4 || dropped != 0 {
		t.Errorf("%d sent, %d dropped", sent, dropped)
	}
}

// TestNothingBeginsByItself: what nobody asked for begins no trace, and one that is not recorded has no spans within.
func TestNothingBeginsByItself(t *testing.T) {
	c := newCollector(t, nil)
	tracer := newTracer(t, c, func(o *tracing.Options) {
		o.Ratio, o.Random = 0.25, func() uint64 { return 1 << 63 } // its half is more than a quarter
	})
	if _, end := tracer.Span(t.Context(), "store.statement"); end != nil {
		t.Error("a span without a trace")
	}
	ctx, end := tracer.Begin(t.Context(), "request")
	if end != nil {
		t.Error("it is recorded")
	}
	if _, end := tracer.Span(ctx, "store.statement"); end != nil {
		t.Error("a span of a trace that is not recorded")
	}
	if n := testing.AllocsPerRun(100, func() {
		_, _ = tracer.Span(ctx, "store.statement")
	}); n != 0 {
		t.Errorf("%v allocations for a span that is not recorded", n)
	}
}

// TestRatio: about as many traces are recorded as wanted.
func TestRatio(t *testing.T) {
	c := newCollector(t, nil)
	tracer, n := newTracer(t, c, func(o *tracing.Options) { o.Ratio = 0.1 }), 0
	for range 10_000 {
		if _, end := tracer.Begin(t.Context(), "request"); end != nil {
			n++
		}
	}
	if n < 800 || n > 1200 {
		t.Errorf("%d of 10000, want about 1000", n)
	}
}

// TestWords: what could be about a person gets by neither a room nor this.
func TestWords(t *testing.T) {
	c := newCollector(t, nil)
	tracer := newTracer(t, c, nil)
	hostile := []string{
		"alice@example.com", "uid=alice,ou=people", "(uid=alice)", "Ünal", "a\nb", strings.Repeat("a", 121),
	}
	for _, text := range hostile {
		for _, name := range []string{"request", "sign_in", "directory.bind", "store.statement", "partner.call", "other"} {
			_, f := tracer.Begin(t.Context(), name)
			end(f, text, text, nil)
		}
	}
	tracer.Flush(t.Context())
	for _, s := range c.all() {
		for _, text := range hostile {
			if strings.Contains(s.GetName()+attributes(s.GetAttributes()), text) {
				t.Errorf("%s is in %v", text, s)
			}
		}
	}
	if len(c.all()) != 36 {
		t.Errorf("%d spans", len(c.all()))
	}
}

// TestQueueDrops: a collector that is away makes nobody wait; what does not fit is dropped and counted.
func TestQueueDrops(t *testing.T) {
	c := newCollector(t, nil)
	tracer := newTracer(t, c, func(o *tracing.Options) { o.Queue = 10 })
	for range 25 {
		_, f := tracer.Begin(t.Context(), "request")
		end(f, "GET /", "200", nil)
	}
	if sent, dropped := tracer.Counts(); sent != 0 || dropped != 15 {
		t.Errorf("%d sent, %d dropped, want 0 and 15", sent, dropped)
	}
	tracer.Flush(t.Context())
	if sent, dropped := tracer.Counts(); sent != 10 || dropped != 15 {
		t.Errorf("%d sent, %d dropped, want 10 and 15", sent, dropped)
	}
	ctx, f := tracer.Begin(t.Context(), "request")
	for range 300 {
		_, statement := tracer.Span(ctx, "store.statement")
		end(statement, "Sessions.Get", "", nil)
	}
	end(f, "GET /", "200", nil)
	if _, dropped := tracer.Counts(); dropped < 15+300-255 {
		t.Errorf("%d dropped of a trace with too many spans", dropped)
	}
}

// TestCollectorRefuses: what a collector refuses is counted as dropped, sent again only where it says so, and its
// headers follow no redirect.
func TestCollectorRefuses(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		answer        func(post int, w http.ResponseWriter)
		sent, dropped int64
		posts         int
	}{
		"refused": {func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) }, 0, 3, 1},
		"redirect": {func(_ int, w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 0, 3, 1},
		"in part": {func(_ int, w http.ResponseWriter) { _, _ = w.Write([]byte{0x0a, 0x02, 0x08, 0x02}) }, 1, 2, 1},
		"no protobuf": {func(_ int, w http.ResponseWriter) { _, _ = w.Write([]byte(`{"partialSuccess":{}}`)) },
			3, 0, 1},
		"later": {func(post int, w http.ResponseWriter) {
			if post == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}, 3, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t, test.answer)
			tracer := newTracer(t, c, nil)
			for range 3 {
				_, f := tracer.Begin(t.Context(), "request")
				end(f, "GET /", "200", nil)
			}
			tracer.Send(t.Context())
			sent, dropped := tracer.Counts()
			if sent != test.sent || dropped != test.dropped || c.posts != test.posts {
				t.Errorf("%d sent, %d dropped, %d posts; want %d, %d, %d", sent, dropped, c.posts, test.sent, test.dropped,
					test.posts)
			}
		})
	}
}

func TestParent(t *testing.T) {
	c := newCollector(t, nil)
	tracer := newTracer(t, c, func(o *tracing.Options) { o.Ratio = 1 })
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for header, want := range map[string]string{
		"00-" + id + "-" + parent + "-01":                      "goes on",
		"00-" + id + "-" + parent + "-00":                      "is not recorded",
		"01-" + id + "-" + parent + "-01-more":                 "goes on",
		"00-" + id + "-" + parent + "-01-more":                 "of its own",
		"ff-" + id + "-" + parent + "-01":                      "of its own",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01": "of its own",
		"00-" + id + "-0000000000000000-01":                    "of its own",
		"00-" + strings.ToUpper(id) + "-" + parent + "-01":     "of its own",
		"00-" + id + "-" + parent + "-0g":                      "of its own",
		"":                                                     "of its own",
		strings.Repeat("0-", 400):                              "of its own",
	} {
		ctx, f := tracer.Begin(tracing.WithParent(t.Context(), header), "request")
		if f == nil {
			if want != "is not recorded" {
				t.Errorf("%.80s is not recorded", header)
			}
			continue
		}
		_ = ctx
		before := len(c.all())
		f("GET /", "200", nil)
		tracer.Flush(t.Context())
		s := c.all()[before]
		got := "of its own"
		if hex.EncodeToString(s.GetTraceId()) == id && hex.EncodeToString(s.GetParentSpanId()) == parent {
			got = "goes on"
		}
		if got != want {
			t.Errorf("%.80s: the trace %s, want: %s", header, got, want)
		}
	}
}

// TestRunSends: spans leave by themselves, and Run ends with its context.
func TestRunSends(t *testing.T) {
	c := newCollector(t, nil)
	tracer := newTracer(t, c, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- tracer.Run(ctx) }()
	for range 600 { // more than a batch, which is not waited for
		_, f := tracer.Begin(t.Context(), "request")
		end(f, "GET /", "200", nil)
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(c.all()) < 512 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if n := len(c.all()); n < 512 {
		t.Errorf("%d spans", n)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	tracer.Flush(t.Context())
	if n := len(c.all()); n != 600 {
		t.Errorf("%d spans after the end, want 600", n)
	}
}

// TestFlushIsBounded: a collector that does not answer delays the end by no more than a moment, however much waits.
func TestFlushIsBounded(t *testing.T) {
	away := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
		<-r.Context().Done()
	}))
	defer away.Close()
	tracer := newTracer(t, &collector{Server: away}, func(o *tracing.Options) { o.Queue = 10_000 })
	for range 10_000 {
		_, f := tracer.Begin(t.Context(), "request")
		end(f, "GET /", "200", nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	tracer.Flush(ctx)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if sent, dropped := tracer.Counts(); sent != 0 || dropped != 10_000 {
		t.Errorf("%d sent, %d dropped", sent, dropped)
	}
}
