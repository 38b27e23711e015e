package claims

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// signed checks the parts that ID tokens and logout tokens have in common, but for the signature: form, issuer, key and
// audience. Each has a reason of its own.
func (c *Client) signed(ctx context.Context, s *Source, raw string) (*token, Key, *Fault) {
	t, bad := splitIn(raw, maxIDToken)
	if bad != nil {
		return nil, Key{}, bad
	}
	if iss, _, _ := t.text("iss", maxText); iss != s.Issuer {
		return nil, Key{}, fault(ReasonIssuer, "the token's iss is not the issuer of source %s", s.Name)
	}
	key, bad := c.keys.Find(ctx, s, t.kid)
	if bad != nil {
		return nil, Key{}, bad
	}
	// The key decides, as for a launch: neither none nor an HMAC with a public key as its secret is ever tried.
	if t.alg != key.Alg || key.public == nil {
		return nil, Key{}, fault(ReasonAlgorithm, "the token's alg is not %s, which its key is for", key.Alg)
	}
	if aud := t.audience(); len(aud) != 1 || aud[0] != s.OpenID.ClientID {
		return nil, Key{}, fault(ReasonAudience, "the token's aud is not the client_id of source %s and nothing else", s.Name)
	}
	if _, there := t.claims["azp"]; there {
		if azp, _, _ := t.text("azp", maxClientID); azp != s.OpenID.ClientID {
			return nil, Key{}, fault(ReasonAudience, "the token's azp is not the client_id of source %s", s.Name)
		}
	}
	return &t, key, nil
}

func (c *Client) verifier(s *Source, k Key) *oidc.IDTokenVerifier {
	return oidc.NewVerifier(s.Issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{k.public}}, &oidc.Config{
		ClientID: s.OpenID.ClientID, SupportedSigningAlgs: []string{k.Alg},
		// A provider's clock may be ahead or behind; the exact times are checked here.
		Now: func() time.Time { return c.now().Add(-s.Skew) }})
}

// idToken checks an ID token (Core 1.0 section 3.1.3.7).
func (c *Client) idToken(ctx context.Context, s *Source, a Ask, raw, access string) (*token, *Checked, *Fault) {
	t, key, bad := c.signed(ctx, s, raw)
	if bad != nil {
		return nil, nil, bad
	}
	_, isLogout := t.claims["events"]
	if t.typ != "" && !strings.EqualFold(t.typ, typeJWT) || isLogout {
		return nil, nil, fault(ReasonType, "the token of source %s is no ID token", s.Name)
	}
	now := c.now()
	checked := &Checked{Source: s, KeyID: key.ID, Alg: key.Alg, IssuedAt: now, Expires: now}
	if bad := t.current(s, now, 0); bad != nil {
		return nil, nil, bad
	}
	id, err := c.verifier(s, key).Verify(ctx, raw)
	if err != nil { // its text has what the token says
		return nil, nil, fault(ReasonSignature, "the key of source %s does not verify the signature", s.Name)
	}
	if nonce, _, _ := t.text("nonce", maxText); nonce != a.Nonce || a.Nonce == "" {
		return nil, nil, fault(ReasonNonce, "the token's nonce is not the one that source %s was asked with", s.Name)
	}
	if _, there := t.claims["at_hash"]; there && id.VerifyAccessToken(access) != nil {
		return nil, nil, fault(ReasonTokenHash, "the token's at_hash is not that of the access token beside it")
	}
	for _, pin := range s.OpenID.Pins {
		if text, _, _ := t.text(pin.Claim, maxText); text != pin.Text {
			return nil, nil, fault(ReasonTenant, "the token's %s is not the one that source %s is bound to", pin.Claim, s.Name)
		}
	}
	sub, _, ok := t.text("sub", maxSub)
	if !ok {
		return nil, nil, fault(ReasonClaims, "the token's sub is missing, or not a text of 1 to %d bytes", maxSub)
	}
	if checked.Sub, _, ok = t.text(s.OpenID.Identity, maxSub); !ok {
		return nil, nil, fault(ReasonClaims, "the token's %s is missing, or not a text of 1 to %d bytes",
			s.OpenID.Identity, maxSub)
	}
	var there bool
	if checked.AuthTime, there, ok = t.instant("auth_time"); there && !ok {
		return nil, nil, fault(ReasonClaims, "the token's auth_time is no time in seconds")
	}
	if checked.AuthTime.Sub(now) > s.Skew {
		// It would answer each request for a new login that is made until then.
		return nil, nil, fault(ReasonFuture, "the token's auth_time is ahead of our clock")
	}
	if checked.Proofs, bad = s.proofs(t); bad != nil {
		return nil, nil, bad
	}
	// A logout token can name it by either, and then means all sessions of the person or this one (see LogoutToken).
	if sid, there, ok := t.text("sid", maxText); there && ok {
		checked.Session = sessionName(sid)
		checked.Names = [][]byte{nameOf(bySub, sub), nameOf(bySID, sid)}
	} else {
		checked.Names = [][]byte{nameOf(bySub, sub), nameOf(bySubAlone, sub)}
	}
	sum := sha256.Sum256([]byte(a.State))
	checked.Used = sum[:]
	return t, checked, nil
}

