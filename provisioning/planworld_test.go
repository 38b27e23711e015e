package provisioning_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// planWorld is the real store and a directory in memory around one service. Constant Contact can't be reached: plans
// never call it.
type planWorld struct {
	tb     testing.TB
	db     *store.DB
	people *peopleFake
	*provisioning.Service

	options provisioning.Options
	ahead   atomic.Int64
	asked   atomic.Int64 // how often the service asked for the time
	log     *syncBuffer
}

func newPlanWorld(tb testing.TB, people []directory.Entry, change ...func(*provisioning.Options)) *planWorld {
	tb.Helper()
	w := &planWorld{tb: tb, people: &peopleFake{people: people}, log: &syncBuffer{}}
	w.ahead.Store(int64(12*time.Hour - time.Since(time.Now().UTC().Truncate(24*time.Hour)))) // noon
	var err error
	w.db, err = store.Open(context.Background(), store.Options{DSN: storetest.Migrated(tb).DSN, Now: w.now,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() { w.db.Close() })
	w.accounts(store.Account{ID: harbour, Name: "Harbour", BillingStatus: "Open"}, store.Account{ID: juniper,
		Name: "Juniper", BillingStatus: "Open"},
		store.Account{ID: cycling, Name: "Cycling", BillingStatus: "Open"})
	budget := w.db.Budget(store.BudgetLimits{PerSecond: 4, PerDay: 10_000, Reserve: 0.2})
	source, err := partnerapi.NewTokenSource(partnerapi.TokenOptions{URL: "http://127.0.0.1:1/token", ClientID: "id",
		ClientSecret: "secret", Now: w.now})
	if err != nil {
		tb.Fatal(err)
	}
	client, err := partnerapi.New(partnerapi.Options{BaseURL: "http://127.0.0.1:1/v3", APIKey: "key", Tokens: source,
		Budget: budget, Now: w.now})
	if err != nil {
		tb.Fatal(err)
	}
	w.options = provisioning.Options{
		Mappings: w.db.Mappings(), Ledger: w.db.Ledger(), Accounts: w.db.Accounts(), Plans: w.db.Plans(), Budget: budget,
		Breaker: w.db.Breaker(), Leases: w.db.Leases(), Clock: w.db.Clock(), Audit: w.db.Audit(),
		Changes: w.db.Changes, Client: client,
		Directory:        w.people,
		ExternalProvider: provider, ClosedStatuses: []string{"Canceled"}, Poll: 5 * time.Millisecond,
		Random: func() float64 { return 0 }, Now: w.clock, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	for _, c := range change {
		c(&w.options)
	}
	w.Service = w.replica()
	return w
}

// replica is one more service over the same store.
func (w *planWorld) replica() *provisioning.Service {
	w.tb.Helper()
	s, err := provisioning.New(w.options)
	if err != nil {
		w.tb.Fatalf("New: %v", err)
	}
	return s
}

func (w *planWorld) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// clock is now, for the service.
func (w *planWorld) clock() time.Time {
	w.asked.Add(1)
	return w.now()
}

// looked waits until the watch has looked at the time some times more: what was due by now has begun.
func (w *planWorld) looked() {
	w.tb.Helper()
	before := w.asked.Load()
	w.until("the watch has looked at the time", func() bool { return w.asked.Load() >= before+10 })
}

func (w *planWorld) advance(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *planWorld) accounts(all ...store.Account) {
	w.tb.Helper()
	for i := range all {
		all[i].SeenAt = w.now()
	}
	if err := w.db.Accounts().ReplaceAll(context.Background(), all, store.Event{Action: "accounts-refresh"}); err != nil {
		w.tb.Fatalf("store accounts: %v", err)
	}
}

// maps adds a mapping of a group.
func (w *planWorld) maps(name string, account store.AccountID, role store.Role) store.Mapping {
	w.tb.Helper()
	return w.add(mapping.Spec{Group: group(name), Account: string(account), Role: string(role)})
}

func (w *planWorld) add(spec mapping.Spec) store.Mapping {
	w.tb.Helper()
	m, err := w.AddMapping(context.Background(), spec)
	if err != nil {
		w.tb.Fatalf("AddMapping(%+v): %v", spec, err)
	}
	return m
}

// row puts a row into the ledger, in its state.
func (w *planWorld) row(person string, account store.AccountID, state store.State,
	change ...func(*store.SSOUser)) store.SSOUser {
	w.tb.Helper()
	ctx, now := context.Background(), w.now()
	u := store.SSOUser{
		Person: store.PersonID(person), Account: account, ExternalID: person + "." + string(account),
		ExternalProvider: provider, LoginName: person + "-" + string(account),
		ContactEmail: person + "@example.test", FirstName: "Jane", LastName: "Doe", Role: store.AccountManager,
		State:       store.Wanted,
		NextAttempt: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now,
	}
	for _, c := range change {
		c(&u)
	}
	e := store.Event{Action: "test", Outcome: "ok"}
	if state != store.Wanted {
		u.NextAttempt = now
	}
	if u.Role == store.Owner {
		u.State, u.NextAttempt = store.Active, time.Time{}
		if got, err := w.db.Ledger().Adopt(ctx, []store.SSOUser{u}, e); err != nil || got[0] != store.Adopted {
			w.tb.Fatalf("adopt %s: %v, %v", person, got, err)
		}
		return u
	}
	if _, _, err := w.db.Ledger().Enqueue(ctx, u, e); err != nil {
		w.tb.Fatalf("want %s: %v", person, err)
	}
	if state == store.Wanted {
		return u
	}
	claimed, err := w.db.Ledger().Claim(ctx, time.Hour, store.PlanPriority)
	if err != nil || claimed.Person != u.Person {
		w.tb.Fatalf("claim %s: got %s, %v", person, claimed.Person, err)
	}
	switch state {
	case store.Sending:
		return claimed
	case store.Suspended:
		claimed.State = store.Active
	default:
		claimed.State = state
	}
	claimed.NextAttempt, claimed.MaybeSent, claimed.ErrorText, claimed.UpdatedAt = time.Time{},
		state == store.Unknown, "", now
	switch state {
	case store.Unknown:
		claimed.NextAttempt = now.Add(time.Hour)
	case store.Conflict, store.Refused:
		claimed.ErrorText = string(state) + ": words for the admin"
	}
	if err := w.db.Ledger().Settle(ctx, claimed, e); err != nil {
		w.tb.Fatalf("settle %s: %v", person, err)
	}
	if state == store.Suspended {
		if err := w.db.Ledger().Suspend(ctx, store.UserKey{Person: u.Person, Account: account}, e); err != nil {
			w.tb.Fatalf("suspend %s: %v", person, err)
		}
	}
	return claimed
}

// settle lets a moment pass, so that what was stored until now is older than what comes.
func (w *planWorld) settle() { w.advance(time.Second) }

// plan makes a plan.
func (w *planWorld) plan() store.Plan {
	w.tb.Helper()
	w.settle()
	p, _, err := w.MakePlan(context.Background(), provisioning.PlanOptions{Kind: "admin", Actor: "admin:test"})
	if err != nil {
		w.tb.Fatalf("MakePlan: %v", err)
	}
	return p
}

func (w *planWorld) items(plan int64) []store.PlanItem {
	w.tb.Helper()
	all, err := w.db.Plans().Items(context.Background(), plan, store.ItemFilter{Limit: 1000})
	if err != nil {
		w.tb.Fatalf("items: %v", err)
	}
	return all
}

// lines are the items of a plan as "kind person account role", sorted.
func (w *planWorld) lines(plan int64) []string {
	w.tb.Helper()
	var all []string
	for _, i := range w.items(plan) {
		all = append(all, fmt.Sprintf("%s %s %s %s", i.Kind, i.Person, i.Account, i.Role))
	}
	slices.Sort(all)
	return all
}

// work are the open items of manual work as "kind person account".
func (w *planWorld) work() []string {
	w.tb.Helper()
	list, err := w.db.Plans().ManualTasks(context.Background(), store.ManualTaskFilter{Limit: 1000})
	if err != nil {
		w.tb.Fatalf("work: %v", err)
	}
	var all []string
	for _, i := range list {
		all = append(all, fmt.Sprintf("%s %s %s", i.Kind, i.Person, i.Account))
	}
	slices.Sort(all)
	return all
}

func (w *planWorld) get(plan int64) store.Plan {
	w.tb.Helper()
	p, err := w.db.Plans().Get(context.Background(), plan)
	if err != nil {
		w.tb.Fatalf("plan %d: %v", plan, err)
	}
	return p
}

func (w *planWorld) plans() []store.Plan {
	w.tb.Helper()
	all, err := w.db.Plans().List(context.Background(), 1000)
	if err != nil {
		w.tb.Fatalf("plans: %v", err)
	}
	return all
}

// until waits for something that other goroutines bring about.
func (w *planWorld) until(what string, is func() bool) {
	w.tb.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-limit.C:
			w.tb.Fatalf("waited in vain until %s; log:\n%s", what, w.log)
		}
	}
}

