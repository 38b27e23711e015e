package provisioning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Options for New. The stores, Changes, Client, Directory, ExternalProvider and Logger must be given; the rest has
// defaults.
type Options struct {
	Mappings  *store.Mappings
	Ledger    *store.Ledger
	Accounts  *store.Accounts
	Plans     *store.Plans
	Budget    *store.Budget
	Breaker   *store.Breaker
	Leases    *store.Leases
	Clock     *store.Clock
	Audit     *store.Audit                         // for what changes nothing in the store
	Changes   func(context.Context) (int64, error) // the store's change counter
	Client    *partnerapi.Client
	Directory Directory // for plans
	// SourceBounds tells what sources of people beside the directory may give by mappings; nil: nothing.
	SourceBounds mapping.Bounds
	// LeaverAfter tells after how long without a token plans list the people of a source as leavers; 0: never. nil: never.
	LeaverAfter func(source string) time.Duration
	// Beyond gives the groups that a person is in by way of others only, where those are not followed; nil: not known.
	Beyond func(context.Context, directory.Entry) ([]directory.Group, error)
	// DirectoryFault puts an error of the directory into a sentence for an administrator, with what to do; "" for another
	// error. nil: none is.
	DirectoryFault func(error) string

	ExternalProvider                    string
	ExternalID, LoginName, ContactEmail string // templates, see Template; empty: the defaults
	// AllowMutableExternalID takes an ExternalID without the person's immutable id.
	AllowMutableExternalID bool

	// calls to Constant Contact at the same time, 1 to 64; default: twice PerSecond and 2, so that slow calls do not lower
	// the rate
	Workers   int
	PerSecond float64       // calls a second that we may make, to tell people how long; default 4
	Lease     time.Duration // a replica that died loses its work after so long; at least 1 s, default 15 s
	MaxCreate int           // cap of creations in one run of a plan; default 1000

	WatchEvery time.Duration // between plans that are made by themselves; 0: none
	WatchApply bool          // and applied by themselves, within MaxCreate

	ClosedStatuses []string          // billing statuses, in any letter case, whose client accounts take no sign-ins
	SelfService    *SelfService      // nil: nobody orders a client account for themselves
	SelfOrders     *store.SelfOrders // theirs; what was not sent is stopped where nobody may order any more
	Operations     []OperationRule   // calls on behalf of client accounts that are allowed; none: all are refused
	HintsPerDay    int               // readings of accounts that webhooks may cause in a day; default 200
	CallLimit      time.Duration     // one creation in all: waiting for its slot, token, call; default 1 minute
	Drain          time.Duration     // how long Run goes on after its context ended, to finish running calls; default 15 s

	Poll      time.Duration // how often the worker looks for what other processes stored; default 1 s, at most 1 s
	PollState time.Duration // how often a waiting request looks for what other processes stored; default 200 ms

	// Begin begins the trace of a user's creation by the worker, and Span a span within the one of ctx. end takes the
	// priority and the state that the user came to, never who it is; it is nil where nothing is recorded. Default nil,
	// both: no spans.
	Begin, Span func(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error))

	Random func() float64   // in [0, 1), spreads retries; default math/rand/v2, which needs no secrecy here
	Now    func() time.Time // default time.Now
	Logger *slog.Logger
}

