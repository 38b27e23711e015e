package main

// This test stands inside the package: a main package can't be imported.

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// TestConnReadsWhatServersSend reads bodies with a length and in chunks, below and
// above the size of the buffer, one after the other on one connection.
func TestConnReadsWhatServersSend(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil {
			t.Error(err)
		}
		if !r.URL.Query().Has("chunks") {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "wanted", Value: "two"})
		w.WriteHeader(http.StatusAccepted)
		for text := body(size); text != ""; {
			n := min(len(text), 5000)
			if _, err := io.WriteString(w, text[:n]); err != nil {
				t.Error(err)
			}
			if r.URL.Query().Has("chunks") {
				w.(http.Flusher).Flush()
			}
			text = text[n:]
		}
	}))
	defer server.Close()
	c, err := dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, query := range []string{"size=0", "size=1", "size=1&chunks", "size=31000", "size=31000&chunks", "size=200000",
		"size=200000&chunks", "size=7"} {
		t.Run(query, func(t *testing.T) {
			a, err := c.do([]byte("GET /?" + query + " HTTP/1.1\r\nHost: bench\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			size, _, _ := strings.Cut(strings.TrimPrefix(query, "size="), "&")
			n, err := strconv.Atoi(size)
			if err != nil {
				t.Fatal(err)
			}
			if want := body(n); a.status != http.StatusAccepted || string(a.body) != want {
				t.Errorf("got status %d and %d bytes, want 202 and the %d bytes that were sent", a.status, len(a.body), len(want))
			}
			if got := a.setCookie("wanted"); got != "two" {
				t.Errorf("got cookie %q, want two", got)
			}
			if got := a.setCookie("absent"); got != "" {
				t.Errorf("got cookie %q that was not set", got)
			}
		})
	}
}

func body(size int) string {
	return strings.Repeat("0123456789abcdef\r\n", size/18+1)[:size]
}

func TestConnRefusesWhatIsNoHTTP(t *testing.T) {
	for name, text := range map[string]string{
		"no status":   "SSH-2.0-OpenSSH\r\n\r\n",
		"bad length":  "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
		"bad chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"huge chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
		"short body":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"no end":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"nothing":     "",
		"half a head": "HTTP/1.1 200",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				nc, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				if _, err := io.WriteString(nc, text); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			c, err := dial(t.Context(), server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if a, err := c.do([]byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n")); err == nil {
				t.Errorf("got status %d, want an error", a.status)
			}
		})
	}
}
