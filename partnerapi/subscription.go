package partnerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
)

// Topics of webhooks.
const (
	TopicTierUp    = 1
	TopicTierDown  = 2
	TopicCancelled = 3
	TopicDisabled  = 4
)

const (
	maxTopic   = 999_999 // a bound, since topics may be added
	maxHookURI = 2000
	// shortestSecret keeps messages readable: a shorter path guards nothing.
	shortestSecret = 8
)

// Subscription is a webhook: Constant Contact posts to HookURI when something of the topic happens. A HookURI is a
// secret as far as it has one in its path: no error of this package has it.
type Subscription struct {
	TopicID     int
	HookURI     string // "": not subscribed
	Name        string
	Description string
}

// subscription is a Subscription on the wire.
type subscription struct {
	TopicID     number `json:"topic_id"`
	HookURI     text   `json:"hook_uri"`
	Name        text   `json:"topic_name"`
	Description text   `json:"topic_description"`
}

// tidy makes foreign text fit to be shown. The URI stays as it is, to be compared.
func (s subscription) tidy() Subscription {
	return Subscription{int(s.TopicID.whole()), string(s.HookURI), plaintext.Line(string(s.Name), maxKey),
		plaintext.Line(string(s.Description), maxMessage)}
}

// Subscriptions lists all topics.
func (c *Client) Subscriptions(ctx context.Context, class string) ([]Subscription, error) {
	k := get("list webhook subscriptions", class)
	k.url = c.base.JoinPath("partner", "webhooks", "subscriptions")
	var list []subscription
	if err := c.ask(ctx, k, &list, jsonList); err != nil {
		return nil, err
	}
	all := make([]Subscription, 0, len(list))
	for _, s := range list {
		if s.TopicID.whole() < 1 {
			return nil, k.unreadable(untold("topic_id in one of its entries"))
		}
		all = append(all, s.tidy())
	}
	return all, nil
}

// Subscription reads one topic.
func (c *Client) Subscription(ctx context.Context, class string, topic int) (Subscription, error) {
	k := get("read webhook subscription", class)
	if err := c.onTopic(&k, topic); err != nil {
		return Subscription{}, err
	}
	return c.subscription(ctx, k, topic)
}

// Subscribe sets where a topic is posted to. It may be sent again: it says what shall be.
func (c *Client) Subscribe(ctx context.Context, class string, topic int, uri string) (Subscription, error) {
	k := call{op: "set webhook subscription", class: class, method: http.MethodPut, want: http.StatusOK}
	if err := c.onTopic(&k, topic); err != nil {
		return Subscription{}, err
	}
	var f faults
	f.add("hook_uri", hookFault(uri))
	if err := k.setBody(map[string]string{"hook_uri": uri}, f.err()); err != nil {
		return Subscription{}, err
	}
	k.secrets = []string{uri}
	_, rest, _ := strings.Cut(uri, "://")
	if _, path, _ := strings.Cut(rest, "/"); len(path) >= shortestSecret {
		k.secrets = append(k.secrets, path)
	}
	return c.subscription(ctx, k, topic)
}

// RemoveSubscription ends a subscription. It is no error where there was none. It may be sent again.
func (c *Client) RemoveSubscription(ctx context.Context, class string, topic int) error {
	k := call{op: "remove webhook subscription", class: class, method: http.MethodDelete, want: http.StatusNoContent}
	if err := c.onTopic(&k, topic); err != nil {
		return err
	}
	_, err := c.do(ctx, k)
	if KindOf(err) == NotFound {
		return nil
	}
	return err
}

// TestSubscription asks Constant Contact to post a test.
func (c *Client) TestSubscription(ctx context.Context, class string, topic int) (Subscription, error) {
	k := call{op: "test webhook subscription", class: class, method: http.MethodPost, want: http.StatusCreated}
	if err := c.onTopic(&k, topic, "tests"); err != nil {
		return Subscription{}, err
	}
	return c.subscription(ctx, k, topic)
}

// onTopic makes it a call that concerns a topic.
func (c *Client) onTopic(k *call, topic int, path ...string) error {
	k.op += fmt.Sprintf(" of topic %d", topic)
	if topic < 1 || topic > maxTopic {
		return &Error{Kind: BadRequest, Op: k.op, Err: &FieldError{"topic_id", fmt.Sprintf("is not 1 to %d", maxTopic)}}
	}
	k.url = c.base.JoinPath(append([]string{"partner", "webhooks", "subscriptions", strconv.Itoa(topic)}, path...)...)
	return nil
}

// subscription makes a call that is answered by a topic.
func (c *Client) subscription(ctx context.Context, k call, topic int) (Subscription, error) {
	var s subscription
	if err := c.ask(ctx, k, &s, jsonObject); err != nil {
		return Subscription{}, err
	}
	if s.TopicID.whole() != int64(topic) {
		return Subscription{}, k.unreadable(untold(fmt.Sprintf("topic_id %d", topic)))
	}
	return s.tidy(), nil
}

// hookFault says why events can't be posted to an address, "" for nothing. They carry the API key, so they go over TLS,
// save to the machine itself, where a sandbox is. The answer does not quote it.
func hookFault(uri string) string {
	if len(uri) > maxHookURI {
		return fmt.Sprintf("longer than %d characters", maxHookURI)
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "has a space or another character that a URI has not"
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return "is no URL"
	case u.User != nil:
		return "has user or password in it"
	case u.Fragment != "" || strings.Contains(uri, "#"):
		return "has a fragment"
	case u.Scheme == "https":
		return ""
	case u.Scheme != "http":
		return "is no https URL"
	case !netname.LoopbackPeer(u.Hostname()):
		return "is http, which is for loopback addresses only; want https"
	}
	return ""
}
