package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/store"
)

// Clients with a key: programs that send no token of their own, but get one for a short while by a JWT that their
// private key has signed (RFC 7523 section 2.2). No secret of theirs is known here.
const (
	AccessLife = 15 * time.Minute // of an access token
	// ClientSkew is how far a client's clock may be off.
	ClientSkew = 30 * time.Second

	maxPublicKey = 16 << 10 // bytes
)

// setKey makes a token that of a client with a key.
func setKey(t *store.APIToken, text string) *Error {
	refuse := func(fault string) *Error {
		return &Error{Field: "key", Fault: fault, Hint: "give one public key in PEM or as a JWK: EC on P-256, Ed25519, or " +
			"RSA of 2048 bits or more"}
	}
	if len(text) > maxPublicKey {
		return refuse(fmt.Sprintf("the public key has more than %d bytes", maxPublicKey))
	}
	keys, err := claims.ParseKeys([]byte(text))
	if err != nil {
		return refuse("the public key can't be used: " + err.Error())
	}
	if len(keys) != 1 {
		return refuse(fmt.Sprintf("there are %d public keys", len(keys)))
	}
	stored, err := keys[0].MarshalText()
	if err != nil {
		return refuse("the public key can't be used: " + err.Error())
	}
	hash, err := keys[0].Thumbprint()
	if err != nil {
		return refuse("the public key can't be used: " + err.Error())
	}
	t.Key, t.Hash = string(stored), hash
	return nil
}

// keyNames are the algorithm and the thumbprint of a client's key.
func keyNames(t store.APIToken) (algorithm, thumbprint string) {
	var k claims.Key
	if err := k.UnmarshalText([]byte(t.Key)); err != nil {
		return "", ""
	}
	sum, err := k.Thumbprint()
	if err != nil {
		return "", ""
	}
	return k.Alg, base64.RawURLEncoding.EncodeToString(sum)
}

// keyForRotation refuses a rotation that would turn a client with a key into a token, or the other way round.
func keyForRotation(old Token, key string) *Error {
	switch {
	case old.Key != "" && key == "":
		return &Error{Field: "key", Fault: "the client proves itself by a key, and there is no new one",
			Hint: "make a new key pair, and give its public key"}
	case old.Key == "" && key != "":
		return &Error{Field: "key", Fault: "the token is no client with a key", Hint: "leave the public key out, or create " +
			"a client with it and revoke the token"}
	}
	return nil
}

// AccessToken is what a client with a key got.
type AccessToken struct {
	Text    string
	Scopes  []string
	Expires time.Time
}

// Exchange is what a client asks for.
type Exchange struct {
	Assertion string
	Audience  string   // of the assertion: our token endpoint
	Scopes    []string // of the access token; none: all of the client
	Address   string
}

// Reasons why a client gets no access token, for log and audit.
const (
	ClientUnknown = "client_unknown" // no client with a key has the id, or it has expired or was revoked
	ClientForm    = "client_form"    // the assertion can't be used as one
	ClientKey     = "client_key"     // it is not signed by the client's key
	ClientTarget  = "client_aud"     // it is for somebody else
	ClientTime    = "client_time"    // it is over, not valid yet, or valid for too long
	ClientUsed    = "client_used"    // it was used before
	ClientNetwork = "client_network" // the client may not be used from the address
	ClientScope   = "client_scope"   // it asks for a scope that it lacks
	ClientLimit   = "client_limit"   // too many access tokens of it can be used
)

// ClientFault is why a client gets no access token. Cause and Fix are for the administrator. Before Proved the client
// itself must not learn which of the reasons it was.
type ClientFault struct {
	Reason, Cause, Fix string
	Client             string         // as it says, or, where Proved, is
	Proved             bool           // its key has signed what it sent
	Token              store.APIToken // of the client, where Proved
}

// Error is the cause.
func (f *ClientFault) Error() string { return f.Cause }

// reasonOfClaims says which reason of ours one of claims is.
var reasonOfClaims = map[string]string{
	claims.ReasonIssuer: ClientUnknown, claims.ReasonAlgorithm: ClientKey, claims.ReasonSignature: ClientKey,
	claims.ReasonAudience: ClientTarget, claims.ReasonLifetime: ClientTime, claims.ReasonExpired: ClientTime,
	claims.ReasonFuture: ClientTime,
}

// fixOfClient is what to do about a reason.
var fixOfClient = map[string]string{
	ClientUnknown: "Compare the program's iss and sub with the ids of the list of API tokens.",
	ClientForm:    "Compare what the program sends with the documentation of the REST API.",
	ClientKey:     "Compare the thumbprint of the program's key with the one in the list of API tokens.",
	ClientTarget:  "Have the program set aud to the token endpoint, and nothing else.",
	ClientTime:    "Compare the program's clock with ours, and have exp at most 60 seconds after iat.",
	ClientUsed: "Have the program sign a new assertion with a new jti for each request. If it does, somebody else has " +
		"read one on its way.",
	ClientNetwork: "If the program's address has changed, create the client anew with its network. If not, somebody else " +
		"has its key: revoke it.",
	ClientScope: "Have the program ask for scopes of its own alone, or create the client with more.",
	ClientLimit: "Have the program use one access token until it ends. If it does, somebody else has its key: revoke it.",
}

