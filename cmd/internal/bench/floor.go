package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ssobridge/certs"
)

// floored is the first argument of the benchmark when it starts itself as the floor.
const floored = "__floor"

// The floor is the least that a launch can cost: net/http, a page of ready strings as long as the bridge's, and two
// RSA-2048 signatures by the signer that the bridge uses. Nothing is looked up, checked or stored. It is a process of
// its own, so that its processor time can be read.
type floorOptions struct {
	listen string
	size   int    // of the page
	signer string // an engine's name
}

// serveFloor runs the floor until it is ended.
func serveFloor(args []string, stderr io.Writer) int {
	var o floorOptions
	f := flag.NewFlagSet("floor", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "address")
	f.IntVar(&o.size, "size", 0, "bytes of the page")
	f.StringVar(&o.signer, "signer", engineGo, "what signs")
	if err := f.Parse(args); err != nil {
		return exitNotWhole
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.serve(ctx); err != nil {
		fmt.Fprintln(stderr, "floor: error:", err)
		return exitNotWhole
	}
	return exitReached
}

func (o floorOptions) serve(ctx context.Context) error {
	handler, err := o.handler()
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen for the floor: %w", err)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the floor: %w", err)
	}
	return nil
}

// The ready strings around the two signatures.
const (
	floorHead = `<!doctype html><html lang="en"><head><title>Floor</title></head><body><form method="post"><input type="hidden" name="SAMLResponse" value="`
	floorTail = `"></form></body></html>`
)

func (o floorOptions) handler() (http.Handler, error) {
	key, err := certs.Generate(certs.RSA2048, "floor", 24*time.Hour, time.Now(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for the floor: %w", err)
	}
	signer, err := signerOf(o.signer, key)
	if err != nil {
		return nil, err
	}
	signature := base64.StdEncoding.EncodedLen(2048 / 8)
	rest := o.size - len(floorHead) - len(floorTail) - 2*signature
	if rest < 0 {
		return nil, fmt.Errorf("a page of %d bytes has no room for two signatures", o.size)
	}
	filler := bytes.Repeat([]byte("A"), rest)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := make([]byte, 0, o.size)
		page = append(page, floorHead...)
		for range 2 {
			digest := sha256.Sum256(filler) // as a Response and its assertion are hashed
			// For RSA this is PKCS #1 v1.5, as rsa-sha256 of XML signatures is.
			signed, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil {
				http.Error(w, "sign: "+err.Error(), http.StatusInternalServerError)
				return
			}
			page = base64.StdEncoding.AppendEncode(page, signed)
		}
		page = append(page, filler...)
		page = append(page, floorTail...)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = w.Write(page) // the visitor notices
	}), nil
}

// floorProcess is the floor while it runs.
type floorProcess struct {
	address string
	pid     int
}

// startFloor starts the floor by an engine, with pages of a size. It ends with the benchmark.
func (b *bench) startFloor(ctx context.Context, e engine, size int) (*floorProcess, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	f := &floorProcess{address: "127.0.0.1:" + port}
	said := &bytes.Buffer{}
	cmd := exec.Command(e.floor, floored, "--listen", f.address, "--size", strconv.Itoa(size), "--signer", e.name)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the floor: %w", err)
	}
	f.pid = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	b.cleanup(func() error {
		if !stopped {
			_ = cmd.Process.Kill() // it stores nothing
			_ = <-ended            //nolint:staticcheck // S1005: the error is that it was killed
		}
		return nil
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if c, err := dial(ctx, f.address); err == nil {
			c.close()
			return f, nil
		}
		select {
		case err := <-ended:
			stopped = true
			return nil, fmt.Errorf("the floor ended before it answered: %w: %s", errors.Join(err, errEnded),
				strings.TrimSpace(said.String()))
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errors.New("the floor does not answer after 30 s")
}

// request is a launch as the bridge would get it, so that both read the same.
func (f *floorProcess) pace(ctx context.Context, warm, count time.Duration, request []byte) (pace, error) {
	open := &opened{}
	defer open.close()
	p, err := measurePace(ctx, f.pid, warm, count, func(int) (step, error) {
		c, err := dial(ctx, f.address)
		if err != nil {
			return nil, err
		}
		*open = append(*open, c)
		return func() error {
			a, err := c.do(request)
			if err != nil {
				return err
			}
			return delivered(a)
		}, nil
	}, func() error { return nil })
	if err != nil {
		return pace{}, fmt.Errorf("ask the floor: %w", err)
	}
	return p, nil
}
