package directory_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// authority signs certificates for servers of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, change func(*x509.Certificate)) authority {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	change(c)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, file: filepath.Join(t.TempDir(), "ca.crt")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func writePEM(t *testing.T, name, kind string, der ...[]byte) {
	t.Helper()
	var b bytes.Buffer
	for _, d := range der {
		if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: d}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// server makes a certificate for 127.0.0.1.
func (a authority) server(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: new(big.Int).Lsh(big.NewInt(0x5a), 64), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	change(c)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// negative turns the serial number of server into a negative one, and signs again.
func (a authority) negative(t *testing.T, c tls.Certificate) tls.Certificate {
	t.Helper()
	var parts struct {
		Body      asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Certificate[0], &parts); err != nil {
		t.Fatal(err)
	}
	body := bytes.Clone(parts.Body.FullBytes)
	at := bytes.Index(body, []byte{0x02, 0x09, 0x5a})
	if at < 0 {
		t.Fatal("no serial number")
	}
	body[at+2] |= 0x80
	parts.Body = asn1.RawValue{FullBytes: body}
	der, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	c.Certificate = [][]byte{der}
	return c
}

// serveTLS answers handshakes, and closes each connection then.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	return "ldaps://" + serveEach(t, func(c net.Conn) { shakeHands(c, config) })
}

// serveStartTLS is serveTLS after StartTLS.
func serveStartTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	return "ldap://" + serveEach(t, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 512)); err != nil {
			return
		}
		_, _ = c.Write([]byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0, 0x04, 0x00, 0x04, 0x00})
		shakeHands(c, config)
	})
}

func shakeHands(c net.Conn, config *tls.Config) {
	if s := tls.Server(c, config); s.Handshake() == nil {
		_, _ = io.Copy(io.Discard, s)
	}
}

