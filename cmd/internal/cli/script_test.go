package cli_test

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ssobridge/cmd/internal/cli"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// TestMain makes the program a command of the scripts: each run of it is a process
// of its own, with its own environment and exit code.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ssobridge": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) // as the program itself
			defer stop()
			os.Exit(cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs testdata/*.txt: the commands as an admin gives them, against a
// real OpenLDAP server and the sandbox.
//
// A script calls `setup` first, which writes a working configuration for both into
// the folder conf. `code N ssobridge …` asserts on the exit code.
func TestScripts(t *testing.T) {
	ldap := directorytest.StartSlapd(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("LDAP_URL", ldap.URL())
			env.Setenv("LDAP_CA", ldap.CAFile())
			env.Setenv("LDAP_BIND_DN", ldap.BindDN)
			env.Setenv("LDAP_BIND_PASSWORD", ldap.BindPassword)
			env.Setenv("LDAP_BASE_DN", ldap.BaseDN)
			env.Setenv("SANDBOX_CLIENT_ID", sandbox.DefaultClientID)
			env.Setenv("SANDBOX_SECRET", sandbox.DefaultClientSecret)
			env.Setenv("SANDBOX_API_KEY", sandbox.DefaultAPIKey)
			return startSandbox(env)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"setup": setupCommand,
			"keys":  keysCommand,

			"sandbox": sandboxCommand,
			"secrets": secretsCommand,
			"token":   tokenCommand,
			"softhsm": softHSMCommand,
			"code":    codeCommand,
			"json":    jsonCommand,
			"mode":    modeCommand,
			"serve":   serveCommand,
			"agekey":  ageKeyCommand,
			"sql":     sqlCommand,

			// ldif FILE changes the directory.
			"ldif": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: ldif FILE")
				}
				text := strings.ReplaceAll(ts.ReadFile(args[0]), "BASE", ldap.BaseDN)
				ts.Check(ldap.TryApply(text))
			},
		},
	})
}
