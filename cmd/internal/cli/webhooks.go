package cli

import (
	"cmp"
	"errors"
	"fmt"

	"ssobridge/cmd/internal/server"
	"ssobridge/partnerapi"
)

type webhooksCmd struct {
	List   webhooksListCmd   `cmd:"" help:"List the topics and where Constant Contact posts them."`
	Set    webhooksSetCmd    `cmd:"" help:"Have topics posted to this bridge, or to another address."`
	Remove webhooksRemoveCmd `cmd:"" help:"End a subscription."`
	Test   webhooksTestCmd   `cmd:"" help:"Have Constant Contact post a test."`
}

type webhooksListCmd struct{ asJSON }

// Help is shown by webhooks list --help.
func (webhooksListCmd) Help() string {
	return "It takes one call of the day's budget.\n\nExample:\n\n    ssobridge webhooks list"
}

// Run lists the topics.
func (c webhooksListCmd) Run(s *invocation, p *server.App) error {
	return s.withPartner(func() error {
		list, err := p.Provisioning.Webhooks(s.ctx)
		if err != nil {
			return err
		}
		t := s.table(c.asJSON, "TOPIC", "NAME", "POSTED TO")
		for _, topic := range list {
			to := hideSecret(p, topic.HookURI)
			t.row(jsonTopic{topic.TopicID, topic.Name, to}, topic.TopicID, topic.Name, cmp.Or(to, "not subscribed"))
		}
		return t.end()
	})
}

// jsonTopic is a topic of webhooks as JSON.
type jsonTopic struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	PostedTo string `json:"posted_to,omitempty"`
}

// withPartner does something that calls Constant Contact.
func (s *invocation) withPartner(do func() error) error {
	err := do()
	if kindOf(err) != "" {
		return failed(err, partnerHint(err))
	}
	return err
}

// hideSecret shows our own address without the part that proves who posts.
func hideSecret(p *server.App, uri string) string {
	if own := p.WebhookURL(); own != "" && uri == own {
		return p.Config.PublicURL + server.WebhookPath + "***"
	}
	return uri
}

type webhooksSetCmd struct {
	Topic []int  `arg:"" optional:"" help:"Topics: 1 tier up, 2 tier down, 3 account cancelled, 4 account disabled. Default: all four."`
	URL   string `name:"url" placeholder:"URL" help:"Default: this bridge, by constant_contact.webhook."`
}

// Help is shown by webhooks set --help.
func (webhooksSetCmd) Help() string {
	return "Examples:\n\n    ssobridge webhooks set\n\n    ssobridge webhooks set 3 4"
}

// Run subscribes.
func (c *webhooksSetCmd) Run(s *invocation, p *server.App) error {
	return s.withPartner(func() error {
		uri := cmp.Or(c.URL, p.WebhookURL())
		if uri == "" {
			return badInput(errors.New("this bridge takes no webhooks: constant_contact.webhook has no secret"),
				"set constant_contact.webhook.secret_file, or give --url")
		}
		topics := c.Topic
		if len(topics) == 0 {
			topics = []int{partnerapi.TopicTierUp, partnerapi.TopicTierDown, partnerapi.TopicCancelled, partnerapi.TopicDisabled}
		}
		for _, topic := range topics {
			t, err := p.Provisioning.SetWebhook(s.ctx, topic, uri, actor(s.environ))
			if err != nil {
				return fmt.Errorf("subscribe topic %d: %w", topic, err)
			}
			s.printf("topic %d is posted to %s\n", t.TopicID, hideSecret(p, t.HookURI))
		}
		return nil
	})
}

type webhooksRemoveCmd struct {
	Topic int `arg:"" help:"The topic, as webhooks list shows it."`
}

// Help is shown by webhooks remove --help.
func (webhooksRemoveCmd) Help() string { return "Example:\n\n    ssobridge webhooks remove 1" }

// Run ends a subscription.
func (c *webhooksRemoveCmd) Run(s *invocation, p *server.App) error {
	return s.withPartner(func() error {
		if err := p.Provisioning.RemoveWebhook(s.ctx, c.Topic, actor(s.environ)); err != nil {
			return err
		}
		s.printf("topic %d is not posted any more\n", c.Topic)
		return nil
	})
}

type webhooksTestCmd struct {
	Topic int `arg:"" help:"The topic, as webhooks list shows it."`
}

// Help is shown by webhooks test --help.
func (webhooksTestCmd) Help() string {
	return "The log of the running bridge tells what came.\n\nExample:\n\n    ssobridge webhooks test 3"
}

// Run asks for a test.
func (c *webhooksTestCmd) Run(s *invocation, p *server.App) error {
	return s.withPartner(func() error {
		t, err := p.Provisioning.TestWebhook(s.ctx, c.Topic, actor(s.environ))
		if err != nil {
			return err
		}
		s.printf("Constant Contact posts a test of topic %d to %s\n", t.TopicID, hideSecret(p, t.HookURI))
		return nil
	})
}
