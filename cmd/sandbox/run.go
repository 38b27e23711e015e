package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"ssobridge/partnerapi/sandbox"
)

const description = `A stand-in for Constant Contact: token server, partner API and SAML service provider.

Examples:
  sandbox
      with three sample accounts and credentials for play, on http://127.0.0.1:8090
  sandbox --idp-metadata-url=http://localhost:8080/saml/metadata
      trusts the identity provider that is described there
  sandbox --fault=act_then_timeout@users/sso=1 --fault=slow:2s
      the first creation works but is never answered; every call takes two seconds
  sandbox --per-second=40 --per-day=100000 --window=fixed --jitter=300ms --foreign=1
      higher limits, counted by the seconds of the clock; a slow network; another program that makes a call a second on the same key
  sandbox --fault=act_then_cut@users/sso~0.05 --fault=throttle~0.02
      one creation in twenty works and its answer is lost; one call in fifty is throttled
  sandbox --fault=accept_later=1:30s
      the next client account is accepted with 503 and there half a minute later
  sandbox --accounts=accounts.json --client-id=acme --client-secret-file=secret
      own client accounts and credentials; "-" reads the accounts from standard input

While it runs (JSON; GET unless it says otherwise):
  /_sandbox/summary     all calls counted: by status, by error_key, the most in a second
  /_sandbox/calls       the calls, with times, status and error_key; ?offset=N&limit=N
  /_sandbox/users       the users; ?offset=N&limit=N
  /_sandbox/accounts, operations, webhooks, logins, logouts, refusals, faults
  /_sandbox/faults      POST switches: {"kind":"throttle","share":0.02}, {"clear":true}, {"forget_tokens":true},
                        {"account":"ID","billing_status":"Disabled"} and {"account":"ID","tier":3}, which post webhooks;
                        DELETE ends all faults

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong use.`

// commandLine is what can be said on the command line.
type commandLine struct {
	Listen    string `default:"127.0.0.1:8090" help:"Address to listen on."`
	PublicURL string `name:"public-url" help:"Scheme and host under which browsers and the bridge reach it; default http and the listen address."`

	ClientID         string `name:"client-id" help:"partner_client_id; default one for play."`
	ClientSecretFile string `name:"client-secret-file" type:"existingfile" help:"File with the partner_secret; default one for play."`
	APIKey           string `name:"api-key" xor:"key" help:"x-api-key; default one for play."`
	APIKeyFile       string `name:"api-key-file" xor:"key" type:"existingfile" help:"File with the x-api-key."`
	ExternalProvider string `name:"external-provider" help:"The partner's name as external provider."`

	Accounts        string        `help:"JSON file with accounts and users, - for standard input; default three sample accounts."`
	PerSecond       int           `default:"4" help:"Partner calls in a second, -1 for no limit."`
	PerDay          int           `default:"10000" help:"Partner calls until 00:00 UTC, -1 for no limit."`
	Window          string        `default:"sliding" enum:"sliding,fixed" help:"How the calls of a second are counted: sliding (any span of a second), fixed (seconds of the clock)."`
	Jitter          time.Duration `default:"0s" help:"Each partner call takes up to so much longer, half before it is counted and half after."`
	Foreign         float64       `default:"0" help:"Calls a second that another program makes on the same key."`
	TokensPerSecond int           `default:"1" help:"Token requests in any sliding second, -1 for no limit."`
	TokenLife       time.Duration `default:"1h" help:"How long a token lives."`
	EmailRule       string        `default:"off" enum:"off,everywhere,per-account" help:"Where an e-mail address can be used once only: off, everywhere, per-account."`
	OwnersOnly      bool          `help:"SSO for all users is not enabled: users/sso answers 403."`

	LaterLists   int           `default:"0" help:"An account that was accepted for later is there once the list was read so often, if that comes before its time."`
	WebhookRetry time.Duration `default:"1m" help:"Between two posts of a webhook that was not answered with success."`
	WebhookFor   time.Duration `default:"1h" help:"After which a webhook is given up."`

	Profile         string `default:"okta-strict" enum:"okta-strict,lenient" help:"How strict the service provider is: okta-strict, lenient."`
	Encryption      string `default:"off" enum:"off,taken,required" help:"A key for encryption in its metadata: off, taken (encrypted assertions are read), required (others are refused)."`
	SignRequests    string `default:"off" enum:"off,asked,always" help:"Signatures of its AuthnRequests, with a key in its metadata: off, asked (sign=1 asks for one), always."`
	SingleLogout    bool   `help:"Serve single logout, with a key of its own in the metadata."`
	AnyUser         bool   `help:"A plain service provider: let everybody in whom the identity provider vouches for."`
	EntityID        string `name:"entity-id" help:"The service provider's entityID; default its metadata URL."`
	Audience        string `help:"What an assertion must name as its audience; default the entityID."`
	LandingURL      string `name:"landing-url" help:"Where the ACS sends the browser; default a page of the sandbox."`
	IdPMetadataURL  string `name:"idp-metadata-url" help:"Metadata of the identity provider to trust, fetched when needed."`
	IdPMetadataFile string `name:"idp-metadata-file" type:"existingfile" help:"The same from a file."`

	Fault      []string `sep:"none" help:"Fault to switch on, KIND[@PATH][=TIMES][~SHARE][:DELAY]: slow, act_then_timeout, act_then_cut, fail_before, fail_after, throttle, quota, down_api, down_token, forget_tokens, accept_later, gateway (502 with HTML). A share is from 0 to 1. Repeatable."`
	ErrorShape string   `default:"" enum:",array,object,empty,html,garbage" help:"Shape of all error bodies: array, object, empty, html, garbage; default as published."`
	Health     string   `placeholder:"URL" help:"Serve nothing; ask the sandbox at this URL whether it serves (for health checks of containers)."`
	LogFormat  string   `default:"text" enum:"text,json" help:"Log on standard error: text, json."`
}

