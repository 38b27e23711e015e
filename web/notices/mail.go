package notices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	gomail "github.com/wneessen/go-mail"
)

const (
	// mailTimeout bounds each step with the mail server.
	mailTimeout = 15 * time.Second
	// mailLimit bounds all steps of one mail together, also for a caller without a limit: a try that lasted longer than
	// its claim would have another replica send the same mail.
	mailLimit = tryLimit
)

// MailOptions for NewMailer.
type MailOptions struct {
	Host     string
	Port     int
	TLS      bool // from the first byte; else STARTTLS, without which nothing is sent
	Username string
	Password string
	From     string
	Roots    *x509.CertPool // nil: those that the system trusts
}

// Mailer sends mails by one server, over TLS alone. It is safe for concurrent use.
type Mailer struct {
	o        MailOptions
	password atomic.Value // a string
}

// NewMailer makes one. It dials nobody.
func NewMailer(o MailOptions) *Mailer {
	m := &Mailer{o: o}
	m.SetPassword(o.Password)
	return m
}

// SetPassword has the next mail sent with another password.
func (m *Mailer) SetPassword(password string) { m.password.Store(password) }

// boundConn ends at one time, whatever deadline is asked for later: the library moves it on with each step.
type boundConn struct {
	net.Conn
	until time.Time
}

func (c boundConn) earlier(t time.Time) time.Time {
	if t.IsZero() || t.After(c.until) {
		return c.until
	}
	return t
}

func (c boundConn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.earlier(t)) }
func (c boundConn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.earlier(t)) }
func (c boundConn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.earlier(t)) }

// dialer connects for a mail that has to be sent by the end of its context.
func (m *Mailer) dialer(mail context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		until, _ := mail.Deadline() // Send gives it one
		bound := boundConn{conn, until}
		if err := bound.SetDeadline(until); err != nil {
			_ = conn.Close() // nothing was sent
			return nil, err
		}
		if !m.o.TLS {
			return bound, nil
		}
		secure := tls.Client(bound, m.tlsConfig())
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // nothing was sent
			return nil, err
		}
		return secure, nil
	}
}

func (m *Mailer) tlsConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: m.o.Host, RootCAs: m.o.Roots}
}

// Send sends one mail. Its errors show neither the password nor what the mail says.
func (m *Mailer) Send(ctx context.Context, l Letter) error {
	ctx, cancel := context.WithTimeout(ctx, mailLimit)
	defer cancel()
	msg := gomail.NewMsg()
	if err := msg.From(m.o.From); err != nil {
		return errors.New("notices.smtp.from is not a mail address")
	}
	if err := msg.To(l.To...); err != nil {
		return errors.New("a receiver's mail address can't be used")
	}
	msg.Subject(l.Subject)
	msg.SetDateWithValue(l.Date)
	_, domain, _ := strings.Cut(m.o.From, "@")
	msg.SetMessageIDWithValue(l.ID + "@" + domain)
	// No automatic answer should come back (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, l.Text)
	options := []gomail.Option{
		gomail.WithPort(m.o.Port), gomail.WithTimeout(mailTimeout), gomail.WithDialContextFunc(m.dialer(ctx)),
		gomail.WithTLSConfig(m.tlsConfig()),
	}
	if m.o.TLS {
		// The dialer hands out nothing but TLS; of a connection that it did not make itself the library believes that by
		// asking it, and not where it is told to use TLS from the first byte.
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	} else {
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.o.Username != "" {
		password, _ := m.password.Load().(string) // it was stored when it was made
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.o.Username),
			gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(m.o.Host, options...)
	if err != nil {
		return fmt.Errorf("set up the mail server %s: %w", m.o.Host, err)
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		// What a server says of a receiver names them, and so does the library's own text.
		if failed, ok := errors.AsType[*gomail.SendError](err); ok {
			return fmt.Errorf("the mail server %s answered %s: %s", m.o.Host, strings.TrimSpace(fmt.Sprint(failed.ErrorCode(),
				" ", failed.EnhancedStatusCode())), failed.Reason)
		}
		var said *textproto.Error
		if errors.As(err, &said) {
			return fmt.Errorf("the mail server %s answered %d %.200s", m.o.Host, said.Code, said.Msg)
		}
		return fmt.Errorf("send a mail by %s: %w", m.o.Host, err)
	}
	return nil
}