// current checks the times of a token that was just made. most bounds how old it is; 0 leaves that to its exp.
func (t *token) current(s *Source, now time.Time, most time.Duration) *Fault {
	made, _, ok := t.instant("iat")
	if !ok {
		return fault(ReasonClaims, "the token's iat is missing, or no time in seconds")
	}
	over, _, ok := t.instant("exp")
	if !ok {
		return fault(ReasonClaims, "the token's exp is missing, or no time in seconds")
	}
	if !now.Before(over.Add(s.Skew)) {
		return fault(ReasonExpired, "the token expired %s ago by our clock, beyond the skew of %s", shown(now.Sub(over)),
			s.Skew)
	}
	if most > 0 && now.Sub(made) > most+s.Skew {
		return fault(ReasonExpired, "the token is %s old: want %s at most", shown(now.Sub(made)), most)
	}
	begins, there, ok := t.instant("nbf")
	if there && !ok {
		return fault(ReasonClaims, "the token's nbf is no time in seconds")
	}
	if ahead := max(made.Sub(now), begins.Sub(now)); ahead > s.Skew {
		return fault(ReasonFuture, "the token is valid in %s by our clock, beyond the skew of %s", shown(ahead), s.Skew)
	}
	return nil
}

// sessionName is what is kept of a provider's sid: it need not be known, only compared.
func sessionName(sid string) string {
	sum := sha256.Sum256([]byte(sid))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// What a session of a provider's is named by. bySubAlone is for one whose sid is not known.
const (
	bySub      = "sub"
	bySubAlone = "sub without sid"
	bySID      = "sid"
)

// nameOf is the hash of such a name. No claim has a control character in it.
func nameOf(kind, text string) []byte {
	sum := sha256.Sum256([]byte(kind + "\x00" + text))
	return sum[:16]
}

// NameOfPerson is the name of all sessions of a person, where the source itself says when they end.
func NameOfPerson(id string) []byte { return nameOf("person", id) }

// backchannel is the event of a logout token.
const backchannel = "http://schemas.openid.net/event/backchannel-logout"

// LogoutToken checks a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6). Whether it was used before is
// for the caller. It names a person, a session of theirs, or both (section 2.4): Sub or Session is "" for what it does
// not name, and Names are those of the sessions that end. People are named by sub, whatever the source knows them by.
func (c *Client) LogoutToken(ctx context.Context, s *Source, raw string) (*Checked, *Fault) {
	t, key, bad := c.signed(ctx, s, raw)
	if bad != nil {
		return nil, bad
	}
	if t.typ != "" && !strings.EqualFold(t.typ, typeJWT) && !strings.EqualFold(t.typ, "logout+jwt") {
		return nil, fault(ReasonType, "the token of source %s is no logout token", s.Name)
	}
	events, _ := t.claims["events"].(map[string]any)
	if _, isObject := events[backchannel].(map[string]any); !isObject {
		return nil, fault(ReasonType, "the token of source %s has no event of a back-channel logout", s.Name)
	}
	if _, there := t.claims["nonce"]; there {
		return nil, fault(ReasonType, "the token of source %s has a nonce, so it is an ID token", s.Name)
	}
	now := c.now()
	if bad := t.current(s, now, logoutAge); bad != nil {
		return nil, bad
	}
	jti, _, ok := t.text("jti", maxText)
	if !ok {
		return nil, fault(ReasonClaims, "the token's jti is missing, or not a text of 1 to %d bytes", maxText)
	}
	sum := sha256.Sum256([]byte("logout\x00" + jti))
	made, _, _ := t.instant("iat")
	checked := &Checked{Source: s, KeyID: key.ID, Alg: key.Alg, IssuedAt: made, Used: sum[:],
		Expires: now.Add(logoutAge + 2*s.Skew)}
	sub, hasSub, ok := t.text("sub", maxSub)
	if hasSub && !ok {
		return nil, fault(ReasonClaims, "the token's sub is not a text of 1 to %d bytes", maxSub)
	}
	sid, hasSID, ok := t.text("sid", maxText)
	switch {
	case hasSID && !ok:
		return nil, fault(ReasonClaims, "the token's sid is not a text of 1 to %d bytes", maxText)
	case hasSID && hasSub:
		checked.Names = [][]byte{nameOf(bySID, sid), nameOf(bySubAlone, sub)}
	case hasSID:
		checked.Names = [][]byte{nameOf(bySID, sid)}
	case hasSub:
		checked.Names = [][]byte{nameOf(bySub, sub)}
	default:
		return nil, fault(ReasonClaims, "the token has neither a sub nor a sid")
	}
	if checked.Sub = sub; hasSID {
		checked.Session = sessionName(sid)
	}
	if _, err := c.verifier(s, key).VerifyLogout(ctx, raw); err != nil { // its text has what the token says
		return nil, fault(ReasonSignature, "the key of source %s does not verify the signature", s.Name)
	}
	return checked, nil
}
