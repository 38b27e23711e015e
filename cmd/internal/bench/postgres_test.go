package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ssobridge/internal/testkind"
)

// TestInterruptedStartLeavesNoServer: a run that is ended while PostgreSQL starts leaves no server behind.
func TestInterruptedStartLeavesNoServer(t *testing.T) {
	testkind.Starts(t, "perl")
	c := &cluster{bin: t.TempDir(), dir: t.TempDir()}
	if err := os.Mkdir(c.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	// Like pg_ctl, it starts a server, and waits a moment until that is ready.
	const starter = `#!/usr/bin/perl
my $file = "$ARGV[1]/postmaster.pid";
my $pid = fork();
if (!$pid) {
	$SIG{INT} = sub { unlink $file; exit };
	sleep 1 while 1;
}
open my $to, ">", "$file.new"; print $to "$pid\n"; close $to; rename "$file.new", $file;
sleep 2;
`
	if err := os.WriteFile(filepath.Join(c.bin, "pg_ctl"), []byte(starter), 0o700); err != nil { //nolint:gosec // G306: it is run
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	started := make(chan error, 1)
	go func() { started <- c.start(ctx) }()
	var pid int
	for pid == 0 {
		text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		_ = pause(t.Context(), time.Millisecond, nil)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	interrupt()
	<-started // whatever it says
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.data(), "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server goes on: %v", err)
	}
	if err := c.start(ctx); err == nil {
		t.Error("an interrupted run starts a server")
	}
}
