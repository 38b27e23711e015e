package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"ssobridge/cmd/internal/server"
	"ssobridge/internal/plaintext"
	"ssobridge/web/admin"
)

type noticesCmd struct {
	List       noticesListCmd       `cmd:"" help:"List the subscriptions and how their deliveries stand."`
	Add        noticesAddCmd        `cmd:"" help:"Add a subscription."`
	Set        noticesSetCmd        `cmd:"" help:"Change a subscription."`
	Remove     noticesRemoveCmd     `cmd:"" help:"Remove a subscription."`
	Test       noticesTestCmd       `cmd:"" help:"Send a test to a subscription at once."`
	Deliveries noticesDeliveriesCmd `cmd:"" help:"List what became of the notices of the last 30 days."`
	Resend     noticesResendCmd     `cmd:"" help:"Send notices to a subscription once more."`
}

type noticesListCmd struct{ asJSON }

// Help is shown by notices list --help.
func (noticesListCmd) Help() string {
	return "Addresses are shown by their host alone: who knows the rest may write to many of them. An older secret of a " +
		"webhook signs beside the new one until the time shown.\n\nExample:\n\n    ssobridge notices list"
}

// jsonSubscription is a subscription to notices as JSON.
type jsonSubscription struct {
	Name         string    `json:"name"`
	Kind         string    `json:"kind"`
	Classes      []string  `json:"classes"`
	Target       string    `json:"target"`
	Names        bool      `json:"names"`
	Quiet        string    `json:"quiet"`
	Waiting      int       `json:"waiting"`
	Failures     int       `json:"failures"`
	GivenUp      int       `json:"given_up"`
	Dropped      int       `json:"dropped"`
	SentAt       time.Time `json:"sent_at,omitzero"`
	Answer       string    `json:"answer,omitempty"`
	RollingUntil time.Time `json:"former_secret_until,omitzero"`
	Unreadable   bool      `json:"unreadable,omitempty"`
	Secret       string    `json:"secret,omitempty"` // of a webhook, when it was made
}

func toJSONSubscription(n admin.NoticeSubscription, secret string) jsonSubscription {
	return jsonSubscription{Name: n.Name, Kind: n.Kind, Classes: n.Classes, Target: n.Target, Names: n.Names,
		Quiet: admin.QuietText(n.Subscription), Waiting: n.Waiting, Failures: n.Failures, GivenUp: n.Dead, Dropped: n.Dropped,
		SentAt: n.SentAt, Answer: n.Answer, RollingUntil: n.Rolling, Unreadable: n.Unreadable, Secret: secret}
}

// Run lists them.
func (c noticesListCmd) Run(s *invocation, p *server.App) error {
	list, err := p.Notices().List(s.ctx, s.scope())
	if err != nil {
		return err
	}
	if len(list) == 0 && !c.JSON {
		s.printf("there is no subscription to notices\n")
		return nil
	}
	t := s.table(c.asJSON, "NAME", "KIND", "CLASSES", "TO", "OLDER SECRET UNTIL (UTC)", "WAITING", "GIVEN UP",
		"LAST ARRIVED (UTC)", "LAST ANSWER")
	for _, n := range list {
		target := n.Target
		if n.Unreadable {
			target = "can't be opened by any known secret key"
		}
		last := "never"
		if !n.SentAt.IsZero() {
			last = n.SentAt.UTC().Format(time.DateTime)
		}
		older := "-"
		if !n.Rolling.IsZero() {
			older = n.Rolling.UTC().Format(time.DateTime)
		}
		t.row(toJSONSubscription(n, ""), plainText(n.Name), n.Kind, strings.Join(n.Classes, ","), plainText(target), older,
			n.Waiting,
			n.Dead+n.Dropped, last, plaintext.Short(n.Answer, 60))
	}
	return t.end()
}

// noticeFlags are what add and set have in common.
type noticeFlags struct {
	Class   []string `placeholder:"CLASS" help:"Classes of notices; account.* names a group, * all. ssobridge notices add --help lists them."`
	URL     string   `name:"url" placeholder:"URL" help:"Where notices are posted. An address that is a secret comes by --url-file."`
	URLFile string   `name:"url-file" placeholder:"FILE" help:"A file with the address; - reads standard input."`
	To      []string `placeholder:"MAIL" help:"Mail addresses."`
	Quiet   string   `placeholder:"FROM-UNTIL" help:"Quiet hours in UTC, such as 22:00-06:00; none ends them."`
}

// input is what the flags say. Flags that are not given change nothing.
func (c *noticeFlags) input(s *invocation) (in admin.NoticeInput, err error) {
	if len(c.Class) > 0 {
		in.Classes = c.Class
	}
	if len(c.To) > 0 {
		in.Mail = c.To
	}
	if c.Quiet != "" {
		in.Quiet = &c.Quiet
	}
	switch {
	case c.URL != "" && c.URLFile != "":
		return in, badInput(errors.New("--url and --url-file say the same thing twice"), "give one of them")
	case c.URLFile == "-":
		data, err := io.ReadAll(io.LimitReader(s.stdin, maxAddressFile))
		if err != nil {
			return in, fmt.Errorf("read the address from standard input: %w", err)
		}
		c.URL = strings.TrimSpace(string(data))
	case c.URLFile != "":
		data, err := readAddress(c.URLFile)
		if err != nil {
			return in, badInput(fmt.Errorf("read the address: %w", err), "name a file with the address in it")
		}
		c.URL = data
	}
	if c.URL != "" || c.URLFile != "" {
		in.URL = &c.URL
	}
	return in, nil
}

