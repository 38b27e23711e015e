// Command bench measures the bridge against the figures that it has to reach, and
// prints them side by side:
//
//	make bench
//	make bench BENCHFLAGS="--parts launch,fresh --seconds 1 --report-only"
//	make bench-history
//
// It is a module of its own: what measures the program is no part of it.
//
// Everything is real: the program ssobridge as a process of its own, set up by its own
// commands, on SQLite with synchronous FULL, over HTTP on loopback; an OpenLDAP server
// (slapd) over TLS; the sandbox as Constant Contact. The load comes from this process
// and shares the processors with the bridge. Verification and encryption alone are
// measured without HTTP and store, by the benchmarks of package idp. Other work on the machine disturbs what
// is measured; so what is compared is measured in turns, and what was disturbed is measured again or said to be so.
//
// The exit code is 0 when every figure reaches its target, 1 when one misses it, and 2 when something could not be
// measured, was left out or disturbed. A whole run with the usual numbers writes docs/benchmarks.md, or for the part
// history docs/benchmarks-history.md; with --report-only nothing is written, and missed targets are no failure.
// Everything else is in a temporary folder that is removed at the end; the part history also keeps filled databases in
// the user's cache folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ssobridge/idp/directory/directorytest"
)

// What the exit code says.
const (
	exitReached  = 0
	exitMissed   = 1
	exitNotWhole = 2 // also for wrong flags
)

func main() {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case profiled:
			os.Exit(serveProfiled(os.Args[2:]))
		case floored:
			os.Exit(serveFloor(os.Args[2:], os.Stderr))
		case measured:
			os.Exit(serveMeasured(os.Args[2:], os.Stderr))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	parts      string
	seconds    float64
	rounds     int
	pairs      int
	turns      int
	rows       int
	people     int
	sessions   int
	signIns    int
	flood      time.Duration
	binary     string
	profile    string
	reportOnly bool
}

// span stretches a usual time, given in seconds, by --seconds.
func (o *options) span(usual float64) time.Duration {
	return time.Duration(usual * o.seconds / 5 * float64(time.Second))
}

// atMost is a usual number of people, or fewer in a run that is shorter than usual.
func (o *options) atMost(usual int) int {
	return min(usual, max(40, int(float64(usual)*o.seconds/5)))
}

// bench is one run.
type bench struct {
	o        options
	began    time.Time
	dir      string // temporary
	binary   string // the compiled program
	slapd    *directorytest.Slapd
	report   report
	out      io.Writer // what is going on
	cleanups []func() error
	helpers  []int // processes of ours that are no children, such as PostgreSQL

	bridges    map[string]*bridge // RSA-2048, everybody introduced, by engine; see engineBridge
	launchRate float64            // 0: not measured
	big        *directorytest.Slapd
	idp        idpBench
}

// part is one thing that --parts chooses.
type part struct {
	name    string
	measure func(*bench, context.Context) error
	// watches: it looks for other work itself, and says for each figure what was disturbed.
	watches bool
}

// usual are the parts of a run without --parts, in the order in which they run.
var usual = []part{
	{"launch", (*bench).measureLaunch, true},
	{"latency", (*bench).measureLatency, false},
	{"commits", (*bench).measureCommits, false},
	{"fresh", (*bench).measureFresh, true},
	{"signed", (*bench).measureSigned, true},
	{"keys", (*bench).measureKeys, false},
	{"verify", (*bench).measureVerify, false},
	{"encrypt", (*bench).measureEncrypt, false},
	{"gate", (*bench).measureGate, false},
	{"memory", (*bench).measureMemory, false},
	{"flood", (*bench).measureFlood, false},
	{"creations", (*bench).measureCreations, false},
	{"jitter", (*bench).measureJitter, false},
	{"plan", (*bench).measureUnderPlan, false},
	{"ledger", (*bench).measureLedger, false},
	{"walk", (*bench).measureWalk, false},
	{"console", (*bench).measureConsole, false},
}

// named are the parts that run only when --parts names them, since they take too long for the usual run.
var named = []part{
	{"history", (*bench).measureHistory, true},
	{"replicas", (*bench).measureReplicas, true},
}

