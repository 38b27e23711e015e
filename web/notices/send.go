package notices

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp/fetch"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// send sends one message, and returns its id and what was answered.
func (e *Engine) send(ctx context.Context, c store.Claimed, due []store.Due) (id string, a answer, err error) {
	target, err := e.o.Open(c.Subscription)
	if err != nil {
		return "", a, errors.New("where it goes can't be opened by any known secret key")
	}
	m, err := e.compose(ctx, c, due)
	if err != nil {
		return "", a, err
	}
	switch c.Kind {
	case admin.NoticeWebhook:
		a, err = e.webhook(ctx, target, m)
	case admin.NoticeSlack:
		a, err = e.postJSON(ctx, target.URL, slack(m))
	case admin.NoticeTeams:
		a, err = e.postJSON(ctx, target.URL, teams(m))
	case admin.NoticeMail:
		a, err = e.mail(ctx, target.Mail, m)
	case admin.NoticePeople:
		a, err = e.mailPerson(ctx, m)
	default:
		err = fmt.Errorf("its kind %.20q is not known to this version", c.Kind)
	}
	return m.ID, a, err
}

// webhook posts a message by Standard Webhooks: its id, the time of this try and a signature over both and the body. It
// is signed by the secret before too, while that is rolled over.
func (e *Engine) webhook(ctx context.Context, t admin.NoticeTarget, m message) (answer, error) {
	body, err := m.payload()
	if err != nil {
		return answer{}, err
	}
	now := e.o.Now()
	at := strconv.FormatInt(now.Unix(), 10)
	signatures := []string{signature(t.Secret, m.ID, at, body)}
	if t.Former != "" && now.Before(t.FormerUntil) {
		signatures = append(signatures, signature(t.Former, m.ID, at, body))
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Webhook-Id", m.ID)
	header.Set("Webhook-Timestamp", at)
	header.Set("Webhook-Signature", strings.Join(signatures, " "))
	got, err := e.o.Post(ctx, t.URL, header, body)
	return answer{got}, err
}

// signature is a version 1 signature of Standard Webhooks.
func signature(secret, id, at string, body []byte) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, admin.NoticeSecretPrefix))
	if err != nil {
		key = []byte(secret) // it was not made by us; a receiver refuses it
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (e *Engine) postJSON(ctx context.Context, address string, v any) (answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, fmt.Errorf("encode a notice: %w", err)
	}
	got, err := e.o.Post(ctx, address, http.Header{"Content-Type": {"application/json"}}, body)
	return answer{got}, err
}

// slackEscape leaves nothing that Slack takes for a mention, a link or a format of its own.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "∗", "_", "_\u200b", "~", "∼",
	"`", "ʼ").Replace

// slack is a message for an incoming webhook of Slack.
func slack(m message) any {
	text := "*" + m.heading() + "*\n" + m.text(slackEscape)
	if link := m.Items[0].Data.Link; link != "" {
		text += "<" + slackEscapeURL(link) + "|Open the console>"
	}
	return map[string]any{"text": text, "unfurl_links": false, "unfurl_media": false}
}

// slackEscapeURL keeps an address within its brackets.
var slackEscapeURL = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace

// markdownEscape leaves nothing that an Adaptive Card takes for Markdown.
var markdownEscape = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`,
	"#", `\#`, "`", "\\`", "<", `\<`, ">", `\>`, "&", "&amp;", "~", `\~`, "!", `\!`).Replace

// teams is a message for a Workflows webhook of Teams, with an Adaptive Card.
func teams(m message) any {
	body := []any{map[string]any{"type": "TextBlock", "text": m.heading(), "weight": "Bolder", "size": "Medium",
		"wrap": true}}
	if len(m.Items) == 1 {
		facts := []any{}
		for _, l := range m.Items[0].lines() {
			facts = append(facts, map[string]any{"title": l.name, "value": markdownEscape(l.value)})
		}
		body = append(body, map[string]any{"type": "FactSet", "facts": facts})
	} else {
		for text := range strings.Lines(m.text(markdownEscape)) {
			body = append(body, map[string]any{"type": "TextBlock", "text": strings.TrimSpace(text), "wrap": true})
		}
	}
	card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
		"version": "1.4", "body": body}
	if link := m.Items[0].Data.Link; link != "" {
		card["actions"] = []any{map[string]any{"type": "Action.OpenUrl", "title": "Open the console", "url": link}}
	}
	return map[string]any{"type": "message", "attachments": []any{map[string]any{
		"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}}
}

// Letter is a mail to send. Its texts are plain.
type Letter struct {
	To      []string
	ID      string // for its Message-ID: the same each time that it is sent
	Date    time.Time
	Subject string
	Text    string
}

// mailed is the answer of a mail server that took a mail.
var mailed = answer{fetch.Answer{Status: 250, Body: ""}}

func (e *Engine) mail(ctx context.Context, to []string, m message) (answer, error) {
	if e.o.Mail == nil {
		return answer{}, errors.New("no mail server is configured: notices.smtp.host")
	}
	text := m.heading() + ".\n\n" + m.text(func(s string) string { return s })
	if link := m.Items[0].Data.Link; link != "" {
		text += "\n" + link + "\n"
	}
	if err := e.o.Mail(ctx, Letter{To: to, ID: m.ID, Date: m.At, Subject: e.o.Bridge + ": " + m.heading(),
		Text: text}); err != nil {
		return answer{}, err
	}
	return mailed, nil
}
