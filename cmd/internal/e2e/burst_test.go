package e2e_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// 200 people sign in for the first time within a second, at the real four calls a second: all get in, in the order of
// their arrival, each with a page that shows their place and how long it takes. People who are known already never see
// that page.
func TestCrowdBurst(t *testing.T) {
	const (
		people = 200
		known  = 10
	)
	s := crowd(t, people+known)
	// More than the bridge makes: on a busy machine calls go out late and bunch, and one that is throttled for that would
	// be created out of order. The bridge's own pace is looked at below.
	s.sandbox.PerSecond, s.sandbox.PerDay = 12, 0
	delete(s.set, "constant_contact.limits.per_second")
	delete(s.set, "constant_contact.limits.per_day")
	w := newWorld(t, s)
	if err := enterAll(t, w.launch(books), logins(people, people+known), known); err != nil {
		t.Fatal(err)
	}
	base := len(w.sandbox.Created())

	var (
		mu    sync.Mutex
		pages = map[string][]string{}
		wg    sync.WaitGroup
	)
	for i := range people {
		wg.Go(func() {
			<-time.After(time.Duration(i) * 5 * time.Millisecond)
			login := directorytest.LoadLogin(i)
			waited, err := newClient(t).enter(w.launch(books), login, 3*time.Minute)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pages[login] = waited
		})
	}
	// Meanwhile those who have their user come and go.
	// 200 people who log in come before it on a machine that does other work too.
	if !within(3*time.Minute, func() bool { return len(w.sandbox.Created()) > base+10 }) {
		t.Error("nobody is created")
	}
	for range 5 {
		for _, login := range logins(people, people+known) {
			waited, err := newClient(t).enter(w.launch(books), login, 0)
			if err != nil || len(waited) > 0 {
				t.Errorf("%s, who has a user, waits: %v %q", login, err, waited)
			}
		}
	}
	wg.Wait()

	placed := 0
	for _, waited := range pages {
		if slices.ContainsFunc(waited, func(text string) bool {
			return strings.Contains(text, "ahead of you") && strings.Contains(text, "This should take")
		}) {
			placed++
		}
	}
	// The first ones are created before they could be told a place.
	if placed < people*3/4 {
		t.Errorf("%d of %d people were told place and time", placed, people)
	}
	w.agree(t, people+known)
	inOrder(t, w, base)
	// Over ten seconds a call that went out late counts for nothing.
	if n := w.sandbox.CallsIn(10 * time.Second); n > 42 {
		t.Errorf("%d calls within ten seconds, want about 40", n)
	}
}

// inOrder fails unless people were created in the order in which they arrived. Calls that are under way together may
// overtake one another.
func inOrder(t testing.TB, w *world, from int) {
	t.Helper()
	const together = 10
	rows := w.ledger(t)
	slices.SortFunc(rows, func(a, b ledgerUser) int { return a.CreatedAt.Compare(b.CreatedAt) })
	place := map[string]int{}
	for i, r := range rows {
		place[r.ExternalID] = i
	}
	for i, u := range w.sandbox.Created() {
		if i < from {
			continue
		}
		if off := place[u.ExternalID] - i; off > together || off < -together {
			t.Errorf("%s arrived as number %d and was created as number %d", u.LoginName, place[u.ExternalID], i)
		}
	}
}
