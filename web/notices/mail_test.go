package notices_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"ssobridge/store"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// mailServer is a real SMTP server (go-smtp), which takes mail over TLS and after a login alone.
type mailServer struct {
	host  string
	port  int
	roots *x509.CertPool

	mu     sync.Mutex
	plain  bool // a login without TLS came
	logins int
	got    []letter
	refuse error
}

type letter struct {
	from string
	to   []string
	text string
}

// Ways in which the server speaks TLS.
const (
	startTLS = "starttls"
	wholeTLS = "tls"
	noTLS    = "none"
)

func newMailServer(t *testing.T, speaks string) *mailServer {
	t.Helper()
	certificate := httptest.NewTLSServer(nil)
	t.Cleanup(certificate.Close)
	m := &mailServer{roots: x509.NewCertPool(), host: "127.0.0.1"}
	m.roots.AddCert(certificate.Certificate())
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{m: m, c: c},
			nil
	}))
	s.Domain, s.AllowInsecureAuth = "mail.example.test", true
	s.ErrorLog = log.New(io.Discard, "", 0)
	s.ReadTimeout, s.WriteTimeout = 10*time.Second, 10*time.Second
	config := &tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS12}
	l, err := net.Listen("tcp", m.host+":0")
	if err != nil {
		t.Fatal(err)
	}
	m.port = l.Addr().(*net.TCPAddr).Port
	switch speaks {
	case startTLS:
		s.TLSConfig = config
	case wholeTLS:
		l = tls.NewListener(l, config)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return m
}

func (m *mailServer) options() notices.MailOptions {
	return notices.MailOptions{Host: m.host, Port: m.port, Username: "bridge", Password: "the mail password",
		From: "sso@example.test", Roots: m.roots}
}

// mailSession is a connection to it.
type mailSession struct {
	m      *mailServer
	c      *smtp.Conn
	let    bool
	letter letter
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		_, encrypted := s.c.TLSConnectionState()
		s.m.plain = s.m.plain || !encrypted
		s.m.logins++
		if user != "bridge" || password != "the mail password" {
			return errors.New("wrong")
		}
		s.let = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.let {
		return smtp.ErrAuthRequired
	}
	s.letter.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.refuse != nil {
		return s.m.refuse
	}
	s.letter.to = append(s.letter.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.letter.text = string(text)
	s.m.got = append(s.m.got, s.letter)
	return nil
}

func (s *mailSession) Reset()        { s.letter = letter{} }
func (s *mailSession) Logout() error { return nil }

// Mail goes over TLS alone, by STARTTLS or from the first byte, and never where the server's certificate is not right
// (row NTC-05).
func TestMailNeedsTLS(t *testing.T) {
	send := func(o notices.MailOptions) error {
		return notices.NewMailer(o).Send(t.Context(), notices.Letter{To: []string{"oncall@example.test"}, ID: "ntc_1_2",
			Date: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Subject: "Bridge: A second factor was added", Text: "Über.\n"})
	}
	for _, c := range []struct {
		name, speaks string
		change       func(*notices.MailOptions)
		want         string // "": it arrives
	}{
		{"STARTTLS", startTLS, nil, ""},
		{"TLS from the first byte", wholeTLS, func(o *notices.MailOptions) { o.TLS = true }, ""},
		{"a server without TLS", noTLS, nil, "STARTTLS"},
		{"a server that speaks no TLS at once", noTLS, func(o *notices.MailOptions) { o.TLS = true }, "tls"},
		{"another authority", startTLS, func(o *notices.MailOptions) { o.Roots = x509.NewCertPool() }, "certificate"},
		{"a wrong password", startTLS, func(o *notices.MailOptions) { o.Password = "guess" }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMailServer(t, c.speaks)
			o := m.options()
			if c.change != nil {
				c.change(&o)
			}
			err := send(o)
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.plain {
				t.Error("the password went without TLS")
			}
			if c.want != "" || o.Password == "guess" {
				if err == nil || !strings.Contains(err.Error(), c.want) || len(m.got) != 0 || strings.Contains(err.Error(),
					o.Password) {
					t.Errorf("%v, %d arrived, want an error about %q", err, len(m.got), c.want)
				}
				return
			}
			if err != nil || len(m.got) != 1 || m.got[0].from != "sso@example.test" ||
				strings.Join(m.got[0].to, " ") != "oncall@example.test" {
				t.Fatalf("%v, %+v", err, m.got)
			}
			msg, err := mail.ReadMessage(strings.NewReader(m.got[0].text))
			if err != nil {
				t.Fatal(err)
			}
			for header, want := range map[string]string{"Message-Id": "<ntc_1_2@example.test>",
				"Auto-Submitted": "auto-generated", "Subject": "Bridge: A second factor was added"} {
				if got := msg.Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
		})
	}
}

// A password that was replaced at the server is taken over without a restart.
func TestMailPassword(t *testing.T) {
	m := newMailServer(t, startTLS)
	o := m.options()
	o.Password = "of the year before"
	mailer := notices.NewMailer(o)
	letter := notices.Letter{To: []string{"oncall@example.test"}, ID: "ntc_1_2", Subject: "x", Text: "x"}
	if err := mailer.Send(t.Context(), letter); err == nil {
		t.Error("the former password was taken")
	}
	mailer.SetPassword("the mail password")
	if err := mailer.Send(t.Context(), letter); err != nil {
		t.Error(err)
	}
}

// A notice by mail, from the outbox to the server: tried again where it is refused, with no line of a stranger's making
// (row NTC-06).
func TestMailDelivery(t *testing.T) {
	m := newMailServer(t, startTLS)
	r := newRig(t)
	o := r.o
	o.Mail = notices.NewMailer(m.options()).Send
	r.engine = notices.New(o)
	r.add("oncall", admin.NoticeMail, admin.NoticeInput{Mail: []string{"a@example.test", "b@example.test"}}, "*")
	m.refuse = &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "try again"}
	r.happens(store.NoticeRecord{Class: store.NoticeUserConflict, Subject: "p1\r\nBcc: thief@example.test", Account: "a1"})
	r.look()
	if d := r.deliveries("oncall")[0]; d.State != "waiting" || !strings.Contains(d.Answer, "450") {
		t.Errorf("delivery %+v", d)
	}
	m.mu.Lock()
	m.refuse = nil
	m.mu.Unlock()
	r.now.pass(time.Minute)
	r.look()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got) != 1 || len(m.got[0].to) != 2 {
		t.Fatalf("%+v", m.got)
	}
	msg, err := mail.ReadMessage(strings.NewReader(m.got[0].text))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get("Bcc") != "" || !strings.Contains(string(body), "A user could not be created") ||
		strings.Contains(string(body), "\nBcc") || !strings.Contains(string(body), "About: p1") ||
		!strings.Contains(strings.ReplaceAll(string(body), "=\r\n", ""), "/admin/accounts/of/a1") {
		t.Errorf("mail %s", m.got[0].text)
	}
}

