package api

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// TokenPath is the token endpoint, below Path. Its URL is the one audience that an assertion may have.
const TokenPath = "/token"

// maxTokenForm bounds its form, in bytes: an assertion of 8 KiB, the scopes, and their escapes.
const maxTokenForm = 16 << 10

// tokenForm is the form of the token endpoint (RFC 6749 section 4.4.2, RFC 7523 section 2.2).
type tokenForm struct {
	GrantType     string `json:"grant_type" enum:"client_credentials" doc:"Always client_credentials."`
	AssertionType string `json:"client_assertion_type" enum:"urn:ietf:params:oauth:client-assertion-type:jwt-bearer" doc:"Always urn:ietf:params:oauth:client-assertion-type:jwt-bearer."`
	Assertion     string `json:"client_assertion" maxlen:"8192" doc:"A JWT that the client's key has signed: iss and sub are the client's id, aud is the URL of this endpoint, jti is used once, exp is at most 60 seconds after iat."`
	Scope         string `json:"scope,omitempty" maxlen:"1000" doc:"The scopes of the access token, with blanks between: some of the client's. Left out: all of them."`
}

// accessToken is the answer (RFC 6749 section 5.1).
type accessToken struct {
	AccessToken string `json:"access_token" doc:"To send as Authorization: Bearer."`
	TokenType   string `json:"token_type" doc:"Always Bearer."`
	ExpiresIn   int    `json:"expires_in" doc:"For how many seconds it can be used: 900, or less where its client ends before."`
	Scope       string `json:"scope" doc:"Its scopes, with blanks between."`
}

// tokenError is the answer to what is refused (RFC 6749 section 5.2).
type tokenError struct {
	Err         string `json:"error" doc:"What kind of error it is: invalid_client, invalid_request, invalid_scope, unauthorized_client, unsupported_grant_type, temporarily_unavailable or server_error."`
	Description string `json:"error_description" doc:"What is wrong, in a sentence for people."`
	Reference   string `json:"reference" doc:"What to name when asking for help: the log has it, with cause and fix."`

	status int
	after  int // seconds
}

