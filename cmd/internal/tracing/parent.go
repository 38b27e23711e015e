package tracing

import (
	"context"
	"encoding/hex"
	"strings"
)

type parentKey struct{}

// parentContext is a span of somebody in front of us.
type parentContext struct {
	trace   traceID
	span    spanID
	sampled bool
}

// WithParent has the next Begin go on with the trace of a traceparent header (W3C Trace Context, level 1). Who sends it
// chooses whether the request is recorded, and under which id: only that of somebody trusted comes here. One that is
// not well-formed is left out, as the specification wants it.
func WithParent(ctx context.Context, traceparent string) context.Context {
	p, ok := parseParent(traceparent)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, parentKey{}, p)
}

// parseParent reads version-traceid-parentid-flags. A later version may have more behind its flags.
func parseParent(text string) (p parentContext, ok bool) {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(text) < length || len(text) > 256 || text != strings.ToLower(text) {
		return p, false
	}
	version, flags := text[:2], text[53:55]
	if text[2] != '-' || text[35] != '-' || text[52] != '-' || version == "ff" ||
		len(text) > length && (version == "00" || text[length] != '-') {
		return p, false
	}
	var one [1]byte
	for _, part := range []struct {
		into []byte
		text string
	}{{one[:], version}, {p.trace[:], text[3:35]}, {p.span[:], text[36:52]}, {one[:], flags}} {
		if _, err := hex.Decode(part.into, []byte(part.text)); err != nil {
			return p, false
		}
	}
	p.sampled = one[0]&1 != 0
	return p, p.trace != traceID{} && p.span != spanID{}
}
