package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// The kinds of receivers of notices.
const (
	NoticeWebhook = "webhook" // a program, by Standard Webhooks
	NoticeMail    = "mail"    // mail addresses
	NoticeSlack   = "slack"   // an incoming webhook of Slack
	NoticeTeams   = "teams"   // a Workflows webhook of Teams
	NoticePeople  = "people"  // by mail, whoever a notice is about
)

// NoticeKinds are all of them.
func NoticeKinds() []string {
	return []string{NoticeWebhook, NoticeMail, NoticeSlack, NoticeTeams, NoticePeople}
}

const (
	// NoticeSecretPrefix begins the secret of a webhook (Standard Webhooks, "Signature scheme").
	NoticeSecretPrefix = "whsec_"
	noticeSecretBytes  = 32
	// formerLife is how long the secret before goes on signing beside a new one.
	formerLife     = 24 * time.Hour
	maxNoticeName  = 60
	maxReceivers   = 20
	maxClasses     = 40
	givenUpShown   = 24 * time.Hour
	minutesOfADay  = 24 * 60
	noticesFinding = "notices"
)

// NoticeTarget is where the notices of a subscription go, and by which secrets. It is stored sealed.
type NoticeTarget struct {
	URL         string    `json:"url,omitempty"`
	Mail        []string  `json:"mail,omitempty"`
	Secret      string    `json:"secret,omitempty"` // of a webhook
	Former      string    `json:"former,omitempty"` // signs as well, until FormerUntil
	FormerUntil time.Time `json:"former_until,omitzero"`
}

// Notices is what can be done with subscriptions to notices. They are about all client accounts, so that everything
// here takes a scope of all.
type Notices struct {
	Store  *store.DB
	Sealer *certs.Sealer
	Now    func() time.Time
	// Check tells what is wrong with an address that holds a secret.
	Check func(address string) error
	Mails bool // a mail server is configured
	// Try sends a test at once, and returns what the receiver answered.
	Try func(ctx context.Context, s store.Subscription) (string, error)
}

// NoticeSubscription is a subscription as it may be shown.
type NoticeSubscription struct {
	store.Subscription

	Version     string    // names all that can be changed, also what is not shown
	Target      string    // where it goes, without what is secret
	Rolling     time.Time // until when the secret before signs as well; zero: none does
	Waiting     int       // notices
	WaitingMore bool      // as many wait as may
	Unreadable  bool      // no known secret key opens where it goes
}

// NoticeInput is a new subscription, or what changes at one: nil fields stay as they are.
type NoticeInput struct {
	Name      *string
	Kind      string // of a new one
	Classes   []string
	URL       *string
	Mail      []string
	Names     *bool
	Quiet     *string // FROM-UNTIL in UTC, such as 22:00-06:00; "none"
	NewSecret bool    // of a webhook
}

// List lists all subscriptions, by name.
func (n Notices) List(ctx context.Context, s Scope) ([]NoticeSubscription, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	list, err := n.Store.Notices().Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]NoticeSubscription, 0, len(list))
	for _, sub := range list {
		shown := n.shown(sub)
		if shown.Waiting, err = n.Store.Notices().Waiting(ctx, sub.ID); err != nil {
			return nil, err
		}
		if shown.WaitingMore = shown.Waiting >= store.NoticesWaiting; shown.WaitingMore {
			shown.Waiting = store.NoticesWaiting
		}
		all = append(all, shown)
	}
	return all, nil
}

func (n Notices) shown(sub store.Subscription) NoticeSubscription {
	// What is sealed differs with each change, and tells nothing of the address.
	shown := NoticeSubscription{Subscription: sub, Version: seenValues(sub.ID, sub.Name, sub.Classes, sub.Sealed,
		sub.Names, sub.QuietFrom, sub.QuietUntil)}
	t, err := n.Open(sub)
	if err != nil {
		shown.Unreadable = true
		return shown
	}
	shown.Target = t.shown(sub.Kind)
	if t.Former != "" && n.Now().Before(t.FormerUntil) {
		shown.Rolling = t.FormerUntil
	}
	return shown
}

