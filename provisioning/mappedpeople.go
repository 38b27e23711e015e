package provisioning

import (
	"context"
	"fmt"

	"ssobridge/store"
)

// MappedPeople are how many people each mapping gave a client account at the last plan: nobody walks the directory to
// show a list.
func (s *Service) MappedPeople(ctx context.Context) (store.MappedPeople, error) {
	m, err := s.plans.Mapped(ctx)
	if err != nil {
		return m, fmt.Errorf("count the people of mappings: %w", err)
	}
	return m, nil
}
