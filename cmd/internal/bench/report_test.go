package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reached is a report in which everything is as it should be.
func reached() report {
	var r report
	r.figure(launchCommits, 1)
	r.note("a note", "5")
	r.figure(launchTail, 2.5)
	return r
}

// TestExitCodes (COST-43): 0 where all is reached, 1 where a target is missed, 2 where something can't be judged,
// whatever else there is.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name       string
		change     func(*report)
		want, look int // the second with --report-only
	}{
		{"all reached", func(*report) {}, 0, 0},
		{"one missed", func(r *report) { r.figure(launchTail, 3.5) }, 1, 0},
		{"no number", func(r *report) { r.figure(launchTail, math.NaN()) }, 1, 0},
		{"left out", func(r *report) { r.leaveOut("fresh", errNoSlapd) }, 2, 2},
		{"disturbed", func(r *report) { r.disturbed(0, 0.4) }, 2, 2},
		{"disturbed a little", func(r *report) { r.disturbed(0, 0.05) }, 0, 0},
		{"missed and left out", func(r *report) { r.figure(launchTail, 3.5); r.leaveOut("fresh", errNoSlapd) }, 2, 2},
		{"missed and disturbed", func(r *report) { r.figure(launchTail, 3.5); r.doubt(3, "busy") }, 2, 2},
		{"interrupted", func(r *report) { r.leaveOut("fresh", errInterrupted) }, 2, 2},
	} {
		r := reached()
		c.change(&r)
		if got := r.exit(false); got != c.want {
			t.Errorf("%s: got exit code %d, want %d", c.name, got, c.want)
		}
		if got := r.exit(true); got != c.look {
			t.Errorf("%s, --report-only: got exit code %d, want %d", c.name, got, c.look)
		}
	}
}

// TestDisturbanceLeavesCountsAlone: a commit is a commit, whoever else uses the machine.
func TestDisturbanceLeavesCountsAlone(t *testing.T) {
	r := reached()
	r.disturbed(0, 0.4)
	if r.lines[0].doubtful || r.lines[0].verdict != "reached" {
		t.Errorf("commits: got %+v, want reached", r.lines[0])
	}
	if !r.lines[2].doubtful || r.lines[1].verdict != "" {
		t.Errorf("got %+v, want the time alone in doubt", r.lines[1:])
	}
}

// TestOnlyAWholeRunIsKept (COST-43): a report with gaps is read as if all had been measured.
func TestOnlyAWholeRunIsKept(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		file string
	}{
		{"usual", nil, "docs/benchmarks.md"},
		{"all by name, in any order", []string{"--parts", "latency,launch," + strings.Join(partNames(usual[2:]), ",")},
			"docs/benchmarks.md"},
		{"history", []string{"--parts", "history"}, "docs/benchmarks-history.md"},
		{"one part", []string{"--parts", "launch"}, ""},
		{"all but one", []string{"--parts", strings.Join(partNames(usual[1:]), ",")}, ""},
		{"more than belongs together", []string{"--parts", "history,launch"}, ""},
		{"shorter", []string{"--seconds", "1"}, ""},
		{"fewer pairs", []string{"--pairs", "3"}, ""},
		{"fewer rows", []string{"--parts", "history", "--rows", "1000"}, ""},
		{"another program", []string{"--binary", "ssobridge"}, ""},
		{"under the profiler", []string{"--profile", "cpu"}, ""},
		{"to look", []string{"--report-only"}, ""},
	} {
		var o options
		chosen, whole, err := o.read(c.args, &bytes.Buffer{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		file := ""
		if whole {
			file = fileOf(chosen)
		}
		if file != c.file {
			t.Errorf("%s: kept in %q, want %q", c.name, file, c.file)
		}
	}

	good := reached()
	if why := good.keep("docs/benchmarks.md"); why != "" {
		t.Errorf("a whole run is not kept: %s", why)
	}
	missed := reached()
	missed.figure(launchTail, 9)
	if why := missed.keep("docs/benchmarks.md"); why != "" {
		t.Errorf("a whole run that missed a target is not kept: %s", why)
	}
	left := reached()
	left.leaveOut("fresh", errors.New("no slapd"))
	disturbed := reached()
	disturbed.disturbed(0, 1)
	for name, r := range map[string]report{"left out": left, "disturbed": disturbed} {
		if r.keep("docs/benchmarks.md") == "" {
			t.Errorf("%s: it is kept", name)
		}
	}
}

// TestBadFlagsAreRefused (COST-44): before anything is built or started.
func TestBadFlagsAreRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--parts", "launch,lunch"}, `unknown part "lunch": want some of launch,`},
		{[]string{"--parts", ""}, `unknown part ""`},
		{[]string{"launch"}, `unexpected argument "launch": parts are named by --parts`},
		{[]string{"--seconds", "0"}, "numbers must be positive"},
		{[]string{"--pairs", "0"}, "numbers must be positive"},
		{[]string{"--people", "3"}, "people at least 64"},
		{[]string{"--wrong"}, "flag provided but not defined"},
	} {
		var said bytes.Buffer
		if code := run(t.Context(), c.args, &said, &said); code != exitNotWhole || !strings.Contains(said.String(), c.want) {
			t.Errorf("%q: got exit code %d and %q, want 2 and %q", c.args, code, said.String(), c.want)
		}
	}
}

