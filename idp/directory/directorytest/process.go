package directorytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"ssobridge/internal/testkind"
)

// startTimeout bounds how long a server may take until it answers; stopTimeout how long it may take to end by itself.
const (
	startTimeout = 4 * time.Minute
	stopTimeout  = 10 * time.Second
	pollEvery    = 20 * time.Millisecond
)

// process is one server process that can be started again.
type process struct {
	argv  []string
	ready func() error // nil once the server answers

	mu     sync.Mutex
	cmd    *exec.Cmd
	output *tail
	done   chan struct{} // closed when the process has ended
	frozen bool          // by freeze; the process says that only once
}

// start runs the program and waits until it answers.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return nil
	}
	if err := testkind.May(p.argv[0]); err != nil {
		return err
	}
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	p.output = &tail{}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	dieWithParent(cmd)
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		// The server dies with the thread that started it (see dieWithParent), so that thread must live as long as the
		// server.
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.argv[0], err)
	}
	p.cmd, p.done = cmd, done
	if err := p.wait(); err != nil {
		_ = p.end()
		return err
	}
	return nil
}

// wait polls until the server answers, ends or takes too long.
func (p *process) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := p.ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended before it answered: %s", p.argv[0], p.output)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer after %v: %w; it said: %s", p.argv[0], startTimeout, err, p.output)
		}
	}
}

// stop ends the process by its id and waits until it is gone.
func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end()
}

func (p *process) end() error {
	if p.cmd == nil {
		return nil
	}
	defer func() { p.cmd, p.frozen = nil, false }()
	// A stopped process takes no SIGTERM until it goes on.
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.argv[0], err)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

// freeze halts the process, and returns when all of it stands still: some threads go on for a moment after the signal.
func (p *process) freeze() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errors.New("the server does not run")
	}
	if p.frozen {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait until the server stands still: %w", err)
		case !status.Stopped():
			return errors.New("the server ended while it was to be frozen")
		}
		p.frozen = true
		return nil
	}
}

// thaw ends freeze.
func (p *process) thaw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errors.New("the server does not run")
	}
	p.frozen = false
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// run runs a command to its end. The error carries what it printed.
func run(stdin string, argv ...string) error {
	return runFed(strings.NewReader(stdin), argv...)
}

// runFed is run with an input that is not held in memory whole.
func runFed(stdin io.Reader, argv ...string) error {
	if err := testkind.May(argv[0]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// program finds an installed program, in the folders of system programs too.
func program(name, pkg string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/usr/libexec/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("directorytest: %s is not installed: apt-get install %s", name, pkg)
}

// freePort is a port of the address that nobody listens on just now.
func freePort(address string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port on %s: %w", address, err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tail keeps the end of what a server prints.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const keep = 8 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if len(t.buf) > keep {
		t.buf = t.buf[len(t.buf)-keep:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
