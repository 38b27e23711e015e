package partnerapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	maxAnswer      = 1 << 20
	maxErrorAnswer = 64 << 10
	throttledWait  = time.Second // no Retry-After is sent; the limit is one of a second
	// at most, so that callers who were throttled together do not come again together
	throttledMore = 250 * time.Millisecond
	leastBusyWait = 20 * time.Millisecond // a budget that names no time must not be asked without pause
	// after a wait of the budget's own, which is exact
	leastDepartWait = time.Millisecond
)

// Options are for New.
type Options struct {
	BaseURL   string // with the version in it: https://api.cc.email/v3
	APIKey    string // of the registered application
	Tokens    *TokenSource
	Budget    Budget
	PerSecond float64           // calls a second that the budget gives at most; 0: it is not looked at again
	Timeout   time.Duration     // of one call, counted after its slot; default 20 s
	Transport http.RoundTripper // default: one of the package's own
	Now       func() time.Time  // default time.Now
	Random    func() float64    // from 0 to below 1, for waits; default math/rand/v2
	// Failed notes that a call failed in a way that speaks against Constant Contact; why is the Kind of its error. Default
	// nil: nobody wants to know.
	Failed func(ctx context.Context, why string) error
	// Span begins a span within the one of ctx: a call, its wait for the budget, its request. end takes the operation and
	// the status or kind of error, never an id or a value; it is nil where nothing is recorded. Default nil: no spans.
	Span   func(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error))
	Logger *slog.Logger // default: none
}

// String leaves the API key out.
func (o Options) String() string { return fmt.Sprintf("partner API %s, key ***", o.BaseURL) }

// GoString leaves the API key out.
func (o Options) GoString() string { return o.String() }

// LogValue leaves the API key out.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

// Client makes calls to the partner endpoints. Its methods may be called by several goroutines,
// and every error of theirs is an *Error.
type Client struct {
	o    Options
	key  atomic.Pointer[string] // api_key
	base *url.URL
	http *http.Client
	gate *gate
	// leaving is held by the one caller whose call is the next to go out
	leaving chan struct{}
}

