package provisioning

import (
	"context"
	"time"

	"ssobridge/store"
)

// spanner is Options.Begin or Options.Span.
type spanner func(ctx context.Context, name string) (context.Context, func(of, result string, err error))

// The names of spans.
const (
	spanCreate = "provisioning.create" // one attempt of the worker, which is no part of a person's request
	spanWait   = "provisioning.wait"   // of a person's request, for what the worker does
)

func (s spanner) begin(ctx context.Context, name string) (context.Context, func(of, result string, err error)) {
	if s == nil {
		return ctx, nil
	}
	return s(ctx, name)
}

// awaitInSpan is await in a span of its own.
func (s *Service) awaitInSpan(ctx context.Context, row store.SSOUser, patience time.Duration) (store.SSOUser, error) {
	ctx, end := s.span.begin(ctx, spanWait)
	now, err := s.await(ctx, row, patience)
	if end != nil {
		end(now.Priority.String(), string(now.State), err)
	}
	return now, err
}
