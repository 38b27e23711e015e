package idp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ssobridge/certs"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/idp/mfa"
	"ssobridge/idp/netname"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// Paths of the endpoints that metadata names. They are fixed: other programs rely on them.
const (
	ssoPath = "/saml/sso"
	sloPath = "/saml/slo"
)

// Defaults of Options.
const (
	defaultSessionIdle   = time.Hour
	defaultSessionLife   = 10 * time.Hour
	defaultSignInLife    = time.Hour
	defaultReadingFresh  = time.Minute
	defaultPatience      = time.Second
	defaultSwitchBefore  = 2 * time.Minute
	defaultSwitchAfter   = 3 * time.Minute
	defaultLoginFailures = 5
	defaultLoginWindow   = 15 * time.Minute

	parsingSlots = 16 // requests inflated and parsed at the same time

	// At most about 2 KB each, all pending sign-ins of callers without a session
	// stay under 50 MB (row WEB-09).
	defaultPerAddress = 1000
	defaultTotal      = 20000

	// A pending sign-in is also the replay record of its request, which is taken for one
	// window to either side of its IssueInstant: the record must outlive both.
	leastSignInLife = 2*saml.RequestWindow + 5*time.Minute
)

// What a RelayState of a service provider may have in bytes.
const (
	DefaultRelayState = saml.DefaultRelayState
	LeastRelayState   = saml.LeastRelayState
	MostRelayState    = saml.MostRelayState
)

// Options for New. Zero durations and numbers take the default named.
type Options struct {
	EntityID  string // ours, stable, byte for byte as registered at service providers (rows MD-01, SP-02)
	PublicURL string // scheme and host of every endpoint we name; https, or http on loopback

	SignIns       *store.SignIns
	Sessions      *store.Sessions
	Logouts       *store.Logouts
	Providers     *store.ServiceProviders
	Accounts      *store.Accounts    // how client accounts are on record
	Groups        *store.NamedGroups // groups that are named by a DN, by their ids
	NameIDs       *store.NameIDs     // to whom they were issued
	Keys          *store.Keys
	Throttle      *store.Throttle
	Captures      *store.Captures      // assertions that admins look into
	Forms         *store.Forms         // pages of second factors that were sent
	SecondFactors *store.SecondFactors // what people prove themselves by beside the password
	Audit         *store.Audit
	Changes       func(context.Context) (int64, error) // the store's change counter
	Sealer        *certs.Sealer                        // opens the private keys
	Token         Token                                // finds keys in a PKCS #11 token; nil: there is none
	// makes the signatures of the other keys; nil: one that looks for libcrypto
	Engine    *certs.Engine
	Directory Directory
	// Passwords lets people change an expired password on the login page; nil: they can't.
	Passwords Passwords
	// Beyond gives the groups that a person is in by way of others only, where those are not followed; nil: not known.
	Beyond func(ctx context.Context, e directory.Entry) ([]directory.Group, error)
	// Lockout reads what the directory says of a person's wrong passwords; nil: nothing can be read.
	Lockout func(ctx context.Context, person string) (directory.Lockout, error)
	Gate    Gate // for Constant Contact

	// Sources are people's sources beside the directory, SourceStates what administrators have done with them, and
	// SourceKeys what their tokens are verified with. The last two are required where there are sources.
	Sources      []Source
	SourceStates *store.Sources
	SourceKeys   claims.Keyring
	OpenID       *claims.Client // asks the OpenID providers of sources; needed where there are any
	// SignInSource is the source to which sign-ins go that no service provider's own source takes; "": the login page
	// lets people choose.
	SignInSource string
	NoPassword   bool // no password opens a service provider: only sources do. The console is the directory's alone

	SessionIdle  time.Duration // a session unused for so long is over, 1 h
	SessionLife  time.Duration // absolute end of a session after its login, 10 h
	SignInLife   time.Duration // of a pending sign-in, 1 h; at least 15 min
	ReadingFresh time.Duration // a directory reading older than this is taken again, 60 s
	ReadingStale time.Duration // with the directory down, one up to this old still serves a live session; 0 = never
	Patience     time.Duration // how long a request waits for a running creation, 1 s

	// Around the agreed switch to another key at a service provider that holds one
	// certificate, sign-ins there wait: from SwitchBefore before it, 2 min, until
	// SwitchAfter after it, 3 min (row KEY-01).
	SwitchBefore, SwitchAfter time.Duration

	// SingleLogout serves and advertises single logout. Off, LogoutRequests are
	// refused and people are signed out here alone (row SLO-01).
	SingleLogout bool

	// Count counts what each answer of a sign-in came to, by fixed words (Outcome…, and a reason); nil: nobody counts.
	Count func(outcome, reason string)

	// Span begins the span of a step of a sign-in, or of a single logout, within the one of ctx. end takes the reference
	// of the request, and an outcome with its reason as Count does; it is nil where nothing is recorded. nil: no spans.
	Span func(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error))

	Traces Traces // is told how each sign-in went; nil: nobody
	// HowTo says for the log how an act is done, by command and in the console; nil: the log has what to do alone.
	HowTo func(act Act, about string) string

	Console      ConsoleGroups // who may use the admin console
	ConsoleURL   string        // scheme and host of the console where it has an address of its own; "": PublicURL
	ConsoleIdle  time.Duration // the console asks for a login again when it was not used for so long, 15 min
	ConsoleLife  time.Duration // and so long after the login at the latest, 8 h
	SecondFactor FactorOptions // what is asked for beside the password
	SelfService  SelfService   // who may order a client account for themselves

	Published metadata.Published // what our metadata says about who runs this

	// Older tells whether a replica of the version before this one is running, which knows no other sign-ins than stored
	// ones: as long as it does, every sign-in is stored when it is started, within Caps (row WEB-09). nil: none is.
	Older func(context.Context) bool
	Caps  store.Caps

	MaxRelayState int // bytes of a service provider's RelayState, DefaultRelayState

	// failed logins of one person in LoginWindow before they must wait, 5; the last two are for browsers that are known
	LoginFailures int
	LoginWindow   time.Duration // 15 min, counted from the last one
	LoginFloor    time.Duration // the least time until a login is refused, 250 ms

	Now    func() time.Time
	Random io.Reader // of cryptographic quality; safe for concurrent use
	Logger *slog.Logger
}

