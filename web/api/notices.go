package api

import (
	"net/http"
	"strconv"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

type subscription struct {
	Name       string     `json:"name" doc:"How it is called, which is unique."`
	Kind       string     `json:"kind" doc:"webhook, mail, slack, teams or people; more can be added."`
	Classes    []string   `json:"classes" doc:"Classes of notices; account.* names a group, * all."`
	Target     string     `json:"target" doc:"Where they go: mail addresses, or the host alone of an address."`
	Names      bool       `json:"names" doc:"People and client accounts are named beside their ids."`
	Quiet      string     `json:"quiet" doc:"Quiet hours in UTC, such as 22:00-06:00; none."`
	Older      *time.Time `json:"former_secret_until,omitempty" doc:"Until when the older secret of a webhook signs too."`
	Unreadable bool       `json:"unreadable" doc:"No known secret key opens where it goes."`
}

func subscriptionOf(n admin.NoticeSubscription) subscription {
	return subscription{Name: n.Name, Kind: n.Kind, Classes: append([]string{}, n.Classes...), Target: n.Target,
		Names: n.Names, Quiet: admin.QuietText(n.Subscription), Older: optional(n.Rolling), Unreadable: n.Unreadable}
}

type listedSubscription struct {
	subscription

	Waiting  int        `json:"waiting" doc:"Notices that wait for it."`
	Failures int        `json:"failures" doc:"Tries that failed, without a success between."`
	GivenUp  int        `json:"given_up" doc:"Notices that were given up."`
	Dropped  int        `json:"dropped" doc:"Notices that were never sent, since too many were waiting."`
	SentAt   *time.Time `json:"sent_at,omitempty" doc:"When the last one arrived."`
	Answer   string     `json:"answer,omitempty" doc:"What the receiver answered last."`
}

// madeSubscription is one that was just added or changed.
type madeSubscription struct {
	subscription

	Secret string `json:"secret,omitempty" doc:"Of a webhook, when it was made: it is shown this once, and stored for no key."`
}

type subscriptionInput struct {
	Name    string   `json:"name" maxlen:"60" doc:"How it is called."`
	Kind    string   `json:"kind" enum:"webhook,mail,slack,teams,people" doc:"Who gets them."`
	Classes []string `json:"classes" maxitems:"40" doc:"Classes of notices; account.* names a group, * all."`
	URL     string   `json:"url,omitempty" maxlen:"2000" doc:"Where they are posted: of webhook, slack and teams."`
	To      []string `json:"to,omitempty" maxitems:"20" doc:"Mail addresses, of mail."`
	Names   bool     `json:"names,omitempty" doc:"Name people and client accounts beside their ids."`
	Quiet   string   `json:"quiet,omitempty" maxlen:"40" doc:"Quiet hours in UTC, such as 22:00-06:00."`
}

type subscriptionPatchInput struct {
	Name      *string  `json:"name,omitempty" maxlen:"60" doc:"Another name."`
	Classes   []string `json:"classes,omitempty" maxitems:"40" doc:"Other classes."`
	URL       *string  `json:"url,omitempty" maxlen:"2000" doc:"Another address."`
	To        []string `json:"to,omitempty" maxitems:"20" doc:"Other mail addresses."`
	Names     *bool    `json:"names,omitempty" doc:"Name people and client accounts, or not."`
	Quiet     *string  `json:"quiet,omitempty" maxlen:"40" doc:"Other quiet hours; none ends them."`
	NewSecret bool     `json:"new_secret,omitempty" doc:"Make a new secret for a webhook. The one before signs as well for 24 hours."`
}

type subscriptionName struct {
	Name string `path:"name" maxlen:"60" doc:"The subscription's name."`
}

type noticeDelivery struct {
	Notice  int64             `json:"notice" doc:"Number of the notice; it may have gone to several subscriptions."`
	At      time.Time         `json:"at" doc:"When it happened."`
	Class   store.NoticeClass `json:"class" doc:"What it is about."`
	Subject string            `json:"subject,omitempty" doc:"A person's id, or what else it is about."`
	Account store.AccountID   `json:"account,omitempty" doc:"The client account."`
	To      string            `json:"to,omitempty" doc:"The subscription."`
	State   string            `json:"state" doc:"waiting, sent, dead (given up) or dropped (never sent); more can be added."`
	Tries   int               `json:"tries" doc:"How often it was tried."`
	TriedAt *time.Time        `json:"tried_at,omitempty" doc:"When it was last tried."`
	NextAt  *time.Time        `json:"next_at,omitempty" doc:"When it is tried again."`
	Message string            `json:"message,omitempty" doc:"The id of the message that had it."`
	Answer  string            `json:"answer,omitempty" doc:"What the receiver answered."`
}

func deliveryOf(d admin.NoticeDelivery) noticeDelivery {
	one := noticeDelivery{d.ID, d.At.UTC(), d.Class, d.Subject, d.Account, d.To, d.State, d.Tries,
		optional(d.TriedAt), nil, d.Message, d.Answer}
	if d.State == store.DeliveryWaiting {
		one.NextAt = optional(d.DueAt)
	}
	return one
}

type resendInput struct {
	Notices     []int64 `json:"notices,omitempty" maxitems:"100" doc:"Numbers of notices."`
	Undelivered bool    `json:"undelivered,omitempty" doc:"true: those that were given up or never sent, in place of numbers."`
}

type resentNotices struct {
	Notices int `json:"notices" doc:"How many are sent once more."`
}

type testAnswer struct {
	Answer string `json:"answer" doc:"What the receiver answered."`
}

// subscriptionTag is what the ETag of a subscription names: all that can be changed, also the part of an address that
// is not shown.
type subscriptionTag struct {
	Shown   subscription
	Version string
}

// taggedSubscription answers with a subscription, and sets its ETag.
func taggedSubscription(c *call, n admin.NoticeSubscription) (subscription, error) {
	out := subscriptionOf(n)
	_, err := tagged(c, subscriptionTag{out, n.Version})
	return out, err
}

// isSubscription demands that a subscription is as the caller has read it.
func (c *call) isSubscription(n admin.NoticeSubscription) error {
	return c.matches(subscriptionTag{subscriptionOf(n), n.Version})
}

func noticeOperations() []operation {
	const area = "Notices"
	return []operation{
		serves(operation{
			id: "listNotices", method: http.MethodGet, path: "/notices", area: area, scope: admin.NoticesRead,
			summary: "List the subscriptions to notices", doc: "By name, with how their deliveries stand.",
		}, func(c *call, _ none) (list[listedSubscription], error) {
			all, err := c.api.o.Notices.List(c.ctx, c.scope())
			out := list[listedSubscription]{Items: []listedSubscription{}}
			for _, n := range all {
				out.Items = append(out.Items, listedSubscription{subscriptionOf(n), n.Waiting, n.Failures, n.Dead, n.Dropped,
					optional(n.SentAt), n.Answer})
			}
			return out, err
		}),
		serves(operation{
			id: "getNotice", method: http.MethodGet, path: "/notices/{name}", area: area, scope: admin.NoticesRead,
			summary: "Read a subscription to notices", doc: "Its ETag is what a change names as If-Match.",
		}, func(c *call, in subscriptionName) (subscription, error) {
			n, err := c.api.o.Notices.Get(c.ctx, c.scope(), in.Name)
			if err != nil {
				return subscription{}, err
			}
			return taggedSubscription(c, n)
		}),
		serves(operation{
			id: "createNotice", method: http.MethodPost, path: "/notices", area: area, scope: admin.NoticesWrite,
			status: http.StatusCreated, summary: "Add a subscription to notices",
			doc: "The secret of a webhook is shown this once. Names are unique: sent again it is refused (422).",
		}, func(c *call, in struct {
			Body subscriptionInput `body:"json"`
		}) (madeSubscription, error) {
			b := in.Body
			n := admin.NoticeInput{Name: &b.Name, Kind: b.Kind, Classes: b.Classes, Mail: b.To, Names: &b.Names}
			if b.URL != "" {
				n.URL = &b.URL
			}
			if b.Quiet != "" {
				n.Quiet = &b.Quiet
			}
			made, secret, err := c.api.o.Notices.Add(c.ctx, c.scope(), n, c.event())
			if err != nil {
				return madeSubscription{}, err
			}
			out, err := taggedSubscription(c, made)
			return madeSubscription{out, secret}, err
		}),
		serves(operation{
			id: "changeNotice", method: http.MethodPatch, path: "/notices/{name}", area: area, scope: admin.NoticesWrite,
			edits: true, summary: "Change a subscription to notices",
			doc: "What is left out stays. What waits for it is tried at once.",
		}, func(c *call, in struct {
			subscriptionName
			Body subscriptionPatchInput `body:"json"`
		}) (madeSubscription, error) {
			b := in.Body
			changed, secret, err := c.api.o.Notices.SetIf(c.ctx, c.scope(), in.Name, c.isSubscription,
				admin.NoticeInput{Name: b.Name, Classes: b.Classes, URL: b.URL, Mail: b.To, Names: b.Names, Quiet: b.Quiet,
					NewSecret: b.NewSecret}, c.event())
			if err != nil {
				return madeSubscription{}, err
			}
			out, err := taggedSubscription(c, changed)
			return madeSubscription{out, secret}, err
		}),
		serves(operation{
			id: "deleteNotice", method: http.MethodDelete, path: "/notices/{name}", area: area, scope: admin.NoticesWrite,
			edits: true, summary: "Remove a subscription to notices", doc: "What waits for it is not sent any more.",
		}, func(c *call, in subscriptionName) (none, error) {
			return none{}, c.api.o.Notices.RemoveIf(c.ctx, c.scope(), in.Name, c.isSubscription, c.event())
		}),
		serves(operation{
			id: "testNotice", method: http.MethodPost, path: "/notices/{name}/test", area: area, scope: admin.NoticesWrite,
			summary: "Send a test to a subscription at once", doc: "In quiet hours too. The answer waits for the receiver's.",
		}, func(c *call, in subscriptionName) (testAnswer, error) {
			answer, err := c.api.o.Notices.Test(c.ctx, c.scope(), in.Name)
			return testAnswer{answer}, err
		}),
		serves(operation{
			id: "listDeliveries", method: http.MethodGet, path: "/notice-deliveries", area: area, scope: admin.NoticesRead,
			summary: "List what became of the notices of the last 30 days", doc: "The newest first.",
		}, func(c *call, in struct {
			paged
			Name        string `query:"name" maxlen:"60" doc:"Only of this subscription."`
			Undelivered bool   `query:"undelivered" doc:"true: only those that were given up or never sent."`
		}) (list[noticeDelivery], error) {
			f := admin.DeliveryFilter{Name: in.Name, Undelivered: in.Undelivered, Limit: in.size() + 1}
			if err := c.from(in.paged, &f.Before); err != nil {
				return list[noticeDelivery]{}, err
			}
			rows, err := c.api.o.Notices.Deliveries(c.ctx, c.scope(), f)
			if err != nil {
				return list[noticeDelivery]{}, err
			}
			return pageOf(c, in.paged, rows, deliveryOf, func(d admin.NoticeDelivery) any { return d.Key() })
		}),
		serves(operation{
			id: "resendNotices", method: http.MethodPost, path: "/notices/{name}/resend", area: area,
			scope: admin.NoticesWrite, keyed: true, act: "notices-resend", summary: "Send notices to a subscription once more",
			doc: "Name them by their numbers, or give undelivered=true for those that were given up or never sent, the oldest " +
				"first, until 1,000 wait. They are tried at once, and for three days again. The receiver knows each by the id " +
				"that it had.",
		}, func(c *call, in struct {
			subscriptionName
			Body resendInput `body:"json"`
		}) (resentNotices, error) {
			if in.Body.Undelivered == (len(in.Body.Notices) > 0) {
				return resentNotices{}, invalid([]fault{{"notices", "it is not said which notices are meant",
					"give notices, or undelivered=true"}})
			}
			if n, err := strconv.Atoi(c.made); err == nil {
				return resentNotices{n}, nil // by a process that has died since
			}
			n, err := c.api.o.Notices.Resend(c.ctx, c.scope(), in.Name, in.Body.Notices, c.event())
			return resentNotices{n}, err
		}),
	}
}
