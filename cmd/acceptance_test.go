package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ssobridge/internal/testkind"
)

// TestTableOfAcceptance: make acceptance writes its table from a run that came to its end, passed or failed, and from
// no other one; what was left out did not pass (row COST-60).
func TestTableOfAcceptance(t *testing.T) {
	testkind.Starts(t, "bash")
	const ended = "=== RUN   TestCrowdA\n--- PASS: TestCrowdA (1.60s)\n"
	const here, failed = "ok  \tssobridge/cmd/internal/e2e\t9.1s\n", "FAIL\nFAIL\tssobridge/cmd/internal/e2e\t9.1s\n"
	for name, c := range map[string]struct {
		output string
		exit   int // of go test
		passes bool
		table  string // a line of it; "": none is written
	}{
		"passed": {ended + here, 0, true, "| cmd/internal/e2e TestCrowdA | passed | 2 |"},
		"failed": {ended + "=== RUN   TestCrowdB\n--- FAIL: TestCrowdB (0.20s)\n" + failed, 1, false,
			"| cmd/internal/e2e TestCrowdB | failed | 0 |"},
		"left out": {ended + "=== RUN   TestCrowdB\n--- SKIP: TestCrowdB (0.00s)\n" + here, 0, false,
			"| cmd/internal/e2e TestCrowdB | left out | 0 |"},
		"a process was killed": {ended + "=== RUN   TestCrowdB\n=== RUN   TestCrowdB/part\nsignal: " +
			"killed\nFAIL\tssobridge/cmd/internal/e2e\t9s\n", 1, false, ""},
		"a package can't be built": {ended + "FAIL\tssobridge/cmd/internal/release [build failed]\nFAIL\n", 1, false, ""},
		"a test panicked": {ended + "=== RUN   TestCrowdB\n--- FAIL: TestCrowdB (0.00s)\npanic: " +
			"broken\nFAIL\tssobridge/cmd/internal/e2e\t9s\n", 1, false, ""},
		"nothing ended": {"FAIL\n", 1, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tool, table := filepath.Join(dir, "go"), filepath.Join(dir, "table.md")
			script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = test ] || { echo go1; exit 0; }\necho 'all is flat' "+
				">\"$SSOBRIDGE_TEST_REPORTS/history.txt\"\ncat <<'END'\n%sEND\nexit %d\n", c.output, c.exit)
			if err := os.WriteFile(tool, []byte(script), 0o700); err != nil { //nolint:gosec // G306: it is run
				t.Fatal(err)
			}
			run := exec.Command("bash", "../.ci/acceptance", "^TestCrowd", ".")
			run.Env = append(os.Environ(), "GO="+tool, "TABLE="+table)
			out, err := run.CombinedOutput()
			if (err == nil) != c.passes {
				t.Errorf("ended with %v, want it to pass: %t\n%s", err, c.passes, out)
			}
			text, err := os.ReadFile(table)
			if (err == nil) != (c.table != "") || !strings.Contains(string(text), c.table) {
				t.Errorf("the table, %v:\n%s", err, text)
			}
			if kept := strings.Contains(string(text), "## history\n\n```\nall is flat\n```\n"); kept != (c.table != "") {
				t.Errorf("the report of a test is kept: %t\n%s", kept, text)
			}
		})
	}
}
