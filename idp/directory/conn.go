package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// maxAnswer bounds what a server may send as the answer to one operation: the library reads an answer into memory
// whole.
const maxAnswer = 64 << 20

var errTooMuch = fmt.Errorf("the server sent more than %d bytes for one operation", maxAnswer)

// server is one configured URL and how it has been doing. Both pools share it.
type server struct {
	url      string
	scheme   string
	address  string // host:port
	startTLS bool
	tls      *tls.Config // nil for an insecure server

	mu     sync.Mutex
	failed bool
	strict bool      // left alone until the cool-down is over, even if there is no other server
	until  time.Time // the end of the cool-down
	cause  error
	epoch  int // counts failures: connections from before one are not used again
}

// newServer prepares a URL that Options.check has passed.
func newServer(u *url.URL, o *Options, p parts) *server {
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": ldap.DefaultLdapPort, "ldaps": ldap.DefaultLdapsPort}[u.Scheme]
	}
	s := &server{url: u.Scheme + "://" + u.Host, scheme: u.Scheme, address: net.JoinHostPort(u.Hostname(), port),
		startTLS: u.Scheme == "ldap" && o.StartTLS}
	if u.Scheme == "ldaps" || s.startTLS {
		s.tls = &tls.Config{
			ServerName: u.Hostname(), // the certificate must be for the name or address that the operator wrote
			RootCAs:    p.roots,
			MinVersion: tls.VersionTLS12,
			// A failed bind costs its connection; resumed handshakes keep that cheap.
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
	}
	return s
}

// usable tells whether the server may be tried now. When a cool-down has just ended, one caller gets to try it and the
// others go on without it until he has an answer, or for the length of probe.
func (s *server) usable(now time.Time, probe time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failed {
		return true
	}
	if now.Before(s.until) {
		return false
	}
	s.until = now.Add(probe)
	return true
}

// lastResort tells whether the server may be tried although it is cooling down, because no other is left.
func (s *server) lastResort() (ok bool, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.strict, s.cause
}

// fail starts the cool-down. It returns true the first time in a row.
func (s *server) fail(until time.Time, strict bool, cause error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.failed
	s.failed, s.strict, s.until, s.cause = true, strict, until, cause
	s.epoch++
	return first
}

// succeed ends it. It returns true if the server had failed.
func (s *server) succeed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.failed
	s.failed, s.strict, s.cause = false, false, nil
	return was
}

func (s *server) currentEpoch() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// conn is one connection. One caller has it at a time.
type conn struct {
	ldap   *ldap.Conn
	wire   *wire
	server *server
	epoch  int
	used   time.Time // when it was last given back
	reused bool      // it came from the idle ones
}

// close closes the socket first: closing by the library alone would wait for a peer that does not read.
func (c *conn) close() {
	_ = c.wire.Conn.Close()
	_ = c.ldap.Close()
}

// dial connects to the server and has TLS up before it returns. Nothing but the StartTLS request is ever sent in clear,
// unless the server is configured as insecure: no bind happens before StartTLS has succeeded (RFC 4513 3.1.1).
func (s *server) dial(ctx context.Context, o *Options) (*conn, error) {
	return s.dialThrough(ctx, o, nil)
}

// dialThrough is dial with something between the library and the bytes in clear; nil: nothing. With StartTLS nothing
// can be there: the library keeps what it has decrypted to itself.
func (s *server) dialThrough(ctx context.Context, o *Options, through func(net.Conn) net.Conn) (*conn, error) {
	if through == nil {
		through = func(c net.Conn) net.Conn { return c }
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.DialTimeout, fmt.Errorf("no connection after %v: %w", o.DialTimeout,
		context.DeadlineExceeded))
	defer cancel()
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.url, causeOf(ctx, err))
	}
	c := &conn{wire: &wire{Conn: socket, timeout: o.OpTimeout}, server: s, epoch: s.currentEpoch()}
	// The library's StartTLS takes no context; closing the socket ends it.
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	switch {
	case s.scheme == "ldaps":
		secured := tls.Client(c.wire, s.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = socket.Close()
			return nil, fmt.Errorf("TLS with %s: %w", s.url, causeOf(ctx, err))
		}
		c.ldap = ldap.NewConn(through(secured), true)
		c.ldap.Start()
	case s.startTLS:
		c.ldap = ldap.NewConn(c.wire, false)
		c.ldap.Start()
		c.ldap.SetTimeout(o.DialTimeout)
		if err := c.ldap.StartTLS(s.tls); err != nil {
			c.close()
			return nil, fmt.Errorf("StartTLS with %s: %w", s.url, causeOf(ctx, err))
		}
		if _, ok := c.ldap.TLSConnectionState(); !ok {
			c.close()
			return nil, fmt.Errorf("StartTLS with %s: the connection is still in clear", s.url)
		}
	default:
		c.ldap = ldap.NewConn(through(c.wire), false)
		c.ldap.Start()
	}
	if !stop() {
		c.close()
		return nil, fmt.Errorf("connect to %s: %w", s.url, context.Cause(ctx))
	}
	return c, nil
}

// causeOf names the deadline or cancellation behind an error, which the closed socket hides.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// do runs one library call within limit and ctx. The library knows neither a total deadline nor a context, so both are
// put around it: its own timeout for each request, and the closing of the socket when ctx ends. hung is true when the
// server did not answer in time. After an error without a result code the connection must not be used again.
func (c *conn) do(ctx context.Context, limit time.Duration, call func(*ldap.Conn) error) (hung bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	c.ldap.SetTimeout(limit)
	c.wire.received.Store(0)
	stop := context.AfterFunc(ctx, func() { _ = c.wire.Conn.Close() })
	start := time.Now()
	err = call(c.ldap)
	ended := !stop()
	if err == nil {
		return false, nil
	}
	if _, answered := resultCode(err); answered {
		return false, err
	}
	if ended {
		return false, errors.Join(context.Cause(ctx), err)
	}
	if c.wire.received.Load() > maxAnswer {
		return false, errTooMuch
	}
	if time.Since(start) >= limit {
		return true, fmt.Errorf("no answer from %s after %v: %w", c.server.url, limit, err)
	}
	return false, fmt.Errorf("connection to %s: %w", c.server.url, err)
}

// wire is the socket with a deadline on each write, since a peer that does not read would block the library for ever,
// and a bound on what comes in.
type wire struct {
	net.Conn
	timeout  time.Duration
	received atomic.Int64
}

func (w *wire) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if w.received.Add(int64(n)) > maxAnswer {
		return n, errTooMuch
	}
	return n, err
}
