package directory_test

import (
	"net"
	"sync"
	"testing"
)

// proxy stands in front of a server and misbehaves on demand.
type proxy struct {
	target  string
	address string

	mu      sync.Mutex
	stalled map[net.Conn]bool
	mode    string // "pass", "reset" (close new connections hard), "hang" (take them and say nothing)
	l       net.Listener
	conns   map[net.Conn]bool
	count   int
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{target: target, mode: "pass", conns: map[net.Conn]bool{}, stalled: map[net.Conn]bool{}}
	p.listen(t, "127.0.0.1:0")
	t.Cleanup(p.refuse)
	return p
}

func (p *proxy) listen(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.l, p.address = l, l.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.count++
			mode := p.mode
			p.conns[c] = true
			p.mu.Unlock()
			switch mode {
			case "reset":
				p.drop(c)
			case "pass":
				go p.serve(c)
			}
		}
	}()
}

func (p *proxy) serve(c net.Conn) {
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		p.drop(c)
		return
	}
	p.mu.Lock()
	p.conns[s] = true
	p.mu.Unlock()
	go p.pump(s, c)
	p.pump(c, s)
}

// pump copies until a side ends, and holds everything back while the proxy hangs.
func (p *proxy) pump(dst, src net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		hang := p.mode == "hang" || p.stalled[src] || p.stalled[dst]
		p.mu.Unlock()
		if n > 0 && !hang {
			if _, err := dst.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	p.drop(dst)
	p.drop(src)
}

// drop closes with a reset.
func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func (p *proxy) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

// stall loses what comes on the present connections without closing them, as a firewall does that has forgotten them.
// New ones pass.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.stalled[c] = true
	}
}

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	var all []net.Conn
	for c := range p.conns {
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		p.drop(c)
	}
}

// refuse stops listening and cuts.
func (p *proxy) refuse() {
	p.mu.Lock()
	_ = p.l.Close()
	p.mu.Unlock()
	p.cut()
}

// accepted is the number of connections so far.
func (p *proxy) accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
