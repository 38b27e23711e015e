package provisioning_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
	"ssobridge/store/storetest"
)

// The client accounts of the sandbox, by the names of their organisations there.
const (
	harbour  store.AccountID = "a07e1lxqqqo0"
	juniper  store.AccountID = "a07e1lxqqqp1"
	cycling  store.AccountID = "a07e1lxqqqr2"
	provider                 = "sandbox-partner-sso"
)

// world is the real store, the real client and the sandbox around one service. Its clock is the machine's, moved by
// hand.
type world struct {
	tb      testing.TB
	db      *store.DB
	sandbox *sandbox.Sandbox
	client  *partnerapi.Client
	people  *liveFake
	*provisioning.Service

	options provisioning.Options // of the service
	limits  store.BudgetLimits
	ahead   atomic.Int64 // of the clock
	offline atomic.Bool  // no connection can be made
	filter  atomic.Bool  // something on the way refuses answers with a body: what was asked for is done
	// people for whose data Constant Contact always answers 500: their id to how often it did, an *atomic.Int64
	bad sync.Map
	log *strings.Builder
}

// liveFake is a directory in memory that answers a Read as the real one does, or not at all.
type liveFake struct {
	*peopleFake
	down atomic.Bool
}

func (d *liveFake) Read(ctx context.Context, id string) (directory.Entry, error) {
	if d.down.Load() {
		return directory.Entry{}, &directory.Error{Problem: directory.Unavailable, Op: "read the person " + id, Err: errDown}
	}
	p, err := d.peopleFake.Read(ctx, id)
	if errors.Is(err, directory.ErrNotFound) {
		return directory.Entry{ID: id, Problem: directory.Disabled, ReadAt: time.Now()}, nil
	}
	if p.Problem != "" {
		p.Groups = nil
	}
	return p, err
}

// settings of a world; the zero value is fast and without limits.
type settings struct {
	sandbox sandbox.Options
	service provisioning.Options
	timeout time.Duration // of one call
	budget  store.BudgetLimits
	store   store.Options // "": SQLite. A PostgreSQL has a clock of its own, so real must be set with it
	real    bool          // the clock is the machine's and is never moved
}

func newWorld(tb testing.TB, o settings) *world {
	tb.Helper()
	w := &world{tb: tb, log: &strings.Builder{}, people: &liveFake{peopleFake: &peopleFake{}}}
	if !o.real {
		// It starts at noon, so that no test crosses the end of a day by chance.
		w.ahead.Store(int64(12*time.Hour - time.Since(time.Now().UTC().Truncate(24*time.Hour))))
	}
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, w.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tb.Cleanup(func() {
		if tb.Failed() {
			mu.Lock()
			defer mu.Unlock()
			tb.Log(w.log.String())
		}
	})

	if o.store.DSN == "" {
		o.store.DSN = storetest.Migrated(tb).DSN
	}
	o.store.Now, o.store.Logger = w.now, slog.New(slog.DiscardHandler)
	db, err := store.Open(tb.Context(), o.store)
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() { db.Close() })
	w.db = db
	if _, test := tb.(*testing.T); test {
		tb.Cleanup(func() { eventsNameNobody(tb, db) })
	}

	so := o.sandbox
	if so.Accounts == nil {
		so.Accounts = sandbox.SampleAccounts()
	}
	so.PerSecond, so.TokensPerSecond = or(so.PerSecond, sandbox.Unlimited), or(so.TokensPerSecond, sandbox.Unlimited)
	so.Now = w.now
	if w.sandbox, err = sandbox.Start("127.0.0.1:0", so); err != nil {
		tb.Fatalf("start sandbox: %v", err)
	}
	tb.Cleanup(func() { w.sandbox.Close() })

	network := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if w.offline.Load() {
				return nil, errors.New("network is down")
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if w.trips(r) {
			answer := httptest.NewRecorder()
			answer.WriteHeader(http.StatusInternalServerError)
			return answer.Result(), nil
		}
		a, err := network.RoundTrip(r)
		if err == nil && w.filter.Load() && a.StatusCode == http.StatusCreated {
			_ = a.Body.Close()
			answer := httptest.NewRecorder()
			answer.WriteHeader(http.StatusForbidden)
			_, _ = answer.WriteString("<html>The answer was blocked.</html>")
			return answer.Result(), nil
		}
		return a, err
	})
	tokens := w.sandbox.TokenOptions()
	tokens.Now, tokens.MinInterval, tokens.Timeout, tokens.Transport = w.now, time.Nanosecond, 5*time.Second, transport
	source, err := partnerapi.NewTokenSource(tokens)
	if err != nil {
		tb.Fatalf("token source: %v", err)
	}
	w.limits = or(o.budget, store.BudgetLimits{PerSecond: 2000, PerDay: 100_000, Reserve: 0.2})
	w.client, err = partnerapi.New(partnerapi.Options{
		BaseURL: w.sandbox.BaseURL(), APIKey: sandbox.DefaultAPIKey, Tokens: source, Budget: db.Budget(w.limits),
		Timeout: or(o.timeout, 10*time.Second), Transport: transport, Now: w.now, Logger: logger,
	})
	if err != nil {
		tb.Fatalf("client: %v", err)
	}

	w.options = o.service
	p := &w.options
	p.Client, p.ExternalProvider, p.Now, p.Logger = w.client, provider, w.now, logger
	p.Poll, p.PollState = 10*time.Millisecond, or(p.PollState, 20*time.Millisecond)
	p.PerSecond = or(p.PerSecond, or(o.budget.PerSecond, 4))
	p.Directory = w.people
	p.Random = func() float64 { return 0 }
	w.Service = w.serve(db, w.client)
	return w
}

