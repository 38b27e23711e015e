package provisioning

import (
	"context"
	"fmt"
	"net/url"

	"ssobridge/partnerapi"
)

// Webhooks lists all topics; SetWebhook, RemoveWebhook and TestWebhook change and try one.
func (s *Service) Webhooks(ctx context.Context) ([]partnerapi.Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, s.callLimit)
	defer cancel()
	all, err := s.client.Subscriptions(ctx, loopClass)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return all, nil
}

// SetWebhook subscribes a topic. The audit has the host of the address and not its path, which may be a secret.
func (s *Service) SetWebhook(ctx context.Context, topic int, uri, actor string) (partnerapi.Subscription, error) {
	host := ""
	if u, err := url.Parse(uri); err == nil {
		host = u.Host
	}
	return s.changeWebhook(ctx, "webhook-set", topic, actor, map[string]any{"host": host},
		func(ctx context.Context) (partnerapi.Subscription, error) {
			return s.client.Subscribe(ctx, actClass, topic, uri)
		})
}

// RemoveWebhook ends a subscription.
func (s *Service) RemoveWebhook(ctx context.Context, topic int, actor string) error {
	_, err := s.changeWebhook(ctx, "webhook-remove", topic, actor, nil,
		func(ctx context.Context) (partnerapi.Subscription, error) {
			return partnerapi.Subscription{}, s.client.RemoveSubscription(ctx, actClass, topic)
		})
	return err
}

// TestWebhook asks Constant Contact to post a test.
func (s *Service) TestWebhook(ctx context.Context, topic int, actor string) (partnerapi.Subscription, error) {
	return s.changeWebhook(ctx, "webhook-test", topic, actor, nil,
		func(ctx context.Context) (partnerapi.Subscription, error) {
			return s.client.TestSubscription(ctx, actClass, topic)
		})
}

func (s *Service) changeWebhook(ctx context.Context, action string, topic int, actor string, detail map[string]any,
	do func(context.Context) (partnerapi.Subscription, error),
) (t partnerapi.Subscription, err error) {
	err = s.audited(ctx, act{action: action, subject: fmt.Sprintf("topic %d", topic), actor: actor, detail: detail},
		func(ctx context.Context) (err error) {
			t, err = do(ctx)
			return err
		})
	if err != nil {
		return t, fmt.Errorf("%s of topic %d: %w", action, topic, err)
	}
	return t, nil
}
