package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The cookies. The __Host- prefix makes browsers refuse them unless they are
// Secure, for this very host and for all paths, so that no neighbouring host can
// plant one (row WEB-02).
const (
	sessionCookie = "__Host-ssobridge_session"
	browserCookie = "__Host-ssobridge_browser"
)

const (
	browserLife  = 365 * 24 * time.Hour
	tokenBytes   = 32
	maxTokenText = 128
)

// cookie with the attributes of all of ours. Lax: it comes along when somebody
// follows a link to us from another site, and not when another site posts to us.
func cookie(name, value string, life time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func cleared(name string) *http.Cookie {
	c := cookie(name, "", 0)
	c.MaxAge = -1
	return c
}

// readCookie returns the one value of a cookie. Two of a name are none: no browser
// sends two with this prefix, and which one counts would be a matter of order.
func readCookie(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// sessionToken is the token of the session cookie, "" where none could be one.
// Whether it is a live session is for idp to say.
func sessionToken(r *http.Request) string {
	v := readCookie(r, sessionCookie)
	if !tokenText(v) {
		return ""
	}
	return v
}

// browserToken is the token of the browser cookie, "" where absent or not of our making.
func browserToken(r *http.Request) string {
	v := readCookie(r, browserCookie)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(v)
	if err != nil || len(raw) != tokenBytes || len(v) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return ""
	}
	return v
}

// tokenText tells whether a text can be a token or an id of ours: 1 to 128
// characters of the base64url alphabet.
func tokenText(v string) bool {
	if v == "" || len(v) > maxTokenText {
		return false
	}
	for i := range len(v) {
		c := v[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// newToken is 256 bits of randomness.
func newToken(random io.Reader) (string, error) {
	raw := make([]byte, tokenBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("draw a token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// csrfToken is the hidden field of a form, derived from the browser cookie: a page
// of another origin can read neither. It needs no store, holds on every replica
// and lives as long as the cookie.
func (s *Server) csrfToken(browser string) string {
	if browser == "" {
		return ""
	}
	token := formToken(s.csrfKeys[0], browser)
	if len(s.csrfKeys) > 1 {
		// With one key alone the token does not name it: the version before this one, which for one release runs beside it,
		// knows no names.
		token = keyName(s.csrfKeys[0]) + "." + token
	}
	return token
}

func formToken(key []byte, browser string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("form\x00" + browser))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// keyName names a key in what it has made, and says nothing of it.
func keyName(key []byte) string {
	sum := sha256.Sum256(key)
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// csrfHolds compares in constant time: the time of an early exit would tell a
// guesser how far a guess was right.
func (s *Server) csrfHolds(browser, token string) bool {
	if browser == "" {
		return false
	}
	name, mac, named := strings.Cut(token, ".")
	if !named {
		name, mac = "", token
	}
	for _, key := range s.csrfKeys {
		if name != "" && name != keyName(key) {
			continue
		}
		if hmac.Equal([]byte(formToken(key, browser)), []byte(mac)) {
			return true
		}
	}
	return false
}