type roundTripper func(*http.Request) (*http.Response, error)

func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// trips tells whether a call has the data of one of the bad people.
func (w *world) trips(r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, usersPath) {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.tb.Errorf("read a body: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	is := false
	w.bad.Range(func(id, times any) bool {
		if is = bytes.Contains(body, []byte(`"`+id.(string)+"@")); is {
			times.(*atomic.Int64).Add(1)
		}
		return !is
	})
	return is
}

// fails makes Constant Contact answer 500 for these people from now on.
func (w *world) fails(people ...string) {
	for _, p := range people {
		w.bad.Store(p, &atomic.Int64{})
	}
}

// failed is how often it did so for one of them.
func (w *world) failed(person string) int {
	times, ok := w.bad.Load(person)
	if !ok {
		return 0
	}
	return int(times.(*atomic.Int64).Load())
}

// serve is a service over a store that calls by this client.
func (w *world) serve(db *store.DB, client *partnerapi.Client) *provisioning.Service {
	w.tb.Helper()
	p := w.options
	w.stores(&p, db)
	p.Client = client
	s, err := provisioning.New(p)
	if err != nil {
		w.tb.Fatalf("New: %v", err)
	}
	return s
}

// another is a second service over the same store, as in a replica of its own.
func (w *world) another(tokens partnerapi.TokenOptions) *provisioning.Service {
	w.tb.Helper()
	tokens.Now = w.now
	source, err := partnerapi.NewTokenSource(tokens)
	if err != nil {
		w.tb.Fatalf("token source: %v", err)
	}
	client, err := partnerapi.New(partnerapi.Options{
		BaseURL: w.sandbox.BaseURL(), APIKey: sandbox.DefaultAPIKey, Tokens: source, Now: w.now,
		Budget: w.db.Budget(w.limits),
	})
	if err != nil {
		w.tb.Fatalf("client: %v", err)
	}
	return w.serve(w.db, client)
}

// stores puts the parts of a database into the options.
func (w *world) stores(p *provisioning.Options, db *store.DB) {
	p.Mappings, p.Ledger, p.Accounts, p.Plans, p.Audit, p.Changes = db.Mappings(), db.Ledger(), db.Accounts(), db.Plans(),
		db.Audit(), db.Changes
	p.Budget, p.Breaker, p.Leases = db.Budget(w.limits), db.Breaker(), db.Leases()
	p.Clock, p.SelfOrders = db.Clock(), db.SelfOrders()
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

type lockedWriter struct {
	mu *sync.Mutex
	to *strings.Builder
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// advance moves the clock of bridge, store and sandbox.
func (w *world) advance(d time.Duration) { w.ahead.Add(int64(d)) }

// run starts the worker; the returned function ends it as SIGTERM would and waits.
func (w *world) run() (stop func()) {
	w.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	service := w.Service
	go func() { done <- service.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.tb.Errorf("Run: %v", err)
		}
	})
	w.tb.Cleanup(stop)
	return stop
}

// runAlso starts the worker of another service until the test ends.
func (w *world) runAlso(s *provisioning.Service) (stop func()) {
	w.tb.Helper()
	service := w.Service
	defer func() { w.Service = service }()
	w.Service = s
	return w.run()
}

// until waits for something that other goroutines bring about.
func (w *world) until(what string, is func() bool) {
	w.tb.Helper()
	w.untilLong(what, 10*time.Second, is)
}

func (w *world) untilLong(what string, most time.Duration, is func() bool) {
	w.tb.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	limit := time.NewTimer(most)
	defer limit.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-limit.C:
			w.tb.Fatalf("waited in vain until %s", what)
		}
	}
}

