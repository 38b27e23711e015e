package admin

import (
	"context"
	"fmt"
	"slices"

	"ssobridge/provisioning"
)

// Webhooks is what can be done with Constant Contact's notices that a client account has changed. They are about all
// client accounts, so that everything here takes a scope of all.
type Webhooks struct {
	Provisioning *provisioning.Service
	URL          string // where this bridge takes them, with the secret at its end; "": it takes none
	Shown        string // the same without the secret
}

// Topic is a kind of notice, and where Constant Contact posts it.
type Topic struct {
	ID       int
	Name     string
	PostedTo string // as it may be shown: without our secret; "": it is not subscribed
	Here     bool   // to this bridge
}

// Topics are the ids that can be subscribed.
func Topics() []int { return slices.Clone(provisioning.WebhookTopics) }

func (w Webhooks) topic(t provisioning.Subscription) Topic {
	x := Topic{ID: t.TopicID, Name: t.Name, PostedTo: t.HookURI, Here: w.URL != "" && t.HookURI == w.URL}
	if x.Here {
		x.PostedTo = w.Shown
	}
	return x
}

// List lists all topics. It takes one call of the day's budget.
func (w Webhooks) List(ctx context.Context, s Scope) ([]Topic, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	list, err := w.Provisioning.Webhooks(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all := make([]Topic, 0, len(list))
	for _, t := range list {
		all = append(all, w.topic(t))
	}
	return all, nil
}

// Set has a topic posted to an address; to this bridge for "".
func (w Webhooks) Set(ctx context.Context, s Scope, topic int, uri, actor string) (Topic, error) {
	if err := s.whole(); err != nil {
		return Topic{}, err
	}
	if uri == "" {
		uri = w.URL
	}
	if uri == "" {
		return Topic{}, &Error{Field: "url", Fault: "this bridge takes no webhooks: constant_contact.webhook has no secret",
			Hint: "set constant_contact.webhook.secret_file, or give another address"}
	}
	t, err := w.Provisioning.SetWebhook(ctx, topic, uri, actor)
	return w.topic(t), topicError(topic, err)
}

// Remove ends a subscription.
func (w Webhooks) Remove(ctx context.Context, s Scope, topic int, actor string) error {
	if err := s.whole(); err != nil {
		return err
	}
	return topicError(topic, w.Provisioning.RemoveWebhook(ctx, topic, actor))
}

// Test has Constant Contact post a test.
func (w Webhooks) Test(ctx context.Context, s Scope, topic int, actor string) (Topic, error) {
	if err := s.whole(); err != nil {
		return Topic{}, err
	}
	t, err := w.Provisioning.TestWebhook(ctx, topic, actor)
	return w.topic(t), topicError(topic, err)
}

// topicError names the topic at fault: several can be subscribed by one act.
func topicError(topic int, err error) error {
	e, ok := AsError(err)
	if err == nil || !ok {
		return err
	}
	e.Fault = fmt.Sprintf("topic %d: %s", topic, e.Fault)
	return e
}
