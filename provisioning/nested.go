package provisioning

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// NotFollowed says that groups in groups are not followed, and what that is about.
func NotFollowed(g directory.Group) string {
	return fmt.Sprintf("is in %s through %s, but groups in groups are not followed (directory.nested is off)", g.DN,
		strings.Join(g.Via, ", then "))
}

// beyond are the groups that a person is in by way of others only, where those are not followed. It serves the one who
// looks into a refusal: where it can't be read, nothing is said.
func (s *Service) beyond(ctx context.Context, p directory.Entry) []directory.Group {
	if s.nested == nil || p.Source != "" { // the groups of a token are in no others
		return nil
	}
	groups, err := s.nested(ctx, p)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelDebug, "groups in groups could not be read", slog.String("person", p.ID),
			slog.Any("error", err))
		return nil
	}
	return groups
}

// nestedHits are the mappings that would hit by such groups.
func nestedHits(x *mapping.Index, groups []directory.Group) (hits []mapping.Hit) {
	if len(groups) == 0 {
		return nil
	}
	// Of the groups alone: what else hits, hits without them.
	for _, h := range x.Hits(directory.Entry{Groups: groups}) {
		if h.Hit && (h.Mapping.Kind == store.GroupMapping || h.Mapping.Kind == store.GroupPattern) {
			hits = append(hits, h)
		}
	}
	return hits
}

// wouldNest adds to a refusal that following groups in groups would have given the access that was asked for.
func (s *Service) wouldNest(ctx context.Context, x *mapping.Index, q Question, d Decision) Decision {
	if d.Outcome != Denied || d.Reason != NoAssignment && d.Reason != NotThisAccount {
		return d
	}
	for _, h := range nestedHits(x, s.beyond(ctx, q.Person)) {
		if q.Account == "" || h.Account == q.Account {
			d.Nested = fmt.Sprintf("mapping %d would hit: the person %s", h.Mapping.ID, NotFollowed(h.Group))
			break
		}
	}
	return d
}

// explainNested says of mappings that miss that they would hit by groups in groups.
func (s *Service) explainNested(ctx context.Context, x *mapping.Index, p directory.Entry,
	all []mapping.Hit) []mapping.Hit {
	for _, h := range nestedHits(x, s.beyond(ctx, p)) {
		h.Hit, h.Why = false, "would hit: "+NotFollowed(h.Group)
		said := false
		for i := range all {
			if all[i].Mapping.ID == h.Mapping.ID && !all[i].Hit && all[i].Group.DN == "" {
				all[i], said = h, true
				break
			}
		}
		if !said {
			all = append(all, h)
		}
	}
	return all
}