// usageError is wrong use, exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// run does what the arguments say and returns when ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var line commandLine
	helped := false
	parser, err := kong.New(&line,
		kong.Name("sandbox"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }), // only --help asks for it; nothing below main exits
	)
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return usageError{err}
	case line.Health != "":
		return ask(ctx, line.Health)
	}
	return line.run(ctx, stdin, stdout, stderr)
}

// exitCode tells an error on stderr and gives the program's exit code.
func exitCode(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "sandbox: error: %v\n", err)
	if errors.As(err, &usageError{}) {
		fmt.Fprintln(stderr, "hint: sandbox --help shows all flags, with examples")
		return 2
	}
	return 1
}

func (c commandLine) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	faults, err := c.faults()
	if err != nil {
		return usageError{err}
	}
	o, note, err := c.options(stdin, stderr)
	if err != nil {
		return usageError{err}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	defer listener.Close()
	if o.PublicURL == "" {
		o.PublicURL = "http://" + listener.Addr().String()
	}
	s, err := sandbox.New(o)
	if err != nil {
		return usageError{err}
	}
	if c.IdPMetadataFile != "" {
		data, err := readLimited(c.IdPMetadataFile)
		if err != nil {
			return err
		}
		if err := s.TrustMetadata(data); err != nil {
			return usageError{fmt.Errorf("%s: %w", c.IdPMetadataFile, err)}
		}
	}
	for _, f := range faults {
		s.Fault(f)
	}
	s.SetErrorShape(sandbox.Shape(c.ErrorShape))

	fmt.Fprintf(stdout, "The sandbox serves on %s\n%s  base_url   %s\n  token_url  %s\n  ACS        %s\n  entityID   "+
		"%s\n  external_provider %s\n",
		s.URL(), note, s.BaseURL(), s.TokenURL(), s.ACS(), s.EntityID(), s.ExternalProvider())
	server := s.NewServer()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", c.Listen, err)
	case <-ctx.Done():
	}
	// The stop is not bound to ctx, which has ended: running calls get their answers.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return errors.Join(fmt.Errorf("stop: %w", err), server.Close())
	}
	return nil
}

func (c commandLine) faults() ([]sandbox.Fault, error) {
	var list []sandbox.Fault
	for _, text := range c.Fault {
		f, err := sandbox.ParseFault(text)
		if err != nil {
			return nil, fmt.Errorf("--fault: %w", err)
		}
		list = append(list, f)
	}
	return list, nil
}

