// Package tracing records spans of requests and sends them to an OpenTelemetry collector (OTLP over HTTP, protobuf).
//
// The rooms below know nothing of it. They have a function in their options,
//
//	Span func(ctx context.Context, name string) (context.Context, func(of, result string, err error))
//
// which the wiring fills with Tracer.Begin (web, and the worker, whose work begins a trace) or Tracer.Span (all the
// others). The function that it returns ends the span; it is nil where nothing is recorded, so that a room spends
// nothing then. The two texts are the attributes: what it was about (a route, a server, a statement's name) and what
// it came to. They are words of ours. A person's name, login, mail address, DN, id, password or token must never be in
// one: whoever runs the collector is no administrator of the bridge. Errors count, and their texts are not recorded,
// for the same reason.
//
// Nothing here makes a sign-in wait: what the collector does not take in time is dropped and counted.
//
// The package writes the protobuf of OTLP by itself. The SDK and its exporters would link 170 packages more, gRPC among
// them even for HTTP, read variables of the environment by themselves and keep their state in package variables. What
// is needed of it is one message of few fields. The tests read it with the types that OpenTelemetry publishes.
package tracing
