package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

// ID-25: over a network nothing goes to PostgreSQL in clear, wherever the mode comes from.
func TestPostgresModes(t *testing.T) {
	dir := t.TempDir()
	services := filepath.Join(dir, "services")
	if err := os.WriteFile(services,
		[]byte("[bare]\nhost=db.example.test\n[open]\nhost=db.example.test\nsslmode=disable\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, _, _ := authority(t, dir)
	const refused = "refused"
	for _, c := range []struct {
		name, dsn string
		env       []string // name, value, …
		want      []string
		insecure  []string // with it allowed; nil: the same
	}{
		{"absent", "postgres://u@db.example.test/d", nil, []string{"db.example.test, sslmode require (the DSN demands none)"},
			[]string{"db.example.test, sslmode prefer"}},
		{"prefer", "postgres://u@db.example.test/d?sslmode=prefer", nil,
			[]string{"db.example.test, sslmode require (the DSN demands none)"}, []string{"db.example.test, sslmode prefer"}},
		{"allow", "postgres://u@db.example.test/d?sslmode=allow", nil,
			[]string{"db.example.test, sslmode require (the DSN demands none)"}, []string{"db.example.test, sslmode allow"}},
		{"prefer with a root", "postgres://u@db.example.test/d?sslmode=prefer&sslrootcert=" + root, nil,
			[]string{"db.example.test, sslmode verify-ca (the DSN demands none)"}, []string{"db.example.test, sslmode prefer"}},
		{"disable", "postgres://u@db.example.test/d?sslmode=disable", nil, []string{refused},
			[]string{"db.example.test, sslmode disable"}},
		{"require", "postgres://u@db.example.test/d?sslmode=require", nil, []string{"db.example.test, sslmode require"}, nil},
		{"verify-full", "postgres://u@db.example.test/d?sslmode=verify-full", nil,
			[]string{"db.example.test, sslmode verify-full"}, nil},
		{"another port", "postgres://u@db.example.test:6432/d", nil,
			[]string{"db.example.test, sslmode require (the DSN demands none)"}, []string{"db.example.test, sslmode prefer"}},
		{"an address", "postgres://u@192.0.2.2/d?sslmode=disable", nil, []string{refused},
			[]string{"192.0.2.2, sslmode disable"}},
		{"all addresses of this machine", "postgres://u@0.0.0.0/d?sslmode=disable", nil, []string{refused},
			[]string{"0.0.0.0, sslmode disable"}},
		{"IPv6", "postgres://u@[2001:db8::1]/d?sslmode=disable", nil, []string{refused},
			[]string{"2001:db8::1, sslmode disable"}},
		{"a name like localhost", "postgres://u@localhost.example.test/d?sslmode=disable", nil, []string{refused},
			[]string{"localhost.example.test, sslmode disable"}},
		{"loopback", "postgres://u@127.0.0.5/d?sslmode=disable", nil, []string{"loopback (127.0.0.5), sslmode disable"}, nil},
		{"loopback, absent", "postgres://u@localhost/d", nil, []string{"loopback (localhost), sslmode prefer"}, nil},
		{"IPv6 loopback", "postgres://u@[::1]/d?sslmode=disable", nil, []string{"loopback (::1), sslmode disable"}, nil},
		{"a socket", "postgres://u@/d?host=/run/postgresql&sslmode=disable", nil,
			[]string{"Unix socket in /run/postgresql"}, nil},
		{
			"several", "postgres://u@127.0.0.1:1,db.example.test:2/d", nil,
			[]string{"loopback (127.0.0.1), sslmode prefer", "db.example.test, sslmode require (the DSN demands none)"},
			[]string{"loopback (127.0.0.1), sslmode prefer", "db.example.test, sslmode prefer"},
		},
		{
			"several, one in clear", "postgres://u@127.0.0.1:1,db.example.test:2/d?sslmode=disable", nil, []string{refused},
			[]string{"loopback (127.0.0.1), sslmode disable", "db.example.test, sslmode disable"},
		},
		{"mode from the environment", "postgres://u@db.example.test/d", []string{"PGSSLMODE", "disable"}, []string{refused},
			[]string{"db.example.test, sslmode disable"}},
		{"weak mode from the environment", "postgres://u@db.example.test/d", []string{"PGSSLMODE", "allow"},
			[]string{"db.example.test, sslmode require (the DSN demands none)"}, []string{"db.example.test, sslmode allow"}},
		{"host from the environment", "postgres:///d?sslmode=disable", []string{"PGHOST", "db.example.test"},
			[]string{refused}, []string{"db.example.test, sslmode disable"}},
		{"host from a service", "postgres:///d?service=bare", []string{"PGSERVICEFILE", services},
			[]string{"db.example.test, sslmode require (the DSN demands none)"}, []string{"db.example.test, sslmode prefer"}},
		{"mode from a service", "postgres:///d?service=open", []string{"PGSERVICEFILE", services}, []string{refused},
			[]string{"db.example.test, sslmode disable"}},
		{"host in the query", "postgres://u@127.0.0.1/d?sslmode=disable&host=db.example.test", nil, []string{refused},
			[]string{"db.example.test, sslmode disable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := 0; i < len(c.env); i += 2 {
				t.Setenv(c.env[i], c.env[i+1])
			}
			for _, insecure := range []bool{false, true} {
				want := c.want
				if insecure && c.insecure != nil {
					want = c.insecure
				}
				routes, err := store.PostgresRoutes(c.dsn, insecure)
				var got []string
				for _, r := range routes {
					got = append(got, r.String())
				}
				if errors.Is(err, store.ErrInsecure) {
					got = []string{refused}
				} else if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("insecure %t: got %q, want %q", insecure, got, want)
				}
			}
		})
	}
}

