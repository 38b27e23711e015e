package tracing

import "context"

// Send sends what waits, as Run does.
func (t *Tracer) Send(ctx context.Context) {
	batch := t.take()
	refused, err := t.send(ctx, batch, maxTries)
	t.account(batch, refused, err)
}
