package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

type serveCmd struct {
	Create bool `help:"Make the store where there is none. Give it once, for a new installation: a store that was lost must not come back empty."`
}

// Help is shown by serve --help.
func (serveCmd) Help() string {
	return `It serves until SIGTERM or SIGINT; then it takes no new requests, finishes running ones and running calls to Constant Contact within 15 seconds, and exits with 0, after 25 seconds in any case. SIGHUP reads secrets (but secret_key), logo and TLS certificate again. The log goes to standard error.

Example:

    ssobridge serve --config /etc/ssobridge/ssobridge.yaml`
}

// Run serves until the context ends.
func (c serveCmd) Run(s *invocation) (err error) {
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return err
	}
	server.TuneMemory(s.environ)
	// From the first moment on: whoever asks for a reload must not end it. Several in a row are one.
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	// Who reads the log may end, or not read: neither ends or stops the bridge. Without this the system would end it at
	// the first line that nobody takes.
	signal.Ignore(syscall.SIGPIPE)
	s.logged = server.NewLogQueue(s.terminal)
	s.stderr = &cleanWriter{to: s.logged}
	log := server.NewLogger(cfg.Log, s.stderr)
	s.logged.Report(log)
	started := s.now()
	server.MakeStateDir(cfg, log)
	open := server.Open
	if c.Create {
		open = server.OpenOrCreate
	}
	p, err := open(s.ctx, cfg, log)
	switch {
	case errors.Is(err, store.ErrNoStore), errors.Is(err, store.ErrTwoNames), errors.Is(err, store.ErrDamaged):
		return err // with a hint of its own
	case err != nil:
		return failed(err, "ssobridge check tries every part by itself")
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	p.LogQueue, p.Commands, p.Version = s.logged, actHint, version()
	p.Asked, p.Again = asked, func() (config.Config, error) { return config.Load(s.config, s.environ) }
	l, err := server.Listen(s.ctx, cfg)
	if err != nil {
		return failed(err, listenFix(err))
	}
	err = p.Serve(s.ctx, l, func() {
		metrics := "off"
		if l.Metrics != nil {
			metrics = l.Metrics.Addr().String()
		}
		console := "at listen"
		if l.Console != nil {
			console = l.Console.Addr().String()
		}
		log.Info("RSA signatures", "by", p.Engine.Status().String())
		log.Info("ready", "public_url", cfg.PublicURL, "listen", l.Pages.Addr().String(), "console", console,
			"metrics", metrics,
			"version", version(), "duration", s.now().Sub(started))
		if err := server.NotifySystemd(s.environ, "READY=1"); err != nil {
			log.Warn("systemd was not told that the bridge is ready", "error", err)
		}
	})
	switch {
	case err == nil:
		log.Info("stopped")
	case errors.Is(err, store.ErrInUse):
		return failed(err, "another ssobridge serve has this database: stop that one. Several at a time need PostgreSQL")
	case errors.Is(err, store.ErrMoved):
		return failed(err, "put the file back, or another one in its place: ssobridge restore FILE")
	case errors.Is(err, server.ErrUnsettled):
		return failed(err, "ssobridge restore lists what the copy brought back; ssobridge restore --yes accepts it")
	}
	return err
}

type healthCmd struct {
	asJSON

	URL     string        `arg:"" optional:"" help:"Scheme, host and port to ask. Default: listen of the configuration."`
	Timeout time.Duration `default:"3s" help:"How long the answer may take."`
}

// Help is shown by health --help.
func (healthCmd) Help() string {
	return `It asks /readyz: exit code 0 when the bridge is ready, else 1. Made for health checks of containers.

Examples:

    ssobridge health
    ssobridge health http://127.0.0.1:8080`
}

// Run asks once.
func (c *healthCmd) Run(s *invocation) error {
	base := c.URL
	if base == "" {
		cfg, err := config.Load(s.config, s.environ)
		if err != nil {
			return err
		}
		base = localURL(cfg)
	}
	if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		return badInput(fmt.Errorf("%s is not a web address", plaintext.Quote(base)),
			"write for example http://127.0.0.1:8080")
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/readyz", nil)
	if err != nil {
		return badInput(fmt.Errorf("ask %s: %w", plaintext.Quote(base), err), "write for example http://127.0.0.1:8080")
	}
	client := &http.Client{Timeout: c.Timeout, Transport: healthTransport(base)}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return failed(fmt.Errorf("ask %s: %w", base, err), "is the bridge running?")
	}
	defer res.Body.Close()
	ready := res.StatusCode == http.StatusOK
	if err := s.object(struct {
		URL    string `json:"url"`
		Ready  bool   `json:"ready"`
		Status int    `json:"status"`
	}{base, ready, res.StatusCode}); err != nil {
		return err
	}
	if !ready {
		return failed(fmt.Errorf("the bridge at %s is not ready: status %d", base, res.StatusCode), "its log names the cause")
	}
	s.printf("ready\n")
	return nil
}

// listenFix says what to do where nothing can be served at an address.
func listenFix(err error) string {
	if _, named := errors.AsType[*net.DNSError](err); named {
		return "no address is known for that host: write one of this machine's addresses, or :8080 for all of them"
	}
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EINVAL):
		return "this machine has no such address: write one that it has, or :8080 for all of them"
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 are for root: change listen, or let the bridge's user take them (CAP_NET_BIND_SERVICE)"
	}
	return "is another program on this port? Change listen, or stop that program"
}