// authority writes a root certificate and a server's for addr, and returns their files.
func authority(t *testing.T, dir string, addresses ...net.IP) (root, certificate, key string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	own := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: addresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, own, own, private.Public(), private)
	check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	check(err)
	root, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	check(os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return root, root, key
}

// ID-25 on real servers that are reached over the network, one with TLS and one without.
func TestPostgresOverTheNetwork(t *testing.T) {
	if os.Getenv(storetest.PostgresVariable) != "start" {
		t.Skipf("no PostgreSQL of its own: set %s=start", storetest.PostgresVariable)
	}
	address := networkAddress(t)
	dir := t.TempDir()
	root, certificate, key := authority(t, dir, address)
	open := func(admin, mode string, insecure bool) (routes []store.Route, err error) {
		u, err := url.Parse(admin)
		if err != nil {
			t.Fatal(err)
		}
		u.Host = net.JoinHostPort(address.String(), u.Port())
		q := u.Query()
		q.Del("sslmode")
		if mode != "" {
			q.Set("sslmode", mode)
		}
		if mode == "verify-full" {
			q.Set("sslrootcert", root)
		}
		u.RawQuery = q.Encode()
		db, err := store.Open(t.Context(), store.Options{DSN: u.String(), Insecure: insecure,
			Voucher: storetest.Voucher("key of the tests")})
		if err != nil {
			return nil, err
		}
		defer func() { _ = db.Close() }()
		return db.Routes(), db.Ping(t.Context())
	}
	clear := storetest.StartPostgresOn(t, address.String(), "", "")
	encrypted := storetest.StartPostgresOn(t, address.String(), certificate, key)
	for _, c := range []struct {
		name, admin, mode string
		insecure, opens   bool
	}{
		{"no TLS, nothing said", clear, "", false, false},
		{"no TLS, prefer", clear, "prefer", false, false},
		{"no TLS, disable", clear, "disable", false, false},
		{"no TLS, prefer, allowed", clear, "prefer", true, true},
		{"no TLS, disable, allowed", clear, "disable", true, true},
		{"TLS, nothing said", encrypted, "", false, true},
		{"TLS, allow", encrypted, "allow", false, true},
		{"TLS, disable", encrypted, "disable", false, false},
		{"TLS, verified", encrypted, "verify-full", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			routes, err := open(c.admin, c.mode, c.insecure)
			if (err == nil) != c.opens {
				t.Fatalf("got %v, want it to open: %t", err, c.opens)
			}
			if c.mode == "disable" && !c.opens && !errors.Is(err, store.ErrInsecure) {
				t.Errorf("got %v, want ErrInsecure", err)
			}
			if c.opens && (len(routes) != 1 || !routes[0].Network) {
				t.Errorf("routes %v", routes)
			}
			if c.opens && !c.insecure && strings.HasSuffix(routes[0].String(), "disable") {
				t.Errorf("in clear: %v", routes)
			}
		})
	}
}

// networkAddress is an address of this machine that is not its loopback.
func networkAddress(t *testing.T) net.IP {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP
		}
	}
	t.Skip("this machine has no address but loopback")
	return nil
}
