package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ssobridge/cmd/internal/cli"
)

// bridge is a running ssobridge with its folder, on an address that it keeps
// when it is started again.
type bridge struct {
	dir    string
	url    string
	listen string   // where it listens itself; "": at the address of url
	binary string   // "": the one that was built for all
	env    []string // on top of the test's own
	apart  bool     // each command is a process of its own
	cmd    *exec.Cmd
	out    *output
}

// program is the command with the environment in which this bridge's processes run.
func (b *bridge) program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cmp.Or(b.binary, binary), args...)
	// At a race the program ends at once; else a program under the detector would wait a second at its end for reports.
	cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=1 exitcode=66 atexit_sleep_ms=0"), b.env...)
	return cmd
}

// output collects what the program writes; it is shown when a test fails.
type output struct {
	reading sync.Mutex // held while nothing is read
	mu      sync.Mutex
	b       bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// block has nobody read what the program writes, until release is called.
func (o *output) block() (release func()) {
	o.reading.Lock()
	return o.reading.Unlock
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts the program and waits until it says that it is ready.
func (b *bridge) start(t testing.TB) {
	t.Helper()
	b.cmd = b.program(context.Background(), "serve", "--config", filepath.Join(b.dir, "ssobridge.yaml"))
	b.cmd.Stderr, b.cmd.Stdout = b.out, b.out
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("start ssobridge: %v", err)
	}
	// The answer looks into the store, which a busy machine delays. An answer that takes longer than the client waits is
	// never seen.
	c := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	if !within(2*time.Minute, func() bool {
		res, err := c.Get(cmp.Or(b.listen, b.url) + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}) {
		t.Fatalf("ssobridge is not ready:\n%s", b.out)
	}
}

// stop ends the program by SIGTERM, as a service manager does. A race report is
// a failure, whatever the tests saw.
func (b *bridge) stop(t testing.TB) {
	t.Helper()
	if b.cmd == nil {
		return
	}
	cmd := b.cmd
	b.cmd = nil
	_ = cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("ssobridge ended with %v:\n%s", err, b.out)
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Errorf("ssobridge did not stop within 20 s of SIGTERM:\n%s", b.out)
	}
	if strings.Contains(b.out.String(), "DATA RACE") {
		t.Errorf("the race detector found a race:\n%s", b.out)
	}
}

// kill ends the program as a power cut does.
func (b *bridge) kill(t testing.TB) {
	t.Helper()
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = b.cmd.Wait()
	b.cmd = nil
}

// command runs a command of the program on this bridge's configuration.
func (b *bridge) command(t testing.TB, args ...string) string {
	t.Helper()
	out, err := b.tryCommand(args...)
	if err != nil {
		t.Fatalf("ssobridge %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (b *bridge) tryCommand(args ...string) (string, error) {
	return b.run(append(args, "--config", filepath.Join(b.dir, "ssobridge.yaml"))...)
}

// run runs the program to its end. What main calls is linked into this test too, with the same race detector: most of
// what a command takes as a process of its own is the start of that process.
func (b *bridge) run(args ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), 2*patience)
	defer stop()
	if b.apart || b.binary != "" {
		out, err := b.program(ctx, args...).CombinedOutput()
		return string(out), err
	}
	out := &output{}
	if code := cli.Main(ctx, args, lastOfEach(append(os.Environ(), b.env...)), strings.NewReader(""), out,
		out); code != 0 {
		return out.String(), exitCode(code)
	}
	return out.String(), nil
}

// lastOfEach keeps of each variable what a process would see: its last value.
func lastOfEach(environ []string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, variable := range slices.Backward(environ) {
		if name, _, _ := strings.Cut(variable, "="); !seen[name] {
			seen[name] = true
			kept = append(kept, variable)
		}
	}
	return kept
}

// exitCode is the failure of a command that is no process of its own.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// exitCodeOf is the exit code of a command that failed, or -1.
func exitCodeOf(err error) int {
	var (
		code exitCode
		exit *exec.ExitError
	)
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// build compiles the program, with the race detector or without.
func build(path string, race bool) (string, error) {
	// Without the paths of this folder in it, what was compiled elsewhere can be taken.
	args := []string{"build", "-trimpath", "-o", path}
	if race {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "ssobridge/cmd/ssobridge")...).CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("build ssobridge: %w", err), errors.New(string(out)))
	}
	return path, nil
}

// logs fails unless the program's log has this text, such as a reference id.
func (b *bridge) logs(t testing.TB, text string) {
	t.Helper()
	if !eventually(func() bool { return strings.Contains(b.out.String(), text) }) {
		t.Errorf("%q does not stand in the log", text)
	}
}
