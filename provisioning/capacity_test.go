package provisioning_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// want stores an intention in a class, as it stands after its time.
func (w *world) want(id string, class store.Priority) {
	w.tb.Helper()
	p := person(id)
	body, err := w.Body(p, provisioning.Assignment{Account: harbour, Role: store.AccountManager})
	if err != nil {
		w.tb.Fatal(err)
	}
	u := store.SSOUser{
		Person: store.PersonID(id), Account: harbour, ExternalID: body.ExternalID, ExternalProvider: provider,
		LoginName:    body.LoginName,
		ContactEmail: body.ContactEmail, FirstName: body.FirstName, LastName: body.LastName,
		Role: store.AccountManager, Priority: class,
	}
	if _, _, err := w.db.Ledger().Enqueue(w.tb.Context(), u, store.Event{Action: "test"}); err != nil {
		w.tb.Fatal(err)
	}
}

// whom are the people of the calls that arrived, in order.
func (w *world) whom() []string {
	w.tb.Helper()
	var all []string
	for _, c := range w.posts() {
		var body partnerapi.SSOUser
		if err := json.Unmarshal([]byte(c.Body), &body); err != nil {
			w.tb.Fatal(err)
		}
		id, _, _ := strings.Cut(body.ExternalID, ".")
		all = append(all, id)
	}
	return all
}

func (w *world) count(state store.State) int {
	w.tb.Helper()
	counts, err := w.db.Ledger().CountByState(w.tb.Context())
	if err != nil {
		w.tb.Fatal(err)
	}
	return counts[state]
}

// The words of the ledger's classes are those of the budget.
func TestClassesOfCalls(t *testing.T) {
	for class, want := range map[store.Priority]string{
		store.SignInPriority: partnerapi.PrioritySignIn, store.RetryPriority: partnerapi.PriorityRetry,
		store.PlanPriority: partnerapi.PriorityPlan,
	} {
		if class.String() != want {
			t.Errorf("class %d: got %q, want %q", class, class, want)
		}
	}
}

// Sign-ins go first, then retries, then rows of plans, then what the plan has not begun; within a class who came first.
func TestOrderOfClasses(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
	w.mapGroup(group("sales"), harbour)
	w.applies(person("item1", group("sales")), person("item2", group("sales")))
	w.want("plan1", store.PlanPriority)
	w.want("retry1", store.RetryPriority)
	w.want("plan2", store.PlanPriority)
	w.want("retry2", store.RetryPriority)
	w.want("first", store.SignInPriority)
	expect(t, w.decide(person("second", group("sales")), justLook), provisioning.Wait, "")
	// Somebody comes whose row was made by a plan: it waits no longer behind all others.
	d := w.decide(person("plan2", group("sales")), justLook)
	if d.Outcome != provisioning.Wait || w.row("plan2", harbour).Priority != store.SignInPriority || d.Progress.Place > 3 {
		t.Errorf("raised: got %s, class %s, place %d; want class sign-in, place at most 3", d.Outcome,
			w.row("plan2", harbour).Priority, d.Progress.Place)
	}
	w.run()
	w.until("all are there", func() bool { return w.count(store.Active) == 8 })
	got := w.whom()
	slices.Sort(got[:3]) // whether who was raised keeps the time of arrival is the ledger's matter
	want := []string{"first", "plan2", "second", "retry1", "retry2", "plan1", "item1", "item2"}
	if !slices.Equal(got, want) {
		t.Errorf("order: got %v, want %v", got, want)
	}
	if _, err := w.db.Plans().Applying(t.Context()); err == nil {
		w.until("the plan is done", func() bool { _, err := w.db.Plans().Applying(t.Context()); return err != nil })
	}
}

// A row that nobody waits for any more goes on as a retry; one that is young stays among the sign-ins.
func TestClassAfterAFailure(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
	w.want("young", store.SignInPriority)
	w.want("plan", store.PlanPriority)
	w.fails("young", "plan")
	w.run()
	w.until("both have failed", func() bool {
		return w.row("young", harbour).Attempts == 1 && w.row("plan", harbour).State == store.Unknown
	})
	if y, p := w.row("young", harbour).Priority, w.row("plan", harbour).Priority; y != store.SignInPriority ||
		p != store.RetryPriority {
		t.Errorf("after a failure: got %s and %s, want sign-in and retry", y, p)
	}
	w.advance(3 * time.Minute)
	w.until("it has failed again", func() bool {
		r := w.row("young", harbour)
		return r.Attempts == 2 &&
			r.State == store.Unknown
	})
	if got := w.row("young", harbour).Priority; got != store.RetryPriority {
		t.Errorf("after more than two minutes: got %s, want retry", got)
	}
}

