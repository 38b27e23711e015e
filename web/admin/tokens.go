package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Tokens is what can be done with tokens of the REST API. They are not of one client account, so that everything here
// takes a scope of all. No token can make, change or end one.
type Tokens struct {
	Store        *store.DB
	Provisioning *provisioning.Service
	Now          func() time.Time
}

// How long tokens last.
const (
	LongestToken    = 365 * 24 * time.Hour
	PrivilegedToken = 30 * 24 * time.Hour // with a privileged scope
	DefaultOverlap  = 24 * time.Hour      // of a rotation
	LongestOverlap  = 30 * 24 * time.Hour
	ShortestToken   = 5 * time.Minute

	maxTokenName     = 100 // characters
	maxTokenAccounts = 200
	maxTokenNetworks = 50
)

// TokenInput is a token that is wanted.
type TokenInput struct {
	Name     string
	Scopes   []string
	Accounts []string // the client accounts that it is confined to; none: all
	Networks []string // from which it may be used, as addresses or CIDR blocks; none: any
	Life     time.Duration
	// PublicKey is the key by which the program proves itself, in PEM or as a JWK; "": a token is made for it to send.
	PublicKey string
	// VouchedBy is the person who has given a second factor for it just now; "": nobody has.
	VouchedBy store.PersonID
}

// Token is a token without what proves it.
type Token struct {
	store.APIToken
	State string // one of the Token constants
	// Algorithm and Thumbprint (RFC 7638) are of the key of a client that proves itself by one; "": it does not.
	Algorithm, Thumbprint string
	// Access is how many access tokens of the client can be used. Only List counts them.
	Access int
}

// States of a token.
const (
	TokenLive    = "live"
	TokenRotated = "rotated" // it can be used until its overlap ends
	TokenExpired = "expired"
	TokenRevoked = "revoked"
)

// NewToken is a token that was made, with the text that is shown this once; "" for a client with a key.
type NewToken struct {
	Token
	Text string
}

// TokenActor is how audit events name a token.
func TokenActor(id string) string { return "token:" + id }

// Create makes a token. e starts the event that it leaves.
func (a Tokens) Create(ctx context.Context, s Scope, in TokenInput, e store.Event) (NewToken, error) {
	if err := s.whole(); err != nil {
		return NewToken{}, err
	}
	t, err := a.check(ctx, s, in)
	if err != nil {
		return NewToken{}, err
	}
	t.CreatedBy = e.Actor
	text := drawProof(&t)
	e.Action, e.Subject, e.Outcome, e.Detail = "token-create", t.ID, "ok", tokenDetail(t, nil)
	if err := a.Store.APITokens().Add(ctx, t, e); err != nil {
		return NewToken{}, tokenError(err, t.ID)
	}
	return NewToken{a.stateOf(t), text}, nil
}

// Rotation is how a token is rotated.
type Rotation struct {
	Overlap   time.Duration // for how long the old one can still be used
	Life      time.Duration // of the new one; 0: that of the old one
	PublicKey string        // of a client with a key: its next one
	VouchedBy store.PersonID
}

// Rotate makes a token that takes the place of another one, with the same scopes, confinement and networks. The old one
// can be used until the overlap ends; with none it is revoked at once. A client with a key gets another one.
func (a Tokens) Rotate(ctx context.Context, s Scope, id string, r Rotation, e store.Event) (NewToken, error) {
	old, err := a.Get(ctx, s, id)
	if err != nil {
		return NewToken{}, err
	}
	overlap := r.Overlap
	if overlap < 0 || overlap > LongestOverlap {
		return NewToken{}, &Error{Field: "overlap", Fault: "an overlap of " + overlap.String() + " can't be",
			Hint: "take 0 to 30 days"}
	}
	if e := keyForRotation(old, r.PublicKey); e != nil {
		return NewToken{}, e
	}
	in := TokenInput{Name: old.Name, Scopes: old.Scopes, Networks: old.Networks, VouchedBy: r.VouchedBy,
		PublicKey: r.PublicKey, Life: cmp.Or(r.Life, old.ExpiresAt.Sub(old.CreatedAt))}
	for _, account := range old.Accounts {
		in.Accounts = append(in.Accounts, string(account))
	}
	t, err := a.check(ctx, s, in)
	if err != nil {
		return NewToken{}, err
	}
	if t.Key != "" && bytes.Equal(t.Hash, old.Hash) { // by what the key is: an RSA key can be named for another algorithm
		return NewToken{}, &Error{Field: "key", Fault: "the public key is the one that the client has",
			Hint: "make a new key pair"}
	}
	t.Accounts = old.Accounts // as they were: one may not be listed any more
	t.CreatedBy = e.Actor
	text := drawProof(&t)
	ends := a.Now().Add(overlap)
	e.Action, e.Subject, e.Outcome = "token-rotate", id, "ok"
	e.Detail = tokenDetail(t, map[string]any{"new": t.ID, "old_ends": ends.UTC().Format(time.RFC3339)})
	if err := a.Store.APITokens().Rotate(ctx, id, t, ends, e); err != nil {
		return NewToken{}, tokenError(err, id)
	}
	return NewToken{a.stateOf(t), text}, nil
}

