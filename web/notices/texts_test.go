package notices_test

import (
	"os"
	"strings"
	"testing"

	"ssobridge/internal/plainenglish"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// Each class has a sentence of its own for people, in plain English, and a row in the document.
func TestEachClassHasATitle(t *testing.T) {
	r := newRig(t)
	document, err := os.ReadFile("../../docs/notices.md")
	if err != nil {
		t.Fatal(err)
	}
	r.add("all", admin.NoticeMail, admin.NoticeInput{Mail: []string{"a@example.test"}}, "*")
	seen := map[string]store.NoticeClass{}
	for _, c := range store.NoticeClasses() {
		r.mails = nil
		r.happens(store.NoticeRecord{Class: c, Subject: "p1"})
		r.now.pass(3 * 60 * 60 * 1e9)
		r.look()
		if len(r.mails) != 1 {
			t.Fatalf("%s: %d mails", c, len(r.mails))
		}
		title := strings.TrimPrefix(r.mails[0].Subject, "Example sign-in: ")
		if strings.HasPrefix(title, "Notice of class") || seen[title] != "" {
			t.Errorf("%s has the title %q, as %q", c, title, seen[title])
		}
		seen[title] = c
		if word := plainenglish.Fault(r.mails[0].Text); word != "" {
			t.Errorf("%s: the word %q in %q", c, word, r.mails[0].Text)
		}
		if !strings.Contains(string(document), "`"+string(c)+"`") {
			t.Errorf("docs/notices.md does not name %s", c)
		}
	}
}
