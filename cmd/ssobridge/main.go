// Command ssobridge is a SAML identity provider over LDAP that signs a partner's
// people into Constant Contact. The program itself is package app.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ssobridge/cmd/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := app.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