// IdP is the identity provider. It is safe for concurrent use.
type IdP struct {
	o        Options
	base     string // scheme and host of every endpoint
	endpoint string // URL of the SSO endpoint
	// logoutEndpoint is the URL of the single logout endpoint.
	logoutEndpoint string
	tokens         *claims.Verifier // of signed launches
	classes        classes
	factors        *mfa.Factors
	passkeys       *mfa.Passkeys // nil: there can be none
	// consolePasskeys are those of the console's own address.
	consolePasskeys *mfa.Passkeys
	roles           consoleRoles
	console         *serviceProvider // stands in for a service provider in sign-ins to the console
	ownPage         *serviceProvider // and on the way to a person's own page
	orderPage       *serviceProvider // and to that of their order

	config configCache
	// unresolved wakes RunGroups: a group is named that was never asked for.
	unresolved chan struct{}
	readings   singleflight.Group // one re-read of the directory for each session at a time
	parsing    *slots             // for inflating, parsing and verifying
	signing    *slots             // for the statuses that go out in nobody's sign-in
	redeeming  map[string]*slots  // for codes that go to the OpenID provider of a source, by the source
	pace       *pace              // when refused logins are answered
	turns      *turns             // of logins from addresses past their limit
	flights    *inFlight          // logins that wait for others of their person

	laterSlots  chan struct{} // for what is written down behind an answer
	laterWrites sync.WaitGroup
	unknown     unknownLogins
}