// New checks the options. It makes no call.
func New(o Options) (*Client, error) {
	base, err := parseServerURL(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("partner API URL: %w", err)
	}
	switch {
	case o.APIKey == "":
		return nil, errors.New("API key is empty")
	case o.Tokens == nil:
		return nil, errors.New("no token source")
	case o.Budget == nil:
		return nil, errors.New("no budget")
	case o.Timeout < 0:
		return nil, errors.New("call timeout must not be negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{o: o, base: base, http: newHTTPClient(o.Transport), gate: newGate(o.PerSecond),
		leaving: make(chan struct{}, 1)}
	c.SetAPIKey(o.APIKey)
	return c, nil
}

// SetAPIKey changes the API key, for the calls from now on.
func (c *Client) SetAPIKey(key string) { c.key.Store(&key) }

// answer is what came back.
type answer struct {
	status     int
	retryAfter time.Duration // that it asks for; 0: none
	body       []byte
	err        error // of reading the body
}

// do makes a call, and says what it came to.
func (c *Client) do(ctx context.Context, k call) ([]byte, error) {
	ctx, end := c.span(ctx, spanCall)
	body, err := c.sendAtMostTwice(ctx, k)
	if why, failed := failing(ctx, err); failed && c.o.Failed != nil {
		c.tell(ctx, func(ctx context.Context) error { return c.o.Failed(ctx, string(why)) })
	}
	if end != nil {
		end(k.operation(), string(KindOf(err)), err)
	}
	return body, err
}

// The names of spans.
const (
	spanCall    = "partner.call"    // with all that it waits for
	spanQueue   = "partner.queue"   // the wait for the budget, and for the calls before it
	spanRequest = "partner.request" // what Constant Contact takes
)

func (c *Client) span(ctx context.Context, name string) (context.Context, func(of, result string, err error)) {
	if c.o.Span == nil {
		return ctx, nil
	}
	return c.o.Span(ctx, name)
}

// sendAtMostTwice makes a call: token, slot, request. After a 401 the token is renewed and the request, which
// was not acted upon, is sent once more with a slot of its own.
func (c *Client) sendAtMostTwice(ctx context.Context, k call) ([]byte, error) {
	for again := false; ; again = true {
		a, token, err := c.attempt(ctx, k)
		if err != nil {
			return nil, err
		}
		switch {
		case a.status == k.want && a.err != nil:
			return nil, &Error{Kind: Unknown, Op: k.op, Status: a.status, Err: fmt.Errorf("read the answer: %w", a.err)}
		case a.status == k.want:
			return a.body, nil
		case a.status == http.StatusUnauthorized && !again:
			c.o.Tokens.Forget(token)
			continue
		}
		return nil, c.refused(ctx, k, a)
	}
}

// attempt sends the request once. An error means that there is no answer.
func (c *Client) attempt(ctx context.Context, k call) (answer, string, error) {
	// The token comes first, so that no slot is wasted while the token server is down; and again
	// after the slot, which may have been a while away.
	if _, err := c.token(ctx, k); err != nil {
		return answer{}, "", err
	}
	number, token, err := c.queue(ctx, k)
	if err != nil {
		return answer{}, "", err
	}
	sending, end := c.span(ctx, spanRequest)
	a, err := c.send(sending, k, token)
	if end != nil {
		end(k.operation(), statusOf(a, err), err)
	}
	// A call that we cut short ourselves may still be on its way: until its time is over nobody knows.
	if err == nil || KindOf(err) == NotSent || ctx.Err() == nil {
		works := err == nil && a.status != http.StatusUnauthorized &&
			(a.status == k.want || k.verdict(a.status, parseErrorBody(a.body).form))
		c.tell(ctx, func(ctx context.Context) error { return c.o.Budget.Arrived(ctx, number, works) })
	}
	return a, token, err
}

// queue waits for a slot, and until the call may go out with the token of that moment.
func (c *Client) queue(ctx context.Context, k call) (number int64, token string, err error) {
	ctx, end := c.span(ctx, spanQueue)
	if end != nil {
		defer func() { end(k.operation(), "", err) }()
	}
	if err := c.slot(ctx, k); err != nil {
		return 0, "", err
	}
	if token, err = c.token(ctx, k); err == nil {
		number, err = c.depart(ctx, k)
	}
	if err != nil {
		c.giveBack(ctx, k, 0)
	}
	return number, token, err
}

// statusOf is the status of an answer, or the kind of the error where there is none.
func statusOf(a answer, err error) string {
	if err != nil {
		return string(KindOf(err))
	}
	return strconv.Itoa(a.status)
}

// depart waits until the call may go out: those before it have arrived long enough ago. One caller of this process at a
// time looks, and the others come in their order.
func (c *Client) depart(ctx context.Context, k call) (number int64, err error) {
	fail := func(err error) (int64, error) {
		return 0, &Error{Kind: NotSent, Op: k.op, Err: fmt.Errorf("wait for the other calls: %w", err)}
	}
	c.gate.pass(ctx)
	select {
	case c.leaving <- struct{}{}:
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	defer func() { <-c.leaving }()
	for ctx.Err() == nil {
		began := time.Now() // by the monotonic clock
		number, wait, err := c.o.Budget.Depart(ctx, c.o.Timeout)
		switch {
		case err != nil:
			return fail(err)
		case number == 0:
			pause(ctx, max(wait, leastDepartWait))
		case time.Since(began) < DepartGrace && ctx.Err() == nil:
			return number, nil
		default:
			// This machine stood still, or nobody waits any more: what was said of the call's time holds no more.
			c.tell(ctx, func(ctx context.Context) error { return c.o.Budget.Arrived(ctx, number, false) })
		}
	}
	return fail(ctx.Err())
}

// giveBack takes back a slot that was not used, with left of its wait to come. It counts no call that was not sent.
func (c *Client) giveBack(ctx context.Context, k call, left time.Duration) {
	c.tell(ctx, func(ctx context.Context) error { return c.o.Budget.GiveBack(ctx, k.class, left) })
}

func (c *Client) token(ctx context.Context, k call) (string, error) {
	token, err := c.o.Tokens.Token(ctx)
	if err != nil {
		e := &Error{Kind: KindOf(err), Op: k.op, Err: err}
		if of, ok := errors.AsType[*Error](err); ok {
			e.Wait = of.Wait
		}
		return "", e
	}
	return token, nil
}

// slot takes a slot of the budget and waits until it.
func (c *Client) slot(ctx context.Context, k call) error {
	for {
		wait, outcome, err := c.o.Budget.Reserve(ctx, k.class)
		switch {
		case err != nil:
			return &Error{Kind: NotSent, Op: k.op, Err: fmt.Errorf("reserve a slot: %w", err)}
		case outcome == SlotNone:
			return &Error{Kind: QuotaExceeded, Op: k.op, Wait: wait,
				Err: errors.New("the day's calls are used up by our own count")}
		case outcome == SlotBusy:
			wait = max(wait, leastBusyWait)
		case outcome != SlotTaken:
			return &Error{Kind: NotSent, Op: k.op, Err: fmt.Errorf("reserve a slot: unknown outcome %.40q", outcome)}
		}
		until := time.Now().Add(wait) // by the monotonic clock
		pause(ctx, wait)
		if err := ctx.Err(); err != nil {
			if outcome == SlotTaken {
				c.giveBack(ctx, k, time.Until(until))
			}
			return &Error{Kind: NotSent, Op: k.op, Err: fmt.Errorf("wait for the slot: %w", err)}
		}
		if outcome == SlotTaken {
			return nil
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// send writes the request and reads the answer.
func (c *Client) send(ctx context.Context, k call, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	// Without a connection nothing can have arrived: name not found, dial refused, TLS handshake
	// failed. With one, the writing goroutine of the transport may be at work even while the call
	// is given up, so from here on the outcome is open.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})

	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, k.url.String(), body)
	if err != nil {
		return answer{}, &Error{Kind: NotSent, Op: k.op, Err: err}
	}
	// The transport sends a request again by itself on a connection that broke if it can rewind the
	// body. A creation must not be sent behind our back: Constant Contact has no idempotency key.
	req.GetBody = nil
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("x-api-key", *c.key.Load())
	req.Header.Set("Accept", "application/json")
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	start := c.o.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		kind := NotSent
		if connected.Load() {
			kind = Unknown
		}
		c.o.Logger.Warn("partner call without answer", "op", k.op, "class", k.class, "kind", string(kind),
			"duration", c.o.Now().Sub(start), "error", err, "hint", hintOf(err))
		return answer{}, &Error{Kind: kind, Op: k.op, Err: err}
	}
	defer resp.Body.Close()
	limit := int64(maxErrorAnswer)
	if resp.StatusCode == k.want {
		limit = maxAnswer
	}
	a := answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header, c.o.Now())}
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(a.body)) > limit {
		a.body, a.err = a.body[:limit], fmt.Errorf("longer than %d bytes", limit)
	}
	c.o.Logger.Debug("partner call", "op", k.op, "class", k.class, "status", a.status, "duration", c.o.Now().Sub(start))
	return a, nil
}

