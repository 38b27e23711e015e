package sandbox

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"time"
)

const (
	maxForeign  = 1_000
	maxAttempts = 10_000 // to post a webhook
)

// Unlimited switches a limit of Options off.
const Unlimited = -1

// EmailRule says where a contact_email can be used once only; which of them holds at Constant
// Contact is not published.
type EmailRule string

// The e-mail rules.
const (
	EmailOff        EmailRule = "off"         // any number of times
	EmailEverywhere EmailRule = "everywhere"  // once across all of Constant Contact
	EmailPerAccount EmailRule = "per-account" // once in each client account
)

// Profile says how strict the service provider is.
type Profile string

// The profiles. OktaStrict asks what a strict service provider of today is known to ask: a Response signed
// with SHA-256 or better, a persistent NameID, clocks within 60 s. Lenient also takes a Response of which only
// the assertion is signed and an unspecified NameID, and a skew of 180 s.
const (
	OktaStrict Profile = "okta-strict"
	Lenient    Profile = "lenient"
)

// Options are for New. The zero value of each field is its default.
type Options struct {
	PublicURL string // scheme and host under which browsers and the bridge reach it; Start fills it in

	ClientID         string // default DefaultClientID
	ClientSecret     string // default DefaultClientSecret
	APIKey           string // default DefaultAPIKey
	ExternalProvider string // the partner's name at Constant Contact; default DefaultExternalProvider

	Accounts []Account // client accounts; none by default, see SampleAccounts
	Users    []User    // users that exist already: account owners, and people who have a name that the bridge may want

	PerSecond       int           // partner calls in any sliding second; default 4, Unlimited for none
	PerDay          int           // partner calls until 00:00 UTC; default 10000, Unlimited for none
	TokensPerSecond int           // token requests in any sliding second; default 1, Unlimited for none
	TokenLife       time.Duration // default 3600 s
	OwnersOnly      bool          // "SSO for all users" is not enabled: users/sso answers 403
	EmailRule       EmailRule     // default EmailOff
	MaxHang         time.Duration // the longest that a fault leaves a call hanging; default 60 s

	Window Window // how the calls of a second are counted; default WindowSliding
	// a partner call takes up to so much longer, half before it is counted and handled, half after
	Jitter  time.Duration
	Foreign float64 // calls a second that another program makes on the same key, at even intervals
	// an account that was accepted for later is there once the list was read so often, if that comes before its time; 0:
	// by time only
	LaterLists int

	WebhookRetry time.Duration // between two posts of a webhook that was not answered with success; default 1 min
	WebhookFor   time.Duration // after which it is given up; default 1 h

	Profile        Profile    // default OktaStrict
	Encryption     Encryption // of assertions; default EncryptionOff
	SignRequests   Signing    // default SigningOff
	EntityID       string     // of the service provider; default PublicURL + "/sso/metadata"
	SingleLogout   bool       // serves single logout, with a key of its own in its metadata
	AnyUser        bool       // a plain service provider: everybody comes in whom the identity provider vouches for
	Audience       string     // default the EntityID
	LandingURL     string     // where the ACS sends the browser; default PublicURL + "/landing"
	IdPMetadataURL string     // fetched when an identity provider is needed that Trust was not told of

	Now    func() time.Time // default time.Now. The SAML library looks at the real clock as well
	Random io.Reader        // default crypto/rand
	// for jitter and the share of faults, from 0 up to 1, one call at a time; default math/rand/v2
	Rand      func() float64
	Transport http.RoundTripper // for IdPMetadataURL and webhooks
	Logger    *slog.Logger      // default: none
}

// defaults fills in what was left out.
func defaults(o *Options) {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	number := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	text(&o.ClientID, DefaultClientID)
	text(&o.ClientSecret, DefaultClientSecret)
	text(&o.APIKey, DefaultAPIKey)
	text(&o.ExternalProvider, DefaultExternalProvider)
	text((*string)(&o.EmailRule), string(EmailOff))
	text((*string)(&o.Profile), string(OktaStrict))
	text((*string)(&o.Encryption), string(EncryptionOff))
	text((*string)(&o.SignRequests), string(SigningOff))
	text((*string)(&o.Window), string(WindowSliding))
	text(&o.EntityID, o.PublicURL+SPMetadata)
	text(&o.Audience, o.EntityID)
	text(&o.LandingURL, o.PublicURL+LandingPath)
	number(&o.PerSecond, 4)
	number(&o.PerDay, 10_000)
	number(&o.TokensPerSecond, 1)
	span := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	span(&o.TokenLife, time.Hour)
	span(&o.MaxHang, time.Minute)
	span(&o.WebhookRetry, time.Minute)
	span(&o.WebhookFor, time.Hour)
	if o.Rand == nil {
		o.Rand = mathrand.Float64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// check names what is wrong with options that are filled in.
func (o *Options) check() error {
	switch o.EmailRule {
	case EmailOff, EmailEverywhere, EmailPerAccount:
	default:
		return fmt.Errorf("e-mail rule %q: want off, everywhere or per-account", o.EmailRule)
	}
	if o.Profile != OktaStrict && o.Profile != Lenient {
		return fmt.Errorf("profile %q: want okta-strict or lenient", o.Profile)
	}
	switch o.Encryption {
	case EncryptionOff, EncryptionTaken, EncryptionRequired:
	default:
		return fmt.Errorf("encryption %q: want off, taken or required", o.Encryption)
	}
	switch o.SignRequests {
	case SigningOff, SigningAsked, SigningAlways:
	default:
		return fmt.Errorf("signing of requests %q: want off, asked or always", o.SignRequests)
	}
	switch {
	case o.Window != WindowSliding && o.Window != WindowFixed:
		return fmt.Errorf("window %q: want sliding or fixed", o.Window)
	case o.Jitter < 0 || o.Jitter > time.Minute:
		return fmt.Errorf("jitter %v: want 0 to 1m", o.Jitter)
	case !(o.Foreign >= 0 && o.Foreign <= maxForeign): // so written, it refuses NaN too
		return fmt.Errorf("foreign calls %v a second: want 0 to %d", o.Foreign, maxForeign)
	case o.LaterLists < 0:
		return fmt.Errorf("readings of the list before an account that was accepted for later is there: %d, want 0 or more",
			o.LaterLists)
	case o.WebhookRetry < 0 || o.WebhookFor < 0 || o.WebhookFor/o.WebhookRetry > maxAttempts:
		return fmt.Errorf("webhooks again every %v for %v: want at most %d posts", o.WebhookRetry, o.WebhookFor, maxAttempts)
	}
	return nil
}