// maxAddressFile is far above any address.
const maxAddressFile = 16 << 10

func readAddress(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAddressFile))
	return strings.TrimSpace(string(data)), err
}

type noticesAddCmd struct {
	asJSON
	noticeFlags

	Name  string `arg:"" help:"How it is called."`
	Kind  string `arg:"" help:"webhook, mail, slack, teams or people."`
	Names bool   `help:"Name people and client accounts beside their ids."`
}

// Help is shown by notices add --help.
func (noticesAddCmd) Help() string {
	return `webhook posts JSON by Standard Webhooks; its secret is printed once. slack takes an incoming webhook, teams a Workflows webhook. mail sends to the addresses of --to. people sends a mail to whoever a notice of factor.* is about.

Classes:

    ` + strings.Join(classGroups(), "\n    ") + `

Examples:

    ssobridge notices add billing webhook --url https://billing.example.com/hooks/sso --class account.*

    ssobridge notices add oncall mail --to oncall@example.com --class directory.* --class calls.* --quiet 22:00-06:00

    ssobridge notices add chat slack --url-file slack_url --class user.conflict,expiry.near`
}

// Run adds it.
func (c *noticesAddCmd) Run(s *invocation, p *server.App) error {
	if c.URL != "" && (c.Kind == admin.NoticeSlack || c.Kind == admin.NoticeTeams) {
		return secretInArguments()
	}
	in, err := c.input(s)
	if err != nil {
		return err
	}
	in.Name, in.Kind, in.Names = &c.Name, c.Kind, &c.Names
	added, secret, err := p.Notices().Add(s.ctx, s.scope(), in, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("%s is sent notices of %s\n", added.Name, strings.Join(added.Classes, ", "))
	s.showSecret(secret)
	return s.object(toJSONSubscription(added, secret))
}

// secretInArguments refuses an address of a chat that everybody on the machine could read in the list of processes.
func secretInArguments() error {
	return badInput(errors.New("the address of a chat is a secret, and arguments are seen in the list of processes"),
		"write it into a file and give --url-file FILE, or --url-file - for standard input")
}

func (s *invocation) showSecret(secret string) {
	if secret != "" {
		s.printf("secret: %s\nIt signs each message, and is not shown again.\n", secret)
	}
}

type noticesSetCmd struct {
	asJSON
	noticeFlags

	Name      string `arg:"" help:"The subscription, as notices list shows it."`
	Rename    string `placeholder:"NAME" help:"A new name."`
	Names     *bool  `negatable:"" help:"Name people and client accounts beside their ids, or not."`
	NewSecret bool   `name:"new-secret" help:"Make a new secret for a webhook. The one before signs as well for 24 hours."`
}

// Help is shown by notices set --help.
func (noticesSetCmd) Help() string {
	return "What is not given stays as it is.\n\nExamples:\n\n" +
		"    ssobridge notices set billing --class account.*,user.created" +
		"\n\n    ssobridge notices set billing --new-secret"
}

// Run changes it.
func (c *noticesSetCmd) Run(s *invocation, p *server.App) error {
	in, err := c.input(s)
	if err != nil {
		return err
	}
	if c.URL != "" && c.URLFile == "" {
		is, err := p.Notices().Get(s.ctx, s.scope(), c.Name)
		if err != nil {
			return err
		}
		if is.Kind != admin.NoticeWebhook {
			return secretInArguments()
		}
	}
	if c.Rename != "" {
		in.Name = &c.Rename
	}
	in.Names, in.NewSecret = c.Names, c.NewSecret
	changed, secret, err := p.Notices().Set(s.ctx, s.scope(), c.Name, in, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("%s is sent notices of %s\n", changed.Name, strings.Join(changed.Classes, ", "))
	s.showSecret(secret)
	return s.object(toJSONSubscription(changed, secret))
}

type noticesRemoveCmd struct {
	asJSON

	Name string `arg:"" help:"The subscription, as notices list shows it."`
}

// Help is shown by notices remove --help.
func (noticesRemoveCmd) Help() string {
	return "Notices that wait for it are not sent any more.\n\nExample:\n\n    ssobridge notices remove billing"
}

// Run removes it.
func (c *noticesRemoveCmd) Run(s *invocation, p *server.App) error {
	if err := p.Notices().Remove(s.ctx, s.scope(), c.Name, s.event("", "")); err != nil {
		return err
	}
	s.printf("removed %s\n", c.Name)
	return s.object(struct {
		Name    string `json:"name"`
		Removed bool   `json:"removed"`
	}{c.Name, true})
}

type noticesTestCmd struct {
	asJSON

	Name string `arg:"" help:"The subscription, as notices list shows it."`
}

// Help is shown by notices test --help.
func (noticesTestCmd) Help() string {
	return "The test is sent by this command, in quiet hours too, whether the bridge runs or not.\n\nExample:\n\n" +
		"    ssobridge notices test billing"
}

// Run sends it.
func (c *noticesTestCmd) Run(s *invocation, p *server.App) error {
	answer, err := p.Notices().Test(s.ctx, s.scope(), c.Name)
	if err != nil {
		return err
	}
	s.printf("the receiver answered %s\n", answer)
	return s.object(struct {
		Name   string `json:"name"`
		Answer string `json:"answer"`
	}{c.Name, answer})
}

type noticesDeliveriesCmd struct {
	asJSON

	Name        string `arg:"" optional:"" help:"The subscription, as notices list shows it. Default: all."`
	Undelivered bool   `help:"Only notices that were given up or never sent."`
	Limit       int    `default:"50" help:"How many, 1 to 1000."`
	Older       string `placeholder:"PLACE" help:"Those before this one: the place of the last line of the page before."`
}

// Help is shown by notices deliveries --help.
func (noticesDeliveriesCmd) Help() string {
	return `The newest first. waiting: it is tried again at the time shown. sent: the receiver has it. dead: given up after three days. dropped: never sent, since 1,000 were waiting.

Examples:

    ssobridge notices deliveries

    ssobridge notices deliveries billing --undelivered

    ssobridge notices deliveries --older 4711/ku3gqpfzmb5cjvhyhb3xjr6lqa`
}

// jsonDelivery is what became of a notice as JSON.
type jsonDelivery struct {
	Place   string    `json:"place"` // for --older
	Notice  int64     `json:"notice"`
	At      time.Time `json:"at"`
	Class   string    `json:"class"`
	Subject string    `json:"subject,omitempty"`
	Account string    `json:"account,omitempty"`
	To      string    `json:"to,omitempty"`
	State   string    `json:"state"`
	Tries   int       `json:"tries"`
	TriedAt time.Time `json:"tried_at,omitzero"`
	NextAt  time.Time `json:"next_at,omitzero"`
	Message string    `json:"message,omitempty"`
	Answer  string    `json:"answer,omitempty"`
}

// Run lists them.
func (c noticesDeliveriesCmd) Run(s *invocation, p *server.App) error {
	f := admin.DeliveryFilter{Name: c.Name, Undelivered: c.Undelivered, Limit: c.Limit}
	var err error
	if c.Older != "" {
		if f.Before, err = admin.ParseDeliveryPlace(c.Older); err != nil {
			return err
		}
	}
	list, err := p.Notices().Deliveries(s.ctx, s.scope(), f)
	if err != nil {
		return err
	}
	if len(list) == 0 && !c.JSON {
		s.printf("there is none\n")
		return nil
	}
	t := s.table(c.asJSON, "AT (UTC)", "CLASS", "ABOUT", "TO", "STATE", "TRIES", "ANSWER", "PLACE")
	for _, d := range list {
		j := jsonDelivery{Place: d.Place(), Notice: d.ID, At: d.At.UTC(), Class: string(d.Class), Subject: d.Subject,
			Account: string(d.Account),
			To:      d.To, State: d.State, Tries: d.Tries, TriedAt: d.TriedAt, Message: d.Message, Answer: d.Answer}
		state := d.State
		if d.State == "waiting" {
			j.NextAt = d.DueAt
			state += " until " + d.DueAt.UTC().Format(time.TimeOnly)
		}
		about := strings.TrimSpace(d.Subject + " " + strings.TrimPrefix(string(d.Account), d.Subject))
		t.row(j, d.At.UTC().Format(time.DateTime), d.Class, plainText(about), plainText(d.To), state, d.Tries,
			plainText(plaintext.Short(d.Answer, 80)), d.Place())
	}
	return t.end()
}

type noticesResendCmd struct {
	asJSON

	Name        string  `arg:"" help:"The subscription, as notices list shows it."`
	Notice      []int64 `arg:"" optional:"" help:"Numbers of notices: those before the stroke of notices deliveries' PLACE."`
	Undelivered bool    `help:"Those that were given up or never sent, the oldest first, until 1,000 wait."`
}

// Help is shown by notices resend --help.
func (noticesResendCmd) Help() string {
	return `They are sent by the running bridge, at once and for three days again. The receiver knows each by the id that it had.

Examples:

    ssobridge notices resend billing 4711 4712

    ssobridge notices resend billing --undelivered`
}

// Run has them sent.
func (c *noticesResendCmd) Run(s *invocation, p *server.App) error {
	if c.Undelivered == (len(c.Notice) > 0) {
		return badInput(errors.New("it is not said which notices are meant"),
			"give their numbers, or --undelivered")
	}
	n, err := p.Notices().Resend(s.ctx, s.scope(), c.Name, c.Notice, s.event("", ""))
	if err != nil {
		return err
	}
	s.printf("%s sent once more\n", plaintext.Count(n, "notice is", "notices are"))
	return s.object(struct {
		Name    string `json:"name"`
		Notices int    `json:"notices"`
	}{c.Name, n})
}
