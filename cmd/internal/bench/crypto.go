package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// idpBench are the compiled benchmarks of package idp, and the folder in which they run.
type idpBench struct{ binary, dir string }

// idpBenchmarks compiles them, once.
func (b *bench) idpBenchmarks(ctx context.Context) (idpBench, error) {
	if b.idp.binary != "" {
		return b.idp, nil
	}
	const name = "ssobridge/idp"
	dir, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", name).Output()
	if err != nil {
		return idpBench{}, fmt.Errorf("find package idp, whose benchmarks are run from its source: %w", err)
	}
	i := idpBench{filepath.Join(b.dir, "idp.test"), strings.TrimSpace(string(dir))}
	b.progress("building the benchmarks of package idp")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", i.binary, name).CombinedOutput(); err != nil {
		return idpBench{}, fmt.Errorf("build the benchmarks of package idp: %w: %s", err, out)
	}
	b.idp = i
	return i, nil
}

// run runs one benchmark n times over and returns what it prints, and the processor
// time of the whole process.
func (i idpBench) run(ctx context.Context, name string, n int) (string, time.Duration, error) {
	steps := strings.Split(name, "/")
	for s := range steps {
		steps[s] = "^" + steps[s] + "$"
	}
	cmd := exec.CommandContext(ctx, i.binary, "-test.run", "^$", "-test.bench", strings.Join(steps, "/"),
		"-test.benchtime", strconv.Itoa(n)+"x")
	cmd.Dir = i.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", 0, fmt.Errorf("run %s: %w: %s", name, err, out)
	}
	if !strings.Contains(string(out), " ns/op") {
		return "", 0, fmt.Errorf("run %s: there is no such benchmark", name)
	}
	return string(out), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// each is the processor time of one turn of a benchmark, collecting its garbage
// included. A short run beside the long one tells what starting the process costs.
func (i idpBench) each(ctx context.Context, name string, n int) (time.Duration, error) {
	_, short, err := i.run(ctx, name, n/10)
	if err != nil {
		return 0, err
	}
	_, long, err := i.run(ctx, name, n)
	if err != nil {
		return 0, err
	}
	if long <= short {
		return 0, fmt.Errorf("run %s: %d turns are too few to tell their processor time", name, n)
	}
	return (long - short) / time.Duration(n-n/10), nil
}

// verification is what one of each costs; the first is the plain RSA operation.
type verification struct{ rsa, redirect, post, unsigned time.Duration }

// measureVerify compares reading and verifying a signed AuthnRequest with the one
// RSA-2048 verification in it.
func (b *bench) measureVerify(ctx context.Context) error {
	i, err := b.idpBenchmarks(ctx)
	if err != nil {
		return err
	}
	var all []verification
	for range b.o.rounds {
		var v verification
		for _, part := range []struct {
			name  string
			turns float64
			cost  *time.Duration
		}{{"rsa", 20000, &v.rsa}, {"redirect", 8000, &v.redirect}, {"post", 3000, &v.post}, {"unsigned", 6000, &v.unsigned}} {
			turns := max(100, int(part.turns*b.o.seconds/5))
			if *part.cost, err = i.each(ctx, "BenchmarkVerify/"+part.name, turns); err != nil {
				return err
			}
		}
		b.progress("  %s a plain RSA verification, %s a signed Redirect AuthnRequest, %s a signed POST one, %s an unsigned "+
			"one",
			ms(v.rsa), ms(v.redirect), ms(v.post), ms(v.unsigned))
		all = append(all, v)
	}
	for _, part := range []struct {
		name string
		cost func(verification) time.Duration
	}{
		{"signed Redirect", func(v verification) time.Duration { return v.redirect }},
		{"signed POST", func(v verification) time.Duration { return v.post }},
		{"unsigned POST", func(v verification) time.Duration { return v.unsigned }},
	} {
		times := func(v verification) float64 { return float64(part.cost(v)) / float64(v.rsa) }
		v := median(all, times)
		b.report.note(part.name+" AuthnRequest read / plain RSA-2048 verification",
			"%.2f by processor time (%s / %s; benchmark of idp)", times(v), ms(part.cost(v)), ms(v.rsa))
	}
	return nil
}

// measureEncrypt compares a Response that is signed twice and encrypted with its RSA
// operations alone: two signatures and one encryption. The benchmark does both by turns.
func (b *bench) measureEncrypt(ctx context.Context) error {
	i, err := b.idpBenchmarks(ctx)
	if err != nil {
		return err
	}
	turns := max(20, int(500*b.o.seconds/5))
	var all []float64
	for range b.o.rounds {
		out, _, err := i.run(ctx, "BenchmarkEncryptedResponse", turns)
		if err != nil {
			return err
		}
		times, err := metric(out, "x-pure-RSA")
		if err != nil {
			return fmt.Errorf("BenchmarkEncryptedResponse: %w", err)
		}
		b.progress("  an encrypted Response takes %.2f times its RSA operations", times)
		all = append(all, times)
	}
	b.report.note("encrypted Response / its two RSA-2048 signatures and one encryption",
		"%.2f (%d by turns with the RSA alone; benchmark of idp)",
		median(all, func(v float64) float64 { return v }), turns)
	return nil
}

// metric finds a benchmark's value by its unit.
func metric(out, unit string) (float64, error) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		for n, f := range fields {
			if f == unit && n > 0 {
				return strconv.ParseFloat(fields[n-1], 64)
			}
		}
	}
	return 0, errors.New("it tells no " + unit)
}