// partNames are the names of parts, as --parts has them.
func partNames(parts []part) (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{out: stderr, began: time.Now(), bridges: map[string]*bridge{}}
	chosen, whole, err := b.o.read(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitReached
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench: error:", err)
		return exitNotWhole
	}
	file := ""
	if whole {
		file = fileOf(chosen)
	}
	err = b.measure(ctx, chosen, stdout, file)
	code := b.report.exit(b.o.reportOnly)
	if err = errors.Join(err, b.cleanUp()); err != nil {
		fmt.Fprintln(stderr, "bench: error:", err)
		code = exitNotWhole
	}
	return code
}

// read reads the flags. whole: it is a run whose report is kept: all parts of a file, measured as long as usual, of
// the program as it stands here.
func (o *options) read(args []string, stderr io.Writer) (chosen []part, whole bool, err error) {
	all := slices.Concat(usual, named)
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.parts, "parts", strings.Join(partNames(usual), ","),
		"what to measure; only by name: "+strings.Join(partNames(named), ","))
	f.Float64Var(&o.seconds, "seconds", 5, "how long launches are counted; the other times keep their proportion")
	f.IntVar(&o.rounds, "rounds", 3, "how often what is compared takes turns")
	f.IntVar(&o.pairs, "pairs", 7, "how often the floor and launches take turns")
	f.IntVar(&o.turns, "turns", 20, "how often the empty and the full store take turns")
	f.IntVar(&o.rows, "rows", 1_000_000, "rows of each kind in the full store of history; five times as many audit events")
	f.IntVar(&o.people, "people", 600, "people in the directory who sign in")
	f.IntVar(&o.sessions, "sessions", 100000, "sessions in the store when memory is measured")
	f.IntVar(&o.signIns, "signins", 10000, "sign-ins before memory is measured")
	f.DurationVar(&o.flood, "flood", 10*time.Second, "how long the flood of AuthnRequests lasts")
	f.StringVar(&o.binary, "binary", "", "the compiled ssobridge; default: it is built")
	f.StringVar(&o.profile, "profile", "", "write a CPU profile of the bridge while it serves launches into this `file`")
	f.BoolVar(&o.reportOnly, "report-only", false, "write no file, and take a missed target for no failure")
	if err := f.Parse(args); err != nil {
		return nil, false, err
	}
	if f.NArg() > 0 {
		return nil, false, fmt.Errorf("unexpected argument %q: parts are named by --parts", f.Arg(0))
	}
	names := strings.Split(o.parts, ",")
	for _, n := range names {
		if !slices.Contains(partNames(all), n) {
			return nil, false, fmt.Errorf("unknown part %q: want some of %s", n, strings.Join(partNames(all), ","))
		}
	}
	for _, p := range all {
		if slices.Contains(names, p.name) {
			chosen = append(chosen, p)
		}
	}
	if o.seconds <= 0 || o.rounds < 1 || o.pairs < 1 || o.turns < 1 || o.people < launchers || o.sessions < 0 ||
		o.signIns < 1 || o.rows < 1000 {
		return nil, false, fmt.Errorf("numbers must be positive, people at least %d and rows at least 1000", launchers)
	}
	whole = !o.reportOnly
	f.Visit(func(f *flag.Flag) {
		if f.Name != "parts" && f.Name != "report-only" {
			whole = false
		}
	})
	return chosen, whole && fileOf(chosen) != "", nil
}

// fileOf is where the report of these parts is kept; "" where they are not all that belong together.
func fileOf(chosen []part) string {
	names := partNames(chosen)
	switch {
	case slices.Equal(names, partNames(usual)):
		return "docs/benchmarks.md"
	case slices.Equal(names, []string{"history"}):
		return "docs/benchmarks-history.md"
	}
	return ""
}

// measure measures the parts, prints the report and keeps it in file, unless that is "" or something is missing.
func (b *bench) measure(ctx context.Context, chosen []part, stdout io.Writer, file string) error {
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if cores := b.idle(ctx); cores > tolerableCores {
		b.progress("this machine is busy: other processes use %.2f cores; what they disturb is measured again or not judged",
			cores)
	}
	for _, p := range chosen {
		b.measurePart(ctx, p)
	}
	about := b.about(ctx)
	fmt.Fprintf(stdout, "%s\n\n", strings.Join(about, "\n"))
	if err := b.report.print(stdout); err != nil {
		return err
	}
	why := b.report.keep(file)
	if why == "" {
		if err := b.writeReport(ctx, file, about); err != nil {
			return err
		}
		b.progress("written: %s", file)
		return nil
	}
	if !b.o.reportOnly {
		b.progress("no file is written: %s", why)
	}
	return nil
}

