package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ssobridge/certs"
	"ssobridge/certs/pkcs11"
	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/journal"
	"ssobridge/cmd/internal/tracing"
	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/idp/fetch"
	"ssobridge/idp/metadata"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// App are the rooms of the bridge, made from one configuration. The commands use
// those they need, the server all of them. Making them dials nobody but the store.
type App struct {
	aligned      atomic.Int64 // the change counter up to which client accounts were brought to the listed form
	Config       config.Config
	Store        *store.DB
	Sealer       *certs.Sealer
	Journal      *journal.Journal
	Token        *pkcs11.Token // nil: none is configured
	Engine       *certs.Engine
	Directory    *directory.Directory
	Everybody    *idp.People // of the directory and of all other sources
	Tokens       *partnerapi.TokenSource
	Budget       *store.Budget
	Client       *partnerapi.Client
	Provisioning *provisioning.Service
	IdP          *idp.IdP
	Fetcher      *fetch.Client
	SourceKeys   *claims.Keys
	OpenID       *claims.Client
	Refresher    *metadata.Refresher
	mailer       *notices.Mailer   // nil: no mail server is configured
	Traces       *store.TraceQueue // nil: none are kept
	Tracer       *tracing.Tracer   // nil: no spans are recorded
	Footprints   *idp.Footprints
	signIns      *prometheus.CounterVec       // what the answers of sign-ins came to
	keeper       atomic.Pointer[healthKeeper] // nil: this program does not serve
	References   idp.References
	ordered      chan struct{} // a program has ordered a client account

	// Commands says how an act is done by command, for the log; nil: it names the console alone. Whoever opens sets it.
	Commands func(act admin.Act, about string) string
	// Components adds the page of all parts of the console's design system; for the demo.
	Components bool

	// Version is the program's, for its metrics. Whoever serves sets it before.
	Version string

	// LogQueue is where the log goes through; nil: it is written at once. Whoever serves sets it before.
	LogQueue *LogQueue

	// Again reads the configuration again, whenever Asked says so; nil: nobody does. Whoever serves sets both before.
	Again func() (config.Config, error)
	Asked <-chan os.Signal

	log     *slog.Logger
	Now     func() time.Time
	foreign foreignTally // audit events that somebody else wrote

	auditCut time.Time      // when the chain was last looked at for a cut
	unpurged map[int64]bool // changed events that were reported instead of purged

	clock        clockWatch
	clockDoubted time.Time // when it was last logged that the clock is not believed; zero: it is
}

// Open makes the parts from a configuration that passed its check, over a store that is there. Close them after use.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	return open(ctx, cfg, log, store.Options{Existing: true}, true)
}

// OpenOrCreate makes the store too, where there is none.
func OpenOrCreate(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	return open(ctx, cfg, log, store.Options{}, true)
}

// OpenUnsettled makes them without the revocation journal, over a database that may have to be settled first: what is
// changed in it is not said there.
func OpenUnsettled(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	return open(ctx, cfg, log, store.Options{Existing: true}, false)
}

// OpenAsIs makes them without the revocation journal, to look at a database as it is: one of the version before is
// refused with store.ErrOlderSchema, and not brought up.
func OpenAsIs(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	return open(ctx, cfg, log, store.Options{Existing: true, AsIs: true}, false)
}

