package provisioning_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// The client accounts of the sandbox, by the names of their organisations there.
const (
	harbour  store.AccountID = "a07e1lxqqqo0"
	juniper  store.AccountID = "a07e1lxqqqp1"
	cycling  store.AccountID = "a07e1lxqqqr2"
	provider                 = "sandbox-partner-sso"
)

// world is the real store, the real client and the sandbox around one service. Its clock is the machine's, moved by hand.
type world struct {
	tb      testing.TB
	db      *store.DB
	sandbox *sandbox.Sandbox
	client  *partnerapi.Client
	*provisioning.Service

	ahead   atomic.Int64 // of the clock
	offline atomic.Bool  // no connection can be made
	log     *strings.Builder
}

// settings of a world; the zero value is fast and without limits.
type settings struct {
	sandbox sandbox.Options
	service provisioning.Options
	timeout time.Duration // of one call
	budget  store.BudgetLimits
}

func newWorld(tb testing.TB, o settings) *world {
	tb.Helper()
	w := &world{tb: tb, log: &strings.Builder{}}
	// It starts at noon, so that no test crosses the end of a day by chance.
	w.ahead.Store(int64(12*time.Hour - time.Since(time.Now().UTC().Truncate(24*time.Hour))))
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, w.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tb.Cleanup(func() {
		if tb.Failed() {
			mu.Lock()
			defer mu.Unlock()
			tb.Log(w.log.String())
		}
	})

	db, err := store.Open(tb.Context(), store.Options{DSN: "sqlite:" + filepath.Join(tb.TempDir(), "test.db"), Now: w.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() { db.Close() })
	w.db = db

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

	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if w.offline.Load() {
				return nil, errors.New("network is down")
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
	tokens := w.sandbox.TokenOptions()
	tokens.Now, tokens.MinInterval, tokens.Timeout, tokens.Transport = w.now, time.Millisecond, 5*time.Second, transport
	source, err := partnerapi.NewTokenSource(tokens)
	if err != nil {
		tb.Fatalf("token source: %v", err)
	}
	limits := o.budget
	if limits == (store.BudgetLimits{}) {
		limits = store.BudgetLimits{PerSecond: 2000, PerDay: 100_000, Reserve: 0.2}
	}
	w.client, err = partnerapi.New(partnerapi.Options{
		BaseURL: w.sandbox.BaseURL(), APIKey: sandbox.DefaultAPIKey, Tokens: source, Budget: db.Budget(limits),
		Timeout: or(o.timeout, 10*time.Second), Transport: transport, Now: w.now, Logger: logger,
	})
	if err != nil {
		tb.Fatalf("client: %v", err)
	}

	p := o.service
	p.Mappings, p.Ledger, p.Accounts, p.Changes = db.Mappings(), db.Ledger(), db.Accounts(), db.Changes
	p.Client, p.ExternalProvider, p.Now, p.Logger = w.client, provider, w.now, logger
	p.Poll, p.PollState = 10*time.Millisecond, or(p.PollState, 20*time.Millisecond)
	p.Random = func() float64 { return 0 }
	if w.Service, err = provisioning.New(p); err != nil {
		tb.Fatalf("New: %v", err)
	}
	return w
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
		Budget: w.db.Budget(store.BudgetLimits{PerSecond: 2000, PerDay: 100_000, Reserve: 0.2}),
	})
	if err != nil {
		w.tb.Fatalf("client: %v", err)
	}
	s, err := provisioning.New(provisioning.Options{
		Mappings: w.db.Mappings(), Ledger: w.db.Ledger(), Accounts: w.db.Accounts(), Changes: w.db.Changes, Client: client,
		ExternalProvider: provider, Poll: 10 * time.Millisecond, PollState: 20 * time.Millisecond, Now: w.now,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.tb.Fatalf("New: %v", err)
	}
	return s
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
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.tb.Errorf("Run: %v", err)
		}
	})
	w.tb.Cleanup(stop)
	return stop
}

// until waits for something that other goroutines bring about.
func (w *world) until(what string, is func() bool) {
	w.tb.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	limit := time.NewTimer(10 * time.Second)
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
	w.until(fmt.Sprintf("%s in %s is %s", person, account, state), func() bool { return w.row(person, account).State == state })
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
	return w.add(provisioning.MappingSpec{Group: g, Account: string(account), Role: "account_manager"})
}

func (w *world) add(spec provisioning.MappingSpec) store.Mapping {
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
		DN: "uid=" + id + ",ou=people,dc=example,dc=test", ID: id, Login: id, FirstName: "Jane", LastName: "Doe", Mail: id + "@example.test",
		Groups: groups, ReadAt: time.Now(),
	}
}
