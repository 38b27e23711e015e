package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// Part is a part of the bridge that is well or not.
type Part string

// The parts.
const (
	PartStore           Part = "store"
	PartKeys            Part = "keys"
	PartDirectory       Part = "directory"
	PartConstantContact Part = "constant_contact"
	PartProviders       Part = "service_providers"
	PartProvisioning    Part = "provisioning"
	PartBudget          Part = "budget"
	PartAudit           Part = "audit"
	PartJournal         Part = "revocation_journal"
	PartClock           Part = "clock"
	PartExpiry          Part = "expiry"
	PartLog             Part = "log"
	PartBackup          Part = "backup"
	PartNotices         Part = "notices"
)

// Parts are all of them, in the order in which they are shown.
func Parts() []Part {
	return []Part{PartStore, PartKeys, PartDirectory, PartConstantContact, PartProviders, PartProvisioning, PartBudget,
		PartAudit, PartJournal, PartBackup, PartNotices, PartClock, PartExpiry, PartLog}
}

// Word is the level as metrics, log and commands write it.
func (l Level) Word() string {
	switch l {
	case Failure:
		return "down"
	case Warning:
		return "warning"
	default:
		return "ok"
	}
}

// Bounds of a snapshot: it is read every few seconds.
const (
	findingsEach = 10
	sentenceMost = 500 // bytes
)

// HealthStale is the age from which a snapshot says nothing any more: twice the longest that one is used for.
const HealthStale = 2 * time.Minute

// checkLimit bounds one check of the list.
const checkLimit = 10 * time.Second

// PartHealth is how one part is.
type PartHealth struct {
	Part     Part      `json:"part"`
	Level    Level     `json:"level"`
	Since    time.Time `json:"since"`    // when the level became what it is
	Findings []Finding `json:"findings"` // what is wrong, the worst first
	More     int       `json:"more,omitempty"`
}

// Worst is the finding that decides the level; one without a name where nothing is wrong.
func (p PartHealth) Worst() Finding {
	if len(p.Findings) == 0 {
		return Finding{}
	}
	return p.Findings[0]
}

// Measured are the numbers of a snapshot, for metrics.
type Measured struct {
	Checkpoint   time.Time     `json:"checkpoint"`   // of the audit log, the last one
	UncoveredFor time.Duration `json:"uncovered"`    // the age of the oldest audit event that none covers; 0: all are
	ClockOffset  time.Duration `json:"clock_offset"` // ours less the token server's
	ClockKnown   bool          `json:"clock_known"`  // its time was heard
	Overdue      time.Duration `json:"overdue"`      // how long the next user to create has been due
}

// Health is how all parts are, as one replica saw it.
type Health struct {
	Parts    []PartHealth `json:"parts"`
	Measured Measured     `json:"measured"`

	// Of the stored snapshot.
	At       time.Time        `json:"-"` // zero: none was made yet
	Age      time.Duration    `json:"-"`
	Maker    string           `json:"-"`
	SignedIn time.Time        `json:"-"` // when somebody last signed in at a service provider; zero: not known
	Calls    store.CallRecord `json:"-"` // to Constant Contact
}

// Part is how one of them is; ok is false where nobody has looked.
func (h Health) Part(name Part) (p PartHealth, ok bool) {
	i := slices.IndexFunc(h.Parts, func(p PartHealth) bool { return p.Part == name })
	if i < 0 {
		return PartHealth{Part: name}, false
	}
	return h.Parts[i], true
}

// Stale tells whether nobody has looked for too long.
func (h Health) Stale() bool { return h.At.IsZero() || h.Age > HealthStale }

// Level is that of the worst part.
func (h Health) Level() (worst Level) {
	for _, p := range h.Parts {
		worst = max(worst, p.Level)
	}
	return worst
}

// AtLeast is the snapshot with what a replica found of one part by itself, where that is worse. before is what it knew
// before, which says since when.
func (h Health) AtLeast(before Health, name Part, now time.Time, found ...Finding) Health {
	was, _ := before.Part(name)
	own := judge(name, found, was, now)
	i := slices.IndexFunc(h.Parts, func(p PartHealth) bool { return p.Part == name })
	switch {
	case i < 0:
		h.Parts = append(slices.Clone(h.Parts), own)
	case own.Level > h.Parts[i].Level:
		h.Parts = slices.Clone(h.Parts)
		h.Parts[i] = own
	}
	return h
}

