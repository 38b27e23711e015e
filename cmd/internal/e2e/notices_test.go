package e2e_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// noticeReceiver is a program that takes notices. While it is held, it has read a message and answers nothing.
type noticeReceiver struct {
	*httptest.Server
	mu   sync.Mutex
	ids  []string
	held chan struct{} // nil: it answers at once
	came chan string
}

func newNoticeReceiver(t *testing.T) (r *noticeReceiver, caFile string) {
	t.Helper()
	r = &noticeReceiver{came: make(chan string, 100)}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		id := q.Header.Get("Webhook-Id")
		r.mu.Lock()
		r.ids = append(r.ids, id)
		held := r.held
		r.mu.Unlock()
		r.came <- id
		if held != nil {
			select {
			case <-held:
			case <-q.Context().Done():
			}
		}
	}))
	t.Cleanup(r.Close)
	caFile = filepath.Join(t.TempDir(), "receivers.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	return r, caFile
}

func (r *noticeReceiver) next(t *testing.T, within time.Duration) string {
	t.Helper()
	select {
	case id := <-r.came:
		return id
	case <-time.After(within):
		t.Fatal("no notice came")
		return ""
	}
}

// A client account's change of status reaches a webhook within seconds. Killed in the middle of the delivery, the
// bridge sends the same notice again, by the same id: none is lost (row NTC-03).
func TestNoticesSurviveKill(t *testing.T) {
	t.Parallel()
	r, caFile := newNoticeReceiver(t)
	w := newWorld(t, setting{set: map[string]string{"notices.ca_file": caFile,
		"notices.internal_receivers": "127.0.0.0/8"}})
	w.command(t, "accounts", "list", "--refresh")
	w.command(t, "notices", "add", "billing", "webhook", "--url", r.URL+"/hook", "--class", "account.*")
	w.command(t, "notices", "test", "billing")
	if id := r.next(t, 10*time.Second); id == "" {
		t.Error("a test without an id")
	}
	r.mu.Lock()
	r.held = make(chan struct{})
	r.mu.Unlock()
	if err := w.sandbox.SetBillingStatus(books, "Canceled"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.command(t, "accounts", "list", "--refresh")
	first := r.next(t, 15*time.Second)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the first try came after %v", took)
	}
	w.kill(t)
	r.mu.Lock()
	r.held = nil
	r.mu.Unlock()
	w.start(t)
	if again := r.next(t, 100*time.Second); again != first {
		t.Errorf("after the kill %s came, want %s", again, first)
	}
	if !within(10*time.Second, func() bool {
		out := w.command(t, "notices", "deliveries", "billing", "--json")
		return strings.Contains(out, `"state":"sent"`) && strings.Contains(out, `"class":"account.cancelled"`) &&
			strings.Contains(out, first)
	}) {
		t.Errorf("deliveries: %s", w.command(t, "notices", "deliveries"))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(slices.DeleteFunc(slices.Clone(r.ids), func(id string) bool { return id != first })); n != 2 {
		t.Errorf("the notice came %d times, want 2", n)
	}
}

// Two replicas over one PostgreSQL deliver each notice once: what one has claimed the other leaves alone (row NTC-03).
func TestNoticesOfTwoReplicas(t *testing.T) {
	t.Parallel()
	r, caFile := newNoticeReceiver(t)
	s := setting{set: map[string]string{"notices.ca_file": caFile, "notices.internal_receivers": "127.0.0.0/8"}}
	c := newCluster(t, s.onPostgres(t, postgres(t)), 2)
	c.command(t, "accounts", "list", "--refresh")
	c.command(t, "notices", "add", "billing", "webhook", "--url", r.URL+"/hook", "--class", "account.*")
	want := 0
	for _, status := range []string{"Canceled", "Open", "Canceled"} {
		for _, account := range []string{books, bakery, club} {
			if err := c.sandbox.SetBillingStatus(account, status); err != nil {
				t.Fatal(err)
			}
			want++
		}
		c.command(t, "accounts", "list", "--refresh")
	}
	for range want {
		r.next(t, 60*time.Second)
	}
	// Longer than both replicas need to look again.
	select {
	case id := <-r.came:
		t.Errorf("%s came once more", id)
	case <-time.After(6 * time.Second):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := slices.Clone(r.ids)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != want {
		t.Errorf("%d different notices came, want %d: %v", len(slices.Compact(ids)), want, r.ids)
	}
}