// shown is a target without what is secret: of an address that is itself a secret its host alone.
func (t NoticeTarget) shown(kind string) string {
	switch kind {
	case NoticeMail:
		return strings.Join(t.Mail, ", ")
	case NoticePeople:
		return "the person's mail address in the directory"
	}
	u, err := url.Parse(t.URL)
	if err != nil {
		return ""
	}
	if kind == NoticeWebhook && strings.Trim(u.EscapedPath(), "/") == "" && u.RawQuery == "" {
		return u.Scheme + "://" + u.Host + "/"
	}
	// Many receivers, chats before all, know who may write by nothing but the path.
	return u.Scheme + "://" + u.Host + "/…"
}

// Open returns where a subscription's notices go.
func (n Notices) Open(sub store.Subscription) (t NoticeTarget, err error) {
	plain, err := n.Sealer.Open(sub.Sealed, noticeContext(sub.ID, sub.Kind))
	if err != nil {
		return t, fmt.Errorf("open the subscription %s: %w", sub.ID, err)
	}
	if err := json.Unmarshal(plain, &t); err != nil {
		return t, fmt.Errorf("read the subscription %s: %w", sub.ID, err)
	}
	return t, nil
}

// noticeContext binds a sealed target to its row and kind: who writes the database can't move one, nor have a secret
// address shown as that of another kind.
func noticeContext(id, kind string) string { return "notice-subscription:" + kind + ":" + id }

// Get finds a subscription by its name.
func (n Notices) Get(ctx context.Context, s Scope, name string) (NoticeSubscription, error) {
	sub, err := n.find(ctx, s, name)
	if err != nil {
		return NoticeSubscription{}, err
	}
	return n.shown(sub), nil
}

func (n Notices) find(ctx context.Context, s Scope, name string) (store.Subscription, error) {
	if err := s.whole(); err != nil {
		return store.Subscription{}, err
	}
	list, err := n.Store.Notices().Subscriptions(ctx)
	if err != nil {
		return store.Subscription{}, err
	}
	name = store.TrimTyped(name)
	i := slices.IndexFunc(list, func(sub store.Subscription) bool { return sub.Name == name })
	if i < 0 {
		return store.Subscription{}, &Error{Kind: Missing, Field: "name", Act: ListNotices,
			Fault: fmt.Sprintf("there is no subscription %.80q", name)}
	}
	return list[i], nil
}

// Add adds a subscription. secret is that of a new webhook, which is never shown again; "" for other kinds.
func (n Notices) Add(ctx context.Context, s Scope, in NoticeInput, e store.Event) (added NoticeSubscription,
	secret string, err error) {
	if err := s.whole(); err != nil {
		return added, "", err
	}
	if !slices.Contains(NoticeKinds(), in.Kind) {
		return added, "", &Error{Field: "kind", Fault: fmt.Sprintf("%.40q is no kind of receiver", in.Kind),
			Hint: "give one of " + strings.Join(NoticeKinds(), ", ")}
	}
	if in.Name == nil {
		in.Name = new(string)
	}
	if in.Classes == nil {
		in.Classes = []string{}
	}
	sub := store.Subscription{ID: strings.ToLower(rand.Text()), Kind: in.Kind}
	var t NoticeTarget
	if in.Kind == NoticeWebhook {
		in.NewSecret = true
	}
	if err := n.apply(&sub, &t, in); err != nil {
		return added, "", err
	}
	if sub.Sealed, err = n.seal(sub, t); err != nil {
		return added, "", err
	}
	e.Action, e.Subject = "notices-add", sub.Name
	e.Detail = store.DetailOf(map[string]any{"kind": sub.Kind, "classes": sub.Classes})
	switch err := n.Store.Notices().Subscribe(ctx, sub, e); {
	case errors.Is(err, store.ErrConflict):
		return added, "", nameTaken(sub.Name, err)
	case errors.Is(err, store.ErrManySubscriptions):
		return added, "", &Error{Fault: fmt.Sprintf("there are %d subscriptions, and can be no more", store.MaxSubscriptions),
			Hint: "remove one that nobody needs", Err: err}
	case err != nil:
		return added, "", err
	}
	return n.shown(sub), t.Secret, nil
}

func nameTaken(name string, err error) error {
	return &Error{Field: "name", Fault: fmt.Sprintf("there is a subscription %.80q", name), Hint: "give another name",
		Err: err}
}

// Set changes a subscription. secret is the new one of a webhook, where one was asked for; the one before signs as well
// for a day.
func (n Notices) Set(ctx context.Context, s Scope, name string, in NoticeInput, e store.Event) (
	changed NoticeSubscription, secret string, err error) {
	return n.SetIf(ctx, s, name, nil, in, e)
}

