package claims

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ssobridge/idp/fetch"
)

// OpenID is the bridge as a client of a source's OpenID provider (OpenID Connect Core 1.0).
type OpenID struct {
	ClientID     string
	ClientSecret string
	Key          *ClientKey // in place of ClientSecret
	// Redirect is our callback, which no other source has: so an answer says at which provider it was asked for.
	Redirect string
	Scopes   []string

	// Identity is the claim of the ID token that says who somebody is: sub, or another one that never changes and is
	// never given to somebody else.
	Identity string
	// Pins are claims that the ID token has to have with exactly this text, such as the tenant of a provider that signs
	// for many with one issuer.
	Pins []Pin
	// Passive says that the provider knows prompt=none.
	Passive bool
	// UnverifiedMail takes a mail address that the provider does not call verified. It is a contact address either way.
	UnverifiedMail bool
	// Logout says that who signs out here is led to the provider to sign out there too.
	Logout bool
	// AllowPrivate are internal addresses where the provider may be.
	AllowPrivate []netip.Prefix
}

// Pin is a claim that an ID token has to have with exactly this text.
type Pin struct{ Claim, Text string }

// Bounds of what providers send.
const (
	maxIDToken  = 32 << 10 // with the groups that providers put into it
	maxCode     = 2 << 10
	maxAddress  = 2 << 10
	maxClientID = 255
	maxScopes   = 20
	// maxRedeem bounds a person's wait for the provider, all requests together.
	maxRedeem = 20 * time.Second
	// logoutAge is how old a logout token may be.
	logoutAge = 2 * time.Minute
)

// changing are claims that name a person in a way that can change hands: whoever gets somebody's former address would
// get their access.
var changing = []string{"email", "mail", "upn", "unique_name", "preferred_username", "name", "nickname", "given_name",
	"family_name", "middle_name", "phone_number", "verified_primary_email", "verified_secondary_email", "login_hint"}

func (u *OpenID) check() (faults []error) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !plain(u.ClientID, maxClientID) {
		add("client_id: want a text of 1 to %d bytes", maxClientID)
	}
	if (u.ClientSecret == "") == (u.Key == nil) {
		add("client_secret: want a secret or a private key, and not both")
	}
	if !plain(u.Identity, maxText) || slices.Contains(changing, u.Identity) {
		add("identity %.60q: want a claim that never changes and is never given to somebody else, such as sub", u.Identity)
	}
	if !slices.Contains(u.Scopes, oidc.ScopeOpenID) || len(u.Scopes) > maxScopes {
		add("scopes: want openid among them, and %d at most", maxScopes)
	}
	if slices.Contains(u.Scopes, oidc.ScopeOfflineAccess) {
		add("scopes: offline_access asks for a refresh token, and none is kept here")
	}
	return faults
}

// pinned tells whether the source's keys were given, so that none are fetched.
func (s *Source) pinned() bool { return s.JWKS == "" && s.OpenID == nil }

// provider is what an OpenID provider says of itself (OpenID Connect Discovery 1.0 section 3).
type provider struct {
	authorize, token, userinfo, keys, endSession string

	namesItself bool // its answers carry iss (RFC 9207)
	inBody      bool // it takes the client's secret in the body alone
}

