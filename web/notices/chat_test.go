package notices_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// hostile is what somebody may write into an id that is shown.
const hostile = "<!channel> *bold* [x](https://evil.test) <https://evil.test|click> `code` & _em_"

// A chat gets a text in which nothing from outside is a link, a mention or a format; its address is shown nowhere (rows
// NTC-04, NTC-06).
func TestChats(t *testing.T) {
	to := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(q.URL.Path, "teams") {
			w.WriteHeader(http.StatusAccepted)
		}
		fmt.Fprint(w, "ok")
	})
	r := newRig(t, to)
	for _, kind := range []string{admin.NoticeSlack, admin.NoticeTeams} {
		url := to.URL + "/services/" + kind + "/SECRET?sig=SECRET"
		r.add(kind, kind, admin.NoticeInput{URL: &url}, "*")
	}
	r.happens(store.NoticeRecord{Class: store.NoticeUserConflict, Subject: hostile, Account: "a1"})
	r.look()
	all := to.all()
	if len(all) != 2 {
		t.Fatalf("%d messages", len(all))
	}
	for _, m := range all {
		p := payload(t, m.body)
		switch {
		case strings.Contains(m.path, "slack"):
			text := p["text"].(string)
			rest, found := strings.CutSuffix(text, "<https://sso.example.test/admin/accounts/of/a1|Open the console>")
			if !found || strings.ContainsAny(rest, "<>`") || strings.Contains(rest, "*bold*") ||
				!strings.HasPrefix(text, "*A user could not be created: it exists already*\n") {
				t.Errorf("slack %q", text)
			}
		default:
			card := p["attachments"].([]any)[0].(map[string]any)["content"].(map[string]any)
			facts := fmt.Sprint(card["body"].([]any)[1])
			if card["type"] != "AdaptiveCard" || strings.Contains(facts, "[x](") || !strings.Contains(facts, `\[x\]\(`) ||
				!strings.Contains(fmt.Sprint(card["actions"]), "/admin/accounts/of/a1") {
				t.Errorf("teams %s", m.body)
			}
		}
	}
	for _, kind := range []string{admin.NoticeSlack, admin.NoticeTeams} {
		if s := r.subscription(kind); strings.Contains(fmt.Sprint(s.Target, s.Answer), "SECRET") ||
			strings.Contains(string(s.Sealed),
				"SECRET") || !strings.HasPrefix(s.Target, "https://127.0.0.1:") {
			t.Errorf("shown as %q", s.Target)
		}
		if d := r.deliveries(kind)[0]; d.State != "sent" || strings.Contains(d.Answer, "SECRET") {
			t.Errorf("delivery %+v", d)
		}
	}
	// Nor is it where the receiver is not reached.
	to.Close()
	r.happens(store.NoticeRecord{Class: store.NoticeUserConflict})
	r.now.pass(time.Minute)
	r.look()
	for _, kind := range []string{admin.NoticeSlack, admin.NoticeTeams} {
		if d := r.deliveries(kind)[0]; d.State != "waiting" || strings.Contains(d.Answer, "SECRET") || d.Answer == "" {
			t.Errorf("delivery %+v", d)
		}
	}
}

// Many notices are one message for people, with the first of them.
func TestChatDigest(t *testing.T) {
	to := newReceiver(t, nil)
	r := newRig(t, to)
	quiet := "11:00-13:00"
	for _, kind := range []string{admin.NoticeSlack, admin.NoticeTeams} {
		url := to.URL + "/" + kind
		r.add(kind, kind, admin.NoticeInput{URL: &url, Quiet: &quiet}, "*")
	}
	for i := range 30 {
		r.happens(store.NoticeRecord{Class: store.NoticeUserConflict, Subject: fmt.Sprint("p", i)})
	}
	r.look()
	r.now.pass(time.Hour)
	r.look()
	all := to.all()
	if len(all) != 2 {
		t.Fatalf("%d messages", len(all))
	}
	for _, m := range all {
		text := string(m.body)
		if !strings.Contains(text, "30 notices") || !strings.Contains(text, "and 10 more") || !strings.Contains(text,
			"about p19") ||
			strings.Contains(text, "p20") {
			t.Errorf("%s: %s", m.path, text)
		}
	}
}
