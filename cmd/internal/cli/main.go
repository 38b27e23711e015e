package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// grammar is the command line.
type grammar struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration file. Default: what SSOBRIDGE_CONFIG names, else /etc/ssobridge/ssobridge.yaml."`

	Serve    serveCmd   `cmd:"" help:"Run the bridge."`
	Setup    setupCmd   `cmd:"" help:"Ask for what the bridge has to know, test each answer, and write the configuration."`
	Init     initCmd    `cmd:"" help:"Write a commented configuration and make the first signing key."`
	Settings configCmd  `cmd:"" name:"config" help:"Show the configuration that is in effect."`
	Check    checkCmd   `cmd:"" help:"Check configuration, store, directory, partner token, keys and service providers."`
	Mapping  mappingCmd `cmd:"" help:"Say who gets which role in which client account."`

	Provision provisionCmd `cmd:"" help:"See and create everybody who is to have a Constant Contact user."`
	Users     usersCmd     `cmd:"" help:"The ledger of Constant Contact users: list, import, suspend, complete manual tasks."`
	Accounts  accountsCmd  `cmd:"" help:"The client accounts: list, create, change the plan, cancel."`
	Webhooks  webhooksCmd  `cmd:"" help:"Constant Contact's notices that a client account has changed."`
	Notices   noticesCmd   `cmd:"" help:"Who gets notices of what happens: by mail, webhooks, Slack and Teams."`
	Budget    budgetCmd    `cmd:"" help:"Show how many calls to Constant Contact today still allows."`

	Console consoleCmd `cmd:"" help:"The admin console: the groups that give access."`

	Admin    adminCmd    `cmd:"" help:"Second factors: invite to enrol one, list, remove."`
	Lockouts lockoutsCmd `cmd:"" help:"See and lift lockouts after wrong passwords."`
	Sessions sessionsCmd `cmd:"" help:"See and end people's sessions."`
	Sources  sourcesCmd  `cmd:"" help:"See, disable and revoke the sources of people beside the directory."`
	Launch   launchCmd   `cmd:"" help:"Test tokens of signed launches."`

	Tokens tokensCmd `cmd:"" help:"Tokens by which programs call the REST API: create, list, rotate, revoke."`

	SP       spCmd       `cmd:"" name:"sp" help:"Register service providers."`
	Keys     keysCmd     `cmd:"" help:"Make signing keys and roll them over."`
	Secrets  secretsCmd  `cmd:"" help:"Replace the secret key that seals keys and second factors."`
	Clock    clockCmd    `cmd:"" help:"Say that the clock is right, where retention waits for that."`
	Audit    auditCmd    `cmd:"" help:"Show and export who did what."`
	Trace    traceCmd    `cmd:"" help:"Show what sign-ins did, step by step."`
	Explain  explainCmd  `cmd:"" help:"Show what would happen if a person signed in. Changes nothing."`
	Compare  compareCmd  `cmd:"" help:"Compare what another identity provider sent for a person with the preview."`
	Preview  previewCmd  `cmd:"" help:"Show the assertion that a person would get at a service provider. Sends nothing."`
	Metadata metadataCmd `cmd:"" help:"Print the SAML metadata of this identity provider."`
	Backup   backupCmd   `cmd:"" help:"Copy the SQLite database, also while the bridge runs."`
	Restore  restoreCmd  `cmd:"" help:"Put a backup in the place of the SQLite database. The bridge must be stopped."`
	Health   healthCmd   `cmd:"" help:"Ask a running bridge whether it is ready."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

const description = `A SAML identity provider over LDAP that signs a partner's people into Constant Contact.