// New checks the options, all of them at once, and returns an IdP. It
// starts nothing and reads nothing yet.
func New(o Options) (*IdP, error) {
	if o.Engine == nil {
		o.Engine = certs.NewEngine(certs.EngineOptions{})
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	switch {
	case o.EntityID == "":
		fault("EntityID: missing: give the identity provider's own entityID")
	case len(o.EntityID) > 256 || strings.ContainsFunc(o.EntityID, netname.NotInURI):
		fault("EntityID %.80q: want a URI of at most 256 characters, without blanks", o.EntityID)
	}
	base, err := netname.ParsePublicURL(o.PublicURL)
	if err != nil {
		fault("PublicURL %.80q: %w", o.PublicURL, err)
	}
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"SignIns", o.SignIns == nil},
		{"Sessions", o.Sessions == nil},
		{"Logouts", o.Logouts == nil},
		{"Providers", o.Providers == nil},
		{"Accounts", o.Accounts == nil},
		{"Groups", o.Groups == nil},
		{"NameIDs", o.NameIDs == nil},
		{"Keys", o.Keys == nil},
		{"Throttle", o.Throttle == nil},
		{"Forms", o.Forms == nil},
		{"Captures", o.Captures == nil},
		{"SecondFactors", o.SecondFactors == nil},
		{"Audit", o.Audit == nil},
		{"Changes", o.Changes == nil},
		{"Sealer", o.Sealer == nil},
		{"Directory", o.Directory == nil},
		{"Gate", o.Gate == nil},
		{"Now", o.Now == nil},
		{"Random", o.Random == nil},
		{"Logger", o.Logger == nil},
	} {
		if part.missing {
			fault("%s: missing", part.name)
		}
	}
	for _, d := range []struct {
		name    string
		value   *time.Duration
		initial time.Duration
	}{
		{"SessionIdle", &o.SessionIdle, defaultSessionIdle},
		{"SessionLife", &o.SessionLife, defaultSessionLife},
		{"SignInLife", &o.SignInLife, defaultSignInLife},
		{"ReadingFresh", &o.ReadingFresh, defaultReadingFresh},
		{"ReadingStale", &o.ReadingStale, 0},
		{"Patience", &o.Patience, defaultPatience},
		{"SwitchBefore", &o.SwitchBefore, defaultSwitchBefore},
		{"SwitchAfter", &o.SwitchAfter, defaultSwitchAfter},
		{"LoginWindow", &o.LoginWindow, defaultLoginWindow},
		{"ConsoleIdle", &o.ConsoleIdle, DefaultConsoleIdle},
		{"ConsoleLife", &o.ConsoleLife, DefaultConsoleLife},
		{"SecondFactor.ConfirmAfter", &o.SecondFactor.ConfirmAfter, DefaultConfirmAfter},
	} {
		if *d.value < 0 {
			fault("%s %s: want no negative duration", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.initial
		}
	}
	if o.SignInLife > 0 && o.SignInLife < leastSignInLife {
		fault("SignInLife %s: want at least %s, since a pending sign-in is also the record against replays", o.SignInLife,
			leastSignInLife)
	}
	for _, n := range []struct {
		name    string
		value   *int
		initial int
	}{
		{"LoginFailures", &o.LoginFailures, defaultLoginFailures},
		{"MaxRelayState", &o.MaxRelayState, DefaultRelayState},
		{"Caps.PerAddress", &o.Caps.PerAddress, defaultPerAddress},
		{"Caps.Total", &o.Caps.Total, defaultTotal},
	} {
		if *n.value < 0 {
			fault("%s %d: want no negative number", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.initial
		}
	}
	if len(o.Sources) > 0 && (o.SourceStates == nil || o.SourceKeys == nil) {
		fault("SourceStates or SourceKeys: missing")
	}
	if fault := openIDUpstreams(&o); fault != nil {
		faults = append(faults, fault)
	}
	if err := checkUpstreams(o); err != nil {
		faults = append(faults, err)
	}
	roles, err := newConsoleRoles(o.Console)
	if err != nil {
		faults = append(faults, err)
	}
	for name, policy := range map[string]mfa.Policy{"SecondFactor.Console": o.SecondFactor.Console,
		"SecondFactor.People": o.SecondFactor.People} {
		if _, err := mfa.ParsePolicy(cmp.Or(string(policy), string(mfa.Off))); err != nil {
			fault("%s: %w", name, err)
		}
	}
	o.SecondFactor.Issuer = cmp.Or(o.SecondFactor.Issuer, "ssobridge")
	o.SecondFactor.Class = cmp.Or(o.SecondFactor.Class, DefaultSecondFactorClass)
	var keys, consoleKeys *mfa.Passkeys
	if base != nil {
		if keys, err = mfa.NewPasskeys(base, base, o.SecondFactor.Issuer); err != nil {
			faults = append(faults, err)
		}
		consoleKeys = keys
	}
	if base != nil && o.ConsoleURL != "" {
		at, err := netname.ParsePublicURL(o.ConsoleURL)
		if err != nil {
			fault("ConsoleURL %.80q: %w", o.ConsoleURL, err)
		} else if consoleKeys, err = mfa.NewPasskeys(at, base, o.SecondFactor.Issuer); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("identity provider: %w", errors.Join(faults...))
	}
	tokens := &claims.Verifier{Audience: base.String(), Keys: o.SourceKeys, Now: o.Now}
	for _, s := range o.Sources {
		tokens.Sources = append(tokens.Sources, s.Source)
	}
	return &IdP{
		tokens:   tokens,
		o:        o,
		base:     base.String(),
		endpoint: base.String() + ssoPath,
		roles:    roles,
		factors:  mfa.New(o.SecondFactors, o.Sealer, o.Random),
		passkeys: keys, consolePasskeys: consoleKeys,
		ownPage: &serviceProvider{ServiceProvider: store.ServiceProvider{EntityID: ownID, Name: o.SecondFactor.Issuer,
			Enabled: true}},
		orderPage: &serviceProvider{ServiceProvider: store.ServiceProvider{EntityID: orderID, Name: o.SecondFactor.Issuer,
			Enabled: true}},
		console: &serviceProvider{ServiceProvider: store.ServiceProvider{EntityID: consoleID, Name: "ssobridge",
			Enabled: true}},

		logoutEndpoint: base.String() + sloPath,
		classes:        classes{protected: base.Scheme == "https", second: o.SecondFactor.Class},
		unresolved:     make(chan struct{}, 1),
		parsing:        newSlots(parsingSlots),
		signing:        newSlots(runtime.GOMAXPROCS(0) / 4),
		redeeming:      redeemingOf(o.Sources),
		pace:           newPace(o.LoginFloor, o.Random),
		turns:          newTurns(),
		flights:        newInFlight(),
		laterSlots:     make(chan struct{}, laterSlots),
	}, nil
}

// older tells whether sign-ins have to be stored when they are started.
func (p *IdP) older(ctx context.Context) bool { return p.o.Older != nil && p.o.Older(ctx) }

// token returns 256 random bits as text that fits URLs and cookies.
func (p *IdP) token() (string, error) { return newToken(p.o.Random) }

func newToken(random io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness for a token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// messageID returns an ID for a SAML message: 160 random bits after a "_",
// since an xs:ID does not start with a digit (saml-core 1.3.4).
func (p *IdP) messageID() (string, error) {
	var b [20]byte
	if _, err := io.ReadFull(p.o.Random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness for a message id: %w", err)
	}
	return "_" + hex.EncodeToString(b[:]), nil
}

// hash is what the store keeps of a token. Tokens are random, so a plain
// SHA-256 can't be reversed by trying, and a stolen database opens no session.
func hash(token string) []byte {
	if token == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Ready fails when no active signing key is usable or the store can't be read.
func (p *IdP) Ready(ctx context.Context) error {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return err
	}
	_, err = c.active()
	return err
}
