package provisioning

import (
	"context"
	"time"

	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// ForecastOf is the arithmetic of Forecast, without a budget in a store.
func ForecastOf(b store.BudgetStatus, calls int, now time.Time) Forecast {
	return forecast(b, calls, now)
}

// KeepWatch is the part of Run that makes plans.
func (s *Service) KeepWatch(ctx context.Context) { s.keepWatch(ctx) }

// MappingsDigest is what a plan keeps of the mappings that it was made with.
func MappingsDigest(all []store.Mapping) string { return mapping.Digest(all) }

// MakeStarted is the part of Run that makes plans that StartPlan began.
func (s *Service) MakeStarted(ctx context.Context) { s.makeStarted(ctx) }
