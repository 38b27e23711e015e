package directory

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A connection that has been idle so long is looked at before use: a firewall may have dropped it without a word.
const idleTrust = 30 * time.Second

// probeTimeout bounds that look.
const probeTimeout = 2 * time.Second

var errClosed = errors.New("the directory is closed")

// pool keeps connections to the servers in their configured order. It prefers the first server that is not cooling
// down, so it goes over to the next when one fails and comes back when that one works again.
type pool struct {
	o       *Options
	kind    string // the name of its spans; "": it has none
	servers []*server
	slots   chan struct{}
	// open makes a connection ready for use.
	open func(context.Context, *server) (*conn, error)
	// probe tells whether a long idle connection still works; nil: such a one is thrown away.
	probe func(context.Context, *conn) bool

	mu     sync.Mutex
	idle   map[*server][]*conn // the last one used last
	closed bool
}

func newPool(o *Options, kind string, servers []*server, size int) *pool {
	return &pool{o: o, kind: kind, servers: servers, slots: make(chan struct{}, size), idle: map[*server][]*conn{}}
}

// do runs one library call on a connection of the pool. It tries once more on a fresh connection if the network failed
// or the server said that it is busy or going down (result codes 51 and 52). Errors with another result code are the
// server's answer and come back as they are; everything else is an Error with problem Unavailable. fn may run twice.
//
// keep tells whether the connection may serve others after the call; nil: unless it broke.
func (p *pool) do(ctx context.Context, fn func(*ldap.Conn) error, keep func(error) bool) error {
	_, err := p.try(ctx, 2, fn, keep)
	return err
}

// once is do for what must not be sent again after an answer that got lost. again tells that this happened on a
// connection that had been idle: the server or a firewall may have closed it, and a fresh one may do.
func (p *pool) once(ctx context.Context, fn func(*ldap.Conn) error, keep func(error) bool) (again bool, err error) {
	return p.try(ctx, 1, fn, keep)
}

// try makes at most so many tries of which the answer got lost.
func (p *pool) try(ctx context.Context, tries int, fn func(*ldap.Conn) error,
	keep func(error) bool) (again bool, err error) {
	asked := "" // the server, for the span
	ctx, end := p.span(ctx, p.kind)
	if end != nil {
		defer func() { endSpan(end, asked, err) }()
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, &Error{Problem: Unavailable, Op: "wait for a directory connection", Err: context.Cause(ctx)}
	}
	defer func() { <-p.slots }()
	var first error
	for try := range 2 {
		c, err := p.get(ctx, try > 0)
		if err != nil {
			return false, &Error{Problem: Unavailable, Op: "connect to the directory", Err: errors.Join(first, err)}
		}
		asked = c.server.url
		hung, err := c.do(ctx, p.o.OpTimeout, fn)
		_, answered := resultCode(err)
		if err == nil || answered && !hasCode(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable) {
			if keep == nil || keep(err) {
				p.put(c)
			} else {
				c.close()
			}
			return false, err
		}
		c.close()
		if ctx.Err() != nil || errors.Is(err, errTooMuch) {
			return false, &Error{Problem: Unavailable, Op: "ask the directory", Err: err}
		}
		// An idle connection that turns out to be dead says little about its server; anything else counts against it.
		if hung || answered || !c.reused {
			p.failed(c.server, err, false)
		}
		first = err
		if !answered && try+1 >= tries {
			again = c.reused && !hung
			break
		}
	}
	return again, &Error{Problem: Unavailable, Op: "ask the directory", Err: first}
}

