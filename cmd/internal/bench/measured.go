package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// measured is the first argument of the benchmark when it starts itself to run a command and tell how much memory it
// took.
//
// The kernel tells the most that a process ever had, from when it was forked on: what its parent had at that moment is
// in it. This process has grown by what it fills stores with, and a command that it starts itself would be said to have
// had as much. So the command's parent is a process of its own that has done nothing yet.
const measured = "__measured"

// serveMeasured runs a command and writes the most memory that it had, in bytes, to the file descriptor 3. It ends with
// the command's code.
func serveMeasured(args []string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(stderr, "measured: error:", err)
		return exitNotWhole
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		fmt.Fprintln(stderr, "measured: error: the kernel does not tell the memory of a process that has ended")
		return exitNotWhole
	}
	if _, err := fmt.Fprintln(os.NewFile(3, "result"), usage.Maxrss*1024); err != nil {
		fmt.Fprintln(stderr, "measured: error:", err)
		return exitNotWhole
	}
	return cmd.ProcessState.ExitCode()
}

// memoryOf runs a command and returns the most memory that it had, in bytes.
func memoryOf(ctx context.Context, name string, args ...string) (most float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	result, write, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	defer result.Close()
	cmd := exec.CommandContext(ctx, self, append([]string{measured, name}, args...)...)
	cmd.ExtraFiles = []*os.File{write}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends the command with it
	out, err := cmd.CombinedOutput()
	_ = write.Close() // the command has its own
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	text, err := io.ReadAll(io.LimitReader(result, 64))
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	if most, err = strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	return most, nil
}
