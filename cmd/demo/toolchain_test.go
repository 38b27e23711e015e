package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/internal/testkind"
)

// TestFirstCommand runs README's first command with Go 1.26 as somebody has it who only installed it: without the
// settings of make, by both settings of GOTOOLCHAIN that are in use, and with nothing to download from. ID-23
func TestFirstCommand(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`(?m)^(go run \S+)$`).FindSubmatch(readme)
	if first == nil {
		t.Fatal("README.md shows no command that runs the demo")
	}
	command := strings.Fields(string(first[1]))
	program := plainGo(t)
	modules := strings.TrimSpace(goOutput(t, program, os.Environ(), "env", "GOMODCACHE"))
	cache := strings.TrimSpace(goOutput(t, program, os.Environ(), "env", "GOCACHE"))
	for _, toolchain := range []string{"auto", "local"} {
		t.Run(toolchain, func(t *testing.T) {
			env := []string{
				"GOTOOLCHAIN=" + toolchain, "GOPROXY=off", "GOENV=off", "GOMODCACHE=" + modules, "GOCACHE=" + cache,
				"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(),
			}
			if version := goOutput(t, program, env, "env", "GOVERSION"); !strings.HasPrefix(version, "go1.26") {
				t.Fatalf("Go 1.26 takes the toolchain %s in the folder of the project", version)
			}
			runDemo(t, env, program, command[1:]...)
		})
	}
}

// plainGo finds Go 1.26: one that is installed, or else the very first release, which is downloaded.
func plainGo(t *testing.T) string {
	t.Helper()
	testkind.Starts(t, "another Go")
	local := append(os.Environ(), "GOTOOLCHAIN=local")
	// go test puts the folder of its own toolchain in front.
	for _, folder := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/go/bin") {
		program := filepath.Join(folder, "go")
		cmd := exec.CommandContext(t.Context(), program, "env", "GOVERSION")
		cmd.Env = local
		if version, err := cmd.Output(); err == nil && bytes.HasPrefix(version, []byte("go1.26")) {
			return program
		}
	}
	env := append(os.Environ(), "GOTOOLCHAIN=go1.26.0")
	return filepath.Join(strings.TrimSpace(goOutput(t, "go", env, "env", "GOROOT")), "bin", "go")
}

func goOutput(t *testing.T, program string, env []string, args ...string) string {
	t.Helper()
	testkind.Starts(t, "another Go")
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = env
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, errs.String())
	}
	return string(out)
}

// runDemo runs a command until the demo says that it is ready, and stops it as Ctrl-C does.
func runDemo(t *testing.T, env []string, program string, args ...string) {
	t.Helper()
	testkind.Starts(t, "another Go")
	// The first build takes a minute or two, more on a machine that does other things meanwhile.
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "../.."
	cmd.Env = slices.Clone(env)
	// A terminal sends the signal to the whole group; go run itself ignores it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, log := &output{ready: make(chan struct{})}, &output{ready: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	what := program + " " + strings.Join(args, " ")
	select {
	case <-out.ready:
	case err := <-done:
		t.Fatalf("%s: %v\n%s", what, err, log)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	// go run itself ends with 1 then, whatever the program did; a demo that failed has said so.
	if <-done; strings.Contains(log.String(), "demo: error") {
		t.Errorf("%s, after Ctrl-C:\n%s", what, log)
	}
}
