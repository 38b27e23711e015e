package provisioning

import (
	"context"
	"errors"
	"fmt"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// stopsOf reads them.
func (s *Service) stopsOf(ctx context.Context) (mapping.Stops, error) {
	notices, err := s.mappings.Notices(ctx)
	if err != nil {
		return nil, err
	}
	return mapping.NewStops(notices), nil
}

// PatternStops says of mappings when they stop, as far as they are patterns without a base. It stores nothing.
func (s *Service) PatternStops(ctx context.Context, list []store.Mapping) (map[int64]mapping.Stop, error) {
	found := map[int64]mapping.Stop{}
	var all mapping.Stops
	for _, m := range list {
		if !mapping.Baseless(m) {
			continue
		}
		if all == nil {
			var err error
			if all, err = s.stopsOf(ctx); err != nil {
				return nil, fmt.Errorf("read when patterns stop: %w", err)
			}
		}
		found[m.ID] = all.Of(m.ID, s.now())
	}
	return found, nil
}

// NamePatterns notes that these mappings, as far as they are patterns without a base, are being named to an
// administrator at a place (store.NoticeByCheck, store.NoticeInConsole), and says when they stop. Mappings that are
// switched off give nothing and are left alone.
func (s *Service) NamePatterns(ctx context.Context, list []store.Mapping, place,
	actor string) (map[int64]mapping.Stop, error) {
	notices, err := s.mappings.Notices(ctx)
	if err != nil {
		return nil, fmt.Errorf("read when patterns were named: %w", err)
	}
	for _, m := range list {
		n := notices[m.ID]
		known := !n.ByCheck.IsZero()
		if place == store.NoticeInConsole {
			known = !n.InConsole.IsZero()
		}
		if !mapping.Baseless(m) || m.Off || known {
			continue
		}
		raw := store.DetailOf(map[string]any{"place": place, "pattern": m.Pattern})
		event := store.Event{
			At: s.now(), Actor: actor, Action: "mapping-notice", Subject: fmt.Sprintf("mapping %d", m.ID), Outcome: "ok",
			Reason: "a pattern without a group base was named", Detail: raw,
		}
		// it was changed meanwhile
		if err := s.mappings.Notice(ctx, m.ID, place, event); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("note that mapping %d was named: %w", m.ID, err)
		}
	}
	return s.PatternStops(ctx, list)
}
