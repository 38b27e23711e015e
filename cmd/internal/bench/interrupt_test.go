package main

import (
	"context"
	"io"
	"testing"
)

// TestInterruptedPartsAreLeftOut: a part that was cut short is left out, also where it says nothing of that itself and
// is the last one; then no report is kept.
func TestInterruptedPartsAreLeftOut(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	b := &bench{out: io.Discard}
	b.measurePart(ctx, part{name: "last", measure: func(b *bench, _ context.Context) error {
		interrupt()
		b.report.figure(launchCommits, 1)
		return nil
	}})
	if why := b.report.keep("docs/benchmarks.md"); why == "" || b.report.exit(false) != exitNotWhole {
		t.Errorf("kept: %q, exit code %d", why, b.report.exit(false))
	}
}
