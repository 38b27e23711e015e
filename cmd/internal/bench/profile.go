package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"ssobridge/cmd/internal/cli"
)

// profiled is the first argument of the benchmark when it starts itself as the
// bridge: the same commands as ssobridge, under a profiler that its standard input
// switches on and off.
const profiled = "__serve_profiled"

// serveProfiled runs the program with the arguments behind the profile's file.
func serveProfiled(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		var out *os.File
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if out != nil {
				pprof.StopCPUProfile()
				if err := out.Close(); err != nil {
					fmt.Fprintln(os.Stderr, "write the profile:", err)
				}
				out = nil
				continue
			}
			var err error
			if out, err = os.Create(args[0]); err == nil {
				err = pprof.StartCPUProfile(out)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "start the profile:", err)
			}
		}
	}()
	return cli.Main(ctx, args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}

// profile switches the profiler of the bridge on, or off if it is on. Without one
// it does nothing.
func (br *bridge) profile() error {
	if br.control == nil {
		return nil
	}
	_, err := br.control.WriteString("\n")
	return err
}
