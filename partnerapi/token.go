package partnerapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ssobridge/internal/plaintext"
)

const (
	maxTokenAnswer = 64 << 10
	maxToken       = 16 << 10 // it travels in a header
	maxTokenLife   = 24 * time.Hour
	// guessedTokenLife is for an answer without expires_in (RFC 6749 5.1 lets a server leave it
	// out). A guess, and a short one: too short costs a request, too long a refused call.
	guessedTokenLife = 5 * time.Minute
	// A token server that asks for a slower pace is asked again after a pause that grows, from a second to this.
	longestTokenPause = 15 * time.Second
	// Whoever waits for a slot of the token server looks again at least so often.
	tokenLook = 1100 * time.Millisecond
)

// TokenOptions are for NewTokenSource.
type TokenOptions struct {
	URL          string            // of the token server
	ClientID     string            // partner_client_id
	ClientSecret string            // partner_secret
	Timeout      time.Duration     // of one token request; default 10 s
	RenewBefore  time.Duration     // renew this long before the token's end; default 5 minutes
	MinInterval  time.Duration     // between token requests; default 1 s
	Slots        TokenSlots        // spaces the requests of all processes; nil: this one is alone
	Patience     time.Duration     // how long a 429 of the token server is waited out; default 1 minute
	Transport    http.RoundTripper // default: one of the package's own
	Now          func() time.Time  // default time.Now
	Logger       *slog.Logger      // default: none
}

// String leaves the secret out.
func (o TokenOptions) String() string {
	return fmt.Sprintf("token server %s, client id %s, secret ***", o.URL, o.ClientID)
}

// GoString leaves the secret out.
func (o TokenOptions) GoString() string { return o.String() }

// LogValue leaves the secret out.
func (o TokenOptions) LogValue() slog.Value { return slog.StringValue(o.String()) }

// TokenSource holds the one token that all calls of this process share. It is renewed before
// its end, once for all who need it; the token server allows about one request a second.
// Its methods may be called by several goroutines.
type TokenSource struct {
	o      TokenOptions
	secret atomic.Pointer[string] // partner_secret
	client *http.Client

	mu      sync.Mutex
	token   string
	renewAt time.Time
	endsAt  time.Time
	running *exchange // nil while no request is under way
	askedAt time.Time // of the last request
	failed  error     // its outcome, told to everybody for MinInterval

	theirs, ours time.Time // Date header of the last answer, and our clock then
}

// exchange is one token request. token and err may be read after done is closed.
type exchange struct {
	done  chan struct{}
	token string
	err   error
}

// NewTokenSource checks the options. It asks for no token yet.
func NewTokenSource(o TokenOptions) (*TokenSource, error) {
	if _, err := parseServerURL(o.URL); err != nil {
		return nil, fmt.Errorf("token URL: %w", err)
	}
	switch {
	case o.ClientID == "":
		return nil, errors.New("client id is empty")
	case strings.Contains(o.ClientID, ":"):
		// RFC 7617 2: the first colon ends the id.
		return nil, errors.New("client id has a colon in it, which HTTP authentication can't carry")
	case o.ClientSecret == "":
		return nil, errors.New("client secret is empty")
	case o.Timeout < 0 || o.RenewBefore < 0 || o.MinInterval < 0 || o.Patience < 0:
		return nil, errors.New("token times must not be negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.RenewBefore == 0 {
		o.RenewBefore = 5 * time.Minute
	}
	if o.MinInterval == 0 {
		o.MinInterval = time.Second
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &TokenSource{o: o, client: newHTTPClient(o.Transport)}
	s.SetSecret(o.ClientSecret)
	return s, nil
}

// SetSecret changes the partner secret, for the requests from now on. A token that is good stays in use.
func (s *TokenSource) SetSecret(secret string) { s.secret.Store(&secret) }

// authorization is the header of a request. Constant Contact documents base64(id:secret), plainly. The oauth2 library
// follows RFC 6749 2.3.1 and form-encodes both first, which it can't be told to leave; a secret with + / = or % would
// arrive changed. So the exchange is made by hand.
func (s *TokenSource) authorization() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.o.ClientID+":"+*s.secret.Load()))
}