// Service is the rules and the worker. It is safe for concurrent use.
type Service struct {
	mappings *store.Mappings
	ledger   *store.Ledger
	accounts *store.Accounts
	plans    *store.Plans
	budget   *store.Budget
	breaker  *store.Breaker
	leases   *store.Leases
	clock    *store.Clock
	audit    *store.Audit
	changes  func(context.Context) (int64, error)
	client   *partnerapi.Client
	people   Directory

	provider     string
	externalID   mapping.Template
	loginName    mapping.Template
	contactEmail mapping.Template

	workers   int
	perSecond float64
	lease     time.Duration
	maxCreate int
	callLimit time.Duration
	drain     time.Duration
	poll      time.Duration
	pollState time.Duration

	watchEvery  time.Duration
	watchApply  bool
	closed      map[string]bool // billing statuses in lower case
	operations  []OperationRule
	hintsPerDay int
	self        *SelfService // nil: off
	selfOrders  *store.SelfOrders

	beginSpan, span spanner

	random func() float64
	now    func() time.Time
	log    *slog.Logger

	indexed  atomic.Pointer[indexed]
	indexing sync.Mutex

	nested         func(context.Context, directory.Entry) ([]directory.Group, error)
	bounds         mapping.Bounds // of sources
	leaverAfterOf  func(source string) time.Duration
	directoryFault func(error) string
	started        chan *planDraft // plans that Run is to make

	waiters waiters
	known   knownCapacity
	wake    chan struct{} // something new may be due
	renamed chan renamed  // groups that were read under another DN than stored

	refreshing  chan struct{} // holds one token; who has it refreshes the accounts
	refreshedAt time.Time     // guarded by refreshing
}

// New checks the options and starts nothing. All faults in templates are reported together, each a *InputError that
// names the template's field.
func New(o Options) (*Service, error) {
	if o.Mappings == nil || o.Ledger == nil || o.Accounts == nil || o.Plans == nil || o.Budget == nil ||
		o.Breaker == nil || o.Leases == nil || o.Clock == nil || o.Audit == nil ||
		o.Changes == nil || o.Client == nil || o.Directory == nil || o.Logger == nil {
		return nil, errors.New("set up provisioning: stores, change counter, client, directory and logger must all be given")
	}
	s := &Service{
		mappings: o.Mappings, ledger: o.Ledger, accounts: o.Accounts, plans: o.Plans,
		budget: o.Budget, breaker: o.Breaker, leases: o.Leases, clock: o.Clock, audit: o.Audit,
		changes: o.Changes, client: o.Client,
		people:   o.Directory,
		provider: o.ExternalProvider,
		workers:  o.Workers, perSecond: o.PerSecond, lease: o.Lease, maxCreate: o.MaxCreate, callLimit: o.CallLimit,
		drain:      o.Drain,
		watchEvery: o.WatchEvery, watchApply: o.WatchApply, operations: o.Operations, hintsPerDay: o.HintsPerDay,
		closed:    make(map[string]bool, len(o.ClosedStatuses)),
		beginSpan: o.Begin, span: o.Span, self: o.SelfService, selfOrders: o.SelfOrders,
		poll: o.Poll, pollState: o.PollState, random: o.Random, now: o.Now, log: o.Logger,
		waiters: waiters{open: map[userID]*waiter{}},
		wake:    make(chan struct{}, 1),
		started: make(chan *planDraft, 1),

		directoryFault: o.DirectoryFault, nested: o.Beyond, bounds: o.SourceBounds,
		leaverAfterOf: o.LeaverAfter,
		renamed:       make(chan renamed, 64),
		refreshing:    make(chan struct{}, 1),
	}
	s.refreshing <- struct{}{}
	for _, status := range o.ClosedStatuses {
		s.closed[strings.ToLower(status)] = true
	}
	s.setDefaults()
	if s.workers < 1 || s.workers > 64 {
		return nil, fmt.Errorf("set up provisioning: %d workers: want 1 to 64", s.workers)
	}
	if s.lease < time.Second || s.maxCreate < 1 || s.watchEvery < 0 || s.hintsPerDay < 0 {
		return nil, errors.New("set up provisioning: want a lease of at least a second, a cap of at least 1, and no " +
			"negative interval or number")
	}
	if s.perSecond <= 0 || s.callLimit <= 0 || s.drain <= 0 || s.poll <= 0 || s.poll > time.Second || s.pollState <= 0 {
		return nil, errors.New("set up provisioning: rate, limits and polls must be more than 0, and Poll at most a second")
	}
	if err := s.parseTemplates(o); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Service) setDefaults() {
	if s.perSecond == 0 {
		s.perSecond = 4
	}
	if s.workers == 0 {
		s.workers = int(min(64, max(1, 2*s.perSecond+2)))
	}
	if s.lease == 0 {
		s.lease = 15 * time.Second
	}
	if s.maxCreate == 0 {
		s.maxCreate = 1000
	}
	if s.hintsPerDay == 0 {
		s.hintsPerDay = 200
	}
	if s.callLimit == 0 {
		s.callLimit = time.Minute
	}
	if s.drain == 0 {
		s.drain = 15 * time.Second
	}
	if s.poll == 0 {
		s.poll = time.Second
	}
	if s.pollState == 0 {
		s.pollState = 200 * time.Millisecond
	}
	if s.directoryFault == nil {
		s.directoryFault = func(error) string { return "" }
	}
	if s.leaverAfterOf == nil {
		s.leaverAfterOf = func(string) time.Duration { return 0 }
	}
	if s.random == nil {
		s.random = rand.Float64
	}
	if s.now == nil {
		s.now = time.Now
	}
}