// 200 people within a second: all get in, in the order of their arrival but for calls that are under way together.
func TestBurst(t *testing.T) {
	// Slower than allowed, so that a busy test machine does not bunch calls together that were spaced: who is throttled
	// comes later.
	w := newWorld(t, settings{budget: store.BudgetLimits{PerSecond: 80, PerDay: 10_000, Reserve: 0.2},
		sandbox: sandbox.Options{PerSecond: 160}})
	w.mapGroup(group("sales"), harbour)
	const people, workers = 200, 64
	for i := range people {
		expect(t, w.decide(person(fmt.Sprintf("p%03d", i), group("sales")), justLook), provisioning.Wait, "")
	}
	last := w.decide(person("p199", group("sales")), justLook)
	if last.Progress.Place != people || last.Progress.Expected != 3*time.Second {
		t.Errorf("progress of the last: got %+v, want place 200 and about 3 s", last.Progress)
	}
	w.run()
	w.until("all are there", func() bool { return w.count(store.Active) == people })
	for at, id := range w.whom() {
		var came int
		if _, err := fmt.Sscanf(id, "p%d", &came); err != nil {
			t.Fatal(err)
		}
		if off := max(at-came, came-at); off >= workers {
			t.Errorf("%s was the %dth: off by %d, want less than the %d calls at the same time", id, at, off, workers)
		}
	}
	for _, c := range w.posts() {
		if c.Status != 201 {
			t.Fatalf("a call was answered %d", c.Status)
		}
	}
}

// With the day's share of background work used up, rows of plans wait for 00:00 UTC untouched; sign-ins go on.
func TestBackgroundStopsAtItsShare(t *testing.T) {
	w := newWorld(t, settings{
		budget: store.BudgetLimits{PerSecond: 2000, PerDay: 24, Reserve: 0.5}, sandbox: sandbox.Options{PerDay: 24},
		service: provisioning.Options{Workers: 1},
	})
	w.mapGroup(group("sales"), harbour)
	for i := range 8 {
		w.want(fmt.Sprintf("plan%d", i), store.PlanPriority)
	}
	for i := range 8 {
		w.want(fmt.Sprintf("signin%d", i), store.SignInPriority)
	}
	w.run()
	// 12 calls for everything; the list of client accounts takes one or two of them.
	w.until("the share is used up", func() bool { s := w.status(); return s.Used >= s.Background })
	expect(t, w.decide(person("late", group("sales"))), provisioning.Granted, "")
	w.advance(2 * time.Second)
	expect(t, w.decide(person("later", group("sales"))), provisioning.Granted, "")
	made, tried := 0, 0
	for i := range 8 {
		row := w.row(fmt.Sprintf("plan%d", i), harbour)
		if row.Attempts > 0 {
			tried++
		}
		if row.State == store.Active {
			made++
		}
		if s := w.row(fmt.Sprintf("signin%d", i), harbour).State; s != store.Active {
			t.Errorf("signin%d is %s, want active", i, s)
		}
	}
	if made > 4 || tried > made+1 {
		t.Errorf("rows of plans: %d made and %d tried, want at most 4 made, and one more that learned of it", made, tried)
	}
	w.advance(12*time.Hour + 2*time.Minute)
	w.until("the rest is there after midnight", func() bool { return w.count(store.Active) == 18 })
}

func (w *world) status() store.BudgetStatus {
	w.tb.Helper()
	s, err := w.db.Budget(w.limits).Status(w.tb.Context())
	if err != nil {
		w.tb.Fatal(err)
	}
	return s
}

// quota_exceeded stops all background work until 00:00 UTC, also that of rows which had no call yet, without asking for
// each.
func TestQuotaStopsBackground(t *testing.T) {
	w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
	w.mapGroup(group("sales"), harbour)
	for i := range 20 {
		w.want(fmt.Sprintf("plan%02d", i), store.PlanPriority)
	}
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultQuota, Path: usersPath, Times: 1})
	w.run()
	w.until("it is told", func() bool { return w.status().Exhausted })
	expect(t, w.decide(person("jane", group("sales")), justLook), provisioning.Wait, "")
	w.until("the sign-in waits for midnight", func() bool {
		return strings.HasPrefix(w.row("jane", harbour).ErrorText,
			provisioning.CauseQuota)
	})
	if got := len(w.posts()); got != 1 {
		t.Errorf("calls: got %d, want only the one that was told quota_exceeded", got)
	}
	tried := 0
	for i := range 20 {
		if w.row(fmt.Sprintf("plan%02d", i), harbour).Attempts > 0 {
			tried++
		}
	}
	if tried != 1 {
		t.Errorf("rows that were tried: got %d, want the first only", tried)
	}
	w.advance(12*time.Hour + 2*time.Minute)
	w.until("all are there after midnight", func() bool { return w.count(store.Active) == 21 })
}

// Another program on the same key: the rate lowers itself, everybody is created all the same, and the rate recovers.
func TestForeignConsumer(t *testing.T) {
	w := newWorld(t, settings{
		budget:  store.BudgetLimits{PerSecond: 40, PerDay: 10_000, Reserve: 0.2},
		sandbox: sandbox.Options{PerSecond: 40, Foreign: 8}, // a fifth
	})
	const people = 120
	for i := range people {
		w.want(fmt.Sprintf("p%03d", i), store.SignInPriority)
	}
	w.run()
	w.until("it was throttled", func() bool { return w.status().Throttled > 0 })
	if s := w.status(); s.Rate >= s.PerSecond {
		t.Errorf("rate after a throttled call: got %.1f, want less than %.1f", s.Rate, s.PerSecond)
	}
	w.until("all are there", func() bool { return w.count(store.Active) == people })
	if got := len(w.sandbox.Created()); got != people {
		t.Errorf("users at Constant Contact: got %d, want %d", got, people)
	}
	w.advance(time.Hour)
	if s := w.status(); s.Rate < s.PerSecond*0.99 {
		t.Errorf("rate after an hour of peace: got %.1f, want %.1f", s.Rate, s.PerSecond)
	}
}
