package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// about describes the run: what was measured, on what, when.
func (b *bench) about(ctx context.Context) []string {
	ctx = context.WithoutCancel(ctx) // an interrupted run is described too
	signer := "unknown"
	if e, err := b.usualEngine(ctx); err == nil {
		signer = e.name
	}
	return []string{
		"machine: " + machine(),
		"Go: " + goVersion(b.binary),
		"signer of the program as it is: " + signer,
		"commit: " + commit(ctx),
		fmt.Sprintf("date: %s, took %s", b.began.UTC().Format("2006-01-02 15:04 MST"),
			time.Since(b.began).Round(time.Second)),
		"not in this table: " + strings.Join(b.absent(), ", "),
	}
}

// absent are the parts of another run.
func (b *bench) absent() (names []string) {
	for _, p := range append(partNames(usual), partNames(named)...) {
		if !strings.Contains(","+b.o.parts+",", ","+p+",") {
			names = append(names, p)
		}
	}
	if len(names) == 0 {
		return []string{"nothing"}
	}
	return names
}

func machine() string {
	cpu := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.Join(strings.Fields(value), " ")
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores for bridge and load together, %s/%s", cpu, runtime.NumCPU(), runtime.GOOS,
		runtime.GOARCH)
}

// goVersion is what the program was built with.
func goVersion(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "unknown"
	}
	return info.GoVersion
}

// commit is what is checked out. Reports that were written before are no change of the program.
func commit(ctx context.Context) string {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	text := string(bytes.TrimSpace(head))
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", ":/",
		":(top,exclude)docs/benchmarks*.md").Output()
	if err != nil || len(bytes.TrimSpace(changed)) > 0 {
		text += " and changes that are not committed"
	}
	return text
}

// writeReport keeps the report in a file of the source. It is written beside it first, so that no half of one is left.
func (b *bench) writeReport(ctx context.Context, file string, about []string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "ssobridge").Output()
	if err != nil {
		return fmt.Errorf("find the source to write %s: %w", file, err)
	}
	return writeWhole(filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(file)), b.report.markdown(about))
}

func writeWhole(path string, text []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, text, 0o644); err != nil { //nolint:gosec // G306: documentation is for everybody
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
