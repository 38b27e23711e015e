package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/sample"
	"ssobridge/cmd/internal/server"
)

// usageError is bad input: exit code 2.
type usageError struct{ error }

func exitCode(err error) int {
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

type options struct {
	data          string // folder; "" for a temporary one
	bridgeListen  string // "" for port 8080, or a free one if that is taken
	sandboxListen string
	portalListen  string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.data, "data", "", "keep the bridge's database in this `folder`, made if it is not there "+
		"(default: a temporary one)")
	flags.StringVar(&o.bridgeListen, "listen", "",
		"`address:port` of the bridge on loopback (default localhost:8080, or a free port if that is taken)")
	flags.StringVar(&o.sandboxListen, "sandbox-listen", "",
		"`address:port` of the sandbox on loopback (default 127.0.0.1:8090, or a free port if that is taken)")
	flags.StringVar(&o.portalListen, "portal-listen", "",
		"`address:port` of a partner's application on loopback (default 127.0.0.1:8070, or a free port if that is taken)")
	flags.Usage = func() {
		fmt.Fprint(stderr, "The bridge, a stand-in Constant Contact and a sample directory on this machine.\n\n"+
			"Examples:\n\n    go run ./cmd/demo\n    go run ./cmd/demo -data demo-data -listen localhost:9000\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, usageError{fmt.Errorf("unknown argument %q; see -help", flags.Arg(0))}
	}
	return o, nil
}

// run is the demo until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	started := time.Now()
	temporary := o.data == ""
	if temporary {
		if o.data, err = os.MkdirTemp("", "ssobridge-demo-"); err != nil {
			return fmt.Errorf("make a temporary folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.data)) }()
	} else if err := os.MkdirAll(o.data, 0o700); err != nil {
		return usageError{fmt.Errorf("make the folder: %w", err)}
	}

	people, err := sample.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, people.Stop()) }()

	bridge, err := listen(ctx, "-listen", o.bridgeListen, 8080)
	if err != nil {
		return err
	}
	other, err := listen(ctx, "-sandbox-listen", o.sandboxListen, 8090)
	if err != nil {
		return errors.Join(err, bridge.Close())
	}
	third, err := listen(ctx, "-portal-listen", o.portalListen, 8070)
	if err != nil {
		return errors.Join(err, bridge.Close(), other.Close())
	}
	d := &demo{
		bridgeURL: "http://" + net.JoinHostPort("localhost", port(bridge)), sandboxURL: "http://" +
			net.JoinHostPort("127.0.0.1", port(other)),
		data: o.data, directory: people, log: server.NewLogger(config.Log{Format: "text", Level: "warn"}, stderr),
	}
	if d.portal, err = sample.NewPortal("http://"+third.Addr().String(), d.bridgeURL); err == nil {
		err = d.open(ctx, bridge.Addr().String())
	}
	if err != nil {
		return errors.Join(err, bridge.Close(), other.Close(), third.Close())
	}
	defer func() { err = errors.Join(err, d.parts.Close()) }()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.serveSandbox(ctx, other) })
	g.Go(func() error { return d.servePortal(ctx, third) })
	// Before the sandbox answers, the accounts can't be read and no mapping is known.
	if err := d.fill(ctx); err != nil {
		return errors.Join(err, bridge.Close())
	}
	g.Go(func() error {
		return d.parts.Serve(ctx, server.Listeners{Pages: bridge}, func() {
			fmt.Fprint(stdout, d.welcome(temporary, time.Since(started)))
		})
	})
	return g.Wait()
}

// listen opens a port on loopback. Without an address given it takes the usual port,
// or a free one if another program has that.
func listen(ctx context.Context, flagName, address string, usual int) (net.Listener, error) {
	var lc net.ListenConfig
	if address == "" {
		l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", usual))
		if errors.Is(err, syscall.EADDRINUSE) {
			return lc.Listen(ctx, "tcp", "127.0.0.1:0")
		}
		return l, err
	}
	host, p, err := net.SplitHostPort(address)
	if err != nil || host != "localhost" && !strings.HasPrefix(host, "127.") {
		// What is pretended here guards nothing, so nobody else may reach it.
		return nil, usageError{fmt.Errorf("%s %q: want localhost:PORT or 127.0.0.1:PORT", flagName, address)}
	}
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", p))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", flagName, err)}
	}
	return l, nil
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}
