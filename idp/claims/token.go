package claims

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
)

// MaxToken is how long a token may be, in bytes.
const MaxToken = 8 << 10

// Types of tokens. A token of one is never taken for the other.
const (
	TypeLaunch = "ssobridge-launch+jwt"
	TypeLogout = "ssobridge-logout+jwt"
	typeJWT    = "JWT" // what libraries write by default; good for a launch
)

// Token is a token that was taken apart. Nothing of it is to be believed before Verify.
type token struct {
	alg, kid, typ string
	claims        map[string]any
	signed        string // what the signature is over
	signature     []byte
}

// headers that would have the reader fetch or believe a key, or read the token in another way (RFC 8725 sections 3.5,
// 3.9, 3.10). Whoever sends one expects something that is never done here.
var forbiddenHeaders = []string{"jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip", "cty"}

// split takes a launch token apart.
func split(text string) (token, *Fault) { return splitIn(text, MaxToken) }

// splitIn takes a token of limit bytes at most apart.
func splitIn(text string, limit int) (token, *Fault) {
	var t token
	if text == "" {
		return t, fault(ReasonForm, "there is no token")
	}
	if len(text) > limit {
		return t, fault(ReasonForm, "the token has more than %d bytes", limit)
	}
	if n := strings.Count(text, "."); n != 2 {
		return t, fault(ReasonForm, "the token has %d parts: want the three of a signed one in compact form", n+1)
	}
	signed, signature, _ := cutLast(text, ".")
	head, body, _ := strings.Cut(signed, ".")
	// Strict: no padding, no line breaks, and no bits left over, so that one token has one text.
	decode := func(part, what string) ([]byte, *Fault) {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return nil, fault(ReasonForm, "the token's %s is not base64url without padding", what)
		}
		return raw, nil
	}
	rawHead, bad := decode(head, "header")
	if bad != nil {
		return t, bad
	}
	rawBody, bad := decode(body, "payload")
	if bad != nil {
		return t, bad
	}
	if t.signature, bad = decode(signature, "signature"); bad != nil {
		return t, bad
	}
	header, err := readObject(rawHead)
	if err != nil {
		return t, fault(ReasonForm, "the token's header can't be read: %s", err)
	}
	for _, name := range forbiddenHeaders {
		if _, there := header[name]; there {
			return t, fault(ReasonHeader, "the token's header has %s, which is never used here", name)
		}
	}
	var ok bool
	if t.alg, ok = header["alg"].(string); !ok || t.alg == "" {
		return t, fault(ReasonHeader, "the token's header has no alg")
	}
	if typ, there := header["typ"]; there {
		if t.typ, ok = typ.(string); !ok || t.typ == "" {
			return t, fault(ReasonHeader, "the typ in the token's header is no text")
		}
	}
	if kid, there := header["kid"]; there {
		if t.kid, ok = kid.(string); !ok || t.kid == "" || len(t.kid) > maxKeyID {
			return t, fault(ReasonHeader, "the kid in the token's header is not a text of 1 to %d bytes", maxKeyID)
		}
	}
	if t.claims, err = readObject(rawBody); err != nil {
		return t, fault(ReasonForm, "the token's payload can't be read: %s", err)
	}
	t.signed = signed
	return t, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// ofType refuses tokens for another purpose: an access token, an ID token or a logout token of the same issuer is
// signed with the same keys (RFC 8725 section 3.11).
func (t *token) ofType(want string) *Fault {
	if t.typ == "" {
		return fault(ReasonHeader, "the token's header has no typ")
	}
	if !strings.EqualFold(t.typ, want) && (want != TypeLaunch || !strings.EqualFold(t.typ, typeJWT)) {
		return fault(ReasonType, "the token's typ is not %s", want)
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "events", "scope", "client_id", "azp"} {
		if _, there := t.claims[name]; there {
			return fault(ReasonType, "the token has %s, so it is an ID token, an access token or a logout token", name)
		}
	}
	return nil
}

// text is a claim that has to be a text of 1 to limit bytes without control characters; ok is false where it is none.
func (t *token) text(name string, limit int) (value string, there, ok bool) {
	v, there := t.claims[name]
	if !there {
		return "", false, false
	}
	value, ok = v.(string)
	return value, true, ok && plain(value, limit)
}

func plain(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029
	})
}

// instant is a NumericDate (RFC 7519 section 2), which need not be whole.
func (t *token) instant(name string) (at time.Time, there, ok bool) {
	v, there := t.claims[name]
	n, isNumber := v.(json.Number)
	if !isNumber {
		return at, there, false
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > maxInstant {
		return at, there, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), there, true
}

// stamp reads what tells a token from all others, as a hash, and when it was made and ends.
func (t *token) stamp(used *[]byte, issued, expires *time.Time) *Fault {
	jti, _, ok := t.text("jti", maxJTI)
	if !ok {
		return fault(ReasonClaims, "the token's jti is missing, or not a text of 1 to %d bytes", maxJTI)
	}
	sum := sha256.Sum256([]byte(jti))
	*used = sum[:]
	if *issued, _, ok = t.instant("iat"); !ok {
		return fault(ReasonClaims, "the token's iat is missing, or no time in seconds")
	}
	if *expires, _, ok = t.instant("exp"); !ok {
		return fault(ReasonClaims, "the token's exp is missing, or no time in seconds")
	}
	return nil
}

// valid checks that a token lives for maxLifetime at most, and that now is in its life. Clocks may differ by the skew.
func (t *token) valid(issued, expires, now time.Time, skew time.Duration) *Fault {
	switch life := expires.Sub(issued); {
	case life <= 0:
		return fault(ReasonLifetime, "the token's exp is not after its iat")
	case life > maxLifetime:
		return fault(ReasonLifetime, "the token is valid for %s: want exp at most %s after iat", shown(life), maxLifetime)
	}
	if over := now.Sub(expires.Add(skew)); over >= 0 {
		return fault(ReasonExpired, "the token expired %s ago by our clock, beyond the skew of %s",
			shown(now.Sub(expires)), skew)
	}
	if ahead := issued.Sub(now); ahead > skew {
		return fault(ReasonFuture, "the token's iat is %s ahead of our clock, beyond the skew of %s", shown(ahead), skew)
	}
	if nbf, there, ok := t.instant("nbf"); there && !ok {
		return fault(ReasonClaims, "the token's nbf is no time in seconds")
	} else if there && nbf.Sub(now) > skew {
		return fault(ReasonFuture, "the token's nbf is %s ahead of our clock, beyond the skew of %s", shown(nbf.Sub(now)),
			skew)
	}
	return nil
}

// maxInstant is the year 9999, in seconds.
const maxInstant = 253402300799

// audience is what aud names: a text, or a list of them (RFC 7519 section 4.1.3).
func (t *token) audience() []string {
	switch v := t.claims["aud"].(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil
			}
			all = append(all, s)
		}
		return slices.Compact(all)
	}
	return nil
}