// parseTemplates checks the templates by themselves, and then on a person as they usually are: a template that fits
// nobody stops the start, not the first sign-in.
func (s *Service) parseTemplates(o Options) error {
	var faults []error
	parse := func(field, text, preset string, into *mapping.Template, unique bool, never ...string) {
		if text == "" {
			text = preset
		}
		t, err := mapping.ParseTemplate(text)
		switch {
		case err != nil:
			faults = append(faults, &InputError{
				Field: field, Fault: err.Error(),
				Fix: "use literals and " + mapping.Placeholders,
			})
		case t.Uses(never...):
			faults = append(faults, &InputError{
				Field: field,
				Fault: fmt.Sprintf("template %q uses {%s}, which is not known yet when it is filled in", text,
					strings.Join(never, "} or {")),
				Fix: "take another placeholder",
			})
		case unique && !t.CanBeUnique() && (field != "login_name" || !t.Uses("external_id")):
			faults = append(faults, &InputError{
				Field: field,
				Fault: fmt.Sprintf("template %q gives several people, or one person in several client accounts, the same value",
					text),
				Fix: "use {key}, or one of {person_id}, {login}, {mail} together with {account}; the default is " + preset,
			})
		}
		*into = t
	}
	parse("external_id", o.ExternalID, mapping.DefaultExternalID, &s.externalID, true, "external_id", "login_name")
	if !o.AllowMutableExternalID && len(faults) == 0 && !s.externalID.Uses("person_id", "key") {
		// Who can change the attribute, or gets a login that somebody had before, would be signed in as that user.
		faults = append(faults, &InputError{
			Field: "external_id",
			Fault: fmt.Sprintf("template %q does not contain the person's immutable id", s.externalID),
			Fix: "use {person_id} or {key}; if the attribute never changes and is never given to somebody else, set " +
				"allow_mutable_external_id: true",
		})
	}
	parse("login_name", o.LoginName, mapping.DefaultLoginName, &s.loginName, true, "login_name")
	parse("contact_email", o.ContactEmail, mapping.DefaultContactEmail, &s.contactEmail, false)
	if len(faults) == 0 {
		faults = append(faults, s.trySample()...)
	}
	return errors.Join(faults...)
}

// trySample fills the templates in for an imaginary person with short names, a UUID as their id and a client account id
// of the usual 12 characters.
func (s *Service) trySample() []error {
	p := directory.Entry{
		ID: "01234567-89ab-cdef-0123-456789abcdef", Login: "jdoe", Mail: "j.doe@example.com", FirstName: "Jo",
		LastName:   "Doe",
		Attributes: map[string][]string{},
	}
	for _, t := range []mapping.Template{s.externalID, s.loginName, s.contactEmail} {
		for _, name := range t.Attributes() {
			p.Attributes[name] = []string{p.Mail}
		}
	}
	_, err := s.Body(p, Assignment{Account: "a07e1lxqqqo0", Role: store.AccountManager})
	var field *partnerapi.FieldError
	if errors.As(err, &field) {
		return []error{&InputError{
			Field: field.Field,
			Fault: fmt.Sprintf("for a usual person (id of 36 characters, account id of 12): %s", field.Fault),
			Fix:   "shorten or change its template",
		}}
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// InputError is the fault of one field of an input.
type InputError = mapping.InputError