func open(ctx context.Context, cfg config.Config, log *slog.Logger, options store.Options,
	journaled bool) (_ *App, err error) {
	p := &App{Config: cfg, Now: time.Now, ordered: make(chan struct{}, 1)}
	p.Footprints = idp.NewFootprints(p.Now)
	log = slog.New(idp.Quiet(log.Handler(), p.Footprints)) // for all rooms: each gets the context of the request
	p.log = log
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()

	if p.Sealer, err = cfg.NewSealer(); err != nil {
		return nil, err
	}
	p.References = idp.NewReferences(p.Sealer)
	// Before the token: its module may use OpenSSL too, and who comes first decides how that is initialised.
	p.Engine = certs.NewEngine(certs.EngineOptions{Off: cfg.Signing.Libcrypto == config.LibcryptoOff,
		Report: p.reportLibcrypto})
	var held idp.Token // stays nil without a token: a nil *pkcs11.Token in it would not be
	if t := cfg.PKCS11; t.Module != "" {
		if p.Token, err = pkcs11.New(pkcs11.Options{Module: t.Module, TokenLabel: t.TokenLabel, PIN: string(t.PIN),
			Now: p.Now}); err != nil {
			return nil, fmt.Errorf("set up the PKCS #11 token: %w", err)
		}
		held = p.Token
	}
	p.Journal = NewJournal(&cfg, p.Sealer, p.Now, log)
	if err := p.openTracer(); err != nil {
		return nil, err
	}
	options.Span = p.span()
	options.DSN, options.Insecure = cfg.DSN(), cfg.Store.Insecure
	options.Now, options.Logger, options.Voucher = p.Now, log, p.Sealer
	if journaled && cfg.HasJournalDir() {
		options.Journal = p.Journal
	}
	if p.Store, err = store.Open(ctx, options); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if options.Journal != nil {
		p.beginBeforeServing(ctx)
	}
	people := cfg.DirectoryOptions(p.Now, log)
	people.Span = p.span()
	if p.Directory, err = directory.New(people); err != nil {
		return nil, fmt.Errorf("set up the directory: %w", err)
	}
	if err := p.openPartner(); err != nil {
		return nil, err
	}
	sources, err := cfg.SourceOptions()
	if err != nil {
		return nil, fmt.Errorf("set up the sources of people: %w", err)
	}
	p.Everybody = idp.NewPeople(idp.PeopleOptions{Directory: p.Directory, Known: p.Store.SourcePeople(), Sources: sources,
		Recorded: func(ctx context.Context) (*store.AccountForms, map[string]store.SourceState, error) {
			return p.IdP.Recorded(ctx) // which is there before anybody asks
		}})
	cc := cfg.ConstantContact
	self := cfg.SelfServiceOptions()
	if self != nil {
		self.May = func(ctx context.Context, e directory.Entry) (bool, error) { return p.IdP.MayOrder(ctx, e) }
	}
	p.Provisioning, err = provisioning.New(provisioning.Options{
		Mappings: p.Store.Mappings(), Ledger: p.Store.Ledger(), Accounts: p.Store.Accounts(), Plans: p.Store.Plans(),
		Budget: p.Budget, Breaker: p.Store.Breaker(), Leases: p.Store.Leases(), Clock: p.Store.Clock(),
		Audit:   p.Store.Audit(),
		Changes: p.Store.Changes,
		Client:  p.Client, Directory: p.Everybody, Beyond: p.Everybody.Beyond,
		SourceBounds:     idp.SourceBounds(sources),
		SelfService:      self,
		SelfOrders:       p.Store.SelfOrders(),
		LeaverAfter:      cfg.LeaverAfter,
		DirectoryFault:   admin.DirectoryFault,
		ExternalProvider: cc.ExternalProvider,
		PerSecond:        cc.Limits.PerSecond * cc.Limits.Share,
		Lease:            cfg.Provisioning.Lease, MaxCreate: cfg.Provisioning.MaxCreate,
		WatchEvery: cfg.Provisioning.WatchEvery, WatchApply: cfg.Provisioning.WatchApply,
		ClosedStatuses: cc.ClosedStatuses, Operations: cfg.Operations(),
		HintsPerDay: int(hintShare * float64(cc.Limits.PerDay) * cc.Limits.Share),
		// A token, the call, its one repetition after a 401, and a few slots of the budget.
		CallLimit:  cc.TokenTimeout + 2*cc.Timeout + 5*time.Second,
		ExternalID: cfg.Provisioning.ExternalID, LoginName: cfg.Provisioning.LoginName,
		ContactEmail:           cfg.Provisioning.ContactEmail,
		AllowMutableExternalID: cfg.Provisioning.AllowMutableExternalID,
		Begin:                  p.beginSpan(), Span: p.span(), Now: p.Now, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up provisioning: %w", err)
	}
	var traces idp.Traces // stays nil without: a nil *store.TraceQueue in it would not be
	if cfg.Traces.Keep > 0 {
		p.Traces = p.Store.Traces().Queue()
		traces = p.Traces
	}
	p.signIns = newSignIns()
	p.SourceKeys = claims.NewKeys(claims.KeysOptions{AllowInternal: cfg.Metadata.AllowInternal,
		AllowLoopbackHTTP: cfg.Metadata.AllowLoopbackHTTP, Now: p.Now, Kept: p.Store.SourceKeys(),
		Failed: func(source string, err error) {
			log.Warn("the key set of a source can't be fetched or kept", slog.String("source", source), slog.Any("error", err))
		}})
	p.OpenID = claims.NewClient(p.SourceKeys)
	var passwords idp.Passwords // stays nil where people change none here
	if cfg.Directory.PasswordChange {
		passwords = p.Directory
	}
	p.IdP, err = idp.New(idp.Options{
		Count: p.countSignIn, Span: p.span(),
		EntityID: cfg.EntityID, PublicURL: cfg.PublicURL,
		SignIns: p.Store.SignIns(), Sessions: p.Store.Sessions(), Logouts: p.Store.Logouts(),
		Providers: p.Store.ServiceProviders(), Groups: p.Store.NamedGroups(), Accounts: p.Store.Accounts(),
		NameIDs: p.Store.NameIDs(), Keys: p.Store.Keys(),
		Throttle: p.Store.Throttle(), Audit: p.Store.Audit(), Changes: p.Store.Changes, Sealer: p.Sealer, Token: held,
		Engine:       p.Engine,
		SwitchBefore: cfg.Keys.SwitchBefore, SwitchAfter: cfg.Keys.SwitchAfter,
		Directory: p.Directory, Passwords: passwords, Lockout: p.Directory.Lockout, Beyond: p.Everybody.Beyond,
		Gate:    p.Provisioning,
		Sources: sources, SourceStates: p.Store.Sources(), SourceKeys: p.SourceKeys, OpenID: p.OpenID,
		SignInSource: cfg.SignIn.Source, NoPassword: !cfg.SignIn.Password,
		SessionIdle: cfg.Sessions.Idle, SessionLife: cfg.Sessions.Life, SignInLife: cfg.SignIn.Life,
		ReadingFresh: cfg.DirectoryCache.TTL, ReadingStale: cfg.DirectoryCache.MaxStale, Patience: cfg.SignIn.Patience,
		HowTo:  func(act idp.Act, about string) string { return p.HowTo(admin.Act(act), about) },
		Traces: traces, Console: cfg.ConsoleGroups(), ConsoleURL: cfg.Console.PublicURL, ConsoleIdle: cfg.Console.Idle,
		ConsoleLife: cfg.Console.Life, SecondFactor: cfg.FactorOptions(), SecondFactors: p.Store.SecondFactors(),
		SelfService: cfg.SelfServiceRule(wakingOrders{p.Provisioning, p.orderStored}),
		Forms:       p.Store.Forms(), Captures: p.Store.Captures(),
		SingleLogout: cfg.Logout.Enabled, Published: cfg.Published(),
		Older:         p.Store.OlderReplicas,
		Caps:          store.Caps{PerAddress: cfg.SignIn.PendingPerAddress, Total: cfg.SignIn.PendingTotal},
		LoginFailures: cfg.SignIn.LoginFailures, LoginWindow: cfg.SignIn.LoginWindow, MaxRelayState: cfg.SignIn.RelayStateMax,
		Now: p.Now, Random: rand.Reader, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the identity provider: %w", err)
	}
	if p.mailer, err = p.newMailer(); err != nil {
		return nil, err
	}
	m := cfg.Metadata
	p.Fetcher = metadata.NewFetcher(metadata.FetchOptions{AllowInternal: m.AllowInternal,
		AllowLoopbackHTTP: m.AllowLoopbackHTTP, MaxBytes: int64(m.MaxMiB) << 20})
	p.Refresher, err = idp.NewRefresher(metadata.RefreshOptions{
		Providers: p.Store.ServiceProviders(), Fetcher: p.Fetcher, AllowLoopbackHTTP: m.AllowLoopbackHTTP,
		MaxBytes: int64(m.MaxMiB) << 20, Now: p.Now, Random: rand.Reader, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the metadata refresh: %w", err)
	}
	return p, nil
}

// countSignIn counts what an answer of a sign-in came to.
func (p *App) countSignIn(outcome, reason string) {
	p.signIns.WithLabelValues(outcome, reason).Inc()
	if k := p.keeper.Load(); k != nil && outcome == idp.OutcomeDelivered {
		k.delivered()
	}
}

// openPartner makes the budget, the token source and the client of the partner API.
func (p *App) openPartner() (err error) {
	cc := p.Config.ConstantContact
	transport, err := partnerTransport(&p.Config)
	if err != nil {
		return err
	}
	p.Budget = p.Store.Budget(store.BudgetLimits{PerSecond: cc.Limits.PerSecond, PerDay: cc.Limits.PerDay,
		Reserve: cc.Limits.Reserve, Share: cc.Limits.Share})
	p.Tokens, err = partnerapi.NewTokenSource(partnerapi.TokenOptions{
		URL: cc.TokenURL, ClientID: cc.PartnerClientID, ClientSecret: string(cc.PartnerSecret),
		Timeout: cc.TokenTimeout, Slots: p.Budget, Transport: transport, Now: p.Now, Logger: p.log,
	})
	if err != nil {
		return fmt.Errorf("set up the partner token: %w", err)
	}
	p.Client, err = partnerapi.New(partnerapi.Options{
		BaseURL: cc.BaseURL, APIKey: string(cc.APIKey), Tokens: p.Tokens, Budget: p.Budget,
		PerSecond: cc.Limits.PerSecond * cc.Limits.Share,
		Timeout:   cc.Timeout, Transport: transport, Failed: p.Store.Health().CallFailed, Span: p.span(),
		Now: p.Now, Logger: p.log,
	})
	if err != nil {
		return fmt.Errorf("set up the partner API: %w", err)
	}
	return nil
}

// partnerTransport is the one transport for both hosts of Constant Contact. It bounds what its timeouts don't: idle
// connections, and a peer that never answers the handshake.
func partnerTransport(cfg *config.Config) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 8
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if file := cfg.ConstantContact.CAFile; file != "" {
		var err error
		if transport.TLSClientConfig.RootCAs, err = authorities("constant_contact.ca_file", file); err != nil {
			return nil, err
		}
	}
	return transport, nil
}

// FirstStart is what tests the answers of whoever sets up the bridge, by a configuration that need not be whole.
func FirstStart(cfg *config.Config, now func() time.Time, log *slog.Logger) (admin.FirstStart, error) {
	cc := cfg.ConstantContact
	transport, err := partnerTransport(cfg)
	return admin.FirstStart{
		Directory: cfg.DirectoryOptions(now, log),
		Token: partnerapi.TokenOptions{URL: cc.TokenURL, ClientID: cc.PartnerClientID,
			ClientSecret: string(cc.PartnerSecret), Timeout: cc.TokenTimeout, Transport: transport, Now: now, Logger: log},
		API: partnerapi.Options{BaseURL: cc.BaseURL, APIKey: string(cc.APIKey), Timeout: cc.Timeout,
			PerSecond: cc.Limits.PerSecond, Transport: transport, Now: now, Logger: log},
	}, err
}

// Close closes what was opened, the store last.
func (p *App) Close() error {
	var errs []error
	if p.IdP != nil {
		p.IdP.Drain() // what answers did not wait for is written before the store closes
	}
	if p.Directory != nil {
		errs = append(errs, p.Directory.Close())
	}
	if p.Token != nil {
		errs = append(errs, p.Token.Close())
	}
	if p.Store != nil {
		errs = append(errs, p.Store.Close())
	}
	return errors.Join(errs...)
}

// hintShare is the part of the day's calls that webhooks may cause: who knew their secret could waste no more.
const hintShare = 0.02

// NewJournal is the revocation journal of a configuration.
func NewJournal(c *config.Config, sealer *certs.Sealer, now func() time.Time, log *slog.Logger) *journal.Journal {
	return journal.New(journal.Options{Dir: c.JournalDir(), Sink: c.Audit.Sink, Voucher: sealer, Now: now, Logger: log})
}