// SetIf is Set of one that is as is demands, whose error is returned. What was looked at is what the store compares
// when it changes it.
func (n Notices) SetIf(ctx context.Context, s Scope, name string, is func(NoticeSubscription) error, in NoticeInput,
	e store.Event) (changed NoticeSubscription, secret string, err error) {
	was, err := n.find(ctx, s, name)
	if err != nil {
		return changed, "", err
	}
	if is != nil {
		if err := is(n.shown(was)); err != nil {
			return changed, "", err
		}
	}
	t, err := n.Open(was)
	if err != nil {
		return changed, "", &Error{Field: "name", Err: err, Fault: "where it goes can't be opened by any known secret key",
			Hint: "remove it, and add it again"}
	}
	sub := was
	if err := n.apply(&sub, &t, in); err != nil {
		return changed, "", err
	}
	if sub.Sealed, err = n.seal(sub, t); err != nil {
		return changed, "", err
	}
	e.Action, e.Subject = "notices-set", sub.Name
	e.Detail = store.DetailOf(map[string]any{"was": was.Name, "classes": sub.Classes, "address": in.URL != nil ||
		in.Mail != nil, "new_secret": in.NewSecret})
	if err := n.Store.Notices().SetSubscription(ctx, was, sub, e); errors.Is(err, store.ErrConflict) {
		if sub.Name != was.Name {
			return changed, "", nameTaken(sub.Name, err)
		}
		return changed, "", subscriptionChanged(err)
	} else if err != nil {
		return changed, "", err
	}
	if in.NewSecret {
		secret = t.Secret
	}
	return n.shown(sub), secret, nil
}

// seal seals a target for its subscription.
func (n Notices) seal(sub store.Subscription, t NoticeTarget) ([]byte, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode a subscription to notices: %w", err)
	}
	return n.Sealer.Seal(plain, noticeContext(sub.ID, sub.Kind))
}

// Remove removes a subscription with all that waits for it.
func (n Notices) Remove(ctx context.Context, s Scope, name string, e store.Event) error {
	return n.RemoveIf(ctx, s, name, nil, e)
}

// RemoveIf is Remove of one that is as is demands, whose error is returned.
func (n Notices) RemoveIf(ctx context.Context, s Scope, name string, is func(NoticeSubscription) error,
	e store.Event) error {
	sub, err := n.find(ctx, s, name)
	if err != nil {
		return err
	}
	if is != nil {
		if err := is(n.shown(sub)); err != nil {
			return err
		}
	}
	e.Action, e.Subject = "notices-remove", sub.Name
	err = n.Store.Notices().Unsubscribe(ctx, sub, e)
	if errors.Is(err, store.ErrConflict) {
		return subscriptionChanged(err)
	}
	return err
}

// IsVersion demands of a subscription that it is as it was when its Version was read.
func IsVersion(version string) func(NoticeSubscription) error {
	return func(n NoticeSubscription) error {
		if n.Version != version {
			return subscriptionChanged(nil)
		}
		return nil
	}
}

func subscriptionChanged(err error) error {
	return &Error{Kind: Changed, Fault: "the subscription was changed by somebody else meanwhile", Act: ListNotices,
		Err: err}
}

// Test sends a test to a subscription at once, and returns what its receiver answered. It is sent in quiet hours too.
func (n Notices) Test(ctx context.Context, s Scope, name string) (answer string, err error) {
	sub, err := n.find(ctx, s, name)
	if err != nil {
		return "", err
	}
	answer, err = n.Try(ctx, sub)
	if err != nil {
		return "", &Error{Kind: Outside, Fault: "the test did not arrive: " + err.Error(), Err: err,
			Hint: "compare the address with what the receiver's administrator gave"}
	}
	return answer, nil
}

// NoticeDelivery is what became of a notice at a subscription.
type NoticeDelivery struct {
	store.DeliveryRecord

	To string // the subscription's name
}

// Place names a delivery in the list, for the page behind it.
func (d NoticeDelivery) Place() string { return fmt.Sprintf("%d/%s", d.ID, d.Subscription) }

// ParseDeliveryPlace reads what Place has written.
func ParseDeliveryPlace(text string) (k store.DeliveryKey, err error) {
	id, subscription, _ := strings.Cut(text, "/")
	k.Notice, err = strconv.ParseInt(id, 10, 64)
	if err != nil || k.Notice < 1 || subscription == "" || len(subscription) > maxNoticeName {
		return store.DeliveryKey{}, &Error{Field: "older", Fault: fmt.Sprintf("%.80q is no place in the list", text),
			Hint: "give that of the last line of the page before", Err: err}
	}
	return k, nil
}