func (w *world) row(person string, account store.AccountID) store.SSOUser {
	w.tb.Helper()
	row, err := w.db.Ledger().Get(w.tb.Context(), store.PersonID(person), account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.tb.Fatalf("ledger: %v", err)
	}
	return row
}

func (w *world) untilState(person string, account store.AccountID, state store.State) store.SSOUser {
	w.tb.Helper()
	w.until(fmt.Sprintf("%s in %s is %s", person, account, state),
		func() bool { return w.row(person, account).State == state })
	return w.row(person, account)
}

// posts are the calls that reached users/sso.
func (w *world) posts() []sandbox.Call {
	var posts []sandbox.Call
	for _, c := range w.sandbox.Calls() {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/users/sso") {
			posts = append(posts, c)
		}
	}
	return posts
}

func (w *world) decide(p directory.Entry, change ...func(*provisioning.Question)) provisioning.Decision {
	w.tb.Helper()
	q := provisioning.Question{Person: p, MayCreate: true, Ref: "ref-1", Address: "192.0.2.1", Patience: 10 * time.Second}
	for _, c := range change {
		c(&q)
	}
	d, err := w.Decide(w.tb.Context(), q)
	if err != nil {
		w.tb.Fatalf("Decide: %v", err)
	}
	return d
}

func justLook(q *provisioning.Question) { q.Patience = 0 }

func wanting(a store.AccountID) func(*provisioning.Question) {
	return func(q *provisioning.Question) { q.Account = a }
}

// mapGroup maps a group of the directory with role account_manager.
func (w *world) mapGroup(g directory.Group, account store.AccountID) store.Mapping {
	w.tb.Helper()
	return w.add(mapping.Spec{Group: g, Account: string(account), Role: "account_manager"})
}

func (w *world) add(spec mapping.Spec) store.Mapping {
	w.tb.Helper()
	spec.Actor = "admin:test"
	m, err := w.AddMapping(w.tb.Context(), spec)
	if err != nil {
		w.tb.Fatalf("AddMapping(%+v): %v", spec, err)
	}
	return m
}

func (w *world) events(action string) []store.Event {
	w.tb.Helper()
	all, err := w.db.Audit().List(w.tb.Context(), store.Filter{Action: action, Limit: 1000})
	if err != nil {
		w.tb.Fatalf("audit: %v", err)
	}
	return all
}

func group(name string) directory.Group {
	return directory.Group{ID: "id-of-" + name, DN: "cn=" + name + ",ou=groups,dc=example,dc=test", Name: name}
}

func person(id string, groups ...directory.Group) directory.Entry {
	return directory.Entry{
		DN: "uid=" + id + ",ou=people,dc=example,dc=test", ID: id, Login: id, FirstName: "Jane", LastName: "Doe", Mail: id +
			"@example.test",
		Groups: groups, ReadAt: time.Now(),
	}
}

// eventsNameNobody looks at what a test has left: whatever was done, events hold ids of people, and nothing else that
// tells who they are.
func eventsNameNobody(tb testing.TB, db *store.DB) {
	tb.Helper()
	ctx := context.Background() // the test's has ended
	events, err := db.Audit().List(ctx, store.Filter{Limit: 1000})
	if err != nil {
		return // a test that has closed its store
	}
	users, err := db.Ledger().List(ctx, store.UserFilter{})
	if err != nil {
		tb.Fatal(err)
	}
	requests, err := db.Accounts().AccountRequests(ctx, 100)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range requests {
		users = append(users, store.SSOUser{Person: r.Person, LoginName: r.LoginName, ExternalID: r.ExternalID})
	}
	var all strings.Builder
	for _, e := range events {
		fmt.Fprintf(&all, "%s %s %s %s %s\n", e.Actor, e.Action, e.Subject, e.Reason, e.Detail)
	}
	for _, u := range users {
		for _, name := range []string{u.ExternalID, u.LoginName, u.ContactEmail, u.FirstName, u.LastName} {
			// In tests some are as short as an id, or the same.
			if len(name) > 3 && !strings.Contains(string(u.Person), name) && strings.Contains(all.String(), name) {
				tb.Errorf("an event holds %q of person %s", name, u.Person)
			}
		}
	}
}
