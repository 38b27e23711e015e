// Command ssobridge is a SAML identity provider over LDAP that signs a partner's
// people into Constant Contact. The program itself is package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ssobridge/cmd/internal/cli"
)

// stopPatience is how long the program may take to end once it is asked to. Who asks, such as systemd, kills it soon
// after; whatever hangs then must not be what it takes.
const stopPatience = 24 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	done := make(chan int, 1)
	go func() { done <- cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr) }()
	code := 0
	select {
	case code = <-done:
	case <-ctx.Done():
		patience := time.NewTimer(stopPatience)
		select {
		case code = <-done:
		case <-patience.C:
			code = 1
		}
	}
	stop()
	os.Exit(code)
}