// TestWhatIsLeftOutIsSaid (COST-44): a part that can't be measured and one that is not reached any more are named with
// their reasons, the others are measured, everything is cleaned up.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var said bytes.Buffer
	b := &bench{out: &said}
	cleaned := 0
	b.cleanup(func() error { cleaned++; return nil })
	b.cleanup(func() error { panic(failure("stop slapd: it hangs")) })
	for _, p := range []part{
		{"first", func(b *bench, _ context.Context) error { b.report.figure(launchCommits, 1); return nil }, false},
		{"second", func(b *bench, ctx context.Context) error { _, err := b.newBridge(ctx, "x", "p-256", nil); return err },
			false},
		{"third", func(_ *bench, ctx context.Context) error { interrupt(); return ctx.Err() }, false},
		{"fourth", func(*bench, context.Context) error { t.Error("measured after the interruption"); return nil }, false},
	} {
		b.measurePart(ctx, p)
	}
	var text strings.Builder
	if err := b.report.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"durable commits a launch", "left out: second: slapd did not start", "left out: third: interrupted\n",
		"left out: fourth: interrupted\n", "0 missed, 0 disturbed, 3 left out",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, text.String())
		}
	}
	if b.report.exit(false) != exitNotWhole {
		t.Error("the exit code says that all was measured")
	}
	if err := b.cleanUp(); err == nil || !strings.Contains(err.Error(), "it hangs") || cleaned != 1 {
		t.Errorf("clean up: got %v, and %d of 1 others done", err, cleaned)
	}
}

// TestReportAsDocument (COST-42) has each figure with its target and verdict, and what run it was.
func TestReportAsDocument(t *testing.T) {
	r := reached()
	r.note("a | b", "1 | 2")
	text := string(r.markdown([]string{"machine: two cores", "commit: 123456789012"}))
	for _, want := range []string{
		"# Benchmarks\n", "\n- machine: two cores\n- commit: 123456789012\n",
		"\n| durable commits a launch | 1 | at most 1 | reached |\n",
		"\n| launch at half load: p99 / p50 | 2.50 | at most 3.00 | reached |\n", "\n| a \\| b | 1 \\| 2 |  |  |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document does not have %q:\n%s", want, text)
		}
	}
	b := &bench{}
	b.o.parts = strings.Join(partNames(usual), ",")
	about := strings.Join(b.about(t.Context()), "\n")
	for _, want := range []string{"machine: ", "Go: ", "signer of the program as it is: ", "commit: ", "date: ",
		"not in this table: " + strings.Join(partNames(named), ", ")} {
		if !strings.Contains(about, want) {
			t.Errorf("the lines about the run do not have %q:\n%s", want, about)
		}
	}
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	for _, text := range []string{"one", "other"} {
		if err := writeWhole(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
	}
}