// judge is how a part is by what was found. was is how it was before.
func judge(name Part, found []Finding, was PartHealth, now time.Time) PartHealth {
	p := PartHealth{Part: name, Since: now}
	for _, f := range found {
		same := func(o Finding) bool { return o.Name == f.Name && o.Detail == f.Detail }
		if f.Level == OK || slices.ContainsFunc(p.Findings, same) {
			continue
		}
		f.Detail, f.Hint = shortened(f.Detail), shortened(f.Hint)
		p.Level = max(p.Level, f.Level)
		p.Findings = append(p.Findings, f)
	}
	slices.SortStableFunc(p.Findings, func(a, b Finding) int { return cmp.Compare(b.Level, a.Level) })
	if n := len(p.Findings); n > findingsEach {
		p.Findings, p.More = p.Findings[:findingsEach], n-findingsEach
	}
	if was.Level == p.Level && !was.Since.IsZero() && !was.Since.After(now) {
		p.Since = was.Since
	}
	return p
}

func shortened(text string) string {
	if len(text) <= sentenceMost {
		return text
	}
	return plaintext.Cut(text, sentenceMost) + "…"
}

// LookForHealth looks at every part. before is the snapshot before it, which says since when a part is as it is.
func (s Status) LookForHealth(ctx context.Context, before Health) Health {
	now := s.Now()
	of := map[Part][]Finding{}
	for _, c := range s.checks() {
		if c.For&ForHealth == 0 {
			continue
		}
		// Each by itself: a directory that takes all its time must not make the others fail.
		limited, cancel := context.WithTimeout(ctx, checkLimit)
		for _, f := range c.Run(limited) {
			part := cmp.Or(f.Part, c.Part)
			of[part] = append(of[part], f)
		}
		cancel()
	}
	h := Health{At: now, SignedIn: before.SignedIn}
	for _, part := range Parts() {
		was, _ := before.Part(part)
		h.Parts = append(h.Parts, judge(part, of[part], was, now))
	}
	limited, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	h.Measured = s.measure(limited)
	return h
}

// LookAtReplica looks at what may be wrong with this replica alone.
func (s Status) LookAtReplica(ctx context.Context) map[Part][]Finding {
	of := map[Part][]Finding{}
	for _, c := range s.checks() {
		if c.For&ForReplica != 0 {
			of[c.Part] = append(of[c.Part], c.Run(ctx)...)
		}
	}
	return of
}

// StoreHealth stores a snapshot for all replicas and commands.
func (s Status) StoreHealth(ctx context.Context, h Health, maker string) error {
	content, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode the health snapshot: %w", err)
	}
	return s.Store.Health().Put(ctx, maker, string(content))
}

// Health is the snapshot that the running bridge made last.
func (s Status) Health(ctx context.Context, scope Scope) (Health, error) {
	if err := scope.whole(); err != nil {
		return Health{}, err
	}
	r, err := s.Store.Health().Read(ctx)
	if err != nil {
		return Health{}, err
	}
	var h Health
	if r.Content != "" {
		// What another version wrote and this one can't read is as if nobody had looked.
		if json.Unmarshal([]byte(r.Content), &h) != nil {
			h, r.At = Health{}, time.Time{}
		}
	}
	h.At, h.Age, h.Maker, h.SignedIn, h.Calls = r.At, r.Age, r.Maker, r.SignedIn, r.Calls
	return h, nil
}

// measure reads the numbers. What can't be read is left out: the parts say why.
func (s Status) measure(ctx context.Context) (m Measured) {
	if last, err := s.Store.Audit().LastCheckpoint(ctx); err == nil {
		m.Checkpoint = last.At
	}
	if since, err := s.Store.Audit().Uncovered(ctx); err == nil && !since.IsZero() {
		m.UncoveredFor = max(0, s.Now().Sub(since))
	}
	if s.Tokens != nil {
		theirs, ours, ok := s.Tokens.ServerTime()
		m.ClockKnown, m.ClockOffset = ok, ours.Sub(theirs)
	}
	if due, err := s.Store.Ledger().NextDue(ctx, store.PlanPriority); err == nil {
		m.Overdue = max(0, s.Now().Sub(due))
	}
	return m
}

// auditAlarm is for how long what somebody did to the audit log is a failure.
const auditAlarm = 24 * time.Hour

// auditLate is how long an event may wait for a checkpoint: while a bridge runs, they are made every ten seconds.
const auditLate = 5 * time.Minute