// refused turns an answer other than the wanted one into an error, and tells the budget.
func (c *Client) refused(ctx context.Context, k call, a answer) error {
	b := parseErrorBody(a.body, k.secrets...)
	e := &Error{Op: k.op, Status: a.status, Key: b.key, Message: b.message}
	switch {
	case a.status == http.StatusTooManyRequests && b.quota:
		e.Kind, e.Wait = QuotaExceeded, untilMidnight(c.o.Now())
		c.tell(ctx, c.o.Budget.Exhausted)
	case a.status == http.StatusTooManyRequests:
		// Whoever says it, a gateway too: it was not acted upon, and a slower pace is what is asked for.
		e.Kind, e.Wait = Throttled, throttledWait+time.Duration(c.o.Random()*float64(throttledMore))
		e.Wait = max(e.Wait, a.retryAfter)
		c.tell(ctx, c.o.Budget.Throttled)
	case !k.verdict(a.status, b.form):
		e.Kind, e.Wait, e.NotProcessed = Unknown, a.retryAfter, refusedUnseen(a.status)
		if a.status >= 300 && a.status < 400 {
			e.Err = errors.New("a redirect, which is not followed; is the base URL right, or does a proxy stand in the way?")
		}
	case a.status == k.later:
		e.Kind = Accepted
	case a.status == http.StatusUnauthorized:
		e.Kind = Unauthorized
	case a.status == http.StatusForbidden:
		e.Kind = Forbidden
	case a.status == http.StatusNotFound:
		e.Kind = NotFound
	case a.status == http.StatusConflict:
		e.Kind = Conflict
	default:
		e.Kind = BadRequest
	}
	c.o.Logger.Warn("partner call refused", "op", k.op, "class", k.class, "kind", string(e.Kind), "status",
		e.Status, "key", e.Key)
	return e
}

// tell informs the budget, also when the caller has given up: all replicas profit by it.
func (c *Client) tell(ctx context.Context, note func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := note(ctx); err != nil {
		c.o.Logger.Error("budget not told what became of a call", "error", err)
	}
}

// untilMidnight is how long until the day of the limits ends, at 00:00:00 UTC.
func untilMidnight(now time.Time) time.Duration {
	now = now.UTC()
	year, month, day := now.Date()
	return time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC).Sub(now)
}
