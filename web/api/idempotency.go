package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ssobridge/store"
)

const (
	maxKey    = 255
	maxAnswer = 64 << 10
	// patience is longer than any request lasts: past it the process that began one is taken for dead.
	patience = time.Minute
)

// keyOf is the request's Idempotency-Key; "" for none. Where an operation takes none, one is no fault: programs send it
// with whatever they do.
func keyOf(c *call, o *operation) (string, error) {
	values := c.r.Header.Values("Idempotency-Key")
	if !o.keyed || len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > maxKey ||
		strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p := bad(http.StatusUnprocessableEntity, "invalid", "the Idempotency-Key can't be used",
			"send one of 1 to 255 letters, digits and signs, such as a UUID")
		p.Field = "Idempotency-Key"
		return "", p
	}
	return key, nil
}

// digest hashes parts, each kept apart by its length.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum(nil)
}

// runKeyed works on a request once, whatever replica it comes to: the first has it, the others get its answer. A
// refusal is not kept, since nothing was done. Where the outcome is not known the key stays taken for a while. Whoever
// asks again after that finds what was done: the claim says so, in the transaction of the change itself.
func (a *API) runKeyed(w http.ResponseWriter, c *call, o *operation, key string, body []byte) (int, error) {
	hash := digest("idempotency", c.caller.Token.ID, key)
	place := "api answer:" + hex.EncodeToString(hash)
	request := digest(c.r.Method, c.r.URL.EscapedPath(), c.r.URL.Query().Encode(), string(body))
	claim, kept, err := a.o.Answers.Begin(c.ctx, hash, request, patience)
	switch {
	case errors.Is(err, store.ErrOtherRequest):
		p := bad(http.StatusUnprocessableEntity, "key_reused", "the Idempotency-Key was used for another request",
			"take another key for another request")
		p.Field = "Idempotency-Key"
		return 0, p
	case err != nil:
		return 0, err
	case kept != nil:
		return a.replay(w, c, kept, place)
	}
	c.key, c.made = hash, claim.Made
	if o.act != "" {
		c.ctx = store.Claiming(c.ctx, claim, o.act)
	}
	n, err := a.work(c, o, body)
	if err != nil {
		if p := problemOf(c.ctx, c.caller, err); p.Status < http.StatusInternalServerError {
			if drop := a.o.Answers.Drop(context.WithoutCancel(c.ctx), claim); drop != nil {
				return 0, errors.Join(err, drop)
			}
		}
		return 0, err
	}
	if err := a.keep(c, claim, n, place); err != nil {
		// It is done, and whoever asked must know. Asked again, it is found done.
		a.o.Logger.WarnContext(c.ctx, "the answer to a request with an Idempotency-Key was not kept", slog.Any("error", err))
	}
	n.write(w, c.r)
	return n.Status, nil
}

// keep stores an answer, sealed: it may hold names of people.
func (a *API) keep(c *call, claim store.APIClaim, n *answer, place string) error {
	if len(n.Body) > maxAnswer {
		return errors.New("it is too large")
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	sealed, err := a.o.Sealer.Seal(text, place)
	if err != nil {
		return err
	}
	return a.o.Answers.End(context.WithoutCancel(c.ctx), claim, store.APIAnswer{Status: n.Status, Sealed: sealed})
}

func (a *API) replay(w http.ResponseWriter, c *call, kept *store.APIAnswer, place string) (int, error) {
	text, err := a.o.Sealer.Open(kept.Sealed, place)
	if err != nil {
		return 0, fmt.Errorf("open a kept answer: %w", err)
	}
	var n answer
	if err := json.Unmarshal(text, &n); err != nil {
		return 0, fmt.Errorf("read a kept answer: %w", err)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	n.write(w, c.r)
	return n.Status, nil
}
