package idp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"ssobridge/idp/directory"
)

// How failed logins slow the address that they come from (row LDAP-10).
const (
	slowedSlots  = 256 // logins that may be made to wait at the same time
	freeFailures = 10  // of an address, before it is slowed: an office has many who mistype
	slowStep     = 100 * time.Millisecond
	slowLimit    = 2 * time.Second
)

// attempt is one try to log in, as the limits see it. The limit by login refuses.
// A browser that this login was used from before has a limit of its own in its
// place, so that outsiders can't lock people out. The limit by address only
// slows: many people share an address.
//
// An account in the directory can so be tried with LoginFailures wrong passwords
// from outside and as many from its own browser in one LoginWindow: the
// directory's lockout threshold should be above twice LoginFailures.
type attempt struct {
	name    string // the login name, by directory.BareLogin
	login   []byte // key of the login name
	browser []byte // key of login and browser; nil for a browser that is not known
	address []byte
}

// throttle makes an attempt wait its time, or refuses it.
func (p *Provider) throttle(ctx context.Context, f *flow, login string) (attempt, Page, error) {
	name := directory.BareLogin(login)
	a := attempt{name: name, login: key("login", name), address: key("address", addressBlock(f.v.Address))}
	browser := hash(f.v.Browser)
	known, err := p.o.Throttle.KnownBrowser(ctx, name, browser)
	if err != nil {
		return a, nil, fmt.Errorf("look up browser: %w", err)
	}
	if known {
		a.browser = key("browser", name, string(browser))
	}
	counts, err := p.o.Throttle.Failures(ctx, p.o.LoginWindow, a.limit(a.login), a.address)
	if err != nil {
		return a, nil, fmt.Errorf("count failed logins: %w", err)
	}
	if counts[0] >= p.o.LoginFailures {
		// Logged and not audited: the failures that led here are, and each further try
		// would add a row for nothing.
		p.logRefusal(ctx, f.v, f.sp.EntityID, ReasonTooManyAttempts, "too many failed logins for this login name", "wait until login_window is over")
		return a, Refusal{
			SignIn: f.in.ID, Provider: f.sp.name(), Reason: ReasonTooManyAttempts, Status: http.StatusTooManyRequests,
			CanCancel: f.fromSP(), Retry: true,
		}, nil
	}
	page, err := p.slow(ctx, f, counts[1])
	return a, page, err
}

// slow waits for a time that grows with the failures of the address.
func (p *Provider) slow(ctx context.Context, f *flow, failures int) (Page, error) {
	if failures <= freeFailures {
		return nil, nil
	}
	select {
	case p.slowed <- struct{}{}:
		defer func() { <-p.slowed }()
	default:
		// A flood of guesses fills the slots; without a bound it would fill the memory.
		p.logRefusal(ctx, f.v, f.sp.EntityID, ReasonBusy, "too many slowed logins are waiting", "look for a flood of logins from one address")
		return Refusal{
			SignIn: f.in.ID, Provider: f.sp.name(), Reason: ReasonBusy, Status: http.StatusServiceUnavailable,
			CanCancel: f.fromSP(), Retry: true,
		}, nil
	}
	timer := time.NewTimer(min(time.Duration(failures-freeFailures)*slowStep, slowLimit))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait before a login: %w", ctx.Err())
	}
}

// overLimit tells whether the person behind the login has too many failures:
// a directory takes several spellings for one person.
func (p *Provider) overLimit(ctx context.Context, a attempt, person string) (bool, error) {
	counts, err := p.o.Throttle.Failures(ctx, p.o.LoginWindow, a.limit(key("person", person)))
	if err != nil {
		return false, fmt.Errorf("count failed logins: %w", err)
	}
	return counts[0] >= p.o.LoginFailures, nil
}

// limit is the key whose limit refuses: the browser's own, where there is one.
func (a attempt) limit(other []byte) []byte {
	if a.browser != nil {
		return a.browser
	}
	return other
}

// counts are the keys that a failure counts for.
func (a attempt) counts(person string) [][]byte {
	keys := [][]byte{a.login, a.address}
	if a.browser != nil {
		keys = append(keys, a.browser)
	}
	if person != "" {
		keys = append(keys, key("person", person))
	}
	return keys
}

// clears are the keys that a success wipes out. The address keeps its count: one
// who has an account of their own must not use it to go on guessing.
func (a attempt) clears(person string) [][]byte {
	keys := [][]byte{a.login, key("person", person)}
	if a.browser != nil {
		keys = append(keys, a.browser)
	}
	return keys
}

// addressBlock is what a client address counts for: itself, and in IPv6 the /64
// that it is in. One customer has at least that many addresses (RFC 6177), so a
// limit for a single one would limit nobody.
func addressBlock(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	block, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return block.String()
}

// key names a counter. Only its hash is stored: the table of failures must not
// become a list of logins, and sometimes of passwords typed in the wrong field.
func key(kind string, parts ...string) []byte {
	sum := sha256.Sum256([]byte(kind + "\x00" + strings.Join(parts, "\x00")))
	return sum[:]
}
