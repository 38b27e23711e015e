package directory_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// LDAP-03: LDAPS and StartTLS with verification; nothing passes with the wrong authority or the wrong name.
func TestLDAP03Verification(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	other := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Empty: true})
	port := strings.TrimPrefix(s.URL(), "ldaps://127.0.0.1")
	plainPort := strings.TrimPrefix(s.PlainURL(), "ldap://127.0.0.1")
	cases := []struct {
		name   string
		change func(*directory.Options)
		want   directory.Problem
	}{
		{"ldaps by address", func(*directory.Options) {}, ""},
		{"ldaps by name", func(o *directory.Options) { o.URLs = []string{"ldaps://localhost" + port} }, ""},
		{"StartTLS", func(o *directory.Options) { o.URLs, o.StartTLS = []string{s.PlainURL()}, true }, ""},
		{"ldaps, system's authorities", func(o *directory.Options) { o.CAFile = "" }, directory.Unavailable},
		{"ldaps, another authority", func(o *directory.Options) { o.CAFile = other.CAFile() }, directory.Unavailable},
		{"ldaps, another name", func(o *directory.Options) { o.URLs = []string{"ldaps://127.0.0.2" + port} },
			directory.Unavailable},
		{"StartTLS, another authority", func(o *directory.Options) {
			o.URLs, o.StartTLS, o.CAFile = []string{s.PlainURL()}, true, other.CAFile()
		}, directory.Unavailable},
		{"StartTLS, another name", func(o *directory.Options) {
			o.URLs, o.StartTLS = []string{"ldap://127.0.0.2" + plainPort}, true
		}, directory.Unavailable},
		{"ldaps to the plain port", func(o *directory.Options) { o.URLs = []string{"ldaps://127.0.0.1" + plainPort} },
			directory.Unavailable},
		{"plain to a server that wants TLS", func(o *directory.Options) {
			o.URLs, o.Insecure, o.CAFile = []string{s.PlainURL()}, true, ""
		}, directory.Unavailable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := s.Options()
			c.change(&o)
			_, err := open(t, o).Authenticate(t.Context(), "carol", directorytest.Password)
			wantProblem(t, err, c.want)
		})
	}
}

// LDAP-03: an insecure server works when the operator says so.
func TestLDAP03Insecure(t *testing.T) {
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Plain: true})
	o := s.Options()
	o.URLs, o.Insecure, o.CAFile = []string{s.PlainURL()}, true, ""
	if _, err := open(t, o).Authenticate(t.Context(), "carol", directorytest.Password); err != nil {
		t.Error(err)
	}
}

// recorder is a server that takes connections and keeps what it is sent.
type recorder struct {
	address string
	mu      sync.Mutex
	got     []byte
}

// startRecorder answers the first packet of each connection with reply.
func startRecorder(t *testing.T, reply []byte) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{address: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					r.mu.Lock()
					first := len(r.got) == 0
					r.got = append(r.got, buf[:n]...)
					r.mu.Unlock()
					if err != nil {
						return
					}
					if first {
						_, _ = c.Write(reply)
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return r
}

func (r *recorder) bytes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.got)
}

// LDAP-03: no bind is sent before StartTLS has succeeded, whatever the server says to StartTLS.
func TestLDAP03NoBindBeforeStartTLS(t *testing.T) {
	extended := func(code byte) []byte {
		return []byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00}
	}
	for name, reply := range map[string][]byte{
		"refused":             extended(2),
		"unavailable":         extended(52),
		"granted, then noise": append(extended(0), "this is no TLS at all, however long one looks at it"...),
		"nonsense":            []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"another response":    {0x30, 0x0c, 0x02, 0x01, 0x01, 0x61, 0x07, 0x0a, 0x01, 0, 0x04, 0x00, 0x04, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRecorder(t, reply)
			d := open(t, directory.Options{
				Preset: "openldap", URLs: []string{"ldap://" + r.address}, StartTLS: true, BindDN: "cn=reader,dc=x",
				BindPassword: "service-secret", BaseDN: "dc=x",
				DialTimeout: 500 * time.Millisecond, OpTimeout: 500 * time.Millisecond,
			})
			_, err := d.Authenticate(t.Context(), "alice", "person-secret")
			wantProblem(t, err, directory.Unavailable)
			got := r.bytes()
			if !strings.Contains(got, "1.3.6.1.4.1.1466.20037") {
				t.Errorf("StartTLS was not asked for: %q", got)
			}
			for _, secret := range []string{"reader", "secret", "alice"} {
				if strings.Contains(got, secret) {
					t.Errorf("%q was sent in clear", secret)
				}
			}
		})
	}
}

// LDAP-03: TLS older than 1.2 is refused.
func TestLDAP03OldTLS(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	cert, err := tls.LoadX509KeyPair(strings.TrimSuffix(s.CAFile(), "ca.crt")+"srv.crt", strings.TrimSuffix(s.CAFile(),
		"ca.crt")+"srv.key")
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[uint16]string{tls.VersionTLS11: "protocol version", tls.VersionTLS12: "connection"} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: version}) // #nosec G402 -- the refusal of old versions is tested
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				buf := make([]byte, 64)
				_, err = io.ReadAtLeast(c, buf, 1) // runs the handshake
				_ = err
				_ = c.Close()
			}
		}()
		o := s.Options()
		o.URLs = []string{"ldaps://" + l.Addr().String()}
		_, err = open(t, o).Authenticate(t.Context(), "carol", directorytest.Password)
		wantProblem(t, err, directory.Unavailable)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", tls.VersionName(version), err, want)
		}
	}
}
