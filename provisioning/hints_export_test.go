package provisioning

import "context"

// KeepHints is the part of Run that reads the accounts that webhooks named.
func (s *Service) KeepHints(ctx context.Context) { s.keepHints(ctx) }