// Token returns the shared token. While it is good nobody waits: a renewal runs beside. Without
// one, all callers wait for the same request, each as long as its ctx allows. A failed request is told
// to all who ask within MinInterval, so a token server that is down is not asked by each of them.
// The error is an *Error of kind Unauthorized (it refuses our credentials), Throttled (it still asks for a slower pace
// after Patience) or NotSent.
func (s *TokenSource) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	now := s.o.Now()
	asked := !s.askedAt.IsZero() && now.Sub(s.askedAt) < s.o.MinInterval
	if s.token != "" && now.Before(s.endsAt) {
		token := s.token
		if !now.Before(s.renewAt) && s.running == nil && !asked {
			s.start(now)
		}
		s.mu.Unlock()
		return token, nil
	}
	if s.running == nil {
		if s.failed != nil && asked {
			err := s.failed
			s.mu.Unlock()
			return "", err
		}
		s.start(now)
	}
	x := s.running
	s.mu.Unlock()

	select {
	case <-x.done:
		return x.token, x.err
	case <-ctx.Done():
		return "", &Error{Kind: NotSent, Op: "wait for a token", Err: ctx.Err()}
	}
}

// Forget drops this token if it is still the shared one. Callers do so when it is refused.
func (s *TokenSource) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// ServerTime tells the Date header of the last answer of the token server and what our clock said
// then; ok is false before the first answer. The service provider checks our Responses by its
// own clock (SP-08), so a difference of more than a few seconds is worth a warning.
func (s *TokenSource) ServerTime() (theirs, ours time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.theirs, s.ours, !s.theirs.IsZero()
}

// start begins a request; s.mu is held and none is running. The request belongs to all who wait,
// so it has no caller's context: it ends by its own time limit.
func (s *TokenSource) start(now time.Time) {
	x := &exchange{done: make(chan struct{})}
	s.running = x
	var wait time.Duration
	if !s.askedAt.IsZero() {
		wait = max(0, min(s.o.MinInterval, s.askedAt.Add(s.o.MinInterval).Sub(now)))
	}
	go func() {
		if wait > 0 {
			time.Sleep(wait)
		}
		asked, token, life, err := s.exchange()
		if err != nil {
			s.o.Logger.Warn("token request failed", "error", err, "hint", hintOf(err))
		}

		s.mu.Lock()
		defer s.mu.Unlock()
		s.running, s.failed = nil, err
		x.token, x.err = token, err
		if err == nil {
			s.token = token
			// Counted from before the request: the token is rather renewed early than used late.
			s.endsAt = asked.Add(life)
			s.renewAt = s.endsAt.Add(-min(s.o.RenewBefore, life/2))
		} else {
			// While the old token is good there is time: a server that is down is asked again after a
			// tenth of what is left, not every second.
			now := s.o.Now()
			s.renewAt = now.Add(max(s.o.MinInterval, s.endsAt.Sub(now)/10))
		}
		close(x.done)
	}()
}

// exchange asks for a token, and again where the token server asks for a slower pace. asked is when it did so last.
func (s *TokenSource) exchange() (asked time.Time, token string, life time.Duration, err error) {
	began := time.Now() // by the monotonic clock
	for pace := time.Second; ; pace = min(2*pace, longestTokenPause) {
		if err = s.slot(); err != nil {
			return s.o.Now(), "", 0, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
		asked = s.o.Now()
		s.mu.Lock()
		s.askedAt = asked
		s.mu.Unlock()
		token, life, err = s.ask(ctx)
		cancel()
		s.answered()
		var e *Error
		if !errors.As(err, &e) || e.Kind != Throttled {
			return asked, token, life, err
		}
		e.Wait = max(e.Wait, pace)
		if s.o.Slots != nil {
			ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
			if tellErr := s.o.Slots.TokenThrottled(ctx, e.Wait); tellErr != nil {
				s.o.Logger.Warn("other processes could not be asked to wait for the token server", "error", tellErr)
			}
			cancel()
		}
		if time.Since(began)+e.Wait > s.o.Patience {
			return asked, "", 0, err
		}
		s.o.Logger.Warn("the token server asks for a slower pace, asking again", "status", e.Status, "again_in", e.Wait)
		pause(context.Background(), e.Wait)
	}
}

// slot waits for the slot of a token request, until somebody's patience ends: Constant Contact's limit holds for all
// processes together. The slot is asked for again after each wait, so that whoever is woken late takes one that is free
// then, and none comes too close behind it.
func (s *TokenSource) slot() error {
	if s.o.Slots == nil {
		return nil
	}
	const op = "wait for a slot of the token server"
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Patience)
	defer cancel()
	for {
		wait, err := s.o.Slots.ReserveToken(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			return &Error{Kind: NotSent, Op: op, Err: fmt.Errorf("reserve it: %w", err)}
		case err == nil && wait <= 0:
			return nil
		case ctx.Err() != nil || wait > s.o.Patience:
			return &Error{Kind: Throttled, Op: op, Wait: wait, Err: errors.New("others wait for the token server as well")}
		}
		pause(ctx, min(wait, tokenLook))
	}
}

