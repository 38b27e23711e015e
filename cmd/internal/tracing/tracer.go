package tracing

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// maxSpans bounds the spans of one trace, for what makes one call after the other. More are counted as dropped.
const maxSpans = 256

// Options for New. Endpoint and Transport must be given.
type Options struct {
	Endpoint  string            // where spans are posted to, with its path
	Headers   map[string]string // sent along; they may hold a token
	Ratio     float64           // the part of the traces that is recorded, above 0 and at most 1
	Queue     int               // spans that wait to be sent; default 2048
	Transport http.RoundTripper
	Timeout   time.Duration // of one post; default 10 s

	Version  func() string // of the program; asked when spans are sent
	Instance string        // this replica
	Database string        // sqlite or postgresql

	Now    func() time.Time // default time.Now
	Random func() uint64    // for ids, which need no secrecy; default math/rand/v2
	Logger *slog.Logger     // default: none
}

// Tracer records spans. Its methods may be called by any number of goroutines.
type Tracer struct {
	o     Options
	queue chan *span
	full  chan struct{} // a batch is there
	http  *http.Client

	sent, dropped atomic.Int64
	// Of Run and Flush alone, which follow each other.
	failing bool
	cut     []*span // a batch that Run was to send again
}

// New checks the options and starts nothing: Run sends.
func New(o Options) (*Tracer, error) {
	switch {
	case o.Endpoint == "" || o.Transport == nil:
		return nil, errors.New("tracing wants an endpoint and a transport")
	case o.Ratio <= 0 || o.Ratio > 1 || o.Queue < 0:
		return nil, errors.New("tracing wants a ratio above 0, at most 1, and no negative queue")
	}
	if o.Queue == 0 {
		o.Queue = 2048
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Uint64
	}
	if o.Version == nil {
		o.Version = func() string { return "" }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Tracer{o: o, queue: make(chan *span, o.Queue), full: make(chan struct{}, 1), http: &http.Client{
		Transport: o.Transport, Timeout: o.Timeout,
		// The headers may hold a token: they go to the configured address alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Counts are how many spans the collector has taken, and how many were dropped: it took them too late or not at all,
// refused them, or their trace had too many.
func (t *Tracer) Counts() (sent, dropped int64) { return t.sent.Load(), t.dropped.Load() }

type (
	traceID [16]byte
	spanID  [8]byte
)

// trace is what the spans of one trace share.
type trace struct {
	id   traceID
	left atomic.Int32 // spans that may be recorded yet
}

// span is what happened. It is written by one goroutine, and then handed over to the queue.
type span struct {
	trace        *trace
	id, parent   spanID
	name         string
	began, ended time.Time
	of, result   string
	failed       bool
}

type spanKey struct{}

// Begin begins a trace, or goes on with the one of WithParent, and its first span. end is nil where the trace is not
// among those that are recorded; then neither are the spans within.
func (t *Tracer) Begin(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error)) {
	of := &trace{}
	var parent spanID
	if outside, ok := ctx.Value(parentKey{}).(parentContext); ok {
		if !outside.sampled {
			return ctx, nil
		}
		of.id, parent = outside.trace, outside.span
	} else {
		binary.BigEndian.PutUint64(of.id[:8], t.o.Random())
		low := t.o.Random()
		binary.BigEndian.PutUint64(of.id[8:], low)
		// As OpenTelemetry's own samplers do: others that see the same id decide alike.
		if t.o.Ratio < 1 && low>>1 >= uint64(t.o.Ratio*math.MaxInt64) {
			return ctx, nil
		}
	}
	of.left.Store(maxSpans)
	return t.begin(ctx, of, parent, name)
}

// Span begins a span within the one of ctx. end is nil where there is none: what nobody asked for, such as a look into
// the store in the background, begins no trace.
func (t *Tracer) Span(ctx context.Context, name string) (_ context.Context, end func(of, result string, err error)) {
	within, ok := ctx.Value(spanKey{}).(*span)
	if !ok {
		return ctx, nil
	}
	return t.begin(ctx, within.trace, within.id, name)
}

func (t *Tracer) begin(ctx context.Context, of *trace, parent spanID,
	name string) (context.Context, func(of, result string, err error)) {
	if of.left.Add(-1) < 0 {
		of.left.Add(1) // it never wraps round
		t.dropped.Add(1)
		return ctx, nil
	}
	s := &span{trace: of, parent: parent, name: name, began: t.o.Now()}
	binary.BigEndian.PutUint64(s.id[:], max(1, t.o.Random())) // all zeros is no id
	return context.WithValue(ctx, spanKey{}, s), func(of, result string, err error) {
		done := *s // who goes on within it reads trace and id alone
		done.of, done.result, done.failed, done.ended = of, result, err != nil, t.o.Now()
		t.put(&done)
	}
}

// put never waits.
func (t *Tracer) put(s *span) {
	select {
	case t.queue <- s:
	default:
		t.dropped.Add(1)
		return
	}
	if len(t.queue) >= min(batchSize, cap(t.queue)/2) {
		select {
		case t.full <- struct{}{}:
		default: // it is known
		}
	}
}
