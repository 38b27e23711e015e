// Package notices delivers what happened to those who subscribed to it: by mail, webhooks, Slack and Teams. The rows of
// the outbox are written by store, in the transaction of what they report; this package takes them from there, at least
// once each, and reports states (the directory is down) that hold for a while.
//
// It leaves subscriptions to web/admin. It must never follow a redirect, connect to an internal address that was not
// listed, or put a secret or somebody's name (without the setting for it) into a message, a log line or an answer.
package notices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ssobridge/idp/fetch"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const (
	// look is how often each replica looks for notices: the first try comes within five seconds.
	look = 2 * time.Second
	// lease is how long a claim is believed: longer than a try may take.
	lease = time.Minute
	// tryLimit bounds one try.
	tryLimit = 20 * time.Second
	// storeLimit bounds what is stored of a try, also while the program stops.
	storeLimit = 5 * time.Second
	// atOnce is how many receivers one replica sends to at a time: a slow one keeps no other waiting.
	atOnce = 16
	// inARow is how many messages one receiver gets before the others are looked at again.
	inARow = 50
)

// A try and what is stored of it end before the claim does: else another replica would send the same. It does not
// compile otherwise.
const _ = uint(lease - tryLimit - storeLimit)

// Options for New. All but those that say otherwise are required.
type Options struct {
	Notices  *store.Notices
	People   *store.People
	Accounts *store.Accounts
	// Open returns where a subscription's notices go.
	Open func(s store.Subscription) (admin.NoticeTarget, error)
	// Post sends to a webhook or a chat.
	Post func(ctx context.Context, address string, header http.Header, body []byte) (fetch.Answer, error)
	// Mail sends a mail; nil: no mail server is configured.
	Mail func(ctx context.Context, l Letter) error
	// MailOf is a person's mail address in the directory; "": there is none. nil: people get no mail.
	MailOf func(ctx context.Context, person store.PersonID) (string, error)
	// ConsoleURL is where the console is; "": there is none, and messages have no link.
	ConsoleURL string
	// Bridge is how this bridge is called in messages.
	Bridge string
	Holder string // of claims: this replica
	Watch  Watch
	Now    func() time.Time
	Logger *slog.Logger
}

// Engine delivers notices. It is safe for concurrent use.
type Engine struct {
	o Options

	mu    sync.Mutex
	busy  map[string]bool // subscriptions that this replica delivers to
	slots chan struct{}
	sends sync.WaitGroup

	watching watching
}

// New makes one. It starts nothing.
func New(o Options) *Engine {
	return &Engine{o: o, busy: map[string]bool{}, slots: make(chan struct{}, atOnce), watching: newWatching()}
}

// Run delivers until ctx ends, then waits for what is being sent.
func (e *Engine) Run(ctx context.Context) error {
	defer e.sends.Wait()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := e.Look(ctx); err != nil && ctx.Err() == nil {
			e.o.Logger.Warn("notices were not looked at; tried again in two seconds", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look gives new notices to subscriptions, and begins to send what is due.
func (e *Engine) Look(ctx context.Context) error {
	watchErr := e.watch(ctx)
	if _, err := e.o.Notices.Spread(ctx); err != nil {
		return errors.Join(watchErr, err)
	}
	all, err := e.o.Notices.Subscriptions(ctx)
	if err != nil {
		return errors.Join(watchErr, err)
	}
	for _, s := range all {
		e.begin(ctx, s.ID)
	}
	return watchErr
}

// Wait waits for what is being sent, for tests.
func (e *Engine) Wait() { e.sends.Wait() }

// begin sends what is due at a subscription, unless this replica does so already.
func (e *Engine) begin(ctx context.Context, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[id] {
		return
	}
	e.busy[id] = true
	e.sends.Go(func() {
		defer func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.busy, id)
		}()
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
		case <-ctx.Done():
			return
		}
		if err := e.deliver(ctx, id); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotFound) {
			e.o.Logger.Warn("notices were not delivered; tried again in two seconds", "subscription", id, "error", err)
		}
	})
}

// deliver sends messages to one subscription while some are due.
func (e *Engine) deliver(ctx context.Context, id string) error {
	for range inARow {
		if ctx.Err() != nil {
			return nil
		}
		c, ok, err := e.o.Notices.Claim(ctx, id, e.o.Holder, lease)
		if err != nil || !ok {
			return err
		}
		r := e.once(ctx, c)
		// Also while the program stops: what has arrived must not go a second time if that can be helped.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
		err = e.o.Notices.Settle(limited, r)
		cancel()
		if errors.Is(err, store.ErrConflict) {
			return nil // it took too long, and goes once more; its id says so
		}
		if err != nil {
			return err
		}
		e.report(c, r)
	}
	return nil
}

// once sends one message of what was claimed, or says until when nothing may be sent.
func (e *Engine) once(ctx context.Context, c store.Claimed) store.DeliveryResult {
	r := store.DeliveryResult{Subscription: c.ID, Holder: e.o.Holder, Failures: c.Failures, Digest: c.Digest}
	p := plan(c)
	r.WindowAt, r.WindowSent = p.windowAt, p.windowSent
	if !p.until.IsZero() {
		r.Next, r.Digest = p.until, true
		return r
	}
	for _, d := range p.due {
		r.Notices = append(r.Notices, d.ID)
	}
	limited, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	message, answer, err := e.send(limited, c, p.due)
	if err != nil && ctx.Err() != nil {
		r.Notices = nil // the program stops: nothing is said of the receiver
		return r
	}
	r.Message, r.Answer = message, answer.text(err)
	if err == nil && answer.OK() {
		r.OK, r.Failures, r.WindowSent = true, 0, r.WindowSent+1
		// What waited longer than one message can hold goes on as one.
		r.Digest = c.Digest && p.more
		return r
	}
	p.failed(&r, c, answer.After)
	return r
}

// report logs that a receiver fails, that it is back, and what is given up.
func (e *Engine) report(c store.Claimed, r store.DeliveryResult) {
	attrs := []any{"subscription", c.Name, "kind", c.Kind, "answer", r.Answer}
	switch {
	case len(r.Dead) > 0:
		e.o.Logger.Error("notices were given up after three days", append(attrs, "count", len(r.Dead), "hint",
			"see ssobridge notices deliveries")...)
	case len(r.Notices) == 0:
	case !r.OK && c.Failures == 0:
		e.o.Logger.Warn("a notice was not delivered; it is tried again for three days", attrs...)
	case r.OK && c.Failures > 0:
		e.o.Logger.Info("notices are delivered again", attrs...)
	}
}

// answer is what a receiver said.
type answer struct{ fetch.Answer }

// text is the answer or why there is none, for an administrator to read.
func (a answer) text(err error) string {
	switch {
	case err != nil:
		return err.Error()
	case a.Body == "":
		return fmt.Sprint(a.Status)
	}
	return fmt.Sprintf("%d %s", a.Status, a.Body)
}

// Try sends a test to a subscription at once, beside the outbox, and returns what was answered.
func (e *Engine) Try(ctx context.Context, s store.Subscription) (string, error) {
	limited, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	now := e.o.Now()
	_, a, err := e.send(limited, store.Claimed{Subscription: s, Now: now}, []store.Due{{NoticeRecord: store.NoticeRecord{
		At: now, Class: store.NoticeTest}, CreatedAt: now}})
	if err != nil {
		return "", err
	}
	if !a.OK() {
		return "", fmt.Errorf("the receiver answered %s", a.text(nil))
	}
	return a.text(nil), nil
}