// DeliveryFilter chooses deliveries; zero fields do not filter.
type DeliveryFilter struct {
	Name        string // of the subscription
	Undelivered bool   // those that were given up or dropped
	Before      store.DeliveryKey
	Limit       int // 1 to 1000
}

// Deliveries lists what became of notices of the last 30 days, the newest first.
func (n Notices) Deliveries(ctx context.Context, s Scope, f DeliveryFilter) ([]NoticeDelivery, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return nil, &Error{Field: "limit", Fault: fmt.Sprintf("is %d", f.Limit), Hint: "give a number from 1 to 1000"}
	}
	filter := store.DeliveryFilter{Undelivered: f.Undelivered, Before: f.Before, Limit: f.Limit}
	list, err := n.Store.Notices().Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, sub := range list {
		names[sub.ID] = sub.Name
	}
	if f.Name != "" {
		sub, err := n.find(ctx, s, f.Name)
		if err != nil {
			return nil, err
		}
		filter.Subscription = sub.ID
	}
	found, err := n.Store.Notices().Deliveries(ctx, filter)
	if err != nil {
		return nil, err
	}
	all := make([]NoticeDelivery, 0, len(found))
	for _, d := range found {
		all = append(all, NoticeDelivery{d, names[d.Subscription]})
	}
	return all, nil
}

// MaxResend is how many notices can be named to be sent once more.
const MaxResend = 100

// Resend has notices sent to a subscription once more: those of these numbers, or without any those that were given up
// or dropped, the oldest first and no more than may wait. It returns how many. Each has the id that it had.
func (n Notices) Resend(ctx context.Context, s Scope, name string, notices []int64, e store.Event) (int, error) {
	sub, err := n.find(ctx, s, name)
	if err != nil {
		return 0, err
	}
	if len(notices) > MaxResend {
		return 0, &Error{Field: "notices", Fault: fmt.Sprintf("there are %d", len(notices)),
			Hint: fmt.Sprintf("give at most %d at a time", MaxResend)}
	}
	e.Action = "notices-resend"
	count, err := n.Store.Notices().Resend(ctx, sub.ID, notices, e)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, &Error{Kind: Missing, Field: "name", Act: ListNotices, Err: err,
			Fault: fmt.Sprintf("there is no subscription %.80q", sub.Name)}
	case err != nil:
		return 0, err
	case count == 0 && len(notices) > 0:
		return 0, &Error{Kind: Missing, Field: "notices", Act: ListDeliveries, About: sub.Name,
			Fault: fmt.Sprintf("no notice of these numbers went to %s within 30 days, or %d wait for it already", sub.Name,
				store.NoticesWaiting)}
	}
	return count, nil
}

// notices says whether notices arrive.
func (s Status) notices(ctx context.Context) []Finding {
	list, err := s.Store.Notices().Subscriptions(ctx)
	if err != nil {
		return []Finding{found(noticesFinding, err)}
	}
	var all []Finding
	last, now := time.Time{}, s.Now()
	add := func(sub store.Subscription, detail string) {
		all = append(all, Finding{Name: noticesFinding + " to " + sub.Name, Level: Warning, Act: ListDeliveries,
			About:  sub.Name,
			Detail: detail})
	}
	for _, sub := range list {
		if sub.SentAt.After(last) {
			last = sub.SentAt
		}
		switch {
		case now.Sub(sub.DeadAt) < givenUpShown:
			add(sub, "some were given up after three days; the last answer: "+plaintext.Line(sub.Answer, 200))
		case now.Sub(sub.DroppedAt) < givenUpShown:
			add(sub, fmt.Sprintf("more than %d were waiting, and newer ones are not delivered", store.NoticesWaiting))
		case sub.Failures >= 3:
			add(sub, fmt.Sprintf("the last %d tries failed; the last answer: %s", sub.Failures,
				plaintext.Line(sub.Answer, 200)))
		}
	}
	if len(all) > 0 || len(list) == 0 {
		return all
	}
	detail := plaintext.Count(len(list), "subscription", "subscriptions")
	if !last.IsZero() {
		detail += ", the last notice arrived at " + plaintext.Minute(last)
	}
	return []Finding{{Name: noticesFinding, Detail: detail}}
}