// serveEach serves each connection, closes it then, and returns its address.
func serveEach(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// diagnosed is the fault of a sign-in and the step of a check that failed.
func diagnosed(t *testing.T, o directory.Options) (directory.Fault, directory.Step) {
	t.Helper()
	d := open(t, o)
	_, err := d.Authenticate(t.Context(), "alice", "right")
	wantProblem(t, err, directory.Unavailable)
	for _, step := range d.Check(t.Context()) {
		if step.Err != nil {
			return directory.Diagnose(err), step
		}
	}
	t.Fatalf("check finds nothing where a sign-in fails: %v", err)
	return directory.Fault{}, directory.Step{}
}

// REAL-46: each fault of a server's certificate, and of what stands around it, is named with its own way out, by a
// check and at a sign-in.
func TestREAL46CertificateFaults(t *testing.T) {
	none := func(*x509.Certificate) {}
	a, other := newAuthority(t, none), newAuthority(t, func(c *x509.Certificate) { c.Subject.CommonName = "Other" })
	old := newAuthority(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	bound := newAuthority(t, func(c *x509.Certificate) {
		c.PermittedIPRanges = []*net.IPNet{{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)}}
		c.PermittedDNSDomainsCritical = true
	})
	self := newAuthority(t, func(c *x509.Certificate) {
		c.IPAddresses, c.IsCA, c.KeyUsage = []net.IP{{127, 0, 0, 1}}, false, x509.KeyUsageDigitalSignature
	})
	one := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	asked := one(a.server(t, none))
	// With TLS 1.3 the refusal comes after the handshake, and a server that closes at once may take it away again.
	asked.ClientAuth, asked.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	tls11 := one(a.server(t, none))
	tls11.MinVersion, tls11.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 // #nosec G402 -- the refusal is tested
	for _, c := range []struct {
		name      string
		config    *tls.Config // nil: url
		url, ca   string
		text, fix string
	}{
		{"negative serial number", one(a.negative(t, a.server(t, none))), "", a.file, "negative serial number",
			"GODEBUG=x509negativeserial=1"},
		{"unknown authority", one(a.server(t, none)), "", other.file, "not trusted here", "Test authority"},
		{"signed itself", one(tls.Certificate{Certificate: [][]byte{self.cert.Raw}, PrivateKey: self.key}),
			"", a.file, "signed itself", "ca_file"},
		{"wrong host", one(a.server(t, func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"dc1.example.test"}
		})), "", a.file, `another name than "127.0.0.1"`, "dc1.example.test"},
		{"no alternative name", one(a.server(t, func(c *x509.Certificate) { c.IPAddresses = nil })), "", a.file,
			"no subject alternative name", "issued again"},
		{"expired", one(a.server(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		})), "", a.file, "has expired", "renewed"},
		{"not yet valid", one(a.server(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		})), "", a.file, "not valid yet", "clock is behind"},
		{"authority expired", one(old.server(t, none)), "", old.file, "has expired", "renewed"},
		{"not for servers", one(a.server(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})), "", a.file, "not for servers", "server authentication"},
		{"may not sign for it", one(bound.server(t, none)), "", bound.file, "may not sign for this name",
			"issued again"},
		{"asks for a certificate", asked, "", a.file, "the directory refused TLS: ", "without a certificate"},
		{"TLS 1.1", tls11, "", a.file, "no TLS that is still safe", "TLS 1.2"},
		{"no TLS", nil, strings.Replace(directorytest.SharedSlapd(t).PlainURL(), "ldap:", "ldaps:", 1), a.file, "TLS",
			"636"},
		{"nothing there", nil, "ldaps://127.0.0.1:1", a.file, "nothing listens", "reachable"},
		{"no such name", nil, "ldaps://directory.invalid", a.file, "DNS", "urls"},
	} {
		try := func(t *testing.T, url, fix string) {
			t.Helper()
			fault, step := diagnosed(t, directory.Options{Preset: "openldap", URLs: []string{url}, CAFile: c.ca,
				StartTLS: strings.HasPrefix(url, "ldap:"), BindDN: "cn=reader,dc=x", BindPassword: "service-secret",
				BaseDN: "dc=x"})
			if !strings.Contains(fault.Text, c.text) || !strings.Contains(fault.Fix, fix) {
				t.Errorf("at a sign-in: got %+v, want %q and %q", fault, c.text, fix)
			}
			if !strings.Contains(step.Err.Error(), c.text) || !strings.Contains(step.Fix, fix) {
				t.Errorf("check: got %v, do %q; want %q and %q", step.Err, step.Fix, c.text, fix)
			}
		}
		t.Run(c.name, func(t *testing.T) {
			if c.config == nil {
				try(t, c.url, c.fix)
				return
			}
			try(t, serveTLS(t, c.config), c.fix)
			// The library says less of a handshake after StartTLS: not who signed, nor for whom.
			fix := map[string]string{"unknown authority": "ca_file", "signed itself": "ca_file", "wrong host": "urls",
				"no alternative name": ""}
			if less, ok := fix[c.name]; ok {
				c.text, c.fix = "the directory's certificate", less
			}
			try(t, serveStartTLS(t, c.config), c.fix)
		})
	}
}

