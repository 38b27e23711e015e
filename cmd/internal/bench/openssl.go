package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// measureOpenSSL compares launches of a program whose RSA signatures OpenSSL makes
// with those of the usual one. They take turns: a round is launches with OpenSSL
// between two measurements of launches with Go's signer.
func (b *bench) measureOpenSSL(ctx context.Context) error {
	if err := signsByGo(b.binary); err != nil {
		return err
	}
	binary, err := b.buildOpenSSL(ctx)
	if err != nil {
		return err
	}
	plain, err := b.mainBridge(ctx)
	if err != nil {
		return err
	}
	fast, err := b.runningBy(ctx, binary, "openssl", "rsa-2048", nil, launchers)
	if err != nil {
		return err
	}
	type round struct{ fast, plain pace }
	var all []round
	before, err := plain.launches(ctx, b.o.span(1), b.o.span(3))
	if err != nil {
		return err
	}
	for range b.o.rounds {
		launches, err := fast.launches(ctx, b.o.span(1), b.o.span(5))
		if err != nil {
			return err
		}
		after, err := plain.launches(ctx, b.o.span(1), b.o.span(3))
		if err != nil {
			return err
		}
		r := round{launches, mean(before, after)}
		b.progress("  %.0f launches a second with OpenSSL, %.0f with Go's signer", r.fast.rate, r.plain.rate)
		all, before = append(all, r), after
	}
	r := median(all, func(r round) float64 { return r.fast.rate / r.plain.rate })
	b.report.note("launches a second, RSA-2048, both signatures by OpenSSL", "%.0f (beside %.0f with Go's signer)", r.fast.rate, r.plain.rate)
	b.report.figure(opensslRatio, r.fast.rate/r.plain.rate)
	byTime := func(r round) float64 { return float64(r.plain.each) / float64(r.fast.each) }
	r = median(all, byTime)
	b.report.note("the same by processor time", "%.2f (%s a launch with OpenSSL, %s with Go's signer, of which %s and %s are the load's)",
		byTime(r), ms(r.fast.each), ms(r.plain.each), ms(r.fast.load), ms(r.plain.load))
	return fast.stop()
}

// buildOpenSSL compiles the program with OpenSSL's signer.
func (b *bench) buildOpenSSL(ctx context.Context) (string, error) {
	b.progress("building ssobridge with OpenSSL")
	binary := filepath.Join(b.dir, "ssobridge-openssl")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "openssl", "-o", binary, "ssobridge/cmd/ssobridge")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ssobridge with -tags openssl: %s%w: %s", missing(string(out)), err, out)
	}
	return binary, nil
}

// missing names what a failed build would need, as far as its messages tell.
func missing(out string) string {
	switch {
	case strings.Contains(out, "C compiler") && strings.Contains(out, "not found"):
		return "a C compiler is missing (Debian: gcc): "
	case strings.Contains(out, "openssl/") && strings.Contains(out, "No such file"), strings.Contains(out, "find -lcrypto"):
		return "OpenSSL's headers or library are missing (Debian: libssl-dev): "
	case strings.Contains(out, "stdlib.h") && strings.Contains(out, "No such file"):
		return "the C library's headers are missing (Debian: libc6-dev): "
	}
	return ""
}

// signsByGo makes sure that OpenSSL is not compared with itself, as --binary or
// GOFLAGS could bring about.
func signsByGo(binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read how the program was built: %w", err)
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), "openssl") {
			return errors.New("the program to compare with is built with OpenSSL too")
		}
	}
	return nil
}