// same compares two lists of lines.
func same(tb testing.TB, what string, got []string, want ...string) {
	tb.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		tb.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// peopleFake is a directory in memory. Like the real one, it gives people only the groups that are wanted, and none
// where it finds a problem.
type peopleFake struct {
	mu     sync.Mutex
	people []directory.Entry
	fails  error                 // after half of the people
	middle func(context.Context) // called after half of the people
	walks  int
	odd    int // entries that are left out
}

func (d *peopleFake) Walk(ctx context.Context, o directory.WalkOptions,
	visit func(directory.Entry) error) (directory.Walked, error) {
	d.mu.Lock()
	people, fails, middle := d.people, d.fails, d.middle
	d.walks++
	d.mu.Unlock()
	walked := directory.Walked{Skipped: d.odd}
	for i, p := range people {
		if i == len(people)/2 {
			if middle != nil {
				middle(ctx)
			}
			if fails != nil {
				return walked, fails
			}
		}
		if err := ctx.Err(); err != nil {
			return walked, err
		}
		var groups []directory.Group
		for _, g := range p.Groups {
			if p.Problem == "" && (o.Wanted == nil || o.Wanted(directory.Group{ID: g.ID, DN: g.DN, Name: g.Name})) {
				groups = append(groups, g)
			}
		}
		p.Groups = groups
		walked.People++
		if err := visit(p); err != nil {
			return walked, err
		}
	}
	return walked, nil
}

func (d *peopleFake) Read(_ context.Context, id string) (directory.Entry, error) {
	return d.find(func(p directory.Entry) bool { return p.ID == id })
}

func (d *peopleFake) Find(_ context.Context, login string) (directory.Entry, error) {
	return d.find(func(p directory.Entry) bool { return p.Login == login })
}

func (d *peopleFake) find(is func(directory.Entry) bool) (directory.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.IndexFunc(d.people, is); i >= 0 {
		return d.people[i], nil
	}
	return directory.Entry{}, &directory.Error{Problem: directory.BadCredentials, Op: "find a person",
		Err: directory.ErrNotFound}
}

// set replaces the people.
func (d *peopleFake) set(people ...directory.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people = people
}

func (d *peopleFake) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = err
}

func (d *peopleFake) walked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.walks
}

var errDown = errors.New("the directory is down")

// with changes a person.
func with(p directory.Entry, change func(*directory.Entry)) directory.Entry {
	change(&p)
	return p
}

func problem(id string, is directory.Problem, groups ...directory.Group) directory.Entry {
	return with(person(id, groups...), func(p *directory.Entry) { p.Problem = is })
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
