package cmd_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	rowPattern   = regexp.MustCompile(`(RSP|REQ|SLO|MD|KEY|LDAP|WEB|SP|API|ID|COST|REAL|DOC|SET|OPS|REST|NTC)-?([0-9]{2})`)
	rangePattern = regexp.MustCompile(`\b` +
		`(RSP|REQ|SLO|MD|KEY|LDAP|WEB|SP|API|ID|COST|REAL|DOC|SET|OPS|REST|NTC)-([0-9]{2}) ` +
		`to (?:RSP|REQ|SLO|MD|KEY|LDAP|WEB|SP|API|ID|COST|REAL|DOC|SET|OPS|REST|NTC)-([0-9]{2})\b`)
	linePattern = regexp.MustCompile(`(?m)^\| ([A-Z]+-[0-9]{2}) \| .* \| (done|in part|later) \|$`)
)

// TestChecklistIsProven: each row that docs/checklist.md calls done is cited by a test.
func TestChecklistIsProven(t *testing.T) {
	cited := map[string]bool{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, "_test.go") && !strings.Contains(filepath.ToSlash(name), "/testdata/") &&
			!strings.Contains(filepath.ToSlash(name), "/storetest/") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		// A comment may break a range over two lines.
		joined := strings.ReplaceAll(string(text), "\n// ", " ")
		for _, m := range rowPattern.FindAllStringSubmatch(joined, -1) {
			cited[m[1]+"-"+m[2]] = true
		}
		for _, m := range rangePattern.FindAllStringSubmatch(joined, -1) {
			from, _ := strconv.Atoi(m[2])
			to, _ := strconv.Atoi(m[3])
			for n := from; n <= to; n++ {
				cited[fmt.Sprintf("%s-%02d", m[1], n)] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("../docs/checklist.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := linePattern.FindAllStringSubmatch(string(list), -1)
	if len(rows) < 70 {
		t.Fatalf("docs/checklist.md has %d rows that can be read, want all of them", len(rows))
	}
	for _, row := range rows {
		if row[2] == "done" && !cited[row[1]] {
			t.Errorf("%s is called done, and no test cites it", row[1])
		}
	}
}
