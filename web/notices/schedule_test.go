package notices_test

import (
	"fmt"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
	"ssobridge/web/notices"
)

// A receiver gets at most 20 messages an hour. What waits then comes as one message that has all of it
// (row NTC-07).
func TestDigest(t *testing.T) {
	to := newReceiver(t, nil)
	r := newRig(t, to)
	r.webhook("billing", to, "user.created")
	for i := range 150 {
		r.happens(store.NoticeRecord{Class: store.NoticeUserCreated, Subject: fmt.Sprint("p", i)})
	}
	r.look()
	if n := len(to.all()); n != 20 {
		t.Fatalf("%d messages, want 20", n)
	}
	r.now.pass(59 * time.Minute)
	r.look()
	if n := len(to.all()); n != 20 {
		t.Fatalf("%d messages within the hour, want 20", n)
	}
	r.now.pass(time.Minute)
	r.look()
	all := to.all()
	if len(all) != 22 {
		t.Fatalf("%d messages, want one of 100 notices and one of 30 more", len(all))
	}
	seen := map[any]bool{}
	for _, m := range all {
		p := payload(t, m.body)
		items := []any{p}
		if p["type"] == "digest" {
			items = p["data"].(map[string]any)["notices"].([]any)
			if p["id"] != m.id() {
				t.Errorf("id %v in %s", p["id"], m.id())
			}
		}
		for _, i := range items {
			seen[i.(map[string]any)["data"].(map[string]any)["subject"]] = true
		}
	}
	if len(seen) != 150 {
		t.Errorf("%d notices arrived, want 150", len(seen))
	}
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated, Subject: "later"})
	r.look()
	if all := to.all(); len(all) != 23 || payload(t, all[22].body)["type"] != "user.created" {
		t.Errorf("%d messages; a later notice comes by itself", len(all))
	}
}

// In quiet hours nothing comes, and afterwards all of it at once.
func TestQuietHours(t *testing.T) {
	to := newReceiver(t, nil)
	r := newRig(t, to) // at 12:00
	url, quiet := to.URL, "11:00-13:30"
	r.add("noon", admin.NoticeWebhook, admin.NoticeInput{URL: &url, Quiet: &quiet}, "*")
	night := "22:00-06:00"
	r.add("night", admin.NoticeWebhook, admin.NoticeInput{URL: &url, Quiet: &night}, "*")
	r.happens(store.NoticeRecord{Class: store.NoticeUserCreated}, store.NoticeRecord{Class: store.NoticePlanDone})
	r.look()
	if n := len(to.all()); n != 2 {
		t.Fatalf("%d messages at noon, want the two of the night's", n)
	}
	r.now.pass(89 * time.Minute)
	r.look()
	r.now.pass(time.Minute)
	r.look()
	if all := to.all(); len(all) != 3 || payload(t, all[2].body)["type"] != "digest" {
		t.Fatalf("%d messages after noon", len(all))
	}
	for _, c := range []struct {
		at   string
		want int
	}{{"22:00", 0}, {"23:59", 0}, {"05:59", 0}, {"06:00", 1}, {"21:59", 1}} {
		at, err := time.Parse("15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		to := newReceiver(t, nil)
		r := newRig(t, to)
		r.now.pass(time.Duration(at.Hour()*60+at.Minute()-12*60+24*60) * time.Minute)
		r.add("night", admin.NoticeWebhook, admin.NoticeInput{URL: &to.URL, Quiet: &night}, "*")
		r.happens(store.NoticeRecord{Class: store.NoticeUserCreated})
		r.look()
		if n := len(to.all()); n != c.want {
			t.Errorf("%d messages at %s, want %d", n, c.at, c.want)
		}
	}
}

// Two replicas deliver each notice once (row NTC-03).
func TestReplicasDeliverOnce(t *testing.T) {
	to := newReceiver(t, nil)
	r := newRig(t, to)
	r.webhook("a", to, "user.created")
	r.webhook("b", to, "user.created")
	o := r.o
	o.Holder = "replica-2"
	other := notices.New(o)
	for i := range 10 {
		r.happens(store.NoticeRecord{Class: store.NoticeUserCreated, Subject: fmt.Sprint("p", i)})
		done := make(chan error, 2)
		for _, e := range []*notices.Engine{r.engine, other} {
			go func() {
				err := e.Look(t.Context())
				e.Wait()
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	r.look()
	count := map[string]int{}
	for _, m := range to.all() {
		count[m.path+" "+m.id()]++
	}
	if len(count) != 20 {
		t.Errorf("%d of 20 notices arrived", len(count))
	}
	for id, n := range count {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}
