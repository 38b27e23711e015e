package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheck is how often a handshake looks whether the files have changed.
const recheck = 5 * time.Second

// certificate serves a TLS certificate that is read again when its files change, so
// that a renewal needs no restart. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]fileStamp
	checked time.Time
}

type fileStamp struct {
	modified time.Time
	size     int64
}

func newCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, now: now, log: log, checked: now()}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate %s: %w", certFile, err)
	}
	c.current = &pair
	c.stamp, _ = c.stat()
	return c, nil
}

// get is tls.Config.GetCertificate. A pair that can't be read keeps the last good
// one: a renewal writes two files, and between them they do not fit each other.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= recheck {
		c.checked = now
		c.reload()
	}
	return c.current, nil
}

func (c *certificate) reload() {
	stamp, err := c.stat()
	if err != nil {
		c.log.Warn("TLS certificate can't be looked at; the last one stays in use", "error", err)
		return
	}
	if stamp == c.stamp {
		return
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("changed TLS certificate can't be used; the last one stays in use", "error", err)
		return
	}
	c.current, c.stamp = &pair, stamp
	c.log.Info("TLS certificate read again", "file", c.certFile)
}

func (c *certificate) stat() (stamp [2]fileStamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamp, err
		}
		stamp[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamp, nil
}
