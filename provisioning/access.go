package provisioning

import (
	"context"
	"fmt"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Assignment is what the mappings give one person in one client account.
type Assignment = mapping.Assignment

// Assignments are what the mappings give one person: at most one role in a client account, sorted by the account's
// name. The lowest priority number wins.
func (s *Service) Assignments(ctx context.Context, p directory.Entry) ([]Assignment, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("assignments of person %s: %w", p.ID, err)
	}
	return s.assignments(x, p), nil
}

func (s *Service) assignments(x *mapping.Index, p directory.Entry) []Assignment {
	return x.Assignments(s.winners(x, p))
}

// winners are the hits that count for one person, see mapping.Index.Winners.
func (s *Service) winners(x *mapping.Index, p directory.Entry) []mapping.Hit {
	return s.winnersOf(x, x.Hits(p))
}

// winnersOf is winners for hits that are known.
func (s *Service) winnersOf(x *mapping.Index, hits []mapping.Hit) []mapping.Hit {
	for _, h := range hits {
		if h.Hit {
			s.noteRenamed(x, h)
		}
	}
	return x.Winners(hits, func(a, b mapping.Hit) {
		s.log.Warn("two mappings of equal priority give different roles, the lesser one is taken; give them different "+
			"priorities",
			"account", b.Account, "mapping", a.Mapping.ID, "role", a.Role, "other_mapping", b.Mapping.ID, "other_role", b.Role)
	})
}

// Explain evaluates every mapping for a person and says for each whether and why it hits. A pattern that fits several
// groups or values gives a Hit for each. The order is that of the priorities.
func (s *Service) Explain(ctx context.Context, p directory.Entry) ([]mapping.Hit, error) {
	all, _, err := s.ExplainAccess(ctx, p)
	return all, err
}

// ExplainAccess is Explain with the assignments that come of it: those of Assignments, from the same hits.
func (s *Service) ExplainAccess(ctx context.Context, p directory.Entry) ([]mapping.Hit, []Assignment, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("explain mappings for person %s: %w", p.ID, err)
	}
	all := x.Explain(p)
	for i, h := range all {
		if status, closed := s.shut(x, h.Account); h.Hit && closed {
			all[i].Why += fmt.Sprintf("; the client account is closed at Constant Contact (%s)", status)
		}
	}
	assigned := x.Assignments(s.winnersOf(x, all))
	all = s.explainNested(ctx, x, p, all)
	off, err := s.mappings.ListOff(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("explain mappings for person %s: %w", p.ID, err)
	}
	return append(all, x.ExplainOff(off, p)...), assigned, nil
}

// renamed is a mapped group that was read under a new DN.
type renamed struct {
	mapping int64
	dn      string
}

// noteRenamed passes on to the worker that a group which hit by its id has another DN than the mapping shows. The DN
// there only serves people who read the list, so a full queue loses nothing: the next sign-in notes it again after the
// next change.
func (s *Service) noteRenamed(x *mapping.Index, h mapping.Hit) {
	m := h.Mapping
	if m.ID == 0 || m.Kind != store.GroupMapping || m.GroupID == "" || h.Group.DN == m.GroupDN || h.Group.DN == "" {
		return // a mapping without an id is not stored yet
	}
	if directory.SameDN(h.Group.DN, m.GroupDN) || !x.Once(m.ID) {
		return
	}
	select {
	case s.renamed <- renamed{m.ID, h.Group.DN}:
	default:
	}
}