// answered opens the slot for the next request of all processes.
func (s *TokenSource) answered() {
	if s.o.Slots == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
	defer cancel()
	if err := s.o.Slots.TokenAnswered(ctx); err != nil {
		s.o.Logger.Warn("the slot of a token request could not be given back: the next one waits some seconds", "error", err)
	}
}

// ask makes one token request.
func (s *TokenSource) ask(ctx context.Context) (token string, life time.Duration, err error) {
	fail := func(kind Kind, status int, b errorBody, cause error) (string, time.Duration, error) {
		return "", 0, &Error{Kind: kind, Op: "get a token from " + s.o.URL, Status: status, Key: b.key,
			Message: b.message, Err: cause}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL,
		strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return fail(NotSent, 0, errorBody{}, err)
	}
	req.Header.Set("Authorization", s.authorization())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")

	resp, err := s.client.Do(req)
	if err != nil {
		return fail(NotSent, 0, errorBody{}, err)
	}
	defer resp.Body.Close()
	s.noteDate(resp.Header.Get("Date"))
	// Cut at the limit rather than refused: what is cut is no JSON any more.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if resp.StatusCode != http.StatusOK {
		b := parseErrorBody(body)
		b.key, b.message = s.redact(b.key), s.redact(b.message)
		switch status := resp.StatusCode; {
		case status == http.StatusTooManyRequests:
			_, _, err := fail(Throttled, status, b, nil)
			err.(*Error).Wait = retryAfter(resp.Header, s.o.Now()) //nolint:errorlint // made in the line above
			return "", 0, err
		case status == http.StatusUnauthorized || tokenVerdict(status) && b.form != formForeign:
			return fail(Unauthorized, status, b, nil)
		case status >= 300 && status < 400:
			return fail(NotSent, status, b, errors.New("a redirect, which is not followed; is the token URL right, or does a "+
				"proxy stand in the way?"))
		}
		return fail(NotSent, resp.StatusCode, b, nil)
	}
	if err != nil {
		return fail(NotSent, resp.StatusCode, errorBody{}, fmt.Errorf("read the answer: %w", err))
	}

	var answer struct {
		AccessToken string `json:"access_token"`
		TokenType   text   `json:"token_type"`
		ExpiresIn   number `json:"expires_in"`
	}
	// The cause is not kept: an error of the JSON decoder can quote what it read.
	if json.Unmarshal(tidyJSON(body), &answer) != nil {
		return fail(NotSent, resp.StatusCode, errorBody{}, errors.New("the answer is not the JSON of a token"))
	}
	if err := checkToken(answer.AccessToken, string(answer.TokenType)); err != nil {
		return fail(NotSent, resp.StatusCode, errorBody{}, err)
	}
	switch seconds := answer.ExpiresIn.value; {
	case seconds <= 0:
		life = guessedTokenLife
	case seconds >= maxTokenLife.Seconds():
		life = maxTokenLife
	default:
		life = time.Duration(seconds * float64(time.Second))
	}
	return answer.AccessToken, life, nil
}

// tokenVerdict are the statuses beside 401 by which the token server refuses credentials, or what goes with them.
// Gateways have them as well.
func tokenVerdict(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// checkToken looks whether a token can stand in an Authorization header (RFC 6750 2.1).
func checkToken(token, kind string) error {
	switch {
	case token == "":
		return errors.New("the answer has no access_token")
	case len(token) > maxToken:
		return fmt.Errorf("the access_token has more than %d bytes", maxToken)
	case kind != "" && !strings.EqualFold(kind, "bearer"):
		return fmt.Errorf("the token_type is %q, want Bearer", plaintext.Line(kind, 40))
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return errors.New("the access_token has characters that no header can carry")
		}
	}
	return nil
}

// noteDate keeps the server's time.
func (s *TokenSource) noteDate(header string) {
	theirs, err := http.ParseTime(header)
	if err != nil {
		return // no Date, no statement about clocks
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.theirs, s.ours = theirs, s.o.Now()
}

// redact takes our secrets out of what a server says, should it echo them.
func (s *TokenSource) redact(text string) string {
	return strings.NewReplacer(
		strings.TrimPrefix(s.authorization(), "Basic "), "***",
		*s.secret.Load(), "***",
	).Replace(text)
}
