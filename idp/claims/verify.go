package claims

import (
	"context"
	"fmt"
	"time"
)

// Keyring finds the keys of sources. *Keys is one.
type Keyring interface {
	// Find is the key for a token of a source. A token without kid has kid "".
	Find(ctx context.Context, s *Source, kid string) (Key, *Fault)
	// Distrust has keys of a source count no more that were fetched until then: its tokens were revoked.
	Distrust(source string, until time.Time)
}

// Verifier checks tokens of a set of sources. It is safe for concurrent use.
type Verifier struct {
	Sources  []*Source
	Audience string // our public URL
	Keys     Keyring
	Now      func() time.Time
}

// Checked is a token that passed all checks but those that need the store: whether it was used, its source is disabled
// or its tokens were revoked.
type Checked struct {
	Source   *Source
	Person   Person
	Sub      string
	Used     []byte // names the token among those of its source that were used: a hash of its jti
	IssuedAt time.Time
	Expires  time.Time // until when, with the skew, it has to be remembered as used
	AuthTime time.Time // when the person proved themselves at the source; zero: not said
	Proofs   []string  // values of acr and amr that the source is trusted by, such as "amr=mfa"
	Request  string    // of ours that the token answers, which says nothing before it was opened; "": none
	KeyID    string
	Alg      string
	Session  string // names the person's session at an OpenID provider, by a hash; "": it did not
	// Names are those by which an OpenID provider can end the session that comes of it; of a logout token, those of the
	// sessions that end.
	Names [][]byte
}

// Made is when a launch or logout token was made at the earliest by our clock: its source's may be ahead by the skew. A
// revocation refuses what was made before it, so a token that is dated ahead of one does not get past it; for that long
// after it, no token is taken. What an OpenID provider answers is dated by our own clock.
func (s *Source) Made(issued time.Time) time.Time {
	if s.OpenID != nil {
		return issued
	}
	return issued.Add(-s.Skew)
}

// Made is Source.Made of the token.
func (c *Checked) Made() time.Time { return c.Source.Made(c.IssuedAt) }

// Step is one check of a token, for those who test one.
type Step struct {
	What  string
	Fault *Fault // nil: passed
	Note  string // what was found
}

// Verify checks a token of the type typ. The first check that fails ends it. steps, where it is not nil, is called with
// each check in turn.
func (v *Verifier) Verify(ctx context.Context, text, typ string, steps func(Step)) (*Checked, *Fault) {
	c, bad := v.verify(ctx, text, typ, func(what, note string) {
		if steps != nil {
			steps(Step{What: what, Note: note})
		}
	})
	if bad != nil && steps != nil {
		steps(Step{What: whatOf[bad.Reason], Fault: bad})
	}
	return c, bad
}

// whatOf says which check a reason is of.
var whatOf = map[string]string{
	ReasonForm: "form", ReasonHeader: "header", ReasonType: "type", ReasonIssuer: "issuer", ReasonKey: "key",
	ReasonKeysDown: "key", ReasonAlgorithm: "algorithm", ReasonSignature: "signature", ReasonAudience: "audience",
	ReasonClaims: "claims", ReasonLifetime: "lifetime", ReasonExpired: "time", ReasonFuture: "time",
	ReasonPerson: "person",
}

func (v *Verifier) verify(ctx context.Context, text, typ string, passed func(what, note string)) (*Checked, *Fault) {
	t, bad := split(text)
	if bad != nil {
		return nil, bad
	}
	passed("form", fmt.Sprintf("%d bytes, three parts, strict JSON", len(text)))
	passed("header", "no key or extension in it")
	if bad := t.ofType(typ); bad != nil {
		return nil, bad
	}
	passed("type", t.typ)
	// iss picks the keys and says nothing yet: whatever it claims, the signature decides.
	s, bad := v.sourceOf(&t)
	if bad != nil {
		return nil, bad
	}
	passed("issuer", "source "+s.Name)
	key, bad := v.Keys.Find(ctx, s, t.kid)
	if bad != nil {
		return nil, bad
	}
	passed("key", key.ID)
	// The key decides on the algorithm: by a token that did, RS256's public key could be used as HS256's secret, and
	// "none" would need no key at all.
	if t.alg != key.Alg {
		return nil, fault(ReasonAlgorithm, "the token's alg is not %s, which its key is for", key.Alg)
	}
	passed("algorithm", key.Alg)
	if !key.verify(t.signed, t.signature) {
		return nil, fault(ReasonSignature, "the key of source %s does not verify the signature", s.Name)
	}
	passed("signature", "verified")
	if aud := t.audience(); len(aud) != 1 || aud[0] != v.Audience {
		return nil, fault(ReasonAudience, "the token's aud is not %s and nothing else", v.Audience)
	}
	passed("audience", v.Audience)
	c := &Checked{Source: s, KeyID: key.ID, Alg: key.Alg}
	if bad := v.required(c, &t); bad != nil {
		return nil, bad
	}
	passed("claims", "sub, iss, iat, exp and jti are there")
	if bad := v.times(c, &t); bad != nil {
		return nil, bad
	}
	passed("time", fmt.Sprintf("valid for another %s", shown(c.Expires.Sub(v.Now()))))
	if c.Person, bad = s.person(&t, c.Sub); bad != nil {
		return nil, bad
	}
	passed("person", c.Person.summary())
	return c, nil
}

