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

	// Go builds imports in their order, and SQLite's one C file takes longest: it is compiled beside everything else where
	// it comes first, and after most of it where it comes by way of store.
	_ "github.com/mattn/go-sqlite3"
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
