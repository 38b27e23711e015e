package main

import (
	"bytes"
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
	launchOverFloor figure = iota
	launchOverFloorLibcrypto
	launchRateOfFloor
	launchTail
	launchCommits
	signedLaunch
	tokenOverSignature
	freshOverLaunch
	freshCommits
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
	figures // how many there are
)

// target is the bound of a figure.
type target struct {
	name    string
	bound   float64
	atLeast bool // else at most
	show    func(float64) string
	more    string
	counted bool // no clock: other work on the machine does not change it
}

// targets are the figures to reach, each with the value that is the bound.
var targets = map[figure]target{
	launchOverFloor: {
		name: "processor time of a launch over the floor's, Go's signer", bound: float64(350 * time.Microsecond), show: span,
	},
	launchOverFloorLibcrypto: {
		name: "processor time of a launch over the floor's, libcrypto", bound: float64(350 * time.Microsecond), show: span,
	},
	launchRateOfFloor: {name: "launches a second / the floor's, libcrypto", bound: 0.8, atLeast: true, show: ratio,
		more: ", aim at 0.85"},
	launchTail:    {name: "launch at half load: p99 / p50", bound: 3, show: ratio},
	launchCommits: {name: "durable commits a launch", bound: 1, show: count, counted: true},
	signedLaunch:  {name: "signed launch / launch, by processor time", bound: 2, show: ratio},
	tokenOverSignature: {name: "check of a launch token over its signature's",
		bound: float64(50 * time.Microsecond), show: span},
	freshOverLaunch: {
		name:  "processor time of a fresh sign-in over a launch's, without slapd",
		bound: float64(3 * time.Millisecond), show: span,
	},
	freshCommits:   {name: "durable commits a fresh sign-in", bound: 3, show: count, counted: true},
	residentMemory: {name: "resident memory with a full store, after sign-ins", bound: 100e6, show: mb, counted: true},
	gateDecision: {name: "gate's decision, 3,000 accounts, 6,000 mappings, p99",
		bound: float64(time.Millisecond), show: span},
	startToReady: {name: "start to ready on an existing store", bound: float64(500 * time.Millisecond), show: span},
	floodGrowth:  {name: "growth of the store by the flood", bound: 50e6, show: mb, counted: true},

	creationsAsPublished: {name: "creations at 4 a second for 2 minutes / allowed", bound: 0.97, atLeast: true,
		show: precise},
	creationsFast:    {name: "2,500 creations at 40 a second / allowed", bound: 0.97, atLeast: true, show: precise},
	creationsRefused: {name: "calls answered 429 in both", bound: 0, show: count},
	jitterSliding: {
		name:  "40 a second, 150 ms a round trip, foreign calls, sliding window / what these leave",
		bound: 0.9, atLeast: true, show: precise,
	},
	jitterFixed:   {name: "the same, calendar seconds", bound: 0.9, atLeast: true, show: precise},
	jitterRefused: {name: "share of calls answered 429, the worse of both", bound: 0.001, show: precise},
	signInUnderPlan: {
		name: "fresh sign-in at a quarter of the launch rate, p99 with a plan / without", bound: 1.5, show: ratio,
	},
	signInFullLedger: {name: "fresh sign-in p50, 1,000,000 SSO users / 1,000", bound: 1.1, show: ratio},
	ledgerLookup: {name: "lookup of one SSO user among 1,000,000, mean",
		bound: float64(50 * time.Microsecond), show: span},
	walkTime: {
		name:  "plan for 100,000 people, 10,000 groups, the slower of an empty ledger and one of all",
		bound: float64(20 * time.Second), show: span,
	},
	walkMemory: {name: "memory of these processes at its highest", bound: 100e6, show: mb, counted: true},
	consolePage: {
		name:  "page of the console, 100,000 people, 1,000,000 audit events, slowest p95",
		bound: float64(50 * time.Millisecond), show: span,
	},
	consoleSize: {name: "HTML of a page of the console, largest", bound: 100e3, show: mb, counted: true},
}

// report collects lines in the order in which they were measured.
type report struct {
	lines   []line
	leftOut []string // what could not be measured, with the reason
}

type line struct {
	name, value, target, verdict string
	missed, doubtful             bool
	counted                      bool
}

// figure adds a figure that has a target.
func (r *report) figure(f figure, value float64) { r.judge(targets[f], value) }

