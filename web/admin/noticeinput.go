package admin

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// apply checks what is to change, and changes it.
func (n Notices) apply(sub *store.Subscription, t *NoticeTarget, in NoticeInput) error {
	if in.Name != nil {
		name := store.TrimTyped(*in.Name)
		if name == "" || len(name) > maxNoticeName || plaintext.Line(name, maxNoticeName) != name ||
			strings.HasPrefix(name, "-") {
			return &Error{Field: "name", Fault: fmt.Sprintf("%.80q can't be the name of a subscription", name),
				Hint: fmt.Sprintf("give 1 to %d printable characters", maxNoticeName)}
		}
		sub.Name = name
	}
	if in.Classes != nil {
		if err := applyClasses(sub, in.Classes); err != nil {
			return err
		}
	}
	if in.Names != nil {
		sub.Names = *in.Names
	}
	if in.Quiet != nil {
		var err error
		if sub.QuietFrom, sub.QuietUntil, err = parseQuiet(*in.Quiet); err != nil {
			return err
		}
	}
	if err := n.applyTarget(sub.Kind, t, in); err != nil {
		return err
	}
	return n.applySecret(sub.Kind, t, in)
}

func applyClasses(sub *store.Subscription, patterns []string) error {
	hint := "give classes such as " + string(store.NoticeDirectoryDown) + ", a group such as account.*, or * for all"
	classes := []string{}
	for _, p := range patterns {
		p = store.TrimTyped(p)
		if !store.NoticePattern(p) {
			return &Error{Field: "class", Fault: fmt.Sprintf("%.60q is no class of notices", p), Hint: hint}
		}
		if sub.Kind == NoticePeople && !strings.HasPrefix(p, "factor.") {
			return &Error{Field: "class", Fault: fmt.Sprintf("%.60q is about no person's second factors", p),
				Hint: "people get mail of factor.added, factor.removed and factor.reset, or factor.* for all of them"}
		}
		if !slices.Contains(classes, p) {
			classes = append(classes, p)
		}
	}
	if len(classes) == 0 || len(classes) > maxClasses {
		return &Error{Field: "class", Fault: fmt.Sprintf("there are %d classes: want 1 to %d", len(classes), maxClasses),
			Hint: hint}
	}
	sub.Classes = classes
	return nil
}

// applyTarget takes the address that a kind has, and no other.
func (n Notices) applyTarget(kind string, t *NoticeTarget, in NoticeInput) error {
	wantsURL := kind != NoticeMail && kind != NoticePeople
	switch {
	case in.URL != nil && !wantsURL:
		return &Error{Field: "url", Fault: "a receiver of kind " + kind + " has no address of the web"}
	case in.Mail != nil && kind != NoticeMail:
		return &Error{Field: "to", Fault: "a receiver of kind " + kind + " has no mail address of its own"}
	case in.URL != nil:
		address := store.TrimTyped(*in.URL)
		if u, err := url.Parse(address); err == nil && u.Scheme == "http" {
			return &Error{Field: "url", Fault: "its scheme is http, which everybody on the way could read", Hint: "use https"}
		}
		if err := n.Check(address); err != nil {
			return &Error{Field: "url", Fault: err.Error(), Hint: "give the whole address: https://HOST/PATH"}
		}
		t.URL = address
	case in.Mail != nil:
		for i, to := range in.Mail {
			in.Mail[i] = store.TrimTyped(to)
			if a, err := mail.ParseAddress(in.Mail[i]); err != nil || a.Address != in.Mail[i] || len(a.Address) > 254 {
				return &Error{Field: "to", Fault: fmt.Sprintf("%.80q is not a mail address", to),
					Hint: "write it without a name: oncall@example.com"}
			}
		}
		t.Mail = in.Mail
	}
	switch {
	case wantsURL && t.URL == "":
		return &Error{Field: "url", Fault: "is missing", Hint: "give the address that notices are posted to"}
	case kind == NoticeMail && (len(t.Mail) == 0 || len(t.Mail) > maxReceivers):
		return &Error{Field: "to", Fault: fmt.Sprintf("there are %d mail addresses: want 1 to %d", len(t.Mail), maxReceivers),
			Hint: "give the addresses of the receivers"}
	case !wantsURL && !n.Mails:
		return &Error{Field: "kind", Fault: "no mail server is configured", Hint: "set notices.smtp.host and from"}
	}
	return nil
}

func (n Notices) applySecret(kind string, t *NoticeTarget, in NoticeInput) error {
	if !in.NewSecret {
		return nil
	}
	if kind != NoticeWebhook {
		return &Error{Field: "new_secret", Fault: "a receiver of kind " + kind + " has no secret of ours",
			Hint: "have the receiver make a new address, and set that"}
	}
	secret := make([]byte, noticeSecretBytes)
	_, _ = rand.Read(secret) // it never fails
	if t.Secret != "" {
		t.Former, t.FormerUntil = t.Secret, n.Now().Add(formerLife).UTC().Truncate(time.Second)
	}
	t.Secret = NoticeSecretPrefix + base64.StdEncoding.EncodeToString(secret)
	return nil
}

// parseQuiet reads quiet hours such as 22:00-06:00; none: 0, 0.
func parseQuiet(text string) (from, until int, err error) {
	text = store.TrimTyped(text)
	if text == "none" {
		return 0, 0, nil
	}
	fail := &Error{Field: "quiet", Fault: fmt.Sprintf("%.40q are no quiet hours", text),
		Hint: "give two times of the day in UTC, such as 22:00-06:00, or none"}
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, fail
	}
	for i, t := range []string{a, b} {
		at, err := time.Parse("15:04", t)
		if err != nil {
			return 0, 0, fail
		}
		minutes := at.Hour()*60 + at.Minute()
		if i == 0 {
			from = minutes
		} else {
			until = minutes
		}
	}
	if from == until {
		return 0, 0, fail
	}
	return from, until, nil
}

// QuietText is how quiet hours are written; none for none.
func QuietText(s store.Subscription) string {
	if s.QuietFrom == s.QuietUntil {
		return "none"
	}
	at := func(m int) string { m %= minutesOfADay; return fmt.Sprintf("%02d:%02d", m/60, m%60) }
	return at(s.QuietFrom) + "-" + at(s.QuietUntil)
}