// REAL-47: the service account and the DNs of the configuration: which is wrong, by a check and at a sign-in.
func TestREAL47ServiceFaults(t *testing.T) {
	s := directorytest.SharedSlapd(t)
	for _, c := range []struct {
		name      string
		change    func(*directory.Options)
		text, fix string
	}{
		{"password", func(o *directory.Options) { o.BindPassword = "wrong" }, "refuses the name or the password",
			"bind_password"},
		{"account", func(o *directory.Options) { o.BindDN = "cn=raeder," + s.BaseDN }, "refuses the name or the password",
			"bind_dn"},
		{"base", func(o *directory.Options) { o.BaseDN = "ou=poeple," + s.BaseDN; o.GroupBaseDN = s.BaseDN },
			`base_dn "ou=poeple,dc=example,dc=test" does not exist`, `of this one, "dc=example,dc=test" exists`},
		{"suffix", func(o *directory.Options) { o.BaseDN = "dc=exampel,dc=test" },
			`base_dn "dc=exampel,dc=test" does not exist`,
			"base_dn"},
		{"in clear", func(o *directory.Options) {
			o.URLs, o.Insecure, o.CAFile = []string{s.PlainURL()}, true, ""
		}, "over TLS only", "ldaps://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := s.Options()
			c.change(&o)
			fault, step := diagnosed(t, o)
			if !strings.Contains(fault.Text, c.text) || !strings.Contains(fault.Fix, c.fix) {
				t.Errorf("at a sign-in: got %+v, want %q and %q", fault, c.text, c.fix)
			}
			if !strings.Contains(step.Err.Error(), c.text) || !strings.Contains(step.Fix, c.fix) {
				t.Errorf("check: got %v, do %q; want %q and %q", step.Err, step.Fix, c.text, c.fix)
			}
			if all := fault.Text + fault.Fix + step.Fix + step.Err.Error(); strings.Contains(all, "Reader-secret") {
				t.Errorf("the password is told: %s", all)
			}
		})
	}
	for code, want := range map[string]string{"775": "locked", "533": "disabled", "701": "disabled", "532": "expired",
		"773": "must be changed", "52e": "refuses the name"} {
		f := startFake(t)
		f.set(func() {
			f.service, f.diag = "other", "80090308: LdapErr: DSID-0C0, comment: AcceptSecurityContext error, data "+code+", v4"
		})
		if fault, _ := diagnosed(t, f.options("active_directory")); !strings.Contains(fault.Text, want) {
			t.Errorf("%s: got %+v, want %q", code, fault, want)
		}
	}
}

// REAL-48: a ca_file that can't be used says why; what it has beside a certificate that can be read is passed over and
// named.
func TestREAL48CAFile(t *testing.T) {
	a := newAuthority(t, func(*x509.Certificate) {})
	good, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	negative, err := os.ReadFile(filepath.Join("testdata", "negative-serial.crt"))
	if err != nil {
		t.Fatal(err)
	}
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw[:100]})
	for _, c := range []struct {
		name      string
		data      []byte
		text, fix string // "": it is taken
	}{
		{"PEM", good, "", ""},
		{"PEM behind a byte order mark, with text around", []byte("\xef\xbb\xbf" + string(good) + "\r\nText\n"), "", ""},
		{"with Windows' line ends", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), "", ""},
		{"DER", a.cert.Raw, "", ""},
		{"good beside bad", append(bytes.Clone(negative), good...), "", ""},
		{"negative serial number", negative, "negative serial number", "GODEBUG=x509negativeserial=1"},
		{"cut", broken, "can't be read", "issued again"},
		{"a key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
			`a block "PRIVATE KEY"`, "BEGIN CERTIFICATE"},
		{"empty", []byte(" \n"), "is empty", "BEGIN CERTIFICATE"},
		{"something else", []byte("hello"), "holds no certificate", "BEGIN CERTIFICATE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ca.crt")
			if err := os.WriteFile(file, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			d, err := directory.New(directory.Options{Preset: "openldap", URLs: []string{"ldaps://127.0.0.1:1"}, CAFile: file,
				BaseDN: "dc=x", Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if c.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				step := d.Check(t.Context())[0]
				if passed := strings.Contains(step.Detail, "negative serial number") && step.Err == nil && step.Fix != "" &&
					strings.Contains(log.String(), "negative serial"); passed != (c.name == "good beside bad") {
					t.Errorf("check begins with %+v, and the log has %q", step, log.String())
				}
				return
			}
			f, ok := errors.AsType[*directory.FieldError](err)
			if !ok || f.Field != "ca_file" || !strings.Contains(f.Fault, c.text) || !strings.Contains(f.Fix, c.fix) {
				t.Errorf("got %v, want ca_file with %q and %q", err, c.text, c.fix)
			}
		})
	}
	// The way out works.
	t.Setenv("GODEBUG", "x509negativeserial=1")
	if _, err := directory.New(directory.Options{Preset: "openldap", URLs: []string{"ldaps://127.0.0.1:1"}, BaseDN: "dc=x",
		CAFile: filepath.Join("testdata", "negative-serial.crt")}); err != nil {
		t.Error(err)
	}
}