// Revoke ends a token at once. e starts the event that it leaves.
func (a Tokens) Revoke(ctx context.Context, s Scope, id string, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	e.Action, e.Subject, e.Outcome = "token-revoke", id, "ok"
	return tokenError(a.Store.APITokens().Revoke(ctx, id, e), id)
}

// List lists the tokens, also those that ended within the last 30 days.
func (a Tokens) List(ctx context.Context, s Scope) ([]Token, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	rows, err := a.Store.APITokens().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list API tokens: %w", err)
	}
	all := make([]Token, 0, len(rows))
	for _, row := range rows {
		t := a.stateOf(row)
		if t.Key != "" && t.RevokedAt.IsZero() {
			if t.Access, err = a.Store.APITokens().AccessCount(ctx, t.ID); err != nil {
				return nil, fmt.Errorf("list API tokens: %w", err)
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// Get reads one token, by its id or by its text, of which nothing but the id is looked at.
func (a Tokens) Get(ctx context.Context, s Scope, id string) (Token, error) {
	if err := s.whole(); err != nil {
		return Token{}, err
	}
	t, err := a.Store.APITokens().Get(ctx, id)
	if err != nil {
		return Token{}, tokenError(err, id)
	}
	return a.stateOf(t), nil
}

func (a Tokens) stateOf(t store.APIToken) Token {
	state := TokenLive
	switch {
	case !t.RevokedAt.IsZero():
		state = TokenRevoked
	case !a.Now().Before(t.ExpiresAt):
		state = TokenExpired
	case t.Replaced != "":
		state = TokenRotated
	}
	n := Token{APIToken: t, State: state}
	if t.Key != "" {
		n.Algorithm, n.Thumbprint = keyNames(t)
	}
	return n
}

func tokenError(err error, id string) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &Error{Kind: Missing, Field: "id", Fault: "there is no API token " + plaintext.Quote(id) + " that can be used",
			Act: ListTokens, Err: err}
	case errors.Is(err, store.ErrConflict):
		return &Error{Kind: Changed, Field: "id", Fault: "the API token " + plaintext.Quote(id) + " was rotated before",
			Act: ListTokens, Err: err}
	case errors.Is(err, store.ErrLimit):
		return &Error{Fault: fmt.Sprintf("there are %d API tokens that can be used", store.MaxAPITokens),
			Hint: "revoke those that nobody needs", Act: ListTokens, Err: err}
	}
	return err
}

// check finds all that is wrong with a token that is wanted.
func (a Tokens) check(ctx context.Context, s Scope, in TokenInput) (store.APIToken, error) {
	t := store.APIToken{Name: store.TrimTyped(in.Name), VouchedBy: in.VouchedBy}
	var faults []*Error
	add := func(field, fault, hint string) {
		faults = append(faults, &Error{Field: field, Fault: fault, Hint: hint})
	}
	switch n := utf8.RuneCountInString(t.Name); {
	case n == 0:
		add("name", "the token has no name", "say which program uses it")
	case n > maxTokenName || !utf8.ValidString(t.Name) || plaintext.Line(t.Name, len(t.Name)) != t.Name:
		add("name", "the name can't be used", fmt.Sprintf("write at most %d characters in one line", maxTokenName))
	}
	privileged := false
	for _, name := range in.Scopes {
		scope, known := FindTokenScope(name)
		switch {
		case !known:
			add("scope", "there is no scope "+plaintext.Quote(name),
				"take some of "+scopeNames(func(TokenScope) bool { return true }))
			continue
		case len(in.Accounts) > 0 && !scope.Confinable:
			add("scope", "a token of some client accounts can't have the scope "+name,
				"take some of "+scopeNames(func(s TokenScope) bool { return s.Confinable })+", or name no client account")
		}
		privileged = privileged || scope.Privileged
		if !slices.Contains(t.Scopes, name) {
			t.Scopes = append(t.Scopes, name)
		}
	}
	if len(in.Scopes) == 0 {
		add("scope", "the token has no scope", "take some of "+scopeNames(func(TokenScope) bool { return true }))
	}
	longest := LongestToken
	if privileged {
		longest = PrivilegedToken
		if in.VouchedBy == "" {
			add("login", "one of the scopes needs the second factor of an administrator",
				"name a member of console.admin_group, and give their code; or leave the scope out")
		}
	}
	if in.Life < ShortestToken || in.Life > longest {
		add("expires", "a life of "+in.Life.String()+" can't be",
			fmt.Sprintf("take 5 minutes to %d days", int(longest/(24*time.Hour))))
	}
	if len(in.Accounts) > maxTokenAccounts {
		add("account", "too many client accounts", fmt.Sprintf("name at most %d", maxTokenAccounts))
		in.Accounts = nil
	}
	for _, text := range in.Accounts {
		id, err := ClientAccounts{Provisioning: a.Provisioning}.Find(ctx, s, text, false)
		e, refused := AsError(err)
		switch {
		case refused:
			e.Act = ListAccounts // a token is not confined to what no list knows
			faults = append(faults, e)
		case err != nil:
			return t, err
		case !slices.Contains(t.Accounts, id):
			t.Accounts = append(t.Accounts, id)
		}
	}
	if len(in.Networks) > maxTokenNetworks {
		add("from", "too many networks", fmt.Sprintf("name at most %d", maxTokenNetworks))
		in.Networks = nil
	}
	for _, text := range in.Networks {
		network, err := netname.ParseNetwork(text)
		if errors.Is(err, netname.ErrMappedNetwork) {
			add("from", plaintext.Quote(text)+" is an IPv4 network in the form of IPv6, and matches nobody",
				"write it as IPv4, such as 10.20.0.0/16")
			continue
		}
		if err != nil {
			add("from", plaintext.Quote(text)+" is neither an address nor a network", "write for example 192.0.2.7 or "+
				"10.20.0.0/16")
			continue
		}
		t.Networks = append(t.Networks, network.String())
	}
	if in.PublicKey != "" {
		if e := setKey(&t, in.PublicKey); e != nil {
			faults = append(faults, e)
		}
	}
	switch len(faults) {
	case 0:
	case 1:
		return t, faults[0]
	default:
		return t, &Error{Fault: fmt.Sprintf("%d values can't be used", len(faults)), Parts: faults}
	}
	t.CreatedAt = a.Now()
	t.ExpiresAt = t.CreatedAt.Add(in.Life)
	return t, nil
}

func tokenDetail(t store.APIToken, more map[string]any) []byte {
	detail := map[string]any{"name": t.Name, "scopes": t.Scopes, "expires": t.ExpiresAt.UTC().Format(time.RFC3339)}
	if len(t.Accounts) > 0 {
		detail["accounts"] = t.Accounts
	}
	if len(t.Networks) > 0 {
		detail["from"] = t.Networks
	}
	if t.Key != "" {
		detail["algorithm"], detail["thumbprint"] = keyNames(t)
	}
	if t.VouchedBy != "" {
		detail["vouched_by"] = t.VouchedBy
	}
	for k, v := range more {
		detail[k] = v
	}
	return store.DetailOf(detail)
}

// The text of a token: ssob_ID_SECRET, the secret with a checksum at its end. Scanners for leaked secrets find it by
// its form, and a text that was cut or mistyped is refused before the store is asked.
const (
	tokenPrefix   = "ssob_"
	tokenIDLength = 10
	tokenSecret   = 52 // characters of 32 bytes
	tokenSum      = 7  // characters of a CRC-32
)

var tokenLetters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// drawProof gives a token its id, and its secret unless it is a client's with a key; it returns the token's text.
func drawProof(t *store.APIToken) string {
	id, text, hash := drawToken()
	if t.ID = id; t.Key != "" {
		return ""
	}
	t.Hash = hash
	return text
}

// drawToken draws an id and a secret, and returns them with the whole text. crypto/rand never fails.
func drawToken() (id, text string, hash []byte) {
	id = strings.ToLower(rand.Text()[:tokenIDLength])
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	text = tokenPrefix + id + "_" + tokenLetters.EncodeToString(secret[:])
	text += tokenCheck(text)
	sum := sha256.Sum256([]byte(text))
	return id, text, sum[:]
}

func tokenCheck(text string) string {
	return tokenLetters.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// TokenID is the id in the text of a token; "" for what is none.
func TokenID(text string) string {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(rest) != tokenIDLength+1+tokenSecret+tokenSum || rest[tokenIDLength] != '_' {
		return ""
	}
	if body := text[:len(text)-tokenSum]; tokenCheck(body) != text[len(body):] {
		return ""
	}
	return rest[:tokenIDLength]
}

// Why a token is not taken.
var (
	ErrNoToken      = errors.New("no such API token, or it can't be used any more")
	ErrTokenNetwork = errors.New("the API token may not be used from this address")
)

// Caller is a program that has proved a token.
type Caller struct {
	Token store.APIToken
	Scope Scope
}

// Actor is how audit events name the caller.
func (c Caller) Actor() string { return TokenActor(c.Token.ID) }

// May tells whether the token has a scope. None implies another.
func (c Caller) May(scope string) bool { return slices.Contains(c.Token.Scopes, scope) }

// Prove finds whose token a text is, and notes its use. ErrNoToken says nothing of why; ErrTokenNetwork.
func (a Tokens) Prove(ctx context.Context, text, address string) (Caller, error) {
	id := TokenID(text)
	if id == "" {
		return Caller{}, ErrNoToken
	}
	t, hash, err := a.proved(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Caller{}, ErrNoToken
	}
	if err != nil {
		return Caller{}, fmt.Errorf("look for an API token: %w", err)
	}
	sum := sha256.Sum256([]byte(text))
	// Constant time: the answer must not tell how much of a guessed token was right.
	if subtle.ConstantTimeCompare(sum[:], hash) != 1 || !t.Live(a.Now()) {
		return Caller{}, ErrNoToken
	}
	if !tokenAllowed(t, address) {
		return Caller{Token: t}, ErrTokenNetwork
	}
	c := Caller{Token: t, Scope: Everything()}
	if len(t.Accounts) > 0 {
		c.Scope = Accounts(t.Accounts...)
	}
	if err := a.Store.APITokens().Used(ctx, t, address); err != nil {
		return Caller{}, err
	}
	return c, nil
}

// FromElsewhere notes that a token was used from networks that are not its own.
func (a Tokens) FromElsewhere(ctx context.Context, t store.APIToken, uses int) error {
	return a.Store.APITokens().Refused(ctx, t.ID, uses, store.Event{At: a.Now(), Actor: TokenActor(t.ID),
		Reason: "network"})
}

// tokenAllowed tells whether a token may be used from an address. One that can't be read is in no network.
func tokenAllowed(t store.APIToken, address string) bool {
	if len(t.Networks) == 0 {
		return true
	}
	a, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(t.Networks, func(text string) bool {
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Contains(a.Unmap().WithZone(""))
	})
}

// tokenWarnings are the days before a token's end at which it is named.
var tokenWarnings = []int{1, 7, 30}

func (s Status) apiTokens(ctx context.Context) []Finding {
	return Tokens{Store: s.Store, Now: s.Now}.Findings(ctx)
}

// Ending are the tokens that Findings names as ending soon, for notices.
func (a Tokens) Ending(ctx context.Context) (all []Expiry, err error) {
	rows, err := a.Store.APITokens().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list API tokens: %w", err)
	}
	for _, t := range rows {
		if left := t.ExpiresAt.Sub(a.Now()); t.RevokedAt.IsZero() && t.Replaced == "" && left > 0 && endsWithin(t, left) > 0 {
			all = append(all, Expiry{Use: "api_token", ID: t.ID, What: tokenTitle(t), NotAfter: t.ExpiresAt})
		}
	}
	return all, nil
}

// endsWithin is the step of tokenWarnings that a token has come to; 0 for none.
func endsWithin(t store.APIToken, left time.Duration) int {
	for _, days := range tokenWarnings {
		if within := time.Duration(days) * 24 * time.Hour; left <= min(within, t.ExpiresAt.Sub(t.CreatedAt)/4) {
			return days
		}
	}
	return 0
}

func tokenTitle(t store.APIToken) string { return fmt.Sprintf("API token %s (%s)", t.ID, t.Name) }

// Findings name the tokens that end soon, and those that ended lately with nothing in their place. One that was
// made for a short time is named only in the last quarter of it.
func (a Tokens) Findings(ctx context.Context) []Finding {
	const name = "API tokens"
	rows, err := a.Store.APITokens().List(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	now, live := a.Now(), 0
	var all []Finding
	for _, t := range rows {
		left := t.ExpiresAt.Sub(now)
		title := tokenTitle(t)
		switch {
		case !t.RevokedAt.IsZero() || t.Replaced != "":
		case left <= 0 && left > -7*24*time.Hour:
			all = append(all, Finding{Name: title, Level: Warning, Act: ListTokens, Part: PartExpiry,
				Detail: "expired on " + t.ExpiresAt.UTC().Format(time.DateOnly)})
		case left > 0:
			live++
			if days := endsWithin(t, left); days > 0 {
				all = append(all, Finding{Name: title, Level: Warning, Act: RotateToken, About: t.ID, Part: PartExpiry,
					Detail: fmt.Sprintf("expires on %s, within %s", t.ExpiresAt.UTC().Format(time.DateOnly),
						plaintext.Count(days, "day", "days"))})
			}
		}
	}
	if len(all) == 0 && live > 0 {
		return []Finding{{Name: name, Detail: plaintext.Count(live, "token can be used", "tokens can be used")}}
	}
	return all
}
