package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp"
	"ssobridge/idp/metadata"
	"ssobridge/store"
)

// Review is the changes that a refresh has found and that wait for approval. A refresh takes no keys and no addresses
// by itself: whoever can change a service provider's metadata could have people's sign-ins sent elsewhere.
type Review struct {
	Provider Provider
	Changes  []metadata.Difference
	Sides    []metadata.Side // the same changes, with all values of both records
	Notes    []string
	Seen     string // names what was shown: other changes, or of another record, have another one

	pending []byte
}

// Review shows what waits. Where the metadata that waits can't be used, Seen and the error come together.
func (p Providers) Review(ctx context.Context, scope Scope, entityID string) (Review, error) {
	sp, err := p.Get(ctx, scope, entityID)
	if err != nil {
		return Review{}, err
	}
	r := Review{Provider: sp}
	if sp.Source == nil || len(sp.Source.Pending) == 0 {
		return r, &Error{Fault: "nothing waits for approval", Act: ShowProvider, About: sp.EntityID}
	}
	r.pending = bytes.Clone(sp.Source.Pending)
	var after store.ServiceProvider
	after, r.Changes, r.Notes, err = idp.Approve(sp.ServiceProvider, p.AllowLoopbackHTTP, p.Now())
	r.Seen = seenValues(seen(r.pending), r.Changes)
	if err == nil {
		r.Sides = metadata.Sides(sp.ServiceProvider, after)
	}
	return r, about(sp.EntityID, RefreshProvider, err)
}

// Approve takes what waits into use, if it is what was shown.
func (p Providers) Approve(ctx context.Context, scope Scope, entityID, shown string, e store.Event) error {
	r, err := p.Review(ctx, scope, entityID)
	switch {
	case r.Seen != shown || r.Seen == "":
		if r.Seen == "" && err != nil {
			return err
		}
		return changedReview(entityID)
	case err != nil:
		return err
	}
	e.Action, e.Subject, e.SP = "sp-approve", r.Provider.EntityID, r.Provider.EntityID
	var refused error
	err = p.Store.ServiceProviders().Change(ctx, r.Provider.EntityID,
		func(now *store.ServiceProvider) (store.Event, error) {
			// What is taken is what was shown, at the moment of the act.
			if refused = nil; now.Source == nil || !bytes.Equal(now.Source.Pending, r.pending) {
				refused = changedReview(entityID)
				return e, refused
			}
			after, changes, _, err := idp.Approve(*now, p.AllowLoopbackHTTP, p.Now())
			if err == nil && !slices.Equal(changes, r.Changes) { // somebody set other keys or addresses meanwhile
				refused = changedReview(entityID)
				return e, refused
			}
			lines := make([]string, 0, len(changes))
			for _, d := range changes {
				lines = append(lines, d.String())
			}
			e.Detail = store.DetailOf(map[string]any{"changes": lines})
			*now = after
			return e, err
		})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("approve %s: %w", r.Provider.EntityID, err)
	}
	return nil
}

func changedReview(entityID string) error {
	return &Error{Kind: Changed, Fault: "the pending changes were updated", Act: ReviewProvider, About: entityID}
}

// Refresh reads the metadata of one service provider now, as the running bridge does by itself in time. When that
// fails, the last good copy stays in use: the result comes with the error.
func (p Providers) Refresh(ctx context.Context, scope Scope, entityID, actor string) (metadata.Refreshed, error) {
	sp, err := p.Get(ctx, scope, entityID)
	if err != nil {
		return metadata.Refreshed{}, err
	}
	out, err := p.Refresher.Refresh(ctx, sp.EntityID, actor)
	switch {
	case errors.Is(err, metadata.ErrNoSource):
		return out, &Error{Fault: fmt.Sprintf("service provider %s: %v", sp.EntityID, err), Act: ImportAgain,
			About: sp.EntityID, Err: err}
	case err != nil:
		return out, err
	case out.Fault != nil:
		e := &Error{Kind: Outside, Fault: "the metadata could not be read, and the last good copy stays in use: " +
			out.Fault.Error(), Act: TryLater, Err: out.Fault}
		return out, e
	}
	return out, nil
}
