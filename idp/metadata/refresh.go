package metadata

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"ssobridge/certs"
	"ssobridge/idp/fetch"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// When metadata is read again.
const (
	refreshPass     = time.Minute // how often Run looks what is due
	refreshLeast    = 5 * time.Minute
	refreshMost     = 24 * time.Hour // where neither the document nor the record says less
	refreshRetry    = 30 * time.Minute
	refreshLease    = 10 * time.Minute // after a crash in the middle, another try
	maxRefreshFault = 500
)

// ErrNoSource says that a service provider's metadata comes from no address.
var ErrNoSource = errors.New("its metadata was given by hand, so there is no address to read it from again")

// Check says what is wrong with a service provider's record as a whole; nil: nothing is.
type Check func(store.ServiceProvider) error

// RefreshOptions for NewRefresher. All are required.
type RefreshOptions struct {
	Providers         *store.ServiceProviders
	Fetcher           *fetch.Client
	Check             Check
	AllowLoopbackHTTP bool
	MaxBytes          int64 // of a document; 0: DefaultMaxBytes
	Now               func() time.Time
	Random            io.Reader // spreads the refreshes of many service providers
	Logger            *slog.Logger
}

// Refresher keeps the records of service providers in step with their published
// metadata (row MD-05). Whatever goes wrong, the last good copy stays in use, until
// its own validUntil. What could lead sign-ins elsewhere waits for an admin.
type Refresher struct{ o RefreshOptions }

// NewRefresher checks the options. It starts nothing.
func NewRefresher(o RefreshOptions) (*Refresher, error) {
	if o.Providers == nil || o.Fetcher == nil || o.Check == nil || o.Now == nil || o.Random == nil || o.Logger == nil {
		return nil, errors.New("metadata refresh: an option is missing")
	}
	return &Refresher{o}, nil
}

