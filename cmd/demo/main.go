// Command demo runs the bridge beside a sandbox that stands in for Constant Contact
// and a sample LDAP directory, all in one process on loopback: to try a sign-in
// without any set-up. Nothing of it is for production.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: error: %v\n", err)
		os.Exit(exitCode(err))
	}
}
