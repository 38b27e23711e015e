package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figure names one of the figures that have a target.
type figure int

const (
	launchRatio figure = iota
	launchTail
	launchCommits
	freshRatio
	freshCommits
	opensslRatio
	residentMemory
	gateDecision
	startToReady
	floodGrowth
	creationsAsPublished
	creationsFast
	creationsRefused
	jitterSliding
	jitterFixed
	jitterRefused
	signInUnderPlan
	signInFullLedger
	ledgerLookup
	walkTime
	walkMemory
	consolePage
	consoleSize
)

// targets are the figures to reach, each with the value that is the bound.
var targets = map[figure]struct {
	name    string
	bound   float64
	atLeast bool // else at most
	show    func(float64) string
	more    string
}{
	launchRatio:    {"signatures in launches / in the plain loop", 0.65, true, ratio, ", aim at 0.75"},
	launchTail:     {"launch at half load: p99 / p50", 4, false, ratio, ""},
	launchCommits:  {"durable commits a launch", 2, false, count, ""},
	freshRatio:     {"fresh sign-ins / launches", 0.5, true, ratio, ""},
	freshCommits:   {"durable commits a fresh sign-in", 4, false, count, ""},
	opensslRatio:   {"launches with OpenSSL / with Go's signer", 1.6, true, ratio, ""},
	residentMemory: {"resident memory with a full store, after sign-ins", 100e6, false, mb, ""},
	gateDecision:   {"gate's decision, 3,000 accounts, 6,000 mappings, p99", float64(time.Millisecond), false, span, ""},
	startToReady:   {"start to ready on an existing store", float64(500 * time.Millisecond), false, span, ""},
	floodGrowth:    {"growth of the store by the flood", 50e6, false, mb, ""},

	creationsAsPublished: {"creations at 4 a second for 2 minutes / allowed", 0.97, true, precise, ""},
	creationsFast:        {"2,500 creations at 40 a second / allowed", 0.97, true, precise, ""},
	creationsRefused:     {"calls answered 429 in both", 0, false, count, ""},
	jitterSliding:        {"40 a second, jitter, foreign calls, sliding window / what is left", 0.9, true, precise, ""},
	jitterFixed:          {"the same, calendar seconds", 0.9, true, precise, ""},
	jitterRefused:        {"share of calls answered 429, the worse of both", 0.001, false, precise, ""},
	signInUnderPlan:      {"fresh sign-in at a quarter of the launch rate, p99 with a plan / without", 1.5, false, ratio, ""},
	signInFullLedger:     {"fresh sign-in p50, 1,000,000 SSO users / 1,000", 1.1, false, ratio, ""},
	ledgerLookup:         {"lookup of one SSO user among 1,000,000, mean", float64(50 * time.Microsecond), false, span, ""},
	walkTime:             {"plan for 100,000 people, 10,000 groups, ledger of all", float64(20 * time.Second), false, span, ""},
	walkMemory:           {"memory of that process at its highest", 100e6, false, mb, ""},
	consolePage:          {"page of the console, 100,000 people, 1,000,000 audit events, slowest p95", float64(50 * time.Millisecond), false, span, ""},
	consoleSize:          {"HTML of a page of the console, largest", 100e3, false, mb, ""},
}

// report collects lines in the order in which they were measured.
type report struct {
	lines []line
}

type line struct{ name, value, target, verdict string }

// figure adds a figure that has a target.
func (r *report) figure(f figure, value float64) {
	t := targets[f]
	l := line{name: t.name, value: t.show(value), verdict: "missed"}
	if t.atLeast {
		l.target = "at least " + t.show(t.bound) + t.more
	} else {
		l.target = "at most " + t.show(t.bound) + t.more
	}
	if t.atLeast && value >= t.bound || !t.atLeast && value <= t.bound {
		l.verdict = "reached"
	}
	r.lines = append(r.lines, l)
}

// note adds a figure without a target.
func (r *report) note(name, format string, args ...any) {
	r.lines = append(r.lines, line{name: name, value: fmt.Sprintf(format, args...)})
}

// tolerable is the part of the processors that others may have while something is
// measured. The kernel's own work counts among theirs.
const tolerable = 0.1

// disturbed marks the verdicts from a line on, if others had too much of the processors.
func (r *report) disturbed(from int, share float64) {
	if share <= tolerable {
		return
	}
	for i := range r.lines[from:] {
		if l := &r.lines[from+i]; l.verdict != "" {
			l.verdict += fmt.Sprintf(", yet disturbed: other work had %.0f %% of the processors", 100*share)
		}
	}
}

// failed adds what could not be measured.
func (r *report) failed(part string, err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	r.lines = append(r.lines, line{name: part, value: fmt.Sprintf("not measured: %.200s", text)})
}

func (r *report) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FIGURE\tMEASURED\tTARGET\tVERDICT")
	for _, l := range r.lines {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", l.name, l.value, l.target, l.verdict)
	}
	return tw.Flush()
}

func ratio(v float64) string    { return fmt.Sprintf("%.2f", v) }
func precise(v float64) string  { return fmt.Sprintf("%.4f", v) }
func count(v float64) string    { return fmt.Sprintf("%.3g", v) }
func mb(v float64) string       { return fmt.Sprintf("%.1f MB", v/1e6) }
func span(v float64) string     { return ms(time.Duration(v)) }
func ms(d time.Duration) string { return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond)) }
func numbers(v []float64) string {
	texts := make([]string, len(v))
	for i := range v {
		texts[i] = fmt.Sprintf("%.0f", v[i])
	}
	return strings.Join(texts, ", ")
}

// median is the element in the middle by what of gives, the lower one of two.
func median[T any](all []T, of func(T) float64) T {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b T) int { return cmp.Compare(of(a), of(b)) })
	return sorted[(len(sorted)-1)/2]
}
