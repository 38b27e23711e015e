package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	batchSize  = 512
	batchEvery = 5 * time.Second
	// tries of one batch; what waits behind it is bounded by the queue
	maxTries    = 4
	firstPause  = time.Second
	lastMoment  = 500 * time.Millisecond // for the answer of a request when the time is over
	longestWait = 30 * time.Second       // that a collector can ask for
	maxAnswer   = 64 << 10
)

// Run sends spans until ctx ends: as soon as a batch is there, and every five seconds. What is left, and what requests
// add that are being finished, is sent by Flush.
func (t *Tracer) Run(ctx context.Context) error {
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-t.full:
		}
		for batch := t.take(); len(batch) > 0; batch = t.take() {
			refused, err := t.send(ctx, batch, maxTries)
			if errors.Is(err, errStopped) {
				t.cut = batch
				return nil
			}
			t.account(batch, refused, err)
		}
	}
}

// Flush sends what waits, each batch once, after Run has ended. ctx bounds it.
func (t *Tracer) Flush(ctx context.Context) {
	if len(t.cut) == 0 {
		t.cut = t.take()
	}
	for batch := t.cut; len(batch) > 0; batch = t.take() {
		refused, err := int64(0), ctx.Err()
		if err == nil {
			refused, err = t.send(ctx, batch, 1)
		}
		t.account(batch, refused, err)
	}
	t.cut = nil
}

// take takes what waits, up to a batch.
func (t *Tracer) take() (batch []*span) {
	for len(batch) < batchSize {
		select {
		case s := <-t.queue:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

// errStopped says that the time came to an end before a batch was sent again, which the collector does not have.
var errStopped = errors.New("stopped before spans were sent again")

// send posts a batch, again where the collector says that it may take it later. refused are the spans that it did not
// want of it.
func (t *Tracer) send(ctx context.Context, batch []*span, tries int) (refused int64, err error) {
	body := t.encoded(batch)
	refused, err = t.post(ctx, body)
	for pause, try := firstPause, 1; err != nil && try < tries; pause, try = 2*pause, try+1 {
		again, may := errors.AsType[*retryError](err)
		if !may {
			break
		}
		if !wait(ctx, max(pause, again.after)) {
			return 0, errStopped
		}
		refused, err = t.post(ctx, body)
	}
	return refused, err
}

// account counts what became of a batch. What the collector does not take is dropped, and that is said once in the log
// until it takes some again.
func (t *Tracer) account(batch []*span, refused int64, err error) {
	if refused = min(refused, int64(len(batch))); err != nil {
		refused = int64(len(batch))
	}
	t.sent.Add(int64(len(batch)) - refused)
	t.dropped.Add(refused)
	switch {
	case err != nil && !t.failing:
		t.failing = true
		t.o.Logger.Warn("the OpenTelemetry collector does not take spans, which are dropped; sign-ins go on", "error", err,
			"hint", "compare tracing in the configuration with the collector, and see whether it runs")
	case err == nil && t.failing:
		t.failing = false
		t.o.Logger.Info("the OpenTelemetry collector takes spans again")
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryError says that the same request may be taken later.
type retryError struct {
	err   error
	after time.Duration // that the collector asks for
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// post sends a request once. refused are the spans that the collector did not want of it.
//
// One that is under way when ctx ends gets a moment to be answered: cut off, it would be sent twice, or be lost.
func (t *Tracer) post(ctx context.Context, body []byte) (refused int64, err error) {
	stopped := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(stopped, func() {
		wait(ctx, lastMoment)
		cancel()
	})()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.o.Endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("send spans: %w", err)
	}
	for name, value := range t.o.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "ssobridge")
	resp, err := t.http.Do(req)
	if err != nil {
		return 0, &retryError{err: fmt.Errorf("send spans: %w", err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode/100 == 2 && err != nil: // it has them: once more would be twice
		return 0, nil
	case resp.StatusCode/100 == 2:
		if refused, err = rejected(answer); err != nil {
			return 0, nil // some answer in JSON or with nothing; the status says that it has them
		}
		return max(refused, 0), nil
	}
	// Its text is not shown: it may repeat what it was sent.
	err = fmt.Errorf("send spans: the collector answers %d", resp.StatusCode)
	switch resp.StatusCode { // those that may be sent again (OTLP, "Retryable Response Codes")
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // a date counts as none
		most := int(longestWait / time.Second)
		return 0, &retryError{err, time.Duration(min(max(0, seconds), most)) * time.Second}
	}
	return 0, err
}
