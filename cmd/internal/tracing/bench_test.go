package tracing_test

import (
	"net/http"
	"testing"

	"ssobridge/cmd/internal/tracing"
)

// BenchmarkSpan is what a span takes of whoever is recorded; what sends it works beside.
func BenchmarkSpan(b *testing.B) {
	tracer, err := tracing.New(tracing.Options{Endpoint: "http://127.0.0.1:1", Ratio: 1, Transport: http.DefaultTransport})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		ctx, request := tracer.Begin(b.Context(), "request")
		_, statement := tracer.Span(ctx, "store.statement")
		statement("Sessions.Get", "", nil)
		request("GET /", "200", nil)
	}
}
