// Command bench measures the bridge against the figures that it has to reach, and
// prints them side by side:
//
//	go run ./cmd/internal/bench
//	go run ./cmd/internal/bench --parts launch,fresh --seconds 20
//
// Everything is real: the program ssobridge as a process of its own, set up by its own
// commands, on SQLite with synchronous FULL, over HTTP on loopback; an OpenLDAP server
// (slapd) over TLS; the sandbox as Constant Contact. The load comes from this process
// and shares the processors with the bridge. Verification and encryption alone are
// measured without HTTP and store, by the benchmarks of package idp. Other work on the machine disturbs what
// is measured; so what is compared is measured in turns.
//
// It is no test: the exit code is 0 also when a figure is missed, and 1 when one could
// not be measured. What it writes is in a temporary folder that it removes.
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
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"ssobridge/idp/directory/directorytest"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == profiled {
		os.Exit(serveProfiled(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	parts    string
	seconds  float64
	rounds   int
	people   int
	sessions int
	signIns  int
	flood    time.Duration
	binary   string
	profile  string
}

// span stretches a usual time, given in seconds, by --seconds.
func (o *options) span(usual float64) time.Duration {
	return time.Duration(usual * o.seconds / 5 * float64(time.Second))
}

// bench is one run.
type bench struct {
	o        options
	dir      string // temporary
	binary   string // the compiled program
	slapd    *directorytest.Slapd
	report   report
	out      io.Writer // what is going on
	cleanups []func() error

	main       *bridge // RSA-2048, everybody introduced; see mainBridge
	launchRate float64 // 0: not measured
	idp        idpBench
}

// parts are what --parts chooses from, in the order in which they run.
var parts = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"launch", (*bench).measureLaunch},
	{"latency", (*bench).measureLatency},
	{"commits", (*bench).measureCommits},
	{"fresh", (*bench).measureFresh},
	{"keys", (*bench).measureKeys},
	{"openssl", (*bench).measureOpenSSL},
	{"verify", (*bench).measureVerify},
	{"encrypt", (*bench).measureEncrypt},
	{"gate", (*bench).measureGate},
	{"memory", (*bench).measureMemory},
	{"flood", (*bench).measureFlood},
	{"creations", (*bench).measureCreations},
	{"jitter", (*bench).measureJitter},
	{"plan", (*bench).measureUnderPlan},
	{"ledger", (*bench).measureLedger},
	{"walk", (*bench).measureWalk},
	{"console", (*bench).measureConsole},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	b := &bench{out: stderr}
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&b.o.parts, "parts", strings.Join(names, ","), "what to measure")
	f.Float64Var(&b.o.seconds, "seconds", 5, "how long launches are counted; the other times keep their proportion")
	f.IntVar(&b.o.rounds, "rounds", 3, "how often launches and the plain loop take turns")
	f.IntVar(&b.o.people, "people", 600, "people in the directory who sign in")
	f.IntVar(&b.o.sessions, "sessions", 100000, "sessions in the store when memory is measured")
	f.IntVar(&b.o.signIns, "signins", 10000, "sign-ins before memory is measured")
	f.DurationVar(&b.o.flood, "flood", 10*time.Second, "how long the flood of AuthnRequests lasts")
	f.StringVar(&b.o.binary, "binary", "", "the compiled ssobridge; default: it is built")
	f.StringVar(&b.o.profile, "profile", "", "write a CPU profile of the bridge while it serves launches into this `file`")
	if err := f.Parse(args); err != nil {
		return err
	}
	chosen := strings.Split(b.o.parts, ",")
	for _, c := range chosen {
		if !slices.Contains(names, c) {
			return fmt.Errorf("unknown part %q: want some of %s", c, strings.Join(names, ","))
		}
	}
	if b.o.seconds <= 0 || b.o.rounds < 1 || b.o.people < launchers || b.o.sessions < 0 || b.o.signIns < 1 {
		return fmt.Errorf("numbers must be positive, and people at least %d", launchers)
	}
	defer func() { err = errors.Join(err, b.cleanUp()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	var failed []error
	for _, p := range parts {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		b.progress("measuring: %s", p.name)
		others, from := watch(), len(b.report.lines)
		err := p.measure(b, ctx)
		b.report.disturbed(from, others.share())
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			b.report.failed(p.name, err)
			failed = append(failed, fmt.Errorf("measure %s: %w", p.name, err))
		}
	}
	fmt.Fprintf(stdout, "%s %s/%s, %d cores for bridge and load together\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	return errors.Join(append(failed, b.report.print(stdout))...)
}

// prepare builds the program and starts the directory.
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
	return b.startSlapd()
}

// mainBridge is the running bridge that most parts share, with RSA-2048 and everybody's SSO user.
func (b *bench) mainBridge(ctx context.Context) (_ *bridge, err error) {
	if b.main == nil {
		b.main, err = b.running(ctx, "main", "rsa-2048", nil, b.o.people)
	}
	return b.main, err
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

func (b *bench) cleanUp() error {
	var errs []error
	for _, do := range slices.Backward(b.cleanups) {
		errs = append(errs, do())
	}
	return errors.Join(errs...)
}
