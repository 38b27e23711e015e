package e2e_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// again starts the bridge anew with its log at this file, and waits until it is ready.
func (b *bridge) again(t *testing.T, log *os.File) *exec.Cmd {
	t.Helper()
	cmd := b.program(context.Background(), "serve", "--config", filepath.Join(b.dir, "ssobridge.yaml"))
	cmd.Stderr, cmd.Stdout = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if !within(2*time.Minute, func() bool {
		res, err := client.Get(b.url + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}) {
		t.Fatal("ssobridge is not ready")
	}
	return cmd
}

// ended waits for the exit code after a signal. 25 seconds are promised to whoever stops it; a busy machine gets more
// than that here, since it is not the time that is looked at but that it ends in order.
func ended(t *testing.T, cmd *exec.Cmd, signal os.Signal) int {
	t.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	if !within(2*time.Minute, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}) {
		t.Fatal("ssobridge does not end")
	}
	return cmd.ProcessState.ExitCode()
}

// A log whose reader is gone, or does not read, neither ends nor stops the bridge: people get in, /healthz says that
// lines are lost, and it stops in order (REAL-89).
func TestLogPipe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]func(t *testing.T, read, write *os.File){
		"broken": func(t *testing.T, read, _ *os.File) {
			if err := read.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"stuck": func(t *testing.T, _, write *os.File) {
			raw, err := write.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			_ = raw.Control(func(fd uintptr) { // fill it, without waiting
				_ = syscall.SetNonblock(int(fd), true)
				for range 1 << 20 {
					if _, err := syscall.Write(int(fd), []byte("x")); err != nil {
						break
					}
				}
				_ = syscall.SetNonblock(int(fd), false)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{quick: true})
			w.stop(t)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			defer write.Close()
			cmd := w.again(t, write)
			tc(t, read, write)
			for range 3 {
				c := newClient(t)
				if p := c.login(c.get(w.launch(bakery)), "alice", password); p.Status != http.StatusOK {
					t.Errorf("a sign-in: %d\n%s", p.Status, p.Body)
				}
			}
			if p := newClient(t).get(w.url + "/healthz"); p.Status != http.StatusOK ||
				!strings.Contains(p.Body, "log lines are lost") {
				t.Errorf("/healthz: %d %q", p.Status, p.Body)
			}
			if code := ended(t, cmd, syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// Open pages of the console, and connections that browsers open ahead, neither delay the stop nor make it a failure
// (REAL-90). It does not run beside other tests, and without the race detector: its time is looked at.
func TestStopWithOpenConsole(t *testing.T) {
	w := newWorld(t, setting{quick: true, set: consoleGroups(t)})
	c := w.enter(t, consoleViewer)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/admin/provisioning/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page := bufio.NewReader(res.Body)
	if line, err := page.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("the live page: %q, %v", line, err)
	}
	w.console(t, consoleViewer, "/admin/provisioning").sees("Provisioning")
	unused, err := net.Dial("tcp", strings.TrimPrefix(w.listen, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	newClient(t).get(w.url + "/healthz") // the connection before was taken by then
	cmd := w.cmd
	w.cmd = nil
	began := time.Now()
	if code := ended(t, cmd, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, w.out)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the stop took %s, want at most 2 s where nothing runs\n%s", took, w.out)
	}
	if strings.Contains(w.out.String(), "cut off") {
		t.Errorf("the live page was cut off:\n%s", w.out)
	}
}

// A bind password and a partner secret that were wrong are put right without a restart (REAL-92).
func TestReloadSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setting{quick: true})
	w.stop(t)
	files := map[string]string{}
	for _, name := range []string{"bind_password", "partner_secret", "api_key"} {
		file := filepath.Join(w.dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files[file] = string(text)
	}
	write := func(suffix string) {
		t.Helper()
		for file, text := range files {
			if err := os.WriteFile(file, []byte(strings.TrimSpace(text)+suffix+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("-wrong")
	w.start(t)
	c := newClient(t)
	if p := c.login(c.get(w.launch(bakery)), "alice", password); p.Status != http.StatusServiceUnavailable {
		t.Fatalf("with a wrong bind password: %d\n%s", p.Status, p.Body)
	}
	write("")
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.logs(t, "the configuration was read again")
	if !eventually(func() bool {
		c := newClient(t)
		return c.login(c.get(w.launch(bakery)), "alice", password).Status == http.StatusOK
	}) {
		t.Errorf("the right bind password does not count")
	}
	if !eventually(func() bool { return w.creations() > 0 }) {
		t.Error("the right partner secret and API key do not count: no user was created")
	}
}

// A start is ready when it knows the groups that settings name, or has waited long enough for a directory that does not
// answer: before, an administrator would be refused as somebody in no group.
func TestReadyWithGroups(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t, setting{})
	w.stop(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	before := w.env
	w.env = append(slices.Clone(before), "SSOBRIDGE_DIRECTORY_URLS=ldaps://"+silent.Addr().String())
	var early atomic.Int64
	done := make(chan struct{})
	go func() {
		c := &http.Client{Timeout: time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if res, err := c.Get(w.url + "/readyz"); err == nil {
				_ = res.Body.Close()
				if res.StatusCode == http.StatusServiceUnavailable {
					early.Add(1)
				}
			}
		}
	}()
	w.start(t) // until /readyz says so
	close(done)
	if early.Load() == 0 {
		t.Error("ready before the directory was asked")
	}
	w.logs(t, "the program is starting")
	w.stop(t)
	w.env = before
	w.start(t)
	w.enter(t, consoleAdmin)
}