// discover asks a provider for what it says of itself. It returns the document too.
func discover(ctx context.Context, client *fetch.Client, s *Source) (*provider, []byte, error) {
	data, err := read(ctx, client, strings.TrimSuffix(s.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, nil, fmt.Errorf("discover the provider of source %s: %w", s.Name, err)
	}
	p, err := parseProvider(data, client.Check, s)
	if err != nil {
		return nil, nil, fmt.Errorf("discover the provider of source %s: %w", s.Name, err)
	}
	return p, data, nil
}

func parseProvider(data []byte, check func(string) error, s *Source) (*provider, error) {
	o, err := readObject(data)
	if err != nil {
		return nil, fmt.Errorf("its document can't be read: %w", err)
	}
	// Exactly (Discovery 1.0 section 4.3): else one provider could speak for another.
	if iss, _ := o["issuer"].(string); iss != s.Issuer {
		return nil, errors.New("its document has another issuer than the source: they have to be equal to the last slash")
	}
	var p provider
	for _, f := range []struct {
		name     string
		to       *string
		required bool
	}{
		{"authorization_endpoint", &p.authorize, true}, {"token_endpoint", &p.token, true}, {"jwks_uri", &p.keys, true},
		{"userinfo_endpoint", &p.userinfo, false}, {"end_session_endpoint", &p.endSession, false},
	} {
		address, ok := o[f.name].(string)
		if _, there := o[f.name]; !there && !f.required {
			continue
		}
		if !ok || len(address) > maxAddress {
			return nil, fmt.Errorf("its document has no %s that can be used", f.name)
		}
		if err := check(address); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		*f.to = address
	}
	if algs, there := texts(o["id_token_signing_alg_values_supported"]); there &&
		!slices.ContainsFunc(algs, func(a string) bool { return slices.Contains([]string{ES256, EdDSA, RS256, PS256}, a) }) {
		return nil, fmt.Errorf("it signs ID tokens by none of %s, %s, %s and %s", ES256, EdDSA, RS256, PS256)
	}
	if methods, there := texts(o["code_challenge_methods_supported"]); there && !slices.Contains(methods, "S256") {
		return nil, errors.New("it does not know PKCE with S256")
	}
	if p.inBody, err = takesClient(o, s.OpenID.Key); err != nil {
		return nil, err
	}
	p.namesItself, _ = o["authorization_response_iss_parameter_supported"].(bool)
	return &p, nil
}

// takesClient tells whether a client proves itself in the body of a call. An error says that the provider takes no
// proof that we can give.
func takesClient(o map[string]any, key *ClientKey) (inBody bool, err error) {
	methods, there := texts(o["token_endpoint_auth_methods_supported"])
	if key != nil {
		// Without a list it is client_secret_basic alone (Discovery 1.0 section 3).
		if !slices.Contains(methods, privateKeyJWT) {
			return false, errors.New("it does not take " + privateKeyJWT)
		}
		algs, there := texts(o["token_endpoint_auth_signing_alg_values_supported"])
		if there && !slices.Contains(algs, key.alg) {
			return false, fmt.Errorf("it takes no %s by %s, which the private key is for", privateKeyJWT, key.alg)
		}
		return true, nil
	}
	if !there || slices.Contains(methods, "client_secret_basic") {
		return false, nil
	}
	if !slices.Contains(methods, "client_secret_post") {
		return false, errors.New("it takes a client's secret neither by client_secret_basic nor by client_secret_post")
	}
	return true, nil
}

func texts(v any) (all []string, there bool) {
	list, ok := v.([]any)
	for _, one := range list {
		if s, isText := one.(string); isText {
			all = append(all, s)
		}
	}
	return all, ok
}

// provider is what a source's provider says of itself.
func (k *Keys) provider(ctx context.Context, s *Source) (*provider, *Fault) {
	set := k.set(s)
	if !set.loaded && set.fetched.IsZero() {
		k.load(ctx, s)
		set = k.set(s)
	}
	now := k.o.Now()
	// What was kept by a former process serves, once this one has tried to have it anew. After a fetch that failed the
	// next one is not put off until what serves is old: without it nobody is signed in silently.
	if set.op == nil || set.tried.IsZero() || set.err != nil || now.Sub(set.fetched) >= fetchAgain {
		k.await(ctx, s)
		set = k.set(s)
	}
	if bad := set.serves(s, now); bad != nil || set.op == nil {
		return nil, fault(ReasonProviderDown, "the provider of source %s can't be asked: %s", s.Name, set.cause())
	}
	return set.op, nil
}

// Ask is one request to a provider to sign somebody in. State names it in the answer's address, Nonce in the ID token;
// Verifier proves that whoever brings the code has asked for it (PKCE, RFC 7636). Nonce and Verifier are random, each
// for itself, and stay with the browser that asks.
type Ask struct {
	State, Nonce, Verifier string

	Force   bool   // a login there and now
	Passive bool   // without showing anything
	Hint    string // the login name that the person has typed here; "": none
}

// Client is the bridge as a client of OpenID providers. It is safe for concurrent use, and keeps no token.
type Client struct {
	keys *Keys
	now  func() time.Time
}

// NewClient makes one. It starts nothing.
func NewClient(keys *Keys) *Client {
	return &Client{keys: keys, now: keys.o.Now}
}

func (u *OpenID) config(p *provider) *oauth2.Config {
	style := oauth2.AuthStyleInHeader
	if p.inBody {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: u.ClientID, ClientSecret: u.ClientSecret, RedirectURL: u.Redirect, Scopes: u.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.authorize, TokenURL: p.token, AuthStyle: style}}
}

