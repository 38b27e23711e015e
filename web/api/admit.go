package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// admit finds out who calls, and whether the token may.
func (a *API) admit(c *call, o *operation) error {
	// The scheme's letter case says nothing (RFC 9110 11.1).
	scheme, text, ok := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(c.r.Header.Values("Authorization")) != 1 {
		return bad(http.StatusUnauthorized, "no_token", "the request has no token", "send Authorization: Bearer TOKEN")
	}
	var err error
	c.caller, err = a.o.Tokens.Prove(c.ctx, text, store.OriginOf(c.ctx).Address)
	switch {
	case errors.Is(err, admin.ErrNoToken):
		return bad(http.StatusUnauthorized, "unknown_token", "the token is unknown, has expired or was revoked",
			"ask an administrator for another one")
	case errors.Is(err, admin.ErrTokenNetwork):
		a.fromElsewhere(c.ctx, c.caller.Token)
		return bad(http.StatusForbidden, "network", "the token may not be used from this network",
			"call from a network that the token names")
	case err != nil:
		return err
	}
	idp.FootprintOf(c.ctx).Known() // no stranger: its lines in the log are not summed
	if !a.rates.take(c.caller.Token.ID, a.o.Now(), c.header) {
		p := bad(http.StatusTooManyRequests, "rate", "the token has made too many requests within a minute",
			"wait as long as Retry-After says")
		p.after = c.header.Get("Retry-After")
		return p
	}
	switch {
	case !c.caller.May(o.scope):
		return bad(http.StatusForbidden, "scope", "the token lacks the scope "+o.scope, "ask an administrator for a token "+
			"that has it")
	case len(c.caller.Token.Accounts) > 0 && !o.confined:
		return bad(http.StatusForbidden, "confined", "this concerns all client accounts, and the token is confined to some",
			"ask an administrator for a token of all client accounts")
	}
	return nil
}

// What a token may ask for on one replica.
const (
	ratePerMinute = 6000
	rateWindow    = time.Minute
)

// rates count the requests of tokens that were proved, so that there are no more of them than tokens. They are of one
// replica, and forgotten at its end: they keep one program from slowing the others, and guard nothing.
type rates struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	begins time.Time
	used   int
}

// take counts a request, and says in the answer's headers what is left (draft-ietf-httpapi-ratelimit-headers).
func (r *rates) take(token string, now time.Time, h http.Header) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[token]
	if b == nil || now.Sub(b.begins) >= rateWindow || now.Before(b.begins) {
		if len(r.buckets) > 2*store.MaxAPITokens {
			clear(r.buckets) // of tokens that are gone
		}
		b = &bucket{begins: now}
		r.buckets[token] = b
	}
	left := ratePerMinute - b.used
	if left > 0 {
		b.used++
		left--
	} else {
		left = -1
	}
	seconds := int(b.begins.Add(rateWindow).Sub(now)/time.Second) + 1
	h.Set("RateLimit-Policy", `"token";q=`+strconv.Itoa(ratePerMinute)+`;w=`+strconv.Itoa(int(rateWindow/time.Second)))
	h.Set("RateLimit", `"token";r=`+strconv.Itoa(max(left, 0))+`;t=`+strconv.Itoa(seconds))
	if left < 0 {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	return left >= 0
}