// token answers a request at the token endpoint. Nobody has proved anything yet: tries are counted before a signature
// is looked at.
func (a *API) token(w http.ResponseWriter, r *http.Request) {
	made, refused := a.issue(w, r)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if refused == nil {
		_ = encode(w, made) // whoever asked is gone
		return
	}
	refused.Reference = store.OriginOf(r.Context()).Ref
	if refused.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="ssobridge"`)
	}
	if refused.after > 0 {
		h.Set("Retry-After", strconv.Itoa(refused.after))
	}
	w.WriteHeader(refused.status)
	_ = encode(w, refused)
}

func (a *API) issue(w http.ResponseWriter, r *http.Request) (accessToken, *tokenError) {
	ctx, address := r.Context(), store.OriginOf(r.Context()).Address
	in, refused := readForm(w, r)
	if refused != nil {
		return accessToken{}, refused
	}
	now := a.o.Now()
	block := idp.AddressBlock(address)
	if after := a.tries.take(block, now); after > 0 {
		return accessToken{}, busyToken("too many requests from this address were refused within a minute", after)
	}
	select {
	case a.proofs <- struct{}{}:
		defer func() { <-a.proofs }()
	case <-ctx.Done():
		return accessToken{}, busyToken("the bridge can't answer at the moment", 1)
	}
	made, fault, err := a.o.Tokens.Exchange(ctx, admin.Exchange{Assertion: in.Assertion, Audience: a.o.TokenURL,
		Scopes: strings.Fields(in.Scope), Address: address})
	switch {
	case err != nil:
		if ctx.Err() == nil { // whoever goes away, again and again, is still counted
			a.tries.giveBack(block, now)
		}
		a.o.Logger.ErrorContext(ctx, "an access token was not issued", slog.String("ref", store.OriginOf(ctx).Ref),
			slog.Any("error", err))
		return accessToken{}, failedToken(idp.FailureOf(ctx, err))
	case fault != nil:
		return accessToken{}, a.refuseClient(r, fault)
	}
	a.tries.giveBack(block, now)
	return accessToken{AccessToken: made.Text, TokenType: "Bearer", Scope: strings.Join(made.Scopes, " "),
		ExpiresIn: int(made.Expires.Sub(now) / time.Second)}, nil
}

// refuseClient says in the log why, with cause and fix, and to the client no more than it may know.
func (a *API) refuseClient(r *http.Request, f *admin.ClientFault) *tokenError {
	ctx := r.Context()
	if f.Proved {
		idp.FootprintOf(ctx).Known() // no stranger: its lines in the log are not summed
	}
	a.o.Logger.LogAttrs(ctx, slog.LevelInfo, "API client refused", slog.String("ref", store.OriginOf(ctx).Ref),
		slog.String("reason", f.Reason), slog.String("cause", f.Cause), slog.String("fix", f.Fix),
		slog.String("client", shown(f.Client)), slog.String("address", store.OriginOf(ctx).Address))
	switch f.Reason {
	case admin.ClientNetwork:
		a.fromElsewhere(ctx, f.Token)
		return &tokenError{Err: "unauthorized_client", status: http.StatusBadRequest,
			Description: "the client may not be used from this network"}
	case admin.ClientUsed:
		a.replayed(ctx, f.Token)
	case admin.ClientScope: // counted too: its assertion is not used up, and can come again and again
		return &tokenError{Err: "invalid_scope", status: http.StatusBadRequest,
			Description: "the client lacks a scope that it asks for"}
	case admin.ClientLimit:
		return busyToken(fmt.Sprintf("%d access tokens of the client can be used", store.MaxAccessTokens),
			int(admin.AccessLife/time.Second))
	}
	// One answer for all else: it must not tell a client that is there from one that is not.
	return &tokenError{Err: "invalid_client", status: http.StatusUnauthorized,
		Description: "the client has not proved itself; the log of the bridge says why"}
}

func busyToken(what string, after int) *tokenError {
	return &tokenError{Err: "temporarily_unavailable", Description: what, status: http.StatusTooManyRequests, after: after}
}

func failedToken(reason string) *tokenError {
	switch reason {
	case idp.ReasonStoreDown, idp.ReasonTooSlow:
		return &tokenError{Err: "temporarily_unavailable", Description: "the bridge can't answer at the moment",
			status: http.StatusServiceUnavailable, after: 30}
	}
	return &tokenError{Err: "server_error", Description: "something went wrong here",
		status: http.StatusInternalServerError}
}

// readForm reads the form. A client has one way to prove itself, and each parameter once (RFC 6749 sections 2.3
// and 3.2); parameters that are not known are passed over.
func readForm(w http.ResponseWriter, r *http.Request) (in tokenForm, refused *tokenError) {
	invalid := func(what string) (tokenForm, *tokenError) {
		return in, &tokenError{Err: "invalid_request", Description: what, status: http.StatusBadRequest}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		kind != "application/x-www-form-urlencoded" {
		return invalid("the body is not declared as application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return invalid("parameters belong into the body")
	}
	if len(r.Header.Values("Authorization")) > 0 {
		return invalid("the client proves itself by client_assertion alone, without the Authorization header")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenForm))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		_, refused = invalid(fmt.Sprintf("the body has more than %d bytes", maxTokenForm))
		refused.status = http.StatusRequestEntityTooLarge
		return in, refused
	} else if err != nil {
		return invalid("the body can't be read")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return invalid("the body is no form")
	}
	for _, values := range form {
		if len(values) > 1 {
			return invalid("a parameter is given more than once")
		}
	}
	in = tokenForm{form.Get("grant_type"), form.Get("client_assertion_type"), form.Get("client_assertion"),
		form.Get("scope")}
	switch {
	case in.GrantType == "":
		return invalid("grant_type is missing")
	case in.GrantType != "client_credentials":
		return in, &tokenError{Err: "unsupported_grant_type", Description: "grant_type is not client_credentials",
			status: http.StatusBadRequest}
	case form.Has("client_secret"):
		return invalid("no client has a secret: it proves itself by client_assertion alone")
	case in.AssertionType != claims.AssertionType:
		return invalid("client_assertion_type is not " + claims.AssertionType)
	case in.Assertion == "":
		return invalid("client_assertion is missing")
	case len(in.Scope) > maxText:
		return invalid("scope is too long")
	}
	return in, nil
}

// tokenOperation is the endpoint in the document.
func tokenOperation(s *schemas) object {
	body := s.of(reflect.TypeFor[tokenForm]())
	problem := object{"description": "It is refused (RFC 6749 section 5.2).",
		"content": object{"application/json": object{"schema": s.of(reflect.TypeFor[tokenError]())}}}
	return object{"post": object{
		"operationId": "createAccessToken", "summary": tokenSummary, "tags": []string{"Access tokens"},
		"description": tokenDoc, "security": []object{},
		"requestBody": object{"required": true, "content": object{"application/x-www-form-urlencoded": object{
			"schema": body}}},
		"responses": object{"200": object{"description": "Done.", "content": object{"application/json": object{
			"schema": s.of(reflect.TypeFor[accessToken]())}}}, "default": problem},
	}}
}

const (
	tokenSummary = "Get an access token for a client with a key"
	tokenDoc     = "For programs that an administrator has created with a public key (`ssobridge tokens create " +
		"--public-key`). The access token lasts 15 minutes, and ends at once when the client is revoked. A client can have " +
		"20 of them at a time."
)

// tokenSection is the endpoint in the page.
func tokenSection() section {
	return section{ID: "createAccessToken", Method: http.MethodPost, Path: Path + TokenPath, Summary: tokenSummary,
		Doc: strings.ReplaceAll(tokenDoc, "`", ""), Success: statusText(http.StatusOK), Open: true,
		Body: rowsOf(reflect.TypeFor[tokenForm]()), Answer: rowsOf(reflect.TypeFor[accessToken]())}
}
