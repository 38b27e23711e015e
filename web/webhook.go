package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/labstack/echo/v4"
)

// Webhook is where Constant Contact tells that a client account has changed.
type Webhook struct {
	// Secret is the last part of the path: 32 to 128 hexadecimal digits. Required.
	Secret string
	// APIKeys are those that a genuine body may name. Required.
	APIKeys []string
	// Hint takes note that something happened to an account, and calls nobody. known is
	// false for an account that is none of ours. Required.
	Hint func(ctx context.Context, account, event string) (known bool, err error)
}

const (
	webhookRoute = "/webhooks/constant-contact/:secret"
	maxHook      = 16 << 10
	maxHookURL   = 2000
	hookTimeout  = time.Second // of the one thing that is stored
)

// Reasons of refused webhooks. Programs read them, and the log.
const (
	badHook  = "bad_webhook"
	wrongKey = "wrong_api_key"
)

var (
	hookSecret = regexp.MustCompile(`^[0-9a-fA-F]{32,128}$`)
	// hookPath finds the account in the address that a body names: …/partner/accounts/{id}/plan is
	// published. What stands behind the id for the other topics is not.
	hookPath = regexp.MustCompile(`/partner/accounts/([A-Za-z0-9]{1,64})(?:/[A-Za-z0-9_/-]*)?$`)
	// hookEvent is wider than the one published word, tier.increase: the others are not known.
	hookEvent = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// hook is a Webhook made ready: its secrets as hashes.
type hook struct {
	secret [sha256.Size]byte
	keys   [][sha256.Size]byte
	hint   func(context.Context, string, string) (bool, error)
}

func newHook(w *Webhook) (*hook, error) {
	if w == nil {
		return nil, nil
	}
	var faults []error
	if !hookSecret.MatchString(w.Secret) {
		faults = append(faults, errors.New("web: webhook secret: want 32 to 128 hexadecimal digits"))
	}
	h := &hook{secret: sha256.Sum256([]byte(w.Secret)), hint: w.Hint}
	for _, key := range w.APIKeys {
		if key == "" {
			faults = append(faults, errors.New("web: webhook: an API key is empty"))
		}
		h.keys = append(h.keys, sha256.Sum256([]byte(key)))
	}
	if len(h.keys) == 0 || h.hint == nil {
		faults = append(faults, errors.New("web: webhook: want API keys and somebody who takes hints"))
	}
	return h, errors.Join(faults...)
}

// equal compares in a time that tells nothing of the secret. ConstantTimeCompare returns at once
// where lengths differ; hashes have one length, and what an attacker learns of a hash by its
// first bytes leads to no text.
func equal(text string, want [sha256.Size]byte) bool {
	sum := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1
}

// genuine compares with every key, whether or not one before has fitted.
func (h *hook) genuine(key string) bool {
	fits := 0
	sum := sha256.Sum256([]byte(key))
	for _, want := range h.keys {
		fits |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return fits == 1
}

// hookBody is what Constant Contact posts.
type hookBody struct {
	URL    string `json:"url"`
	APIKey string `json:"api_key"`
	Event  string `json:"event_type"`
}

// webhook takes a hint. Nothing of the body is believed: it names an account, whose state is then
// read through the API. The address in it is never fetched, and its host says nothing.
//
// A post without a success answer comes again every minute for an hour. So an account that is none
// of ours is a success too: it would be none of ours the next minute. Only where the store does not
// take the hint is it to come again.
func (s *Server) webhook(c echo.Context) error {
	// A wrong secret is any unknown path, before anything is read.
	if !equal(c.Param("secret"), s.hook.secret) {
		return refuse(http.StatusNotFound, notFound, errors.New("webhook with a wrong secret"))
	}
	r, v := c.Request(), visitOf(c)
	raw, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxHook))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, badHook, err)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, badHook, errors.New("webhook's body can't be read"))
	}
	body, err := parseHook(raw)
	if err != nil {
		return refuse(http.StatusBadRequest, badHook, err)
	}
	if !s.hook.genuine(body.APIKey) {
		return refuse(http.StatusForbidden, wrongKey, errors.New("webhook with another API key"))
	}
	account, err := hookAccount(body)
	if err != nil {
		return refuse(http.StatusBadRequest, badHook, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), hookTimeout)
	defer cancel()
	known, err := s.hook.hint(ctx, account, body.Event)
	if err != nil {
		return refuse(http.StatusServiceUnavailable, internal, fmt.Errorf("take a webhook's hint: %w", err))
	}
	// Both have passed a pattern, so that they are safe to log.
	s.log.InfoContext(ctx, "webhook", "ref", v.ref, "event", body.Event, "account", account, "known", known)
	return c.NoContent(http.StatusNoContent)
}

// parseHook reads one JSON object. The error quotes nothing: the key stands in it.
func parseHook(raw []byte) (body hookBody, err error) {
	in := json.NewDecoder(bytes.NewReader(raw))
	if err := in.Decode(&body); err != nil {
		return hookBody{}, errors.New("webhook's body is not the JSON object that is expected")
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return hookBody{}, errors.New("webhook's body has more than one JSON value")
	}
	return body, nil
}

// hookAccount finds the account that a body names.
func hookAccount(body hookBody) (string, error) {
	if !hookEvent.MatchString(body.Event) {
		return "", errors.New("webhook's event_type has a form that is not known")
	}
	u, err := url.Parse(body.URL)
	if err != nil || len(body.URL) > maxHookURL {
		return "", errors.New("webhook's url is none")
	}
	found := hookPath.FindStringSubmatch(u.EscapedPath())
	if found == nil {
		return "", errors.New("webhook's url names no client account")
	}
	return found[1], nil
}