func (v *Verifier) sourceOf(t *token) (*Source, *Fault) {
	iss, there, ok := t.text("iss", maxText)
	if !there || !ok {
		return nil, fault(ReasonIssuer, "the token has no iss, or none that can be used")
	}
	for _, s := range v.Sources {
		// What an OpenID provider signs is taken where it was asked for, and never as a launch.
		if s.Issuer == iss && s.OpenID == nil {
			return s, nil
		}
	}
	return nil, fault(ReasonIssuer, "no source has the token's iss as its issuer")
}

// required reads the claims that each token has.
func (v *Verifier) required(c *Checked, t *token) *Fault {
	var ok bool
	if c.Sub, _, ok = t.text("sub", maxSub); !ok {
		return fault(ReasonClaims, "the token's sub is missing, or not a text of 1 to %d bytes", maxSub)
	}
	if bad := t.stamp(&c.Used, &c.IssuedAt, &c.Expires); bad != nil {
		return bad
	}
	var there bool
	if c.AuthTime, there, ok = t.instant("auth_time"); there && !ok {
		return fault(ReasonClaims, "the token's auth_time is no time in seconds")
	}
	var bad *Fault
	if c.Proofs, bad = c.Source.proofs(t); bad != nil {
		return bad
	}
	if c.Request, there, ok = t.text("request", maxRequest); there && !ok {
		return fault(ReasonClaims, "the token's request is not a text of 1 to %d bytes", maxRequest)
	}
	return nil
}

// times checks when a token is valid. A token is made at the click and used at once, so it lives for a minute at most:
// that bounds how long a stolen one is of use, and how long used ones are remembered.
func (v *Verifier) times(c *Checked, t *token) *Fault {
	now, skew := v.Now(), c.Source.Skew
	if bad := t.valid(c.IssuedAt, c.Expires, now, skew); bad != nil {
		return bad
	}
	if c.AuthTime.Sub(now) > skew {
		return fault(ReasonFuture, "the token's auth_time is ahead of our clock")
	}
	c.Expires = c.Expires.Add(skew)
	return nil
}

// shown is a duration in words that are short.
func shown(d time.Duration) string {
	if d >= time.Hour {
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}

// ReasonLive is why a token is not tested: it can still be used.
const ReasonLive = "launch_live"

// Test checks a token for somebody who looks for a fault: each check says what it found, and nothing is used up. A
// token that can still be used is refused unless live says otherwise, because whoever reads a test's input could use
// it first. The checks behind the time of one that is over are made as of its iat.
func (v *Verifier) Test(ctx context.Context, text string, live bool) (steps []Step, c *Checked, bad *Fault) {
	add := func(s Step) { steps = append(steps, s) }
	c, bad = v.Verify(ctx, text, TypeLaunch, add)
	switch {
	case bad == nil && !live:
		return nil, nil, fault(ReasonLive, "the token can still be used, for another %s", shown(c.Expires.Sub(v.Now())))
	case bad == nil || bad.Reason != ReasonExpired:
		return steps, c, bad
	}
	t, malformed := split(text)
	if malformed != nil {
		return steps, nil, malformed
	}
	made, _, ok := t.instant("iat")
	if !ok {
		return steps, nil, bad
	}
	then := *v
	then.Now = func() time.Time { return made }
	known := len(steps)
	c, later := then.Verify(ctx, text, TypeLaunch, func(s Step) {
		if known--; known < 0 {
			add(s)
		}
	})
	if later != nil {
		return steps, nil, later
	}
	return steps, c, bad
}
