package provisioning

import (
	"context"
	"fmt"
	"time"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// indexed is an index of the stored mappings, and for how long it is right.
type indexed struct {
	*mapping.Index
	changes int64 // the store's change counter as of which it was read
	// when the last pattern without a base stopped: for a clock that is set back to before, this index is none
	from  time.Time
	until time.Time // when the next one stops, and this index is over; zero: none does
}

// holds tells whether no change has overtaken the index, and no pattern has stopped since it was made.
func (x *indexed) holds(changes int64, now time.Time) bool {
	return x.changes == changes && !now.Before(x.from) && (x.until.IsZero() || now.Before(x.until))
}

// current returns an index that no change has overtaken. Mappings that are gone give no access: if the change counter
// can't be read, there is no answer.
func (s *Service) current(ctx context.Context) (*mapping.Index, error) {
	changes, err := s.changes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read change counter: %w", err)
	}
	if x := s.indexed.Load(); x != nil && x.holds(changes, s.now()) {
		return x.Index, nil
	}
	s.indexing.Lock()
	defer s.indexing.Unlock()
	if changes, err = s.changes(store.NewReading(ctx)); err != nil {
		return nil, fmt.Errorf("read change counter: %w", err)
	}
	if x := s.indexed.Load(); x != nil && x.holds(changes, s.now()) {
		return x.Index, nil // made by another caller meanwhile
	}
	// The counter was read before the records: a change in between makes this index be overtaken at once, never wrong for
	// long.
	mappings, err := s.mappings.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list mappings: %w", err)
	}
	accounts, err := s.accounts.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list client accounts: %w", err)
	}
	forms, err := s.accounts.Forms(ctx)
	if err != nil {
		return nil, fmt.Errorf("list client accounts: %w", err)
	}
	ends, err := s.stopsOf(ctx)
	if err != nil {
		return nil, err
	}
	stopped, until := ends.Stopped(s.now())
	x := &indexed{Index: mapping.NewIndex(mappings, accounts, forms, stopped).Bounded(s.bounds), changes: changes,
		until: until}
	for _, at := range stopped {
		if at.After(x.from) {
			x.from = at
		}
	}
	for m, fault := range x.Mappings() {
		if fault != "" {
			s.log.Error("mapping can't be used and gives nobody access", "mapping", m.ID, "fault", fault)
		}
	}
	s.indexed.Store(x)
	return x.Index, nil
}

// Account returns the recorded form of a client account that somebody wrote. Its errors are those of
// store.AccountForms.Resolve; with ErrUnlistedAccount the id comes back as it was written.
func (s *Service) Account(ctx context.Context, text string) (store.AccountID, error) {
	x, err := s.current(ctx)
	if err != nil {
		return "", fmt.Errorf("look up client account %.70q: %w", text, err)
	}
	id, err := x.Forms().Resolve(text)
	if err != nil {
		return id, fmt.Errorf("look up client account: %w", err)
	}
	return id, nil
}
