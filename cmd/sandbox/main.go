// Command sandbox runs the stand-in for Constant Contact alone: token server, partner API and SAML service
// provider in one listener, with its faults as flags. It is for trying things out and for tests; nothing
// of it belongs into a production set-up.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(os.Stderr, err))
}
