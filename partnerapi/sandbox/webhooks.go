package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"ssobridge/idp/netname"
)

// The topics of webhooks.
const (
	topicTierUp    = 1
	topicTierDown  = 2
	topicCancelled = 3
	topicDisabled  = 4
)

// topic is what can be subscribed to.
type topic struct {
	name, description, event string
}

// topics by their ids, from 1 on. Of the names of events only EventTierUp is published; the others are guesses in its
// manner, and so are names and descriptions of the topics.
var topics = []topic{
	{"tier.increase", "A client account has moved to a higher billing tier", EventTierUp},
	{"tier.decrease", "A client account has moved to a lower billing tier", EventTierDown},
	{"account.cancel", "A client account has been cancelled", EventCancelled},
	{"account.disabled", "A client account has been disabled", EventDisabled},
}

// The event_type of a webhook.
const (
	EventTierUp    = "tier.increase"
	EventTierDown  = "tier.decrease"    // a guess
	EventCancelled = "account.cancel"   // a guess
	EventDisabled  = "account.disabled" // a guess
)

const maxHookURI = 2_000

// subscription is what is told of a topic.
type subscription struct {
	TopicID     int    `json:"topic_id"`
	HookURI     string `json:"hook_uri"`
	Name        string `json:"topic_name"`
	Description string `json:"topic_description"`
}

// subscriptionOf is a topic's. s.mu is held.
func (s *Sandbox) subscriptionOf(id int) subscription {
	return subscription{id, s.hooks[id], topics[id-1].name, topics[id-1].description}
}

// topicID reads the id out of a path, or gives the refusal.
func (s *Sandbox) topicID(text string) (int, *reply) {
	id, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(id) != text {
		a := s.refuse(http.StatusBadRequest, apiError{"request.invalid_parameter", "topic_id must be a number"})
		return 0, &a
	}
	if id < 1 || id > len(topics) {
		a := s.refuse(http.StatusNotFound, apiError{"topic.not_found", "there is no such topic"})
		return 0, &a
	}
	return id, nil
}

// listSubscriptions is GET /partner/webhooks/subscriptions: all topics, an empty hook_uri where there is none.
func (s *Sandbox) listSubscriptions(apiCall) reply {
	s.mu.Lock()
	list := []subscription{}
	for i := range topics {
		list = append(list, s.subscriptionOf(i+1))
	}
	s.mu.Unlock()
	return jsonReply(http.StatusOK, list, "listed webhooks")
}

// readSubscription is GET /partner/webhooks/subscriptions/{topic_id}.
func (s *Sandbox) readSubscription(c apiCall) reply {
	id, refusal := s.topicID(c.topic)
	if refusal != nil {
		return *refusal
	}
	s.mu.Lock()
	found := s.subscriptionOf(id)
	s.mu.Unlock()
	return jsonReply(http.StatusOK, found, fmt.Sprintf("webhook of topic %d", id))
}

// subscribe is PUT /partner/webhooks/subscriptions/{topic_id}.
func (s *Sandbox) subscribe(c apiCall) reply {
	id, refusal := s.topicID(c.topic)
	if refusal != nil {
		return *refusal
	}
	var in struct {
		HookURI *string `json:"hook_uri"`
	}
	f := readBody(c.body, &in)
	if len(f.list) == 0 {
		if uri := f.text("hook_uri", in.HookURI, true, 1, maxHookURI); len(f.list) == 0 && !hookAllowed(uri) {
			f.add("hook_uri", "must be an https address, or http on this machine")
		}
	}
	if len(f.list) > 0 {
		return s.refuse(http.StatusBadRequest, f.list...)
	}
	s.mu.Lock()
	s.hooks[id] = *in.HookURI
	s.mu.Unlock()
	return jsonReply(http.StatusOK, map[string]any{"topic_id": id, "hook_uri": *in.HookURI},
		fmt.Sprintf("subscribed to topic %d", id))
}

// hookAllowed tells whether webhooks may be posted to an address. Plain http is for those who try things out on one
// machine.
func hookAllowed(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || (u.Scheme == "http" && netname.LoopbackPeer(u.Hostname()))
}

// unsubscribe is DELETE /partner/webhooks/subscriptions/{topic_id}. It is no error where there was no subscription.
func (s *Sandbox) unsubscribe(c apiCall) reply {
	id, refusal := s.topicID(c.topic)
	if refusal != nil {
		return *refusal
	}
	s.mu.Lock()
	delete(s.hooks, id)
	s.mu.Unlock()
	return reply{status: http.StatusNoContent, outcome: fmt.Sprintf("unsubscribed from topic %d", id)}
}

// testSubscription is POST /partner/webhooks/subscriptions/{topic_id}/tests. It posts an event about an account of the
// partner.
func (s *Sandbox) testSubscription(c apiCall) reply {
	id, refusal := s.topicID(c.topic)
	if refusal != nil {
		return *refusal
	}
	s.mu.Lock()
	found := s.subscriptionOf(id)
	if found.HookURI != "" {
		s.post(id, s.anyAccount())
	}
	s.mu.Unlock()
	if found.HookURI == "" {
		return s.refuse(http.StatusNotFound, apiError{"topic.not_subscribed", "nobody has subscribed to this topic"})
	}
	return jsonReply(http.StatusCreated, found, fmt.Sprintf("tested the webhook of topic %d", id))
}

// anyAccount is the first account of the partner, for tests; without one, an id that nobody has. s.mu is held.
func (s *Sandbox) anyAccount() string {
	for _, a := range s.people.accounts {
		if !a.OtherPartner {
			return a.ID
		}
	}
	return "a07e1aaaaaa0"
}