// audit says whether the audit log is protected by checkpoints, and whether somebody else wrote into it.
func (s Status) audit(ctx context.Context) []Finding {
	const name = "audit log"
	since, err := s.Store.Audit().Uncovered(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	covered := "covered by checkpoints"
	switch {
	case since.IsZero():
	case s.Since.After(since):
		// What waited while no bridge was running is due from its start on.
		since = s.Since
	case s.Since.IsZero():
		running, err := s.Store.Replicas().Running(ctx)
		if err != nil {
			return []Finding{found(name, err)}
		}
		if len(running) == 0 {
			since, covered = time.Time{}, "no bridge is running; the next start makes a checkpoint of the newest events"
		}
	}
	var all []Finding
	if age := s.Now().Sub(since); !since.IsZero() && age > auditLate {
		all = append(all, Finding{Name: name, Level: Failure,
			Hint:   "the log of the running bridge says why no checkpoint is made",
			Detail: fmt.Sprintf("events of the last %s are covered by no checkpoint", age.Round(time.Minute))})
	}
	list, err := s.Store.Audit().List(ctx, store.Filter{Action: "audit-foreign", Limit: 1})
	switch {
	case err != nil:
		all = append(all, found(name, err))
	case len(list) > 0 && s.Now().Sub(list[0].At) < auditAlarm:
		known, err := s.acknowledged(ctx, list[0].At)
		switch {
		case err != nil:
			all = append(all, found(name, err))
		case known:
			covered += "; the events in it that the bridge did not write are acknowledged"
		default:
			all = append(all, Finding{Name: name, Level: Failure, Act: ReadAudit,
				Detail: "it holds events that the bridge did not write, found at " +
					plaintext.Minute(list[0].At)})
		}
	}
	if len(all) == 0 {
		all = append(all, Finding{Name: name, Detail: covered})
	}
	return all
}

// acknowledged tells whether an administrator has acknowledged all foreign events of the audit log, after they were
// found. The acknowledgements are signed: who can write the database silences nothing by it.
func (s Status) acknowledged(ctx context.Context, since time.Time) (bool, error) {
	if s.Keys.Sealer == nil {
		return false, nil
	}
	signing, err := Audit{Store: s.Store, Sealer: s.Keys.Sealer, Now: s.Now}.Signing(ctx)
	if err != nil {
		return false, err
	}
	open, last, err := s.Store.Audit().ForeignEvents(ctx, signing.Holds)
	return err == nil && !open && last.After(since), err
}

// overdueLate is how long a user may be due before somebody should look.
const overdueLate = 5 * time.Minute

// provisioning says whether users are created.
func (s Status) provisioning(ctx context.Context) []Finding {
	const name = "provisioning"
	pause, err := s.Store.Ledger().ProvisioningPause(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	var all []Finding
	if !pause.Since.IsZero() {
		all = append(all, Finding{Name: name, Level: Warning, Act: ResumeProvisioning, Detail: "it is paused since " +
			plaintext.Minute(pause.Since)})
	}
	due, err := s.Store.Ledger().NextDue(ctx, store.PlanPriority)
	switch late := s.Now().Sub(due); {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		all = append(all, found(name, err))
	case late > overdueLate:
		all = append(all, Finding{Name: "queue", Level: Warning, Act: RunCheck,
			Detail: fmt.Sprintf("a user has been due to be created for %s", late.Round(time.Minute))})
	}
	return all
}

// budget says how many calls the day still allows.
func (s Status) budget(ctx context.Context) []Finding {
	const name = "calls to Constant Contact"
	if s.Budget == nil {
		return nil
	}
	b, err := s.Budget.Status(ctx)
	if err != nil {
		return []Finding{found(name, err)}
	}
	f := Finding{Name: name, Detail: fmt.Sprintf("%d of %d used today", b.Used, b.Limit)}
	until := ", until " + b.Reset.UTC().Format("15:04 MST")
	switch {
	case b.Exhausted, b.Used >= b.Limit:
		fault, fix := provisioning.UsedUp(b)
		f.Level, f.Act = Failure, TryLater
		f.Detail = fmt.Sprintf("%s (%d of %d counted here)", fault, b.Used, b.Limit) + until
		if b.Exhausted {
			f.Hint = fix
		}
	case b.Used >= b.Background:
		f.Level, f.Act = Warning, TryLater
		f.Detail = fmt.Sprintf("the day's calls for plans and retries are used up, and %d of %d are left for sign-ins",
			b.Limit-b.Used, b.Limit) + until
	}
	return []Finding{f}
}

// ends are the expiry dates that are near.
func (s Status) ends(ctx context.Context) []Finding {
	const name = "expiry dates"
	if s.Expiries.Files == nil {
		return nil
	}
	// What could be read comes also with an error.
	list, err := s.Expiries.List(ctx, Everything())
	var all []Finding
	if err != nil {
		f := found(name, err)
		f.Level = Warning
		all = append(all, f)
	}
	for _, e := range list {
		all = append(all, ExpiryFinding(e, s.Now()))
	}
	return all
}