Exit codes: 0 done, 1 failed, 2 bad input (arguments, configuration, a given file), 3 there are differences (of commands that compare).`

// invocation is what a command runs with.
type invocation struct {
	ctx            context.Context
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	data           io.Writer // of JSON, with --json: standard output, which takes no text then
	json           bool
	terminal       io.Writer // standard error as it is, for progress bars of our own and nothing else
	config         string    // the file
	now            func() time.Time
	command        string           // such as: secrets status
	logged         *server.LogQueue // of a command that serves; nil: there is none
	opened         *server.App      // for the command that has taken it; nil: it needs none
	unopened       error            // why it could not be opened
}

// logEnd is how long the last lines of a log may take.
const logEnd = 2 * time.Second

// helpShown ends the parsing after --help.
type helpShown struct{}

// Main runs the command that args (without the program's name) ask for, and returns
// the exit code. environ is in the form of os.Environ. It never exits the process.
func Main(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	terminal, out, errs := stderr, &cleanWriter{to: stdout}, &cleanWriter{to: stderr}
	defer func() { _ = errors.Join(out.Close(), errs.Close()) }()
	stdout, stderr = out, errs
	s := &invocation{ctx: ctx, environ: environ, stdin: stdin, stdout: stdout, stderr: stderr,
		terminal: terminal, now: time.Now}
	err := s.run(args)
	if s.logged != nil {
		defer s.logged.Close(logEnd)
		stderr = s.stderr // the queue before it keeps nobody waiting
	}
	if err == nil {
		return exitOK
	}
	code, hint := classify(err)
	if odd := oddArgument(args); odd != "" && code == exitUsage {
		hint = strings.TrimPrefix(hint+"\nhint: "+odd, "\nhint: ")
	}
	if s.json || slices.Contains(args, "--json") { // the second: they could not be parsed
		if code != exitDiffers {
			printErrorJSON(stderr, err, strings.ReplaceAll(hint, "\nhint: ", "\n"))
		}
		return code
	}
	if code != exitDiffers { // which is an answer, not a failure
		fmt.Fprintf(stderr, "ssobridge: error: %s\n", errorText(err))
	}
	if hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	return code
}

// noNumber is what kong says where it wants a number.
var noNumber = regexp.MustCompile(`expected a valid (?:\d+ bit )?u?int but got `)

// oddArgument says what a word processor or a web page has put into what was pasted to the command line; "": nothing.
func oddArgument(args []string) string {
	for i, arg := range args {
		if strings.HasPrefix(arg, "–") || strings.HasPrefix(arg, "—") {
			return plaintext.Quote(arg) + " begins with a long dash: options begin with two short ones, --"
		}
		if fault, fix := config.Odd(arg); fault != "" {
			what, before := plaintext.Quote(arg), args[max(i-1, 0)]
			if len(arg) > 60 || before == "--code" || strings.Contains(arg, "=") && !strings.HasPrefix(before, "--group") {
				what = fmt.Sprintf("argument %d", i+1) // it may be a secret
			}
			return what + " " + fault + ": " + fix
		}
	}
	return ""
}

func (s *invocation) run(args []string) (err error) {
	var g grammar
	parser, err := kong.New(&g, kong.Name("ssobridge"), kong.Description(description), kong.Writers(s.stdout, s.stderr),
		kong.BindSingletonProvider(s.open), kong.BindToProvider((*server.App).Keys),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}))
	if err != nil {
		return fmt.Errorf("build the command line: %w", err)
	}
	defer func() {
		switch r := recover(); r.(type) {
		case nil, helpShown:
		default:
			panic(r)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		var parse *kong.ParseError
		hint := "see ssobridge --help"
		if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
			hint = "see " + parse.Context.Selected().FullPath() + " --help"
		}
		return badInput(errors.New(noNumber.ReplaceAllString(err.Error(), "want a whole number, got ")), hint)
	}
	s.config = config.File(g.Config, s.environ)
	s.command = command.Command()
	for _, flag := range command.Flags() {
		if flag.Name == "json" && command.FlagValue(flag) == true {
			s.printJSON()
		}
	}
	err = command.Run(s)
	if s.unopened != nil && errors.Is(err, s.unopened) {
		err = s.unopened // without the name of a type of ours, which kong puts before it
	}
	if s.opened != nil {
		err = errors.Join(err, s.opened.Close())
	}
	return err
}

func lookup(environ []string, name string) string {
	i := slices.IndexFunc(environ, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	if i < 0 {
		return ""
	}
	return environ[i][len(name)+1:]
}

// open is what the commands get the rooms of the bridge from: kong calls it for those that take them, once they are
// parsed; run closes them. The log of a command shows warnings only, as text: its output is for the person who typed
// it.
func (s *invocation) open() (_ *server.App, err error) {
	defer func() { s.unopened = err }()
	cfg, err := config.Load(s.config, s.environ)
	if err != nil {
		return nil, err
	}
	if s.opened, err = server.Open(s.ctx, cfg, s.log()); err != nil {
		return nil, err
	}
	s.opened.Commands = actHint
	if slices.Contains(anyKey, s.command) {
		return s.opened, nil
	}
	return s.opened, s.opened.OwnSecretKey(s.ctx)
}

// anyKey are commands that write nothing, and are there to find out what is wrong: they run with a secret key of
// another installation too.
var anyKey = []string{"secrets status", "audit list", "audit export", "audit verify"}

func (s *invocation) log() *slog.Logger {
	return server.NewLogger(config.Log{Format: "text", Level: "warn"}, s.stderr)
}

// actor names who gave a command, for the audit: the user of the operating system.
func actor(environ []string) string {
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	// Under sudo the user is root; who called it is the better answer, and root may
	// set SUDO_USER to anything anyway.
	if caller := lookup(environ, "SUDO_USER"); name == "root" && caller != "" {
		name = caller + " (root)"
	}
	return "admin:" + name
}

// event is the audit event of a change by command.
func (s *invocation) event(action, subject string) store.Event {
	return store.Event{At: s.now().UTC(), Actor: actor(s.environ), Action: action, Subject: subject, Outcome: "ok",
		Reason: "command"}
}

// scope is what a command may see and change: who runs the program has its database and its configuration.
func (s *invocation) scope() admin.Scope { return admin.Everything() }

func (s *invocation) printf(format string, args ...any) {
	fmt.Fprintf(s.stdout, format, args...)
}