// judge adds a value with its target.
func (r *report) judge(t target, value float64) {
	l := line{name: t.name, value: t.show(value), verdict: "missed", missed: true, counted: t.counted}
	if t.atLeast {
		l.target = "at least " + t.show(t.bound) + t.more
	} else {
		l.target = "at most " + t.show(t.bound) + t.more
	}
	// What is no number has missed.
	if t.atLeast && value >= t.bound || !t.atLeast && value <= t.bound {
		l.verdict, l.missed = "reached", false
	}
	r.lines = append(r.lines, l)
}

// note adds a figure without a target.
func (r *report) note(name, format string, args ...any) {
	r.lines = append(r.lines, line{name: name, value: fmt.Sprintf(format, args...)})
}

// tolerable is the part of the processors that other processes may have while something is
// measured that is not measured in pairs.
const tolerable = 0.1

// disturbed marks the verdicts from a line on, if others had too much of the processors.
func (r *report) disturbed(from int, share float64) {
	if share > tolerable {
		r.doubt(from, fmt.Sprintf("disturbed: other work had %.0f %% of the processors", 100*share))
	}
}

// doubt marks the verdicts from a line on as not to be relied on, save those that no other work changes.
func (r *report) doubt(from int, why string) {
	for i := range r.lines[from:] {
		if l := &r.lines[from+i]; l.verdict != "" && !l.counted {
			l.verdict, l.doubtful = l.verdict+", yet "+why, true
		}
	}
}

// leaveOut adds what could not be measured.
func (r *report) leaveOut(what string, err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	r.leftOut = append(r.leftOut, fmt.Sprintf("%s: %.300s", what, text))
}

// sums counts the figures that missed their target and those of which nothing can be said.
func (r *report) sums() (missed, doubtful int) {
	for _, l := range r.lines {
		switch {
		case l.doubtful:
			doubtful++
		case l.missed:
			missed++
		}
	}
	return missed, doubtful
}

// exit is the exit code that the report stands for.
func (r *report) exit(reportOnly bool) int {
	missed, doubtful := r.sums()
	switch {
	case len(r.leftOut) > 0 || doubtful > 0:
		return exitNotWhole
	case missed > 0 && !reportOnly:
		return exitMissed
	}
	return exitReached
}

// keep tells why the report is not kept in file; "" where it is. A file with gaps would be read as if all had been
// measured.
func (r *report) keep(file string) string {
	_, doubtful := r.sums()
	switch {
	case file == "":
		return "not all parts that belong together were measured as long as usual, of the program as it stands here"
	case len(r.leftOut) > 0:
		return "something was left out"
	case doubtful > 0:
		return "something was disturbed"
	}
	return ""
}

func (r *report) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FIGURE\tMEASURED\tTARGET\tVERDICT")
	for _, l := range r.lines {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", l.name, l.value, l.target, l.verdict)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, what := range r.leftOut {
		fmt.Fprintf(w, "left out: %s\n", what)
	}
	missed, doubtful := r.sums()
	_, err := fmt.Fprintf(w, "\n%d missed, %d disturbed, %d left out\n", missed, doubtful, len(r.leftOut))
	return err
}

// markdown is the report as a document, with lines about the run before it.
func (r *report) markdown(about []string) []byte {
	var b bytes.Buffer
	b.WriteString("# Benchmarks\n\nWritten by a whole run of `make bench` or `make bench-history`, and never by hand. " +
		"[testing.md](testing.md#benchmarks) says what the figures mean.\n\n")
	for _, line := range about {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n| figure | measured | target | |\n|---|---|---|---|\n")
	for _, l := range r.lines {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(l.name), cell(l.value), cell(l.target), cell(l.verdict))
	}
	return b.Bytes()
}

// cell is a text in a table of Markdown.
func cell(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "|", "\\|") }

func ratio(v float64) string    { return fmt.Sprintf("%.2f", v) }
func precise(v float64) string  { return fmt.Sprintf("%.4f", v) }
func count(v float64) string    { return fmt.Sprintf("%.3g", v) }
func mb(v float64) string       { return fmt.Sprintf("%.1f MB", v/1e6) }
func span(v float64) string     { return ms(time.Duration(v)) }
func ms(d time.Duration) string { return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond)) }

// median is the element in the middle by what of gives, the lower one of two.
func median[T any](all []T, of func(T) float64) T {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b T) int { return cmp.Compare(of(a), of(b)) })
	return sorted[(len(sorted)-1)/2]
}
