package metadata_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dsig "github.com/russellhaering/goxmldsig"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// publisher serves one document and can change it.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	text  string // "": status 500
	asked atomic.Int32
}

func (p *publisher) publish(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.text == "" {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(p.text))
	}))
	t.Cleanup(p.Close)
	return p
}

// refreshing is a store, a publisher and what keeps the two in step.
type refreshing struct {
	*metadata.Refresher
	db  *store.DB
	pub *publisher
	log *lockedBuffer
}

const portal = "https://portal.example.test/saml"

func newRefreshing(t *testing.T) *refreshing {
	now.Set(start)
	r := &refreshing{pub: newPublisher(t), log: &lockedBuffer{}}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	if r.db, err = store.Open(t.Context(), store.Options{DSN: storetest.Migrated(t).DSN, Now: now.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	r.Refresher = r.another(t, logger)
	return r
}

// another is a second replica on the same store.
func (r *refreshing) another(t *testing.T, logger *slog.Logger) *metadata.Refresher {
	t.Helper()
	ref, err := idp.NewRefresher(metadata.RefreshOptions{
		Providers: r.db.ServiceProviders(), Fetcher: metadata.NewFetcher(metadata.FetchOptions{AllowInternal: true,
			Roots: roots(r.pub.Server)}),
		Now: now.Now, Random: rand.Reader, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// add registers what the publisher has now.
func (r *refreshing) add(t *testing.T, text string, change func(*store.Source)) {
	t.Helper()
	im, err := readMetadata(text, metadata.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sp := im.Provider
	sp.Attributes = []store.Attribute{{Name: "mail", NameFormat: basic, Value: "{mail}"}}
	sp.Source = &store.Source{URL: r.pub.URL, ReadAt: start, ValidUntil: im.ValidUntil,
		NextAt: im.NextRefresh(start, 0, 0)}
	if change != nil {
		change(sp.Source)
	}
	if err := r.db.ServiceProviders().Put(t.Context(), sp, store.Event{Action: "sp-add", Outcome: "ok"}); err != nil {
		t.Fatal(err)
	}
	r.pub.publish(text)
}

func (r *refreshing) get(t *testing.T) store.ServiceProvider {
	t.Helper()
	sp, err := r.db.ServiceProviders().Get(t.Context(), portal)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// due goes to the time of the next refresh and runs what is due.
func (r *refreshing) due(t *testing.T) {
	t.Helper()
	now.Set(r.get(t).Source.NextAt)
	if n, err := r.Due(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d refreshes, %v", n, err)
	}
}

func (r *refreshing) events(t *testing.T, reason string) int {
	t.Helper()
	list, err := r.db.Audit().List(t.Context(), store.Filter{Action: "sp-refresh"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if e.Reason == reason {
			n++
		}
	}
	return n
}

func dated(until, cache string) string {
	data := `<md:EntityDescriptor validUntil="` + until + `" cacheDuration="` + cache + `"`
	return strings.Replace(spText, "<md:EntityDescriptor", data, 1)
}

// spText is testdata/sp.xml, read by the tests that need it.
var spText string

// TestMD05When: cacheDuration, half of what is left, a day at most, five minutes at least.
func TestMD05When(t *testing.T) {
	hour := time.Hour
	for _, c := range []struct {
		cache, left, atMost time.Duration
		spread              float64
		want                time.Duration
	}{
		{0, 0, 0, 0, 24 * hour},
		{6 * hour, 0, 0, 0, 6 * hour},
		{6 * hour, 4 * hour, 0, 0, 2 * hour},
		{6 * hour, 100 * hour, hour, 0, hour},
		{time.Second, 0, 0, 0, 5 * time.Minute},
		{0, time.Minute, 0, 0, 5 * time.Minute},
		{0, 0, 48 * hour, 0, 48 * hour},
		{10 * hour, 0, 0, 0.5, 9*hour + 30*time.Minute},
		{10 * hour, 0, 0, 0.999999, 9 * hour},
	} {
		im := metadata.Imported{CacheDuration: c.cache}
		if c.left > 0 {
			im.ValidUntil = start.Add(c.left)
		}
		if got := im.NextRefresh(start, c.atMost, c.spread).Sub(start).Round(time.Second); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestMD05Refresh: names are taken, keys and addresses wait, and whatever goes
// wrong the last good copy stays (MD-05).
func TestMD05Refresh(t *testing.T) {
	spText = readFile(t, "sp.xml")
	r := newRefreshing(t)
	r.add(t, dated("2027-01-12T10:00:00Z", "PT6H"), nil)
	first := r.get(t)
	if n, err := r.Due(t.Context()); n != 0 || err != nil || r.pub.asked.Load() != 0 {
		t.Errorf("asked before it is due: %d %v", n, err)
	}
	// As before, and a later end.
	r.pub.publish(dated("2027-01-13T10:00:00Z", "PT6H"))
	r.due(t)
	sp := r.get(t)
	if s := sp.Source; s.ValidUntil.Day() != 13 || !s.ReadAt.Equal(now.Now()) || s.Fault != "" ||
		s.NextAt.Sub(now.Now()) > 6*time.Hour || s.NextAt.Sub(now.Now()) < 5*time.Hour {
		t.Errorf("source %+v", s)
	}
	if len(sp.Attributes) != 1 || r.events(t, "refreshed") != 0 {
		t.Error("a setting is lost, or an event tells of nothing")
	}
	// Another name is taken.
	r.pub.publish(strings.Replace(dated("2027-01-13T10:00:00Z", "PT6H"), "Example Portal", "New Portal", 1))
	r.due(t)
	if sp = r.get(t); sp.Name != "New Portal" || r.events(t, "refreshed") != 1 {
		t.Errorf("name %q, %d events", sp.Name, r.events(t, "refreshed"))
	}
	// Faults: each leaves what was there, is told once, and is tried again.
	for _, c := range []struct{ name, text, want string }{
		{"down", "", "status 500"},
		{"no metadata", "<html/>", "root element"},
		{"another entity", strings.Replace(dated("2027-01-13T10:00:00Z", "PT6H"), portal, portal+"2", 1), "not among"},
		{"expired", dated("2027-01-05T10:00:00Z", "PT6H"), "valid until"},
		{"javascript", strings.Replace(dated("2027-01-13T10:00:00Z", "PT6H"), "https://portal.example.test/acs\"",
			"javascript:alert(1)\"", 1), "complete URL"},
		{"a DTD", "<!DOCTYPE x SYSTEM 'https://portal.example.test/'>" + spText, "document type"},
	} {
		r.pub.publish(c.text)
		before := strings.Count(r.log.String(), "could not be refreshed")
		r.due(t)
		after := r.get(t)
		if !strings.Contains(after.Source.Fault, c.want) {
			t.Errorf("%s: fault %q", c.name, after.Source.Fault)
		}
		if d := after.Source.NextAt.Sub(now.Now()); d > 30*time.Minute || d < 5*time.Minute {
			t.Errorf("%s: tried again after %s", c.name, d)
		}
		r.due(t)
		if got := strings.Count(r.log.String(), "could not be refreshed"); got != before+1 {
			t.Errorf("%s: told %d times", c.name, got-before)
		}
		if after.Name != "New Portal" || len(after.ACS) != 3 || after.Source.ValidUntil.Day() != 13 {
			t.Errorf("%s: record %+v", c.name, after)
		}
	}
	// Good again: the fault is gone.
	r.pub.publish(dated("2027-01-14T10:00:00Z", "PT6H"))
	r.due(t)
	if s := r.get(t).Source; s.Fault != "" || s.ValidUntil.Day() != 14 {
		t.Errorf("source %+v", s)
	}
	if first.ACS[0].URL != r.get(t).ACS[0].URL {
		t.Error("an address has changed")
	}
}

// TestMD05Approval: changed addresses and keys wait, with their end, until somebody
// has looked at them.
func TestMD05Approval(t *testing.T) {
	spText = readFile(t, "sp.xml")
	r := newRefreshing(t)
	r.add(t, dated("2027-01-12T10:00:00Z", "PT6H"), nil)
	moved := strings.ReplaceAll(dated("2027-01-20T10:00:00Z", "PT6H"), "https://portal.example.test/acs",
		"https://new.example.test/acs")
	r.pub.publish(moved)
	r.due(t)
	r.due(t)
	sp := r.get(t)
	if sp.ACS[0].URL != "https://portal.example.test/acs" || len(sp.Source.Pending) == 0 || sp.Source.PendingAt.IsZero() ||
		sp.Source.ValidUntil.Day() != 12 {
		t.Fatalf("record %+v", sp.Source)
	}
	if n := strings.Count(r.log.String(), "waits for approval"); n != 1 || r.events(t, "approval_needed") != 1 {
		t.Errorf("told %d times", n)
	}
	after, changes, _, err := idp.Approve(sp, false, now.Now())
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, d := range changes {
		text = append(text, d.String())
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"- acs https://portal.example.test/acs (", "+ acs https://new.example.test/acs (",
		"~ default acs"} {
		if !strings.Contains(all, want) {
			t.Errorf("the changes do not show %q:\n%s", want, all)
		}
	}
	if after.ACS[0].URL != "https://new.example.test/acs" || len(after.Source.Pending) != 0 ||
		after.Source.ValidUntil.Day() != 20 || len(after.Attributes) != 1 {
		t.Errorf("approved %+v", after)
	}
	// The publisher takes it back: nothing waits any more.
	r.pub.publish(dated("2027-01-12T10:00:00Z", "PT6H"))
	r.due(t)
	if s := r.get(t).Source; len(s.Pending) != 0 || !s.PendingAt.IsZero() {
		t.Errorf("source %+v", s)
	}
	if _, _, _, err := idp.Approve(r.get(t), false, now.Now()); err == nil {
		t.Error("nothing was approved")
	}
	// What waits can run out too.
	if _, _, _, err := idp.Approve(sp, false, start.AddDate(0, 1, 0)); err == nil || !strings.Contains(err.Error(),
		"valid until") {
		t.Errorf("approved when out of date: %v", err)
	}
}

// TestMD05TrustKey: with a trust key, only what it signed is ever taken or shown.
func TestMD05TrustKey(t *testing.T) {
	key := readKey(t, "rsa-2048")
	withID := strings.Replace(readFile(t, "sp.xml"), "<md:EntityDescriptor", `<md:EntityDescriptor ID="_e"`, 1)
	signed := sealed(t, withID, "_e", dsig.RSASHA256SignatureMethod, "", key)
	r := newRefreshing(t)
	r.add(t, signed, func(s *store.Source) { s.TrustKey = key.Certificate.Raw })
	r.due(t)
	if s := r.get(t).Source; s.Fault != "" || s.ReadAt.Equal(start) {
		t.Fatalf("signed: %+v", s)
	}
	read := r.get(t).Source.ReadAt
	for _, c := range []struct{ text, want string }{
		{withID, "not signed"},
		{strings.ReplaceAll(signed, "https://portal.example.test/acs", "https://evil.test/acs"), "not what was signed"},
		{sealed(t, strings.ReplaceAll(withID, "portal.example.test/acs", "evil.test/acs"), "_e",
			dsig.RSASHA256SignatureMethod, "", readKey(t, "sp-other")), "not made by the trust key"},
	} {
		r.pub.publish(c.text)
		r.due(t)
		if s := r.get(t).Source; !strings.Contains(s.Fault, c.want) || len(s.Pending) != 0 || !s.ReadAt.Equal(read) {
			t.Errorf("source %+v, want a fault about %q", s, c.want)
		}
	}
	// A trust key that can't be read checks nothing, so nothing is read.
	sp := r.get(t)
	sp.Source.TrustKey = []byte("no certificate")
	if err := r.db.ServiceProviders().Put(t.Context(), sp, store.Event{}); err != nil {
		t.Fatal(err)
	}
	asked := r.pub.asked.Load()
	r.due(t)
	if s := r.get(t).Source; !strings.Contains(s.Fault, "trust key") || r.pub.asked.Load() != asked {
		t.Errorf("source %+v", s)
	}
}

// TestMD05Replicas: of several replicas one refreshes.
func TestMD05Replicas(t *testing.T) {
	r := newRefreshing(t)
	r.add(t, readFile(t, "sp.xml"), nil)
	now.Set(r.get(t).Source.NextAt)
	var done sync.WaitGroup
	var total atomic.Int32
	for range 8 {
		replica := r.another(t, slog.New(slog.DiscardHandler))
		done.Go(func() {
			n, err := replica.Due(t.Context())
			if err != nil {
				t.Error(err)
			}
			total.Add(int32(n))
		})
	}
	done.Wait()
	if total.Load() != 1 || r.pub.asked.Load() != 1 {
		t.Errorf("%d refreshes, asked %d times", total.Load(), r.pub.asked.Load())
	}
	// By hand: at once, and what came from a file can't be.
	if out, err := r.Refresh(t.Context(), portal, "admin:test"); err != nil || out.Fault != nil {
		t.Errorf("by hand: %+v %v", out, err)
	}
	sp := r.get(t)
	sp.Source = nil
	if err := r.db.ServiceProviders().Put(t.Context(), sp, store.Event{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Refresh(t.Context(), portal, "admin:test"); !errors.Is(err, metadata.ErrNoSource) {
		t.Errorf("without an address: %v", err)
	}
	if _, err := r.Refresh(t.Context(), "https://nobody.test/", "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("run with an ended context: %v", err)
	}
}

// FuzzMetadata: nothing is fetched, there is no panic and no address but https; and
// with a trust key nothing is read that it did not sign.
func FuzzMetadata(f *testing.F) {
	key := readKey(f, "rsa-2048")
	signed := sealed(f, group("", member("https://a.test"), member("https://bb.test")), "_group",
		dsig.RSASHA256SignatureMethod, "", key)
	good := readFile(f, "sp.xml")
	for _, seed := range []string{good, signed, group(`validUntil="2027-01-06T10:00:00Z"`, member("https://a.test")),
		member("x"), "<!DOCTYPE x SYSTEM 'http://127.0.0.1/'><x/>", "\xef\xbb\xbf<a xmlns='b'/>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := metadata.Read(bytes.NewReader(data), metadata.ReadOptions{Now: start})
		if err == nil {
			for _, e := range im.Provider.ACS {
				if !strings.HasPrefix(strings.ToLower(e.URL), "https://") {
					t.Errorf("address %q", e.URL)
				}
			}
			if _, err := metadata.Parse(im.Provider.Metadata); err != nil {
				t.Errorf("what is kept can't be read: %v", err)
			}
			_ = idp.CheckProvider(im.Provider, false)
		}
		im, err = metadata.Read(bytes.NewReader(data), metadata.ReadOptions{EntityID: "https://bb.test",
			TrustKey: key.Certificate, Now: start})
		if err == nil && (!im.Signed || im.Provider.ACS[0].URL != "https://bb.test/acs?a=1&b=2" ||
			len(im.Provider.ACS) != 1 || len(im.Provider.Certificates) != 0) {
			t.Errorf("not signed: %+v", im.Provider)
		}
	})
}

func roots(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}
