package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	maxDeliveries = 1_000 // that are kept
	maxPosting    = 100   // at a time; more are recorded as given up
)

// Webhook is an event that was posted to who has subscribed. It tells neither the API key that the body has nor the
// path it went to, which may be a secret of the subscriber's.
type Webhook struct {
	ID       int       `json:"id"`
	At       time.Time `json:"at"`
	Topic    int       `json:"topic_id"`
	Event    string    `json:"event_type"`
	URL      string    `json:"url"` // what the body says
	Host     string    `json:"host"`
	Attempts []Attempt `json:"attempts"`
	Answered bool      `json:"answered"` // with success
	GivenUp  bool      `json:"given_up"`
}

// Attempt is one post.
type Attempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"` // 0: no answer
	Error  string    `json:"error,omitempty"`
}

// posts is what has been posted and is being.
type posts struct {
	list             []*Webhook
	last             int // id
	running          int
	posted, answered int
}

// Webhooks is a copy of the events that were posted, oldest first.
func (s *Sandbox) Webhooks() []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Webhook{}
	for _, p := range s.posts.list {
		w := *p
		w.Attempts = append([]Attempt{}, p.Attempts...)
		list = append(list, w)
	}
	return list
}

// announce tells who has subscribed to a topic that something has happened to an account of the partner. s.mu is held.
func (s *Sandbox) announce(id int, account string) {
	if a := s.people.account(account); a == nil || a.OtherPartner || s.hooks[id] == "" {
		return
	}
	s.post(id, account)
}

// post starts to post to a topic's subscriber. s.mu is held.
func (s *Sandbox) post(id int, account string) {
	to := s.hooks[id]
	target, err := url.Parse(to)
	if err != nil {
		return // subscribe takes no such address
	}
	if len(s.posts.list) >= maxDeliveries {
		s.posts.list = slices.Delete(s.posts.list, 0, maxDeliveries/10)
	}
	s.posts.last++
	p := &Webhook{
		ID: s.posts.last, At: s.o.Now(), Topic: id, Event: topics[id-1].event, Host: target.Host,
		URL: s.BaseURL() + accountsPath + "/" + account + "/plan",
	}
	s.posts.list = append(s.posts.list, p)
	s.posts.posted++
	select {
	case <-s.closing:
		p.GivenUp = true
		return
	default:
	}
	if s.posts.running >= maxPosting {
		p.GivenUp = true
		return
	}
	body, err := json.Marshal(map[string]string{"url": p.URL, "api_key": s.o.APIKey, "event_type": p.Event})
	if err != nil {
		panic("sandbox: " + err.Error()) // maps of strings always encode
	}
	s.posts.running++
	s.posting.Go(func() { s.deliver(p, to, body) })
}

// deliver posts until somebody answers with success, every Options.WebhookRetry and not longer than Options.WebhookFor.
func (s *Sandbox) deliver(p *Webhook, to string, body []byte) {
	ctx, stop := context.WithCancel(context.Background()) // the event lives longer than the call that caused it
	defer stop()
	go func() {
		select {
		case <-s.closing:
			stop()
		case <-ctx.Done():
		}
	}()
	for tries := int(s.o.WebhookFor/s.o.WebhookRetry) + 1; ; tries-- {
		a := Attempt{At: s.o.Now()}
		status, err := s.postOnce(ctx, to, body)
		if a.Status = status; err != nil {
			a.Error = err.Error()
		}
		s.mu.Lock()
		p.Attempts = append(p.Attempts, a)
		p.Answered = status >= 200 && status < 300
		p.GivenUp = !p.Answered && tries <= 1
		if p.Answered {
			s.posts.answered++
		}
		s.mu.Unlock()
		s.o.Logger.Info("webhook", "event_type", p.Event, "host", p.Host, "status", status, "error", a.Error)
		if p.Answered || p.GivenUp || ctx.Err() != nil {
			break
		}
		s.pause(ctx, s.o.WebhookRetry)
		if ctx.Err() != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts.running--
	p.GivenUp = !p.Answered
}

// postOnce posts once and gives the status. Errors don't name the address.
func (s *Sandbox) postOnce(ctx context.Context, to string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make the post of a webhook: %w", bare(err))
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.poster.Do(req)
	if err != nil {
		return 0, fmt.Errorf("post a webhook: %w", bare(err))
	}
	defer resp.Body.Close()
	// so that the connection can be used again; nobody reads it
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, nil
}

// bare is the cause of an HTTP client's error, without the address that it puts before it.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
