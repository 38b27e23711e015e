package provisioning

import (
	"context"
	"fmt"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// GroupReadiness is how far the people of one mapping are provisioned. A person whom a pattern gives several client
// accounts counts once for each.
type GroupReadiness struct {
	Mapping store.Mapping
	People  int // with an assignment by this mapping: the sum of the others
	There   int // of them with an SSO user that can sign in
	Waiting int // wanted or being created
	Failing int // conflict, refused, suspended, blocked by their data, or in a client account that is closed
	Missing int // nothing stored yet: a plan creates them
	Later   int // nothing stored yet: created at their first sign-in
}

// Readiness walks the directory and tells for each mapping which share of its people is provisioned, and what it would
// take to create all who are missing.
func (s *Service) Readiness(ctx context.Context, progress func(people int)) ([]GroupReadiness, Forecast, error) {
	x, err := s.current(ctx)
	if err != nil {
		return nil, Forecast{}, fmt.Errorf("tell who is ready: %w", err)
	}
	all := make([]GroupReadiness, 0, x.Len())
	at := make(map[int64]*GroupReadiness, x.Len())
	for m := range x.Mappings() {
		all = append(all, GroupReadiness{Mapping: m})
		at[m.ID] = &all[len(all)-1]
	}
	missing := 0
	var noted func(people, groups int)
	if progress != nil {
		noted = func(people, _ int) { progress(people) }
	}
	_, err = s.walkPeople(ctx, []*mapping.Index{x}, noted, nil, func(page []visited, rows map[userID]store.SSOUser) error {
		for _, v := range page {
			for _, h := range v.hits[0] {
				row, there := rows[userID{store.PersonID(v.person.ID), h.Account}]
				kind, _ := s.verdict(x, v.person, h, row, there)
				_, closed := s.shut(x, h.Account)
				g := at[h.Mapping.ID]
				g.People++
				switch {
				case kind == store.ItemCreate:
					g.Missing++
					missing++
				case kind == leftToSignIn:
					g.Later++
				case closed || kind == store.ItemBlocked:
					g.Failing++
				case usable(row):
					g.There++
				case waits(row):
					g.Waiting++
				default:
					g.Failing++
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, Forecast{}, fmt.Errorf("tell who is ready: %w", err)
	}
	f, err := s.Forecast(ctx, missing)
	return all, f, err
}