// measurePart measures one part and reports what became of it.
func (b *bench) measurePart(ctx context.Context, p part) {
	if ctx.Err() != nil {
		b.report.leaveOut(p.name, errInterrupted)
		return
	}
	b.progress("measuring: %s", p.name)
	others, from := b.watch(), len(b.report.lines)
	err := p.measure(b, ctx)
	if !p.watches {
		b.report.disturbed(from, others.share())
	}
	switch {
	case ctx.Err() != nil: // also without an error: what it measured is cut short
		b.report.leaveOut(p.name, errInterrupted)
	case err != nil:
		b.progress("  not measured: %s", err)
		b.report.leaveOut(p.name, err)
	}
}

var errInterrupted = errors.New("interrupted")

// idle tells how many cores other processes use while this one does nothing.
func (b *bench) idle(ctx context.Context) float64 {
	w := b.watch()
	if pause(ctx, time.Second, nil) != nil {
		return 0
	}
	return w.cores()
}

// prepare builds the program and starts the directory. Without slapd it goes on: what needs it is left out.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "ssobridge-bench-"); err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	b.cleanup(func() error { return os.RemoveAll(b.dir) })
	if b.binary, err = filepath.Abs(b.o.binary); b.o.binary == "" {
		b.progress("building ssobridge")
		b.binary = filepath.Join(b.dir, "ssobridge")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "ssobridge/cmd/ssobridge")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build ssobridge: %w: %s", err, out)
		}
	} else if err != nil {
		return err
	}
	b.progress("starting slapd with %d people", b.o.people)
	if err := b.startSlapd(); err != nil {
		b.progress("no slapd, so that the parts that sign people in are left out: %s", err)
	}
	return nil
}

// mainBridge is the running bridge that most parts share, with RSA-2048 and everybody's SSO user, and the signer that
// the program takes by itself.
func (b *bench) mainBridge(ctx context.Context) (*bridge, error) {
	e, err := b.usualEngine(ctx)
	if err != nil {
		return nil, err
	}
	return b.engineBridge(ctx, e)
}

// running sets a bridge up, starts it and introduces people.
func (b *bench) running(ctx context.Context, name, algorithm string, more set, people int) (*bridge, error) {
	return b.runningBy(ctx, b.binary, name, algorithm, more, people)
}

// runningBy is running with a server of another program file.
func (b *bench) runningBy(ctx context.Context, binary, name, algorithm string, more set, people int) (*bridge, error) {
	b.progress("setting up a bridge with a key of %s and %d people", algorithm, people)
	br, err := b.newBridge(ctx, name, algorithm, more)
	if err != nil {
		return nil, fmt.Errorf("set up a bridge: %w", err)
	}
	br.binary = binary
	if _, err := br.start(ctx); err != nil {
		return nil, err
	}
	// The sandbox's library reads ECDSA signatures in another form than XML signatures
	// have them (xmldsig-core1 6.4.3), so it can't judge those.
	verify := algorithm != "p-256"
	if err := br.introduce(ctx, people, verify); err != nil {
		return nil, fmt.Errorf("sign people in for the first time: %w", err)
	}
	return br, nil
}

func (b *bench) progress(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

// cleanup has something done at the end, the last one first.
func (b *bench) cleanup(do func() error) { b.cleanups = append(b.cleanups, do) }

// cleanUp does all of it, whatever fails: no server is left behind.
func (b *bench) cleanUp() error {
	var errs []error
	for _, do := range slices.Backward(b.cleanups) {
		errs = append(errs, caught(do))
	}
	b.cleanups = nil
	return errors.Join(errs...)
}

// caught turns the panic by which a helper of the tests fails into an error.
func caught(do func() error) (err error) {
	defer func() {
		if f, ok := recover().(failure); ok {
			err = errors.New(string(f))
		}
	}()
	return do()
}
