package notices

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/idp/fetch"
	"ssobridge/store"
)

// letters are what people read of what happened to their second factors. None has a link: a mail that asks to follow
// one is what thieves send.
var letters = map[store.NoticeClass]string{
	store.NoticeFactorAdded:   "A second factor was added to your account",
	store.NoticeFactorRemoved: "A second factor was removed from your account",
	store.NoticeFactorReset:   "The second factors of your account were reset",
	store.NoticeTest:          "This is a test",
}

// nobody is the answer where there is nobody to send to: it is as good as sent, since no later try would do better.
func nobody(why string) answer { return answer{fetch.Answer{Status: 200, Body: why}} }

// mailPerson sends a mail to the person whom a notice is about.
func (e *Engine) mailPerson(ctx context.Context, m message) (answer, error) {
	i := m.Items[0]
	if e.o.Mail == nil || e.o.MailOf == nil {
		return answer{}, errors.New("no mail server is configured: notices.smtp.host")
	}
	what, ok := letters[i.notice.Class]
	if !ok || i.notice.Class == store.NoticeTest {
		return nobody("not sent: it is about no person"), nil
	}
	to, err := e.o.MailOf(ctx, store.PersonID(i.Data.Subject))
	if err != nil {
		return answer{}, fmt.Errorf("look up the person's mail address in the directory: %w", err)
	}
	if to == "" {
		return nobody("not sent: the person has no mail address in the directory"), nil
	}
	text := fmt.Sprintf("%s at %s.\n\nWhen: %s\n\nIf this was you, there is nothing to do. If it was not, tell the "+
		"administrators at once, by a way that you know. This mail has no link on purpose.\n", what, e.o.Bridge,
		i.Time.Format("2 Jan 2006 15:04 MST"))
	if err := e.o.Mail(ctx, Letter{To: []string{to}, ID: m.ID, Date: m.At, Subject: e.o.Bridge + ": " + what,
		Text: text}); err != nil {
		return answer{}, err
	}
	return mailed, nil
}
