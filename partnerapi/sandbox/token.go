package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxTokenBody = 8 << 10

// serveToken is the token server: client credentials (RFC 6749 4.4) by Basic authentication.
func (s *Sandbox) serveToken(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenBody))
	c := s.record(r, grantOf(body)) // never the whole body: a client might put its secret there
	var a reply
	if err != nil {
		a = oauthError(http.StatusRequestEntityTooLarge, "invalid_request", "body too large")
	} else {
		a = s.tokenReply(r, string(body), c)
	}
	s.settle(c, a)
	a.write(w)
}

// grantOf is the part of a token request's body that may be shown.
func grantOf(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("grant_type") {
		return ""
	}
	return "grant_type=" + form.Get("grant_type")
}

// oauthError is an error of the token server (RFC 6749 5.2).
func oauthError(status int, code, description string) reply {
	return jsonReply(status, map[string]string{"error": code, "error_description": description}, code+": "+description)
}

func (s *Sandbox) tokenReply(r *http.Request, body string, c *Call) reply {
	faults := s.faultsFor(r, true)
	if f, ok := faults[FaultSlow]; ok {
		s.pause(r.Context(), f.Delay)
	}
	if _, ok := faults[FaultDownToken]; ok {
		return reply{cut: true, outcome: "fault: token server down"}
	}
	if f, ok := faults[FaultGateway]; ok {
		return f.answer()
	}
	if _, ok := faults[FaultFailBefore]; ok {
		return oauthError(http.StatusInternalServerError, "server_error", "fault: failed before acting")
	}
	if r.Method != http.MethodPost {
		return oauthError(http.StatusMethodNotAllowed, "invalid_request", "want POST")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return oauthError(http.StatusUnsupportedMediaType, "invalid_request",
			"want Content-Type application/x-www-form-urlencoded")
	}
	id, secret, ok := basic(r.Header.Get("Authorization"))
	if !ok {
		return oauthError(http.StatusUnsupportedMediaType, "invalid_request",
			"want an Authorization header: Basic base64(id:secret)")
	}

	s.mu.Lock()
	broken := s.asked.take(s.o.Now())
	s.mu.Unlock()
	if broken != "" {
		return oauthError(http.StatusTooManyRequests, "too_many_requests", "token requests are limited")
	}
	// Constant time, as any check of a secret should be.
	sameID := subtle.ConstantTimeCompare([]byte(id), []byte(s.o.ClientID))
	sameSecret := subtle.ConstantTimeCompare([]byte(secret), []byte(s.o.ClientSecret))
	if sameID&sameSecret != 1 {
		return oauthError(http.StatusUnauthorized, "invalid_client", "unknown client or wrong secret")
	}
	s.mu.Lock()
	c.Who = "partner"
	s.mu.Unlock()

	form, err := url.ParseQuery(body)
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "the body is no form")
	}
	grants := append(r.URL.Query()["grant_type"], form["grant_type"]...)
	if len(grants) != 1 || grants[0] != "client_credentials" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type",
			"want grant_type=client_credentials once, in the query or the body")
	}
	return jsonReply(http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": int(s.o.TokenLife.Seconds()), "access_token": s.issueToken(),
		"scope": "v3api/general.partner",
	}, "token issued")
}

// basic reads Basic credentials, plainly: nothing is decoded but the base64.
func basic(header string) (id, secret string, ok bool) {
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}

// issueToken makes a token in the form of a JWT and remembers it. Its signature is for the looks:
// the sandbox knows its tokens by heart.
func (s *Sandbox) issueToken() string {
	now := s.o.Now()
	end := now.Add(s.o.TokenLife)
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic("sandbox: " + err.Error()) // maps of strings and numbers always encode
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	token := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": s.o.PublicURL + "/partners/oauth2/default", "cid": s.o.ClientID, "jti": "AT." + s.random(16),
		"iat": now.Unix(), "exp": end.Unix(), "scp": []string{"v3api/general.partner"},
	})
	mac := hmac.New(sha256.New, []byte(s.random(32)))
	mac.Write([]byte(token))
	token += "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))

	s.mu.Lock()
	defer s.mu.Unlock()
	for old, end := range s.tokens {
		if now.After(end) {
			delete(s.tokens, old)
		}
	}
	s.tokens[token] = end
	return token
}

// tokenGood tells whether a request carries a token of ours that has not ended.
func (s *Sandbox) tokenGood(r *http.Request, now time.Time) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	end, known := s.tokens[token]
	return strings.EqualFold(scheme, "Bearer") && known && now.Before(end)
}