// Run refreshes what is due until ctx ends. Several replicas may run it.
func (r *Refresher) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshPass)
	defer tick.Stop()
	for {
		if _, err := r.Due(ctx); err != nil && ctx.Err() == nil {
			r.o.Logger.WarnContext(ctx, "the metadata refresh failed; tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Due refreshes what is due at this moment, one after the other, and tells how
// many that were. What another replica has taken is left to it.
func (r *Refresher) Due(ctx context.Context) (n int, err error) {
	list, err := r.o.Providers.List(ctx)
	if err != nil {
		return 0, fmt.Errorf("list service providers: %w", err)
	}
	var errs []error
	for _, sp := range list {
		now := r.o.Now()
		if s := sp.Source; s == nil || s.URL == "" || now.Before(s.NextAt) {
			continue
		}
		claimed, err := r.o.Providers.ClaimRefresh(ctx, sp.EntityID, sp.Source.NextAt, now.Add(refreshLease))
		if err != nil {
			errs = append(errs, fmt.Errorf("claim the refresh of %s: %w", sp.EntityID, err))
			continue
		}
		if !claimed {
			continue
		}
		n++
		if _, err := r.Refresh(ctx, sp.EntityID, "worker"); err != nil {
			errs = append(errs, fmt.Errorf("refresh %s: %w", sp.EntityID, err))
		}
	}
	return n, errors.Join(errs...)
}

// Refreshed is what one refresh came to.
type Refreshed struct {
	Fault   error        // nil: a good copy was read
	Taken   []Difference // what is in use from now on
	Waiting []Difference // what waits for Approve, all of it
	NextAt  time.Time
}

// Refresh reads the metadata of one service provider now. An error means that the
// outcome could not be stored or there is nothing to read (ErrNoSource); that the
// document could not be had or was not accepted is Refreshed.Fault, and is stored.
func (r *Refresher) Refresh(ctx context.Context, entityID, actor string) (Refreshed, error) {
	sp, err := r.o.Providers.Get(ctx, entityID)
	if err != nil {
		return Refreshed{}, err
	}
	if sp.Source == nil || sp.Source.URL == "" {
		return Refreshed{}, ErrNoSource
	}
	im, fault := r.read(ctx, sp)
	if ctx.Err() != nil {
		return Refreshed{}, fmt.Errorf("read the metadata of %s: %w", entityID, ctx.Err())
	}
	spread, err := r.spread()
	if err != nil {
		return Refreshed{}, err
	}
	var (
		out  Refreshed
		news bool
	)
	err = r.o.Providers.Change(ctx, entityID, func(now *store.ServiceProvider) (store.Event, error) {
		if now.Source == nil || now.Source.URL != sp.Source.URL || !bytes.Equal(now.Source.TrustKey, sp.Source.TrustKey) {
			return store.Event{}, errors.New("its source was changed meanwhile")
		}
		var e store.Event
		out, e, news = r.apply(now, im, fault, spread)
		if e.Action != "" {
			e.Actor = actor
		}
		return e, nil
	})
	if err != nil {
		return Refreshed{}, fmt.Errorf("store what the refresh of %s came to: %w", entityID, err)
	}
	r.tell(ctx, entityID, out, news)
	return out, nil
}

func (r *Refresher) read(ctx context.Context, sp store.ServiceProvider) (Imported, error) {
	o := ReadOptions{EntityID: sp.EntityID, AllowLoopbackHTTP: r.o.AllowLoopbackHTTP, MaxBytes: r.o.MaxBytes,
		IgnoreEnd: sp.Source.NoEnd,
		Now:       r.o.Now()}
	if len(sp.Source.TrustKey) > 0 {
		key, err := certs.ParseHolder(sp.Source.TrustKey)
		if err != nil {
			// Never read without its check.
			return Imported{}, fmt.Errorf("the trust key on record can't be read: %w", err)
		}
		o.TrustKey = key
	}
	body, err := r.o.Fetcher.Open(ctx, sp.Source.URL)
	if err != nil {
		return Imported{}, err
	}
	defer body.Close()
	return Read(body, o)
}

// apply works the outcome of a reading into the record. It touches nothing else.
// news tells whether it differs from the last one.
func (r *Refresher) apply(sp *store.ServiceProvider, im Imported, fault error, spread float64) (out Refreshed,
	e store.Event, news bool) {
	now := r.o.Now()
	source := *sp.Source
	sp.Source = &source
	event := func(outcome, reason string, detail any) store.Event {
		// Differences are plain text; they always encode.
		d, _ := json.Marshal(detail)
		return store.Event{At: now.UTC(), Action: "sp-refresh", Subject: sp.EntityID, SP: sp.EntityID, Outcome: outcome,
			Reason: reason, Detail: d}
	}
	var after store.ServiceProvider
	if fault == nil {
		after, _ = im.Replacing(*sp)
		fault = r.o.Check(after)
	}
	if fault != nil {
		text := plaintext.Cut(fault.Error(), maxRefreshFault)
		news = source.Fault != text
		source.Fault = text
		source.NextAt = retryAt(source, now, spread)
		out = Refreshed{Fault: fault, NextAt: source.NextAt}
		if news {
			e = event("failed", "refresh_failed", map[string]string{"fault": text})
		}
		return out, e, news
	}
	recovered := source.Fault != ""
	source.Fault = ""
	source.NextAt = im.NextRefresh(now, source.EveryAtMost, spread)
	out.NextAt = source.NextAt
	all := Differences(*sp, after)
	if needApproval(all) {
		// Nothing of it is taken, its validUntil neither: it says how long the new copy
		// may be used, and the old one stays in use.
		out.Waiting = all
		if news = !sameMetadata(source.Pending, after.Metadata); news {
			source.Pending, source.PendingAt = after.Metadata, now.UTC()
			e = event("ok", "approval_needed", lines(all))
		}
		return out, e, news || recovered
	}
	out.Taken = all
	source.Pending, source.PendingAt = nil, time.Time{}
	source.ReadAt, source.ValidUntil = now.UTC(), im.ValidUntil
	after.Source = &source
	*sp = after
	if len(all) > 0 {
		e = event("ok", "refreshed", lines(all))
	}
	return out, e, recovered || len(all) > 0
}

// tell logs an outcome, once for each that differs from the one before.
func (r *Refresher) tell(ctx context.Context, entityID string, out Refreshed, news bool) {
	log := r.o.Logger.With("sp", entityID, "next", out.NextAt.UTC().Format(time.RFC3339))
	switch {
	case !news:
		log.DebugContext(ctx, "metadata read again: as before", "fault", out.Fault != nil)
	case out.Fault != nil:
		log.WarnContext(ctx, "metadata could not be refreshed; the last good copy stays in use", "error", out.Fault)
	case len(out.Waiting) > 0:
		log.WarnContext(ctx, "metadata has changed keys or addresses and waits for approval (sp approve)", "changes",
			lines(out.Waiting))
	default:
		log.InfoContext(ctx, "metadata refreshed", "changes", lines(out.Taken))
	}
}

func lines(all []Difference) []string {
	text := make([]string, 0, len(all))
	for _, d := range all {
		text = append(text, d.String())
	}
	return text
}

// Approve makes the record that is in use once the metadata that waits is
// accepted, and says what that changes. It stores nothing.
func Approve(sp store.ServiceProvider, check Check, allowLoopbackHTTP bool, now time.Time) (after store.ServiceProvider,
	changes []Difference, notes []string, err error) {
	if sp.Source == nil || len(sp.Source.Pending) == 0 {
		return after, nil, nil, errors.New("nothing waits for approval")
	}
	// Its signature was checked when it was fetched, and the store is ours.
	im, err := Read(bytes.NewReader(sp.Source.Pending), ReadOptions{EntityID: sp.EntityID,
		AllowLoopbackHTTP: allowLoopbackHTTP, IgnoreEnd: sp.Source.NoEnd, Now: now})
	if err != nil {
		return after, nil, nil, err
	}
	after, notes = im.Replacing(sp)
	if err := check(after); err != nil {
		return after, nil, nil, err
	}
	source := *sp.Source
	source.ReadAt, source.ValidUntil = source.PendingAt, im.ValidUntil
	source.Pending, source.PendingAt, source.Fault = nil, time.Time{}, ""
	after.Source = &source
	return after, Differences(sp, after), notes, nil
}

// NextRefresh is when the metadata should be read again: after its cacheDuration,
// and before half of its validity is over, so that a publisher who is away for a
// while harms nobody; no later than atMost (24 hours for 0), and no sooner than
// five minutes. spread from 0 to 1 takes up to a tenth off.
func (im Imported) NextRefresh(now time.Time, atMost time.Duration, spread float64) time.Time {
	d := cmp.Or(atMost, refreshMost)
	if im.CacheDuration > 0 {
		d = min(d, im.CacheDuration)
	}
	if !im.ValidUntil.IsZero() {
		d = min(d, im.ValidUntil.Sub(now)/2)
	}
	return now.Add(spreadOver(d, spread))
}

// retryAt is when to try again after a failure: sooner where the copy in use ends soon.
func retryAt(s store.Source, now time.Time, spread float64) time.Time {
	d := min(refreshRetry, cmp.Or(s.EveryAtMost, refreshMost))
	if !s.ValidUntil.IsZero() {
		d = min(d, s.ValidUntil.Sub(now)/2)
	}
	return now.Add(spreadOver(d, spread))
}

func spreadOver(d time.Duration, spread float64) time.Duration {
	return max(d-time.Duration(float64(d)*spread/10), refreshLeast)
}

// spread is a number from 0 to 1.
func (r *Refresher) spread() (float64, error) {
	var b [4]byte
	if _, err := io.ReadFull(r.o.Random, b[:]); err != nil {
		return 0, fmt.Errorf("read randomness: %w", err)
	}
	return float64(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3])) / (1 << 32), nil
}
