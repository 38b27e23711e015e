// Command ssobridge is a SAML identity provider over LDAP that signs a partner's
// people into Constant Contact. The program itself is package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ssobridge/cmd/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