// options turns the flags into the sandbox's options, with a note of what is for play.
func (c commandLine) options(stdin io.Reader, stderr io.Writer) (sandbox.Options, string, error) {
	var handler slog.Handler = slog.NewTextHandler(stderr, nil)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(stderr, nil)
	}
	o := sandbox.Options{
		PublicURL: c.PublicURL, ClientID: c.ClientID, APIKey: c.APIKey, ExternalProvider: c.ExternalProvider,
		PerSecond: c.PerSecond, PerDay: c.PerDay, TokensPerSecond: c.TokensPerSecond, TokenLife: c.TokenLife,
		Window: sandbox.Window(c.Window), Jitter: c.Jitter, Foreign: c.Foreign,
		LaterLists: c.LaterLists, WebhookRetry: c.WebhookRetry, WebhookFor: c.WebhookFor,
		EmailRule: sandbox.EmailRule(c.EmailRule), OwnersOnly: c.OwnersOnly,
		Profile: sandbox.Profile(c.Profile), Encryption: sandbox.Encryption(c.Encryption),
		SignRequests: sandbox.Signing(c.SignRequests), SingleLogout: c.SingleLogout, AnyUser: c.AnyUser, EntityID: c.EntityID,
		Audience: c.Audience, LandingURL: c.LandingURL,
		IdPMetadataURL: c.IdPMetadataURL, Logger: slog.New(handler),
	}
	for _, limit := range []struct {
		flag  string
		value int
	}{{"--per-second", c.PerSecond}, {"--per-day", c.PerDay}, {"--tokens-per-second", c.TokensPerSecond}} {
		if limit.value == 0 || limit.value < sandbox.Unlimited {
			return o, "", fmt.Errorf("%s: want a number from 1, or -1 for no limit", limit.flag)
		}
	}
	if c.TokenLife < time.Second {
		return o, "", errors.New("--token-life: want a second or more")
	}
	if c.WebhookRetry <= 0 || c.WebhookFor <= 0 {
		return o, "", errors.New("--webhook-retry, --webhook-for: want more than 0")
	}

	secrets := []struct {
		flag, file string
		to         *string
	}{{"--client-secret-file", c.ClientSecretFile, &o.ClientSecret}, {"--api-key-file", c.APIKeyFile, &o.APIKey}}
	for _, secret := range secrets {
		if secret.file == "" {
			continue
		}
		data, err := readLimited(secret.file)
		if err != nil {
			return o, "", fmt.Errorf("%s: %w", secret.flag, err)
		}
		if *secret.to = strings.TrimRight(string(data), "\r\n"); *secret.to == "" {
			return o, "", fmt.Errorf("%s: %s is empty", secret.flag, secret.file)
		}
	}
	var note strings.Builder
	play := func(name, value, standard string) {
		if value == "" {
			fmt.Fprintf(&note, "  %s %s  (for play)\n", name, standard)
		}
	}
	play("partner_client_id ", o.ClientID, sandbox.DefaultClientID)
	play("partner_secret    ", o.ClientSecret, sandbox.DefaultClientSecret)
	play("api_key           ", o.APIKey, sandbox.DefaultAPIKey)

	seed, err := c.seed(stdin)
	o.Accounts, o.Users = seed.Accounts, seed.Users
	return o, note.String(), err
}

// seed reads the accounts and users.
func (c commandLine) seed(stdin io.Reader) (sandbox.Seed, error) {
	switch c.Accounts {
	case "":
		provider := c.ExternalProvider
		if provider == "" {
			provider = sandbox.DefaultExternalProvider
		}
		return sandbox.Seed{Accounts: append(sandbox.SampleAccounts(), sandbox.OtherPartnersAccounts()...),
			Users: sandbox.SampleUsers(provider)}, nil
	case "-":
		return sandbox.ReadSeed(stdin)
	}
	file, err := os.Open(c.Accounts)
	if err != nil {
		return sandbox.Seed{}, fmt.Errorf("--accounts: %w", err)
	}
	defer file.Close()
	seed, err := sandbox.ReadSeed(file)
	if err != nil {
		return sandbox.Seed{}, fmt.Errorf("--accounts %s: %w", c.Accounts, err)
	}
	return seed, nil
}

// readLimited reads a small file.
func readLimited(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, 1<<20))
}

// ask asks a running sandbox whether it serves.
func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/healthz", nil)
	if err != nil {
		return usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