// Address is where the browser is led to sign somebody in.
func (c *Client) Address(ctx context.Context, s *Source, a Ask) (string, *Fault) {
	p, bad := c.keys.provider(ctx, s)
	if bad != nil {
		return "", bad
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if a.Force {
		// max_age has the provider say when that login was (Core 1.0 section 2, auth_time), which is what the caller goes
		// by: the prompt stands in an address that the browser could change.
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	if a.Passive {
		// A browser that finds nobody there would bring no answer, and the person would see the provider's error.
		if set := c.keys.set(s); set.err != nil {
			return "", fault(ReasonProviderDown, "the provider of source %s can't be asked: %s", s.Name, set.cause())
		}
		options = append(options, oauth2.SetAuthURLParam("prompt", "none"))
	}
	if plain(a.Hint, maxText) {
		// What was typed here is not typed there again (Core 1.0 section 3.1.2.1). It proves nothing.
		options = append(options, oauth2.SetAuthURLParam("login_hint", a.Hint))
	}
	return s.OpenID.config(p).AuthCodeURL(a.State, options...), nil
}

// Reply is what a provider sent the browser back with.
type Reply struct {
	Code   string
	Issuer string // iss, RFC 9207; "": there is none
	Error  string // its code; "": there is none
}

// cantSilently are the errors that say no more than that a page would have to be shown (Core 1.0 section 3.1.2.6).
var cantSilently = []string{"login_required", "interaction_required", "account_selection_required", "consent_required"}

// knownErrors are those whose codes are written into the log: what else stands there is somebody's own text.
var knownErrors = append([]string{"access_denied", "invalid_request", "unauthorized_client",
	"unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable", "invalid_grant",
	"invalid_client",
	"unsupported_grant_type", "request_not_supported", "registration_not_supported"}, cantSilently...)

func shownError(code string) string {
	if slices.Contains(knownErrors, code) {
		return code
	}
	return "a code that is not among those of the specification"
}

// Check tells why an answer can't be redeemed, and nil where its code can go to the provider. Nothing is asked
// there but what it says of itself, and nothing is used up.
func (c *Client) Check(ctx context.Context, s *Source, a Ask, r Reply) *Fault {
	_, bad := c.check(ctx, s, a, r)
	return bad
}

// check is Check, and returns the provider whose answer it is.
func (c *Client) check(ctx context.Context, s *Source, a Ask, r Reply) (*provider, *Fault) {
	p, bad := c.keys.provider(ctx, s)
	if bad != nil {
		return nil, bad
	}
	// Before all else, errors too (RFC 9207 section 2.4): a code of another provider must not be sent to this one.
	if r.Issuer != "" && r.Issuer != s.Issuer || r.Issuer == "" && p.namesItself {
		return nil, fault(ReasonMixUp, "the answer's iss is not the issuer of source %s, or is missing", s.Name)
	}
	if r.Error != "" {
		if a.Passive && slices.Contains(cantSilently, r.Error) {
			return nil, fault(ReasonNoLogin, "the provider of source %s answered %s to prompt=none", s.Name, r.Error)
		}
		return nil, fault(ReasonProviderSays, "the provider of source %s answered with the error %s", s.Name,
			shownError(r.Error))
	}
	if !plain(r.Code, maxCode) {
		return nil, fault(ReasonProviderSays, "the provider of source %s answered with neither a code nor an error", s.Name)
	}
	return p, nil
}

// Redeem takes the answer to a request and returns what the provider says of the person. The caller has made sure that
// the request was made in this browser and for this source, that it is redeemed once, and bounds how many wait for one
// provider. An answer that does not pass Check is refused.
func (c *Client) Redeem(ctx context.Context, s *Source, a Ask, r Reply) (*Checked, *Fault) {
	ctx, cancel := context.WithTimeout(ctx, maxRedeem)
	defer cancel()
	p, bad := c.check(ctx, s, a, r)
	if bad != nil {
		return nil, bad
	}
	client := c.keys.clientOf(s).HTTP()
	ctx = oidc.ClientContext(ctx, client)
	proof, err := s.OpenID.proof(s, p, c.now())
	if err != nil {
		return nil, fault(ReasonCode, "the private key of source %s can't be used: %s", s.Name, err)
	}
	token, err := s.OpenID.config(p).Exchange(ctx, r.Code, append(proof, oauth2.VerifierOption(a.Verifier))...)
	if err != nil {
		return nil, refusedCode(s, err)
	}
	raw, _ := token.Extra("id_token").(string)
	t, checked, bad := c.idToken(ctx, s, a, raw, token.AccessToken)
	if bad != nil {
		return nil, bad
	}
	if bad := s.overage(t); bad != nil {
		return nil, bad
	}
	if s.Subject == Own && p.userinfo != "" && s.lacks(t) {
		if bad := c.userinfo(ctx, s, p, client, t, token); bad != nil {
			return nil, bad
		}
	}
	if !s.OpenID.UnverifiedMail && !verified(t.claims["email_verified"]) {
		delete(t.claims, s.Claims.Mail)
	}
	if checked.Person, bad = s.person(t, checked.Sub); bad != nil {
		return nil, bad
	}
	// The tokens end here: what was asked for is known, and what nobody has can't be stolen.
	return checked, nil
}

// verified reads email_verified, which some providers send as a text.
func verified(v any) bool { return v == true || v == "true" }

// refusedCode says why a code was not taken. What the provider wrote beside its error code goes nowhere: it may say who
// the person is.
func refusedCode(s *Source, err error) *Fault {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil {
		if refused.Response.StatusCode >= http.StatusInternalServerError {
			return fault(ReasonProviderDown, "the token endpoint of source %s answered with status %d", s.Name,
				refused.Response.StatusCode)
		}
		return fault(ReasonCode, "the token endpoint of source %s answered with status %d and the error %s", s.Name,
			refused.Response.StatusCode, shownError(refused.ErrorCode))
	}
	if asked, ok := errors.AsType[*url.Error](err); ok {
		return fault(ReasonProviderDown, "the token endpoint of source %s can't be asked: %s", s.Name, asked.Err)
	}
	return fault(ReasonCode, "the token endpoint of source %s answered with something else than tokens", s.Name)
}

// EndSession is where the browser is led to sign out at the provider (OpenID Connect RP-Initiated Logout 1.0); "" where
// the source does not ask for that, or its provider has no such address. No ID token is kept to send along: the
// provider asks the person, and knows from client_id who asks. back is where it leads afterwards, which is registered
// there.
func (c *Client) EndSession(ctx context.Context, s *Source, back string) string {
	if s.OpenID == nil || !s.OpenID.Logout {
		return ""
	}
	p, bad := c.keys.provider(ctx, s)
	if bad != nil || p.endSession == "" {
		return "" // signed out here all the same
	}
	u, err := url.Parse(p.endSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", s.OpenID.ClientID)
	q.Set("post_logout_redirect_uri", back)
	u.RawQuery = q.Encode()
	return u.String()
}

// lacks tells whether the ID token has not all that the source reads of a person. Accounts are no part of what
// providers have by themselves, and are not asked for.
func (s *Source) lacks(t *token) bool {
	return slices.ContainsFunc([]string{s.Claims.FirstName, s.Claims.LastName, s.Claims.Mail, s.Claims.Login,
		s.Claims.Groups}, func(name string) bool {
		_, there := t.claims[name]
		return name != "" && !there
	})
}

// overage tells that the groups are in too many for the ID token, which then names a place where they are (distributed
// claims, Core 1.0 section 5.6.2; Entra ID does so past 200). That place is an interface of the provider's own, which
// takes a permission to read the directory and is not asked; without them a person would have fewer rights than theirs.
func (s *Source) overage(t *token) *Fault {
	names, _ := t.claims["_claim_names"].(map[string]any)
	_, elsewhere := names[s.Claims.Groups]
	if _, there := t.claims[s.Claims.Groups]; s.Subject != Own || s.Claims.Groups == "" || !elsewhere || there {
		return nil
	}
	return fault(ReasonOverage, "the ID token has no %s, and says by _claim_names that they are elsewhere", s.Claims.Groups)
}

// userinfo adds claims that the ID token does not have (Core 1.0 section 5.3). What the ID token says stays: it is
// signed for us.
func (c *Client) userinfo(ctx context.Context, s *Source, p *provider, client *http.Client, t *token,
	access *oauth2.Token) *Fault {
	op := (&oidc.ProviderConfig{IssuerURL: s.Issuer, UserInfoURL: p.userinfo, JWKSURL: p.keys}).NewProvider(
		oidc.ClientContext(ctx, client))
	info, err := op.UserInfo(ctx, oauth2.StaticTokenSource(access))
	if err != nil { // its text may have the body
		cause := "it answered with something else than claims"
		if asked, ok := errors.AsType[*url.Error](err); ok {
			cause = asked.Err.Error()
		}
		return fault(ReasonUserinfo, "the userinfo endpoint of source %s can't be used: %s", s.Name, cause)
	}
	var raw jsonText
	if err := info.Claims(&raw); err != nil {
		return fault(ReasonUserinfo, "the userinfo endpoint of source %s answered with no claims", s.Name)
	}
	more, err := readObject(raw)
	if err != nil {
		return fault(ReasonUserinfo, "the answer of the userinfo endpoint of source %s can't be read: %s", s.Name, err)
	}
	// Another person's claims, or nobody's (Core 1.0 section 5.3.2).
	if sub, ok := more["sub"].(string); !ok || sub != t.claims["sub"] {
		return fault(ReasonUserinfo, "the userinfo endpoint of source %s answered about another sub", s.Name)
	}
	_, hasMail := t.claims[s.Claims.Mail]
	for name, v := range more {
		if name == "email_verified" && hasMail {
			continue // it is about the address beside it
		}
		if _, there := t.claims[name]; !there {
			t.claims[name] = v
		}
	}
	return nil
}

// jsonText is JSON as it came.
type jsonText []byte

// UnmarshalJSON keeps it.
func (j *jsonText) UnmarshalJSON(data []byte) error {
	*j = slices.Clone(data)
	return nil
}