// get gives a connection: an idle one of the best server, or a fresh one.
func (p *pool) get(ctx context.Context, fresh bool) (*conn, error) {
	var errs []error
	for _, s := range p.servers {
		if !s.usable(p.o.Now(), p.o.DialTimeout+p.o.OpTimeout) {
			continue
		}
		if !fresh {
			if c := p.pop(ctx, s); c != nil {
				return c, nil
			}
		}
		c, err := p.dial(ctx, s)
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	// All are cooling down. Waiting would help nobody, so each is tried all the same, except those that refused our own
	// password: asking again and again would lock the service account.
	for _, s := range p.servers {
		ok, cause := s.lastResort()
		if !ok {
			errs = append(errs, cause)
			continue
		}
		c, err := p.dial(ctx, s)
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// dial opens a connection and keeps the server's record.
func (p *pool) dial(ctx context.Context, s *server) (*conn, error) {
	ctx, end := p.span(ctx, spanConnect)
	c, err := p.open(ctx, s)
	if end != nil {
		endSpan(end, s.url, err)
	}
	if err != nil {
		// A caller who gave up is no fault of the server.
		if ctx.Err() == nil {
			_, answered := resultCode(err)
			p.failed(s, err, answered && !hasCode(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable))
		}
		return nil, err
	}
	if s.succeed() {
		p.o.Logger.Info("directory server answers again", "server", s.url)
	}
	return c, nil
}

func (p *pool) failed(s *server, err error, strict bool) {
	if s.fail(p.o.Now().Add(p.o.Cooldown), strict, err) {
		p.o.Logger.Warn("directory server failed; it is left alone for a while", "server", s.url, "cooldown",
			p.o.Cooldown, "error", err)
	}
}

// pop takes an idle connection that still works.
func (p *pool) pop(ctx context.Context, s *server) *conn {
	for {
		p.mu.Lock()
		list := p.idle[s]
		if len(list) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := list[len(list)-1]
		p.idle[s] = list[:len(list)-1]
		p.mu.Unlock()
		if c.ldap.IsClosing() || c.epoch != s.currentEpoch() {
			c.close()
			continue
		}
		if p.o.Now().Sub(c.used) >= idleTrust && (p.probe == nil || !p.probe(ctx, c)) {
			c.close()
			continue
		}
		c.reused = true
		return c
	}
}

// put gives a connection back.
func (p *pool) put(c *conn) {
	c.used = p.o.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || c.ldap.IsClosing() || c.epoch != c.server.currentEpoch() {
		c.close()
		return
	}
	p.idle[c.server] = append(p.idle[c.server], c)
}

// close closes the idle connections; those in use are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, list := range p.idle {
		for _, c := range list {
			c.close()
		}
	}
	p.idle = map[*server][]*conn{}
}

// The names of spans. Those of searches and binds have the wait for a connection in them.
const (
	spanSearch  = "directory.search"
	spanBind    = "directory.bind" // of a person
	spanConnect = "directory.connect"
)

func (p *pool) span(ctx context.Context, name string) (context.Context, func(of, result string, err error)) {
	if p.o.Span == nil || name == "" {
		return ctx, nil
	}
	return p.o.Span(ctx, name)
}

// endSpan ends a span with the code that a server answered: that a password is wrong is an answer.
func endSpan(end func(of, result string, err error), server string, err error) {
	code, answered := resultCode(err)
	if err == nil || answered {
		end(server, strconv.Itoa(int(code)), nil)
		return
	}
	end(server, "", err)
}

// openSearch is open for the searches: connected, and bound as the service account.
func (d *Directory) openSearch(ctx context.Context, s *server) (*conn, error) {
	return d.openThrough(ctx, s, nil)
}

func (d *Directory) openThrough(ctx context.Context, s *server, through func(net.Conn) net.Conn) (*conn, error) {
	if d.closed.Load() {
		return nil, errClosed
	}
	c, err := s.dialThrough(ctx, &d.o, through)
	if err != nil || d.o.BindDN == "" {
		return c, err
	}
	_, err = c.do(ctx, d.o.OpTimeout, func(l *ldap.Conn) error { return l.Bind(d.o.BindDN, d.bindPassword()) })
	if err != nil {
		c.close()
		return nil, &serviceError{s.url, d.o.BindDN, err}
	}
	return c, nil
}

// openBind is open for the user binds: connected and nobody yet. The service account is never bound on these.
func (d *Directory) openBind(ctx context.Context, s *server) (*conn, error) {
	if d.closed.Load() {
		return nil, errClosed
	}
	return s.dial(ctx, &d.o)
}

// probeSearch reads nothing from the root DSE.
func (d *Directory) probeSearch(ctx context.Context, c *conn) bool {
	_, err := c.do(ctx, min(probeTimeout, d.o.OpTimeout), func(l *ldap.Conn) error {
		_, err := l.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false,
			"(objectClass=*)", []string{"1.1"}, nil))
		return err
	})
	_, answered := resultCode(err)
	return err == nil || answered
}
