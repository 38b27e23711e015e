package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/internal/testkind"
)

// TestAcceptanceHistory runs the part history over a store a tenth as large as make bench-history has it, in fewer and
// shorter turns: every statement and page that it measures is there to be measured, on both databases. Its figures are
// kept and not judged, since short turns say little of the slowest in a hundred (row COST-73).
func TestAcceptanceHistory(t *testing.T) {
	testkind.Starts(t, "slapd and PostgreSQL")
	var report, progress bytes.Buffer
	run(t.Context(), []string{"--parts", "history", "--rows", "100000", "--turns", "6", "--seconds", "2", "--report-only"},
		&report, &progress)
	if folder := os.Getenv("SSOBRIDGE_TEST_REPORTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "history.txt"), report.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"SQLite: launch", "PostgreSQL: launch", "while retention purges", " 0 left out\n"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("the report has no %q", want)
		}
	}
	t.Logf("%s\n%s", &progress, &report)
}
