package cli_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ssobridge/cmd/internal/cli"
)

// serving is a running `serve`.
type serving struct {
	t       *testing.T
	log     *buffer
	stop    context.CancelFunc
	done    chan int
	pages   string // host:port
	metrics string
}

// startServe runs `serve` on a folder that init made, and waits for what it tells
// systemd.
func startServe(t *testing.T, folder string, environ ...string) *serving {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	ctx, cancel := context.WithCancel(context.Background())
	s := &serving{t: t, log: &buffer{}, stop: cancel, done: make(chan int, 1)}
	environ = append(environ, "NOTIFY_SOCKET="+socket, "SSOBRIDGE_METRICS_LISTEN=127.0.0.1:0")
	go func() {
		s.done <- cli.Main(ctx, []string{"serve", "--config", filepath.Join(folder, "ssobridge.yaml")}, environ,
			strings.NewReader(""), io.Discard, s.log)
	}()
	t.Cleanup(cancel)
	message := make([]byte, 100)
	_ = notify.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, err := notify.Read(message)
	if err != nil || string(message[:n]) != "READY=1" {
		t.Fatalf("systemd was told %q, %v; want READY=1\n%s", message[:n], err, s.log)
	}
	s.pages = s.logged("listen")
	s.metrics = s.logged("metrics")
	return s
}

// logged is an attribute of the line "ready".
func (s *serving) logged(attribute string) string {
	s.t.Helper()
	found := regexp.MustCompile(`"msg":"ready".*"` + attribute + `":"([^"]+)"`).FindStringSubmatch(s.log.String())
	if found == nil {
		s.t.Fatalf("the log does not tell %s:\n%s", attribute, s.log)
	}
	return found[1]
}

func (s *serving) wait() int {
	s.t.Helper()
	select {
	case code := <-s.done:
		return code
	case <-time.After(30 * time.Second):
		s.t.Fatalf("serve does not end\n%s", s.log)
		return -1
	}
}

