package server

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"ssobridge/cmd/internal/config"
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

// readAgain reads the files at once.
func (c *certificate) readAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = c.now()
	c.reload()
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

// TLSFault is something about the certificate of tls.cert that keeps browsers away.
type TLSFault struct {
	Text, Fix string
	Certain   bool // browsers refuse it; else a proxy in front may take it
}

// fewestRSABits is what browsers take at least.
const fewestRSABits = 2048

// TLSFaults looks at the certificate that the bridge itself serves, and its key; none where it serves none.
func TLSFaults(cfg config.Config, now time.Time) []TLSFault {
	if cfg.TLS.Cert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
	if err != nil {
		return []TLSFault{{err.Error(), "tls.cert has to hold the certificate of tls.key first, then those of its issuers, " +
			"all as PEM", true}}
	}
	leaf := pair.Leaf
	var all []TLSFault
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < fewestRSABits {
		all = append(all, TLSFault{fmt.Sprintf("its RSA key has %d bits: browsers refuse less than %d", key.N.BitLen(),
			fewestRSABits), "get a certificate for a new key of RSA-2048, RSA-3072 or ECDSA P-256", true})
	}
	if now.Before(leaf.NotBefore) {
		all = append(all, TLSFault{"it is not valid before " + leaf.NotBefore.UTC().Format("2006-01-02 15:04:05 MST"),
			"put the certificate before it back until then, or put this machine's clock right", true})
	}
	switch leaf.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA, x509.DSAWithSHA1, x509.MD2WithRSA:
		if !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
			all = append(all, TLSFault{"it is signed by " + leaf.SignatureAlgorithm.String() + ": browsers refuse that",
				"get one that is signed by SHA-256", true})
		}
	}
	for _, address := range []string{cfg.PublicURL, cfg.Console.PublicURL} {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" {
			continue
		}
		if err := leaf.VerifyHostname(u.Hostname()); err != nil {
			// A proxy in front has a certificate of its own, and may reach the bridge by another name.
			all = append(all, TLSFault{err.Error(), "get one for " + u.Hostname(), len(cfg.TrustedProxies) == 0})
		}
	}
	return all
}
