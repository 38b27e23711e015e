package fetch_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ssobridge/idp/fetch"
)

// TestMD05Addresses: where metadata may be fetched from (MD-05). What embeds
// another address counts as that one.
func TestMD05Addresses(t *testing.T) {
	for _, c := range []struct {
		address            string
		usually, ifAllowed bool
	}{
		{"203.0.113.9:443", true, true},
		{"93.184.216.34:8443", true, true},
		{"[2606:2800:220:1::1]:443", true, true},
		{"[64:ff9b::5db8:d822]:443", true, true}, // NAT64 of a public address
		{"127.0.0.1:443", false, true},
		{"127.9.9.9:443", false, true},
		{"[::1]:443", false, true},
		{"10.0.0.7:443", false, true},
		{"172.16.0.1:443", false, true},
		{"172.31.255.255:443", false, true},
		{"192.168.1.1:443", false, true},
		{"100.64.0.1:443", false, true},
		{"198.18.0.1:443", false, true},
		{"192.0.0.1:443", false, true},
		{"[fd00::1]:443", false, true},
		{"[fc00::1]:443", false, true},
		{"[fec0::1]:443", false, true},
		{"[::ffff:127.0.0.1]:443", false, true},
		{"[::ffff:10.0.0.7]:443", false, true},
		{"[::127.0.0.1]:443", false, true},
		{"[64:ff9b::7f00:1]:443", false, true},
		{"[64:ff9b::a00:7]:443", false, true},
		{"[2002:7f00:1::]:443", false, true},
		{"[2002:a00:7::]:443", false, true},
		{"169.254.169.254:80", false, false}, // metadata of cloud machines, of another kind
		{"[::ffff:169.254.169.254]:80", false, false},
		{"[64:ff9b::a9fe:a9fe]:80", false, false},
		{"[2002:a9fe:a9fe::]:80", false, false},
		{"[fe80::1]:443", false, false},
		{"[fe80::1%eth0]:443", false, false},
		{"[64:ff9b:1::7f00:1]:443", false, false},
		{"[2001::7f00:1]:443", false, false},
		{"0.0.0.0:443", false, false},
		{"0.1.2.3:443", false, false},
		{"[::]:443", false, false},
		{"224.0.0.1:443", false, false},
		{"239.1.1.1:443", false, false},
		{"[ff02::1]:443", false, false},
		{"255.255.255.255:443", false, false},
		{"240.0.0.1:443", false, false},
		{"[::ffff:0.0.0.0]:443", false, false},
		{"localhost:443", false, false}, // names are resolved before
	} {
		if err := fetch.MayDial(c.address, options()); (err == nil) != c.usually {
			t.Errorf("%s: %v", c.address, err)
		}
		if err := fetch.MayDial(c.address, options(internal)); (err == nil) != c.ifAllowed {
			t.Errorf("%s with internal addresses allowed: %v", c.address, err)
		}
	}
}

// errTooLarge is the error of a document that is too large.
var errTooLarge = errors.New("the document has more than 64 MiB")

// options are those of metadata, with changes.
func options(changes ...func(*fetch.Options)) fetch.Options {
	o := fetch.Options{What: "metadata", Setting: "metadata.allow_internal", MaxBytes: 64 << 20, TooLarge: errTooLarge}
	for _, change := range changes {
		change(&o)
	}
	return o
}

func internal(o *fetch.Options) { o.AllowInternal = true }

func trusting(server *httptest.Server) func(*fetch.Options) {
	return func(o *fetch.Options) {
		o.Roots = x509.NewCertPool()
		o.Roots.AddCert(server.Certificate())
	}
}

// TestBound: a server that does not say how much it sends is read up to the bound, and one byte more is refused.
func TestBound(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush() // so that no Content-Length is sent
		_, _ = io.WriteString(w, strings.Repeat("x", 1000)+r.URL.RawQuery)
	}))
	t.Cleanup(server.Close)
	client := fetch.New(options(internal, trusting(server), func(o *fetch.Options) { o.MaxBytes = 1000 }))
	for query, want := range map[string]error{"": nil, "?y": errTooLarge, "?" + strings.Repeat("y", 900): errTooLarge} {
		body, err := client.Open(t.Context(), server.URL+query)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		_ = body.Close()
		if !errors.Is(err, want) || len(data) != 1000 {
			t.Errorf("query %.10q: %d bytes, error %v; want 1000, %v", query, len(data), err, want)
		}
		if n, err := body.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("query %.10q: read %d bytes after the end, error %v", query, n, err)
		}
	}
}

// TestMD05Fetch asks real servers.
func TestMD05Fetch(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // no proxy is ever asked
	var secrets atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		secrets.Add(1)
		fmt.Fprint(w, "secret")
	}))
	t.Cleanup(inside.Close)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metadata":
			if r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
				t.Error("something of ours was sent")
			}
			fmt.Fprint(w, "<x/>")
		case "/to-metadata":
			http.Redirect(w, r, "/metadata", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/javascript":
			w.Header().Set("Location", "javascript:alert(1)")
			w.WriteHeader(http.StatusFound)
		case "/cloud":
			http.Redirect(w, r, "https://169.254.169.254/latest/", http.StatusFound)
		case "/large":
			w.Header().Set("Content-Length", "100000000")
			w.WriteHeader(http.StatusOK)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	open := func(f *fetch.Client, address string) (string, error) {
		body, err := f.Open(t.Context(), address)
		if err != nil {
			return "", err
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		return string(data), err
	}
	f := fetch.New(options(internal, trusting(server)))
	for _, path := range []string{"/metadata", "/to-metadata"} {
		if got, err := open(f, server.URL+path); err != nil || got != "<x/>" {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
	for _, c := range []struct{ address, want string }{
		{server.URL + "/loop", "redirects"},
		{server.URL + "/inside", "use https"},
		{server.URL + "/file", "not a complete URL"},
		{server.URL + "/javascript", ""},
		{server.URL + "/cloud", "link-local"},
		{server.URL + "/large", "64 MiB"},
		{server.URL + "/none", "status 404"},
		{inside.URL, "use https"},
		{"file:///etc/passwd", "not a complete URL"},
		{"https://user:pass@localhost/", "user name"},
		{"gopher://localhost/", "scheme"},
		{"https://169.254.169.254/", "link-local"},
	} {
		if got, err := open(f, c.address); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q %v, want an error about %q", c.address, got, err, c.want)
		}
	}
	if n := secrets.Load(); n != 0 {
		t.Errorf("a server inside was asked %d times", n)
	}
	// Off, the same server is not asked, whatever its name: the address decides.
	off := fetch.New(options(trusting(server)))
	for _, address := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1),
		strings.Replace(server.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		if _, err := open(off, address+"/metadata"); err == nil || !strings.Contains(err.Error(), "internal") &&
			!strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := open(fetch.New(options(internal)), server.URL+"/metadata"); err == nil || !strings.Contains(err.Error(),
		"certificate") {
		t.Errorf("unknown authority: %v", err)
	}
	both := fetch.New(options(internal, func(o *fetch.Options) { o.AllowLoopbackHTTP = true }))
	if got, err := open(both, inside.URL); err != nil || got != "secret" {
		t.Errorf("loopback under both switches: %q %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Open(ctx, server.URL+"/metadata"); err == nil {
		t.Error("an ended context still asks")
	}
}