// What a mail server says of a receiver names them, and is kept and logged: of it the number alone is shown
// (row NTC-06).
func TestMailRefusalNamesNobody(t *testing.T) {
	m := newMailServer(t, startTLS)
	m.refuse = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
		Message: "<anna.wind@example.test>: Anna.Wind is not known here"}
	err := notices.NewMailer(m.options()).Send(t.Context(), notices.Letter{To: []string{"anna.wind@example.test"},
		ID: "ntc_1_2", Subject: "x", Text: "x"})
	if err == nil || strings.Contains(strings.ToLower(err.Error()), "anna") || !strings.Contains(err.Error(), "550") {
		t.Errorf("%v, want the number alone", err)
	}
}

// People are sent a mail of what happened to their own second factors: one each, at once, without a link.
func TestMailToPeople(t *testing.T) {
	r := newRig(t)
	if _, _, err := r.admin.Add(t.Context(), admin.Everything(), admin.NoticeInput{Name: new(string), Kind: "people",
		Classes: []string{"user.created"}}, store.Event{}); err == nil {
		t.Error("people are sent notices of others")
	}
	r.add("people", admin.NoticePeople, admin.NoticeInput{}, "factor.*")
	for range 30 {
		r.happens(store.NoticeRecord{Class: store.NoticeFactorReset, Subject: "p1", Actor: "admin:x"})
	}
	r.happens(store.NoticeRecord{Class: store.NoticeFactorAdded, Subject: "gone"},
		store.NoticeRecord{Class: store.NoticeAdminNew, Subject: "p2"})
	r.look()
	if len(r.mails) != 30 {
		t.Fatalf("%d mails, want 30", len(r.mails))
	}
	if l := r.mails[0]; strings.Join(l.To, " ") != "p1@example.test" || strings.Contains(l.Text, "http") ||
		!strings.Contains(l.Text, "were reset") ||
		l.Subject != "Example sign-in: The second factors of your account were reset" {
		t.Errorf("mail %+v", l)
	}
	d := r.deliveries("people")
	if len(d) != 31 || d[0].State != "sent" || !strings.Contains(d[0].Answer, "no mail address") {
		t.Errorf("%d deliveries, the last %+v", len(d), d[0])
	}
	o := r.o
	o.Mail = nil
	r.engine = notices.New(o)
	r.happens(store.NoticeRecord{Class: store.NoticeFactorReset, Subject: "p1"})
	r.look()
	if d := r.deliveries("people")[0]; d.State != "waiting" || !strings.Contains(d.Answer, "notices.smtp.host") {
		t.Errorf("without a mail server: %+v", d)
	}
	o.Mail = func(context.Context, notices.Letter) error { return nil }
	o.MailOf = func(context.Context, store.PersonID) (string, error) { return "", errors.New("the directory is down") }
	r.engine = notices.New(o)
	r.now.pass(time.Hour)
	r.look()
	if d := r.deliveries("people")[0]; d.State != "waiting" || !strings.Contains(d.Answer, "the directory is down") {
		t.Errorf("without the directory: %+v", d)
	}
}

// A server that answers each step just in time does not make a mail last longer than its limit: its claim would be
// another replica's by then, and the mail go twice.
func TestMailEndsInTime(t *testing.T) {
	for _, whole := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		certificate := httptest.NewTLSServer(nil)
		t.Cleanup(certificate.Close)
		roots := x509.NewCertPool()
		roots.AddCert(certificate.Certificate())
		if whole {
			l = tls.NewListener(l, &tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS12})
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					for range 100 { // a greeting of so many lines, each in time
						if _, err := io.WriteString(c, "220-wait\r\n"); err != nil {
							return
						}
						time.Sleep(100 * time.Millisecond)
					}
				}()
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		began := time.Now()
		err = notices.NewMailer(notices.MailOptions{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: whole,
			Roots: roots, From: "sso@example.test"}).Send(ctx, notices.Letter{To: []string{"oncall@example.test"}, ID: "x",
			Subject: "x", Text: "x"})
		cancel()
		if took := time.Since(began); err == nil || took > 5*time.Second {
			t.Errorf("TLS at once %v: %v after %v, want an error after a second", whole, err, took)
		}
	}
}
