package claims

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/netname"
)

// Subject says what the sub of a source's tokens is.
type Subject string

// The subjects.
const (
	Own            Subject = "own"             // the source's own; the person is what the token says
	DirectoryID    Subject = "directory_id"    // the person's immutable id in the directory, which decides on them
	DirectoryLogin Subject = "directory_login" // their login name there
)

// Bounds of a source's settings.
const (
	MaxSkew      = 60 * time.Second
	maxLifetime  = 60 * time.Second // of a token
	maxName      = 20
	maxJTI       = 128
	maxRequest   = 1024
	maxSub       = 255
	maxText      = 255 // of names and the like
	maxGroupsOf  = 200
	maxGrantsOf  = 200
	defaultStale = 24 * time.Hour
)

// Names of the claims that a source's tokens have their data in; "" for a claim that is not read.
type Names struct {
	FirstName, LastName, Mail, Login, Groups, Accounts string
}

// Source is one source of people: who signs its tokens, and what these may say.
type Source struct {
	Name    string // short; part of its people's ids, so it never changes
	Issuer  string // iss of its tokens, which no other source has
	Subject Subject
	Keys    []Key  // pinned
	JWKS    string // address of its key set; "" where keys are pinned
	Origins []string
	// OpenID is the OpenID provider that signs the source's people in; nil: its tokens are those of signed launches.
	OpenID *OpenID

	// What its people may get (Subject Own). An empty list allows nothing.
	AllowAccounts []string // ids, or patterns with * and ?
	AllowRoles    []string

	Claims   Names
	Skew     time.Duration // of clocks, at most MaxSkew
	MaxStale time.Duration // how long the last good key set serves while none can be fetched
	// Trust is what values of acr and amr are believed, and TrustAuthTime says that auth_time is. Zero: nothing is.
	Trust         []Trust
	TrustAuthTime bool
	MaxAge        time.Duration // how long a session of a launch opens further sign-ins; 0: each launch brings a token
}

// Check names what is wrong with a source.
func (s *Source) Check() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch {
	case s.Name == reservedName:
		add("name %s: the login page's own form has it", s.Name)
	case !ValidName(s.Name):
		add("name %.40q: want 1 to %d of a-z, 0-9 and -, with a letter first", s.Name, maxName)
	}
	if !plain(s.Issuer, maxText) {
		add("issuer: want a text of 1 to %d bytes", maxText)
	}
	switch s.Subject {
	case Own, DirectoryID, DirectoryLogin:
	default:
		add("subject %.40q: want %s, %s or %s", s.Subject, Own, DirectoryID, DirectoryLogin)
	}
	switch {
	case s.OpenID != nil:
		if len(s.Keys) > 0 || s.JWKS != "" || len(s.Origins) > 0 {
			add("keys: those of an OpenID provider come from the provider itself")
		}
		faults = append(faults, s.OpenID.check()...)
	case (len(s.Keys) == 0) == (s.JWKS == ""):
		add("keys: give pinned keys or the address of a key set, and not both")
	}
	if len(s.Keys) > 0 {
		if _, err := distinct(s.Keys); err != nil {
			add("keys: %w", err)
		}
		secrets := 0
		for _, k := range s.Keys {
			if k.Alg == HS256 {
				secrets++
			}
		}
		if secrets > 0 && len(s.Keys) != secrets {
			add("keys: a shared secret does not stand beside public keys")
		}
	}
	for _, origin := range s.Origins {
		if u, err := url.Parse(origin); err != nil || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) ||
			netname.CheckAddress(origin, true) != nil {
			add("origins: %.120q is no origin: want a scheme and a host in lower case, such as https://portal.example.com",
				origin)
		}
	}
	for _, pattern := range s.AllowAccounts {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || strings.ContainsAny(pattern, `[]\/`) {
			add("allow_accounts: %.60q is neither an id nor a pattern with * and ?", pattern)
		}
	}
	if len(s.Trust) > maxTrusts {
		add("trust: has %d entries, want at most %d", len(s.Trust), maxTrusts)
	}
	if s.Skew < 0 || s.Skew > MaxSkew {
		add("skew %s: want at most %s", s.Skew, MaxSkew)
	}
	return errors.Join(faults...)
}

// reservedName is the way to sign in that is no source, in addresses that name one.
const reservedName = "directory"

// ValidName tells whether a text can name a source.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// idEncoding has lower-case letters and digits alone: Constant Contact may not tell ids apart that differ in case.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PersonID is the id of a source's person, its one form. It is made by a hash: a sub may be of any length and letters,
// and two sources never share a person, whatever their subs are.
func (s *Source) PersonID(sub string) string {
	sum := sha256.Sum256([]byte(s.Name + "\x00" + sub))
	return directory.SourcePrefix + s.Name + "." + idEncoding.EncodeToString(sum[:20])
}

// SubjectClaim is the claim of the source's tokens by whose text people have their ids, see PersonID.
func (s *Source) SubjectClaim() string {
	if s.OpenID != nil {
		return s.OpenID.Identity
	}
	return "sub"
}

// SourceOf is the source that a person's id names; "" for somebody of the directory.
func SourceOf(personID string) string {
	if name := directory.SourceOf(personID); ValidName(name) {
		return name
	}
	return ""
}

// Allows tells whether the source may give an account, in its recorded form, and a role. canonical brings an id of
// allow_accounts to that form. Roles and accounts that no list names are not given.
func (s *Source) Allows(account, role string, canonical func(string) string) bool {
	if account == "" || !slices.Contains(s.AllowRoles, role) {
		return false
	}
	return slices.ContainsFunc(s.AllowAccounts, func(allowed string) bool {
		if strings.ContainsAny(allowed, "*?") {
			ok, err := path.Match(allowed, account)
			return ok && err == nil
		}
		return canonical(allowed) == account
	})
}

// OfOrigin tells whether a launch may come from an Origin header without a click.
func (s *Source) OfOrigin(origin string) bool {
	return origin != "" && origin != "null" && slices.Contains(s.Origins, origin)
}