func clientFault(reason, client, cause string) *ClientFault {
	return &ClientFault{Reason: reason, Client: client, Cause: cause, Fix: fixOfClient[reason]}
}

func ofClaims(client string, bad *claims.Fault) *ClientFault {
	reason := reasonOfClaims[bad.Reason]
	if reason == "" {
		reason = ClientForm
	}
	return clientFault(reason, client, bad.Detail)
}

// Exchange makes an access token for a client that has proved itself. Any refusal is a [ClientFault].
func (a Tokens) Exchange(ctx context.Context, x Exchange) (AccessToken, *ClientFault, error) {
	assertion, bad := claims.ParseAssertion(x.Assertion)
	if bad != nil {
		return AccessToken{}, ofClaims("", bad), nil
	}
	id := assertion.Client
	unknown := clientFault(ClientUnknown, id, "no client with a key has this id, or it has expired or was revoked")
	if len(id) != tokenIDLength {
		return AccessToken{}, unknown, nil
	}
	t, err := a.Store.APITokens().Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return AccessToken{}, unknown, nil
	}
	if err != nil {
		return AccessToken{}, nil, fmt.Errorf("look for a client of the API: %w", err)
	}
	now := a.Now()
	if t.Key == "" || !t.Live(now) {
		return AccessToken{}, unknown, nil
	}
	var key claims.Key
	if err := key.UnmarshalText([]byte(t.Key)); err != nil {
		return AccessToken{}, nil, fmt.Errorf("client %s of the API: %w", id, err)
	}
	used, ends, bad := assertion.Verify(key, x.Audience, now, ClientSkew)
	if bad != nil {
		return AccessToken{}, ofClaims(id, bad), nil
	}
	refuse := func(reason, cause string) (AccessToken, *ClientFault, error) {
		f := clientFault(reason, id, cause)
		f.Proved, f.Token = true, t
		return AccessToken{}, f, nil
	}
	if !tokenAllowed(t, x.Address) {
		return refuse(ClientNetwork, "the client may not be used from this address")
	}
	scopes := t.Scopes
	if len(x.Scopes) > 0 {
		scopes = nil
		for _, name := range x.Scopes {
			if !slices.Contains(t.Scopes, name) {
				return refuse(ClientScope, "the client lacks a scope that it asks for")
			}
			if !slices.Contains(scopes, name) {
				scopes = append(scopes, name)
			}
		}
	}
	made := AccessToken{Scopes: scopes, Expires: now.Add(AccessLife)}
	if t.ExpiresAt.Before(made.Expires) {
		made.Expires = t.ExpiresAt
	}
	access := store.AccessToken{Client: id, Scopes: scopes, ExpiresAt: made.Expires}
	access.ID, made.Text, access.Hash = drawToken()
	_, thumbprint := keyNames(t)
	e := store.Event{At: now, Actor: TokenActor(id), Action: "token-issue", Subject: id, Outcome: "ok",
		Detail: store.DetailOf(map[string]any{"access": access.ID, "scopes": scopes, "thumbprint": thumbprint,
			"expires": made.Expires.UTC().Format(time.RFC3339)})}
	// The margin covers a clock of the database that is behind ours.
	err = a.Store.APITokens().Issue(ctx, access, store.ClientProof{Used: used, EndsAt: ends.Add(ClientSkew)}, e)
	switch {
	case errors.Is(err, store.ErrTokenUsed):
		return refuse(ClientUsed, "the assertion was used before")
	case errors.Is(err, store.ErrLimit):
		return refuse(ClientLimit, fmt.Sprintf("%d access tokens of the client can be used", store.MaxAccessTokens))
	case errors.Is(err, store.ErrNotFound): // it was revoked at this moment
		return AccessToken{}, unknown, nil
	case err != nil:
		return AccessToken{}, nil, fmt.Errorf("issue an access token: %w", err)
	}
	if err := a.Store.APITokens().Used(ctx, t, x.Address); err != nil {
		return AccessToken{}, nil, err
	}
	return made, nil, nil
}

// Replayed notes that assertions of a client came again.
func (a Tokens) Replayed(ctx context.Context, t store.APIToken, uses int) error {
	return a.Store.APITokens().Refused(ctx, t.ID, uses, store.Event{At: a.Now(), Actor: TokenActor(t.ID),
		Reason: ClientUsed})
}

// proved finds what a token's text has to match, and whose it is. For an access token that is its client, with the
// scopes that both have, as long as both can be used.
func (a Tokens) proved(ctx context.Context, id string) (store.APIToken, []byte, error) {
	t, err := a.Store.APITokens().Get(ctx, id)
	if err == nil && t.Key != "" {
		return t, nil, store.ErrNotFound // its id proves nothing, and its hash is one of a public key
	}
	if !errors.Is(err, store.ErrNotFound) {
		return t, t.Hash, err
	}
	access, client, err := a.Store.APITokens().Access(ctx, id)
	if err != nil {
		return client, nil, err
	}
	if client.Key == "" || !a.Now().Before(access.ExpiresAt) {
		return client, nil, store.ErrNotFound
	}
	client.Scopes = slices.DeleteFunc(slices.Clone(access.Scopes), func(s string) bool {
		return !slices.Contains(client.Scopes, s)
	})
	return client, access.Hash, nil
}
