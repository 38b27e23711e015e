package cli

import (
	"cmp"

	"ssobridge/cmd/internal/server"
	"ssobridge/web/admin"
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
	list, err := p.Webhooks().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	t := s.table(c.asJSON, "TOPIC", "NAME", "POSTED TO")
	for _, topic := range list {
		t.row(jsonTopic(topic), topic.ID, topic.Name, cmp.Or(topic.PostedTo, "not subscribed"))
	}
	return t.end()
}

// jsonTopic is a topic of webhooks as JSON.
type jsonTopic struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	PostedTo string `json:"posted_to,omitempty"`
	Here     bool   `json:"here"`
}

type webhooksSetCmd struct {
	asJSON

	Topic []int  `arg:"" optional:"" help:"Topics: 1 tier up, 2 tier down, 3 account cancelled, 4 account disabled. Default: all four."`
	URL   string `name:"url" placeholder:"URL" help:"Default: this bridge, by constant_contact.webhook."`
}

// Help is shown by webhooks set --help.
func (webhooksSetCmd) Help() string {
	return "Examples:\n\n    ssobridge webhooks set\n\n    ssobridge webhooks set 3 4"
}

// Run subscribes.
func (c *webhooksSetCmd) Run(s *invocation, p *server.App) error {
	topics := c.Topic
	if len(topics) == 0 {
		topics = admin.Topics()
	}
	for _, topic := range topics {
		t, err := p.Webhooks().Set(s.ctx, s.scope(), topic, c.URL, actor(s.environ))
		if err != nil {
			return err
		}
		s.printf("topic %d is posted to %s\n", t.ID, t.PostedTo)
		if err := s.line(jsonTopic(t)); err != nil {
			return err
		}
	}
	return nil
}

type webhooksRemoveCmd struct {
	asJSON

	Topic int `arg:"" help:"The topic, as webhooks list shows it."`
}

// Help is shown by webhooks remove --help.
func (webhooksRemoveCmd) Help() string { return "Example:\n\n    ssobridge webhooks remove 1" }

// Run ends a subscription.
func (c *webhooksRemoveCmd) Run(s *invocation, p *server.App) error {
	if err := p.Webhooks().Remove(s.ctx, s.scope(), c.Topic, actor(s.environ)); err != nil {
		return err
	}
	s.printf("topic %d is not posted any more\n", c.Topic)
	return s.object(struct {
		ID      int  `json:"id"`
		Removed bool `json:"removed"`
	}{c.Topic, true})
}

type webhooksTestCmd struct {
	asJSON

	Topic int `arg:"" help:"The topic, as webhooks list shows it."`
}

// Help is shown by webhooks test --help.
func (webhooksTestCmd) Help() string {
	return "The log of the running bridge tells what came.\n\nExample:\n\n    ssobridge webhooks test 3"
}

// Run asks for a test.
func (c *webhooksTestCmd) Run(s *invocation, p *server.App) error {
	t, err := p.Webhooks().Test(s.ctx, s.scope(), c.Topic, actor(s.environ))
	if err != nil {
		return err
	}
	s.printf("Constant Contact posts a test of topic %d to %s\n", t.ID, t.PostedTo)
	return s.object(jsonTopic(t))
}