func (s *serving) get(client *http.Client, url string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.HasSuffix(url, "/metrics") && !strings.HasSuffix(url, "z") {
		req.Host = "localhost:8080"
	}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func plainClient(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// TestServe: it is ready though directory and partner API are down; it serves
// metadata, health and metrics; it stops with 0.
func TestServe(t *testing.T) {
	folder := initFolder(t)
	s := startServe(t, folder)
	client := plainClient(t)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/saml/metadata": 200, "/admin/": 404,
		"/saml/slo": 404, "/webhooks/constant-contact": 404} {
		if status, body := s.get(client, "http://"+s.pages+path); status != want {
			t.Errorf("%s: status %d, want %d\n%s", path, status, want, body)
		}
	}
	code, out, stderr := command(t, nil, "health", "http://"+s.pages)
	if code != 0 || out != "ready\n" {
		t.Errorf("health: exit code %d, %q, %s", code, out, stderr)
	}
	status, body := s.get(client, "http://"+s.metrics+"/metrics")
	for _, want := range []string{
		`ssobridge_http_requests_total{route="/saml/metadata",status="200"} 1`, `ssobridge_budget_used 0`,
		`ssobridge_budget_limit 10000`,
		`ssobridge_sso_users{state="conflict"} 0`, `ssobridge_sessions 0`, `ssobridge_certificate_not_after_seconds{id="`,
		`go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics (status %d) has no %s", status, want)
		}
	}
	if status, body := s.get(client, "http://"+s.pages+"/metrics"); status == http.StatusOK || strings.Contains(body,
		"ssobridge_") {
		t.Errorf("/metrics on the pages' listener: status %d, want a refusal", status)
	}
	config, copied := filepath.Join(folder, "ssobridge.yaml"), filepath.Join(folder, "copy.db")
	if code, _, stderr := command(t, nil, "backup", copied, "--config", config); code != 0 {
		t.Errorf("backup while it runs: exit code %d\n%s", code, stderr)
	}
	if code, _, stderr := command(t, nil, "restore", copied, "--config", config); code != 1 || !strings.Contains(stderr,
		"nothing was replaced; is the bridge stopped?") {
		t.Errorf("restore while it runs: exit code %d, want 1\n%s", code, stderr)
	}
	s.stop()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, s.log)
	}
	if code, _, _ := command(t, nil, "health", "http://"+s.pages); code != 1 {
		t.Errorf("health of a stopped bridge: exit code %d, want 1", code)
	}
	for line := range strings.Lines(s.log.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a log line is not JSON: %s", line)
		}
		if strings.Contains(line, "secret-") {
			t.Errorf("the log shows a secret: %s", line)
		}
	}
}

// TestServeFinishesRunningRequests stops while a request's body is on its way: new
// connections are refused, the running request gets its answer.
func TestServeFinishesRunningRequests(t *testing.T) {
	s := startServe(t, initFolder(t))
	conn, err := net.Dial("tcp", s.pages)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	const body = "SAMLRequest=bm9uc2Vuc2U%3D"
	fmt.Fprintf(conn, "POST /saml/sso HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: "+
		"application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	r := bufio.NewReader(conn)
	// The server says "100 Continue" when the handler begins to read: from here on it runs.
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("got %q, %v; want 100 Continue", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.stop()
	waitFor(t, "the end of listening", func() bool {
		other, err := net.Dial("tcp", s.pages)
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	fmt.Fprint(conn, body)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("the running request got no answer: %v\n%s", err, s.log)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400 for a nonsense request", res.StatusCode)
	}
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, s.log)
	}
}

func TestServeRefusals(t *testing.T) {
	folder := initFolder(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	config := filepath.Join(folder, "ssobridge.yaml")
	code, _, stderr := command(t, []string{"SSOBRIDGE_LISTEN=" + taken.Addr().String()}, "serve", "--config", config)
	if code != 1 || !strings.Contains(stderr, "hint: is another program on this port?") {
		t.Errorf("a port that is taken: exit code %d\n%s", code, stderr)
	}
	for address, hint := range map[string]string{
		"*:8080": "hint: no address is known for that host", "192.0.2.1:8080": "hint: this machine has no such address",
		"[fe80::1%none]:8080": "hint: this machine has no such address",
	} {
		code, _, stderr := command(t, []string{"SSOBRIDGE_LISTEN=" + address}, "serve", "--config", config)
		if code != 1 || !strings.Contains(stderr, hint) {
			t.Errorf("listen on %s: exit code %d\n%s", address, code, stderr)
		}
	}
	code, _, stderr = command(t, []string{"SSOBRIDGE_DATA_DIR=" + filepath.Join(folder, "nowhere")}, "serve",
		"--config", config)
	if code != 2 || !strings.Contains(stderr, "does not exist") {
		t.Errorf("a data folder that is not there: exit code %d\n%s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(folder, "nowhere")); err == nil {
		t.Error("the data folder was made")
	}
}

// pair writes a self-signed certificate for localhost.
func pair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServeOwnTLS(t *testing.T) {
	folder := initFolder(t)
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	pair(t, cert, key, 1)
	s := startServe(t, folder, "SSOBRIDGE_PUBLIC_URL=https://localhost:8080", "SSOBRIDGE_TLS_CERT=tls.crt",
		"SSOBRIDGE_TLS_KEY=tls.key",
		"SSOBRIDGE_CONSOLE_ADMIN_GROUP=cn=admins,dc=example,dc=com", "SSOBRIDGE_CONSOLE_LISTEN=127.0.0.1:0",
		"SSOBRIDGE_CONSOLE_PUBLIC_URL=https://localhost:8444")
	roots := x509.NewCertPool()
	data, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(data)
	_, port, _ := net.SplitHostPort(s.pages)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	if status, _ := s.get(&http.Client{Transport: transport}, "https://localhost:"+port+
		"/readyz"); status != http.StatusOK {
		t.Errorf("status %d over TLS, want 200", status)
	}
	// The console's own listener has the same certificate (row ID-19).
	_, consolePort, _ := net.SplitHostPort(s.logged("console"))
	if status, _ := s.get(&http.Client{Transport: transport}, "https://localhost:"+consolePort+
		"/readyz"); status != http.StatusOK {
		t.Errorf("the console's listener: status %d over TLS, want 200", status)
	}
	if code, _, stderr := command(t, nil, "health", "https://"+s.pages); code != 0 {
		t.Errorf("health over TLS: exit code %d\n%s", code, stderr)
	}
	old := &tls.Config{RootCAs: roots, ServerName: "localhost", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	if conn, err := tls.Dial("tcp", s.pages, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is accepted")
	}
	s.stop()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.log)
	}
}
